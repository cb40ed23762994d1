/* Logging in with the host's accounts, against a vaultd-pam of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "lib/timespec.h"
#include "tests/support/fake_pam.h"
#include "tests/support/folder.h"
#include "tests/support/meanwhile.h"
#include "tests/support/vault.h"
#include "vaultd/auth/logins.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT    512u
#define QUARTER 901
#define RIGHT   "{\"password\":\"right\"}"
#define WRONG   "{\"password\":\"wrong\"}"
#define HERE    "192.0.2.1"
#define THERE   "192.0.2.2"

static struct test_vault *vault;
static struct fake_pam *pam;
static char folder[64];

/* token NULL: root's, "": none. address NULL: over the Unix socket. */
static unsigned ask_from(const char *address, uint32_t uid, const char *method, const char *path,
                         const char *token, const char *body)
{
    char target[TEXT];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token == NULL ? vault->root : token),
                                         .body = kt_str(body),
                                         .address = address,
                                         .local = address == NULL,
                                         .uid = uid};
    return test_vault_ask(vault, &request);
}

static void wants(unsigned status, const char *says, const char *method, const char *path,
                  const char *token, const char *body)
{
    unsigned got = ask_from(HERE, 0, method, path, token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

static void login(unsigned status, const char *says, const char *user, const char *body)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/pam/login/%s", user);
    wants(status, says, "POST", path, "", body);
}

static void later(int64_t seconds)
{
    vault->now_ms += seconds * 1000;
}

static void take(const char *dotted, char out[TEXT])
{
    test_vault_text(vault, dotted, out, TEXT);
}

static int make(void **state)
{
    if (folder_make(folder) != 0)
        return -1;
    pam = fake_pam_start(folder);
    *state = vault = test_vault_pam(true, fake_pam_socket(pam));
    wants(204, NULL, "POST", "sys/auth/pam", NULL, "{\"type\":\"pam\"}");
    wants(204, NULL, "POST", "auth/pam/groups/ops", NULL, "{\"policies\":\"operator\"}");
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    fake_pam_stop(pam);
    folder_remove(folder);
    return 0;
}

/* ---- what is granted ---- */

static void a_login(void **state)
{
    (void)state;
    char token[TEXT], address[PAMD_NAME_MAX + 1];
    login(200, "\"policies\":[\"default\",\"operator\"]", "alice", RIGHT);
    assert_true(test_vault_said(vault, "\"metadata\":{\"groups\":\"ops\",\"username\":\"alice\"}"));
    assert_true(test_vault_said(vault, "\"data\":null"));
    take("auth.client_token", token);
    fake_pam_address(pam, address);
    assert_string_equal(address, HERE);
    wants(200, "\"display_name\":\"pam-alice\"", "GET", "auth/token/lookup-self", token, NULL);
    wants(200, "\"orphan\":true", "GET", "auth/token/lookup-self", token, NULL);
    wants(200, "\"path\":\"auth/pam/login/alice\"", "GET", "auth/token/lookup-self", token, NULL);
    login(200, "\"policies\":[\"default\",\"operator\"]", "ALICE", RIGHT);
    /* One person, whatever the name that was typed: who it is says PAM (CVE-2025-6013). */
    char entity[TEXT], other[TEXT];
    take("auth.entity_id", entity);
    static const char *const names[] = {"al", "AL", "became"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        login(200, "\"username\":\"alice\"", names[i], RIGHT);
        take("auth.entity_id", other);
        assert_string_equal(entity, other);
    }
    login(200, NULL, "none", "{}");
}

/* Users, groups in whatever letters, and the settings' own policies, together. */
static void policies(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "auth/pam/groups/WEB", NULL, "{\"policies\":\"w,operator\"}");
    wants(204, NULL, "POST", "auth/pam/users/alice", NULL, "{\"policies\":[\"a\"]}");
    wants(204, NULL, "POST", "auth/pam/users/al", NULL, "{\"policies\":[\"never\"]}");
    wants(204, NULL, "POST", "auth/pam/users/became", NULL, "{\"policies\":[\"never\"]}");
    wants(204, NULL, "POST", "auth/pam/config", NULL,
          "{\"token_policies\":\"all\",\"token_no_default_policy\":true,\"token_ttl\":\"10m\"}");
    login(200, "\"policies\":[\"a\",\"all\",\"operator\",\"w\"]", "al", RIGHT);
    login(200, "\"policies\":[\"a\",\"all\",\"operator\",\"w\"]", "became", RIGHT);
    assert_true(test_vault_said(vault, "\"lease_duration\":600"));
    login(200, "\"policies\":[\"all\"]", "carol", RIGHT);
    wants(200, "\"keys\":[\"ops\",\"web\"]", "LIST", "auth/pam/groups", NULL, NULL);
    wants(200, "\"keys\":[\"al\",\"alice\",\"became\"]", "LIST", "auth/pam/users", NULL, NULL);
    wants(200, "\"policies\":[\"operator\",\"w\"]", "GET", "auth/pam/groups/web", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/pam/groups/web", NULL, NULL);
    wants(404, NULL, "GET", "auth/pam/groups/web", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/pam/groups/web", NULL, NULL);
}

/* Being on the host is not enough. */
static void nobody_without_policies(void **state)
{
    (void)state;
    char token[TEXT];
    login(400, "not a member of any authorized group", "carol", RIGHT);
    for (int i = 0; i < 3; i++) /* nor is it a guess */
        login(400, "not a member of any authorized group", "carol", RIGHT);
    login(200, NULL, "alice", RIGHT);
    take("auth.client_token", token);
    wants(204, NULL, "DELETE", "auth/pam/groups/ops", NULL, NULL);
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    login(400, "authorized group", "alice", RIGHT);
}

static void renewals(void **state)
{
    (void)state;
    char token[TEXT];
    wants(204, NULL, "POST", "auth/pam/config", NULL, "{\"token_ttl\":\"10m\"}");
    wants(204, NULL, "POST", "auth/pam/groups/web", NULL, "{\"policies\":\"w\"}");
    login(200, "\"lease_duration\":600", "alice", RIGHT);
    take("auth.client_token", token);
    wants(200, "\"lease_duration\":600", "POST", "auth/token/renew-self", token, "{}");
    wants(204, NULL, "POST", "auth/pam/config", NULL, "{\"token_ttl\":\"5m\"}");
    wants(200, "\"lease_duration\":300", "POST", "auth/token/renew-self", token, "{}");
    /* The account is asked about each time, the password is not. */
    unsigned before = fake_pam_count(pam);
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    assert_int_equal(fake_pam_count(pam), before + 1);
    fake_pam_close(pam, true);
    for (int i = 0; i < 3; i++)
        wants(403, "does not let this account in", "POST", "auth/token/renew-self", token, "{}");
    wants(200, NULL, "GET", "auth/token/lookup-self", token, NULL);
    fake_pam_close(pam, false);
    login(200, NULL, "alice", RIGHT); /* that was no guess */
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    wants(204, NULL, "POST", "auth/pam/users/alice", NULL, "{\"policies\":\"more\"}");
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    wants(204, NULL, "DELETE", "auth/pam/users/alice", NULL, NULL);
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    char accessor[TEXT], body[2 * TEXT];
    test_vault_text(vault, "auth.accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    wants(200, NULL, "POST", "auth/token/renew-accessor", NULL, body);
    fake_pam_leave(pam);
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    wants(500, "policies have changed", "POST", "auth/token/renew-accessor", NULL, body);
    wants(204, NULL, "DELETE", "sys/auth/pam", NULL, NULL);
    wants(403, NULL, "GET", "auth/token/lookup-self", token, NULL);
}

/* At a renewal, too, the groups of the vault that the host's name are those of today. */
static void left_groups_give_nothing(void **state)
{
    (void)state;
    char token[TEXT], accessor[TEXT], group[TEXT], body[3 * TEXT];
    wants(204, NULL, "POST", "auth/pam/users/alice", NULL, "{\"policies\":\"own\"}");
    wants(204, NULL, "DELETE", "auth/pam/groups/ops", NULL, NULL);
    wants(200, NULL, "GET", "sys/auth/pam", NULL, NULL);
    take("data.accessor", accessor);
    wants(200, NULL, "POST", "identity/group", NULL, "{\"name\":\"ops\",\"type\":\"external\",\"policies\":\"power\"}");
    take("data.id", group);
    (void)snprintf(body, sizeof body, "{\"name\":\"ops\",\"mount_accessor\":\"%s\",\"canonical_id\":\"%s\"}", accessor,
                   group);
    wants(200, NULL, "POST", "identity/group-alias", NULL, body);
    login(200, "\"identity_policies\":[\"power\"]", "alice", RIGHT);
    take("auth.client_token", token);
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    wants(200, "\"identity_policies\":[\"power\"]", "GET", "auth/token/lookup-self", token, NULL);
    fake_pam_leave(pam);
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    wants(200, NULL, "GET", "auth/token/lookup-self", token, NULL);
    assert_false(test_vault_said(vault, "identity_policies"));
}

/* ---- what is asked ---- */

static void answer(unsigned status, const char *says, const char *user, const char *id,
                   const char *responses)
{
    char body[2 * TEXT];
    (void)snprintf(body, sizeof body, "{\"login_id\":\"%s\",\"responses\":%s}", id, responses);
    login(status, says, user, body);
}

static void prompts(void **state)
{
    (void)state;
    char first[TEXT], second[TEXT];
    login(200, "\"prompts\":[{\"echo\":false,\"text\":\"Password: \"}]", "two", "{}");
    assert_true(test_vault_said(vault, "\"auth\":null"));
    take("data.login_id", first);
    assert_int_equal(strlen(first), TALK_ID);
    answer(200, "\"prompts\":[{\"echo\":true,\"text\":\"Code: \"}]", "two", first, "[\"right\"]");
    take("data.login_id", second);
    assert_string_not_equal(first, second);
    answer(400, "unknown \\\"login_id\\\"", "two", first, "[\"123456\"]"); /* sent again */
    answer(200, "\"username\":\"two\"", "two", second, "[\"123456\"]");
    answer(400, "unknown", "two", second, "[\"123456\"]");
    login(200, "\"text\":\"Code: \"", "two", RIGHT); /* the password came along */
    take("data.login_id", first);
    answer(400, "not as many", "two", first, "[]");
    answer(400, "not as many", "two", first, "[\"1\",\"2\"]");
    answer(400, "an array of texts", "two", first, "[1]");
    answer(400, "more than 5", "two", first, "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]");
    answer(400, "invalid username or password", "two", first, "[\" 123456\"]"); /* not trimmed */
    /* Both at once: the password alone is no answer to that. */
    login(200, "{\"echo\":false,\"text\":\"Password: \"},{\"echo\":true,\"text\":\"Code: \"}", "both",
          RIGHT);
    take("data.login_id", first);
    answer(200, "\"username\":\"both\"", "both", first, "[\"right\",\"123456\"]");
}

/* A login id is good for the name, the mount and the source it was given to. */
static void bound(void **state)
{
    (void)state;
    char id[TEXT], body[2 * TEXT];
    wants(204, NULL, "POST", "sys/auth/other", NULL, "{\"type\":\"pam\"}");
    wants(204, NULL, "POST", "auth/other/groups/ops", NULL, "{\"policies\":\"operator\"}");
    login(200, "login_id", "alice", "{}");
    take("data.login_id", id);
    (void)snprintf(body, sizeof body, "{\"login_id\":\"%s\",\"responses\":[\"right\"]}", id);
    login(400, "unknown", "al", body);
    wants(400, "unknown", "POST", "auth/other/login/alice", "", body);
    assert_int_equal(ask_from(THERE, 0, "POST", "auth/pam/login/alice", "", body), 400);
    assert_int_equal(ask_from(NULL, 0, "POST", "auth/pam/login/alice", "", body), 400);
    login(200, "\"username\":\"alice\"", "alice", body);
    /* Over the Unix socket it is the uid. */
    assert_int_equal(ask_from(NULL, 1000, "POST", "auth/pam/login/alice", "", "{}"), 200);
    take("data.login_id", id);
    (void)snprintf(body, sizeof body, "{\"login_id\":\"%s\",\"responses\":\"right\"}", id);
    assert_int_equal(ask_from(NULL, 1001, "POST", "auth/pam/login/alice", "", body), 400);
    assert_int_equal(ask_from(NULL, 1000, "POST", "auth/pam/login/alice", "", body), 200);
}

/* Questions are not wrapped: nobody could answer them. */
static void wrapped(void **state)
{
    (void)state;
    char id[TEXT], body[2 * TEXT];
    struct test_request request = {.method = kt_str("POST"),
                                   .target = kt_str("/v1/auth/pam/login/alice"),
                                   .body = kt_str("{}"),
                                   .wrap_ttl = kt_str("60"),
                                   .address = HERE};
    assert_int_equal(test_vault_ask(vault, &request), 200);
    take("data.login_id", id);
    (void)snprintf(body, sizeof body, "{\"login_id\":\"%s\",\"responses\":[\"right\"]}", id);
    request.body = kt_str(body);
    assert_int_equal(test_vault_ask(vault, &request), 200);
    assert_true(test_vault_said(vault, "\"auth\":null"));
    take("wrap_info.token", id);
    wants(200, "\"username\":\"alice\"", "POST", "sys/wrapping/unwrap", id, "{}");
}

/* ---- what is refused ---- */

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *user, *body;
        unsigned status;
        const char *says;
    } rows[] = {
        {"alice", WRONG, 400, "[\"invalid username or password\"]"},
        {"mallory", RIGHT, 400, "[\"invalid username or password\"]"},
        {"expired", RIGHT, 400, "passwd"},
        {"expired", WRONG, 400, "[\"invalid username or password\"]"},
        {"broken", RIGHT, 400, "log of vaultd-pam"},
        {"silent", RIGHT, 400, "gave no answer"},
        {"nonsense", RIGHT, 400, "gave no answer"},
        {"busy", RIGHT, 429, "too many logins"},
        {"capital", RIGHT, 400, "none that can log in"},
        {"alice", "{\"password\":\"\"}", 500, "missing password"},
        {"alice", "{\"password\":{}}", 400, "password"},
        {"alice", "{\"login_id\":\"x\"}", 400, "responses"},
        {"alice", "{\"login_id\":\"x\",\"responses\":[\"y\"]}", 400, "unknown"},
        {"a:b", RIGHT, 404, "unsupported path"},
        {"-alice", RIGHT, 404, "unsupported path"},
        {"", RIGHT, 400, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        login(rows[i].status, rows[i].says, rows[i].user, rows[i].body);
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"password\":\"%0512d\"}", 0);
    login(400, "longer than 511 bytes", "alice", body);
}

/* The stack's delay is kept, and all is told on the half second: a wrong password and an unknown name took
 * PAM different times. */
static void held_back(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        int64_t least_ms;
    } rows[] = {{"late", 1000}, {"alice", 500}, {"mallory", 500}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t begun_ms = kt_timespec_mono_ms();
        login(400, "invalid username or password", rows[i].user, WRONG);
        assert_true(kt_timespec_mono_ms() - begun_ms >= rows[i].least_ms);
    }
}

/* Fewer guesses of a name reach the host than it allows; other names are others. */
static void guesses(void **state)
{
    (void)state;
    unsigned before = fake_pam_count(pam);
    login(400, "invalid", "alice", WRONG);
    login(400, "invalid", "ALICE", WRONG);
    login(403, "permission denied", "alice", RIGHT);
    login(403, "permission denied", "Alice", WRONG);
    login(403, "permission denied", "alice", "{}");
    assert_int_equal(fake_pam_count(pam), before + 2);
    login(200, NULL, "none", "{}");
    later(QUARTER);
    login(200, NULL, "alice", RIGHT);
    login(400, "invalid", "alice", WRONG);
    login(200, NULL, "alice", RIGHT); /* forgets it */
    login(400, "invalid", "alice", WRONG);
    login(200, NULL, "alice", RIGHT);
    wants(204, NULL, "POST", "auth/pam/config", NULL, "{\"max_failures\":1}");
    login(400, "invalid", "mallory", WRONG);
    login(403, NULL, "mallory", WRONG);
    wants(200, "\"max_failures\":1", "GET", "auth/pam/config", NULL, NULL);
    wants(400, "from 1 to 5", "POST", "auth/pam/config", NULL, "{\"max_failures\":0}");
    wants(400, "from 1 to 5", "POST", "auth/pam/config", NULL, "{\"max_failures\":6}");
}

/* A host may know one account by several names: guesses are counted for the account, whichever is typed. */
static void guesses_by_any_name(void **state)
{
    (void)state;
    unsigned before = fake_pam_count(pam);
    login(400, "invalid", "alice", WRONG);
    login(400, "invalid", "al", WRONG);
    login(403, "permission denied", "al", RIGHT);
    login(403, "permission denied", "alice", RIGHT);
    assert_int_equal(fake_pam_count(pam), before + 2);
    assert_int_equal(pam_talks_open(vault->core->logins->pam), 0);
    later(QUARTER);
    login(400, "invalid", "alice", WRONG);
    login(200, NULL, "al", RIGHT); /* forgets it */
    login(400, "invalid", "al", WRONG);
    login(200, NULL, "alice", RIGHT);
}

/* Directories put people into hundreds of groups; what counts here may be the last of them. */
static void many_groups(void **state)
{
    (void)state;
    char token[TEXT], path[TEXT];
    wants(204, NULL, "POST", "auth/pam/groups/g0", NULL, "{\"policies\":\"first\"}");
    wants(204, NULL, "POST", "auth/pam/groups/g4999", NULL, "{\"policies\":\"last\"}");
    login(200, "\"policies\":[\"default\",\"first\",\"last\",\"operator\"]", "many", RIGHT);
    take("auth.client_token", token);
    assert_true(test_vault_said(vault, "\"groups\":\"g0,g4999,ops\""));
    wants(200, NULL, "POST", "auth/token/renew-self", token, "{}");
    for (unsigned i = 1; i < 64; i++) {
        (void)snprintf(path, sizeof path, "auth/pam/groups/g%u", i);
        wants(204, NULL, "POST", path, NULL, "{\"policies\":\"first\"}");
    }
    login(400, "more than 64 groups of this account have policies here", "many", RIGHT);
    for (unsigned i = 1; i < 3; i++) {
        (void)snprintf(path, sizeof path, "auth/pam/groups/g%u", i);
        wants(204, NULL, "DELETE", path, NULL, NULL);
    }
    login(200, NULL, "many", RIGHT);
}

/* The right password of one who is disabled is a wrong one: it is told so, as late, and counted. PAM does not
 * hear of it by the name that he logs in with. */
static void who_is_disabled(void **state)
{
    (void)state;
    char entity[TEXT], path[2 * TEXT];
    login(200, NULL, "alice", RIGHT);
    take("auth.entity_id", entity);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":true}");
    for (int i = 0; i < 2; i++) {
        static const char *const names[] = {"alice", "al"};
        int64_t begun_ms = kt_timespec_mono_ms();
        login(400, "[\"invalid username or password\"]", names[i], RIGHT);
        assert_true(i == 1 || kt_timespec_mono_ms() - begun_ms >= 500);
    }
    login(403, "permission denied", "alice", RIGHT);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":false}");
    later(QUARTER);
    login(200, NULL, "alice", RIGHT);
}

