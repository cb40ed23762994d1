/* What a power loss leaves of the audit log: of every file and folder what it was when it was last synced,
 * and nothing else. The program's own fsync() and fdatasync() note that, and a folder is made from it on
 * which the log is opened again. What was relied on (named by the database, handed out, said to be synced)
 * has to be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/unit/audit_folder.h"
#include "tests/unit/audit_life.h"

/* ---- the disk ---- */

#define NODES 64
#define NAMES 32

struct name {
    char text[64];
    ino_t inode;
    bool folder;
};
/* A file or a folder as it was synced last. */
struct node {
    ino_t inode;
    unsigned char *bytes;
    size_t len;
    struct name names[NAMES];
    unsigned n_names;
};
static struct node nodes[NODES];
static unsigned n_nodes;
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER; /* the keeper syncs, too */

static struct node *find_node(ino_t inode)
{
    for (unsigned i = 0; i < n_nodes; i++)
        if (nodes[i].inode == inode)
            return &nodes[i];
    return NULL;
}

static void keep_file(struct node *node, int fd)
{
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd); /* which may be open for writing alone */
    free(node->bytes);
    node->bytes = file_read(self, &node->len);
    if (node->bytes == NULL)
        abort();
}

static void keep_names(struct node *node, int fd)
{
    struct dirent *entry = NULL;
    DIR *dir = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir == NULL)
        abort();
    node->n_names = 0;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (node->n_names == NAMES || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            abort();
        struct name *name = &node->names[node->n_names++];
        (void)snprintf(name->text, sizeof name->text, "%.60s", entry->d_name);
        name->inode = st.st_ino;
        name->folder = S_ISDIR(st.st_mode);
    }
    (void)closedir(dir);
}

static int keep(int fd)
{
    struct stat st;
    (void)pthread_mutex_lock(&disk_lock);
    if (fstat(fd, &st) != 0)
        abort();
    struct node *node = find_node(st.st_ino);
    if (node == NULL) {
        if (n_nodes == NODES)
            abort();
        node = &nodes[n_nodes++];
        *node = (struct node){.inode = st.st_ino};
    }
    if (S_ISDIR(st.st_mode))
        keep_names(node, fd);
    else
        keep_file(node, fd);
    (void)pthread_mutex_unlock(&disk_lock);
    return 0;
}

int fsync(int fd)
{
    return keep(fd);
}

int fdatasync(int fd)
{
    return keep(fd);
}

static void disk_forget(void)
{
    for (unsigned i = 0; i < n_nodes; i++)
        free(nodes[i].bytes);
    n_nodes = 0;
}

/* All below is synced. */
static void disk_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        abort();
    (void)keep(fd);
    (void)close(fd);
    const struct node *node = find_node(st.st_ino);
    for (unsigned i = 0; i < node->n_names; i++) {
        char below[2 * FOLDER_NAME];
        (void)snprintf(below, sizeof below, "%.250s/%.60s", path, node->names[i].text);
        disk_sync(below);
    }
}

static void disk_write(const char *path, ino_t inode, bool folder)
{
    const struct node *node = find_node(inode);
    if (!folder) {
        file_write(path, node == NULL ? NULL : node->bytes, node == NULL ? 0 : node->len);
        return;
    }
    (void)mkdir(path, 0700);
    for (unsigned i = 0; node != NULL && i < node->n_names; i++) {
        char below[2 * FOLDER_NAME];
        (void)snprintf(below, sizeof below, "%.250s/%.60s", path, node->names[i].text);
        disk_write(below, node->names[i].inode, node->names[i].folder);
    }
}

/* ---- a vault's log on it ---- */

struct fixture {
    char paths[4][FOLDER_NAME]; /* one a life */
    unsigned life;
    struct store *store; /* whose disk loses nothing */
    struct audit *audit;
    struct audit_config config;
    struct kt_err err;
};

