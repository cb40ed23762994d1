/* What is refused when it is written, and why; schedules that start runs; the clock; what the
 * fleet's routes answer. Without a target, or with one that nobody has to reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/log.h"
#include "tests/support/sim_target.h"
#include "vaultd/fleet/consumer.h"

#define PATIENCE 30000 /* rounds of at least 1 ms: only what hangs needs so many */

static struct sim sim;
static struct rotation_executor executor;
static struct test_vault *vault;

static unsigned call(const char *method, const char *path, const char *body)
{
    return test_vault_call(vault, method, path, vault->root, body);
}

static void need(unsigned wanted, const char *method, const char *path, const char *body)
{
    unsigned status = call(method, path, body);
    if (status != wanted)
        fail_msg("%s %s %s: %u, wanted %u: %s", method, path, body == NULL ? "" : body, status,
                 wanted, vault->body);
}

static void says(const char *text)
{
    if (!test_vault_said(vault, text))
        fail_msg("no '%s' in %.2000s", text, vault->body);
}

static void pause_ms(long ms)
{
    const struct timespec left = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&left, NULL);
}

static int set_up(void **state)
{
    (void)state;
    sim_init(&sim);
    sim_executor(&sim, &executor);
    vault = test_vault_with(true, &executor);
    sim_add(&sim, "app_a", "first-password-of-a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_vault_free(vault);
    sim_free(&sim);
    return 0;
}

static const char target_body[] =
    "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
    "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"max_refusals_per_hour\":0,"
    "\"probe_spacing\":0}";

static void make_secret(const char *path, const char *user)
{
    char body[256], full[128];
    (void)snprintf(full, sizeof full, "secret/data/%s", path);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"username\":\"%s\",\"password\":\"first-password-of-a\"}}", user);
    need(200, "POST", full, body);
}

/* ---- targets ---- */

static void targets(void **state)
{
    (void)state;
    need(404, "LIST", "rotation/targets", NULL);
    need(404, "GET", "rotation/targets/pg", NULL);
    need(204, "POST", "rotation/targets/pg", target_body);
    need(200, "GET", "rotation/targets/pg", NULL);
    assert_false(test_vault_said(vault, "admin_password"));
    assert_false(test_vault_said(vault, "\"admin\""));
    says("\"port\":5432");
    says("\"settle\":1,\"recheck\":900");
    need(204, "POST", "rotation/targets/pg", "{\"port\":5433}"); /* the rest stays */
    need(200, "GET", "rotation/targets/pg", NULL);
    says("\"port\":5433");
    says("\"admin_username\":\"kt\"");
    need(200, "LIST", "rotation/targets", NULL);
    says("[\"pg\"]");
    need(204, "DELETE", "rotation/targets/pg", NULL);
    need(204, "DELETE", "rotation/targets/pg", NULL);
    need(404, "GET", "rotation/targets/pg", NULL);
}

static void wrong_targets(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{}", "driver must name"},
        {"{\"driver\":\"oracle\"}", "driver must name"},
        {"{\"driver\":\"postgresql\"}", "host must name"},
        {"{\"driver\":\"postgresql\",\"host\":\"a,b\"}", "host must name one host"},
        {"{\"driver\":\"postgresql\",\"host\":\"h\"}", "database must name"},
        {"{\"driver\":\"postgresql\",\"host\":\"h\",\"database\":\"d\"}", "administrative login"},
        {"{\"driver\":\"postgresql\",\"host\":\"h\",\"sslmode\":\"prefer\"}", "sslmode must be"},
        {"{\"driver\":\"postgresql\",\"port\":70000}", "port must be from 0 to 65535"},
        {"{\"driver\":\"postgresql\",\"max_refusals_per_hour\":-1}", "max_refusals_per_hour"},
        {"{\"driver\":\"postgresql\",\"connect_timeout\":\"1h\"}", "connect_timeout must be"},
        {"{\"driver\":\"postgresql\",\"settle\":61}", "settle must be from 0 to 60"},
        {"{\"driver\":\"postgresql\",\"recheck\":\"25h\"}", "recheck must be from 0 to 86400"},
        {"{\"driver\":\"postgresql\",\"host\":\"a\\nb\"}", "control character"},
        {"{\"driver\":\"postgresql\",\"host\":\"h\",\"database\":\"d\",\"admin_username\":\"u\","
         "\"admin_password\":\"p\",\"ca\":\"/etc/ca.pem\"}",
         "not the name of a file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(400, "POST", "rotation/targets/pg", rows[i].body);
        says(rows[i].text);
    }
}

#define TARGET_AT(host, mode)                                                                      \
    "{\"driver\":\"postgresql\",\"database\":\"d\",\"admin_username\":\"kt\",\"admin_password\":\"p\"," \
    "\"host\":\"" host "\",\"sslmode\":\"" mode "\"}"

/* Where the network is crossed without knowing who answers, it is said so; beside a socket it is not. */
static void weak_connections(void **state)
{
    (void)state;
    static const struct {
        const char *host, *sslmode, *said; /* NULL: nothing */
    } rows[] = {
        {"db.example", "disable", "cross the network without protection"},
        {"db.example", "require", "does not check who answers: use verify-full"},
        {"db.example", "verify-full", NULL},
        {"/run/sim", "disable", NULL},
        {"/run/sim", "require", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"driver\":\"postgresql\",\"host\":\"%s\",\"database\":\"d\","
                       "\"sslmode\":\"%s\",\"admin_username\":\"kt\",\"admin_password\":\"p\"}",
                       rows[i].host, rows[i].sslmode);
        need(rows[i].said == NULL ? 204 : 200, "POST", "rotation/targets/pg", body);
        if (rows[i].said != NULL)
            says(rows[i].said);
    }
}

