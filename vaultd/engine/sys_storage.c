#include "vaultd/engine/sys.h"

#include "vaultd/core/reencrypt.h"
#include "vaultd/core/upkeep.h"

/* ---- how large the store is ---- */

enum kt_kind sys_storage(struct request *req, struct kt_err *err)
{
    (void)err;
    struct store_status s;
    store_status(req->core->store, &s);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "bytes_file", (int64_t)s.bytes_file);
    kt_jsonw_kv_int(&w, "bytes_free",
                    s.bytes_file > s.bytes_used ? (int64_t)(s.bytes_file - s.bytes_used) : 0);
    kt_jsonw_kv_int(&w, "bytes_max", (int64_t)s.bytes_max);
    kt_jsonw_kv_int(&w, "bytes_used", (int64_t)s.bytes_used);
    kt_jsonw_kv_int(&w, "entries", (int64_t)s.entries);
    kt_jsonw_kv_int(&w, "generation", (int64_t)s.at);
    kt_jsonw_kv_int(&w, "oldest_snapshot_ms", s.oldest_snapshot_ms);
    kt_jsonw_kv_int(&w, "queued", s.queued);
    kt_jsonw_kv_text(&w, "storage_type", req->core->config.storage_type);
    kt_jsonw_end(&w);
    return KT_OK;
}

static void write_time(struct kt_jsonw *w, const char *name, int64_t ms)
{
    if (ms == 0)
        kt_jsonw_kv_null(w, name);
    else
        kt_jsonw_kv_time(w, name, ms);
}

static void write_error(struct kt_jsonw *w, const struct kt_err *err)
{
    if (err->kind == KT_OK) {
        kt_jsonw_kv_null(w, "error");
        return;
    }
    kt_jsonw_kv_text(w, "error", err->what);
    kt_jsonw_kv_text(w, "hint", err->hint);
}

/* ---- compacting ---- */

static void write_compaction(struct request *req)
{
    struct upkeep_compaction c;
    upkeep_compaction(req->core->upkeep, &c);
    kt_buf_reset(&req->reply.data);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "active", c.active);
    kt_jsonw_kv_int(&w, "bytes_after", (int64_t)c.state.bytes_after);
    kt_jsonw_kv_int(&w, "bytes_before", (int64_t)c.state.bytes_before);
    write_time(&w, "end_time", c.ended_ms);
    kt_jsonw_kv_int(&w, "entries_done", (int64_t)c.state.entries_done);
    kt_jsonw_kv_int(&w, "entries_total", (int64_t)c.state.entries_total);
    write_error(&w, &c.err);
    kt_jsonw_kv_text(&w, "phase", store_compact_phase_text(c.state.phase));
    kt_jsonw_kv_int(&w, "replayed", (int64_t)c.state.replayed);
    write_time(&w, "start_time", c.asked_ms);
    kt_jsonw_kv_int(&w, "took_ms", c.state.took_ms);
    kt_jsonw_kv_int(&w, "write_wait_us", c.state.write_wait_us);
    kt_jsonw_end(&w);
}

enum kt_kind sys_compact_read(struct request *req, struct kt_err *err)
{
    (void)err;
    write_compaction(req);
    return KT_OK;
}

static enum kt_kind begin_compaction(struct request *req, struct kt_err *err)
{
    (void)err;
    if (!upkeep_compact(req->core->upkeep))
        request_warn(req, "a compaction is under way already; another one was not begun");
    write_compaction(req);
    return KT_OK;
}

enum kt_kind sys_compact_write(struct request *req, struct kt_err *err)
{
    (void)err;
    req->defer = begin_compaction;
    return KT_OK;
}

static enum kt_kind stop_compaction(struct request *req, struct kt_err *err)
{
    (void)err;
    if (!upkeep_compact_stop(req->core->upkeep))
        request_warn(req, "no compaction is under way");
    return KT_OK;
}

enum kt_kind sys_compact_delete(struct request *req, struct kt_err *err)
{
    (void)err;
    req->defer = stop_compaction;
    return KT_OK;
}

/* ---- re-encrypting ---- */

enum kt_kind sys_reencrypt_read(struct request *req, struct kt_err *err)
{
    struct reencryption r;
    enum kt_kind kind = reencrypt_load(req, &r, err);
    if (kind != KT_OK)
        return kind;
    struct barrier_status keys;
    barrier_status(req->core->barrier, &keys);
    struct store_status store;
    store_status(req->core->store, &store);
    struct kt_err trouble;
    upkeep_reencrypt_trouble(req->core->upkeep, &trouble);
    /* Committed, but somebody still reads what an old term may have sealed. */
    if (r.phase == REENCRYPT_DONE && keys.oldest_term < r.term)
        r.phase = REENCRYPT_DROPPING;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "active", reencrypt_active(&r));
    write_time(&w, "end_time", r.ended_ms);
    kt_jsonw_kv_int(&w, "entries_done", (int64_t)r.looked_at);
    kt_jsonw_kv_int(&w, "entries_total", (int64_t)store.entries);
    write_error(&w, &trouble);
    kt_jsonw_kv_int(&w, "newest_term", keys.term);
    kt_jsonw_kv_int(&w, "oldest_term", keys.oldest_term);
    kt_jsonw_kv_text(&w, "phase", reencrypt_phase_text(r.phase));
    kt_jsonw_kv_int(&w, "rewritten", (int64_t)r.rewritten);
    write_time(&w, "start_time", r.begun_ms);
    kt_jsonw_kv_int(&w, "term", r.term);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* After the commit, and outside of it: the thread may look now. */
static enum kt_kind wake(struct request *req, struct kt_err *err)
{
    (void)err;
    upkeep_wake(req->core->upkeep);
    return KT_OK;
}

enum kt_kind sys_reencrypt_write(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = reencrypt_begin(req, err);
    if (kind == KT_OK)
        req->defer = wake;
    return kind;
}
