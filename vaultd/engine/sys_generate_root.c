/* A new root token, made when enough holders of key shares agree: sys/generate-root. */
#include "vaultd/engine/sys.h"

#include <sodium.h>

#include "lib/token_text.h"
#include "vaultd/auth/token.h"
#include "vaultd/engine/key_shares.h"
#include "vaultd/engine/share_step.h"

#define PAD_CHARS     KT_TOKEN_CHARS
#define ENCODED_CHARS sodium_base64_ENCODED_LEN(PAD_CHARS, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)

/* ---- how far it is ---- */

struct answer {
    unsigned progress;
    bool complete;
    const char *encoded, *otp; /* "" */
};

/* Every key is always there. */
static void write_answer(struct request *req, const struct answer *answer)
{
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_ROOT, &s);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "nonce", s.nonce);
    kt_jsonw_kv_bool(&w, "started", s.started);
    kt_jsonw_kv_int(&w, "progress", answer->progress);
    kt_jsonw_kv_int(&w, "required", s.required);
    kt_jsonw_kv_bool(&w, "complete", answer->complete);
    kt_jsonw_kv_text(&w, "encoded_token", answer->encoded);
    kt_jsonw_kv_text(&w, "encoded_root_token", answer->encoded);
    kt_jsonw_kv_text(&w, "pgp_fingerprint", "");
    kt_jsonw_kv_text(&w, "otp", answer->otp);
    kt_jsonw_kv_int(&w, "otp_length", PAD_CHARS);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

static void write_status(struct request *req, const char *otp)
{
    struct ceremony_status s;
    ceremony_status(req->core->barrier, CEREMONY_ROOT, &s);
    write_answer(req, &(const struct answer){.progress = s.progress, .encoded = "", .otp = otp});
}

enum kt_kind sys_root_status(struct request *req, struct kt_err *err)
{
    (void)err;
    write_status(req, "");
    return KT_OK;
}

/* ---- begin, cancel ---- */

static enum kt_kind do_begin(struct request *req, struct kt_err *err)
{
    const char *given = req->handler_data;
    char made[PAD_CHARS + 1] = "";
    if (given[0] == '\0')
        kt_base62_random(made, PAD_CHARS);
    const struct ceremony_plan plan = {.pad = kt_str(given[0] == '\0' ? made : given)};
    enum kt_kind kind = ceremony_begin(req->core->barrier, CEREMONY_ROOT, &plan, err);
    if (kind == KT_OK)
        write_status(req, made);
    sodium_memzero(made, sizeof made);
    return kind;
}

enum kt_kind sys_root_begin(struct request *req, struct kt_err *err)
{
    static const char *const pgp_fields[] = {"pgp_key", NULL};
    const char *otp = "";
    enum kt_kind kind = ceremony_refuse_second(req->core->barrier, CEREMONY_ROOT, err);
    if (kind == KT_OK)
        kind = shares_refuse_pgp(req, pgp_fields, err);
    if (kind == KT_OK)
        kind = request_string(req, "otp", &otp, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (otp[0] != '\0' && strlen(otp) != PAD_CHARS) {
        (void)kt_fail(err, KT_INVALID, "OTP string is wrong length");
        kt_hint(err, "it has %u characters; without an otp one is made", PAD_CHARS);
        return KT_INVALID;
    }
    char *copy = kt_arena_text(&req->arena, kt_str(otp));
    if (copy == NULL || !shares_reserve(req, 0))
        return kt_fail(err, KT_NO_MEMORY, "beginning to make a root token");
    req->handler_data = copy;
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
    return kind == KT_OK ? ceremony_cancel(req->core->barrier, CEREMONY_ROOT, nonce, err) : kind;
}

enum kt_kind sys_root_cancel(struct request *req, struct kt_err *err)
{
    const char *nonce = NULL;
    bool there = false;
    enum kt_kind kind = read_nonce(req, &nonce, err);
    if (kind == KT_OK)
        kind = ceremony_refuse_cancel(req->core->barrier, CEREMONY_ROOT, nonce, &there, err);
    if (kind == KT_OK && there)
        req->defer = do_cancel;
    return kind;
}

/* ---- shares ---- */

static enum kt_kind more(struct request *req, struct share_step *step, struct kt_err *err)
{
    (void)step;
    (void)err;
    write_status(req, "");
    return KT_OK;
}

/* The token's text leaves the vault only under the pad. */
static void write_token(struct request *req, struct kt_bytes text, unsigned char pad[PAD_CHARS])
{
    struct ceremony_status s;
    char encoded[ENCODED_CHARS];
    for (size_t i = 0; i < PAD_CHARS; i++)
        pad[i] ^= text.at[i];
    (void)sodium_bin2base64(encoded, sizeof encoded, pad, PAD_CHARS,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    ceremony_status(req->core->barrier, CEREMONY_ROOT, &s);
    write_answer(req, &(const struct answer){
                          .progress = s.required, .complete = true, .encoded = encoded, .otp = ""});
    sodium_memzero(encoded, sizeof encoded);
}

static enum kt_kind commit(struct request *req, struct share_step *step, struct kt_err *err)
{
    unsigned char pad[PAD_CHARS];
    kt_autobuf struct kt_buf token;
    kt_buf_init(&token, 4096);
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a root token");
    enum kt_kind kind = token_create_root(req->core, &req->arena, batch, &token, err);
    if (kind == KT_OK)
        kind = ceremony_claim_root(req->core->barrier, step->nonce, pad, sizeof pad, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = share_step_committed;
    char *copy = kt_arena_text(&req->arena, kt_buf_bytes(&token));
    req->reply.secret_token = kt_bytes(copy, copy == NULL ? 0 : token.len);
    write_token(req, kt_buf_bytes(&token), pad);
    sodium_memzero(pad, sizeof pad);
    return KT_OK;
}

enum kt_kind sys_root_update(struct request *req, struct kt_err *err)
{
    static const struct share_step_kind kind = {CEREMONY_ROOT, false, more, NULL, commit};
    return share_step_run(req, &kind, err);
}
