#include "tests/support/carver.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "vaultd/barrier/keyring.h"
#include "vaultd/barrier/seal_record.h"
#include "vaultd/engine/kv_record.h"

#define NODE_HEAD  8u  /* u16 low half, u16 high half of the size, u16 flags, u16 size of the key */
#define CHANGED    8u  /* what the store puts before each value */
#define VALUE_MOST 4096u
#define HEAD       5u  /* an entry's format and term */
#define NONCE      24u
#define TAG        16u
#define PLAIN_MOST ((size_t)64 * 1024 * 1024)

struct node {
    struct kt_bytes key, value;
};

static void need(bool there)
{
    if (there)
        return;
    (void)fprintf(stderr, "carver: out of memory\n");
    abort();
}

static void add_key(struct carver_keys *keys, const unsigned char *at)
{
    if (sodium_is_zero(at, 32))
        return;
    for (size_t i = 0; i < keys->n; i++)
        if (memcmp(keys->of[i].at, at, 32) == 0)
            return;
    if (keys->n == keys->room) {
        keys->room = keys->room == 0 ? 64 : keys->room * 2;
        struct carver_key *more = realloc(keys->of, keys->room * sizeof *more);
        need(more != NULL);
        keys->of = more;
    }
    keys->of[keys->n] = (struct carver_key){.from_earlier = false};
    memcpy(keys->of[keys->n++].at, at, 32);
}

static void make_earlier(struct carver_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        keys->of[i].from_earlier = true;
}

/* False: no node can begin here. */
static bool node_at(struct kt_bytes file, size_t at, struct node *ret)
{
    if (file.len - at < NODE_HEAD)
        return false;
    const unsigned char *p = file.at + at;
    size_t value = kt_get_u16(p) | (size_t)kt_get_u16(p + 2) << 16;
    size_t key = kt_get_u16(p + 6);
    if (kt_get_u16(p + 4) != 0 || key < 2 || key > STORE_KEY_MAX || value <= CHANGED ||
        value > VALUE_MOST || file.len - at - NODE_HEAD < key + value)
        return false;
    *ret = (struct node){kt_bytes(p + NODE_HEAD, key),
                         kt_bytes(p + NODE_HEAD + key + CHANGED, value - CHANGED)};
    return true;
}

static void note_plain(struct carver *c, struct kt_bytes plain, struct kt_bytes sealed)
{
    kt_buf_add_bytes(&c->plain, plain);
    kt_buf_add_char(&c->plain, '\n');
    kt_buf_add_field(&c->opened, plain);
    kt_buf_add_field(&c->opened, sealed);
    need(kt_buf_ok(&c->plain) && kt_buf_ok(&c->opened));
}

/* ---- seal records and keyrings ---- */

static void try_seal(struct carver *c, const struct node *node, const unsigned char unseal_key[32],
                     unsigned char vault_id[16])
{
    struct seal_record seal;
    unsigned char root[32];
    if (node->key.at[0] != TABLE_BARRIER || seal_record_read(node->value, &seal, NULL) != KT_OK ||
        !seal_record_open(&seal, unseal_key, root))
        return;
    add_key(&c->roots, root);
    memcpy(vault_id, seal.vault_id, 16);
}

static void try_ring(struct carver *c, const struct node *node, const unsigned char vault_id[16])
{
    for (size_t i = 0; node->key.at[0] == TABLE_BARRIER && i < c->roots.n; i++) {
        struct keyring *ring = NULL;
        if (keyring_load(vault_id, c->roots.of[i].at, node->value, &ring, NULL) != KT_OK)
            continue;
        c->rings++;
        for (uint32_t t = 0; t < ring->count; t++)
            add_key(&c->terms, ring->terms[t].entry);
        keyring_free(ring);
    }
}

/* ---- entries, by every term ---- */

/* As barrier.h has it, and not with the code that is under test. */
static bool open_with(const unsigned char term_key[32], const unsigned char vault_id[16],
                      const struct node *node, struct kt_buf *out)
{
    unsigned char aad[10 + 16 + HEAD + 4 + STORE_KEY_MAX], *at = aad;
    memcpy(at, "kt/entry/1", 10);
    memcpy(at + 10, vault_id, 16);
    memcpy(at + 26, node->value.at, HEAD);
    kt_put_u32(at + 26 + HEAD, (uint32_t)node->key.len);
    memcpy(at + 30 + HEAD, node->key.at, node->key.len);
    size_t len = node->value.len - HEAD - NONCE - TAG;
    kt_buf_reset(out);
    unsigned char *plain = kt_buf_grow(out, len);
    need(plain != NULL);
    const unsigned char *nonce = node->value.at + HEAD;
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               plain, NULL, NULL, nonce + NONCE, len + TAG, aad, 30 + HEAD + node->key.len, nonce,
               term_key) == 0;
}

