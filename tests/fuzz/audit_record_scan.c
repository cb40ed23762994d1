/* tests/fuzz/audit_record_scan.c - opening a log whose files hold anything.
 *
 * First byte even: the rest is the first segment. Nobody sealed it, so the log is empty. Odd: a log
 * of 24 records, then damage: each 5 bytes of input are file, offset (u16), length, value. The log
 * opens with some first part of its records, each of them whole, and can be appended to. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/assert.h"
#include "vaultd/audit/log.h"

#include "tests/fuzz/fuzz.h"

#define RECORDS 24u
#define SEGMENT AUDIT_SEGMENT_MIN

static const unsigned char key[32] = {1};
static const struct audit_sealer sealer = {.key = key, .vault = {1}, .log = 1};

static const char *const files[] = {"000000.seg", "000001.seg", "index", "tree.8", "running",
                                    "log", "tree.16", "tree.24", "000002.seg", "000003.seg"};

static void empty(int folder)
{
    int log = openat(folder, "f1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; log >= 0 && i < sizeof files / sizeof files[0]; i++)
        (void)unlinkat(log, files[i], 0); /* not each is there */
    if (log >= 0)
        (void)close(log);
}

struct folder {
    char path[64];
    int fd;
};

static struct folder *the_folder(void)
{
    static struct folder folder = {"/dev/shm/keyturn-fuzz-log-XXXXXX", -1};
    return &folder;
}

static void remove_folder(void)
{
    struct folder *folder = the_folder();
    empty(folder->fd);
    (void)unlinkat(folder->fd, "f1", AT_REMOVEDIR);
    (void)rmdir(folder->path);
}

static int open_folder(void)
{
    struct folder *folder = the_folder();
    if (folder->fd < 0) {
        KT_ASSERT(mkdtemp(folder->path) != NULL);
        folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        KT_ASSERT(folder->fd >= 0 && atexit(remove_folder) == 0);
    }
    return folder->fd;
}

static void append(struct audit_log *log, uint64_t n)
{
    kt_autobuf struct kt_buf line;
    uint64_t seq = 0;
    kt_buf_init(&line, 8192);
    kt_buf_add_u8(&line, 0);
    kt_buf_printf(&line, "{\"time\":\"2025-01-02T03:04:05Z\",\"n\":\"%020ju\",\"fill\":\"%*s\"",
                  (uintmax_t)n, (int)(n * 97 % 2500), "");
    KT_ASSERT(audit_log_append(log, &line, &seq, NULL) == KT_OK && seq == n);
}

static struct audit_log *open_log(int folder)
{
    const struct audit_trust nothing = {0};
    struct audit_log *log = NULL;
    struct audit_found found;
    KT_ASSERT(audit_log_open(folder, "f1", &sealer, &nothing, &log, &found, NULL) == KT_OK);
    KT_ASSERT(found.size == audit_log_size(log));
    return log;
}

static void read_all(struct audit_log *log, uint64_t size)
{
    struct audit_reader reader;
    if (size == 0)
        return;
    KT_ASSERT(audit_log_reader(log, 0, 4096, &reader, NULL) == KT_OK);
    for (uint64_t seq = 0; seq < size; seq++) {
        kt_autobuf struct kt_buf line;
        char number[32];
        kt_buf_init(&line, 8192);
        KT_ASSERT(audit_log_read(log, &reader, seq, &line, NULL) == KT_OK);
        (void)snprintf(number, sizeof number, "\"n\":\"%020ju\"", (uintmax_t)seq);
        KT_ASSERT(strstr(kt_buf_text(&line), number) != NULL);
    }
    audit_reader_done(&reader);
}

static void put(int folder, const char *name, size_t at, const unsigned char *bytes, size_t len)
{
    char path[64];
    (void)snprintf(path, sizeof path, "f1/%s", name);
    int fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    KT_ASSERT(len == 0 || pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    (void)close(fd);
}

static void damage(int folder, const uint8_t *at)
{
    unsigned char bytes[256];
    size_t offset = kt_get_u16(at + 1) % (SEGMENT - sizeof bytes);
    memset(bytes, at[4], sizeof bytes);
    put(folder, files[at[0] % 4], offset, bytes, at[3]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct audit_log *log = NULL;
    int folder = open_folder();
    if (size < 1)
        return 0;
    empty(folder);
    KT_ASSERT(audit_log_create(folder, "f1", &sealer, SEGMENT, &log, NULL) == KT_OK);
    bool whole = data[0] & 1;
    for (uint64_t n = 0; whole && n < RECORDS; n++)
        append(log, n);
    audit_log_close(log, false);
    if (!whole)
        put(folder, files[0], 0, data + 1, size - 1 < SEGMENT ? size - 1 : SEGMENT);
    for (size_t at = 1; whole && at + 5 <= size && at < 200; at += 5)
        damage(folder, data + at);
    log = open_log(folder);
    uint64_t found = audit_log_size(log);
    KT_ASSERT(found <= (whole ? RECORDS : 0));
    read_all(log, found);
    append(log, found);
    audit_log_close(log, false);
    log = open_log(folder);
    KT_ASSERT(audit_log_size(log) == found + 1);
    read_all(log, found + 1);
    audit_log_close(log, true);
    return 0;
}
