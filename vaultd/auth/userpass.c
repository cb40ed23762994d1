/* auth/userpass: people who log in with a name and a password.
 *
 * A user's record has the password as Argon2id of the password under a key of the barrier. An unknown
 * user costs what a wrong password costs, and is told the same.
 * Format: named.h's ‖ field hash ‖ token_params. */
#include "vaultd/auth/userpass.h"

#include <sodium.h>
#include <stdio.h>

#include "vaultd/auth/hashing.h"
#include "vaultd/auth/login.h"
#include "vaultd/auth/logins.h"
#include "vaultd/auth/named.h"
#include "vaultd/barrier/format.h"

#define FORMAT       1u
#define PASSWORD_MAX 4096u
#define BODY_MAX     65536u
#define WAIT_MS      60000

struct user {
    const char *name;
    const char *hash; /* "" in none that was written */
    struct token_params params;
    generation changed; /* 0: there is none of the name */
};

/* ---- the record ---- */

static void write_user(const struct user *user, struct kt_buf *out)
{
    named_begin(out, FORMAT, user->name);
    kt_buf_add_field(out, kt_str(user->hash));
    token_params_write(&user->params, out);
}

static void read_1(struct kt_reader *r, struct kt_arena *arena, struct user *ret)
{
    ret->name = kt_arena_text(arena, kt_read_field(r));
    ret->hash = kt_arena_text(arena, kt_read_field(r));
    token_params_take(r, arena, &ret->params);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct user *ret);
static read_fn *const readers[] = {[FORMAT] = read_1};

static enum kt_kind read_record(struct request *req, struct kt_bytes record, struct user *ret,
                                struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a user", format, FORMAT, err);
    read(&r, &req->arena, ret);
    if (req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a user");
    return kt_reader_done(&r) ? KT_OK : kt_fail(err, KT_CORRUPT, "a user is damaged");
}

/* KT_NOT_FOUND without a text: *ret is one that is not there yet. */
static enum kt_kind find_user(struct request *req, const struct mount *mount, const char *name,
                              struct user *ret, struct kt_err *err)
{
    const struct named which = {mount->scope, name, NAMED_USERS};
    struct kt_bytes record = {0};
    *ret = (struct user){.name = name, .hash = ""};
    enum kt_kind kind = named_get(req, &which, &record, &ret->changed, err);
    return kind == KT_OK ? read_record(req, record, ret, err) : kind;
}

/* Who logs in; an unknown one's record costs what a known one's does, and is not his. */
static enum kt_kind find_stranger(struct request *req, const char *name, struct user *ret,
                                  struct kt_err *err)
{
    const struct named which = {req->mount->scope, name, NAMED_USERS};
    struct kt_bytes record = {0};
    bool known = false;
    *ret = (struct user){.name = name, .hash = ""};
    enum kt_kind kind = named_get_or_nobody(req, &which, &record, &ret->changed, &known, err);
    if (kind == KT_OK)
        kind = read_record(req, record, ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!known)
        *ret = (struct user){.name = name, .hash = ""};
    return KT_OK;
}

/* ---- hashing, while the request waits ---- */

/* Survives the passes of a request; begins as hashing.h wants it. */
struct attempt {
    struct hashing_ticket ticket;
    bool posted; /* in this pass: the answer is for the next one, however soon it comes */
    bool answered;
    enum hashing_state state;
    char against[HASHING_TEXT]; /* the user's hash that was compared with; "": an unknown user's */
    char text[HASHING_TEXT];    /* of a new password */
    unsigned char name[LOCKOUT_KEY];
};

static struct attempt *attempt_of(struct request *req)
{
    if (req->handler_data == NULL)
        req->handler_data = kt_arena_take(&req->arena, sizeof(struct attempt));
    return req->handler_data;
}

static enum kt_kind no_room(struct request *req, struct kt_err *err)
{
    req->reply.retry_after_s = HASHING_RETRY_S;
    (void)kt_fail(err, KT_TOO_MANY, "too many passwords are being looked at: try again in %u s",
                  HASHING_RETRY_S);
    return KT_TOO_MANY;
}

static enum kt_kind post(struct request *req, const char *password, struct hashing_order *order,
                         struct attempt *attempt, struct kt_err *err)
{
    struct logins *logins = req->core->logins;
    kt_autobuf struct kt_buf input;
    kt_buf_init(&input, BARRIER_SCOPE + PASSWORD_MAX);
    kt_buf_add(&input, req->mount->scope, BARRIER_SCOPE);
    kt_buf_add_text(&input, password);
    if (!kt_buf_ok(&input))
        return kt_fail(err, KT_NO_MEMORY, "looking at a password");
    if (req->token != NULL) /* whoever sets passwords has a turn of his own */
        (void)snprintf(order->source, sizeof order->source, "token %s", req->token->accessor);
    else
        request_source(req, order->source);
    barrier_derive(req->core->barrier, "kt/password/1", kt_buf_bytes(&input), order->secret);
    attempt->posted = hashing_post(logins->hashing, order, &attempt->ticket);
    sodium_memzero(order->secret, sizeof order->secret);
    return attempt->posted ? KT_OK : no_room(req, err);
}

/* Waits for what was posted. *ret_ready false: return KT_OK, the handler runs again. */
static enum kt_kind await(struct request *req, struct attempt *attempt, bool *ret_ready,
                          struct kt_err *err)
{
    struct hashing *hashing = req->core->logins->hashing;
    if (!attempt->answered)
        attempt->state = attempt->posted
                             ? HASHING_WAITS
                             : hashing_take(hashing, &attempt->ticket, attempt->text);
    attempt->posted = false;
    attempt->answered = attempt->state != HASHING_WAITS;
    *ret_ready = attempt->answered;
    if (!attempt->answered) {
        int64_t deadline_ms = req->received_mono_ms + WAIT_MS;
        if (kt_mono_ms(req->core->clock) >= deadline_ms)
            return no_room(req, err);
        request_wait(req, hashing_waiters(hashing), deadline_ms);
        return KT_OK;
    }
    if (attempt->state == HASHING_FAILED)
        return kt_fail(err, KT_BUSY, "out of memory: the password could not be looked at");
    return attempt->state == HASHING_LOST ? no_room(req, err) : KT_OK;
}

/* KT_NOT_FOUND: none was given, or an empty one. */
static enum kt_kind read_password(struct request *req, const char **ret, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "password", ret, err);
    if (kind == KT_OK && (*ret)[0] == '\0')
        return KT_NOT_FOUND;
    if (kind == KT_OK && strlen(*ret) > PASSWORD_MAX)
        return kt_fail(err, KT_INVALID, "\"password\" is longer than %u bytes", PASSWORD_MAX);
    return kind;
}

