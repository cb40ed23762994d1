#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/run.h"

/* Runs that have not ended: those that the store has and the thread does not know yet, after a start or
 * because somebody made them. What one needs next is asked run by run (advance.c), but its place at the
 * target counts from here on: else others took it before its turn came. */

#define PLAIN_MAX ((size_t)64 * 1024)
#define ARENA_MAX ((size_t)256 * 1024)
#define MINUTE_MS ((int64_t)60 * 1000)

struct found {
    unsigned char id[RUN_ID];
    bool read; /* its record could be read; else its step will say what is wrong */
    enum run_state state;
    bool scheduled;
    int64_t started_ms;
    char target[TARGET_NAME_MAX + 1]; /* "": none */
    uint32_t max_runs;
};

struct actives_pass {
    const struct rotation *rotation;
    struct found *found;
    size_t n;
    struct kt_buf plain;
    struct kt_arena arena;         /* of the one that is looked at */
    struct rotation_target target; /* of the last one that wanted to know; name NULL: none */
};

static bool is_known(const struct rotation *rotation, const unsigned char id[RUN_ID])
{
    for (const struct active *a = rotation->actives; a != NULL; a = a->next)
        if (memcmp(a->id, id, RUN_ID) == 0)
            return true;
    return false;
}

static enum kt_kind read_run(struct actives_pass *p, struct request *req, struct run *run)
{
    unsigned char key[RUN_KEY];
    struct entry entry;
    struct kt_err ignored = {0};
    run_key(p->found[p->n].id, key);
    if (snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry) != STORE_OK)
        return KT_NOT_FOUND;
    enum kt_kind kind = rows_open(req, &entry, &p->plain, &ignored);
    return kind == KT_OK
               ? record_read(&run_kind, kt_buf_bytes(&p->plain), &p->arena, run, &ignored)
               : kind;
}

/* It has a place at its target, or is next for one. */
static bool wants_place(enum run_state state)
{
    return state == RUN_PLANNED || state_has_place(state);
}

static uint32_t max_runs_of(struct actives_pass *p, struct request *req, const char *name)
{
    bool known = p->target.name != NULL && strcmp(p->target.name, name) == 0;
    if (!known && target_load(req, name, &p->target, NULL) != KT_OK)
        p->target = (struct rotation_target){.max_runs = 1};
    return p->target.max_runs;
}

static void take(struct actives_pass *p, struct request *req, const unsigned char id[RUN_ID],
                 struct run *run)
{
    struct found *found = &p->found[p->n];
    *found = (struct found){.max_runs = 1};
    memcpy(found->id, id, RUN_ID);
    kt_arena_reset(&p->arena);
    found->read = read_run(p, req, run) == KT_OK;
    p->n++;
    if (!found->read)
        return;
    found->state = run->machine.state;
    found->scheduled = run->trigger == TRIGGER_SCHEDULE || run->trigger == TRIGGER_MAX_AGE;
    found->started_ms = run->started_ms;
    if (!run_touches_target(run))
        return;
    (void)snprintf(found->target, sizeof found->target, "%s", run->settings.target);
    if (wants_place(found->state))
        found->max_runs = max_runs_of(p, req, found->target);
}

static enum kt_kind actives_handler(struct request *req, struct kt_err *err)
{
    struct actives_pass *p = req->handler_data;
    unsigned char table = TABLE_ACTIVE, id[RUN_ID];
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for runs");
    p->n = 0;
    p->target = (struct rotation_target){.name = NULL};
    size_t room = 0;
    free(p->found);
    p->found = NULL;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "looking for runs");
    while (kind == KT_OK && rows_next(&rows)) {
        if (rows.entry.key.len != RUN_KEY)
            continue;
        memcpy(id, rows.entry.key.at + 1, RUN_ID);
        if (is_known(p->rotation, id))
            continue;
        if (p->n == room) {
            room = room == 0 ? 16 : room * 2;
            struct found *more = realloc(p->found, room * sizeof *more);
            if (more == NULL) {
                kind = kt_fail(err, KT_NO_MEMORY, "looking for runs");
                break;
            }
            p->found = more;
        }
        take(p, req, id, run);
    }
    return rows_end(&rows, kind, err);
}

/* It has its place from now on when it has begun; when not, as far as there are places, in the order in
 * which they were made: it may have given its own to another while it was held up. */
