#include "tests/support/fault_vault.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/merkle.h"
#include "lib/secret.h"
#include "tests/support/folder.h"
#include "vaultd/audit/audit.h"

#define SEGMENT_BYTES ((size_t)128 * 1024)
#define LOG_MAX       ((size_t)256 * 1024 * 1024)
#define WAIT_MS       30000 /* it says so within a second; the rest is for a busy machine */

static int64_t wall(void *arg)
{
    struct test_vault *vault = arg;
    return vault->now_ms + vault->wall_ahead_ms;
}

static int64_t mono(void *arg)
{
    return ((struct test_vault *)arg)->now_ms;
}

/* Any thread of the vault. */
static void stopped(void *arg, const char *what)
{
    struct fault_vault *v = arg;
    (void)snprintf(v->why, sizeof v->why, "%s", what);
    (void)atomic_fetch_add(&v->stopped, 1);
}

static const char *const seals[] = {"seal"};

static void hand_credential_over(struct fault_vault *v)
{
    unsigned char key[KT_KEY_BYTES];
    char path[96];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(i + 1);
    (void)snprintf(v->credentials, sizeof v->credentials, "%s/credentials", v->folder);
    (void)snprintf(path, sizeof path, "%s/%s", v->credentials, seals[0]);
    assert_int_equal(mkdir(v->credentials, 0700), 0);
    int fd = open(path, O_WRONLY | O_CREAT, 0400);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, key, sizeof key), (ssize_t)sizeof key);
    assert_int_equal(close(fd), 0);
}

void fault_vault_open(struct fault_vault *v)
{
    struct kt_err err = {0};
    struct test_vault *vault = calloc(1, sizeof *vault);
    assert_non_null(vault);
    vault->now_ms = v->now_ms;
    vault->clock = (struct kt_clock){wall, mono, vault};
    vault->keeps_folder = true;
    memcpy(vault->folder, v->folder, sizeof vault->folder);
    memcpy(vault->root, v->root, sizeof vault->root);
    memcpy(vault->shares, v->shares, sizeof vault->shares);
    atomic_store(&v->stopped, 0);
    const struct store_config store = {.engine = STORE_LMDB, .path = v->folder};
    if (store_open(&store, &vault->store, &err) != KT_OK)
        fail_msg("the store does not open: %s (%s)", err.what, err.hint);
    store_on_broken(vault->store, stopped, v);
    const struct core_config config = {.cluster_name = "test",
                                       .data_folder = v->folder,
                                       .storage_type = "lmdb",
                                       .executor = v->executor,
                                       .credentials = v->credentials,
                                       .seals = seals,
                                       .n_seals = 1,
                                       .dev = true,
                                       .audit_segment_bytes = SEGMENT_BYTES,
                                       .audit_broken = stopped,
                                       .audit_broken_arg = v};
    if (core_new(&config, vault->store, &vault->clock, &vault->core, &err) != KT_OK)
        fail_msg("the vault does not start: %s (%s)", err.what, err.hint);
    v->vault = vault;
    v->starts++;
}

static void choose_shares(struct fault_vault *v)
{
    struct barrier_status status;
    barrier_status(v->vault->core->barrier, &status);
    if (strcmp(status.seal_id, v->other_id) == 0)
        memcpy(v->shares, v->other_shares, sizeof v->shares);
}

void fault_vault_unseal(struct fault_vault *v)
{
    struct kt_err err = {0};
    choose_shares(v);
    for (unsigned i = 0; i < 3; i++) {
        bool unsealed = false;
        if (barrier_unseal_share(v->vault->core->barrier, v->shares[i], &unsealed, &err) != KT_OK)
            fail_msg("a share is refused: %s", err.what);
    }
    if (core_unsealed(v->vault->core, false, &err) != KT_OK)
        fail_msg("it does not unseal: %s (%s)", err.what, err.hint);
}

void fault_vault_new(struct fault_vault *v, const struct rotation_executor *executor,
                     bool initialised)
{
    *v = (struct fault_vault){.executor = executor, .now_ms = 1800000000000};
    assert_int_equal(kt_secret_init(NULL), KT_OK);
    kt_json_init();
    assert_int_equal(folder_make(v->folder), 0);
    hand_credential_over(v);
    fault_vault_open(v);
    if (!initialised)
        return;
    struct kt_err err = {0};
    struct kt_buf root;
    kt_buf_init(&root, sizeof v->root - 1);
    if (core_init(v->vault->core, 5, 3, v->shares, &root, &err) != KT_OK)
        fail_msg("it cannot be initialised: %s", err.what);
    memcpy(v->root, root.at, root.len);
    kt_buf_free(&root);
    memcpy(v->vault->root, v->root, sizeof v->root);
    memcpy(v->vault->shares, v->shares, sizeof v->shares);
    fault_vault_unseal(v);
}

