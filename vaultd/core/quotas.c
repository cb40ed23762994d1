#include "vaultd/core/quotas.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/tally.h"
#include "vaultd/core/engine.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/path.h"
#include "vaultd/core/private.h"
#include "vaultd/core/quota_clients.h"

struct quotas {
    atomic_uint_fast64_t last_change; /* newest fold that touched a configuration record */
    atomic_uint_fast64_t checked_at;  /* generation of the newest snapshot that was looked at */
    atomic_bool none;                 /* of what was read then */
    pthread_mutex_t lock;
    struct quota_table *table;     /* guarded by lock; NULL: nothing read yet */
    struct quota_clients *clients; /* guarded by lock; NULL: no quota governed anybody yet */
    struct kt_tally refused;
};

/* Followers run before anybody hears of the commit. */
static void config_changed(void *arg, const struct fold_event *event)
{
    struct quotas *quotas = arg;
    atomic_store(&quotas->last_change, event->at);
}

struct quotas *quotas_new(struct store *store)
{
    struct quotas *quotas = kt_calloc(1, sizeof *quotas);
    if (quotas == NULL)
        return NULL;
    (void)pthread_mutex_init(&quotas->lock, NULL);
    const unsigned char prefix[1] = {TABLE_CONFIG};
    if (store_on_fold(store, kt_bytes(prefix, 1), config_changed, quotas) != STORE_OK) {
        quotas_free(quotas);
        return NULL;
    }
    return quotas;
}

void quotas_free(struct quotas *quotas)
{
    if (quotas == NULL)
        return;
    quota_table_free(quotas->table);
    quota_clients_free(quotas->clients);
    (void)pthread_mutex_destroy(&quotas->lock);
    free(quotas);
}

int64_t quotas_refused(const struct quotas *quotas)
{
    return kt_tally_sum(&quotas->refused);
}

/* ---- reading ---- */

enum kt_kind quotas_load(struct request *req, struct quota_table **ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    quota_table_key(req->core, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, QUOTA_RECORD_MAX);
    generation changed = 0;
    enum kt_kind kind = barrier_get(req->core->barrier, req->snapshot, kt_bytes(key, sizeof key), &record,
                                    &changed, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return quota_table_read(kt_buf_bytes(&record), changed, ret, err);
}

enum kt_kind quotas_save(struct request *req, const struct quota_table *table, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, QUOTA_RECORD_MAX);
    quota_table_write(table, &record);
    if (record.full)
        return kt_fail(err, KT_INVALID, "the quotas' names and paths are too long together");
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "keeping the quotas");
    unsigned char key[BARRIER_NAME_KEY];
    quota_table_key(req->core, key);
    batch_require(batch, table->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  table->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

/* ---- what one governs ---- */

/* Without the slashes around it, as Vault reads it. */
static char *trimmed(struct request *req, const char *path)
{
    path += strspn(path, "/");
    char *copy = kt_arena_text(&req->arena, kt_str(path));
    for (size_t len = copy == NULL ? 0 : strlen(copy); len > 0 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    return copy;
}

enum kt_kind quotas_aim(struct request *req, const char *path, struct quota *row, struct kt_err *err)
{
    path = trimmed(req, path);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"path\"");
    row->suffix = "";
    if (path[0] == '\0')
        return KT_OK;
    if (strlen(path) > QUOTA_PATH_MAX || path_check(path, NULL) != KT_OK)
        return kt_fail(err, KT_INVALID, "field \"path\": no request has such a path");
    const char *rest = "";
    const struct mount *mount = mounts_find(req, path, &rest);
    if (mount == NULL) {
        (void)kt_fail(err, KT_INVALID, "invalid mount path \"%s\"", path);
        kt_hint(err, "\"path\" is a mount's, or one below it, perhaps with '*' at its end; empty: all");
        return KT_INVALID;
    }
    row->of_mount = true;
    memcpy(row->scope, mount->scope, sizeof row->scope);
    row->suffix = rest;
    return KT_OK;
}

/* ---- the table that is in force ---- */

static bool is_current(const struct quotas *quotas)
{
    uint64_t checked_at = atomic_load_explicit(&quotas->checked_at, memory_order_acquire);
    return checked_at != 0 && atomic_load_explicit(&quotas->last_change, memory_order_acquire) <= checked_at;
}

/* With the lock held. A request that began before another's change never puts the old ones back. */
static enum kt_kind take_over(struct request *req, struct quotas *quotas, struct kt_err *err)
{
    struct quota_table *table = NULL;
    generation at = snapshot_generation(req->snapshot);
    if (at <= atomic_load(&quotas->checked_at) && quotas->table != NULL)
        return KT_OK;
    enum kt_kind kind = quotas_load(req, &table, err);
    if (kind != KT_OK)
        return kind;
    if (table->n > 0 && quotas->clients == NULL)
        quotas->clients = quota_clients_new();
    if (table->n > 0 && quotas->clients == NULL) {
        quota_table_free(table);
        return kt_fail(err, KT_NO_MEMORY, "counting a client's requests");
    }
    quota_table_free(quotas->table);
    quotas->table = table;
    atomic_store(&quotas->none, table->n == 0);
    atomic_store(&quotas->checked_at, at);
    return KT_OK;
}

static enum kt_kind refresh(struct request *req, struct quotas *quotas, struct kt_err *err)
{
    if (is_current(quotas))
        return KT_OK;
    (void)pthread_mutex_lock(&quotas->lock);
    enum kt_kind kind = take_over(req, quotas, err);
    (void)pthread_mutex_unlock(&quotas->lock);
    return kind;
}

/* ---- a request ---- */

static bool count(struct request *req, struct quotas *quotas, struct quota_use *use)
{
    bool lowered = req->route != NULL && (req->route->flags & (ROUTE_LOWERED | ROUTE_TO_LOWER)) != 0;
    const struct quota *row =
        quota_table_find(quotas->table, req->path, req->mount, req->rest, lowered);
    if (row == NULL)
        return true;
    const struct quota_limit limit = {.id = row->id,
                                      .rate = (double)row->rate / QUOTA_MILLIONTHS,
                                      .interval_s = row->interval_s,
                                      .block_s = row->block_s};
    char client[REFUSALS_SOURCE];
    request_source(req, client);
    bool admitted =
        quota_clients_admit(quotas->clients, &limit, client, kt_mono_ms(req->core->clock), use);
    if (quotas->table->headers)
        req->limit = (struct request_limit){true, use->limit, use->remaining, use->reset_s};
    return admitted;
}

enum kt_kind quotas_admit(struct request *req, struct kt_err *err)
{
    struct quotas *quotas = req->core->own->quotas;
    if (req->origin != ORIGIN_TCP || req->own->counted)
        return KT_OK;
    enum kt_kind kind = refresh(req, quotas, err);
    if (kind != KT_OK)
        return kind;
    req->own->counted = true;
    if (atomic_load_explicit(&quotas->none, memory_order_relaxed))
        return KT_OK;
    struct quota_use use = {0};
    (void)pthread_mutex_lock(&quotas->lock);
    bool admitted = count(req, quotas, &use);
    (void)pthread_mutex_unlock(&quotas->lock);
    if (admitted)
        return KT_OK;
    kt_tally_add(&quotas->refused, 1);
    req->reply.retry_after_s = use.wait_s > 0 ? use.wait_s : 1;
    (void)kt_fail(err, KT_TOO_MANY, "request path \"%s\": rate limit quota exceeded", req->path);
    return KT_TOO_MANY;
}
