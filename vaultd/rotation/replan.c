#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/secret.h"
#include "vaultd/rotation/truth.h"

/* What is planned rests on the clock, on the rules of time zones, on calendars and on risk classes. When a
 * clock that was ahead is set back, the last times of secrets and their next looks lie in the future, and
 * nothing would come before those; when the rules of a zone change, what was planned lies an hour beside; a
 * class may have become stricter. So all of it is looked at again, in the order of the table, beside the
 * runs that are under way. */

#define AT_A_TIME 12u /* secrets in one commit: each is up to 8 of the 100 operations that a batch has room for */
#define LOOKED_AT 256u

struct replan_pass {
    const struct replan *replan;
    unsigned char last[BARRIER_NAME_KEY];
    bool looked, ended;
};

/* By a clock that was ahead. */
static bool looks_too_late(const struct request *req, const struct rotation_secret *secret)
{
    return secret->look_due_ms > req->now_ms + secret->settings.verify_every_s * 1000;
}

static enum kt_kind replan_row(struct request *req, const struct entry *entry, struct kt_buf *plain,
                               bool *ret_changed, struct kt_err *err)
{
    struct rotation_secret stored, secret;
    enum kt_kind kind = rows_open(req, entry, plain, err);
    if (kind == KT_OK)
        kind = record_read(&secret_kind, kt_buf_bytes(plain), &req->arena, &stored, err);
    if (kind == KT_OK)
        kind = secret_load(req, stored.name, &secret, err);
    if (kind == KT_OK)
        kind = due_replan(req, &secret, ret_changed, err);
    /* A run that is under way plans the next look when it ends. */
    if (kind == KT_OK && !secret.active && looks_too_late(req, &secret)) {
        *ret_changed = true;
        kind = truth_plan(req, &secret, err);
    }
    if (kind == KT_OK)
        kind = drill_replan(req, &secret, ret_changed, err);
    return kind == KT_OK && *ret_changed ? secret_save(req, &secret, err) : kind;
}

static enum kt_kind replan_handler(struct request *req, struct kt_err *err)
{
    struct replan_pass *p = req->handler_data;
    const struct replan *replan = p->replan;
    unsigned char table = TABLE_ROTATION;
    unsigned looked = 0, changed = 0;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    p->looked = p->ended = false;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1),
               kt_bytes(replan->from, replan->has_from ? sizeof replan->from : 0),
               "planning anew");
    while (kind == KT_OK && looked < LOOKED_AT && changed < AT_A_TIME) {
        if (!rows_next(&rows)) {
            p->ended = true;
            break;
        }
        struct kt_bytes key = rows.entry.key;
        if (key.len != sizeof p->last ||
            (replan->has_from && memcmp(key.at, replan->from, sizeof p->last) == 0))
            continue;
        bool one = false;
        kind = replan_row(req, &rows.entry, &plain, &one, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND) {
            /* One that cannot be read does not hold up all behind it. */
            kt_log_err(KT_LOG_WARNING, "rotation-replan", err);
            *err = (struct kt_err){0};
            kind = KT_OK;
        }
        memcpy(p->last, key.at, sizeof p->last);
        p->looked = true;
        changed += one;
        looked++;
    }
    return rows_end(&rows, kind, err);
}

bool replan_some(struct rotation *rotation)
{
    struct replan *replan = &rotation->replan;
    struct replan_pass pass = {.replan = replan};
    struct kt_err err = {0};
    enum kt_kind kind =
        request_internal(rotation->core, "rotation/due", replan_handler, &pass, &err);
    if (kind != KT_OK) {
        if (kind != KT_SEALED)
            kt_log_err(KT_LOG_WARNING, "rotation-replan", &err);
        return false;
    }
    if (pass.looked)
        memcpy(replan->from, pass.last, sizeof replan->from);
    replan->has_from = replan->has_from || pass.looked;
    rotation->next_due_ms = rotation->next_look_ms = rotation->next_drill_ms = 0;
    if (pass.ended && rotation_clock_replanned(rotation))
        *replan = (struct replan){.on = false};
    return replan->on && !pass.ended;
}
