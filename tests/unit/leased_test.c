/* Leases of secrets: issued with the answer, renewed, over at their end, taken back as often as that takes. The engine
 * is tests/support/leasing_engine.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>

#include "tests/support/leasing_engine.h"
#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"
#include "vaultd/auth/revoker.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT  256u
#define TRIES 100u
#define LARGE 4200u

static const enum table lease_tables[] = {TABLE_LEASED, TABLE_LEASED_DUE, TABLE_LEASED_OF, TABLE_LEASED_IN,
                                          TABLE_LEASED_STUCK};

static int make_leasing(void **state)
{
    (void)make(state);
    leasing_reset();
    leasing_mount(vault);
    return 0;
}

static void wants(unsigned status, const char *method, const char *path, const char *token, const char *body,
                  const char *says)
{
    unsigned got = test_vault_call(vault, method, path, token == NULL ? vault->root : token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s %s: expected %u and %s, got %u: %s", method, path, body == NULL ? "" : body, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

/* What the thread does, until nothing is left to do now. */
static void settle(void)
{
    struct kt_err err = {0};
    bool more = true;
    while (more)
        if (revoker_run(vault->core, &more, &err) != KT_OK)
            fail_msg("a round: %s", err.what);
}

static void issue(const char *what, const char *token, char id[TEXT])
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "leasing/creds/%s", what);
    wants(200, "GET", path, token, NULL, "\"lease_id\":\"leasing/creds/");
    test_vault_text(vault, "lease_id", id, TEXT);
}

static void issue_many(const char *what, unsigned n)
{
    char id[TEXT];
    for (unsigned i = 0; i < n; i++)
        issue(what, NULL, id);
}

static const char *named(const char *id, const char *more)
{
    static char body[TEXT + 64];
    (void)snprintf(body, sizeof body, "{\"lease_id\":\"%s\"%s}", id, more);
    return body;
}

static void counts(unsigned n)
{
    char says[64];
    (void)snprintf(says, sizeof says, "\"lease_count\":%u}", n);
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, says);
}

static void nothing_is_left(void)
{
    for (size_t i = 0; i < sizeof lease_tables / sizeof lease_tables[0]; i++)
        if (test_vault_rows(vault, lease_tables[i]) != 0)
            fail_msg("table '%c' has %u rows", lease_tables[i], test_vault_rows(vault, lease_tables[i]));
    assert_int_equal(revoker_count(vault->core, (const unsigned char[BARRIER_SCOPE]){0}), 0);
}

/* ---- a lease's life ---- */

static void issued(void **state)
{
    (void)state;
    char id[TEXT];
    issue("app?ttl=1h&max_ttl=3h", NULL, id);
    assert_true(test_vault_said(vault, "\"renewable\":true,\"lease_duration\":3600,\"data\":{\"username\":\"app\"}"));
    assert_int_equal(strlen(id), sizeof "leasing/creds/app/" - 1 + LEASED_ID_CHARS);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "\"path\":\"leasing/creds/app\",\"renewable\":true,\"ttl\":3600}");
    wants(200, "LIST", "sys/leases/lookup/leasing/creds/app", NULL, NULL, strrchr(id, '/') + 1);
    wants(200, "LIST", "sys/leases/lookup/leasing", NULL, NULL, "[\"creds/\"]");
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"leasing/creds/app\":1},\"lease_count\":1");
    wants(200, "GET", "sys/leases/count?type=irrevocable", NULL, NULL, "\"lease_count\":0");
    vault->now_ms += 3600 * 1000 - 1;
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "\"ttl\":0}");
    settle();
    assert_int_equal(leasing_asked(), 0);
    vault->now_ms += 1; /* over, whether it was taken back or not */
    wants(400, "PUT", "sys/leases/lookup", NULL, named(id, ""), "invalid lease");
    wants(400, "PUT", "sys/leases/renew", NULL, named(id, ""), "lease not found");
    vault->now_ms += 1000;
    settle();
    assert_int_equal(leasing_asked(), 1);
    nothing_is_left();
}

