#include "vaultd/identity/entity.h"

#include "lib/random.h"
#include "vaultd/auth/token.h"

#define OPS_MAX 84u /* of STORE_BATCH_OPS: a token's use and the pipeline need some, too */

const char *identity_new_id(struct kt_arena *arena)
{
    unsigned char b[16];
    kt_random_id(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return kt_arena_printf(arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                           b[12], b[13], b[14], b[15]);
}

const char *identity_asker(const struct request *req)
{
    return req->token == NULL ? "" : token_identity(req->token);
}

/* ---- finding ---- */

static enum kt_kind load(struct request *req, const char *id, struct entity *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record = {0};
    generation changed = 0;
    if (strlen(id) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_key(req->core, INDEX_ENTITY, id, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = entity_read(record, &req->arena, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

static enum kt_kind find_by(struct request *req, enum index index, const char *name,
                            struct entity *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    const char *id = NULL;
    if (strlen(name) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_key(req->core, index, name, key);
    enum kt_kind kind = index_find(req, key, &id, err);
    return kind == KT_OK ? load(req, id, ret, err) : kind;
}

enum kt_kind entity_find(struct request *req, const char *id, bool follow, struct entity *ret,
                         struct kt_err *err)
{
    enum kt_kind kind = load(req, id, ret, err);
    return kind == KT_NOT_FOUND && follow ? find_by(req, INDEX_MERGED, id, ret, err) : kind;
}

enum kt_kind entity_find_name(struct request *req, const char *name, struct entity *ret,
                              struct kt_err *err)
{
    const char *lowered = index_lowered(&req->arena, name);
    if (lowered == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an identity");
    return find_by(req, INDEX_ENTITY_NAME, lowered, ret, err);
}

static enum kt_kind no_such_alias(struct kt_err *err)
{
    return kt_fail(err, KT_CORRUPT, "an alias's row leads to an entity that does not have it");
}

enum kt_kind entity_find_alias_id(struct request *req, const char *id, struct entity *ret,
                                  struct alias **ret_alias, struct kt_err *err)
{
    enum kt_kind kind = find_by(req, INDEX_ALIAS_ID, id, ret, err);
    if (kind != KT_OK)
        return kind;
    for (size_t i = 0; i < ret->n_aliases; i++)
        if (strcmp(ret->aliases[i].id, id) == 0) {
            *ret_alias = &ret->aliases[i];
            return KT_OK;
        }
    return no_such_alias(err);
}

enum kt_kind entity_find_alias(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               const char *name, struct entity *ret, struct alias **ret_alias,
                               struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    const char *id = NULL;
    if (strlen(name) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_alias_key(req->core, INDEX_ALIAS, scope, name, key);
    enum kt_kind kind = index_find(req, key, &id, err);
    if (kind == KT_OK)
        kind = load(req, id, ret, err);
    if (kind != KT_OK)
        return kind;
    for (size_t i = 0; i < ret->n_aliases; i++)
        if (memcmp(ret->aliases[i].scope, scope, BARRIER_SCOPE) == 0 &&
            strcmp(ret->aliases[i].name, name) == 0) {
            *ret_alias = &ret->aliases[i];
            return KT_OK;
        }
    return no_such_alias(err);
}

struct alias *entity_alias_of(const struct entity *entity, const char *accessor)
{
    for (size_t i = 0; i < entity->n_aliases; i++)
        if (strcmp(entity->aliases[i].accessor, accessor) == 0)
            return &entity->aliases[i];
    return NULL;
}

enum kt_kind entity_add_alias(struct request *req, struct entity *entity, struct alias **ret,
                              struct kt_err *err)
{
    if (entity->n_aliases >= ENTITY_ALIASES_MAX)
        return kt_fail(err, KT_INVALID, "an entity has at most %u aliases", ENTITY_ALIASES_MAX);
    struct alias *more = kt_arena_take(&req->arena, (entity->n_aliases + 1) * sizeof *more);
    if (more == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding an alias");
    if (entity->n_aliases > 0)
        memcpy(more, entity->aliases, entity->n_aliases * sizeof *more);
    entity->aliases = more;
    *ret = &more[entity->n_aliases++];
    return KT_OK;
}

enum kt_kind entity_of_row(struct request *req, const struct entry *entry, struct kt_arena *arena,
                           struct entity *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, IDENTITY_RECORD_MAX);
    enum kt_kind kind =
        barrier_open_entry(req->core->barrier, entry->key, entry->value, &plain, err);
    if (kind == KT_OK)
        kind = entity_read(kt_buf_bytes(&plain), arena, ret, err);
    if (kind == KT_OK)
        ret->changed = entry->changed;
    return kind;
}

/* ---- writing ---- */

struct saving {
    struct request *req;
    struct batch *batch;
    const struct entity *old, *new_;
    size_t n_old;
    unsigned ops;
    enum kt_kind kind;
    struct kt_err *err;
};

static void put(struct saving *s, const unsigned char key[BARRIER_NAME_KEY], enum index index)
{
    s->ops++;
    if (s->kind == KT_OK)
        s->kind = index_put(s->req->core, s->batch, key, index, s->new_->id, s->err);
}

/* A key that was looked up and is not ours yet. */
static void put_fresh(struct saving *s, const unsigned char key[BARRIER_NAME_KEY], enum index index)
{
    s->ops++;
    batch_require(s->batch, KEY_NOT_AFTER, kt_bytes(key, BARRIER_NAME_KEY),
                  snapshot_generation(s->req->snapshot));
    put(s, key, index);
}

static void drop(struct saving *s, const unsigned char key[BARRIER_NAME_KEY])
{
    s->ops++;
    batch_delete(s->batch, kt_bytes(key, BARRIER_NAME_KEY));
}

static const struct entity *old_of_same_id(const struct saving *s)
{
    for (size_t i = 0; s->new_ != NULL && i < s->n_old; i++)
        if (strcmp(s->old[i].id, s->new_->id) == 0)
            return &s->old[i];
    return NULL;
}

static void save_names(struct saving *s)
{
    struct kt_arena *arena = &s->req->arena;
    unsigned char key[BARRIER_NAME_KEY];
    const struct entity *same = old_of_same_id(s);
    const char *lowered = s->new_ == NULL ? NULL : index_lowered(arena, s->new_->name);
    bool there = false;
    for (size_t i = 0; i < s->n_old; i++) {
        const char *before = index_lowered(arena, s->old[i].name);
        if (before == NULL) {
            s->kind = kt_fail(s->err, KT_NO_MEMORY, "writing an identity");
            return;
        }
        bool stays = &s->old[i] == same && lowered != NULL && strcmp(before, lowered) == 0;
        there = there || stays;
        index_key(s->req->core, INDEX_ENTITY_NAME, before, key);
        if (!stays)
            drop(s, key);
    }
    if (s->new_ == NULL || there)
        return;
    if (lowered == NULL) {
        s->kind = kt_fail(s->err, KT_NO_MEMORY, "writing an identity");
        return;
    }
    index_key(s->req->core, INDEX_ENTITY_NAME, lowered, key);
    put_fresh(s, key, INDEX_ENTITY_NAME);
}

static const struct alias *alias_of_id(const struct entity *entity, const char *id)
{
    for (size_t i = 0; entity != NULL && i < entity->n_aliases; i++)
        if (strcmp(entity->aliases[i].id, id) == 0)
            return &entity->aliases[i];
    return NULL;
}

static bool same_name(const struct alias *a, const struct alias *b)
{
    return memcmp(a->scope, b->scope, sizeof a->scope) == 0 && strcmp(a->name, b->name) == 0;
}

static void drop_aliases(struct saving *s, const struct entity *old)
{
    unsigned char key[BARRIER_NAME_KEY];
    for (size_t i = 0; i < old->n_aliases; i++) {
        const struct alias *alias = &old->aliases[i];
        const struct alias *kept = alias_of_id(s->new_, alias->id);
        index_key(s->req->core, INDEX_ALIAS_ID, alias->id, key);
        if (kept == NULL)
            drop(s, key);
        index_alias_key(s->req->core, INDEX_ALIAS, alias->scope, alias->name, key);
        if (kept == NULL || !same_name(kept, alias))
            drop(s, key);
    }
}

/* Those that an old one had need no condition: they hang from its record, which has one. */
static void put_alias(struct saving *s, const struct alias *alias)
{
    const struct alias *before = NULL;
    bool moved = false;
    for (size_t i = 0; i < s->n_old && before == NULL; i++) {
        before = alias_of_id(&s->old[i], alias->id);
        moved = before != NULL && strcmp(s->old[i].id, s->new_->id) != 0;
    }
    unsigned char by_id[BARRIER_NAME_KEY], by_name[BARRIER_NAME_KEY];
    index_key(s->req->core, INDEX_ALIAS_ID, alias->id, by_id);
    index_alias_key(s->req->core, INDEX_ALIAS, alias->scope, alias->name, by_name);
    bool renamed = before != NULL && !same_name(before, alias);
    if (before == NULL || moved)
        put(s, by_id, INDEX_ALIAS_ID);
    if (before == NULL || renamed)
        put_fresh(s, by_name, INDEX_ALIAS);
    else if (moved)
        put(s, by_name, INDEX_ALIAS);
}

static bool in_list(const struct string_list *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], text) == 0)
            return true;
    return false;
}

static void save_merged(struct saving *s)
{
    const struct entity *same = old_of_same_id(s);
    unsigned char key[BARRIER_NAME_KEY];
    for (size_t i = 0; s->new_ == NULL && i < s->n_old; i++)
        for (size_t j = 0; j < s->old[i].merged.n; j++) {
            index_key(s->req->core, INDEX_MERGED, s->old[i].merged.at[j], key);
            drop(s, key);
        }
    for (size_t i = 0; s->new_ != NULL && i < s->new_->merged.n; i++) {
        if (same != NULL && in_list(&same->merged, s->new_->merged.at[i]))
            continue;
        index_key(s->req->core, INDEX_MERGED, s->new_->merged.at[i], key);
        put(s, key, INDEX_MERGED);
    }
}

static void save_records(struct saving *s)
{
    unsigned char key[BARRIER_NAME_KEY];
    const struct entity *same = old_of_same_id(s);
    for (size_t i = 0; i < s->n_old; i++) {
        index_key(s->req->core, INDEX_ENTITY, s->old[i].id, key);
        batch_require(s->batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), s->old[i].changed);
        s->ops++;
        if (&s->old[i] != same)
            drop(s, key);
    }
    if (s->new_ == NULL || s->kind != KT_OK)
        return;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, IDENTITY_RECORD_MAX);
    entity_write(s->new_, &record);
    if (!kt_buf_ok(&record)) {
        s->kind = record.full
                      ? kt_fail(s->err, KT_INVALID, "an entity is at most %zu bytes with its aliases",
                                IDENTITY_RECORD_MAX)
                      : kt_fail(s->err, KT_NO_MEMORY, "writing an entity");
        return;
    }
    index_key(s->req->core, INDEX_ENTITY, s->new_->id, key);
    if (same == NULL)
        batch_require(s->batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    s->ops += 2;
    s->kind = barrier_put(s->req->core->barrier, s->batch, kt_bytes(key, sizeof key),
                          kt_buf_bytes(&record), s->err);
}

/* By all that it is called: what approvals stand on, and what a rule of them may name. */
static void tell_changed(struct request *req, const struct entity *entity)
{
    char path[sizeof "identity/entity/name/" + IDENTITY_NAME_MAX];
    (void)snprintf(path, sizeof path, "identity/entity/name/%s", entity->name);
    request_changes(req, path, false);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity->id);
    request_changes(req, path, false);
    for (size_t i = 0; i < entity->merged.n; i++) {
        (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity->merged.at[i]);
        request_changes(req, path, false);
    }
}

enum kt_kind entity_save(struct request *req, const struct entity *old, size_t n_old,
                         const struct entity *new_, struct kt_err *err)
{
    struct saving s = {.req = req,
                       .batch = request_batch(req),
                       .old = old,
                       .n_old = n_old,
                       .new_ = new_,
                       .err = err};
    if (s.batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing an entity");
    for (size_t i = 0; i < n_old; i++)
        tell_changed(req, &old[i]);
    if (new_ != NULL)
        tell_changed(req, new_);
    save_records(&s);
    if (s.kind == KT_OK)
        save_names(&s);
    for (size_t i = 0; i < n_old; i++)
        drop_aliases(&s, &old[i]);
    for (size_t i = 0; new_ != NULL && i < new_->n_aliases; i++)
        put_alias(&s, &new_->aliases[i]);
    save_merged(&s);
    if (s.kind == KT_OK && s.ops > OPS_MAX)
        return kt_fail(err, KT_INVALID, "too many entities and aliases for one change: take fewer");
    return s.kind;
}
