/* vaultd/rotation/record.h - stored forms as tables: one row a field, one list a format number.
 *
 * What:    A record is u8 format, then its fields in the order of the rows: texts and lists as u32
 *          lengths and bytes, numbers little-endian. Reading is strict: a surplus, a missing byte, a
 *          number above the row's bound is KT_CORRUPT; so is a newer format, by name. An older
 *          format is another list; fields it does not have stay zero ("" for texts). So writing fails
 *          (out->full) where a text or a list is longer than its row says: what others go by is never cut. What is
 *          made of names and of the words of others, for people, may be of any length, and holds nothing up.
 * Change:  A list that some vaultd wrote with is never changed: stores have records of it. A new field, or a new
 *          place or type of one, is a new list with the next number, in front; what an older list does not say has
 *          to be right as zero, or its form says what follows from the rest (`complete`). Bounds may grow, and enums at their end. Where one number was given to two lists,
 *          both stand there, and a record is of the first that it fits to the last byte.
 * Owner:   what was read lives in the arena.
 * Threads: plain values. */
#pragma once

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

enum record_type {
    RECORD_TEXT,  /* const char *; `most` bytes */
    RECORD_WORDS, /* the same, for people to read: one that is longer is cut at a character */
    RECORD_LIST,  /* struct record_list; `most` texts */
    RECORD_I64,   /* int64_t[most], or one */
    RECORD_U32,   /* uint32_t */
    RECORD_U16,
    RECORD_U8,
    RECORD_BOOL,
    RECORD_ENUM,  /* an enum; values below `most` */
    RECORD_BYTES  /* unsigned char[most] */
};
struct record_list {
    const char **at;
    size_t n;
};
struct record_row {
    enum record_type type;
    size_t offset;
    uint32_t most;
    const char *name; /* of the member */
};
struct record_form {
    uint8_t format;
    const struct record_row *rows;
    size_t n;
    void (*complete)(void *object); /* what it does not say, and is not zero; NULL: none */
};
struct record_kind {
    const char *name;                /* "rotation target" */
    const struct record_form *forms; /* the newest first: it is written */
    size_t n, size;
};

#define RECORD_TEXT_MAX      65536u
#define RECORD_LIST_TEXT_MAX 1024u /* of one of a list's */
/* X-macro rows become these: RECORD_ROW(struct target, host, RECORD_TEXT, 255) */
#define RECORD_ROW(object, member, kind, bound) {kind, offsetof(object, member), bound, #member}
#define RECORD_FORM(number, table)            RECORD_FORM_AND(number, table, NULL)
#define RECORD_FORM_AND(number, table, complete) {number, table, sizeof(table) / sizeof(table)[0], complete}

void record_write(const struct record_kind *kind, const void *object, struct kt_buf *out);
/* `object` is overwritten on success only. */
enum kt_kind record_read(const struct record_kind *kind, struct kt_bytes record,
                         struct kt_arena *arena, void *object, struct kt_err *err) KT_MUST_CHECK;
