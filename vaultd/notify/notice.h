/* vaultd/notify/notice.h - what people are told, by itself: one row a message and channel until it arrived.
 *
 * What:    Whoever commits something that a person has to know (a run froze, went back ...) calls
 *          notify_tell() with the same batch: so it is told exactly when it happened, also after a crash.
 *          vaultd's log has each message; what the configuration's channels get waits in the store until a
 *          channel's thread (notifier.h) has delivered it. Texts are ours, or were made fit to be shown
 *          before: never a value.
 * Stored:  TABLE_NOTICE by when it is to be sent next, sealed.
 * Owner:   texts live in the arena they were read into.
 * Limits:  NOTICES_MAX rows of a channel wait; what comes above is in the log only, which says so. What anybody can
 *          have told, by asking for it, has half of that: it drives nothing else out.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/notify/channel.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/record.h"

#define NOTICES_MAX   1000u
#define NOTIFY_OLD_MS ((int64_t)3 * 86400 * 1000) /* given up */
#define NOTIFY_REST_MS ((int64_t)300 * 1000) /* the longest that a channel rests */
#define NOTICE_TEXT   1000u /* bytes; longer ones are cut */

/* Name, its text, how the log takes it. Rows that are stored number them: a new one is the last, and none goes away.
 * Nobody tells NOTICE_QUARANTINE: who puts a service aside knows, and reports say so (docs/rotation.md). */
#define NOTICE_EVENTS(X)                                                                           \
    X(NOTICE_TEST, "test", KT_LOG_NOTICE)                                                          \
    X(NOTICE_FROZEN, "frozen", KT_LOG_ERROR)                                                       \
    X(NOTICE_ROLLED_BACK, "rolled_back", KT_LOG_WARNING)                                           \
    X(NOTICE_DONE_LATE, "done_late", KT_LOG_NOTICE)                                                \
    X(NOTICE_STUCK, "revocation_stuck", KT_LOG_WARNING)                                            \
    X(NOTICE_ZOMBIE, "zombie", KT_LOG_WARNING)                                                     \
    X(NOTICE_VETO, "consumer_vetoes", KT_LOG_WARNING)                                              \
    X(NOTICE_QUARANTINE, "consumer_quarantined", KT_LOG_NOTICE)                                    \
    X(NOTICE_HELD, "target_held", KT_LOG_WARNING)                                                  \
    X(NOTICE_DRIFTED, "drifted", KT_LOG_WARNING)                                                   \
    X(NOTICE_PAUSED, "paused", KT_LOG_WARNING)                                                     \
    X(NOTICE_RESUMED, "resumed", KT_LOG_NOTICE)                                                    \
    X(NOTICE_ASKED, "approval_asked", KT_LOG_NOTICE)                                               \
    X(NOTICE_NOT_APPROVED, "approval_expired", KT_LOG_WARNING)                                     \
    X(NOTICE_OVERDUE, "overdue", KT_LOG_WARNING)                                                   \
    X(NOTICE_NO_WAY_BACK, "no_way_back", KT_LOG_WARNING)
#define X(name, text, level) name,
enum notice_event { NOTICE_EVENTS(X) NOTICE_EVENT_COUNT };
#undef X
const char *notice_event_text(enum notice_event event);

struct notice {
    const char *id;      /* of the message: a channel that got it twice knows by that */
    const char *channel;
    enum notice_event event;
    const char *secret, *run;          /* "": of none */
    const char *verdict, *hurt, *next; /* next: the command */
    int64_t at_ms;
    uint32_t tries;
    unsigned char key[DUE_KEY]; /* not stored, as is the next */
    generation changed;
};
extern const struct record_kind notice_kind;

/* Into req's batch, and into the log: to each channel that `words` (a secret's setting "notify": names with
 * commas or blanks between) names; to all where it names none, or is NULL. Of *notice event, secret, run and
 * texts are read. ret_id (NULL: never mind) gets its id. */
enum kt_kind notify_tell(struct request *req, const struct notice *notice, const char *words,
                         const char **ret_id, struct kt_err *err) KT_MUST_CHECK;
/* Warns who writes `words` when they name none of the channels that there are: all are told then. */
void notify_warn(struct request *req, const char *words);
/* The first one for that channel that is due. One whose channel is no more goes to nobody, nor does one that
 * cannot be opened: old ones are taken away by req's batch. */
struct notices_look {
    bool found;
    int64_t next_ms;  /* when not: one of the channel's is due then; INT64_MAX: none waits */
    unsigned damaged; /* that were passed over */
    unsigned dropped;
};
enum kt_kind notice_first(struct request *req, const char *channel, struct notice *ret,
                          struct notices_look *ret_look, struct kt_err *err) KT_MUST_CHECK;
/* In req's batch, if it is still as loaded: it is over, or comes again then. */
void notice_end(struct request *req, const struct notice *notice);
enum kt_kind notice_again(struct request *req, const struct notice *notice, int64_t due_ms,
                          struct kt_err *err) KT_MUST_CHECK;
/* How many wait: of all together, which opens none; of each channel of the configuration, in its order, which opens
 * them all. */
enum kt_kind notices_count(struct request *req, size_t *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind notices_count_each(struct request *req, size_t ret[NOTIFY_CHANNELS_MAX], struct kt_err *err)
    KT_MUST_CHECK;
