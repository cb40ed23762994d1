#include "lib/duration.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/inventory.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/truth.h"
#include "vaultd/rotation/veto.h"

/* What an auditor asks of each secret, as sentences: each is true of the records, or left out. */

/* ---- missing ---- */

static void missing_cadence(const struct inventory *it, struct kt_jsonw *w)
{
    if (it->when.schedule == NULL)
        kt_jsonw_text(w, "its schedule cannot be read any more: set it again");
    else if (kt_schedule_is_manual(it->when.schedule) && it->max_age[0] == '\0' && it->secret.led_by[0] == '\0')
        kt_jsonw_text(w, "no schedule and no max_age: it is rotated only when somebody thinks of it");
    else if (it->max_age[0] == '\0')
        kt_jsonw_text(w, "no max_age, neither its own nor by a risk class: how old it may get is not said");
}

static void missing_people(const struct inventory *it, struct kt_jsonw *w)
{
    const struct rotation_settings *s = &it->secret.settings;
    enum risk_class risk;
    if (s->owner[0] == '\0')
        kt_jsonw_text(w, "no owner");
    if (s->risk[0] == '\0')
        kt_jsonw_text(w, "no risk class");
    else if (!risk_class_parse(s->risk, &risk))
        kt_jsonw_text(w, "its risk is none of critical, high, medium and low");
    if (s->notify[0] == '\0')
        kt_jsonw_text(w, "nobody is named who is told (notify)");
}

/* One that does not try another credential when one is refused. */
static bool has_bare(const struct inventory *it)
{
    for (size_t i = 0; i < it->n_consumers; i++)
        if (it->consumers[i].candidates != CONSUMER_TWO)
            return true;
    return false;
}

/* Who is cut off at each rotation, and did not have to be. */
static void missing_gap(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    const struct rotation_settings *s = &it->secret.settings;
    const char *text = NULL, *name = text_word(req, it->secret.name);
    if (s->strategy == STRATEGY_IN_PLACE && it->n_consumers > 1 && has_bare(it))
        text = kt_arena_printf(&req->arena,
                               "in-place with %zu consumers: who connects between the change and his own "
                               "reload is refused%s",
                               it->n_consumers, it->instead.n == 0 ? "; its target can do nothing else" : "");
    if (text != NULL)
        kt_jsonw_text(w, text);
    text = it->instead.n > 0 && !s->allow_gap && name != NULL
               ? kt_arena_printf(&req->arena,
                                 "in-place, though target %s can do without a gap: secretctl schedule set %s %s; that "
                                 "consumers may be cut off is said by allow_gap=true",
                                 s->target, name, it->instead.set[0])
               : NULL;
    if (text != NULL)
        kt_jsonw_text(w, text);
}

static void missing_ways(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    missing_gap(req, it, w);
    const char *text = it->target.failures >= ROTATION_BREAKER
               ? kt_arena_printf(&req->arena,
                                 "%u runs in a row failed at target %s: nothing starts there by schedule",
                                 it->target.failures, it->target.name)
               : NULL;
    if (text != NULL)
        kt_jsonw_text(w, text);
    if (it->version == 0)
        kt_jsonw_text(w, "it has no version yet");
    if (truth_drifted(&it->secret, it->version))
        kt_jsonw_text(w, "its target refuses what the vault has: it drifted, see secretctl run why");
    if (it->secret.held[0] != '\0')
        kt_jsonw_text(w, it->secret.held);
}

static void missing_by_warning(const struct inventory *it, int64_t now_ms, struct kt_jsonw *w)
{
    kt_autobuf struct kt_buf warnings;
    kt_buf_init(&warnings, 4096);
    if (it->when.schedule == NULL)
        return;
    kt_schedule_warn(it->when.schedule, now_ms, &warnings);
    if (warnings.len > 0)
        kt_jsonw_text(w, kt_buf_text(&warnings));
}

