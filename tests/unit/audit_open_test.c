#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sched.h>

#include "lib/audit_verify.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "tests/unit/audit_folder.h"
#include "tests/unit/audit_life.h"

/* A database and an audit log, and copies of both from another day. */
struct fixture {
    char path[FOLDER_NAME], other[FOLDER_NAME];
    struct store *store;
    struct audit *audit;
    struct audit_config config;
    struct kt_err err;
    struct barrier *barrier;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || kt_secret_init(NULL) != KT_OK)
        return -1;
    folder_make(f->path);
    folder_make(f->other);
    f->store = fake_store_new();
    f->config = life_config(f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    audit_close(f->audit);
    fake_store_free(f->store);
    folder_remove(f->path);
    folder_remove(f->other);
    free(f);
    return 0;
}

static enum kt_kind open_kind(struct fixture *f)
{
    memset(&f->err, 0, sizeof f->err);
    return audit_open(&f->config, f->barrier, f->store, &kt_system_clock, &f->audit, &f->err);
}

static void open_audit(struct fixture *f)
{
    if (open_kind(f) != KT_OK)
        fail_msg("%s", f->err.what);
}

static void close_audit(struct fixture *f)
{
    audit_close(f->audit);
    f->audit = NULL;
}

static void crash(struct fixture *f)
{
    life_kill(&f->audit, f->store);
}

static void append(struct fixture *f, const char *path)
{
    life_append(f->audit, path);
}

struct write {
    struct audit *audit;
    unsigned char sealed[STORE_OUTCOME_MAX];
    size_t len;
    bool copy; /* false: the crash came before */
};

static void write_done(void *arg, const struct commit_result *result)
{
    struct write *write = arg;
    if (write->copy)
        audit_outcome_done(write->audit, kt_bytes(write->sealed, write->len), result);
    free(write);
}

static void commit_write(struct fixture *f, const char *path, bool copy)
{
    const struct audit_auth auth = {.accessor = "acc", .entity_id = "entity"};
    const struct audit_event event = {.type = "response",
                                      .request_id = "11111111-2222-3333-4444-555555555555",
                                      .time_ms = 1735787045678,
                                      .operation = "update",
                                      .path = path,
                                      .auth = &auth,
                                      .status = 204};
    struct write *write = calloc(1, sizeof *write);
    assert_non_null(write);
    kt_autobuf struct kt_buf sealed;
    kt_buf_init(&sealed, STORE_OUTCOME_MAX);
    if (audit_outcome_seal(f->audit, &event, &sealed, &f->err) != KT_OK)
        fail_msg("%s", f->err.what);
    write->audit = f->audit;
    write->copy = copy;
    write->len = sealed.len;
    memcpy(write->sealed, sealed.at, sealed.len);
    struct batch *batch = batch_new();
    batch_outcome(batch, kt_buf_bytes(&sealed));
    store_commit(f->store, batch, write_done, write);
}

static void writes(struct fixture *f, unsigned n, bool copy)
{
    for (unsigned i = 0; i < n; i++)
        commit_write(f, "secret/data/x", copy);
    fake_store_wait(f->store);
}

static void sync_all(struct fixture *f)
{
    struct audit_synced synced;
    if (audit_sync_now(f->audit, &synced, &f->err) != KT_OK)
        fail_msg("%s", f->err.what);
}

static unsigned count_records(struct fixture *f, const char *what)
{
    return life_count_records(f->audit, what);
}

