/* cli/move_identity.c - see cli/move_identity.h. */
#include "cli/move_identity.h"

#include <stdio.h>

#include "cli/move_fields.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define BODY_MAX ((size_t)8 * 1024 * 1024)
#define ID_LEN   128u
#define NAME_LEN 600u

static const struct move_field entity_fields[] = {
    {"name", NULL}, {"metadata", "{}"}, {"policies", "[]"}, {"disabled", "false"}, {NULL, NULL}};
static const struct move_field group_fields[] = {
    {"name", NULL}, {"type", NULL}, {"metadata", "{}"}, {"policies", "[]"}, {NULL, NULL}};

/* Until an entity or group that the import makes has its logins, this is all of its metadata, with the id that
 * it has there: so a later run tells what another one broke off from somebody else of the same name. */
#define MARK "keyturn-import"

/* ---- asking ---- */

static struct kt_json member(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    (void)kt_json_member(object, name, &value);
    return value;
}

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

/* Is it somebody else's here? Some vaults would move it, and with it his login. */
static enum kt_kind check_free(struct move_run *run, const char *name, const char *accessor, const char *id,
                               struct kt_err *err)
{
    char owner[ID_LEN];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "alias_name", name);
    kt_jsonw_kv_text(&w, "alias_mount_accessor", accessor);
    kt_jsonw_end(&w);
    enum kt_kind kind = move_post(run->destination, kt_buf_bytes(&body), &reply, err, "identity/lookup/entity");
    if (kind != KT_OK || !kt_api_text(reply.data, "id", owner, sizeof owner) || strcmp(owner, id) == 0)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    (void)kt_fail(err, KT_CONFLICT, "its login '%.100s' belongs to another entity here", name);
    kt_hint(err, "secretctl write identity/entity/merge to_entity_id=ONE from_entity_ids=OTHER");
    return KT_CONFLICT;
}

static enum kt_kind write_alias(struct move_run *run, const char *path, struct kt_json alias, const char *name,
                                const char *accessor, const char *id, struct kt_err *err)
{
    static const struct move_field fields[] = {{"custom_metadata", NULL}, {NULL, NULL}};
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

/* Of an entity there: the next alias that has a place here, and is missing. False: there is no more.
 * Without a place: told once, with the way to log in that is not here. */
static bool next_missing(const struct logins *logins, struct kt_json_iter *it, struct kt_json here,
                         char name[NAME_LEN], const char **ret_accessor)
{
    while (kt_json_next(it)) {
        *ret_accessor = accessor_here(logins, it->value);
        if (*ret_accessor != NULL && kt_api_text(it->value, "name", name, NAME_LEN) &&
            !has_alias(here, name, *ret_accessor))
            return true;
    }
    return false;
}

static bool lacks_alias(const struct logins *logins, struct kt_json source, struct kt_json here)
{
    char name[NAME_LEN];
    const char *accessor = NULL;
    struct kt_json_iter it = kt_json_iter(member(source, "aliases"));
    return next_missing(logins, &it, member(here, "aliases"), name, &accessor);
}

static enum kt_kind write_aliases(struct move_run *run, const struct logins *logins, struct kt_json source,
                                  struct kt_json here, const char *id, struct kt_err *err)
{
    char name[NAME_LEN];
    const char *accessor = NULL;
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(member(source, "aliases"));
    while (kind == KT_OK && next_missing(logins, &it, member(here, "aliases"), name, &accessor)) {
        kind = check_free(run, name, accessor, id, err);
        if (kind == KT_OK)
            kind = write_alias(run, "identity/entity-alias", it.value, name, accessor, id, err);
    }
    return kind;
}

/* ---- one and its other ---- */

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

static enum kt_kind refuse_other(struct move_run *run, const char *what, struct kt_err *err)
{
    if (run->replace)
        return KT_OK;
    (void)kt_fail(err, KT_CONFLICT, "%s", what);
    kt_hint(err, "-replace writes over it");
    return KT_CONFLICT;
}

static const char another[] = "another one of that name is here already";

/* Did a run that was broken off make what is here of what is there? */
static bool is_half(struct kt_json source, struct kt_json here)
{
    struct kt_json mark = member(member(here, "metadata"), MARK), id = member(source, "id");
    return kt_json_type(mark) == KT_JSON_STRING && kt_json_equal(mark, id);
}

/* Written before the logins: the name, and whose it is going to be. Neither policies nor members yet. */
static enum kt_kind write_half(struct move_run *run, const char *kind_of, const struct pair *pair,
                               struct kt_err *err)
{
    static const struct move_field fields[] = {{"name", NULL}, {"type", NULL}, {"disabled", NULL}, {NULL, NULL}};
    char path[64];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, pair->source.data, fields);
    kt_jsonw_key(&w, "metadata");
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, MARK, kt_json_bytes(member(pair->source.data, "id")));
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    (void)snprintf(path, sizeof path, "identity/%s", kind_of);
    return post(run, &body, &reply, path, err);
}

