#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/secret.h"

/* After the classes changed: what they touch is planned anew, in the order of the store. */

#define LOOKED_MOST  256u /* rows in one request */
#define PLANNED_MOST 16u  /* a batch has room for 100 operations */
#define PLAIN_MAX    ((size_t)64 * 1024)

struct follow {
    unsigned char from[BARRIER_NAME_KEY]; /* rows up to here are done */
    unsigned char to[BARRIER_NAME_KEY];   /* and up to here once this request is committed */
    bool has_from, has_to, ended;
};

/* What is due already starts by its old plan, and is planned by the new classes when it ends; so is what has
 * a run under way (due_replan()). */
static bool is_touched(const struct rotation_secret *secret)
{
    enum risk_class risk;
    return secret->settings.max_age[0] == '\0' && risk_class_parse(secret->settings.risk, &risk);
}

static enum kt_kind plan_row(struct request *req, const struct entry *entry, bool *ret_planned,
                             struct kt_err *err)
{
    struct rotation_secret secret;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, PLAIN_MAX);
    *ret_planned = false;
    enum kt_kind kind = rows_open(req, entry, &plain, err);
    if (kind == KT_OK)
        kind = record_read(&secret_kind, kt_buf_bytes(&plain), &req->arena, &secret, err);
    if (kind != KT_OK || !is_touched(&secret))
        return kind;
    kind = secret_load(req, secret.name, &secret, err);
    if (kind == KT_NOT_FOUND) { /* its mount is going */
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = due_replan(req, &secret, ret_planned, err);
    return kind == KT_OK && *ret_planned ? secret_save(req, &secret, err) : kind;
}

static enum kt_kind walk(struct request *req, struct follow *f, struct kt_err *err)
{
    unsigned char table = TABLE_ROTATION;
    unsigned looked = 0, planned = 0;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(f->from, f->has_from ? sizeof f->from : 0),
               "planning by the risk classes");
    f->ended = true;
    while (kind == KT_OK && rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != sizeof f->from ||
            (f->has_from && memcmp(key.at, f->from, sizeof f->from) == 0))
            continue;
        if (looked++ == LOOKED_MOST || planned == PLANNED_MOST) {
            f->ended = false;
            break;
        }
        bool did = false;
        kind = plan_row(req, &rows.entry, &did, err);
        planned += did;
        memcpy(f->to, key.at, sizeof f->to);
        f->has_to = true;
    }
    return rows_end(&rows, kind, err);
}

static enum kt_kind follow_handler(struct request *req, struct kt_err *err)
{
    struct follow *f = req->handler_data;
    struct rotation_classes classes;
    f->has_to = false;
    f->ended = true;
    enum kt_kind kind = classes_load(req, &classes, err);
    if (kind != KT_OK || !classes.pending)
        return kind;
    kind = walk(req, f, err);
    if (kind != KT_OK || !f->ended)
        return kind;
    classes.pending = false;
    return classes_save(req, &classes, err);
}

bool classes_follow(struct rotation *rotation)
{
    struct follow follow = {.ended = false};
    while (!follow.ended && !atomic_load(&rotation->stopping)) {
        struct kt_err err = {0};
        enum kt_kind kind =
            request_internal(rotation->core, "rotation/classes", follow_handler, &follow, &err);
        if (kind != KT_OK) {
            if (kind != KT_SEALED)
                kt_log_err(KT_LOG_WARNING, "rotation-classes", &err);
            return false;
        }
        memcpy(follow.from, follow.to, sizeof follow.from);
        follow.has_from = follow.has_from || follow.has_to;
    }
    return follow.ended;
}