void inventory_missing(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "missing");
    kt_jsonw_array(w);
    missing_cadence(it, w);
    missing_people(it, w);
    missing_ways(req, it, w);
    missing_by_warning(it, req->now_ms, w);
    kt_jsonw_end(w);
}

/* ---- unproven ---- */

struct counted {
    size_t n;
    const struct consumer *first;
};

static void count(struct counted *counted, const struct consumer *consumer)
{
    if (counted->n++ == 0)
        counted->first = consumer;
}

static void say_counted(struct request *req, const struct counted *counted, const char *text,
                        struct kt_jsonw *w)
{
    if (counted->n == 0)
        return;
    const char *said = kt_arena_printf(&req->arena, "%zu of its consumers %s (%s@%s)", counted->n, text,
                                       counted->first->service, counted->first->host);
    if (said != NULL)
        kt_jsonw_text(w, said);
}

static void unproven_consumers(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    struct counted unchecked = {0}, ill = {0}, behind = {0}, aside = {0};
    for (size_t i = 0; i < it->n_consumers; i++) {
        const struct consumer *consumer = &it->consumers[i];
        if (strcmp(consumer->evidence, "healthcheck") != 0)
            count(&unchecked, consumer);
        if (consumer->state != CONSUMER_HEALTHY)
            count(&ill, consumer);
        if (!it->secret.active && consumer->version != it->version)
            count(&behind, consumer);
        if (consumer->veto != NULL && consumer->veto->aside_ms != 0)
            count(&aside, consumer);
    }
    if (it->n_consumers == 0)
        kt_jsonw_text(w, "no agent says that it uses it: who does is not known, and nobody is waited for");
    say_counted(req, &unchecked, "were never seen well by a health check", w);
    say_counted(req, &ill, "are not healthy now", w);
    say_counted(req, &behind, "do not run the current version", w);
    say_counted(req, &aside, "are put aside: no run waits for them, see secretctl consumer quarantined", w);
}

/* Drills, and how long going back takes. */
static void unproven_back(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    const struct rotation_secret *secret = &it->secret;
    int64_t most_ms = secret->settings.rto_s * 1000;
    char took[KT_DURATION_TEXT], most[KT_DURATION_TEXT];
    const char *text = NULL, *name = text_word(req, secret->name);
    kt_duration_text((uint64_t)secret->back_took_ms, took);
    kt_duration_text((uint64_t)most_ms, most);
    if (!it->went_back)
        kt_jsonw_text(w, "none of its newest runs went back: the way back was not tried lately");
    if (secret->drill_text[0] != '\0' && !secret->drill_ok)
        text = kt_arena_printf(&req->arena, "its last drill did not end well: %s", secret->drill_text);
    else if (most_ms != 0 && secret->backed_ms == 0 && name != NULL)
        text = kt_arena_printf(&req->arena, "that going back takes no longer than its objective of %s was never "
                                            "measured: secretctl drill %s",
                               most, name);
    else if (most_ms != 0 && secret->back_took_ms > most_ms)
        text = kt_arena_printf(&req->arena, "going back took %s, longer than its objective of %s", took, most);
    if (text != NULL)
        kt_jsonw_text(w, text);
}

void inventory_unproven(struct request *req, const struct inventory *it, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "unproven");
    kt_jsonw_array(w);
    if (it->secret.done_to == 0)
        kt_jsonw_text(w, "no rotation of it has ended well yet: the procedure was not tried");
    unproven_back(req, it, w);
    if (settings_has_target(&it->secret.settings) && it->target.server_id[0] == '\0')
        kt_jsonw_text(w, "its target was never reached");
    if (settings_has_target(&it->secret.settings) &&
        (it->secret.verified_ms == 0 || it->secret.look_version != it->version))
        kt_jsonw_text(w, "its target was never seen to accept the version that is current");
    unproven_consumers(req, it, w);
    kt_jsonw_end(w);
}
