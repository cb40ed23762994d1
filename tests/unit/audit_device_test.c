#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/unit/audit_folder.h"
#include "tests/unit/audit_life.h"

#define MUCH_MS 60000 /* no device hangs here: what a busy machine may take */

struct fixture {
    char path[FOLDER_NAME], file[FOLDER_NAME + 32], second[FOLDER_NAME + 32];
    struct store *store;
    struct audit *audit;
    struct audit_device_config devices[2];
    struct audit_config config;
    struct kt_err err;
    unsigned n; /* events appended */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || kt_secret_init(NULL) != KT_OK)
        return -1;
    folder_make(f->path);
    (void)snprintf(f->file, sizeof f->file, "%s/out/audit.log", f->path);
    (void)snprintf(f->second, sizeof f->second, "%s/second.log", f->path);
    char out[FOLDER_NAME + 32];
    (void)snprintf(out, sizeof out, "%s/out", f->path);
    if (mkdir(out, 0700) != 0)
        return -1;
    f->store = fake_store_new();
    f->devices[0] = (struct audit_device_config){"file", "file", f->file, MUCH_MS};
    f->devices[1] = (struct audit_device_config){"full", "file", "/dev/full", MUCH_MS};
    f->config = life_config(f->path);
    f->config.devices = f->devices;
    f->config.n_devices = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    audit_close(f->audit);
    fake_store_free(f->store);
    folder_remove(f->path);
    free(f);
    return 0;
}

