#include "vaultd/auth/wrapping.h"
#include "vaultd/engine/sys.h"

/* sys/wrapping/: that the token is a wrapping token was seen before (ROUTE_WRAPPING). */

enum kt_kind sys_wrapping_wrap(struct request *req, struct kt_err *err)
{
    if (req->wrap_ttl_s <= 0) {
        (void)kt_fail(err, KT_INVALID, "endpoint requires response wrapping to be used");
        kt_hint(err, "say for how long: X-Vault-Wrap-TTL: 5m");
        return KT_INVALID;
    }
    if (!req->has_data)
        kt_buf_add_text(&req->reply.data, "{}");
    else
        (void)kt_json_compact(req->data, &req->reply.data);
    return KT_OK;
}

enum kt_kind sys_wrapping_lookup(struct request *req, struct kt_err *err)
{
    struct wrapping wrapping;
    struct wrapped wrapped;
    enum kt_kind kind = wrapping_find(req, req->life_ms, &wrapping, err);
    if (kind == KT_OK)
        kind = wrapping_open(req, &wrapping, &wrapped, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "creation_path");
    kt_jsonw_bytes(&w, wrapped.creation_path);
    kt_jsonw_kv_time(&w, "creation_time", wrapped.created_ms);
    kt_jsonw_kv_int(&w, "creation_ttl", wrapped.ttl_s);
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind take(struct request *req, struct wrapped *ret, struct kt_err *err)
{
    struct wrapping wrapping;
    enum kt_kind kind = wrapping_find(req, req->life_ms, &wrapping, err);
    return kind == KT_OK ? wrapping_take(req, &wrapping, ret, err) : kind;
}

/* A token that is handed out with it is recorded as one that was made just now would be. */
static struct kt_bytes token_inside(struct request *req, struct kt_bytes body)
{
    struct kt_json auth = {0}, text = {0};
    if (body.len == 0 || body.at[0] != '{' ||
        !kt_json_member(kt_json_value(body), "auth", &auth) ||
        !kt_json_member(auth, "client_token", &text))
        return kt_bytes(NULL, 0);
    return kt_str(kt_json_text(text, &req->arena));
}

enum kt_kind sys_wrapping_unwrap(struct request *req, struct kt_err *err)
{
    struct wrapped wrapped;
    enum kt_kind kind = take(req, &wrapped, err);
    if (kind != KT_OK)
        return kind;
    bool json = kt_bytes_is(wrapped.content_type, "application/json");
    struct reply *reply = &req->reply;
    reply->status = wrapped.status;
    reply->form = json ? REPLY_BARE : REPLY_RAW;
    reply->content_type = kt_arena_text(&req->arena, wrapped.content_type);
    if (json)
        reply->secret_token = token_inside(req, wrapped.body);
    kt_buf_add_bytes(&reply->data, wrapped.body);
    return KT_OK;
}

/* For as long as the first time, or less if that is asked for. */
enum kt_kind sys_wrapping_rewrap(struct request *req, struct kt_err *err)
{
    struct wrapped wrapped;
    enum kt_kind kind = take(req, &wrapped, err);
    if (kind != KT_OK)
        return kind;
    if (req->wrap_ttl_s > 0 && req->wrap_ttl_s < wrapped.ttl_s)
        wrapped.ttl_s = req->wrap_ttl_s;
    return wrapping_put(req, &wrapped, err);
}