/* In the open to another machine takes sudo, for a new target, for one that is moved, and for one that was behind
 * TLS; what changes nothing of the way takes none. */
static void the_open_way(void **state)
{
    (void)state;
    static const char policy[] = "path \"rotation/targets/*\" { capabilities = [\"create\", \"update\"] }";
    static const struct {
        unsigned wanted;
        const char *body;
    } rows[] = {
        {403, TARGET_AT("db.example", "disable")},
        {204, TARGET_AT("db.example", "verify-full")},
        {403, "{\"sslmode\":\"disable\"}"},
        {403, TARGET_AT("10.0.0.1", "disable")},
        {403, TARGET_AT("127.0.0.1.example", "disable")},
        {403, TARGET_AT("2130706433", "disable")},
        {403, TARGET_AT("::2", "disable")},
        {204, TARGET_AT("/run/sim", "disable")},
        {403, "{\"host\":\"db.example\"}"},
        {200, TARGET_AT("localhost", "disable")},
        {200, TARGET_AT("::1", "disable")},
        {200, TARGET_AT("127.8.8.8", "disable")},
        {403, "{\"host\":\"128.0.0.1\"}"},
    };
    char token[256];
    test_vault_token(vault, "setter", policy, token, sizeof token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned got = test_vault_call(vault, "POST", "rotation/targets/pg", token, rows[i].body);
        if (got != rows[i].wanted)
            fail_msg("row %zu: expected %u, got %u: %s", i, rows[i].wanted, got, vault->body);
    }
    need(200, "POST", "rotation/targets/pg", TARGET_AT("db.example", "disable")); /* root's */
    static const char *const kept[] = {"{\"settle\":2}", "{\"admin_password\":\"q\"}", "{\"database\":\"e\"}",
                                       "{\"host\":\"db.example\",\"sslmode\":\"disable\"}"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_int_equal(test_vault_call(vault, "POST", "rotation/targets/pg", token, kept[i]), 200);
    static const char *const moved[] = {"{\"port\":1}", "{\"host\":\"other.example\"}"};
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++)
        assert_int_equal(test_vault_call(vault, "POST", "rotation/targets/pg", token, moved[i]), 403);
}

#define PEM        "-----BEGIN CERTIFICATE-----"
#define OTHER      "{\"driver\":\"postgresql\",\"database\":\"d\",\"host\":\"db.example\"," LOGIN
#define LOGIN      "\"admin_username\":\"kt\",\"admin_password\":\"p\"}"
#define DIRECTORY  "{\"driver\":\"ldap\",\"host\":\"127.0.0.1\"," LOGIN
#define CACHE(host) "{\"driver\":\"redis\",\"host\":\"" host "\"," LOGIN

/* A Redis is shown the password within TLS too: wherever another machine would come to answer takes sudo, whatever
 * it is that changes. */
static void a_driver_that_shows(void **state)
{
    (void)state;
    static const char policy[] = "path \"rotation/targets/*\" { capabilities = [\"create\", \"update\"] }";
    static const struct {
        unsigned wanted;
        const char *target, *body;
    } rows[] = {
        {403, "new", CACHE("r.example")},
        {403, "new", CACHE("127.0.0.1.example")},
        {204, "near", CACHE("/run/redis")},
        {403, "near", "{\"host\":\"r.example\"}"},
        {204, "near", CACHE("localhost")},
        {403, "pg", "{\"driver\":\"redis\",\"database\":\"\"}"},
        {403, "pg", "{\"driver\":\"redis\",\"database\":\"\",\"host\":\"mine.example\",\"ca\":\"" PEM "\"}"},
        {403, "cache", "{\"host\":\"mine.example\"}"},
        {403, "cache", "{\"port\":1}"},
        {403, "cache", "{\"ca\":\"" PEM "\"}"},
        {403, "cache", "{\"sslmode\":\"require\"}"},
        {204, "cache", "{\"settle\":2}"},
        {204, "cache", "{\"admin_password\":\"q\"}"},
        {204, "cache", CACHE("r.example")},
        {403, "many", "{\"hosts\":\"r.example,s.example,mine.example\"}"},
        {403, "many", "{\"sentinels\":\"mine.example\"}"},
        {403, "many", "{\"sentinels\":\"\"}"},
        {403, "many", "{\"sentinel_master\":\"other\"}"},
        {204, "many", "{\"sentinels\":\"x.example:26379\",\"sentinel_master\":\"m\"}"},
        {403, "near", "{\"hosts\":\"localhost:1,localhost:2\",\"sentinels\":\"localhost\",\"sentinel_master\":\"m\","
                      "\"admin_password\":\"p\"}"},
    };
    need(204, "POST", "rotation/targets/pg", OTHER);
    need(204, "POST", "rotation/targets/cache", CACHE("r.example"));
    need(204, "POST", "rotation/targets/many", "{\"driver\":\"redis\",\"hosts\":\"r.example,s.example\","
                                               "\"sentinels\":\"x.example\",\"sentinel_master\":\"m\"," LOGIN);
    char token[256];
    test_vault_token(vault, "setter", policy, token, sizeof token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/targets/%s", rows[i].target);
        unsigned got = test_vault_call(vault, "POST", path, token, rows[i].body);
        if (got != rows[i].wanted)
            fail_msg("row %zu: expected %u, got %u: %s", i, rows[i].wanted, got, vault->body);
        if (got == 403)
            says(strstr(rows[i].body, "sentinel") == NULL ? "driver redis shows each login" : "is not said by everybody");
    }
}

