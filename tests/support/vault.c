#include "tests/support/vault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/secret.h"
#include "tests/support/folder.h"
#include "tests/support/store_image.h"
#include "vaultd/core/jobs.h"
#include "vaultd/store/inmem.h"

#define TIDY_MAX 10000u

static _Noreturn void give_up(const char *what, const struct kt_err *err)
{
    (void)fprintf(stderr, "test vault: %s: %s\n", what, err == NULL ? "" : err->what);
    abort();
}

static int64_t wall(void *arg)
{
    struct test_vault *vault = arg;
    return vault->now_ms + vault->wall_ahead_ms;
}

static int64_t mono(void *arg)
{
    return ((struct test_vault *)arg)->now_ms;
}

static void unseal(struct test_vault *vault)
{
    struct kt_err err = {0};
    for (unsigned i = 0; i < 3; i++) {
        bool unsealed = false;
        if (barrier_unseal_share(vault->core->barrier, vault->shares[i], &unsealed, &err) != KT_OK)
            give_up("unseal", &err);
    }
    if (core_unsealed(vault->core, false, &err) != KT_OK)
        give_up("unsealed", &err);
}

void test_vault_reseal(struct test_vault *vault)
{
    core_seal(vault->core, "test");
    unseal(vault);
}

static void open_store(struct test_vault *vault)
{
    struct kt_err err = {0};
    if (image_open(vault->image, &vault->store, &err) != KT_OK)
        give_up("store", &err);
}

void test_vault_restart(struct test_vault *vault)
{
    struct kt_err err = {0};
    const struct core_config config = {.dev = true,
                                       .cluster_name = "test",
                                       .data_folder = vault->folder,
                                       .storage_type = "inmem",
                                       .pam_socket = vault->pam_socket};
    core_free(vault->core);
    store_close(vault->store);
    open_store(vault);
    if (core_new(&config, vault->store, &vault->clock, &vault->core, &err) != KT_OK)
        give_up("core", &err);
    unseal(vault);
}

/* clock NULL: the vault's own. */
static struct test_vault *make(const struct core_config *like, const struct kt_clock *clock)
{
    struct test_vault *vault = calloc(1, sizeof *vault);
    struct kt_err err = {0};
    if (vault == NULL || kt_secret_init(&err) != KT_OK)
        give_up("start", &err);
    kt_json_init();
    vault->now_ms = 1800000000000;
    vault->clock = (struct kt_clock){wall, mono, vault};
    if (folder_make(vault->folder) != 0)
        give_up("folder", NULL);
    vault->image = store_image_new();
    if (vault->image == NULL)
        give_up("memory", NULL);
    open_store(vault);
    struct core_config config = *like;
    config.cluster_name = "test";
    config.data_folder = vault->folder;
    config.storage_type = "inmem";
    (void)snprintf(vault->pam_socket, sizeof vault->pam_socket, "%s/no-pam.sock", vault->folder);
    if (config.pam_socket == NULL)
        config.pam_socket = vault->pam_socket;
    if (clock == NULL)
        clock = &vault->clock;
    if (core_new(&config, vault->store, clock, &vault->core, &err) != KT_OK)
        give_up("core", &err);
    struct kt_buf root;
    kt_buf_init(&root, sizeof vault->root - 1);
    if (core_init(vault->core, 5, 3, vault->shares, &root, &err) != KT_OK)
        give_up("init", &err);
    memcpy(vault->root, root.at, root.len);
    kt_buf_free(&root);
    unseal(vault);
    return vault;
}

struct test_vault *test_vault_new(bool dev)
{
    const struct core_config config = {.dev = dev};
    return make(&config, NULL);
}

struct test_vault *test_vault_telling(const struct rotation_executor *executor,
                                      const struct notify_channels *channels, const char *credentials)
{
    const struct core_config config = {
        .dev = true, .executor = executor, .notify = channels, .credentials = credentials};
    return make(&config, NULL);
}

struct test_vault *test_vault_with(bool dev, const struct rotation_executor *executor)
{
    const struct core_config config = {.dev = dev, .executor = executor};
    return make(&config, NULL);
}

struct test_vault *test_vault_pam(bool dev, const char *pam_socket)
{
    const struct core_config config = {.dev = dev, .pam_socket = pam_socket};
    return make(&config, NULL);
}

struct test_vault *test_vault_at_rest(void)
{
    const struct core_config config = {.dev = true, .tick_ms = TEST_VAULT_REST_MS};
    return make(&config, &kt_system_clock);
}

