/* tests/bench/barrier.c - what the barrier adds to a read and a write: nanoseconds per call, one
 * thread, without a store. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "vaultd/barrier/inside.h"

#define CALLS 200000

static double now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double per_call(double since)
{
    return (now_ns() - since) / CALLS;
}

static void print(const char *what, double ns)
{
    (void)printf("barrier %-28s %8.0f ns\n", what, ns);
}

/* A record of 400 bytes takes the bucket of 448. */
static void bare_aead(void)
{
    unsigned char key[32] = {1}, nonce[24] = {2}, plain[448] = {3}, sealed[464], aad[72] = {4};
    double since = now_ns();
    for (int i = 0; i < CALLS; i++)
        (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, sizeof plain, aad,
                                                         sizeof aad, NULL, nonce, key);
    print("libsodium alone, seal 448", per_call(since));
    since = now_ns();
    for (int i = 0; i < CALLS; i++)
        KT_ASSERT(crypto_aead_xchacha20poly1305_ietf_decrypt(
                      plain, NULL, NULL, sealed, sizeof sealed, aad, sizeof aad, nonce, key) == 0);
    print("libsodium alone, open 448", per_call(since));
}

static void entries(struct keyring *ring)
{
    unsigned char plain[400] = {0};
    unsigned char key[BARRIER_NAME_KEY + 4] = {TABLE_KV};
    struct kt_bytes at = kt_bytes(key, sizeof key);
    kt_autobuf struct kt_buf sealed, out;
    kt_buf_init(&sealed, 4096);
    kt_buf_init(&out, 4096);
    double since = now_ns();
    for (int i = 0; i < CALLS; i++) {
        kt_buf_reset(&sealed);
        KT_ASSERT(entry_seal(ring, at, kt_bytes(plain, sizeof plain), &sealed, NULL) == KT_OK);
    }
    print("seal 400 bytes", per_call(since));
    since = now_ns();
    for (int i = 0; i < CALLS; i++) {
        kt_buf_reset(&out);
        KT_ASSERT(entry_open(ring, NULL, at, kt_buf_bytes(&sealed), &out, NULL) == KT_OK);
    }
    print("open 400 bytes", per_call(since));
    since = now_ns();
    for (int i = 0; i < CALLS; i++) {
        kt_autobuf struct kt_buf fresh;
        kt_buf_init(&fresh, 4096);
        KT_ASSERT(entry_open(ring, NULL, at, kt_buf_bytes(&sealed), &fresh, NULL) == KT_OK);
    }
    print("open 400 bytes, new buffer", per_call(since));
}

static void keys(struct barrier *barrier)
{
    static const unsigned char scope[BARRIER_SCOPE] = {1};
    static const char token[] = "hvs.CAESIJ2nUXbWLZ8u3mH9aB1cD4eF7gH0iJ";
    unsigned char out[BARRIER_NAME_KEY];
    double since = now_ns();
    for (int i = 0; i < CALLS; i++)
        barrier_name_key(barrier, TABLE_KV, scope, kt_str("team/database/orders"), out);
    print("name, folder cached", per_call(since));
    char folder[64];
    since = now_ns();
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(folder, sizeof folder, "team/%d/orders", i);
        barrier_name_key(barrier, TABLE_KV, scope, kt_str(folder), out);
    }
    print("name, folder new", per_call(since));
    since = now_ns();
    for (int i = 0; i < CALLS; i++)
        barrier_hash_key(barrier, TABLE_TOKEN, kt_str(token), out);
    print("token hash", per_call(since));
    gate_raise(&barrier->gate, GATE_OPEN);
    since = now_ns();
    for (int i = 0; i < CALLS; i++) {
        KT_ASSERT(barrier_enter(barrier));
        barrier_leave(barrier);
    }
    print("enter and leave", per_call(since));
}

int main(void)
{
    static const unsigned char id[VAULT_ID_BYTES] = {1};
    struct kt_err err;
    struct barrier *barrier = calloc(1, sizeof *barrier);
    if (barrier == NULL || kt_secret_init(&err) != KT_OK ||
        keyring_generate(id, 1, &barrier->ring, &err) != KT_OK)
        return 1;
    gate_init(&barrier->gate);
    bare_aead();
    entries(barrier->ring);
    keys(barrier);
    keyring_free(barrier->ring);
    gate_destroy(&barrier->gate);
    free(barrier);
    return 0;
}
