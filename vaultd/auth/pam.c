/* auth/pam: people who log in with their account of this host.
 *
 * vaultd-pam asks the host's PAM stack; what the stack asks is asked of the client, in as many requests as
 * it takes: each answers with a login id and prompts until there is a token. */
#include "vaultd/auth/pam.h"

#include <ctype.h>

#include "vaultd/auth/login.h"
#include "vaultd/auth/logins.h"
#include "vaultd/auth/pam_maps.h"
#include "vaultd/auth/pam_talks.h"
#include "vaultd/core/refusals.h"
#include "vaultd/identity/login.h"

_Static_assert(sizeof ((struct talk_party *)NULL)->source == REFUSALS_SOURCE, "a source");

#define BODY_MAX 65536u
#define RETRY_S  5u
#define GROUPS_HERE 2000u /* looked up on the carrier's thread: some milliseconds */
#define META_MAX ((size_t)32 * 1024)

/* Survives the passes of a request; begins as pam_talks.h wants it. */
struct attempt {
    struct talk_ticket ticket;
    bool told;
    struct talk_news news;
};

static struct attempt *attempt_of(struct request *req)
{
    if (req->handler_data == NULL)
        req->handler_data = kt_arena_take(&req->arena, sizeof(struct attempt));
    return req->handler_data;
}

static enum kt_kind wrong(struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "invalid username or password");
}

static enum kt_kind too_many(struct request *req, const char *what, struct kt_err *err)
{
    req->reply.retry_after_s = RETRY_S;
    return kt_fail(err, KT_TOO_MANY, "%s: try again in %u s", what, RETRY_S);
}

static enum kt_kind name_full(struct request *req, struct kt_err *err)
{
    return too_many(req, "logins of that name or from this address are on their way", err);
}

/* ---- what is asked ---- */

static void party_of(const struct request *req, const struct mount *mount, const char *user,
                     struct talk_party *ret)
{
    *ret = (struct talk_party){.local = req->origin == ORIGIN_UNIX, .uid = req->peer_uid};
    memcpy(ret->scope, mount->scope, BARRIER_SCOPE);
    memcpy(ret->user, user, strlen(user));
    if (ret->local)
        return;
    memcpy(ret->address, req->remote_address, sizeof ret->address - 1);
    refusals_source(req->remote_address, ret->source);
}

static enum kt_kind check_answer(const char *field, struct kt_bytes text, struct kt_err *err)
{
    if (text.len <= PAMD_TEXT_MAX)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "\"%s\": longer than %u bytes, which is all that PAM takes", field,
                   PAMD_TEXT_MAX);
}

/* *ret.at NULL: none. An empty one is none that an account may have: it is refused as a wrong one. */
static enum kt_kind read_password(struct request *req, struct kt_bytes *ret, struct kt_err *err)
{
    const char *text = NULL;
    *ret = kt_bytes(NULL, 0);
    enum kt_kind kind = request_string(req, "password", &text, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK && text[0] == '\0')
        return kt_fail(err, KT_INTERNAL, "missing password");
    if (kind == KT_OK)
        kind = check_answer("password", kt_str(text), err);
    if (kind == KT_OK)
        *ret = kt_str(text);
    return kind;
}

/* Each byte counts: they are not trimmed, as lists are. */
static enum kt_kind read_responses(struct request *req, struct kt_bytes ret[PAMD_PROMPTS_MAX],
                                   size_t *ret_n, struct kt_err *err)
{
    struct kt_json list = {0};
    *ret_n = 0;
    enum kt_kind kind = request_member(req, "responses", &list);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "missing \"responses\": one text for each prompt");
    bool single = kt_json_type(list) == KT_JSON_STRING;
    struct kt_json_iter it = kt_json_iter(list);
    kind = KT_OK;
    while (kind == KT_OK && *ret_n <= PAMD_PROMPTS_MAX && (single || kt_json_next(&it))) {
        struct kt_json value = single ? list : it.value;
        if (*ret_n == PAMD_PROMPTS_MAX)
            return kt_fail(err, KT_INVALID, "\"responses\": more than %u", PAMD_PROMPTS_MAX);
        if (kt_json_type(value) != KT_JSON_STRING)
            return kt_fail(err, KT_INVALID, "\"responses\" is an array of texts");
        const char *text = kt_json_text(value, &req->arena);
        if (text == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading answers");
        kind = check_answer("responses", kt_str(text), err);
        ret[(*ret_n)++] = kt_str(text);
        if (single)
            break;
    }
    return kind;
}

