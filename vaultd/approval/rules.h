/* vaultd/approval/rules.h - which changes need the approval of others: the rules, and their record.
 *
 * What:    A rule names paths, a group of people, and how many of them have to approve. It binds whoever
 *          asks, root too, whatever policies say: they decide who may ask at all. Rules add up: a change that
 *          several of them are about needs the approvals of each, so a rule that is added never weakens
 *          another one.
 * Paths:   '+' is one segment, a final '*' all that begins so, as in policies; letters count the same
 *          whatever their case, for some names do: too much is asked about, never too little.
 * Format:  TABLE_CONFIG ‖ name "approvals" -> sealed u8 format (1) ‖ u16 n × rule: field name ‖ u16 n ×
 *          field path ‖ field the group's id ‖ u16 needed ‖ i64 seconds that a request waits.
 * Owner:   the request's arena.
 * Errors:  KT_CORRUPT: damaged, or of a newer format. KT_NO_MEMORY.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

#define APPROVAL_RULES_MAX  64u
#define APPROVAL_PATHS_MAX  32u
#define APPROVAL_PATH_MAX   512u
#define APPROVAL_NAME_MAX   128u
#define APPROVAL_NEEDED_MAX 16u
#define APPROVAL_GROUP_MAX  64u /* entities in a group when a rule names it: writes to auth/ read each of them */
#define APPROVAL_TTL_S      259200  /* 72 hours */
#define APPROVAL_TTL_MAX_S  2592000 /* 30 days */

struct approval_rule {
    const char *name;
    struct string_list paths;
    const char *group; /* its id */
    unsigned needed;
    int64_t ttl_s;
};
struct approval_rules {
    generation changed; /* of the record; 0: there is none */
    struct approval_rule *at; /* room for APPROVAL_RULES_MAX, in no order */
    size_t n;
};

enum kt_kind approval_rules_load(struct request *req, struct approval_rules *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Into the request's batch, on condition that the record is the one that was read. */
enum kt_kind approval_rules_save(struct request *req, const struct approval_rules *rules,
                                 struct kt_err *err) KT_MUST_CHECK;
/* NULL: none of that name. */
struct approval_rule *approval_rules_find(const struct approval_rules *rules, const char *name);
/* Whether a rule's path is about this one; below: or about something below it. */
bool approval_covers(const char *pattern, const char *path, bool below);
