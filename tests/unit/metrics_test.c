/* sys/metrics: the numbers are right, both forms have all of them, and docs/metrics.md explains each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/engine/sys_metrics.h"

static struct test_vault *vault;

static int begin(void **state)
{
    (void)state;
    vault = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_vault_free(vault);
    return 0;
}

static const struct metric *row_of(const char *name)
{
    if (strcmp(name, sys_metric_requests.name) == 0)
        return &sys_metric_requests;
    for (size_t i = 0; i < sys_n_metric_rows; i++)
        if (strcmp(name, sys_metric_rows[i].name) == 0)
            return &sys_metric_rows[i];
    return NULL;
}

/* All of them, into vault->body. */
static void scrape(void)
{
    assert_int_equal(test_vault_call(vault, "GET", "sys/metrics?format=prometheus", vault->root, NULL), 200);
}

/* The number behind a name with its labels; fails when there is none. */
static double number(const char *series)
{
    char line[200];
    scrape();
    (void)snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr(vault->body, line);
    if (at == NULL)
        fail_msg("no sample of %s", series);
    return strtod(at + strlen(line), NULL);
}

/* Format 0.0.4: HELP, TYPE, then the samples of that name; a sample is a name, perhaps labels, a number. */
static void the_text_has_its_form(void **state)
{
    (void)state;
    scrape();
    char name[100] = "", typed[100] = "";
    size_t families = 0;
    for (char *line = strtok(vault->body, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char kind[16] = "";
        double value = 0;
        int n = 0;
        if (sscanf(line, "# HELP %99s %n", name, &n) == 1 && n > 0) {
            families++;
            const struct metric *row = row_of(name);
            if (row == NULL || strcmp(line + n, row->help) != 0)
                fail_msg("no row says so: %s", line);
        } else if (sscanf(line, "# TYPE %99s %15s", typed, kind) == 2) {
            const struct metric *row = row_of(typed);
            assert_string_equal(typed, name);
            assert_non_null(row);
            assert_string_equal(kind, row->counter ? "counter" : "gauge");
        } else {
            size_t len = strcspn(line, "{ ");
            const char *behind = strrchr(line, ' ');
            if (len != strlen(typed) || strncmp(line, typed, len) != 0 || behind == NULL ||
                sscanf(behind, " %lf%n", &value, &n) != 1 || behind[n] != '\0')
                fail_msg("no sample of %s: %s", typed, line);
        }
    }
    assert_int_equal(families, sys_n_metric_rows + 1);
}

static void json_has_all(void **state)
{
    (void)state;
    assert_int_equal(test_vault_call(vault, "GET", "sys/metrics", vault->root, NULL), 200);
    assert_int_equal(kt_json_check(kt_str(vault->body), NULL, NULL), KT_OK);
    for (size_t i = 0; i < sys_n_metric_rows; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "\"Name\":\"%s\"", sys_metric_rows[i].name);
        if (!test_vault_said(vault, text))
            fail_msg("no %s in %s", text, vault->body);
    }
    assert_int_equal(test_vault_call(vault, "GET", "sys/metrics?format=xml", vault->root, NULL), 400);
}

/* Who scrapes every few seconds does not fill the log twice as fast. */
static void one_record_of_the_log(void **state)
{
    (void)state;
    static const char *const paths[] = {"sys/metrics", "sys/metrics?format=prometheus"};
    for (size_t i = 0; i < 2; i++) {
        unsigned before = test_vault_logged(vault, "\"path\":\"sys/metrics\"");
        assert_int_equal(test_vault_call(vault, "GET", paths[i], vault->root, NULL), 200);
        assert_int_equal(test_vault_logged(vault, "\"path\":\"sys/metrics\""), before + 1);
    }
}

static void requests_are_counted(void **state)
{
    (void)state;
    static const char reads[] = "keyturn_requests_total{operation=\"read\",status=\"2xx\"}";
    static const char refused[] = "keyturn_requests_total{operation=\"list\",status=\"4xx\"}";
    /* A series is there from its first request on. */
    assert_int_equal(test_vault_call(vault, "LIST", "sys/policies/acl", "hvs.none", NULL), 403);
    double before = number(reads), before_refused = number(refused); /* the second one is a read, too */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(test_vault_call(vault, "GET", "sys/mounts", vault->root, NULL), 200);
        assert_int_equal(test_vault_call(vault, "LIST", "sys/policies/acl", "hvs.none", NULL), 403);
    }
    assert_true(number(reads) == before + 2 + 5);
    assert_true(number(refused) == before_refused + 5);
}

static void the_store_and_the_log_are_seen(void **state)
{
    (void)state;
    double batches = number("keyturn_store_batches_total"), records = number("keyturn_audit_records");
    assert_int_equal(
        test_vault_call(vault, "POST", "secret/data/a", vault->root, "{\"data\":{\"a\":\"b\"}}"), 200);
    assert_true(number("keyturn_store_batches_total") >= batches + 1);
    assert_true(number("keyturn_audit_records") >= records + 2);
    assert_true(number("process_start_time_seconds") >= 1800000000);
    assert_true(number("process_resident_memory_max_bytes") > 1e6);
}

/* Each row stands in the manual as the table has it, and no other does. */
static void the_manual_has_each(void **state)
{
    (void)state;
    const char *root = getenv("KT_ROOT"); // NOLINT(concurrency-mt-unsafe)
    char path[512], line[512];
    (void)snprintf(path, sizeof path, "%s/docs/metrics.md", root == NULL ? "." : root);
    FILE *manual = fopen(path, "re");
    if (manual == NULL)
        fail_msg("cannot open %s", path);
    size_t rows = 0;
    while (fgets(line, sizeof line, manual) != NULL) {
        char name[100], wanted[512];
        if (sscanf(line, "| `%99[a-z_]` |", name) != 1)
            continue;
        const struct metric *row = row_of(name);
        if (row == NULL)
            fail_msg("docs/metrics.md has %s, which is no metric", name);
        (void)snprintf(wanted, sizeof wanted, "| `%s` | %s | %s |\n", name,
                       row->counter ? "counter" : "gauge", row->help);
        assert_string_equal(line, wanted);
        rows++;
    }
    (void)fclose(manual);
    assert_int_equal(rows, sys_n_metric_rows + 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_its_form),
        cmocka_unit_test(json_has_all),
        cmocka_unit_test(one_record_of_the_log),
        cmocka_unit_test(requests_are_counted),
        cmocka_unit_test(the_store_and_the_log_are_seen),
        cmocka_unit_test(the_manual_has_each),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("metrics", tests, begin, end);
}
