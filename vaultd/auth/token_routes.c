#include "vaultd/auth/token_routes.h"

#include "vaultd/auth/login.h"
#include "vaultd/auth/token_reply.h"
#include "vaultd/auth/token_role.h"
#include "vaultd/auth/token_tree.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/auth/tokens.h"

/* ---- look up ---- */

static enum kt_kind lookup_self(struct request *req, struct kt_err *err)
{
    return token_reply_lookup(req, req->token, req->token_text, err);
}

static enum kt_kind lookup(struct request *req, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "token", &text, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && text[0] == '\0'))
        return lookup_self(req, err);
    const struct token *token = NULL;
    if (kind == KT_OK)
        kind = token_find(req->core, req->snapshot, kt_str(text), req->life_ms, &token, err);
    if (kind == KT_DENIED)
        return kt_fail(err, KT_DENIED, "bad token");
    return kind == KT_OK ? token_reply_lookup(req, token, kt_str(text), err) : kind;
}

static enum kt_kind find_accessor(struct request *req, const struct token **ret,
                                  struct kt_err *err)
{
    const char *accessor = "";
    enum kt_kind kind = request_string(req, "accessor", &accessor, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && accessor[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing accessor");
    if (kind != KT_OK)
        return kind;
    return token_find_accessor(req->core, req->snapshot, accessor, req->life_ms, ret, err);
}

static enum kt_kind lookup_accessor(struct request *req, struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = find_accessor(req, &token, err);
    return kind == KT_OK ? token_reply_lookup(req, token, kt_bytes(NULL, 0), err) : kind;
}

/* ---- renew ---- */

/* What its new life is measured by. KT_NOT_FOUND: whom the token stands on is gone. */
static enum kt_kind measure(struct request *req, const struct token *token, int64_t increment,
                            struct token_ttl_wish *wish, struct kt_err *err)
{
    *wish = (struct token_ttl_wish){.ttl_s = increment,
                                    .period_s = token->period_s,
                                    .explicit_max_ttl_s = token->explicit_max_ttl_s,
                                    .created_ms = token->created_ms,
                                    .now_ms = req->life_ms};
    if (token->logged_in)
        return login_renewal(req, token, wish, err);
    if (increment == 0)
        wish->ttl_s = token->creation_ttl_s;
    return KT_OK;
}

static enum kt_kind renew(struct request *req, const struct token *token, struct kt_bytes text,
                          struct kt_err *err)
{
    int64_t increment = 0;
    enum kt_kind kind = request_duration_s(req, "increment", &increment, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (token->expires_ms == 0)
        return kt_fail(err, KT_INVALID, "invalid lease ID");
    if (!token->renewable)
        return kt_fail(err, KT_INVALID, "lease is not renewable");
    /* This very request is the last use, by whatever name it calls the token. */
    bool self = memcmp(token->hash, req->token->hash, sizeof token->hash) == 0;
    if (self && token->num_uses == 1)
        return kt_fail(err, KT_INVALID, "the token has no use left that could be renewed");
    struct token_ttl_wish wish;
    kind = measure(req, token, increment, &wish, err);
    if (kind != KT_OK) /* Vault says nothing of who is not there any more; nor is the token renewed */
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (request_waits(req)) /* somebody is asked first: it runs again */
        return KT_OK;
    struct token_ttl life = token_ttl(&wish);
    if (life.past_max)
        return kt_fail(err, KT_INVALID, "past the max TTL, cannot renew");
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "renewing a token");
    if (life.capped)
        request_warn(req,
                     "TTL of \"%llds\" exceeded the effective max_ttl of \"%llds\"; TTL value is "
                     "capped accordingly",
                     (long long)life.wanted_s, (long long)life.max_s);
    struct token renewed = *token;
    renewed.expires_ms = life.expires_ms;
    renewed.last_renewal_ms = req->now_ms;
    renewed.period_s = wish.period_s;
    renewed.role_max_ttl_s = wish.role_max_ttl_s;
    /* The use of a limited token is already in this batch: keep its count. */
    if (self && token->num_uses > 0)
        renewed.num_uses--;
    kind = token_update(req->core, batch, token, &renewed, err);
    return kind == KT_OK ? token_reply_auth(req, &renewed, text, life.ttl_s, err) : kind;
}

static enum kt_kind renew_self(struct request *req, struct kt_err *err)
{
    return renew(req, req->token, req->token_text, err);
}

/* The token whose text the field "token" is. KT_DENIED: there was none such at that time. */
static enum kt_kind find_named(struct request *req, int64_t life_ms, const char **ret_text,
                               const struct token **ret, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "token", &text, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && text[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing token ID");
    if (kind != KT_OK)
        return kind;
    *ret_text = text;
    return token_find(req->core, req->snapshot, kt_str(text), life_ms, ret, err);
}

static enum kt_kind renew_other(struct request *req, struct kt_err *err)
{
    const char *text = "";
    const struct token *token = NULL;
    enum kt_kind kind = find_named(req, req->life_ms, &text, &token, err);
    if (kind == KT_DENIED)
        return kt_fail(err, KT_INVALID, "token not found");
    if (kind != KT_OK)
        return kind;
    return renew(req, token, kt_str(text), err);
}

static enum kt_kind renew_accessor(struct request *req, struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = find_accessor(req, &token, err);
    return kind == KT_OK ? renew(req, token, kt_bytes(NULL, 0), err) : kind;
}

/* ---- revoke ---- */

static enum kt_kind end(struct request *req, const struct token *token, bool keep_children,
                        struct kt_err *err)
{
    /* A token with one use left is ended by this very use. */
    bool self = memcmp(token->hash, req->token->hash, sizeof token->hash) == 0;
    if (self && req->token->num_uses == 1 && !keep_children)
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a token");
    return token_end(req->core, batch, token, keep_children, err);
}

static enum kt_kind revoke_self(struct request *req, struct kt_err *err)
{
    return end(req, req->token, false, err);
}

static enum kt_kind revoke_named(struct request *req, bool keep_children, struct kt_err *err)
{
    const char *text = "";
    const struct token *token = NULL;
    /* One that is over and not swept yet is ended, too: the clock may be set back. */
    enum kt_kind kind = find_named(req, keep_children ? req->life_ms : 0, &text, &token, err);
    if (kind == KT_DENIED && keep_children)
        return kt_fail(err, KT_INVALID, "token to revoke not found");
    if (kind == KT_DENIED)
        return KT_OK;
    return kind == KT_OK ? end(req, token, keep_children, err) : kind;
}

static enum kt_kind revoke(struct request *req, struct kt_err *err)
{
    return revoke_named(req, false, err);
}

static enum kt_kind revoke_orphan(struct request *req, struct kt_err *err)
{
    return revoke_named(req, true, err);
}

static enum kt_kind revoke_accessor(struct request *req, struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = find_accessor(req, &token, err);
    return kind == KT_OK ? end(req, token, false, err) : kind;
}

/* There is nothing to begin: what is over goes by itself. */
static enum kt_kind tidy(struct request *req, struct kt_err *err)
{
    (void)err;
    req->reply.status = 202;
    request_warn(req, "Tokens that are over are refused at once, and removed within seconds: there is nothing to "
                      "start.");
    return KT_OK;
}

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

#define CREATE_FIELDS FIELDS( \
    { "id", FIELD_STRING, "the token's text; needs sudo" }, \
    { "policies", FIELD_LIST, "names of policies" }, \
    { "meta", FIELD_PAIRS, "who it is for" }, \
    { "no_parent", FIELD_BOOL, "an orphan; needs sudo" }, \
    { "no_default_policy", FIELD_BOOL, "without \"default\"" }, \
    { "renewable", FIELD_BOOL, "may be renewed" }, \
    { "ttl", FIELD_DURATION, "how long it lives" }, \
    { "lease", FIELD_DURATION, "old name of ttl" }, \
    { "type", FIELD_STRING, "service" }, \
    { "explicit_max_ttl", FIELD_DURATION, "it never lives longer" }, \
    { "period", FIELD_DURATION, "each renewal gives this long; needs sudo" }, \
    { "num_uses", FIELD_INT, "requests it is good for; 0: any number" }, \
    { "display_name", FIELD_STRING, "for people and the audit log" }, \
    { "entity_alias", FIELD_STRING, "refused: not offered" })

#define ROLE_FIELDS FIELDS( \
    { "allowed_policies", FIELD_COMMA_LIST, "policies that tokens may be given" }, \
    { "disallowed_policies", FIELD_COMMA_LIST, "policies that they may not be given" }, \
    { "allowed_policies_glob", FIELD_COMMA_LIST, "the same with '*'" }, \
    { "disallowed_policies_glob", FIELD_COMMA_LIST, "the same with '*'" }, \
    { "allowed_entity_aliases", FIELD_COMMA_LIST, "kept and shown" }, \
    { "orphan", FIELD_BOOL, "tokens have no parent" }, \
    { "renewable", FIELD_BOOL, "tokens may be renewed" }, \
    { "path_suffix", FIELD_STRING, "behind the role in tokens' paths" }, \
    { "token_bound_cidrs", FIELD_COMMA_LIST, "where tokens may be used from" }, \
    { "token_explicit_max_ttl", FIELD_DURATION, "they never live longer" }, \
    { "token_no_default_policy", FIELD_BOOL, "without the policy \"default\"" }, \
    { "token_num_uses", FIELD_INT, "requests they are good for; 0: any number" }, \
    { "token_period", FIELD_DURATION, "each renewal gives that long" }, \
    { "token_type", FIELD_STRING, "default-service or service" }, \
    { "bound_cidrs", FIELD_COMMA_LIST, "old name of token_bound_cidrs" }, \
    { "explicit_max_ttl", FIELD_DURATION, "old name of token_explicit_max_ttl" }, \
    { "period", FIELD_DURATION, "old name of token_period" })

static const struct route routes[] = {
    { .pattern = "create", .write = token_route_create, .fields = CREATE_FIELDS,
      .help = "Makes a token." },
    { .pattern = "create-orphan", .write = token_route_create_orphan, .fields = CREATE_FIELDS,
      .help = "Makes a token without a parent." },
    { .pattern = "create/{role}", .flags = ROUTE_TO_LOWER, .write = token_route_create_role,
      .fields = CREATE_FIELDS, .help = "Makes a token in a role's name, within its bounds." },
    { .pattern = "roles", .list = token_role_list, .help = "Names of the roles." },
    { .pattern = "roles/{role}", .flags = ROUTE_TO_LOWER, .read = token_role_read,
      .write = token_role_write, .delete_ = token_role_delete, .exists = token_role_exists,
      .fields = ROLE_FIELDS, .help = "A role: which tokens may be made in its name." },
    { .pattern = "lookup", .read = lookup, .write = lookup,
      .fields = FIELDS({ "token", FIELD_STRING, "which; absent: this one" }),
      .help = "What is known of a token." },
    { .pattern = "lookup-self", .flags = ROUTE_ANY_FIELDS, .read = lookup_self, .write = lookup_self,
      .help = "What is known of this token." },
    { .pattern = "lookup-accessor", .write = lookup_accessor,
      .fields = FIELDS({ "accessor", FIELD_STRING, "whose" }),
      .help = "What is known of an accessor's token." },
    { .pattern = "renew", .write = renew_other,
      .fields = FIELDS({ "token", FIELD_STRING, "which" }, { "increment", FIELD_DURATION, "how long" }),
      .help = "Lets a token live on." },
    { .pattern = "renew-self", .write = renew_self,
      .fields = FIELDS({ "increment", FIELD_DURATION, "how long" }, { "token", FIELD_STRING, "ignored" }),
      .help = "Lets this token live on." },
    { .pattern = "renew-accessor", .write = renew_accessor,
      .fields = FIELDS({ "accessor", FIELD_STRING, "whose" }, { "increment", FIELD_DURATION, "how long" }),
      .help = "Lets an accessor's token live on." },
    { .pattern = "revoke", .write = revoke, .fields = FIELDS({ "token", FIELD_STRING, "which" }),
      .help = "Ends a token and all made with it." },
    { .pattern = "revoke-self", .flags = ROUTE_ANY_FIELDS, .write = revoke_self,
      .help = "Ends this token and all made with it." },
    { .pattern = "revoke-accessor", .write = revoke_accessor,
      .fields = FIELDS({ "accessor", FIELD_STRING, "whose" }),
      .help = "Ends an accessor's token and all made with it." },
    { .pattern = "revoke-orphan", .flags = ROUTE_SUDO, .write = revoke_orphan,
      .fields = FIELDS({ "token", FIELD_STRING, "which" }),
      .help = "Ends a token; its children live on as orphans." },
    { .pattern = "tidy", .write = tidy, .help = "Nothing is left to tidy." },
    { .pattern = "accessors", .flags = ROUTE_SUDO, .list = token_accessors,
      .help = "The accessors of all tokens." },
    { .pattern = "tree", .flags = ROUTE_SUDO, .read = token_tree,
      .help = "All tokens, each with the one that it ends with." },
};
/* clang-format on */

const struct engine token_engine = {
    .type = "token",
    .help = "Tokens: make, look up, renew, revoke.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
