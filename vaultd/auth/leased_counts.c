#include "vaultd/auth/leased_counts.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/barrier/tables.h"

#define KEY      33u
#define STEP     2000u /* rows, while the store's thread waits */
#define MOUNTS   4096u

struct of_mount {
    unsigned char scope[BARRIER_SCOPE];
    uint64_t n;
};
/* Rows before `to`, and not before that of the one in front, as they were at `at`. */
struct counted {
    unsigned char to[KEY];
    generation at;
};
struct leased_counts {
    struct store *store;
    pthread_mutex_t lock; /* guards all below */
    struct of_mount *at;
    size_t n, room;
    unsigned char counted_to[KEY]; /* rows before it are counted; what happens to them is followed */
    struct counted *of;            /* how, ascending: a fold is visible to a step before it is followed */
    size_t n_of, room_of;
    bool all;
};

static struct of_mount *find(struct leased_counts *counts, const unsigned char *scope, bool add)
{
    for (size_t i = 0; i < counts->n; i++)
        if (memcmp(counts->at[i].scope, scope, BARRIER_SCOPE) == 0)
            return &counts->at[i];
    if (!add || counts->n == MOUNTS)
        return NULL;
    if (counts->n == counts->room) {
        size_t room = counts->room == 0 ? 8 : counts->room * 2;
        struct of_mount *more = kt_calloc(room, sizeof *more);
        if (more == NULL)
            return NULL;
        if (counts->n > 0)
            memcpy(more, counts->at, counts->n * sizeof *more);
        free(counts->at);
        counts->at = more;
        counts->room = room;
    }
    struct of_mount *mount = &counts->at[counts->n++];
    memcpy(mount->scope, scope, BARRIER_SCOPE);
    mount->n = 0;
    return mount;
}

/* Whether the row was counted before this fold: then what the fold did to it comes on top. */
static bool is_news(const struct leased_counts *counts, const unsigned char *key, generation at)
{
    size_t low = 0, high = counts->n_of;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(key, counts->of[middle].to, KEY) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == counts->n_of && counts->all && low > 0)
        low--; /* behind the last row that there was */
    return low < counts->n_of && at > counts->of[low].at;
}

static void changed(void *arg, const struct fold_event *event)
{
    struct leased_counts *counts = arg;
    (void)pthread_mutex_lock(&counts->lock);
    for (size_t i = 0; i < event->n; i++) {
        const struct change *change = &event->of[i];
        if (change->key.len != KEY || !is_news(counts, change->key.at, event->at))
            continue;
        struct of_mount *mount = find(counts, change->key.at + 1, !change->deleted);
        if (mount != NULL && !change->deleted)
            mount->n++;
        else if (mount != NULL && mount->n > 0)
            mount->n--;
    }
    (void)pthread_mutex_unlock(&counts->lock);
}

struct leased_counts *leased_counts_new(struct store *store)
{
    const unsigned char prefix[1] = {TABLE_LEASED_IN};
    struct leased_counts *counts = kt_calloc(1, sizeof *counts);
    if (counts == NULL)
        return NULL;
    counts->store = store;
    counts->counted_to[0] = TABLE_LEASED_IN;
    (void)pthread_mutex_init(&counts->lock, NULL);
    if (store_on_fold(store, kt_bytes(prefix, 1), changed, counts) == STORE_OK)
        return counts;
    leased_counts_free(counts);
    return NULL;
}

void leased_counts_free(struct leased_counts *counts)
{
    if (counts == NULL)
        return;
    (void)pthread_mutex_destroy(&counts->lock);
    free(counts->at);
    free(counts->of);
    free(counts);
}

/* To what comes behind it. */
static void step_behind(unsigned char key[KEY])
{
    for (unsigned i = KEY; i > 0 && ++key[i - 1] == 0; i--) {
    }
}

/* Room for what a step will have counted. */
static bool make_room(struct leased_counts *counts)
{
    if (counts->n_of < counts->room_of)
        return true;
    size_t room = counts->room_of == 0 ? 8 : counts->room_of * 2;
    struct counted *more = kt_calloc(room, sizeof *more);
    if (more == NULL)
        return false;
    if (counts->n_of > 0)
        memcpy(more, counts->of, counts->n_of * sizeof *more);
    free(counts->of);
    counts->of = more;
    counts->room_of = room;
    return true;
}

/* Steps between which nothing was written are one. */
static void note_counted(struct leased_counts *counts, generation at)
{
    if (counts->n_of == 0 || counts->of[counts->n_of - 1].at != at)
        counts->n_of++;
    struct counted *last = &counts->of[counts->n_of - 1];
    memcpy(last->to, counts->counted_to, KEY);
    last->at = at;
}

/* What breaks off is gone on with in a later step. */
static bool count_rows(struct leased_counts *counts, struct snapshot *snapshot)
{
    const unsigned char prefix[1] = {TABLE_LEASED_IN};
    struct cursor *cursor = NULL;
    struct entry row;
    enum store_error found =
        cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(counts->counted_to, KEY), &cursor);
    if (found != STORE_OK)
        return false;
    for (unsigned i = 0; i < STEP && found == STORE_OK; i++) {
        found = cursor_next(cursor, &row);
        if (found != STORE_OK || row.key.len != KEY)
            continue;
        struct of_mount *mount = find(counts, row.key.at + 1, true);
        if (mount != NULL)
            mount->n++;
        memcpy(counts->counted_to, row.key.at, KEY);
        step_behind(counts->counted_to);
    }
    cursor_close(cursor);
    note_counted(counts, snapshot_generation(snapshot));
    counts->all = found == STORE_NOT_FOUND;
    return found == STORE_OK;
}

bool leased_counts_step(struct leased_counts *counts)
{
    struct snapshot *snapshot = NULL;
    bool more = false;
    (void)pthread_mutex_lock(&counts->lock);
    if (!counts->all && make_room(counts) && snapshot_begin(counts->store, &snapshot) == STORE_OK) {
        more = count_rows(counts, snapshot);
        snapshot_end(snapshot);
    }
    (void)pthread_mutex_unlock(&counts->lock);
    return more;
}

uint64_t leased_counts_of(struct leased_counts *counts, const unsigned char scope[BARRIER_SCOPE])
{
    (void)pthread_mutex_lock(&counts->lock);
    const struct of_mount *mount = find(counts, scope, false);
    uint64_t n = mount == NULL ? 0 : mount->n;
    (void)pthread_mutex_unlock(&counts->lock);
    return n;
}
