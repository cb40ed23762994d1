#include "lib/pace.h"

#include "lib/random.h"

#define SPAN_MIN_MS  500u
#define SPAN_MAX_MS  60000u
#define LEAST_MS     50u
/* So many a second come back: a fraction of what one core takes. */
#define PLAIN_RATE   1500u
#define TLS_RATE     250u

void kt_pace_init(struct kt_pace *pace)
{
    *pace = (struct kt_pace){.span_ms = SPAN_MIN_MS};
}

void kt_pace_crowd(struct kt_pace *pace, uint64_t clients, bool tls)
{
    uint64_t seconds = clients / (tls ? TLS_RATE : PLAIN_RATE);
    uint32_t told = seconds < SPAN_MAX_MS / 1000 ? (uint32_t)seconds * 1000 : SPAN_MAX_MS;
    /* Who comes back first is told of few: the crowd is forgotten slowly. */
    uint32_t before = pace->crowd_ms - pace->crowd_ms / 8;
    pace->crowd_ms = told > before ? told : before;
}

void kt_pace_worked(struct kt_pace *pace)
{
    pace->span_ms = SPAN_MIN_MS;
    pace->was_there = true;
}

uint32_t kt_pace_next_ms(struct kt_pace *pace)
{
    uint32_t span = pace->span_ms;
    if (pace->was_there && pace->crowd_ms > span)
        span = pace->crowd_ms;
    pace->was_there = false;
    pace->span_ms = pace->span_ms * 2 > SPAN_MAX_MS ? SPAN_MAX_MS : pace->span_ms * 2;
    return LEAST_MS + kt_random_below(span);
}