/* ---- a talk is begun, or gone on with ---- */

static enum kt_kind begin(struct request *req, struct talk_party *party, unsigned max_failures,
                          struct attempt *attempt, struct kt_err *err)
{
    struct pam_talks *talks = req->core->logins->pam;
    struct kt_bytes password;
    enum kt_kind kind = read_password(req, &password, err);
    if (kind != KT_OK)
        return kind;
    enum talk_begun begun = pam_talk_may(talks, party, max_failures);
    if (begun == TALK_BEGUN) { /* nobody else: what it costs would tell who is known */
        kind = login_barred(req, party->user, &party->barred, err);
        if (kind != KT_OK)
            return kind;
        begun = pam_talk_begin(talks, party, max_failures, password, &attempt->ticket);
    }
    switch (begun) {
    case TALK_BEGUN:
        return KT_OK;
    case TALK_LOCKED:
        return kt_fail(err, KT_DENIED, "permission denied");
    case TALK_NAME_FULL:
        return name_full(req, err);
    case TALK_FULL:
        return too_many(req, "too many logins are on their way", err);
    case TALK_NO_MEMORY:
        break;
    }
    return kt_fail(err, KT_NO_MEMORY, "beginning a login");
}

static enum kt_kind go_on(struct request *req, const struct talk_party *party, const char *id,
                          struct attempt *attempt, struct kt_err *err)
{
    struct kt_bytes answers[PAMD_PROMPTS_MAX];
    size_t n = 0;
    enum kt_kind kind = read_responses(req, answers, &n, err);
    if (kind != KT_OK)
        return kind;
    switch (pam_talk_answer(req->core->logins->pam, party, kt_str(id), answers, n, &attempt->ticket)) {
    case TALK_ANSWERED:
        return KT_OK;
    case TALK_MISCOUNTED:
        return kt_fail(err, KT_INVALID, "\"responses\": not as many as there were prompts");
    case TALK_UNKNOWN:
        (void)kt_fail(err, KT_INVALID, "unknown \"login_id\": it is good once, for %u s, from where it was given to",
                      PAMD_TIMEOUT_S);
        kt_hint(err, "begin the login anew, without login_id");
        return KT_INVALID;
    case TALK_NOT_ANSWERED:
        break;
    }
    return kt_fail(err, KT_NO_MEMORY, "going on with a login");
}

static enum kt_kind start(struct request *req, const char *user, struct attempt *attempt,
                          struct kt_err *err)
{
    struct talk_party party;
    struct pam_settings settings;
    const char *id = "";
    enum kt_kind kind = pam_settings_find(req, req->mount, &settings, err);
    if (kind != KT_OK)
        return kind;
    kind = request_string(req, "login_id", &id, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    party_of(req, req->mount, user, &party);
    if (!login_address_fits(req, &settings.params.bound_cidrs)) /* before PAM hears of it */
        return kt_fail(err, KT_DENIED, "permission denied");
    return id[0] != '\0' ? go_on(req, &party, id, attempt, err)
                         : begin(req, &party, settings.max_failures, attempt, err);
}

/* ---- what came of it ---- */

static void show_prompts(struct request *req, const struct talk_news *news)
{
    req->wrap_ttl_s = -1; /* a question is for who is there; what it comes to is wrapped */
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "expires_in", news->expires_s);
    kt_jsonw_kv_text(&w, "login_id", news->id);
    kt_jsonw_key(&w, "prompts");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < news->message.prompts.n; i++) {
        const struct pamd_prompt *prompt = &news->message.prompts.at[i];
        kt_jsonw_object(&w);
        kt_jsonw_kv_bool(&w, "echo", prompt->echo);
        kt_jsonw_key(&w, "text");
        kt_jsonw_bytes(&w, prompt->text);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
}

