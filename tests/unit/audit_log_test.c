#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/random.h"
#include "tests/unit/audit_folder.h"
#include "vaultd/audit/log.h"

#define SEGMENT ((size_t)64 * 1024)

struct fixture {
    char path[FOLDER_NAME];
    int folder;
    unsigned char key[32];
    struct audit_sealer sealer;
    struct audit_log *log;
    struct audit_trust trust;
    struct audit_found found;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    folder_make(f->path);
    f->folder = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memset(f->key, 3, sizeof f->key);
    f->sealer = (struct audit_sealer){.key = f->key, .vault = "sixteen bytes id", .log = 1};
    *state = f;
    return f->folder < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    audit_log_close(f->log, false);
    (void)close(f->folder);
    folder_remove(f->path);
    free(f);
    return 0;
}

static void create(struct fixture *f)
{
    struct kt_err err = {0};
    if (audit_log_create(f->folder, "f1", &f->sealer, SEGMENT, &f->log, &err) != KT_OK)
        fail_msg("%s", err.what);
}

static void close_log(struct fixture *f, bool clean)
{
    audit_log_close(f->log, clean);
    f->log = NULL;
}

static enum kt_kind reopen_kind(struct fixture *f)
{
    struct kt_err err = {0};
    close_log(f, false);
    enum kt_kind kind = audit_log_open(f->folder, "f1", &f->sealer, &f->trust, &f->log, &f->found,
                                       &err);
    if (kind == KT_OK)
        assert_int_equal(f->found.trouble, AUDIT_FINE);
    else
        assert_true(err.what[0] != '\0');
    return kind;
}

static void reopen(struct fixture *f)
{
    assert_int_equal(reopen_kind(f), KT_OK);
}

static void line_text(struct kt_buf *line, unsigned n, size_t extra)
{
    kt_buf_init(line, AUDIT_LINE_MAX + 64);
    kt_buf_add_u8(line, 0);
    kt_buf_printf(line, "{\"time\":\"2025-01-02T03:04:05Z\",\"type\":\"response\",\"n\":\"%08u\","
                        "\"fill\":\"",
                  n);
    for (size_t i = 0; i < extra; i++)
        kt_buf_add_char(line, (char)('a' + i % 26));
    kt_buf_add_text(line, "\"");
}

static enum kt_kind append_kind(struct fixture *f, unsigned n, size_t extra, struct kt_err *err)
{
    kt_autobuf struct kt_buf line;
    uint64_t seq = 0;
    line_text(&line, n, extra);
    return audit_log_append(f->log, &line, &seq, err);
}

static void append(struct fixture *f, unsigned n, size_t extra)
{
    struct kt_err err = {0};
    if (append_kind(f, n, extra, &err) != KT_OK)
        fail_msg("%s", err.what);
}

static void append_many(struct fixture *f, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        append(f, i, i * 37 % 400);
}

static void sync_log(struct fixture *f)
{
    struct audit_synced synced;
    struct kt_err err = {0};
    if (audit_log_sync(f->log, &synced, &err) != KT_OK)
        fail_msg("%s", err.what);
    f->trust.size = synced.size;
    memcpy(f->trust.root, synced.root, sizeof f->trust.root);
}

/* Reads every record: its number, its text as append_many() wrote it, its leaf, and the root. */
static void check_whole(struct fixture *f, uint64_t size)
{
    assert_int_equal(audit_log_size(f->log), size);
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    struct audit_reader reader;
    if (size > 0)
        assert_int_equal(audit_log_reader(f->log, 0, 16384, &reader, NULL), KT_OK);
    for (uint64_t i = 0; i < size; i++) {
        kt_autobuf struct kt_buf line, want;
        unsigned char hash[KT_HASH_BYTES], leaf[KT_HASH_BYTES];
        kt_buf_init(&line, AUDIT_LINE_MAX);
        line_text(&want, (unsigned)i, i * 37 % 400);
        kt_buf_printf(&want, ",\"seq\":%ju}", (uintmax_t)i);
        assert_int_equal(audit_log_read(f->log, &reader, i, &line, NULL), KT_OK);
        assert_int_equal(want.len - 1, line.len);
        assert_memory_equal(want.at + 1, line.at, line.len);
        kt_merkle_leaf(kt_buf_bytes(&line), hash);
        assert_int_equal(audit_log_leaves(f->log, i, 1, leaf, NULL), KT_OK);
        assert_memory_equal(hash, leaf, sizeof leaf);
        kt_merkle_push(&tree, hash, NULL, NULL);
    }
    if (size > 0)
        audit_reader_done(&reader);
    unsigned char a[KT_HASH_BYTES], b[KT_HASH_BYTES];
    kt_merkle_root(&tree, a);
    assert_int_equal(audit_log_root(f->log, size, b, NULL), KT_OK);
    assert_memory_equal(a, b, sizeof a);
}