static bool has_place(const struct rotation *rotation, const struct found *found)
{
    const struct rotation_target target = {.name = found->target, .max_runs = found->max_runs};
    if (!found->read || found->target[0] == '\0' || !wants_place(found->state))
        return false;
    return state_has_begun(found->state) || place_free(rotation, NULL, &target);
}

/* Behind the others: who came first has his turn first. */
static void add_active(struct rotation *rotation, const struct found *found, struct active ***tail)
{
    struct active *active = kt_calloc(1, sizeof *active);
    if (active == NULL)
        return; /* found again at the next look */
    memcpy(active->id, found->id, RUN_ID);
    run_id_text(found->id, active->text);
    active->state = found->state;
    active->touches = has_place(rotation, found);
    memcpy(active->target, found->target, sizeof active->target);
    (void)pthread_mutex_lock(&rotation->lock);
    **tail = active;
    *tail = &active->next;
    (void)pthread_mutex_unlock(&rotation->lock);
    int64_t now_ms = kt_wall_ms(rotation->core->clock);
    bool within = found->started_ms <= now_ms && now_ms - found->started_ms < MINUTE_MS;
    active->counted = found->scheduled && within && found->target[0] != '\0';
    if (active->counted)
        start_count(rotation, found->target, rotation_steady_ms(rotation) - (now_ms - found->started_ms));
}

void actives_scan(struct rotation *rotation)
{
    struct actives_pass pass = {.rotation = rotation};
    struct kt_err err = {0};
    kt_buf_init(&pass.plain, PLAIN_MAX);
    kt_arena_init(&pass.arena, ARENA_MAX);
    enum kt_kind kind =
        request_internal(rotation->core, "rotation/runs", actives_handler, &pass, &err);
    if (kind != KT_OK && kind != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "rotation-runs", &err);
    struct active **tail = &rotation->actives;
    while (*tail != NULL)
        tail = &(*tail)->next;
    for (int begun = 1; begun >= 0; begun--)
        for (size_t i = 0; i < pass.n; i++)
            if (state_has_begun(pass.found[i].state) == (begun == 1))
                add_active(rotation, &pass.found[i], &tail);
    free(pass.found);
    kt_buf_free(&pass.plain);
    kt_arena_free(&pass.arena);
}

/* ---- before there are requests ---- */

struct newest {
    const struct core *core;
    struct snapshot *snapshot;
    struct kt_buf plain;
    struct kt_arena arena;
    struct run run;
    int64_t ms;
};

/* A run that cannot be read has no say. */
static void look_at_noted(struct newest *n, const unsigned char id[RUN_ID])
{
    unsigned char key[RUN_KEY];
    struct entry entry;
    struct kt_err ignored = {0};
    run_key(id, key);
    kt_buf_reset(&n->plain);
    kt_arena_reset(&n->arena);
    if (snapshot_get(n->snapshot, kt_bytes(key, sizeof key), &entry) != STORE_OK ||
        barrier_open_entry(n->core->barrier, entry.key, entry.value, &n->plain, &ignored) != KT_OK ||
        record_read(&run_kind, kt_buf_bytes(&n->plain), &n->arena, &n->run, &ignored) != KT_OK)
        return;
    const int64_t noted_ms[] = {n->run.state_ms, n->run.given_ms, n->run.acked_ms};
    for (size_t i = 0; i < sizeof noted_ms / sizeof noted_ms[0]; i++)
        n->ms = noted_ms[i] > n->ms ? noted_ms[i] : n->ms;
}

int64_t actives_newest_ms(const struct core *core)
{
    unsigned char table = TABLE_ACTIVE;
    struct newest *n = kt_calloc(1, sizeof *n);
    struct cursor *cursor = NULL;
    struct entry entry;
    if (n == NULL)
        return 0;
    n->core = core;
    kt_buf_init(&n->plain, PLAIN_MAX);
    kt_arena_init(&n->arena, ARENA_MAX);
    if (snapshot_begin(core->store, &n->snapshot) == STORE_OK &&
        cursor_open(n->snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor) == STORE_OK)
        while (cursor_next(cursor, &entry) == STORE_OK)
            if (entry.key.len == RUN_KEY)
                look_at_noted(n, entry.key.at + 1);
    cursor_close(cursor);
    snapshot_end(n->snapshot);
    int64_t newest_ms = n->ms;
    kt_buf_free(&n->plain);
    kt_arena_free(&n->arena);
    free(n);
    return newest_ms;
}