/* ---- logging in ---- */

static enum kt_kind compare(struct request *req, const struct user *user, const char *password,
                            struct attempt *attempt, bool *ret_ready, struct kt_err *err)
{
    /* A password that was changed meanwhile is another question. */
    if (attempt->ticket.number == 0 || strcmp(attempt->against, user->hash) != 0) {
        /* From elsewhere the right password is as wrong as any. */
        struct hashing_order order = {.nobody = user->changed == 0 ||
                                                !login_address_fits(req, &user->params.bound_cidrs)};
        lockout_key(req->core->logins->passwords, req->mount->scope, kt_str(user->name),
                    attempt->name);
        memcpy(order.name, attempt->name, sizeof order.name);
        memcpy(order.text, user->hash, strnlen(user->hash, sizeof order.text - 1));
        memcpy(attempt->against, order.text, sizeof attempt->against);
        attempt->answered = false;
        enum kt_kind kind = post(req, password, &order, attempt, err);
        if (kind != KT_OK)
            return kind;
    }
    return await(req, attempt, ret_ready, err);
}

static enum kt_kind wrong(struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "invalid username or password");
}

static void forget_failures(struct request *req, const struct commit_result *result)
{
    const struct attempt *attempt = req->handler_data;
    if (result->error == STORE_OK)
        lockout_forget(req->core->logins->passwords, attempt->name);
}

