#include <ctype.h>

#include "lib/token_text.h"
#include "vaultd/auth/cidr_list.h"
#include "vaultd/auth/named.h"
#include "vaultd/auth/policy_names.h"
#include "vaultd/auth/token_reply.h"
#include "vaultd/auth/token_role.h"
#include "vaultd/auth/token_routes.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/policy/policies.h"

#define META_MAX     65536u
#define ID_MAX       1024u
#define NAME_MAX_BYTES 1024u /* of display_name */

/* What the caller asks for. */
struct wish {
    const char *id, *display_name, *type, *entity_alias;
    struct string_list policies;
    const struct token_role *role; /* NULL: without one */
    bool no_parent, no_default, renewable;
    struct kt_bytes meta;
    int64_t ttl_s, period_s, explicit_max_ttl_s, num_uses;
};

static bool failed(enum kt_kind kind)
{
    return kind != KT_OK && kind != KT_NOT_FOUND;
}

static enum kt_kind read_wish(struct request *req, struct wish *wish, struct kt_err *err)
{
    *wish = (struct wish){.id = "", .display_name = "", .type = "", .entity_alias = "", .renewable = true};
    enum kt_kind kind = request_list(req, "policies", false, &wish->policies, err);
    if (failed(kind))
        return kind;
    const enum kt_kind kinds[] = {
        request_string(req, "id", &wish->id, err),
        request_string(req, "display_name", &wish->display_name, err),
        request_string(req, "type", &wish->type, err),
        request_string(req, "entity_alias", &wish->entity_alias, err),
        request_bool(req, "no_parent", &wish->no_parent, err),
        request_bool(req, "no_default_policy", &wish->no_default, err),
        request_bool(req, "renewable", &wish->renewable, err),
        request_pairs(req, "meta", &wish->meta, err),
        request_duration_s(req, "period", &wish->period_s, err),
        request_duration_s(req, "explicit_max_ttl", &wish->explicit_max_ttl_s, err),
        request_int(req, "num_uses", &wish->num_uses, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (failed(kinds[i]))
            return kinds[i];
    kind = request_duration_s(req, "ttl", &wish->ttl_s, err);
    if (kind == KT_NOT_FOUND)
        kind = request_duration_s(req, "lease", &wish->ttl_s, err);
    return failed(kind) ? kind : KT_OK;
}

static enum kt_kind check_type(const struct wish *wish, struct kt_err *err)
{
    if (strcmp(wish->type, "batch") == 0)
        return kt_fail(err, KT_INVALID, "batch tokens are not offered by this version");
    if (wish->type[0] != '\0' && strcmp(wish->type, "service") != 0)
        return kt_fail(err, KT_INVALID, "invalid 'token_type' value");
    if (wish->entity_alias[0] != '\0')
        return kt_fail(err, KT_INVALID, "'entity_alias' is not offered by this version: a token is of whose who "
                                        "made it is, or nobody's");
    if (wish->num_uses < 0)
        return kt_fail(err, KT_INVALID, "number of uses cannot be negative");
    if (strlen(wish->display_name) > NAME_MAX_BYTES)
        return kt_fail(err, KT_INVALID, "\"display_name\" is longer than %u bytes", NAME_MAX_BYTES);
    if (wish->meta.len > META_MAX)
        return kt_fail(err, KT_INVALID, "\"meta\" is larger than %u bytes", META_MAX);
    return KT_OK;
}

static enum kt_kind check_id(const struct wish *wish, struct kt_err *err)
{
    if (wish->id[0] == '\0')
        return KT_OK;
    if (strlen(wish->id) > ID_MAX)
        return kt_fail(err, KT_INVALID, "custom token ID is longer than %u bytes", ID_MAX);
    if (kt_token_form(kt_str(wish->id)) == KT_TOKEN_DAMAGED)
        return kt_fail(err, KT_INVALID, "the id looks like a token with a wrong checksum");
    if (strchr(wish->id, '.') != NULL)
        return kt_fail(err, KT_INVALID, "custom token ID cannot contain the '.' character");
    for (const char *c = wish->id; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return kt_fail(err, KT_INVALID,
                           "custom token ID cannot contain spaces or control characters: no header "
                           "could carry it");
    return KT_OK;
}

static enum kt_kind need_sudo(const struct request *req, bool wanted, const char *what,
                              struct kt_err *err)
{
    if (!wanted || req->sudo)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "root or sudo privileges required to %s", what);
}

static enum kt_kind check_subset(const struct string_list *wanted, const struct string_list *parent,
                                 struct kt_err *err)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (!policy_names_have(parent, wanted->at[i]))
            return kt_fail(err, KT_INVALID, "child policies must be subset of parent");
    return KT_OK;
}

/* Without a role: the parent's, or what is asked for of them; whoever has sudo here may give any. */
static enum kt_kind own_policies(struct request *req, const struct token_role_ask *ask,
                                 struct string_list *ret, struct kt_err *err)
{
    struct string_list list = ask->named ? *ask->wanted : *ask->parent;
    enum kt_kind kind = req->sudo ? KT_OK : check_subset(&list, ask->parent, err);
    bool may_default = req->sudo || policy_names_have(ask->parent, "default");
    if (kind == KT_OK && may_default && !ask->no_default && !policy_names_have(&list, "root"))
        kind = policy_names_add(&req->arena, &list, "default", &list, err);
    if (kind == KT_OK)
        *ret = list;
    return kind;
}

static enum kt_kind choose_policies(struct request *req, const struct wish *wish,
                                    struct token *token, struct kt_err *err)
{
    struct string_list wanted = {0}, parent = {0}, list = {0};
    const struct token_role_ask ask = {&wanted, &parent, wish->policies.n > 0, wish->no_default};
    enum kt_kind kind =
        policy_names(&req->arena, wish->policies.at, wish->policies.n, &wanted, err);
    if (kind == KT_OK)
        kind = policy_names(&req->arena, req->token->policies, req->token->n_policies, &parent, err);
    if (kind == KT_OK)
        kind = wish->role != NULL && token_role_gives(wish->role)
                   ? token_role_policies(req, wish->role, &ask, &list, err)
                   : own_policies(req, &ask, &list, err);
    if (kind != KT_OK)
        return kind;
    token->policies = list.at;
    token->n_policies = list.n;
    token->is_root = policy_names_have(&list, "root");
    /* Else "sudo" on this path would be as good as root. */
    if (token->is_root && !req->token->is_root)
        return kt_fail(err, KT_INVALID,
                       "root tokens may not be created without parent token being root");
    return KT_OK;
}

static enum kt_kind warn_missing(struct request *req, const struct token *token,
                                 struct kt_err *err)
{
    for (size_t i = 0; i < token->n_policies; i++) {
        if (strcmp(token->policies[i], "root") == 0)
            continue;
        kt_autobuf struct kt_buf text;
        kt_buf_init(&text, (size_t)2 * 1024 * 1024);
        enum kt_kind kind = policies_text(req->core, req->snapshot, token->policies[i], &text,
                                          NULL, err);
        if (kind == KT_NOT_FOUND || kind == KT_INVALID)
            request_warn(req, "Policy \"%s\" does not exist", token->policies[i]);
        else if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static const char *display_name(struct request *req, const struct wish *wish)
{
    if (wish->display_name[0] == '\0')
        return "token";
    char *name = kt_arena_printf(&req->arena, "token-%s", wish->display_name);
    for (char *c = name; c != NULL && *c != '\0'; c++)
        if (!isalnum((unsigned char)*c))
            *c = '-';
    return name == NULL ? "token" : name;
}

static enum kt_kind choose_life(struct request *req, const struct wish *wish, struct token *token,
                                struct kt_err *err)
{
    const struct token *parent = req->token;
    const struct token_ttl_wish ask = {.ttl_s = wish->ttl_s,
                                       .period_s = wish->period_s,
                                       .explicit_max_ttl_s = wish->explicit_max_ttl_s,
                                       .created_ms = req->life_ms,
                                       .now_ms = req->life_ms,
                                       .root = token->is_root};
    struct token_ttl life = token_ttl(&ask);
    if (token->is_root && life.expires_ms == 0 && parent->expires_ms != 0)
        return kt_fail(err, KT_INVALID,
                       "expiring root tokens cannot create non-expiring root tokens");
    if (life.capped)
        request_warn(req,
                     "TTL of \"%llds\" exceeded the effective max_ttl of \"%llds\"; TTL value is "
                     "capped accordingly",
                     (long long)life.wanted_s, (long long)life.max_s);
    token->expires_ms = life.expires_ms;
    token->creation_ttl_s = life.ttl_s;
    token->renewable = wish->renewable && life.expires_ms != 0;
    return KT_OK;
}

static enum kt_kind check_duplicate(struct request *req, const struct wish *wish,
                                    struct kt_err *err)
{
    if (wish->id[0] == '\0')
        return KT_OK;
    unsigned char key[BARRIER_HASH_KEY];
    barrier_hash_key(req->core->barrier, TABLE_TOKEN, kt_str(wish->id), key);
    const struct token *other = NULL;
    enum kt_kind kind = token_load(req->core, req->snapshot, key + 1, &other, err);
    if (kind == KT_NOT_FOUND && token_leaves_traces(req->snapshot, key + 1))
        return kt_fail(err, KT_INVALID,
                       "cannot create a token with a duplicate ID: the last one of this ID is still "
                       "being removed, try again in a second");
    if (kind == KT_OK)
        return kt_fail(err, KT_INVALID, "cannot create a token with a duplicate ID");
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind check_rights(struct request *req, const struct wish *wish, bool orphan_route,
                                 struct kt_err *err)
{
    enum kt_kind kind = need_sudo(req, wish->no_parent && !orphan_route, "create orphan token", err);
    if (kind == KT_OK)
        kind = need_sudo(req, wish->id[0] != '\0', "specify token id", err);
    if (kind == KT_OK)
        kind = need_sudo(req, wish->period_s > 0, "create periodic token", err);
    if (kind == KT_OK && req->token->num_uses > 0)
        kind = kt_fail(err, KT_INVALID, "restricted use token cannot generate child tokens");
    return kind;
}

/* As it was looked at: one that was revoked meanwhile makes no more tokens, orphans neither. */
static void require_maker(struct request *req, struct batch *batch)
{
    unsigned char key[BARRIER_HASH_KEY];
    token_key(req->token->hash, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), req->token->changed);
}

/* Of two bounds of which 0 is none. */
static int64_t tighter(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static void bound_by_role(struct wish *wish)
{
    const struct token_params *params = &wish->role->params;
    wish->period_s = tighter(wish->period_s, params->period_s);
    wish->explicit_max_ttl_s = tighter(wish->explicit_max_ttl_s, params->explicit_max_ttl_s);
    wish->num_uses = tighter(wish->num_uses, params->num_uses);
    wish->no_parent = wish->no_parent || wish->role->orphan;
    wish->no_default = wish->no_default || params->no_default_policy;
    wish->renewable = wish->renewable && wish->role->renewable;
}

/* A token may not be used from where the one that made it may not; a role that says otherwise gives none. */
static enum kt_kind choose_cidrs(const struct request *req, const struct wish *wish,
                                 struct token *token, struct kt_err *err)
{
    const struct string_list *own = &req->token->bound_cidrs;
    token->bound_cidrs = *own;
    if (wish->role == NULL || wish->role->params.bound_cidrs.n == 0)
        return KT_OK;
    token->bound_cidrs = wish->role->params.bound_cidrs;
    if (!cidr_list_within(&token->bound_cidrs, own))
        return kt_fail(err, KT_INVALID, "the role's token_bound_cidrs go beyond those of this token");
    return KT_OK;
}

/* A longer line would be refused at its first use. */
static enum kt_kind check_line(const struct request *req, bool orphan, struct kt_err *err)
{
    if (orphan || req->token->ancestors < TOKEN_ANCESTORS_MAX)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "a token has at most %u ancestors, and this one has them all",
                  TOKEN_ANCESTORS_MAX);
    kt_hint(err, "make it with one of its ancestors, or as an orphan: auth/token/create-orphan");
    return KT_INVALID;
}

static enum kt_kind fill_token(struct request *req, const struct wish *wish, const char *path,
                               struct token *ret, struct kt_err *err)
{
    bool orphan = wish->no_parent;
    *ret = (struct token){.display_name = display_name(req, wish),
                          .entity_id = orphan ? "" : req->token->entity_id,
                          .path = path,
                          .role = wish->role == NULL ? "" : wish->role->name,
                          .meta = wish->meta.len > 0 ? wish->meta : kt_str("null"),
                          .created_ms = req->life_ms,
                          .explicit_max_ttl_s = wish->explicit_max_ttl_s,
                          .period_s = wish->period_s,
                          .num_uses = wish->num_uses,
                          .has_parent = !orphan};
    if (!orphan)
        memcpy(ret->parent, req->token->hash, sizeof ret->parent);
    enum kt_kind kind = check_line(req, orphan, err);
    if (kind == KT_OK)
        kind = choose_policies(req, wish, ret, err);
    if (kind == KT_OK)
        kind = choose_cidrs(req, wish, ret, err);
    if (kind == KT_OK)
        kind = choose_life(req, wish, ret, err);
    return kind == KT_OK ? warn_missing(req, ret, err) : kind;
}

static enum kt_kind put(struct request *req, const struct wish *wish, struct token *token,
                        struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    require_maker(req, batch);
    enum kt_kind kind =
        token_create(req->core, &req->arena, batch, token, kt_str(wish->id), &text, err);
    if (kind != KT_OK)
        return kind;
    if (wish->id[0] != '\0')
        request_warn(req, "Supplying a custom ID for the token uses the weaker SHA1 hashing instead "
                          "of the more secure SHA2-256 HMAC for token obfuscation in other servers; "
                          "here every token is kept as a keyed BLAKE2b hash");
    return token_reply_auth(req, token, kt_buf_bytes(&text), token->creation_ttl_s, err);
}

static enum kt_kind check_wish(struct request *req, const struct wish *wish, bool orphan_route,
                               struct kt_err *err)
{
    enum kt_kind kind = check_type(wish, err);
    if (kind == KT_OK)
        kind = check_id(wish, err);
    if (kind == KT_OK)
        kind = check_rights(req, wish, orphan_route, err);
    return kind == KT_OK ? check_duplicate(req, wish, err) : kind;
}

enum kt_kind token_route_create(struct request *req, struct kt_err *err)
{
    struct wish wish;
    struct token token;
    enum kt_kind kind = read_wish(req, &wish, err);
    if (kind == KT_OK)
        kind = check_wish(req, &wish, false, err);
    if (kind == KT_OK)
        kind = fill_token(req, &wish, "auth/token/create", &token, err);
    return kind == KT_OK ? put(req, &wish, &token, err) : kind;
}

enum kt_kind token_route_create_orphan(struct request *req, struct kt_err *err)
{
    struct wish wish;
    struct token token;
    enum kt_kind kind = read_wish(req, &wish, err);
    if (kind == KT_OK)
        kind = check_wish(req, &wish, true, err);
    if (kind != KT_OK)
        return kind;
    wish.no_parent = true;
    kind = fill_token(req, &wish, "auth/token/create-orphan", &token, err);
    return kind == KT_OK ? put(req, &wish, &token, err) : kind;
}

/* With a role, whose name is the path's: a field cannot name another one. */
enum kt_kind token_route_create_role(struct request *req, struct kt_err *err)
{
    struct wish wish;
    struct token token;
    struct token_role role;
    const char *name = NULL;
    generation changed = 0;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind == KT_OK)
        kind = token_role_find(req, name, &role, &changed, err);
    if (kind == KT_NOT_FOUND && name != NULL)
        return kt_fail(err, KT_INVALID, "unknown role %s", name);
    if (kind == KT_OK)
        kind = read_wish(req, &wish, err);
    if (kind == KT_OK)
        kind = check_wish(req, &wish, false, err);
    if (kind == KT_OK)
        kind = token_role_require(req, name, changed, err);
    if (kind != KT_OK)
        return kind;
    wish.role = &role;
    bound_by_role(&wish);
    bool suffixed = role.path_suffix[0] != '\0';
    const char *path = kt_arena_printf(&req->arena, "auth/token/create/%s%s%s", name,
                                       suffixed ? "/" : "", role.path_suffix);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");
    kind = fill_token(req, &wish, path, &token, err);
    return kind == KT_OK ? put(req, &wish, &token, err) : kind;
}
