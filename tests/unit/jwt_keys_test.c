/* Tokens taken apart and held against keys: every way of signing with every kind of key, and what pretends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/support/jwt_signer.h"
#include "vaultd/auth/glob.h"
#include "vaultd/auth/jwt_claims.h"
#include "vaultd/auth/jwt_keys.h"

#define CLAIMS "{\"sub\":\"s\"}"
#define SET    24000u

/* One key for each kind; RS and PS share one. */
static struct jwt_signer rsa, es256, es384, es512, eddsa, other_rsa;
static struct kt_arena arena;

static struct jwt_signer *signer_of(const char *alg)
{
    struct jwt_signer *all[] = {&es256, &es384, &es512, &eddsa};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(all[i]->alg, alg) == 0)
            return all[i];
    jwt_signer_as(&rsa, alg);
    return &rsa;
}

static int make(void **state)
{
    (void)state;
    jwt_signer_init(&rsa, "RS256", 0);
    jwt_signer_init(&other_rsa, "RS256", 0);
    jwt_signer_init(&es256, "ES256", 0);
    jwt_signer_init(&es384, "ES384", 0);
    jwt_signer_init(&es512, "ES512", 0);
    jwt_signer_init(&eddsa, "EdDSA", 0);
    kt_arena_init(&arena, (size_t)8 * 1024 * 1024);
    return 0;
}

static int end(void **state)
{
    (void)state;
    struct jwt_signer *all[] = {&rsa, &other_rsa, &es256, &es384, &es512, &eddsa};
    for (size_t i = 0; i < 6; i++)
        jwt_signer_free(all[i]);
    kt_arena_free(&arena);
    return 0;
}

static struct jwt_text read_token(const char *text)
{
    struct jwt_text token;
    struct kt_err err = {0};
    char *copy = kt_arena_text(&arena, kt_str(text));
    assert_non_null(copy);
    if (jwt_text_read(kt_str(copy), &arena, &token, &err) != KT_OK)
        fail_msg("a token is not read: %s", err.what);
    return token;
}

static void is_refused(const char *text, const char *says)
{
    struct jwt_text token;
    struct kt_err err = {0};
    if (jwt_text_read(kt_str(text), &arena, &token, &err) != KT_INVALID || strstr(err.what, says) == NULL)
        fail_msg("wanted \"%s\", got \"%s\"", says, err.what);
}

/* A set of one key with these members beside its own: ",\"kid\":\"a\"". */
static const char *set_of(const struct jwt_signer *signer, const char *more)
{
    static char set[SET];
    (void)snprintf(set, sizeof set, "{\"keys\":[%s%s}]}", signer->jwk, more);
    return set;
}

static enum kt_kind by_set(const char *set, const char *token)
{
    struct kt_err err = {0};
    const struct jwt_text text = read_token(token);
    assert_int_equal(jwt_set_check(kt_str(set), &err), KT_OK);
    return jwt_set_verify(kt_str(set), &text, &err);
}

static enum kt_kind by_pem(const char *pem, const char *token)
{
    struct kt_err err = {0};
    const struct jwt_text text = read_token(token);
    assert_int_equal(jwt_pem_check(kt_str(pem), &err), KT_OK);
    return jwt_pem_verify(kt_str(pem), &text, &err);
}

/* ---- every way of signing ---- */

static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                   "PS512", "ES256", "ES384", "ES512", "EdDSA"};
#define N_ALGS (sizeof algs / sizeof algs[0])

static void each_way_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALGS; i++) {
        struct jwt_signer *signer = signer_of(algs[i]);
        const char *token = jwt_sign(signer, NULL, CLAIMS);
        assert_int_equal(by_set(set_of(signer, ""), token), KT_OK);
        assert_int_equal(by_pem(signer->pem, token), KT_OK);
    }
}

/* A token that claims one way and was signed in another, by the same key or by one of another kind. */
static void no_way_is_another(void **state)
{
    (void)state;
    char header[64];
    for (size_t i = 0; i < N_ALGS; i++)
        for (size_t j = 0; j < N_ALGS; j++) {
            struct jwt_signer *signer = signer_of(algs[i]);
            (void)snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[j]);
            const char *token = jwt_sign(signer, header, CLAIMS);
            bool right = by_set(set_of(signer, ""), token) == KT_OK;
            bool right_pem = by_pem(signer->pem, token) == KT_OK;
            if (right != (i == j) || right_pem != right)
                fail_msg("signed %s, claimed %s: %d %d", algs[i], algs[j], right, right_pem);
        }
}

