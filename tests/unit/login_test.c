/* Logging in: ways are enabled, users log in, and their tokens live as long as what they stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>

#include "tests/support/asking.h"
#include "tests/support/meanwhile.h"
#include "vaultd/auth/lockout.h"
#include "vaultd/core/jobs.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT 256u
#define HOUR 3600


/* Argon2id for as little as libsodium has it: what it must cost, unit/hashing_test and unit/timing_test
 * look at, and here many log in. Nobody's password keeps its own. */
int __real_crypto_pwhash_str_alg(char out[crypto_pwhash_STRBYTES], const char *const passwd,
                                 unsigned long long passwdlen, unsigned long long opslimit,
                                 size_t memlimit, int alg);
int __wrap_crypto_pwhash_str_alg(char out[crypto_pwhash_STRBYTES], const char *const passwd,
                                 unsigned long long passwdlen, unsigned long long opslimit,
                                 size_t memlimit, int alg);
int __wrap_crypto_pwhash_str_alg(char out[crypto_pwhash_STRBYTES], const char *const passwd,
                                 unsigned long long passwdlen, unsigned long long opslimit,
                                 size_t memlimit, int alg)
{
    if (opslimit < crypto_pwhash_OPSLIMIT_MIN || memlimit < crypto_pwhash_MEMLIMIT_MIN)
        return -1;
    return __real_crypto_pwhash_str_alg(out, passwd, passwdlen, crypto_pwhash_OPSLIMIT_MIN,
                                        crypto_pwhash_MEMLIMIT_MIN, alg);
}

/* ---- asking ---- */

static void enable(const char *path, const char *type)
{
    char target[TEXT], body[TEXT];
    (void)snprintf(target, sizeof target, "sys/auth/%s", path);
    (void)snprintf(body, sizeof body, "{\"type\":\"%s\"}", type);
    wants(204, NULL, "POST", target, NULL, body);
}

static void user(const char *name, const char *body)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/userpass/users/%s", name);
    wants(204, NULL, "POST", path, NULL, body);
}

static void bob(const char *body)
{
    enable("userpass", "userpass");
    user("bob", body);
}

#define BOB_LOGIN "auth/userpass/login/bob"
#define RIGHT     "{\"password\":\"right\"}"
#define WRONG     "{\"password\":\"wrong\"}"

static void log_in(const char *path, const char *body, char out[TEXT])
{
    wants(200, NULL, "POST", path, "", body);
    test_vault_text(vault, "auth.client_token", out, TEXT);
}

static void alive(const char *token, bool is)
{
    wants(is ? 200 : 403, NULL, "GET", "auth/token/lookup-self", token, NULL);
}

static void later(int64_t seconds)
{
    vault->now_ms += seconds * 1000;
}

static void tidy(void)
{
    bool more = true;
    while (more)
        assert_int_equal(jobs_run(vault->core, &more, NULL), KT_OK);
}

static unsigned rows(enum table table)
{
    const unsigned char prefix[1] = {(unsigned char)table};
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n++;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

/* ---- ways ---- */

static void ways_are_enabled_and_shown(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "sys/auth/team/up", NULL,
          "{\"type\":\"userpass\",\"description\":\"people\",\"config\":{\"default_lease_ttl\":\"10m\"}}");
    wants(200, "\"team/up/\":{\"accessor\":\"auth_userpass_", "GET", "sys/auth", NULL, NULL);
    wants(200, "\"token/\":{", "GET", "sys/auth", NULL, NULL);
    wants(200, "\"description\":\"people\"", "GET", "sys/auth/team/up", NULL, NULL);
    wants(200, "\"token_type\":\"default-service\"", "GET", "sys/auth/team/up", NULL, NULL);
    wants(200, "\"default_lease_ttl\":600,", "GET", "sys/auth/team/up/tune", NULL, NULL);
    wants(204, NULL, "POST", "sys/auth/team/up/tune", NULL, "{\"max_lease_ttl\":\"20m\"}");
    wants(200, "\"max_lease_ttl\":1200", "GET", "sys/mounts/auth/team/up/tune", NULL, NULL);
    wants(400, "path is already in use at team/up/", "POST", "sys/auth/team/up", NULL,
          "{\"type\":\"userpass\"}");
    wants(400, "existing mount at team/up/", "POST", "sys/auth/team", NULL, "{\"type\":\"userpass\"}");
    wants(400, "No auth engine at none/", "GET", "sys/auth/none", NULL, NULL);
    wants(400, "No auth engine at none/", "GET", "sys/auth/none/tune", NULL, NULL);
    wants(204, NULL, "DELETE", "sys/auth/none", NULL, NULL);
    wants(204, NULL, "DELETE", "sys/auth/team/up/", NULL, NULL);
    wants(400, "No auth engine at team/up/", "GET", "sys/auth/team/up", NULL, NULL);
}

