#include "vaultd/core/mounts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/core/mount_table.h"
#include "vaultd/core/private.h"

/* What a thread's requests use, one after the other: good for every snapshot between which no
 * configuration record changed. */
struct thread_mounts {
    struct mounts *mounts;
    struct mount_table *table; /* one reference */
    generation checked_at;
};

struct mounts {
    pthread_key_t thread;
    atomic_uint_fast64_t last_change; /* newest fold that touched a configuration record */
    pthread_mutex_t lock;
    struct mount_table *table; /* guarded by lock, as its references; NULL: nothing read yet */
};

static void table_unref(struct mounts *mounts, struct mount_table *table)
{
    if (table == NULL)
        return;
    (void)pthread_mutex_lock(&mounts->lock);
    bool last = --table->refs == 0;
    (void)pthread_mutex_unlock(&mounts->lock);
    if (last)
        mount_table_free(table);
}

static void thread_mounts_free(void *at)
{
    struct thread_mounts *own = at;
    if (own == NULL)
        return;
    table_unref(own->mounts, own->table);
    free(own);
}

/* Followers run before anybody hears of the commit. */
static void config_changed(void *arg, const struct fold_event *event)
{
    struct mounts *mounts = arg;
    atomic_store(&mounts->last_change, event->at);
}

struct mounts *mounts_new(struct store *store)
{
    struct mounts *mounts = kt_calloc(1, sizeof *mounts);
    if (mounts == NULL)
        return NULL;
    if (pthread_key_create(&mounts->thread, thread_mounts_free) != 0) {
        free(mounts);
        return NULL;
    }
    (void)pthread_mutex_init(&mounts->lock, NULL);
    const unsigned char prefix[1] = {TABLE_CONFIG};
    if (store_on_fold(store, kt_bytes(prefix, 1), config_changed, mounts) != STORE_OK) {
        mounts_free(mounts);
        return NULL;
    }
    return mounts;
}

void mounts_free(struct mounts *mounts)
{
    if (mounts == NULL)
        return;
    thread_mounts_free(pthread_getspecific(mounts->thread));
    (void)pthread_setspecific(mounts->thread, NULL);
    (void)pthread_key_delete(mounts->thread);
    table_unref(mounts, mounts->table);
    (void)pthread_mutex_destroy(&mounts->lock);
    free(mounts);
}

/* ---- the thread's table ---- */

static enum kt_kind load_table(struct core *core, struct snapshot *snapshot, struct kt_bytes key,
                               struct mount_table **ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    generation changed = 0;
    enum kt_kind kind =
        barrier_get(core->barrier, snapshot, key, &record, &changed, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return mount_table_read(kt_buf_bytes(&record), changed, ret, err);
}

static struct thread_mounts *thread_mounts(struct mounts *mounts)
{
    struct thread_mounts *own = pthread_getspecific(mounts->thread);
    if (own == NULL) {
        own = kt_calloc(1, sizeof *own);
        if (own != NULL && pthread_setspecific(mounts->thread, own) != 0) {
            free(own);
            return NULL;
        }
        if (own != NULL)
            own->mounts = mounts;
    }
    return own;
}

/* The one that all threads share, if it is that of the record's `changed`; with a reference. */
static struct mount_table *shared_table(struct mounts *mounts, generation changed)
{
    struct mount_table *table = NULL;
    (void)pthread_mutex_lock(&mounts->lock);
    if (mounts->table != NULL && mounts->table->changed == changed) {
        table = mounts->table;
        table->refs++;
    }
    (void)pthread_mutex_unlock(&mounts->lock);
    return table;
}

/* Makes the thread's table that of the snapshot. */
static enum kt_kind refresh(struct core *core, struct snapshot *snapshot, struct thread_mounts *own,
                            struct kt_err *err)
{
    struct mounts *mounts = core->mounts;
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(core, key);
    struct entry entry = {0};
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the mount table");
    if (own->table == NULL || own->table->changed != entry.changed) {
        struct mount_table *table = shared_table(mounts, entry.changed), *old = NULL;
        if (table == NULL) {
            enum kt_kind kind = load_table(core, snapshot, kt_bytes(key, sizeof key), &table, err);
            if (kind != KT_OK)
                return kind;
            table->refs = 2; /* the shared one and this thread's */
            (void)pthread_mutex_lock(&mounts->lock);
            old = mounts->table;
            mounts->table = table;
            (void)pthread_mutex_unlock(&mounts->lock);
        }
        table_unref(mounts, old);
        table_unref(mounts, own->table);
        own->table = table;
    }
    own->checked_at = snapshot_generation(snapshot);
    return KT_OK;
}

static enum kt_kind thread_table(struct core *core, struct snapshot *snapshot,
                                 struct mount_table **ret, struct kt_err *err)
{
    struct mounts *mounts = core->mounts;
    struct thread_mounts *own = thread_mounts(mounts);
    if (own == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mount table");
    generation last_change = atomic_load(&mounts->last_change);
    enum kt_kind kind = KT_OK;
    if (own->table == NULL || last_change > own->checked_at ||
        last_change > snapshot_generation(snapshot))
        kind = refresh(core, snapshot, own, err);
    if (kind == KT_OK)
        *ret = own->table;
    return kind;
}

static enum kt_kind hold_table(struct request *req, struct kt_err *err)
{
    return thread_table(req->core, req->snapshot, &req->own->mounts, err);
}

void mounts_release(struct request *req)
{
    req->own->mounts = NULL;
}

/* ---- finding ---- */

const struct mount *mounts_find(struct request *req, const char *path, const char **ret_rest)
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return NULL;
    return mount_table_find(req->own->mounts, path, ret_rest);
}

size_t mounts_all(struct request *req, const struct mount *const **ret)
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return 0;
    *ret = req->own->mounts->sorted;
    return req->own->mounts->n;
}

