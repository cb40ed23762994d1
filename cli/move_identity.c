/* cli/move_identity.c - see cli/move_identity.h. */
#include "cli/move_identity.h"

#include <stdio.h>

#include "cli/move_alias.h"
#include "cli/move_write.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"

static const struct move_field nothing[] = {{NULL, NULL}};
static const struct move_field notes[] = {{"custom_metadata", NULL}, {NULL, NULL}};
static const struct move_field entity_fields[] = {
    {"name", NULL}, {"metadata", "{}"}, {"policies", "[]"}, {"disabled", "false"}, {NULL, NULL}};
static const struct move_field group_fields[] = {
    {"name", NULL}, {"type", NULL}, {"metadata", "{}"}, {"policies", "[]"}, {NULL, NULL}};

static const struct move_sort entities = {.noun = "entity",
                                          .path = "identity/entity",
                                          .alias_path = "identity/entity-alias",
                                          .aliases = "aliases",
                                          .fields = entity_fields,
                                          .alias_fields = notes};
static const struct move_sort groups = {.noun = "group",
                                        .path = "identity/group",
                                        .alias_path = "identity/group-alias",
                                        .aliases = "alias",
                                        .fields = group_fields,
                                        .alias_fields = nothing,
                                        .has_members = true};

/* ---- members of groups ---- */

/* Whom logins put into an external group, they put there again. */
static const struct {
    const char *name;
    const struct move_sort *sort;
    bool of_external;
} member_lists[] = {{"member_entity_ids", &entities, false}, {"member_group_ids", &groups, true}};
#define MEMBER_LISTS (sizeof member_lists / sizeof member_lists[0])

static bool is_external(struct kt_json group)
{
    return kt_json_is(identity_member(group, "type"), "external");
}

/* Is what has this name here what has it there? Somebody else does not come into a group. */
static enum kt_kind check_member(const struct move_run *run, const struct logins *logins, const struct pair *pair,
                                 struct kt_err *err)
{
    if (!pair->is_here)
        return kt_fail(err, KT_PRECONDITION, "a member of it is not here");
    if (pair_is_half(pair->source.data, pair->here.data) ||
        aliases_lack(run, logins, pair->sort, pair->source.data, pair->here.data))
        return kt_fail(err, KT_PRECONDITION, "a member of it is another one here: it lacks a login that it has there");
    return KT_OK;
}

/* The id here of what has this id there; in a dry run the same where it would come. */
static enum kt_kind map_id(struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                           const char *id, char ret[MOVE_ID_LEN], struct kt_err *err)
{
    KT_AUTO(pair_free) struct pair pair = {0};
    pair_init(&pair, sort);
    bool would = move_would(run, sort->noun, id);
    enum kt_kind kind = pair_look(run, id, &pair, err);
    if (kind == KT_OK && !would)
        kind = check_member(run, logins, &pair, err);
    if (kind == KT_OK)
        (void)snprintf(ret, MOVE_ID_LEN, "%s", pair.is_here ? pair.id : id);
    return kind == KT_NOT_FOUND ? kt_fail(err, KT_PRECONDITION, "a member of it is not here") : kind;
}

/* Ids of members as they are here, as a JSON array. */
static enum kt_kind map_members(struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                                struct kt_json ids, struct kt_jsonw *w, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    kt_jsonw_array(w);
    struct kt_json_iter it = kt_json_iter(ids);
    while (kind == KT_OK && kt_json_next(&it)) {
        char mapped[MOVE_ID_LEN];
        kt_autobuf struct kt_buf id = {0};
        kt_buf_init(&id, MOVE_ID_LEN);
        if (!kt_json_string(it.value, &id))
            return kt_fail(err, KT_CORRUPT, "a member's id cannot be read");
        kind = map_id(run, logins, sort, kt_buf_text(&id), mapped, err);
        if (kind == KT_OK)
            kt_jsonw_text(w, mapped);
    }
    kt_jsonw_end(w);
    return kind;
}

/* A list that is empty on both sides is not written. */
static enum kt_kind want_members(struct move_run *run, const struct logins *logins, const struct pair *pair,
                                 struct kt_jsonw *w, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < MEMBER_LISTS; i++) {
        const char *name = member_lists[i].name;
        struct kt_json there = identity_member(pair->source.data, name);
        bool none = kt_json_count(there) == 0 && kt_json_count(identity_member(pair->here.data, name)) == 0;
        if (none || (is_external(pair->source.data) && !member_lists[i].of_external))
            continue;
        kt_jsonw_key(w, name);
        kind = map_members(run, logins, member_lists[i].sort, there, w, err);
    }
    return kind;
}

static bool same_members(struct kt_json source, struct kt_json wanted, struct kt_json here)
{
    for (size_t i = 0; i < MEMBER_LISTS; i++) {
        const struct move_field field[] = {{member_lists[i].name, NULL}, {NULL, NULL}};
        if ((!is_external(source) || member_lists[i].of_external) && !move_fields_equal(wanted, here, field))
            return false;
    }
    return true;
}

/* ---- one of them ---- */