/* What opens a way in is asked for by its own routes alone. */
static void ways_are_no_other_mounts(void **state)
{
    (void)state;
    wants(400, "plugin not found in the catalog: kv", "POST", "sys/auth/kv", NULL,
          "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    wants(400, "plugin not found in the catalog: userpass", "POST", "sys/mounts/up", NULL,
          "{\"type\":\"userpass\"}");
    wants(400, "cannot mount under existing mount \\\"auth/\\\"", "POST", "sys/mounts/auth/up", NULL,
          "{\"type\":\"userpass\"}");
    wants(400, "mount type of \\\"token\\\" is not mountable", "POST", "sys/auth/t2", NULL,
          "{\"type\":\"token\"}");
    wants(400, "token credential backend cannot be disabled", "DELETE", "sys/auth/token", NULL, NULL);
    bob(RIGHT);
    wants(400, "cannot unmount \\\"auth/userpass/\\\"", "DELETE", "sys/mounts/auth/userpass", NULL, NULL);
    wants(400, "a way to log in does not move", "POST", "sys/remount", NULL,
          "{\"from\":\"auth/userpass\",\"to\":\"elsewhere\"}");
    char token[TEXT];
    test_vault_token(vault, "mounts",
                     "path \"sys/auth/*\" { capabilities = [\"create\",\"read\",\"update\",\"delete\"] }",
                     token, sizeof token);
    wants(403, NULL, "POST", "sys/auth/more", token, "{\"type\":\"userpass\"}");
    wants(403, NULL, "GET", "sys/auth/userpass", token, NULL);
    wants(403, NULL, "DELETE", "sys/auth/userpass", token, NULL);
    wants(403, NULL, "POST", "sys/auth/userpass/tune", token, "{}");
}

/* Who came in through a way that is gone is refused from then on, and his children with him; what he made
 * without a parent stays. A way of the same path is another one. */
static void a_way_that_is_gone(void **state)
{
    (void)state;
    char token[TEXT], child[TEXT], orphan[TEXT], grandchild[TEXT], other[TEXT];
    wants(204, NULL, "PUT", "sys/policies/acl/maker", NULL,
          "{\"policy\":\"path \\\"auth/token/*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }\"}");
    bob("{\"password\":\"right\",\"policies\":\"maker\"}");
    enable("other", "userpass");
    wants(204, NULL, "POST", "auth/other/users/eve", NULL, RIGHT);
    unsigned before = rows(TABLE_TOKEN);
    log_in(BOB_LOGIN, RIGHT, token);
    log_in("auth/other/login/eve", RIGHT, other);
    wants(200, NULL, "POST", "auth/token/create", token, "{}");
    test_vault_text(vault, "auth.client_token", child, TEXT);
    wants(200, NULL, "POST", "auth/token/create", child, "{}");
    test_vault_text(vault, "auth.client_token", grandchild, TEXT);
    wants(200, NULL, "POST", "auth/token/create-orphan", token, "{}");
    test_vault_text(vault, "auth.client_token", orphan, TEXT);
    alive(grandchild, true);
    wants(204, NULL, "DELETE", "sys/auth/userpass", NULL, NULL);
    const struct {
        const char *token;
        bool alive;
    } all[] = {{token, false}, {child, false}, {grandchild, false}, {orphan, true}, {other, true}};
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            alive(all[i].token, all[i].alive);
        if (round == 0)
            bob(RIGHT);
        else
            tidy();
    }
    assert_int_equal(rows(TABLE_TOKEN), before + 2);
    assert_int_equal(rows(TABLE_NAMED), 4); /* eve, the new bob, and nobody beside each */
    assert_int_equal(rows(TABLE_JOB), 0);
}

/* What a parent that was revoked alone left behind did not come in through the way any more. */
static void an_orphan_is_nobodys(void **state)
{
    (void)state;
    char token[TEXT], child[TEXT], body[2 * TEXT];
    wants(204, NULL, "PUT", "sys/policies/acl/maker", NULL,
          "{\"policy\":\"path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\"] }\"}");
    bob("{\"password\":\"right\",\"policies\":\"maker\"}");
    log_in(BOB_LOGIN, RIGHT, token);
    wants(200, NULL, "POST", "auth/token/create", token, "{}");
    test_vault_text(vault, "auth.client_token", child, TEXT);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    wants(204, NULL, "POST", "auth/token/revoke-orphan", NULL, body);
    wants(204, NULL, "DELETE", "sys/auth/userpass", NULL, NULL);
    alive(child, true);
    tidy();
    alive(child, true);
}

