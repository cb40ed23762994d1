#include "agent/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/http_client.h"
#include "lib/num.h"

struct probe {
    bool ok;
    unsigned ms;
    char detail[120];
};

/* ---- one probe ---- */

static void probe_command(struct supervisor *s, const struct config_health *health,
                          struct probe *probe)
{
    probe->ok = child_helper(s, health->command, health->timeout_ms);
    if (!probe->ok)
        (void)snprintf(probe->detail, sizeof probe->detail, "the health command failed (%s %d)",
                       s->helper_code == CLD_EXITED ? "exit status" : "signal", s->helper_status);
}

static void probe_http(struct supervisor *s, const struct config_health *health,
                       struct probe *probe)
{
    /* "http://host:port/path": the origin and the path. */
    const char *host = strstr(health->url, "://");
    const char *slash = host == NULL ? NULL : strchr(host + 3, '/');
    char origin[256];
    size_t n = slash == NULL ? strlen(health->url) : (size_t)(slash - health->url);
    if (n >= sizeof origin) {
        (void)snprintf(probe->detail, sizeof probe->detail, "the health URL is too long");
        return;
    }
    memcpy(origin, health->url, n);
    origin[n] = '\0';
    const struct kt_http_options options = {.address = origin,
                                            .connect_timeout_ms = (unsigned)health->timeout_ms,
                                            .timeout_ms = (unsigned)health->timeout_ms,
                                            .body_max = 65536};
    kt_autohttp struct kt_http *http = NULL;
    struct kt_err err = {0};
    kt_autoresponse struct kt_http_response response;
    kt_http_response_init(&response, 65536);
    const struct kt_http_request request = {.method = "GET", .path = slash == NULL ? "/" : slash};
    enum kt_kind kind = kt_http_open(&options, &http, &err);
    while (kind == KT_OK) {
        kind = kt_http_perform(http, &request, s->fd, &response, &err);
        if (kind != KT_GONE)
            break;
        (void)child_events(s, 0);
        kind = KT_OK;
    }
    probe->ok = kind == KT_OK && response.status == health->expect;
    if (kind != KT_OK)
        (void)snprintf(probe->detail, sizeof probe->detail, "%.110s", err.what);
    else if (!probe->ok)
        (void)snprintf(probe->detail, sizeof probe->detail, "GET %.60s answered %u, expected %u",
                       health->url, response.status, health->expect);
}

static bool parse_address(const char *text, struct sockaddr_in *ret)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    uint64_t port = 0;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host ||
        !kt_u64_parse(kt_str(colon + 1), 65535, &port))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                     &ret->sin_addr) == 1;
}

/* 0: connected. Takes care of events meanwhile. */
static int wait_connected(struct supervisor *s, int fd, int64_t timeout_ms)
{
    int64_t end = kt_mono_ms(&kt_system_clock) + timeout_ms;
    for (;;) {
        int64_t left = end - kt_mono_ms(&kt_system_clock);
        struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = s->fd, .events = POLLIN}};
        if (left <= 0 || poll(fds, 2, (int)left) <= 0)
            return -1;
        int error = 0;
        socklen_t len = sizeof error;
        if (fds[0].revents != 0)
            return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? 0 : -1;
        (void)child_events(s, 0);
    }
}

static void probe_tcp(struct supervisor *s, const struct config_health *health, struct probe *probe)
{
    struct sockaddr_in address;
    if (!parse_address(health->url, &address)) {
        (void)snprintf(probe->detail, sizeof probe->detail, "the health address is not IP:PORT");
        return;
    }
    kt_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int connected = connect(fd, (struct sockaddr *)&address, sizeof address);
    if (connected != 0 && errno == EINPROGRESS)
        connected = wait_connected(s, fd, health->timeout_ms);
    probe->ok = fd >= 0 && connected == 0;
    if (!probe->ok)
        (void)snprintf(probe->detail, sizeof probe->detail, "cannot connect to %.60s", health->url);
}

typedef void probe_fn(struct supervisor *s, const struct config_health *health,
                      struct probe *probe);
static probe_fn *const probes[] = {[HEALTH_NONE] = NULL,
                                   [HEALTH_COMMAND] = probe_command,
                                   [HEALTH_HTTP] = probe_http,
                                   [HEALTH_TCP] = probe_tcp};

static struct probe probe_once(struct supervisor *s, const struct config_health *health)
{
    struct probe probe = {0};
    int64_t begun = kt_mono_ms(&kt_system_clock);
    probes[health->kind](s, health, &probe);
    probe.ms = (unsigned)(kt_mono_ms(&kt_system_clock) - begun);
    return probe;
}

/* ---- several ---- */

struct series {
    unsigned ms[HEALTH_SAMPLES_MAX];
    unsigned n;
};