static void a_key_says_what_it_is_for(void **state)
{
    (void)state;
    char header[64];
    for (size_t i = 0; i < N_ALGS; i++) {
        struct jwt_signer *signer = signer_of(algs[i]);
        char more[64];
        (void)snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[i]);
        (void)snprintf(more, sizeof more, ",\"alg\":\"%s\"", algs[i]);
        const char *token = jwt_sign(signer, header, CLAIMS);
        assert_int_equal(by_set(set_of(signer, more), token), KT_OK);
        const char *other = strcmp(algs[i], "PS512") == 0 ? "RS512" : "PS512";
        (void)snprintf(more, sizeof more, ",\"alg\":\"%s\"", other);
        assert_int_equal(by_set(set_of(signer, more), token), KT_NOT_FOUND);
    }
    const char *token = jwt_sign(&es256, NULL, CLAIMS);
    assert_int_equal(by_set(set_of(&es256, ",\"use\":\"sig\",\"key_ops\":[\"verify\"]"), token), KT_OK);
    static const char *const not_for[] = {",\"use\":\"enc\"", ",\"key_ops\":[\"encrypt\"]", ",\"use\":1",
                                          ",\"alg\":\"ECDH-ES\"", ",\"alg\":\"HS256\"", ",\"alg\":\"none\""};
    for (size_t i = 0; i < sizeof not_for / sizeof not_for[0]; i++) {
        struct kt_err err = {0};
        const char *set = set_of(&es256, not_for[i]);
        const struct jwt_text text = read_token(token);
        assert_int_equal(jwt_set_check(kt_str(set), &err), KT_INVALID);
        assert_int_equal(jwt_set_verify(kt_str(set), &text, &err), KT_NOT_FOUND);
    }
}

static void every_bit_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALGS; i++) {
        struct jwt_signer *signer = signer_of(algs[i]);
        struct jwt_text token = read_token(jwt_sign(signer, NULL, CLAIMS));
        struct kt_err err = {0};
        unsigned char signature[1024];
        assert_true(token.signature.len <= sizeof signature);
        for (size_t at = 0; at < token.signature.len; at += token.signature.len / 8) {
            memcpy(signature, token.signature.at, token.signature.len);
            signature[at] ^= 1;
            struct jwt_text changed = token;
            changed.signature = kt_bytes(signature, token.signature.len);
            assert_int_equal(jwt_pem_verify(kt_str(signer->pem), &changed, &err), KT_INVALID);
        }
        for (size_t cut = 0; cut <= 2; cut++) {
            struct jwt_text changed = token;
            changed.signature = cut == 0 ? kt_bytes(NULL, 0) : kt_bytes(token.signature.at, token.signature.len - cut);
            assert_int_equal(jwt_pem_verify(kt_str(signer->pem), &changed, &err), KT_INVALID);
        }
    }
    /* A signature of zeros, which was right once for every message and key. */
    unsigned char zeros[96] = {0};
    struct kt_err err = {0};
    struct jwt_text token = read_token(jwt_sign(&es256, NULL, CLAIMS));
    token.signature = kt_bytes(zeros, 64);
    assert_int_equal(jwt_pem_verify(kt_str(es256.pem), &token, &err), KT_INVALID);
}

/* ---- names of keys ---- */

static void a_name_chooses(void **state)
{
    (void)state;
    char set[SET];
    (void)snprintf(set, sizeof set, "{\"keys\":[%s,\"kid\":\"a\"},%s,\"kid\":\"b\"},%s}]}", other_rsa.jwk, rsa.jwk,
                   es256.jwk);
    jwt_signer_as(&rsa, "RS256");
    assert_int_equal(by_set(set, jwt_sign(&rsa, "{\"alg\":\"RS256\",\"kid\":\"b\"}", CLAIMS)), KT_OK);
    assert_int_equal(by_set(set, jwt_sign(&rsa, NULL, CLAIMS)), KT_OK);
    assert_int_equal(by_set(set, jwt_sign(&rsa, "{\"alg\":\"RS256\",\"kid\":\"a\"}", CLAIMS)), KT_INVALID);
    static const char *const unknown[] = {"c", "B", "b ", "", "../b", "/dev/null", "' or 1=1 --", "https://x/b"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char header[128];
        (void)snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", unknown[i]);
        assert_int_equal(by_set(set, jwt_sign(&rsa, header, CLAIMS)), KT_NOT_FOUND);
    }
    /* A key without a name is nobody's. */
    assert_int_equal(by_set(set, jwt_sign(&es256, "{\"alg\":\"ES256\",\"kid\":\"a\"}", CLAIMS)), KT_NOT_FOUND);
}