static enum kt_kind open_kind(struct fixture *f)
{
    memset(&f->err, 0, sizeof f->err);
    return audit_open(&f->config, NULL, f->store, &kt_system_clock, &f->audit, &f->err);
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

static enum kt_kind append_kind(struct fixture *f)
{
    char id[40];
    (void)snprintf(id, sizeof id, "event-%06u", f->n);
    const struct audit_event event = {.type = "response", .request_id = id, .path = "secret/data/x"};
    enum kt_kind kind = audit_append(f->audit, &event, &f->err);
    f->n += kind == KT_OK;
    return kind;
}

static void append(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (append_kind(f) != KT_OK)
            fail_msg("%s", f->err.what);
}

/* The files, one after the other, hold exactly the log from record `from` on. */
static void expect_copy(struct fixture *f, uint64_t from, const char *const *files)
{
    kt_autobuf struct kt_buf want, got;
    uint64_t next = 0;
    kt_buf_init(&want, 1 << 24);
    kt_buf_init(&got, 1 << 24);
    assert_int_equal(audit_export(f->audit, from, UINT64_MAX, 1 << 24, &want, &next, NULL), KT_OK);
    for (; *files != NULL; files++) {
        size_t len = 0;
        unsigned char *at = file_read(*files, &len);
        if (len > 0)
            kt_buf_add(&got, at, len);
        free(at);
    }
    if (!kt_bytes_equal(kt_buf_bytes(&want), kt_buf_bytes(&got)))
        fail_msg("the copy differs:\n%.2000s\n%.2000s", kt_buf_text(&got), kt_buf_text(&want));
}
#define EXPECT_COPY(f, from, ...)                                                                  \
    do {                                                                                           \
        const char *const files[] = {__VA_ARGS__, NULL};                                           \
        expect_copy((f), (from), files);                                                           \
    } while (0)

static unsigned failing(struct fixture *f)
{
    struct audit_status status;
    audit_status(f->audit, &status);
    assert_int_equal(status.devices, f->config.n_devices);
    return status.devices_failing;
}

/* What the log's thread does every second. */
static void keep(struct fixture *f, bool look)
{
    audit_devices_ask(f->audit->devices, look ? DEVICE_LOOK : DEVICE_FILL);
    audit_devices_settle(f->audit->devices);
}

static void copies(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    open_audit(f);
    EXPECT_COPY(f, 0, f->file);
    append(f, 100);
    EXPECT_COPY(f, 0, f->file);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(failing(f), 0);
}

static void outcomes_are_copied(void **state)
{
    struct fixture *f = *state;
    kt_autobuf struct kt_buf sealed;
    const struct audit_event event = {.type = "response", .request_id = "x", .path = "secret/data/x"};
    open_audit(f);
    kt_buf_init(&sealed, STORE_OUTCOME_MAX);
    for (unsigned i = 0; i < 5; i++) {
        kt_buf_reset(&sealed);
        assert_int_equal(audit_outcome_seal(f->audit, &event, &sealed, NULL), KT_OK);
        const struct commit_result result = {.error = STORE_OK, .at = 10 + i};
        audit_outcome_done(f->audit, kt_buf_bytes(&sealed), &result);
    }
    append(f, 1); /* whoever comes next brings them along */
    EXPECT_COPY(f, 0, f->file);
}

static void outcome(struct fixture *f, generation at)
{
    kt_autobuf struct kt_buf sealed;
    const struct audit_event event = {.type = "response", .request_id = "x", .path = "secret/data/x"};
    kt_buf_init(&sealed, STORE_OUTCOME_MAX);
    assert_int_equal(audit_outcome_seal(f->audit, &event, &sealed, NULL), KT_OK);
    const struct commit_result result = {.error = STORE_OK, .at = at};
    audit_outcome_done(f->audit, kt_buf_bytes(&sealed), &result);
}

/* What the database has and the log cannot take up: nothing may follow it until the next start. */
static void outcome_that_is_not_copied(void **state)
{
    struct fixture *f = *state;
    kt_autobuf struct kt_buf sealed;
    const struct audit_event event = {.type = "response", .request_id = "x", .path = "secret/data/x"};
    open_audit(f);
    append(f, 1);
    kt_buf_init(&sealed, STORE_OUTCOME_MAX);
    assert_int_equal(audit_outcome_seal(f->audit, &event, &sealed, NULL), KT_OK);
    sealed.at[sealed.len - 1] ^= 1;
    const struct commit_result result = {.error = STORE_OK, .at = 10};
    audit_outcome_done(f->audit, kt_buf_bytes(&sealed), &result);
    assert_int_not_equal(append_kind(f), KT_OK);
    assert_int_equal(f->n, 1);
}

static size_t copied(struct fixture *f)
{
    struct stat st;
    assert_int_equal(stat(f->file, &st), 0);
    return (size_t)st.st_size;
}

/* The file's size when it has the whole log. */
static size_t whole(struct fixture *f)
{
    kt_autobuf struct kt_buf lines;
    uint64_t next = 0;
    kt_buf_init(&lines, 1 << 20);
    assert_int_equal(audit_export(f->audit, 0, UINT64_MAX, 1 << 20, &lines, &next, NULL), KT_OK);
    return lines.len;
}

/* When nobody comes next, the log's thread does, long before its next tick; and at the end the stop. */
static void last_outcomes_are_copied(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    int64_t deadline_ms = kt_mono_ms(&kt_system_clock) + MUCH_MS;
    outcome(f, 10);
    while (copied(f) < whole(f) && kt_mono_ms(&kt_system_clock) < deadline_ms)
        (void)sched_yield();
    EXPECT_COPY(f, 0, f->file);
    audit_keeper_stop(f->audit);
    audit_devices_settle(f->audit->devices); /* nothing is asked of it any more */
    outcome(f, 11);
    size_t want = whole(f);
    assert_true(copied(f) < want);
    close_audit(f);
    assert_int_equal(copied(f), want);
}

static void deleted(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    append(f, 10);
    keep(f, true);
    append(f, 5); /* into a file that is gone before anybody looked again */
    assert_int_equal(unlink(f->file), 0);
    append(f, 5);
    keep(f, true);
    append(f, 5);
    EXPECT_COPY(f, 11, f->file);
}

static void rotated(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    append(f, 10);
    assert_int_equal(rename(f->file, f->second), 0);
    append(f, 10);
    keep(f, true); /* without a signal */
    append(f, 10);
    EXPECT_COPY(f, 0, f->second, f->file);
    char third[FOLDER_NAME + 40];
    (void)snprintf(third, sizeof third, "%s.2", f->file);
    assert_int_equal(rename(f->file, third), 0);
    append(f, 1);
    audit_reopen(f->audit); /* with one */
    append(f, 10);
    EXPECT_COPY(f, 0, f->second, third, f->file);
}

/* Who rotates may take the old file away as soon as it is answered. Often: it is a matter of who comes first. */
static void reopened_when_it_says_so(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(unlink(f->file), 0);
        audit_reopen(f->audit);
        assert_int_equal(access(f->file, F_OK), 0);
    }
}