static void without_a_wish(void **state)
{
    (void)state;
    char id[TEXT];
    issue("app", NULL, id);
    assert_true(test_vault_said(vault, "\"lease_duration\":2764800"));
    wants(204, "POST", "sys/mounts/leasing/tune", NULL, "{\"default_lease_ttl\":\"10m\",\"max_lease_ttl\":\"20m\"}", NULL);
    issue("app", NULL, id);
    assert_true(test_vault_said(vault, "\"lease_duration\":600"));
    issue("app?ttl=1h", NULL, id);
    assert_true(test_vault_said(vault, "\"lease_duration\":1200"));
    assert_true(test_vault_said(vault, "the most that it can be here"));
}

static void renewed(void **state)
{
    (void)state;
    char id[TEXT], stiff[TEXT], fixed[TEXT];
    issue("app?ttl=1h&max_ttl=3h", NULL, id);
    issue("stiff?ttl=1h", NULL, stiff);
    issue("app?ttl=1h&renewable=false", NULL, fixed);
    wants(400, "PUT", "sys/leases/renew", NULL, named(stiff, ""), "this account is not renewed");
    wants(400, "PUT", "sys/leases/renew", NULL, named(fixed, ""), "lease is not renewable");
    vault->now_ms += 1800 * 1000;
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ""), "\"renewable\":true,\"lease_duration\":3600");
    assert_true(test_vault_said(vault, id));
    wants(200, "PUT", "sys/renew", NULL, named(id, ",\"increment\":\"2h\""), "\"lease_duration\":7200");
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "\"ttl\":7200}");
    assert_true(test_vault_said(vault, "\"last_renewal\":\"2027-"));
    vault->now_ms += 3600 * 1000;
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ",\"increment\":\"5h\""), "\"lease_duration\":5400");
    assert_true(test_vault_said(vault, "all that its maximum and its token leave"));
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ",\"increment\":60"), "\"lease_duration\":60");
    settle(); /* the others are over: it is not */
    assert_int_equal(leasing_asked(), 2);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "\"ttl\":60}");
    assert_int_equal(test_vault_rows(vault, TABLE_LEASED_DUE), 1);
    vault->now_ms += 61 * 1000;
    settle();
    assert_int_equal(leasing_asked(), 3);
    nothing_is_left();
}

/* sync, the default, is answered when it was taken back, or why it could not be. */
static void revoked(void **state)
{
    (void)state;
    char id[TEXT], path[2 * TEXT];
    issue("app", NULL, id);
    wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL);
    assert_int_equal(leasing_asked(), 1);
    nothing_is_left();
    issue("app", NULL, id);
    (void)snprintf(path, sizeof path, "sys/leases/revoke/%s", id);
    wants(202, "PUT", path, NULL, "{\"sync\":false}", NULL);
    wants(400, "PUT", "sys/leases/lookup", NULL, named(id, ""), "invalid lease");
    settle();
    nothing_is_left();
    issue("bad", NULL, id);
    wants(500, "PUT", "sys/leases/revoke", NULL, named(id, ""), "it could not be revoked: the target does not answer");
    leasing_mend();
    vault->now_ms += leased_pause_ms(1);
    settle();
    nothing_is_left();
}

/* Six attempts, each later than the one before; then it is there to be seen, tried again, or forgotten. */
static void given_up(void **state)
{
    (void)state;
    char id[TEXT];
    issue("bad", NULL, id);
    wants(202, "PUT", "sys/leases/revoke", NULL, named(id, ",\"sync\":false"), NULL);
    for (unsigned i = 1; i <= LEASED_ATTEMPTS; i++) {
        settle();
        assert_int_equal(leasing_asked(), i);
        wants(200, "GET", "sys/leases/count?type=irrevocable", NULL, NULL,
              i < LEASED_ATTEMPTS ? "\"lease_count\":0" : "{\"leasing/creds/bad\":1},\"lease_count\":1");
        vault->now_ms += leased_pause_ms(i) - 1;
        settle();
        assert_int_equal(leasing_asked(), i);
        vault->now_ms += 1;
    }
    settle();
    assert_int_equal(leasing_asked(), LEASED_ATTEMPTS);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASED_DUE), 0);
    wants(200, "GET", "sys/leases?type=irrevocable", NULL, NULL, "\"error\":\"the target does not answer\",\"lease_id\":\"leasing/");
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "given up after 6 attempts");
    wants(400, "PUT", "sys/leases/renew", NULL, named(id, ""), "lease is not renewable");
    leasing_mend();
    wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL);
    nothing_is_left();
}