/* On this machine, too, whoever listens at a port is shown what comes: a login that is kept, and those of the secrets
 * that are rotated there, do not move to another one without sudo. */
static void logins_stay_where_they_are(void **state)
{
    (void)state;
    static const char policy[] = "path \"rotation/targets/*\" { capabilities = [\"create\", \"update\"] }";
    static const struct {
        unsigned wanted;
        const char *target, *body;
    } rows[] = {
        {403, "far", "{\"host\":\"127.0.0.1\",\"port\":9999}"},
        {403, "far", "{\"host\":\"/tmp/mine\"}"},
        {403, "far", "{\"host\":\"127.0.0.1\",\"admin_username\":\"kt\"}"},
        {204, "far", "{\"host\":\"127.0.0.1\",\"port\":9999,\"admin_password\":\"my own\"}"},
        {204, "near", CACHE("127.0.0.1")},
        {403, "near", "{\"port\":9999}"},
        {204, "near", "{\"port\":9999,\"admin_password\":\"p\"}"},
        {403, "open", "{\"port\":1}"},
        {403, "open", "{\"host\":\"/tmp/mine\"}"},
        {403, "used", "{\"port\":9999}"},
        {403, "used", "{\"port\":9999,\"admin_password\":\"my own\"}"},
        {403, "used", "{\"sslmode\":\"disable\"}"},
        {204, "used", "{\"settle\":2,\"admin_password\":\"p\"}"},
    };
    need(204, "POST", "rotation/targets/far", CACHE("r.example"));
    need(204, "POST", "rotation/targets/used", CACHE("127.0.0.1"));
    need(200, "POST", "rotation/targets/open", TARGET_AT("127.0.0.1", "disable"));
    make_secret("cache", "app_a");
    need(204, "POST", "rotation/secrets/secret/cache",
         "{\"target\":\"used\",\"strategy\":\"overlap\",\"accounts\":[\"app_a\"]}");
    char token[256];
    test_vault_token(vault, "setter", policy, token, sizeof token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/targets/%s", rows[i].target);
        unsigned got = test_vault_call(vault, "POST", path, token, rows[i].body);
        if (got != rows[i].wanted)
            fail_msg("row %zu: expected %u, got %u: %s", i, rows[i].wanted, got, vault->body);
    }
    need(204, "POST", "rotation/targets/used", "{\"port\":9999}"); /* root's */
}

#define WITH   "\\\"path\\\":\\\"/\\\",\\\"headers\\\":{\\\"A\\\":\\\"{admin}\\\"}"
#define ASKS   "{\\\"admin\\\":{\\\"method\\\":\\\"GET\\\"," WITH "},\\\"test\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\","   \
               "\\\"basic\\\":[\\\"{account}\\\",\\\"{value}\\\"]},"
#define SETS   "\\\"set\\\":{\\\"method\\\":\\\"PUT\\\",\\\"path\\\":\\\"/\\\",\\\"body\\\":{\\\"p\\\":\\\"{value}\\\"}}"
#define MAKES  "\\\"create\\\":{\\\"method\\\":\\\"POST\\\"," WITH ",\\\"value\\\":\\\"/v\\\"}"
#define ENDS   ",\\\"delete\\\":{\\\"method\\\":\\\"DELETE\\\"," WITH "}"
#define API(what)  "\"api\":\"" ASKS what "}\""
#define HTTP(host) "{\"driver\":\"http\",\"host\":\"" host "\"," API(SETS) "," LOGIN

/* What is declared is sent from vaultd's own machine, to which loopback may be open: it takes sudo there, too. */
static void what_an_api_is_asked_takes_sudo(void **state)
{
    (void)state;
    static const char policy[] = "path \"rotation/targets/*\" { capabilities = [\"create\", \"update\"] }";
    static const struct {
        unsigned wanted;
        const char *target, *body;
    } rows[] = {
        {403, "new", HTTP("127.0.0.1")},
        {403, "new", HTTP("api.example")},
        {403, "api", "{" API(SETS ENDS) "}"},
        {403, "api", "{\"port\":1}"},
        {403, "api", "{\"host\":\"localhost\",\"admin_password\":\"my own\"}"},
        {204, "api", "{\"settle\":2}"},
        {204, "api", HTTP("127.0.0.1")},
    };
    need(204, "POST", "rotation/targets/api", HTTP("127.0.0.1"));
    char token[256];
    test_vault_token(vault, "setter", policy, token, sizeof token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/targets/%s", rows[i].target);
        unsigned got = test_vault_call(vault, "POST", path, token, rows[i].body);
        if (got != rows[i].wanted)
            fail_msg("row %zu: expected %u, got %u: %s", i, rows[i].wanted, got, vault->body);
        if (got == 403)
            says("what driver http sends");
    }
}