/* The way goes while somebody logs in: no token comes of it. */
static void a_way_that_goes_meanwhile(void **state)
{
    (void)state;
    bob(RIGHT);
    const struct visit visits[] = {{"DELETE", "sys/auth/userpass", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants(403, NULL, "POST", BOB_LOGIN, "", RIGHT);
    assert_true(meanwhile_over());
}

static void a_user_who_goes_meanwhile(void **state)
{
    (void)state;
    bob(RIGHT);
    const struct visit visits[] = {{"DELETE", "auth/userpass/users/bob", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants(400, "invalid username or password", "POST", BOB_LOGIN, "", RIGHT);
    assert_true(meanwhile_over());
}

static void a_password_that_changes_meanwhile(void **state)
{
    (void)state;
    bob(RIGHT);
    const struct visit visits[] = {
        {"POST", "auth/userpass/users/bob/password", NULL, "{\"password\":\"new\"}", 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants(400, "invalid username or password", "POST", BOB_LOGIN, "", RIGHT);
    assert_true(meanwhile_over());
    wants(200, NULL, "POST", BOB_LOGIN, "", "{\"password\":\"new\"}");
}

/* ---- the answer ---- */

static void what_a_login_answers(void **state)
{
    (void)state;
    bob("{\"password\":\"right\",\"token_policies\":\"b,A\",\"token_num_uses\":7}");
    wants(200, "\"policies\":[\"a\",\"b\",\"default\"],\"token_policies\":[\"a\",\"b\",\"default\"]", "POST",
          BOB_LOGIN, "", RIGHT);
    wants(200, "\"metadata\":{\"username\":\"bob\"},\"lease_duration\":2764800,\"renewable\":true", "POST",
          BOB_LOGIN, "", RIGHT);
    wants(200, "\"token_type\":\"service\",\"orphan\":true,\"mfa_requirement\":null,\"num_uses\":7", "PUT",
          BOB_LOGIN, "", RIGHT);
    wants(200, "\"data\":null", "POST", BOB_LOGIN, "nonsense", RIGHT);
    char token[TEXT];
    test_vault_text(vault, "auth.client_token", token, TEXT);
    wants(200, "\"display_name\":\"userpass-bob\"", "GET", "auth/token/lookup-self", token, NULL);
    wants(200, "\"path\":\"auth/userpass/login/bob\"", "GET", "auth/token/lookup-self", token, NULL);
    assert_false(test_vault_said(vault, "\"role\""));
    enable("team/up", "userpass");
    wants(204, NULL, "POST", "auth/team/up/users/ann", NULL, RIGHT);
    log_in("auth/team/up/login/ann", RIGHT, token);
    wants(200, "\"display_name\":\"team-up-ann\"", "GET", "auth/token/lookup-self", token, NULL);
}

static void names_are_lowered(void **state)
{
    (void)state;
    enable("userpass", "userpass");
    user("Bob", RIGHT);
    wants(200, "{\"keys\":[\"bob\"]}", "LIST", "auth/userpass/users", NULL, NULL);
    wants(200, "\"username\":\"bob\"", "POST", "auth/userpass/login/BOB", "", RIGHT);
    static const char *const none[] = {"b%20b", "bob%20", ".bob", "bob-", "b%C3%B6b", "b*b"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char path[TEXT];
        (void)snprintf(path, sizeof path, "auth/userpass/login/%s", none[i]);
        wants(404, "unsupported path", "POST", path, "", RIGHT);
        (void)snprintf(path, sizeof path, "auth/userpass/users/%s", none[i]);
        wants(404, "unsupported path", "POST", path, NULL, RIGHT);
    }
    char token[TEXT];
    test_vault_token(vault, "notbob",
                     "path \"auth/userpass/users/*\" { capabilities = [\"read\"] }\n"
                     "path \"auth/userpass/users/bob\" { capabilities = [\"deny\"] }",
                     token, sizeof token);
    wants(403, NULL, "GET", "auth/userpass/users/bob", token, NULL);
    wants(403, NULL, "GET", "auth/userpass/users/BoB", token, NULL);
    wants(404, NULL, "GET", "auth/userpass/users/ann", token, NULL);
}

/* ---- users ---- */

static void users_are_kept(void **state)
{
    (void)state;
    enable("userpass", "userpass");
    wants(404, NULL, "LIST", "auth/userpass/users", NULL, NULL);
    wants(404, NULL, "GET", "auth/userpass/users/bob", NULL, NULL);
    wants(400, "missing password", "POST", "auth/userpass/users/bob", NULL, "{}");
    wants(400, "missing password", "POST", "auth/userpass/users/bob", NULL, "{\"password\":\"\"}");
    wants(204, NULL, "DELETE", "auth/userpass/users/bob", NULL, NULL);
    wants(500, "username does not exist", "POST", "auth/userpass/users/bob/password", NULL, RIGHT);
    wants(500, "username does not exist", "POST", "auth/userpass/users/bob/policies", NULL, "{}");
    user("bob", "{\"password\":\"right\",\"token_ttl\":\"20m\",\"token_max_ttl\":1200}");
    user("bob", "{\"password\":\"right\",\"token_ttl\":\"10m\",\"token_max_ttl\":1200}");
    wants(200,
          "\"data\":{\"token_ttl\":600,\"token_max_ttl\":1200,\"token_policies\":[],"
          "\"token_bound_cidrs\":[],\"token_explicit_max_ttl\":0,\"token_no_default_policy\":false,"
          "\"token_num_uses\":0,\"token_period\":0,\"token_type\":\"default\"}",
          "GET", "auth/userpass/users/bob", NULL, NULL);
    user("bob", "{\"policies\":\"a\"}");
    wants(200, "\"token_ttl\":600", "GET", "auth/userpass/users/bob", NULL, NULL);
    wants(200, "\"token_policies\":[\"a\"],\"policies\":[\"a\"]", "GET", "auth/userpass/users/bob", NULL,
          NULL);
    wants(204, NULL, "POST", "auth/userpass/users/bob/policies", NULL, "{\"token_policies\":[\"c\",\"b\"]}");
    wants(200, "\"token_policies\":[\"b\",\"c\"],\"token_bound", "GET", "auth/userpass/users/bob", NULL,
          NULL);
    wants(204, NULL, "POST", "auth/userpass/users/bob/password", NULL, "{\"password\":\"other\"}");
    wants(400, NULL, "POST", BOB_LOGIN, "", RIGHT);
    wants(200, NULL, "POST", BOB_LOGIN, "", "{\"password\":\"other\"}");
    wants(204, NULL, "DELETE", "auth/userpass/users/bob", NULL, NULL);
    wants(400, "invalid username or password", "POST", BOB_LOGIN, "", "{\"password\":\"other\"}");
}

static const struct bad_field {
    const char *body, *says;
} bad_fields[] = {
    {"{\"password\":\"p\",\"token_ttl\":\"2h\",\"token_max_ttl\":\"1h\"}",
     "'token_ttl' cannot be greater than 'token_max_ttl'"},
    {"{\"password\":\"p\",\"ttl\":\"2h\",\"max_ttl\":\"1h\"}", "'token_ttl' cannot be greater"},
    {"{\"password\":\"p\",\"token_type\":\"batch\"}", "invalid 'token_type' value"},
    {"{\"password\":\"p\",\"token_bound_cidrs\":\"10.0.0.0/8,canary\"}", "'token_bound_cidrs'"},
    {"{\"password\":\"p\",\"bound_cidrs\":[\"canary\"]}", "'bound_cidrs'"},
    {"{\"password\":\"p\",\"token_num_uses\":-1}", "'token_num_uses' cannot be negative"},
    {"{\"password\":\"p\",\"token_policies\":\"root\"}", "no login gives a root token"},
    {"{\"password\":\"p\",\"policies\":\"a, RooT \"}", "no login gives a root token"},
    {"{\"password\":\"p\",\"token_policies\":\"response-wrapping\"}", "cannot assign policy"},
};

static void fields_that_are_wrong(void **state)
{
    (void)state;
    enable("userpass", "userpass");
    for (size_t i = 0; i < sizeof bad_fields / sizeof bad_fields[0]; i++) {
        wants(400, bad_fields[i].says, "POST", "auth/userpass/users/bob", NULL, bad_fields[i].body);
        assert_false(test_vault_said(vault, "canary"));
        wants(404, NULL, "GET", "auth/userpass/users/bob", NULL, NULL);
    }
}

/* ---- how long ---- */

static void lives(const char *path, int64_t seconds)
{
    char text[TEXT];
    (void)snprintf(text, sizeof text, "\"lease_duration\":%lld,\"renewable\":true", (long long)seconds);
    wants(200, text, "POST", path, "", RIGHT);
}

static void how_long_a_login_lives(void **state)
{
    (void)state;
    bob(RIGHT);
    lives(BOB_LOGIN, 768 * HOUR);
    user("bob", "{\"token_ttl\":\"10s\"}");
    lives(BOB_LOGIN, 10);
    user("bob", "{\"token_ttl\":0,\"token_max_ttl\":\"5h\"}");
    lives(BOB_LOGIN, 5 * HOUR);
    wants(204, NULL, "POST", "sys/auth/userpass/tune", NULL,
          "{\"default_lease_ttl\":\"1h\",\"max_lease_ttl\":\"2h\"}");
    lives(BOB_LOGIN, HOUR);
    user("bob", "{\"token_ttl\":\"3h\",\"token_max_ttl\":0}");
    lives(BOB_LOGIN, 2 * HOUR);
    assert_true(test_vault_said(vault, "exceeded the effective max_ttl"));
    user("bob", "{\"token_period\":\"90m\"}");
    lives(BOB_LOGIN, 90 * 60);
    user("bob", "{\"token_period\":\"5h\"}");
    lives(BOB_LOGIN, 2 * HOUR);
    user("bob", "{\"token_period\":0,\"token_explicit_max_ttl\":\"30m\"}");
    lives(BOB_LOGIN, 30 * 60);
}

static void renewals_ask_the_user(void **state)
{
    (void)state;
    char token[TEXT];
    bob("{\"password\":\"right\",\"token_ttl\":\"1h\",\"policies\":\"a\"}");
    log_in(BOB_LOGIN, RIGHT, token);
    wants(200, "\"lease_duration\":3600", "POST", "auth/token/renew-self", token, "{}");
    user("bob", "{\"token_ttl\":\"10m\"}");
    wants(200, "\"lease_duration\":600", "POST", "auth/token/renew-self", token, "{}");
    wants(200, "\"lease_duration\":1200", "POST", "auth/token/renew-self", token, "{\"increment\":\"20m\"}");
    user("bob", "{\"token_max_ttl\":\"15m\"}");
    wants(200, "\"lease_duration\":900", "POST", "auth/token/renew-self", token, "{\"increment\":\"20m\"}");
    later(600);
    wants(200, "\"lease_duration\":300", "POST", "auth/token/renew-self", token, "{}");
    later(299);
    wants(200, "\"lease_duration\":1,", "POST", "auth/token/renew-self", token, "{}");
    user("bob", "{\"token_max_ttl\":0}");
    user("bob", "{\"policies\":\"a,b\"}");
    wants(500, "policies have changed, not renewing", "POST", "auth/token/renew-self", token, "{}");
    user("bob", "{\"policies\":\"A\",\"token_no_default_policy\":true}");
    wants(500, "policies have changed, not renewing", "POST", "auth/token/renew-self", token, "{}");
    user("bob", "{\"token_no_default_policy\":false}");
    wants(200, "\"lease_duration\":600", "POST", "auth/token/renew-self", token, "{}");
    wants(204, NULL, "DELETE", "auth/userpass/users/bob", NULL, NULL);
    wants(204, NULL, "POST", "auth/token/renew-self", token, "{\"increment\":\"5h\"}");
    wants(200, "\"ttl\":600", "GET", "auth/token/lookup-self", token, NULL);
    later(600);
    alive(token, false);
}

/* ---- from where ---- */

static void addresses_bind(void **state)
{
    (void)state;
    char token[TEXT], child[TEXT];
    wants(204, NULL, "PUT", "sys/policies/acl/maker", NULL,
          "{\"policy\":\"path \\\"auth/token/*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }\"}");
    bob("{\"password\":\"right\",\"token_bound_cidrs\":\"10.0.0.0/8,fd00::/8\",\"policies\":\"maker\"}");
    static const char *const others[] = {"192.0.2.1", NULL};
    for (size_t i = 0; i < 2; i++) { /* as the wrong one: nothing is told from elsewhere */
        assert_int_equal(ask_from(others[i], "POST", BOB_LOGIN, "", RIGHT), 400);
        assert_true(test_vault_said(vault, "invalid username or password"));
    }
    assert_int_equal(ask_from("10.1.2.3", "POST", BOB_LOGIN, "", RIGHT), 200);
    test_vault_text(vault, "auth.client_token", token, TEXT);
    static const char *const children[] = {"auth/token/create", "auth/token/create-orphan"};
    for (size_t i = 0; i < 3; i++) {
        const char *used = i == 0 ? token : child;
        if (i > 0) {
            assert_int_equal(ask_from("10.1.2.3", "POST", children[i - 1], token, "{}"), 200);
            test_vault_text(vault, "auth.client_token", child, TEXT);
        }
        assert_int_equal(ask_from("10.9.9.9", "GET", "auth/token/lookup-self", used, NULL), 200);
        assert_true(test_vault_said(vault, "\"bound_cidrs\":[\"10.0.0.0/8\",\"fd00::/8\"]"));
        assert_int_equal(ask_from("fd00::9", "GET", "auth/token/lookup-self", used, NULL), 200);
        assert_int_equal(ask_from("::ffff:10.2.3.4", "GET", "auth/token/lookup-self", used, NULL), 200);
        assert_int_equal(ask_from("11.0.0.1", "GET", "auth/token/lookup-self", used, NULL), 403);
        assert_false(test_vault_said(vault, "invalid token"));
        assert_int_equal(ask_from(NULL, "GET", "auth/token/lookup-self", used, NULL), 403);
    }
}

/* The right password from elsewhere is a failure like a wrong one: the lock-out tells nothing either. */
static void guesses_from_elsewhere_count(void **state)
{
    (void)state;
    bob("{\"password\":\"right\",\"token_bound_cidrs\":\"10.0.0.0/8\"}");
    for (unsigned i = 0; i < LOCKOUT_FAILURES; i++)
        wants(400, "invalid username or password", "POST", BOB_LOGIN, "", RIGHT);
    wants(403, "permission denied", "POST", BOB_LOGIN, "", RIGHT);
}

/* Who is bound to other addresses since does not go on from where he is. */
static void bounds_that_come_later(void **state)
{
    (void)state;
    char token[TEXT];
    bob("{\"password\":\"right\",\"token_period\":3600}");
    log_in(BOB_LOGIN, RIGHT, token);
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    user("bob", "{\"token_bound_cidrs\":\"10.0.0.0/8\"}");
    wants(403, "permission denied", "POST", "auth/token/renew-self", token, "{}");
    assert_int_equal(ask_from("10.1.2.3", "POST", "auth/token/renew-self", token, "{}"), 200);
}

/* Whoever is gone when a renewal commits is not renewed. */
static void a_user_who_goes_while_he_renews(void **state)
{
    (void)state;
    char token[TEXT];
    bob("{\"password\":\"right\",\"token_ttl\":600}");
    log_in(BOB_LOGIN, RIGHT, token);
    const struct visit visits[] = {{"DELETE", "auth/userpass/users/bob", NULL, NULL, 204, 0}, {0}};
    meanwhile(vault, visits, NULL);
    wants(204, NULL, "POST", "auth/token/renew-self", token, "{}");
    assert_true(meanwhile_over());
}

/* "default" is one of those that a token has room for. */
static void as_many_policies_as_a_token_has(void **state)
{
    (void)state;
    char body[1024] = "{\"password\":\"right\",\"token_policies\":\"p0";
    for (unsigned i = 1; i < 64; i++)
        (void)snprintf(body + strlen(body), sizeof body - strlen(body), ",p%u", i);
    (void)snprintf(body + strlen(body), sizeof body - strlen(body), "\"}");
    enable("userpass", "userpass");
    wants(400, "at most 64 policies", "POST", "auth/userpass/users/bob", NULL, body);
    body[strlen(body) - 1] = '\0';
    (void)snprintf(body + strlen(body), sizeof body - strlen(body), ",\"token_no_default_policy\":true}");
    wants(204, NULL, "POST", "auth/userpass/users/bob", NULL, body);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
}

/* A use from the wrong address is none. */
static void a_wrong_address_uses_nothing_up(void **state)
{
    (void)state;
    char token[TEXT];
    bob("{\"password\":\"right\",\"token_bound_cidrs\":\"192.0.2.1\",\"token_num_uses\":2}");
    log_in(BOB_LOGIN, RIGHT, token);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask_from("192.0.2.2", "GET", "auth/token/lookup-self", token, NULL), 403);
    wants(200, "\"num_uses\":1", "GET", "auth/token/lookup-self", token, NULL);
}

/* ---- locked out ---- */

static void locked_out(void **state)
{
    (void)state;
    bob(RIGHT);
    static const char *const names[] = {"bob", "nobody"}; /* there is no nobody */
    for (size_t i = 0; i < 2; i++) {
        char path[TEXT], shouted[TEXT];
        (void)snprintf(path, sizeof path, "auth/userpass/login/%s", names[i]);
        (void)snprintf(shouted, sizeof shouted, "auth/userpass/login/%c%s", names[i][0] - 32, names[i] + 1);
        for (unsigned k = 0; k < LOCKOUT_FAILURES; k++)
            wants(400, "invalid username or password", "POST", k % 2 == 0 ? path : shouted, "", WRONG);
        wants(403, "permission denied", "POST", path, "", RIGHT);
        wants(403, "permission denied", "POST", shouted, "", RIGHT);
    }
    later(LOCKOUT_MS / 1000 - 1);
    wants(403, NULL, "POST", BOB_LOGIN, "", RIGHT);
    later(1);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
}

static void a_success_forgets_failures(void **state)
{
    (void)state;
    bob(RIGHT);
    enable("other", "userpass");
    wants(204, NULL, "POST", "auth/other/users/bob", NULL, RIGHT);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i + 1 < LOCKOUT_FAILURES; i++)
            wants(400, NULL, "POST", BOB_LOGIN, "", WRONG);
        wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
    }
    for (unsigned i = 0; i < LOCKOUT_FAILURES; i++)
        wants(400, NULL, "POST", BOB_LOGIN, "", WRONG);
    wants(403, NULL, "POST", BOB_LOGIN, "", RIGHT);
    wants(200, NULL, "POST", "auth/other/login/bob", "", RIGHT); /* of another way */
}

struct guess {
    pthread_t thread;
    unsigned status;
};

static void *guess(void *arg)
{
    struct guess *own = arg;
    char body[4096];
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/" BOB_LOGIN),
                                         .body = kt_str(WRONG),
                                         .address = "192.0.2.9"};
    own->status = test_vault_ask_apart(vault, &request, body, sizeof body);
    return NULL;
}

/* Guesses that are made at once are no more than those that are made one after the other. */
static void guesses_at_once(void **state)
{
    (void)state;
    enum { GUESSES = 24, THREADS_MOST = 4 };
    struct guess guesses[GUESSES];
    unsigned tried = 0, locked = 0;
    bob(RIGHT);
    for (size_t i = 0; i < GUESSES; i++)
        assert_int_equal(pthread_create(&guesses[i].thread, NULL, guess, &guesses[i]), 0);
    for (size_t i = 0; i < GUESSES; i++) {
        (void)pthread_join(guesses[i].thread, NULL);
        tried += guesses[i].status == 400;
        locked += guesses[i].status == 403;
    }
    assert_int_equal(tried + locked, GUESSES);
    assert_true(tried >= LOCKOUT_FAILURES && tried < LOCKOUT_FAILURES + THREADS_MOST);
}

/* ---- whose login it is ---- */

static void one_person(void **state)
{
    (void)state;
    char token[TEXT], first[TEXT], second[TEXT], path[2 * TEXT];
    bob(RIGHT);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
    test_vault_text(vault, "auth.entity_id", first, sizeof first);
    assert_int_equal(strlen(first), 36);
    wants(200, NULL, "POST", "auth/userpass/login/BOB", "", RIGHT);
    test_vault_text(vault, "auth.entity_id", second, sizeof second);
    assert_string_equal(first, second);
    log_in(BOB_LOGIN, RIGHT, token);
    wants(200, first, "GET", "auth/token/lookup-self", token, NULL);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", first);
    wants(200, "\"mount_path\":\"auth/userpass/\"", "GET", path, NULL, NULL);
    wants(200, "\"name\":\"bob\"", "GET", path, NULL, NULL);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":true}");
    alive(token, false);
    /* The right password is told, and counted, as a wrong one. */
    for (unsigned i = 0; i < LOCKOUT_FAILURES; i++)
        wants(400, "[\"invalid username or password\"]", "POST", BOB_LOGIN, "", i % 2 == 0 ? RIGHT : WRONG);
    wants(403, "permission denied", "POST", BOB_LOGIN, "", RIGHT);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":false}");
    wants(403, "permission denied", "POST", BOB_LOGIN, "", RIGHT);
    later(LOCKOUT_MS / 1000 + 1);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
}

