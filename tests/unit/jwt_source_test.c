/* Key sets that lie elsewhere: when they are fetched, how long they hold, who waits; whoever fetches is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdatomic.h>

#include "lib/fetch.h"
#include "lib/may_connect.h"
#include "tests/support/jwt_signer.h"
#include "tests/support/vault.h"
#include "vaultd/auth/jwt_keys.h"
#include "vaultd/auth/logins.h"

#define TEXT 512u
#define LONG 8192u

/* What the world answers; the vault's threads read it, the test changes it between requests. */
static struct world {
    char set[2 * LONG], issuer[TEXT], asked[TEXT];
    _Atomic bool away;
    _Atomic unsigned fetched;
} world;
static struct test_vault *vault;
static struct jwt_signer old_key, new_key;

static enum kt_kind fetch(void *arg, const char *url, const char *ca, struct kt_buf *body, struct kt_err *err)
{
    struct world *w = arg;
    (void)ca;
    (void)atomic_fetch_add(&w->fetched, 1);
    (void)snprintf(w->asked, sizeof w->asked, "%s", url);
    kt_buf_reset(body);
    if (atomic_load(&w->away))
        return kt_fail(err, KT_IO, "nobody is there");
    kt_buf_add_text(body, strstr(url, "/.well-known/openid-configuration") != NULL ? w->issuer : w->set);
    return kt_buf_ok(body) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching");
}

static int make(void **state)
{
    *state = vault = test_vault_new(true);
    memset(&world, 0, sizeof world);
    jwt_sources_set_fetch(vault->core->logins->jwt, fetch, &world);
    jwt_signer_init(&old_key, "ES256", 0);
    jwt_signer_init(&new_key, "ES256", 0);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    jwt_signer_free(&old_key);
    jwt_signer_free(&new_key);
    return 0;
}

/* ---- asking ---- */

static void wants(unsigned status, const char *says, const char *method, const char *path, const char *body)
{
    unsigned got = test_vault_call(vault, method, path, vault->root, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status, says == NULL ? "any text" : says, got,
                 vault->body);
}

static void begin(const char *config)
{
    wants(204, NULL, "POST", "sys/auth/jwt", "{\"type\":\"jwt\"}");
    wants(204, NULL, "POST", "auth/jwt/config", config);
    wants(204, NULL, "POST", "auth/jwt/role/r", "{\"role_type\":\"jwt\",\"user_claim\":\"sub\",\"bound_audiences\":\"vault\"}");
}

static void publishes(const char *first, const char *second)
{
    (void)snprintf(world.set, sizeof world.set, "{\"keys\":[%s,\"kid\":\"old\"}%s%s%s]}", first, second == NULL ? "" : ",",
                   second == NULL ? "" : second, second == NULL ? "" : ",\"kid\":\"new\"}");
}

static void logs_in(unsigned status, const char *says, struct jwt_signer *signer, const char *kid, const char *more,
                    unsigned fetched)
{
    char claims[TEXT], header[TEXT], body[LONG];
    long long now = (long long)(vault->now_ms / 1000);
    (void)snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"aud\":\"vault\",\"iat\":%lld,\"exp\":%lld%s}", now, now + 60, more);
    (void)snprintf(body, sizeof body, "{\"role\":\"r\",\"jwt\":\"%.7000s\"}", jwt_sign(signer, header, claims));
    unsigned got = test_vault_call(vault, "POST", "auth/jwt/login", NULL, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("login: wanted %u and %s, got %u: %s", status, says == NULL ? "any text" : says, got, vault->body);
    if (atomic_load(&world.fetched) != fetched)
        fail_msg("wanted %u documents fetched, got %u", fetched, atomic_load(&world.fetched));
}

#define AT_URL "{\"jwks_url\":\"https://keys.example/set\"}"

/* ---- when it is fetched ---- */

static void fetched_once_and_kept(void **state)
{
    (void)state;
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    assert_string_equal(world.asked, "https://keys.example/set");
    logs_in(200, NULL, &old_key, "old", "", 1);
    vault->now_ms += JWT_FRESH_MS - 1;
    logs_in(200, NULL, &old_key, "old", "", 1);
    logs_in(400, "the signature is not", &new_key, "old", "", 1);
    vault->now_ms += 1;
    logs_in(200, NULL, &old_key, "old", "", 2);
}