/* Who makes the values stays, while secrets are rotated there: a run goes by what was declared when it began. */
static void who_makes_the_values_stays(void **state)
{
    (void)state;
    need(204, "POST", "rotation/targets/api", HTTP("127.0.0.1"));
    need(204, "POST", "rotation/targets/api", "{" API(MAKES ENDS) "}");
    need(204, "POST", "rotation/targets/api", "{" API(SETS) "}");
    make_secret("api", "app_a");
    need(204, "POST", "rotation/secrets/secret/api",
         "{\"target\":\"api\",\"strategy\":\"in-place\",\"accounts\":[\"app_a\"]}");
    need(400, "POST", "rotation/targets/api", "{" API(MAKES ENDS) "}");
    says("1 secrets are rotated at target 'api' with values that the vault makes: not with values that it makes itself");
    says("make another target");
    need(204, "POST", "rotation/targets/api", "{" API(SETS ENDS) "}");
    need(204, "DELETE", "rotation/secrets/secret/api", NULL);
    need(204, "POST", "rotation/targets/api", "{" API(MAKES ENDS) "}");
}

/* Else the id of a key would stand where its value has to. */
static void ids_have_a_member_of_their_own(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"target\":\"api\",\"strategy\":\"in-place\",\"accounts\":[\"app_a\"],\"password_field\":\"key_id\"}",
        "{\"target\":\"api\",\"strategy\":\"in-place\",\"accounts\":[\"app_a\"],\"username_field\":\"key_id\"}",
        "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_a\"],\"password_field\":\"key_id\"}",
    };
    need(204, "POST", "rotation/targets/api", HTTP("127.0.0.1"));
    need(204, "POST", "rotation/targets/pg", target_body);
    need(200, "POST", "secret/data/api", "{\"data\":{\"username\":\"app_a\",\"password\":\"p\",\"key_id\":\"app_a\"}}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(400, "POST", "rotation/secrets/secret/api", rows[i]);
        says("\\\"key_id\\\" is where a key's id is stored");
    }
    need(204, "POST", "rotation/secrets/secret/alone", "{\"password_field\":\"key_id\"}");
}

static void checking_a_target(void **state)
{
    (void)state;
    need(404, "POST", "rotation/targets/pg/check", NULL);
    need(204, "POST", "rotation/targets/pg", target_body);
    need(200, "POST", "rotation/targets/pg/check", NULL);
    says("\"ok\":true");
    says("refused, as it has to be");
    sim.trust = true;
    need(200, "POST", "rotation/targets/pg/check", NULL);
    says("\"ok\":false");
    says("ACCEPTED: no test proves anything here");
    sim.trust = false;
    sim.down = true;
    need(200, "POST", "rotation/targets/pg/check", NULL);
    says("\"ok\":false");
    says("connection refused");
    sim.down = false;
    need(204, "POST", "rotation/targets/pg", "{\"admin_password\":\"wrong\"}");
    need(200, "POST", "rotation/targets/pg/check", NULL);
    says("\"ok\":false");
}

/* ---- settings ---- */

static void wrong_settings(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{\"cron\":\"0 0 30 2 *\"}", "30"},
        {"{\"cron\":\"61 * * * *\"}", "minute"},
        {"{\"cron\":\"5/15 * * * *\"}", "5-59/15"},
        {"{\"cron\":\"0 0 * * *\",\"zone\":\"Mars/Olympus\"}", "Mars/Olympus"},
        {"{\"period\":\"soon\"}", "period"},
        {"{\"cron\":\"@daily\",\"period\":\"1d\"}", "period"},
        {"{\"generator\":{\"length\":4}}", "length"},
        {"{\"generator\":{\"length\":10}}", "bits"},
        {"{\"generator\":{\"size\":10}}", "unknown member"},
        {"{\"generator\":12}", "wanted an object"},
        {"{\"generator\":{\"any_first\":\"perhaps\"}}", "generator.any_first must be true or false"},
        {"{\"generator\":{\"allow_weak\":2}}", "generator.allow_weak must be true or false"},
        {"{\"strategy\":\"sideways\"}", "alternate, overlap, in-place or generate"},
        {"{\"strategy\":\"alternate\"}", "needs a target"},
        {"{\"target\":\"nowhere\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_a\"]}",
         "no target 'nowhere'"},
        {"{\"target\":\"pg\"}", "strategy generate has no target"},
        {"{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\"]}",
         "two different accounts"},
        {"{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_a\"],"
         "\"group\":\"app\"}",
         "two different accounts"},
        {"{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"]}",
         "needs group"},
        {"{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],"
         "\"group\":\"app_b\"}",
         "another role"},
        {"{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_a\",\"app_b\"]}",
         "needs one account"},
        {"{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"other\"]}",
         "none of the accounts"},
        {"{\"accounts\":[\"a\",\"b\",\"c\"]}", "two at most"},
        {"{\"target\":\"dir\",\"strategy\":\"overlap\",\"accounts\":[\"uid=app,OU=services\"]}",
         "one of several spellings"},
        {"{\"target\":\"dir\",\"strategy\":\"alternate\",\"accounts\":[\"uid=app_a\",\"uid=app_a, ou=x\"]}",
         "one of several spellings"},
        {"{\"overlap\":\"-1\"}", "negative"},
        {"{\"overlap\":\"long\"}", "overlap"},
        {"{\"on_unhealthy\":\"panic\"}", "rollback or hold"},
        {"{\"require_healthy\":\"perhaps\"}", "require_healthy"},
        {"{\"password_field\":\"username\"}", "two members"},
        {"{\"owner\":\"a\\u0001b\"}", "control character"},
    };
    need(204, "POST", "rotation/targets/pg", target_body);
    need(204, "POST", "rotation/targets/dir", DIRECTORY);
    make_secret("db/orders", "app_a");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned status = call("POST", "rotation/secrets/secret/db/orders", rows[i].body);
        if (status != 400 || !test_vault_said(vault, rows[i].text))
            fail_msg("%s: %u, wanted 400 and '%s': %s", rows[i].body, status, rows[i].text,
                     vault->body);
    }
    need(404, "GET", "rotation/secrets/secret/db/orders", NULL);
}

