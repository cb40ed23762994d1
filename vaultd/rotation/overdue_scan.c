#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/key_age.h"
#include "vaultd/rotation/overdue.h"
#include "vaultd/rotation/tell.h"

/* Who gets overdue is told, once for each cause until it is overdue no more. Time alone makes a secret that, so
 * all of them are looked at now and then, some at a time beside the runs: the thread looks for a fifth of its
 * time, and rests a hundred times as long as a walk took. Where many get overdue together (all was paused, a
 * target is away) the first ones are told one by one, and that there are more. */

#define FIRST_MS    ((int64_t)300 * 1000) /* what a restart finds due starts by itself */
#define EVERY_MS    ((int64_t)300 * 1000)
#define GRACE_MS    ((int64_t)300 * 1000)
#define REST_TIMES  100
#define PACE_TIMES  4
#define LOOKED_MOST 256u
#define TOOK_MOST   ((int64_t)10 * 1000) /* for so many; longer: the machine stood still, and no rest is due for that */
#define SAVED_MOST  16u /* of a batch's 100 operations each takes two, and a message of each channel one */
#define TOLD_MOST   6u
#define EACH_MOST   20u /* one by one, in a walk */

struct scan_pass {
    const struct overdue_walk *walk;
    struct rotation_classes classes;
    unsigned char last[BARRIER_NAME_KEY];
    bool looked, ended, many;
    unsigned saved, told, late, unreadable;
};

static enum kt_kind tell_one(struct scan_pass *p, struct request *req, const struct rotation_secret *secret,
                             const struct overdue *overdue, struct kt_err *err)
{
    if (p->walk->told + p->told < EACH_MOST) {
        p->told++;
        return tell_overdue(req, secret, overdue, err);
    }
    if (p->walk->many || p->many)
        return KT_OK;
    p->many = true;
    return tell_many_overdue(req, EACH_MOST, err);
}

/* A run that is frozen was told of as that. */
static enum kt_kind follow(struct scan_pass *p, struct request *req, const char *name,
                           const struct overdue *overdue, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, name, &secret, err);
    if (kind == KT_NOT_FOUND) { /* its mount is going */
        kt_err_clear(err);
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    secret.overdue_told = overdue->why == OVERDUE_NOT ? 0 : secret.overdue_told | (1u << overdue->why);
    if (overdue->why != OVERDUE_NOT)
        kind = tell_one(p, req, &secret, overdue, err);
    p->saved++;
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

static enum kt_kind look_at_row(struct scan_pass *p, struct request *req, const struct entry *entry,
                                struct kt_buf *plain, struct kt_arena *arena, struct kt_err *err)
{
    struct rotation_secret secret;
    struct overdue overdue;
    kt_arena_reset(arena);
    enum kt_kind kind = rows_open(req, entry, plain, err);
    if (kind == KT_OK)
        kind = record_read(&secret_kind, kt_buf_bytes(plain), arena, &secret, err);
    if (kind == KT_OK)
        kind = overdue_judge(req, &secret, &p->classes, GRACE_MS, &overdue, err);
    if (kind != KT_OK)
        return kind;
    p->late += overdue.why != OVERDUE_NOT;
    bool news = overdue.why == OVERDUE_NOT ? secret.overdue_told != 0
                                           : overdue.why != OVERDUE_FROZEN &&
                                                 (secret.overdue_told & (1u << overdue.why)) == 0;
    return news ? follow(p, req, secret.name, &overdue, err) : KT_OK;
}

static enum kt_kind walk_rows(struct scan_pass *p, struct request *req, struct rows *rows, struct kt_err *err)
{
    const struct overdue_walk *walk = p->walk;
    enum kt_kind kind = KT_OK;
    unsigned looked = 0;
    struct kt_arena arena; /* of the one that is looked at */
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, (size_t)64 * 1024);
    kt_arena_init(&arena, (size_t)256 * 1024);
    while (kind == KT_OK && looked < LOOKED_MOST && p->saved < SAVED_MOST && p->told < TOLD_MOST) {
        p->ended = !rows_next(rows);
        if (p->ended)
            break;
        struct kt_bytes key = rows->entry.key;
        if (key.len != sizeof p->last || (walk->has_from && memcmp(key.at, walk->from, sizeof p->last) == 0))
            continue;
        kind = look_at_row(p, req, &rows->entry, &plain, &arena, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND) {
            /* One that cannot be read does not hold up all behind it; whoever lists them hears of it. */
            p->unreadable += kind == KT_CORRUPT;
            kt_err_clear(err);
            kind = KT_OK;
        }
        memcpy(p->last, key.at, sizeof p->last);
        p->looked = true;
        looked++;
    }
    kt_arena_free(&arena);
    return kind;
}

static enum kt_kind scan_handler(struct request *req, struct kt_err *err)
{
    struct scan_pass *p = req->handler_data;
    unsigned char table = TABLE_ROTATION;
    struct rows rows;
    *p = (struct scan_pass){.walk = p->walk};
    enum kt_kind kind = classes_load(req, &p->classes, err);
    if (kind != KT_OK)
        return kind;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(p->walk->from, p->walk->has_from ? sizeof p->last : 0),
               "looking for what is overdue");
    return rows_end(&rows, walk_rows(p, req, &rows, err), err);
}

void overdue_begin(struct rotation *rotation)
{
    rotation->overdue = (struct overdue_walk){.next_ms = rotation_steady_ms(rotation) + FIRST_MS};
}

/* The next one finds all of it again. */
static void end_walk(struct rotation *rotation, int64_t now_ms)
{
    struct overdue_walk *walk = &rotation->overdue;
    int64_t rest_ms = walk->spent_ms * REST_TIMES > EVERY_MS ? walk->spent_ms * REST_TIMES : EVERY_MS;
    *walk = (struct overdue_walk){.next_ms = now_ms + rest_ms};
}

void overdue_scan(struct rotation *rotation)
{
    struct overdue_walk *walk = &rotation->overdue;
    struct scan_pass pass = {.walk = walk};
    struct kt_err err = {0};
    int64_t began_ms = rotation_steady_ms(rotation);
    enum kt_kind kind = request_internal(rotation->core, "rotation/overdue", scan_handler, &pass, &err);
    int64_t now_ms = rotation_steady_ms(rotation), took_ms = now_ms - began_ms;
    took_ms = took_ms < TOOK_MOST ? took_ms : TOOK_MOST;
    if (kind != KT_OK) {
        if (kind != KT_SEALED)
            kt_log_err(KT_LOG_WARNING, "rotation-overdue", &err);
        end_walk(rotation, now_ms);
        return;
    }
    walk->told += pass.told;
    walk->many = walk->many || pass.many;
    walk->late += pass.late;
    walk->unreadable += pass.unreadable;
    walk->spent_ms += took_ms;
    walk->next_ms = now_ms + took_ms * PACE_TIMES;
    if (pass.looked)
        memcpy(walk->from, pass.last, sizeof walk->from);
    walk->has_from = walk->has_from || pass.looked;
    if (!pass.ended)
        return;
    key_age_scan(rotation);
    atomic_store(&rotation->overdue_seen, walk->late);
    atomic_store(&rotation->unreadable_seen, walk->unreadable);
    end_walk(rotation, now_ms);
}
