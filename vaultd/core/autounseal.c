#include "vaultd/core/autounseal.h"

#include <stdio.h>

#include "lib/log.h"
#include "vaultd/barrier/seals.h"
#include "vaultd/core/private.h"

static const char *const words[SEAL_OUTCOMES_N] = {
#define X(name, word) [name] = (word),
    SEAL_OUTCOMES(X)
#undef X
};

const char *seal_outcome_word(enum seal_outcome outcome)
{
    return words[outcome];
}

/* ---- how it went ---- */

enum seal_outcome autounseal_outcome(struct core *core, const char *name)
{
    struct core_private *own = core->own;
    enum seal_outcome outcome = SEAL_UNTRIED;
    (void)pthread_mutex_lock(&own->lock);
    for (size_t i = 0; i < own->n_seal_tries; i++)
        if (strcmp(own->seal_tries[i].name, name) == 0)
            outcome = own->seal_tries[i].outcome;
    (void)pthread_mutex_unlock(&own->lock);
    return outcome;
}

unsigned autounseal_failing(struct core *core)
{
    struct core_private *own = core->own;
    unsigned n = 0;
    (void)pthread_mutex_lock(&own->lock);
    for (size_t i = 0; i < own->n_seal_tries; i++)
        n += own->seal_tries[i].outcome != SEAL_OPENED;
    (void)pthread_mutex_unlock(&own->lock);
    return n;
}

void autounseal_forget(struct core *core, const char *name)
{
    struct core_private *own = core->own;
    (void)pthread_mutex_lock(&own->lock);
    size_t i = 0;
    while (i < own->n_seal_tries && strcmp(own->seal_tries[i].name, name) != 0)
        i++;
    if (i < own->n_seal_tries)
        own->seal_tries[i] = own->seal_tries[--own->n_seal_tries];
    (void)pthread_mutex_unlock(&own->lock);
}

static void forget_all(struct core_private *own)
{
    (void)pthread_mutex_lock(&own->lock);
    own->n_seal_tries = 0;
    (void)pthread_mutex_unlock(&own->lock);
}

static void remember(struct core_private *own, const char *name, enum seal_outcome outcome)
{
    (void)pthread_mutex_lock(&own->lock);
    size_t i = 0;
    while (i < own->n_seal_tries && strcmp(own->seal_tries[i].name, name) != 0)
        i++;
    if (i < SEALS_MAX) {
        struct seal_tried *tried = &own->seal_tries[i];
        (void)snprintf(tried->name, sizeof tried->name, "%.64s", name);
        tried->outcome = outcome;
        own->n_seal_tries += i == own->n_seal_tries;
    }
    (void)pthread_mutex_unlock(&own->lock);
}

/* ---- trying ---- */

static bool is_configured(const struct core *core, const char *name)
{
    for (size_t i = 0; i < core->config.n_seals; i++)
        if (strcmp(core->config.seals[i], name) == 0)
            return true;
    return false;
}

static enum kt_kind refuse_unnamed(const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "the configuration names no credential '%s'", name);
    kt_hint(err, "seal \"credential\" { name = \"%s\" } in vaultd's configuration, and restart it", name);
    return KT_INVALID;
}

enum kt_kind autounseal_read(const struct core *core, const char *name, struct kt_secret **ret,
                             struct kt_err *err)
{
    if (!is_configured(core, name))
        return refuse_unnamed(name, err);
    return kt_credential_read(core->config.credentials, name, KT_KEY_BYTES, ret, err);
}

static enum seal_outcome outcome_of_reading(enum kt_kind kind)
{
    switch ((int)kind) {
    case KT_NOT_FOUND:
        return SEAL_MISSING;
    case KT_DENIED:
        return SEAL_EXPOSED;
    default:
        return SEAL_FAILED;
    }
}

/* One seal; what is wrong is in err. */
static enum seal_outcome try_one(struct core *core, const char *name, bool *ret_unsealed,
                                 struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = NULL;
    *ret_unsealed = false;
    if (!is_configured(core, name)) {
        (void)refuse_unnamed(name, err);
        return SEAL_NOT_CONFIGURED;
    }
    enum kt_kind kind = autounseal_read(core, name, &key, err);
    if (kind != KT_OK)
        return outcome_of_reading(kind);
    kind = barrier_seal_try(core->barrier, name, key, ret_unsealed, err);
    if (kind == KT_OK)
        return SEAL_OPENED;
    return kind == KT_INVALID ? SEAL_CHANGED : SEAL_FAILED;
}