static void wrong_secrets(void **state)
{
    (void)state;
    static const char in_place[] =
        "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_a\"]}";
    need(204, "POST", "rotation/targets/pg", target_body);
    need(400, "POST", "rotation/secrets/secret/none", in_place);
    says("nothing to rotate");
    need(400, "POST", "rotation/secrets/nowhere/x", in_place);
    says("is not the path of a secret");
    need(200, "POST", "secret/data/x", "{\"data\":{\"username\":\"app_a\"}}");
    need(400, "POST", "rotation/secrets/secret/x", in_place);
    says("no text member \\\"password\\\"");
    need(200, "POST", "secret/data/x", "{\"data\":{\"username\":\"app_a\",\"password\":12}}");
    need(400, "POST", "rotation/secrets/secret/x", in_place);
    need(200, "POST", "secret/data/x",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"gr\\u00fc\\u00dfe-und-noch-mehr\"}}");
    need(400, "POST", "rotation/secrets/secret/x", in_place);
    says("printable ASCII");
}

static void one_account_one_secret(void **state)
{
    (void)state;
    need(204, "POST", "rotation/targets/pg", target_body);
    make_secret("a", "app_a");
    make_secret("b", "app_a");
    need(204, "POST", "rotation/secrets/secret/a",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_a\"]}");
    need(400, "POST", "rotation/secrets/secret/b",
         "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],"
         "\"group\":\"app\"}");
    says("KT-R-007");
    says("secret/a");
    need(400, "DELETE", "rotation/targets/pg", NULL);
    says("1 secrets are rotated");
    need(204, "DELETE", "rotation/secrets/secret/a", NULL);
    need(204, "POST", "rotation/secrets/secret/b",
         "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],"
         "\"group\":\"app\"}");
    /* Another choice of accounts lets go of the one that is not named any more. */
    need(204, "POST", "rotation/secrets/secret/b", "{\"accounts\":[\"app_a\",\"app_c\"]}");
    make_secret("c", "app_b");
    need(204, "POST", "rotation/secrets/secret/c",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_b\"]}");
}

static void adopting(void **state)
{
    (void)state;
    need(204, "POST", "rotation/targets/pg", target_body);
    make_secret("a", "app_a");
    need(204, "POST", "rotation/secrets/secret/a",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"app_a\",\"cron\":\"@yearly\","
         "\"owner\":\"db\",\"generator\":{\"length\":40}}");
    need(200, "GET", "rotation/secrets/secret/a", NULL);
    says("\"accounts\":[\"app_a\"]");
    says("\"generates\":\"40 characters of 57, first a letter: ");
    says(" bits\"");
    says("\"length\":40");
    says("\"overlap\":60");
    says("\"next_reason\":\"cron\"");
    says("\"next_due\":\"2028-01-01T00:00:00Z\"");
    need(204, "POST", "rotation/secrets/secret/a", "{\"overlap\":\"5m\"}");
    need(200, "GET", "rotation/secrets/secret/a", NULL);
    says("\"overlap\":300");
    says("\"owner\":\"db\"");
    /* What the target accepts cannot be lost. */
    need(400, "POST", "secret/destroy/a", "{\"versions\":[1]}");
    need(400, "DELETE", "secret/data/a", NULL);
    says("KT-R-005");
    need(400, "DELETE", "secret/metadata/a", NULL);
    says("schedule remove");
    need(400, "POST", "secret/import/a", "{\"cas\":1,\"replace\":true,\"versions\":[{\"version\":2,\"data\":{}}]}");
    says("schedule remove");
    need(200, "LIST", "rotation/secrets", NULL);
    says("[\"secret/a\"]");
    need(404, "LIST", "rotation/secrets/other", NULL);
    need(204, "DELETE", "rotation/secrets/secret/a", NULL);
    need(204, "POST", "secret/destroy/a", "{\"versions\":[1]}");
}

/* ---- without a target, and schedules ---- */