static void path_of(const struct fixture *f, const char *name, char out[2 * FOLDER_NAME])
{
    (void)snprintf(out, 2 * FOLDER_NAME, "%.200s/f1/%.50s", f->path, name);
}

static bool there(const struct fixture *f, const char *name)
{
    char path[2 * FOLDER_NAME];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

static void remove_file(const struct fixture *f, const char *name)
{
    char path[2 * FOLDER_NAME];
    path_of(f, name, path);
    assert_int_equal(unlink(path), 0);
}

#define FLIPPED 0x100 /* whatever stood there, it is another byte */

/* Overwrites len bytes of a file with a byte, or ends the file there. */
static void damage(const struct fixture *f, const char *name, size_t at, size_t len, int with)
{
    char path[2 * FOLDER_NAME];
    size_t size = 0;
    path_of(f, name, path);
    unsigned char *bytes = file_read(path, &size);
    assert_non_null(bytes);
    assert_true(at + len <= size);
    if (with == FLIPPED)
        for (size_t i = 0; i < len; i++)
            bytes[at + i] ^= 0xFF;
    else if (with >= 0)
        memset(bytes + at, with, len);
    file_write(path, bytes, with >= 0 ? size : at);
    free(bytes);
}

/* ---- growing ---- */

static void grows(void **state)
{
    struct fixture *f = *state;
    create(f);
    check_whole(f, 0);
    append_many(f, 0, 1000);
    check_whole(f, 1000);
    sync_log(f);
    assert_true(there(f, "000005.seg"));
    append_many(f, 1000, 1010);
    close_log(f, true);
    reopen(f);
    assert_false(f->found.running);
    assert_false(f->found.rebuilt);
    assert_int_equal(f->found.after_trust, 10);
    assert_int_equal(f->found.bytes_cut, 0);
    assert_string_equal(f->found.last_time, "2025-01-02T03:04:05Z");
    check_whole(f, 1010);
    append_many(f, 1010, 1500);
    reopen(f);
    assert_true(f->found.running);
    check_whole(f, 1500);
}

static void empty_reopens(void **state)
{
    struct fixture *f = *state;
    create(f);
    reopen(f);
    check_whole(f, 0);
    append_many(f, 0, 3);
    reopen(f);
    check_whole(f, 3);
}

static void large_records(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    create(f);
    for (unsigned i = 0; i < 6; i++)
        append(f, i, 50000);
    assert_int_equal(append_kind(f, 7, SEGMENT, &err), KT_TOO_LARGE);
    reopen(f);
    assert_int_equal(audit_log_size(f->log), 6);
}

/* More than 65,536 records: all files of the tree but the last are in use. */
static void proofs(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(audit_log_create(f->folder, "f1", &f->sealer, (size_t)4 << 20, &f->log, NULL),
                     KT_OK);
    for (unsigned i = 0; i < 66000; i++)
        append(f, i, 0);
    static const uint64_t sizes[] = {1, 2, 255, 256, 257, 513, 65535, 65536, 65537, 66000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char root[KT_HASH_BYTES], old_root[KT_HASH_BYTES], leaf[KT_HASH_BYTES];
        uint64_t size = sizes[i], index = size * 7 / 9;
        kt_autobuf struct kt_buf proof;
        kt_buf_init(&proof, 8192);
        assert_int_equal(audit_log_root(f->log, size, root, NULL), KT_OK);
        assert_int_equal(audit_log_inclusion(f->log, index, size, &proof, NULL), KT_OK);
        assert_int_equal(audit_log_leaves(f->log, index, 1, leaf, NULL), KT_OK);
        assert_true(kt_merkle_check_inclusion(index, size, leaf, kt_buf_bytes(&proof), root));
        for (size_t k = 0; k <= i; k++) {
            kt_buf_reset(&proof);
            assert_int_equal(audit_log_root(f->log, sizes[k], old_root, NULL), KT_OK);
            assert_int_equal(audit_log_consistency(f->log, sizes[k], size, &proof, NULL), KT_OK);
            assert_true(kt_merkle_check_consistency(sizes[k], size, old_root, root,
                                                    kt_buf_bytes(&proof)));
        }
    }
    kt_autobuf struct kt_buf none;
    kt_buf_init(&none, 8192);
    assert_int_equal(audit_log_inclusion(f->log, 66000, 66000, &none, NULL), KT_INVALID);
    assert_int_equal(audit_log_inclusion(f->log, 0, 66001, &none, NULL), KT_INVALID);
}

/* ---- crashes ---- */

/* A child that is killed while it appends: whatever it said was appended is there. */
static void killed(void **state)
{
    struct fixture *f = *state;
    int pipes[2];
    create(f);
    append_many(f, 0, 100);
    sync_log(f);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (unsigned i = 100;; i++) {
            append(f, i, i * 37 % 400);
            if (write(pipes[1], &i, sizeof i) != sizeof i)
                _exit(1);
        }
    }
    (void)close(pipes[1]);
    unsigned last = 0, seen = 0;
    while (seen < 3000 && read(pipes[0], &last, sizeof last) == (ssize_t)sizeof last)
        seen++;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(pipes[0], &last, sizeof last) == (ssize_t)sizeof last)
        seen++;
    (void)close(pipes[0]);
    reopen(f);
    assert_true(f->found.running);
    assert_true(audit_log_size(f->log) > last);
    assert_true(seen >= 3000);
    check_whole(f, audit_log_size(f->log));
}

