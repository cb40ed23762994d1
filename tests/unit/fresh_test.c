/* What has to be drawn is drawn: no nonce is ever used twice, and two vaults of which the same is asked have
 * no key, no id and no keyed name in common (0.11.1 (2018): a nonce of zeroes). Each seal that libsodium or
 * lib/aead makes is noted. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <sodium.h>

#include "lib/aead.h"
#include "tests/support/vault.h"
#include "vaultd/audit/audit.h"
#include "vaultd/barrier/barrier.h"

#define NOTES_MAX 4096u

struct note {
    unsigned vault; /* 0, 1 */
    unsigned char key[KT_AEAD_KEY], nonce[KT_AEAD_NONCE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct note notes[NOTES_MAX];
static size_t noted;
static unsigned vault_now;
static _Thread_local bool inside; /* lib/aead.h asks libsodium for long messages: one seal, one note */

static void note(const unsigned char *key, const unsigned char *nonce)
{
    (void)pthread_mutex_lock(&lock);
    if (noted < NOTES_MAX) {
        notes[noted].vault = vault_now;
        memcpy(notes[noted].key, key, KT_AEAD_KEY);
        memcpy(notes[noted].nonce, nonce, KT_AEAD_NONCE);
    }
    noted++;
    (void)pthread_mutex_unlock(&lock);
}

void __real_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out);
void __wrap_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out);
void __wrap_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out)
{
    note(key, nonce);
    inside = true;
    __real_kt_aead_seal(key, nonce, aad, plain, out);
    inside = false;
}

int crypto_aead_xchacha20poly1305_ietf_encrypt(unsigned char *c, unsigned long long *clen_p,
                                               const unsigned char *m, unsigned long long mlen,
                                               const unsigned char *ad, unsigned long long adlen,
                                               const unsigned char *nsec, const unsigned char *npub,
                                               const unsigned char *k)
{
    typedef int fn(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long,
                   const unsigned char *, unsigned long long, const unsigned char *,
                   const unsigned char *, const unsigned char *);
    union {
        void *at;
        fn *call;
    } next = {dlsym(RTLD_NEXT, "crypto_aead_xchacha20poly1305_ietf_encrypt")};
    if (next.at == NULL)
        abort();
    if (!inside)
        note(k, npub);
    return next.call(c, clen_p, m, mlen, ad, adlen, nsec, npub, k);
}

/* ---- the same, asked of two vaults ---- */

#define TEXTS     12
#define TEXT_ROOM 300

struct seen {
    unsigned char vault_id[16], hashed[BARRIER_HASH_KEY], derived[32];
    char hmac[AUDIT_HMAC_TEXT], public_key[256];
    char texts[TEXTS][TEXT_ROOM]; /* what the vault drew and says */
    size_t n_texts;
};

static void need(struct test_vault *v, unsigned status, const char *method, const char *path,
                 const char *body)
{
    unsigned got = test_vault_call(v, method, path, v->root, body);
    if (got != status)
        fail_msg("%s %s: %u is expected, %u came: %s", method, path, status, got, v->body);
}

static void keep(struct test_vault *v, struct seen *seen, const char *dotted)
{
    assert_true(seen->n_texts < TEXTS);
    test_vault_text(v, dotted, seen->texts[seen->n_texts++], TEXT_ROOM);
}

