/* What a refused client could measure: for each pair of cases that must not be told apart, both sides
 * do the same number of hashes, openings, comparisons, look-ups and syncs, and get the same answer
 * (GHSA-34fc-gh42-pj53). No clock is looked at. (A look-up is snapshot_get(), sealing and opening are kt_aead_seal(),
 * kt_aead_open() and seal_record_open(); the rest are libraries' functions, which this program replaces.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/fake_pam.h"
#include "tests/support/folder.h"
#include "tests/support/vault.h"
#include "vaultd/auth/hashing.h"
#include "vaultd/barrier/seal_record.h"
#include "vaultd/store/store.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* ---- counting ---- */

enum work { HASH, SEAL, OPEN, COMPARE, LOOK, SYNC, STRETCH, N_WORK };
static const char *const work_names[] = {"hashes",   "sealings", "openings",          "comparisons",
                                         "look-ups", "syncs",    "stretched passwords"};
/* The request's own thread: threads of the vault that do other things do not count. */
static _Thread_local unsigned counted[N_WORK];

static void *next_of(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

int crypto_generichash_final(crypto_generichash_state *state, unsigned char *out, const size_t size)
{
    typedef int fn(crypto_generichash_state *, unsigned char *, size_t);
    union {
        void *at;
        fn *call;
    } next = {next_of("crypto_generichash_final")};
    counted[HASH]++;
    return next.call(state, out, size);
}

void __real_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out);
void __wrap_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out);
void __wrap_kt_aead_seal(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes plain, unsigned char *out)
{
    counted[SEAL]++;
    __real_kt_aead_seal(key, nonce, aad, plain, out);
}

bool __real_kt_aead_open(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes sealed, unsigned char *out);
bool __wrap_kt_aead_open(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes sealed, unsigned char *out);
bool __wrap_kt_aead_open(const unsigned char *key, const unsigned char *nonce, struct kt_bytes aad,
                         struct kt_bytes sealed, unsigned char *out)
{
    counted[OPEN]++;
    return __real_kt_aead_open(key, nonce, aad, sealed, out);
}

bool __real_seal_record_open(const struct seal_record *seal, const unsigned char *unseal_key,
                             unsigned char *ret_root);
bool __wrap_seal_record_open(const struct seal_record *seal, const unsigned char *unseal_key,
                             unsigned char *ret_root);
bool __wrap_seal_record_open(const struct seal_record *seal, const unsigned char *unseal_key,
                             unsigned char *ret_root)
{
    counted[OPEN]++;
    return __real_seal_record_open(seal, unseal_key, ret_root);
}

int sodium_memcmp(const void *a, const void *b, size_t len)
{
    typedef int fn(const void *, const void *, size_t);
    union {
        void *at;
        fn *call;
    } next = {next_of("sodium_memcmp")};
    counted[COMPARE]++;
    return next.call(a, b, len);
}

/* On a thread of its own, so counted for everybody. What it costs is its parameters' matter. */
static _Atomic unsigned stretched;

int crypto_pwhash_str_verify(const char str[crypto_pwhash_STRBYTES], const char *const passwd,
                             unsigned long long passwdlen)
{
    (void)passwd;
    (void)passwdlen;
    if (crypto_pwhash_str_needs_rehash(str, HASHING_OPS, HASHING_MEMORY) == 0)
        stretched++;
    errno = EINVAL;
    return -1;
}

int fdatasync(int fd)
{
    typedef int fn(int);
    union {
        void *at;
        fn *call;
    } next = {next_of("fdatasync")};
    counted[SYNC]++;
    return next.call(fd);
}

enum store_error __real_snapshot_get(struct snapshot *snapshot, struct kt_bytes key,
                                     struct entry *ret);
enum store_error __wrap_snapshot_get(struct snapshot *snapshot, struct kt_bytes key,
                                     struct entry *ret);
enum store_error __wrap_snapshot_get(struct snapshot *snapshot, struct kt_bytes key,
                                     struct entry *ret)
{
    counted[LOOK]++;
    return __real_snapshot_get(snapshot, key, ret);
}

/* ---- pairs ---- */