/* What each loss at the end of the newest segment leaves. Records 0..99 are known to the store. */
static const struct torn {
    const char *name;
    size_t back, len; /* from the end of the last record; SIZE_MAX: to the end of the file */
    int with;         /* -1: the file ends there */
} torn[] = {
    {"torn: the last byte", 1, 1, FLIPPED},
    {"torn: zeroes in the last record", 50, 50, 0},
    {"torn: garbage in the last record", 60, 30, 0x55},
    {"torn: a hole before the last records", 700, 100, 0},
    {"torn: garbage behind the last record", 0, 200, 0x7F},
    {"torn: the file ends in the last record", 20, 0, -1},
    {"torn: the file ends long before", 3000, 0, -1},
};

static void torn_tail(void **state)
{
    struct fixture *f = *state;
    const struct torn *row = NULL;
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        row = &torn[i];
        create(f);
        append_many(f, 0, 100);
        sync_log(f);
        append_many(f, 100, 160);
        uint64_t used = audit_log_bytes(f->log) - 160 * AUDIT_ENTRY_BYTES;
        close_log(f, false);
        damage(f, "000000.seg", (size_t)used - row->back, row->len, row->with);
        reopen(f);
        uint64_t size = audit_log_size(f->log);
        if (size < 100 || size > 160 || (row->back > 0 && size == 160))
            fail_msg("%s: %ju records", row->name, (uintmax_t)size);
        if (row->with > 0)
            assert_true(f->found.bytes_cut > 0);
        check_whole(f, size);
        append_many(f, (unsigned)size, 300);
        reopen(f);
        check_whole(f, 300);
        close_log(f, false);
        char path[2 * FOLDER_NAME];
        path_of(f, "", path);
        folder_remove(path);
        memset(&f->trust, 0, sizeof f->trust);
    }
}

/* Whatever of index and tree is lost is made again. What was known to the store and synced cannot
 * be lost in a crash; there, one damaged leaf under a whole tree is left to verification to name. */
