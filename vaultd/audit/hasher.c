#include "vaultd/audit/hasher.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/random.h"

#define SLOTS      512u /* HMACs that a thread keeps */
#define OWNERS     128u /* tokens of whose owners it knows */
#define ANSWERS    64u  /* answers whose data it knows */
#define CACHED_MAX 512u /* longer texts cost as much to look up */
#define TAG_BYTES  crypto_shorthash_siphashx24_BYTES

struct slot {
    bool used;
    unsigned char tag[TAG_BYTES];
    struct audit_hmac hmac;
};

struct kept {
    struct audit_hasher *hasher;
    struct kept *prev, *next; /* guarded by the hasher's lock */
    bool timed;
    int64_t time_ms;
    size_t time_len;
    char time[AUDIT_TIME_QUOTED];
    struct slot slots[SLOTS];
    struct audit_where where;
    struct audit_said answers[ANSWERS];
    struct audit_who owners[OWNERS];
};

struct audit_hasher {
    const unsigned char *key;
    unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];
    pthread_key_t thread;
    pthread_mutex_t lock;
    struct kept *first; /* guarded by lock; of all threads */
};

/* ---- what threads keep ---- */

static void kept_free(struct kept *kept)
{
    for (unsigned i = 0; i < OWNERS; i++)
        audit_line_free(&kept->owners[i].line);
    for (unsigned i = 0; i < ANSWERS; i++)
        audit_line_free(&kept->answers[i].line);
    audit_line_free(&kept->where.line);
    sodium_memzero(kept, sizeof *kept);
    free(kept);
}

static void thread_ends(void *at)
{
    struct kept *kept = at;
    struct audit_hasher *hasher = kept->hasher;
    (void)pthread_mutex_lock(&hasher->lock);
    *(kept->prev != NULL ? &kept->prev->next : &hasher->first) = kept->next;
    if (kept->next != NULL)
        kept->next->prev = kept->prev;
    (void)pthread_mutex_unlock(&hasher->lock);
    kept_free(kept);
}

static struct kept *kept_new(struct audit_hasher *hasher)
{
    struct kept *kept = kt_calloc(1, sizeof *kept);
    if (kept == NULL)
        return NULL;
    if (pthread_setspecific(hasher->thread, kept) != 0) {
        free(kept);
        return NULL;
    }
    kept->hasher = hasher;
    (void)pthread_mutex_lock(&hasher->lock);
    kept->next = hasher->first;
    if (kept->next != NULL)
        kept->next->prev = kept;
    hasher->first = kept;
    (void)pthread_mutex_unlock(&hasher->lock);
    return kept;
}

static struct kept *thread_kept(struct audit_hasher *hasher)
{
    struct kept *kept = pthread_getspecific(hasher->thread);
    return kept != NULL ? kept : kept_new(hasher);
}

/* ---- life ---- */

struct audit_hasher *audit_hasher_new(const unsigned char key[32])
{
    struct audit_hasher *hasher = kt_calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    if (pthread_key_create(&hasher->thread, thread_ends) != 0) {
        free(hasher);
        return NULL;
    }
    hasher->key = key;
    kt_random(hasher->tag_key, sizeof hasher->tag_key);
    (void)pthread_mutex_init(&hasher->lock, NULL);
    return hasher;
}

/* Nobody appends any more, and no thread that did is ending. */
void audit_hasher_free(struct audit_hasher *hasher)
{
    if (hasher == NULL)
        return;
    (void)pthread_key_delete(hasher->thread);
    while (hasher->first != NULL) {
        struct kept *next = hasher->first->next;
        kept_free(hasher->first);
        hasher->first = next;
    }
    (void)pthread_mutex_destroy(&hasher->lock);
    sodium_memzero(hasher, sizeof *hasher);
    free(hasher);
}

/* ---- HMACs ---- */

void audit_hasher_bytes(const struct audit_hasher *hasher, struct kt_bytes text,
                        unsigned char out[AUDIT_HMAC_BYTES])
{
    /* libsodium's is four times slower, and is there if a library policy refuses GnuTLS's. */
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, hasher->key, 32, text.at, text.len, out) < 0)
        (void)crypto_auth_hmacsha256(out, text.at, text.len, hasher->key);
}

