/* A vault that opens itself with credentials: made and removed through the API, tried as a start tries
 * them, and what is said of each that does not open. Their record alone is seals_test's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/vault.h"
#include "vaultd/core/autounseal.h"

#define PATH 128

static const char *const configured[] = {"one", "two", "three"};
static char credentials[PATH];

static int make(void **state)
{
    struct test_vault *vault = test_vault_new(true);
    (void)snprintf(credentials, sizeof credentials, "%s/credentials", vault->folder);
    assert_int_equal(mkdir(credentials, 0700), 0);
    vault->core->config.credentials = credentials;
    vault->core->config.seals = configured;
    vault->core->config.n_seals = 3;
    *state = vault;
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static const char *place(const char *name)
{
    static char path[2 * PATH];
    (void)snprintf(path, sizeof path, "%s/%s", credentials, name);
    return path;
}

static void hand_over(const char *name, unsigned char mark, size_t len, mode_t mode)
{
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(mark + i);
    (void)unlink(place(name));
    int fd = open(place(name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void ask(struct test_vault *vault, const char *method, const char *path, unsigned status, const char *says)
{
    unsigned got = test_vault_call(vault, method, path, vault->root, NULL);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: expected %u and %s, got %u: %s", method, path, status, says == NULL ? "" : says, got,
                 vault->body);
}

/* As it is after vaultd was started again. */
static enum kt_kind start_again(struct test_vault *vault, struct kt_err *err)
{
    core_seal(vault->core, "test");
    return autounseal_run(vault->core, err);
}

static void add(struct test_vault *vault, const char *name, unsigned char mark)
{
    char path[PATH];
    hand_over(name, mark, KT_KEY_BYTES, 0400);
    (void)snprintf(path, sizeof path, "sys/seals/%s", name);
    ask(vault, "POST", path, 200, "\"type\":\"credential\"");
}

/* ---- the way it is meant ---- */

static void opens_itself(void **state)
{
    struct test_vault *vault = *state;
    struct kt_err err = {0};
    ask(vault, "GET", "sys/seal-status", 200, "\"unsealed_by\":\"shares\",\"seals\":[{\"type\":\"shamir\",");
    assert_int_equal(start_again(vault, &err), KT_NOT_FOUND);
    test_vault_reseal(vault);
    add(vault, "one", 1);
    assert_int_equal(test_vault_logged(vault, "\"display_name\":\"credential one\""), 0);
    assert_int_equal(start_again(vault, &err), KT_OK);
    ask(vault, "GET", "sys/seal-status", 200, "\"unsealed_by\":\"credential one\"");
    assert_true(test_vault_said(vault, "\"type\":\"shamir\",\"initialized\":true,\"sealed\":false"));
    assert_true(test_vault_said(vault, "\"recovery_seal\":false"));
    assert_true(test_vault_said(vault, "\"last_try\":\"opened\""));
    ask(vault, "GET", "sys/seals", 200, "\"name\":\"one\"");
    ask(vault, "GET", "sys/health", 200, "\"seals_not_opened\":0");
    assert_int_not_equal(test_vault_logged(vault, "\"display_name\":\"credential one\""), 0);
    test_vault_reseal(vault); /* shares open it as ever */
    ask(vault, "GET", "sys/seal-status", 200, "\"unsealed_by\":\"shares\"");
    ask(vault, "DELETE", "sys/seals/one", 204, NULL);
    ask(vault, "DELETE", "sys/seals/one", 404, "there is no seal 'one'");
    assert_int_equal(start_again(vault, &err), KT_NOT_FOUND);
    test_vault_reseal(vault);
    assert_false(barrier_sealed(vault->core->barrier));
}

