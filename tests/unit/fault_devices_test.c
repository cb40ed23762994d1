/* Audit devices that are full, slow, hang, are replaced or cut, one while another works: nobody waits
 * longer than the timeout, nothing is missing afterwards, and what is refused says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/support/fault.h"
#include "tests/unit/audit_fake.h"
#include "tests/unit/audit_folder.h"
#include "vaultd/audit/own.h"

#define HANG_MS 2000  /* a device that will hang; what works must be quicker */
#define MUCH_MS 60000 /* no bound of ours: what a test may take on a machine that does other things */

struct fixture {
    char path[FOLDER_NAME], one[FOLDER_NAME + 32], two[FOLDER_NAME + 32], old[FOLDER_NAME + 40];
    struct store *store;
    struct audit *audit;
    struct audit_device_config devices[2];
    struct audit_config config;
    struct kt_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || kt_secret_init(NULL) != KT_OK)
        return -1;
    folder_make(f->path);
    (void)snprintf(f->one, sizeof f->one, "%s/one.log", f->path);
    (void)snprintf(f->two, sizeof f->two, "%s/two.log", f->path);
    (void)snprintf(f->old, sizeof f->old, "%s.1", f->one);
    f->store = fake_store_new();
    f->devices[0] = (struct audit_device_config){"file", "file", f->one, MUCH_MS};
    f->devices[1] = (struct audit_device_config){"file", "file", f->two, MUCH_MS};
    f->config = (struct audit_config){.folder = f->path,
                                      .origin = "keyturn/test",
                                      .devices = f->devices,
                                      .n_devices = 1,
                                      .fence = 1,
                                      .sync_ms = 3600000,
                                      .checkpoint_ms = 3600000,
                                      .segment_bytes = 64 * 1024};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)fault_clear();
    audit_close(f->audit);
    fake_store_free(f->store);
    folder_remove(f->path);
    free(f);
    return 0;
}

static void open_audit(struct fixture *f, size_t devices)
{
    f->config.n_devices = devices;
    if (audit_open(&f->config, NULL, f->store, &kt_system_clock, &f->audit, &f->err) != KT_OK)
        fail_msg("%s", f->err.what);
}

static enum kt_kind append_one(struct fixture *f)
{
    const struct audit_event event = {.type = "response", .path = "secret/data/x"};
    return audit_append(f->audit, &event, &f->err);
}

static void append(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (append_one(f) != KT_OK)
            fail_msg("%s", f->err.what);
}

static void keep(struct fixture *f)
{
    audit_devices_ask(f->audit->devices, DEVICE_LOOK);
    audit_devices_settle(f->audit->devices);
}

static unsigned failing(struct fixture *f)
{
    struct audit_status status;
    audit_status(f->audit, &status);
    return status.devices_failing;
}

static void pause_ms(long ms)
{
    (void)nanosleep(&(const struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void until_failing(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < MUCH_MS && failing(f) != n; i++) {
        keep(f);
        pause_ms(1);
    }
    assert_int_equal(failing(f), n);
}

/* The files, one after the other, hold exactly the log from record `from` on. */
static void expect_copy(struct fixture *f, uint64_t from, const char *first, const char *second)
{
    kt_autobuf struct kt_buf want, got;
    uint64_t next = 0;
    kt_buf_init(&want, 1 << 24);
    kt_buf_init(&got, 1 << 24);
    assert_int_equal(audit_export(f->audit, from, UINT64_MAX, 1 << 24, &want, &next, NULL), KT_OK);
    const char *const files[] = {first, second};
    for (size_t i = 0; i < 2 && files[i] != NULL; i++) {
        size_t len = 0;
        unsigned char *at = file_read(files[i], &len);
        if (len > 0)
            kt_buf_add(&got, at, len);
        free(at);
    }
    if (!kt_bytes_equal(kt_buf_bytes(&want), kt_buf_bytes(&got)))
        fail_msg("the copy differs:\n%.2000s\n%.2000s", kt_buf_text(&got), kt_buf_text(&want));
}

static void write_fault(enum fault_how how, int error, const char *below, bool for_good)
{
    fault_set(&(const struct fault){.kind = FAULT_WRITE,
                                    .how = how,
                                    .nth = 1,
                                    .for_good = for_good,
                                    .error = error,
                                    .below = below});
}

static void refused(struct fixture *f, const char *why)
{
    uint64_t size = audit_log_size(f->audit->log);
    assert_int_not_equal(append_one(f), KT_OK);
    if (strstr(f->err.what, f->one) == NULL || strstr(f->err.what, why) == NULL)
        fail_msg("not '%s' but: %s", why, f->err.what);
    /* The first may have gone into the log before its device was found wanting; none after it. */
    assert_true(audit_log_size(f->audit->log) <= size + 1);
    size = audit_log_size(f->audit->log);
    assert_int_not_equal(append_one(f), KT_OK);
    assert_int_equal(audit_log_size(f->audit->log), size);
}

/* ---- the cases ---- */

static void full(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EDQUOT, EIO, EFBIG};
    open_audit(f, 1);
    append(f, 10);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        write_fault(FAULT_ERROR, errors[i], f->one, true);
        refused(f, kt_errno_text(errors[i]));
        assert_non_null(strstr(f->err.hint, "goes on by itself"));
        assert_int_equal(failing(f), 1);
        (void)fault_clear();
        append(f, 3); /* by itself */
        assert_int_equal(failing(f), 0);
        expect_copy(f, 0, f->one, NULL);
    }
}