struct first {
    pthread_t thread;
    unsigned status;
    char body[4096];
};

static void *first(void *arg)
{
    struct first *own = arg;
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/" BOB_LOGIN),
                                         .body = kt_str(RIGHT),
                                         .address = "192.0.2.1"};
    own->status = test_vault_ask_apart(vault, &request, own->body, sizeof own->body);
    return NULL;
}

/* Neither two entities, nor one of them without the other's token. */
static void first_logins_at_once(void **state)
{
    (void)state;
    enum { FIRST = 4 };
    struct first firsts[FIRST];
    char aliases[TEXT], entity[TEXT];
    bob(RIGHT);
    for (size_t i = 0; i < FIRST; i++)
        assert_int_equal(pthread_create(&firsts[i].thread, NULL, first, &firsts[i]), 0);
    for (size_t i = 0; i < FIRST; i++)
        (void)pthread_join(firsts[i].thread, NULL);
    wants(200, NULL, "LIST", "identity/entity-alias/id", NULL, NULL);
    test_vault_text(vault, "data.keys", aliases, sizeof aliases);
    assert_int_equal(strlen(aliases), strlen("[\"\"]") + 36); /* one */
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
    test_vault_text(vault, "auth.entity_id", entity, sizeof entity);
    for (size_t i = 0; i < FIRST; i++) {
        assert_int_equal(firsts[i].status, 200);
        assert_non_null(strstr(firsts[i].body, entity));
    }
}

