/* vaultd/rotation/classes.h - risk classes: how old a secret may get, and who has to approve, by what its loss would cost.
 *
 * What:    A secret whose settings name a risk and no max_age of their own has that of the class. When the
 *          classes change, all is planned anew (replan.c), some secrets a commit, beside the runs.
 * Stored:  one record of TABLE_CONFIG; written as a whole, from policies/rotation-classes.hcl by secretctl.
 * Owner:   texts live in the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/settings.h"

#define RISK_CLASSES(X)                                                                            \
    X(RISK_CRITICAL, "critical")                                                                   \
    X(RISK_HIGH, "high")                                                                           \
    X(RISK_MEDIUM, "medium")                                                                       \
    X(RISK_LOW, "low")
#define X(name, text) name,
enum risk_class { RISK_CLASSES(X) RISK_CLASS_COUNT };
#undef X
bool risk_class_parse(const char *text, enum risk_class *ret);
const char *risk_class_text(enum risk_class risk);

struct rotation_classes {
    const char *max_age[RISK_CLASS_COUNT]; /* "": none */
    const char *description[RISK_CLASS_COUNT];
    int64_t approvals[RISK_CLASS_COUNT];     /* see struct rotation_settings; 0: none */
    const char *approvers[RISK_CLASS_COUNT]; /* "": none */
    bool unused; /* of format 1, which has room for it */
    generation changed; /* not stored */
};
extern const struct record_kind classes_kind;

/* Without a record: no class has anything. */
enum kt_kind classes_load(struct request *req, struct rotation_classes *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Into req's batch, on condition that they are as they were loaded. */
enum kt_kind classes_save(struct request *req, const struct rotation_classes *classes,
                          struct kt_err *err) KT_MUST_CHECK;
/* The max_age that counts, as text: the settings' own, else their class's; "": none. */
enum kt_kind classes_max_age(struct request *req, const struct rotation_settings *settings,
                             const char **ret, struct kt_err *err) KT_MUST_CHECK;
/* The same of classes that were loaded. */
const char *classes_age(const struct rotation_classes *classes, const struct rotation_settings *settings);
/* settings_schedule() with that max_age; of a secret that wants approvals itself only with its own: the age of its
 * class makes it overdue, and starts nothing. */
enum kt_kind classes_schedule(struct request *req, const struct rotation_settings *settings,
                              struct kt_schedule_text *ret, struct kt_err *err) KT_MUST_CHECK;

/* Routes. */
enum kt_kind classes_read(struct request *req, struct kt_err *err);
enum kt_kind classes_write(struct request *req, struct kt_err *err);
extern const struct field classes_fields[];