/* What a verifier says of an export. */
static void verify_export(struct fixture *f, uint64_t proven)
{
    struct audit_status status;
    struct kt_audit_verdict verdict;
    kt_autobuf struct kt_buf lines = {0}, leaves, notes;
    static const char *const files[] = {KT_AUDIT_RECORDS_FILE, KT_AUDIT_LEAVES_FILE,
                                        KT_AUDIT_CHECKPOINTS_FILE, KT_AUDIT_KEY_FILE};
    kt_buf_init(&leaves, 1 << 24);
    kt_buf_init(&notes, 1 << 24);
    audit_status(f->audit, &status);
    life_lines(f->audit, &lines);
    assert_int_equal(audit_leaves(f->audit, 0, status.size, &leaves, NULL), KT_OK);
    assert_int_equal(audit_checkpoints(f->audit, &notes, NULL), KT_OK);
    const struct kt_bytes content[] = {kt_buf_bytes(&lines), kt_buf_bytes(&leaves),
                                       kt_buf_bytes(&notes), kt_str(status.public_key)};
    for (size_t i = 0; i < 4; i++) {
        char path[2 * FOLDER_NAME];
        (void)snprintf(path, sizeof path, "%.200s/%s", f->other, files[i]);
        file_write(path, content[i].at, content[i].len);
    }
    if (kt_audit_verify_folder(f->other, status.public_key, NULL, false, &verdict, &f->err) != KT_OK)
        fail_msg("%s", f->err.what);
    if (verdict.finding != KT_AUDIT_INTACT || verdict.proven != proven)
        fail_msg("%ju proven: %s", (uintmax_t)verdict.proven, verdict.sentence);
}

/* ---- ---- */

static void first_records(void **state)
{
    struct fixture *f = *state;
    struct audit_status status;
    open_audit(f);
    audit_status(f->audit, &status);
    assert_int_equal(status.size, 1);
    assert_int_equal(status.synced_size, 1);
    assert_string_equal(status.origin, "keyturn/test/f1");
    kt_autobuf struct kt_buf text = {0};
    life_lines(f->audit, &text);
    assert_non_null(strstr(kt_buf_text(&text), "\"type\":\"init\""));
    assert_non_null(strstr(kt_buf_text(&text), "\"initialized_time\":\"2025-01-02T03:04:05Z\""));
    assert_non_null(strstr(kt_buf_text(&text), "\"salt\":\""));
    assert_non_null(strstr(kt_buf_text(&text), "\"seq\":0}\n"));
    /* The database knows the log before anything was admitted. */
    assert_int_equal(kt_get_u64(f->store->disk.head), 1);
    assert_int_equal(kt_get_u64(f->store->disk.head + 8), 1);
    assert_memory_equal(f->store->disk.head + 16, status.root, 32);
    append(f, "secret/data/a");
    close_audit(f);
    open_audit(f);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 0);
    audit_status(f->audit, &status);
    assert_int_equal(status.size, 2);
    verify_export(f, 2);
}

static void checkpoints(void **state)
{
    struct fixture *f = *state;
    struct audit_status status;
    struct kt_note_key key;
    struct kt_checkpoint checkpoint;
    kt_autobuf struct kt_buf note, again;
    kt_buf_init(&note, 65536);
    kt_buf_init(&again, 65536);
    open_audit(f);
    for (unsigned i = 0; i < 300; i++)
        append(f, "secret/data/a");
    audit_status(f->audit, &status);
    assert_int_equal(status.synced_size, 1);
    assert_int_equal(audit_checkpoint(f->audit, &note, NULL), KT_OK);
    assert_int_equal(kt_note_key_parse(kt_str(status.public_key), &key, NULL), KT_OK);
    assert_int_equal(kt_checkpoint_open(kt_buf_bytes(&note), &key, &checkpoint, NULL), KT_OK);
    assert_int_equal(checkpoint.size, 301);
    audit_status(f->audit, &status);
    assert_int_equal(status.synced_size, 301);
    assert_memory_equal(checkpoint.root, status.root, 32);
    /* Nothing new: the same one, and none is added. */
    assert_int_equal(audit_checkpoint(f->audit, &again, NULL), KT_OK);
    assert_true(kt_bytes_equal(kt_buf_bytes(&note), kt_buf_bytes(&again)));
    kt_buf_reset(&again);
    assert_int_equal(audit_last_checkpoint(f->audit, &again, NULL), KT_OK);
    assert_true(kt_bytes_equal(kt_buf_bytes(&note), kt_buf_bytes(&again)));
    fake_store_wait(f->store);
    assert_int_equal(f->store->disk.checkpoint_len, 9 + note.len);
    assert_memory_equal(f->store->disk.checkpoint + 9, note.at, note.len);
    append(f, "secret/data/b");
    verify_export(f, 301);
    close_audit(f);
    open_audit(f);
    verify_export(f, 302);
    /* More than fits what the caller can take: some, and the newest. */
    for (unsigned i = 0; i < 40; i++) {
        append(f, "secret/data/b");
        kt_buf_reset(&note);
        assert_int_equal(audit_checkpoint(f->audit, &note, NULL), KT_OK);
    }
    kt_autobuf struct kt_buf few;
    kt_buf_init(&few, 4000);
    assert_int_equal(audit_checkpoints(f->audit, &few, NULL), KT_OK);
    assert_true(few.len > note.len && few.len <= 4000);
    assert_memory_equal(few.at + few.len - note.len, note.at, note.len);
}