static void the_first_that_opens(void **state)
{
    struct test_vault *vault = *state;
    add(vault, "one", 1);
    add(vault, "two", 2);
    add(vault, "three", 3);
    hand_over("one", 9, KT_KEY_BYTES, 0400);
    assert_int_equal(unlink(place("three")), 0);
    assert_int_equal(start_again(vault, NULL), KT_OK);
    ask(vault, "GET", "sys/seal-status", 200, "\"unsealed_by\":\"credential two\"");
    assert_int_equal(autounseal_outcome(vault->core, "one"), SEAL_CHANGED);
    assert_int_equal(autounseal_outcome(vault->core, "two"), SEAL_OPENED);
    assert_int_equal(autounseal_outcome(vault->core, "three"), SEAL_MISSING);
    assert_int_equal(autounseal_failing(vault->core), 2);
    assert_int_not_equal(test_vault_logged(vault, "\"seals_not_opened\":2"), 0);
    ask(vault, "DELETE", "sys/seals/four", 404, NULL);
    assert_int_equal(autounseal_failing(vault->core), 2);
    ask(vault, "DELETE", "sys/seals/one", 204, NULL);
    assert_int_equal(autounseal_outcome(vault->core, "one"), SEAL_UNTRIED);
    assert_int_equal(autounseal_outcome(vault->core, "two"), SEAL_OPENED);
    assert_int_equal(autounseal_outcome(vault->core, "three"), SEAL_MISSING);
    assert_int_equal(autounseal_failing(vault->core), 1);
}

/* ---- what can be wrong with one ---- */

static void nothing_is_there(void)
{
    assert_int_equal(unlink(place("one")), 0);
}

static void it_was_changed(void)
{
    hand_over("one", 7, KT_KEY_BYTES, 0400);
}

static void others_may_read_it(void)
{
    hand_over("one", 1, KT_KEY_BYTES, 0444);
}

static void it_is_too_long(void)
{
    hand_over("one", 1, KT_KEY_BYTES + 1, 0400);
}

static void it_is_a_link(void)
{
    hand_over("real", 1, KT_KEY_BYTES, 0400);
    nothing_is_there();
    assert_int_equal(symlink("real", place("one")), 0);
}

static const struct wrong {
    const char *name;
    void (*arrange)(void);
    enum seal_outcome outcome;
    const char *says;
} wrongs[] = {
    {"missing", nothing_is_there, SEAL_MISSING, "there is no credential 'one' in"},
    {"changed", it_was_changed, SEAL_CHANGED, NULL},
    {"exposed", others_may_read_it, SEAL_EXPOSED, "can be read or changed by others"},
    {"too long", it_is_too_long, SEAL_FAILED, "has 33 bytes, not 32"},
    {"a link", it_is_a_link, SEAL_FAILED, "cannot open the credential"},
};

static void break_glass(void **state)
{
    struct test_vault *vault = *state;
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        const struct wrong *wrong = &wrongs[i];
        struct kt_err err = {0};
        char says[PATH];
        (void)unlink(place("one"));
        add(vault, "one", 1);
        wrong->arrange();
        assert_int_equal(start_again(vault, &err), KT_SEALED);
        assert_non_null(strstr(err.hint, "key shares do"));
        assert_int_equal(autounseal_outcome(vault->core, "one"), wrong->outcome);
        (void)snprintf(says, sizeof says, "\"last_try\":\"%s\"", seal_outcome_word(wrong->outcome));
        ask(vault, "GET", "sys/health", 503, "\"seals_not_opened\":1");
        assert_false(test_vault_said(vault, "\"server_time_utc\":0,")); /* sealed or not, a clock is one */
        ask(vault, "GET", "sys/seal-status", 200, says);
        assert_true(test_vault_said(vault, "\"sealed\":true") && test_vault_said(vault, "\"unsealed_by\":\"\""));
        test_vault_reseal(vault);
        assert_int_not_equal(test_vault_logged(vault, "\"seals_not_opened\":1"), 0);
        if (wrong->says != NULL) /* and it is made from no such credential */
            ask(vault, "POST", "sys/seals/one", wrong->outcome == SEAL_FAILED && i == 4 ? 500 : 400,
                i == 4 ? NULL : wrong->says);
    }
    (void)unlink(place("one"));
    hand_over("one", 7, KT_KEY_BYTES, 0400);
    ask(vault, "GET", "sys/health", 200, "\"seals_not_opened\":1");
    ask(vault, "POST", "sys/seals/one", 200, NULL);
    ask(vault, "GET", "sys/health", 200, "\"seals_not_opened\":0"); /* the one that failed is no more */
    ask(vault, "GET", "sys/seals", 200, "\"last_try\":\"\"");
    assert_int_equal(start_again(vault, NULL), KT_OK);
}

