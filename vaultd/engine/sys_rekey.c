/* New key shares: sys/rekey. What is gathered, and when the record changes, is vaultd/barrier/ceremony.h. */
#include "vaultd/engine/sys.h"

#include "vaultd/core/key_set.h"
#include "vaultd/engine/key_shares.h"
#include "vaultd/engine/share_step.h"

/* ---- how far it is ---- */

static void write_status(struct request *req)
{
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "nonce", s.nonce);
    kt_jsonw_kv_bool(&w, "started", s.started);
    kt_jsonw_kv_int(&w, "t", s.plan.threshold);
    kt_jsonw_kv_int(&w, "n", s.plan.shares);
    kt_jsonw_kv_int(&w, "progress", s.progress);
    kt_jsonw_kv_int(&w, "required", s.required);
    kt_jsonw_kv_null(&w, "pgp_fingerprints");
    kt_jsonw_kv_bool(&w, "backup", false);
    kt_jsonw_kv_bool(&w, "verification_required", s.plan.verify);
    if (s.verifying)
        kt_jsonw_kv_text(&w, "verification_nonce", s.verify_nonce);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

enum kt_kind sys_rekey_status(struct request *req, struct kt_err *err)
{
    (void)err;
    write_status(req);
    return KT_OK;
}

static enum kt_kind write_verify_status(struct request *req, struct kt_err *err)
{
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    if (!s.started)
        return kt_fail(err, KT_INVALID, "no rekey configuration found");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "nonce", s.verify_nonce);
    kt_jsonw_kv_bool(&w, "started", s.verifying);
    kt_jsonw_kv_int(&w, "t", s.plan.threshold);
    kt_jsonw_kv_int(&w, "n", s.plan.shares);
    kt_jsonw_kv_int(&w, "progress", s.verify_progress);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}

enum kt_kind sys_rekey_verify_status(struct request *req, struct kt_err *err)
{
    return write_verify_status(req, err);
}

/* ---- begin, cancel ---- */

static enum kt_kind do_begin(struct request *req, struct kt_err *err)
{
    enum kt_kind kind =
        ceremony_begin(req->core->barrier, CEREMONY_REKEY, req->handler_data, err);
    if (kind == KT_OK)
        write_status(req);
    return kind;
}