static void exports_in_parts(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    for (unsigned i = 0; i < 400; i++)
        append(f, "secret/data/a");
    kt_autobuf struct kt_buf whole = {0}, parts;
    kt_buf_init(&parts, 1 << 24);
    life_lines(f->audit, &whole);
    uint64_t next = 0;
    while (next < 401)
        assert_int_equal(audit_export(f->audit, next, 401, 1000, &parts, &next, NULL), KT_OK);
    assert_true(kt_bytes_equal(kt_buf_bytes(&whole), kt_buf_bytes(&parts)));
    kt_buf_reset(&parts);
    assert_int_equal(audit_export(f->audit, 401, 500, 1000, &parts, &next, NULL), KT_OK);
    assert_int_equal(parts.len, 0);
    assert_int_equal(audit_export(f->audit, 402, 500, 1000, &parts, &next, NULL), KT_INVALID);
    assert_int_equal(audit_export(f->audit, 7, 9, 1, &parts, &next, NULL), KT_OK);
    assert_int_equal(next, 8);
    assert_int_equal(audit_leaves(f->audit, 0, 402, &parts, NULL), KT_INVALID);
}

static void outcomes(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    generation first = f->store->disk.at + 1;
    f->store->fold = 4;
    writes(f, 50, true);
    kt_autobuf struct kt_buf text = {0};
    life_lines(f->audit, &text);
    assert_int_equal(life_count(&text, "\"generation\":"), 50);
    assert_int_equal(life_count(&text, "\"status\":204"), 50);
    assert_non_null(strstr(kt_buf_text(&text), "\"accessor\":\"hmac-sha256:"));
    /* Only folds whose outcomes are surely all in the synced log may be dropped. */
    sync_all(f);
    generation last = f->store->disk.at;
    assert_int_equal(f->store->synced, last - 1);
    assert_true(last > first);
    close_audit(f);
    open_audit(f);
    assert_int_equal(count_records(f, "\"generation\":"), 50);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 0);
}

/* Commits whose completion never came: each is in the log once, in order. */
static void missing_outcomes(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    f->store->fold = 3;
    writes(f, 10, true);
    writes(f, 20, false);
    crash(f);
    open_audit(f);
    kt_autobuf struct kt_buf text = {0};
    life_lines(f->audit, &text);
    assert_int_equal(life_count(&text, "\"place\":"), 30);
    assert_non_null(strstr(kt_buf_text(&text), "\"outcomes_copied\":20"));
    assert_non_null(strstr(kt_buf_text(&text), "\"stopped_cleanly\":false"));
    crash(f);
    open_audit(f);
    assert_int_equal(count_records(f, "\"place\":"), 30);
    assert_int_equal(count_records(f, "\"outcomes_copied\":0"), 1);
    writes(f, 5, true);
    assert_int_equal(count_records(f, "\"place\":"), 35);
    sync_all(f);
    verify_export(f, audit_log_size(f->audit->log) - 5);
}

