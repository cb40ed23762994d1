/* cli/move_identity.c - see cli/move_identity.h. */
#include "cli/move_identity.h"

#include <stdio.h>

#include "cli/move_fields.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define BODY_MAX ((size_t)8 * 1024 * 1024)
#define ID_LEN   128u
#define NAME_LEN 600u

static const char *const entity_fields[] = {"name", "metadata", "policies", "disabled", NULL};
static const char *const group_fields[] = {"name", "type", "metadata", "policies", NULL};

/* ---- asking ---- */

/* By its name. KT_NOT_FOUND: there is none. */
static enum kt_kind find(struct kt_api *api, const char *kind_of, const char *name, struct kt_api_reply *reply,
                         struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "name", name);
    kt_jsonw_end(&w);
    enum kt_kind kind = move_post(api, kt_buf_bytes(&body), reply, err, "identity/lookup/%s", kind_of);
    return kind == KT_OK && reply->data.at == NULL ? KT_NOT_FOUND : kind;
}

/* The id here of what has this id there. */
static enum kt_kind map_id(struct move_run *run, const char *kind_of, const char *id, char ret[ID_LEN],
                           struct kt_err *err)
{
    char name[NAME_LEN];
    kt_autoapireply struct kt_api_reply there, here;
    kt_api_reply_init(&there);
    kt_api_reply_init(&here);
    enum kt_kind kind = move_get(run->source, &there, err, "identity/%s/id/%s", kind_of, id);
    if (kind == KT_OK && !kt_api_text(there.data, "name", name, sizeof name))
        return kt_fail(err, KT_CORRUPT, "a member's name cannot be read");
    if (kind == KT_OK)
        kind = find(run->destination, kind_of, name, &here, err);
    if (kind == KT_OK && !kt_api_text(here.data, "id", ret, ID_LEN))
        return kt_fail(err, KT_CORRUPT, "a member's id cannot be read");
    return kind == KT_NOT_FOUND ? kt_fail(err, KT_PRECONDITION, "a member of it is not here") : kind;
}

static enum kt_kind post(struct move_run *run, const struct kt_buf *body, struct kt_api_reply *reply,
                         const char *path, struct kt_err *err)
{
    if (!kt_buf_ok(body))
        return kt_fail(err, KT_TOO_LARGE, "it is too large");
    enum kt_kind kind = move_post(run->destination, kt_buf_bytes(body), reply, err, "%s", path);
    if (kind == KT_UNKNOWN) /* by its name, so the same again does no harm */
        kind = move_post(run->destination, kt_buf_bytes(body), reply, err, "%s", path);
    return kind;
}

/* ---- aliases ---- */

struct logins {
    struct move_mounts source, here;
};

static void logins_free(struct logins *logins)
{
    move_mounts_free(&logins->source);
    move_mounts_free(&logins->here);
}

static enum kt_kind read_logins(struct move_run *run, struct logins *ret, struct kt_err *err)
{
    enum kt_kind kind = move_mounts_read(run->source, "auth", &ret->source, err);
    return kind == KT_OK ? move_mounts_read(run->destination, "auth", &ret->here, err) : kind;
}

/* The accessor here of the mount that an alias there is of; NULL: there is none of that path and type. */
static const char *accessor_here(const struct logins *logins, struct kt_json alias)
{
    char accessor[128];
    (void)kt_api_text(alias, "mount_accessor", accessor, sizeof accessor);
    for (size_t i = 0; i < logins->source.count; i++) {
        const struct move_mount *mount = &logins->source.at[i];
        const struct move_mount *here = move_mounts_find(&logins->here, mount->mount.path);
        if (strcmp(mount->accessor, accessor) == 0)
            return here != NULL && strcmp(here->type, mount->type) == 0 ? here->accessor : NULL;
    }
    return NULL;
}

static bool has_alias(struct kt_json aliases, const char *name, const char *accessor)
{
    struct kt_json_iter it = kt_json_iter(aliases);
    while (kt_json_next(&it)) {
        struct kt_json value = {0};
        if (kt_json_member(it.value, "name", &value) && kt_json_is(value, name) &&
            kt_json_member(it.value, "mount_accessor", &value) && kt_json_is(value, accessor))
            return true;
    }
    return false;
}

