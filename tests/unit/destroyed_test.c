/* What was destroyed stays so: after re-encryption and compaction nothing in the store's file opens it,
 * with all unseal keys and with every key that the file before it could yield. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/secret.h"
#include "tests/support/carver.h"
#include "tests/support/folder.h"
#include "tests/support/vault.h"
#include "vaultd/barrier/reseal.h"
#include "vaultd/core/jobs.h"

#define SECRETS  6u
#define VERSIONS 12u
#define KEPT     10u

static struct test_vault *vault;
static char folder[64];
static char root[256];
static unsigned char shares[5][SHAMIR_SHARE_BYTES];

static void say(const struct kt_err *err)
{
    fail_msg("%s (%s)", err->what, err->hint);
}

static void open_vault(bool first)
{
    struct kt_err err = {0};
    if (test_vault_on_disk(folder, &vault, &err) != KT_OK)
        say(&err);
    if (first) {
        struct kt_buf token;
        kt_buf_init(&token, sizeof root - 1);
        if (core_init(vault->core, 5, 3, shares, &token, &err) != KT_OK)
            say(&err);
        memcpy(root, token.at, token.len);
        kt_buf_free(&token);
    }
    bool unsealed = false;
    for (unsigned i = 0; i < 3; i++)
        if (barrier_unseal_share(vault->core->barrier, shares[i], &unsealed, &err) != KT_OK)
            say(&err);
    if (!unsealed || core_unsealed(vault->core, false, &err) != KT_OK)
        say(&err);
}

static int set_up(void **state)
{
    (void)state;
    if (folder_make(folder) != 0)
        return -1;
    open_vault(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_vault_free(vault);
    folder_remove(folder);
    return 0;
}

static void ask(const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(vault, method, path, root, body);
    if (status != 200 && status != 204)
        fail_msg("%s %s: %u %s", method, path, status, vault->body);
}

/* ---- what is in it, and what was ---- */

static void marker(const char *mount, unsigned secret, unsigned version, char out[64])
{
    (void)snprintf(out, 64, "<%s/%u/%u>", mount, secret, version);
}

static void write_version(const char *mount, unsigned secret, unsigned version)
{
    char text[64], path[128], body[256];
    marker(mount, secret, version, text);
    (void)snprintf(path, sizeof path, "%s/data/app/s%u", mount, secret);
    (void)snprintf(body, sizeof body, "{\"data\":{\"password\":\"%s\"}}", text);
    ask("POST", path, body);
}

static void fill_mount(const char *mount)
{
    char path[64];
    (void)snprintf(path, sizeof path, "sys/mounts/%s", mount);
    ask("POST", path, "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    for (unsigned version = 1; version <= VERSIONS; version++) {
        for (unsigned secret = 0; secret < SECRETS; secret++)
            write_version(mount, secret, version);
        if (version % 4 == 0)
            ask("POST", "sys/rotate", NULL);
    }
}

/* Secret 0: version 12 destroyed. Secret 1: deleted with all its versions. Of all: 1 and 2 are pruned.
 * The mount "team" goes. A policy goes, a note is overwritten. */
static void fill_and_destroy(void)
{
    fill_mount("kv");
    fill_mount("team");
    ask("POST", "kv/metadata/app/s2", "{\"custom_metadata\":{\"note\":\"(old note)\"}}");
    ask("POST", "sys/policies/acl/gone", "{\"policy\":\"# (old policy)\\npath \\\"x\\\" { "
                                         "capabilities = [\\\"read\\\"] }\"}");
    ask("POST", "sys/policies/acl/stays", "{\"policy\":\"# (policy)\\npath \\\"x\\\" { "
                                          "capabilities = [\\\"read\\\"] }\"}");
    ask("POST", "kv/metadata/app/s2", "{\"custom_metadata\":{\"note\":\"(note)\"}}");
    ask("POST", "kv/destroy/app/s0", "{\"versions\":[12]}");
    ask("DELETE", "kv/metadata/app/s1", NULL);
    ask("DELETE", "sys/policies/acl/gone", NULL);
    ask("DELETE", "sys/mounts/team", NULL);
    for (bool more = true; more;) {
        struct kt_err err = {0};
        if (jobs_run(vault->core, &more, &err) != KT_OK)
            say(&err);
    }
}

