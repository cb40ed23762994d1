#include <stdlib.h>

#include "vaultd/core/rows.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/secret.h"

/* Calendars of blackouts, as people write and look at them. Who changes one sees in the answer what that
 * does to the secrets that name it. */

#define SHOWN_MAX  50u   /* secrets in an answer */
#define LOOKED_MAX 5000u /* rotations that are looked at for it */
#define LIST_ASIDE 100u  /* more of them go aside: each is opened for its name */

const struct field calendar_fields[] = {
    {"zone", FIELD_STRING, "IANA time zone of the ranges, UTC"},
    {"ranges", FIELD_STRING, "lines \"2027-11-25..2027-11-29 the busiest days of the year\""},
    {NULL, FIELD_ANY, NULL},
};

enum kt_kind calendar_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct rotation_calendar calendar;
    enum kt_kind kind = calendar_load(req, request_param(req, "name"), &calendar, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_exists = kind == KT_OK;
    return KT_OK;
}

/* ---- reading ---- */

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

struct listing {
    const char **names;
    size_t n, room;
    struct kt_buf plain;
    struct kt_arena arena; /* of the one that is looked at: its ranges may be long */
};

static enum kt_kind list_one(struct request *req, const struct entry *entry, struct listing *l,
                             struct kt_err *err)
{
    struct rotation_calendar calendar;
    kt_arena_reset(&l->arena);
    enum kt_kind kind = rows_open(req, entry, &l->plain, err);
    if (kind == KT_OK)
        kind = record_read(&calendar_kind, kt_buf_bytes(&l->plain), &l->arena, &calendar, err);
    if (kind != KT_OK)
        return kind;
    const char *name = kt_arena_text(&req->arena, kt_str(calendar.name));
    const char **names = rows_room(req, l->names, l->n, &l->room, sizeof *names);
    if (name == NULL || names == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing the calendars");
    l->names = names;
    names[l->n++] = name;
    return KT_OK;
}

static enum kt_kind list_all(struct request *req, struct listing *l, bool *ret_aside, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    enum kt_kind kind = KT_OK;
    struct rows rows;
    calendars_prefix(req->core, prefix);
    kt_buf_init(&l->plain, (size_t)128 * 1024);
    kt_arena_init(&l->arena, (size_t)256 * 1024);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "listing the calendars");
    while (kind == KT_OK && !*ret_aside && rows_next(&rows)) {
        kind = list_one(req, &rows.entry, l, err);
        *ret_aside = kind == KT_OK && l->n == LIST_ASIDE && request_aside(req);
    }
    kind = rows_end(&rows, kind, err);
    kt_buf_free(&l->plain);
    kt_arena_free(&l->arena);
    return kind;
}

