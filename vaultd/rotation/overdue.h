/* vaultd/rotation/overdue.h - what should be rotated by now and is not, and why it counts as that.
 *
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/secret.h"

#define OVERDUE_REASONS(X)                                                                         \
    X(OVERDUE_NOT, "")                                                                             \
    X(OVERDUE_FROZEN, "frozen") /* its run waits for a person */                                   \
    X(OVERDUE_AGE, "age")       /* older than its max_age, whatever its schedule says */           \
    X(OVERDUE_FAILED, "failed") /* its time came, and no run has ended well since */               \
    X(OVERDUE_HELD, "held")     /* its schedule cannot be read any more: it starts never */        \
    X(OVERDUE_LATE, "late")     /* its time came, and it did not start */                          \
    X(OVERDUE_DRILL, "drill")   /* the last drill did not end well, or the next did not start */
#define X(name, text) name,
enum overdue_reason { OVERDUE_REASONS(X) OVERDUE_REASON_COUNT };
#undef X
const char *overdue_reason_text(enum overdue_reason reason);

struct rotation_classes;
struct overdue {
    enum overdue_reason why;
    int64_t since_ms;   /* when it became that */
    int64_t max_age_ms; /* 0: none */
    int64_t value_ms;   /* when the value in use was made, or proven; 0: there is none */
};
/* A run that started late counts no more as late, only by the age of the value in use; but if it goes on
 * beyond max_overlap, it is late when the secret would have been due again. What a window or a calendar holds
 * back counts by its age alone. grace_ms: so late it may start. */
enum kt_kind overdue_judge(struct request *req, const struct rotation_secret *secret,
                           const struct rotation_classes *classes, int64_t grace_ms, struct overdue *ret,
                           struct kt_err *err) KT_MUST_CHECK;

/* Route. */
enum kt_kind overdue_list(struct request *req, struct kt_err *err);