static const struct lost {
    const char *name, *file;
    size_t at, len;
    int with;
    bool unknown; /* only when the store knows nothing */
} lost[] = {
    {"lost: index", "index", 0, 0, -1, false},
    {"lost: end of the index", "index", 700 * AUDIT_ENTRY_BYTES, 300 * AUDIT_ENTRY_BYTES, 0,
     false},
    {"lost: start of the index", "index", 0, 4096, 0, true},
    {"lost: one leaf", "index", 333 * AUDIT_ENTRY_BYTES, 1, 0x11, true},
    {"lost: one place", "index", 899 * AUDIT_ENTRY_BYTES + 33, 2, 0x11, false},
    {"lost: tree", "tree.8", 0, 0, -1, false},
    {"lost: one node", "tree.8", 40, 1, 0x11, false},
};

static void lost_files(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2 * sizeof lost / sizeof lost[0]; i++) {
        const struct lost *row = &lost[i / 2];
        if (row->unknown && i % 2 == 0)
            continue;
        create(f);
        append_many(f, 0, 900);
        sync_log(f);
        append_many(f, 900, 1000);
        if (i % 2 == 1)
            memset(&f->trust, 0, sizeof f->trust);
        close_log(f, false);
        damage(f, row->file, row->at, row->len, row->with);
        reopen(f);
        check_whole(f, 1000);
        append_many(f, 1000, 1100);
        reopen(f);
        check_whole(f, 1100);
        close_log(f, false);
        char path[2 * FOLDER_NAME];
        path_of(f, "", path);
        folder_remove(path);
    }
}

static void lost_segment(void **state)
{
    struct fixture *f = *state;
    create(f);
    append_many(f, 0, 100);
    sync_log(f);
    append_many(f, 100, 1000);
    close_log(f, false);
    remove_file(f, "000003.seg"); /* later ones are there: nothing of them may come back */
    reopen(f);
    uint64_t size = audit_log_size(f->log);
    assert_true(size > 100 && size < 1000);
    assert_true(f->found.bytes_cut > 0);
    check_whole(f, size);
    append_many(f, (unsigned)size, 1000);
    reopen(f);
    check_whole(f, 1000);
    assert_int_equal(f->found.bytes_cut, 0);
}

/* Old records of the same length behind a cut must not be taken for new ones. */
static void no_resurrection(void **state)
{
    struct fixture *f = *state;
    create(f);
    for (unsigned i = 0; i < 30; i++)
        append(f, i, 100);
    uint64_t used = audit_log_bytes(f->log) - 30 * AUDIT_ENTRY_BYTES;
    close_log(f, false);
    damage(f, "000000.seg", (size_t)used / 2, 1, FLIPPED);
    reopen(f);
    uint64_t size = audit_log_size(f->log);
    assert_true(size >= 14 && size <= 15);
    append(f, (unsigned)size, 100);
    reopen(f);
    assert_int_equal(audit_log_size(f->log), size + 1);
}

/* Power loss: each page of each file that was written since the last sync is there or is not. */
static void any_page(void **state)
{
    struct fixture *f = *state;
    char old[FOLDER_NAME + 8], new[FOLDER_NAME + 8], live[2 * FOLDER_NAME];
    create(f);
    append_many(f, 0, 150);
    sync_log(f);
    path_of(f, "", live);
    (void)snprintf(old, sizeof old, "%s/old", f->path);
    (void)snprintf(new, sizeof new, "%s/new", f->path);
    folder_copy(live, old);
    append_many(f, 150, 400);
    folder_copy(live, new);
    close_log(f, false);
    static const char *const files[] = {"000000.seg", "000001.seg", "000002.seg", "index",
                                        "tree.8"};
    for (unsigned round = 0; round < 150; round++) {
        folder_remove(live);
        folder_copy(old, live);
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            char from[2 * FOLDER_NAME], to[2 * FOLDER_NAME];
            size_t len = 0, old_len = 0;
            (void)snprintf(from, sizeof from, "%.250s/%s", new, files[i]);
            path_of(f, files[i], to);
            unsigned char *bytes = file_read(from, &len), *before = file_read(to, &old_len);
            if (bytes == NULL)
                continue;
            for (size_t at = 0; at + 4096 <= len; at += 4096) {
                if (kt_random_below(3) != 0)
                    continue;
                if (at + 4096 <= old_len)
                    memcpy(bytes + at, before + at, 4096);
                else
                    memset(bytes + at, 0, 4096);
            }
            if (i == 0 || kt_random_below(8) != 0) /* the folder's entry may be lost too */
                file_write(to, bytes, len);
            free(bytes);
            free(before);
        }
        reopen(f);
        uint64_t size = audit_log_size(f->log);
        assert_true(size >= 150 && size <= 400);
        check_whole(f, size);
        append_many(f, (unsigned)size, (unsigned)size + 3);
        reopen(f);
        check_whole(f, size + 3);
        close_log(f, false);
    }
}

