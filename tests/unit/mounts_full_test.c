/* A mount table that is full, or was written by an older vaultd: what does not fit is refused, what is there
 * stays, and whatever makes it smaller is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>

#include "lib/log.h"
#include "tests/support/one_vault.h"
#include "vaultd/core/mount_table.h"

static unsigned ask(const char *method, const char *path, const char *body)
{
    return test_vault_call(vault, method, path, vault->root, body);
}

static void want(unsigned status, const char *says, const char *method, const char *path, const char *body)
{
    unsigned got = ask(method, path, body);
    if (got != status || !test_vault_said(vault, says))
        fail_msg("%s %s: %u %.300s", method, path, got, vault->body);
}

static unsigned count_mounts(void)
{
    unsigned n = 0;
    want(200, "", "GET", "sys/mounts", NULL);
    for (const char *at = vault->body; (at = strstr(at, "\"accessor\"")) != NULL; at++)
        n++;
    return n / 2; /* "data" stands at the top level as well */
}

/* ---- filled by settings ---- */

static char letters[2049];

/* The longest path, description and lists. */
static const char *path_of(unsigned i, const char *tail, char path[300])
{
    (void)snprintf(path, 300, "sys/mounts/m%05u/%.200s%s", i, letters, tail);
    return path;
}

static const char *settings(char text[4096])
{
    int len = snprintf(text, 4096, "{\"type\":\"kv\",\"description\":\"%.1024s\",\"config\":{", letters);
    len += snprintf(text + len, 4096 - (size_t)len, "\"audit_non_hmac_request_keys\":\"%.127s", letters);
    for (unsigned i = 1; i < 8; i++)
        len += snprintf(text + len, 4096 - (size_t)len, ",%.127s", letters);
    (void)snprintf(text + len, 4096 - (size_t)len, "\",\"passthrough_request_headers\":[\"%.127s\",\"%.127s\"]}}",
                   letters, letters);
    return text;
}

static void a_table_is_filled(void **state)
{
    (void)state;
    char path[300], text[4096], body[700];
    unsigned n = 0, before = count_mounts(), status = 0;
    want(200, "", "POST", "secret/data/a", "{\"data\":{\"k\":\"kept\"}}");
    while (n < MOUNTS_MAX && (status = ask("POST", path_of(n, "", path), settings(text))) == 204)
        n++;
    assert_int_equal(status, 400);
    assert_true(test_vault_said(vault, "the mount table would be larger than"));
    assert_true(n > 300 && n < 600);
    assert_int_equal(count_mounts(), before + n);
    want(200, "kept", "GET", "secret/data/a", NULL);
    /* The moves have room of their own. */
    for (unsigned i = 0; i < MOUNT_MOVES + 2; i++) {
        (void)snprintf(body, sizeof body, "{\"from\":\"%.6s/%.200s\",\"to\":\"%.6s/%.200s\"}",
                       i % 2 == 0 ? "m00000" : "n00000", letters, i % 2 == 0 ? "n00000" : "m00000", letters);
        want(200, "migration_id", "POST", "sys/remount", body);
    }
    /* Smaller is always possible, and there is room again. */
    want(204, "", "POST", path_of(1, "/tune", path), "{\"description\":\"\"}");
    want(204, "", "DELETE", path_of(2, "", path), NULL);
    want(204, "", "POST", path_of(2, "", path), settings(text));
    assert_int_equal(count_mounts(), before + n);
    want(200, "kept", "GET", "secret/data/a", NULL);
}

/* One mount's lists take no more than their share. */
static void lists_have_a_share(void **state)
{
    (void)state;
    char body[4096] = "{\"audit_non_hmac_response_keys\":\"";
    size_t len = strlen(body);
    for (unsigned i = 0; i < 16; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, "%s%.128s", i == 0 ? "" : ",", letters);
    (void)snprintf(body + len, sizeof body - len, "\"}");
    want(204, "", "POST", "sys/mounts/secret/tune", body);
    want(400, "at most 2048 bytes together", "POST", "sys/mounts/secret/tune",
         "{\"allowed_response_headers\":\"X\"}");
    want(204, "", "POST", "sys/mounts/secret/tune",
         "{\"allowed_response_headers\":\"X\",\"audit_non_hmac_response_keys\":\"\"}");
}

/* ---- written by an older vaultd ---- */

struct waited {
    sem_t done;
    enum store_error error;
};

static void committed(void *arg, const struct commit_result *result)
{
    struct waited *waited = arg;
    waited->error = result->error;
    (void)sem_post(&waited->done);
}

