/* What is left of ended tokens, removed mounts and deleted secrets goes away, all of it, and
 * nothing else does: also of a token that used itself up (0.6.4 (2016)), and of a mount's removal that
 * broke off (CVE-2026-42186, CVE-2020-7220, CVE-2019-18616). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/meanwhile.h"
#include "vaultd/core/jobs.h"

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

/* ---- asking ---- */

static unsigned call(struct test_vault *vault, const char *who, const char *method,
                     const char *path, const char *body)
{
    return test_vault_call(vault, method, path, who == NULL ? vault->root : who, body);
}

static void expect(struct test_vault *vault, const char *who, const char *method, const char *path,
                   const char *body, unsigned status)
{
    unsigned got = call(vault, who, method, path, body);
    if (got != status)
        fail_msg("%s %s: expected %u, got %u %s", method, path, status, got, vault->body);
}

/* Steps until nothing is due; how many it took. */
static unsigned tidy(struct test_vault *vault)
{
    unsigned steps = test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
    return steps;
}

static void make_token(struct test_vault *vault, const char *who, const char *body, char *out,
                       size_t size)
{
    expect(vault, who, "POST", "auth/token/create", body, 200);
    test_vault_text(vault, "auth.client_token", out, size);
}

struct counts {
    unsigned tokens, accessors, children, due, names, cubby, kv;
};

static struct counts count(struct test_vault *vault)
{
    return (struct counts){test_vault_rows(vault, TABLE_TOKEN),   test_vault_rows(vault, TABLE_ACCESSOR),
                           test_vault_rows(vault, TABLE_CHILD),   test_vault_rows(vault, TABLE_TOKEN_DUE),
                           test_vault_rows(vault, TABLE_KV_NAME), test_vault_rows(vault, TABLE_CUBBY),
                           test_vault_rows(vault, TABLE_KV)};
}