static void failed_commits(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    fake_store_wait(f->store);
    f->store->error = STORE_FULL;
    for (unsigned round = 0; round < 50; round++)
        writes(f, 20, true); /* more than could be promised if none were given back */
    f->store->error = STORE_OK;
    assert_int_equal(count_records(f, "\"place\":"), 0);
    writes(f, 3, true);
    assert_int_equal(count_records(f, "\"place\":"), 3);
}

/* ---- something old was put back ---- */

static void keep_folder(struct fixture *f)
{
    folder_remove(f->other);
    folder_copy(f->path, f->other);
}

static void put_folder_back(struct fixture *f)
{
    folder_remove(f->path);
    folder_copy(f->other, f->path);
}

static void expect_refusal(struct fixture *f, const char *const *words)
{
    assert_int_equal(open_kind(f), KT_PRECONDITION);
    for (; *words != NULL; words++)
        if (strstr(f->err.what, *words) == NULL)
            fail_msg("no '%s' in: %s", *words, f->err.what);
    assert_non_null(strstr(f->err.hint, "-accept-rollback"));
    assert_true(strlen(f->err.what) < sizeof f->err.what - 2);
}

static void expect_new_history(struct fixture *f, const char *origin, const char *word)
{
    struct audit_status status;
    f->config.accept_rollback = true;
    open_audit(f);
    f->config.accept_rollback = false;
    audit_status(f->audit, &status);
    assert_string_equal(status.origin, origin);
    kt_autobuf struct kt_buf text = {0};
    life_lines(f->audit, &text);
    assert_non_null(strstr(kt_buf_text(&text), "\"type\":\"history\""));
    assert_non_null(strstr(kt_buf_text(&text), word));
    writes(f, 3, true);
    crash(f);
    open_audit(f); /* from here on as ever */
    audit_status(f->audit, &status);
    assert_string_equal(status.origin, origin);
    verify_export(f, status.size);
}

static void old_database(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    static struct fake_disk yesterday;
    yesterday = f->store->disk;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    f->store->disk = yesterday;
    static const char *const words[] = {"the database is older than the audit log", "generation 12",
                                        "generation 22", "21 records", NULL};
    expect_refusal(f, words);
    expect_refusal(f, words); /* and again: refusing changes nothing */
    expect_new_history(f, "keyturn/test/f1.2", "the database is older");
}

/* The same after a crash of today's vault, where only the kernel had the last outcomes. */
static void old_database_after_crash(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 10, true);
    static struct fake_disk yesterday;
    yesterday = f->store->disk;
    writes(f, 1, true);
    crash(f);
    f->store->disk = yesterday;
    static const char *const words[] = {"the database is older than the audit log", NULL};
    expect_refusal(f, words);
}

static void old_log(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    keep_folder(f);
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    put_folder_back(f);
    static const char *const words[] = {"the audit log f1 is older than the database", "11 readable",
                                        "knows 21", "generation 23", NULL};
    expect_refusal(f, words);
    expect_new_history(f, "keyturn/test/f1.2", "is older than the database");
}

static void no_log(void **state)
{
    struct fixture *f = *state;
    char path[2 * FOLDER_NAME];
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    (void)snprintf(path, sizeof path, "%.200s/audit", f->path);
    folder_remove(path);
    static const char *const words[] = {"the audit log f1 is missing", "11 records", NULL};
    expect_refusal(f, words);
    expect_new_history(f, "keyturn/test/f1.2", "is missing");
    /* Twice: a number is never used again. */
    crash(f);
    folder_remove(path);
    f->config.accept_rollback = true;
    open_audit(f);
    struct audit_status status;
    audit_status(f->audit, &status);
    assert_string_equal(status.origin, "keyturn/test/f1.3");
}

/* Today's database with a log that went another way from the same start. */
static void other_log(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    keep_folder(f);
    static struct fake_disk yesterday, today;
    yesterday = f->store->disk;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    today = f->store->disk;
    put_folder_back(f);
    f->store->disk = yesterday;
    open_audit(f); /* all of it from yesterday: nothing here can tell */
    append(f, "secret/data/another");
    writes(f, 9, true);
    close_audit(f);
    f->store->disk = today;
    static const char *const words[] = {"was altered, or is of another history", "21 records", NULL};
    expect_refusal(f, words);
}

