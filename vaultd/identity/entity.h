/* vaultd/identity/entity.h - entities in the store: found, written, taken away.
 *
 * What:    Finds by id, by name, by an alias; and the one function that writes: it brings the record and
 *          every row that leads to it from what was read to what is to be, so no caller can forget
 *          one. An alias's rows hang from its entity's record: whoever changes an alias writes its
 *          entity, on condition that the entity is as it was read.
 * Owner:   what is found lies in the request's arena.
 * Threads: any thread with the barrier entered.
 * Limits:  ENTITY_ALIASES_MAX aliases, ENTITY_MERGED_MAX merged ids, a change that fits one batch. */
#pragma once

#include "vaultd/identity/index.h"

#define ENTITY_ALIASES_MAX 20u
#define ENTITY_MERGED_MAX  32u

/* A new UUID, in the arena; NULL: no memory. */
const char *identity_new_id(struct kt_arena *arena);
/* Who asks, as identity_made has it. */
const char *identity_asker(const struct request *req);

/* KT_NOT_FOUND, without a text: none such. follow: an id that was merged leads to what it became. */
enum kt_kind entity_find(struct request *req, const char *id, bool follow, struct entity *ret,
                         struct kt_err *err) KT_MUST_CHECK;
enum kt_kind entity_find_name(struct request *req, const char *name, struct entity *ret,
                              struct kt_err *err) KT_MUST_CHECK;
enum kt_kind entity_find_alias_id(struct request *req, const char *id, struct entity *ret,
                                  struct alias **ret_alias, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind entity_find_alias(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               const char *name, struct entity *ret, struct alias **ret_alias,
                               struct kt_err *err) KT_MUST_CHECK;
/* The entity's alias of a mount; NULL: none. */
struct alias *entity_alias_of(const struct entity *entity, const char *accessor);
/* Room for one more; the aliases move. KT_INVALID: there are enough. */
enum kt_kind entity_add_alias(struct request *req, struct entity *entity, struct alias **ret,
                              struct kt_err *err) KT_MUST_CHECK;

/* Puts into the batch what makes new_ (NULL: nothing) out of old: none, one, or several that become
 * one. That no other has new_'s name and aliases was looked up in this snapshot by the caller; that
 * it stays so until the commit is a condition made here. KT_INVALID: too much at once. */
enum kt_kind entity_save(struct request *req, const struct entity *old, size_t n_old,
                         const struct entity *new_, struct kt_err *err) KT_MUST_CHECK;

/* The record alone, opened: for walks (vaultd/core/rows.h). */
enum kt_kind entity_of_row(struct request *req, const struct entry *entry, struct kt_arena *arena,
                           struct entity *ret, struct kt_err *err) KT_MUST_CHECK;
