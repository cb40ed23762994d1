/* vaultd/rotation/settings.h - how one secret is rotated, as its owner wants it.
 *
 * What:    The fields of POST rotation/secrets/SECRET: one table for reading them from a request,
 *          for showing them, for the route's list of fields. A run keeps a copy: later changes apply
 *          from the next run.
 * Owner:   texts live in the arena they were read into.
 * Threads: plain values. */
#pragma once

#include "lib/generator.h"
#include "lib/schedule.h"
#include "vaultd/core/core.h"
#include "vaultd/rotation/machine.h"
#include "vaultd/rotation/record.h"

#define SETTINGS_AFTER_MAX 4096u

struct rotation_settings {
    const char *target; /* "": no target, only a new random value in the vault */
    enum run_strategy strategy;
    const char *accounts[2]; /* in-place: the first only */
    const char *group;
    const char *username_field, *password_field;
    const char *public_field; /* where the public half of an SSH key goes; "": nowhere */

    const char *gen_type, *gen_alphabet, *gen_exclude, *gen_separator;
    int64_t gen_length, gen_bits, gen_min_lower, gen_min_upper, gen_min_digit, gen_min_symbol;
    bool gen_any_first, gen_allow_weak;
    /* Of certificates (issue.h). */
    const char *gen_issuer, *gen_common_name, *gen_names, *gen_usage, *gen_key, *gen_life;
    const char *gen_request, *gen_options;

    const char *cron, *zone, *period, *jitter, *window, *max_age, *catchup;
    const char *blackout; /* a calendar's name; of a secret's own settings only, not of a run's */

    int64_t overlap_s, max_overlap_s, soak_s, drain_s, ack_timeout_s, propagation_s;
    bool hold_unhealthy, hold_silent, ignore_loose, require_healthy, old_is_dead;

    const char *owner, *risk, *notify;

    int64_t verify_every_s; /* how often the target is asked whether it accepts what is stored */

    int64_t rto_s;          /* so long may going back take; 0: not said */
    const char *drill;      /* cron, in `zone`: when going back is tried; "": only by hand */
    bool allow_gap;         /* consumers may be cut off for a moment */

    int64_t approvals;      /* of how many other people what is started by hand needs the approval (people.h) */
    const char *approvers;  /* a rule of approval, of whose group they are; "": of none */

    const char *together;   /* secrets that rotate as one with it, in the same form (together.h) */
    const char *after;      /* secrets that go before it, with commas between them (order.h) */

    const char *served_at;   /* listeners that have to show a new certificate, in the same form (served.h) */
    const char *served_name; /* what they are asked for (SNI); "": each its host */
};

void settings_defaults(struct rotation_settings *ret);
/* Overwrites what the request names. KT_INVALID names the field. */
enum kt_kind settings_read(struct request *req, struct rotation_settings *settings,
                           struct kt_err *err) KT_MUST_CHECK;
/* The members, into an open object. */
void settings_show(const struct rotation_settings *settings, struct kt_jsonw *w);
extern const struct field settings_fields[];

/* The next name of `after` or `together`; false: there is none. *at moves on. */
bool settings_name(const char **at, struct kt_bytes *ret);
bool settings_has_target(const struct rotation_settings *settings);
size_t settings_accounts(const struct rotation_settings *settings); /* 0, 1, 2 */
/* Without the calendar: calendar.h has both. */
void settings_schedule(const struct rotation_settings *settings, struct kt_schedule_text *ret);
enum kt_kind settings_generator(const struct rotation_settings *settings,
                                struct kt_generator *ret, struct kt_err *err) KT_MUST_CHECK;

