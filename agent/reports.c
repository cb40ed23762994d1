#include "agent/reports.h"

#include <stdio.h>

#include "agent/service.h"
#include "lib/log.h"

static bool is_uneasy(const char *state)
{
    return strcmp(state, "unhealthy") == 0 || strcmp(state, "rolled_back") == 0;
}

/* The last word about a secret; one that matters and was not heard is said again later. */
static void remember(struct service *service, size_t i, const char *state, const char *detail, bool unheard)
{
    service->reports.uneasy[i] = is_uneasy(state);
    bool matters = service->reports.uneasy[i] || strcmp(state, "healthy") == 0;
    service->reports.unheard[i] = unheard && matters ? state : NULL;
    (void)snprintf(service->reports.because[i], sizeof service->reports.because[i], "%s",
                   detail == NULL ? "" : detail);
}

void report_later(struct service *service, size_t i, const char *state, const char *detail)
{
    remember(service, i, state, detail, true);
}

/* The vault lost its note of our reading (a power loss): read again, then say it again. */
static bool read_again(struct service *service, const struct report *report, struct kt_err *err)
{
    const uint64_t versions[] = {report->version, report->holds};
    struct values *again = values_new();
    struct value *value = again == NULL ? NULL : values_add(again, report->secret);
    bool read = value != NULL;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0] && read; i++)
        read = versions[i] == 0 || link_fetch(service->link, report->secret, versions[i], value, err) == KT_OK;
    values_free(again);
    return read;
}

enum kt_kind report_say(struct service *service, size_t i, uint64_t version, const char *state, const char *detail,
                        const struct health_result *health, const struct health_result *baseline)
{
    static const char *const evidence[] = {[ACTIVATE_NONE] = "healthcheck",
                                           [ACTIVATE_SIGNAL] = "healthcheck",
                                           [ACTIVATE_COMMAND] = "healthcheck",
                                           [ACTIVATE_RESTART] = "exec"};
    struct report report = {.secret = service->config->secrets[i],
                            .version = version,
                            .state = state,
                            .detail = detail != NULL && detail[0] != '\0' ? detail : NULL,
                            .evidence = evidence[service->config->activate],
                            .candidates = service->config->two[i] ? 2 : 0,
                            .holds = service->place.holds[i],
                            .health = health,
                            .baseline = baseline};
    struct kt_err err = {0};
    enum kt_kind kind = link_report(service->link, &report, &service->reports.rotating[i], &err);
    if (kind == KT_INVALID && strstr(err.what, "KT-F-002") != NULL && read_again(service, &report, &err))
        kind = link_report(service->link, &report, &service->reports.rotating[i], &err);
    if (kind == KT_INVALID && report.holds != 0 && strstr(err.what, "KT-F-003") != NULL) {
        /* The other version is gone meanwhile: what is said of the one that runs is not lost for that. */
        report.holds = 0;
        kind = link_report(service->link, &report, &service->reports.rotating[i], &err);
    }
    remember(service, i, state, detail, kind != KT_OK);
    if (kind != KT_OK && kind != KT_GONE && kind != service->reports.failure[i]) {
        kt_context(&err, "reporting %s", report.secret);
        kt_log_err(KT_LOG_WARNING, "report-failed", &err);
    }
    service->reports.failure[i] = kind;
    return kind;
}

static void say_all(struct service *service, const char *state, const struct health_result *health)
{
    const char *detail = health == NULL ? NULL : health->detail;
    bool away = false; /* then it is not asked to wait for each secret anew */
    for (size_t i = 0; i < service->values->n; i++) {
        uint64_t version = service->values->at[i].version;
        if (away)
            report_later(service, i, state, detail);
        else
            away = link_is_away(report_say(service, i, version, state, detail, health, NULL));
    }
}

void report_started(struct service *service)
{
    say_all(service, "registered", NULL);
    const struct health_result nothing = {.healthy = true};
    struct health_result health = health_verdict(service->s, &service->config->health, &nothing);
    if (service->s->state != CHILD_RUNNING)
        return;
    say_all(service, health.healthy ? "healthy" : "unhealthy", &health);
}

