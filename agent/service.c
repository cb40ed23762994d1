#include "agent/service.h"

#include <stdio.h>

#include "agent/candidates.h"
#include "agent/fetch.h"
#include "lib/log.h"

enum kt_kind service_init(struct service *service, const struct config *config,
                          struct supervisor *s, struct link *link, struct kt_err *err)
{
    *service = (struct service){.config = config, .s = s, .link = link, .values = values_new()};
    kt_pace_init(&service->place.pace);
    return service->values == NULL ? kt_fail(err, KT_NO_MEMORY, "starting") : KT_OK;
}

void service_free(struct service *service)
{
    values_free(service->values);
    service->values = NULL;
}

static struct health_result run_with(struct service *service, const struct values *values,
                                     const struct health_result *baseline)
{
    struct health_result health = {0};
    if (!place_put(service, values, health.detail))
        return health;
    return health_verdict(service->s, &service->config->health, baseline);
}

/* It was not well with both: the vault hears that it has one. Whose fault that was is certain only where nothing else
 * came with it, and where it is well without. */
static void give_up_candidate(struct service *service, size_t i, const struct values *tried,
                              const struct health_result *failed, const struct health_result *old)
{
    char why[160];
    uint64_t other = tried->at[i].other_version;
    (void)snprintf(why, sizeof why, "not well with v%llu beside it: %.100s", (unsigned long long)other, failed->detail);
    if (old->healthy && !values_differ(service->values, tried)) /* else it is tried again, alone */
        service->refused_other[i] = other;
    (void)report_say(service, i, service->values->at[i].version, old->healthy ? "healthy" : "unhealthy", why, old,
                     NULL);
}

static void go_back(struct service *service, struct values *tried,
                    const struct health_result *failed, const struct health_result *baseline)
{
    for (size_t i = 0; i < tried->n; i++)
        if (tried->at[i].version != service->values->at[i].version) {
            service->refused[i] = tried->at[i].version;
            (void)report_say(service, i, tried->at[i].version, "unhealthy", failed->detail, failed,
                      baseline);
        }
    struct health_result old = run_with(service, service->values, baseline);
    const char *state = old.healthy ? "rolled_back" : "unhealthy";
    const char *why =
        old.healthy ? failed->detail : "neither the new nor the old version is healthy";
    for (size_t i = 0; i < tried->n; i++) {
        uint64_t version = service->values->at[i].version;
        if (tried->at[i].version == version) {
            /* One that was to end is nothing that was tried: it ends without a restart. */
            if (candidates_differ(service->values, tried, i) && tried->at[i].other_version != 0)
                give_up_candidate(service, i, tried, failed, &old);
            continue;
        }
        /* The new one's word is said again first; and it may not be known which one runs. */
        if (service->reports.unheard[i] != NULL || service->place.astray)
            report_later(service, i, state, why);
        else
            (void)report_say(service, i, version, state, why, &old, baseline);
    }
    kt_log(KT_LOG_WARNING, "went-back", "service=%s healthy=%s why=\"%.150s\"",
           service->config->service, old.healthy ? "yes" : "no", failed->detail);
}

/* Is there something to move to? After a move: something is left to be tried, and no news need come for that. */
static bool differs(const struct service *service, const struct wanted *wanted)
{
    for (size_t i = 0; i < service->values->n; i++) {
        const struct value *now = &service->values->at[i];
        uint64_t version = version_to_run(service, wanted, i);
        if (version != now->version || candidate_wanted(service, wanted, i, version) != now->other_version)
            return true;
    }
    return false;
}

static bool stays(const struct values *old, const struct values *values, size_t i)
{
    return values->at[i].version == old->at[i].version && !candidates_differ(old, values, i);
}

/* On the way back there is no other version to try: it stays, well or not. */
static void take_over(struct service *service, struct values *values,
                      const struct health_result *health, const struct health_result *baseline)
{
    struct values *old = service->values;
    service->values = values;
    for (size_t i = 0; i < values->n; i++) {
        if (stays(old, values, i))
            continue;
        (void)report_say(service, i, values->at[i].version, health->healthy ? "healthy" : "unhealthy",
                  health->detail, health, baseline);
        if (values->at[i].version == old->at[i].version) {
            kt_log(KT_LOG_NOTICE, "candidate-held", "service=%s secret=%s version=%llu beside=%llu",
                   service->config->service, values->at[i].secret, (unsigned long long)values->at[i].other_version,
                   (unsigned long long)values->at[i].version);
            continue;
        }
        service->refused[i] = 0;
        kt_log(KT_LOG_NOTICE, "version-applied", "service=%s secret=%s from=%llu to=%llu p95_ms=%u",
               service->config->service, values->at[i].secret,
               (unsigned long long)old->at[i].version, (unsigned long long)values->at[i].version,
               health->p95_ms);
    }
    values_free(old);
}

