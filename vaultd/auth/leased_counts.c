#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/auth/revoker_own.h"

#define KEY      33u
#define STEP     2000u /* rows, while the store's thread waits */
#define MOUNTS   4096u

struct of_mount {
    unsigned char scope[BARRIER_SCOPE];
    uint64_t n;
};
struct leased_counts {
    struct store *store;
    pthread_mutex_t lock; /* guards all below */
    struct of_mount *at;
    size_t n, room;
    unsigned char counted_to[KEY]; /* rows before it are counted; what happens to them is followed */
    generation counted_at;         /* the last step's snapshot */
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

static void changed(void *arg, const struct fold_event *event)
{
    struct leased_counts *counts = arg;
    (void)pthread_mutex_lock(&counts->lock);
    for (size_t i = 0; i < event->n; i++) {
        const struct change *change = &event->of[i];
        bool counted = counts->all || (change->key.len == KEY && memcmp(change->key.at, counts->counted_to, KEY) < 0);
        if (change->key.len != KEY || !counted || event->at <= counts->counted_at)
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
    free(counts);
}

/* To what comes behind it. */
static void step_behind(unsigned char key[KEY])
{
    for (unsigned i = KEY; i > 0 && ++key[i - 1] == 0; i--) {
    }
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
    counts->counted_at = snapshot_generation(snapshot);
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
    counts->all = found == STORE_NOT_FOUND;
    return found == STORE_OK;
}

bool leased_counts_step(struct leased_counts *counts)
{
    struct snapshot *snapshot = NULL;
    bool more = false;
    (void)pthread_mutex_lock(&counts->lock);
    if (!counts->all && snapshot_begin(counts->store, &snapshot) == STORE_OK) {
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