static void without_a_name_not_all_are_tried(void **state)
{
    (void)state;
    char set[SET] = "{\"keys\":[";
    size_t len = strlen(set);
    jwt_signer_as(&rsa, "RS256");
    for (unsigned i = 0; i < JWT_TRIES_MAX; i++)
        len += (size_t)snprintf(set + len, sizeof set - len, "%s,\"kid\":\"k%u\"},", other_rsa.jwk, i);
    (void)snprintf(set + len, sizeof set - len, "%s,\"kid\":\"last\"}]}", rsa.jwk);
    assert_int_equal(by_set(set, jwt_sign(&rsa, "{\"alg\":\"RS256\",\"kid\":\"last\"}", CLAIMS)), KT_OK);
    struct kt_err err = {0};
    const struct jwt_text token = read_token(jwt_sign(&rsa, NULL, CLAIMS));
    assert_int_equal(jwt_set_verify(kt_str(set), &token, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "too many known keys"));
}

/* ---- keys that are none ---- */

/* CVE-2023-29409, by its other number. */
static void steep_keys_are_none(void **state)
{
    (void)state;
    static unsigned char exponent[] = {0x80, 1, 1, 1, 1}; /* with a zero in front in its encoding */
    jwt_signer_as(&rsa, "RS256");
    for (unsigned bytes = 4; bytes <= 5; bytes++) {
        struct kt_err err = {0};
        gnutls_pubkey_t key = NULL;
        gnutls_datum_t n = {NULL, 0}, e = {exponent, bytes}, pem = {NULL, 0};
        const struct jwt_text token = read_token(jwt_sign(&rsa, NULL, CLAIMS));
        assert_int_equal(gnutls_pubkey_init(&key), 0);
        assert_int_equal(gnutls_privkey_export_rsa_raw(rsa.key, &n, NULL, NULL, NULL, NULL, NULL, NULL, NULL), 0);
        assert_int_equal(gnutls_pubkey_import_rsa_raw(key, &n, &e), 0);
        assert_int_equal(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
        const struct kt_bytes text = kt_bytes(pem.data, pem.size);
        assert_int_equal(jwt_pem_check(text, &err), bytes == 4 ? KT_OK : KT_INVALID);
        assert_int_equal(jwt_pem_verify(text, &token, &err), bytes == 4 ? KT_INVALID : KT_NOT_FOUND);
        gnutls_free(n.data);
        gnutls_free(pem.data);
        gnutls_pubkey_deinit(key);
    }
}

static void weak_keys_are_none(void **state)
{
    (void)state;
    struct jwt_signer weak;
    struct kt_err err = {0};
    jwt_signer_init(&weak, "RS256", 1024);
    const struct jwt_text token = read_token(jwt_sign(&weak, NULL, CLAIMS));
    assert_int_equal(jwt_pem_check(kt_str(weak.pem), &err), KT_INVALID);
    assert_int_equal(jwt_pem_verify(kt_str(weak.pem), &token, &err), KT_NOT_FOUND);
    assert_int_equal(jwt_set_check(kt_str(set_of(&weak, "")), &err), KT_INVALID);
    assert_int_equal(jwt_set_verify(kt_str(set_of(&weak, "")), &token, &err), KT_NOT_FOUND);
    jwt_signer_free(&weak);
}

static void what_is_no_set(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "key set"},
        {"[]", "no list of \"keys\""},
        {"{\"keys\":{}}", "no list of \"keys\""},
        {"{\"keys\":[]}", "no key for signatures"},
        {"{\"keys\":[1,null,\"x\",[],{}]}", "no key for signatures"},
        {"{\"keys\":[],\"keys\":[]}", "key set"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "private key"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AQAB\"}]}", "private key"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "no key for signatures"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}", "no key for signatures"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}", "no key for signatures"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}]}", "no key for signatures"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_err err = {0};
        if (jwt_set_check(kt_str(rows[i].text), &err) != KT_INVALID || strstr(err.what, rows[i].says) == NULL)
            fail_msg("%s: wanted \"%s\", got \"%s\"", rows[i].text, rows[i].says, err.what);
    }
}

