#include "vaultd/audit/devices.h"

#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"

struct audit_devices {
    size_t n;
    struct audit_device *all[];
};

enum kt_kind audit_devices_ready(struct audit_devices *devices, struct kt_err *err)
{
    for (size_t i = 0; i < devices->n; i++)
        if (!audit_device_failing(devices->all[i]))
            return KT_OK;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < devices->n; i++) {
        kind = audit_device_ready(devices->all[i], err);
        if (kind == KT_OK)
            return KT_OK;
    }
    return kind;
}

enum kt_kind audit_devices_write(struct audit_devices *devices, uint64_t seq, struct kt_bytes line,
                                 struct kt_err *err)
{
    bool any = devices->n == 0;
    struct kt_err why = {0};
    for (size_t i = 0; i < devices->n; i++)
        audit_device_offer(devices->all[i], seq, line);
    /* They work side by side: each has its timeout from here on. */
    for (size_t i = 0; i < devices->n; i++) {
        struct audit_device *device = devices->all[i];
        if (audit_device_wait(device, seq + 1, audit_device_deadline_ms(device), &why) == KT_OK)
            any = true;
    }
    if (any)
        return KT_OK;
    if (err != NULL)
        *err = why;
    return why.kind;
}

void audit_devices_ask(struct audit_devices *devices, unsigned work)
{
    for (size_t i = 0; i < devices->n; i++)
        audit_device_ask(devices->all[i], work);
}

void audit_devices_settle(struct audit_devices *devices)
{
    for (size_t i = 0; i < devices->n; i++)
        audit_device_settle(devices->all[i]);
}

void audit_devices_count(struct audit_devices *devices, unsigned *ret_all, unsigned *ret_failing)
{
    unsigned failing = 0;
    for (size_t i = 0; i < devices->n; i++)
        failing += audit_device_failing(devices->all[i]) ? 1u : 0u;
    *ret_all = (unsigned)devices->n;
    *ret_failing = failing;
}

/* ---- opening ---- */

static void close_at(struct audit_devices **devices)
{
    audit_devices_close(*devices);
}

enum kt_kind audit_devices_open(const struct audit_device_config *configs, size_t n,
                                struct audit_log *log, uint64_t start, struct audit_devices **ret,
                                struct kt_err *err)
{
    KT_AUTO(close_at)
    struct audit_devices *devices = kt_calloc(1, sizeof *devices + n * sizeof devices->all[0]);
    if (devices == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit devices");
    for (; devices->n < n; devices->n++) {
        enum kt_kind kind = audit_device_start(&configs[devices->n], log, start,
                                               &devices->all[devices->n], err);
        if (kind != KT_OK)
            return kind;
    }
    unsigned working = 0;
    struct kt_err why = {0};
    for (size_t i = 0; i < n; i++)
        working += audit_device_ready(devices->all[i], &why) == KT_OK;
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
    for (size_t i = 0; i < devices->n; i++)
        audit_device_stop(devices->all[i]);
    free(devices);
}