/* Groups whose names differ in case alone are one, as Vault has it. */
static enum kt_kind lowered_groups(struct request *req, const struct string_list *groups,
                                   struct string_list *ret, struct kt_err *err)
{
    size_t n = groups->n;
    const char **at = kt_arena_take(&req->arena, (n + 1) * sizeof *at);
    for (size_t i = 0; at != NULL && i < n; i++) {
        char *name = kt_arena_text(&req->arena, kt_str(groups->at[i]));
        for (char *c = name; c != NULL && *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        at[i] = name;
    }
    *ret = (struct string_list){at, n};
    return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "logging in") : KT_OK;
}

static void write_meta(struct kt_buf *out, const char *user, const struct string_list *groups)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_autobuf struct kt_buf names;
    kt_buf_init(&names, META_MAX);
    for (size_t i = 0; i < groups->n; i++)
        kt_buf_printf(&names, "%s%s", i == 0 ? "" : ",", groups->at[i]);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "groups");
    kt_jsonw_bytes(&w, kt_buf_bytes(&names));
    kt_jsonw_kv_text(&w, "username", user);
    kt_jsonw_end(&w);
}

static void forget_failures(struct request *req, const struct commit_result *result)
{
    const struct attempt *attempt = req->handler_data;
    if (result->error == STORE_OK)
        pam_talk_let_in(req->core->logins->pam, &attempt->news, true);
}

/* By another of his names, or since it was begun. Before anything else is said of the right password: whoever is
 * disabled hears what a wrong one hears, and it counts. */
static enum kt_kind refuse_barred(struct request *req, const struct talk_news *news, const char *user,
                                  struct kt_err *err)
{
    bool barred = false;
    enum kt_kind kind = login_barred(req, user, &barred, err);
    if (kind != KT_OK || !barred)
        return kind;
    pam_talk_let_in(req->core->logins->pam, news, false);
    return wrong(err);
}

static enum kt_kind grant(struct request *req, const struct talk_news *news, struct kt_err *err)
{
    struct pam_settings settings;
    struct string_list groups = {0}, known = {0};
    if (news->groups.n > GROUPS_HERE && request_aside(req))
        return KT_OK;
    const char *user = kt_arena_text(&req->arena, news->message.verdict.name);
    enum kt_kind kind = user == NULL ? kt_fail(err, KT_NO_MEMORY, "logging in")
                                     : lowered_groups(req, &news->groups, &groups, err);
    if (kind == KT_OK)
        kind = refuse_barred(req, news, user, err);
    if (kind == KT_OK && !pam_is_name(user)) {
        (void)kt_fail(err, KT_INVALID, "the host's name for this account is none that can log in");
        kt_hint(err, "small letters, digits, '_', and inside '-', '.', '@'");
        return KT_INVALID;
    }
    if (kind == KT_OK)
        kind = pam_settings_require(req, req->mount, &settings, err);
    if (kind == KT_OK)
        kind = pam_policies(req, req->mount, user, &groups, &settings.params, &known, err);
    if (kind != KT_OK)
        return kind;
    if (settings.params.policies.n == 0) {
        (void)kt_fail(err, KT_INVALID, "this account is not a member of any authorized group");
        kt_hint(err, "give policies to the user, or to a group of his: %susers/NAME, groups/NAME",
                req->mount->path);
        return KT_INVALID;
    }
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, 2 * META_MAX);
    write_meta(&meta, user, &known);
    if (!kt_buf_ok(&meta))
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    const struct login login = {.name = user,
                                .alias = user,
                                .role = user,
                                .meta = kt_buf_bytes(&meta),
                                .groups = &groups,
                                .params = &settings.params};
    req->after_commit = forget_failures;
    return login_grant(req, &login, err);
}

static enum kt_kind refuse_expired(struct request *req, const struct talk_news *news, struct kt_err *err)
{
    enum kt_kind kind = refuse_barred(req, news, news->account_name, err);
    if (kind != KT_OK)
        return kind;
    (void)kt_fail(err, KT_INVALID, "the password has expired");
    kt_hint(err, "change it on the vault's host (ssh there, or run passwd), then log in again");
    return KT_INVALID;
}