/* ... also where it would be told what else keeps him out: no policies, a password that has to be changed, a name
 * that is none here. Each is typed as another of the host's names, which is not looked up before PAM is asked. */
static void who_is_disabled_hears_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *name, *says;
    } rows[] = {{"ca", "carol", "authorized group"},
                {"ex", "expired", "passwd"},
                {"capital", "Capital", "none that can log in"}};
    char mount[TEXT], entity[TEXT], body[3 * TEXT];
    wants(200, NULL, "GET", "sys/auth/pam", NULL, NULL);
    take("data.accessor", mount);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        login(400, rows[i].says, rows[i].typed, RIGHT);
        wants(200, NULL, "POST", "identity/entity", NULL, "{\"disabled\":true}");
        take("data.id", entity);
        (void)snprintf(body, sizeof body, "{\"name\":\"%s\",\"canonical_id\":\"%s\",\"mount_accessor\":\"%s\"}",
                       rows[i].name, entity, mount);
        wants(200, NULL, "POST", "identity/entity-alias", NULL, body);
        for (int k = 0; k < 2; k++)
            login(400, "[\"invalid username or password\"]", rows[i].typed, RIGHT);
        login(403, "permission denied", rows[i].typed, RIGHT);
    }
}

/* What may have counted at the host counts here: no answer, an answer that makes no sense, a stack that is
 * broken; what was never asked there does not. */
