/* What the pipeline itself promises: every answer has its record, a use is counted whatever the
 * request was, and a refusal tells nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/audit/audit.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/private.h"
#include "vaultd/engine/kv_record.h"

static int make(void **state)
{
    *state = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static void unseal(struct test_vault *vault)
{
    for (unsigned i = 0; i < 3; i++) {
        bool unsealed = false;
        assert_int_equal(
            barrier_unseal_share(vault->core->barrier, vault->shares[i], &unsealed, NULL), KT_OK);
    }
    assert_int_equal(core_unsealed(vault->core, false, NULL), KT_OK);
}

static void limited_token(struct test_vault *vault, const char *policy, unsigned uses, char *out,
                          size_t size)
{
    char body[128];
    test_vault_token(vault, "t", policy, out, size);
    (void)snprintf(body, sizeof body, "{\"policies\":[\"t\"],\"num_uses\":%u}", uses);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", vault->root, body), 200);
    test_vault_text(vault, "auth.client_token", out, size);
}

/* ---- records ---- */

static void refusals_are_recorded(void **state)
{
    struct test_vault *vault = *state;
    static const struct {
        const char *method, *path;
        unsigned status;
        const char *says;
    } rows[] = {
        {"GET", "secret/data/%zz", 400, "invalid percent escape"},
        {"GET", "secret/data/../x", 400, "relative paths not supported"},
        {"FOO", "secret/data/a", 405, "\"operation\":\"none\""},
        {"GET", "secret/data/a?list=maybe", 400, "\"status\":400"},
        {"GET", "secret/data/unknown", 403, "secret/data/unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned before = test_vault_logged(vault, rows[i].says);
        assert_int_equal(test_vault_call(vault, rows[i].method, rows[i].path, NULL, NULL),
                         rows[i].status);
        assert_int_equal(test_vault_logged(vault, rows[i].says), before + 1);
    }
}

/* Refused by whoever made the request: a header too large, too many bodies at once. */
static void refusals_of_the_origin_are_recorded(void **state)
{
    struct test_vault *vault = *state;
    static const struct {
        const char *text;
        unsigned status, wanted, retry_after_s;
    } rows[] = {
        {"a header rule was broken", 0, 400, 0},
        {"the header is too large", 431, 431, 0},
        {"too many bodies", 503, 503, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request req;
        request_init(&req, vault->core, ORIGIN_TCP, NULL, NULL);
        req.method = kt_str("GET");
        req.target = kt_str("/v1/secret/data/a");
        req.refusal = rows[i].text;
        req.refusal_status = rows[i].status;
        assert_int_equal(pipeline_run(&req), PIPELINE_DONE);
        assert_int_equal(pipeline_status(&req), rows[i].wanted);
        assert_int_equal(req.reply.retry_after_s, rows[i].retry_after_s);
        request_free(&req);
        assert_int_equal(test_vault_logged(vault, rows[i].text), 1);
    }
}

/* A list of thousands takes the memory of one (request_scratch_begin()). */
static void what_a_list_reads_does_not_stay(void **state)
{
    struct test_vault *vault = *state;
    struct request req;
    struct kt_arena kept;
    size_t much = (size_t)40 * 1024 * 1024;
    request_init(&req, vault->core, ORIGIN_TCP, NULL, NULL);
    const char *before = kt_arena_text(&req.arena, kt_str("before"));
    for (int i = 0; i < 4; i++) {
        request_scratch_begin(&req, &kept);
        assert_non_null(kt_arena_take(&req.arena, much));
        const char *text = request_scratch_end(&req, &kept, kt_arena_text(&req.arena, kt_str("kept")));
        assert_string_equal(text, "kept");
    }
    request_scratch_begin(&req, &kept);
    assert_non_null(kt_arena_take(&req.arena, much));
    assert_null(kt_arena_take(&req.arena, much));
    assert_null(request_scratch_end(&req, &kept, NULL));
    assert_non_null(kt_arena_take(&req.arena, much)); /* what one of them lacked the request has */
    assert_string_equal(before, "before");
    request_free(&req);
}

static void a_flood_is_one_record(void **state)
{
    struct test_vault *vault = *state;
    for (unsigned i = 0; i < 35; i++)
        assert_int_equal(test_vault_call(vault, "GET", "secret/data/flood", "wrong", NULL), 403);
    assert_int_equal(test_vault_logged(vault, "secret/data/flood"), 10);
    core_seal(vault->core, "test");
    unseal(vault);
    assert_int_equal(test_vault_logged(vault, "25 more requests without a token were refused"), 1);
}

/* The log cannot be written just then (--wrap=audit_append). */
static atomic_bool no_log;
enum kt_kind __real_audit_append(struct audit *audit, const struct audit_event *event, struct kt_err *err);
enum kt_kind __wrap_audit_append(struct audit *audit, const struct audit_event *event, struct kt_err *err);
enum kt_kind __wrap_audit_append(struct audit *audit, const struct audit_event *event, struct kt_err *err)
{
    return atomic_load(&no_log) ? kt_fail(err, KT_IO, "no log") : __real_audit_append(audit, event, err);
}

static void a_count_that_cannot_be_recorded_is_kept(void **state)
{
    struct test_vault *vault = *state;
    for (unsigned i = 0; i < 35; i++)
        assert_int_equal(test_vault_call(vault, "GET", "secret/data/flood", "wrong", NULL), 403);
    assert_true(barrier_enter(vault->core->barrier));
    atomic_store(&no_log, true);
    record_counts(vault->core, true);
    atomic_store(&no_log, false);
    record_counts(vault->core, true);
    barrier_leave(vault->core->barrier);
    assert_int_equal(test_vault_logged(vault, "25 more requests without a token were refused"), 1);
}

/* SIGHUP: once, and nothing while sealed (--wrap=audit_reopen). */
static unsigned reopened;
void __real_audit_reopen(struct audit *audit);
void __wrap_audit_reopen(struct audit *audit);
void __wrap_audit_reopen(struct audit *audit)
{
    reopened++;
    __real_audit_reopen(audit);
}

static void a_reload_reopens_the_devices(void **state)
{
    struct test_vault *vault = *state;
    core_reload(vault->core);
    assert_int_equal(reopened, 1);
    core_seal(vault->core, "test");
    core_reload(vault->core);
    assert_int_equal(reopened, 1);
    unseal(vault);
}

static void tokens_are_not_rationed(void **state)
{
    struct test_vault *vault = *state;
    char token[256];
    test_vault_token(vault, "t", "path \"x\" { capabilities = [\"read\"] }", token, sizeof token);
    for (unsigned i = 0; i < 35; i++)
        assert_int_equal(test_vault_call(vault, "GET", "secret/data/denied", token, NULL), 403);
    assert_int_equal(test_vault_logged(vault, "secret/data/denied"), 35);
}

/* 10,000 requests a second of one address for a minute, with the longest paths and with bodies. */
static void a_flood_grows_the_log_little(void **state)
{
    struct test_vault *vault = *state;
    static char longest[4096] = "/v1/secret/data/", body[20000] = "{\"k\":[\"a\"";
    for (size_t at = strlen(longest); at < sizeof longest - 1; at++)
        longest[at] = at % 200 == 0 ? '/' : '"';
    size_t len = strlen(body);
    for (; len + 8 < sizeof body; len += 4)
        memcpy(body + len, ",\"a\"", 4);
    memcpy(body + len, "]}", 2);
    const struct test_request requests[] = {
        {.method = kt_str("GET"), .target = kt_str("/v1/secret/data/a"), .token = kt_str("wrong")},
        {.method = kt_str("GET"), .target = kt_str(longest), .token = kt_str(longest)},
        {.method = kt_str("POST"), .target = kt_str("/v1/sys/unseal"), .body = kt_str(body)},
        {.method = kt_str("FOO"), .target = kt_str(longest)},
    };
    struct audit_status before, after;
    audit_status(vault->core->audit, &before);
    for (unsigned i = 0; i < 600000; i++) {
        vault->now_ms += i % 10 == 0;
        /* Each kind for a quarter of the minute. Of what is only counted, one in forty is enough. */
        if (i % 40 == 0 || i % 150000 < 2000)
            (void)test_vault_ask(vault, &requests[i / 150000]);
    }
    audit_status(vault->core->audit, &after);
    (void)printf("# a minute's flood: %ju bytes, %ju records\n",
                 (uintmax_t)(after.bytes - before.bytes), (uintmax_t)(after.size - before.size));
    assert_in_range(after.bytes - before.bytes, 1, 1 << 20);
    assert_in_range(after.size - before.size, 60, 1200);
}

static void a_tokens_refusals_have_their_limit(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    const struct refusals_rate rate = {.per_source = 5};
    char token[256], other[256], path[64];
    test_vault_token(vault, "t", "path \"x\" { capabilities = [\"read\"] }", token, sizeof token);
    test_vault_token(vault, "t", "path \"x\" { capabilities = [\"read\"] }", other, sizeof other);
    /* One of 256 pairs of tokens shares a bucket, and then its records: another pair of buckets. */
    unsigned recorded = 5;
    for (unsigned round = 0; round < 5 && recorded == 5; round++) {
        refusals_free(own->token_refusals);
        own->token_refusals = refusals_new(&rate);
        (void)snprintf(path, sizeof path, "secret/data/denied%u", round);
        for (unsigned i = 0; i < 35; i++)
            assert_int_equal(test_vault_call(vault, "GET", path, token, NULL), 403);
        assert_int_equal(test_vault_call(vault, "GET", path, other, NULL), 403);
        recorded = test_vault_logged(vault, path);
    }
    assert_int_equal(recorded, 6);
    /* What is granted is always recorded, also that there is nothing. */
    for (unsigned i = 0; i < 35; i++)
        assert_int_equal(test_vault_call(vault, "GET", "secret/data/none", vault->root, NULL), 404);
    assert_int_equal(test_vault_logged(vault, "secret/data/none"), 35);
    for (unsigned i = 0; i < 35; i++)
        assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_int_equal(test_vault_logged(vault, path), 6);
    assert_int_equal(test_vault_logged(vault, "\"path\":\"auth/token/lookup-self\""), 35);
    core_seal(vault->core, "test");
    unseal(vault);
    assert_int_equal(test_vault_logged(vault, "30 more requests with this token were refused"), 1);
    assert_int_equal(test_vault_logged(vault, "\"operation\":\"refused\""), 1);
}

/* The data of who authenticated is in the log whole: a long one takes the place of all that a second has. */
static void a_tokens_long_refusals_count_for_several(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    const struct refusals_rate rate = {.per_source = 5};
    char token[256], body[4096] = "{\"data\":{\"k\":\"";
    size_t len = strlen(body);
    memset(body + len, 'x', 3500);
    memcpy(body + len + 3500, "\"}}", 4);
    test_vault_token(vault, "t", "path \"x\" { capabilities = [\"read\"] }", token, sizeof token);
    refusals_free(own->token_refusals);
    own->token_refusals = refusals_new(&rate);
    for (unsigned second = 0; second < 3; second++) {
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(test_vault_call(vault, "POST", "secret/data/long", token, body), 403);
        vault->now_ms += 2000;
    }
    assert_int_equal(test_vault_logged(vault, "\"path\":\"secret/data/long\""), 3);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(test_vault_call(vault, "POST", "secret/data/short", token, "{\"data\":{}}"), 403);
    assert_int_equal(test_vault_logged(vault, "\"path\":\"secret/data/short\""), 5);
}

static void writing_to_status_paths_is_recorded(void **state)
{
    struct test_vault *vault = *state;
    assert_int_equal(test_vault_call(vault, "POST", "sys/unseal", NULL, "{\"key\":\"x\"}"), 200);
    assert_int_equal(test_vault_call(vault, "POST", "sys/init", NULL, "{}"), 400);
    assert_int_equal(test_vault_call(vault, "GET", "sys/init", NULL, NULL), 200);
    assert_int_equal(test_vault_call(vault, "GET", "sys/seal-status", NULL, NULL), 200);
    assert_int_equal(test_vault_logged(vault, "already initialized"), 1);
    assert_int_equal(test_vault_logged(vault, "seal-status"), 0);
    assert_int_equal(test_vault_logged(vault, "\"path\":\"sys/unseal\""), 2);
}

static enum kt_kind too_much(struct request *req, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "testing");
    for (unsigned char i = 0; i < 101; i++) {
        const unsigned char key[3] = {'v', 'x', i};
        batch_put(batch, kt_bytes(key, sizeof key), kt_str("x"));
    }
    return KT_OK;
}

static void a_commit_that_fails_is_recorded(void **state)
{
    struct test_vault *vault = *state;
    struct kt_err err = {0};
    assert_int_equal(request_internal(vault->core, "test/too-much", too_much, NULL, &err),
                     KT_TOO_LARGE);
    assert_int_equal(test_vault_logged(vault, "\"path\":\"test/too-much\""), 2);
    assert_int_equal(test_vault_logged(vault, "larger than one write may be"), 1);
}

/* ---- uses ---- */

static void blocking_work_costs_a_use(void **state)
{
    struct test_vault *vault = *state;
    char token[256];
    limited_token(vault, "path \"sys/audit-log/*\" { capabilities = [\"update\"] }", 2, token,
                  sizeof token);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(test_vault_call(vault, "POST", "sys/audit-log/checkpoint", token, NULL),
                         i < 2 ? 200 : 403);
}

/* ---- what a refusal tells ---- */

static void limits_do_not_tell_what_is_mounted(void **state)
{
    struct test_vault *vault = *state;
    size_t size = (size_t)3 * 1024 * 1024;
    char *body = malloc(size + 1), *kept;
    assert_non_null(body);
    memset(body, ' ', size);
    body[size] = '\0';
    assert_int_equal(test_vault_call(vault, "POST", "secret/data/a", NULL, body), 403);
    kept = strdup(vault->body);
    assert_int_equal(test_vault_call(vault, "POST", "nothing/data/a", NULL, body), 403);
    assert_string_equal(vault->body, kept);
    assert_int_equal(test_vault_call(vault, "POST", "secret/data/a", vault->root, body), 413);
    free(kept);
    free(body);
}

static enum kt_kind spoil(struct request *req, struct kt_err *err)
{
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, "secret/a", &rest);
    unsigned char key[KV_KEY], junk[200] = {1};
    struct batch *batch = request_batch(req);
    if (mount == NULL || batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "testing");
    kv_key(req->core, mount, "a", 1, key);
    batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(junk, sizeof junk));
    return KT_OK;
}

