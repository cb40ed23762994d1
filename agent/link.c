#include "agent/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/pace.h"
#include "lib/token_file.h"

#define LAST_WORD_MS  3000u
#define REPORT_MS     5000u
#define SPREAD_MAX_MS 60000 /* however many hosts there are */

struct link {
    const struct config *config;
    struct supervisor *s;
    struct kt_http_names names;
    struct kt_api *api;
    struct kt_secret *token; /* the one that api has */
    struct kt_api_mount mounts[CONFIG_SECRETS_MAX];
    bool mount_known[CONFIG_SECRETS_MAX];
    char cursor[128];
    struct kt_pace pace;
    int64_t next_poll_ms; /* monotonic; the vault spreads the polls after a change */
    int64_t renew_at_ms; /* monotonic; 0: not looked at yet, INT64_MAX: never */
    bool renewal_failed; /* and was said */
    bool reporting; /* what was sent is finished, though the service ended meanwhile */
    bool last_word;
};

static bool over(const struct link *link)
{
    return link->s->ending || link->s->state == CHILD_ENDED;
}

/* What was noticed between two calls wakes none of them any more. */
static enum kt_kind check_over(const struct link *link, struct kt_err *err)
{
    if (link->last_word || !over(link))
        return KT_OK;
    return kt_fail(err, KT_GONE, "the service ended");
}

/* While a call waits. A report that was given up would still reach the vault, perhaps after the word
 * that the service is gone; and the next call would need another connection. */
static bool take_care(void *arg)
{
    struct link *link = arg;
    (void)child_events(link->s, 0);
    return link->last_word || (link->reporting && !link->s->ending) || !over(link);
}

/* VAULT_ADDR and VAULT_CACERT count where the configuration says nothing. */
static struct kt_http_names names_of(const struct config *config)
{
    return (struct kt_http_names){
        .address = config->says_address ? "address in vault { } of the configuration" : "VAULT_ADDR",
        .address_is = config->says_address ? "address = " : "VAULT_ADDR=",
        .ca_file = config->says_ca_file ? "ca_file in vault { } of the configuration" : "VAULT_CACERT"};
}