static int by_number(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

static unsigned percentile(const struct series *sorted, unsigned percent)
{
    if (sorted->n == 0)
        return 0;
    unsigned rank = (sorted->n * percent + 99) / 100;
    return sorted->ms[rank == 0 ? 0 : rank - 1];
}

static void summarise(struct series *series, struct health_result *result)
{
    qsort(series->ms, series->n, sizeof series->ms[0], by_number);
    result->samples = series->n;
    result->p50_ms = percentile(series, 50);
    result->p95_ms = percentile(series, 95);
}

static void pause_between(struct supervisor *s, int64_t until)
{
    for (;;) {
        int64_t left = until - kt_mono_ms(&kt_system_clock);
        if (left <= 0 || s->ending || s->state != CHILD_RUNNING)
            return;
        (void)child_events(s, (int)left);
    }
}

struct health_result health_baseline(struct supervisor *s, const struct config_health *health)
{
    struct health_result result = {.healthy = true};
    struct series series = {.n = 0};
    unsigned wanted = health->samples < HEALTH_SAMPLES_MAX ? health->samples : HEALTH_SAMPLES_MAX;
    unsigned failures = 0;
    if (health->kind == HEALTH_NONE)
        return result;
    for (unsigned i = 0; i < wanted && !s->ending; i++) {
        struct probe probe = probe_once(s, health);
        if (probe.ok) {
            series.ms[series.n++] = probe.ms;
            failures = 0;
        } else if (++failures >= health->fail || wanted < health->fail) {
            result.healthy = false;
            (void)snprintf(result.detail, sizeof result.detail, "%s", probe.detail);
            break;
        }
    }
    summarise(&series, &result);
    return result;
}

struct health_result health_glance(struct supervisor *s, const struct config_health *health)
{
    struct health_result result = {.healthy = true};
    int64_t next = kt_mono_ms(&kt_system_clock);
    for (unsigned failed = 0; health->kind != HEALTH_NONE && failed < health->fail; failed++) {
        pause_between(s, next);
        if (s->ending || s->state != CHILD_RUNNING)
            return (struct health_result){.healthy = true};
        next = kt_mono_ms(&kt_system_clock) + health->interval_ms;
        struct probe probe = probe_once(s, health);
        result.healthy = probe.ok;
        if (probe.ok)
            break;
        (void)snprintf(result.detail, sizeof result.detail, "%s", probe.detail);
    }
    return result;
}

bool health_is_slower(const struct config_health *health, const struct health_result *baseline,
                      const struct health_result *now)
{
    if (health->latency_factor < 1 || baseline->samples < CONFIG_SAMPLES_TO_COMPARE ||
        now->samples == 0)
        return false;
    double by_factor = baseline->p95_ms * health->latency_factor;
    double by_floor = baseline->p95_ms + (double)health->latency_floor_ms;
    double bound = by_factor > by_floor ? by_factor : by_floor;
    return now->p95_ms > bound;
}

struct health_result health_verdict(struct supervisor *s, const struct config_health *health,
                                    const struct health_result *baseline)
{
    struct health_result result = {0};
    if (health->kind == HEALTH_NONE) {
        pause_between(s, s->last_start_ms + health->settle_ms);
        result.healthy = s->state == CHILD_RUNNING;
        if (!result.healthy)
            (void)snprintf(result.detail, sizeof result.detail, "the service ended");
        return result;
    }
    struct series series = {.n = 0};
    unsigned passed = 0, failed = 0;
    int64_t begun = kt_mono_ms(&kt_system_clock), next = begun;
    char last[120] = "no probe succeeded in time";
    while (passed < health->pass && !s->ending) {
        pause_between(s, next);
        int64_t now = kt_mono_ms(&kt_system_clock);
        if (now - begun > health->window_ms || s->state != CHILD_RUNNING)
            break;
        next = now + health->interval_ms;
        struct probe probe = probe_once(s, health);
        if (probe.ok) {
            passed++;
            failed = 0;
            if (series.n < HEALTH_SAMPLES_MAX)
                series.ms[series.n++] = probe.ms;
            continue;
        }
        passed = 0;
        (void)snprintf(last, sizeof last, "%s", probe.detail);
        /* A service that has just been started may need a moment before it can answer at all. */
        bool starting = now - s->last_start_ms < health->grace_ms;
        if (!starting && ++failed >= health->fail)
            break;
    }
    summarise(&series, &result);
    result.healthy = passed >= health->pass;
    if (s->state != CHILD_RUNNING)
        (void)snprintf(last, sizeof last, "the service ended");
    if (result.healthy && health_is_slower(health, baseline, &result)) {
        result.healthy = false;
        (void)snprintf(last, sizeof last, "p95 %u ms, before %u ms", result.p95_ms,
                       baseline->p95_ms);
    }
    if (!result.healthy)
        (void)snprintf(result.detail, sizeof result.detail, "%s", last);
    return result;
}