static enum kt_kind write_alias(struct move_run *run, const char *path, struct kt_json alias, const char *name,
                                const char *accessor, const char *id, struct kt_err *err)
{
    static const char *const fields[] = {"custom_metadata", NULL};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "name", name);
    kt_jsonw_kv_text(&w, "mount_accessor", accessor);
    kt_jsonw_kv_text(&w, "canonical_id", id);
    if (strcmp(path, "identity/entity-alias") == 0)
        move_fields_write(&w, alias, fields);
    kt_jsonw_end(&w);
    return post(run, &body, &reply, path, err);
}

/* Those of an entity or group that are missing here. In the comparing pass nothing is written:
 * *ret_missing says that there are some. */
static enum kt_kind aliases_of(struct move_run *run, const struct logins *logins, struct kt_json list,
                               struct kt_json here, const char *id, const char *path, bool write_them,
                               bool *ret_missing, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(list);
    while (kind == KT_OK && kt_json_next(&it)) {
        char name[NAME_LEN];
        const char *accessor = accessor_here(logins, it.value);
        if (!kt_api_text(it.value, "name", name, sizeof name))
            return kt_fail(err, KT_CORRUPT, "an alias's name cannot be read");
        if (accessor == NULL || has_alias(here, name, accessor))
            continue; /* told once, with the way to log in that is not here */
        *ret_missing = true;
        if (write_them)
            kind = write_alias(run, path, it.value, name, accessor, id, err);
    }
    return kind;
}

/* ---- entities ---- */

static enum kt_kind write_fields(struct move_run *run, const char *path, struct kt_json data,
                                 const char *const *fields, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, data, fields);
    kt_jsonw_end(&w);
    return post(run, &body, &reply, path, err);
}

/* One look at both sides of an entity or group. */
struct pair {
    struct kt_api_reply source, here;
    char name[NAME_LEN], id[ID_LEN]; /* id: here */
    bool is_here;
};

static void pair_init(struct pair *pair)
{
    kt_api_reply_init(&pair->source);
    kt_api_reply_init(&pair->here);
}

static void pair_free(struct pair *pair)
{
    kt_api_reply_free(&pair->source);
    kt_api_reply_free(&pair->here);
}