/* ---- refusals ---- */

static void refuses(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    struct audit_log *log = NULL;
    create(f);
    append_many(f, 0, 100);
    sync_log(f);
    append_many(f, 100, 200);
    close_log(f, false);

    f->trust.root[5] ^= 1;
    assert_int_equal(reopen_kind(f), KT_PRECONDITION);
    assert_int_equal(f->found.trouble, AUDIT_OTHER_ROOT);
    assert_int_equal(f->found.size, 200);
    f->trust.root[5] ^= 1;
    f->trust.size = 201;
    assert_int_equal(reopen_kind(f), KT_PRECONDITION);
    assert_int_equal(f->found.trouble, AUDIT_SHORT);
    f->trust.size = 100;
    reopen(f);
    check_whole(f, 200);
    close_log(f, false);

    f->sealer.vault[0] ^= 1;
    assert_int_equal(reopen_kind(f), KT_PRECONDITION);
    assert_int_equal(f->found.trouble, AUDIT_OTHER_VAULT);
    f->sealer.vault[0] ^= 1;
    f->sealer.log = 2;
    assert_int_equal(reopen_kind(f), KT_PRECONDITION);
    f->sealer.log = 1;
    assert_int_equal(audit_log_open(f->folder, "f2", &f->sealer, &f->trust, &log, &f->found, &err),
                     KT_PRECONDITION);
    assert_int_equal(f->found.trouble, AUDIT_NO_LOG);

    damage(f, "log", 0, 1, AUDIT_LOG_FORMAT + 1);
    assert_int_equal(audit_log_open(f->folder, "f1", &f->sealer, &f->trust, &log, &f->found, &err),
                     KT_CORRUPT);
    assert_non_null(strstr(err.what, "format 2"));
    remove_file(f, "log");
    assert_int_equal(audit_log_create(f->folder, "f1", &f->sealer, SEGMENT, &log, &err),
                     KT_PRECONDITION);
}

/* A record that was altered under a good index is found when it is read. */
static void altered_record(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    create(f);
    append_many(f, 0, 100);
    sync_log(f);
    close_log(f, false);
    damage(f, "000000.seg", 3000, 1, FLIPPED);
    reopen(f);
    assert_int_equal(audit_log_size(f->log), 100);
    struct audit_reader reader;
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, 1 << 20);
    assert_int_equal(audit_log_reader(f->log, 0, 16384, &reader, NULL), KT_OK);
    enum kt_kind kind = KT_OK;
    uint64_t seq = 0;
    while (kind == KT_OK && seq < 100)
        kind = audit_log_read(f->log, &reader, seq++, &line, &err);
    audit_reader_done(&reader);
    assert_int_equal(kind, KT_CORRUPT);
    assert_true(seq < 20);
    assert_non_null(strstr(err.what, "does not open"));
}

