#include "agent/fetch.h"

#include "agent/candidates.h"

static enum kt_kind fetch_all(struct service *service, struct values *values, struct kt_err *err)
{
    for (size_t i = 0; i < service->config->n_secrets; i++) {
        struct value *value = values_add(values, service->config->secrets[i]);
        if (value == NULL)
            return kt_fail(err, KT_NO_MEMORY, "fetching secrets");
        enum kt_kind kind = link_fetch(service->link, value->secret, 0, value, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

enum kt_kind fetch_first(struct service *service, int64_t wait_ms, struct kt_err *err)
{
    int64_t end = kt_mono_ms(&kt_system_clock) + wait_ms;
    for (;;) {
        values_free(service->values);
        service->values = values_new();
        if (service->values == NULL)
            return kt_fail(err, KT_NO_MEMORY, "fetching secrets");
        enum kt_kind kind = fetch_all(service, service->values, err);
        if (kind == KT_OK)
            link_worked(service->link);
        if (kind == KT_OK || !link_may_come_back(kind) || kt_mono_ms(&kt_system_clock) >= end)
            return kind;
        if (!link_pause(service->link, end))
            return kt_fail(err, KT_GONE, "ended while waiting for the vault");
    }
}

uint64_t version_to_run(const struct service *service, const struct wanted *wanted, size_t i)
{
    uint64_t version = wanted[i].version;
    bool stays = version == 0 || version == service->refused[i];
    return stays ? service->values->at[i].version : version;
}

/* What it has already needs no vault. */
static enum kt_kind fetch_one(struct service *service, size_t i, uint64_t version, struct value *value,
                              struct kt_err *err)
{
    const struct value *old = &service->values->at[i];
    if (version != old->version && (version != old->other_version || version == 0))
        return link_fetch(service->link, old->secret, version, value, err);
    value->version = version;
    kt_buf_add_bytes(&value->data, kt_buf_bytes(version == old->version ? &old->data : &old->other));
    return kt_buf_ok(&value->data) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", old->secret);
}

enum kt_kind fetch_wanted(struct service *service, const struct wanted *wanted, struct values *values,
                          struct kt_err *err)
{
    for (size_t i = 0; i < service->values->n; i++) {
        const struct value *old = &service->values->at[i];
        struct value *value = values_add(values, old->secret);
        if (value == NULL)
            return kt_fail(err, KT_NO_MEMORY, "fetching secrets");
        enum kt_kind kind = fetch_one(service, i, version_to_run(service, wanted, i), value, err);
        if (kind == KT_OK)
            kind = candidate_fetch(service, i, candidate_wanted(service, wanted, i, value->version), value, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}
