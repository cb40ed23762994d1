#include "vaultd/barrier/inside.h"

#include <sodium.h>

#include "lib/assert.h"
#include "lib/random.h"

#define HALF         16u
#define CACHE_SLOTS  16u
#define CACHE_FOLDER 112u
#define CACHE_CHILD  96u
#define HASH_SLOTS   64u
#define HASH_TAG     crypto_shorthash_siphashx24_BYTES

/* The newest parent halves that this thread computed. A folder's name lies here in clear, as it
 * does in a request's memory; it is never written anywhere. */
struct cached_parent {
    uint64_t loaded; /* the keyring's; 0: empty */
    unsigned char scope[BARRIER_SCOPE];
    unsigned char table, len;
    unsigned char folder[CACHE_FOLDER];
    unsigned char parent[HALF];
};

/* The newest child half: a record and its parts have keys that begin alike. */
struct cached_child {
    uint64_t loaded;
    size_t len;
    unsigned char parent[HALF], name[CACHE_CHILD], child[HALF];
};

/* The newest hashes of texts, under a SipHash tag with a key of this thread's own, so that no token
 * lies here. */
struct cached_hash {
    uint64_t loaded;
    unsigned char table, tag[HASH_TAG], hash[32];
};

static void parent_hash(const struct keyring *ring, enum table table,
                        const unsigned char scope[BARRIER_SCOPE], struct kt_bytes folder,
                        unsigned char out[HALF])
{
    static const char label[] = "kt/name/1";
    unsigned char head[1 + BARRIER_SCOPE + 4];
    head[0] = (unsigned char)table;
    memcpy(head + 1, scope, BARRIER_SCOPE);
    kt_put_u32(head + 1 + BARRIER_SCOPE, (uint32_t)folder.len);
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, ring->key[RING_NAMES], KT_KEY_BYTES, HALF);
    (void)crypto_generichash_update(&state, (const unsigned char *)label, sizeof label - 1);
    (void)crypto_generichash_update(&state, head, sizeof head);
    (void)crypto_generichash_update(&state, folder.at, folder.len);
    (void)crypto_generichash_final(&state, out, HALF);
}

static void child_hash(const struct keyring *ring, const unsigned char parent[HALF],
                       struct kt_bytes name, unsigned char out[HALF])
{
    static const char label[] = "kt/child/1";
    unsigned char head[HALF + 4];
    memcpy(head, parent, HALF);
    kt_put_u32(head + HALF, (uint32_t)name.len);
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, ring->key[RING_NAMES], KT_KEY_BYTES, HALF);
    (void)crypto_generichash_update(&state, (const unsigned char *)label, sizeof label - 1);
    (void)crypto_generichash_update(&state, head, sizeof head);
    (void)crypto_generichash_update(&state, name.at, name.len);
    (void)crypto_generichash_final(&state, out, HALF);
}

/* Which slot is no secret and needs no strength: a collision only costs a hash. FNV-1a. */
static unsigned slot_of(enum table table, const unsigned char *scope, struct kt_bytes folder)
{
    uint32_t hash = 2166136261u ^ (uint32_t)table ^ scope[0];
    for (size_t i = 0; i < folder.len; i++)
        hash = (hash ^ folder.at[i]) * 16777619u;
    return (hash ^ (hash >> 16)) % CACHE_SLOTS;
}

static void parent_of(const struct keyring *ring, enum table table,
                      const unsigned char scope[BARRIER_SCOPE], struct kt_bytes folder,
                      unsigned char out[HALF])
{
    static _Thread_local struct cached_parent cache[CACHE_SLOTS];
    if (folder.len > CACHE_FOLDER) {
        parent_hash(ring, table, scope, folder, out);
        return;
    }
    struct cached_parent *slot = &cache[slot_of(table, scope, folder)];
    if (slot->loaded != ring->loaded || slot->table != (unsigned char)table ||
        slot->len != folder.len || memcmp(slot->scope, scope, BARRIER_SCOPE) != 0 ||
        (folder.len > 0 && memcmp(slot->folder, folder.at, folder.len) != 0)) {
        parent_hash(ring, table, scope, folder, slot->parent);
        slot->loaded = ring->loaded;
        slot->table = (unsigned char)table;
        slot->len = (unsigned char)folder.len;
        memcpy(slot->scope, scope, BARRIER_SCOPE);
        if (folder.len > 0)
            memcpy(slot->folder, folder.at, folder.len);
    }
    memcpy(out, slot->parent, HALF);
}