static bool is_gone(const char *mount, unsigned secret, unsigned version)
{
    return strcmp(mount, "team") == 0 || secret == 1 || version <= VERSIONS - KEPT ||
           (secret == 0 && version == 12);
}

static const char *const mounts[] = {"kv", "team"};
static const char *const other_gone[] = {"(old note)", "(old policy)"};
static const char *const other_live[] = {"(note)", "(policy)"};

struct tally {
    unsigned gone, gone_found, live, live_found;
};

static void count(const struct carver *c, const char *text, bool gone, struct tally *tally)
{
    bool found = carver_found(c, text);
    tally->gone += gone;
    tally->live += !gone;
    tally->gone_found += gone && found;
    tally->live_found += !gone && found;
}

static struct tally tally_of(const struct carver *c)
{
    struct tally tally = {0};
    char text[64];
    for (size_t m = 0; m < 2; m++)
        for (unsigned secret = 0; secret < SECRETS; secret++)
            for (unsigned version = 1; version <= VERSIONS; version++) {
                marker(mounts[m], secret, version, text);
                count(c, text, is_gone(mounts[m], secret, version), &tally);
            }
    for (size_t i = 0; i < 2; i++) {
        count(c, other_gone[i], true, &tally);
        count(c, other_live[i], false, &tally);
    }
    return tally;
}

/* ---- the file ---- */

static struct kt_bytes read_file(void)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/store/data.mdb", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    unsigned char *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    (void)close(fd);
    return kt_bytes(bytes, (size_t)st.st_size);
}

static void free_file(struct kt_bytes file)
{
    void *at = NULL;
    memcpy(&at, &file.at, sizeof at);
    free(at);
}

static void until_done(const char *path)
{
    int64_t until = kt_mono_ms(&kt_system_clock) + 60000;
    do {
        ask("GET", path, NULL);
        assert_true(kt_mono_ms(&kt_system_clock) < until);
        (void)sched_yield();
    } while (!test_vault_said(vault, "\"phase\":\"done\""));
}

static void reencrypt_and_compact(void)
{
    ask("POST", "sys/storage/reencrypt", NULL);
    until_done("sys/storage/reencrypt");
    ask("POST", "sys/storage/compact", NULL);
    until_done("sys/storage/compact");
}

/* Sealed bytes of what is gone, as they were: nothing of them is in the new file. */
static void assert_no_sealed_bytes(const struct carver *before, struct kt_bytes file)
{
    char text[64];
    unsigned compared = 0;
    for (size_t m = 0; m < 2; m++)
        for (unsigned secret = 0; secret < SECRETS; secret++)
            for (unsigned version = 1; version <= VERSIONS; version++) {
                marker(mounts[m], secret, version, text);
                struct kt_bytes sealed = carver_sealed(before, text);
                if (!is_gone(mounts[m], secret, version) || sealed.len < 64)
                    continue;
                for (size_t at = 0; at + 16 <= sealed.len; at += 8)
                    assert_null(memmem(file.at, file.len, sealed.at + at, 16));
                compared++;
            }
    assert_true(compared > 0);
}

static void assert_reads_well(void)
{
    char path[128], text[64];
    for (unsigned secret = 0; secret < SECRETS; secret++)
        for (unsigned version = VERSIONS - KEPT + 1; version <= VERSIONS; version++) {
            (void)snprintf(path, sizeof path, "kv/data/app/s%u?version=%u", secret, version);
            unsigned status = test_vault_call(vault, "GET", path, root, NULL);
            bool gone = is_gone("kv", secret, version);
            assert_int_equal(status, gone ? 404 : 200);
            marker("kv", secret, version, text);
            assert_true(test_vault_said(vault, text) == !gone);
        }
}

static void assert_one_term(void)
{
    struct barrier_status status;
    barrier_status(vault->core->barrier, &status);
    assert_int_equal(status.oldest_term, status.term);
}

/* ---- the test ---- */

