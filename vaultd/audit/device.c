#include "vaultd/audit/device.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/num.h"

#define FILL_BYTES ((size_t)64 * 1024) /* of lines at a time */
#define FILL_CHUNK ((size_t)16 * 1024) /* read from the log at a time */
#define REVIVE_MAX 2000u               /* records that a request may wait for */

struct audit_devices {
    struct audit_log *log;
    size_t n;
    struct audit_device *all;
};

static const struct audit_device_type *const types[] = {&audit_device_file};

/* ---- bringing one up to date; its lock is held ---- */

/* Records [next, upto) from the log. */
static enum kt_kind fill(struct audit_devices *devices, struct audit_device *device, uint64_t upto,
                         struct kt_err *err)
{
    struct audit_reader reader;
    kt_autobuf struct kt_buf lines;
    kt_buf_init(&lines, FILL_BYTES + AUDIT_LINE_MAX + 1);
    enum kt_kind kind = audit_log_reader(devices->log, device->next, FILL_CHUNK, &reader, err);
    if (kind != KT_OK)
        return kind;
    uint64_t next = device->next;
    while (kind == KT_OK && next < upto) {
        kind = audit_log_read(devices->log, &reader, next, &lines, err);
        if (kind != KT_OK)
            break;
        kt_buf_add_char(&lines, '\n');
        next++;
        if (lines.len < FILL_BYTES && next < upto)
            continue;
        kind = device->type->write(device, kt_buf_bytes(&lines), err);
        if (kind == KT_OK)
            device->next = next;
        kt_buf_reset(&lines);
    }
    audit_reader_done(&reader);
    return kind;
}

static void fail(struct audit_device *device, const struct kt_err *err)
{
    if (!atomic_load(&device->failing))
        kt_log_err(KT_LOG_ERROR, "audit-device-failed", err);
    atomic_store(&device->failing, true);
    device->type->close(device);
}

/* The number that ends a record's line: ,"seq":N} */
static bool line_seq(struct kt_bytes line, uint64_t *ret)
{
    static const char label[] = ",\"seq\":";
    size_t end = line.len;
    if (end == 0 || line.at[end - 1] != '}')
        return false;
    size_t start = end - 1;
    while (start > 0 && line.at[start - 1] >= '0' && line.at[start - 1] <= '9')
        start--;
    size_t n = sizeof label - 1;
    return start >= n && memcmp(line.at + start - n, label, n) == 0 &&
           kt_u64_parse(kt_bytes(line.at + start, end - 1 - start), UINT64_MAX, ret);
}

/* Sets next to the record behind the one the device ends with, if that one is of this log. */
static enum kt_kind find_next(struct audit_devices *devices, struct audit_device *device,
                              struct kt_err *err)
{
    kt_autobuf struct kt_buf last, record;
    kt_buf_init(&last, 2 * AUDIT_LINE_MAX);
    kt_buf_init(&record, AUDIT_LINE_MAX);
    uint64_t seq = 0;
    enum kt_kind kind = device->type->last_line(device, &last, err);
    if (kind != KT_OK)
        return kind;
    device->placed = true;
    if (!line_seq(kt_buf_bytes(&last), &seq) || seq >= audit_log_size(devices->log))
        return KT_OK;
    struct audit_reader reader;
    kind = audit_log_reader(devices->log, seq, FILL_CHUNK, &reader, err);
    if (kind != KT_OK)
        return kind;
    kind = audit_log_read(devices->log, &reader, seq, &record, err);
    audit_reader_done(&reader);
    if (kind == KT_OK && kt_bytes_equal(kt_buf_bytes(&last), kt_buf_bytes(&record)))
        device->next = device->next_at_look = seq + 1;
    return kind;
}

/* Opens a failing device and fills it; counts again when nothing is missing. */
static enum kt_kind revive(struct audit_devices *devices, struct audit_device *device,
                           uint64_t most, struct kt_err *err)
{
    if (device->fd < 0) {
        enum kt_kind kind = device->type->open(device, err);
        if (kind != KT_OK)
            return kind;
    }
    if (!device->placed) {
        enum kt_kind kind = find_next(devices, device, err);
        if (kind != KT_OK)
            return kind;
    }
    uint64_t upto = audit_log_size(devices->log);
    if (upto - device->next > most)
        return kt_fail(err, KT_BUSY, "the audit device '%s' is catching up", device->path);
    struct kt_err why = {0};
    enum kt_kind kind = upto > device->next ? fill(devices, device, upto, &why) : KT_OK;
    if (kind == KT_OK) {
        atomic_store(&device->failing, false);
        device->next_at_look = device->next;
        kt_log(KT_LOG_NOTICE, "audit-device-works", "path=\"%s\"", device->path);
        return KT_OK;
    }
    device->type->close(device);
    if (err != NULL)
        *err = why;
    return kind;
}

/* ---- all of them ---- */

enum kt_kind audit_devices_ready(struct audit_devices *devices, struct kt_err *err)
{
    for (size_t i = 0; i < devices->n; i++)
        if (!atomic_load_explicit(&devices->all[i].failing, memory_order_relaxed))
            return KT_OK;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = &devices->all[i];
        (void)pthread_mutex_lock(&device->lock);
        kind = atomic_load(&device->failing) ? revive(devices, device, REVIVE_MAX, err) : KT_OK;
        (void)pthread_mutex_unlock(&device->lock);
        if (kind == KT_OK)
            return KT_OK;
    }
    return kind;
}

