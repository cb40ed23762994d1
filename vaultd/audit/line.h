/* vaultd/audit/line.h - a line in the making, in both its forms at once.
 *
 * What:    Writes the terse form (terse.h), which is sealed, and the text that it expands to, which is
 *          hashed and copied to devices, side by side: expanding a whole line afterwards costs as much
 *          as making it. Nothing is added to one form alone, and each piece comes from the table that
 *          audit_terse_expand() reads, so that text is always what terse expands to.
 * Limits:  AUDIT_LINE_MAX bytes each; ask audit_line_ok() once at the end.
 * Owner:   audit_line_init_in() begins in memory of the caller's, audit_line_free() ends and wipes.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/audit/sealed.h"
#include "vaultd/audit/terse.h"

struct audit_line {
    struct kt_buf terse;
    struct kt_buf text; /* AUDIT_LINE_LEAF bytes for the leaf's prefix, then the line */
};
#define AUDIT_LINE_LEAF  1u
#define AUDIT_LINE_USUAL 3072u /* bytes that nearly every line needs at most, in both forms */

/* A third of the memory is for the terse form. NULL, 0: all on the heap. */
void audit_line_init_in(struct audit_line *line, void *memory, size_t size);
void audit_line_free(struct audit_line *line);
void audit_line_reset(struct audit_line *line);
bool audit_line_ok(const struct audit_line *line);
/* Of the text, without its prefix. */
size_t audit_line_length(const struct audit_line *line);
struct kt_bytes audit_line_text(const struct audit_line *line);

/* An HMAC in its three forms; quoted is what its code expands to. */
#define AUDIT_HMAC_QUOTED (AUDIT_HMAC_TEXT + 1u)
struct audit_hmac {
    unsigned char code; /* PIECE_HMAC, in front of the bytes */
    unsigned char bytes[AUDIT_HMAC_BYTES];
    char quoted[AUDIT_HMAC_QUOTED];
};

/* ---- writing ---- */
void audit_line_piece(struct audit_line *line, enum audit_piece piece);
void audit_line_hmac(struct audit_line *line, const struct audit_hmac *hmac);
/* Bytes that stand for themselves: none is below 0x20. */
static inline void audit_line_add(struct audit_line *line, struct kt_bytes plain)
{
    kt_buf_add_bytes(&line->terse, plain);
    kt_buf_add_bytes(&line->text, plain);
}
static inline void audit_line_char(struct audit_line *line, char plain)
{
    kt_buf_add_char(&line->terse, plain);
    kt_buf_add_char(&line->text, plain);
}
/* Quoted, with escapes as lib/jsonw.h makes them. */
void audit_line_quote(struct audit_line *line, struct kt_bytes text);
void audit_line_decimal(struct audit_line *line, uint64_t number);
/* What another line holds from these places on, up to those: both forms of one part. */
struct audit_part {
    size_t terse, text;
};
static inline struct audit_part audit_line_here(const struct audit_line *line)
{
    return (struct audit_part){line->terse.len, line->text.len};
}
static inline void audit_line_copy(struct audit_line *line, const struct audit_line *from,
                                   struct audit_part begin, struct audit_part end)
{
    kt_buf_add(&line->terse, from->terse.at + begin.terse, end.terse - begin.terse);
    kt_buf_add(&line->text, from->text.at + begin.text, end.text - begin.text);
}
