#include "lib/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/failpoint.h"

#define SECRET_MAX ((size_t)4 * 1024 * 1024)

enum kt_kind kt_secret_init(struct kt_err *err)
{
    if (sodium_init() < 0)
        return kt_fail(err, KT_INTERNAL, "libsodium cannot be initialised");
    unsigned char probe[64];
    if (sodium_mlock(probe, sizeof probe) != 0) {
        (void)kt_fail(err, KT_IO, "memory for keys cannot be locked");
        kt_hint(err, "raise the limit: LimitMEMLOCK=64M in the unit, or 'ulimit -l 65536'");
        return KT_IO;
    }
    (void)sodium_munlock(probe, sizeof probe);
    return KT_OK;
}

/* sodium_malloc puts the bytes against the trailing guard page; a size that is a multiple of 16
 * keeps them aligned. */
static unsigned char *guarded(size_t len)
{
    size_t size = (len + 15) & ~(size_t)15;
    unsigned char *at = sodium_malloc(size);
    if (at == NULL)
        return NULL;
    /* sodium_malloc ignores a failed mlock; a key in swappable memory is a refusal, not a wish. */
    if (sodium_mlock(at, size) != 0) {
        sodium_free(at);
        return NULL;
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)at & ~(page - 1);
    uintptr_t end = ((uintptr_t)at + size + page - 1) & ~(page - 1);
    (void)madvise((void *)start, end - start, MADV_WIPEONFORK);  /* a second layer; may be absent */
    sodium_memzero(at, size);
    return at;
}

enum kt_kind kt_secret_failed(struct kt_err *err, const char *doing)
{
    (void)kt_fail(err, KT_NO_MEMORY, "%s: no memory for keys, or none that can be locked", doing);
    kt_hint(err, "raise the limits: LimitMEMLOCK=64M, and MemoryMax, in the unit, or 'ulimit -l 65536'");
    return KT_NO_MEMORY;
}

struct kt_secret *kt_secret_new(size_t len)
{
    if (len == 0 || len > SECRET_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct kt_secret *secret = kt_calloc(1, sizeof *secret);
    if (secret == NULL)
        return NULL;
    secret->at = guarded(len);
    secret->len = len;
    if (secret->at == NULL) {
        free(secret);
        return NULL;
    }
    return secret;
}

struct kt_secret *kt_secret_copy(struct kt_bytes bytes)
{
    struct kt_secret *secret = kt_secret_new(bytes.len);
    if (secret != NULL)
        memcpy(secret->at, bytes.at, bytes.len);
    return secret;
}

void kt_secret_free(struct kt_secret *secret)
{
    if (secret == NULL)
        return;
    int saved = errno;
    sodium_free(secret->at);
    free(secret);
    errno = saved;
}

bool kt_secret_equal(struct kt_bytes a, struct kt_bytes b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.at, b.at, a.len) == 0);
}

struct kt_keyslab {
    pthread_mutex_t lock;
    size_t slots;
    unsigned char *keys;  /* guarded; slots * KT_KEY_BYTES */
    unsigned char *used;  /* guarded by lock; one byte a slot */
};

struct kt_keyslab *kt_keyslab_new(size_t slots)
{
    struct kt_keyslab *slab = kt_calloc(1, sizeof *slab);
    if (slab == NULL)
        return NULL;
    slab->slots = slots;
    slab->used = kt_calloc(slots, 1);
    slab->keys = guarded(slots * KT_KEY_BYTES);
    if (slab->used == NULL || slab->keys == NULL) {
        if (slab->keys != NULL)
            sodium_free(slab->keys);
        free(slab->used);
        free(slab);
        return NULL;
    }
    (void)pthread_mutex_init(&slab->lock, NULL);
    return slab;
}

void kt_keyslab_free(struct kt_keyslab *slab)
{
    if (slab == NULL)
        return;
    sodium_free(slab->keys);
    free(slab->used);
    (void)pthread_mutex_destroy(&slab->lock);
    free(slab);
}

unsigned char *kt_keyslab_take(struct kt_keyslab *slab)
{
    unsigned char *key = NULL;
    (void)pthread_mutex_lock(&slab->lock);
    for (size_t i = 0; i < slab->slots && key == NULL; i++)
        if (!slab->used[i]) {
            slab->used[i] = 1;
            key = slab->keys + i * KT_KEY_BYTES;
        }
    (void)pthread_mutex_unlock(&slab->lock);
    return key;
}

void kt_keyslab_give(struct kt_keyslab *slab, unsigned char *key)
{
    if (key == NULL)
        return;
    size_t slot = (size_t)(key - slab->keys) / KT_KEY_BYTES;
    KT_ASSERT(slot < slab->slots);
    (void)pthread_mutex_lock(&slab->lock);
    sodium_memzero(key, KT_KEY_BYTES);
    slab->used[slot] = 0;
    (void)pthread_mutex_unlock(&slab->lock);
}

void kt_keyslab_readonly(struct kt_keyslab *slab, bool on)
{
    int failed = on ? sodium_mprotect_readonly(slab->keys) : sodium_mprotect_readwrite(slab->keys);
    KT_ASSERT(failed == 0 || on);  /* read-only is a second layer; writable is needed */
}
