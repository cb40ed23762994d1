/* Requests that wait: for news, for their deadline, for the vault to be sealed, for the end of what let
 * them in. Each look at one is counted on its way (--wrap=look_due). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "tests/support/rows.h"
#include "tests/support/stuck.h"
#include "tests/support/vault.h"
#include "vaultd/auth/token.h"
#include "vaultd/fleet/own.h"

bool __real_look_due(struct request *req);
bool __wrap_look_due(struct request *req);

void __real_request_wait(struct request *req, struct wait_list *list, int64_t deadline_ms);
void __wrap_request_wait(struct request *req, struct wait_list *list, int64_t deadline_ms);

static atomic_uint looks, looks_due, waits_begun;

void __wrap_request_wait(struct request *req, struct wait_list *list, int64_t deadline_ms)
{
    atomic_fetch_add(&waits_begun, 1);
    __real_request_wait(req, list, deadline_ms);
}

bool __wrap_look_due(struct request *req)
{
    bool due = __real_look_due(req);
    atomic_fetch_add(&looks_due, due);
    atomic_fetch_add(&looks, 1);
    return due;
}

/* The clock goes on by half a minute until there was one more look than `before`. Who was woken by old news
 * just then waits from then on, so after a second, which is time for ten looks, it goes on again. Nobody looks at
 * who was answered. */
static void until_a_look_since(struct test_vault *vault, unsigned before, const atomic_bool *answered)
{
    for (unsigned i = 0; atomic_load(&looks) == before && (answered == NULL || !atomic_load(answered)); i++) {
        if (i % 1000 == 0)
            atomic_fetch_add(&vault->now_ms, 30000);
        (void)nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void until_a_look(struct test_vault *vault)
{
    until_a_look_since(vault, atomic_load(&looks), NULL);
}

#define N_WAITS_MAX 32
#define NEWS_POLICY "path \"fleet/watch/*\" { capabilities = [\"read\"] }"

struct waiting {
    struct test_vault *vault;
    struct wait_list *list;
    int64_t deadline_ms;
    struct token token; /* what it came with; all zero: none */
    atomic_uint passes;
    atomic_bool news;
    enum kt_kind kind;
    unsigned wakes;
    pthread_t thread;
};

static enum kt_kind wait_for_news(struct request *req, struct kt_err *err)
{
    struct waiting *waiting = req->handler_data;
    (void)err;
    atomic_fetch_add(&waiting->passes, 1);
    waiting->wakes = req->wakes;
    req->token = waiting->token.changed != 0 ? &waiting->token : NULL;
    if (!atomic_load(&waiting->news) && kt_mono_ms(req->core->clock) < waiting->deadline_ms)
        request_wait(req, waiting->list, waiting->deadline_ms);
    return KT_OK;
}

static void *ask(void *arg)
{
    struct waiting *waiting = arg;
    waiting->kind =
        request_internal(waiting->vault->core, "test/wait", wait_for_news, waiting, NULL);
    return NULL;
}

static void until_it_waits(struct waiting *waiting)
{
    while (wait_list_count(waiting->list) == 0)
        (void)sched_yield();
}

static struct waiting *prepare(int64_t wait_ms)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    assert_non_null(waiting);
    waiting->vault = test_vault_new(false);
    waiting->list = wait_list_new(waiting->vault->core->waits);
    assert_non_null(waiting->list);
    waiting->deadline_ms = waiting->vault->now_ms + wait_ms;
    return waiting;
}

static void start(struct waiting *waiting)
{
    assert_int_equal(pthread_create(&waiting->thread, NULL, ask, waiting), 0);
    until_it_waits(waiting);
}

static struct waiting *begin(int64_t wait_ms)
{
    struct waiting *waiting = prepare(wait_ms);
    start(waiting);
    return waiting;
}

static void end(struct waiting *waiting)
{
    wait_list_free(waiting->list);
    test_vault_free(waiting->vault);
    free(waiting);
}

static bool nobody(const struct request *req, void *arg)
{
    (void)req;
    (void)arg;
    return false;
}

static void news_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    assert_int_equal(wait_list_wake(waiting->list, nobody, NULL), 0);
    assert_int_equal(wait_list_count(waiting->list), 1);
    atomic_store(&waiting->news, true);
    assert_int_equal(wait_list_wake(waiting->list, NULL, NULL), 1);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_OK);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

/* A clock that jumps is asked again within 100 ms. */
static void the_deadline_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(5000);
    atomic_store(&waiting->vault->now_ms, waiting->deadline_ms);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_OK);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