/* Everything of yesterday, and one file of today: the checkpoints beside the log know more. */
static void newer_checkpoints(void **state)
{
    struct fixture *f = *state;
    char from[2 * FOLDER_NAME], to[2 * FOLDER_NAME];
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    keep_folder(f);
    static struct fake_disk yesterday;
    yesterday = f->store->disk;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    size_t len = 0;
    (void)snprintf(from, sizeof from, "%.200s/audit/f1/checkpoints", f->path);
    unsigned char *notes = file_read(from, &len);
    put_folder_back(f);
    (void)snprintf(to, sizeof to, "%.200s/audit/f1/checkpoints", f->path);
    file_write(to, notes, len);
    free(notes);
    f->store->disk = yesterday;
    static const char *const words[] = {"older than its newest checkpoint", "21 records", NULL};
    expect_refusal(f, words);
}

static void newer_history(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    static struct fake_disk yesterday;
    yesterday = f->store->disk;
    open_audit(f);
    writes(f, 10, true);
    close_audit(f);
    f->store->disk = yesterday;
    expect_new_history(f, "keyturn/test/f1.2", "older");
    crash(f);
    f->store->disk = yesterday; /* once more */
    static const char *const words[] = {"the newest log is f1.2", NULL};
    expect_refusal(f, words);
    expect_new_history(f, "keyturn/test/f1.3", "the newest log is f1.2");
}

static void other_vault(void **state)
{
    struct fixture *f = *state;
    static int another;
    open_audit(f);
    writes(f, 2, true);
    close_audit(f);
    f->barrier = (struct barrier *)(void *)&another;
    static const char *const words[] = {"belongs to another vault", NULL};
    expect_refusal(f, words);
}

/* A crash between making the log and the first commit that knows it is nothing old. */
static void crash_at_first(void **state)
{
    struct fixture *f = *state;
    f->store->error = STORE_FULL;
    assert_int_equal(open_kind(f), KT_FULL);
    fake_store_wait(f->store);
    assert_int_equal(kt_get_u64(f->store->disk.head), 0);
    f->store->error = STORE_OK;
    open_audit(f);
    assert_int_equal(count_records(f, "\"type\":\"init\""), 1);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 1);
}

/* States that a power loss leaves: the database as it is, the log's newest pages lost or not. Each
 * opens, and every outcome that was acknowledged is there once. */
static void power_loss(void **state)
{
    struct fixture *f = *state;
    char old[FOLDER_NAME + 8], new[FOLDER_NAME + 8];
    (void)snprintf(old, sizeof old, "%s/old", f->other);
    (void)snprintf(new, sizeof new, "%s/new", f->other);
    open_audit(f);
    f->store->fold = 3;
    writes(f, 30, true);
    sync_all(f);
    folder_copy(f->path, old);
    writes(f, 60, true);
    folder_copy(f->path, new);
    static struct fake_disk disk;
    disk = f->store->disk;
    crash(f);
    static const char *const files[] = {"000000.seg", "index", "tree.8", "checkpoints"};
    for (unsigned round = 0; round < 60; round++) {
        folder_remove(f->path);
        folder_copy(old, f->path);
        for (size_t i = 0; i < 4; i++) {
            char from[2 * FOLDER_NAME], to[2 * FOLDER_NAME];
            size_t len = 0, old_len = 0;
            (void)snprintf(from, sizeof from, "%.250s/audit/f1/%s", new, files[i]);
            (void)snprintf(to, sizeof to, "%.250s/audit/f1/%s", f->path, files[i]);
            unsigned char *bytes = file_read(from, &len), *before = file_read(to, &old_len);
            for (size_t at = 0; bytes != NULL && at + 4096 <= len && at + 4096 <= old_len;
                 at += 4096)
                if ((round >> (at / 4096 % 5)) & 1)
                    memcpy(bytes + at, before + at, 4096);
            file_write(to, bytes, len);
            free(bytes);
            free(before);
        }
        f->store->disk = disk;
        f->store->synced = 0;
        open_audit(f);
        kt_autobuf struct kt_buf text = {0};
        life_lines(f->audit, &text);
        assert_int_equal(life_count(&text, "\"place\":"), 90);
        uint64_t size = audit_log_size(f->audit->log);
        verify_export(f, size);
        crash(f);
    }
}

