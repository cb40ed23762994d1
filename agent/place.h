/* agent/place.h - puts a set of values in place: the files, the environment, the program.
 *
 * What:    All files are rendered before the first is written, all are written before the one activation. A set that
 *          could not be put in place leaves the service astray: nobody knows which one it has, until one is.
 * Owner:   borrowed; struct place is a part of struct service.
 * Errors:  none names a value.
 * Threads: one. */
#pragma once

#include "agent/child.h"
#include "agent/values.h"
#include "lib/pace.h"

struct service;

struct place {
    uint64_t holds[CONFIG_SECRETS_MAX]; /* the candidate's version that is in the files; 0: none */
    int64_t last_restart_ms;
    bool lost;           /* it was stopped for a restart and could not be started */
    bool astray;         /* the files, or the program, may have another set than the service's */
    struct kt_pace pace; /* of the tries to put one in place */
    int64_t again_ms;    /* monotonic; not before */
};

/* Has it all that the files and the environment need? Nothing is written, nor started. */
enum kt_kind place_check(const struct config *config, const struct values *values, struct kt_err *err) KT_MUST_CHECK;
/* Writes the files; the program is left alone. An error of rendering leaves every file as it was. */
enum kt_kind place_files(struct service *service, const struct values *values, struct kt_err *err) KT_MUST_CHECK;
/* Writes the files and starts the program. KT_NOT_FOUND, KT_DENIED: of the program. */
enum kt_kind place_start(struct service *service, struct kt_err *err) KT_MUST_CHECK;
/* Waits until it may be restarted, where that is what a new version takes. False: it ended by itself meanwhile, and has
 * done what it was to do, or a person asked for the end: nothing is to be touched any more. */
bool place_may_touch(struct service *service);
/* Files and activation. False: it is astray; the log and *detail say why. */
bool place_put(struct service *service, const struct values *values, char detail[160]);