enum kt_kind test_vault_on_disk(const char *folder, struct test_vault **ret, struct kt_err *err)
{
    struct test_vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL || kt_secret_init(NULL) != KT_OK)
        give_up("start", NULL);
    kt_json_init();
    vault->clock = kt_system_clock;
    vault->keeps_folder = true;
    (void)snprintf(vault->folder, sizeof vault->folder, "%s", folder);
    const struct store_config store = {.engine = STORE_LMDB, .path = vault->folder};
    const struct core_config config = {.cluster_name = "keyturn",
                                       .data_folder = vault->folder,
                                       .storage_type = "lmdb"};
    enum kt_kind kind = store_open(&store, &vault->store, err);
    if (kind == KT_OK)
        kind = core_new(&config, vault->store, &vault->clock, &vault->core, err);
    if (kind == KT_OK)
        *ret = vault;
    else
        test_vault_free(vault);
    return kind;
}

enum kt_kind test_vault_unseal(struct test_vault *vault, const char *const *shares, size_t n,
                               bool accept_rollback, struct kt_err *err)
{
    bool unsealed = false;
    for (size_t i = 0; i < n && !unsealed; i++) {
        unsigned char share[SHAMIR_SHARE_BYTES];
        enum kt_kind kind = shamir_share_parse(kt_str(shares[i]), share, err);
        if (kind == KT_OK)
            kind = barrier_unseal_share(vault->core->barrier, share, &unsealed, err);
        if (kind != KT_OK)
            return kind;
    }
    if (!unsealed)
        return kt_fail(err, KT_SEALED, "%zu shares are not enough", n);
    return core_unsealed(vault->core, accept_rollback, err);
}

void test_vault_free(struct test_vault *vault)
{
    if (vault == NULL)
        return;
    core_free(vault->core);
    store_close(vault->store);
    store_image_free(vault->image);
    if (!vault->keeps_folder)
        folder_remove(vault->folder);
    free(vault->body);
    free(vault);
}

struct carrier {
    pthread_mutex_t lock;
    pthread_cond_t resumed;
    bool ready;
    unsigned suspended;
};

static void suspend(struct request *req)
{
    struct carrier *carrier = req->carrier_data;
    (void)pthread_mutex_lock(&carrier->lock);
    carrier->ready = false;
    carrier->suspended++;
    (void)pthread_mutex_unlock(&carrier->lock);
}

static void resume(struct request *req)
{
    struct carrier *carrier = req->carrier_data;
    (void)pthread_mutex_lock(&carrier->lock);
    carrier->ready = true;
    (void)pthread_cond_signal(&carrier->resumed);
    (void)pthread_mutex_unlock(&carrier->lock);
}

static const struct request_carrier carrier_calls = {suspend, resume, NULL};

/* Half an hour passes for the vault when 20 ms did for us and nothing happened. */
static void wait_until_resumed(struct test_vault *vault, struct carrier *carrier, bool hurry)
{
    (void)pthread_mutex_lock(&carrier->lock);
    while (!carrier->ready) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!hurry)
            (void)pthread_cond_wait(&carrier->resumed, &carrier->lock);
        else if (pthread_cond_timedwait(&carrier->resumed, &carrier->lock, &until) == ETIMEDOUT)
            vault->now_ms += 1800000;
    }
    (void)pthread_mutex_unlock(&carrier->lock);
}

/* The caller frees the request, whose answer it has. Returns how often it was suspended. */
static unsigned run_through(struct test_vault *vault, const struct test_request *request,
                            struct request *req)
{
    struct carrier carrier = {.ready = true};
    (void)pthread_mutex_init(&carrier.lock, NULL);
    (void)pthread_cond_init(&carrier.resumed, NULL);
    request_init(req, vault->core, request->local ? ORIGIN_UNIX : ORIGIN_TCP, &carrier_calls, &carrier);
    req->peer_uid = request->uid;
    req->peer_groups = request->groups;
    req->tls = request->chain != NULL;
    req->forwarded = request->forwarded;
    req->chain = request->chain;
    req->n_chain = request->n_chain;
    if (request->address != NULL)
        (void)snprintf(req->remote_address, sizeof req->remote_address, "%s", request->address);
    req->method = request->method;
    req->target = request->target;
    req->query = request->query;
    req->body = request->body;
    req->token_text = request->token;
    req->content_type = request->content_type;
    req->wrap_ttl = request->wrap_ttl;
    if (request->begin != NULL)
        request->begin(request->arg);
    while (pipeline_run(req) == PIPELINE_WAIT)
        wait_until_resumed(vault, &carrier, request->hurry);
    if (request->answered != NULL)
        request->answered(request->arg);
    (void)pthread_cond_destroy(&carrier.resumed);
    (void)pthread_mutex_destroy(&carrier.lock);
    return carrier.suspended;
}

