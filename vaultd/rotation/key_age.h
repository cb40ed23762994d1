/* vaultd/rotation/key_age.h - how old is what opens the vault: the key shares, and each credential that does by itself.
 *
 * What:    They are made anew by people (docs/keys.md, docs/seals.md), so nothing rotates them; but their age is told of
 *          as that of secrets is: in the plan, among what is overdue, in the metrics, and once to people. How old they
 *          may get is said by vaultd's configuration, rotation { max_key_age }: it is a matter of whoever runs the
 *          machine, as seals are.
 * Age:     from what is stored. Where that has no time of a set of shares (core/key_set.h), or one that has not come yet,
 *          it is not known; it counts as too old unless the vault itself is younger than that.
 * Stored:  TABLE_CONFIG, "keys-told": the ids of those that people were told of, until they are too old no more.
 * Threads: any thread with the barrier entered; key_age_scan(): the rotation thread. */
#pragma once

#include "vaultd/barrier/seals.h"
#include "vaultd/core/core.h"
#include "vaultd/rotation/record.h"

#define KEY_AGES_MAX (1u + SEALS_MAX)

#define KEY_AGE_REASONS(X)                                                                         \
    X(KEY_AGE_FINE, "")                                                                            \
    X(KEY_AGE_OLD, "age")                                                                          \
    X(KEY_AGE_UNKNOWN, "unknown")
#define X(name, text) name,
enum key_age_reason { KEY_AGE_REASONS(X) KEY_AGE_REASON_COUNT };
#undef X

struct key_age {
    char id[37];
    char seal[KT_CREDENTIAL_NAME]; /* "": the key shares */
    int64_t made_ms;               /* 0: not known */
    int64_t since_ms;              /* too old since then; 0: it is not, or that is not known */
    enum key_age_reason why;
};
struct key_ages {
    unsigned shares, threshold;
    int64_t max_age_ms; /* 0: as old as they like */
    struct key_age at[KEY_AGES_MAX];
    size_t n, overdue;
};
enum kt_kind key_ages_load(struct request *req, struct key_ages *ret, struct kt_err *err) KT_MUST_CHECK;
/* Two members: "keys", a list, and "keys_overdue", how many of them. */
void key_ages_show(struct request *req, const struct key_ages *ages, struct kt_jsonw *w);

struct rotation;
/* Tells of those that got too old; notes how many are. */
void key_age_scan(struct rotation *rotation);

extern const struct record_kind keys_told_kind;
struct keys_told {
    struct record_list ids;
};