enum kt_kind link_open(const struct config *config, const struct kt_secret *token,
                       struct supervisor *s, struct link **ret, struct kt_err *err)
{
    struct link *link = kt_calloc(1, sizeof *link);
    if (link == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the line to the vault");
    link->config = config;
    link->s = s;
    link->names = names_of(config);
    kt_pace_init(&link->pace);
    const struct kt_api_options options = {.address = config->address,
                                           .ca_file = config->ca_file,
                                           .namespace_path = config->namespace_path,
                                           .user_agent = "secret-agent/" KT_VERSION,
                                           .names = &link->names,
                                           .token = kt_secret_bytes(token),
                                           .timeout_ms = 15000,
                                           .body_max = (size_t)2 * 1024 * 1024,
                                           .wake_fd = s->fd,
                                           .woken = take_care,
                                           .woken_arg = link};
    link->token = kt_secret_copy(kt_secret_bytes(token));
    enum kt_kind kind = link->token == NULL
                            ? kt_fail(err, KT_NO_MEMORY, "opening the line to the vault")
                            : kt_api_open(&options, &link->api, err);
    if (kind != KT_OK) {
        link_close(link);
        return kind;
    }
    *ret = link;
    return KT_OK;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    kt_api_close(link->api);
    kt_secret_free(link->token);
    free(link);
}

/* ---- fetching ---- */

static size_t index_of(const struct link *link, const char *secret)
{
    size_t i = 0;
    while (i < link->config->n_secrets && strcmp(link->config->secrets[i], secret) != 0)
        i++;
    return i;
}

/* There are several places that it may be from. */
static void hint_token(const struct link *link, enum kt_kind kind, struct kt_err *err)
{
    if (kind == KT_DENIED && err->hint[0] == '\0' && strstr(err->what, "invalid token") != NULL &&
        link->config->token_from != NULL)
        kt_hint(err, "the token of %.200s expired, was revoked or mistyped, or is another vault's", link->config->token_from);
}

static enum kt_kind mount_of(struct link *link, const char *secret, const struct kt_api_mount **ret,
                             struct kt_err *err)
{
    size_t i = index_of(link, secret);
    if (i == link->config->n_secrets)
        return kt_fail(err, KT_INTERNAL, "secret %s is not of this service", secret);
    if (!link->mount_known[i]) {
        enum kt_kind kind = kt_api_mount_of(link->api, secret, &link->mounts[i], err);
        if (kind != KT_OK) {
            hint_token(link, kind, err);
            return kind;
        }
        link->mount_known[i] = true;
    }
    *ret = &link->mounts[i];
    return KT_OK;
}

enum kt_kind link_fetch(struct link *link, const char *secret, uint64_t version,
                        struct value *value, struct kt_err *err)
{
    const struct kt_api_mount *mount = NULL;
    enum kt_kind kind = check_over(link, err);
    if (kind == KT_OK)
        kind = mount_of(link, secret, &mount, err);
    if (kind != KT_OK)
        return kind;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    uint64_t read_version = 0;
    kind = kt_api_kv_read(link->api, mount, secret, version, &reply, &read_version, err);
    hint_token(link, kind, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_NOT_FOUND, "secret %s does not exist in the vault", secret);
        kt_hint(err, "secretctl kv get %s; is the path right, and was it deleted?", secret);
    }
    if (kind != KT_OK)
        return kind;
    struct kt_json data;
    if (!kt_json_member(reply.data, "data", &data) || kt_json_type(data) != KT_JSON_OBJECT)
        return kt_fail(err, KT_CORRUPT, "the vault's answer for %s has no data", secret);
    kt_buf_reset(&value->data);
    kt_buf_add_bytes(&value->data, kt_json_bytes(data));
    value->version = read_version;
    return kt_buf_ok(&value->data) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", secret);
}

/* ---- watching ---- */

bool wanted_is_dead(const struct wanted *wanted, uint64_t version)
{
    if (wanted->alive[0] == 0)
        return false;
    for (size_t i = 0; i < sizeof wanted->alive / sizeof wanted->alive[0]; i++)
        if (wanted->alive[i] == version)
            return false;
    return true;
}

bool cursor_goes_on(const char *before, const char *cursor)
{
    uint64_t was = 0, is = 0;
    const char *dot = strchr(before, '.');
    size_t history = dot == NULL ? 0 : (size_t)(dot - before) + 1;
    return dot == NULL || (strncmp(before, cursor, history) == 0 && kt_u64_parse(kt_str(dot + 1), UINT64_MAX, &was) &&
                           kt_u64_parse(kt_str(cursor + history), UINT64_MAX, &is) && was <= is);
}

static void note_wanted(const struct link *link, struct kt_json item, struct wanted *wanted)
{
    static const char *const stages[] = {"current", "previous", "pending"};
    char secret[1024];
    int64_t version = 0;
    if (!kt_api_text(item, "secret", secret, sizeof secret) ||
        !kt_api_i64(item, "want", &version) || version <= 0)
        return;
    size_t i = index_of(link, secret);
    if (i == link->config->n_secrets)
        return;
    wanted[i].version = (uint64_t)version;
    wanted[i].news = true;
    char run[64] = "";
    (void)kt_api_text(item, "run", run, sizeof run);
    wanted[i].active = run[0] != '\0';
    for (size_t stage = 0; stage < sizeof stages / sizeof stages[0]; stage++) {
        int64_t number = 0;
        (void)kt_api_i64(item, stages[stage], &number);
        wanted[i].alive[stage] = number > 0 ? (uint64_t)number : 0;
    }
    wanted[i].pending = wanted[i].alive[2];
}