static const struct mount *of_scope(const struct mount_table *table,
                                    const unsigned char scope[BARRIER_SCOPE])
{
    for (size_t i = 0; i < table->n; i++)
        if (memcmp(table->rows[i].scope, scope, BARRIER_SCOPE) == 0)
            return &table->rows[i];
    return NULL;
}

enum kt_kind mounts_have(struct core *core, struct snapshot *snapshot,
                         const unsigned char scope[BARRIER_SCOPE], bool *ret, struct kt_err *err)
{
    struct mount_table *table = NULL;
    enum kt_kind kind = thread_table(core, snapshot, &table, err);
    if (kind == KT_OK)
        *ret = of_scope(table, scope) != NULL;
    return kind;
}

enum kt_kind mounts_engine(struct core *core, struct snapshot *snapshot, const unsigned char scope[BARRIER_SCOPE],
                           const struct engine **ret, struct kt_err *err)
{
    struct mount_table *table = NULL;
    enum kt_kind kind = thread_table(core, snapshot, &table, err);
    if (kind != KT_OK)
        return kind;
    const struct mount *mount = of_scope(table, scope);
    *ret = mount == NULL ? NULL : mount->engine;
    return KT_OK;
}

const struct mount *mounts_of_scope(struct request *req, const unsigned char scope[BARRIER_SCOPE])
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return NULL;
    return of_scope(req->own->mounts, scope);
}

const struct mount_move *mounts_moved(struct request *req, const char *id)
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return NULL;
    const struct mount_moves *moves = &req->own->mounts->moves;
    for (size_t i = 0; i < moves->n; i++)
        if (strcmp(moves->at[i].id, id) == 0)
            return &moves->at[i];
    return NULL;
}

/* What a row takes for one, below the mount's `rest`: the path that counts, and the other one. */
static enum kt_kind spell(struct kt_arena *arena, const struct route *route, const char *path, size_t rest,
                          const char **ret_path, const char **ret_other, struct kt_err *err)
{
    *ret_path = path;
    *ret_other = NULL;
    bool changes = false;
    for (const char *c = path + rest; *c != '\0'; c++)
        changes = changes || (*c >= 'A' && *c <= 'Z');
    if (!changes || (route->flags & (ROUTE_LOWERED | ROUTE_TO_LOWER)) == 0)
        return KT_OK;
    char *lowered = kt_arena_text(arena, kt_str(path));
    if (lowered == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the path");
    for (char *c = lowered + rest; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    bool to_lower = (route->flags & ROUTE_TO_LOWER) != 0;
    *ret_path = to_lower ? lowered : path;
    *ret_other = to_lower ? path : lowered;
    return KT_OK;
}

enum kt_kind mounts_row(struct request *req, enum operation op, const char *path, struct mount_row *ret,
                        struct kt_err *err)
{
    const char *rest = NULL;
    struct request probe = {.op = op};
    *ret = (struct mount_row){.mount = mounts_find(req, path, &rest), .path = path};
    if (ret->mount == NULL || ret->mount->engine == NULL)
        return KT_OK;
    kt_arena_init(&probe.arena, 65536);
    bool found = route_match(ret->mount->engine, rest, &probe);
    bool full = probe.arena.failed;
    kt_arena_free(&probe.arena);
    if (!found)
        return full ? kt_fail(err, KT_NO_MEMORY, "reading the path") : KT_OK;
    ret->route = probe.route;
    return spell(&req->arena, ret->route, path, (size_t)(rest - path), &ret->path, &ret->other, err);
}

enum kt_kind mounts_route(struct request *req, struct kt_err *err)
{
    if (req->own->typed == NULL)
        req->own->typed = req->path;
    const char *typed = req->path = req->own->typed; /* an earlier pass may have found another row */
    req->other_path = NULL;
    req->mount = NULL;
    req->route = NULL;
    req->rest = req->path;
    mounts_release(req);
    enum kt_kind kind = hold_table(req, err);
    if (kind != KT_OK)
        return kind;
    const char *rest = NULL;
    const struct mount *mount = mount_table_find(req->own->mounts, req->path, &rest);
    if (mount == NULL)
        return KT_OK;
    req->mount = mount;
    req->rest = rest;
    if (mount->engine == NULL)
        return KT_OK; /* a newer vaultd's: who may know of it is told later */
    req->own->mount_type = mount->engine->type;
    if (!route_match(mount->engine, rest, req))
        return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "reading the path") : KT_OK;
    size_t at = (size_t)(rest - req->path);
    kind = spell(&req->arena, req->route, typed, at, &req->path, &req->other_path, err);
    if (kind != KT_OK || req->path == typed)
        return kind;
    req->rest = req->path + at;
    /* What patterns spell out is lower-case already. */
    return route_match(mount->engine, req->rest, req) ? KT_OK
                                                      : kt_fail(err, KT_NO_MEMORY, "reading the path");
}

enum kt_kind mounts_route_sealed(struct request *req)
{
    req->mount = NULL;
    req->route = NULL;
    if (strncmp(req->path, "sys/", 4) != 0)
        return KT_SEALED;
    const struct engine *sys = engine_find("system", NULL);
    req->rest = req->path + 4;
    if (!route_match(sys, req->rest, req) || (req->route->flags & ROUTE_WHILE_SEALED) == 0)
        return KT_SEALED;
    return KT_OK;
}

void mounts_require(struct request *req, struct batch *batch)
{
    if (req->mount != NULL && !req->mount->builtin)
        mounts_require_same(req, batch);
}

void mounts_require_same(struct request *req, struct batch *batch)
{
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(req->core, key);
    generation changed = req->own->mounts->changed;
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  changed);
}