/* Zeros are no point of the curve; an even exponent, and one of 1, are no exponents. */
static void numbers_that_are_no_keys(void **state)
{
    (void)state;
    struct kt_err err = {0};
    static const char point[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}";
    assert_int_equal(jwt_set_check(kt_str(point), &err), KT_INVALID);
    static const char *const exponents[] = {"AQ", "Ag", "AQAA", "AQAAAAE", ""};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        char set[SET];
        const char *e = strstr(rsa.jwk, ",\"e\":");
        assert_non_null(e);
        (void)snprintf(set, sizeof set, "{\"keys\":[%.*s,\"e\":\"%s\"}]}", (int)(e - rsa.jwk), rsa.jwk, exponents[i]);
        assert_int_equal(jwt_set_check(kt_str(set), &err), KT_INVALID);
    }
}

static void what_is_no_pem(void **state)
{
    (void)state;
    struct kt_err err = {0};
    static const char *const texts[] = {"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                                        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(jwt_pem_check(kt_str(texts[i]), &err), KT_INVALID);
    /* What only the signer has is no public key. */
    gnutls_datum_t secret = {NULL, 0};
    gnutls_x509_privkey_t key = NULL;
    assert_int_equal(gnutls_privkey_export_x509(es256.key, &key), 0);
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &secret), 0);
    assert_int_equal(jwt_pem_check(kt_bytes(secret.data, secret.size), &err), KT_INVALID);
    gnutls_free(secret.data);
    gnutls_x509_privkey_deinit(key);
}

/* ---- texts that are no tokens ---- */

