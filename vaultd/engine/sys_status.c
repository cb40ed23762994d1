#include "vaultd/engine/sys.h"

#include <sodium.h>
#include <stdio.h>

#include "vaultd/core/autounseal.h"
#include "vaultd/engine/key_shares.h"

/* ---- init ---- */

enum kt_kind sys_init_read(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "initialized", barrier_initialized(req->core->barrier));
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}

static enum kt_kind do_init(struct request *req, struct kt_err *err)
{
    const struct shares_wish *wish = req->handler_data;
    unsigned char(*keys)[SHAMIR_SHARE_BYTES] = shares_room(req);
    /* Keys that were made and cannot be told would be a vault that nobody opens. */
    if (keys == NULL || !shares_reserve(req, wish->shares))
        return kt_fail(err, KT_NO_MEMORY, "initialising the vault");
    kt_autobuf struct kt_buf token;
    kt_buf_init(&token, 4096);
    enum kt_kind kind =
        core_init(req->core, wish->shares, wish->threshold, keys, &token, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    shares_write(&w, wish->shares, keys);
    kt_jsonw_key(&w, "root_token");
    kt_jsonw_bytes(&w, kt_buf_bytes(&token));
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}

enum kt_kind sys_init_write(struct request *req, struct kt_err *err)
{
    static const char *const pgp_fields[] = {"pgp_keys", "root_token_pgp_key", NULL};
    if (barrier_initialized(req->core->barrier))
        return kt_fail(err, KT_INVALID, "Vault is already initialized");
    struct shares_wish *wish = kt_arena_take(&req->arena, sizeof *wish);
    if (wish == NULL)
        return kt_fail(err, KT_NO_MEMORY, "initialising the vault");
    enum kt_kind kind = shares_wish_read(req, "seal configuration", wish, err);
    if (kind == KT_OK)
        kind = shares_refuse_pgp(req, pgp_fields, err);
    if (kind != KT_OK)
        return kind;
    req->handler_data = wish;
    req->defer = do_init;
    return KT_OK;
}

/* ---- seal status, unseal, seal ---- */

static void write_unsealed_by(struct kt_jsonw *w, const struct barrier_status *s)
{
    char text[KT_CREDENTIAL_NAME + 16] = "";
    if (!s->sealed && s->opened_by[0] != '\0')
        (void)snprintf(text, sizeof text, "credential %.64s", s->opened_by);
    else if (!s->sealed)
        (void)snprintf(text, sizeof text, "shares");
    kt_jsonw_kv_text(w, "unsealed_by", text);
}

static void write_seal_status(struct request *req)
{
    struct barrier_status s;
    barrier_status(req->core->barrier, &s);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", "shamir");
    kt_jsonw_kv_bool(&w, "initialized", s.initialized);
    kt_jsonw_kv_bool(&w, "sealed", s.sealed);
    kt_jsonw_kv_int(&w, "t", s.threshold);
    kt_jsonw_kv_int(&w, "n", s.shares);
    kt_jsonw_kv_int(&w, "progress", s.progress);
    kt_jsonw_kv_text(&w, "nonce", s.nonce);
    kt_jsonw_kv_text(&w, "version", SYS_VAULT_VERSION);
    kt_jsonw_kv_text(&w, "keyturn_version", KT_VERSION);
    kt_jsonw_kv_text(&w, "build_date", "");
    kt_jsonw_kv_bool(&w, "migration", false);
    if (!s.sealed) {
        kt_jsonw_kv_text(&w, "cluster_name", req->core->config.cluster_name);
        kt_jsonw_kv_text(&w, "cluster_id", s.vault_id);
    }
    kt_jsonw_kv_text(&w, "key_set_id", s.seal_id);
    kt_jsonw_kv_bool(&w, "recovery_seal", false);
    write_unsealed_by(&w, &s);
    autounseal_write(req->core, &w);
    kt_jsonw_kv_text(&w, "storage_type", req->core->config.storage_type);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

enum kt_kind sys_seal_status(struct request *req, struct kt_err *err)
{
    (void)err;
    write_seal_status(req);
    return KT_OK;
}

static enum kt_kind do_unseal(struct request *req, struct kt_err *err)
{
    const bool *accept_rollback = req->handler_data;
    enum kt_kind kind = core_unsealed(req->core, *accept_rollback, err);
    if (kind != KT_OK)
        return kind;
    write_seal_status(req);
    return KT_OK;
}

static enum kt_kind do_unseal_by_itself(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = autounseal_run(req->core, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_INVALID : kind;
    write_seal_status(req);
    return KT_OK;
}

/* A token cannot be looked at while it is sealed. Root on the host can start vaultd anew, which does the
 * same; for anybody else it would undo what a person sealed. */
static enum kt_kind unseal_by_itself(struct request *req, struct kt_err *err)
{
    if (req->origin != ORIGIN_UNIX || req->peer_uid != 0) {
        (void)kt_fail(err, KT_DENIED, "permission denied");
        kt_hint(err, "as root on the vault's own machine, through its Unix socket; or restart vaultd");
        return KT_DENIED;
    }
    if (barrier_sealed(req->core->barrier))
        req->defer = do_unseal_by_itself;
    else
        write_seal_status(req);
    return KT_OK;
}

static enum kt_kind reset_unseal(struct request *req, struct kt_err *err)
{
    if (!barrier_sealed(req->core->barrier))
        return kt_fail(err, KT_INVALID, "vault is unsealed");
    enum kt_kind kind = core_unseal_admit(req, err);
    if (kind != KT_OK)
        return kind;
    barrier_unseal_reset(req->core->barrier);
    write_seal_status(req);
    return KT_OK;
}

static enum kt_kind add_share(struct request *req, bool *accept_rollback, bool *ret_unsealed,
                              struct kt_err *err)
{
    unsigned char share[SHAMIR_SHARE_BYTES];
    enum kt_kind kind = share_read(req, share, err);
    if (kind != KT_OK)
        return kind;
    kind = core_unseal_admit(req, err);
    if (kind == KT_OK)
        kind = core_unseal_share(req->core, share, *accept_rollback, ret_unsealed, accept_rollback,
                                 err);
    sodium_memzero(share, sizeof share);
    return kind;
}

enum kt_kind sys_unseal(struct request *req, struct kt_err *err)
{
    bool reset = false, unsealed = false, by_itself = false;
    bool *accept_rollback = kt_arena_take(&req->arena, sizeof *accept_rollback);
    if (accept_rollback == NULL)
        return kt_fail(err, KT_NO_MEMORY, "unsealing");
    const char *key = NULL;
    enum kt_kind kinds[] = {request_bool(req, "reset", &reset, err),
                            request_bool(req, "by_credential", &by_itself, err),
                            request_bool(req, "accept_rollback", accept_rollback, err),
                            request_string(req, "key", &key, err)};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KT_OK && kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    if (!barrier_initialized(req->core->barrier)) {
        (void)kt_fail(err, KT_INVALID, "Vault is not initialized");
        kt_hint(err, "secretctl operator init");
        return KT_INVALID;
    }
    if (reset)
        return reset_unseal(req, err);
    if (by_itself)
        return unseal_by_itself(req, err);
    if (key == NULL)
        return kt_fail(err, KT_INVALID,
                       "'key' must be specified in request body as JSON, or 'reset' set to true");
    if (!barrier_sealed(req->core->barrier)) {
        write_seal_status(req);
        return KT_OK;
    }
    if (!shares_reserve(req, 0)) /* before a share is taken that could open it */
        return kt_fail(err, KT_NO_MEMORY, "unsealing");
    enum kt_kind kind = add_share(req, accept_rollback, &unsealed, err);
    if (kind != KT_OK)
        return kind;
    if (unsealed) {
        req->handler_data = accept_rollback;
        req->defer = do_unseal;
        return KT_OK;
    }
    write_seal_status(req);
    return KT_OK;
}

static enum kt_kind do_seal(struct request *req, struct kt_err *err)
{
    (void)err;
    core_seal(req->core, "operator");
    return KT_OK;
}

enum kt_kind sys_seal(struct request *req, struct kt_err *err)
{
    (void)err;
    req->defer = do_seal;
    req->defer_seals = true;
    return KT_OK;
}

/* ---- health, leader, step-down ---- */

static enum kt_kind status_code(struct request *req, const char *name, unsigned *ret,
                                struct kt_err *err)
{
    int64_t code = 0;
    enum kt_kind kind = request_int(req, name, &code, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK || code < 100 || code > 599)
        return kt_fail(err, KT_INVALID, "%s", "");
    *ret = (unsigned)code;
    return KT_OK;
}

static enum kt_kind health_status(struct request *req, const struct barrier_status *s,
                                  unsigned *ret, struct kt_err *err)
{
    const struct {
        const char *name;
        unsigned code;
        bool applies;
    } rows[] = {
        {"uninitcode", 501, !s->initialized},
        {"sealedcode", 503, s->initialized && s->sealed},
        {"activecode", 200, s->initialized && !s->sealed},
        {"standbycode", 429, false},
        {"drsecondarycode", 472, false},
        {"performancestandbycode", 473, false},
        {"removedcode", 530, false},
    };
    static const char *const flags[] = {"standbyok", "perfstandbyok"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool yes = false;
        enum kt_kind kind = request_bool(req, flags[i], &yes, NULL);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "%s", "");
    }
    unsigned answer = 500;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned code = rows[i].code;
        enum kt_kind kind = status_code(req, rows[i].name, &code, err);
        if (kind != KT_OK)
            return kind;
        if (rows[i].applies)
            answer = code;
    }
    *ret = answer;
    return KT_OK;
}

static void write_notes(struct kt_jsonw *w, const char *const *notes)
{
    kt_jsonw_key(w, "notes");
    kt_jsonw_array(w);
    for (; notes != NULL && *notes != NULL; notes++)
        kt_jsonw_text(w, *notes);
    kt_jsonw_end(w);
}

enum kt_kind sys_health(struct request *req, struct kt_err *err)
{
    struct barrier_status s;
    barrier_status(req->core->barrier, &s);
    unsigned status = 0;
    enum kt_kind kind = health_status(req, &s, &status, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "initialized", s.initialized);
    kt_jsonw_kv_bool(&w, "sealed", s.sealed);
    kt_jsonw_kv_bool(&w, "standby", false);
    kt_jsonw_kv_bool(&w, "performance_standby", false);
    kt_jsonw_kv_text(&w, "replication_performance_mode", s.sealed ? "unknown" : "disabled");
    kt_jsonw_kv_text(&w, "replication_dr_mode", s.sealed ? "unknown" : "disabled");
    kt_jsonw_kv_int(&w, "server_time_utc", kt_wall_ms(req->core->clock) / 1000);
    kt_jsonw_kv_text(&w, "version", SYS_VAULT_VERSION);
    kt_jsonw_kv_text(&w, "keyturn_version", KT_VERSION);
    kt_jsonw_kv_bool(&w, "enterprise", false);
    if (!s.sealed) {
        kt_jsonw_kv_text(&w, "cluster_name", req->core->config.cluster_name);
        kt_jsonw_kv_text(&w, "cluster_id", s.vault_id);
    }
    kt_jsonw_kv_int(&w, "echo_duration_ms", 0);
    kt_jsonw_kv_int(&w, "clock_skew_ms", 0);
    kt_jsonw_kv_int(&w, "replication_primary_canary_age_ms", 0);
    kt_jsonw_kv_bool(&w, "removed_from_cluster", false);
    kt_jsonw_kv_int(&w, "seals_not_opened", autounseal_failing(req->core));
    write_notes(&w, req->core->config.notes);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    req->reply.status = status;
    return KT_OK;
}

enum kt_kind sys_leader(struct request *req, struct kt_err *err)
{
    (void)err;
    struct leadership leadership = {0};
    store_leader(req->core->store, &leadership);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "ha_enabled", false);
    kt_jsonw_kv_bool(&w, "is_self", false);
    kt_jsonw_kv_text(&w, "active_time", "0001-01-01T00:00:00Z");
    kt_jsonw_kv_text(&w, "leader_address", leadership.address);
    kt_jsonw_kv_text(&w, "leader_cluster_address", "");
    kt_jsonw_kv_bool(&w, "performance_standby", false);
    kt_jsonw_kv_int(&w, "performance_standby_last_remote_wal", 0);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}

/* There is nobody to step down for. */
enum kt_kind sys_step_down(struct request *req, struct kt_err *err)
{
    (void)req;
    (void)err;
    return KT_OK;
}
