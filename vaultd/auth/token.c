#include "vaultd/auth/token.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/token_text.h"
#include "vaultd/auth/cidr_list.h"
#include "vaultd/auth/token_record.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/core/mounts.h"

#define SLOTS         256u  /* decoded tokens a thread keeps */
#define TEXT_MAX      2048u

/* One decoded record. It is good as long as the store's entry says the same `changed`: that pair
 * names the bytes, so nothing has to be told when a token changes. What was found of its line at
 * the generation `checked_at` holds for every snapshot up to the next fold that touched a token. */
struct slot {
    bool used, record_has_parent;
    bool has_parent;         /* as checked: false if the parent was revoked alone */
    generation checked_at;   /* 0: not checked */
    int64_t line_expires_ms; /* the first of its ancestors to expire; 0: none will */
    bool logged_in;          /* the oldest of its line did, ... */
    unsigned char way[BARRIER_SCOPE]; /* ... there */
    struct kt_arena arena;
    struct token token;
};
/* What has to be known of an ancestor; no pointers, so it can be overwritten any time. */
struct ancestor {
    unsigned char hash[32], parent[32];
    generation changed;
    int64_t expires_ms;
    bool has_parent, revoked, logged_in;
};
struct cache {
    struct slot slots[SLOTS];
    struct slot spare;         /* instead of the pinned one */
    const struct slot *pinned; /* the request's own token */
    struct ancestor ancestors[SLOTS];
};

static void cache_free(void *at)
{
    struct cache *cache = at;
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        if (cache->slots[i].used)
            kt_arena_free(&cache->slots[i].arena);
    if (cache->spare.used)
        kt_arena_free(&cache->spare.arena);
    free(cache);
}

/* Followers run before anybody hears of the commit, so who was told that a token is revoked never
 * sees it accepted again. */
static void token_changed(void *arg, const struct fold_event *event)
{
    struct tokens *tokens = arg;
    atomic_store(&tokens->last_change, event->at);
}

struct tokens *tokens_new(struct store *store)
{
    struct tokens *tokens = kt_calloc(1, sizeof *tokens);
    if (tokens == NULL)
        return NULL;
    const unsigned char prefix[1] = {TABLE_TOKEN};
    if (pthread_key_create(&tokens->cache, cache_free) != 0) {
        free(tokens);
        return NULL;
    }
    if (store_on_fold(store, kt_bytes(prefix, 1), token_changed, tokens) != STORE_OK) {
        tokens_free(tokens);
        return NULL;
    }
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens == NULL)
        return;
    cache_free(pthread_getspecific(tokens->cache));
    (void)pthread_setspecific(tokens->cache, NULL);
    (void)pthread_key_delete(tokens->cache);
    free(tokens);
}

static struct cache *thread_cache(struct core *core)
{
    struct cache *cache = pthread_getspecific(core->tokens->cache);
    if (cache == NULL) {
        cache = kt_calloc(1, sizeof *cache);
        if (cache != NULL && pthread_setspecific(core->tokens->cache, cache) != 0) {
            free(cache);
            cache = NULL;
        }
    }
    return cache;
}

/* A handler that looks other tokens up must not lose the one that its request came with. */
static struct slot *slot_for(struct cache *cache, const unsigned char hash[32])
{
    struct slot *slot = &cache->slots[hash[0] % SLOTS];
    bool taken = slot == cache->pinned && memcmp(slot->token.hash, hash, 32) != 0;
    return taken ? &cache->spare : slot;
}

void token_pin(struct core *core, const struct token *token)
{
    struct cache *cache = thread_cache(core);
    if (cache != NULL)
        cache->pinned = token == NULL ? NULL : slot_for(cache, token->hash);
}

/* It stands where a parent's hash would: the way's tokens are found, and ended, as children are. */
void token_set_way(struct token *token, const unsigned char scope[BARRIER_SCOPE])
{
    memset(token->parent, 0, sizeof token->parent);
    memcpy(token->parent, scope, BARRIER_SCOPE);
    token->has_parent = false;
    token->logged_in = true;
}

void token_way(const struct token *token, unsigned char scope[BARRIER_SCOPE])
{
    memcpy(scope, token->parent, BARRIER_SCOPE);
}

bool token_address_fits(const struct token *token, const char *address)
{
    if (token->bound_cidrs.n == 0 || (token->is_root && token->expires_ms == 0))
        return true;
    return cidr_list_holds(&token->bound_cidrs, address);
}

const char *token_identity(const struct token *token)
{
    return token->entity_id[0] != '\0' ? token->entity_id : token->accessor;
}

void token_key(const unsigned char hash[32], unsigned char key[BARRIER_HASH_KEY])
{
    key[0] = TABLE_TOKEN;
    memcpy(key + 1, hash, 32);
}

