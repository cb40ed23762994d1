/* vaultd/identity/record.h - the stored form of an entity (with its aliases) and of a group.
 *
 * What:    An entity is one person or machine, an alias one way in which it logs in. An entity's record
 *          holds its aliases, so whoever has opened it knows everything that a policy may ask of it.
 *          A group's record holds its members' ids; ids of what is gone, or was merged into another
 *          entity, may stand there until the group is written again.
 * Format:  entity 1: u8 format ‖ u8 flags ‖ fields id, name, metadata ‖ lists policies, merged ids ‖
 *          made ‖ u16 n ‖ n aliases; an alias: u8 flags ‖ fields id, accessor ‖ scope16 ‖ fields name,
 *          metadata, custom metadata ‖ lists merged from, groups ‖ made. group 1: u8 format ‖ u8 flags
 *          ‖ fields id, name, metadata ‖ lists policies, member entities, member groups ‖ made ‖ u64
 *          index ‖ (if it has one) an alias. made: i64 created, changed ‖ fields created by, changed
 *          by. A list is u16 n ‖ n fields. Readers are a table by format number.
 * Owner:   what is read lies in the arena; what is written is borrowed.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/request.h"

#define IDENTITY_ID_TEXT     37u  /* a UUID */
#define IDENTITY_RECORD_MAX  ((size_t)960 * 1024)

/* When and by whom: a token's entity, else its accessor; "": a login made it by itself. Whoever
 * approves something must be older than it, and not made or changed by who asks: so everybody who ever
 * changed it is kept, not only the last one, who would hide the others. A token without an entity (an orphan that
 * somebody made for himself) hides who it was: then it may have been anybody, and approvals must take it so. */
#define IDENTITY_CHANGERS_MAX 16u
struct identity_made {
    int64_t created_ms, changed_ms;
    const char *created_by;
    struct string_list changers; /* each once, the newest last; who made it only if he changed it, too */
    bool more;                   /* there were others beside them, who may be anybody */
};
struct alias {
    const char *id;
    const char *accessor;               /* of the mount of the logins */
    unsigned char scope[BARRIER_SCOPE]; /* the mount's */
    const char *name;                   /* as the mount calls who logs in */
    struct kt_bytes metadata;           /* of the newest login: JSON object of strings, or "null" */
    struct kt_bytes custom_metadata;    /* an operator's; the same form */
    struct string_list merged_from;     /* entities that it came from */
    struct string_list groups;          /* what the newest login said it is in; sorted */
    struct identity_made made;
    bool local;
};
struct entity {
    const char *id, *name;
    struct kt_bytes metadata;
    struct string_list policies; /* sorted, unique */
    struct string_list merged;   /* ids of entities that became this one */
    struct identity_made made;
    struct alias *aliases;       /* at most one of each mount */
    size_t n_aliases;
    bool disabled;
    generation changed;          /* of the record that was read; 0: a new one */
};
struct group {
    const char *id, *name;
    struct kt_bytes metadata;
    struct string_list policies;
    struct string_list entities, groups; /* ids of the members; sorted */
    struct identity_made made;
    struct alias alias;          /* of an external group: what logins call it; id NULL: none */
    uint64_t modify_index;       /* grows with each change */
    bool external;
    generation changed;
};

void entity_write(const struct entity *entity, struct kt_buf *out);
void group_write(const struct group *group, struct kt_buf *out);
/* changed is the caller's to set. */
enum kt_kind entity_read(struct kt_bytes record, struct kt_arena *arena, struct entity *ret,
                         struct kt_err *err) KT_MUST_CHECK;
enum kt_kind group_read(struct kt_bytes record, struct kt_arena *arena, struct group *ret,
                        struct kt_err *err) KT_MUST_CHECK;