static void interrupted_and_short(void **state)
{
    struct fixture *f = *state;
    open_audit(f, 1);
    write_fault(FAULT_SHORT, 0, f->one, true);
    append(f, 10);
    assert_true(fault_hits() > 10);
    (void)fault_clear();
    write_fault(FAULT_ERROR, EINTR, f->one, false);
    append(f, 10);
    assert_true(fault_hits() > 0);
    assert_int_equal(failing(f), 0);
    expect_copy(f, 0, f->one, NULL);
}

static void hangs_alone(void **state)
{
    struct fixture *f = *state;
    f->devices[0].timeout_ms = HANG_MS;
    open_audit(f, 1);
    append(f, 10);
    write_fault(FAULT_HANG, 0, f->one, true);
    refused(f, "does not answer");
    assert_int_equal(fault_hanging(), 1);
    /* Nobody waits a second time. */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_not_equal(append_one(f), KT_OK);
    (void)fault_clear();
    until_failing(f, 0);
    append(f, 3);
    expect_copy(f, 0, f->one, NULL);
}

static void hangs_beside_another(void **state)
{
    struct fixture *f = *state;
    f->devices[0].timeout_ms = HANG_MS;
    open_audit(f, 2);
    append(f, 10);
    write_fault(FAULT_HANG, 0, f->one, true);
    append(f, 50);
    assert_int_equal(fault_hanging(), 1);
    assert_int_equal(failing(f), 1);
    audit_reopen(f->audit); /* does not wait for it either */
    append(f, 50);
    expect_copy(f, 0, f->two, NULL);
    (void)fault_clear();
    until_failing(f, 0);
    expect_copy(f, 0, f->one, NULL);
}

static void hangs_while_it_is_opened(void **state)
{
    struct fixture *f = *state;
    fault_set(&(const struct fault){.kind = FAULT_READ, .how = FAULT_HANG, .nth = 1, .below = f->one});
    f->devices[0].timeout_ms = HANG_MS;
    file_write(f->one, "x\n", 2); /* something that is read at the start */
    f->config.n_devices = 1;
    assert_int_equal(
        audit_open(&f->config, NULL, f->store, &kt_system_clock, &f->audit, &f->err), KT_BUSY);
    assert_non_null(strstr(f->err.what, "does not answer"));
    assert_int_equal(fault_hanging(), 1); /* its thread is left to itself */
    (void)fault_clear();
    for (unsigned i = 0; i < MUCH_MS && fault_hanging() > 0; i++)
        pause_ms(1);
    open_audit(f, 1);
    append(f, 3);
}

static void hangs_while_it_is_closed(void **state)
{
    struct fixture *f = *state;
    f->devices[0].timeout_ms = HANG_MS;
    open_audit(f, 1);
    append(f, 10);
    write_fault(FAULT_HANG, 0, f->one, true);
    refused(f, "does not answer");
    audit_close(f->audit); /* comes back */
    f->audit = NULL;
    assert_int_equal(fault_hanging(), 1);
    (void)fault_clear();
    for (unsigned i = 0; i < MUCH_MS && fault_hanging() > 0; i++)
        pause_ms(1);
    open_audit(f, 1); /* goes on behind what got through */
    append(f, 3);
    expect_copy(f, 0, f->one, NULL);
}

struct slow {
    struct fixture *f;
    atomic_bool stop;
};

/* Lets each write through after a while. */
static void *let_through(void *arg)
{
    struct slow *slow = arg;
    while (!atomic_load(&slow->stop)) {
        while (fault_hanging() == 0 && !atomic_load(&slow->stop))
            pause_ms(1);
        pause_ms(20);
        (void)fault_clear();
        write_fault(FAULT_HANG, 0, slow->f->one, true);
    }
    (void)fault_clear();
    return NULL;
}