static void a_look_leaves_it_where_it_waits(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    for (unsigned i = 1; i <= 3; i++) {
        until_a_look(waiting->vault);
        until_it_waits(waiting);
    }
    assert_int_equal(waiting->passes, 1);
    assert_int_equal(waiting->wakes, 0);
    atomic_store(&waiting->news, true);
    assert_int_equal(wait_list_wake(waiting->list, NULL, NULL), 1);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

/* After a look, too. */
static void the_deadline_ends_it_after_looks(void **state)
{
    (void)state;
    struct waiting *waiting = begin(45000);
    until_a_look(waiting->vault);
    until_it_waits(waiting);
    atomic_store(&waiting->vault->now_ms, waiting->deadline_ms);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

/* ---- what let a request in ------------------------------------------------------------------- */

static void need(struct test_vault *vault, unsigned status, const char *method, const char *path,
                 const char *token, const char *body)
{
    if (test_vault_call(vault, method, path, token, body) != status)
        fail_msg("%s %s: expected %u, got %u: %s", method, path, status, vault->status, vault->body);
}

static generation generation_of(struct test_vault *vault, const unsigned char hash[32])
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    generation changed = token_generation(snapshot, hash);
    snapshot_end(snapshot);
    return changed;
}

/* At the very millisecond. */
static void the_end_of_its_token_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = prepare(300000);
    char text[128];
    unsigned char key[BARRIER_HASH_KEY];
    test_vault_token(waiting->vault, "any", NEWS_POLICY, text, sizeof text);
    barrier_hash_key(waiting->vault->core->barrier, TABLE_TOKEN, kt_str(text), key);
    memcpy(waiting->token.hash, key + 1, sizeof waiting->token.hash);
    waiting->token.changed = generation_of(waiting->vault, waiting->token.hash);
    waiting->token.expires_ms = waiting->vault->now_ms + 30000;
    start(waiting);
    unsigned due = atomic_load(&looks_due);
    until_a_look(waiting->vault);
    assert_int_equal(atomic_load(&looks_due) - due, 1);
    core_seal(waiting->vault->core, "test");
    (void)pthread_join(waiting->thread, NULL);
    end(waiting);
}

/* A renewed token, and one that is gone: what waits with it runs again at the next look, not before. */
static void a_change_of_its_token_ends_it(void **state)
{
    (void)state;
    static const char *const changes[] = {"auth/token/renew-self", "auth/token/revoke-self"};
    for (unsigned i = 0; i < 2; i++) {
        struct waiting *waiting = prepare(300000);
        struct test_vault *vault = waiting->vault;
        unsigned char key[BARRIER_HASH_KEY];
        char text[128];
        test_vault_token(vault, "any", NEWS_POLICY, text, sizeof text);
        barrier_hash_key(vault->core->barrier, TABLE_TOKEN, kt_str(text), key);
        memcpy(waiting->token.hash, key + 1, sizeof waiting->token.hash);
        waiting->token.changed = generation_of(vault, waiting->token.hash);
        start(waiting);
        until_a_look(vault);
        until_it_waits(waiting);
        assert_int_equal(waiting->passes, 1);
        need(vault, i == 0 ? 200 : 204, "POST", changes[i], text, NULL);
        assert_int_equal(waiting->passes, 1);
        atomic_store(&waiting->news, true);
        until_a_look(vault);
        (void)pthread_join(waiting->thread, NULL);
        assert_int_equal(waiting->passes, 2);
        end(waiting);
    }
}

/* A long poll of a token of its own, which lives for five minutes. */
struct poll {
    struct test_vault *vault;
    char token[128], query[256];
    char answer[4096];
    unsigned status;
    atomic_bool answered;
    pthread_t thread;
};

static void *ask_for_news(void *arg)
{
    struct poll *poll = arg;
    const struct test_request request = {.method = kt_str("GET"),
                                         .target = kt_str("/v1/fleet/watch/h1"),
                                         .query = kt_str(poll->query),
                                         .token = kt_str(poll->token)};
    poll->status = test_vault_ask_apart(poll->vault, &request, poll->answer, sizeof poll->answer);
    atomic_store(&poll->answered, true);
    return NULL;
}

static void forbid(struct poll *poll)
{
    need(poll->vault, 204, "PUT", "sys/policies/acl/news", poll->vault->root,
         "{\"policy\":\"path \\\"fleet/watch/*\\\" { capabilities = [\\\"deny\\\"] }\"}");
}

static void forbid_others(struct poll *poll)
{
    need(poll->vault, 204, "PUT", "sys/policies/acl/others", poll->vault->root,
         "{\"policy\":\"path \\\"a\\\" { capabilities = [\\\"deny\\\"] }\"}");
}