static void give_up(const char *what, char id[TEXT])
{
    issue(what, NULL, id);
    wants(202, "PUT", "sys/leases/revoke", NULL, named(id, ",\"sync\":false"), NULL);
    for (unsigned i = 1; i <= LEASED_ATTEMPTS; i++) {
        settle();
        vault->now_ms += leased_pause_ms(i);
    }
}

static void forced(void **state)
{
    (void)state;
    char id[TEXT], path[2 * TEXT];
    give_up("bad", id);
    (void)snprintf(path, sizeof path, "sys/leases/revoke-force/%s", id);
    wants(204, "PUT", path, NULL, NULL, NULL);
    nothing_is_left();
    give_up("bad", id);
    issue("app", NULL, id); /* one that is well is forgotten, too */
    unsigned asked = leasing_asked();
    wants(204, "PUT", "sys/leases/revoke-force/leasing/", NULL, NULL, NULL);
    settle();
    assert_int_equal(leasing_asked(), asked);
    nothing_is_left();
}

/* ---- with its token ---- */

static void token_with(const char *body, char token[TEXT])
{
    wants(204, "PUT", "sys/policies/acl/leasing", NULL,
          "{\"policy\":\"path \\\"leasing/*\\\" { capabilities = [\\\"read\\\"] }\"}", NULL);
    wants(200, "POST", "auth/token/create", NULL, body, NULL);
    test_vault_text(vault, "auth.client_token", token, TEXT);
}

/* It is not told longer than its token lives, whoever renews it. CVE-2020-25816: it outlived a token. */
static void no_longer_than_its_token(void **state)
{
    (void)state;
    char token[TEXT], id[TEXT], body[TEXT + 64];
    token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\"}", token);
    vault->now_ms += 1800 * 1000;
    issue("app?ttl=10m", token, id);
    assert_true(test_vault_said(vault, "\"lease_duration\":600,"));
    assert_false(test_vault_said(vault, "its token"));
    issue("app?ttl=3h", token, id);
    assert_true(test_vault_said(vault, "\"lease_duration\":1800,"));
    assert_true(test_vault_said(vault, "all that its token leaves"));
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), "\"ttl\":1800}");
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ",\"increment\":\"2h\""), "\"lease_duration\":1800,");
    assert_true(test_vault_said(vault, "all that its maximum and its token leave"));
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\",\"increment\":\"5h\"}", token);
    wants(200, "POST", "auth/token/renew", NULL, body, "\"lease_duration\":18000,");
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ",\"increment\":\"6h\""), "\"lease_duration\":18000,");
    wants(200, "PUT", "sys/leases/renew", NULL, named(id, ""), "\"lease_duration\":10800,");
    assert_false(test_vault_said(vault, "its token"));
}

static void ends_with_its_token(void **state)
{
    (void)state;
    static const char *const ways[] = {"auth/token/revoke", "auth/token/revoke-orphan"};
    for (size_t i = 0; i < 2; i++) {
        char token[TEXT], id[TEXT], other[TEXT], body[TEXT + 32];
        token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\"}", token);
        issue("app?ttl=10h", token, id);
        issue("app?ttl=10h", NULL, other);
        (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
        wants(204, "POST", ways[i], NULL, body, NULL);
        wants(400, "PUT", "sys/leases/lookup", NULL, named(id, ""), "invalid lease"); /* at once */
        wants(400, "PUT", "sys/leases/renew", NULL, named(id, ""), "lease not found");
        (void)test_vault_tidy(vault);
        settle();
        assert_int_equal(leasing_asked(), 2 * i + 1);
        wants(200, "PUT", "sys/leases/lookup", NULL, named(other, ""), NULL);
        wants(204, "PUT", "sys/leases/revoke", NULL, named(other, ""), NULL);
        nothing_is_left();
    }
}