static void take_deks(struct carver *c, const struct node *node, struct kt_bytes padded)
{
    if (node->key.at[0] != TABLE_KV || node->key.len != KV_KEY || padded.len < 4)
        return;
    uint32_t len = kt_get_u32(padded.at + padded.len - 4);
    struct kt_arena arena;
    struct kv_secret secret;
    kt_arena_init(&arena, (size_t)1024 * 1024);
    if (len <= padded.len &&
        kv_meta_read(kt_bytes(padded.at, len), &arena, &secret, NULL) == KT_OK)
        for (size_t i = 0; i < secret.n_versions; i++)
            add_key(&c->deks, secret.versions[i].dek);
    kt_arena_free(&arena);
}

static void try_entry(struct carver *c, const struct node *node, const unsigned char vault_id[16])
{
    if (node->value.len <= HEAD + NONCE + TAG + 4)
        return;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, VALUE_MOST * 2);
    for (size_t i = 0; i < c->terms.n; i++) {
        if (!open_with(c->terms.of[i].at, vault_id, node, &plain))
            continue;
        c->entries++;
        note_plain(c, kt_buf_bytes(&plain), node->value);
        take_deks(c, node, kt_buf_bytes(&plain));
    }
}

/* ---- versions, by every key that any metadata held ---- */

static void try_version(struct carver *c, const struct node *node)
{
    if (node->key.len != KV_KEY || node->key.at[0] != TABLE_KV)
        return;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, VALUE_MOST * 2);
    for (size_t i = 0; i < c->deks.n; i++) {
        kt_buf_reset(&plain);
        if (kv_value_open(c->deks.of[i].at, node->key, node->value, &plain, NULL) != KT_OK)
            continue;
        c->versions++;
        note_plain(c, kt_buf_bytes(&plain), node->value);
    }
}

/* ---- the whole ---- */

void carver_init(struct carver *c)
{
    *c = (struct carver){.nodes = 0};
    kt_buf_init(&c->plain, PLAIN_MOST);
    kt_buf_init(&c->opened, PLAIN_MOST);
}

void carver_free(struct carver *c)
{
    free(c->roots.of);
    free(c->terms.of);
    free(c->deks.of);
    kt_buf_free(&c->plain);
    kt_buf_free(&c->opened);
}

enum { STEP_SEALS, STEP_RINGS, STEP_ENTRIES, STEP_VERSIONS, STEPS };

void carver_run(struct carver *c, struct kt_bytes file,
                const unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned n_shares)
{
    unsigned char unseal_key[32], vault_id[16] = {0};
    kt_buf_reset(&c->plain);
    kt_buf_reset(&c->opened);
    c->nodes = c->rings = c->entries = c->versions = 0;
    make_earlier(&c->roots);
    make_earlier(&c->terms);
    make_earlier(&c->deks);
    if (shamir_combine(shares, n_shares, unseal_key, NULL) != KT_OK)
        return;
    for (int step = STEP_SEALS; step < STEPS; step++) {
        for (size_t at = 0; at + NODE_HEAD < file.len; at++) {
            struct node node;
            if (!node_at(file, at, &node))
                continue;
            c->nodes += step == STEP_SEALS;
            if (step == STEP_SEALS)
                try_seal(c, &node, unseal_key, vault_id);
            else if (step == STEP_RINGS)
                try_ring(c, &node, vault_id);
            else if (step == STEP_ENTRIES)
                try_entry(c, &node, vault_id);
            else
                try_version(c, &node);
        }
    }
}

bool carver_found(const struct carver *c, const char *text)
{
    return c->plain.len != 0 && memmem(c->plain.at, c->plain.len, text, strlen(text)) != NULL;
}

struct kt_bytes carver_sealed(const struct carver *c, const char *text)
{
    struct kt_reader r = kt_reader(kt_buf_bytes(&c->opened));
    while (r.left != 0 && !r.failed) {
        struct kt_bytes plain = kt_read_field(&r), sealed = kt_read_field(&r);
        if (plain.len != 0 && memmem(plain.at, plain.len, text, strlen(text)) != NULL)
            return sealed;
    }
    return kt_bytes(NULL, 0);
}