/* ---- room ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void outcome_line(struct kt_buf *line, unsigned n)
{
    line_text(line, n, n * 37 % 400);
}

/* A full disk refuses records, never outcomes of commits in flight, and goes on by itself. */
static void full_disk(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    (void)signal(SIGXFSZ, SIG_IGN);
    create(f);
    enum { PROMISES = 20, ROOM = 1024 };
    for (unsigned i = 0; i < PROMISES; i++)
        assert_int_equal(audit_log_promise(f->log, ROOM, NULL), KT_OK);
    limit_files(4096);
    unsigned n = 0;
    while (append_kind(f, n, n * 37 % 400, &err) == KT_OK)
        n++;
    assert_int_equal(err.kind, KT_FULL);
    assert_non_null(strstr(err.hint, "make room"));
    assert_true(n > 300 && n < 500); /* both segments, but for what was promised */
    assert_int_equal(audit_log_promise(f->log, 4096, &err), KT_FULL);
    struct audit_synced synced;
    assert_int_equal(audit_log_sync(f->log, &synced, NULL), KT_OK);
    for (unsigned i = 0; i < PROMISES; i++) {
        kt_autobuf struct kt_buf line;
        uint64_t seq = 0;
        outcome_line(&line, n + i);
        struct audit_mark mark = {7, i};
        assert_int_equal(audit_log_outcome(f->log, &line, mark, ROOM, &seq, NULL), KT_OK);
        assert_int_equal(seq, n + i);
    }
    limit_files(0);
    append_many(f, n + PROMISES, n + PROMISES + 500);
    check_whole(f, n + PROMISES + 500);
    f->trust.size = 0;
    reopen(f);
    check_whole(f, n + PROMISES + 500);
    assert_int_equal(f->found.mark.generation, 7);
    assert_int_equal(f->found.mark.place, PROMISES - 1);
}

static void full_at_start(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    assert_int_equal(audit_log_create(f->folder, "f1", &f->sealer, SEGMENT, &f->log, &err),
                     KT_FULL);
    limit_files(0);
    create(f);
    append_many(f, 0, 10);
}

static void promises(void **state)
{
    struct fixture *f = *state;
    struct kt_err err = {0};
    create(f);
    size_t given = 0;
    while (audit_log_promise(f->log, 1000, &err) == KT_OK)
        given++;
    assert_int_equal(err.kind, KT_BUSY);
    assert_true(given * 1000 <= SEGMENT / 2 && given > 20);
    append_many(f, 0, 2000); /* records go on beside them */
    for (size_t i = 0; i < given; i++)
        audit_log_release(f->log, 1000);
    assert_int_equal(audit_log_promise(f->log, 1000, &err), KT_OK);
    audit_log_release(f->log, 1000);
}

/* ---- marks ---- */

static void marks(void **state)
{
    struct fixture *f = *state;
    create(f);
    static const struct {
        struct audit_mark mark;
        enum kt_kind kind;
    } rows[] = {{{1, 0}, KT_OK},       {{1, 1}, KT_OK},       {{1, 1}, KT_CONFLICT},
                {{1, 0}, KT_CONFLICT}, {{5, 3}, KT_OK},       {{4, 9}, KT_CONFLICT},
                {{5, 4}, KT_OK},       {{UINT64_MAX, 0}, KT_OK}};
    unsigned n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_autobuf struct kt_buf line;
        uint64_t seq = 0;
        outcome_line(&line, n);
        assert_int_equal(audit_log_promise(f->log, 1000, NULL), KT_OK);
        assert_int_equal(audit_log_outcome(f->log, &line, rows[i].mark, 1000, &seq, NULL),
                         rows[i].kind);
        if (rows[i].kind == KT_OK) {
            append_many(f, n + 1, n + 2); /* the mark stays with what follows */
            n += 2;
        }
    }
    struct audit_synced synced;
    assert_int_equal(audit_log_sync(f->log, &synced, NULL), KT_OK);
    assert_true(synced.mark.generation == UINT64_MAX && synced.mark.place == 0);
    reopen(f);
    assert_true(f->found.mark.generation == UINT64_MAX);
    assert_true(audit_log_mark(f->log).generation == UINT64_MAX);
}

