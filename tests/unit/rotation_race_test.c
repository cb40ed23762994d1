/* Two changes of what is rotated that meet: the second is done when the first has looked at everything and is
 * about to commit. The first one sees it, and is refused as if it had come later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"

/* By root; the visit is root's, too. */
struct asked {
    const char *method, *path, *body;
};

static void is_refused(struct scene *s, const struct asked *late, const struct visit *visit, const char *why)
{
    const struct visit visits[] = {*visit, {0}};
    meanwhile(s->vault, visits, NULL);
    unsigned status = test_vault_call(s->vault, late->method, late->path, s->vault->root, late->body);
    if (!meanwhile_over())
        fail_msg("nothing was to be committed: %u %s", status, s->vault->body);
    if (status < 400 || status > 409 || !test_vault_said(s->vault, why))
        fail_msg("not '%s' but %u %s", why, status, s->vault->body);
}

static void make_secret(struct scene *s, const char *name, const char *account)
{
    char path[128], body[256];
    (void)snprintf(path, sizeof path, "secret/data/db/%s", name);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"%s\",\"password\":\"first\"}}", account);
    need(s, 200, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/db/%s", name);
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"%s\",\"%s_too\"],"
                   "\"group\":\"app\"}",
                   account, account);
    need(s, 204, "POST", path, body);
}

static void two_secrets_want_an_account(void **state)
{
    struct scene *s = scene(*state);
    make_secret(s, "one", "app_1");
    make_secret(s, "two", "app_2");
    is_refused(s, &(struct asked){"POST", "rotation/secrets/secret/db/one", "{\"accounts\":[\"app_1\",\"app_3\"]}"},
               &(struct visit){"POST", "rotation/secrets/secret/db/two", NULL,
                               "{\"accounts\":[\"app_2\",\"app_3\"]}", 204, 0},
               "KT-R-007 account 'app_3' at 'pg' is rotated by 'secret/db/two'");
    scene_end(s);
}

static void a_target_goes_that_comes_to_be_used(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/other",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
    is_refused(s, &(struct asked){"DELETE", "rotation/targets/other", NULL},
               &(struct visit){"POST", "rotation/secrets/" SECRET, NULL, "{\"target\":\"other\"}", 204, 0},
               "1 secrets are rotated at target 'other'");
    scene_end(s);
}

/* Whichever it is: what a run stands on stays as it is until the run has ended. The run starts, and waits for
 * a consumer before it changes anything itself, which would be noticed too. */
static void a_run_starts(void **state)
{
    static const struct asked late[] = {
        {"DELETE", "rotation/secrets/" SECRET, NULL},
        {"POST", "rotation/secrets/" SECRET, "{\"target\":\"\",\"strategy\":\"generate\"}"},
        {"POST", "secret/data/db/orders", "{\"data\":{\"username\":\"app_a\",\"password\":\"another\"}}"},
    };
    for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
        struct scene *s = scene(*state);
        register_agent(s, "h1");
        assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
        is_refused(s, &late[i], &(struct visit){"POST", "rotation/rotate/" SECRET, NULL, "{}", 200, 0}, "KT-R-");
        scene_end(s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(two_secrets_want_an_account),
        ALTERNATE(a_target_goes_that_comes_to_be_used),
        EACH(a_run_starts),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rotation_race", tests, NULL, NULL);
}