static void ends_when_its_token_expires(void **state)
{
    (void)state;
    char token[TEXT], id[TEXT];
    token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\"}", token);
    for (unsigned i = 0; i < 60; i++) /* more than a step of a job ends */
        issue("app?ttl=10h", token, id);
    vault->now_ms += 3600 * 1000;
    wants(400, "PUT", "sys/leases/lookup", NULL, named(id, ""), "invalid lease");
    (void)test_vault_tidy(vault);
    settle();
    assert_int_equal(leasing_asked(), 60);
    nothing_is_left();
}

static void no_lease_for_the_last_use(void **state)
{
    (void)state;
    char token[TEXT], id[TEXT];
    token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\",\"num_uses\":2}", token);
    issue("app", token, id);
    wants(400, "GET", "leasing/creds/app", token, NULL, "one use left");
    wants(403, "GET", "leasing/creds/app", token, NULL, NULL);
    (void)test_vault_tidy(vault);
    settle();
    assert_int_equal(leasing_asked(), 1);
    nothing_is_left();
}

static bool issues(const struct request *req)
{
    return req->route != NULL && strcmp(req->route->pattern, "creds/{name}") == 0;
}

/* Its token is revoked, or its mount removed, while the lease is about to be committed: there is none then. */
static void its_ground_goes_meanwhile(void **state)
{
    (void)state;
    char token[TEXT], body[TEXT + 32];
    token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\"}", token);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    const struct visit revokes[] = {{"POST", "auth/token/revoke", NULL, body, 204}, {NULL}};
    meanwhile(vault, revokes, issues);
    wants(403, "GET", "leasing/creds/app", token, NULL, NULL);
    assert_true(meanwhile_over());
    nothing_is_left();
    static const struct visit unmounts[] = {{"DELETE", "sys/mounts/leasing", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, unmounts, issues);
    wants(404, "GET", "leasing/creds/app", NULL, NULL, NULL);
    assert_true(meanwhile_over());
    nothing_is_left();
}

/* ---- the mount ---- */

static void a_mount_with_leases_stays(void **state)
{
    (void)state;
    char id[TEXT];
    issue("app", NULL, id);
    wants(400, "DELETE", "sys/mounts/leasing", NULL, NULL, "lease revoke -prefix leasing/");
    wants(400, "POST", "sys/remount", NULL, "{\"from\":\"leasing\",\"to\":\"elsewhere\"}", "there are leases of");
    wants(202, "PUT", "sys/leases/revoke-prefix/leasing/", NULL, "{\"sync\":false}", NULL);
    settle();
    wants(200, "POST", "sys/remount", NULL, "{\"from\":\"leasing\",\"to\":\"elsewhere\"}", NULL);
    wants(204, "DELETE", "sys/mounts/elsewhere", NULL, NULL, NULL);
}

static bool unmounts(const struct request *req)
{
    return req->route != NULL && strcmp(req->route->pattern, "mounts/{path...}") == 0;
}

static void a_lease_while_it_is_unmounted(void **state)
{
    (void)state;
    static const struct visit visits[] = {{"GET", "leasing/creds/app", NULL, NULL, 200}, {NULL}};
    meanwhile(vault, visits, unmounts);
    wants(400, "DELETE", "sys/mounts/leasing", NULL, NULL, "there are leases of");
    assert_true(meanwhile_over());
}

static void below_a_path(void **state)
{
    (void)state;
    char id[TEXT];
    issue_many("app", 200);
    issue("other", NULL, id);
    wants(202, "PUT", "sys/leases/revoke-prefix/leasing/creds/app/", NULL, "{\"sync\":false}", NULL);
    (void)test_vault_tidy(vault);
    settle();
    counts(1);
    assert_int_equal(leasing_asked(), 200);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(id, ""), NULL);
    issue_many("app", 200);
    wants(204, "PUT", "sys/leases/revoke-force/leasing/", NULL, NULL, NULL);
    assert_int_equal(leasing_asked(), 200);
    counts(0);
    nothing_is_left();
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
}

/* ---- many ---- */

