#include "agent/candidates.h"

#include "lib/log.h"

uint64_t candidate_wanted(const struct service *service, const struct wanted *wanted, size_t i, uint64_t runs)
{
    const struct value *now = &service->values->at[i];
    uint64_t pending = wanted[i].pending;
    if (!service->config->two[i])
        return 0;
    if (pending != 0 && pending != runs)
        return pending == service->refused_other[i] || pending == service->refused[i] ? 0 : pending;
    if (!wanted[i].active)
        return 0;
    return runs != now->version ? now->version : now->other_version;
}

static bool is_held(const struct value *now, uint64_t version)
{
    return version == now->version || version == now->other_version;
}

uint64_t candidate_planned(const struct service *service, const struct wanted *wanted, size_t i, uint64_t runs)
{
    uint64_t version = candidate_wanted(service, wanted, i, runs);
    bool denied = denied_lasts(&service->denied_other[i], version);
    return denied && !is_held(&service->values->at[i], version) ? 0 : version;
}

/* Another version's data. */
static enum kt_kind fetch_other(struct service *service, size_t i, uint64_t version, struct value *value,
                                struct kt_err *err)
{
    const char *secret = service->config->secrets[i];
    struct values *fetched = values_new();
    struct value *other = fetched == NULL ? NULL : values_add(fetched, secret);
    enum kt_kind kind = other == NULL ? kt_fail(err, KT_NO_MEMORY, "fetching %s", secret)
                                      : link_fetch(service->link, secret, version, other, err);
    if (kind == KT_OK) {
        value_put_other(value, version, kt_buf_bytes(&other->data));
        kind = kt_buf_ok(&value->other) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", secret);
    }
    values_free(fetched);
    return kind;
}

enum kt_kind candidate_fetch(struct service *service, size_t i, struct value *value, struct kt_err *err)
{
    const struct value *now = &service->values->at[i];
    uint64_t version = value->other_version;
    struct kt_err why = {0};
    if (version == 0)
        return KT_OK;
    if (is_held(now, version)) {
        value_put_other(value, version, kt_buf_bytes(version == now->version ? &now->data : &now->other));
        return kt_buf_ok(&value->other) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", now->secret);
    }
    value->other_version = 0;
    enum kt_kind kind = fetch_other(service, i, version, value, &why);
    if (link_is_away(kind)) {
        *err = why;
        return kind;
    }
    if (kind == KT_NOT_FOUND) {
        kt_log_err(KT_LOG_WARNING, "not-fetched", &why);
        service->refused_other[i] = version;
    } else if (kind != KT_OK) {
        denied_note(&service->denied_other[i], version, &why);
    }
    return KT_OK;
}

bool candidates_differ(const struct values *a, const struct values *b, size_t i)
{
    return a->at[i].other_version != b->at[i].other_version;
}

bool candidates_only_end(const struct values *old, const struct values *values)
{
    for (size_t i = 0; i < values->n; i++)
        if (values->at[i].version != old->at[i].version ||
            (candidates_differ(old, values, i) && values->at[i].other_version != 0))
            return false;
    return true;
}
