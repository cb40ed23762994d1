/* cli/move_alias.c - see cli/move_alias.h. */
#include "cli/move_alias.h"

#include "cli/move_write.h"

/* Of a way to log in that a dry run would have made by now: nobody has a login there. */
static const char to_come[] = "to come";

void logins_free(struct logins *logins)
{
    move_mounts_free(&logins->source);
    move_mounts_free(&logins->here);
}

enum kt_kind logins_read(struct move_run *run, struct logins *ret, struct kt_err *err)
{
    enum kt_kind kind = move_mounts_read(run->source, "auth", &ret->source, err);
    return kind == KT_OK ? move_mounts_read(run->destination, "auth", &ret->here, err) : kind;
}

/* The accessor here of the mount that an alias there is of; NULL: there is none of that path and type. */
static const char *accessor_here(const struct move_run *run, const struct logins *logins, struct kt_json alias)
{
    char accessor[128];
    (void)kt_api_text(alias, "mount_accessor", accessor, sizeof accessor);
    for (size_t i = 0; i < logins->source.count; i++) {
        const struct move_mount *mount = &logins->source.at[i];
        const struct move_mount *here = move_mounts_find(&logins->here, mount->mount.path);
        if (strcmp(mount->accessor, accessor) != 0)
            continue;
        if (here == NULL)
            return move_would(run, "auth", mount->mount.path) ? to_come : NULL;
        return strcmp(here->type, mount->type) == 0 ? here->accessor : NULL;
    }
    return NULL;
}

/* ---- each of an entity's, or a group's one ---- */

struct aliases {
    struct kt_json_iter it;
    struct kt_json only;
};

static struct aliases aliases_of(const struct move_sort *sort, struct kt_json data)
{
    struct kt_json value = identity_member(data, sort->aliases);
    bool list = kt_json_type(value) == KT_JSON_ARRAY;
    return (struct aliases){.it = kt_json_iter(list ? value : (struct kt_json){0}),
                            .only = list ? (struct kt_json){0} : value};
}

/* Named ones alone: a group without one has an empty object. */
static bool next(struct aliases *aliases, char name[MOVE_NAME_LEN], struct kt_json *ret)
{
    while (aliases->only.at != NULL || kt_json_next(&aliases->it)) {
        *ret = aliases->only.at != NULL ? aliases->only : aliases->it.value;
        aliases->only = (struct kt_json){0};
        if (kt_api_text(*ret, "name", name, MOVE_NAME_LEN) && name[0] != '\0')
            return true;
    }
    return false;
}

static bool has(const struct move_sort *sort, struct kt_json data, const char *name, const char *accessor)
{
    char other[MOVE_NAME_LEN];
    struct kt_json alias = {0};
    struct aliases all = aliases_of(sort, data);
    while (next(&all, other, &alias))
        if (strcmp(name, other) == 0 && kt_json_is(identity_member(alias, "mount_accessor"), accessor))
            return true;
    return false;
}

/* The next one there that has a place here, and is missing. */
struct missing {
    struct aliases there;
    struct kt_json alias;
    char name[MOVE_NAME_LEN];
    const char *accessor;
};

static bool next_missing(const struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                         struct kt_json here, struct missing *at)
{
    while (next(&at->there, at->name, &at->alias)) {
        at->accessor = accessor_here(run, logins, at->alias);
        if (at->accessor != NULL && !has(sort, here, at->name, at->accessor))
            return true;
    }
    return false;
}

bool aliases_lack(const struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                  struct kt_json source, struct kt_json here)
{
    struct missing at = {.there = aliases_of(sort, source)};
    return next_missing(run, logins, sort, here, &at);
}

/* ---- writing ---- */

/* Is it somebody else's here? Some vaults would move it, and with it his login. */
static enum kt_kind check_free(struct move_run *run, const struct pair *pair, const struct missing *at,
                               struct kt_err *err)
{
    char owner[MOVE_ID_LEN];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, MOVE_IDENTITY_MAX);
    kt_api_reply_init(&reply);
    if (at->accessor == to_come)
        return KT_OK;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "alias_name", at->name);
    kt_jsonw_kv_text(&w, "alias_mount_accessor", at->accessor);
    kt_jsonw_end(&w);
    enum kt_kind kind = move_post(run->destination, kt_buf_bytes(&body), &reply, err, "identity/lookup/%s",
                                  pair->sort->noun);
    if (kind != KT_OK || !kt_api_text(reply.data, "id", owner, sizeof owner) || strcmp(owner, pair->id) == 0)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    (void)kt_fail(err, KT_CONFLICT, "its login '%.100s' belongs to another %s here", at->name, pair->sort->noun);
    if (!pair->sort->has_members)
        kt_hint(err, "secretctl write identity/entity/merge to_entity_id=ONE from_entity_ids=OTHER");
    return KT_CONFLICT;
}

static enum kt_kind write_one(struct move_run *run, const struct pair *pair, const struct missing *at,
                              struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, MOVE_IDENTITY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "name", at->name);
    kt_jsonw_kv_text(&w, "mount_accessor", at->accessor);
    kt_jsonw_kv_text(&w, "canonical_id", pair->id);
    move_fields_write(&w, at->alias, pair->sort->alias_fields);
    kt_jsonw_end(&w);
    return identity_write(run, pair->sort->alias_path, &body, err);
}

enum kt_kind aliases_write(struct move_run *run, const struct logins *logins, const struct pair *pair,
                           struct kt_err *err)
{
    struct missing at = {.there = aliases_of(pair->sort, pair->source.data)};
    enum kt_kind kind = KT_OK;
    while (kind == KT_OK && next_missing(run, logins, pair->sort, pair->here.data, &at)) {
        kind = check_free(run, pair, &at, err);
        if (kind == KT_OK)
            kind = write_one(run, pair, &at, err);
    }
    return kind;
}