/* Those that fail, and those that hang, stand in nobody's way; who hangs loses its place, and fails at last. */
static void others_go_on(void **state)
{
    (void)state;
    issue_many("held?ttl=1h", 300);
    issue_many("bad?ttl=1h", 50);
    issue_many("app?ttl=1h", 300);
    vault->now_ms += 3601 * 1000;
    settle();
    assert_int_equal(leasing_held(), REVOKER_FAST / 2);
    while (leasing_held() < 300) { /* each second so many again */
        vault->now_ms += REVOKER_PATIENCE_MS;
        unsigned held = leasing_held();
        settle();
        assert_true(leasing_held() > held);
    }
    vault->now_ms += REVOKER_PATIENCE_MS;
    settle();
    counts(350); /* what held, and what failed: all others are gone */
    leasing_release(vault, KT_OK, NULL);
    settle();
    counts(50);
    leasing_mend();
    vault->now_ms += leased_pause_ms(1);
    settle();
    nothing_is_left();
}

/* More than a request's memory holds, and each of them as large as it may be. */
static void large_ones(void **state)
{
    (void)state;
    issue_many("large", LARGE);
    wants(200, "LIST", "sys/leases/lookup/leasing/creds/large", NULL, NULL, NULL);
    wants(202, "PUT", "sys/leases/revoke-force/leasing", NULL, "{\"sync\":false}", NULL);
    (void)test_vault_tidy(vault);
    nothing_is_left();
}

static void too_late(void **state)
{
    (void)state;
    char id[TEXT];
    issue("held", NULL, id);
    wants(202, "PUT", "sys/leases/revoke", NULL, named(id, ",\"sync\":false"), NULL);
    settle();
    assert_int_equal(leasing_held(), 1);
    vault->now_ms += REVOKER_DEADLINE_MS;
    settle();
    counts(1);
    leasing_release(vault, KT_OK, NULL); /* its ticket is not good any more */
    settle();
    counts(1);
    vault->now_ms += leased_pause_ms(1);
    settle();
    assert_int_equal(leasing_held(), 1); /* asked anew */
    leasing_release(vault, KT_OK, NULL);
    settle();
    nothing_is_left();
}

/* What was under way when the vault was sealed is asked for again. */
static void sealed_meanwhile(void **state)
{
    (void)state;
    char id[TEXT];
    issue("held", NULL, id);
    wants(202, "PUT", "sys/leases/revoke", NULL, named(id, ",\"sync\":false"), NULL);
    settle();
    core_seal(vault->core, "test");
    leasing_release(vault, KT_OK, NULL);
    bool more = true;
    assert_int_not_equal(revoker_run(vault->core, &more, NULL), KT_OK);
    assert_false(more);
    test_vault_reseal(vault);
    settle();
    assert_int_equal(leasing_held(), 1);
    leasing_release(vault, KT_OK, NULL);
    settle();
    nothing_is_left();
}

/* ---- how many ---- */

static void bounds(void **state)
{
    (void)state;
    char token[TEXT], id[TEXT];
    vault->core->config.token_leases = 3;
    token_with("{\"policies\":[\"leasing\"],\"ttl\":\"1h\"}", token);
    for (unsigned i = 0; i < 3; i++)
        issue("app", token, id);
    wants(429, "GET", "leasing/creds/app", token, NULL, "max_token_leases");
    issue("app", NULL, id); /* another's */
    wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL);
    vault->core->config.token_leases = 0;
    vault->core->config.mount_leases = 5;
    issue("app", token, id);
    issue("app", NULL, id);
    wants(429, "GET", "leasing/creds/app", NULL, NULL, "max_mount_leases");
    wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL);
    issue("app", NULL, id);
    counts(6); /* with the token's own */
}

/* ---- what the store does not yield ---- */

/* How the rows are read from which a mount's leases are counted. */
static atomic_bool cannot_begin;
static atomic_uint breaks_off_at; /* the row, from 1; 0: none */
static _Thread_local const struct cursor *counting;
static _Thread_local unsigned row;

enum store_error __real_cursor_open(struct snapshot *snapshot, struct kt_bytes prefix, struct kt_bytes from,
                                    struct cursor **ret);
enum store_error __wrap_cursor_open(struct snapshot *snapshot, struct kt_bytes prefix, struct kt_bytes from,
                                    struct cursor **ret);
