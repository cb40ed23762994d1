/* cli/move_pair.h - an entity or group there, and what has its name here.
 *
 * What:    What an import makes gets its logins before what it may do. Until then all of its metadata is a mark,
 *          with the id that it has there: so a later run tells what another one broke off from somebody else of
 *          the same name.
 * Owner:   pair_free().
 * Threads: one thread. */
#pragma once

#include "cli/move_fields.h"
#include "cli/move_run.h"

#define MOVE_ID_LEN       128u
#define MOVE_NAME_LEN     600u
#define MOVE_IDENTITY_MAX ((size_t)8 * 1024 * 1024) /* of a body */

/* What is different between entities and groups. */
struct move_sort {
    const char *noun;       /* "entity", in paths and messages */
    const char *path;       /* "identity/entity" */
    const char *alias_path; /* "identity/entity-alias" */
    const char *aliases;    /* the member that has them: a list, or the only one */
    const struct move_field *fields, *alias_fields;
    bool has_members;
};

struct pair {
    const struct move_sort *sort;
    struct kt_api_reply source, here;
    char name[MOVE_NAME_LEN], id[MOVE_ID_LEN]; /* id: here */
    bool is_here;
};
void pair_init(struct pair *pair, const struct move_sort *sort);
void pair_free(struct pair *pair);
/* Looks at both sides; id: there. KT_NOT_FOUND: it is not there. */
enum kt_kind pair_look(struct move_run *run, const char *id, struct pair *pair, struct kt_err *err) KT_MUST_CHECK;
/* Did a run that was broken off make what is here of what is there? */
bool pair_is_half(struct kt_json source, struct kt_json here);
/* Writes the name and the mark, neither policies nor members, and looks again. */
enum kt_kind pair_make_half(struct move_run *run, struct pair *pair, struct kt_err *err) KT_MUST_CHECK;

/* By its name. KT_NOT_FOUND: there is none. */
enum kt_kind identity_find(struct kt_api *api, const char *noun, const char *name, struct kt_api_reply *reply,
                           struct kt_err *err) KT_MUST_CHECK;
/* Absent where there is none. */
struct kt_json identity_member(struct kt_json object, const char *name);
/* Writes what is found again by its name, so that the same again does no harm. KT_DENIED, too, where it is kept until
 * others approve it: KT_PRECONDITION is for what comes once something else is here. */
enum kt_kind identity_write(struct move_run *run, const char *path, const struct kt_buf *body,
                            struct kt_err *err) KT_MUST_CHECK;
