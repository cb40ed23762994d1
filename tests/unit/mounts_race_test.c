/* A mount that changes while a request about it is on its way: the request is made anew, and finds what is
 * there now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"

static void a_write_to_what_is_removed(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    const struct visit removal[] = {{"DELETE", "sys/mounts/secret", NULL, NULL, 204, 0}, {0}};
    meanwhile(vault, removal, NULL);
    unsigned status =
        test_vault_call(vault, "POST", "secret/data/late", vault->root, "{\"data\":{\"a\":\"b\"}}");
    assert_true(meanwhile_over());
    assert_int_equal(status, 404);
    test_vault_free(vault);
}

/* Written into version 1, where version 2 begins: it must not be a secret that version 2 cannot read. */
static void a_write_while_the_version_changes(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    assert_int_equal(test_vault_call(vault, "POST", "sys/mounts/kv", vault->root, "{\"type\":\"kv\"}"), 204);
    const struct visit upgrade[] = {
        {"POST", "sys/mounts/kv/tune", NULL, "{\"options\":{\"version\":\"2\"}}", 200, 0}, {0}};
    meanwhile(vault, upgrade, NULL);
    unsigned status = test_vault_call(vault, "POST", "kv/late", vault->root, "{\"a\":\"b\"}");
    assert_true(meanwhile_over());
    assert_int_equal(status, 404);
    assert_true(test_vault_said(vault, "Invalid path for a versioned K/V secrets engine"));
    assert_int_equal(test_vault_call(vault, "GET", "kv/data/late", vault->root, NULL), 404);
    test_vault_free(vault);
}

static void a_write_to_what_moves(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    const struct visit move[] = {
        {"POST", "sys/remount", NULL, "{\"from\":\"secret\",\"to\":\"new\"}", 200, 0}, {0}};
    meanwhile(vault, move, NULL);
    unsigned status =
        test_vault_call(vault, "POST", "secret/data/late", vault->root, "{\"data\":{\"a\":\"b\"}}");
    assert_true(meanwhile_over());
    assert_int_equal(status, 404);
    assert_int_equal(test_vault_call(vault, "GET", "new/data/late", vault->root, NULL), 404);
    test_vault_free(vault);
}

#define SECRET   "{\"data\":{\"username\":\"u\",\"password\":\"p\"}}"
#define SCHEDULE "{\"strategy\":\"generate\"}"
#define CONSUMER "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}"
#define MOVE     "{\"from\":\"secret\",\"to\":\"new\"}"

/* One keeps a secret's name, the other takes its mount away: whoever commits first, the other one sees it. */
static const struct {
    const char *first_method, *first_path, *first_body; /* meanwhile */
    unsigned first_status;
    const char *method, *path, *body;
    unsigned status;
    const char *says;
} meetings[] = {
    {"POST", "rotation/secrets/secret/db", SCHEDULE, 204, "POST", "sys/remount", MOVE, 400, "are rotated"},
    {"POST", "rotation/secrets/secret/db", SCHEDULE, 204, "DELETE", "sys/mounts/secret", NULL, 400, "are rotated"},
    {"POST", "fleet/consumers/h/secret/db", CONSUMER, 200, "POST", "sys/remount", MOVE, 400, "services on host"},
    {"POST", "sys/remount", MOVE, 200, "POST", "rotation/secrets/secret/db", SCHEDULE, 400, "is not the path of a secret"},
    {"DELETE", "sys/mounts/secret", NULL, 204, "POST", "rotation/secrets/secret/db", SCHEDULE, 400, "is not the path of a secret"},
    {"POST", "sys/remount", MOVE, 200, "POST", "fleet/consumers/h/secret/db", CONSUMER, 404, "is not the path of a secret"},
    {"POST", "sys/mounts/other", "{\"type\":\"kv\"}", 204, "POST", "sys/remount", MOVE, 200, "migration_id"},
};

static void a_name_is_kept_or_the_mount_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++) {
        struct test_vault *vault = test_vault_new(true);
        assert_int_equal(test_vault_call(vault, "POST", "secret/data/db", vault->root, SECRET), 200);
        const struct visit first[] = {{meetings[i].first_method, meetings[i].first_path, NULL,
                                       meetings[i].first_body, meetings[i].first_status, 0},
                                      {0}};
        meanwhile(vault, first, NULL);
        unsigned status = test_vault_call(vault, meetings[i].method, meetings[i].path, vault->root,
                                          meetings[i].body);
        assert_true(meanwhile_over());
        if (status != meetings[i].status || !test_vault_said(vault, meetings[i].says))
            fail_msg("meeting %zu: %u %s", i, status, vault->body);
        test_vault_free(vault);
    }
}

/* The name was kept once and is free again: nothing stands in the way for ever. */
static void a_name_that_is_free_again(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    assert_int_equal(test_vault_call(vault, "POST", "secret/data/db", vault->root, SECRET), 200);
    const struct visit both[] = {{"POST", "rotation/secrets/secret/db", NULL, SCHEDULE, 204, 0},
                                 {"DELETE", "rotation/secrets/secret/db", NULL, NULL, 204, 0},
                                 {0}};
    meanwhile(vault, both, NULL);
    assert_int_equal(test_vault_call(vault, "POST", "sys/remount", vault->root, MOVE), 200);
    assert_true(meanwhile_over());
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_to_what_is_removed),
        cmocka_unit_test(a_write_while_the_version_changes),
        cmocka_unit_test(a_write_to_what_moves),
        cmocka_unit_test(a_name_is_kept_or_the_mount_goes),
        cmocka_unit_test(a_name_that_is_free_again),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("mounts_race", tests, NULL, NULL);
}
