#include "vaultd/identity/identity.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/core/core.h"
#include "vaultd/identity/groups.h"

#define SLOTS     256u /* identities a thread keeps */
#define ARENA_MAX ((size_t)64 * 1024 * 1024)

struct resolved {
    struct identity seen;
    atomic_uint refs;
    struct kt_arena arena;
    struct groups *groups;
    struct groups_cache *cache;
};

struct slot {
    char id[IDENTITY_ID_TEXT]; /* as asked for */
    const struct identity *identity;
};
struct thread_identities {
    struct slot slots[SLOTS];
};

struct identities {
    pthread_key_t thread;
    atomic_uint_fast64_t last_change; /* newest fold that touched an identity */
    struct groups_cache *groups;
};

/* ---- birth and end ---- */

static void thread_free(void *at)
{
    struct thread_identities *own = at;
    if (own == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        identity_unref(own->slots[i].identity);
    free(own);
}

/* Followers run before anybody hears of the commit. */
static void changed(void *arg, const struct fold_event *event)
{
    struct identities *identities = arg;
    atomic_store(&identities->last_change, event->at);
}

struct identities *identities_new(struct store *store)
{
    struct identities *identities = kt_calloc(1, sizeof *identities);
    if (identities == NULL)
        return NULL;
    if (pthread_key_create(&identities->thread, thread_free) != 0) {
        free(identities);
        return NULL;
    }
    const unsigned char prefix[1] = {TABLE_IDENTITY};
    identities->groups = groups_cache_new();
    if (identities->groups == NULL ||
        store_on_fold(store, kt_bytes(prefix, 1), changed, identities) != STORE_OK) {
        identities_free(identities);
        return NULL;
    }
    return identities;
}

void identities_free(struct identities *identities)
{
    if (identities == NULL)
        return;
    thread_free(pthread_getspecific(identities->thread));
    (void)pthread_setspecific(identities->thread, NULL);
    (void)pthread_key_delete(identities->thread);
    groups_cache_free(identities->groups);
    free(identities);
}

generation identities_changed(struct core *core)
{
    return atomic_load(&core->identities->last_change);
}

struct groups_cache *identities_groups(struct core *core)
{
    return core->identities->groups;
}

const struct identity *identity_ref(const struct identity *identity)
{
    if (identity != NULL)
        (void)atomic_fetch_add(&identity->whole->refs, 1);
    return identity;
}

void identity_unref(const struct identity *identity)
{
    struct resolved *resolved = identity == NULL ? NULL : identity->whole;
    if (resolved == NULL || atomic_fetch_sub(&resolved->refs, 1) != 1)
        return;
    groups_unref(resolved->cache, resolved->groups);
    kt_arena_free(&resolved->arena);
    free(resolved);
}

/* ---- resolving ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool join_policies(struct resolved *resolved)
{
    struct identity *seen = &resolved->seen;
    size_t most = seen->entity->policies.n;
    for (size_t i = 0; i < seen->n_groups; i++)
        most += seen->groups[i]->policies.n;
    const char **all = kt_arena_take(&resolved->arena, (most + 1) * sizeof *all);
    if (all == NULL)
        return false;
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < seen->entity->policies.n; i++)
        all[n++] = seen->entity->policies.at[i];
    for (size_t i = 0; i < seen->n_groups; i++)
        for (size_t j = 0; j < seen->groups[i]->policies.n; j++)
            all[n++] = seen->groups[i]->policies.at[j];
    qsort(all, n, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || strcmp(all[unique - 1], all[i]) != 0)
            all[unique++] = all[i];
    seen->policies = all;
    seen->n_policies = unique;
    return true;
}

/* The entity is in the arena, or lives as long. */
static enum kt_kind resolve(struct core *core, struct snapshot *snapshot, struct resolved *resolved,
                            struct kt_err *err)
{
    struct identity *seen = &resolved->seen;
    seen->at = snapshot_generation(snapshot);
    enum kt_kind kind = groups_get(core, resolved->cache, snapshot, &resolved->groups, err);
    if (kind != KT_OK)
        return kind;
    bool whole = groups_of(resolved->groups, seen->entity, &resolved->arena, &seen->groups,
                           &seen->n_groups, &seen->n_direct) &&
                 join_policies(resolved);
    return whole ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading an identity");
}

static struct resolved *resolved_new(struct core *core)
{
    struct resolved *resolved = kt_calloc(1, sizeof *resolved);
    if (resolved == NULL)
        return NULL;
    atomic_init(&resolved->refs, 1);
    resolved->seen.whole = resolved;
    kt_arena_init(&resolved->arena, ARENA_MAX);
    resolved->cache = core->identities->groups;
    return resolved;
}

static enum kt_kind open_by(struct core *core, struct snapshot *snapshot,
                            const unsigned char key[BARRIER_NAME_KEY], struct kt_buf *plain,
                            struct kt_err *err)
{
    kt_buf_reset(plain);
    return barrier_get(core->barrier, snapshot, kt_bytes(key, BARRIER_NAME_KEY), plain, NULL, err);
}

/* An id that was merged leads to what it became: tokens made before go on. */
static enum kt_kind open_entity(struct core *core, struct snapshot *snapshot, const char *id,
                                struct kt_buf *plain, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    index_key(core, INDEX_ENTITY, id, key);
    enum kt_kind kind = open_by(core, snapshot, key, plain, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    enum index index = INDEX_COUNT;
    struct kt_bytes became = {0};
    char text[IDENTITY_ID_TEXT];
    index_key(core, INDEX_MERGED, id, key);
    kind = open_by(core, snapshot, key, plain, err);
    if (kind == KT_OK)
        kind = index_read(kt_buf_bytes(plain), &index, &became, err);
    if (kind != KT_OK)
        return kind;
    if (became.len != sizeof text - 1)
        return kt_fail(err, KT_CORRUPT, "the row of a merged entity is damaged");
    memcpy(text, became.at, became.len);
    text[became.len] = '\0';
    index_key(core, INDEX_ENTITY, text, key);
    return open_by(core, snapshot, key, plain, err);
}

static enum kt_kind load(struct core *core, struct snapshot *snapshot, const char *id,
                         struct resolved *resolved, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, IDENTITY_RECORD_MAX);
    enum kt_kind kind = open_entity(core, snapshot, id, &plain, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_DENIED, "permission denied");
    struct entity *entity = kt_arena_take(&resolved->arena, sizeof *entity);
    if (kind == KT_OK && entity == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "reading an identity");
    if (kind == KT_OK)
        kind = entity_read(kt_buf_bytes(&plain), &resolved->arena, entity, err);
    if (kind != KT_OK)
        return kind;
    resolved->seen.entity = entity;
    return resolve(core, snapshot, resolved, err);
}

enum kt_kind identity_of(struct core *core, struct snapshot *snapshot, const struct entity *entity,
                         const struct identity **ret, struct kt_err *err)
{
    struct resolved *resolved = resolved_new(core);
    if (resolved == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an identity");
    /* What the caller has may not live as long: through its stored form. */
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, IDENTITY_RECORD_MAX);
    entity_write(entity, &plain);
    struct entity *copy = kt_arena_take(&resolved->arena, sizeof *copy);
    enum kt_kind kind = copy == NULL || !kt_buf_ok(&plain)
                            ? kt_fail(err, KT_NO_MEMORY, "reading an identity")
                            : entity_read(kt_buf_bytes(&plain), &resolved->arena, copy, err);
    resolved->seen.entity = copy;
    if (kind == KT_OK)
        kind = resolve(core, snapshot, resolved, err);
    if (kind == KT_OK)
        *ret = &resolved->seen;
    else
        identity_unref(&resolved->seen);
    return kind;
}

/* ---- the thread's ---- */

static struct thread_identities *thread_own(struct identities *identities)
{
    struct thread_identities *own = pthread_getspecific(identities->thread);
    if (own == NULL) {
        own = kt_calloc(1, sizeof *own);
        if (own != NULL && pthread_setspecific(identities->thread, own) != 0) {
            free(own);
            own = NULL;
        }
    }
    return own;
}

/* Ids are random; every byte of the text has some of that. */
static struct slot *slot_of(struct thread_identities *own, const char *id)
{
    unsigned hash = 0;
    for (const char *c = id; *c != '\0'; c++)
        hash = hash * 31 + (unsigned char)*c;
    return &own->slots[hash % SLOTS];
}

static bool holds(const struct slot *slot, const char *id, generation at, generation last_change)
{
    return slot->identity != NULL && strcmp(slot->id, id) == 0 &&
           last_change <= slot->identity->at && last_change <= at;
}

static enum kt_kind fill(struct core *core, struct snapshot *snapshot, const char *id,
                         struct slot *slot, struct kt_err *err)
{
    struct resolved *resolved = resolved_new(core);
    if (resolved == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an identity");
    enum kt_kind kind = load(core, snapshot, id, resolved, err);
    if (kind != KT_OK) {
        identity_unref(&resolved->seen);
        return kind;
    }
    identity_unref(slot->identity);
    slot->identity = &resolved->seen;
    memcpy(slot->id, id, sizeof slot->id);
    return KT_OK;
}

static enum kt_kind give(const struct slot *slot, const struct identity **ret, struct kt_err *err)
{
    if (slot->identity->entity->disabled)
        return kt_fail(err, KT_DENIED, "permission denied");
    *ret = identity_ref(slot->identity);
    return KT_OK;
}

enum kt_kind identity_find(struct core *core, struct snapshot *snapshot, const char *entity_id,
                           const struct identity **ret, struct kt_err *err)
{
    struct identities *identities = core->identities;
    if (strlen(entity_id) != IDENTITY_ID_TEXT - 1)
        return kt_fail(err, KT_DENIED, "permission denied");
    struct thread_identities *own = thread_own(identities);
    if (own == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an identity");
    generation last_change = atomic_load(&identities->last_change);
    struct slot *slot = slot_of(own, entity_id);
    enum kt_kind kind = KT_OK;
    if (!holds(slot, entity_id, snapshot_generation(snapshot), last_change))
        kind = fill(core, snapshot, entity_id, slot, err);
    return kind == KT_OK ? give(slot, ret, err) : kind;
}
