/* vaultd/core/wait.h - requests that wait for something to happen.
 *
 * What:    A list of suspended requests. Each has a deadline at which it is woken anyway: libmicro-
 *          httpd never times a suspended connection out, so every wait has its own end, which is late
 *          by some milliseconds, or by half a second when ten thousand wait. Every 30 s each is looked
 *          at where it waits, which costs far less than a pass.
 * Owner:   the core owns the timer (wait_clock); whoever has something to wait for owns a list.
 * Threads: any thread. Waking calls carrier->resume() outside of the list's lock. */
#pragma once

#include "vaultd/core/request.h"

struct wait_clock;
struct wait_list;

/* Whether a request has to run again although nothing that it waits for was told. On the clock's thread,
 * which has the request for itself meanwhile; no lock is held. */
typedef bool wait_look_fn(struct request *req);
/* Starts a thread. */
struct wait_clock *wait_clock_new(const struct kt_clock *clock, wait_look_fn *look);
void wait_clock_free(struct wait_clock *waits);  /* every list must be empty */

struct wait_list *wait_list_new(struct wait_clock *waits);
void wait_list_free(struct wait_list *list);
/* Wakes all for which match(req, arg) is true; match NULL: all. Returns how many. */
typedef bool wait_match_fn(const struct request *req, void *arg);
size_t wait_list_wake(struct wait_list *list, wait_match_fn *match, void *arg);
/* Wakes nobody, for nobody is concerned; but who is on the way into the list looks once more. */
void wait_list_pass(struct wait_list *list);
size_t wait_list_count(struct wait_list *list);
/* Wakes every waiting request of every list and refuses new waits (seal, shutdown); false allows
 * them again. A refused wait runs its handler again at once. */
void wait_clock_drain(struct wait_clock *waits, bool draining);

/* For the pipeline alone. wait_clock_wakes(): taken before a pass's snapshot. wait_list_add(): puts a
 * suspended request into the list; entry is wait_entry_bytes() of the request's arena. If the list
 * was woken since `seen`, what woke it may not be in the snapshot that the handler saw: the request
 * is resumed at once. So is a refused wait. */
struct wait_entry;
uint64_t wait_clock_wakes(struct wait_clock *waits);
void wait_list_add(struct wait_list *list, struct request *req, struct wait_entry *entry,
                   uint64_t seen);
size_t wait_entry_bytes(void);
/* The last wait ended because its time was over, and no list was woken from then until `wakes` was
 * taken. */
bool wait_entry_quiet(const struct wait_entry *entry, uint64_t wakes);