/* The newest checkpoint was being written when the power went: its sectors arrive in any order. */
static void torn_checkpoint(void **state)
{
    struct fixture *f = *state;
    char path[2 * FOLDER_NAME];
    (void)snprintf(path, sizeof path, "%.200s/audit/f1/checkpoints", f->path);
    for (unsigned round = 0; round < 8; round++) {
        open_audit(f);
        writes(f, 3, true);
        crash(f);
        size_t before = 0, len = 0;
        free(file_read(path, &before));
        open_audit(f); /* adds one */
        crash(f);
        unsigned char *notes = file_read(path, &len);
        assert_true(len > before);
        size_t size = len - before, half = round < 2 ? size : size * round / 8;
        memset(notes + before + (round % 2 == 0 ? 0 : size - half), 0, half);
        file_write(path, notes, len);
        free(notes);
        f->store->synced = 0;
        open_audit(f);
        verify_export(f, audit_log_size(f->audit->log));
        crash(f);
    }
}

static void damaged_outcome(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    writes(f, 5, false);
    crash(f);
    f->store->disk.kept[2].bytes[50] ^= 1;
    assert_int_equal(open_kind(f), KT_CORRUPT);
    assert_non_null(strstr(f->err.hint, "-accept-rollback"));
    f->config.accept_rollback = true;
    open_audit(f);
    assert_int_equal(count_records(f, "\"place\":"), 4);
    assert_int_equal(count_records(f, "\"outcomes_unreadable\":1"), 1);
}

static void unusable_folder(void **state)
{
    struct fixture *f = *state;
    f->config.folder = "/nonexistent";
    assert_int_equal(open_kind(f), KT_IO);
    f->config.folder = f->path;
    f->config.origin = "has space";
    assert_int_equal(open_kind(f), KT_INVALID);
}

/* The thread syncs and signs by itself while the log grows, and the database is told. */
static void keeper(void **state)
{
    struct fixture *f = *state;
    struct audit_status status = {0};
    f->config.sync_ms = 2;
    f->config.checkpoint_ms = 5;
    open_audit(f);
    writes(f, 10, true);
    int64_t deadline = kt_mono_ms(&kt_system_clock) + 60000;
    struct kt_checkpoint checkpoint = {0};
    while (checkpoint.size < 11 && kt_mono_ms(&kt_system_clock) < deadline) {
        kt_autobuf struct kt_buf note;
        kt_buf_init(&note, 65536);
        audit_status(f->audit, &status);
        if (audit_last_checkpoint(f->audit, &note, NULL) == KT_OK)
            assert_int_equal(kt_checkpoint_open(kt_buf_bytes(&note), NULL, &checkpoint, NULL),
                             KT_OK);
        (void)sched_yield();
    }
    assert_int_equal(checkpoint.size, 11);
    assert_int_equal(status.synced_size, 11);
    audit_keeper_stop(f->audit);
    fake_store_wait(f->store);
    /* Checkpoints are commits, too: the last outcome may be older than what the store is at. */
    struct audit_synced synced;
    audit_log_synced(f->audit->log, &synced);
    assert_true(synced.mark.generation > 10);
    assert_int_equal(f->store->synced, synced.mark.generation - 1);
}

