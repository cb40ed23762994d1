#include <stdlib.h>

#include "lib/plain_text.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/mounts.h"
#include "vaultd/fleet/own.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/work.h"

#define REMOVED_AT_ONCE 20u /* a batch has room for 100 operations */

/* What agents say: who uses a secret, which version it runs, and how it is. */

struct place {
    const char *host, *name; /* "secret/db/orders" */
    struct rotation_secret secret;
    struct kv_secret *kv;
};

static enum kt_kind find_place(struct request *req, struct place *ret, struct kt_err *err)
{
    ret->host = request_param(req, "host");
    ret->name = request_param(req, "path");
    if (strlen(ret->host) > HOST_MAX)
        return kt_fail(err, KT_INVALID, "the host's name is longer than %u bytes", HOST_MAX);
    if (strlen(ret->name) > RECORD_LIST_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "the secret's name is longer than %u bytes",
                       RECORD_LIST_TEXT_MAX);
    enum kt_kind kind = secret_load(req, ret->name, &ret->secret, err);
    if (kind == KT_NOT_FOUND && err->what[0] != '\0')
        return kind;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = kv_load(req->core, ret->secret.mount, req->snapshot, &req->arena, ret->secret.path,
                   &ret->kv, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "KT-F-001 there is no secret '%s'", ret->name);
    return kind;
}

static void show_stages(const struct place *place, struct kt_jsonw *w)
{
    char id[RUN_ID_TEXT];
    run_id_text(place->secret.run, id);
    kt_jsonw_kv_int(w, "want", place->kv->current);
    kt_jsonw_kv_int(w, "current", place->kv->current);
    kt_jsonw_kv_int(w, "pending", place->kv->pending);
    kt_jsonw_kv_int(w, "previous", place->kv->previous);
    kt_jsonw_kv_text(w, "run", place->secret.active ? id : "");
}

/* ---- reading the report ---- */

/* Foreign text that people read: cut to what has room, control characters become blanks. */
static enum kt_kind read_text(struct request *req, const char *name, size_t most, const char **ret,
                              struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind == KT_NOT_FOUND) {
        *ret = "";
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    size_t len = kt_text_cut(text, most);
    char *copy = kt_arena_text(&req->arena, kt_bytes(text, len));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a report");
    kt_make_plain(copy, len);
    *ret = copy;
    return KT_OK;
}

static enum kt_kind read_service(struct request *req, const char **ret, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "service", ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_NOT_FOUND || (*ret)[0] == '\0' || strlen(*ret) > SERVICE_MAX ||
        strchr(*ret, '/') != NULL)
        return kt_fail(err, KT_INVALID,
                       "service must name the service: 1 to %u characters without '/'",
                       SERVICE_MAX);
    return kt_text_check("service", *ret, err);
}

static enum kt_kind read_count(struct request *req, const char *name, int64_t *ret,
                               struct kt_err *err)
{
    *ret = 0;
    enum kt_kind kind = request_int(req, name, ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (*ret < 0)
        return kt_fail(err, KT_INVALID, "%s must not be negative", name);
    return KT_OK;
}

static enum kt_kind read_state(struct request *req, struct consumer *consumer, struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, "state", &text, err);
    if (kind == KT_OK && consumer_state_parse(text, &consumer->state))
        return KT_OK;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return kt_fail(err, KT_INVALID, "state must be registered, applying, healthy, unhealthy, "
                                    "rolled_back or gone");
}

/* Each report says it anew: who was started again has what it says now. */
static enum kt_kind read_candidates(struct request *req, struct consumer *consumer, struct kt_err *err)
{
    uint32_t had = consumer->holds;
    int64_t candidates = 0, holds = 0;
    enum kt_kind kind = read_count(req, "candidates", &candidates, err);
    if (kind == KT_OK)
        kind = read_count(req, "holds", &holds, err);
    if (kind != KT_OK)
        return kind;
    if (candidates > CONSUMER_TWO)
        return kt_fail(err, KT_INVALID, "candidates must be 1 or %u", CONSUMER_TWO);
    if (holds > UINT32_MAX)
        return kt_fail(err, KT_INVALID, "holds must be the number of a version");
    if (holds != 0 && candidates != CONSUMER_TWO)
        return kt_fail(err, KT_INVALID, "holds needs candidates to be %u", CONSUMER_TWO);
    consumer->candidates = (uint32_t)candidates;
    consumer->holds = (uint32_t)holds;
    if (consumer->holds == 0 || consumer->holds != had)
        consumer->holds_ms = consumer->holds == 0 ? 0 : rotation_steady_ms(req->core->rotation);
    return KT_OK;
}