static void begin_life(struct fixture *f, unsigned life)
{
    f->life = life;
    f->config.folder = f->paths[life];
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || kt_secret_init(NULL) != KT_OK)
        return -1;
    for (size_t i = 0; i < 4; i++)
        folder_make(f->paths[i]);
    f->store = fake_store_new();
    f->config = life_config(NULL);
    begin_life(f, 0);
    disk_sync(f->paths[0]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    audit_close(f->audit);
    fake_store_free(f->store);
    for (size_t i = 0; i < 4; i++)
        folder_remove(f->paths[i]);
    disk_forget();
    free(f);
    return 0;
}

static void open_audit(struct fixture *f)
{
    if (audit_open(&f->config, NULL, f->store, &kt_system_clock, &f->audit, &f->err) != KT_OK)
        fail_msg("%s", f->err.what);
}

/* As kill -9 leaves it: the kernel has all that was written. */
static void crash(struct fixture *f)
{
    if (f->audit != NULL)
        life_kill(&f->audit, f->store);
}

/* The next life has what was synced. */
static void power_loss(struct fixture *f)
{
    struct stat st;
    crash(f);
    assert_int_equal(stat(f->paths[f->life], &st), 0);
    begin_life(f, f->life + 1);
    disk_write(f->paths[f->life], st.st_ino, true);
    disk_forget();
    disk_sync(f->paths[f->life]);
}

static void append(struct fixture *f, const char *path)
{
    life_append(f->audit, path);
}

static unsigned count_records(struct fixture *f, const char *what)
{
    return life_count_records(f->audit, what);
}

static void segment_path(const struct fixture *f, unsigned number, char out[2 * FOLDER_NAME])
{
    (void)snprintf(out, 2 * FOLDER_NAME, "%.200s/audit/f1/%06u.seg", f->paths[f->life], number);
}

/* Whether a record stands in it. */
static bool segment_used(const struct fixture *f, unsigned number)
{
    char path[2 * FOLDER_NAME];
    size_t len = 0;
    segment_path(f, number, path);
    unsigned char *at = file_read(path, &len);
    bool used = false;
    for (size_t i = 0; i < len && !used; i++)
        used = at[i] != 0;
    free(at);
    return used;
}

static void empty(const struct fixture *f, unsigned number)
{
    char path[2 * FOLDER_NAME];
    size_t len = 0;
    segment_path(f, number, path);
    unsigned char *at = file_read(path, &len);
    assert_non_null(at);
    memset(at, 0, len);
    file_write(path, at, len);
    free(at);
}

/* Flips the last byte that is not zero: the segment's last record was not written whole. */
static void tear(const struct fixture *f, unsigned number)
{
    char path[2 * FOLDER_NAME];
    size_t len = 0;
    segment_path(f, number, path);
    unsigned char *at = file_read(path, &len);
    size_t last = len;
    while (last > 0 && at[last - 1] == 0)
        last--;
    assert_true(last > 0);
    at[last - 1] ^= 0x55;
    file_write(path, at, len);
    free(at);
}

/* ---- ---- */

/* The database names the log as soon as it is open. */
static void new_log(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    power_loss(f);
    open_audit(f);
    assert_int_equal(count_records(f, "\"type\":\"init\""), 1);
    assert_int_equal(count_records(f, "\"stopped_cleanly\":false"), 1);
}

/* What a checkpoint covers, over several segments; itself, too. Neither index nor tree are made anew. */
static void checkpoints(void **state)
{
    struct fixture *f = *state;
    kt_autobuf struct kt_buf note, notes;
    kt_buf_init(&note, 65536);
    kt_buf_init(&notes, 65536);
    open_audit(f);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < 250; j++)
            append(f, "secret/data/a");
        kt_buf_reset(&note);
        assert_int_equal(audit_checkpoint(f->audit, &note, NULL), KT_OK);
    }
    assert_true(segment_used(f, 3));
    append(f, "secret/data/unsynced");
    power_loss(f);

    char path[2 * FOLDER_NAME];
    size_t len = 0;
    (void)snprintf(path, sizeof path, "%.200s/audit/f1/checkpoints", f->paths[f->life]);
    unsigned char *kept = file_read(path, &len);
    assert_non_null(kept);
    assert_true(len >= note.len);
    assert_memory_equal(kept + len - note.len, note.at, note.len);
    free(kept);
    open_audit(f);
    assert_int_equal(count_records(f, "secret/data/a"), 1250);
    assert_int_equal(count_records(f, "\"index_rebuilt\":false"), 1);
}