static void no_key_of_before_opens_it(void **state)
{
    (void)state;
    struct carver carver;
    carver_init(&carver);
    fill_and_destroy();

    /* The positive control: somebody who has the file and all unseal keys reads it all. */
    struct kt_bytes file = read_file();
    carver_run(&carver, file, (const unsigned char(*)[SHAMIR_SHARE_BYTES])shares, 3);
    struct tally before = tally_of(&carver);
    print_message("before: %u keyrings, %zu terms, %zu keys of versions; %u of %u destroyed are read, "
                  "%u of %u live\n",
                  carver.rings, carver.terms.n, carver.deks.n, before.gone_found, before.gone,
                  before.live_found, before.live);
    assert_int_equal(before.live_found, before.live);
    assert_true(before.gone_found > 0);
    assert_true(carver.terms.n >= 6);
    struct kt_buf kept = carver.opened; /* what stood where */
    kt_buf_init(&carver.opened, kept.max);
    struct carver old = {.opened = kept};
    free_file(file);

    reencrypt_and_compact();
    assert_one_term();
    assert_reads_well();
    file = read_file();
    size_t terms_before = carver.terms.n, deks_before = carver.deks.n;
    carver_run(&carver, file, (const unsigned char(*)[SHAMIR_SHARE_BYTES])shares, 3);
    struct tally after = tally_of(&carver);
    print_message("after: %u keyrings, %zu more terms, %zu more keys; %u of %u destroyed are read, %u "
                  "of %u live\n",
                  carver.rings, carver.terms.n - terms_before, carver.deks.n - deks_before,
                  after.gone_found, after.gone, after.live_found, after.live);
    assert_int_equal(after.live_found, after.live); /* so what is there is found */
    assert_int_equal(after.gone_found, 0);
    assert_int_equal(carver.terms.n, terms_before + 1);
    assert_no_sealed_bytes(&old, file);
    free_file(file);
    kt_buf_free(&old.opened);
    carver_free(&carver);

    test_vault_free(vault);
    open_vault(false);
    assert_reads_well();
    assert_one_term();
}

/* Every entry of the compacted store is under the newest term. */
static void old_terms_open_nothing(void **state)
{
    (void)state;
    fill_and_destroy();
    reencrypt_and_compact();
    struct kt_bytes file = read_file();
    struct carver all;
    carver_init(&all);
    carver_run(&all, file, (const unsigned char(*)[SHAMIR_SHARE_BYTES])shares, 3);
    assert_true(all.entries > 0);
    assert_int_equal(all.terms.n, 1);
    carver_free(&all);
    free_file(file);
}

static void a_second_one_is_refused_until_the_first_ends(void **state)
{
    (void)state;
    fill_mount("kv");
    ask("POST", "sys/storage/reencrypt", NULL);
    unsigned status = test_vault_call(vault, "POST", "sys/storage/reencrypt", root, NULL);
    assert_true(status == 409 || status == 204); /* it may have ended already */
    until_done("sys/storage/reencrypt");
    ask("POST", "sys/storage/reencrypt", NULL);
    until_done("sys/storage/reencrypt");
    assert_one_term();
}

/* Seals while it runs, again and again; each unsealing goes on where it was. */
static void it_goes_on_after_a_stop(void **state)
{
    (void)state;
    fill_mount("kv");
    ask("POST", "sys/storage/reencrypt", NULL);
    for (unsigned i = 0; i < 3; i++) {
        test_vault_free(vault);
        open_vault(false);
    }
    until_done("sys/storage/reencrypt");
    assert_one_term();
    char path[64], text[64];
    for (unsigned secret = 0; secret < SECRETS; secret++) {
        (void)snprintf(path, sizeof path, "kv/data/app/s%u", secret);
        ask("GET", path, NULL);
        marker("kv", secret, VERSIONS, text);
        assert_true(test_vault_said(vault, text));
    }
}

/* ---- who is late ---- */

static void note_result(void *arg, const struct commit_result *result)
{
    _Atomic int *error = arg;
    atomic_store(error, (int)result->error);
}

static int commit_and_wait(struct batch *batch)
{
    _Atomic int error = -1;
    store_commit(vault->store, batch, note_result, &error);
    while (atomic_load(&error) < 0)
        (void)sched_yield();
    return atomic_load(&error);
}

/* Sealed before the new term, committed after the walk: it would be lost. */
static void a_late_batch_is_refused(void **state)
{
    (void)state;
    static const unsigned char scope[BARRIER_SCOPE];
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *late[2] = {batch_new(), batch_new()};
    assert_true(barrier_enter(vault->core->barrier));
    barrier_name_key(vault->core->barrier, TABLE_CONFIG, scope, kt_str("late"), key);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(barrier_put(vault->core->barrier, late[i], kt_bytes(key, sizeof key),
                                     kt_str("late"), NULL), KT_OK);
    barrier_leave(vault->core->barrier);
    assert_int_equal(commit_and_wait(late[0]), STORE_OK);
    ask("POST", "sys/storage/reencrypt", NULL);
    until_done("sys/storage/reencrypt");
    assert_int_equal(commit_and_wait(late[1]), STORE_CONFLICT);
}

