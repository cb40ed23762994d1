#include "vaultd/core/meter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"

#define MINUTE_MS 60000

/* The generic cell rate algorithm: free_ms is when the whole budget is back; each admission moves it by
 * what one costs. */
struct busy {
    char source[REFUSALS_SOURCE];
    int64_t free_ms;
};
struct meter {
    int64_t cost_ms; /* 0: no limit */
    pthread_mutex_t lock;
    struct busy busy[METER_SOURCES]; /* guarded by lock */
};

struct meter *meter_new(unsigned per_minute)
{
    struct meter *meter = kt_calloc(1, sizeof *meter);
    if (meter == NULL)
        return NULL;
    (void)pthread_mutex_init(&meter->lock, NULL);
    meter->cost_ms = per_minute == 0 ? 0 : MINUTE_MS / (int64_t)per_minute;
    return meter;
}

void meter_free(struct meter *meter)
{
    if (meter == NULL)
        return;
    (void)pthread_mutex_destroy(&meter->lock);
    free(meter);
}

/* Its own place, else the one whose source has the most left. */
static struct busy *place_of(struct meter *meter, const char *source)
{
    struct busy *least = &meter->busy[0];
    for (size_t i = 0; i < METER_SOURCES; i++) {
        struct busy *at = &meter->busy[i];
        if (strcmp(at->source, source) == 0)
            return at;
        if (at->free_ms < least->free_ms)
            least = at;
    }
    (void)snprintf(least->source, sizeof least->source, "%s", source);
    least->free_ms = 0;
    return least;
}

bool meter_admit(struct meter *meter, const char source[REFUSALS_SOURCE], unsigned at_once,
                 int64_t now_ms, int64_t *ret_wait_ms)
{
    if (meter->cost_ms == 0)
        return true;
    (void)pthread_mutex_lock(&meter->lock);
    struct busy *at = place_of(meter, source);
    int64_t from_ms = at->free_ms > now_ms ? at->free_ms : now_ms;
    int64_t over_ms = from_ms + meter->cost_ms - now_ms - (int64_t)at_once * meter->cost_ms;
    if (over_ms <= 0)
        at->free_ms = from_ms + meter->cost_ms;
    (void)pthread_mutex_unlock(&meter->lock);
    if (over_ms > 0)
        *ret_wait_ms = over_ms;
    return over_ms <= 0;
}

void meter_forget(struct meter *meter)
{
    (void)pthread_mutex_lock(&meter->lock);
    memset(meter->busy, 0, sizeof meter->busy);
    (void)pthread_mutex_unlock(&meter->lock);
}