static void broken(void **state)
{
    struct fixture *f = *state;
    struct kt_err why = {0}, err = {0};
    struct audit_synced synced;
    create(f);
    append_many(f, 0, 5);
    (void)kt_fail(&why, KT_INTERNAL, "a test");
    audit_log_break(f->log, &why);
    assert_int_equal(append_kind(f, 5, 0, &err), KT_IO);
    assert_non_null(strstr(err.what, "a test"));
    assert_int_equal(audit_log_promise(f->log, 1000, &err), KT_IO);
    assert_int_equal(audit_log_sync(f->log, &synced, &err), KT_IO);
    reopen(f);
    append_many(f, 5, 10);
    check_whole(f, 10);
}

/* ---- threads ---- */

#define EACH 4000u
struct worker {
    struct fixture *f;
    bool outcomes;
    unsigned failed;
    atomic_uint *at_work;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < EACH; i++) {
        kt_autobuf struct kt_buf line;
        uint64_t seq = 0;
        line_text(&line, i, i * 37 % 400);
        enum kt_kind kind = KT_BUSY; /* until who keeps the log has made the next segment */
        for (; kind == KT_BUSY; (void)sched_yield())
            kind = w->outcomes ? audit_log_promise(w->f->log, 1000, NULL)
                               : audit_log_append(w->f->log, &line, &seq, NULL);
        if (w->outcomes && kind == KT_OK)
            kind = audit_log_outcome(w->f->log, &line, (struct audit_mark){i / 3 + 1, i % 3}, 1000,
                                     &seq, NULL);
        w->failed += kind != KT_OK;
    }
    (void)atomic_fetch_sub(w->at_work, 1);
    return NULL;
}

static void *keep(void *arg)
{
    struct worker *w = arg;
    struct audit_synced synced = {0};
    for (unsigned i = 0; i < 300 || atomic_load(w->at_work) > 0; i++) {
        w->failed += audit_log_sync(w->f->log, &synced, NULL) != KT_OK;
        w->failed += audit_log_prepare(w->f->log, NULL) != KT_OK;
        unsigned char root[KT_HASH_BYTES];
        w->failed += audit_log_root(w->f->log, audit_log_size(w->f->log), root, NULL) != KT_OK;
    }
    return NULL;
}

static void threads(void **state)
{
    struct fixture *f = *state;
    create(f);
    atomic_uint at_work = 3;
    struct worker workers[4] = {
        {f, false, 0, &at_work}, {f, false, 0, &at_work}, {f, true, 0, &at_work}, {f, false, 0, &at_work}};
    pthread_t ids[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, i == 3 ? keep : work, &workers[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    uint64_t size = audit_log_size(f->log);
    assert_int_equal(size, 3 * EACH);
    sync_log(f);
    reopen(f);
    assert_int_equal(audit_log_size(f->log), size);
    assert_true(f->found.mark.generation > 0);
    /* Every record opens with its number, its leaf is in the tree, and marks only grow. */
    struct audit_reader reader;
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    struct audit_mark last = {0, 0};
    assert_int_equal(audit_log_reader(f->log, 0, 65536, &reader, NULL), KT_OK);
    for (uint64_t i = 0; i < size; i++) {
        kt_autobuf struct kt_buf line;
        unsigned char leaf[KT_HASH_BYTES];
        kt_buf_init(&line, 1 << 20);
        assert_int_equal(audit_log_read(f->log, &reader, i, &line, NULL), KT_OK);
        int order = audit_mark_compare(last, reader.header.mark);
        assert_true(reader.header.kind == AUDIT_OUTCOME ? order < 0 : order == 0);
        last = reader.header.mark;
        kt_merkle_leaf(kt_buf_bytes(&line), leaf);
        kt_merkle_push(&tree, leaf, NULL, NULL);
    }
    audit_reader_done(&reader);
    unsigned char root[KT_HASH_BYTES];
    kt_merkle_root(&tree, root);
    assert_memory_equal(root, f->trust.root, sizeof root);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(grows),       T(empty_reopens), T(large_records),   T(proofs),   T(killed),
        T(torn_tail),   T(lost_files),    T(lost_segment),    T(no_resurrection),
        T(any_page),    T(refuses),       T(altered_record),  T(full_disk), T(full_at_start),
        T(promises),    T(marks),         T(broken),          T(threads),
    };
    return cmocka_run_group_tests_name("audit_log", tests, NULL, NULL);
}