static enum kt_kind no_verdict(struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "the host's PAM could not say whether this is right");
    kt_hint(err, "the vault's operator finds out why in the log of vaultd-pam");
    return KT_INVALID;
}

static enum kt_kind conclude(struct request *req, const struct talk_news *news, struct kt_err *err)
{
    switch (news->message.verdict.outcome) {
    case PAMD_IN:
        return grant(req, news, err);
    case PAMD_EXPIRED:
        return refuse_expired(req, news, err);
    case PAMD_OUT:
    case PAMD_OUTCOMES:
        return wrong(err);
    case PAMD_BROKEN:
        break;
    }
    return no_verdict(err);
}

static enum kt_kind tell_end(struct request *req, const struct talk_news *news, struct kt_err *err)
{
    switch (news->end) {
    case TALK_VERDICT:
        return conclude(req, news, err);
    case TALK_BUSY:
        return too_many(req, "too many logins are on their way", err);
    case TALK_GONE:
        (void)kt_fail(err, KT_BUSY, "vaultd-pam is not running");
        kt_hint(err, "on the vault's host: systemctl enable --now vaultd-pam.socket");
        return KT_BUSY;
    case TALK_HAD:
        return kt_fail(err, KT_DENIED, "permission denied");
    case TALK_CROWDED:
        return name_full(req, err);
    case TALK_SILENT:
        break;
    }
    (void)kt_fail(err, KT_INVALID, "the host's PAM gave no answer");
    kt_hint(err, "a module hangs or crashed: the log of vaultd-pam has it");
    return KT_INVALID;
}

/* ---- the route ---- */

/* False: return what *ret_kind says; the handler runs again when there is news. */
static bool have_news(struct request *req, struct attempt *attempt, enum kt_kind *ret_kind,
                      struct kt_err *err)
{
    int64_t deadline_ms = req->received_mono_ms + (int64_t)(PAMD_TIMEOUT_S + 15) * 1000;
    *ret_kind = KT_OK;
    if (attempt->told)
        return true;
    switch (pam_talk_take(req->core->logins->pam, &attempt->ticket, &req->arena, &attempt->news)) {
    case TALK_NEWS:
        attempt->told = true;
        return true;
    case TALK_WAITS:
        if (kt_mono_ms(req->core->clock) < deadline_ms) {
            request_wait(req, pam_talk_waiters(req->core->logins->pam), deadline_ms);
            return false;
        }
        break;
    case TALK_UNTOLD:
        *ret_kind = kt_fail(err, KT_NO_MEMORY, "logging in");
        return false;
    case TALK_LOST:
        break;
    }
    *ret_kind = kt_fail(err, KT_INVALID, "the host's PAM gave no answer");
    return false;
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    const char *user = NULL;
    enum kt_kind kind = pam_param(req, "username", &user, err);
    if (kind != KT_OK)
        return kind;
    struct attempt *attempt = attempt_of(req);
    if (attempt == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    if (attempt->ticket.number == 0) {
        kind = start(req, user, attempt, err);
        if (kind != KT_OK)
            return kind;
    }
    if (!have_news(req, attempt, &kind, err))
        return kind;
    if (!attempt->news.asks)
        return tell_end(req, &attempt->news, err);
    show_prompts(req, &attempt->news);
    return KT_OK;
}

/* ---- renewing ---- */

static enum kt_kind not_renewed(struct kt_err *err)
{
    (void)kt_fail(err, KT_DENIED, "the host does not let this account in any more, not renewing");
    kt_hint(err, "log in again");
    return KT_DENIED;
}

/* The account and its groups as they are today: whoever left the host, or a group, is found out. */
static enum kt_kind policies_today(struct request *req, const struct mount *mount,
                                   const struct talk_news *news, struct token_params *ret,
                                   struct kt_err *err)
{
    struct pam_settings settings;
    struct string_list groups = {0}, known = {0};
    if (news->groups.n > GROUPS_HERE && request_aside(req))
        return KT_OK;
    const char *user = kt_arena_text(&req->arena, news->message.verdict.name);
    enum kt_kind kind = user == NULL ? kt_fail(err, KT_NO_MEMORY, "renewing a token")
                                     : lowered_groups(req, &news->groups, &groups, err);
    if (kind == KT_OK)
        kind = pam_settings_require(req, mount, &settings, err);
    if (kind == KT_OK)
        kind = pam_policies(req, mount, user, &groups, &settings.params, &known, err);
    if (kind == KT_OK)
        kind = identity_regroup(req, mount, user, &groups, err);
    if (kind == KT_OK)
        *ret = settings.params;
    return kind;
}

static enum kt_kind ask_again(struct request *req, const struct mount *mount,
                              const struct token *token, struct attempt *attempt, struct kt_err *err)
{
    struct talk_party party;
    if (!pam_is_name(token->role))
        return not_renewed(err);
    party_of(req, mount, token->role, &party);
    party.question = PAMD_ACCOUNT;
    switch (pam_talk_begin(req->core->logins->pam, &party, 0, kt_bytes(NULL, 0), &attempt->ticket)) {
    case TALK_BEGUN:
        return KT_OK;
    case TALK_LOCKED:
    case TALK_NAME_FULL:
    case TALK_FULL:
        return too_many(req, "too many logins are on their way", err);
    case TALK_NO_MEMORY:
        break;
    }
    return kt_fail(err, KT_NO_MEMORY, "renewing a token");
}

static enum kt_kind renewed(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    struct attempt *attempt = attempt_of(req);
    if (attempt == NULL)
        return kt_fail(err, KT_NO_MEMORY, "renewing a token");
    if (attempt->ticket.number == 0)
        kind = ask_again(req, mount, token, attempt, err);
    if (kind != KT_OK || !have_news(req, attempt, &kind, err))
        return kind;
    const struct talk_news *news = &attempt->news;
    if (news->asks || news->end != TALK_VERDICT || news->message.verdict.outcome == PAMD_BROKEN)
        return news->end == TALK_VERDICT ? no_verdict(err) : tell_end(req, news, err);
    return news->message.verdict.outcome == PAMD_IN
               ? policies_today(req, mount, news, ret, err)
               : not_renewed(err);
}

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }
#define POLICIES FIELDS({ "policies", FIELD_COMMA_LIST, "what their tokens may" }, \
                        { "token_policies", FIELD_COMMA_LIST, "the same" })