/* Where one account has one password, the old one ends before anybody can have the new one: then
 * nothing can be healthy before the change. Of what is written without a rotation the vault names no version before: a
 * wrong password is mended by writing the right one. */
static bool runs_dead_version(const struct service *service, const struct values *values,
                              const struct wanted *wanted)
{
    for (size_t i = 0; i < values->n; i++) {
        uint64_t running = service->values->at[i].version;
        if (values->at[i].version != running && wanted_is_dead(&wanted[i], running))
            return true;
    }
    return false;
}

/* There is less to be tried than before: the files say so, and the program is left alone. */
static void end_candidates(struct service *service, struct values *values)
{
    struct kt_err err = {0};
    struct values *old = service->values;
    if (place_files(service, values, &err) != KT_OK) {
        kt_log_err(KT_LOG_ERROR, "files-failed", &err);
        values_free(values);
        return;
    }
    service->values = values;
    for (size_t i = 0; i < values->n; i++)
        if (candidates_differ(old, values, i) && !service->reports.uneasy[i])
            (void)report_say(service, i, values->at[i].version, "healthy", NULL, NULL, NULL);
    values_free(old);
}

static bool goes_back(const struct service *service, const struct values *values)
{
    for (size_t i = 0; i < values->n; i++)
        if (version_goes_back(service, i, values->at[i].version))
            return true;
    return false;
}

/* Before anything is touched, or fetched. */
static struct health_result look_before(struct service *service, const struct values *values,
                                        const struct wanted *wanted)
{
    if (candidates_only_end(service->values, values) || goes_back(service, values) ||
        runs_dead_version(service, values, wanted))
        return (struct health_result){.healthy = true};
    return health_baseline(service->s, &service->config->health);
}

/* Of the versions that run, where another is to run. */
static void say_of_moving(struct service *service, const struct values *values, const char *state,
                          const char *detail, const struct health_result *health,
                          const struct health_result *baseline)
{
    for (size_t i = 0; i < values->n; i++)
        if (values->at[i].version != service->values->at[i].version)
            (void)report_say(service, i, service->values->at[i].version, state, detail, health, baseline);
}

/* A version that did not do may do now that the vault speaks of it again: it set it anew. */
static void take_news(struct service *service, const struct wanted *wanted)
{
    bool written = false, others = false;
    for (size_t i = 0; i < service->values->n; i++) {
        others = others || (service->refused[i] != 0 && service->refused[i] == wanted[i].version);
        if (!wanted[i].news)
            continue;
        service->reports.rotating[i] = wanted[i].active;
        service->place.again_ms = 0;
        bool lower = wanted[i].version < service->values->at[i].version;
        service->later[i] = lower && !wanted[i].active && (service->later[i] || wanted[i].put_back);
        bool moves = version_to_run(service, wanted, i) != service->values->at[i].version;
        written = written || (moves && !wanted[i].active);
        if (wanted[i].version == service->refused[i])
            service->refused[i] = 0;
    }
    service->others_again = service->others_again || (written && others);
}

/* What did not do may belong to what somebody wrote since, or not have been at fault: it is tried once more, beside
 * that. Not what is rotated: that has to do by itself. */
static void try_others_again(struct service *service, const struct wanted *wanted)
{
    for (size_t i = 0; i < service->values->n && service->others_again; i++)
        if (!service->reports.rotating[i] && service->refused[i] == wanted[i].version)
            service->refused[i] = 0;
    service->others_again = false;
}

