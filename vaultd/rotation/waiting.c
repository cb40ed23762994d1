#include "vaultd/rotation/waiting.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define KEY_BYTES (DUE_KEY - 1u) /* without the table */
#define ROOM_LEAST 64u

struct waiting_row {
    unsigned char key[KEY_BYTES];
    uint32_t target; /* its place among the targets plus 1; 0: free */
};
struct waiting_target {
    bool closed;
    char name[TARGET_NAME_MAX + 1];
};

void waiting_free(struct waiting_line *waiting)
{
    free(waiting->rows);
    free(waiting->targets);
    *waiting = (struct waiting_line){0};
}

void waiting_begin(struct waiting_line *waiting, int64_t now_ms)
{
    if (now_ms - waiting->since_ms >= WAITING_KEEP_MS || now_ms < waiting->since_ms) {
        waiting_free(waiting);
        waiting->since_ms = now_ms;
    }
    for (size_t i = 0; i < waiting->n_targets; i++)
        waiting->targets[i].closed = false;
}

/* The end of a key is a secret's id, which is a hash already. */
static size_t place_of(const struct waiting_line *waiting, const unsigned char key[KEY_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, key + KEY_BYTES - sizeof hash, sizeof hash);
    size_t at = (size_t)hash & (waiting->room - 1);
    while (waiting->rows[at].target != 0 && memcmp(waiting->rows[at].key, key, KEY_BYTES) != 0)
        at = (at + 1) & (waiting->room - 1);
    return at;
}

struct waiting_target *waiting_find(const struct waiting_line *waiting, struct kt_bytes key)
{
    if (waiting->room == 0 || key.len != DUE_KEY)
        return NULL;
    uint32_t target = waiting->rows[place_of(waiting, key.at + 1)].target;
    return target == 0 ? NULL : &waiting->targets[target - 1];
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
        if (waiting->rows[i].target != 0)
            wider.rows[place_of(&wider, waiting->rows[i].key)] = waiting->rows[i];
    free(waiting->rows);
    *waiting = wider;
    return true;
}

static struct waiting_target *find_target(struct waiting_line *waiting, const char *name)
{
    for (size_t i = 0; i < waiting->n_targets; i++)
        if (strcmp(waiting->targets[i].name, name) == 0)
            return &waiting->targets[i];
    if (waiting->n_targets == WAITING_TARGETS_MAX)
        return NULL;
    if (waiting->n_targets == waiting->targets_room) {
        size_t room = waiting->targets_room == 0 ? 8 : waiting->targets_room * 2;
        struct waiting_target *more = kt_calloc(room, sizeof *more);
        if (more == NULL)
            return NULL;
        if (waiting->n_targets > 0)
            memcpy(more, waiting->targets, waiting->n_targets * sizeof *more);
        free(waiting->targets);
        waiting->targets = more;
        waiting->targets_room = room;
    }
    struct waiting_target *target = &waiting->targets[waiting->n_targets++];
    target->closed = false;
    (void)snprintf(target->name, sizeof target->name, "%s", name);
    return target;
}

struct waiting_target *waiting_add(struct waiting_line *waiting, struct kt_bytes key, const char *target)
{
    if (key.len != DUE_KEY || !make_room(waiting))
        return NULL;
    struct waiting_target *found = find_target(waiting, target);
    struct waiting_row *row = &waiting->rows[place_of(waiting, key.at + 1)];
    if (found == NULL)
        return NULL;
    waiting->n += row->target == 0;
    memcpy(row->key, key.at + 1, KEY_BYTES);
    row->target = (uint32_t)(found - waiting->targets) + 1;
    return found;
}

const char *waiting_name(const struct waiting_target *target)
{
    return target->name;
}

void waiting_close(struct waiting_target *target)
{
    target->closed = true;
}

bool waiting_closed(const struct waiting_target *target)
{
    return target->closed;
}
