#include "vaultd/rotation/calendar.h"

#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/names.h"

#define RECORD_MAX ((size_t)80 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct rotation_calendar, member, type, most)
static const struct record_row rows_1[] = {
    ROW(name, RECORD_TEXT, CALENDAR_NAME_MAX),
    ROW(zone, RECORD_TEXT, KT_ZONE_NAME_MAX),
    ROW(ranges, RECORD_TEXT, RECORD_TEXT_MAX),
    ROW(users, RECORD_U32, 0),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind calendar_kind = {"blackout calendar", forms, 1,
                                          sizeof(struct rotation_calendar)};

enum kt_kind calendar_load(struct request *req, const char *name, struct rotation_calendar *ret,
                           struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    calendar_key(req->core, name, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = record_read(&calendar_kind, record, &req->arena, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

enum kt_kind calendar_save(struct request *req, const struct rotation_calendar *calendar,
                           struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&calendar_kind, calendar, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a calendar");
    unsigned char key[BARRIER_NAME_KEY];
    calendar_key(req->core, calendar->name, key);
    batch_require(batch, calendar->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), calendar->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

static enum kt_kind calendar_unknown(const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "there is no calendar '%s'", name);
    kt_hint(err, "make it first: secretctl calendar set %s zone=Europe/Berlin ranges=@FILE", name);
    return KT_INVALID;
}

enum kt_kind calendar_change_users(struct request *req, const char *before, const char *now,
                                   struct kt_err *err)
{
    struct rotation_calendar calendar;
    if (strcmp(before, now) == 0)
        return KT_OK;
    enum kt_kind kind = before[0] == '\0' ? KT_NOT_FOUND : calendar_load(req, before, &calendar, err);
    if (kind == KT_OK) {
        calendar.users -= calendar.users > 0;
        kind = calendar_save(req, &calendar, err);
    }
    if ((kind != KT_OK && kind != KT_NOT_FOUND) || now[0] == '\0')
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    kind = calendar_load(req, now, &calendar, err);
    if (kind == KT_NOT_FOUND)
        return calendar_unknown(now, err);
    calendar.users++;
    return kind == KT_OK ? calendar_save(req, &calendar, err) : kind;
}

enum kt_kind calendar_parse(const struct rotation_calendar *calendar, struct kt_blackout **ret,
                            struct kt_err *err)
{
    const struct kt_blackout_text text = {.zone = calendar->zone, .ranges = calendar->ranges};
    return kt_blackout_parse(&text, ret, err);
}

/* ---- with a schedule ---- */

static enum kt_kind load_blackout(struct request *req, const char *name,
                                  const struct rotation_calendar *instead,
                                  struct kt_blackout **ret, struct kt_err *err)
{
    struct rotation_calendar calendar;
    if (name[0] == '\0')
        return KT_OK;
    if (instead != NULL && strcmp(instead->name, name) == 0)
        return calendar_parse(instead, ret, err);
    enum kt_kind kind = calendar_load(req, name, &calendar, err);
    if (kind == KT_NOT_FOUND)
        return calendar_unknown(name, err);
    return kind == KT_OK ? calendar_parse(&calendar, ret, err) : kind;
}

enum kt_kind when_load(struct request *req, const struct rotation_settings *settings,
                       const struct rotation_calendar *instead, struct rotation_when *ret,
                       struct kt_err *err)
{
    struct kt_schedule_text text;
    *ret = (struct rotation_when){0};
    enum kt_kind kind = load_blackout(req, settings->blackout, instead, &ret->blackout, err);
    if (kind != KT_OK)
        return kind;
    kind = classes_schedule(req, settings, &text, err);
    if (kind != KT_OK)
        return kind;
    text.blackout = ret->blackout;
    return kt_schedule_parse(&text, &ret->schedule, err);
}

void when_free(struct rotation_when *when)
{
    kt_schedule_free(when->schedule);
    kt_blackout_free(when->blackout);
}
