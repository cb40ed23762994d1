#include <stdio.h>
#include <stdlib.h>

#include "vaultd/auth/token.h"
#include "vaultd/fleet/consumer.h"
#include "vaultd/fleet/fleet.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/secret.h"

#define DETAIL_MAX   1000u
#define LIVE_MS      660000 /* two polls of 300 s and a bit */
#define LOST_MS      900000
#define INSTANCE_MAX 500u

/* ---- an agent's word ---- */

struct word {
    const char *host, *name; /* the secret's logical name */
    const struct mount *mount;
    const char *path;
    unsigned char id[RUN_ID];
    struct consumer said;
};

static bool failed(enum kt_kind kind)
{
    return kind != KT_OK && kind != KT_NOT_FOUND;
}

static enum kt_kind read_numbers(struct request *req, struct word *word, struct kt_err *err)
{
    int64_t version = 0;
    const enum kt_kind kinds[] = {
        request_int(req, "version", &version, err),
        request_int(req, "samples", &word->said.samples, err),
        request_int(req, "p95_ms", &word->said.p95_ms, err),
        request_int(req, "baseline_p95_ms", &word->said.baseline_p95_ms, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (failed(kinds[i]))
            return kinds[i];
    if (version < 0 || version > UINT32_MAX)
        return kt_fail(err, KT_INVALID, "\"version\" must be a version number, 0 for none yet");
    word->said.version = (uint32_t)version;
    return KT_OK;
}

static enum kt_kind read_texts(struct request *req, struct word *word, struct kt_err *err)
{
    const char *state = "";
    struct consumer *said = &word->said;
    const enum kt_kind kinds[] = {
        request_string(req, "service", &said->service, err),
        request_string(req, "state", &state, err),
        request_string(req, "instance", &said->instance, err),
        request_string(req, "evidence", &said->evidence, err),
        request_string(req, "detail", &said->detail, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (failed(kinds[i]))
            return kinds[i];
    size_t service = strlen(said->service);
    if (service == 0 || service > SERVICE_MAX || strchr(said->service, '/') != NULL)
        return kt_fail(err, KT_INVALID, "\"service\" must have 1 to %u bytes and no '/'",
                       SERVICE_MAX);
    if (!consumer_state_parse(state, &said->state)) {
        (void)kt_fail(err, KT_INVALID, "\"state\" is none that a consumer can be in");
        kt_hint(err, "registered, applying, healthy, unhealthy, rolled_back, gone");
        return KT_INVALID;
    }
    if (strlen(said->detail) > DETAIL_MAX || strlen(said->instance) > INSTANCE_MAX ||
        strlen(said->evidence) > 60)
        return kt_fail(err, KT_INVALID, "\"detail\", \"instance\" or \"evidence\" is too long");
    return KT_OK;
}

static enum kt_kind find_secret(struct request *req, struct word *word, struct kt_err *err)
{
    word->host = request_param(req, "host");
    word->name = request_param(req, "secret");
    if (strlen(word->host) > HOST_MAX)
        return kt_fail(err, KT_INVALID, "a host's name has at most %u bytes", HOST_MAX);
    enum kt_kind kind = secret_place(req, word->name, &word->mount, &word->path, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "no KV mount holds %s", word->name);
        kt_hint(err, "name a secret as MOUNT/PATH, without data/: secret/db/orders");
        return KT_INVALID;
    }
    if (kind == KT_OK)
        secret_id(req->core, word->mount->scope, word->path, word->id);
    return kind;
}

/* An acknowledgement counts only from one that read that version; a forged one is refused before
 * it is written, and the row is a condition of the batch besides. */
static enum kt_kind require_reading(struct request *req, const struct word *word,
                                    const struct kv_secret *secret, struct batch *batch,
                                    struct kt_err *err)
{
    if (!secret->has_driver || word->said.state != CONSUMER_HEALTHY)
        return KT_OK;
    if (!reader_is_there(req, word->id, word->said.identity, word->said.version)) {
        (void)kt_fail(err, KT_INVALID, "KT-F-002 read version %u of %s first", word->said.version,
                      word->name);
        kt_hint(err, "an acknowledgement counts only from the token that fetched that version");
        return KT_INVALID;
    }
    reader_require(req, word->id, word->said.identity, word->said.version, batch);
    return KT_OK;
}

/* The host's list of secrets: what its watch looks at. */
static enum kt_kind note_on_host(struct request *req, const struct word *word, struct kt_err *err)
{
    struct host host = {.name = word->host};
    enum kt_kind kind = host_load(req, word->host, &host, err);
    if (failed(kind))
        return kind;
    size_t at = 0;
    while (at < host.secrets.n && strcmp(host.secrets.at[at], word->name) != 0)
        at++;
    bool there = at < host.secrets.n;
    if (word->said.state == CONSUMER_GONE) {
        struct consumer *all = NULL;
        size_t n = 0;
        kind = consumers_load(req, word->id, word->host, &all, &n, err);
        bool others = false;
        for (size_t i = 0; kind == KT_OK && i < n; i++)
            others = others || strcmp(all[i].service, word->said.service) != 0;
        if (kind != KT_OK || others || !there)
            return kind;
        host.secrets.at[at] = host.secrets.at[--host.secrets.n];
        return host_save(req, &host, err);
    }
    if (there)
        return KT_OK;
    if (host.secrets.n == HOST_SECRETS_MAX)
        return kt_fail(err, KT_INVALID, "a host uses at most %u secrets", HOST_SECRETS_MAX);
    const char **list = kt_arena_take(&req->arena, (host.secrets.n + 1) * sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "registering a consumer");
    if (host.secrets.n > 0)
        memcpy(list, host.secrets.at, host.secrets.n * sizeof *list);
    list[host.secrets.n] = word->name;
    host.secrets = (struct record_list){list, host.secrets.n + 1};
    host.at_ms = req->now_ms;
    return host_save(req, &host, err);
}

static void answer(struct request *req, const struct word *word, const struct kv_secret *secret)
{
    struct rotation_secret rotation;
    char run[RUN_ID_TEXT] = "";
    if (secret_load(req, word->name, &rotation, NULL) == KT_OK && rotation.active)
        run_id_text(rotation.run, run);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "current", secret->current);
    kt_jsonw_kv_int(&w, "pending", secret->pending);
    kt_jsonw_kv_int(&w, "previous", secret->previous);
    kt_jsonw_kv_text(&w, "run", run);
    kt_jsonw_kv_int(&w, "want", secret->current);
    kt_jsonw_end(&w);
}

static void said(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_wake(req->core->rotation);
}

enum kt_kind fleet_consumer_write(struct request *req, struct kt_err *err)
{
    struct word word = {.said = {.service = "", .instance = "", .evidence = "", .detail = ""}};
    enum kt_kind kind = find_secret(req, &word, err);
    if (kind == KT_OK)
        kind = read_texts(req, &word, err);
    if (kind == KT_OK)
        kind = read_numbers(req, &word, err);
    if (kind != KT_OK)
        return kind;
    fleet_heard(req->core->fleet, word.host, req->now_ms);
    struct kv_secret *secret = NULL;
    kind = kv_load(req->core, word.mount, req->snapshot, &req->arena, word.path, &secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "%s does not exist", word.name);
    struct consumer before = {.changed = 0};
    if (kind == KT_OK)
        kind = consumer_load(req, word.id, word.host, word.said.service, &before, err);
    if (failed(kind))
        return kind;
    if (kind == KT_NOT_FOUND && word.said.state == CONSUMER_GONE)
        return KT_OK;
    word.said.host = word.host;
    word.said.identity = token_identity(req->token);
    word.said.at_ms = req->now_ms;
    word.said.changed = before.changed;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "registering a consumer");
    kind = require_reading(req, &word, secret, batch, err);
    if (kind == KT_OK)
        kind = note_on_host(req, &word, err);
    if (kind == KT_OK)
        kind = consumer_save(req, word.id, &word.said, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = said;
    answer(req, &word, secret);
    return KT_OK;
}

/* ---- looking ---- */

static void write_consumer(struct kt_jsonw *w, const struct consumer *c)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_time(w, "at", c->at_ms);
    kt_jsonw_kv_int(w, "baseline_p95_ms", c->baseline_p95_ms);
    kt_jsonw_kv_text(w, "detail", c->detail);
    kt_jsonw_kv_text(w, "evidence", c->evidence);
    kt_jsonw_kv_text(w, "host", c->host);
    kt_jsonw_kv_text(w, "identity", c->identity);
    kt_jsonw_kv_text(w, "instance", c->instance);
    kt_jsonw_kv_int(w, "p95_ms", c->p95_ms);
    kt_jsonw_kv_int(w, "samples", c->samples);
    kt_jsonw_kv_text(w, "service", c->service);
    kt_jsonw_kv_text(w, "state", consumer_state_text(c->state));
    kt_jsonw_kv_int(w, "version", c->version);
    kt_jsonw_end(w);
}

enum kt_kind fleet_consumer_read(struct request *req, struct kt_err *err)
{
    struct word word = {.host = NULL};
    struct consumer *all = NULL;
    size_t n = 0;
    enum kt_kind kind = find_secret(req, &word, err);
    if (kind == KT_OK)
        kind = consumers_load(req, word.id, word.host, &all, &n, err);
    if (kind != KT_OK)
        return kind;
    if (n == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "services");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        write_consumer(&w, &all[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum kt_kind fleet_consumers_list(struct request *req, struct kt_err *err)
{
    struct host host = {.name = request_param(req, "host")};
    enum kt_kind kind = host_load(req, host.name, &host, err);
    if (failed(kind))
        return kind;
    if (kind == KT_NOT_FOUND || host.secrets.n == 0)
        return KT_OK;
    qsort(host.secrets.at, host.secrets.n, sizeof *host.secrets.at, by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < host.secrets.n; i++)
        kt_jsonw_text(&w, host.secrets.at[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

static const char *agent_state(int64_t heard_ms, int64_t now_ms)
{
    int64_t age = now_ms - heard_ms;
    return heard_ms == 0 || age > LOST_MS ? "lost" : age > LIVE_MS ? "late" : "live";
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

enum kt_kind fleet_agents_list(struct request *req, struct kt_err *err)
{
    struct host *hosts = NULL;
    size_t n = 0;
    enum kt_kind kind = hosts_load(req, &hosts, &n, err);
    if (kind != KT_OK || n == 0)
        return kind;
    qsort(hosts, n, sizeof *hosts, by_name);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "key_info");
    kt_jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        int64_t heard = fleet_last_heard(req->core->fleet, hosts[i].name);
        kt_jsonw_key(&w, hosts[i].name);
        kt_jsonw_object(&w);
        kt_jsonw_kv_int(&w, "consumers", (int64_t)hosts[i].secrets.n);
        kt_jsonw_kv_time(&w, "last_seen", heard);
        kt_jsonw_kv_text(&w, "state", agent_state(heard, req->now_ms));
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(&w, hosts[i].name);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
