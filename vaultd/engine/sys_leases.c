/* sys/leases: what ends by itself, by its id or by where it was made: tokens, and secrets of an engine that leases
 * them. Lists and counts: sys_lease_lists.c. */
#include "lib/cleanup.h"
#include "vaultd/auth/leased.h"
#include "vaultd/auth/revoker.h"
#include "vaultd/core/jobs.h"
#include "vaultd/engine/sys.h"

#define AWAITED_MS 10000 /* of a revocation; of a secret from when it was asked for */

/* ---- one ---- */

/* The body's id wins over the path's, as in Vault. */
static enum kt_kind read_id(struct request *req, const char **ret, struct kt_err *err)
{
    const char *id = "";
    enum kt_kind kind = request_string(req, "lease_id", &id, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const char *in_path = request_param(req, "url_lease_id");
    /* Policies were asked about the path. */
    if (id[0] != '\0' && in_path[0] != '\0' && strcmp(id, in_path) != 0)
        return kt_fail(err, KT_INVALID, "lease_id is another than the path's");
    if (id[0] == '\0')
        id = in_path;
    if (id[0] == '\0')
        return kt_fail(err, KT_INVALID, "lease_id must be specified");
    *ret = id;
    return KT_OK;
}

/* One of both. */
struct found {
    const char *id;
    const struct token *token;   /* NULL: it is a secret's */
    struct leased secret;
};

static enum kt_kind find_id(struct request *req, const char *id, struct found *ret, struct kt_err *err)
{
    *ret = (struct found){.id = id};
    enum kt_kind kind = lease_find(req->core, req->snapshot, id, req->life_ms, &ret->token, err);
    return kind == KT_NOT_FOUND ? leased_find(req, id, &ret->secret, err) : kind;
}

static enum kt_kind find(struct request *req, struct found *ret, struct kt_err *err)
{
    const char *id = NULL;
    enum kt_kind kind = read_id(req, &id, err);
    return kind == KT_OK ? find_id(req, id, ret, err) : kind;
}

static void write_time(struct kt_jsonw *w, const char *key, int64_t ms)
{
    if (ms == 0)
        kt_jsonw_kv_null(w, key);
    else
        kt_jsonw_kv_time(w, key, ms);
}

static void write_lease(struct request *req, const char *id, const struct leased *lease)
{
    int64_t left_ms = lease->ending ? 0 : lease->expires_ms - req->now_ms;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    write_time(&w, "expire_time", lease->expires_ms);
    kt_jsonw_kv_text(&w, "id", id);
    write_time(&w, "issue_time", lease->made_ms);
    write_time(&w, "last_renewal", lease->renewed_ms);
    kt_jsonw_kv_text(&w, "path", lease->path);
    kt_jsonw_kv_bool(&w, "renewable", lease->renewable && !lease->ending);
    kt_jsonw_kv_int(&w, "ttl", left_ms < 0 ? 0 : left_ms / 1000);
    kt_jsonw_end(&w);
    if (lease->given_up)
        request_warn(req, "it is over, and was given up after %u attempts to revoke it: %s", lease->attempts, lease->why);
}

enum kt_kind sys_lease_lookup(struct request *req, struct kt_err *err)
{
    struct found found;
    enum kt_kind kind = find(req, &found, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "invalid lease");
    if (kind != KT_OK)
        return kind;
    const struct token *token = found.token;
    struct leased lease = found.secret;
    if (token != NULL)
        lease = (struct leased){.path = token->path,
                                .made_ms = request_wall_time(req, token->created_ms),
                                .expires_ms = request_wall_time(req, token->expires_ms),
                                .renewed_ms = token->last_renewal_ms,
                                .renewable = token->renewable};
    write_lease(req, found.id, &lease);
    return KT_OK;
}

/* A token is renewed by who has it, or an accessor and a policy for it: an id of a lease gives no such right. */
static enum kt_kind refuse_token(const struct token *token, struct kt_err *err)
{
    if (!token->renewable)
        return kt_fail(err, KT_INVALID, "lease is not renewable");
    (void)kt_fail(err, KT_INVALID, "tokens cannot be renewed through this endpoint");
    kt_hint(err, "auth/token/renew, renew-self or renew-accessor");
    return KT_INVALID;
}

static enum kt_kind renew_secret(struct request *req, const struct found *found, struct kt_err *err)
{
    int64_t increment_s = 0, ttl_s = 0;
    bool capped = false;
    enum kt_kind kind = request_duration_s(req, "increment", &increment_s, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (found->secret.ending || !found->secret.renewable)
        return kt_fail(err, KT_INVALID, "lease is not renewable");
    kind = leased_renew(req, &found->secret, increment_s, &ttl_s, &capped, err);
    if (kind != KT_OK)
        return kind;
    if (capped)
        request_warn(req, "the lease is %lld s, all that its maximum and its token leave", (long long)ttl_s);
    req->reply.lease_id = found->id;
    req->reply.lease_duration_s = ttl_s;
    req->reply.renewable = true;
    kt_buf_add_text(&req->reply.data, "null");
    return KT_OK;
}

enum kt_kind sys_lease_renew(struct request *req, struct kt_err *err)
{
    struct found found;
    enum kt_kind kind = find(req, &found, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "lease not found");
    if (kind != KT_OK)
        return kind;
    return found.token != NULL ? refuse_token(found.token, err) : renew_secret(req, &found, err);
}

/* ---- revoking one ---- */

static enum kt_kind read_sync(struct request *req, bool *ret, struct kt_err *err)
{
    *ret = true;
    enum kt_kind kind = request_bool(req, "sync", ret, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* What takes longer goes on all the same. */
static enum kt_kind await_secret(struct request *req, struct kt_err *err)
{
    int64_t waited_ms = kt_mono_ms(req->core->clock) - req->received_mono_ms;
    int64_t until_ms = kt_mono_ms(&kt_system_clock) + AWAITED_MS - waited_ms;
    enum kt_kind kind = revoker_await(req->core, req->handler_data, until_ms, err);
    req->reply.status = kind == KT_BUSY ? 202 : 0;
    return kind == KT_BUSY ? KT_OK : kind;
}

/* Only what succeeded has a status of its own: an error's would be told with it. */
static enum kt_kind answer(struct request *req, enum kt_kind kind, bool sync)
{
    if (kind == KT_OK && !sync)
        req->reply.status = 202;
    return kind;
}

static enum kt_kind end_found(struct request *req, const struct found *found, bool sync, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char *key = kt_arena_take(&req->arena, sizeof found->secret.key);
    if (batch == NULL || key == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a lease");
    if (found->token != NULL)
        return token_end(req->core, batch, found->token, false, err);
    memcpy(key, found->secret.key, sizeof found->secret.key);
    if (sync) {
        req->handler_data = key;
        req->defer = await_secret;
        req->defer_long = true;
    }
    return leased_end(req->core, batch, &found->secret, req->now_ms, err);
}

enum kt_kind sys_lease_revoke(struct request *req, struct kt_err *err)
{
    struct found found;
    bool sync = true;
    enum kt_kind kind = read_sync(req, &sync, err);
    if (kind == KT_OK)
        kind = find(req, &found, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_OK)
        kind = end_found(req, &found, sync, err);
    return answer(req, kind == KT_NOT_FOUND ? KT_OK : kind, sync);
}

/* ---- all below a prefix ---- */

static bool job_is_there(struct core *core, const unsigned char id[JOB_ID])
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return true;
    unsigned char key[1 + JOB_ID];
    job_key(id, key);
    struct entry entry;
    bool there = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) != STORE_NOT_FOUND;
    snapshot_end(snapshot);
    return there;
}

/* What one commit does not hold is done here as far as one may wait for it, then by the housekeeper. */
static enum kt_kind go_on(struct request *req, struct kt_err *err)
{
    (void)err;
    const unsigned char *id = req->handler_data;
    bool more = true, there = true;
    int64_t until_ms = kt_mono_ms(&kt_system_clock) + AWAITED_MS;
    while (more && there && kt_mono_ms(&kt_system_clock) < until_ms) {
        struct kt_err why = {0};
        if (jobs_run(req->core, &more, &why) != KT_OK)
            break;
        there = job_is_there(req->core, id);
    }
    req->reply.status = there ? 202 : 0;
    return KT_OK;
}

static enum kt_kind forget(struct request *req, const struct leased *lease, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "forgetting a lease");
    leased_drop(batch, lease);
    return KT_OK;
}

static enum kt_kind revoke_below(struct request *req, bool force, struct kt_err *err)
{
    const char *prefix = request_param(req, "prefix");
    unsigned char *id = kt_arena_take(&req->arena, JOB_ID);
    bool sync = true, left = false;
    struct found found;
    if (id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking leases");
    enum kt_kind kind = read_sync(req, &sync, err);
    /* As in Vault: without a slash at its end it may be one lease's id. */
    if (kind == KT_OK)
        kind = find_id(req, prefix, &found, err);
    if (kind == KT_OK) {
        kind = force && found.token == NULL ? forget(req, &found.secret, err) : end_found(req, &found, sync, err);
        return answer(req, kind, sync);
    }
    if (kind == KT_NOT_FOUND)
        kind = lease_revoke_prefix(req, prefix, force, &left, id, err);
    if (kind != KT_OK)
        return kind;
    if (left && sync) {
        req->handler_data = id;
        req->defer = go_on;
        req->defer_long = true;
    }
    return answer(req, KT_OK, sync);
}

enum kt_kind sys_lease_revoke_prefix(struct request *req, struct kt_err *err)
{
    return revoke_below(req, false, err);
}

/* What a secret's lease stands for is left as it is: for when nobody can revoke it any more. */
enum kt_kind sys_lease_revoke_force(struct request *req, struct kt_err *err)
{
    return revoke_below(req, true, err);
}

enum kt_kind sys_lease_tidy(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = lease_tidy(req, err);
    if (kind != KT_OK)
        return kind;
    req->reply.status = 202;
    request_warn(req, "Tidy operation successfully started. Leases that are over end by themselves; this removes what "
                      "is left of paths without any.");
    return KT_OK;
}