static void *appender(void *arg)
{
    struct fixture *f = arg;
    unsigned failed = 0;
    for (unsigned i = 0; i < 20; i++) {
        const struct audit_event event = {.type = "response", .path = "secret/data/x"};
        failed += audit_append(f->audit, &event, NULL) != KT_OK;
    }
    return failed == 0 ? NULL : f;
}

/* Slower than a request, faster than the timeout: many share one write. */
static void slow(void **state)
{
    struct fixture *f = *state;
    struct slow slow = {.f = f};
    pthread_t through, ids[16];
    open_audit(f, 1);
    write_fault(FAULT_HANG, 0, f->one, true);
    assert_int_equal(pthread_create(&through, NULL, let_through, &slow), 0);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, appender, f), 0);
    for (size_t i = 0; i < 16; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(ids[i], &failed), 0);
        assert_null(failed);
    }
    atomic_store(&slow.stop, true);
    assert_int_equal(pthread_join(through, NULL), 0);
    assert_int_equal(failing(f), 0);
    expect_copy(f, 0, f->one, NULL);
}

/* Another file has its name: noticed by the inode. */
static void replaced(void **state)
{
    struct fixture *f = *state;
    open_audit(f, 1);
    append(f, 10);
    assert_int_equal(rename(f->one, f->old), 0);
    file_write(f->one, "", 0);
    append(f, 10); /* nobody looked yet */
    keep(f);
    append(f, 10);
    expect_copy(f, 0, f->old, f->one);
}

static void replaced_by_what_is_no_file(void **state)
{
    struct fixture *f = *state;
    open_audit(f, 1);
    append(f, 10);
    assert_int_equal(rename(f->one, f->old), 0);
    assert_int_equal(symlink(f->two, f->one), 0);
    keep(f);
    refused(f, "cannot open");
    assert_int_equal(unlink(f->one), 0);
    assert_int_equal(mkfifo(f->one, 0600), 0);
    refused(f, "is not a file");
    assert_int_equal(unlink(f->one), 0);
    assert_int_equal(mkdir(f->one, 0700), 0);
    refused(f, "cannot open");
    assert_int_equal(rmdir(f->one), 0);
    append(f, 5);
    expect_copy(f, 0, f->old, f->one);
}

/* logrotate's copytruncate: lines go on at the start, each whole. */
static void cut(void **state)
{
    struct fixture *f = *state;
    open_audit(f, 1);
    append(f, 10);
    keep(f);
    uint64_t had = audit_log_size(f->audit->log);
    assert_int_equal(truncate(f->one, 0), 0);
    append(f, 5);
    keep(f);
    append(f, 5);
    assert_int_equal(failing(f), 0);
    expect_copy(f, had, f->one, NULL);
    /* Cut in the middle of a line: the next one begins a line of its own. */
    assert_int_equal(truncate(f->one, 7), 0);
    keep(f);
    append(f, 1);
    size_t len = 0;
    unsigned char *at = file_read(f->one, &len);
    assert_true(len > 8);
    assert_int_equal(at[7], '\n');
    assert_int_equal(at[8], '{');
    free(at);
}

/* An outcome whose device is full waits in the log until there is room. */
static void what_was_begun_is_finished(void **state)
{
    struct fixture *f = *state;
    kt_autobuf struct kt_buf sealed;
    const struct audit_event event = {.type = "response", .request_id = "x", .path = "secret/data/x"};
    open_audit(f, 1);
    append(f, 1);
    kt_buf_init(&sealed, STORE_OUTCOME_MAX);
    assert_int_equal(audit_outcome_seal(f->audit, &event, &sealed, NULL), KT_OK);
    write_fault(FAULT_ERROR, ENOSPC, f->one, true);
    const struct commit_result result = {.error = STORE_OK, .at = 10};
    audit_outcome_done(f->audit, kt_buf_bytes(&sealed), &result);
    refused(f, "No space left on device");
    (void)fault_clear();
    until_failing(f, 0);
    expect_copy(f, 0, f->one, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    kt_log_set_level((enum kt_log_level)0); /* failing devices are what is tested here */
    const struct CMUnitTest tests[] = {
        T(full),
        T(interrupted_and_short),
        T(hangs_alone),
        T(hangs_beside_another),
        T(hangs_while_it_is_opened),
        T(hangs_while_it_is_closed),
        T(slow),
        T(replaced),
        T(replaced_by_what_is_no_file),
        T(cut),
        T(what_was_begun_is_finished),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault_devices", tests, NULL, NULL);
}