/* All that is written of it. */
static enum kt_kind want(struct move_run *run, const struct logins *logins, const struct pair *pair, struct kt_buf *ret,
                         struct kt_err *err)
{
    kt_buf_init(ret, 3 * MOVE_IDENTITY_MAX);
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    move_fields_write(&w, pair->source.data, pair->sort->fields);
    enum kt_kind kind = pair->sort->has_members ? want_members(run, logins, pair, &w, err) : KT_OK;
    kt_jsonw_end(&w);
    return kind == KT_OK && !kt_buf_ok(ret) ? kt_fail(err, KT_TOO_LARGE, "it is too large") : kind;
}

static enum kt_kind refuse_other(const struct move_run *run, bool same, struct kt_err *err)
{
    if (run->replace)
        return KT_OK;
    (void)kt_fail(err, KT_CONFLICT, same ? "one of that name is here already, without a login that it has there"
                                         : "another one of that name is here already");
    kt_hint(err, "-replace writes over it");
    return KT_CONFLICT;
}

/* Its logins first, then what it may do: nobody gets in between what belongs to both. */
static enum kt_kind make(struct move_run *run, const struct logins *logins, struct pair *pair, bool lacks,
                         const struct kt_buf *wanted, struct kt_err *err)
{
    enum kt_kind kind = lacks && !pair->is_here ? pair_make_half(run, pair, err) : KT_OK;
    if (kind == KT_OK && lacks)
        kind = aliases_write(run, logins, pair, err);
    return kind == KT_OK ? identity_write(run, pair->sort->path, wanted, err) : kind;
}

/* In the comparing pass *ret_changed says that it is not the same. */
static enum kt_kind move(struct move_run *run, const struct logins *logins, struct pair *pair, enum move_pass pass,
                         bool *ret_changed, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    enum kt_kind kind = want(run, logins, pair, &text, err);
    if (kind != KT_OK)
        return kind;
    struct kt_json source = pair->source.data, here = pair->here.data, wanted = kt_json_value(kt_buf_bytes(&text));
    bool lacks = aliases_lack(run, logins, pair->sort, source, here);
    bool same = pair->is_here && move_fields_equal(wanted, here, pair->sort->fields) &&
                (!pair->sort->has_members || same_members(source, wanted, here));
    *ret_changed = !same || lacks;
    if (pass != MOVE_COPY || !*ret_changed)
        return KT_OK;
    if (pair->is_here && !pair_is_half(source, here))
        kind = refuse_other(run, same, err);
    return kind == KT_OK ? make(run, logins, pair, lacks, &text, err) : kind;
}

/* ---- all of them ---- */

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
static bool one(struct move_run *run, const struct logins *logins, const struct move_sort *sort, const char *id,
                enum move_pass pass, bool may_wait)
{
    char what[MOVE_NAME_LEN + 32];
    bool changed = false;
    struct kt_err err = {0};
    KT_AUTO(pair_free) struct pair pair = {0};
    pair_init(&pair, sort);
    enum kt_kind kind = pair_look(run, id, &pair, &err);
    if (kind == KT_NOT_FOUND) /* it went meanwhile */
        return true;
    if (kind == KT_OK)
        kind = move(run, logins, &pair, pass, &changed, &err);
    if (kind == KT_OK && changed)
        kind = move_will(run, sort->noun, id, &err);
    if (kind == KT_PRECONDITION && may_wait)
        return false;
    (void)snprintf(what, sizeof what, "the %s %s", sort->noun, pair.name[0] != '\0' ? pair.name : id);
    tell(run, what, pass, kind, changed, &err);
    return true;
}

/* One round over those that are not done yet. How many still wait. */
static size_t round_of(struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                       const struct names *ids, bool *done, enum move_pass pass, bool may_wait)
{
    size_t left = 0;
    for (size_t i = 0; i < ids->count && !move_stopped(run); i++) {
        done[i] = done[i] || one(run, logins, sort, ids->at[i], pass, may_wait);
        left += !done[i];
    }
    return left;
}

static void all(struct move_run *run, const struct move_sort *sort, enum move_pass pass)
{
    char path[64];
    struct kt_err err = {0};
    KT_AUTO(logins_free) struct logins logins = {0};
    KT_AUTO(names_free) struct names ids = {0};
    (void)snprintf(path, sizeof path, "%s/id", sort->path);
    if (!move_names(run, path, path, pass, &ids) || ids.count == 0)
        return;
    enum kt_kind kind = logins_read(run, &logins, &err);
    kt_autofree bool *done = kt_calloc(ids.count, sizeof *done);
    if (kind == KT_OK && done == NULL)
        kind = kt_fail(&err, KT_NO_MEMORY, "reading the list");
    if (kind != KT_OK) {
        move_refused(run, path, &err);
        return;
    }
    /* A group may be listed before those that are in it: as long as one more comes, the others may, too. */
    size_t left = ids.count, before = left + 1;
    while (left > 0 && left < before && !move_stopped(run)) {
        before = left;
        left = round_of(run, &logins, sort, &ids, done, pass, true);
    }
    if (left > 0)
        (void)round_of(run, &logins, sort, &ids, done, pass, false);
}

void move_entities(struct move_run *run, enum move_pass pass)
{
    all(run, &entities, pass);
}

void move_groups(struct move_run *run, enum move_pass pass)
{
    all(run, &groups, pass);
}