static enum kt_kind write_one(struct audit_devices *devices, struct audit_device *device,
                              uint64_t seq, struct kt_bytes line, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    if (device->next > seq)
        return KT_OK; /* who wrote a later one brought it along */
    if (device->next < seq)
        kind = fill(devices, device, seq, err);
    if (kind == KT_OK)
        kind = device->type->write(device, line, err);
    if (kind == KT_OK)
        device->next = seq + 1;
    return kind;
}

enum kt_kind audit_devices_write(struct audit_devices *devices, uint64_t seq, struct kt_bytes line,
                                 struct kt_err *err)
{
    bool any = devices->n == 0;
    enum kt_kind last = KT_IO;
    struct kt_err why = {0};
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = &devices->all[i];
        if (atomic_load(&device->failing))
            continue;
        (void)pthread_mutex_lock(&device->lock);
        enum kt_kind kind = KT_IO;
        if (!atomic_load(&device->failing)) {
            kind = write_one(devices, device, seq, line, &why);
            if (kind != KT_OK)
                fail(device, &why);
        }
        (void)pthread_mutex_unlock(&device->lock);
        any = any || kind == KT_OK;
        last = kind == KT_OK ? last : kind;
    }
    if (any)
        return KT_OK;
    if (err != NULL && why.kind != KT_OK)
        *err = why;
    else
        (void)kt_fail(err, last, "no audit device can be written");
    return last;
}

/* ---- keeping ---- */

static void look(struct audit_device *device)
{
    bool lost = false;
    struct kt_err err = {0};
    if (device->type->same(device, &lost)) {
        device->next_at_look = device->next;
        return;
    }
    device->type->close(device);
    if (lost)
        device->next = device->next_at_look;
    if (device->type->open(device, &err) != KT_OK)
        fail(device, &err);
    else
        device->next_at_look = device->next;
}

void audit_devices_keep(struct audit_devices *devices, bool look_too)
{
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = &devices->all[i];
        struct kt_err err = {0};
        (void)pthread_mutex_lock(&device->lock);
        if (look_too && !atomic_load(&device->failing))
            look(device);
        uint64_t upto = audit_log_size(devices->log);
        if (atomic_load(&device->failing)) {
            if (look_too)
                (void)revive(devices, device, UINT64_MAX, &err); /* tried again next time */
        } else if (device->next < upto && fill(devices, device, upto, &err) != KT_OK) {
            fail(device, &err);
        }
        (void)pthread_mutex_unlock(&device->lock);
    }
}

void audit_devices_reopen(struct audit_devices *devices)
{
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = &devices->all[i];
        struct kt_err err = {0};
        bool lost = false;
        (void)pthread_mutex_lock(&device->lock);
        if (!atomic_load(&device->failing)) {
            (void)device->type->same(device, &lost);
            device->type->close(device);
            if (lost)
                device->next = device->next_at_look;
            if (device->type->open(device, &err) != KT_OK)
                fail(device, &err);
        }
        (void)pthread_mutex_unlock(&device->lock);
    }
    audit_devices_keep(devices, true);
}

void audit_devices_count(struct audit_devices *devices, unsigned *ret_all, unsigned *ret_failing)
{
    unsigned failing = 0;
    for (size_t i = 0; i < devices->n; i++)
        failing += atomic_load(&devices->all[i].failing) ? 1u : 0u;
    *ret_all = (unsigned)devices->n;
    *ret_failing = failing;
}

/* ---- opening ---- */

static enum kt_kind init_one(struct audit_device *device, const struct audit_device_config *config,
                             struct kt_err *err)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i]->name, config->type) == 0)
            device->type = types[i];
    if (device->type == NULL)
        return kt_fail(err, KT_INVALID, "there is no audit device of the type '%s'; there is: file",
                       config->type);
    device->fd = -1;
    device->name = strdup(config->name == NULL ? config->type : config->name);
    device->path = strdup(config->path);
    (void)pthread_mutex_init(&device->lock, NULL);
    atomic_init(&device->failing, false);
    if (device->name == NULL || device->path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit devices");
    return KT_OK;
}

static void close_at(struct audit_devices **devices)
{
    audit_devices_close(*devices);
}

enum kt_kind audit_devices_open(const struct audit_device_config *configs, size_t n,
                                struct audit_log *log, uint64_t start, struct audit_devices **ret,
                                struct kt_err *err)
{
    KT_AUTO(close_at) struct audit_devices *devices = kt_calloc(1, sizeof *devices);
    if (devices == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit devices");
    devices->log = log;
    devices->all = n == 0 ? NULL : kt_calloc(n, sizeof *devices->all);
    if (n > 0 && devices->all == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit devices");
    unsigned working = 0;
    struct kt_err why = {0};
    for (size_t i = 0; i < n; i++) {
        struct audit_device *device = &devices->all[i];
        devices->n = i + 1;
        enum kt_kind kind = init_one(device, &configs[i], err);
        if (kind != KT_OK)
            return kind;
        device->next = device->next_at_look = start;
        kind = device->type->open(device, &why);
        if (kind == KT_OK)
            kind = find_next(devices, device, &why);
        if (kind == KT_OK)
            working++;
        else
            fail(device, &why);
    }
    if (n > 0 && working == 0) {
        if (err != NULL)
            *err = why;
        return why.kind;
    }
    *ret = KT_TAKE(devices);
    return KT_OK;
}

void audit_devices_close(struct audit_devices *devices)
{
    if (devices == NULL)
        return;
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = &devices->all[i];
        if (device->type == NULL)
            continue;
        device->type->close(device);
        free(device->name);
        free(device->path);
        (void)pthread_mutex_destroy(&device->lock);
    }
    free(devices->all);
    free(devices);
}