#define POLICY(text) "{\"policy\":\"" text "\"}"
#define READS(path)  "path \\\"" path "\\\" { capabilities = [\\\"read\\\"] }"

static void may(const char *token, const char *path, bool is)
{
    wants(is ? 404 : 403, NULL, "GET", path, token, NULL);
}

/* What stands in a path for who logged in: of his own alias of that way, and of nobody else's. */
static void a_path_of_ones_own(void **state)
{
    (void)state;
    char ann[TEXT], other[TEXT], accessor[TEXT], text[4 * TEXT];
    bob("{\"password\":\"right\",\"token_policies\":\"own\"}");
    user("ann", "{\"password\":\"right\",\"token_policies\":\"own\"}");
    enable("other", "userpass");
    wants(204, NULL, "POST", "auth/other/users/ann", NULL, "{\"password\":\"right\",\"token_policies\":\"own\"}");
    wants(200, NULL, "GET", "sys/auth", NULL, NULL);
    test_vault_text(vault, "data.userpass/.accessor", accessor, sizeof accessor);
    (void)snprintf(text, sizeof text,
                   POLICY(READS("secret/data/{{identity.entity.aliases.%s.name}}/*")
                              READS("secret/data/by-id/{{identity.entity.id}}")),
                   accessor);
    wants(204, NULL, "PUT", "sys/policies/acl/own", NULL, text);
    log_in("auth/userpass/login/ann", RIGHT, ann);
    may(ann, "secret/data/ann/x", true);
    may(ann, "secret/data/bob/x", false);
    wants(200, NULL, "GET", "auth/token/lookup-self", ann, NULL);
    test_vault_text(vault, "data.entity_id", other, sizeof other);
    (void)snprintf(text, sizeof text, "secret/data/by-id/%s", other);
    may(ann, text, true);
    log_in("auth/userpass/login/bob", RIGHT, other);
    may(other, text, false);
    may(other, "secret/data/bob/x", true);
    log_in("auth/other/login/ann", RIGHT, other); /* another ann */
    may(other, "secret/data/ann/x", false);
    may(other, "secret/data/x", false);
    /* Without the alias nothing stands there any more, at the next request. */
    may(ann, "secret/data/ann/x", true);
    (void)snprintf(text, sizeof text, "{\"alias_name\":\"ann\",\"alias_mount_accessor\":\"%s\"}", accessor);
    wants(200, NULL, "POST", "identity/lookup/entity", NULL, text);
    const char *id = strstr(vault->body, "\"id\":\""); /* the alias stands in front of its entity's own */
    assert_non_null(id);
    (void)snprintf(text, sizeof text, "identity/entity-alias/id/%.36s", id + strlen("\"id\":\""));
    wants(200, NULL, "GET", text, NULL, NULL);
    wants(204, NULL, "DELETE", text, NULL, NULL);
    may(ann, "secret/data/ann/x", false);
}

