/* lib/zone.h - time zones from the system's tzdata, without setenv, tzset or localtime.
 *
 * What:    Reads one TZif file and maps UTC to local time and back, with gaps (local times that a
 *          clock change leaves out) and folds (local times that happen twice). After the file's last
 *          transition its footer, a POSIX TZ string, goes on for ever.
 * Names:   "UTC" (built in, needs no file) or an IANA name with an area, as "Europe/Berlin".
 *          Abbreviations and fixed offsets (EST, CET, Etc/GMT+5, EST5EDT) are refused, since they
 *          do not follow the clock changes of any place.
 * Owner:   kt_zone_load() and kt_zone_parse() give the caller a zone, kt_zone_free() takes it; NULL
 *          is fine. A zone never changes.
 * Limits:  file <= 256 KiB, name <= 63 characters, years 1..9999 for callers' times.
 * Errors:  KT_INVALID: the name; KT_NOT_FOUND: no such zone in the directory; KT_CORRUPT: not TZif,
 *          or with leap seconds ("right/").
 * Source:  RFC 8536 (TZif), POSIX.1-2017 8.3 (TZ) with RFC 8536 3.3.1's extension for hours.
 * Threads: any thread. */
#pragma once

#include "lib/err.h"

#define KT_ZONE_DIR      "/usr/share/zoneinfo"
#define KT_ZONE_NAME_MAX 63u
#define KT_ZONE_FILE_MAX ((size_t)256 * 1024)

struct kt_zone;

/* dir NULL: KT_ZONE_DIR. */
enum kt_kind kt_zone_load(const char *dir, const char *name, struct kt_zone **ret,
                          struct kt_err *err) KT_MUST_CHECK;
/* The same from bytes; the name is only kept. */
enum kt_kind kt_zone_parse(struct kt_bytes tzif, const char *name, struct kt_zone **ret,
                           struct kt_err *err) KT_MUST_CHECK;
void kt_zone_free(struct kt_zone *zone);
const char *kt_zone_name(const struct kt_zone *zone);
/* Is the name of a form that kt_zone_load() would look for? */
enum kt_kind kt_zone_name_check(const char *name, struct kt_err *err) KT_MUST_CHECK;

/* Seconds to add to UTC for local time at that instant. Times are seconds since 1970. */
int64_t kt_zone_offset(const struct kt_zone *zone, int64_t utc_s);
/* The first instant > utc_s at which the offset changes. False: never again. */
bool kt_zone_change_after(const struct kt_zone *zone, int64_t utc_s, int64_t *ret_s);

enum kt_local_kind {
    KT_LOCAL_ONCE,
    KT_LOCAL_GAP,  /* does not exist */
    KT_LOCAL_FOLD, /* happens twice */
};
struct kt_local {
    enum kt_local_kind kind;
    int64_t first_s; /* ONCE: the instant; FOLD: the first of two; GAP: the change itself */
    int64_t last_s;  /* FOLD: the last one; else as first_s */
    int64_t size_s;  /* GAP and FOLD: how far the clock jumps, positive */
};
/* local_s: the local date and time counted as if it were UTC. */
struct kt_local kt_zone_local(const struct kt_zone *zone, int64_t local_s);

/* "2025b", or "unknown". Schedules are recomputed when it changes. */
#define KT_ZONE_VERSION_TEXT 32
void kt_zone_data_version(const char *dir, char out[KT_ZONE_VERSION_TEXT]);

static inline void kt_zone_free_at(struct kt_zone **zone)
{
    kt_zone_free(*zone);
}
#define kt_autozone __attribute__((cleanup(kt_zone_free_at)))
