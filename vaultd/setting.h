/* vaultd/setting.h - a setting as a row: name, kind, place, bounds, default, help.
 *
 * What:    Rows carry their own parser, so a new setting is one row. Values land in a plain struct
 *          at the row's offset: texts as const char * (the tree's), lists of texts as struct kt_words,
 *          truths as bool, blocks of addresses as struct kt_cidrs, all else uint64_t.
 * Threads: any thread; rows are constant. */
#pragma once

#include "lib/hcl/hcl.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define TIB (KIB * GIB)

enum setting_kind {
    SETTING_TEXT,
    SETTING_WORDS,    /* a list of texts, none empty; kept as struct kt_words, the tree's */
    SETTING_BOOL,
    SETTING_NUMBER,
    SETTING_DURATION, /* kept in milliseconds */
    SETTING_SIZE,     /* kept in bytes; "64GiB" */
    SETTING_MODE,     /* of a file, octal */
    SETTING_CIDRS,    /* a list, or a text with commas; kept as struct kt_cidrs */
    SETTING_CHOICE    /* one of `words`; kept as the number beside it */
};

struct choice {
    const char *word;
    uint64_t value;
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
    uint64_t min, max, number;    /* bounds and default, in the kept unit */
    const char *text;             /* default of a text; NULL: none */
    const struct choice *choices; /* a NULL word ends */
    const char *help;
};

/* Puts the default of each row into target. */
void settings_default(const struct setting *settings, size_t n, void *target);
/* Reads one value into target; on error target keeps what it has. */
enum kt_kind setting_read(const struct setting *setting, const struct kt_hcl_value *value,
                          void *target, struct kt_err *err) KT_MUST_CHECK;
/* "name   help (default ...)" for each row, below a line with the block's head. */
void settings_describe(const char *head, const struct setting *settings, size_t n,
                       struct kt_buf *out);