static const struct route routes[] = {
    { .pattern = "login/{username}", .flags = ROUTE_PUBLIC | ROUTE_TO_LOWER, .write = login,
      .body_max = BODY_MAX,
      .fields = FIELDS({ "password", FIELD_STRING, "answers the first prompt, if that is typed unseen" },
                       { "login_id", FIELD_STRING, "of a login that was asked something" },
                       { "responses", FIELD_ANY, "with login_id: an array of texts, one for each prompt" }),
      .help = "Logs in with an account of the vault's host; answers with prompts until it is done." },
    { .pattern = "config", .flags = ROUTE_OF_MOUNT, .read = pam_read_settings, .write = pam_write_settings,
      .fields = FIELDS({ "max_failures", FIELD_INT, "guesses of a name that reach PAM in a quarter of an hour, the last by the Unix socket" },
                       TOKEN_PARAMS_FIELDS, TOKEN_PARAMS_OLD_FIELDS),
      .help = "Settings of the mount, and what all tokens of it are like." },
    { .pattern = "users", .list = pam_list_users, .help = "Names of the users that have policies." },
    { .pattern = "users/{name}", .flags = ROUTE_TO_LOWER, .read = pam_read_user, .write = pam_write_user,
      .delete_ = pam_delete_user, .fields = POLICIES, .help = "Policies of a user of the host." },
    { .pattern = "groups", .list = pam_list_groups, .help = "Names of the groups that have policies." },
    { .pattern = "groups/{name}", .flags = ROUTE_TO_LOWER, .read = pam_read_group, .write = pam_write_group,
      .delete_ = pam_delete_group, .fields = POLICIES, .help = "Policies of a group of the host." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine pam_engine = {
    .type = "pam",
    .help = "People who log in with their account of the vault's host.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
