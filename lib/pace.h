/* lib/pace.h - when one of many clients comes back to a server that went away.
 *
 * What:    Full jitter over a span that begins at half a second and doubles with each failure up to a
 *          minute. The first try after a line that worked is spread over what the whole crowd needs
 *          to come back, so that thousands whose server restarts do not shake hands all at once: the
 *          server tells how many there are.
 * Threads: plain values. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kt_pace {
    uint32_t span_ms;  /* of the next pause */
    uint32_t crowd_ms; /* what all of them need */
    bool was_there;    /* the line worked since the last pause */
};

void kt_pace_init(struct kt_pace *pace);
/* So many clients share the server; a TLS handshake costs it more than a plain connection. */
void kt_pace_crowd(struct kt_pace *pace, uint64_t clients, bool tls);
void kt_pace_worked(struct kt_pace *pace);
/* How long to wait before the next try. */
uint32_t kt_pace_next_ms(struct kt_pace *pace);