/* The database may be full: the log goes on, and the next checkpoint gets through. */
static void checkpoint_not_stored(void **state)
{
    struct fixture *f = *state;
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, 65536);
    open_audit(f);
    append(f, "secret/data/a");
    f->store->error = STORE_FULL;
    assert_int_equal(audit_checkpoint(f->audit, &note, NULL), KT_OK);
    assert_int_equal(audit_commits_wait(f->audit), STORE_FULL);
    f->store->error = STORE_OK;
    append(f, "secret/data/a");
    assert_int_equal(audit_checkpoint(f->audit, &note, NULL), KT_OK);
    assert_int_equal(audit_commits_wait(f->audit), STORE_OK);
    assert_int_equal(kt_get_u64(f->store->disk.head + 8), 3);
}

#ifdef KT_FAULT
static void failpoints(void **state)
{
    struct fixture *f = *state;
    struct audit_synced synced;
    const struct audit_event event = {.type = "response", .path = "secret/data/x"};
    open_audit(f);
    append(f, "secret/data/a");
    assert_int_equal(setenv("KEYTURN_FAILPOINTS", "audit_append=error", 1), 0);
    assert_int_equal(audit_append(f->audit, &event, &f->err), KT_FULL);
    assert_int_equal(setenv("KEYTURN_FAILPOINTS", "audit_sync=error", 1), 0);
    append(f, "secret/data/b");
    assert_int_equal(audit_sync_now(f->audit, &synced, &f->err), KT_IO);
    assert_int_equal(unsetenv("KEYTURN_FAILPOINTS"), 0);
    /* What a failed sync lost cannot be known: nothing more until the log is opened anew. */
    assert_int_equal(audit_append(f->audit, &event, &f->err), KT_IO);
    assert_non_null(strstr(f->err.what, "the audit log stopped"));
    crash(f);
    open_audit(f);
    assert_int_equal(count_records(f, "secret/data/b"), 1);
    append(f, "secret/data/c");
}

/* Every allocation fails once, at opening, appending, sealing and checkpoints. */
static void allocations(void **state)
{
    struct fixture *f = *state;
    const struct audit_event event = {.type = "response", .path = "secret/data/x",
                                      .request_data = kt_str("{\"a\":\"\\u0062\"}")};
    for (unsigned long nth = 1;; nth++) {
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = open_kind(f);
        (void)kt_fail_allocation(0);
        if (kind == KT_OK)
            break;
        assert_true(kind == KT_NO_MEMORY || kind == KT_TOO_LARGE);
        assert_null(f->audit);
        assert_true(nth < 200);
    }
    writes(f, 3, true);
    for (unsigned long nth = 1;; nth++) {
        kt_autobuf struct kt_buf sealed, note;
        kt_buf_init(&sealed, STORE_OUTCOME_MAX);
        kt_buf_init(&note, 65536);
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = audit_append(f->audit, &event, &f->err);
        if (kind == KT_OK)
            kind = audit_outcome_seal(f->audit, &event, &sealed, &f->err);
        if (kind == KT_OK) {
            const struct commit_result result = {.error = STORE_FULL};
            audit_outcome_done(f->audit, kt_buf_bytes(&sealed), &result);
            kind = audit_checkpoint(f->audit, &note, &f->err);
        }
        (void)kt_fail_allocation(0);
        if (kind == KT_OK)
            break;
        assert_true(kind == KT_NO_MEMORY || kind == KT_TOO_LARGE);
        assert_true(nth < 200);
    }
    writes(f, 3, true);
    sync_all(f);
    assert_int_equal(count_records(f, "\"place\":"), 6);
}
#endif

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        T(first_records), T(checkpoints),   T(exports_in_parts), T(outcomes),
        T(missing_outcomes), T(failed_commits), T(old_database), T(old_database_after_crash),
        T(old_log),       T(no_log),        T(other_log),        T(newer_checkpoints),
        T(newer_history), T(other_vault),   T(crash_at_first),   T(power_loss),
        T(torn_checkpoint), T(damaged_outcome), T(unusable_folder), T(keeper),
        T(checkpoint_not_stored),
#ifdef KT_FAULT
        T(failpoints),    T(allocations),
#endif
    };
    return cmocka_run_group_tests_name("audit_open", tests, NULL, NULL);
}