static void what_counts(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        bool counts;
    } rows[] = {{"silent", true}, {"nonsense", true}, {"broken", true}, {"busy", false},
                {"expired", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[TEXT];
        (void)snprintf(path, sizeof path, "auth/pam/login/%s", rows[i].user);
        for (int k = 0; k < 2; k++)
            (void)ask_from(HERE, 0, "POST", path, "", RIGHT);
        assert_int_equal(ask_from(HERE, 0, "POST", path, "", RIGHT) == 403, rows[i].counts);
    }
}

/* ---- many ---- */

static void open_one(const char *address, const char *user, unsigned status)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/pam/login/%s", user);
    unsigned got = ask_from(address, 0, "POST", path, "", "{}");
    if (got != status)
        fail_msg("%s from %s: wanted %u, got %u: %s", user, address == NULL ? "here" : address, status,
                 got, vault->body);
}

/* Guesses that are on their way are guesses: a name cannot have three at once where two are allowed. */
static void at_once(void **state)
{
    (void)state;
    char id[TEXT];
    open_one(HERE, "alice", 200);
    take("data.login_id", id);
    open_one(THERE, "alice", 200);
    open_one(HERE, "alice", 429);
    answer(400, "invalid", "alice", id, "[\"wrong\"]");
    open_one(HERE, "alice", 429); /* one failure, one on its way */
    open_one(NULL, "alice", 200); /* the last guess is the Unix socket's */
    open_one(NULL, "alice", 429);
    assert_int_equal(fake_pam_count(pam), 3);
}

