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

static bool is_denied(const struct denied *denied, uint64_t version)
{
    return denied->version == version && kt_mono_ms(&kt_system_clock) < denied->again_ms;
}

/* No news say that a policy was mended, so it is asked for again; each refusal is a line of the audit log. */
static void note_denied(struct denied *denied, uint64_t version, const struct kt_err *why)
{
    if (denied->version != version) {
        kt_log_err(KT_LOG_WARNING, "candidate-not-fetched", why);
        denied->version = version;
        kt_pace_init(&denied->pace);
    }
    denied->again_ms = kt_mono_ms(&kt_system_clock) + kt_pace_next_ms(&denied->pace);
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
    if (version == now->version || version == now->other_version) {
        value_put_other(value, version, kt_buf_bytes(version == now->version ? &now->data : &now->other));
        return kt_buf_ok(&value->other) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching %s", now->secret);
    }
    value->other_version = 0;
    if (is_denied(&service->denied[i], version))
        return KT_OK;
    enum kt_kind kind = fetch_other(service, i, version, value, &why);
    if (kind == KT_DENIED) {
        note_denied(&service->denied[i], version, &why);
        return KT_OK;
    }
    if (kind == KT_NOT_FOUND) {
        kt_log_err(KT_LOG_WARNING, "candidate-not-fetched", &why);
        service->refused_other[i] = version;
        return KT_OK;
    }
    if (kind != KT_OK)
        *err = why;
    return kind;
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