static enum kt_kind read_plan(struct request *req, struct ceremony_plan *plan, struct kt_err *err)
{
    static const char *const pgp_fields[] = {"pgp_keys", NULL};
    struct shares_wish wish = {0};
    bool backup = false;
    enum kt_kind kind = shares_wish_read(req, "rekey seal configuration", &wish, err);
    if (kind == KT_OK)
        kind = shares_refuse_pgp(req, pgp_fields, err);
    if (kind == KT_OK)
        kind = request_bool(req, "require_verification", &plan->verify, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "backup", &backup, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (backup)
        return kt_fail(err, KT_INVALID,
                       "cannot request a backup of the new keys without providing PGP keys for encryption");
    plan->shares = wish.shares;
    plan->threshold = wish.threshold;
    return KT_OK;
}

enum kt_kind sys_rekey_begin(struct request *req, struct kt_err *err)
{
    struct ceremony_plan *plan = kt_arena_take(&req->arena, sizeof *plan);
    if (plan == NULL || !shares_reserve(req, 0))
        return kt_fail(err, KT_NO_MEMORY, "beginning a rekey");
    enum kt_kind kind = ceremony_refuse_second(req->core->barrier, CEREMONY_REKEY, err);
    if (kind == KT_OK)
        kind = read_plan(req, plan, err);
    if (kind != KT_OK)
        return kind;
    req->handler_data = plan;
    req->defer = do_begin;
    return KT_OK;
}

static enum kt_kind read_nonce(struct request *req, const char **ret, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "nonce", ret, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind do_cancel(struct request *req, struct kt_err *err)
{
    const char *nonce = NULL;
    enum kt_kind kind = read_nonce(req, &nonce, err);
    return kind == KT_OK ? ceremony_cancel(req->core->barrier, CEREMONY_REKEY, nonce, err) : kind;
}

enum kt_kind sys_rekey_cancel(struct request *req, struct kt_err *err)
{
    const char *nonce = NULL;
    bool there = false;
    enum kt_kind kind = read_nonce(req, &nonce, err);
    if (kind == KT_OK)
        kind = ceremony_refuse_cancel(req->core->barrier, CEREMONY_REKEY, nonce, &there, err);
    if (kind == KT_OK && there)
        req->defer = do_cancel;
    return kind;
}

static enum kt_kind do_verify_again(struct request *req, struct kt_err *err)
{
    const char *nonce = NULL;
    enum kt_kind kind = read_nonce(req, &nonce, err);
    if (kind == KT_OK)
        kind = ceremony_verify_again(req->core->barrier, nonce, err);
    return kind == KT_OK ? write_verify_status(req, err) : kind;
}

enum kt_kind sys_rekey_verify_again(struct request *req, struct kt_err *err)
{
    const char *nonce = NULL;
    enum kt_kind kind = read_nonce(req, &nonce, err);
    if (kind == KT_OK)
        kind = ceremony_refuse_verify_again(req->core->barrier, nonce, err);
    if (kind == KT_OK)
        req->defer = do_verify_again;
    return kind;
}

/* ---- shares of the current key ---- */

static void write_new_shares(struct request *req, const struct share_step *step,
                             const struct ceremony_status *s,
                             unsigned char keys[][SHAMIR_SHARE_BYTES])
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "nonce", step->nonce);
    kt_jsonw_kv_bool(&w, "complete", true);
    shares_write(&w, s->plan.shares, keys);
    kt_jsonw_kv_null(&w, "pgp_fingerprints");
    kt_jsonw_kv_bool(&w, "backup", false);
    kt_jsonw_kv_bool(&w, "verification_required", s->plan.verify);
    if (s->verifying)
        kt_jsonw_kv_text(&w, "verification_nonce", s->verify_nonce);
    kt_jsonw_kv_text(&w, "key_set_id", s->proposed_id);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

static enum kt_kind more_old(struct request *req, struct share_step *step, struct kt_err *err)
{
    (void)step;
    (void)err;
    write_status(req);
    return KT_OK;
}

/* With verification nothing changes yet: the shares are told now, once. */
static enum kt_kind enough_old(struct request *req, struct share_step *step, struct kt_err *err)
{
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    if (!s.plan.verify) {
        req->defer_again = true;
        return KT_OK;
    }
    unsigned char(*keys)[SHAMIR_SHARE_BYTES] = shares_room(req);
    if (keys == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making new key shares");
    enum kt_kind kind = ceremony_hand_out(req->core->barrier, step->nonce, keys, err);
    if (kind != KT_OK)
        return kind;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    write_new_shares(req, step, &s, keys);
    return KT_OK;
}

/* Whether the disk has the new record nobody knows: who gave the last share gets the new ones, too, for
 * one of the two sets unseals, and sys/seal-status says which ("key_set_id"). */
static void rekeyed(struct request *req, const struct commit_result *result)
{
    share_step_committed(req, result);
    req->reply.explains = result->error == STORE_UNKNOWN;
}

static enum kt_kind commit_old(struct request *req, struct share_step *step, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char(*keys)[SHAMIR_SHARE_BYTES] = shares_room(req);
    if (batch == NULL || keys == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making new key shares");
    enum kt_kind kind = ceremony_claim_rekey(req->core->barrier, step->nonce, batch, keys, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = rekeyed;
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    kind = key_set_put(req->core, batch, s.proposed_id, req->now_ms, err);
    if (kind != KT_OK)
        return kind;
    write_new_shares(req, step, &s, keys);
    return KT_OK;
}

enum kt_kind sys_rekey_update(struct request *req, struct kt_err *err)
{
    static const struct share_step_kind kind = {CEREMONY_REKEY, false, more_old, enough_old,
                                                commit_old};
    return share_step_run(req, &kind, err);
}

/* ---- the new shares come back ---- */

static enum kt_kind more_new(struct request *req, struct share_step *step, struct kt_err *err)
{
    (void)step;
    return write_verify_status(req, err);
}

static enum kt_kind commit_new(struct request *req, struct share_step *step, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing the key shares");
    enum kt_kind kind = ceremony_claim_rekey(req->core->barrier, step->nonce, batch, NULL, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = share_step_committed;
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_REKEY, &s);
    kind = key_set_put(req->core, batch, s.proposed_id, req->now_ms, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "nonce", step->nonce);
    kt_jsonw_kv_bool(&w, "complete", true);
    kt_jsonw_kv_text(&w, "key_set_id", s.proposed_id);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}

enum kt_kind sys_rekey_verify(struct request *req, struct kt_err *err)
{
    static const struct share_step_kind kind = {CEREMONY_REKEY, true, more_new, NULL, commit_new};
    return share_step_run(req, &kind, err);
}

/* ---- what there is not ---- */

enum kt_kind sys_rekey_backup_read(struct request *req, struct kt_err *err)
{
    (void)req;
    return kt_fail(err, KT_INVALID, "no backed-up keys found");
}

enum kt_kind sys_rekey_backup_delete(struct request *req, struct kt_err *err)
{
    (void)req;
    (void)err;
    return KT_OK;
}

enum kt_kind sys_rekey_recovery(struct request *req, struct kt_err *err)
{
    (void)req;
    return kt_fail(err, KT_INVALID, "recovery rekeying not supported");
}