static void child_of(const struct keyring *ring, const unsigned char parent[HALF],
                     struct kt_bytes name, unsigned char out[HALF])
{
    static _Thread_local struct cached_child last;
    if (name.len == 0 || name.len > CACHE_CHILD) {
        child_hash(ring, parent, name, out);
        return;
    }
    if (last.loaded != ring->loaded || last.len != name.len ||
        memcmp(last.parent, parent, HALF) != 0 || memcmp(last.name, name.at, name.len) != 0) {
        child_hash(ring, parent, name, last.child);
        last.loaded = ring->loaded;
        last.len = name.len;
        memcpy(last.parent, parent, HALF);
        memcpy(last.name, name.at, name.len);
    }
    memcpy(out, last.child, HALF);
}

void barrier_name_key(struct barrier *barrier, enum table table,
                      const unsigned char scope[BARRIER_SCOPE], struct kt_bytes path,
                      unsigned char out[BARRIER_NAME_KEY])
{
    KT_ASSERT(barrier->ring != NULL);
    /* A trailing '/' belongs to the name. */
    size_t split = path.len > 0 ? path.len - 1 : 0;
    while (split > 0 && path.at[split - 1] != '/')
        split--;
    out[0] = (unsigned char)table;
    parent_of(barrier->ring, table, scope, kt_bytes(path.at, split), out + 1);
    child_of(barrier->ring, out + 1, kt_bytes(path.at + split, path.len - split), out + 1 + HALF);
}
_Static_assert(BARRIER_NAME_KEY == 1 + 2 * HALF && BARRIER_FOLDER_PREFIX == 1 + HALF, "two halves");

void barrier_folder_prefix(struct barrier *barrier, enum table table,
                           const unsigned char scope[BARRIER_SCOPE], struct kt_bytes folder,
                           unsigned char out[BARRIER_FOLDER_PREFIX])
{
    KT_ASSERT(barrier->ring != NULL);
    KT_ASSERT(folder.len == 0 || folder.at[folder.len - 1] == '/');
    out[0] = (unsigned char)table;
    parent_of(barrier->ring, table, scope, folder, out + 1);
}

static void text_hash(const struct keyring *ring, unsigned char table, struct kt_bytes text,
                      unsigned char out[32])
{
    static const char label[] = "kt/hash/1";
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, ring->key[RING_HASHES], KT_KEY_BYTES, 32);
    (void)crypto_generichash_update(&state, (const unsigned char *)label, sizeof label - 1);
    (void)crypto_generichash_update(&state, &table, 1);
    (void)crypto_generichash_update(&state, text.at, text.len);
    (void)crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof state); /* it has seen a token */
}

void barrier_hash_key(struct barrier *barrier, enum table table, struct kt_bytes text,
                      unsigned char out[BARRIER_HASH_KEY])
{
    static _Thread_local struct cached_hash cache[HASH_SLOTS];
    static _Thread_local unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];
    static _Thread_local bool keyed;
    const struct keyring *ring = barrier->ring;
    KT_ASSERT(ring != NULL);
    if (!keyed)
        kt_random(tag_key, sizeof tag_key);
    keyed = true;
    unsigned char tag[HASH_TAG];
    (void)crypto_shorthash_siphashx24(tag, text.at, text.len, tag_key);
    struct cached_hash *slot = &cache[tag[0] % HASH_SLOTS];
    out[0] = (unsigned char)table;
    if (slot->loaded != ring->loaded || slot->table != out[0] ||
        memcmp(slot->tag, tag, sizeof tag) != 0) {
        text_hash(ring, out[0], text, slot->hash);
        slot->loaded = ring->loaded;
        slot->table = out[0];
        memcpy(slot->tag, tag, sizeof tag);
    }
    memcpy(out + 1, slot->hash, 32);
}

void barrier_hash_key_anew(struct barrier *barrier, enum table table, struct kt_bytes text,
                           unsigned char out[BARRIER_HASH_KEY])
{
    KT_ASSERT(barrier->ring != NULL);
    out[0] = (unsigned char)table;
    text_hash(barrier->ring, out[0], text, out + 1);
}