static void generating(void **state)
{
    (void)state;
    need(204, "POST", "rotation/secrets/secret/api",
         "{\"generator\":{\"type\":\"hex\",\"length\":32},\"password_field\":\"key\"}");
    need(200, "POST", "rotation/rotate/secret/api", "{}");
    says("\"state\":\"done\"");
    char run[64], first[128], second[128], path[128];
    test_vault_text(vault, "data.run", run, sizeof run);
    need(200, "GET", "secret/data/api", NULL);
    test_vault_text(vault, "data.data.key", first, sizeof first);
    assert_int_equal(strlen(first), 64);
    need(204, "POST", "rotation/secrets/secret/api", "{\"period\":\"30d\"}");
    need(200, "POST", "rotation/rotate/secret/api", "{}");
    need(200, "GET", "secret/data/api", NULL);
    test_vault_text(vault, "data.data.key", second, sizeof second);
    assert_string_not_equal(first, second);
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", run);
    need(200, "GET", path, NULL);
    says("# DONE");
    assert_false(test_vault_said(vault, first));
    /* And back: the value of before. */
    need(200, "POST", "rotation/rotate/secret/api", "{\"back\":true}");
    need(200, "GET", "secret/data/api", NULL);
    says(first);
    need(200, "LIST", "rotation/runs?secret=secret/api", NULL);
    says("\"trigger\":\"back\"");
    /* A secret that was removed does not come back by its schedule. */
    need(204, "DELETE", "secret/metadata/api", NULL);
    need(400, "POST", "rotation/rotate/secret/api", "{}");
    says("KT-R-004");
}

static char version_text[16];
static const char *version_of(const char *path)
{
    char full[128];
    (void)snprintf(full, sizeof full, "secret/data/%s", path);
    (void)call("GET", full, NULL);
    if (vault->status == 200)
        test_vault_text(vault, "data.metadata.version", version_text, sizeof version_text);
    else
        (void)snprintf(version_text, sizeof version_text, "0");
    return version_text;
}

static void becomes(const char *path, const char *version)
{
    for (int i = 0; i < PATIENCE && strcmp(version_of(path), version) != 0; i++)
        pause_ms(1);
    assert_string_equal(version_of(path), version);
}

/* The rotation thread gets there in its own time. */
static void comes_to_say(const char *path, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(200, "GET", path, NULL);
        if (strstr(vault->body, text) != NULL)
            return;
        pause_ms(1);
    }
    says(text);
}

static void by_schedule(void **state)
{
    (void)state;
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\"}");
    pause_ms(60);
    assert_string_equal(version_of("s"), "0");
    vault->now_ms += 3600000;
    becomes("s", "1");
    vault->now_ms += 3600000;
    becomes("s", "2");
    /* Ten days away: one run, not two hundred and forty. */
    need(204, "POST", "rotation/secrets/secret/p", "{\"period\":\"1h\"}");
    test_vault_reseal(vault);
    vault->now_ms += (int64_t)10 * 23 * 3600000; /* all at once: the thread looks meanwhile */
    rotation_wake(vault->core->rotation);
    pause_ms(100);
    test_vault_reseal(vault); /* as a start after the time passed */
    becomes("s", "3");
    pause_ms(60);
    assert_string_equal(version_of("s"), "3");
    need(200, "GET", "rotation/due?limit=10", NULL);
    says("\"secret\":\"secret/s\"");
}

static void clock_that_jumps(void **state)
{
    (void)state;
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 0 1 1 *\"}");
    need(200, "GET", "rotation/clock", NULL);
    says("\"alarm\":false");
    /* A year ahead, while no time passed: nothing starts. */
    vault->wall_ahead_ms = (int64_t)366 * 24 * 3600000;
    rotation_wake(vault->core->rotation);
    comes_to_say("rotation/clock", "\"alarm\":true");
    assert_string_equal(version_of("s"), "0");
    need(200, "GET", "rotation/due", NULL);
    says("the clock went ahead");
    need(400, "POST", "rotation/clock", "{}");
    need(204, "POST", "rotation/clock", "{\"accept\":true}");
    becomes("s", "1");
    comes_to_say("rotation/clock", "\"alarm\":false");
}

static void clock_of_yesterday(void **state)
{
    (void)state;
    /* The time is stored by the pass that starts this run, or by one before. */
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\"}");
    vault->now_ms += 3600000;
    becomes("s", "1");
    vault->wall_ahead_ms = -(int64_t)5 * 3600000;
    test_vault_reseal(vault);
    comes_to_say("rotation/clock", "is behind the last stored time");
    says("secretctl write rotation/clock -");
    vault->wall_ahead_ms = 0;
    rotation_wake(vault->core->rotation);
    comes_to_say("rotation/clock", "\"alarm\":false");
}

/* ---- the fleet ---- */

static void wrong_reports(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
        unsigned status;
    } rows[] = {
        {"{}", "service must name", 400},
        {"{\"service\":\"a/b\",\"state\":\"healthy\"}", "service must name", 400},
        {"{\"service\":\"s\"}", "state must be", 400},
        {"{\"service\":\"s\",\"state\":\"fine\"}", "state must be", 400},
        {"{\"service\":\"s\",\"state\":\"healthy\"}", "KT-F-003", 400},
        {"{\"service\":\"s\",\"state\":\"healthy\",\"version\":9}", "KT-F-003", 400},
        {"{\"service\":\"s\",\"state\":\"healthy\",\"version\":-1}", "negative", 400},
        {"{\"service\":\"s\",\"state\":\"registered\",\"samples\":\"x\"}", "samples", 400},
        {"{\"service\":\"s\",\"state\":\"gone\"}", "\"current\":1", 200},
    };
    make_secret("a", "u");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(rows[i].status, "POST", "fleet/consumers/h1/secret/a", rows[i].body);
        says(rows[i].text);
    }
    need(404, "POST", "fleet/consumers/h1/secret/none",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(404, "LIST", "fleet/agents", NULL);
}