/* Takes *values. */
static void try_values(struct service *service, struct values *values, const struct health_result *baseline)
{
    bool back = goes_back(service, values);
    say_of_moving(service, values, "applying", NULL, NULL, baseline);
    if (!place_may_touch(service)) {
        values_free(values);
        return;
    }
    struct health_result health = run_with(service, values, baseline);
    if (!service->s->ending) {
        if (back && service->place.astray && service->s->state == CHILD_RUNNING) {
            /* The vault may end the version of before once it hears that nobody runs it. */
            say_of_moving(service, values, "unhealthy", health.detail, &health, NULL);
        } else if (back || health.healthy) {
            take_over(service, values, &health, baseline);
            return;
        } else {
            go_back(service, values, &health, baseline);
        }
    }
    values_free(values);
}

static void refuse(struct service *service, size_t i, const struct value *value,
                   const struct health_result *baseline, const char *why)
{
    uint64_t running = service->values->at[i].version;
    if (value->version == running) {
        service->refused_other[i] = value->other_version;
        (void)report_say(service, i, running, "healthy", why, baseline, NULL);
        return;
    }
    service->refused[i] = value->version;
    if (report_say(service, i, value->version, "unhealthy", why, NULL, baseline) == KT_OK)
        (void)report_say(service, i, running, "rolled_back", why, baseline, NULL);
    else
        report_later(service, i, "rolled_back", why);
}

/* What lacks a field, or has one that a pipe refuses, is not tried, and what came with it is not blamed. False: all of
 * it may be tried. */
static bool refuse_unfit(struct service *service, const struct values *values, const struct health_result *baseline)
{
    bool any = false;
    for (size_t i = 0; i < values->n; i++) {
        struct values alone = *service->values; /* the buffers are borrowed */
        struct kt_err err = {0};
        alone.at[i] = values->at[i];
        enum kt_kind kind =
            stays(service->values, values, i) ? KT_OK : place_check(service->config, &alone, &err);
        if (kind == KT_OK || kind == KT_NO_MEMORY)
            continue;
        kt_log_err(KT_LOG_ERROR, "version-refused", &err);
        refuse(service, i, &values->at[i], baseline, err.what);
        any = true;
    }
    return any;
}

/* Takes *values. False: nothing of the turn could be had. */
static bool take_planned(struct service *service, struct values *values, enum turn turn,
                         const struct health_result *baseline)
{
    struct kt_err err = {0};
    enum kt_kind kind = fetch_planned(service, values, &err);
    bool left_out = kind == KT_OK && turn != TURN_CANDIDATES && !values_differ(service->values, values);
    if (kind != KT_OK && kind != KT_GONE)
        kt_log_err(KT_LOG_WARNING, "fetch-failed", &err);
    if (kind != KT_OK || left_out || refuse_unfit(service, values, baseline))
        values_free(values);
    else if (candidates_only_end(service->values, values))
        end_candidates(service, values);
    else
        try_values(service, values, baseline);
    return !left_out;
}

/* False: nothing came of it, and the next turn is not held up. */
static bool take_turn(struct service *service, const struct wanted *wanted, enum turn turn)
{
    struct values *values = fetch_plan(service, wanted, turn);
    if (values == NULL)
        return false;
    struct health_result baseline = look_before(service, values, wanted);
    if (baseline.healthy && !service->s->ending)
        return take_planned(service, values, turn, &baseline);
    say_of_moving(service, values, "unhealthy", "unhealthy before the change: not touched", &baseline, NULL);
    values_free(values);
    return service->s->ending;
}

static bool move(struct service *service, const struct wanted *wanted)
{
    bool taken = false;
    for (enum turn turn = TURN_BACK; turn < TURN_COUNT && !taken; turn++)
        taken = take_turn(service, wanted, turn);
    return !differs(service, wanted);
}

static bool move_all(struct service *service, const struct wanted *wanted)
{
    if (differs(service, wanted) && !move(service, wanted))
        return false;
    try_others_again(service, wanted);
    return !differs(service, wanted) || move(service, wanted); /* before there is other news */
}

bool service_move(struct service *service, const struct wanted *wanted)
{
    char detail[160];
    take_news(service, wanted);
    int64_t again_ms = service->place.again_ms;
    if (service->place.astray && kt_mono_ms(&kt_system_clock) < again_ms)
        return false;
    bool settled = move_all(service, wanted);
    bool tried = service->place.again_ms != again_ms;
    if (service->place.astray && !tried && place_may_touch(service))
        (void)place_put(service, service->values, detail);
    return settled && !service->place.astray;
}