enum kt_kind calendars_list(struct request *req, struct kt_err *err)
{
    struct listing l = {.n = 0};
    bool aside = false;
    enum kt_kind kind = list_all(req, &l, &aside, err);
    if (kind != KT_OK || aside || l.n == 0)
        return kind;
    qsort(l.names, l.n, sizeof l.names[0], by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < l.n; i++)
        kt_jsonw_text(&w, l.names[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

static void show_span(struct kt_jsonw *w, const char *name, const struct kt_blackout_span *span)
{
    if (span == NULL) {
        kt_jsonw_kv_null(w, name);
        return;
    }
    kt_jsonw_key(w, name);
    kt_jsonw_object(w);
    kt_jsonw_kv_time(w, "from", span->from_ms);
    kt_jsonw_kv_time(w, "to", span->to_ms);
    kt_jsonw_kv_text(w, "reason", span->reason);
    kt_jsonw_end(w);
}

/* What it forbids now, and what is to come. */
static void show_spans(struct request *req, struct kt_jsonw *w, const struct kt_blackout *blackout)
{
    struct kt_blackout_span now, next;
    bool is = kt_blackout_at(blackout, req->now_ms, &now);
    bool comes = kt_blackout_next(blackout, is ? now.to_ms : req->now_ms, &next);
    show_span(w, "now", is ? &now : NULL);
    show_span(w, "next", comes ? &next : NULL);
}

enum kt_kind calendar_read(struct request *req, struct kt_err *err)
{
    struct rotation_calendar calendar;
    const char *name = request_param(req, "name");
    kt_autoblackout struct kt_blackout *blackout = NULL;
    enum kt_kind kind = calendar_load(req, name, &calendar, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "there is no calendar '%s'", name);
    if (kind == KT_OK)
        kind = calendar_parse(&calendar, &blackout, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "zone", calendar.zone);
    kt_jsonw_kv_text(&w, "ranges", calendar.ranges);
    show_spans(req, &w, blackout);
    kt_jsonw_kv_int(&w, "secrets", calendar.users);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing ---- */

static void replan_after(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_replan(req->core->rotation);
}

/* One secret that names it: when it was due, and when it will be. */
static enum kt_kind show_secret(struct request *req, const struct rotation_calendar *calendar,
                                const char *name, struct kt_jsonw *w, struct kt_err *err)
{
    struct rotation_secret secret;
    struct kt_due due;
    bool found = false;
    enum kt_kind kind = secret_load(req, name, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = due_ahead(req, &secret, calendar, &due, &found, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", name);
    kt_jsonw_kv_time(w, "was_due", secret.due ? secret.due_ms : 0);
    due_show(w, found ? &due : NULL);
    kt_jsonw_end(w);
    return KT_OK;
}

/* "secrets": those that name it, as far as they are found among so many. */
static enum kt_kind show_secrets(struct request *req, const struct rotation_calendar *calendar,
                                 struct kt_jsonw *w, struct kt_err *err)
{
    unsigned char table = TABLE_ROTATION;
    unsigned looked = 0, shown = 0;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    kt_jsonw_key(w, "secrets");
    kt_jsonw_array(w);
    if (calendar->users > 0) {
        rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "looking who names it");
        for (; kind == KT_OK && looked < LOOKED_MAX && shown < SHOWN_MAX && rows_next(&rows);
             looked++) {
            struct rotation_secret secret;
            kind = rows_open(req, &rows.entry, &plain, err);
            if (kind == KT_OK)
                kind = record_read(&secret_kind, kt_buf_bytes(&plain), &req->arena, &secret, err);
            if (kind == KT_CORRUPT) { /* one is no reason to keep the calendar as it is */
                *err = (struct kt_err){0};
                kind = KT_OK;
                continue;
            }
            if (kind != KT_OK || strcmp(secret.settings.blackout, calendar->name) != 0)
                continue;
            kind = show_secret(req, calendar, secret.name, w, err);
            shown++;
        }
        kind = rows_end(&rows, kind, err);
    }
    kt_jsonw_end(w);
    if (shown < calendar->users)
        request_warn(req, "%u secrets name it, %u are shown: secretctl due has all that are next",
                     calendar->users, shown);
    return kind;
}

static enum kt_kind read_member(struct request *req, const char *name, size_t most,
                                const char **ret, struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK && strlen(text) > most)
        return kt_fail(err, KT_INVALID, "%s is longer than %zu bytes", name, most);
    if (kind == KT_OK)
        *ret = text;
    return kind;
}

enum kt_kind calendar_write(struct request *req, struct kt_err *err)
{
    struct rotation_calendar calendar;
    const char *name = request_param(req, "name");
    kt_autoblackout struct kt_blackout *blackout = NULL;
    if (strlen(name) > CALENDAR_NAME_MAX)
        return kt_fail(err, KT_INVALID, "the name is longer than %u bytes", CALENDAR_NAME_MAX);
    enum kt_kind kind = calendar_load(req, name, &calendar, err);
    if (kind == KT_NOT_FOUND)
        calendar = (struct rotation_calendar){.name = name, .zone = "UTC", .ranges = ""};
    else if (kind != KT_OK)
        return kind;
    /* Rotations are looked through for those that name it: not on a thread that reads wait for. */
    if (calendar.users > 0 && request_aside(req))
        return KT_OK;
    kind = read_member(req, "zone", KT_ZONE_NAME_MAX, &calendar.zone, err);
    if (kind == KT_OK)
        kind = read_member(req, "ranges", RECORD_TEXT_MAX, &calendar.ranges, err);
    if (kind == KT_OK)
        kind = calendar_parse(&calendar, &blackout, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_INVALID : kind;
    kind = calendar_save(req, &calendar, err);
    if (kind == KT_OK && calendar.users > 0)
        kind = rotation_clock_want_replan(req, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = replan_after;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_spans(req, &w, blackout);
    kind = show_secrets(req, &calendar, &w, err);
    kt_jsonw_end(&w);
    return kind;
}

enum kt_kind calendar_delete(struct request *req, struct kt_err *err)
{
    struct rotation_calendar calendar;
    enum kt_kind kind = calendar_load(req, request_param(req, "name"), &calendar, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (calendar.users > 0) {
        (void)kt_fail(err, KT_INVALID, "%u secrets name the calendar '%s'", calendar.users,
                      calendar.name);
        kt_hint(err, "empty it: secretctl calendar set %s ranges=, or let each go: secretctl schedule "
                     "set SECRET blackout=",
                calendar.name);
        return KT_INVALID;
    }
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a calendar");
    unsigned char key[BARRIER_NAME_KEY];
    calendar_key(req->core, calendar.name, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), calendar.changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}