/* Guesses that are on their way, too: two names are not twice as many. */
static void at_once_by_any_name(void **state)
{
    (void)state;
    unsigned before = fake_pam_count(pam);
    open_one(HERE, "alice", 200);
    open_one(THERE, "al", 200);
    open_one(HERE, "al", 429);
    open_one(HERE, "alice", 429);
    assert_int_equal(fake_pam_count(pam), before + 2);
}

/* The account that could be locked is the host's one, whichever mount is asked, and how often it is made. */
static void one_count_of_all_mounts(void **state)
{
    (void)state;
    unsigned before = fake_pam_count(pam);
    wants(204, NULL, "POST", "sys/auth/other", NULL, "{\"type\":\"pam\"}");
    wants(204, NULL, "POST", "auth/other/config", NULL, "{\"max_failures\":5}");
    login(400, "invalid", "alice", WRONG);
    wants(400, "invalid", "POST", "auth/other/login/alice", "", WRONG);
    login(403, "permission denied", "alice", RIGHT);
    wants(204, NULL, "DELETE", "sys/auth/pam", NULL, NULL);
    wants(204, NULL, "POST", "sys/auth/pam", NULL, "{\"type\":\"pam\"}");
    login(403, "permission denied", "alice", RIGHT);
    wants(400, "invalid", "POST", "auth/other/login/alice", "", WRONG); /* which allows more */
    assert_int_equal(fake_pam_count(pam), before + 3);
    open_one(HERE, "two", 200);
    wants(200, "login_id", "POST", "auth/other/login/two", "", "{}");
    open_one(HERE, "two", 429);
}