/* Rows of a record in which a struct rotation_settings is the member `m` of `object`. */
#define SETTINGS_ROWS(object, m)                                                                   \
    RECORD_ROW(object, m.target, RECORD_TEXT, 128),                                                \
        RECORD_ROW(object, m.strategy, RECORD_ENUM, STRATEGY_COUNT),                               \
        RECORD_ROW(object, m.accounts[0], RECORD_TEXT, 128),                                       \
        RECORD_ROW(object, m.accounts[1], RECORD_TEXT, 128),                                       \
        RECORD_ROW(object, m.group, RECORD_TEXT, 128),                                             \
        RECORD_ROW(object, m.username_field, RECORD_TEXT, 256),                                    \
        RECORD_ROW(object, m.password_field, RECORD_TEXT, 256),                                    \
        RECORD_ROW(object, m.gen_type, RECORD_TEXT, 32),                                           \
        RECORD_ROW(object, m.gen_alphabet, RECORD_TEXT, 256),                                      \
        RECORD_ROW(object, m.gen_exclude, RECORD_TEXT, 256),                                       \
        RECORD_ROW(object, m.gen_length, RECORD_I64, 1),                                           \
        RECORD_ROW(object, m.gen_bits, RECORD_I64, 1),                                             \
        RECORD_ROW(object, m.gen_min_lower, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.gen_min_upper, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.gen_min_digit, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.gen_min_symbol, RECORD_I64, 1),                                       \
        RECORD_ROW(object, m.gen_any_first, RECORD_BOOL, 1),                                       \
        RECORD_ROW(object, m.gen_allow_weak, RECORD_BOOL, 1),                                      \
        RECORD_ROW(object, m.cron, RECORD_TEXT, 256),                                              \
        RECORD_ROW(object, m.zone, RECORD_TEXT, 256),                                              \
        RECORD_ROW(object, m.period, RECORD_TEXT, 256),                                            \
        RECORD_ROW(object, m.jitter, RECORD_TEXT, 256),                                            \
        RECORD_ROW(object, m.window, RECORD_TEXT, 256),                                            \
        RECORD_ROW(object, m.max_age, RECORD_TEXT, 256),                                           \
        RECORD_ROW(object, m.catchup, RECORD_TEXT, 256),                                           \
        RECORD_ROW(object, m.overlap_s, RECORD_I64, 1),                                            \
        RECORD_ROW(object, m.max_overlap_s, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.soak_s, RECORD_I64, 1), RECORD_ROW(object, m.drain_s, RECORD_I64, 1), \
        RECORD_ROW(object, m.ack_timeout_s, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.propagation_s, RECORD_I64, 1),                                        \
        RECORD_ROW(object, m.hold_unhealthy, RECORD_BOOL, 1),                                      \
        RECORD_ROW(object, m.hold_silent, RECORD_BOOL, 1),                                         \
        RECORD_ROW(object, m.ignore_loose, RECORD_BOOL, 1),                                        \
        RECORD_ROW(object, m.require_healthy, RECORD_BOOL, 1),                                     \
        RECORD_ROW(object, m.old_is_dead, RECORD_BOOL, 1),                                         \
        RECORD_ROW(object, m.owner, RECORD_TEXT, 256),                                             \
        RECORD_ROW(object, m.risk, RECORD_TEXT, 256),                                              \
        RECORD_ROW(object, m.notify, RECORD_TEXT, 256)
/* Of format 2, behind those. */
#define SETTINGS_ROWS_2(object, m) RECORD_ROW(object, m.verify_every_s, RECORD_I64, 1)
/* Of the next, behind those. */
#define SETTINGS_ROWS_3(object, m)                                                                 \
    RECORD_ROW(object, m.gen_issuer, RECORD_TEXT, 1024),                                           \
        RECORD_ROW(object, m.gen_common_name, RECORD_TEXT, 256),                                   \
        RECORD_ROW(object, m.gen_names, RECORD_TEXT, 2048),                                        \
        RECORD_ROW(object, m.gen_usage, RECORD_TEXT, 32),                                          \
        RECORD_ROW(object, m.gen_key, RECORD_TEXT, 32),                                            \
        RECORD_ROW(object, m.gen_life, RECORD_TEXT, 32),                                           \
        RECORD_ROW(object, m.gen_request, RECORD_TEXT, 4096),                                      \
        RECORD_ROW(object, m.gen_options, RECORD_TEXT, 1024),                                    \
        RECORD_ROW(object, m.rto_s, RECORD_I64, 1), RECORD_ROW(object, m.drill, RECORD_TEXT, 256),     \
        RECORD_ROW(object, m.allow_gap, RECORD_BOOL, 1),                                               \
        RECORD_ROW(object, m.public_field, RECORD_TEXT, 256), RECORD_ROW(object, m.gen_separator, RECORD_TEXT, 1)
#define SETTINGS_ROWS_4(object, m) \
    RECORD_ROW(object, m.after, RECORD_TEXT, SETTINGS_AFTER_MAX), \
        RECORD_ROW(object, m.together, RECORD_TEXT, SETTINGS_AFTER_MAX), \
        RECORD_ROW(object, m.approvals, RECORD_I64, 1), RECORD_ROW(object, m.approvers, RECORD_TEXT, 128), \
        RECORD_ROW(object, m.served_at, RECORD_TEXT, SETTINGS_AFTER_MAX), \
        RECORD_ROW(object, m.served_name, RECORD_TEXT, 256)
