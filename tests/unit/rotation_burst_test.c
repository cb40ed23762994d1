/* Very many runs without a target that are due at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/rotation/rotation.h"

#define MANY 150u      /* more than one burst */
#define PATIENCE 30000 /* rounds of at least 1 ms: only what hangs needs so many */

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

static void need(struct test_vault *vault, unsigned wanted, const char *method, const char *path,
                 const char *body)
{
    unsigned status = test_vault_call(vault, method, path, vault->root, body);
    if (status != wanted)
        fail_msg("%s %s: %u, wanted %u: %s", method, path, status, wanted, vault->body);
}

static unsigned count(const char *text, const char *of)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, of)) != NULL; at++)
        n++;
    return n;
}

static void until_nothing_is_due(struct test_vault *vault)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(vault, 200, "GET", "rotation/due?limit=1", NULL);
        if (test_vault_said(vault, "\"overdue_s\":0"))
            return;
        rotation_wake(vault->core->rotation);
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("still due: %s", vault->body);
}

static void each_runs_once(void **state)
{
    struct test_vault *vault = *state;
    char path[128];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "secret/data/s%u", i);
        need(vault, 200, "POST", path, "{\"data\":{\"password\":\"old\"}}");
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/s%u", i);
        need(vault, 204, "POST", path, "{\"period\":\"24h\"}");
    }
    vault->now_ms += (int64_t)25 * 3600 * 1000;
    until_nothing_is_due(vault);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "secret/data/s%u", i);
        need(vault, 200, "GET", path, NULL);
        if (!test_vault_said(vault, "\"version\":2") || test_vault_said(vault, "\"old\""))
            fail_msg("%s: %s", path, vault->body);
        (void)snprintf(path, sizeof path, "rotation/runs?secret=secret/s%u", i);
        need(vault, 200, "LIST", path, NULL);
        assert_int_equal(count(vault->body, "\"state\":\"done\""), 1);
    }
    need(vault, 200, "GET", "rotation/due?limit=1000", NULL);
    assert_int_equal(count(vault->body, "\"secret\":"), MANY);
}

/* A row that cannot be used does not hold up those behind it, nor is it lost. */
static void one_that_is_gone(void **state)
{
    struct test_vault *vault = *state;
    need(vault, 204, "DELETE", "secret/metadata/s3", NULL);
    vault->now_ms += (int64_t)25 * 3600 * 1000;
    for (unsigned i = 0; i < MANY; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/s%u", i);
        for (int tries = 0;; tries++) {
            need(vault, 200, "GET", path, NULL);
            bool held = i == 3 && !test_vault_said(vault, "\"held\":\"\"");
            if (held || test_vault_said(vault, "\"current\":3"))
                break;
            if (tries == PATIENCE)
                fail_msg("%s: %s", path, vault->body);
            rotation_wake(vault->core->rotation);
            const struct timespec pause = {.tv_nsec = 1000000};
            (void)nanosleep(&pause, NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_runs_once),
        cmocka_unit_test(one_that_is_gone),
    };
    return cmocka_run_group_tests(tests, make, end);
}