/* A name without a seal is a step that somebody forgot. */
static void tell_unmade(const struct core *core, const struct seal_shown *seals, unsigned n)
{
    for (size_t i = 0; i < core->config.n_seals; i++) {
        const char *name = core->config.seals[i];
        bool made = false;
        for (unsigned k = 0; k < n; k++)
            made = made || strcmp(seals[k].name, name) == 0;
        if (!made && barrier_initialized(core->barrier))
            kt_log(KT_LOG_NOTICE, "seal_not_made", "name=\"%s\" next=\"secretctl operator seal-add %s\"",
                   name, name);
    }
}

/* True: one of them unsealed it, and its audit log is to be opened. */
static bool try_all(struct core *core, const struct seal_shown *seals, unsigned n, char by[KT_CREDENTIAL_NAME])
{
    bool any = false;
    forget_all(core->own);
    for (unsigned i = 0; i < n; i++) {
        struct kt_err err = {0};
        bool unsealed = false;
        enum seal_outcome outcome = try_one(core, seals[i].name, &unsealed, &err);
        remember(core->own, seals[i].name, outcome);
        if (outcome != SEAL_OPENED)
            kt_log_err(KT_LOG_WARNING, "seal_not_opened", &err);
        if (unsealed) {
            any = true;
            (void)snprintf(by, KT_CREDENTIAL_NAME, "%.64s", seals[i].name);
        }
    }
    return any;
}

enum kt_kind autounseal_run(struct core *core, struct kt_err *err)
{
    struct seal_shown seals[SEALS_MAX];
    char by[KT_CREDENTIAL_NAME] = "";
    unsigned n = barrier_seals(core->barrier, seals);
    tell_unmade(core, seals, n);
    if (n == 0) {
        (void)kt_fail(err, KT_NOT_FOUND, "this vault has no seal that opens by itself");
        kt_hint(err, "secretctl operator unseal, then secretctl operator seal-add NAME");
        return KT_NOT_FOUND;
    }
    if (try_all(core, seals, n, by)) {
        kt_log(KT_LOG_NOTICE, "seal_opened", "name=\"%s\"", by);
        enum kt_kind kind = core_unsealed(core, false, err);
        if (kind != KT_OK)
            remember(core->own, by, SEAL_REFUSED);
        return kind;
    }
    if (!barrier_sealed(core->barrier))
        return KT_OK;
    (void)kt_fail(err, KT_SEALED, "none of the vault's %u credentials opens it", n);
    kt_hint(err, "key shares do: secretctl operator unseal; secretctl operator seal-status says what is "
                 "wrong with each");
    return KT_SEALED;
}

/* ---- telling ---- */

static void write_shares(struct core *core, struct kt_jsonw *w)
{
    struct barrier_status s;
    barrier_status(core->barrier, &s);
    if (!s.initialized)
        return;
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "type", "shamir");
    kt_jsonw_kv_text(w, "id", s.seal_id);
    kt_jsonw_kv_int(w, "n", s.shares);
    kt_jsonw_kv_int(w, "t", s.threshold);
    kt_jsonw_end(w);
}

void autounseal_write(struct core *core, struct kt_jsonw *w)
{
    struct seal_shown seals[SEALS_MAX];
    unsigned n = barrier_seals(core->barrier, seals);
    kt_jsonw_key(w, "seals");
    kt_jsonw_array(w);
    write_shares(core, w);
    for (unsigned i = 0; i < n; i++) {
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "type", "credential");
        kt_jsonw_kv_text(w, "name", seals[i].name);
        kt_jsonw_kv_text(w, "id", seals[i].id);
        kt_jsonw_kv_time(w, "made", seals[i].made_ms);
        kt_jsonw_kv_text(w, "last_try", seal_outcome_word(autounseal_outcome(core, seals[i].name)));
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}