enum who { UNKNOWN, NEAR_MISS, REVOKED, KNOWN, ROOT, N_WHO };
struct side {
    enum who who;
    const char *path;
    const char *body; /* NULL: the pair's */
};
/* clang-format off */
static const struct pair {
    const char *name, *method, *body;
    struct side a, b;
    unsigned wanted;  /* 0: 403 */
    int64_t pause_ms; /* between two of them; 0: 2 s */
    unsigned locked;  /* by so many failures, whoever is asked for */
} pairs[] = {
    {"an unknown and a near-miss token", "GET", NULL, {UNKNOWN, "secret/data/known"}, {NEAR_MISS, "secret/data/known"}},
    {"an unknown and a revoked token", "GET", NULL, {UNKNOWN, "secret/data/known"}, {REVOKED, "secret/data/known"}},
    {"an unknown token: known and unknown path", "GET", NULL, {UNKNOWN, "secret/data/known"}, {UNKNOWN, "secret/data/other"}},
    {"an unknown token: known and unknown mount", "GET", NULL, {UNKNOWN, "secret/data/known"}, {UNKNOWN, "nomount/data/kno"}},
    {"an unknown token writes", "POST", "{\"data\":{\"a\":\"b\"}}", {UNKNOWN, "secret/data/known"}, {UNKNOWN, "secret/data/other"}},
    {"no permission: known and unknown path, read", "GET", NULL, {KNOWN, "secret/data/known"}, {KNOWN, "secret/data/other"}},
    {"no permission: known and unknown path, delete", "DELETE", NULL, {KNOWN, "secret/data/known"}, {KNOWN, "secret/data/other"}},
    {"no permission: known and unknown path, list", "LIST", NULL, {KNOWN, "secret/metadata/known"}, {KNOWN, "secret/metadata/other"}},
    {"no permission: known and unknown path, write", "POST", "{\"data\":{\"a\":\"b\"}}", {KNOWN, "secret/data/known"}, {KNOWN, "secret/data/other"}},
    {"userpass: a wrong password and an unknown user", "POST", "{\"password\":\"wrong\"}", {UNKNOWN, "auth/userpass/login/bob"}, {UNKNOWN, "auth/userpass/login/eve"}, 400, LOCKOUT_MS},
    {"userpass: one that is locked out, known and unknown", "POST", "{\"password\":\"wrong\"}", {UNKNOWN, "auth/userpass/login/bob"}, {UNKNOWN, "auth/userpass/login/eve"}, 403, 0, LOCKOUT_FAILURES},
    {"userpass: a longer password", "POST", NULL, {UNKNOWN, "auth/userpass/login/bob", "{\"password\":\"w\"}"}, {UNKNOWN, "auth/userpass/login/bob", "{\"password\":\"wrong and longer than the right one\"}"}, 400, LOCKOUT_MS},
    {"approle: a wrong secret id and an unknown role id", "POST", NULL, {UNKNOWN, "auth/approle/login", "{\"role_id\":\"known\",\"secret_id\":\"wrong\"}"}, {UNKNOWN, "auth/approle/login", "{\"role_id\":\"other\",\"secret_id\":\"wrong\"}"}, 400, LOCKOUT_MS},
    {"approle: another role's secret id and an unknown role id", "POST", NULL, {UNKNOWN, "auth/approle/login", "{\"role_id\":\"known\",\"secret_id\":\"of another\"}"}, {UNKNOWN, "auth/approle/login", "{\"role_id\":\"other\",\"secret_id\":\"of another\"}"}, 400, LOCKOUT_MS},
    {"pam: a wrong password, known and unknown account", "POST", "{\"password\":\"wrong\"}", {UNKNOWN, "auth/pam/login/alice"}, {UNKNOWN, "auth/pam/login/mallory"}, 400, LOCKOUT_MS},
    {"pam: one that is locked out, known and unknown", "POST", "{\"password\":\"wrong\"}", {UNKNOWN, "auth/pam/login/alice"}, {UNKNOWN, "auth/pam/login/mallory"}, 403, 0, 1},
    {"pam: an unknown login_id, known and unknown", "POST", "{\"login_id\":\"x\",\"responses\":[\"y\"]}", {UNKNOWN, "auth/pam/login/alice"}, {UNKNOWN, "auth/pam/login/mallory"}, 400},
    {"no permission: known and unknown path, metadata", "POST", "{\"max_versions\":3}", {KNOWN, "secret/metadata/known"}, {KNOWN, "secret/metadata/other"}},
};
/* clang-format on */
#define TRIES   8u
#define N_PAIRS (sizeof pairs / sizeof pairs[0])

struct fixture {
    struct test_vault *vault;
    struct fake_pam *pam;
    char folder[64]; /* its socket's */
    char token[N_WHO][256];
};

static struct fixture *fixture;