static void mount(struct poll *poll)
{
    need(poll->vault, 204, "POST", "sys/mounts/more", poll->vault->root,
         "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
}

static void write_secret(struct poll *poll)
{
    need(poll->vault, 200, "POST", "secret/data/a", poll->vault->root, "{\"data\":{\"k\":\"v\"}}");
}

static void let_it_expire(struct poll *poll)
{
    atomic_fetch_add(&poll->vault->now_ms, 300000);
}

static const struct ending {
    const char *name;
    void (*happens)(struct poll *poll);
    bool due;        /* it runs again at the next look ... */
    unsigned status; /* ... and is answered with this; 0: it waits on */
} endings[] = {
    {"nothing", NULL, false, 0},
    {"a secret that is not its own is written", write_secret, false, 0},
    {"another policy is written", forbid_others, true, 0},
    {"a mount is made", mount, true, 0},
    {"its token expires", let_it_expire, true, 403},
    {"its policy forbids it", forbid, true, 403},
};

static void begin_poll(struct poll *poll)
{
    char cursor[128];
    poll->vault = test_vault_new(true);
    test_vault_token(poll->vault, "news", NEWS_POLICY, poll->token, sizeof poll->token);
    need(poll->vault, 200, "POST", "auth/token/create", poll->vault->root,
         "{\"policies\":[\"news\",\"default\"],\"ttl\":\"5m\"}");
    test_vault_text(poll->vault, "auth.client_token", poll->token, sizeof poll->token);
    need(poll->vault, 200, "GET", "fleet/watch/h1?wait=0", poll->token, NULL);
    test_vault_text(poll->vault, "data.cursor", cursor, sizeof cursor);
    (void)snprintf(poll->query, sizeof poll->query, "wait=600&since=%s", cursor);
    assert_int_equal(pthread_create(&poll->thread, NULL, ask_for_news, poll), 0);
    while (wait_list_count(poll->vault->core->fleet->watches) == 0)
        (void)sched_yield();
}

/* Sealing ends what still waits. */
static void end_poll(struct poll *poll, bool waits)
{
    if (waits)
        core_seal(poll->vault->core, "test");
    (void)pthread_join(poll->thread, NULL);
}

/* False: old news had it run once more just then, not a look. */
static bool ends_it(const struct ending *row)
{
    struct poll poll = {0};
    begin_poll(&poll);
    unsigned due = atomic_load(&looks_due), before = atomic_load(&looks), begun = atomic_load(&waits_begun);
    if (row->happens != NULL)
        row->happens(&poll);
    until_a_look_since(poll.vault, before, &poll.answered);
    /* That one may have begun before it happened. */
    if (atomic_load(&looks_due) == due)
        until_a_look_since(poll.vault, atomic_load(&looks), &poll.answered);
    unsigned found = atomic_load(&looks_due) - due;
    bool ran = atomic_load(&poll.answered) || atomic_load(&waits_begun) != begun;
    end_poll(&poll, row->status == 0);
    test_vault_free(poll.vault);
    if (row->due && found == 0 && ran)
        return false;
    assert_int_equal(found, row->due);
    assert_int_equal(poll.status, row->status == 0 ? 503 : row->status);
    return true;
}

static void what_let_it_in_ends_it(void **state)
{
    for (unsigned i = 0; i < 20; i++)
        if (ends_it(*state))
            return;
    fail_msg("%s: news came each time just then", ((const struct ending *)*state)->name);
}

static void sealing_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    core_seal(waiting->vault->core, "test");
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_SEALED);
    assert_int_equal(wait_list_count(waiting->list), 0);
    end(waiting);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest waits[] = {
        cmocka_unit_test(news_ends_it),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(a_look_leaves_it_where_it_waits),
        cmocka_unit_test(the_deadline_ends_it_after_looks),
        cmocka_unit_test(sealing_ends_it),
        cmocka_unit_test(a_change_of_its_token_ends_it),
        cmocka_unit_test(the_end_of_its_token_ends_it),
    };
    static struct CMUnitTest tests[N_WAITS_MAX];
    memcpy(tests, waits, sizeof waits);
    size_t n = add_rows(tests, sizeof waits / sizeof waits[0], endings,
                        sizeof endings / sizeof endings[0], sizeof endings[0], what_let_it_in_ends_it);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    stuck_after(300, "unit/wait_test: who waits was not looked at, or not woken");
    return _cmocka_run_group_tests("wait", tests, n, NULL, NULL);
}