/* Whoever is on the host gets in although strangers have guessed. */
static void last_guess_is_the_sockets(void **state)
{
    (void)state;
    login(400, "invalid", "alice", WRONG);
    login(400, "invalid", "alice", WRONG);
    login(403, "permission denied", "alice", RIGHT);
    assert_int_equal(ask_from(NULL, 1000, "POST", "auth/pam/login/alice", "", RIGHT), 200);
    login(200, NULL, "alice", RIGHT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_from(NULL, 1000, "POST", "auth/pam/login/alice", "", WRONG), 400);
    assert_int_equal(ask_from(NULL, 1000, "POST", "auth/pam/login/alice", "", RIGHT), 403);
}

/* Who has one address of IPv6 has the whole /64. */
static void a_prefix_is_one_source(void **state)
{
    (void)state;
    char user[TEXT], address[TEXT];
    for (unsigned i = 0; i < TALKS_SOURCE_MAX; i++) {
        (void)snprintf(user, sizeof user, "user%u", i);
        (void)snprintf(address, sizeof address, "2001:db8::%u", i + 1);
        open_one(address, user, 200);
    }
    open_one("2001:db8::ffff:1", "another", 429);
    open_one("2001:db8:0:1::1", "another", 200);
}

/* ---- what changes while somebody logs in ---- */