static void make(const struct audit_hasher *hasher, struct kt_bytes text, struct audit_hmac *ret)
{
    ret->code = PIECE_HMAC;
    audit_hasher_bytes(hasher, text, ret->bytes);
    ret->quoted[0] = '"';
    audit_hmac_text(ret->bytes, ret->quoted + 1);
    ret->quoted[AUDIT_HMAC_TEXT] = '"'; /* where the NUL was */
}

const struct audit_hmac *audit_hasher_get(struct audit_hasher *hasher, struct kt_bytes text,
                                          struct audit_hmac *own)
{
    unsigned char tag[TAG_BYTES];
    struct kept *kept = text.len > CACHED_MAX ? NULL : thread_kept(hasher);
    if (kept == NULL) {
        make(hasher, text, own);
        return own;
    }
    (void)crypto_shorthash_siphashx24(tag, text.at, text.len, hasher->tag_key);
    struct slot *slot = &kept->slots[kt_get_u32(tag) % SLOTS];
    if (!slot->used || memcmp(slot->tag, tag, sizeof tag) != 0) {
        make(hasher, text, &slot->hmac);
        memcpy(slot->tag, tag, sizeof tag);
        slot->used = true;
    }
    return &slot->hmac;
}

void audit_hasher_text(struct audit_hasher *hasher, struct kt_bytes text,
                       char out[AUDIT_HMAC_TEXT])
{
    struct audit_hmac own;
    memcpy(out, audit_hasher_get(hasher, text, &own)->quoted + 1, AUDIT_HMAC_TEXT - 1);
    out[AUDIT_HMAC_TEXT - 1] = '\0';
}

/* ---- times, places and owners ---- */

static size_t quote_time(int64_t ms, char out[AUDIT_TIME_QUOTED])
{
    out[0] = '"';
    kt_time_text(ms, out + 1);
    size_t len = strlen(out);
    out[len] = '"'; /* where the NUL was */
    return len + 1;
}

struct kt_bytes audit_hasher_time(struct audit_hasher *hasher, int64_t ms,
                                  char own[AUDIT_TIME_QUOTED])
{
    struct kept *kept = thread_kept(hasher);
    if (kept == NULL)
        return kt_bytes(own, quote_time(ms, own));
    if (!kept->timed || kept->time_ms != ms) {
        kept->time_len = quote_time(ms, kept->time);
        kept->time_ms = ms;
        kept->timed = true;
    }
    return kt_bytes(kept->time, kept->time_len);
}

struct audit_where *audit_hasher_where(struct audit_hasher *hasher)
{
    struct kept *kept = thread_kept(hasher);
    if (kept == NULL)
        return NULL;
    if (kept->where.line.terse.max == 0)
        audit_line_init_in(&kept->where.line, NULL, 0);
    return &kept->where;
}

/* Keys end in numbers that are nearly all the same; what is before tells them apart. */
static unsigned answer_place(struct kt_bytes key)
{
    unsigned sum = 0;
    for (size_t i = 0; i < key.len; i += 3)
        sum = sum * 31 + key.at[i];
    return sum % ANSWERS;
}

struct audit_said *audit_hasher_said(struct audit_hasher *hasher, struct kt_bytes key)
{
    struct kept *kept = key.len == 0 || key.len > AUDIT_SAID_KEY ? NULL : thread_kept(hasher);
    if (kept == NULL)
        return NULL;
    struct audit_said *said = &kept->answers[answer_place(key)];
    if (said->len == key.len && memcmp(said->key, key.at, key.len) == 0) {
        if (said->line.terse.max == 0)
            audit_line_init_in(&said->line, NULL, 0);
        return said;
    }
    memcpy(said->key, key.at, key.len);
    said->len = key.len;
    said->filled = false;
    return NULL;
}

struct audit_who *audit_hasher_who(struct audit_hasher *hasher, const unsigned char hash[32])
{
    struct kept *kept = thread_kept(hasher);
    if (kept == NULL)
        return NULL;
    struct audit_who *who = &kept->owners[hash[0] % OWNERS];
    if (who->line.terse.max == 0)
        audit_line_init_in(&who->line, NULL, 0);
    return who;
}