static void half_an_answer_is_not_sent(void **state)
{
    struct test_vault *vault = *state;
    assert_int_equal(
        test_vault_call(vault, "PUT", "secret/data/a", vault->root, "{\"data\":{\"k\":\"v\"}}"),
        200);
    assert_int_equal(request_internal(vault->core, "test/spoil", spoil, NULL, NULL), KT_OK);
    assert_int_equal(test_vault_call(vault, "GET", "secret/data/a", vault->root, NULL), 500);
    assert_true(test_vault_said(vault, "\"errors\":[\"a secret's version does not open"));
    assert_false(test_vault_said(vault, "\"data\""));
    assert_int_equal(kt_json_check(kt_str(vault->body), NULL, NULL), KT_OK);
}

static void no_suspend(struct request *req)
{
    (void)req;
    fail();
}

/* Whoever does not read his answer holds it, and not what it was made of as well. */
static void an_answer_is_held_once(void **state)
{
    struct test_vault *vault = *state;
    static const struct request_carrier carrier = {no_suspend, no_suspend, NULL};
    static char body[100000] = "{\"data\":{\"k\":\"";
    size_t len = strlen(body);
    memset(body + len, 'x', sizeof body - len - 4);
    memcpy(body + sizeof body - 4, "\"}}", 4);
    assert_int_equal(test_vault_call(vault, "PUT", "secret/data/a", vault->root, body), 200);
    struct request req;
    request_init(&req, vault->core, ORIGIN_TCP, &carrier, NULL);
    req.method = kt_str("GET");
    req.target = kt_str("/v1/secret/data/a");
    req.token_text = kt_str(vault->root);
    assert_int_equal(pipeline_run(&req), PIPELINE_DONE);
    assert_int_equal(pipeline_status(&req), 200);
    assert_true(pipeline_body(&req).len > sizeof body);
    assert_int_equal(req.reply.data.room + req.reply.auth.room, 0);
    request_free(&req);
}