static void assert_same(const struct counts *a, const struct counts *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

/* ---- tokens ---- */

static void many_tokens_end_at_once(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    char token[256];
    for (unsigned i = 0; i < 120; i++)
        make_token(vault, NULL, "{\"policies\":[\"default\"],\"ttl\":\"1m\"}", token, sizeof token);
    vault->now_ms += 61000;
    expect(vault, token, "GET", "auth/token/lookup-self", NULL, 403);
    assert_in_range(tidy(vault), 2, 20);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

/* It is refused from the moment on that its record says, and nothing of it is left behind then. */
static void a_token_ends_on_time(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    char token[256];
    make_token(vault, NULL, "{\"policies\":[\"default\"],\"ttl\":\"1m\"}", token, sizeof token);
    struct counts made = count(vault);
    vault->now_ms += 59999;
    (void)tidy(vault);
    struct counts still = count(vault);
    assert_same(&made, &still);
    expect(vault, token, "GET", "auth/token/lookup-self", NULL, 200);
    vault->now_ms += 1;
    expect(vault, token, "GET", "auth/token/lookup-self", NULL, 403);
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

static void a_family_ends_with_its_head(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    char head[256], child[256], grandchild[256];
    make_token(vault, NULL, "{}", head, sizeof head);
    for (unsigned i = 0; i < 30; i++) {
        make_token(vault, head, "{}", child, sizeof child);
        for (unsigned j = 0; j < 3; j++)
            make_token(vault, child, "{}", grandchild, sizeof grandchild);
    }
    expect(vault, head, "POST", "auth/token/revoke-self", NULL, 204);
    expect(vault, child, "GET", "auth/token/lookup-self", NULL, 403);
    expect(vault, grandchild, "GET", "auth/token/lookup-self", NULL, 403);
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

static void orphans_live_and_leave_nothing(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    char parent[256], child[256], first[256], body[512];
    make_token(vault, NULL, "{}", parent, sizeof parent);
    make_token(vault, parent, "{\"ttl\":\"1h\"}", first, sizeof first);
    for (unsigned i = 0; i < 40; i++)
        make_token(vault, parent, "{\"ttl\":\"1h\"}", child, sizeof child);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", parent);
    expect(vault, NULL, "POST", "auth/token/revoke-orphan", body, 204);
    expect(vault, parent, "GET", "auth/token/lookup-self", NULL, 403);
    expect(vault, parent, "POST", "auth/token/create", "{}", 403);
    expect(vault, child, "GET", "auth/token/lookup-self", NULL, 200);
    assert_true(test_vault_said(vault, "\"orphan\":true"));
    (void)tidy(vault);
    expect(vault, first, "GET", "auth/token/lookup-self", NULL, 200);
    assert_true(test_vault_said(vault, "\"orphan\":true"));
    assert_int_equal(test_vault_rows(vault, TABLE_CHILD), before.children);
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN), before.tokens + 41);
    vault->now_ms += 3601000;
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

static void the_last_use_is_the_last(void **state)
{
    struct test_vault *vault = *state;
    char token[256], accessor[256], body[512];
    test_vault_token(vault, "r", "path \"auth/token/*\" { capabilities = [\"update\"] }", token,
                     sizeof token);
    make_token(vault, NULL, "{\"policies\":[\"r\"],\"num_uses\":1,\"ttl\":\"1h\"}", token,
               sizeof token);
    test_vault_text(vault, "auth.accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    expect(vault, token, "POST", "auth/token/renew-accessor", body, 400);
    expect(vault, token, "GET", "auth/token/lookup-self", NULL, 403);
    (void)tidy(vault);
    expect(vault, token, "GET", "auth/token/lookup-self", NULL, 403);
}

static void cubbyholes_are_cleared(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    char token[256], path[256];
    make_token(vault, NULL, "{}", token, sizeof token);
    for (unsigned i = 0; i < 150; i++) {
        (void)snprintf(path, sizeof path, "cubbyhole/a%u/b/c%u/d/%u", i % 7, i % 3, i);
        expect(vault, token, "POST", path, "{\"k\":\"v\"}", 204);
    }
    assert_int_equal(test_vault_rows(vault, TABLE_CUBBY), 150);
    expect(vault, token, "POST", "cubbyhole", "{\"k\":\"v\"}", 405);
    expect(vault, token, "POST", "auth/token/revoke-self", NULL, 204);
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

/* ---- what cannot be done ---- */

/* A row as nobody of this version writes it: what is handed over is its key and what is sealed in it. */
struct odd_row {
    struct kt_bytes key, plain;
    bool sealed;
};

static enum kt_kind put_odd_row(struct request *req, struct kt_err *err)
{
    const struct odd_row *row = req->handler_data;
    struct batch *batch = request_batch(req);
    assert_non_null(batch);
    if (row->sealed)
        return barrier_put(req->core->barrier, batch, row->key, row->plain, err);
    batch_put(batch, row->key, row->plain);
    return KT_OK;
}

static void put(struct test_vault *vault, const struct odd_row *row)
{
    assert_int_equal(request_internal(vault->core, "test/row", put_odd_row, (void *)(uintptr_t)row, NULL),
                     KT_OK);
}

/* It stays where it is, before all others: they end all the same, and then the housekeeper rests. */
static void a_row_that_does_not_open_is_passed(void **state)
{
    struct test_vault *vault = *state;
    static const unsigned char key[25] = {TABLE_TOKEN_DUE, 0, 0, 0, 0, 0, 0, 0, 1};
    put(vault, &(const struct odd_row){kt_bytes(key, sizeof key), kt_str("damaged"), false});
    struct counts before = count(vault);
    char token[256];
    make_token(vault, NULL, "{\"ttl\":\"1m\"}", token, sizeof token);
    vault->now_ms += 61000;
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
    assert_int_equal(tidy(vault), 1);
}

/* A job that cannot be done is told, but not before all that can be done is; and it is not lost. */
static void a_newer_vaults_job_is_told(void **state)
{
    struct test_vault *vault = *state;
    static const unsigned char key[1 + JOB_ID] = {TABLE_JOB};
    static const unsigned char kind_99[2] = {1, 99};
    struct counts before = count(vault);
    char token[256];
    make_token(vault, NULL, "{}", token, sizeof token);
    expect(vault, token, "POST", "cubbyhole/a", "{\"k\":\"v\"}", 204);
    put(vault, &(const struct odd_row){kt_bytes(key, sizeof key), kt_bytes(kind_99, 2), true});
    expect(vault, token, "POST", "auth/token/revoke-self", NULL, 204);
    struct kt_err err = {0};
    enum kt_kind kind = KT_OK;
    bool more = true;
    for (unsigned i = 0; i < 100 && more; i++)
        kind = jobs_run(vault->core, &more, &err);
    assert_int_equal(kind, KT_CORRUPT);
    assert_non_null(strstr(err.what, "a job of kind 99 cannot be done"));
    assert_non_null(strstr(err.hint, "newer vaultd"));
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 1);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

/* ---- mounts ---- */

static void a_removed_mount_leaves_nothing(void **state)
{
    struct test_vault *vault = *state;
    static const char mount[] = "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}";
    char path[256];
    expect(vault, NULL, "POST", "secret/data/kept/x", "{\"data\":{\"k\":\"v\"}}", 200);
    struct counts before = count(vault);
    expect(vault, NULL, "POST", "sys/mounts/team", mount, 204);
    expect(vault, NULL, "POST", "team/config", "{\"max_versions\":3}", 204);
    for (unsigned i = 0; i < 120; i++)
        for (unsigned j = 0; j < 3; j++) {
            (void)snprintf(path, sizeof path, "team/data/a%u/b%u/%u", i % 5, i % 11, i);
            expect(vault, NULL, "POST", path, "{\"data\":{\"k\":\"v\"}}", 200);
        }
    expect(vault, NULL, "DELETE", "sys/mounts/team", NULL, 204);
    expect(vault, NULL, "POST", "sys/mounts/team", mount, 204);
    expect(vault, NULL, "GET", "team/data/a0/b0/0", NULL, 404);
    expect(vault, NULL, "GET", "team/config", NULL, 200);
    assert_true(test_vault_said(vault, "\"max_versions\":0"));
    expect(vault, NULL, "POST", "team/data/new", "{\"data\":{\"k\":\"new\"}}", 200);
    (void)tidy(vault);
    expect(vault, NULL, "GET", "team/data/new", NULL, 200);
    expect(vault, NULL, "DELETE", "sys/mounts/team", NULL, 204);
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
    expect(vault, NULL, "GET", "secret/data/kept/x", NULL, 200);
}

/* ---- secrets ---- */

#define DEEP "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3"

static void write_versions(struct test_vault *vault, const char *path, unsigned n)
{
    char full[512];
    (void)snprintf(full, sizeof full, "secret/metadata/%s", path);
    expect(vault, NULL, "POST", full, "{\"max_versions\":1000}", 204);
    (void)snprintf(full, sizeof full, "secret/data/%s", path);
    for (unsigned i = 0; i < n; i++)
        expect(vault, NULL, "POST", full, "{\"data\":{\"k\":\"v\"}}", 200);
}

static void a_deep_secret_with_many_versions_goes(void **state)
{
    struct test_vault *vault = *state;
    struct counts before = count(vault);
    write_versions(vault, DEEP, 150);
    expect(vault, NULL, "DELETE", "secret/metadata/" DEEP, NULL, 204);
    expect(vault, NULL, "GET", "secret/metadata/" DEEP, NULL, 404);
    /* Made anew before the old versions are gone: its own must stay. */
    write_versions(vault, DEEP, 40);
    (void)tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_KV), before.kv + 41);
    expect(vault, NULL, "GET", "secret/data/" DEEP "?version=40", NULL, 200);
    expect(vault, NULL, "GET", "secret/data/" DEEP "?version=21", NULL, 200);
    expect(vault, NULL, "DELETE", "secret/metadata/" DEEP, NULL, 204);
    (void)tidy(vault);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

static void many_versions_are_destroyed_at_once(void **state)
{
    struct test_vault *vault = *state;
    struct kt_buf body;
    kt_buf_init(&body, 8192);
    write_versions(vault, "many", 200);
    kt_buf_add_text(&body, "{\"versions\":\"1");
    for (unsigned i = 2; i < 200; i++)
        kt_buf_printf(&body, ",%u", i);
    kt_buf_add_text(&body, "\"}");
    expect(vault, NULL, "POST", "secret/destroy/many", kt_buf_text(&body), 204);
    expect(vault, NULL, "GET", "secret/data/many?version=1", NULL, 404);
    expect(vault, NULL, "GET", "secret/data/many?version=199", NULL, 404);
    (void)tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_KV), 2);
    expect(vault, NULL, "GET", "secret/data/many", NULL, 200);
    kt_buf_free(&body);
}

/* ---- what comes anew while it goes ---- */

/* A step takes away all that is left of a secret. Meanwhile one of its name is made, with more versions, and
 * deleted. */
static void a_job_that_is_put_anew_is_done_anew(void **state)
{
    struct test_vault *vault = *state;
    static const char data[] = "secret/data/anew", metadata[] = "secret/metadata/anew",
                      value[] = "{\"data\":{\"k\":\"v\"}}";
    const struct visit visits[] = {{"POST", data, NULL, value, 200, 99},
                                   {"DELETE", metadata, NULL, NULL, 204, 0},
                                   {0}};
    expect(vault, NULL, "POST", "secret/config", "{\"max_versions\":1000}", 204);
    struct counts before = count(vault);
    bool met = false;
    for (unsigned i = 0; i < 50 && !met; i++) { /* the housekeeper may be quicker than this thread */
        for (unsigned few = 0; few < 60; few++) /* more than deleting takes with it, less than a step */
            expect(vault, NULL, "POST", data, value, 200);
        expect(vault, NULL, "DELETE", metadata, NULL, 204);
        meanwhile(vault, visits, NULL);
        (void)tidy(vault);
        met = meanwhile_over();
        (void)tidy(vault);
    }
    assert_true(met);
    struct counts after = count(vault);
    assert_same(&before, &after);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_tokens_end_at_once, make, end),
        cmocka_unit_test_setup_teardown(a_token_ends_on_time, make, end),
        cmocka_unit_test_setup_teardown(a_family_ends_with_its_head, make, end),
        cmocka_unit_test_setup_teardown(orphans_live_and_leave_nothing, make, end),
        cmocka_unit_test_setup_teardown(the_last_use_is_the_last, make, end),
        cmocka_unit_test_setup_teardown(cubbyholes_are_cleared, make, end),
        cmocka_unit_test_setup_teardown(a_row_that_does_not_open_is_passed, make, end),
        cmocka_unit_test_setup_teardown(a_newer_vaults_job_is_told, make, end),
        cmocka_unit_test_setup_teardown(a_removed_mount_leaves_nothing, make, end),
        cmocka_unit_test_setup_teardown(a_deep_secret_with_many_versions_goes, make, end),
        cmocka_unit_test_setup_teardown(many_versions_are_destroyed_at_once, make, end),
        cmocka_unit_test_setup_teardown(a_job_that_is_put_anew_is_done_anew, make, end),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