/* A proper stop leaves all records, and the next start knows that it was one. */
static void clean_stop(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    for (unsigned i = 0; i < 250; i++)
        append(f, "secret/data/a");
    audit_close(f->audit);
    f->audit = NULL;
    power_loss(f);
    open_audit(f);
    assert_int_equal(count_records(f, "secret/data/a"), 250);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 0);
}

/* What the kernel alone had of a life that was killed is on the disk once the log is open again. */
static void killed(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    for (unsigned i = 0; i < 700; i++)
        append(f, "secret/data/a");
    assert_true(segment_used(f, 1));
    crash(f);
    open_audit(f);
    power_loss(f);
    open_audit(f);
    assert_int_equal(count_records(f, "secret/data/a"), 700);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 2);
}

/* A crash left a segment whose last record is torn, and whole ones in the next segment. They are not
 * in the log, so they may not come back behind what is written in their place. */
static void stay_away(struct fixture *f, bool emptied)
{
    char lost[1024]; /* long, so that the note of the recovery fits where one of them was */
    memset(lost, 'l', sizeof lost - 1);
    memcpy(lost, "secret/data/", strlen("secret/data/"));
    lost[sizeof lost - 1] = '\0';
    open_audit(f);
    do
        append(f, lost);
    while (!segment_used(f, 1));
    append(f, lost);
    crash(f);
    tear(f, 0);
    disk_sync(f->paths[f->life]);
    if (emptied)
        empty(f, 1);

    open_audit(f);
    unsigned before = count_records(f, lost);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 1); /* has the torn one's number */
    assert_false(segment_used(f, 1));
    power_loss(f);
    open_audit(f);
    assert_int_equal(count_records(f, lost), before);
    assert_int_equal(count_records(f, "\"type\":\"recovery\""), 2);
}

static void cut_records_stay_away(void **state)
{
    stay_away(*state, false);
}

/* An opening that was killed had emptied that segment, and not synced it. */
static void emptied_before(void **state)
{
    stay_away(*state, true);
}

/* ---- the log by itself ---- */

static void opened_log_is_synced(void **state)
{
    struct fixture *f = *state;
    unsigned char key[32] = {3};
    const struct audit_sealer sealer = {.key = key, .vault = "sixteen bytes id", .log = 1};
    const struct audit_trust none = {.size = 0};
    struct audit_log *log = NULL;
    struct audit_found found;
    struct audit_synced synced;
    int folder = open(f->config.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    assert_int_equal(audit_log_create(folder, "f1", &sealer, f->config.segment_bytes, &log, NULL), KT_OK);
    for (unsigned i = 0; i < 50; i++) {
        kt_autobuf struct kt_buf line;
        uint64_t seq = 0;
        kt_buf_init(&line, AUDIT_LINE_MAX);
        kt_buf_add_u8(&line, 0);
        kt_buf_printf(&line, "{\"time\":\"2025-01-02T03:04:05Z\",\"n\":\"%08u and more\"", i);
        assert_int_equal(audit_log_append(log, &line, &seq, NULL), KT_OK);
    }
    audit_log_close(log, false);
    assert_int_equal(audit_log_open(folder, "f1", &sealer, &none, &log, &found, NULL), KT_OK);
    audit_log_synced(log, &synced);
    assert_int_equal(synced.size, 50);
    assert_memory_equal(synced.root, found.root, sizeof found.root);
    audit_log_close(log, false);
    (void)close(folder);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        T(new_log),
        T(checkpoints),
        T(clean_stop),
        T(killed),
        T(cut_records_stay_away),
        T(emptied_before),
        T(opened_log_is_synced),
    };
    return cmocka_run_group_tests_name("audit_disk", tests, NULL, NULL);
}
