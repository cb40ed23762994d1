/* A vault's folder closed and opened again; and the checker of such folders, which
 * tests/integration/powerloss.py runs over what a power loss could leave:
 *
 *   vault_state_test check LIST RECENT     answers lines "FOLDER COUNT" with "ok" or what is wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/num.h"
#include "tests/support/folder.h"
#include "tests/support/vault.h"
#include "tests/support/vault_state.h"

static int check_lines(const char *list, size_t recent)
{
    struct vault_state *state = vault_state_load(list);
    char line[512], text[VAULT_STATE_TEXT];
    if (state == NULL) {
        (void)printf("cannot read the list %s\n", list);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *space = strchr(line, ' ');
        uint64_t count = 0;
        line[strcspn(line, "\n")] = '\0';
        if (space == NULL || !kt_u64_parse(kt_str(space + 1), SIZE_MAX, &count))
            return 2;
        *space = '\0';
        const char *wrong = vault_state_check(state, line, (size_t)count, recent, text);
        (void)printf("%s\n", wrong == NULL ? "ok" : wrong);
        (void)fflush(stdout);
    }
    vault_state_free(state);
    return 0;
}

/* ---- a folder and its list ---- */

#define WRITES 5u

struct fixture {
    char folder[64], list[80];
    FILE *file;
};

static void init_vault(struct test_vault *vault, struct fixture *f, char token[256])
{
    struct kt_err err = {0};
    unsigned char shares[3][SHAMIR_SHARE_BYTES];
    struct kt_buf root;
    kt_buf_init(&root, 255);
    assert_int_equal(core_init(vault->core, 3, 2, shares, &root, &err), KT_OK);
    (void)snprintf(token, 256, "%.*s", (int)root.len, (const char *)root.at);
    kt_buf_free(&root);
    char hex[2][2 * SHAMIR_SHARE_BYTES + 1];
    for (size_t i = 0; i < 2; i++)
        kt_hex_encode(shares[i], SHAMIR_SHARE_BYTES, hex[i]);
    (void)fprintf(f->file, "shares\t%s\t%s\ntoken\t%s\n", hex[0], hex[1], token);
    const char *texts[] = {hex[0], hex[1]};
    assert_int_equal(test_vault_unseal(vault, texts, 2, false, &err), KT_OK);
}

static void write_some(struct test_vault *vault, struct fixture *f, const char *token)
{
    char id[64], path[64], body[64];
    assert_int_equal(test_vault_call(vault, "POST", "sys/mounts/secret", token,
                                     "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}"),
                     204);
    for (unsigned i = 0; i < WRITES; i++) {
        (void)snprintf(path, sizeof path, "secret/data/k%u", i);
        (void)snprintf(body, sizeof body, "{\"data\":{\"n\":\"%u\"}}", i);
        assert_int_equal(test_vault_call(vault, "POST", path, token, body), 200);
        test_vault_text(vault, "request_id", id, sizeof id);
        (void)fprintf(f->file, "need\t%s\t%s\t\"n\":\"%u\"\n", id, path, i);
    }
}

static int make_folder(void **state)
{
    static struct fixture f;
    struct test_vault *vault = NULL;
    struct kt_err err = {0};
    char token[256];
    assert_int_equal(folder_make(f.folder), 0);
    (void)snprintf(f.list, sizeof f.list, "%s.list", f.folder);
    f.file = fopen(f.list, "we");
    assert_non_null(f.file);
    assert_int_equal(test_vault_on_disk(f.folder, &vault, &err), KT_OK);
    init_vault(vault, &f, token);
    write_some(vault, &f, token);
    test_vault_free(vault);
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->folder);
    (void)remove(f->list);
    return 0;
}

static void expect(struct fixture *f, const char *more, size_t count, const char *wrong)
{
    char text[VAULT_STATE_TEXT];
    (void)fprintf(f->file, "%s", more);
    (void)fclose(f->file);
    struct vault_state *list = vault_state_load(f->list);
    assert_non_null(list);
    const char *got = vault_state_check(list, f->folder, count, SIZE_MAX, text);
    if (wrong == NULL && got != NULL)
        fail_msg("expected a whole vault, got: %s", got);
    if (wrong != NULL && (got == NULL || strstr(got, wrong) == NULL))
        fail_msg("expected '%s', got: %s", wrong, got == NULL ? "a whole vault" : got);
    vault_state_free(list);
}

static void closed_and_opened_again(void **state)
{
    expect(*state, "", WRITES, NULL);
}

static void a_lost_write_is_seen(void **state)
{
    expect(*state, "need\t00000000-0000-0000-0000-000000000000\tsecret/data/k0\t\"n\"\n", WRITES + 1,
           "no outcome of the acknowledged 00000000");
}

static void what_was_not_acknowledged_may_miss(void **state)
{
    expect(*state, "need\t00000000-0000-0000-0000-000000000000\tsecret/data/k0\t\"n\"\n", WRITES,
           NULL);
}

static void a_note_of_another_log_is_seen(void **state)
{
    expect(*state,
           "note\tkeyturn/keyturn/f1\\n1\\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\\n\\n\n",
           WRITES + 1, "verify: ");
}

static void a_cut_log_is_refused(void **state)
{
    struct fixture *f = *state;
    char segment[160], away[160];
    (void)snprintf(segment, sizeof segment, "%s/audit/f1/000000.seg", f->folder);
    (void)snprintf(away, sizeof away, "%s/away", f->folder);
    assert_int_equal(rename(segment, away), 0);
    expect(f, "", WRITES, "refused: ");
}

int main(int argc, char **argv)
{
    uint64_t recent = 0;
    kt_log_set_level(KT_LOG_ERROR);
    if (argc == 4 && strcmp(argv[1], "check") == 0 &&
        kt_u64_parse(kt_str(argv[3]), SIZE_MAX, &recent))
        return check_lines(argv[2], (size_t)recent);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(closed_and_opened_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_lost_write_is_seen, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_was_not_acknowledged_may_miss, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_note_of_another_log_is_seen, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_cut_log_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("vault_state", tests, NULL, NULL);
}