static void lists_are_bounded(void **state)
{
    struct test_vault *vault = *state;
    size_t n = 5000;
    struct kt_buf body;
    kt_buf_init(&body, (size_t)1024 * 1024);
    kt_buf_add_text(&body, "{\"paths\":\"a");
    for (size_t i = 0; i < n; i++)
        kt_buf_add_text(&body, ",a");
    kt_buf_add_text(&body, "\"}");
    assert_int_equal(
        test_vault_call(vault, "POST", "sys/capabilities-self", vault->root, kt_buf_text(&body)),
        400);
    assert_true(test_vault_said(vault, "more than 4096 items"));
    kt_buf_free(&body);
}

/* ---- unsealing ---- */

static void a_rollback_takes_all_holders(void **state)
{
    struct test_vault *vault = *state;
    struct core *core = vault->core;
    static const struct {
        bool says[3], all;
    } rows[] = {
        {{true, true, true}, true},   {{false, true, true}, false}, {{true, false, true}, false},
        {{true, true, false}, false}, {{true, true, true}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        core_seal(core, "test");
        bool unsealed = false, all = false;
        for (unsigned j = 0; j < 3; j++)
            assert_int_equal(
                core_unseal_share(core, vault->shares[j], rows[i].says[j], &unsealed, &all, NULL),
                KT_OK);
        assert_true(unsealed);
        assert_int_equal(all, rows[i].all);
        assert_int_equal(core_unsealed(core, all, NULL), KT_OK);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refusals_are_recorded, make, end),
        cmocka_unit_test_setup_teardown(refusals_of_the_origin_are_recorded, make, end),
        cmocka_unit_test_setup_teardown(a_flood_is_one_record, make, end),
        cmocka_unit_test_setup_teardown(tokens_are_not_rationed, make, end),
        cmocka_unit_test_setup_teardown(a_flood_grows_the_log_little, make, end),
        cmocka_unit_test_setup_teardown(a_count_that_cannot_be_recorded_is_kept, make, end),
        cmocka_unit_test_setup_teardown(a_reload_reopens_the_devices, make, end),
        cmocka_unit_test_setup_teardown(a_tokens_refusals_have_their_limit, make, end),
        cmocka_unit_test_setup_teardown(a_tokens_long_refusals_count_for_several, make, end),
        cmocka_unit_test_setup_teardown(writing_to_status_paths_is_recorded, make, end),
        cmocka_unit_test_setup_teardown(a_commit_that_fails_is_recorded, make, end),
        cmocka_unit_test_setup_teardown(blocking_work_costs_a_use, make, end),
        cmocka_unit_test_setup_teardown(limits_do_not_tell_what_is_mounted, make, end),
        cmocka_unit_test_setup_teardown(half_an_answer_is_not_sent, make, end),
        cmocka_unit_test_setup_teardown(an_answer_is_held_once, make, end),
        cmocka_unit_test_setup_teardown(lists_are_bounded, make, end),
        cmocka_unit_test_setup_teardown(what_a_list_reads_does_not_stay, make, end),
        cmocka_unit_test_setup_teardown(a_rollback_takes_all_holders, make, end),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