/* The folder of the first one's file goes away; or comes back. */
static void first_goes(struct fixture *f, bool away)
{
    char place[2][FOLDER_NAME + 32];
    (void)snprintf(place[0], sizeof place[0], "%s/out", f->path);
    (void)snprintf(place[1], sizeof place[1], "%s/away", f->path);
    assert_int_equal(rename(place[!away], place[away]), 0);
}

static void one_of_two_fails(void **state)
{
    struct fixture *f = *state;
    f->config.n_devices = 2;
    open_audit(f);
    append(f, 10);
    assert_int_equal(failing(f), 1);
    EXPECT_COPY(f, 0, f->file);
    /* Now the other one: nothing may go on. */
    first_goes(f, true);
    keep(f, true);
    assert_int_equal(failing(f), 2);
    uint64_t size = audit_log_size(f->audit->log);
    assert_int_equal(append_kind(f), KT_IO);
    assert_non_null(strstr(f->err.what, "audit device"));
    assert_int_equal(audit_log_size(f->audit->log), size);
    first_goes(f, false);
    append(f, 10); /* by itself, at the next request */
    assert_int_equal(failing(f), 1);
    EXPECT_COPY(f, 0, f->file);
}

static void none_at_start(void **state)
{
    struct fixture *f = *state;
    f->devices[0].path = "/nonexistent/audit.log";
    assert_int_equal(open_kind(f), KT_IO);
    assert_non_null(strstr(f->err.what, "/nonexistent/audit.log"));
    f->devices[0].type = "syslog";
    assert_int_equal(open_kind(f), KT_INVALID);
    assert_non_null(strstr(f->err.what, "there is: file"));
}

static void open_two(struct fixture *f)
{
    f->devices[1].path = f->second;
    f->config.n_devices = 2;
    open_audit(f);
}