static void make_logins(struct test_vault *vault)
{
    static const struct {
        const char *path, *body;
        unsigned status;
    } steps[] = {
        {"sys/auth/userpass", "{\"type\":\"userpass\"}", 204},
        {"sys/auth/approle", "{\"type\":\"approle\"}", 204},
        {"sys/auth/pam", "{\"type\":\"pam\"}", 204},
        {"auth/pam/config", "{\"max_failures\":1}", 204},
        {"auth/pam/groups/ops", "{\"policies\":\"none\"}", 204},
        {"auth/pam/login/alice", "{\"password\":\"right\"}", 200},
        {"auth/userpass/users/bob", "{\"password\":\"right\"}", 204},
        {"auth/approle/role/ci", "{\"role_id\":\"known\"}", 204},
        {"auth/approle/role/cd", "{}", 204},
        {"auth/approle/role/ci/custom-secret-id", "{\"secret_id\":\"right\"}", 200},
        {"auth/approle/role/cd/custom-secret-id", "{\"secret_id\":\"of another\"}", 200},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (test_vault_call(vault, "POST", steps[i].path, vault->root, steps[i].body) != steps[i].status)
            fail_msg("%s: %u %s", steps[i].path, vault->status, vault->body);
}

static int make(void **state)
{
    static struct fixture f;
    if (folder_make(f.folder) != 0)
        return -1;
    f.pam = fake_pam_start(f.folder);
    f.vault = test_vault_pam(true, fake_pam_socket(f.pam));
    (void)snprintf(f.token[ROOT], sizeof f.token[ROOT], "%s", f.vault->root);
    struct test_vault *vault = f.vault;
    assert_int_equal(test_vault_call(vault, "POST", "secret/data/known", vault->root,
                                     "{\"data\":{\"a\":\"b\"}}"),
                     200);
    test_vault_token(vault, "none", "path \"x\" { capabilities = [\"read\"] }", f.token[KNOWN],
                     sizeof f.token[KNOWN]);
    test_vault_token(vault, "none", "path \"x\" { capabilities = [\"read\"] }", f.token[REVOKED],
                     sizeof f.token[REVOKED]);
    char body[300];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", f.token[REVOKED]);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/revoke", vault->root, body), 204);
    (void)snprintf(f.token[NEAR_MISS], sizeof f.token[NEAR_MISS], "%s", f.token[KNOWN]);
    char *last = f.token[NEAR_MISS] + strlen(f.token[NEAR_MISS]) - 1;
    *last = *last == 'a' ? 'b' : 'a';
    (void)snprintf(f.token[UNKNOWN], sizeof f.token[UNKNOWN], "%s", f.token[KNOWN]);
    for (char *c = f.token[UNKNOWN] + 4; *c != '\0'; c++)
        *c = *c == 'x' ? 'y' : 'x';
    make_logins(vault);
    (void)state; /* each test's own is its row */
    fixture = &f;
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_vault_free(fixture->vault);
    fake_pam_stop(fixture->pam);
    folder_remove(fixture->folder);
    return 0;
}

/* The least work of several equal requests. The first ones fill what is kept, and whenever a thread of
 * the vault's own commits something, the next one looks anew. The audit log's refusals are rationed by the
 * second, so each is asked in a second of its own. */
static void measure(struct fixture *f, const struct pair *pair, const struct side *side,
                    unsigned wanted, unsigned ret[N_WORK])
{
    for (unsigned i = 0; i < TRIES; i++) {
        f->vault->now_ms += pair->pause_ms == 0 ? 2000 : pair->pause_ms;
        memset(counted, 0, sizeof counted);
        stretched = 0;
        assert_int_equal(test_vault_call(f->vault, pair->method, side->path, f->token[side->who],
                                         side->body != NULL ? side->body : pair->body),
                         wanted);
        counted[STRETCH] = stretched;
        for (unsigned w = 0; w < N_WORK; w++)
            if (i == 0 || counted[w] < ret[w])
                ret[w] = counted[w];
    }
}

static void lock_out(const struct pair *pair, const struct side *side)
{
    fixture->vault->now_ms += pair->locked > 0 ? LOCKOUT_MS : 0; /* what failed before is forgotten */
    for (unsigned i = 0; i < pair->locked; i++)
        assert_int_equal(test_vault_call(fixture->vault, pair->method, side->path, NULL, pair->body), 400);
}

static void costs_the_same(void **state)
{
    const struct pair *pair = *state;
    unsigned a[N_WORK], b[N_WORK];
    char body_a[512], body_b[512];
    unsigned wanted = pair->wanted == 0 ? 403 : pair->wanted;
    lock_out(pair, &pair->a);
    measure(fixture, pair, &pair->a, wanted, a);
    (void)snprintf(body_a, sizeof body_a, "%s", fixture->vault->body);
    lock_out(pair, &pair->b);
    measure(fixture, pair, &pair->b, wanted, b);
    (void)snprintf(body_b, sizeof body_b, "%s", fixture->vault->body);
    for (unsigned i = 0; i < N_WORK; i++)
        if (a[i] != b[i])
            fail_msg("%s: %u and %u %s", pair->name, a[i], b[i], work_names[i]);
    assert_string_equal(body_a, body_b);
    if (a[SEAL] == 0 || (pair->a.who != KNOWN && a[LOOK] == 0))
        fail_msg("%s: %u look-ups, %u sealings: nothing is seen", pair->name, a[LOOK], a[SEAL]);
}