static void consumers(void **state)
{
    (void)state;
    make_secret("a", "u");
    make_secret("b", "u");
    need(200, "POST", "fleet/consumers/h1/secret/a",
         "{\"service\":\"s\",\"state\":\"healthy\",\"version\":1,\"detail\":\"two\\nlines\"}");
    need(200, "POST", "fleet/consumers/h1/secret/b",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "POST", "fleet/consumers/h2/secret/a",
         "{\"service\":\"t\",\"state\":\"registered\"}");
    need(200, "LIST", "fleet/agents", NULL);
    says("[\"h1\",\"h2\"]");
    says("\"state\":\"live\"");
    need(200, "LIST", "fleet/consumers/h1", NULL);
    says("[\"secret/a\",\"secret/b\"]");
    need(200, "GET", "fleet/consumers/h1/secret/a", NULL);
    says("two lines");
    static const struct {
        int64_t ms;
        const char *state;
    } signs[] = {{630000 - 1, "live"}, {630000, "late"}, {900000 - 1, "late"}, {900000, "lost"}};
    int64_t heard_ms = vault->now_ms;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        vault->now_ms = heard_ms + signs[i].ms;
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "\"state\":\"%s\"", signs[i].state);
        need(200, "LIST", "fleet/agents", NULL);
        says(wanted);
    }
    need(200, "POST", "fleet/consumers/h1/secret/b", "{\"service\":\"s\",\"state\":\"gone\"}");
    need(200, "LIST", "fleet/consumers/h1", NULL);
    says("[\"secret/a\"]");
    need(204, "DELETE", "fleet/consumers/h1/secret/a", NULL);
    need(404, "GET", "fleet/consumers/h1/secret/a", NULL);
    need(404, "LIST", "fleet/consumers/h1", NULL);
    need(200, "LIST", "fleet/agents", NULL);
    says("[\"h2\"]");
}

/* Of more hosts than are looked at while others wait for the thread, the one that counts is found; and that
 * there is none is. */