/* ---- the walk ---- */

/* What somebody changed since the walk looked is not written over. */
static void others_changes_win(void **state)
{
    (void)state;
    fill_mount("kv");
    struct barrier_status status;
    barrier_status(vault->core->barrier, &status);
    struct batch *batches[2] = {batch_new(), batch_new()};
    struct snapshot *snapshot = NULL;
    assert_true(barrier_enter(vault->core->barrier));
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    for (size_t i = 0; i < 2; i++) {
        struct reseal walk = {.at_len = 0};
        assert_int_equal(barrier_reseal(vault->core->barrier, snapshot, status.term, 10, batches[i],
                                        &walk, NULL), KT_OK);
        assert_int_equal(walk.rewritten, 10);
        assert_false(walk.whole);
    }
    snapshot_end(snapshot);
    barrier_leave(vault->core->barrier);
    assert_int_equal(commit_and_wait(batches[0]), STORE_OK);
    assert_int_equal(commit_and_wait(batches[1]), STORE_CONFLICT);
}

/* More in a row that has no term than one piece looks at, with entries behind it. */
static void a_long_walk_comes_to_the_end(void **state)
{
    (void)state;
    fill_mount("kv");
    unsigned char key[1 + 8] = {TABLE_CUBBY};
    for (unsigned i = 0; i < RESEAL_LOOK + 500;) {
        struct batch *batch = batch_new();
        for (unsigned n = 0; n < 90; n++) {
            kt_put_be64(key + 1, i++);
            batch_put(batch, kt_bytes(key, sizeof key), kt_str("x"));
        }
        assert_int_equal(commit_and_wait(batch), STORE_OK);
    }
    ask("POST", "sys/storage/reencrypt", NULL);
    until_done("sys/storage/reencrypt");
    assert_one_term();
    ask("GET", "kv/data/app/s3", NULL);
    ask("GET", "kv/metadata/app/s3", NULL);
}

/* ---- what has a term ---- */

static void values_and_their_terms(void **state)
{
    (void)state;
    static const struct {
        enum table table;
        uint32_t suffix; /* UINT32_MAX: the key has none */
        size_t len;      /* of the value */
        bool has;
    } rows[] = {
        {TABLE_CONFIG, UINT32_MAX, 200, true},    {TABLE_POLICY, UINT32_MAX, 200, true},
        {TABLE_TOKEN, UINT32_MAX, 200, true},     {TABLE_KV_NAME, UINT32_MAX, 200, true},
        {TABLE_KV, 0, 200, true},                 {TABLE_KV, 1, 200, false},
        {TABLE_KV, 0x01000000, 200, false},       {TABLE_CUBBY, UINT32_MAX, 200, false},
        {TABLE_BARRIER, UINT32_MAX, 200, false},  {TABLE_CHECKPOINT, UINT32_MAX, 200, false},
        {TABLE_CONSUMER, UINT32_MAX, 1, false},   {TABLE_CONSUMER, UINT32_MAX, 200, true},
        {TABLE_LEDGER, 7, 200, true},             {TABLE_LEDGER, 7, 1, false},
        {TABLE_ACTIVE, UINT32_MAX, 1, false},     {TABLE_DUE, UINT32_MAX, 200, true},
    };
    unsigned char key[BARRIER_NAME_KEY + 4] = {0}, value[200] = {1, 9};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = rows[i].suffix == UINT32_MAX ? BARRIER_NAME_KEY : sizeof key;
        key[0] = (unsigned char)rows[i].table;
        kt_put_be32(key + BARRIER_NAME_KEY, rows[i].suffix);
        uint32_t term = reseal_term(kt_bytes(key, len), kt_bytes(value, rows[i].len));
        if (term != (rows[i].has ? 9 : 0))
            fail_msg("row %zu: term %u", i, term);
    }
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_key_of_before_opens_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_terms_open_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_one_is_refused_until_the_first_ends, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_goes_on_after_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_batch_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_changes_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_walk_comes_to_the_end, set_up, tear_down),
        cmocka_unit_test(values_and_their_terms),
    };
    return cmocka_run_group_tests_name("what was destroyed", tests, NULL, NULL);
}
