/* A device that never runs out of lines to write: it is looked at and opened anew all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "lib/log.h"
#include "tests/unit/audit_folder.h"
#include "vaultd/audit/device.h"

#define SEGMENT     ((size_t)8 * 1024 * 1024)
#define TIMEOUT_MS  20000
#define LINES_ENOUGH 5000u /* far more than two rounds write, far less than come within the timeout */

/* ---- while one line is written, the next one comes ---- */

static struct {
    atomic_bool on;
    atomic_uint lines;
    struct audit_log *log;
    struct audit_device *device;
} flow;

static void pause_ms(long ms)
{
    (void)nanosleep(&(const struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void offer_one(void)
{
    static const char open_line[] = "{\"time\":\"2025-01-02T03:04:05Z\",\"type\":\"response\","
                                    "\"request\":{\"id\":\"some request\"}";
    uint64_t seq = 0;
    kt_autobuf struct kt_buf line, text;
    kt_buf_init(&line, 1024);
    kt_buf_init(&text, 1024);
    kt_buf_add_text(&line, open_line);
    if (audit_log_append(flow.log, &line, &seq, NULL) != KT_OK)
        abort();
    kt_buf_printf(&text, "%s,\"seq\":%ju}\n", open_line, (uintmax_t)seq);
    audit_device_offer(flow.device, seq, kt_buf_bytes(&text));
    (void)atomic_fetch_add(&flow.lines, 1);
}

ssize_t write(int fd, const void *at, size_t len)
{
    if (atomic_load(&flow.on)) {
        pause_ms(1);
        offer_one();
    }
    return syscall(SYS_write, fd, at, len);
}

/* ---- the test ---- */

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static void until_there(const char *path)
{
    for (unsigned i = 0; i < TIMEOUT_MS && !is_there(path); i++)
        pause_ms(1);
}

static void it_is_looked_at(void **state)
{
    (void)state;
    char folder[FOLDER_NAME], file[FOLDER_NAME + 32], old[FOLDER_NAME + 32];
    struct kt_err err = {0};
    unsigned char key[32] = {3};
    const struct audit_sealer sealer = {.key = key, .vault = "sixteen bytes id", .log = 1};
    folder_make(folder);
    (void)snprintf(file, sizeof file, "%s/audit.log", folder);
    (void)snprintf(old, sizeof old, "%s/audit.log.1", folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(audit_log_create(fd, "f1", &sealer, SEGMENT, &flow.log, &err), KT_OK);
    const struct audit_device_config config = {"file", "file", file, TIMEOUT_MS};
    assert_int_equal(audit_device_start(&config, flow.log, 0, &flow.device, &err), KT_OK);
    assert_int_equal(audit_device_ready(flow.device, &err), KT_OK);

    offer_one();
    atomic_store(&flow.on, true);
    offer_one();
    while (atomic_load(&flow.lines) < 10)
        pause_ms(1);
    assert_int_equal(rename(file, old), 0);
    unsigned before = atomic_load(&flow.lines);
    audit_device_ask(flow.device, DEVICE_LOOK);
    audit_device_settle(flow.device);
    unsigned between = atomic_load(&flow.lines) - before;
    until_there(file);
    bool looked = is_there(file);
    atomic_store(&flow.on, false);
    audit_device_stop(flow.device);
    audit_log_close(flow.log, true);
    (void)close(fd);
    folder_remove(folder);
    assert_true(looked);
    assert_true(between < LINES_ENOUGH); /* what was asked was done, and who waited for it went on */
}

int main(void)
{
    kt_log_set_level((enum kt_log_level)0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_looked_at)};
    return cmocka_run_group_tests_name("audit_flow", tests, NULL, NULL);
}