static void a_group_that_gives_less_meanwhile(void **state)
{
    (void)state;
    const struct visit visits[] = {{"POST", "auth/pam/groups/ops", NULL, "{\"policies\":\"less\"}", 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    login(200, "\"policies\":[\"default\",\"less\"]", "alice", RIGHT);
    assert_true(meanwhile_over());
}

static void a_group_that_goes_meanwhile(void **state)
{
    (void)state;
    const struct visit visits[] = {{"DELETE", "auth/pam/groups/ops", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    login(400, "authorized group", "alice", RIGHT);
    assert_true(meanwhile_over());
}

/* The first time there are none, the second time they are others. */
static void settings_meanwhile(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"token_ttl\":\"5m\"}", "{\"token_bound_cidrs\":\"192.0.2.2\"}"};
    for (size_t i = 0; i < 2; i++) {
        const struct visit visits[] = {{"POST", "auth/pam/config", NULL, bodies[i], 204}, {NULL}};
        meanwhile(vault, visits, NULL);
        login(i == 0 ? 200 : 403, i == 0 ? "\"lease_duration\":300" : "permission denied", "alice", RIGHT);
        assert_true(meanwhile_over());
    }
}

static void a_renewal_meanwhile(void **state)
{
    (void)state;
    char token[TEXT];
    const struct visit other[] = {{"POST", "auth/pam/config", NULL, "{\"token_ttl\":\"5m\"}", 204}, {NULL}};
    const struct visit less[] = {{"POST", "auth/pam/groups/ops", NULL, "{\"policies\":\"less\"}", 204}, {NULL}};
    login(200, NULL, "alice", RIGHT);
    take("auth.client_token", token);
    meanwhile(vault, other, NULL);
    wants(200, "\"lease_duration\":300", "POST", "auth/token/renew-self", token, "{}");
    assert_true(meanwhile_over());
    meanwhile(vault, less, NULL);
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    assert_true(meanwhile_over());
}

static void crowds(void **state)
{
    (void)state;
    char user[TEXT], address[TEXT];
    for (unsigned i = 0; i < TALKS_NETWORK_MAX; i++) {
        (void)snprintf(user, sizeof user, "user%u", i);
        (void)snprintf(address, sizeof address, "198.51.100.%u", i / TALKS_SOURCE_MAX);
        open_one(address, user, 200);
        if (i == TALKS_SOURCE_MAX - 1)
            open_one(address, "another", 429);
    }
    open_one("203.0.113.1", "another", 429);
    assert_true(test_vault_said(vault, "too many logins"));
    /* The rest is the operators'. */
    for (unsigned i = TALKS_NETWORK_MAX; i < PAMD_LOGINS_MAX; i++) {
        (void)snprintf(user, sizeof user, "user%u", i);
        open_one(NULL, user, 200);
    }
    open_one(NULL, "another", 429);
    assert_int_equal(pam_talks_open(vault->core->logins->pam), PAMD_LOGINS_MAX);
}

/* One that hangs holds up nobody else. */
struct slow {
    pthread_t thread;
    unsigned status;
    char body[TEXT];
};

static void *hang(void *arg)
{
    struct slow *slow = arg;
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/auth/pam/login/stuck"),
                                         .body = kt_str(RIGHT),
                                         .address = THERE};
    slow->status = test_vault_ask_apart(vault, &request, slow->body, sizeof slow->body);
    return NULL;
}

static void one_that_hangs(void **state)
{
    (void)state;
    struct slow slow = {0};
    assert_int_equal(pthread_create(&slow.thread, NULL, hang, &slow), 0);
    while (fake_pam_count(pam) == 0)
        (void)sched_yield();
    for (int i = 0; i < 5; i++)
        login(200, NULL, "alice", RIGHT);
    wants(200, NULL, "GET", "auth/token/lookup-self", NULL, NULL);
    /* Its time is over for the vault: what it says then. */
    later(PAMD_TIMEOUT_S + 30);
    (void)pthread_join(slow.thread, NULL);
    assert_int_equal(slow.status, 400);
    assert_non_null(strstr(slow.body, "gave no answer"));
    wants(204, NULL, "DELETE", "sys/auth/pam", NULL, NULL);
}

/* ---- without it ---- */

static void no_vaultd_pam(void **state)
{
    (void)state;
    struct fake_pam *gone = pam;
    pam = NULL;
    fake_pam_stop(gone);
    for (int i = 0; i < 4; i++) { /* no guess was made */
        login(503, "vaultd-pam is not running", "alice", RIGHT);
        assert_true(test_vault_said(vault, "systemctl enable --now vaultd-pam.socket"));
    }
    pam = fake_pam_start(folder);
    login(200, NULL, "alice", RIGHT);
}

static void addresses(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "auth/pam/config", NULL, "{\"token_bound_cidrs\":\"192.0.2.1\"}");
    login(200, NULL, "alice", RIGHT);
    unsigned before = fake_pam_count(pam);
    assert_int_equal(ask_from(THERE, 0, "POST", "auth/pam/login/alice", "", RIGHT), 403);
    assert_int_equal(fake_pam_count(pam), before);
}

static void no_root(void **state)
{
    (void)state;
    static const char *const paths[] = {"auth/pam/config", "auth/pam/users/alice",
                                        "auth/pam/groups/ops"};
    for (size_t i = 0; i < 3; i++) {
        wants(400, "root", "POST", paths[i], NULL, "{\"policies\":\"a, ROOT\"}");
        wants(400, "root", "POST", paths[i], NULL, "{\"token_policies\":[\"Root\"]}");
    }
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make, end)
    const struct CMUnitTest tests[] = {
        CASE(a_login), CASE(policies),    CASE(nobody_without_policies), CASE(renewals), CASE(left_groups_give_nothing),
        CASE(prompts), CASE(wrapped), CASE(bound),       CASE(refusals), CASE(held_back),             CASE(guesses),
        CASE(at_once), CASE(what_counts), CASE(crowds),                  CASE(one_that_hangs),
        CASE(no_vaultd_pam), CASE(addresses), CASE(no_root),
        CASE(one_count_of_all_mounts), CASE(last_guess_is_the_sockets), CASE(a_prefix_is_one_source),
        CASE(a_group_that_gives_less_meanwhile), CASE(a_group_that_goes_meanwhile), CASE(settings_meanwhile),
        CASE(a_renewal_meanwhile), CASE(guesses_by_any_name), CASE(at_once_by_any_name), CASE(many_groups),
        CASE(who_is_disabled), CASE(who_is_disabled_hears_nothing_else),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