unsigned test_vault_ask_apart(struct test_vault *vault, const struct test_request *request,
                              char *out, size_t size)
{
    struct request req;
    (void)run_through(vault, request, &req);
    unsigned status = pipeline_status(&req);
    struct kt_bytes answer = pipeline_body(&req);
    (void)snprintf(out, size, "%.*s", (int)answer.len, (const char *)answer.at);
    request_free(&req);
    return status;
}

unsigned test_vault_ask(struct test_vault *vault, const struct test_request *request)
{
    struct request req;
    vault->suspended = run_through(vault, request, &req);
    memcpy(vault->id, req.id, sizeof vault->id);
    vault->status = pipeline_status(&req);
    vault->retry_after_s = req.reply.retry_after_s;
    vault->limit = req.limit;
    struct kt_bytes answer = pipeline_body(&req);
    free(vault->body);
    vault->body = calloc(1, answer.len + 1);
    if (vault->body != NULL && answer.len > 0)
        memcpy(vault->body, answer.at, answer.len);
    request_free(&req);
    return vault->status;
}

unsigned test_vault_call_as(struct test_vault *vault, const char *method, const char *path,
                            const char *token, const char *body, const char *content_type)
{
    char target[8192];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .query = kt_str(query),
                                         .token = kt_str(token),
                                         .body = kt_str(body),
                                         .content_type = kt_str(content_type)};
    return test_vault_ask(vault, &request);
}

unsigned test_vault_call(struct test_vault *vault, const char *method, const char *path,
                         const char *token, const char *body)
{
    const char *type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL;
    return test_vault_call_as(vault, method, path, token, body, type);
}

bool test_vault_said(const struct test_vault *vault, const char *text)
{
    return vault->body != NULL && strstr(vault->body, text) != NULL;
}

unsigned test_vault_logged(struct test_vault *vault, const char *text)
{
    if (test_vault_call(vault, "GET", "sys/audit-log/export", vault->root, NULL) != 200) {
        (void)fprintf(stderr, "the audit log: %u %s\n", vault->status, vault->body);
        abort();
    }
    unsigned n = 0;
    for (const char *at = vault->body; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

void test_vault_text(const struct test_vault *vault, const char *dotted, char *out, size_t size)
{
    struct kt_json at = kt_json_value(kt_str(vault->body));
    while (*dotted != '\0') {
        char name[64];
        size_t n = strcspn(dotted, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, dotted);
        if (!kt_json_member(at, name, &at)) {
            (void)fprintf(stderr, "no %s in: %s\n", name, vault->body);
            abort();
        }
        dotted += n + (dotted[n] == '.');
    }
    struct kt_buf text;
    kt_buf_init(&text, size - 1);
    if (kt_json_string(at, &text))
        (void)snprintf(out, size, "%s", kt_buf_text(&text));
    else
        (void)snprintf(out, size, "%.*s", (int)at.len, at.at);
    kt_buf_free(&text);
}

void test_vault_token(struct test_vault *vault, const char *policy_name, const char *policy,
                      char *out, size_t size)
{
    struct kt_buf body;
    kt_buf_init(&body, 65536);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policy", policy);
    kt_jsonw_end(&w);
    char path[256];
    (void)snprintf(path, sizeof path, "sys/policies/acl/%s", policy_name);
    if (test_vault_call(vault, "PUT", path, vault->root, kt_buf_text(&body)) >= 300) {
        (void)fprintf(stderr, "policy: %u %s\n", vault->status, vault->body);
        abort();
    }
    kt_buf_free(&body);
    (void)snprintf(path, sizeof path, "{\"policies\":[\"%s\"]}", policy_name);
    if (test_vault_call(vault, "POST", "auth/token/create", vault->root, path) != 200) {
        (void)fprintf(stderr, "token: %u %s\n", vault->status, vault->body);
        abort();
    }
    test_vault_text(vault, "auth.client_token", out, size);
}

/* ---- looking at the store ---- */

unsigned test_vault_rows(struct test_vault *vault, enum table table)
{
    const unsigned char prefix[1] = {(unsigned char)table};
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    if (snapshot_begin(vault->store, &snapshot) != STORE_OK ||
        cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        give_up("looking at a table", NULL);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n++;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

unsigned test_vault_tidy(struct test_vault *vault)
{
    struct kt_err err = {0};
    unsigned steps = 0;
    bool more = true;
    while (more) {
        if (jobs_run(vault->core, &more, &err) != KT_OK)
            give_up("housekeeping", &err);
        if (++steps == TIDY_MAX)
            give_up("housekeeping does not end", NULL);
    }
    return steps;
}