/* It failed for a while beside another; before it counts again it gets all it missed. */
static void back_filled(void **state)
{
    struct fixture *f = *state;
    open_two(f);
    append(f, 5);
    first_goes(f, true);
    keep(f, true);
    assert_int_equal(failing(f), 1);
    append(f, 3000);
    first_goes(f, false);
    keep(f, false);
    assert_int_equal(failing(f), 1);
    keep(f, true);
    assert_int_equal(failing(f), 0);
    append(f, 5);
    EXPECT_COPY(f, 0, f->file);
    EXPECT_COPY(f, 0, f->second);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* However often it fails and is filled. */
static void filling_keeps_nothing_open(void **state)
{
    struct fixture *f = *state;
    open_two(f);
    unsigned before = descriptors();
    for (unsigned i = 0; i < 5; i++) {
        first_goes(f, true);
        keep(f, true);
        assert_int_equal(failing(f), 1);
        append(f, 3);
        first_goes(f, false);
        keep(f, true);
        assert_int_equal(failing(f), 0);
        assert_int_equal(descriptors(), before);
    }
    EXPECT_COPY(f, 0, f->file);
    assert_int_equal(descriptors(), before);
    for (unsigned i = 0; i < 3; i++) {
        close_audit(f);
        open_audit(f); /* looks where the file ends */
        assert_int_equal(descriptors(), before);
    }
}

/* What it lacks is in it before anybody is admitted, though it takes a while. */
static void filled_at_start(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = (size_t)8 << 20;
    open_audit(f);
    append(f, 5);
    close_audit(f);
    f->config.n_devices = 0;
    open_audit(f);
    append(f, 20000);
    close_audit(f);
    f->config.n_devices = 1;
    open_audit(f);
    EXPECT_COPY(f, 0, f->file);
}

/* A device that answers is not called one that hangs. */
static void stops_without_a_word(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    append(f, 5);
    int said = open(f->second, O_RDWR | O_CREAT | O_CLOEXEC, 0600), was = dup(STDERR_FILENO);
    assert_true(said >= 0 && was >= 0);
    kt_log_set_level(KT_LOG_INFO);
    (void)dup2(said, STDERR_FILENO);
    close_audit(f);
    (void)dup2(was, STDERR_FILENO);
    kt_log_set_level((enum kt_log_level)0);
    (void)close(said);
    (void)close(was);
    size_t len = 0;
    char *text = (char *)file_read(f->second, &len);
    assert_non_null(text);
    assert_string_equal(text, "");
    free(text);
}

static void restarted(void **state)
{
    struct fixture *f = *state;
    open_audit(f);
    append(f, 10);
    close_audit(f);
    open_audit(f);
    append(f, 5);
    EXPECT_COPY(f, 0, f->file);
    close_audit(f);
    /* The last lines are gone, the last of them half. */
    size_t len = 0;
    unsigned char *at = file_read(f->file, &len);
    file_write(f->file, at, len - 700);
    free(at);
    open_audit(f);
    append(f, 1);
    size_t now = 0;
    at = file_read(f->file, &now);
    kt_autobuf struct kt_buf want;
    uint64_t next = 0;
    kt_buf_init(&want, 1 << 20);
    assert_int_equal(audit_export(f->audit, 10, UINT64_MAX, 1 << 20, &want, &next, NULL), KT_OK);
    assert_true(now > want.len);
    assert_memory_equal(at + now - want.len, want.at, want.len); /* whole lines again */
    assert_int_equal(at[now - want.len - 1], '\n');
    free(at);
}

static void begins_with_what_is_new(void **state)
{
    struct fixture *f = *state;
    f->config.n_devices = 0;
    open_audit(f);
    append(f, 10);
    close_audit(f);
    f->config.n_devices = 1;
    file_write(f->file, "somebody else's\n", 16);
    open_audit(f);
    append(f, 5);
    size_t len = 0;
    unsigned char *at = file_read(f->file, &len);
    kt_autobuf struct kt_buf want;
    uint64_t next = 0;
    kt_buf_init(&want, 1 << 20);
    kt_buf_add_text(&want, "somebody else's\n");
    assert_int_equal(audit_export(f->audit, 11, UINT64_MAX, 1 << 20, &want, &next, NULL), KT_OK);
    assert_int_equal(len, want.len);
    assert_memory_equal(at, want.at, len);
    free(at);
}

/* Half a line gets through before the disk is full. */
static void short_write(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    struct stat st;
    (void)signal(SIGXFSZ, SIG_IGN);
    f->devices[1].path = "/dev/null";
    f->config.n_devices = 2;
    open_audit(f);
    append(f, 10);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = (rlim_t)st.st_size + 50;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    append(f, 3);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(failing(f), 1);
    keep(f, true);
    assert_int_equal(failing(f), 0);
    append(f, 3);
    size_t len = 0;
    unsigned char *at = file_read(f->file, &len);
    kt_autobuf struct kt_buf want;
    uint64_t next = 0;
    kt_buf_init(&want, 1 << 20);
    assert_int_equal(audit_export(f->audit, 11, UINT64_MAX, 1 << 20, &want, &next, NULL), KT_OK);
    assert_int_equal(len, (size_t)st.st_size + 50 + 1 + want.len);
    assert_memory_equal(at + st.st_size + 51, want.at, want.len);
    free(at);
}

static unsigned times(const unsigned char *at, size_t len, const char *text)
{
    unsigned n = 0;
    const unsigned char *end = at + len, *next = at;
    while ((next = memmem(next, (size_t)(end - next), text, strlen(text))) != NULL) {
        next += strlen(text);
        n++;
    }
    return n;
}

/* Of many lines at once some get through before the disk is full, and half of one: what is whole is not
 * written again. */
static void short_write_of_many(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    struct stat st;
    char out[FOLDER_NAME + 32], away[FOLDER_NAME + 32];
    (void)snprintf(out, sizeof out, "%s/out", f->path);
    (void)snprintf(away, sizeof away, "%s/away", f->path);
    (void)signal(SIGXFSZ, SIG_IGN);
    f->devices[1].path = "/dev/null";
    f->config.n_devices = 2;
    open_audit(f);
    append(f, 10);
    assert_int_equal(stat(f->file, &st), 0);
    first_goes(f, true);
    keep(f, true);
    assert_int_equal(failing(f), 1);
    append(f, 30);
    first_goes(f, false);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = (rlim_t)st.st_size + 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    keep(f, true);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(failing(f), 1);
    keep(f, true);
    assert_int_equal(failing(f), 0);
    append(f, 3);
    size_t len = 0;
    unsigned char *at = file_read(f->file, &len);
    uint64_t size = audit_log_size(f->audit->log);
    for (uint64_t seq = 0; seq < size; seq++) {
        char end[48];
        (void)snprintf(end, sizeof end, ",\"seq\":%ju}\n", (uintmax_t)seq);
        assert_int_equal(times(at, len, end), 1);
    }
    free(at);
}

/* Whoever asks before it was ever opened is not told that it has a record. */
static void not_opened_yet(void **state)
{
    struct fixture *f = *state;
    struct audit_device *device = NULL;
    struct kt_err err = {0};
    f->config.n_devices = 0;
    open_audit(f);
    append(f, 1);
    assert_int_equal(audit_device_start(&f->devices[0], f->audit->log, 0, &device, &err), KT_OK);
    int64_t soon_ms = audit_device_deadline_ms(device);
    assert_int_equal(audit_device_wait(device, 1, soon_ms, &err), KT_BUSY);
    assert_non_null(strstr(err.what, f->file));
    assert_int_equal(audit_device_ready(device, &err), KT_OK);
    audit_device_stop(device);
}

/* The thread that an opening starts last is not to be had. */
static _Thread_local bool no_thread;
int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    return no_thread ? EAGAIN : __real_pthread_create(ret, attr, run, arg);
}