static void store_table(const struct kt_buf *record)
{
    struct waited waited = {.error = STORE_BUSY};
    struct kt_err err = {0};
    struct batch *batch = batch_new();
    unsigned char key[BARRIER_NAME_KEY];
    assert_non_null(batch);
    assert_true(kt_buf_ok(record));
    assert_true(barrier_enter(vault->core->barrier));
    mount_table_key(vault->core, key);
    assert_int_equal(barrier_put(vault->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(record), &err),
                     KT_OK);
    barrier_leave(vault->core->barrier);
    assert_int_equal(sem_init(&waited.done, 0, 0), 0);
    store_commit(vault->store, batch, committed, &waited);
    (void)sem_wait(&waited.done);
    (void)sem_destroy(&waited.done);
    assert_int_equal(waited.error, STORE_OK);
}

static void add_old_row(struct kt_buf *record, const char *path, const char *description, unsigned number)
{
    const unsigned char scope[BARRIER_SCOPE] = {(unsigned char)(number >> 8), (unsigned char)number};
    const char *const fields[] = {path, "kv", "2", description, "kv_00000000"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        kt_buf_add_field(record, kt_str(fields[i]));
    kt_buf_add(record, scope, sizeof scope);
    kt_buf_add_i64(record, 0);
    kt_buf_add_i64(record, 0);
    kt_buf_add_u8(record, 0);
}

/* As many mounts as there may be, in as many bytes as the first format's record had: each row grows. */
static void an_old_full_table(void **state)
{
    (void)state;
    const size_t old_max = (size_t)512 * 1024;
    const unsigned n = MOUNTS_MAX - 8; /* more than those that a vault has by itself */
    char path[32], description[2048], last[32];
    (void)snprintf(last, sizeof last, "sys/mounts/old%04u", n - 1);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, old_max + 1);
    kt_buf_add_u8(&record, 1);
    kt_buf_add_u32(&record, n);
    for (unsigned i = 0; i < n; i++) {
        size_t left = old_max - record.len;
        size_t words = i + 1 < n ? left / (n - i) - 75 : left - 75;
        (void)snprintf(path, sizeof path, "old%04u/", i);
        memset(description, 'd', words);
        description[words] = '\0';
        add_old_row(&record, path, description, i);
    }
    assert_true(record.len > old_max - 16 && record.len <= old_max);
    store_table(&record);
    want(200, "\"description\":\"dddd", "GET", last, NULL);
    want(200, "changes nothing", "POST", "sys/mounts/old0000/tune", "{\"force_no_cache\":true}");
    want(200, "migration_id", "POST", "sys/remount", "{\"from\":\"old0001\",\"to\":\"moved\"}");
    unsigned more = 0;
    for (; more < 8; more++) {
        (void)snprintf(path, sizeof path, "sys/mounts/more%u", more);
        if (ask("POST", path, "{\"type\":\"kv\"}") != 204)
            break;
    }
    assert_in_range(more, 1, 7);
    want(400, "there are 4096 mounts already", "POST", path, "{\"type\":\"kv\"}");
    want(204, "", "DELETE", "sys/mounts/old0002", NULL);
    want(204, "", "POST", path, "{\"type\":\"kv\"}");
    want(200, "\"description\":\"dddd", "GET", last, NULL);
    want(200, "\"force_no_cache\":true", "GET", "sys/mounts/old0000", NULL);
}

/* Paths were longer once: moves of that time give way, the newest stay. */
static void old_long_moves(void **state)
{
    (void)state;
    char from[2050];
    struct mount_moves moves = {.n = MOUNT_MOVES};
    (void)snprintf(from, sizeof from, "%s/", letters);
    for (size_t i = 0; i < MOUNT_MOVES; i++)
        moves.at[i] = (struct mount_move){i + 1 < MOUNT_MOVES ? "an old one" : "the last one", from, from};
    const struct mount row = {.path = "kv/", .type = "kv", .description = "", .accessor = "kv_1",
                              .listing_visibility = "", .token_type = ""};
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    mount_table_write(&row, 1, &moves, &record);
    assert_true(kt_buf_ok(&record));
    assert_true(record.len < MOUNT_MOVES_MAX + 200);
    struct mount_table *table = NULL;
    assert_int_equal(mount_table_read(kt_buf_bytes(&record), 1, &table, NULL), KT_OK);
    assert_int_equal(table->moves.n, 11); /* of 4,122 bytes each */
    assert_string_equal(table->moves.at[10].id, "the last one");
    mount_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_is_filled, make, end),
        cmocka_unit_test_setup_teardown(lists_have_a_share, make, end),
        cmocka_unit_test_setup_teardown(an_old_full_table, make, end),
        cmocka_unit_test(old_long_moves),
    };
    kt_log_set_level(KT_LOG_ERROR);
    memset(letters, 'x', sizeof letters - 1);
    return cmocka_run_group_tests_name("mounts full", tests, NULL, NULL);
}
