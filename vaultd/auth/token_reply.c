#include "vaultd/auth/token_reply.h"

static void write_policies(struct kt_jsonw *w, const char *key, const struct token *token)
{
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = 0; i < token->n_policies; i++)
        kt_jsonw_text(w, token->policies[i]);
    kt_jsonw_end(w);
}

static void write_meta(struct kt_jsonw *w, const char *key, const struct token *token)
{
    kt_jsonw_key(w, key);
    if (token->meta.len == 0 || kt_bytes_is(token->meta, "{}"))
        kt_jsonw_null(w);
    else
        kt_jsonw_raw(w, token->meta);
}

void token_reply_auth(struct request *req, const struct token *token, struct kt_bytes text,
                      int64_t lease_s)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.auth);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "client_token");
    kt_jsonw_bytes(&w, text);
    kt_jsonw_kv_text(&w, "accessor", token->accessor);
    write_policies(&w, "policies", token);
    if (token->n_policies > 0)
        write_policies(&w, "token_policies", token);
    write_meta(&w, "metadata", token);
    kt_jsonw_kv_int(&w, "lease_duration", lease_s);
    kt_jsonw_kv_bool(&w, "renewable", token->renewable && token->expires_ms != 0);
    kt_jsonw_kv_text(&w, "entity_id", token->entity_id);
    kt_jsonw_kv_text(&w, "token_type", "service");
    kt_jsonw_kv_bool(&w, "orphan", !token->has_parent);
    kt_jsonw_kv_null(&w, "mfa_requirement");
    kt_jsonw_kv_int(&w, "num_uses", token->num_uses);
    kt_jsonw_end(&w);
    char *copy = text.len == 0 ? NULL : kt_arena_text(&req->arena, text);
    req->reply.secret_token = kt_bytes(copy, copy == NULL ? 0 : text.len);
}

static void write_times(struct kt_jsonw *w, const struct token *token, int64_t now_ms)
{
    kt_jsonw_kv_int(w, "creation_time", token->created_ms / 1000);
    kt_jsonw_kv_int(w, "creation_ttl", token->creation_ttl_s);
    kt_jsonw_key(w, "expire_time");
    if (token->expires_ms == 0) {
        kt_jsonw_null(w);
    } else {
        char text[KT_TIME_TEXT];
        kt_time_text(token->expires_ms, text);
        kt_jsonw_text(w, text);
    }
    kt_jsonw_kv_int(w, "explicit_max_ttl", token->explicit_max_ttl_s);
    kt_jsonw_kv_time(w, "issue_time", token->created_ms);
    if (token->last_renewal_ms != 0) {
        kt_jsonw_kv_time(w, "last_renewal", token->last_renewal_ms);
        kt_jsonw_kv_int(w, "last_renewal_time", token->last_renewal_ms / 1000);
    }
    if (token->period_s != 0)
        kt_jsonw_kv_int(w, "period", token->period_s);
    int64_t left = token->expires_ms == 0 ? 0 : (token->expires_ms - now_ms) / 1000;
    kt_jsonw_kv_int(w, "ttl", left);
}

void token_reply_lookup(struct request *req, const struct token *token, struct kt_bytes id)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "accessor", token->accessor);
    kt_jsonw_kv_text(&w, "display_name", token->display_name);
    kt_jsonw_kv_text(&w, "entity_id", token->entity_id);
    kt_jsonw_key(&w, "id");
    kt_jsonw_bytes(&w, id);
    write_meta(&w, "meta", token);
    /* Who looks himself up has used the token with that. */
    bool used = token->num_uses > 0 && req->token != NULL &&
                memcmp(token->hash, req->token->hash, sizeof token->hash) == 0;
    kt_jsonw_kv_int(&w, "num_uses", token->num_uses - used);
    kt_jsonw_kv_bool(&w, "orphan", !token->has_parent);
    kt_jsonw_kv_text(&w, "path", token->path);
    write_policies(&w, "policies", token);
    kt_jsonw_kv_bool(&w, "renewable", token->renewable && token->expires_ms != 0);
    write_times(&w, token, req->now_ms);
    kt_jsonw_kv_text(&w, "type", "service");
    kt_jsonw_end(&w);
}