/* A key that its issuer took back is over when the set is looked at again. */
static void taken_back(void **state)
{
    (void)state;
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    publishes(new_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    vault->now_ms += JWT_FRESH_MS;
    logs_in(400, "the signature is not", &old_key, "old", "", 2);
    logs_in(200, NULL, &new_key, "old", "", 2);
}

static void an_unknown_key_is_looked_for_but_not_often(void **state)
{
    (void)state;
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    publishes(old_key.jwk, new_key.jwk);
    logs_in(400, "no known key", &new_key, "new", "", 1); /* it was only just looked at */
    vault->now_ms += JWT_PACE_MS;
    logs_in(200, NULL, &new_key, "new", "", 2);
    for (unsigned i = 0; i < 20; i++) {
        char kid[32];
        (void)snprintf(kid, sizeof kid, "stranger %u", i);
        logs_in(400, "no known key", &new_key, kid, "", 2);
    }
    vault->now_ms += JWT_PACE_MS;
    logs_in(400, "no known key", &new_key, "stranger", "", 3);
    logs_in(400, "no known key", &new_key, "stranger", "", 3);
    /* Whose signature is wrong makes nobody fetch. */
    vault->now_ms += JWT_PACE_MS;
    logs_in(400, "the signature is not", &new_key, "old", "", 3);
}

static void away_and_back(void **state)
{
    (void)state;
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    atomic_store(&world.away, true);
    logs_in(400, "could not be fetched", &old_key, "old", "", 1);
    logs_in(400, "could not be fetched", &old_key, "old", "", 1);
    assert_false(test_vault_said(vault, "nobody is there"));
    atomic_store(&world.away, false);
    vault->now_ms += JWT_PACE_MS;
    logs_in(200, NULL, &old_key, "old", "", 2);
    /* What was fetched holds for a stated time, and not a moment longer. */
    atomic_store(&world.away, true);
    vault->now_ms += JWT_FRESH_MS;
    logs_in(200, NULL, &old_key, "old", "", 3);
    logs_in(200, NULL, &old_key, "old", "", 3);
    vault->now_ms += JWT_HOLD_MS - JWT_FRESH_MS - 1;
    logs_in(200, NULL, &old_key, "old", "", 4);
    vault->now_ms += 1;
    logs_in(400, "could not be fetched", &old_key, "old", "", 4);
    vault->now_ms += JWT_PACE_MS;
    logs_in(400, "could not be fetched", &old_key, "old", "", 5);
}

static void what_is_no_set_is_not_kept(void **state)
{
    (void)state;
    static const char *const sets[] = {"", "x", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "<html>"};
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        (void)snprintf(world.set, sizeof world.set, "%s", sets[i]);
        vault->now_ms += i == 0 ? JWT_FRESH_MS : JWT_PACE_MS;
        logs_in(200, NULL, &old_key, "old", "", 2 + i);
    }
}

/* Other settings are another source: nothing of the old one is left. */
static void other_settings(void **state)
{
    (void)state;
    begin(AT_URL);
    publishes(old_key.jwk, NULL);
    logs_in(200, NULL, &old_key, "old", "", 1);
    atomic_store(&world.away, true);
    wants(204, NULL, "POST", "auth/jwt/config", "{\"jwks_url\":\"https://other.example/set\"}");
    logs_in(400, "could not be fetched", &old_key, "old", "", 2);
    assert_string_equal(world.asked, "https://other.example/set");
}

/* ---- discovery ---- */

static void an_issuer_says_where(void **state)
{
    (void)state;
    begin("{\"oidc_discovery_url\":\"https://issuer.example/tenant/\"}");
    publishes(old_key.jwk, NULL);
    (void)snprintf(world.issuer, sizeof world.issuer, "{\"issuer\":\"https://issuer.example/tenant/\",\"jwks_uri\":\"https://keys.example/set\"}");
    logs_in(200, NULL, &old_key, "old", ",\"iss\":\"https://issuer.example/tenant/\"", 2);
    assert_string_equal(world.asked, "https://keys.example/set");
    /* Who has the keys of an issuer has to be that issuer. */
    logs_in(400, "iss claim", &old_key, "old", "", 2);
    logs_in(400, "iss claim", &old_key, "old", ",\"iss\":\"https://issuer.example/tenant\"", 2);
    logs_in(400, "iss claim", &old_key, "old", ",\"iss\":\"https://issuer.example/other/\"", 2);
}

static void an_issuer_that_is_another(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "", "[]", "{}", "{\"issuer\":\"https://issuer.example/\",\"jwks_uri\":\"https://k/\"}",
        "{\"issuer\":\"https://other.example\",\"jwks_uri\":\"https://k/\"}", "{\"issuer\":\"https://issuer.example\"}",
        "{\"issuer\":\"https://issuer.example\",\"jwks_uri\":7}",
        "{\"issuer\":\"https://issuer.example\",\"issuer\":\"x\",\"jwks_uri\":\"https://k/\"}"};
    begin("{\"oidc_discovery_url\":\"https://issuer.example\"}");
    publishes(old_key.jwk, NULL);
    for (unsigned i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        (void)snprintf(world.issuer, sizeof world.issuer, "%s", documents[i]);
        vault->now_ms += JWT_PACE_MS;
        logs_in(400, "could not be fetched", &old_key, "old", ",\"iss\":\"https://issuer.example\"", i + 1);
        assert_string_equal(world.asked, "https://issuer.example/.well-known/openid-configuration");
    }
}

static void addresses_that_are_none(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "sys/auth/jwt", "{\"type\":\"jwt\"}");
    static const char *const urls[] = {"http://a/b", "file:///etc/passwd", "HTTPS://a", "https://", "https:///x", "a", "https://u:p@a/b",
                                       "https://a/b\\nc", "https://a b", "https://a/#x", "gopher://a"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char body[TEXT];
        (void)snprintf(body, sizeof body, "{\"jwks_url\":\"%s\"}", urls[i]);
        wants(400, "jwks_url", "POST", "auth/jwt/config", body);
        (void)snprintf(body, sizeof body, "{\"oidc_discovery_url\":\"%s\"}", urls[i]);
        wants(400, "oidc_discovery_url", "POST", "auth/jwt/config", body);
    }
}