static void ask_everything(unsigned number, struct seen *seen)
{
    vault_now = number;
    memset(seen, 0, sizeof *seen);
    struct test_vault *v = test_vault_new(true);
    (void)snprintf(seen->texts[seen->n_texts++], TEXT_ROOM, "%s", v->root);
    for (unsigned i = 0; i < 3; i++) {
        need(v, 200, "POST", "secret/data/a", "{\"data\":{\"password\":\"the same\"}}");
        keep(v, seen, "request_id");
    }
    need(v, 200, "POST", "auth/token/create", "{\"policies\":[\"default\"],\"ttl\":\"1h\"}");
    keep(v, seen, "auth.client_token");
    keep(v, seen, "auth.accessor");
    need(v, 204, "POST", "sys/mounts/other", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    need(v, 200, "GET", "sys/mounts/other", NULL);
    keep(v, seen, "accessor");
    need(v, 200, "GET", "sys/mounts/secret", NULL);
    keep(v, seen, "accessor");
    need(v, 204, "POST", "sys/rotate", NULL);
    need(v, 200, "POST", "secret/data/a", "{\"data\":{\"password\":\"the same\"}}");
    test_vault_reseal(v);
    need(v, 200, "GET", "secret/data/a", NULL);
    struct barrier *barrier = v->core->barrier;
    barrier_vault_id(barrier, seen->vault_id);
    barrier_hash_key(barrier, TABLE_TOKEN, kt_str("the same"), seen->hashed);
    barrier_derive(barrier, "test", kt_str("the same"), seen->derived);
    struct audit_status status;
    audit_status(v->core->audit, &status);
    audit_hmac(v->core->audit, kt_str("the same"), seen->hmac);
    (void)snprintf(seen->public_key, sizeof seen->public_key, "%s", status.public_key);
    test_vault_free(v);
}

static struct seen both[2];

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        ask_everything(i, &both[i]);
    return 0;
}

static void no_nonce_is_used_twice(void **state)
{
    (void)state;
    assert_in_range(noted, 40, NOTES_MAX);
    for (size_t i = 0; i < noted; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(notes[i].nonce, notes[j].nonce, KT_AEAD_NONCE) == 0)
                fail_msg("seal %zu of %zu has the nonce of seal %zu", i, noted, j);
}

static void no_key_is_in_two_vaults(void **state)
{
    (void)state;
    assert_in_range(noted, 40, NOTES_MAX);
    for (size_t i = 0; i < noted; i++)
        for (size_t j = 0; j < i; j++)
            if (notes[i].vault != notes[j].vault &&
                memcmp(notes[i].key, notes[j].key, KT_AEAD_KEY) == 0)
                fail_msg("seal %zu, of the second vault, has the key of seal %zu, of the first", i, j);
}

static void nothing_derived_is_in_two_vaults(void **state)
{
    (void)state;
    assert_memory_not_equal(both[0].vault_id, both[1].vault_id, sizeof both[0].vault_id);
    assert_memory_not_equal(both[0].hashed, both[1].hashed, sizeof both[0].hashed);
    assert_memory_not_equal(both[0].derived, both[1].derived, sizeof both[0].derived);
    assert_string_not_equal(both[0].hmac, both[1].hmac);
    /* "name+HEX8+KEY": the name is the same, and a '+' may be in the key */
    const char *keys[2];
    for (unsigned i = 0; i < 2; i++) {
        keys[i] = strchr(both[i].public_key, '+');
        keys[i] = keys[i] == NULL ? NULL : strchr(keys[i] + 1, '+');
        assert_non_null(keys[i]);
    }
    assert_string_not_equal(keys[0], keys[1]);
}

/* A mount's rows stand under a name that was drawn for it. */
static void mounts_share_nothing(void **state)
{
    (void)state;
    struct test_vault *v = test_vault_new(true);
    for (unsigned i = 0; i < 2; i++)
        need(v, 204, "POST", i == 0 ? "sys/mounts/one" : "sys/mounts/two",
             "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    need(v, 200, "POST", "one/data/a", "{\"data\":{\"k\":\"v\"}}");
    need(v, 404, "GET", "two/data/a", NULL);
    need(v, 404, "GET", "secret/data/a", NULL);
    test_vault_free(v);
}

static void nothing_said_twice(void **state)
{
    (void)state;
    const char *texts[2 * TEXTS];
    size_t n = 0;
    for (unsigned vault = 0; vault < 2; vault++)
        for (size_t i = 0; i < both[vault].n_texts; i++)
            texts[n++] = both[vault].texts[i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(texts[i], texts[j]) == 0)
                fail_msg("texts %zu and %zu of %zu are the same", i, j, n); /* tokens are among them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_nonce_is_used_twice),
        cmocka_unit_test(no_key_is_in_two_vaults),
        cmocka_unit_test(nothing_derived_is_in_two_vaults),
        cmocka_unit_test(nothing_said_twice),
        cmocka_unit_test(mounts_share_nothing),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("fresh", tests, setup, NULL);
}
