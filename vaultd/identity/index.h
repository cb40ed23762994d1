/* vaultd/identity/index.h - where entities, groups and aliases are found: the keys of TABLE_IDENTITY.
 *
 * What:    Records stand under their id, each kind in a scope of its own; beside them rows that lead
 *          from another name to an id. A row of an alias's name stands in the scope of its mount, so
 *          that the aliases of a mount can be found when it is removed.
 * Names:   those of entities and groups are the same whatever their case (ASCII); an alias's name is
 *          exactly what its mount says.
 * Format:  a row is u8 format ‖ u8 enum index ‖ field id.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"
#include "vaultd/identity/record.h"

enum index {
    INDEX_ENTITY = 1,     /* id -> the record */
    INDEX_GROUP,          /* id -> the record */
    INDEX_ENTITY_NAME,    /* name, lowered -> id */
    INDEX_GROUP_NAME,     /* name, lowered -> id */
    INDEX_ALIAS_ID,       /* -> the entity's id */
    INDEX_GROUP_ALIAS_ID, /* -> the group's id */
    INDEX_MERGED,         /* id of an entity that is no more -> what it became */
    INDEX_GROUPS,         /* "": put anew with every change of a group */
    INDEX_ALIAS,          /* a mount's name of somebody -> the entity's id */
    INDEX_GROUP_ALIAS,    /* a mount's name of a group -> the group's id */
    INDEX_COUNT
};

void index_key(struct core *core, enum index index, const char *name,
               unsigned char out[BARRIER_NAME_KEY]);
/* INDEX_ALIAS or INDEX_GROUP_ALIAS, in its mount's scope. */
void index_alias_key(struct core *core, enum index index, const unsigned char scope[BARRIER_SCOPE],
                     const char *name, unsigned char out[BARRIER_NAME_KEY]);
/* What all records of a kind, or all aliases of a mount, begin with. */
void index_prefix(struct core *core, enum index index, unsigned char out[BARRIER_FOLDER_PREFIX]);
void index_mount_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                        unsigned char out[BARRIER_FOLDER_PREFIX]);

/* The id that a row leads to, in the arena. KT_NOT_FOUND, without a text. */
enum kt_kind index_find(struct request *req, const unsigned char key[BARRIER_NAME_KEY],
                        const char **ret_id, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind index_put(struct core *core, struct batch *batch,
                       const unsigned char key[BARRIER_NAME_KEY], enum index index, const char *id,
                       struct kt_err *err) KT_MUST_CHECK;
/* Of an opened row. */
enum kt_kind index_read(struct kt_bytes record, enum index *ret_index, struct kt_bytes *ret_id,
                        struct kt_err *err) KT_MUST_CHECK;

/* A copy in lower case; NULL: no memory. */
char *index_lowered(struct kt_arena *arena, const char *name);
/* 1 to 512 bytes without control characters: KT_INVALID says what (a field's name) is not. */
#define IDENTITY_NAME_MAX 512u
enum kt_kind index_check_name(const char *what, const char *name, struct kt_err *err) KT_MUST_CHECK;