static enum kt_kind grant(struct request *req, const struct user *user, struct kt_err *err)
{
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, 1024);
    struct kt_jsonw w = kt_jsonw(&meta);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "username", user->name);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&meta))
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    const struct login login = {.name = user->name,
                                .alias = user->name,
                                .role = user->name,
                                .meta = kt_buf_bytes(&meta),
                                .params = &user->params};
    const struct named which = {req->mount->scope, user->name, NAMED_USERS};
    enum kt_kind kind = named_require(req, &which, user->changed, err);
    if (kind == KT_OK)
        kind = login_grant(req, &login, err);
    req->after_commit = forget_failures;
    return kind;
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    const char *name = NULL, *password = "";
    struct user user;
    bool ready = false, barred = false;
    enum kt_kind kind = named_param(req, "username", &name, err);
    if (kind != KT_OK)
        return kind;
    kind = read_password(req, &password, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INTERNAL, "missing password");
    if (kind != KT_OK)
        return kind;
    kind = find_stranger(req, name, &user, err);
    struct attempt *attempt = attempt_of(req);
    if (attempt == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    if (kind == KT_OK)
        kind = compare(req, &user, password, attempt, &ready, err);
    if (kind != KT_OK || !ready)
        return kind;
    if (attempt->state == HASHING_LOCKED)
        return kt_fail(err, KT_DENIED, "permission denied");
    if (attempt->state != HASHING_RIGHT)
        return wrong(err);
    kind = login_barred(req, name, &barred, err);
    if (kind != KT_OK)
        return kind;
    if (barred) {
        lockout_failed(req->core->logins->passwords, attempt->name, kt_mono_ms(req->core->clock));
        return wrong(err);
    }
    return grant(req, &user, err);
}

static enum kt_kind renewed(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret, struct kt_err *err)
{
    struct user user;
    const struct named which = {mount->scope, token->role, NAMED_USERS};
    enum kt_kind kind = find_user(req, mount, token->role, &user, err);
    if (kind == KT_OK)
        kind = named_require(req, &which, user.changed, err);
    if (kind == KT_OK)
        *ret = user.params;
    return kind;
}

/* ---- users ---- */

static enum kt_kind list_users(struct request *req, struct kt_err *err)
{
    return named_list(req, req->mount->scope, NAMED_USERS, err);
}

static enum kt_kind user_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct user user;
    enum kt_kind kind = find_user(req, req->mount, request_param(req, "username"), &user, err);
    *ret_exists = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind named_user(struct request *req, struct user *ret, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = named_param(req, "username", &name, err);
    *ret = (struct user){.name = NULL};
    return kind == KT_OK ? find_user(req, req->mount, name, ret, err) : kind;
}