/* The control: a difference that is there is seen. */
static void sees_a_difference(void **state)
{
    (void)state;
    static const struct pair pair = {.method = "GET",
                                     .a = {ROOT, "secret/data/other"},
                                     .b = {ROOT, "secret/data/known"}};
    unsigned without[N_WORK], with[N_WORK];
    memset(counted, 0, sizeof counted);
    assert_int_equal(test_vault_call(fixture->vault, "GET", "secret/data/never-asked-before",
                                     fixture->vault->root, NULL),
                     404);
    assert_true(counted[HASH] > 0); /* of the name */
    measure(fixture, &pair, &pair.a, 404, without);
    measure(fixture, &pair, &pair.b, 200, with);
    assert_true(with[OPEN] > without[OPEN] && with[LOOK] >= without[LOOK]);
}

/* ---- key shares ---- */

/* Three of five shares are needed. Of each attempt: which of the three is wrong, how wrong it is (the
 * byte that is another, or all of them), in which order they come. */
static const struct attempt {
    const char *name;
    unsigned wrong, byte;
    bool whole, backwards;
} attempts[] = {
    {"the first share, its first byte", 0, 0, false, false},
    {"the first share, its last byte", 0, 31, false, false},
    {"the first share, all of it", 0, 0, true, false},
    {"the second share, its first byte", 1, 0, false, false},
    {"the last share, its first byte", 2, 0, false, false},
    {"the last share, its last byte", 2, 31, false, false},
    {"the last share, all of it", 2, 0, true, false},
    {"the last share, and it comes first", 2, 0, false, true},
};
#define N_ATTEMPTS (sizeof attempts / sizeof attempts[0])

/* All the work of the three requests; the body is the last one's. */
static void attempt_unseal(const struct attempt *attempt, unsigned ret[N_WORK])
{
    struct test_vault *vault = fixture->vault;
    vault->now_ms += 120000; /* so many attempts are not rationed */
    memset(counted, 0, sizeof counted);
    for (unsigned i = 0; i < 3; i++) {
        unsigned n = attempt->backwards ? 2 - i : i;
        unsigned char share[SHAMIR_SHARE_BYTES];
        memcpy(share, vault->shares[n], sizeof share);
        for (unsigned at = 0; n == attempt->wrong && at + 1 < sizeof share; at++)
            if (attempt->whole || at == attempt->byte)
                share[at] ^= 0x5a;
        char text[2 * SHAMIR_SHARE_BYTES + 1], body[160];
        (void)snprintf(body, sizeof body, "{\"key\":\"%s\"}",
                       sodium_bin2hex(text, sizeof text, share, sizeof share));
        if (test_vault_call(vault, "PUT", "sys/unseal", NULL, body) != (i < 2 ? 200 : 400))
            fail_msg("%s: %u: %s", attempt->name, vault->status, vault->body);
    }
    memcpy(ret, counted, sizeof counted);
}

static void wrong_shares_cost_the_same(void **state)
{
    (void)state;
    core_seal(fixture->vault->core, "test");
    unsigned first[N_WORK], work[N_WORK];
    attempt_unseal(&attempts[0], first);
    attempt_unseal(&attempts[0], first);
    char said[512];
    (void)snprintf(said, sizeof said, "%s", fixture->vault->body);
    for (size_t i = 1; i < N_ATTEMPTS; i++) {
        attempt_unseal(&attempts[i], work);
        for (unsigned w = 0; w < N_WORK; w++)
            if (work[w] != first[w])
                fail_msg("%s: %u %s, otherwise %u", attempts[i].name, work[w], work_names[w],
                         first[w]);
        assert_string_equal(fixture->vault->body, said);
    }
    if (first[OPEN] == 0)
        fail_msg("no opening of the seal was seen");
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N_PAIRS + 2] = {
        {.name = "a difference is seen", .test_func = sees_a_difference}};
    for (size_t i = 0; i < N_PAIRS; i++)
        tests[i + 1] = (struct CMUnitTest){.name = pairs[i].name,
                                           .test_func = costs_the_same,
                                           .initial_state = (void *)(uintptr_t)&pairs[i]};
    tests[N_PAIRS + 1] = (struct CMUnitTest){.name = "wrong key shares: which, and how wrong",
                                             .test_func = wrong_shares_cost_the_same};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("timing", tests, make, end);
}
