#include "vaultd/rotation/zombies.h"

#include <stdlib.h>

#include "vaultd/core/rows.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/run.h"

#define HERE      500u  /* runs; more of them are looked at where nobody else waits */
#define LIST_MAX  1000u
#define PLAIN_MAX ((size_t)256 * 1024)
#define ARENA_MAX ((size_t)1024 * 1024)

struct zombie {
    const char *secret, *target, *account, *known;
    char run[RUN_ID_TEXT];
    uint32_t version;
    enum run_state state; /* of the run */
    int64_t since_ms;     /* the run is ending it since then */
    bool late;            /* for longer than max_overlap */
    uint32_t tries;
};

struct listing {
    struct request *req;
    struct zombie *rows;
    size_t n, room, checked;
    size_t all, late; /* those that are not shown, too */
    struct kt_buf plain; /* of the run that is looked at, as is the next */
    struct kt_arena arena;
};

/* Which credential it is ending, by what was sent last; 0: none. */
static uint32_t ends_version(const struct run *run)
{
    const struct machine *m = &run->machine;
    enum run_state state = m->state == RUN_FROZEN ? m->frozen_in : m->state;
    if (machine_ends_old(m))
        return run->from;
    bool ends_new = m->back == BACK_REVOKE_NEW || m->back == BACK_CONFIRM_OLD;
    return state == RUN_ROLLING_BACK && ends_new ? run->to : 0;
}

/* A run says each state that it comes to, and may come to several while the credential lives. */
enum kt_kind zombie_since(struct request *req, const struct run *run, int64_t *ret_ms, struct kt_err *err)
{
    const char *revoking = run_state_text(RUN_REVOKING), *confirming = run_state_text(RUN_CONFIRMING);
    struct run_step *steps = NULL;
    size_t n = 0;
    enum kt_kind kind = steps_load(req, run->id, 0, &steps, &n, err);
    for (size_t i = 0; kind == KT_OK && i < n; i++)
        if (steps[i].kind == STEP_STATE &&
            (strcmp(steps[i].name, revoking) == 0 || strcmp(steps[i].name, confirming) == 0)) {
            *ret_ms = steps[i].at_ms;
            return KT_OK;
        }
    return kind == KT_OK ? KT_NOT_FOUND : kind;
}

static enum kt_kind add(struct listing *l, const struct run *run, uint32_t version, struct kt_err *err)
{
    struct kt_arena *arena = &l->req->arena;
    bool old = version == run->from, frozen = run->machine.state == RUN_FROZEN;
    int64_t since_ms = rotation_wall_of(l->req->core->rotation, run->state_ms);
    enum kt_kind kind = old ? zombie_since(l->req, run, &since_ms, err) : KT_NOT_FOUND;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    bool late = l->req->now_ms - since_ms > run->settings.max_overlap_s * 1000;
    l->late += late;
    l->all++;
    if (l->n == LIST_MAX)
        return KT_OK;
    struct zombie *rows = rows_room(l->req, l->rows, l->n, &l->room, sizeof *rows);
    if (rows == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing credentials that live");
    l->rows = rows;
    struct zombie *row = &rows[l->n++];
    *row = (struct zombie){.version = version, .state = run->machine.state, .since_ms = since_ms,
                           .late = late, .tries = run->tries};
    run_id_text(run->id, row->run);
    row->secret = kt_arena_text(arena, kt_str(run->name));
    row->target = kt_arena_text(arena, kt_str(run->settings.target));
    row->account = kt_arena_text(arena, kt_str(run_account(run, old ? run->slot_old : run->slot_new)));
    row->known = kt_arena_text(arena, kt_str(frozen ? run->frozen_text : run_state_waits(run->machine.state)));
    return row->secret == NULL || row->target == NULL || row->account == NULL || row->known == NULL
               ? kt_fail(err, KT_NO_MEMORY, "listing credentials that live")
               : KT_OK;
}

static enum kt_kind look(struct listing *l, const unsigned char id[RUN_ID], struct kt_err *err)
{
    unsigned char key[RUN_KEY];
    struct entry entry;
    struct run *run = kt_arena_take(&l->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing credentials that live");
    run_key(id, key);
    if (snapshot_get(l->req->snapshot, kt_bytes(key, sizeof key), &entry) != STORE_OK)
        return kt_fail(err, KT_CORRUPT, "a run that has not ended is not there");
    enum kt_kind kind = rows_open(l->req, &entry, &l->plain, err);
    if (kind == KT_OK)
        kind = record_read(&run_kind, kt_buf_bytes(&l->plain), &l->arena, run, err);
    uint32_t version = kind == KT_OK ? ends_version(run) : 0;
    if (version != 0)
        kind = add(l, run, version, err);
    kt_arena_reset(&l->arena);
    return kind;
}

static int oldest_first(const void *a, const void *b)
{
    const struct zombie *x = a, *y = b;
    return x->since_ms < y->since_ms ? -1 : x->since_ms > y->since_ms;
}

static void show(struct listing *l)
{
    struct kt_jsonw w = kt_jsonw(&l->req->reply.data);
    if (l->n > 0)
        qsort(l->rows, l->n, sizeof l->rows[0], oldest_first);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "count", (int64_t)l->all);
    kt_jsonw_kv_int(&w, "late", (int64_t)l->late);
    kt_jsonw_key(&w, "zombies");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < l->n; i++) {
        const struct zombie *row = &l->rows[i];
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "secret", row->secret);
        kt_jsonw_kv_int(&w, "version", row->version);
        kt_jsonw_kv_text(&w, "target", row->target);
        kt_jsonw_kv_text(&w, "account", row->account);
        kt_jsonw_kv_text(&w, "run", row->run);
        kt_jsonw_kv_text(&w, "state", run_state_text(row->state));
        kt_jsonw_kv_time(&w, "since", row->since_ms);
        kt_jsonw_kv_int(&w, "tries", row->tries);
        kt_jsonw_kv_bool(&w, "late", row->late);
        kt_jsonw_kv_text(&w, "text", row->known);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
}

enum kt_kind zombies_list(struct request *req, struct kt_err *err)
{
    const unsigned char table = TABLE_ACTIVE;
    struct listing l = {.req = req};
    enum kt_kind kind = KT_OK;
    bool aside = false;
    struct rows rows;
    kt_arena_init(&l.arena, ARENA_MAX);
    kt_buf_init(&l.plain, PLAIN_MAX);
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "listing credentials that live");
    while (kind == KT_OK && !aside && rows_next(&rows)) {
        unsigned char id[RUN_ID];
        memcpy(id, rows.entry.key.at + 1, RUN_ID);
        kind = look(&l, id, err);
        aside = ++l.checked == HERE && request_aside(req);
    }
    kind = rows_end(&rows, kind, err);
    kt_arena_free(&l.arena);
    kt_buf_free(&l.plain);
    if (kind == KT_OK && !aside)
        show(&l);
    return kind;
}