static enum kt_kind read_user(struct request *req, struct kt_err *err)
{
    struct user user;
    enum kt_kind kind = named_user(req, &user, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    token_params_show(&w, &token_params_of_login, &user.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind put_user(struct request *req, const struct user *user, struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_user(user, &record);
    const struct named which = {req->mount->scope, user->name, NAMED_USERS};
    return named_put(req, &which, user->changed, &record, err);
}

/* With the first user of a mount, once: whom strangers are answered with. */
static enum kt_kind put_nobody(struct request *req, const struct user *like, struct kt_err *err)
{
    struct user nobody;
    enum kt_kind kind = find_user(req, req->mount, NAMED_NOBODY, &nobody, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    char hash[HASHING_TEXT] = {0};
    memset(hash, '-', strnlen(like->hash, sizeof hash - 1)); /* as long as everybody's; nothing is ever compared with it */
    nobody.name = "";
    nobody.hash = hash;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_user(&nobody, &record);
    const struct named which = {req->mount->scope, NAMED_NOBODY, NAMED_USERS};
    return named_put(req, &which, 0, &record, err);
}

/* The hash of a new password; *ret NULL: not yet. */
static enum kt_kind make_hash(struct request *req, const char *password, const char **ret,
                              struct kt_err *err)
{
    struct attempt *attempt = attempt_of(req);
    bool ready = false;
    *ret = NULL;
    if (attempt == NULL)
        return kt_fail(err, KT_NO_MEMORY, "hashing a password");
    enum kt_kind kind = KT_OK;
    if (attempt->ticket.number == 0) {
        struct hashing_order order = {.make = true};
        kind = post(req, password, &order, attempt, err);
    }
    if (kind == KT_OK)
        kind = await(req, attempt, &ready, err);
    if (kind == KT_OK && ready)
        *ret = attempt->text;
    return kind;
}

static enum kt_kind write_user_route(struct request *req, struct kt_err *err)
{
    struct user user;
    const char *password = "";
    enum kt_kind kind = named_user(req, &user, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || user.name == NULL))
        return kind;
    kind = token_params_read(req, &token_params_of_login, &user.params, err);
    if (kind != KT_OK)
        return kind;
    kind = read_password(req, &password, err);
    if (kind == KT_NOT_FOUND && user.changed == 0)
        return kt_fail(err, KT_INVALID, "missing password");
    if (kind == KT_OK)
        kind = make_hash(req, password, &user.hash, err);
    if (user.hash == NULL || (kind != KT_OK && kind != KT_NOT_FOUND))
        return kind;
    kind = user.changed == 0 ? put_nobody(req, &user, err) : KT_OK;
    return kind == KT_OK ? put_user(req, &user, err) : kind;
}

static enum kt_kind delete_user(struct request *req, struct kt_err *err)
{
    struct user user;
    enum kt_kind kind = named_user(req, &user, err);
    if (kind == KT_NOT_FOUND && user.name != NULL)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct named which = {req->mount->scope, user.name, NAMED_USERS};
    return named_delete(req, &which, user.changed, err);
}

/* Vault says 500 here. */
static enum kt_kind known_user(struct request *req, struct user *ret, struct kt_err *err)
{
    enum kt_kind kind = named_user(req, ret, err);
    if (kind == KT_NOT_FOUND && ret->name != NULL)
        return kt_fail(err, KT_INTERNAL, "username does not exist");
    return kind;
}

static enum kt_kind write_password(struct request *req, struct kt_err *err)
{
    struct user user;
    const char *password = "";
    enum kt_kind kind = known_user(req, &user, err);
    if (kind != KT_OK)
        return kind;
    kind = read_password(req, &password, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "missing password");
    if (kind == KT_OK)
        kind = make_hash(req, password, &user.hash, err);
    if (kind != KT_OK || user.hash == NULL)
        return kind;
    return put_user(req, &user, err);
}

static enum kt_kind write_policies(struct request *req, struct kt_err *err)
{
    static const struct token_params_form form = {PARAM_BIT(PARAM_POLICIES),
                                                  PARAM_BIT(PARAM_POLICIES)};
    struct user user;
    enum kt_kind kind = known_user(req, &user, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &form, &user.params, err);
    return kind == KT_OK ? put_user(req, &user, err) : kind;
}

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct route routes[] = {
    { .pattern = "login/{username}", .flags = ROUTE_PUBLIC | ROUTE_TO_LOWER, .write = login,
      .body_max = BODY_MAX, .fields = FIELDS({ "password", FIELD_STRING, "the user's" }),
      .help = "Logs in with a name and a password." },
    { .pattern = "users", .list = list_users, .help = "Names of the users." },
    { .pattern = "users/{username}", .flags = ROUTE_TO_LOWER, .read = read_user,
      .write = write_user_route, .delete_ = delete_user, .exists = user_exists, .body_max = BODY_MAX,
      .fields = FIELDS({ "password", FIELD_STRING, "a new one" }, TOKEN_PARAMS_FIELDS,
                       TOKEN_PARAMS_OLD_FIELDS),
      .help = "A user, and what tokens he gets." },
    { .pattern = "users/{username}/password", .flags = ROUTE_TO_LOWER, .write = write_password,
      .body_max = BODY_MAX, .fields = FIELDS({ "password", FIELD_STRING, "the new one" }),
      .help = "Another password for a user." },
    { .pattern = "users/{username}/policies", .flags = ROUTE_TO_LOWER, .write = write_policies,
      .fields = FIELDS({ "token_policies", FIELD_COMMA_LIST, "what his tokens may" },
                       { "policies", FIELD_COMMA_LIST, "old name of token_policies" }),
      .help = "Other policies for a user." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine userpass_engine = {
    .type = "userpass",
    .help = "People who log in with a name and a password.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
