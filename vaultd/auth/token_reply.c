#include "vaultd/auth/token_reply.h"

#include "vaultd/auth/token_params.h"
#include "vaultd/identity/identity.h"

static void write_names(struct kt_jsonw *w, const char *key, const char *const *names, size_t n)
{
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(w, names[i]);
    kt_jsonw_end(w);
}

/* Two sorted lists as one. */
static void write_both(struct kt_jsonw *w, const char *key, const struct token *token,
                       const struct identity *identity)
{
    const char *const *more = identity == NULL ? NULL : identity->policies;
    size_t i = 0, j = 0, n = more == NULL ? 0 : identity->n_policies;
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    while (i < token->n_policies || j < n) {
        int order = i == token->n_policies ? 1
                    : j == n               ? -1
                                           : strcmp(token->policies[i], more[j]);
        kt_jsonw_text(w, order <= 0 ? token->policies[i] : more[j]);
        i += order <= 0;
        j += order >= 0;
    }
    kt_jsonw_end(w);
}

/* Whose the token is, with a reference; NULL: it has no entity, or one that is disabled or gone. A login
 * has set the request's, which is not committed yet. */
static enum kt_kind identity_for(struct request *req, const struct token *token,
                                 const struct identity **ret, struct kt_err *err)
{
    *ret = NULL;
    if (token->entity_id[0] == '\0')
        return KT_OK;
    if (req->identity != NULL && strcmp(req->identity->entity->id, token->entity_id) == 0) {
        *ret = identity_ref(req->identity);
        return KT_OK;
    }
    enum kt_kind kind = identity_find(req->core, req->snapshot, token->entity_id, ret, err);
    return kind == KT_DENIED ? KT_OK : kind;
}

static void write_meta(struct kt_jsonw *w, const char *key, const struct token *token)
{
    kt_jsonw_key(w, key);
    if (token->meta.len == 0 || kt_bytes_is(token->meta, "{}"))
        kt_jsonw_null(w);
    else
        kt_jsonw_raw(w, token->meta);
}

static void write_identity_policies(struct kt_jsonw *w, const struct identity *identity)
{
    if (identity != NULL && identity->n_policies > 0)
        write_names(w, "identity_policies", identity->policies, identity->n_policies);
}

enum kt_kind token_reply_auth(struct request *req, const struct token *token, struct kt_bytes text,
                              int64_t lease_s, struct kt_err *err)
{
    const struct identity *identity = NULL;
    enum kt_kind kind = identity_for(req, token, &identity, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.auth);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "client_token");
    kt_jsonw_bytes(&w, text);
    kt_jsonw_kv_text(&w, "accessor", token->accessor);
    write_both(&w, "policies", token, identity);
    if (token->n_policies > 0)
        write_names(&w, "token_policies", token->policies, token->n_policies);
    write_identity_policies(&w, identity);
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
    identity_unref(identity);
    return KT_OK;
}

static void write_times(struct kt_jsonw *w, const struct token *token, const struct request *req)
{
    kt_jsonw_kv_int(w, "creation_time", request_wall_time(req, token->created_ms) / 1000);
    kt_jsonw_kv_int(w, "creation_ttl", token->creation_ttl_s);
    kt_jsonw_key(w, "expire_time");
    if (token->expires_ms == 0) {
        kt_jsonw_null(w);
    } else {
        char text[KT_TIME_TEXT];
        kt_time_text(request_wall_time(req, token->expires_ms), text);
        kt_jsonw_text(w, text);
    }
    kt_jsonw_kv_int(w, "explicit_max_ttl", token->explicit_max_ttl_s);
    kt_jsonw_kv_time(w, "issue_time", request_wall_time(req, token->created_ms));
    if (token->last_renewal_ms != 0) {
        kt_jsonw_kv_time(w, "last_renewal", token->last_renewal_ms);
        kt_jsonw_kv_int(w, "last_renewal_time", token->last_renewal_ms / 1000);
    }
    if (token->period_s != 0)
        kt_jsonw_kv_int(w, "period", token->period_s);
    int64_t left = token->expires_ms == 0 ? 0 : (token->expires_ms - req->life_ms) / 1000;
    kt_jsonw_kv_int(w, "ttl", left);
}

enum kt_kind token_reply_lookup(struct request *req, const struct token *token, struct kt_bytes id,
                                struct kt_err *err)
{
    const struct identity *identity = NULL;
    enum kt_kind kind = identity_for(req, token, &identity, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "accessor", token->accessor);
    if (token->bound_cidrs.n > 0)
        token_params_list(&w, "bound_cidrs", &token->bound_cidrs);
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
    write_names(&w, "policies", token->policies, token->n_policies);
    write_identity_policies(&w, identity);
    kt_jsonw_kv_bool(&w, "renewable", token->renewable && token->expires_ms != 0);
    if (!token->logged_in && token->role[0] != '\0')
        kt_jsonw_kv_text(&w, "role", token->role);
    write_times(&w, token, req);
    kt_jsonw_kv_text(&w, "type", "service");
    kt_jsonw_end(&w);
    identity_unref(identity);
    return KT_OK;
}
