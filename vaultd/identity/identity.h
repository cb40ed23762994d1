/* vaultd/identity/identity.h - who somebody is at this snapshot: an entity with its groups and policies.
 *
 * What:    identity_find() resolves an entity id as it stands in a token: the entity (or what it was
 *          merged into), the groups that it is in at any depth, the policies of all of them. It is kept
 *          per thread until a fold touches an identity, so it holds on the next request after any
 *          change: a membership that is gone grants nothing more.
 * Owner:   a reference; identity_unref() (NULL is fine). Immutable.
 * Threads: any thread with the barrier entered.
 * Errors:  KT_DENIED "permission denied" for an entity that is disabled or gone: whoever holds a token
 *          of it is nobody. */
#pragma once

#include "vaultd/identity/record.h"

struct identity {
    const struct entity *entity;
    const struct group *const *groups; /* the first n_direct ones directly, the others through them */
    size_t n_groups, n_direct;
    const char *const *policies; /* the entity's and its groups'; sorted, unique */
    size_t n_policies;
    generation at;               /* the snapshot that it was read from */
    struct resolved *whole;      /* what holds all of this; identity.c's own */
};

struct identities;
/* Before the first commit: it follows what changes an identity. */
struct identities *identities_new(struct store *store);
void identities_free(struct identities *identities);
/* Of the newest fold that touched an identity. */
generation identities_changed(struct core *core);

enum kt_kind identity_find(struct core *core, struct snapshot *snapshot, const char *entity_id,
                           const struct identity **ret, struct kt_err *err) KT_MUST_CHECK;
/* The same of an entity that is not committed yet, or not as it is in the snapshot. */
enum kt_kind identity_of(struct core *core, struct snapshot *snapshot, const struct entity *entity,
                         const struct identity **ret, struct kt_err *err) KT_MUST_CHECK;
const struct identity *identity_ref(const struct identity *identity);
void identity_unref(const struct identity *identity);

/* All groups; for the routes. See groups.h. */
struct groups_cache *identities_groups(struct core *core);

/* What a directive of a policy's path stands for ("identity.entity.name"), of this identity: false: it
 * has no such thing. arg: a struct identity, or NULL: nobody. */
bool identity_value(const void *arg, struct kt_bytes directive, struct kt_arena *arena,
                    struct kt_bytes *ret);