/* ---- entities ---- */

static enum kt_kind write_entity(struct move_run *run, struct kt_json source, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, source, entity_fields);
    kt_jsonw_end(&w);
    return post(run, &body, &reply, "identity/entity", err);
}

/* Its logins first, then what they may do: nobody gets in between what belongs to both. */
static enum kt_kind make_entity(struct move_run *run, const struct logins *logins, struct pair *pair,
                                bool lacks, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    if (lacks && !pair->is_here) {
        kind = write_half(run, "entity", pair, err);
        if (kind == KT_OK)
            kind = look_here(run, "entity", pair, err);
    }
    if (kind == KT_OK && lacks)
        kind = write_aliases(run, logins, pair->source.data, pair->here.data, pair->id, err);
    return kind == KT_OK ? write_entity(run, pair->source.data, err) : kind;
}

/* In the comparing pass *ret_changed says that it is not the same. */
static enum kt_kind move_entity(struct move_run *run, const struct logins *logins, struct pair *pair,
                                enum move_pass pass, bool *ret_changed, struct kt_err *err)
{
    bool lacks = lacks_alias(logins, pair->source.data, pair->here.data);
    bool same = pair->is_here && move_fields_equal(pair->source.data, pair->here.data, entity_fields);
    bool foreign = pair->is_here && !is_half(pair->source.data, pair->here.data);
    enum kt_kind kind = KT_OK;
    *ret_changed = !same || lacks;
    if (pass != MOVE_COPY || !*ret_changed)
        return KT_OK;
    if (foreign)
        kind = refuse_other(run, same ? "one of that name is here already, without a login that it has there" : another, err);
    return kind == KT_OK && !run->dry ? make_entity(run, logins, pair, lacks, err) : kind;
}

/* ---- groups ---- */

/* Is what has this name here what has it there? Somebody else does not come into a group. */
static enum kt_kind check_member(const struct logins *logins, struct kt_json there, struct kt_json here,
                                 struct kt_err *err)
{
    if (is_half(there, here) || lacks_alias(logins, there, here))
        return kt_fail(err, KT_PRECONDITION, "a member of it is another one here: it lacks a login that it has there");
    return KT_OK;
}

/* The id here of what has this id there. */
static enum kt_kind map_id(struct move_run *run, const struct logins *logins, const char *kind_of, const char *id,
                           char ret[ID_LEN], struct kt_err *err)
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
    if (kind == KT_OK)
        kind = check_member(logins, there.data, here.data, err);
    return kind == KT_NOT_FOUND ? kt_fail(err, KT_PRECONDITION, "a member of it is not here") : kind;
}

/* Ids of members as they are here, as a JSON array. */
static enum kt_kind map_members(struct move_run *run, const struct logins *logins, const char *kind_of,
                                struct kt_json ids, struct kt_buf *ret, struct kt_err *err)
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
        kind = map_id(run, logins, kind_of, kt_buf_text(&id), mapped, err);
        if (kind == KT_OK)
            kt_jsonw_text(&w, mapped);
    }
    kt_jsonw_end(&w);
    return kind;
}

