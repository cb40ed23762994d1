#include <ctype.h>
#include <stdlib.h>

#include "lib/token_text.h"
#include "vaultd/auth/token_reply.h"
#include "vaultd/auth/token_routes.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/policy/policies.h"

#define POLICIES_MAX 64u
#define META_MAX     65536u
#define ID_MAX       1024u
#define NAME_MAX_BYTES 1024u /* of display_name */

/* What the caller asks for. */
struct wish {
    const char *id, *display_name, *type;
    struct string_list policies;
    bool has_policies, no_parent, no_default, renewable;
    struct kt_bytes meta;
    int64_t ttl_s, period_s, explicit_max_ttl_s, num_uses;
};

static bool failed(enum kt_kind kind)
{
    return kind != KT_OK && kind != KT_NOT_FOUND;
}

static enum kt_kind read_wish(struct request *req, struct wish *wish, struct kt_err *err)
{
    *wish = (struct wish){.id = "", .display_name = "", .type = "", .renewable = true};
    enum kt_kind kind = request_list(req, "policies", false, &wish->policies, err);
    wish->has_policies = kind == KT_OK && wish->policies.n > 0;
    if (failed(kind))
        return kind;
    const enum kt_kind kinds[] = {
        request_string(req, "id", &wish->id, err),
        request_string(req, "display_name", &wish->display_name, err),
        request_string(req, "type", &wish->type, err),
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

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool contains(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static char *lowered(struct kt_arena *arena, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    char *name = kt_arena_text(arena, kt_bytes(text, len));
    for (char *c = name; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

/* Lowered, trimmed, unique, sorted; "root" is alone. */
static enum kt_kind normalise(struct request *req, struct token *token, struct kt_err *err)
{
    const char **list = kt_arena_take(&req->arena, (token->n_policies + 1) * sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");
    size_t n = 0;
    for (size_t i = 0; i < token->n_policies; i++) {
        char *name = lowered(&req->arena, token->policies[i]);
        if (name == NULL)
            return kt_fail(err, KT_NO_MEMORY, "making a token");
        if (strcmp(name, "response-wrapping") == 0)
            return kt_fail(err, KT_INVALID, "cannot assign policy \"response-wrapping\"");
        if (name[0] != '\0' && !contains(list, n, name))
            list[n++] = name;
        if (n > POLICIES_MAX)
            return kt_fail(err, KT_INVALID, "a token has at most %u policies", POLICIES_MAX);
    }
    if (contains(list, n, "root")) {
        list[0] = "root";
        n = 1;
        token->is_root = true;
    }
    qsort(list, n, sizeof *list, by_text);
    token->policies = list;
    token->n_policies = n;
    return KT_OK;
}

static enum kt_kind choose_policies(struct request *req, const struct wish *wish,
                                    struct token *token, struct kt_err *err)
{
    const struct token *parent = req->token;
    size_t n = wish->has_policies ? wish->policies.n : parent->n_policies;
    const char **list = kt_arena_take(&req->arena, (n + 2) * sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");
    for (size_t i = 0; i < n; i++)
        list[i] = wish->has_policies ? wish->policies.at[i] : parent->policies[i];
    token->policies = list;
    token->n_policies = n;
    enum kt_kind kind = normalise(req, token, err);
    if (kind != KT_OK)
        return kind;
    if (!req->sudo)
        for (size_t i = 0; i < token->n_policies; i++)
            if (!contains(parent->policies, parent->n_policies, token->policies[i]))
                return kt_fail(err, KT_INVALID, "child policies must be subset of parent");
    /* Else "sudo" on this path would be as good as root. */
    if (token->is_root && !parent->is_root)
        return kt_fail(err, KT_INVALID,
                       "root tokens may not be created without parent token being root");
    bool may_default = req->sudo || contains(parent->policies, parent->n_policies, "default");
    if (wish->no_default || token->is_root || !may_default)
        return KT_OK;
    for (size_t i = 0; i < token->n_policies; i++)
        list[i] = token->policies[i];
    list[token->n_policies] = "default";
    token->policies = list;
    token->n_policies++;
    return normalise(req, token, err);
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
                                       .created_ms = req->now_ms,
                                       .now_ms = req->now_ms,
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

/* As it was looked at: one that was revoked alone meanwhile is still there, but must not have new
 * children. */
static void require_parent(struct request *req, struct batch *batch)
{
    unsigned char key[BARRIER_HASH_KEY];
    token_key(req->token->hash, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), req->token->changed);
}

static enum kt_kind create(struct request *req, bool orphan_route, struct kt_err *err)
{
    struct wish wish;
    enum kt_kind kind = read_wish(req, &wish, err);
    if (kind == KT_OK)
        kind = check_type(&wish, err);
    if (kind == KT_OK)
        kind = check_id(&wish, err);
    if (kind == KT_OK)
        kind = check_rights(req, &wish, orphan_route, err);
    if (kind == KT_OK)
        kind = check_duplicate(req, &wish, err);
    if (kind != KT_OK)
        return kind;
    bool orphan = wish.no_parent || orphan_route;
    struct token token = {.display_name = display_name(req, &wish),
                          .entity_id = orphan ? "" : req->token->entity_id,
                          .path = orphan_route ? "auth/token/create-orphan" : "auth/token/create",
                          .meta = wish.meta.len > 0 ? wish.meta : kt_str("null"),
                          .created_ms = req->now_ms,
                          .explicit_max_ttl_s = wish.explicit_max_ttl_s,
                          .period_s = wish.period_s,
                          .num_uses = wish.num_uses,
                          .has_parent = !orphan};
    if (!orphan)
        memcpy(token.parent, req->token->hash, sizeof token.parent);
    kind = choose_policies(req, &wish, &token, err);
    if (kind == KT_OK)
        kind = choose_life(req, &wish, &token, err);
    if (kind == KT_OK)
        kind = warn_missing(req, &token, err);
    struct batch *batch = request_batch(req);
    if (kind == KT_OK && batch == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "making a token");
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    if (!orphan)
        require_parent(req, batch);
    kind = token_create(req->core, &req->arena, batch, &token, kt_str(wish.id), &text, err);
    if (kind != KT_OK)
        return kind;
    if (wish.id[0] != '\0')
        request_warn(req, "Supplying a custom ID for the token uses the weaker SHA1 hashing instead "
                          "of the more secure SHA2-256 HMAC for token obfuscation in other servers; "
                          "here every token is kept as a keyed BLAKE2b hash");
    return token_reply_auth(req, &token, kt_buf_bytes(&text), token.creation_ttl_s, err);
}

enum kt_kind token_route_create(struct request *req, struct kt_err *err)
{
    return create(req, false, err);
}

enum kt_kind token_route_create_orphan(struct request *req, struct kt_err *err)
{
    return create(req, true, err);
}
