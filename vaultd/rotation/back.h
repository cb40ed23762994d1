/* vaultd/rotation/back.h - how long going back takes, against the secret's objective (setting rto).
 *
 * What:    The time begins with the order (run cancel, rotate --back), or when a run goes back by itself,
 *          or when a drill turns; it ends when the old value is current, the target accepts it and every
 *          consumer is well with it. That it is accepted is proven by the batch that ends the run; what
 *          counts is since when it was. Where nobody got the new value there is nothing to measure.
 * Time:    the engine's steady clock.
 * Threads: plain functions. */
#pragma once

#include "vaultd/fleet/consumer.h"
#include "vaultd/rotation/run.h"

struct back_time {
    bool asked, measured;
    bool missed; /* the run ended, and it was not within its objective */
    int64_t took_ms;
};
struct back_time back_time(const struct run *run);

/* Somebody ordered it. The first order counts. */
void back_ordered(struct run *run, int64_t now_ms);
/* The machine moved; fx: what it did besides. */
void back_moved(struct run *run, enum run_state before, enum back_step before_back, unsigned fx,
                int64_t now_ms);
/* On the way back no consumer runs the new version any more, since when, if all of them are well. */
void back_returned(struct run *run, const struct consumer *consumers, size_t n, int64_t now_ms);

/* A sentence for the verdict; nothing when nobody went back. */
void back_say(const struct run *run, struct kt_buf *out);
/* The member "back": null, or what is known. */
void back_show(const struct rotation *rotation, const struct run *run, struct kt_jsonw *w);