static void two_ways_are_two_people(void **state)
{
    (void)state;
    char first[TEXT], second[TEXT], path[2 * TEXT];
    bob(RIGHT);
    enable("other", "userpass");
    wants(204, NULL, "POST", "auth/other/users/bob", NULL, RIGHT);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
    test_vault_text(vault, "auth.entity_id", first, sizeof first);
    wants(200, NULL, "POST", "auth/other/login/bob", "", RIGHT);
    test_vault_text(vault, "auth.entity_id", second, sizeof second);
    assert_string_not_equal(first, second);
    /* An alias goes with its way; one that is enabled there later is another one. */
    wants(204, NULL, "DELETE", "sys/auth/userpass", NULL, NULL);
    tidy();
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", first);
    wants(200, "\"aliases\":[]", "GET", path, NULL, NULL);
    bob(RIGHT);
    wants(200, NULL, "POST", BOB_LOGIN, "", RIGHT);
    assert_false(test_vault_said(vault, first));
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(ways_are_enabled_and_shown),
        TEST(ways_are_no_other_mounts),
        TEST(a_way_that_is_gone),
        TEST(an_orphan_is_nobodys),
        TEST(a_way_that_goes_meanwhile),
        TEST(a_user_who_goes_meanwhile),
        TEST(a_password_that_changes_meanwhile),
        TEST(what_a_login_answers),
        TEST(names_are_lowered),
        TEST(users_are_kept),
        TEST(fields_that_are_wrong),
        TEST(how_long_a_login_lives),
        TEST(renewals_ask_the_user),
        TEST(addresses_bind),
        TEST(guesses_from_elsewhere_count),
        TEST(bounds_that_come_later),
        TEST(a_user_who_goes_while_he_renews),
        TEST(as_many_policies_as_a_token_has),
        TEST(a_wrong_address_uses_nothing_up),
        TEST(locked_out),
        TEST(a_success_forgets_failures),
        TEST(guesses_at_once),
        TEST(one_person),
        TEST(first_logins_at_once),
        TEST(a_path_of_ones_own),
        TEST(two_ways_are_two_people),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
