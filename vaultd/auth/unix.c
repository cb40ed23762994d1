/* auth/unix: processes of this host, known by the Unix socket that they came over.
 *
 * The kernel says of which user and groups a process was when it connected; users and groups have policies
 * by their number. Nothing is shown, so nothing can be stolen or guessed; who can become the user can log
 * in as him. Numbers alone: vaultd asks nobody for names. How long tokens live is the mount's.
 *
 * A renewal comes over the socket, too, from a process of the same user, and is given for the groups that
 * it has then.
 * Format: maps.h's. */
#include "vaultd/auth/unix.h"

#include "lib/num.h"
#include "vaultd/auth/login.h"
#include "vaultd/auth/maps.h"

/* Whom the kernel cannot name here: users and groups of containers that are mapped to nobody on this host.
 * No record can have that number. */
#define OVERFLOW_ID 65534u
#define ID_TEXT     11u

/* ---- who it is ---- */

static enum kt_kind id_text(struct request *req, uint32_t id, const char **ret, struct kt_err *err)
{
    char *text = kt_arena_printf(&req->arena, "%u", id);
    *ret = text;
    return text == NULL ? kt_fail(err, KT_NO_MEMORY, "logging in") : KT_OK;
}

static enum kt_kind refuse(struct kt_err *err, const char *why, const char *hint)
{
    (void)kt_fail(err, KT_INVALID, "%s", why);
    kt_hint(err, "%s", hint);
    return KT_INVALID;
}

static enum kt_kind check_peer(const struct request *req, struct kt_err *err)
{
    if (req->origin != ORIGIN_UNIX || req->peer_uid == UINT32_MAX)
        return refuse(err, "this way to log in is the vault's Unix socket alone",
                      "set VAULT_ADDR to unix:// and the path of a listener \"unix\" of this host");
    if (req->peer_groups == NULL)
        return refuse(err, "the groups of this process are not known",
                      "a process in more than 1,023 groups cannot log in this way");
    if (req->peer_uid == OVERFLOW_ID)
        return refuse(err, "the user of this process has no number on this host",
                      "log in from outside of its user namespace, or map the user");
    return KT_OK;
}

static enum kt_kind find_who(struct request *req, struct map_who *ret, struct kt_err *err)
{
    const struct peer_groups *groups = req->peer_groups;
    *ret = (struct map_who){0};
    enum kt_kind kind = check_peer(req, err);
    if (kind == KT_OK)
        kind = id_text(req, req->peer_uid, &ret->user, err);
    if (kind != KT_OK)
        return kind;
    const char **texts = kt_arena_take(&req->arena, (groups->n + 1) * sizeof *texts);
    if (texts == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    ret->groups.at = texts;
    for (size_t i = 0; kind == KT_OK && i < groups->n; i++)
        kind = id_text(req, groups->at[i], &texts[ret->groups.n++], err);
    return kind;
}

/* ---- logging in ---- */

static enum kt_kind unknown(const struct map_who *who, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "neither user %s nor a group of his may log in here", who->user);
    kt_hint(err, "users/%s or groups/GID below the path of this way takes \"policies\"", who->user);
    return KT_INVALID;
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    struct map_who who;
    struct token_params params = {0};
    enum kt_kind kind = find_who(req, &who, err);
    if (kind == KT_OK)
        kind = map_policies(req, req->mount->scope, &who, &params.policies, err);
    if (kind == KT_NOT_FOUND)
        return unknown(&who, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, 256);
    struct kt_jsonw w = kt_jsonw(&meta);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "uid", who.user);
    kt_jsonw_kv_text(&w, "gid", who.groups.n > 0 ? who.groups.at[0] : "");
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&meta))
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    const struct login granted = {.name = who.user,
                                  .alias = who.user,
                                  .role = who.user,
                                  .meta = kt_buf_bytes(&meta),
                                  .params = &params};
    return login_grant(req, &granted, err);
}

static enum kt_kind renewed(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret, struct kt_err *err)
{
    struct map_who who;
    *ret = (struct token_params){0};
    enum kt_kind kind = find_who(req, &who, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(who.user, token->role) != 0)
        return kt_fail(err, KT_DENIED, "permission denied");
    return map_policies(req, mount->scope, &who, &ret->policies, err);
}

/* ---- users and groups ---- */

/* As the kernel's number is written: else "07" would be another name of 7. */
static bool is_id(const char *text)
{
    uint64_t id = 0;
    return strlen(text) < ID_TEXT && (text[0] != '0' || text[1] == '\0') &&
           kt_u64_parse(kt_str(text), UINT32_MAX - 1, &id) && id != OVERFLOW_ID;
}

static enum kt_kind which(struct request *req, enum named_kind of, struct named *ret,
                          struct kt_err *err)
{
    const char *param = of == NAMED_USERS ? "uid" : "gid";
    *ret = (struct named){req->mount->scope, request_param(req, param), of};
    if (is_id(ret->name))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "\"%s\" is a number from 0 to 4294967294, but not 65534", param);
    kt_hint(err, "id NAME says the numbers of a user of this host, getent group NAME that of a group");
    return KT_INVALID;
}

typedef enum kt_kind map_fn(struct request *req, const struct named *which, struct kt_err *err);

static enum kt_kind with(struct request *req, enum named_kind of, map_fn *call, struct kt_err *err)
{
    struct named one;
    enum kt_kind kind = which(req, of, &one, err);
    return kind == KT_OK ? call(req, &one, err) : kind;
}

static enum kt_kind exists(struct request *req, enum named_kind of, bool *ret_exists,
                           struct kt_err *err)
{
    struct named one;
    struct kt_err ignored = {0};
    *ret_exists = false;
    if (which(req, of, &one, &ignored) != KT_OK) /* the handler says it */
        return KT_OK;
    return map_exists(req, &one, ret_exists, err);
}

/* clang-format off */
#define HANDLERS(one, many, of)                                                                    \
    static enum kt_kind list_##many(struct request *req, struct kt_err *err) { return named_list(req, req->mount->scope, of, err); } \
    static enum kt_kind read_##one(struct request *req, struct kt_err *err) { return with(req, of, map_read, err); }    \
    static enum kt_kind write_##one(struct request *req, struct kt_err *err) { return with(req, of, map_write, err); }  \
    static enum kt_kind delete_##one(struct request *req, struct kt_err *err) { return with(req, of, map_delete, err); } \
    static enum kt_kind one##_exists(struct request *req, bool *ret, struct kt_err *err) { return exists(req, of, ret, err); }
HANDLERS(user, users, NAMED_USERS)
HANDLERS(group, groups, NAMED_GROUPS)

static const struct field fields[] = { MAP_FIELDS, { NULL, FIELD_ANY, NULL } };

static const struct route routes[] = {
    { .pattern = "login", .flags = ROUTE_PUBLIC, .write = login, .body_max = 65536,
      .help = "Logs in whoever asks over the vault's Unix socket." },
    { .pattern = "users", .list = list_users, .help = "Numbers of the users who may log in." },
    { .pattern = "users/{uid}", .read = read_user, .write = write_user, .delete_ = delete_user,
      .exists = user_exists, .fields = fields, .help = "What a user of the host gets, by number." },
    { .pattern = "groups", .list = list_groups, .help = "Numbers of the groups that may log in." },
    { .pattern = "groups/{gid}", .read = read_group, .write = write_group, .delete_ = delete_group,
      .exists = group_exists, .fields = fields, .help = "What a group of the host gets, by number." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine unix_engine = {
    .type = "unix",
    .help = "Processes of this host, by user and group.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
