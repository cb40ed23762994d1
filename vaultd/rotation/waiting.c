#include "vaultd/rotation/waiting.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define KEY_BYTES (DUE_KEY - 1u) /* without the table */
#define ROOM_LEAST 64u

struct waiting_row {
    unsigned char key[KEY_BYTES];
    uint32_t reasons[WAITING_KINDS]; /* of each kind its place among the reasons plus 1; 0: none */
};
struct waiting_reason {
    enum waiting_for kind;
    bool closed;
    char name[TARGET_NAME_MAX + 1];
};

void waiting_free(struct waiting_line *waiting)
{
    free(waiting->rows);
    free(waiting->reasons);
    *waiting = (struct waiting_line){0};
}

void waiting_begin(struct waiting_line *waiting, int64_t now_ms)
{
    if (now_ms - waiting->since_ms >= WAITING_KEEP_MS || now_ms < waiting->since_ms) {
        waiting_free(waiting);
        waiting->since_ms = now_ms;
    }
    for (size_t i = 0; i < waiting->n_reasons; i++)
        waiting->reasons[i].closed = false;
}

static bool is_free(const struct waiting_row *row)
{
    return row->reasons[WAITING_PLACE] == 0 && row->reasons[WAITING_TURN] == 0;
}

/* The end of a key is a secret's id, which is a hash already. */
static size_t place_of(const struct waiting_line *waiting, const unsigned char key[KEY_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, key + KEY_BYTES - sizeof hash, sizeof hash);
    size_t at = (size_t)hash & (waiting->room - 1);
    while (!is_free(&waiting->rows[at]) && memcmp(waiting->rows[at].key, key, KEY_BYTES) != 0)
        at = (at + 1) & (waiting->room - 1);
    return at;
}

static bool make_room(struct waiting_line *waiting)
{
    if (waiting->n == WAITING_ROWS_MAX)
        return false;
    if (waiting->n * 2 < waiting->room)
        return true;
    struct waiting_line wider = *waiting;
    wider.room = waiting->room == 0 ? ROOM_LEAST : waiting->room * 2;
    wider.rows = kt_calloc(wider.room, sizeof *wider.rows);
    if (wider.rows == NULL)
        return false;
    for (size_t i = 0; i < waiting->room; i++)
        if (!is_free(&waiting->rows[i]))
            wider.rows[place_of(&wider, waiting->rows[i].key)] = waiting->rows[i];
    free(waiting->rows);
    *waiting = wider;
    return true;
}

static struct waiting_reason *find_reason(struct waiting_line *waiting, enum waiting_for kind, const char *name)
{
    for (size_t i = 0; i < waiting->n_reasons; i++)
        if (waiting->reasons[i].kind == kind && strcmp(waiting->reasons[i].name, name) == 0)
            return &waiting->reasons[i];
    if (waiting->n_reasons == WAITING_REASONS_MAX)
        return NULL;
    if (waiting->n_reasons == waiting->reasons_room) {
        size_t room = waiting->reasons_room == 0 ? 8 : waiting->reasons_room * 2;
        struct waiting_reason *more = kt_calloc(room, sizeof *more);
        if (more == NULL)
            return NULL;
        if (waiting->n_reasons > 0)
            memcpy(more, waiting->reasons, waiting->n_reasons * sizeof *more);
        free(waiting->reasons);
        waiting->reasons = more;
        waiting->reasons_room = room;
    }
    struct waiting_reason *reason = &waiting->reasons[waiting->n_reasons++];
    *reason = (struct waiting_reason){.kind = kind};
    (void)snprintf(reason->name, sizeof reason->name, "%s", name);
    return reason;
}

/* NULL: there is no room. */
static struct waiting_reason *remember(struct waiting_line *waiting, struct kt_bytes key, enum waiting_for kind,
                                       const char *name)
{
    if (key.len != DUE_KEY || !make_room(waiting))
        return NULL;
    struct waiting_reason *reason = find_reason(waiting, kind, name);
    struct waiting_row *row = &waiting->rows[place_of(waiting, key.at + 1)];
    if (reason == NULL)
        return NULL;
    waiting->n += is_free(row);
    memcpy(row->key, key.at + 1, KEY_BYTES);
    row->reasons[kind] = (uint32_t)(reason - waiting->reasons) + 1;
    return reason;
}

bool waiting_add(struct waiting_line *waiting, struct kt_bytes key, enum waiting_for kind, const char *name)
{
    return remember(waiting, key, kind, name) != NULL;
}

void waiting_close(struct waiting_line *waiting, struct kt_bytes key, enum waiting_for kind, const char *name)
{
    struct waiting_reason *reason = remember(waiting, key, kind, name);
    if (reason != NULL)
        reason->closed = true;
}

/* NULL: none of that kind is known. */
static const struct waiting_reason *reason_of(const struct waiting_line *waiting, struct kt_bytes key,
                                              enum waiting_for kind)
{
    if (waiting->room == 0 || key.len != DUE_KEY)
        return NULL;
    uint32_t reason = waiting->rows[place_of(waiting, key.at + 1)].reasons[kind];
    return reason == 0 ? NULL : &waiting->reasons[reason - 1];
}

bool waiting_closed(const struct waiting_line *waiting, struct kt_bytes key)
{
    const struct waiting_reason *place = reason_of(waiting, key, WAITING_PLACE);
    const struct waiting_reason *turn = reason_of(waiting, key, WAITING_TURN);
    return (place != NULL && place->closed) || (turn != NULL && turn->closed);
}

bool waiting_has_target(const struct waiting_line *waiting, struct kt_bytes key)
{
    return reason_of(waiting, key, WAITING_PLACE) != NULL;
}
