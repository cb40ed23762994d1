/* lib/secret.h - secret bytes in guarded, locked, undumpable memory, wiped at the end.
 *
 * What:    A struct kt_secret is not a char *, so %s and strlen do not compile on it. Its memory
 *          comes from sodium_malloc: guard pages, mlock, MADV_DONTDUMP (libsodium documentation,
 *          "Secure memory"); MADV_WIPEONFORK is added. sodium_malloc takes three or four pages and
 *          four kernel mappings each, so these are for a process's few long-lived secrets (at most
 *          some 200); small keys share one slab (struct kt_keyslab).
 * Owner:   kt_secret_new() gives one, kt_secret_free() wipes and frees; NULL is fine.
 * Limits:  1 byte .. 4 MiB.
 * Errors:  NULL when memory or RLIMIT_MEMLOCK does not suffice. kt_secret_init() must have run.
 * Threads: any thread; one secret at a time per thread that writes it. */
#pragma once

#include "lib/err.h"

struct kt_secret {
    unsigned char *at;
    size_t len;
};

/* sodium_init(), and a check that memory can be locked at all. Call once, before threads. */
enum kt_kind kt_secret_init(struct kt_err *err) KT_MUST_CHECK;
struct kt_secret *kt_secret_new(size_t len);
/* For who got no memory for keys: says what was being done, and which limits may be too low. */
enum kt_kind kt_secret_failed(struct kt_err *err, const char *doing);
struct kt_secret *kt_secret_copy(struct kt_bytes bytes);
void kt_secret_free(struct kt_secret *secret);
static inline struct kt_bytes kt_secret_bytes(const struct kt_secret *secret)
{
    return secret == NULL ? kt_bytes(NULL, 0) : kt_bytes(secret->at, secret->len);
}
/* Constant time for equal lengths; the length is public. */
bool kt_secret_equal(struct kt_bytes a, struct kt_bytes b);

/* One guarded slab of 32-byte slots for keys. */
#define KT_KEY_BYTES 32u
struct kt_keyslab;
struct kt_keyslab *kt_keyslab_new(size_t slots);
void kt_keyslab_free(struct kt_keyslab *slab);          /* wipes everything; NULL is fine */
unsigned char *kt_keyslab_take(struct kt_keyslab *slab); /* 32 zero bytes, or NULL when full */
void kt_keyslab_give(struct kt_keyslab *slab, unsigned char *key);  /* wipes the slot */
/* Forbids or allows writing to all slots; giving one back needs it allowed. For all threads: only
 * who fills the slab may turn it. */
void kt_keyslab_readonly(struct kt_keyslab *slab, bool on);

static inline void kt_secret_free_at(struct kt_secret **secret)
{
    kt_secret_free(*secret);
}
#define kt_autosecret __attribute__((cleanup(kt_secret_free_at)))