static void texts_that_are_none(void **state)
{
    (void)state;
    const unsigned char bytes[] = {1, 2, 3};
    const struct kt_bytes some = kt_bytes(bytes, sizeof bytes);
    static const struct {
        const char *header, *claims, *says;
    } rows[] = {
        {"{\"alg\":\"none\"}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"None\"}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"\"}", CLAIMS, "none of the ways"},
        {"{\"alg\":null}", CLAIMS, "none of the ways"},
        {"{\"alg\":[\"RS256\"]}", CLAIMS, "none of the ways"},
        {"{}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"HS256\"}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"rs256\"}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"RS256 \"}", CLAIMS, "none of the ways"},
        {"{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\"}", CLAIMS, "\"enc\""},
        {"{\"alg\":\"RS256\",\"zip\":\"DEF\"}", CLAIMS, "\"zip\""},
        {"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", CLAIMS, "\"crit\""},
        {"{\"alg\":\"RS256\",\"b64\":false}", CLAIMS, "\"b64\""},
        {"{\"alg\":\"none\",\"alg\":\"RS256\"}", CLAIMS, "header"},
        {"{\"alg\":\"RS256\",\"kid\":7}", CLAIMS, "\"kid\""},
        {"[]", CLAIMS, "no JSON object"},
        {"{\"alg\":\"RS256\"", CLAIMS, "header"},
        {"{\"alg\":\"RS256\"}", "[]", "no JSON object"},
        {"{\"alg\":\"RS256\"}", "{\"sub\":\"a\",\"sub\":\"b\"}", "payload"},
        {"{\"alg\":\"RS256\"}", "{\"sub\":\"a\\u0000\"}", "payload"},
        {"{\"alg\":\"RS256\"}", "{\"sub\":\"a\"} {}", "payload"},
        {"{\"alg\":\"RS256\"}", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "payload"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        is_refused(jwt_join(&rsa, rows[i].header, rows[i].claims, some), rows[i].says);
}

/* The text of a good token, changed so that somebody careless reads the same. */
static void spellings_that_are_none(void **state)
{
    (void)state;
    char good[2048], text[2048 + 16];
    (void)snprintf(good, sizeof good, "%s", jwt_sign(&es256, NULL, CLAIMS));
    (void)read_token(good);
    static const char *const before[] = {" ", "\n", ".", "Bearer ", "{}.", "A"};
    static const char *const behind[] = {" ", "\n", ".", "=", ".AAAA", ".AAAA.AAAA", "A"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        (void)snprintf(text, sizeof text, "%s%s", before[i], good);
        is_refused(text, "");
    }
    for (size_t i = 0; i < sizeof behind / sizeof behind[0] - 1; i++) {
        (void)snprintf(text, sizeof text, "%s%s", good, behind[i]);
        is_refused(text, "malformed");
    }
    /* 64 bytes end in a character of which four bits count: the others say nothing, and have to be 0. */
    (void)snprintf(text, sizeof text, "%s", good);
    char *last = &text[strlen(text) - 1];
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *place = strchr(letters, *last);
    assert_non_null(place);
    *last = letters[((place - letters) & ~15) + 1];
    is_refused(text, "signature is no base64url");
    *last = (char)(*place | 0x80);
    is_refused(text, "signature is no base64url");
    is_refused("", "three parts");
    is_refused("..", "three parts");
    is_refused("a..b", "three parts");
    is_refused("a.b", "three parts");
    char *points = malloc(JWT_TEXT_MAX + 2);
    assert_non_null(points);
    memset(points, '.', JWT_TEXT_MAX + 1);
    points[JWT_TEXT_MAX + 1] = '\0';
    is_refused(points, "longer than");
    points[JWT_TEXT_MAX] = '\0';
    is_refused(points, "three parts");
    free(points);
}

/* ---- claims: how they are found and compared ---- */

static void pointers(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":{\"b/c\":[10,{\"d~\":\"x\"}],\"\":1},\"/a\":2,\"n\":null,\"kubernetes.io\":{\"namespace\":\"ns\"}}";
    static const struct {
        const char *name, *value; /* NULL: not found */
    } rows[] = {
        {"/a/b~1c/0", "10"}, {"/a/b~1c/1/d~0", "\"x\""}, {"/a/", "1"}, {"/kubernetes.io/namespace", "\"ns\""},
        {"/a/b~1c/2", NULL}, {"/a/b~1c/00", NULL}, {"/a/b~1c/-", NULL}, {"/a/b~1c/-1", NULL}, {"/a/b~1c/+0", NULL},
        {"/a/b~2c", NULL}, {"/a/b~", NULL}, {"/a/b/c", NULL}, {"/n", NULL}, {"/", NULL}, {"n", NULL}, {"/a/b~1c/0/x", NULL},
    };
    const struct kt_json claims = kt_json_value(kt_str(text));
    struct kt_json value = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool found = jwt_claim(claims, rows[i].name, true, &arena, &value);
        if (found != (rows[i].value != NULL) || (found && !kt_bytes_is(kt_json_bytes(value), rows[i].value)))
            fail_msg("%s: %d", rows[i].name, found);
    }
    assert_true(jwt_claim(claims, "/a", false, &arena, &value));
    assert_true(kt_bytes_is(kt_json_bytes(value), "2"));
}

static void globs(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *text;
        bool fits;
    } rows[] = {
        {"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*", "a", true}, {"a*", "ba", false},
        {"*a", "ba", true}, {"*a", "bab", false}, {"a*c*e", "abcde", true}, {"a*c*e", "abcd", false},
        {"repo:o/*:ref:refs/heads/*", "repo:o/r:ref:refs/heads/main", true},
        {"repo:o/*:ref:refs/heads/*", "repo:o2/r:ref:refs/heads/main", false},
        {"repo:o/*:ref:refs/heads/main", "repo:o/r:ref:refs/heads/main2", false},
        {"**", "x", true}, {"a?", "ab", false}, {"a.c", "abc", false}, {"[a]", "a", false}, {"*ab*ab*", "abab", true},
        {"*ab*ab*", "aab", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (glob_fits(rows[i].glob, rows[i].text) != rows[i].fits)
            fail_msg("%s against %s", rows[i].glob, rows[i].text);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_is_right),
        cmocka_unit_test(no_way_is_another),
        cmocka_unit_test(a_key_says_what_it_is_for),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(a_name_chooses),
        cmocka_unit_test(without_a_name_not_all_are_tried),
        cmocka_unit_test(weak_keys_are_none),
        cmocka_unit_test(steep_keys_are_none),
        cmocka_unit_test(what_is_no_set),
        cmocka_unit_test(numbers_that_are_no_keys),
        cmocka_unit_test(what_is_no_pem),
        cmocka_unit_test(texts_that_are_none),
        cmocka_unit_test(spellings_that_are_none),
        cmocka_unit_test(pointers),
        cmocka_unit_test(globs),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("jwt keys", tests, make, end);
}