/* False: the service ended or a person asked for the end. */
static bool wait_until(struct link *link, int64_t end_ms)
{
    while (!over(link)) {
        int64_t left = end_ms - kt_mono_ms(&kt_system_clock);
        if (left <= 0)
            return true;
        (void)child_events(link->s, (int)left);
    }
    return false;
}

/* How many hosts watch, and when this one is to ask again, so that they do not come all at once. */
static void note_crowd(struct link *link, struct kt_json answer)
{
    int64_t hosts = 0, poll_ms = 0;
    (void)kt_api_i64(answer, "hosts", &hosts);
    (void)kt_api_i64(answer, "next_poll_ms", &poll_ms);
    bool tls = strncmp(kt_api_address(link->api), "https:", 6) == 0;
    kt_pace_crowd(&link->pace, hosts > 0 ? (uint64_t)hosts : 0, tls);
    if (poll_ms < 0 || poll_ms > SPREAD_MAX_MS)
        poll_ms = poll_ms < 0 ? 0 : SPREAD_MAX_MS;
    link->next_poll_ms = kt_mono_ms(&kt_system_clock) + poll_ms;
}

/* A poll does not outlast the time at which the token wants to be renewed. */
static unsigned before_renewal(const struct link *link, unsigned wait_s)
{
    if (link->renew_at_ms == 0 || link->renew_at_ms == INT64_MAX)
        return wait_s;
    int64_t left_s = (link->renew_at_ms - kt_mono_ms(&kt_system_clock)) / 1000 + 1;
    if (left_s < 1)
        left_s = 1;
    return left_s < (int64_t)wait_s ? (unsigned)left_s : wait_s;
}

bool link_may_watch(const struct link *link)
{
    return kt_mono_ms(&kt_system_clock) >= link->next_poll_ms;
}

enum kt_kind link_watch(struct link *link, unsigned wait_s, struct wanted *wanted, bool *ret_news,
                        struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    *ret_news = false;
    wait_s = before_renewal(link, wait_s);
    if (!wait_until(link, link->next_poll_ms))
        return kt_fail(err, KT_GONE, "the service ended");
    enum kt_kind kind =
        kt_api_watch(link->api, link->config->host, link->cursor, wait_s, -1, &reply, err);
    if (kind != KT_OK)
        return kind;
    char before[sizeof link->cursor];
    memcpy(before, link->cursor, sizeof before);
    (void)kt_api_text(reply.data, "cursor", link->cursor, sizeof link->cursor);
    for (size_t i = 0; i < link->config->n_secrets; i++)
        wanted[i].put_back = wanted[i].put_back || !cursor_goes_on(before, link->cursor);
    note_crowd(link, reply.data);
    struct kt_json secrets;
    if (!kt_json_member(reply.data, "secrets", &secrets))
        return KT_OK;
    struct kt_json_iter it = kt_json_iter(secrets);
    while (kt_json_next(&it)) {
        note_wanted(link, it.value, wanted);
        *ret_news = true;
    }
    return KT_OK;
}

/* ---- reporting ---- */

enum kt_kind link_report(struct link *link, const struct report *report, bool *ret_rotating,
                         struct kt_err *err)
{
    char instance[64];
    enum kt_kind kind = check_over(link, err);
    if (kind != KT_OK)
        return kind;
    child_instance(link->s, instance);
    struct kt_api_consumer consumer = {.host = link->config->host,
                                       .secret = report->secret,
                                       .service = link->config->service,
                                       .state = report->state,
                                       .instance = instance,
                                       .evidence = report->evidence,
                                       .detail = report->detail,
                                       .version = report->version,
                                       .candidates = report->candidates,
                                       .holds = report->holds,
                                       .timeout_ms = link->last_word ? LAST_WORD_MS : REPORT_MS};
    if (report->health != NULL) {
        consumer.samples = report->health->samples;
        consumer.p95_ms = report->health->p95_ms;
    }
    if (report->baseline != NULL)
        consumer.baseline_p95_ms = report->baseline->p95_ms;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    link->reporting = true;
    kind = kt_api_consumer_report(link->api, &consumer, &reply, err);
    link->reporting = false;
    char run[64] = "";
    if (kind == KT_OK && kt_api_text(reply.data, "run", run, sizeof run))
        *ret_rotating = run[0] != '\0';
    return kind;
}