/* An opening that fails waits for what it sent to the database, which answers to it. */
static void leaves_nothing_on_its_way(void **state)
{
    struct fixture *f = *state;
    f->config.n_devices = 0;
    open_audit(f);
    append(f, 1);
    life_kill(&f->audit, f->store); /* the next opening signs a checkpoint */
    unsigned before = atomic_load(&f->store->sent);
    f->store->slow_ms = 200;
    no_thread = true;
    enum kt_kind kind = open_kind(f);
    no_thread = false;
    f->store->slow_ms = 0;
    assert_int_equal(kind, KT_IO);
    assert_non_null(strstr(f->err.what, "thread"));
    assert_true(atomic_load(&f->store->sent) > before);
    assert_int_equal(atomic_load(&f->store->answered), atomic_load(&f->store->sent));
    f->audit = NULL;
    open_audit(f);
}

static void symbolic_link(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink(f->second, f->file), 0);
    assert_int_equal(open_kind(f), KT_IO);
}

static void *appender(void *arg)
{
    struct fixture *f = arg;
    unsigned failed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        const struct audit_event event = {.type = "response", .path = "secret/data/x"};
        failed += audit_append(f->audit, &event, NULL) != KT_OK;
        if (i % 100 == 0)
            audit_reopen(f->audit);
    }
    return failed == 0 ? NULL : f;
}

static void threads(void **state)
{
    struct fixture *f = *state;
    pthread_t ids[3];
    f->devices[1].path = f->second;
    f->config.n_devices = 2;
    open_audit(f);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, appender, f), 0);
    for (size_t i = 0; i < 3; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(ids[i], &failed), 0);
        assert_null(failed);
    }
    EXPECT_COPY(f, 0, f->file);
    EXPECT_COPY(f, 0, f->second);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    kt_log_set_level((enum kt_log_level)0); /* failing devices are what is tested here */
    const struct CMUnitTest tests[] = {
        T(copies),      T(outcomes_are_copied), T(deleted),     T(rotated),   T(reopened_when_it_says_so), T(one_of_two_fails),
        T(none_at_start), T(back_filled),       T(restarted),   T(begins_with_what_is_new),
        T(filling_keeps_nothing_open), T(filled_at_start), T(stops_without_a_word),
        T(last_outcomes_are_copied),
        T(short_write), T(short_write_of_many), T(not_opened_yet), T(symbolic_link), T(threads),
        T(outcome_that_is_not_copied), T(leaves_nothing_on_its_way),
    };
    return cmocka_run_group_tests_name("audit_device", tests, NULL, NULL);
}
