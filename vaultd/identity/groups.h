/* vaultd/identity/groups.h - all groups, kept decoded in memory as one table.
 *
 * What:    Groups are few and asked of at nearly every request of an entity whose acl is not known yet;
 *          so all of them are read together and kept until one changes. Writing one puts a row anew
 *          (INDEX_GROUPS) that says so, and that lets nobody else have changed one since this
 *          snapshot: two who each make the other's group a member do not make a cycle.
 * Owner:   groups_get() gives a reference; groups_unref(). The table is immutable.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/identity/index.h"

struct groups {
    unsigned refs; /* guarded by the lock of struct groups_cache */
    struct kt_arena arena;
    const struct group **all; /* sorted by id */
    size_t n;
    generation changed; /* of the row INDEX_GROUPS; 0: there was never a group */
};
struct groups_cache;

struct groups_cache *groups_cache_new(void);
void groups_cache_free(struct groups_cache *cache);

enum kt_kind groups_get(struct core *core, struct groups_cache *cache, struct snapshot *snapshot,
                        struct groups **ret, struct kt_err *err) KT_MUST_CHECK;
void groups_unref(struct groups_cache *cache, struct groups *groups); /* NULL is fine */

const struct group *groups_find(const struct groups *groups, const char *id);
/* The groups that somebody is in: directly, and (after *ret_direct of them) through other groups. ids:
 * his own and those of entities that became him. Into the arena; false: no memory. */
bool groups_of(const struct groups *groups, const struct entity *entity, struct kt_arena *arena,
               const struct group *const **ret, size_t *ret_n, size_t *ret_direct);
/* Of how many others each is a member, in the table's order; into the arena. NULL: no memory. */
const size_t *groups_parents(const struct groups *groups, struct kt_arena *arena);
/* Whether `id` is one of the groups of `members`, or is in one at any depth. Fails for memory. */
enum kt_kind groups_contain(const struct groups *groups, const struct string_list *members, const char *id,
                            bool *ret, struct kt_err *err) KT_MUST_CHECK;

/* ---- in the store ---- */
enum kt_kind group_find(struct request *req, const char *id, struct group *ret, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind group_find_name(struct request *req, const char *name, struct group *ret,
                             struct kt_err *err) KT_MUST_CHECK;
enum kt_kind group_find_alias_id(struct request *req, const char *id, struct group *ret,
                                 struct kt_err *err) KT_MUST_CHECK;
enum kt_kind group_find_alias(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                              const char *name, struct group *ret, struct kt_err *err) KT_MUST_CHECK;
/* As entity_save(): old NULL: a new one; new_ NULL: it goes. */
enum kt_kind group_save(struct request *req, const struct group *old, const struct group *new_,
                        struct kt_err *err) KT_MUST_CHECK;
