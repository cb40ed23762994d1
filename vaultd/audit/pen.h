/* vaultd/audit/pen.h - writes the members of a record into a line.
 *
 * What:    Names come from the table of pieces (terse.h), commas by themselves. What has no value (NULL,
 *          an empty text) is not written.
 * Owner:   the hasher and the line are the caller's.
 * Limits:  the line's: ask audit_line_ok() at the end.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/audit/hasher.h"
#include "vaultd/audit/line.h"

struct pen {
    struct audit_hasher *hasher;
    struct audit_line *line;
    bool first; /* an object was just opened: no comma is due */
};

/* A piece as it is: it brings its own comma. */
static inline void pen_piece(struct pen *pen, enum audit_piece piece)
{
    audit_line_piece(pen->line, piece);
    pen->first = false;
}

static inline void pen_name(struct pen *pen, enum audit_piece piece)
{
    if (!pen->first)
        audit_line_char(pen->line, ',');
    pen_piece(pen, piece);
}

static inline void pen_open(struct pen *pen, enum audit_piece piece)
{
    pen_name(pen, piece);
    pen->first = true;
}

static inline void pen_close(struct pen *pen)
{
    audit_line_char(pen->line, '}');
    pen->first = false;
}

/* Bytes as they are, commas and all. */
void pen_plain(struct pen *pen, const char *text);
void pen_text(struct pen *pen, enum audit_piece piece, const char *text);
void pen_number(struct pen *pen, enum audit_piece piece, uint64_t number);
/* One that is too rare for a piece of its own: a whole name, quoted and with its colon. */
void pen_rare_number(struct pen *pen, const char *name, uint64_t number);
void pen_rare_text(struct pen *pen, const char *name, const char *text);
/* A text's HMAC. */
void pen_hashed(struct pen *pen, enum audit_piece piece, struct kt_bytes text);
/* JSON of ours, checked when it was stored: in clear, but for what would be read as a piece. */
void pen_json(struct pen *pen, enum audit_piece piece, struct kt_bytes json);
/* Values alone, behind their names. */
void pen_time(struct pen *pen, int64_t ms);
void pen_hmac(struct pen *pen, struct kt_bytes text);
