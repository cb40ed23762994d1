/* vaultd/auth/named.h - records of a mount that people give names: users, roles, groups, settings.
 *
 * What:    One record a name, found by a keyed hash of it, listed by what its folder's keys share. A name
 *          is what the route's canonical path has in it: letters are lowered before anybody is asked
 *          (ROUTE_TO_LOWER), so that policies, records, lock-outs and aliases mean the same one.
 * Format:  u8 format ‖ field name ‖ what is the record's own.
 * Owner:   records live in the request's arena.
 * Limits:  NAMED_MAX characters: letters, digits, '_', and inside also '-' and '.'.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/core/core.h"

#define NAMED_MAX 128u
#define NAMED_RECORD_MAX ((size_t)256 * 1024)
#define NAMED_NOBODY     ".nobody" /* no name begins with a point; its record has none */

/* Vault's segments for names, lowered. */
bool named_is_name(const char *name);
/* For a name that comes in a field, not in the path. */
void named_lower(char *name);
/* The path's {param}, if it is a name; else KT_NOT_FOUND, said as of a path that is not there. */
enum kt_kind named_param(struct request *req, const char *param, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Each has names of its own. */
enum named_kind {
    NAMED_USERS, /* or roles, certificates: who logs in */
    NAMED_GROUPS,
    NAMED_SETTINGS, /* the way's own */
    NAMED_CRLS,
    NAMED_KINDS
};
/* Where it is, and which one. */
struct named {
    const unsigned char *scope; /* of the mount */
    const char *name;
    enum named_kind kind;
};
/* KT_NOT_FOUND without a text. */
enum kt_kind named_get(struct request *req, const struct named *which, struct kt_bytes *ret,
                       generation *ret_changed, struct kt_err *err) KT_MUST_CHECK;
/* For a stranger's question: the record of the name, or in its place that of nobody (NAMED_NOBODY), which
 * costs the same. *ret_known says which. KT_NOT_FOUND: neither is there. */
enum kt_kind named_get_or_nobody(struct request *req, const struct named *which,
                                 struct kt_bytes *ret, generation *ret_changed, bool *ret_known,
                                 struct kt_err *err) KT_MUST_CHECK;
/* Into the request's batch, on condition that it is still as it was looked at (0: not there). */
enum kt_kind named_put(struct request *req, const struct named *which, generation changed,
                       const struct kt_buf *record, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind named_delete(struct request *req, const struct named *which, generation changed,
                          struct kt_err *err) KT_MUST_CHECK;
/* Whatever else the batch does, it does so only if the record is still as it was looked at. */
enum kt_kind named_require(struct request *req, const struct named *which, generation changed,
                           struct kt_err *err) KT_MUST_CHECK;
/* Each record of a kind, opened for the call alone. *ret_aside: there are many, none of what was found
 * counts: return KT_OK, the handler runs again where it holds up nobody. */
typedef enum kt_kind named_fn(struct request *req, struct kt_bytes record, void *arg, struct kt_err *err);
enum kt_kind named_each(struct request *req, const unsigned char *scope, enum named_kind kind,
                        named_fn *fn, void *arg, bool *ret_aside, struct kt_err *err) KT_MUST_CHECK;
/* "keys" of the reply, sorted. */
enum kt_kind named_list(struct request *req, const unsigned char *scope, enum named_kind kind,
                        struct kt_err *err) KT_MUST_CHECK;
/* Begins a record. */
void named_begin(struct kt_buf *record, unsigned format, const char *name);

/* For whoever clears a mount: the rows of a scope and a kind have this prefix. */
void named_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE], enum named_kind kind,
                  unsigned char prefix[BARRIER_FOLDER_PREFIX]);