static enum kt_kind read_report(struct request *req, struct consumer *consumer, struct kt_err *err)
{
    int64_t version = 0;
    enum kt_kind kind = read_state(req, consumer, err);
    if (kind == KT_OK)
        kind = read_count(req, "version", &version, err);
    if (kind == KT_OK && version > UINT32_MAX)
        return kt_fail(err, KT_INVALID, "version must be the number of a version");
    consumer->version = (uint32_t)version;
    if (kind == KT_OK)
        kind = read_text(req, "instance", 500, &consumer->instance, err);
    if (kind == KT_OK)
        kind = read_text(req, "evidence", 60, &consumer->evidence, err);
    if (kind == KT_OK)
        kind = read_text(req, "detail", 900, &consumer->detail, err);
    if (kind == KT_OK)
        kind = read_count(req, "samples", &consumer->samples, err);
    if (kind == KT_OK)
        kind = read_count(req, "p95_ms", &consumer->p95_ms, err);
    if (kind == KT_OK)
        kind = read_count(req, "baseline_p95_ms", &consumer->baseline_p95_ms, err);
    return kind == KT_OK ? read_candidates(req, consumer, err) : kind;
}

/* The row may be on its way: only the order of the batches tells, so the first attempt leaves it to them. */
static enum kt_kind check_version(struct request *req, const struct place *place, const char *identity,
                                  uint32_t version, struct kt_err *err)
{
    if (version == 0 || kv_version(place->kv, version) == NULL)
        return kt_fail(err, KT_INVALID, "KT-F-003 '%s' has no version %u", place->name, version);
    if (!place->kv->has_driver)
        return KT_OK;
    if (req->attempt > 0 && !reader_is_there(req, place->secret.id, identity, version)) {
        (void)kt_fail(err, KT_INVALID, "KT-F-002 read version %u of %s first", version, place->name);
        kt_hint(err, "an acknowledgement counts only from who read that version with this token");
        return KT_INVALID;
    }
    reader_require(req, place->secret.id, identity, version, req->batch);
    return KT_OK;
}

/* An acknowledgement, and that it has another version besides, count only for versions that this identity
 * read. */
static enum kt_kind check_read(struct request *req, const struct place *place,
                               const struct consumer *consumer, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    if (consumer->state == CONSUMER_HEALTHY)
        kind = check_version(req, place, consumer->identity, consumer->version, err);
    if (kind == KT_OK && consumer->holds != 0 && consumer->state != CONSUMER_GONE)
        kind = check_version(req, place, consumer->identity, consumer->holds, err);
    return kind;
}

/* ---- the host's list of secrets ---- */