generation token_generation(struct snapshot *snapshot, const unsigned char hash[32])
{
    unsigned char key[BARRIER_HASH_KEY];
    token_key(hash, key);
    struct entry entry;
    bool there = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) == STORE_OK;
    return there ? entry.changed : 0;
}

/* One sentence for every reason, as Vault has it; the text satisfies agents that log in anew. */
static enum kt_kind refused(struct kt_err *err)
{
    return kt_fail(err, KT_DENIED,
                   "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n");
}

static enum kt_kind slot_load(struct core *core, struct slot *slot, struct kt_bytes key,
                              const struct entry *entry, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, TOKEN_RECORD_MAX);
    enum kt_kind kind = barrier_open_entry(core->barrier, key, entry->value, &plain, err);
    if (kind != KT_OK)
        return kind;
    if (!slot->used)
        kt_arena_init(&slot->arena, TOKEN_RECORD_MAX * 2);
    else
        kt_arena_reset(&slot->arena);
    slot->used = true;
    slot->checked_at = 0;
    slot->token.changed = 0;
    struct token token = {0};
    kind = token_record_read(kt_buf_bytes(&plain), &slot->arena, &token, err);
    if (kind != KT_OK)
        return kind;
    memcpy(token.hash, key.at + 1, sizeof token.hash);
    token.changed = entry->changed;
    slot->record_has_parent = token.has_parent;
    slot->token = token;
    return KT_OK;
}

static enum kt_kind ancestor_load(struct core *core, struct kt_bytes key, const struct entry *entry,
                                  struct ancestor *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, TOKEN_RECORD_MAX);
    enum kt_kind kind = barrier_open_entry(core->barrier, key, entry->value, &plain, err);
    if (kind != KT_OK)
        return kind;
    struct kt_arena arena;
    kt_arena_init(&arena, TOKEN_RECORD_MAX * 2);
    struct token token = {0};
    kind = token_record_read(kt_buf_bytes(&plain), &arena, &token, err);
    kt_arena_free(&arena);
    if (kind != KT_OK)
        return kind;
    memcpy(ret->hash, key.at + 1, sizeof ret->hash);
    memcpy(ret->parent, token.parent, sizeof ret->parent);
    ret->changed = entry->changed;
    ret->expires_ms = token.expires_ms;
    ret->has_parent = token.has_parent;
    ret->revoked = token.revoked;
    ret->logged_in = token.logged_in;
    return KT_OK;
}

static enum kt_kind ancestor_find(struct core *core, struct snapshot *snapshot,
                                  struct cache *cache, const unsigned char hash[32],
                                  const struct ancestor **ret, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    token_key(hash, key);
    struct entry entry;
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK)
        return found == STORE_NOT_FOUND ? KT_NOT_FOUND : kt_fail(err, KT_IO, "reading a token");
    struct ancestor *ancestor = &cache->ancestors[hash[0] % SLOTS];
    if (ancestor->changed != entry.changed || memcmp(ancestor->hash, hash, 32) != 0) {
        ancestor->changed = 0;
        enum kt_kind kind =
            ancestor_load(core, kt_bytes(key, sizeof key), &entry, ancestor, err);
        if (kind != KT_OK)
            return kind;
    }
    *ret = ancestor;
    return KT_OK;
}

/* A dead ancestor, gone or expired, takes its line with it: KT_DENIED; one that was revoked alone
 * ("revoke-orphan") left its children orphans. */
static enum kt_kind check_ancestors(struct core *core, struct snapshot *snapshot,
                                    struct cache *cache, struct slot *slot, int64_t now_ms,
                                    struct kt_err *err)
{
    unsigned char hash[32];
    memcpy(hash, slot->token.parent, sizeof hash);
    slot->has_parent = slot->record_has_parent;
    slot->line_expires_ms = 0;
    slot->token.ancestors = 0;
    slot->logged_in = slot->token.logged_in;
    memcpy(slot->way, hash, sizeof slot->way);
    if (!slot->has_parent)
        return KT_OK;
    for (unsigned depth = 0; depth < TOKEN_ANCESTORS_MAX; depth++) {
        const struct ancestor *ancestor = NULL;
        enum kt_kind kind = ancestor_find(core, snapshot, cache, hash, &ancestor, err);
        if (kind != KT_OK)
            return kind == KT_NOT_FOUND ? refused(err) : kind;
        slot->token.ancestors = depth + 1;
        if (ancestor->revoked) { /* it counts until a job has made its children orphans */
            slot->has_parent = depth != 0;
            return KT_OK;
        }
        int64_t expires_ms = ancestor->expires_ms;
        if (expires_ms != 0 && now_ms >= expires_ms)
            return refused(err);
        if (expires_ms != 0 && (slot->line_expires_ms == 0 || expires_ms < slot->line_expires_ms))
            slot->line_expires_ms = expires_ms;
        memcpy(hash, ancestor->parent, sizeof hash);
        if (!ancestor->has_parent) {
            slot->logged_in = ancestor->logged_in;
            memcpy(slot->way, hash, sizeof slot->way);
            return KT_OK;
        }
    }
    return refused(err);
}

