#include "vaultd/auth/wrapping.h"
#include "vaultd/core/private.h"

/* Wrapping an answer: what any handler said becomes what it would have looked like to the client, and
 * waits under a wrapping token that is committed with the handler's own changes. */

/* A stranger's answers are not wrapped: he would write to the store with each question. A login is
 * no stranger's any more. */
static bool wanted(const struct request *req)
{
    return req->wrap_ttl_s > 0 && req->op != OP_HELP && req->reply.wrap == NULL &&
           (req->token != NULL || req->reply.auth.len > 0) && req->own->wait_on == NULL &&
           !req->own->wants_aside && !req->own->kept;
}

/* Who gave a key share needs no token: the new keys are not handed out bare where a wrapped answer was asked
 * for. */
static bool made_late_for_nobody(const struct request *req)
{
    return req->wrap_ttl_s > 0 && req->token == NULL && req->defer != NULL && req->route != NULL &&
           (req->route->open & (unsigned)req->op) != 0;
}

static bool says_something(const struct reply *reply)
{
    return reply->form == REPLY_ENVELOPE ? !render_nothing(reply) : reply->data.len > 0;
}

/* Of the token that is inside, or of the secret id. */
static struct kt_bytes accessor_inside(struct request *req)
{
    const struct reply *reply = &req->reply;
    bool secret_id = req->mount != NULL && strcmp(req->mount->type, "approle") == 0;
    const char *name = reply->auth.len > 0 ? "accessor" : "secret_id_accessor";
    const struct kt_buf *in = reply->auth.len > 0 ? &reply->auth : &reply->data;
    struct kt_json found = {0};
    if ((reply->auth.len == 0 && !secret_id) || in->len == 0 ||
        !kt_json_member(kt_json_value(kt_buf_bytes(in)), name, &found))
        return kt_bytes(NULL, 0);
    return kt_str(kt_json_text(found, &req->arena));
}

enum kt_kind wrap_reply(struct request *req, struct kt_err *err)
{
    if (!wanted(req) && !made_late_for_nobody(req))
        return KT_OK;
    /* Its answer is only made when nothing more can be committed; sealing has none. */
    if (req->defer != NULL && !req->defer_seals) {
        (void)kt_fail(err, KT_INVALID, "the answer of this path cannot be wrapped");
        kt_hint(err, "leave out X-Vault-Wrap-TTL");
        return KT_INVALID;
    }
    if (!says_something(&req->reply))
        return KT_OK;
    struct kt_bytes accessor = accessor_inside(req);
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, SIZE_MAX / 4);
    render_success(req, false, &body);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_NO_MEMORY, "wrapping an answer");
    if (req->reply.form != REPLY_RAW && body.at[body.len - 1] == '\n')
        body.len--;
    const struct wrapped wrapped = {.ttl_s = req->wrap_ttl_s,
                                    .status = req->own->status,
                                    .creation_path = kt_bytes(req->path, req->path_len),
                                    .accessor = accessor,
                                    .content_type = kt_str(req->own->content_type),
                                    .body = kt_buf_bytes(&body)};
    return wrapping_put(req, &wrapped, err);
}