static enum kt_kind look_here(struct move_run *run, const char *kind_of, struct pair *pair, struct kt_err *err)
{
    enum kt_kind kind = find(run->destination, kind_of, pair->name, &pair->here, err);
    pair->is_here = kind == KT_OK;
    if (kind == KT_OK && !kt_api_text(pair->here.data, "id", pair->id, sizeof pair->id))
        return kt_fail(err, KT_CORRUPT, "its id cannot be read");
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind look(struct move_run *run, const char *kind_of, const char *id, struct pair *ret,
                         struct kt_err *err)
{
    enum kt_kind kind = move_get(run->source, &ret->source, err, "identity/%s/id/%s", kind_of, id);
    if (kind == KT_OK && !kt_api_text(ret->source.data, "name", ret->name, sizeof ret->name))
        return kt_fail(err, KT_CORRUPT, "its name cannot be read");
    return kind == KT_OK ? look_here(run, kind_of, ret, err) : kind;
}

static enum kt_kind refuse_other(struct move_run *run, struct kt_err *err)
{
    if (run->replace)
        return KT_OK;
    (void)kt_fail(err, KT_CONFLICT, "another one of that name is here already");
    kt_hint(err, "-replace writes over it");
    return KT_CONFLICT;
}

static struct kt_json member(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    (void)kt_json_member(object, name, &value);
    return value;
}

/* In the comparing pass *ret_changed says that it is not the same. */
static enum kt_kind move_entity(struct move_run *run, const struct logins *logins, struct pair *pair,
                                enum move_pass pass, bool *ret_changed, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    bool writes = pass == MOVE_COPY && !run->dry;
    bool same = pair->is_here && move_fields_equal(pair->source.data, pair->here.data, entity_fields);
    *ret_changed = !same;
    if (!same && pair->is_here && pass == MOVE_COPY)
        kind = refuse_other(run, err);
    if (kind == KT_OK && !same && writes) {
        kind = write_fields(run, "identity/entity", pair->source.data, entity_fields, err);
        if (kind == KT_OK)
            kind = look_here(run, "entity", pair, err);
    }
    if (kind != KT_OK || !pair->is_here)
        return kind;
    return aliases_of(run, logins, member(pair->source.data, "aliases"), member(pair->here.data, "aliases"), pair->id,
                      "identity/entity-alias", writes, ret_changed, err);
}

/* ---- groups ---- */

/* Ids of members as they are here, as a JSON array. */
static enum kt_kind map_members(struct move_run *run, const char *kind_of, struct kt_json ids, struct kt_buf *ret,
                                struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_array(&w);
    struct kt_json_iter it = kt_json_iter(ids);
    while (kind == KT_OK && kt_json_next(&it)) {
        char mapped[ID_LEN];
        kt_autobuf struct kt_buf id = {0};
        kt_buf_init(&id, ID_LEN);
        if (!kt_json_string(it.value, &id))
            return kt_fail(err, KT_CORRUPT, "a member's id cannot be read");
        kind = map_id(run, kind_of, kt_buf_text(&id), mapped, err);
        if (kind == KT_OK)
            kt_jsonw_text(&w, mapped);
    }
    kt_jsonw_end(&w);
    return kind;
}

static enum kt_kind wanted_group(struct move_run *run, const struct pair *pair, struct kt_buf *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf entities = {0};
    kt_autobuf struct kt_buf groups = {0};
    kt_buf_init(&entities, BODY_MAX);
    kt_buf_init(&groups, BODY_MAX);
    kt_buf_init(ret, 3 * BODY_MAX);
    struct kt_json type = member(pair->source.data, "type");
    bool internal = !kt_json_is(type, "external");
    enum kt_kind kind = KT_OK;
    if (internal) /* whom logins put into an external group, they put there again */
        kind = map_members(run, "entity", member(pair->source.data, "member_entity_ids"), &entities, err);
    if (kind == KT_OK)
        kind = map_members(run, "group", member(pair->source.data, "member_group_ids"), &groups, err);
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    move_fields_write(&w, pair->source.data, group_fields);
    if (internal)
        kt_jsonw_kv_raw(&w, "member_entity_ids", kt_buf_bytes(&entities));
    if (kt_json_count(member(pair->source.data, "member_group_ids")) > 0)
        kt_jsonw_kv_raw(&w, "member_group_ids", kt_buf_bytes(&groups));
    kt_jsonw_end(&w);
    return kind == KT_OK && !kt_buf_ok(ret) ? kt_fail(err, KT_TOO_LARGE, "it has too many members") : kind;
}

static bool same_group(const struct pair *pair, struct kt_json wanted)
{
    static const char *const members[] = {"member_entity_ids", "member_group_ids", NULL};
    bool internal = !kt_json_is(member(pair->source.data, "type"), "external");
    return pair->is_here && move_fields_equal(wanted, pair->here.data, group_fields) &&
           move_fields_equal(wanted, pair->here.data, internal ? members : members + 1);
}

static enum kt_kind group_alias(struct move_run *run, const struct logins *logins, const struct pair *pair,
                                bool writes, bool *ret_changed, struct kt_err *err)
{
    struct kt_json alias = member(pair->source.data, "alias"), here = member(pair->here.data, "alias");
    char name[NAME_LEN], other[NAME_LEN];
    if (!pair->is_here || !kt_api_text(alias, "name", name, sizeof name) || name[0] == '\0')
        return KT_OK;
    const char *accessor = accessor_here(logins, alias);
    (void)kt_api_text(here, "name", other, sizeof other);
    if (accessor == NULL || strcmp(name, other) == 0)
        return KT_OK;
    *ret_changed = true;
    return writes ? write_alias(run, "identity/group-alias", alias, name, accessor, pair->id, err) : KT_OK;
}

static enum kt_kind move_group(struct move_run *run, const struct logins *logins, struct pair *pair,
                               enum move_pass pass, bool *ret_changed, struct kt_err *err)
{
    kt_autobuf struct kt_buf wanted = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    bool writes = pass == MOVE_COPY && !run->dry;
    *ret_changed = !pair->is_here;
    if (run->dry) /* members that would come are not here yet */
        return KT_OK;
    enum kt_kind kind = wanted_group(run, pair, &wanted, err);
    if (kind != KT_OK)
        return kind;
    bool same = same_group(pair, kt_json_value(kt_buf_bytes(&wanted)));
    *ret_changed = !same;
    if (!same && pair->is_here && pass == MOVE_COPY)
        kind = refuse_other(run, err);
    if (kind == KT_OK && !same && writes) {
        kind = post(run, &wanted, &reply, "identity/group", err);
        if (kind == KT_OK)
            kind = look_here(run, "group", pair, err);
    }
    return kind == KT_OK ? group_alias(run, logins, pair, writes, ret_changed, err) : kind;
}

/* ---- all of them ---- */

typedef enum kt_kind move_fn(struct move_run *run, const struct logins *logins, struct pair *pair,
                             enum move_pass pass, bool *ret_changed, struct kt_err *err);

static void tell(struct move_run *run, const char *what, enum move_pass pass, enum kt_kind kind, bool changed,
                 const struct kt_err *err)
{
    if (pass == MOVE_COMPARE)
        move_add(run, kind == KT_OK && !changed ? MOVE_COMPARED : MOVE_DIFFERENT, 1);
    if (kind != KT_OK)
        move_refused(run, what, err);
    else if (pass == MOVE_COPY)
        move_add(run, changed ? MOVE_TAKEN : MOVE_SAME, 1);
    else if (changed)
        move_tell(run, "different %s: it is not the same on both sides", what);
}

/* False: it waits for a member of it; may_wait: it may. */
static bool one(struct move_run *run, const struct logins *logins, const char *kind_of, const char *id, move_fn *move,
                enum move_pass pass, bool may_wait)
{
    char what[NAME_LEN + 32];
    bool changed = false;
    struct kt_err err = {0};
    KT_AUTO(pair_free) struct pair pair = {0};
    pair_init(&pair);
    enum kt_kind kind = look(run, kind_of, id, &pair, &err);
    if (kind == KT_NOT_FOUND) /* it went meanwhile */
        return true;
    if (kind == KT_OK)
        kind = move(run, logins, &pair, pass, &changed, &err);
    if (kind == KT_PRECONDITION && may_wait)
        return false;
    (void)snprintf(what, sizeof what, "the %s %s", kind_of, pair.name[0] != '\0' ? pair.name : id);
    tell(run, what, pass, kind, changed, &err);
    return true;
}

/* One round over those that are not done yet. How many still wait. */
static size_t round_of(struct move_run *run, const struct logins *logins, const char *kind_of, struct kt_json keys,
                       bool *done, move_fn *move, enum move_pass pass, bool may_wait)
{
    size_t left = 0, at = 0;
    struct kt_json_iter it = kt_json_iter(keys);
    for (; kt_json_next(&it) && !move_stopped(run); at++) {
        kt_autobuf struct kt_buf id = {0};
        kt_buf_init(&id, it.value.len + 1);
        if (!done[at] && kt_json_string(it.value, &id))
            done[at] = one(run, logins, kind_of, kt_buf_text(&id), move, pass, may_wait);
        left += !done[at];
    }
    return left;
}

static void all(struct move_run *run, const char *kind_of, move_fn *move, enum move_pass pass)
{
    char path[64];
    struct kt_err err = {0};
    KT_AUTO(logins_free) struct logins logins = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(path, sizeof path, "identity/%s/id", kind_of);
    struct kt_api_request request = {.method = "LIST", .path = path};
    enum kt_kind kind = move_call(run->source, &request, &reply, &err);
    if (kind == KT_NOT_FOUND)
        return;
    if (kind == KT_OK)
        kind = read_logins(run, &logins, &err);
    if (kind != KT_OK) {
        move_refused(run, path, &err);
        return;
    }
    struct kt_json keys = member(reply.data, "keys");
    size_t left = kt_json_count(keys), before = left + 1;
    kt_autofree bool *done = kt_calloc(left + 1, sizeof *done);
    if (done == NULL) {
        (void)kt_fail(&err, KT_NO_MEMORY, "reading the list");
        move_refused(run, path, &err);
        return;
    }
    /* A group may be listed before those that are in it: as long as one more comes, the others may, too. */
    while (left > 0 && left < before && !move_stopped(run)) {
        before = left;
        left = round_of(run, &logins, kind_of, keys, done, move, pass, true);
    }
    if (left > 0)
        (void)round_of(run, &logins, kind_of, keys, done, move, pass, false);
}

void move_entities(struct move_run *run, enum move_pass pass)
{
    all(run, "entity", move_entity, pass);
}

void move_groups(struct move_run *run, enum move_pass pass)
{
    all(run, "group", move_group, pass);
}