enum kt_kind token_load(struct core *core, struct snapshot *snapshot,
                        const unsigned char hash[32], const struct token **ret,
                        struct kt_err *err)
{
    struct cache *cache = thread_cache(core);
    if (cache == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking a token up");
    unsigned char key[BARRIER_HASH_KEY];
    token_key(hash, key);
    struct entry entry;
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK)
        return found == STORE_NOT_FOUND ? KT_NOT_FOUND : kt_fail(err, KT_IO, "reading a token");
    struct slot *slot = slot_for(cache, hash);
    if (!slot->used || slot->token.changed != entry.changed ||
        memcmp(slot->token.hash, hash, 32) != 0) {
        enum kt_kind kind = slot_load(core, slot, kt_bytes(key, sizeof key), &entry, err);
        if (kind != KT_OK)
            return kind;
    }
    slot->token.has_parent = slot->record_has_parent;
    *ret = &slot->token;
    return KT_OK;
}

static bool is_over(int64_t expires_ms, int64_t now_ms)
{
    return expires_ms != 0 && now_ms >= expires_ms;
}

/* The slot, if what is known of the token and its line holds at this generation. */
static struct slot *find_checked(struct core *core, struct cache *cache, generation at,
                                 const unsigned char hash[32])
{
    generation last_change = atomic_load(&core->tokens->last_change);
    struct slot *slot = slot_for(cache, hash);
    bool good = slot->used && slot->checked_at != 0 && last_change <= slot->checked_at &&
                last_change <= at && memcmp(slot->token.hash, hash, 32) == 0;
    return good ? slot : NULL;
}

enum kt_kind token_find_hash(struct core *core, struct snapshot *snapshot,
                             const unsigned char hash[32], int64_t now_ms,
                             const struct token **ret, struct kt_err *err)
{
    struct cache *cache = thread_cache(core);
    if (cache == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking a token up");
    generation at = snapshot_generation(snapshot);
    struct slot *slot = find_checked(core, cache, at, hash);
    if (slot == NULL) {
        const struct token *token = NULL;
        enum kt_kind kind = token_load(core, snapshot, hash, &token, err);
        if (kind == KT_NOT_FOUND)
            return refused(err);
        if (kind != KT_OK)
            return kind;
        slot = slot_for(cache, hash);
        kind = check_ancestors(core, snapshot, cache, slot, now_ms, err);
        if (kind != KT_OK)
            return kind;
        slot->checked_at = at;
    }
    struct token *token = &slot->token;
    if (token->revoked || is_over(token->expires_ms, now_ms) ||
        is_over(slot->line_expires_ms, now_ms))
        return refused(err);
    if (slot->logged_in) {
        bool open = false;
        enum kt_kind kind = mounts_have(core, snapshot, slot->way, &open, err);
        if (kind != KT_OK || !open)
            return kind != KT_OK ? kind : refused(err);
    }
    token->has_parent = slot->has_parent;
    *ret = token;
    return KT_OK;
}

enum kt_kind token_find(struct core *core, struct snapshot *snapshot, struct kt_bytes text,
                        int64_t now_ms, const struct token **ret, struct kt_err *err)
{
    if (text.len == 0 || text.len > TEXT_MAX)
        return refused(err);
    unsigned char key[BARRIER_HASH_KEY];
    barrier_hash_key(core->barrier, TABLE_TOKEN, text, key);
    return token_find_hash(core, snapshot, key + 1, now_ms, ret, err);
}

enum kt_kind token_find_accessor(struct core *core, struct snapshot *snapshot,
                                 const char *accessor, int64_t now_ms, const struct token **ret,
                                 struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    barrier_hash_key(core->barrier, TABLE_ACCESSOR, kt_str(accessor), key);
    kt_autobuf struct kt_buf hash;
    kt_buf_init(&hash, 64);
    enum kt_kind kind =
        barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &hash, NULL, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && hash.len != 32))
        return kt_fail(err, KT_INVALID, "invalid accessor");
    if (kind != KT_OK)
        return kind;
    kind = token_find_hash(core, snapshot, hash.at, now_ms, ret, err);
    return kind == KT_DENIED ? kt_fail(err, KT_INVALID, "invalid accessor") : kind;
}