static void only_what_is_configured(void **state)
{
    struct test_vault *vault = *state;
    hand_over("four", 4, KT_KEY_BYTES, 0400);
    ask(vault, "POST", "sys/seals/four", 400, "the configuration names no credential 'four'");
    ask(vault, "POST", "sys/seals/.hidden", 400, "a credential's name is 1 to 64");
    add(vault, "three", 3);
    vault->core->config.n_seals = 2;
    assert_int_equal(start_again(vault, NULL), KT_SEALED);
    assert_int_equal(autounseal_outcome(vault->core, "three"), SEAL_NOT_CONFIGURED);
    vault->core->config.n_seals = 3;
    vault->core->config.credentials = NULL;
    assert_int_equal(autounseal_run(vault->core, NULL), KT_SEALED);
    assert_int_equal(autounseal_outcome(vault->core, "three"), SEAL_MISSING);
    vault->core->config.credentials = credentials;
    assert_int_equal(autounseal_run(vault->core, NULL), KT_OK);
    assert_int_equal(autounseal_run(vault->core, NULL), KT_OK); /* it is open already */
}

/* ---- what a person sealed ---- */

static unsigned by_credential(struct test_vault *vault, bool local, uint32_t uid)
{
    const struct test_request request = {.method = kt_str("PUT"),
                                         .target = kt_str("/v1/sys/unseal"),
                                         .body = kt_str("{\"by_credential\":true}"),
                                         .token = kt_str(vault->root),
                                         .local = local,
                                         .uid = uid,
                                         .address = "10.0.0.1"};
    return test_vault_ask(vault, &request);
}

static void stays_sealed_until_asked(void **state)
{
    struct test_vault *vault = *state;
    add(vault, "one", 1);
    ask(vault, "PUT", "sys/seal", 204, NULL);
    assert_int_equal(by_credential(vault, false, 0), 403);
    assert_int_equal(by_credential(vault, true, 1000), 403);
    assert_true(test_vault_said(vault, "through its Unix socket"));
    ask(vault, "GET", "sys/seal-status", 200, "\"sealed\":true");
    assert_int_equal(by_credential(vault, true, 0), 200);
    assert_true(test_vault_said(vault, "\"sealed\":false"));
    assert_int_equal(by_credential(vault, true, 0), 200); /* nothing to do */
    ask(vault, "PUT", "sys/seal", 204, NULL);
    it_was_changed();
    assert_int_equal(by_credential(vault, true, 0), 503);
    assert_true(test_vault_said(vault, "none of the vault's 1 credentials opens it"));
    test_vault_reseal(vault);
    ask(vault, "DELETE", "sys/seals/one", 204, NULL);
    ask(vault, "PUT", "sys/seal", 204, NULL);
    assert_int_equal(by_credential(vault, true, 0), 400);
    assert_true(test_vault_said(vault, "no seal that opens by itself"));
    test_vault_reseal(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_itself, make, end),
        cmocka_unit_test_setup_teardown(the_first_that_opens, make, end),
        cmocka_unit_test_setup_teardown(break_glass, make, end),
        cmocka_unit_test_setup_teardown(only_what_is_configured, make, end),
        cmocka_unit_test_setup_teardown(stays_sealed_until_asked, make, end),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("autounseal", tests, NULL, NULL);
}