void fault_vault_close(struct fault_vault *v)
{
    if (v->vault != NULL)
        v->now_ms = v->vault->now_ms;
    test_vault_free(v->vault);
    v->vault = NULL;
}

void fault_vault_end(struct fault_vault *v)
{
    fault_vault_close(v);
    folder_remove(v->folder);
}

void fault_vault_restart(struct fault_vault *v)
{
    fault_vault_close(v);
    fault_vault_open(v);
    if (!v->stays_sealed)
        fault_vault_unseal(v);
}

bool fault_vault_mend(struct fault_vault *v)
{
    struct leadership leadership;
    store_leader(v->vault->store, &leadership); /* known before it is said */
    if (atomic_load(&v->stopped) == 0 && leadership.leads)
        return false;
    fault_vault_restart(v);
    return true;
}

bool fault_vault_stops(struct fault_vault *v)
{
    for (unsigned i = 0; i < WAIT_MS && atomic_load(&v->stopped) == 0; i++)
        (void)nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    return atomic_load(&v->stopped) > 0;
}

/* ---- the audit log ---- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 36);
}

/* The ids of all records that tell a result, sorted. */
static char (*results(struct kt_buf *records, size_t *ret_n))[37]
{
    static const char mark[] = "\"request\":{\"id\":\"";
    size_t n = 0, room = 0;
    char(*ids)[37] = NULL;
    kt_buf_add_char(records, '\0');
    char *rest = (char *)records->at;
    while (rest != NULL && *rest != '\0') {
        const char *line = strsep(&rest, "\n");
        const char *id = strstr(line, mark);
        if (id == NULL || strstr(line, "\"type\":\"response\"") == NULL)
            continue;
        if (n == room) {
            room = room * 2 + 1024;
            ids = reallocarray(ids, room, sizeof *ids);
            assert_non_null(ids);
        }
        (void)snprintf(ids[n++], sizeof ids[0], "%.36s", id + strlen(mark));
    }
    if (n > 0)
        qsort(ids, n, sizeof *ids, compare_ids);
    *ret_n = n;
    return ids;
}

static void check_leaves(const struct kt_buf *records, const struct kt_buf *leaves, uint64_t size)
{
    struct kt_bytes left = kt_buf_bytes(records);
    for (uint64_t i = 0; i < size; i++) {
        const unsigned char *end = memchr(left.at, '\n', left.len);
        assert_non_null(end);
        unsigned char leaf[KT_HASH_BYTES];
        size_t len = (size_t)(end - left.at);
        kt_merkle_leaf(kt_bytes(left.at, len), leaf);
        if (memcmp(leaf, leaves->at + i * KT_HASH_BYTES, KT_HASH_BYTES) != 0)
            fail_msg("record %ju is not what the tree has", (uintmax_t)i);
        left = kt_bytes(end + 1, left.len - len - 1);
    }
    assert_int_equal(left.len, 0);
}

void fault_vault_check_log(struct fault_vault *v, const char (*ids)[37], size_t n)
{
    struct kt_buf records, leaves, note;
    struct kt_err err = {0};
    struct audit *audit = v->vault->core->audit;
    struct audit_status status;
    uint64_t next = 0;
    assert_non_null(audit);
    kt_buf_init(&records, LOG_MAX);
    kt_buf_init(&leaves, LOG_MAX);
    kt_buf_init(&note, 65536);
    if (audit_checkpoint(audit, &note, &err) != KT_OK)
        fail_msg("the log cannot be signed: %s", err.what);
    audit_status(audit, &status);
    if (audit_export(audit, 0, status.synced_size, LOG_MAX, &records, &next, &err) != KT_OK ||
        audit_leaves(audit, 0, status.synced_size, &leaves, &err) != KT_OK)
        fail_msg("the log cannot be read: %s", err.what);
    assert_int_equal(next, status.synced_size);
    check_leaves(&records, &leaves, status.synced_size);
    size_t n_found = 0;
    char(*found)[37] = results(&records, &n_found);
    for (size_t i = 0; i < n; i++)
        if (bsearch(ids[i], found, n_found, sizeof *found, compare_ids) == NULL)
            fail_msg("no record of the answered request %s", ids[i]);
    free(found);
    kt_buf_free(&records);
    kt_buf_free(&leaves);
    kt_buf_free(&note);
}