/* While the vault still wants the version that did not do, "rolled back" is the word that counts. */
static bool asks_again(const struct service *service, const struct wanted *wanted, size_t i)
{
    return service->reports.uneasy[i] &&
           (wanted[i].version == 0 || wanted[i].version == service->values->at[i].version);
}

/* Acknowledged, and its rotation may still go back. */
static bool is_on_trial(const struct service *service, const struct wanted *wanted, size_t i)
{
    return wanted[i].active && !service->reports.uneasy[i] &&
           service->config->health.kind != HEALTH_NONE &&
           wanted[i].version == service->values->at[i].version;
}

/* The version that did not do, of which the vault has not heard; 0: it knows. Else nobody would know which one it was
 * that was gone back from. */
static uint64_t unheard_refusal(const struct service *service, size_t i)
{
    const char *state = service->reports.unheard[i];
    bool unheard = state != NULL && is_uneasy(state) && service->refused[i] != service->values->at[i].version;
    return unheard ? service->refused[i] : 0;
}

/* Word by word what the vault has not heard. */
static enum kt_kind say_again(struct service *service, size_t i)
{
    uint64_t refused = unheard_refusal(service, i);
    const char *state = service->reports.unheard[i];
    char because[sizeof service->reports.because[i]];
    memcpy(because, service->reports.because[i], sizeof because);
    enum kt_kind kind =
        refused == 0 ? KT_OK : report_say(service, i, refused, "unhealthy", because, NULL, NULL);
    if (kind == KT_OK)
        return report_say(service, i, service->values->at[i].version, state, because, NULL, NULL);
    report_later(service, i, state, because);
    return kind;
}

static enum kt_kind report_one(struct service *service, const struct wanted *wanted, size_t i,
                               const struct health_result *health)
{
    uint64_t version = service->values->at[i].version;
    if (asks_again(service, wanted, i) && health->healthy)
        return report_say(service, i, version, "healthy", NULL, health, NULL);
    if (is_on_trial(service, wanted, i) && !health->healthy)
        return report_say(service, i, version, "unhealthy", health->detail, health, NULL);
    return service->reports.unheard[i] == NULL ? KT_OK : say_again(service, i);
}

static bool is_settled(const struct service *service, const struct wanted *wanted, size_t i)
{
    return service->reports.unheard[i] == NULL && !asks_again(service, wanted, i) &&
           !is_on_trial(service, wanted, i);
}

bool report_again(struct service *service, const struct wanted *wanted)
{
    struct health_result health = {.healthy = true};
    bool all = true, asks = false, away = false;
    if (service->place.astray)
        return false;
    for (size_t i = 0; i < service->values->n; i++)
        asks = asks || asks_again(service, wanted, i) || is_on_trial(service, wanted, i);
    if (asks)
        health = health_glance(service->s, &service->config->health);
    if (service->s->ending || service->s->state != CHILD_RUNNING)
        return true;
    for (size_t i = 0; i < service->values->n; i++) {
        away = away || link_is_away(report_one(service, wanted, i, &health));
        all = all && is_settled(service, wanted, i);
    }
    return all && !away;
}

/* A program that fails while a rotation is under way is no consumer less, but one in trouble: whoever
 * starts it again finds the vault waiting. */
void report_gone(struct service *service)
{
    const struct supervisor *s = service->s;
    bool failed = !s->ending && (service->place.lost || child_failed(s));
    char detail[160];
    if (service->place.lost)
        (void)snprintf(detail, sizeof detail, "the service could not be started again");
    else
        (void)snprintf(detail, sizeof detail, "the service ended with %s %d",
                       s->code == CLD_EXITED ? "exit status" : "signal", s->status);
    link_last_word(service->link);
    bool away = false;
    for (size_t i = 0; i < service->values->n && !away; i++) {
        bool trouble = failed && service->reports.rotating[i];
        uint64_t refused = trouble ? unheard_refusal(service, i) : 0;
        if (refused != 0) /* what it died of, perhaps */
            (void)report_say(service, i, refused, "unhealthy", detail, NULL, NULL);
        away = link_is_away(report_say(service, i, service->values->at[i].version,
                                             trouble ? "unhealthy" : "gone", trouble ? detail : NULL, NULL, NULL));
    }
}