static enum kt_kind list_secret(struct request *req, const struct place *place, bool there,
                                struct kt_err *err)
{
    const char *host_name = place->host, *name = place->name;
    struct host host;
    enum kt_kind kind = host_load(req, host_name, &host, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    size_t n = 0;
    bool had = false;
    const char **names = kt_arena_take(&req->arena, (host.secrets.n + 1) * sizeof *names);
    if (names == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing a host's secrets");
    for (size_t i = 0; i < host.secrets.n; i++) {
        bool same = strcmp(host.secrets.at[i], name) == 0;
        had = had || same;
        if (!same || there)
            names[n++] = host.secrets.at[i];
    }
    if (had == there)
        return KT_OK;
    if (there && n >= HOST_SECRETS_MAX)
        return kt_fail(err, KT_INVALID, "host '%s' has %u secrets already", host_name,
                       HOST_SECRETS_MAX);
    if (there)
        names[n++] = name;
    host.secrets = (struct record_list){names, n};
    host.at_ms = req->now_ms;
    kind = there ? mounts_keep_name(req, place->secret.mount, err) : KT_OK;
    return kind == KT_OK ? host_save(req, &host, err) : kind;
}

static enum kt_kind used_otherwise(struct request *req, const struct place *place,
                                   const char *service, bool *ret, struct kt_err *err)
{
    struct consumer *all = NULL;
    size_t n = 0;
    enum kt_kind kind = consumers_load(req, place->secret.id, place->host, &all, &n, err);
    *ret = false;
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        *ret = *ret || strcmp(all[i].service, service) != 0;
    return kind;
}

static enum kt_kind check_room(struct request *req, const struct place *place, struct kt_err *err)
{
    size_t n = 0;
    enum kt_kind kind = consumers_count(req, place->secret.id, &n, err);
    if (kind != KT_OK || n < CONSUMERS_MAX)
        return kind;
    (void)kt_fail(err, KT_INVALID, "KT-F-004 '%s' has %u consumers already", place->name,
                  CONSUMERS_MAX);
    kt_hint(err, "remove those that are gone: DELETE fleet/consumers/HOST/%s", place->name);
    return KT_INVALID;
}

static enum kt_kind store_consumer(struct request *req, const struct place *place,
                                   const struct consumer *consumer, struct kt_err *err)
{
    bool gone = consumer->state == CONSUMER_GONE, other = false;
    enum kt_kind kind = consumer->changed == 0 && !gone ? check_room(req, place, err) : KT_OK;
    if (kind == KT_OK)
        kind = consumer_save(req, place->secret.id, consumer, err);
    if (kind == KT_OK && !gone && consumer->changed == 0)
        return list_secret(req, place, true, err);
    if (kind == KT_OK && gone)
        kind = used_otherwise(req, place, consumer->service, &other, err);
    if (kind == KT_OK && gone && !other)
        kind = list_secret(req, place, false, err);
    return kind;
}

/* "unhealthy" with a new version, then "rolled_back" or "unhealthy" with the one before it: one
 * failure, told twice. Who went back without the first of these words failed with the current one. */
static void note_failure(const struct request *req, const struct kv_secret *kv,
                         const struct consumer *before, struct consumer *now)
{
    bool failed = now->state == CONSUMER_UNHEALTHY || now->state == CONSUMER_ROLLED_BACK;
    bool again = before->failed_version > now->version &&
                 (before->state == CONSUMER_UNHEALTHY || before->state == CONSUMER_ROLLED_BACK);
    if (failed && again)
        return;
    bool went_back = now->state == CONSUMER_ROLLED_BACK && kv->current > now->version;
    now->failed_version = !failed ? 0 : went_back ? kv->current : now->version;
    now->failed_ms = failed ? rotation_steady_ms(req->core->rotation) : 0;
}

static bool has_two(const struct consumer *consumer)
{
    return consumer->holds != 0 && consumer->state == CONSUMER_HEALTHY;
}

static bool counts(const struct consumer *consumer)
{
    return consumer->candidates == CONSUMER_TWO && consumer->state != CONSUMER_UNHEALTHY;
}

/* It came, lost what it had, or counts again: it has time anew. Who says over and over that it is not well has not. */
static bool begins_to_lack(const struct consumer *before, const struct consumer *now)
{
    bool lost = has_two(before) || (!counts(before) && counts(now));
    return before->changed == 0 || (lost && !has_two(now));
}

enum kt_kind consumer_write(struct request *req, struct kt_err *err)
{
    struct place place;
    const char *service = NULL;
    enum kt_kind kind = find_place(req, &place, err);
    if (kind == KT_OK)
        kind = read_service(req, &service, err);
    if (kind != KT_OK)
        return kind;
    struct consumer consumer;
    kind = consumer_load(req, place.secret.id, place.host, service, &consumer, err);
    if (kind == KT_NOT_FOUND)
        consumer = (struct consumer){.host = place.host, .service = service};
    else if (kind != KT_OK)
        return kind;
    const struct consumer before = consumer;
    kind = read_report(req, &consumer, err);
    if (kind != KT_OK)
        return kind;
    note_failure(req, place.kv, &before, &consumer);
    if (begins_to_lack(&before, &consumer))
        consumer.lacks_ms = rotation_steady_ms(req->core->rotation);
    consumer.identity = token_identity(req->token);
    consumer.at_ms = req->now_ms;
    consumer.heard_ms = rotation_steady_ms(req->core->rotation);
    consumer.changed = before.changed;
    fleet_saw(req, place.host);
    bool nothing = consumer.state == CONSUMER_GONE && before.changed == 0;
    if (request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a consumer");
    if (!nothing)
        kind = check_read(req, &place, &consumer, err);
    if (kind == KT_OK && !nothing)
        kind = store_consumer(req, &place, &consumer, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_stages(&place, &w);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- reading ---- */

enum kt_kind consumer_read(struct request *req, struct kt_err *err)
{
    struct place place;
    struct consumer *all = NULL;
    size_t n = 0;
    enum kt_kind kind = find_place(req, &place, err);
    if (kind == KT_OK)
        kind = consumers_load(req, place.secret.id, place.host, &all, &n, err);
    if (kind == KT_OK && n == 0)
        return kt_fail(err, KT_NOT_FOUND, "nothing on '%s' uses '%s'", place.host, place.name);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_stages(&place, &w);
    kt_jsonw_key(&w, "services");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        consumer_show(&all[i], &w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind consumer_delete(struct request *req, struct kt_err *err)
{
    struct place place;
    struct consumer *all = NULL;
    size_t n = 0;
    const char *service = "";
    enum kt_kind kind = request_string(req, "service", &service, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = find_place(req, &place, err);
    if (kind == KT_OK)
        kind = consumers_load(req, place.secret.id, place.host, &all, &n, err);
    bool left = false, more = false;
    unsigned removed = 0;
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        bool other = service[0] != '\0' && strcmp(all[i].service, service) != 0;
        if (other || removed == REMOVED_AT_ONCE) {
            left = true;
            more = more || !other;
            continue;
        }
        all[i].state = CONSUMER_GONE;
        kind = consumer_save(req, place.secret.id, &all[i], err);
        removed++;
    }
    if (kind == KT_OK && more)
        request_warn(req, "%u services are removed, and there are more: ask again", removed);
    if (kind == KT_OK && removed > 0 && !left)
        kind = list_secret(req, &place, false, err);
    return kind;
}

static void show_keys(struct kt_jsonw *w, const char *const *names, size_t n)
{
    kt_jsonw_key(w, "keys");
    kt_jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(w, names[i]);
    kt_jsonw_end(w);
}

enum kt_kind consumer_list(struct request *req, struct kt_err *err)
{
    struct host host;
    enum kt_kind kind = host_load(req, request_param(req, "host"), &host, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_keys(&w, host.secrets.at, host.secrets.n);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- hosts ---- */

#define LATE_MS ((int64_t)630 * 1000)

static const char *host_state(int64_t age_ms)
{
    return age_ms < LATE_MS ? "live" : age_ms < FLEET_LOST_MS ? "late" : "lost";
}

enum kt_kind fleet_host_below(struct request *req, const char *prefix, const char **ret_host,
                              struct kt_err *err)
{
    return host_find_below(req, prefix, ret_host, err);
}

static int by_name(const void *a, const void *b)
{
    const struct host *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum kt_kind agent_list(struct request *req, struct kt_err *err)
{
    struct host *hosts = NULL;
    size_t n = 0;
    enum kt_kind kind = hosts_load(req, &hosts, &n, err);
    if (kind != KT_OK || n == 0)
        return kind;
    qsort(hosts, n, sizeof *hosts, by_name);
    const char **names = kt_arena_take(&req->arena, n * sizeof *names);
    if (names == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing hosts");
    for (size_t i = 0; i < n; i++)
        names[i] = hosts[i].name;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_keys(&w, names, n);
    kt_jsonw_key(&w, "key_info");
    kt_jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        int64_t seen = fleet_last_sign(req->core->fleet, hosts[i].name).at_ms;
        if (hosts[i].at_ms > seen)
            seen = hosts[i].at_ms;
        kt_jsonw_key(&w, hosts[i].name);
        kt_jsonw_object(&w);
        kt_jsonw_kv_time(&w, "last_seen", seen);
        kt_jsonw_kv_int(&w, "consumers", (int64_t)hosts[i].secrets.n);
        kt_jsonw_kv_text(&w, "state", host_state(req->now_ms - seen));
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