enum store_error __wrap_cursor_open(struct snapshot *snapshot, struct kt_bytes prefix, struct kt_bytes from,
                                    struct cursor **ret)
{
    bool counts_them = prefix.len == 1 && prefix.at[0] == TABLE_LEASED_IN;
    if (counts_them && cannot_begin)
        return STORE_NO_MEMORY;
    enum store_error error = __real_cursor_open(snapshot, prefix, from, ret);
    counting = error == STORE_OK && counts_them ? *ret : NULL;
    row = 0;
    return error;
}

enum store_error __real_cursor_next(struct cursor *cursor, struct entry *ret);
enum store_error __wrap_cursor_next(struct cursor *cursor, struct entry *ret);
enum store_error __wrap_cursor_next(struct cursor *cursor, struct entry *ret)
{
    if (cursor != counting || breaks_off_at == 0 || ++row != breaks_off_at)
        return __real_cursor_next(cursor, ret);
    breaks_off_at = 0;
    return STORE_NO_MEMORY;
}

static void one_comes_and_goes(void)
{
    char id[TEXT];
    issue("app", NULL, id);
    wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL); /* which wakes the thread */
}

static enum kt_kind put_damaged(struct request *req, struct kt_err *err)
{
    static const unsigned char key[LEASED_DUE_KEY] = {TABLE_LEASED_DUE, 0, 0, 0, 0, 0, 0, 0, 1};
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "damaging a row");
    batch_put(batch, kt_bytes(key, sizeof key), kt_str("damaged"));
    return KT_OK;
}

/* A row that does not open stands before all others, and is told of now and then: they are not waited for. */
static void one_is_damaged(void **state)
{
    (void)state;
    struct kt_err err = {0};
    bool more = true;
    assert_int_equal(request_internal(vault->core, "test/row", put_damaged, NULL, NULL), KT_OK);
    while (more)
        assert_int_equal(revoker_run(vault->core, &more, &err), KT_CORRUPT);
    one_comes_and_goes();
    one_comes_and_goes();
    assert_int_equal(leasing_asked(), 2);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASED_DUE), 1);
}

/* The thread revokes, and ends, all the same; what was not counted is counted later, and once. */
static void counted_later(void **state)
{
    char id[TEXT];
    cannot_begin = true;
    (void)make_leasing(state);
    vault->core->config.mount_leases = 4;
    issue_many("app", 3);
    one_comes_and_goes();
    breaks_off_at = 3;
    cannot_begin = false;
    for (unsigned tries = 0; breaks_off_at != 0 && tries < TRIES; tries++)
        one_comes_and_goes();
    assert_int_equal(breaks_off_at, 0);
    vault->core->config.mount_leases = 3;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        if (test_vault_call(vault, "GET", "leasing/creds/app", vault->root, NULL) == 429)
            break;
        test_vault_text(vault, "lease_id", id, TEXT);
        wants(204, "PUT", "sys/leases/revoke", NULL, named(id, ""), NULL);
    }
    wants(429, "GET", "leasing/creds/app", NULL, NULL, "max_mount_leases");
    vault->core->config.mount_leases = 4;
    one_comes_and_goes();
    issue("app", NULL, id);
    wants(429, "GET", "leasing/creds/app", NULL, NULL, "max_mount_leases");
}

int main(int argc, char **argv)
{
#define LEASED(name) cmocka_unit_test_setup_teardown(name, make_leasing, end)
    const struct CMUnitTest tests[] = {
        LEASED(issued),        LEASED(without_a_wish),  LEASED(renewed),      LEASED(revoked),
        LEASED(given_up),      LEASED(forced),          LEASED(ends_with_its_token),
        LEASED(ends_when_its_token_expires),            LEASED(no_lease_for_the_last_use),
        LEASED(its_ground_goes_meanwhile),              LEASED(a_mount_with_leases_stays),
        LEASED(a_lease_while_it_is_unmounted),          LEASED(below_a_path), LEASED(others_go_on),
        LEASED(too_late),      LEASED(sealed_meanwhile), LEASED(bounds),
        cmocka_unit_test_teardown(counted_later, end),    LEASED(one_is_damaged),
        LEASED(no_longer_than_its_token),                 LEASED(large_ones),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("leased", tests, NULL, NULL);
}