static void one_host_of_many(void **state)
{
    (void)state;
    char path[64];
    make_secret("a", "u");
    need(204, "POST", "sys/mounts/other", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    need(204, "POST", "sys/mounts/free", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    need(200, "POST", "other/data/a", "{\"data\":{\"k\":\"v\"}}");
    for (unsigned i = 0; i < 2050; i++) {
        (void)snprintf(path, sizeof path, "fleet/consumers/h%u/other/a", i);
        need(200, "POST", path, "{\"service\":\"s\",\"state\":\"registered\"}");
    }
    need(200, "POST", "sys/remount", "{\"from\":\"free\",\"to\":\"freed\"}");
    need(200, "POST", "fleet/consumers/only/secret/a", "{\"service\":\"s\",\"state\":\"registered\"}");
    need(400, "POST", "sys/remount", "{\"from\":\"secret\",\"to\":\"moved\"}");
    says("services on host \\\"only\\\" use secrets in");
    need(400, "POST", "sys/remount", "{\"from\":\"none\",\"to\":\"moved\"}");
    says("no matching mount");
}

struct poll {
    pthread_t thread;
    char path[256], token[256];
    unsigned status;
    char body[4096];
    struct test_vault own; /* a call's state is one thread's */
};

/* A run waits for all of a secret's consumers, so there are only as many as it can wait for. */
static void too_many_consumers(void **state)
{
    (void)state;
    const char *path = "fleet/consumers/h1/secret/db/orders";
    char body[64];
    make_secret("db/orders", "app_a");
    for (unsigned i = 0; i < CONSUMERS_MAX; i++) {
        (void)snprintf(body, sizeof body, "{\"service\":\"s%u\",\"state\":\"registered\"}", i);
        need(200, "POST", path, body);
    }
    need(400, "POST", path, "{\"service\":\"one-more\",\"state\":\"registered\"}");
    says("KT-F-004");
    need(200, "POST", path, "{\"service\":\"s7\",\"state\":\"applying\"}");
    need(200, "POST", path, "{\"service\":\"s7\",\"state\":\"gone\"}");
    need(200, "POST", path, "{\"service\":\"one-more\",\"state\":\"registered\"}");
}

static void *poll_thread(void *arg)
{
    struct poll *poll = arg;
    poll->status = test_vault_call(&poll->own, "GET", poll->path, poll->token, NULL);
    (void)snprintf(poll->body, sizeof poll->body, "%s", poll->own.body);
    free(poll->own.body);
    return NULL;
}

static void begin_poll(struct poll *poll, const char *host, const char *cursor, const char *token)
{
    poll->own.core = vault->core;
    poll->own.body = NULL;
    (void)snprintf(poll->path, sizeof poll->path, "fleet/watch/%s?since=%s&wait=300", host, cursor);
    (void)snprintf(poll->token, sizeof poll->token, "%s", token);
    assert_int_equal(pthread_create(&poll->thread, NULL, poll_thread, poll), 0);
    pause_ms(30);
}

/* Waits for its answer; each time round, time_ms pass. */
static void end_poll(struct poll *poll, int64_t time_ms)
{
    int running = EBUSY;
    for (int i = 0; i < PATIENCE && running == EBUSY; i++) {
        vault->now_ms += time_ms;
        running = pthread_tryjoin_np(poll->thread, NULL);
        if (running == EBUSY)
            pause_ms(1);
    }
    assert_int_equal(running, 0);
}

static void watching(void **state)
{
    (void)state;
    static struct poll one, two;
    char cursor[128], token[128];
    make_secret("a", "u");
    make_secret("b", "u");
    need(200, "POST", "fleet/consumers/h1/secret/a",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "POST", "fleet/consumers/h2/secret/b",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "GET", "fleet/watch/h1", NULL);
    says("\"secret\":\"secret/a\"");
    says("\"want\":1");
    assert_false(test_vault_said(vault, "secret/b"));
    test_vault_text(vault, "data.cursor", cursor, sizeof cursor);
    /* Another history: everything at once. */
    need(200, "GET", "fleet/watch/h1?since=00000000000000000000000000000000.5&wait=300", NULL);
    says("\"secret\":\"secret/a\"");
    need(200, "GET", "fleet/watch/h1?since=rubbish&wait=300", NULL);
    says("\"secret\":\"secret/a\"");
    test_vault_token(vault, "agent", "path \"fleet/watch/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    begin_poll(&one, "h1", cursor, token);
    begin_poll(&two, "h2", cursor, token);
    /* Each hears of its own secret only. */
    make_secret("a", "u2");
    end_poll(&one, 0);
    assert_int_equal(one.status, 200);
    assert_non_null(strstr(one.body, "\"want\":2"));
    make_secret("b", "u2");
    end_poll(&two, 0);
    assert_int_equal(two.status, 200);
    assert_null(strstr(two.body, "secret/a"));
    assert_non_null(strstr(two.body, "secret/b"));
}

static void watch_ends_with_its_token(void **state)
{
    (void)state;
    static struct poll poll;
    char cursor[128], token[128], body[256];
    make_secret("b", "u");
    need(200, "POST", "fleet/consumers/h2/secret/b",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "GET", "fleet/watch/h2", NULL);
    test_vault_text(vault, "data.cursor", cursor, sizeof cursor);
    test_vault_token(vault, "agent", "path \"fleet/watch/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    begin_poll(&poll, "h2", cursor, token);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    need(204, "POST", "auth/token/revoke", body);
    end_poll(&poll, 0);
    assert_int_equal(poll.status, 403);
}

static void watch_ends_in_time(void **state)
{
    (void)state;
    static struct poll poll;
    char cursor[128];
    make_secret("b", "u");
    need(200, "POST", "fleet/consumers/h2/secret/b",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "GET", "fleet/watch/h2", NULL);
    test_vault_text(vault, "data.cursor", cursor, sizeof cursor);
    begin_poll(&poll, "h2", cursor, vault->root);
    /* It may begin to wait only after time passed. */
    end_poll(&poll, 301000);
    assert_int_equal(poll.status, 200);
    assert_non_null(strstr(poll.body, "\"secrets\":[]"));
}

/* Looks again now and then, and finds nothing. */
static void looks_in_vain(int times)
{
    for (int i = 0; i < times; i++) {
        vault->now_ms += 31000;
        pause_ms(130); /* the clock of waits looks at a clock of ours every 100 ms */
    }
}

static void watch_hears_after_silence(void **state)
{
    (void)state;
    static struct poll one, two;
    char cursor[128];
    make_secret("a", "u");
    need(200, "POST", "fleet/consumers/h1/secret/a",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "POST", "fleet/consumers/h2/secret/a",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    need(200, "GET", "fleet/watch/h1", NULL);
    test_vault_text(vault, "data.cursor", cursor, sizeof cursor);
    begin_poll(&two, "h2", cursor, vault->root);
    make_secret("b", "u");
    looks_in_vain(2);
    /* What it waits for is another secret more. */
    need(200, "POST", "fleet/consumers/h2/secret/b",
         "{\"service\":\"s\",\"state\":\"registered\"}");
    begin_poll(&one, "h1", cursor, vault->root);
    end_poll(&two, 0);
    assert_int_equal(two.status, 200);
    assert_non_null(strstr(two.body, "secret/b"));
    looks_in_vain(2);
    make_secret("a", "u2");
    end_poll(&one, 0);
    assert_int_equal(one.status, 200);
    assert_non_null(strstr(one.body, "\"want\":2"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(targets),
        TEST(wrong_targets),
        TEST(checking_a_target),
        TEST(weak_connections),
        TEST(the_open_way),
        TEST(a_driver_that_shows),
        TEST(logins_stay_where_they_are),
        TEST(what_an_api_is_asked_takes_sudo),
        TEST(who_makes_the_values_stays),
        TEST(ids_have_a_member_of_their_own),
        TEST(wrong_settings),
        TEST(wrong_secrets),
        TEST(one_account_one_secret),
        TEST(adopting),
        TEST(generating),
        TEST(by_schedule),
        TEST(clock_that_jumps),
        TEST(clock_of_yesterday),
        TEST(wrong_reports),
        TEST(consumers),
        TEST(too_many_consumers),
        TEST(one_host_of_many),
        TEST(watching),
        TEST(watch_ends_with_its_token),
        TEST(watch_ends_in_time),
        TEST(watch_hears_after_silence),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_routes", tests, NULL, NULL);
}