/* ---- pacing ---- */

bool link_is_away(enum kt_kind kind)
{
    static const bool away[KT_KIND_COUNT] = {
        [KT_IO] = true,   [KT_TIMEOUT] = true, [KT_UNKNOWN] = true,   [KT_SEALED] = true,
        [KT_BUSY] = true, [KT_GONE] = true,    [KT_NO_MEMORY] = true,
    };
    return away[kind];
}

bool link_pause(struct link *link, int64_t end_ms)
{
    int64_t end = kt_mono_ms(&kt_system_clock) + kt_pace_next_ms(&link->pace);
    return wait_until(link, end < end_ms ? end : end_ms);
}

void link_worked(struct link *link)
{
    kt_pace_worked(&link->pace);
}

void link_last_word(struct link *link)
{
    link->last_word = true;
}

/* ---- the token ---- */

bool link_new_token(struct link *link)
{
    kt_autosecret struct kt_secret *token = NULL;
    struct kt_err err = {0};
    if (link->config->token_file == NULL ||
        kt_token_file_read(link->config->token_file, &token, &err) != KT_OK)
        return false;
    if (kt_secret_equal(kt_secret_bytes(token), kt_secret_bytes(link->token)) ||
        kt_api_set_token(link->api, kt_secret_bytes(token), &err) != KT_OK)
        return false;
    kt_secret_free(link->token);
    link->token = KT_TAKE(token);
    link->renew_at_ms = 0;
    link->renewal_failed = false;
    kt_log(KT_LOG_NOTICE, "token-read-again", "file=\"%s\"", link->config->token_file);
    return true;
}

static bool token_call(struct link *link, const char *method, const char *path,
                       struct kt_api_reply *reply)
{
    const struct kt_api_request request = {.method = method, .path = path, .timeout_ms = 10000};
    struct kt_err err = {0};
    return kt_api_call(link->api, &request, -1, reply, &err) == KT_OK;
}

static void plan_renewal(struct link *link, int64_t ttl_s)
{
    link->renew_at_ms = ttl_s <= 0 ? INT64_MAX : kt_mono_ms(&kt_system_clock) + ttl_s * 1000 / 2;
}

void link_keep_token(struct link *link)
{
    if (link->renew_at_ms != 0 && kt_mono_ms(&kt_system_clock) < link->renew_at_ms)
        return;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    int64_t ttl_s = 0;
    bool renewable = false;
    if (link->renew_at_ms == 0) {
        if (!token_call(link, "GET", "auth/token/lookup-self", &reply))
            return;
        (void)kt_api_i64(reply.data, "ttl", &ttl_s);
        (void)kt_api_bool(reply.data, "renewable", &renewable);
        if (ttl_s > 0 && !renewable)
            kt_log(KT_LOG_WARNING, "token-not-renewable",
                   "ends_in_s=%lld next=\"give the agent a periodic token\"", (long long)ttl_s);
        plan_renewal(link, renewable ? ttl_s : 0);
        return;
    }
    if (!token_call(link, "POST", "auth/token/renew-self", &reply)) {
        link->renew_at_ms = kt_mono_ms(&kt_system_clock) + 10000;
        if (!link->renewal_failed)
            kt_log(KT_LOG_WARNING, "token-not-renewed", "%s",
                   "next=\"secretctl token lookup; a new token may be put into its file\"");
        link->renewal_failed = true;
        return;
    }
    link->renewal_failed = false;
    (void)kt_api_i64(reply.auth, "lease_duration", &ttl_s);
    plan_renewal(link, ttl_s);
}