static enum kt_kind wanted_group(struct move_run *run, const struct logins *logins, const struct pair *pair,
                                 struct kt_buf *ret, struct kt_err *err)
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
        kind = map_members(run, logins, "entity", member(pair->source.data, "member_entity_ids"), &entities, err);
    if (kind == KT_OK)
        kind = map_members(run, logins, "group", member(pair->source.data, "member_group_ids"), &groups, err);
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    move_fields_write(&w, pair->source.data, group_fields);
    if (internal)
        kt_jsonw_kv_raw(&w, "member_entity_ids", kt_buf_bytes(&entities));
    if (kt_json_count(member(pair->source.data, "member_group_ids")) > 0 ||
        kt_json_count(member(pair->here.data, "member_group_ids")) > 0)
        kt_jsonw_kv_raw(&w, "member_group_ids", kt_buf_bytes(&groups));
    kt_jsonw_end(&w);
    return kind == KT_OK && !kt_buf_ok(ret) ? kt_fail(err, KT_TOO_LARGE, "it has too many members") : kind;
}

static bool same_group(const struct pair *pair, struct kt_json wanted)
{
    static const struct move_field members[] = {{"member_entity_ids", NULL}, {"member_group_ids", NULL}, {NULL, NULL}};
    bool internal = !kt_json_is(member(pair->source.data, "type"), "external");
    return pair->is_here && move_fields_equal(wanted, pair->here.data, group_fields) &&
           move_fields_equal(wanted, pair->here.data, internal ? members : members + 1);
}

/* The accessor here for the alias of an external group, where it has one and lacks it here; else NULL. */
static const char *missing_alias(const struct logins *logins, const struct pair *pair, char name[NAME_LEN])
{
    struct kt_json alias = member(pair->source.data, "alias"), here = member(pair->here.data, "alias");
    char other[NAME_LEN];
    if (!kt_api_text(alias, "name", name, NAME_LEN) || name[0] == '\0')
        return NULL;
    const char *accessor = accessor_here(logins, alias);
    bool named = kt_api_text(here, "name", other, sizeof other) && strcmp(name, other) == 0;
    bool same = named && accessor != NULL && kt_json_is(member(here, "mount_accessor"), accessor);
    return same ? NULL : accessor;
}

/* As make_entity(). */
static enum kt_kind make_group(struct move_run *run, struct pair *pair, const struct kt_buf *wanted,
                               const char *accessor, const char *alias, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (accessor != NULL && !pair->is_here) {
        kind = write_half(run, "group", pair, err);
        if (kind == KT_OK)
            kind = look_here(run, "group", pair, err);
    }
    if (kind == KT_OK && accessor != NULL)
        kind = write_alias(run, "identity/group-alias", member(pair->source.data, "alias"), alias, accessor, pair->id,
                           err);
    return kind == KT_OK ? post(run, wanted, &reply, "identity/group", err) : kind;
}

static enum kt_kind move_group(struct move_run *run, const struct logins *logins, struct pair *pair,
                               enum move_pass pass, bool *ret_changed, struct kt_err *err)
{
    char alias[NAME_LEN];
    kt_autobuf struct kt_buf wanted = {0};
    *ret_changed = !pair->is_here;
    if (run->dry) /* members that would come are not here yet */
        return KT_OK;
    enum kt_kind kind = wanted_group(run, logins, pair, &wanted, err);
    if (kind != KT_OK)
        return kind;
    const char *accessor = missing_alias(logins, pair, alias);
    *ret_changed = accessor != NULL || !same_group(pair, kt_json_value(kt_buf_bytes(&wanted)));
    if (pass != MOVE_COPY || !*ret_changed)
        return KT_OK;
    if (pair->is_here && !is_half(pair->source.data, pair->here.data))
        kind = refuse_other(run, another, err);
    return kind == KT_OK ? make_group(run, pair, &wanted, accessor, alias, err) : kind;
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
