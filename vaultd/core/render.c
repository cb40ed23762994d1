#include "vaultd/core/private.h"

/* From req->reply to bytes: Vault's envelope (all keys always present, in its order), or a bare
 * body, or Vault's error object. */

static void add_literal(struct kt_buf *out, const char *text)
{
    kt_buf_add(out, text, strlen(text));
}

static void add_warnings(struct kt_buf *out, const struct reply *reply)
{
    if (reply->n_warnings == 0) {
        add_literal(out, "null");
        return;
    }
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_array(&w);
    for (unsigned i = 0; i < reply->n_warnings; i++)
        kt_jsonw_text(&w, reply->warnings[i]);
    kt_jsonw_end(&w);
}

static void add_or_null(struct kt_buf *out, const struct kt_buf *value)
{
    if (value->len == 0)
        add_literal(out, "null");
    else
        kt_buf_add(out, value->at, value->len);
}

static void add_wrap_info(struct kt_buf *out, const struct audit_wrap *wrap)
{
    if (wrap == NULL) {
        add_literal(out, "null");
        return;
    }
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "token");
    kt_jsonw_bytes(&w, wrap->token);
    kt_jsonw_kv_text(&w, "accessor", wrap->accessor);
    kt_jsonw_kv_int(&w, "ttl", wrap->ttl_s);
    kt_jsonw_kv_time(&w, "creation_time", wrap->created_ms);
    kt_jsonw_kv_text(&w, "creation_path", wrap->creation_path);
    if (wrap->wrapped_accessor != NULL)
        kt_jsonw_kv_text(&w, "wrapped_accessor", wrap->wrapped_accessor);
    kt_jsonw_end(&w);
}

/* Members of data once more at the top level, where old clients look for them. */
static void add_lifted(struct kt_buf *out, const struct kt_buf *data)
{
    if (data->len < 3 || data->at[0] != '{')
        return;
    kt_buf_add(out, data->at + 1, data->len - 2);
    kt_buf_add_char(out, ',');
}

static void envelope(struct request *req, bool lift, struct kt_buf *out)
{
    const struct reply *reply = &req->reply;
    kt_buf_add_char(out, '{');
    if (lift && req->route != NULL && (req->route->flags & ROUTE_LIFT) != 0)
        add_lifted(out, &reply->data);
    add_literal(out, "\"request_id\":\"");
    add_literal(out, reply->wrap == NULL ? req->id : ""); /* the one inside has it */
    add_literal(out, "\",\"lease_id\":");
    if (reply->lease_id == NULL) {
        add_literal(out, "\"\"");
    } else {
        struct kt_jsonw w = kt_jsonw(out);
        kt_jsonw_text(&w, reply->lease_id);
    }
    add_literal(out, reply->renewable ? ",\"renewable\":true" : ",\"renewable\":false");
    if (reply->lease_duration_s == 0)
        add_literal(out, ",\"lease_duration\":0");
    else
        kt_buf_printf(out, ",\"lease_duration\":%lld", (long long)reply->lease_duration_s);
    add_literal(out, ",\"data\":");
    add_or_null(out, &reply->data);
    add_literal(out, ",\"wrap_info\":");
    add_wrap_info(out, reply->wrap);
    add_literal(out, ",\"warnings\":");
    add_warnings(out, reply);
    add_literal(out, ",\"auth\":");
    add_or_null(out, &reply->auth);
    add_literal(out, ",\"mount_type\":\"");
    add_literal(out, req->own->mount_type == NULL ? "" : req->own->mount_type);
    add_literal(out, "\"}\n");
}

static void errors(const struct reply *reply, const struct kt_err *err, struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "errors");
    kt_jsonw_array(&w);
    if (err->what[0] != '\0')
        kt_jsonw_text(&w, err->what);
    if (err->hint[0] != '\0')
        kt_jsonw_text(&w, err->hint);
    kt_jsonw_end(&w);
    if (reply->explains && reply->data.len > 0)
        kt_jsonw_kv_raw(&w, "data", kt_buf_bytes(&reply->data));
    kt_jsonw_end(&w);
    kt_buf_add_char(out, '\n');
}

/* A list without keys is 404 with no text, as in Vault. */
static bool empty_list(const struct request *req)
{
    return req->op == OP_LIST && req->reply.form == REPLY_ENVELOPE && req->reply.data.len == 0 &&
           req->reply.n_warnings == 0 && req->reply.wrap == NULL && req->reply.status == 0;
}

bool render_nothing(const struct reply *reply)
{
    return reply->form == REPLY_ENVELOPE && reply->data.len == 0 && reply->auth.len == 0 &&
           reply->n_warnings == 0 && reply->wrap == NULL;
}

void render_success(struct request *req, bool lift, struct kt_buf *out)
{
    struct reply *reply = &req->reply;
    unsigned status = reply->status;
    req->own->content_type = reply->form == REPLY_RAW && reply->content_type != NULL
                                 ? reply->content_type
                                 : "application/json";
    if (reply->form != REPLY_ENVELOPE) {
        kt_buf_add_bytes(out, kt_buf_bytes(&reply->data));
        if (reply->form == REPLY_BARE && reply->data.len > 0)
            kt_buf_add_char(out, '\n');
        req->own->status = status != 0 ? status : 200;
    } else if (render_nothing(reply)) {
        req->own->status = status != 0 ? status : 204;
    } else {
        envelope(req, lift, out);
        req->own->status = status != 0 ? status : 200;
    }
}

bool render_reserve(struct request *req)
{
    const struct reply *reply = &req->reply;
    if (render_nothing(reply))
        return true;
    size_t need = 512 + 2 * reply->data.len + reply->auth.len;
    if (reply->wrap != NULL) /* its path escaped, and what else is in it */
        need += 6 * strlen(reply->wrap->creation_path) + reply->wrap->token.len + 512;
    for (unsigned i = 0; i < reply->n_warnings; i++)
        need += 6 * strlen(reply->warnings[i]) + 3; /* all of it escaped */
    need += reply->lease_id == NULL ? 0 : 6 * strlen(reply->lease_id);
    if (kt_buf_grow(&req->own->body, need) == NULL)
        return false;
    req->own->body.len = 0;
    return true;
}

void render_reply(struct request *req, enum kt_kind kind, const struct kt_err *err)
{
    static const struct kt_err nothing;
    struct kt_buf *out = &req->own->body;
    if (kind == KT_OK && empty_list(req)) {
        kind = KT_NOT_FOUND;
        err = &nothing;
    }
    if (kind == KT_OK) {
        (void)render_reserve(req); /* at once: growing copies and wipes; a failure shows below */
        render_success(req, true, out);
    } else {
        req->own->content_type = "application/json";
        errors(&req->reply, err, out);
        req->own->status = req->reply.status != 0 ? req->reply.status : kt_kind_http(kind);
    }
    if (!kt_buf_ok(out) || !kt_buf_ok(&req->reply.data)) {
        kt_buf_free(out);
        req->own->no_body = true;
        req->own->content_type = "application/json";
        req->own->status = 503;
    }
}
