#include "tests/support/leasing_engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "vaultd/auth/revoker.h"

#define HELD_MAX 4096u

static struct {
    pthread_mutex_t lock;
    uint64_t held[HELD_MAX];
    unsigned n_held, asked;
    bool mended;
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool begins(const struct leased *lease, const char *with)
{
    size_t len = strlen(with);
    return lease->data.len >= len && memcmp(lease->data.at, with, len) == 0;
}

static void take_back(struct core *core, const struct leased *lease, uint64_t ticket)
{
    (void)pthread_mutex_lock(&scene.lock);
    bool bad = begins(lease, "bad") && !scene.mended, held = begins(lease, "held");
    scene.asked++;
    if (held && scene.n_held < HELD_MAX)
        scene.held[scene.n_held++] = ticket;
    (void)pthread_mutex_unlock(&scene.lock);
    if (bad)
        revocation_done(core, ticket, KT_IO, "the target does not answer");
    else if (!held)
        revocation_done(core, ticket, KT_OK, NULL);
}

static enum kt_kind may_renew(struct request *req, const struct leased *lease, int64_t expires_ms, struct kt_err *err)
{
    if (expires_ms <= req->now_ms)
        return kt_fail(err, KT_INTERNAL, "renewed into the past");
    return begins(lease, "stiff") ? kt_fail(err, KT_INVALID, "this account is not renewed") : KT_OK;
}

static enum kt_kind make_secret(struct request *req, struct kt_err *err)
{
    const char *name = request_param(req, "name");
    struct leased_wish wish = {.renewable = true, .data = kt_str(name)};
    char *large = kt_arena_take(&req->arena, LEASED_DATA_MAX);
    if (large == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a secret");
    if (strncmp(name, "large", 5) == 0) {
        memcpy(large, wish.data.at, wish.data.len);
        wish.data = kt_bytes(large, LEASED_DATA_MAX);
    }
    enum kt_kind kind = request_duration_s(req, "ttl", &wish.ttl_s, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_duration_s(req, "max_ttl", &wish.max_ttl_s, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "renewable", &wish.renewable, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = leased_issue(req, &wish, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "username", name);
    kt_jsonw_end(&w);
    return KT_OK;
}

static const struct field fields[] = {{"ttl", FIELD_DURATION, "how long"},
                                      {"max_ttl", FIELD_DURATION, "how long at most"},
                                      {"renewable", FIELD_BOOL, "whether it can be renewed"},
                                      {NULL, FIELD_ANY, NULL}};
static const struct route routes[] = {
    {.pattern = "creds/{name}", .read = make_secret, .fields = fields, .help = "A secret with a lease."}};
static const struct leasing leasing = {.revoke = take_back, .renew = may_renew};
static const struct engine leasing_engine = {
    .type = "leasing", .help = "For tests.", .routes = routes, .n_routes = 1, .leasing = &leasing};

const struct engine *__real_engine_find(const char *type, const char *version);
const struct engine *__wrap_engine_find(const char *type, const char *version);
const struct engine *__wrap_engine_find(const char *type, const char *version)
{
    return strcmp(type, "leasing") == 0 ? &leasing_engine : __real_engine_find(type, version);
}

void leasing_mount(struct test_vault *vault)
{
    if (test_vault_call(vault, "POST", "sys/mounts/leasing", vault->root, "{\"type\":\"leasing\"}") == 204)
        return;
    (void)fprintf(stderr, "mounting leasing/: %u %s\n", vault->status, vault->body);
    abort();
}

void leasing_reset(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    scene.n_held = scene.asked = 0;
    scene.mended = false;
    (void)pthread_mutex_unlock(&scene.lock);
}

void leasing_mend(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    scene.mended = true;
    (void)pthread_mutex_unlock(&scene.lock);
}

unsigned leasing_asked(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    unsigned n = scene.asked;
    (void)pthread_mutex_unlock(&scene.lock);
    return n;
}

unsigned leasing_held(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    unsigned n = scene.n_held;
    (void)pthread_mutex_unlock(&scene.lock);
    return n;
}

void leasing_release(struct test_vault *vault, enum kt_kind kind, const char *why)
{
    static uint64_t held[HELD_MAX];
    (void)pthread_mutex_lock(&scene.lock);
    unsigned n = scene.n_held;
    memcpy(held, scene.held, n * sizeof *held);
    scene.n_held = 0;
    (void)pthread_mutex_unlock(&scene.lock);
    for (unsigned i = 0; i < n; i++)
        revocation_done(vault->core, held[i], kind, why);
}
