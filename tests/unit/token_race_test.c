/* Two requests to one token that meet: the second is done when the first has looked at everything and is
 * about to commit. What the first said holds, and what the second said, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "lib/log.h"
#include "tests/support/vault.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/mounts.h"

#define ID "a-token-with-a-known-text"

/* One thing after the other, by root if no other token is given; path NULL: no more. */
struct asked {
    const char *method, *path, *token, *body;
    unsigned status;
};

static struct {
    struct test_vault *vault;
    const struct asked *meanwhile;
} race;
/* The vault's own threads write, too: only this test's request is meant. */
static _Thread_local bool armed;

/* Another thread's: a thread has one request at a time. */
static void *ask_meanwhile(void *arg)
{
    for (const struct asked *a = race.meanwhile; a->path != NULL; a++) {
        char answer[4096], target[256];
        (void)snprintf(target, sizeof target, "/v1/%s", a->path);
        const struct test_request request = {
            .method = kt_str(a->method),
            .target = kt_str(target),
            .token = kt_str(a->token == NULL ? race.vault->root : a->token),
            .body = kt_str(a->body)};
        unsigned status = test_vault_ask_apart(race.vault, &request, answer, sizeof answer);
        if (status != a->status) {
            (void)fprintf(stderr, "meanwhile %s %s: %u %s\n", a->method, a->path, status, answer);
            abort();
        }
    }
    return arg;
}

void __real_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch)
{
    if (armed) {
        pthread_t thread;
        armed = false;
        assert_int_equal(pthread_create(&thread, NULL, ask_meanwhile, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    __real_mounts_require(req, batch);
}

static int make(void **state)
{
    *state = race.vault = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static unsigned call(const char *method, const char *path, const char *token, const char *body)
{
    return test_vault_call(race.vault, method, path, token == NULL ? race.vault->root : token, body);
}

/* The same, and `meanwhile` before its commit. */
static unsigned call_late(const char *method, const char *path, const char *token, const char *body,
                          const struct asked *meanwhile)
{
    race.meanwhile = meanwhile;
    armed = true;
    unsigned status = call(method, path, token, body);
    assert_false(armed);
    return status;
}

static void make_token(const char *body, char out[256], char accessor[256])
{
    assert_int_equal(call("POST", "auth/token/create", NULL, body), 200);
    test_vault_text(race.vault, "auth.client_token", out, 256);
    test_vault_text(race.vault, "auth.accessor", accessor, 256);
}

/* A body that names a token or an accessor. */
static void names(char out[512], const char *field, const char *text)
{
    (void)snprintf(out, 512, "{\"%s\":\"%s\"}", field, text);
}

static void tidy(void)
{
    bool more = true;
    while (more)
        assert_int_equal(jobs_run(race.vault->core, &more, NULL), KT_OK);
}

static unsigned rows(enum table table)
{
    const unsigned char prefix[1] = {(unsigned char)table};
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    assert_int_equal(snapshot_begin(race.vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n++;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

/* ---- one text, two tokens ---- */

static void a_text_is_given_once(void **state)
{
    (void)state;
    const struct asked meanwhile[] = {
        {"POST", "auth/token/create", NULL, "{\"id\":\"" ID "\",\"display_name\":\"first\"}", 200}, {0}};
    assert_int_equal(call_late("POST", "auth/token/create", NULL,
                               "{\"id\":\"" ID "\",\"display_name\":\"second\"}", meanwhile),
                     400);
    assert_true(test_vault_said(race.vault, "duplicate ID"));
    assert_int_equal(call("GET", "auth/token/lookup-self", ID, NULL), 200);
    assert_true(test_vault_said(race.vault, "token-first"));
}

/* One of this text came and went; what it kept is not the next one's. */
static void a_text_does_not_inherit(void **state)
{
    (void)state;
    const struct asked meanwhile[] = {{"POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}", 200},
                                      {"POST", "cubbyhole/mine", ID, "{\"k\":\"v\"}", 204},
                                      {"POST", "auth/token/revoke-self", ID, NULL, 204},
                                      {0}};
    unsigned status = call_late("POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}", meanwhile);
    if (status == 400) { /* or the housekeeper was quicker than this thread */
        assert_true(test_vault_said(race.vault, "still being removed"));
        tidy();
        status = call("POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}");
    }
    assert_int_equal(status, 200);
    assert_int_equal(call("GET", "cubbyhole/mine", ID, NULL), 404);
}

/* ---- the end of a token ---- */

static void renewing_brings_nobody_back(void **state)
{
    (void)state;
    char token[256], accessor[256], renew[512], revoke[512];
    make_token("{\"ttl\":\"1h\"}", token, accessor);
    names(renew, "token", token);
    names(revoke, "accessor", accessor);
    const struct asked meanwhile[] = {{"POST", "auth/token/revoke-accessor", NULL, revoke, 204}, {0}};
    assert_int_equal(call_late("POST", "auth/token/renew", NULL, renew, meanwhile), 400);
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
    tidy();
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
}

static void what_is_renewed_ends_whole(void **state)
{
    (void)state;
    char token[256], accessor[256], body[512];
    make_token("{\"ttl\":\"1h\"}", token, accessor);
    unsigned due = rows(TABLE_TOKEN_DUE);
    names(body, "token", token);
    race.vault->now_ms += 60000;
    const struct asked meanwhile[] = {{"POST", "auth/token/renew", NULL, body, 200}, {0}};
    assert_int_equal(call_late("POST", "auth/token/revoke", NULL, body, meanwhile), 204);
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
    assert_int_equal(rows(TABLE_TOKEN_DUE), due - 1);
}

static void uses_are_counted_apart(void **state)
{
    (void)state;
    char token[256], accessor[256];
    make_token("{\"num_uses\":3,\"ttl\":\"1h\"}", token, accessor);
    const struct asked meanwhile[] = {{"POST", "cubbyhole/a", token, "{\"k\":\"v\"}", 204}, {0}};
    assert_int_equal(call_late("POST", "cubbyhole/b", token, "{\"k\":\"v\"}", meanwhile), 204);
    assert_int_equal(call("GET", "cubbyhole/a", token, NULL), 200);
    assert_int_equal(call("GET", "cubbyhole/b", token, NULL), 403);
}

/* ---- parents ---- */

/* Whoever ended a token wants no more of what it makes, whether its children may stay or not. */
static void the_ended_make_no_children(void **state)
{
    (void)state;
    static const char *const ways[] = {"auth/token/revoke", "auth/token/revoke-orphan"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char parent[256], accessor[256], body[512];
        make_token("{}", parent, accessor);
        names(body, "token", parent);
        unsigned tokens = rows(TABLE_TOKEN), children = rows(TABLE_CHILD);
        const struct asked meanwhile[] = {{"POST", ways[i], NULL, body, 204}, {0}};
        assert_int_equal(call_late("POST", "auth/token/create", parent, "{}", meanwhile), 403);
        tidy();
        assert_int_equal(rows(TABLE_TOKEN), tokens - 1);
        assert_int_equal(rows(TABLE_CHILD), children - 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_text_is_given_once, make, end),
        cmocka_unit_test_setup_teardown(a_text_does_not_inherit, make, end),
        cmocka_unit_test_setup_teardown(renewing_brings_nobody_back, make, end),
        cmocka_unit_test_setup_teardown(what_is_renewed_ends_whole, make, end),
        cmocka_unit_test_setup_teardown(uses_are_counted_apart, make, end),
        cmocka_unit_test_setup_teardown(the_ended_make_no_children, make, end),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("token_race", tests, NULL, NULL);
}
