/* vaultd/policy/merged.h - the merged rules of a token, as policy's own files ask them.
 *
 * What:    exact and prefix patterns stand in one hash table, keyed by kind and text: one walk over a path
 *          hashes all its prefixes and asks the table only at lengths that some prefix pattern has.
 *          Patterns with '+' are few and stand in a list.
 * Owner:   acl.c makes and ends it; whoever else sees it only reads.
 * Threads: any, once made. */
#pragma once

#include <stdatomic.h>
#include <string.h>

#include "lib/arena.h"
#include "vaultd/policy/rule.h"

struct acl {
    atomic_uint refs;
    struct kt_arena arena;
    bool root;
    struct policy **held; /* the rules' texts and parameters are theirs */
    size_t n_held;
    struct rule **slots; /* exact and prefix; open addressing */
    size_t n_slots;      /* a power of two */
    struct rule **plus;
    size_t n_plus;
    const struct rule **unfilled; /* denials whose template cannot be filled in */
    size_t n_unfilled;
    bool *prefix_length; /* by length: some prefix pattern has it */
    size_t longest_prefix;
};

/* FNV-1a; the patterns are the operators' own, nobody gains from making them collide. */
#define ACL_HASH_START 0xcbf29ce484222325u
static inline uint64_t acl_hash(uint64_t hash, unsigned char c)
{
    return (hash ^ c) * 0x100000001b3u;
}

static inline uint64_t acl_hash_text(const char *text, size_t len)
{
    uint64_t hash = ACL_HASH_START;
    for (size_t i = 0; i < len; i++)
        hash = acl_hash(hash, (unsigned char)text[i]);
    return hash;
}

/* Where the pattern is, or would be. */
static inline struct rule **acl_slot(const struct acl *acl, enum pattern_kind kind, uint64_t hash,
                                     const char *text, size_t len)
{
    size_t at = (size_t)(hash ^ (hash >> 32) ^ (uint64_t)kind) & (acl->n_slots - 1);
    while (acl->slots[at] != NULL) {
        const struct rule *rule = acl->slots[at];
        if (rule->kind == kind && rule->len == len && memcmp(rule->pattern, text, len) == 0)
            break;
        at = (at + 1) & (acl->n_slots - 1);
    }
    return &acl->slots[at];
}

/* NULL denies nothing. */
static inline bool rule_denies(const struct rule *rule)
{
    return rule != NULL && (rule->capabilities & CAP_DENY) != 0;
}

/* acl_decide.c. The one pattern that decides for a path; NULL: none matches. */
const struct rule *acl_decide(const struct acl *acl, const char *path, size_t len);
/* A denial that cannot be filled in and might be meant for this path, in either form of a folder's name;
 * NULL: none. */
const struct rule *acl_may_deny(const struct acl *acl, const char *path, size_t len);
bool rule_matches(const struct rule *rule, const char *path, size_t len);
/* Of two that are not exact, whether a is the more specific one; b may be NULL. */
bool rule_precedes(const struct rule *a, const struct rule *b);
