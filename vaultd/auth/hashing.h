/* vaultd/auth/hashing.h - passwords become hashes, and are compared with them, on threads of their own.
 *
 * What:    Argon2id takes tens of milliseconds and 64 MiB on purpose; an HTTP thread has neither to give.
 *          A handler posts an order and waits (request_wait() on hashing_waiters()); when it runs again
 *          it asks for the result with its ticket. The threads have low priority and are few, and the
 *          line before them is short: what does not fit is refused at once, 429.
 * Fair:    each source (an address, a uid, a token) has its turn, however many orders of others stand before
 *          its own. When the line is full, who has fewer in it than somebody else takes the place of that
 *          one's newest order, which is refused then. So one source uses the whole line while it is alone,
 *          and never keeps others out; only as many sources as there are places can do that together.
 * Guesses: a name that is locked out is not looked at, also when that came about while its order stood in
 *          the line; a wrong password is counted as it is found. So of many guesses at once no more are
 *          tried than the lock-out allows, and one for each thread.
 * Secrets: what is hashed is the password under a key of the barrier, 32 bytes; they are wiped when they
 *          were used. The password itself never comes here. A stolen record is of no use without the key.
 * Cost:    HASHING_OPS passes over HASHING_MEMORY: 83 ms of one core of a small x86-64 machine; with two
 *          passes 66 ms, with 256 MiB and three 383 ms (libsodium's "interactive" and "moderate").
 * Limits:  HASHING_LINE orders wait. A result that nobody asks for is forgotten when its place is needed, that of who
 *          left most of them first.
 * Owner:   the core. Threads start with the first order.
 * Threads: any thread. */
#pragma once

#include "vaultd/auth/lockout.h"
#include "vaultd/core/wait.h"

#define HASHING_BYTES    32u
#define HASHING_TEXT     128u /* crypto_pwhash_STRBYTES */
#define HASHING_LINE     72u
#define HASHING_RETRY_S  5u
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define HASHING_OPS    1u
#define HASHING_MEMORY ((size_t)8192)
#else
#define HASHING_OPS    3u
#define HASHING_MEMORY ((size_t)64 * 1024 * 1024)
#endif

struct hashing;
struct hashing *hashing_new(struct wait_clock *waits, const struct kt_clock *clock,
                            struct lockout *lockout); /* NULL: out of memory */
/* Every request that waited must be gone. */
void hashing_free(struct hashing *hashing);

struct hashing_order {
    unsigned char secret[HASHING_BYTES];
    bool make;               /* a new hash; else compare with `text` */
    bool nobody;             /* compare with something of the same cost, and never find it right */
    char text[HASHING_TEXT];
    unsigned char name[LOCKOUT_KEY]; /* whose guess it is */
    char source[REQUEST_SOURCE];     /* who has it done */
};
/* The first member of the handler_data of whoever waits. */
struct hashing_ticket {
    uint64_t number; /* 0: nothing was posted */
    unsigned place;
};
/* False: there is no room in the line. The order is copied; the caller wipes his. */
bool hashing_post(struct hashing *hashing, const struct hashing_order *order,
                  struct hashing_ticket *ret) KT_MUST_CHECK;

enum hashing_state {
    HASHING_WAITS, /* not yet */
    HASHING_RIGHT, /* the password is that one; or the new hash was made, and is in text */
    HASHING_WRONG,
    HASHING_LOCKED,
    HASHING_FAILED, /* no memory for it: nothing is known */
    HASHING_LOST    /* nobody asked for too long, or somebody else's turn took its place */
};
/* The result, once: a ticket whose result was taken is lost. */
enum hashing_state hashing_take(struct hashing *hashing, const struct hashing_ticket *ticket,
                                char text[HASHING_TEXT]);
struct wait_list *hashing_waiters(struct hashing *hashing);
