/* vaultd/rotation/calendar.h - calendars of blackouts, and when a secret is due by its schedule and its
 * calendar together.
 *
 * What:    A calendar (lib/blackout.h) has a name; secrets name it (setting "blackout"). Nothing is
 *          started by schedule in its times. One that secrets name cannot be removed.
 * Stored:  TABLE_CALENDAR, sealed.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "lib/schedule.h"
#include "vaultd/core/core.h"
#include "vaultd/rotation/settings.h"

#define CALENDAR_NAME_MAX 128u

struct rotation_calendar {
    const char *name;
    const char *zone, *ranges;
    uint32_t users;     /* secrets that name it */
    generation changed; /* not stored */
};
extern const struct record_kind calendar_kind;

/* KT_NOT_FOUND: no such calendar, no text. */
enum kt_kind calendar_load(struct request *req, const char *name, struct rotation_calendar *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch, on condition that it is as it was loaded (changed 0: absent). */
enum kt_kind calendar_save(struct request *req, const struct rotation_calendar *calendar,
                           struct kt_err *err) KT_MUST_CHECK;
enum kt_kind calendar_parse(const struct rotation_calendar *calendar, struct kt_blackout **ret,
                            struct kt_err *err) KT_MUST_CHECK;
/* A secret that named the one names the other ("": none). KT_INVALID: there is none of that name. */
enum kt_kind calendar_change_users(struct request *req, const char *before, const char *now,
                                   struct kt_err *err) KT_MUST_CHECK;

/* A secret's schedule with its calendar; when_free() takes both. */
struct rotation_when {
    struct kt_blackout *blackout;
    struct kt_schedule *schedule;
};
/* instead: a calendar that counts in place of the stored one of its name; NULL: none. KT_INVALID,
 * KT_NOT_FOUND: what was written once cannot be read any more. */
enum kt_kind when_load(struct request *req, const struct rotation_settings *settings,
                       const struct rotation_calendar *instead, struct rotation_when *ret,
                       struct kt_err *err) KT_MUST_CHECK;
void when_free(struct rotation_when *when);
#define kt_autowhen __attribute__((cleanup(when_free)))

/* Routes. */
enum kt_kind calendars_list(struct request *req, struct kt_err *err);
enum kt_kind calendar_read(struct request *req, struct kt_err *err);
enum kt_kind calendar_write(struct request *req, struct kt_err *err);
enum kt_kind calendar_delete(struct request *req, struct kt_err *err);
enum kt_kind calendar_exists(struct request *req, bool *ret_exists, struct kt_err *err);
extern const struct field calendar_fields[];
