/* agent/link.h - the agent's line to the vault: fetch, watch, report.
 *
 * What:    One kept-alive connection. While a call waits, the supervisor's events are taken care of,
 *          so no signal waits for the network. While the vault is away, calls fail and the caller
 *          keeps what it has; link_pause() waits before the next try (lib/pace.h). A token that is not
 *          valid any more is read anew from its file.
 * Owner:   link_open() .. link_close(), which wipes the token.
 * Errors:  KT_GONE: the service ended or a person asked for the end; the rest as lib/api.h.
 * Threads: one. */
#pragma once

#include "agent/child.h"
#include "agent/health.h"
#include "agent/values.h"
#include "lib/api.h"
#include "lib/secret.h"

struct link;
enum kt_kind link_open(const struct config *config, const struct kt_secret *token,
                       struct supervisor *s, struct link **ret, struct kt_err *err) KT_MUST_CHECK;
void link_close(struct link *link);

/* Fetches a secret into *value; version 0: the current one. */
enum kt_kind link_fetch(struct link *link, const char *secret, uint64_t version,
                        struct value *value, struct kt_err *err) KT_MUST_CHECK;

struct wanted {
    const char *secret; /* the configuration's */
    uint64_t version;   /* 0: nothing is known of this secret */
    uint64_t alive[3];  /* what the target may still accept: current, previous, pending; 0: none */
    uint64_t pending;   /* the last of these */
    bool news;          /* it came since the caller took the last ones */
    bool put_back;      /* so, of a store that was put back to an earlier time */
    bool active;        /* a rotation is under way */
};
/* Two answers' cursors (history and generation, as in "9f..e1.1042"): the store of the later one is that of the one
 * before, grown older. */
bool cursor_goes_on(const char *before, const char *cursor);
/* The vault knows that the target refuses this version. */
bool wanted_is_dead(const struct wanted *wanted, uint64_t version);
/* The vault spreads the polls of a crowd: link_watch() waits until this one is due. */
bool link_may_watch(const struct link *link);
/* One long poll. Fills the versions that are wanted now (of the configuration's secrets, in their
 * order) and says which are news; *ret_news: something came. */
enum kt_kind link_watch(struct link *link, unsigned wait_s, struct wanted *wanted, bool *ret_news,
                        struct kt_err *err) KT_MUST_CHECK;

struct report {
    const char *secret;
    uint64_t version;
    const char *state, *detail, *evidence;
    unsigned candidates; /* 2: the program tries two */
    uint64_t holds;      /* the candidate's version; 0: none */
    const struct health_result *health, *baseline; /* may be NULL */
};
/* *ret_rotating: is a rotation of the secret under way? */
enum kt_kind link_report(struct link *link, const struct report *report, bool *ret_rotating,
                         struct kt_err *err) KT_MUST_CHECK;

/* Renews the token when half of its life is over; a token that cannot be renewed is said once. */
void link_keep_token(struct link *link);

/* Reads the token file anew after KT_DENIED. True: it has another token than before. */
bool link_new_token(struct link *link);

/* Nothing else can be had now either: it was the line, the vault as a whole, or ourselves. */
bool link_is_away(enum kt_kind kind);
/* Waits before the next try, longer each time, but not past end_ms (monotonic); link_worked() starts
 * over. False: stop trying, the service ended or a person asked for the end. */
bool link_pause(struct link *link, int64_t end_ms);
void link_worked(struct link *link);
/* From now on calls go on although the service has ended, but for 3 s at most each. */
void link_last_word(struct link *link);