/* ---- what is connected to ---- */

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool may;
    } rows[] = {
        {"192.0.2.1", true}, {"10.0.0.1", true}, {"127.0.0.1", true}, {"169.254.169.254", false}, {"169.254.0.1", false},
        {"169.253.255.255", true}, {"0.0.0.0", false}, {"0.1.2.3", false}, {"224.0.0.1", false}, {"255.255.255.255", false},
        {"2001:db8::1", true}, {"::1", true}, {"::", false}, {"fe80::1", false}, {"ff02::1", false},
        {"::ffff:169.254.169.254", false}, {"::ffff:192.0.2.1", true}, {"64:ff9b::a9fe:a9fe", false}, {"fd00:ec2::254", false},
        {"fd00::1", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool four = inet_pton(AF_INET, rows[i].address, &in.sin_addr) == 1;
        assert_true(four || inet_pton(AF_INET6, rows[i].address, &in6.sin6_addr) == 1);
        if (kt_may_connect(four ? (const void *)&in : (const void *)&in6) != rows[i].may)
            fail_msg("%s", rows[i].address);
    }
}

/* ---- messages ---- */

static void messages(void **state)
{
    (void)state;
    struct kt_arena arena;
    struct kt_buf out;
    struct fetch_order order = {.url = "https://a/b", .ca = "pem"}, order_again;
    struct fetch_result result = {true, kt_str("text"), kt_str("body")}, result_again;
    kt_arena_init(&arena, 65536);
    kt_buf_init(&out, 65536);
    assert_int_equal(kt_fetch_order_encode(&order, &out, NULL), KT_OK);
    assert_true(kt_fetch_is_order(kt_buf_bytes(&out)));
    assert_int_equal(kt_fetch_order_decode(kt_buf_bytes(&out), &arena, &order_again, NULL), KT_OK);
    assert_string_equal(order_again.url, order.url);
    assert_string_equal(order_again.ca, order.ca);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(kt_fetch_order_decode(kt_bytes(out.at, len), &arena, &order_again, NULL), KT_INVALID);
    order = (struct fetch_order){.url = "https://a/b", .ca = "", .posts = true, .post = kt_str("{}"),
                                 .headers = {"X-A: b", "X-C: d"}};
    kt_buf_reset(&out);
    assert_int_equal(kt_fetch_order_encode(&order, &out, NULL), KT_OK);
    assert_true(kt_fetch_is_order(kt_buf_bytes(&out)));
    assert_int_equal(kt_fetch_order_decode(kt_buf_bytes(&out), &arena, &order_again, NULL), KT_OK);
    assert_true(order_again.posts && kt_bytes_is(order_again.post, "{}"));
    assert_string_equal(order_again.headers[1], "X-C: d");
    assert_null(order_again.headers[2]);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(kt_fetch_order_decode(kt_bytes(out.at, len), &arena, &order_again, NULL), KT_INVALID);
    order.headers[1] = "X-C: d\r\nX-E: f";
    kt_buf_reset(&out);
    assert_int_equal(kt_fetch_order_encode(&order, &out, NULL), KT_OK);
    assert_int_equal(kt_fetch_order_decode(kt_buf_bytes(&out), &arena, &order_again, NULL), KT_INVALID);
    kt_buf_reset(&out);
    assert_int_equal(kt_fetch_result_encode(&result, &out, NULL), KT_OK);
    assert_false(kt_fetch_is_order(kt_buf_bytes(&out)));
    assert_int_equal(kt_fetch_result_decode(kt_buf_bytes(&out), &result_again, NULL), KT_OK);
    assert_true(result_again.done && kt_bytes_is(result_again.text, "text") && kt_bytes_is(result_again.body, "body"));
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(kt_fetch_result_decode(kt_bytes(out.at, len), &result_again, NULL), KT_INVALID);
    out.at[2] = 2;
    assert_int_equal(kt_fetch_result_decode(kt_buf_bytes(&out), &result_again, NULL), KT_INVALID);
    kt_buf_reset(&out);
    result.text = kt_str("not\nprintable");
    assert_int_equal(kt_fetch_result_encode(&result, &out, NULL), KT_OK);
    assert_int_equal(kt_fetch_result_decode(kt_buf_bytes(&out), &result_again, NULL), KT_INVALID);
    kt_buf_free(&out);
    kt_arena_free(&arena);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(fetched_once_and_kept),
        TEST(taken_back),
        TEST(an_unknown_key_is_looked_for_but_not_often),
        TEST(away_and_back),
        TEST(what_is_no_set_is_not_kept),
        TEST(other_settings),
        TEST(an_issuer_says_where),
        TEST(an_issuer_that_is_another),
        TEST(addresses_that_are_none),
        cmocka_unit_test(hosts),
        cmocka_unit_test(messages),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("jwt source", tests, NULL, NULL);
}
