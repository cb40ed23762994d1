/* tests/support/slow_policy.h - Vault's policy rules said word by word, to hold the fast ones against.
 *
 * What:    slow_allows() looks at every block of every policy for each question. It shares no line
 *          with vaultd/policy: it was written from the rules alone.
 * Rules:   whole paths, beginnings, '+' for a segment: the most specific one decides; blocks of the same text are
 *          merged in their order; a list is asked with and without its final slash: a denial of
 *          either refuses, otherwise what either allows is allowed.
 * Templates: slow_fill() makes of what is written what it is for one identity. A block with a directive
 *          that has no value, or one that may not stand in a path, grants nothing; a denial of that kind
 *          refuses every path that it could be, said as a regular expression.
 * Values:  what a policy or a request can say stands in one table, slow_values[]; blocks and requests
 *          name rows of it.
 * Owner:   plain data, the caller's; slow_forget() what slow_fill() made.
 * Threads: any. */
#pragma once

#include <regex.h>

#include "vaultd/policy/policy.h"

enum slow_kind {
    SLOW_TEXT,
    SLOW_TRUTH,
    SLOW_COMPOSITE, /* a list or an object, equal if what they say is equal */
    SLOW_NEVER      /* a number, null, and what has one inside: equals nothing */
};
struct slow_value {
    const char *policy;  /* as a policy says it, in HCL and JSON alike; NULL: it cannot */
    const char *request; /* as a request says it, in JSON */
    enum slow_kind kind;
    const char *says; /* what it says, however it is spelt */
};
extern const struct slow_value slow_values[];
extern const size_t slow_n_values;

#define SLOW_PATTERN 256u
#define SLOW_VALUES  40u
#define SLOW_NAMES   5u
#define SLOW_BLOCKS  12u
#define SLOW_MEMBERS 4u

struct slow_names {
    struct {
        const char *name; /* as it is written in the policy */
        size_t values[SLOW_VALUES];
        size_t n; /* 0: any value */
    } at[SLOW_NAMES];
    size_t n;
};
struct slow_block {
    char pattern[SLOW_PATTERN];
    unsigned capabilities; /* CAP_ bits as written */
    struct slow_names allowed, denied;
    const char *required[2]; /* NULL: none */
    int64_t min_wrap_s, max_wrap_s;
};
/* The blocks of all policies of a token, in the order of the policies. */
struct slow_book {
    struct slow_block blocks[SLOW_BLOCKS];
    size_t n;
    regex_t refused[SLOW_BLOCKS]; /* whole paths, of denials that could not be filled in */
    size_t n_refused;
};
/* What is known of who asks. */
struct slow_fact {
    const char *directive;
    const char *value; /* NULL: it has none */
};
void slow_fill(const struct slow_book *written, const struct slow_fact *facts, size_t n_facts,
               struct slow_book *ret);
void slow_forget(struct slow_book *book);
struct slow_request {
    enum operation op;
    const char *path;
    int64_t wrap_ttl_s; /* -1: not asked for */
    bool has_data;
    struct {
        const char *name;
        size_t value;
    } members[SLOW_MEMBERS];
    size_t n_members;
};

/* ret_sudo: what allows it grants sudo as well. */
bool slow_allows(const struct slow_book *book, const struct slow_request *request, bool *ret_sudo);
/* What sys/capabilities says of a path: of the pattern that decides there, for a folder without one the
 * pattern of its bare name; "list" is what a list of it would be granted. */
unsigned slow_capabilities(const struct slow_book *book, const char *path);
/* The pattern that decides, without the forms of a folder's name; NULL: none. */
const char *slow_deciding(const struct slow_book *book, const char *path);
/* How many different patterns match, of a list in either form. */
size_t slow_matching(const struct slow_book *book, enum operation op, const char *path);
/* Some denial that could not be filled in may be meant. */
bool slow_refuses(const struct slow_book *book, const char *path);
/* Whether the mount at this prefix is seen at all: something at its own name, or below it, is granted. */
bool slow_touches(const struct slow_book *book, const char *prefix);
