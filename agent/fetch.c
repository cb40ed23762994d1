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

static bool may_come_back(enum kt_kind kind)
{
    return kind == KT_IO || kind == KT_TIMEOUT || kind == KT_SEALED || kind == KT_BUSY ||
           kind == KT_TOO_MANY || kind == KT_INTERNAL || kind == KT_UNKNOWN;
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
        if (kind == KT_OK || !may_come_back(kind) || kt_mono_ms(&kt_system_clock) >= end)
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

bool version_goes_back(const struct service *service, size_t i, uint64_t version)
{
    return version < service->values->at[i].version && !service->later[i];
}

static enum turn turn_of(const struct service *service, const struct wanted *wanted, size_t i)
{
    uint64_t running = service->values->at[i].version, version = version_to_run(service, wanted, i);
    if (version == running)
        return TURN_CANDIDATES;
    if (version_goes_back(service, i, version))
        return TURN_BACK;
    return wanted[i].active ? TURN_ROTATED : TURN_WRITTEN;
}

static bool has_news(const struct service *service, const struct values *values, enum turn turn)
{
    bool differs = values_differ(service->values, values);
    for (size_t i = 0; i < values->n && turn == TURN_CANDIDATES; i++)
        differs = differs || candidates_differ(service->values, values, i);
    return differs;
}

struct values *fetch_plan(const struct service *service, const struct wanted *wanted, enum turn turn)
{
    struct values *values = values_new();
    for (size_t i = 0; values != NULL && i < service->values->n; i++) {
        const struct value *now = &service->values->at[i];
        struct value *value = values_add(values, now->secret);
        uint64_t version = version_to_run(service, wanted, i);
        bool moves = turn_of(service, wanted, i) == turn && !denied_lasts(&service->denied[i], version);
        value->version = moves ? version : now->version;
        value->other_version = moves || turn != TURN_BACK ? candidate_planned(service, wanted, i, value->version)
                                                          : now->other_version;
    }
    if (values == NULL || has_news(service, values, turn))
        return values;
    values_free(values);
    return NULL;
}

static enum kt_kind fetch_one(struct service *service, size_t i, struct value *value, struct kt_err *err)
{
    const struct value *old = &service->values->at[i];
    uint64_t version = value->version;
    if (version != old->version && (version != old->other_version || version == 0))
        return link_fetch(service->link, old->secret, version, value, err);
    kt_buf_add_bytes(&value->data, kt_buf_bytes(version == old->version ? &old->data : &old->other));
    return kt_buf_ok(&value->data) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", old->secret);
}

/* A secret whose version cannot be had stays as it is. Once it can that is as good as news: others may have been tried
 * without it. */
static enum kt_kind fetch_or_stay(struct service *service, size_t i, struct value *value, struct kt_err *err)
{
    const struct value *now = &service->values->at[i];
    struct kt_err why = {0};
    enum kt_kind kind = fetch_one(service, i, value, &why);
    if (kind == KT_OK && denied_ends(&service->denied[i], value->version))
        service->others_again = service->others_again || !service->reports.rotating[i];
    if (kind != KT_OK && !link_is_away(kind)) {
        denied_note(&service->denied[i], value->version, &why);
        value->version = now->version;
        value->other_version = now->other_version;
        kind = fetch_one(service, i, value, &why);
    }
    if (kind != KT_OK)
        *err = why;
    return kind;
}

enum kt_kind fetch_planned(struct service *service, struct values *values, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < values->n && kind == KT_OK; i++) {
        kind = fetch_or_stay(service, i, &values->at[i], err);
        if (kind == KT_OK)
            kind = candidate_fetch(service, i, &values->at[i], err);
    }
    return kind;
}
