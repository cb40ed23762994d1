#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <gnutls/x509.h>
#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/x509_make.h"

#define NOW_MS ((int64_t)1798761600000) /* 2027-01-01 */
#define DAY_S  ((int64_t)86400)
#define NAMES  "App.Example.com, *.dev.example.com 10.0.0.7,2001:db8::1 ops@example.com spiffe://example/app"

static struct kt_x509_names names_of(const char *text)
{
    struct kt_x509_names names;
    struct kt_err err = {0};
    assert_int_equal(kt_x509_names_parse(text, &names, &err), KT_OK);
    return names;
}

static struct kt_x509_issuer *open_made(struct kt_x509_made *made)
{
    struct kt_x509_issuer *issuer = NULL;
    kt_autobuf struct kt_buf chain;
    kt_buf_init(&chain, KT_X509_PEM_MAX);
    kt_buf_add_bytes(&chain, kt_buf_bytes(&made->chain));
    kt_buf_add_bytes(&chain, kt_buf_bytes(&made->root));
    assert_int_equal(kt_x509_issuer_open(kt_buf_bytes(&made->key), kt_buf_bytes(&made->certificate),
                                         kt_buf_bytes(&chain), &issuer, NULL),
                     KT_OK);
    return issuer;
}

/* An authority for these names below another; NULL: a root. */
static struct kt_x509_issuer *authority(const char *name, const char *names_text, int64_t life_s,
                                        const struct kt_x509_issuer *above, enum kt_x509_key key)
{
    struct kt_x509_names names = names_of(names_text);
    struct kt_x509_made made;
    const struct kt_x509_wish wish = {.usage = KT_X509_AUTHORITY,
                                      .key = key,
                                      .common_name = name,
                                      .names = &names,
                                      .now_ms = NOW_MS,
                                      .life_s = life_s};
    assert_int_equal(kt_x509_make(&wish, above, &made, NULL), KT_OK);
    struct kt_x509_issuer *issuer = open_made(&made);
    kt_x509_made_free(&made);
    return issuer;
}

static enum kt_kind leaf(const char *names_text, unsigned usage, int64_t life_s, struct kt_bytes request,
                         const struct kt_x509_issuer *issuer, struct kt_x509_made *ret, struct kt_err *err)
{
    struct kt_x509_names names = names_of(names_text);
    const struct kt_x509_wish wish = {.usage = usage,
                                      .request = request,
                                      .common_name = "",
                                      .names = &names,
                                      .now_ms = NOW_MS,
                                      .life_s = life_s};
    return kt_x509_make(&wish, issuer, ret, err);
}

static gnutls_x509_crt_t parsed(struct kt_buf *pem)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t datum = {pem->at, (unsigned)pem->len};
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &datum, GNUTLS_X509_FMT_PEM), 0);
    return crt;
}

static void names_are_told_apart(void **state)
{
    (void)state;
    struct kt_x509_names names = names_of(NAMES);
    static const enum kt_x509_name_kind kinds[] = {KT_X509_DNS,     KT_X509_DNS,   KT_X509_ADDRESS,
                                                   KT_X509_ADDRESS, KT_X509_EMAIL, KT_X509_URI};
    assert_int_equal(names.n, 6);
    for (unsigned i = 0; i < names.n; i++)
        assert_int_equal(names.at[i].kind, kinds[i]);
    assert_string_equal(names.at[0].text, "app.example.com");
    assert_memory_equal(names.at[2].address, "\x0a\0\0\x07", 4);
    assert_int_equal(names.at[3].address_len, 16);
    assert_int_equal(names_of("").n, 0);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"*",       "*.com",       "a*.example.com", "-a.example.com", "a..example.com",
                                        "a.com.",  "b\xc3\xbc.de", "10.0.0.256",     "1:2::3::4",      "@example.com",
                                        "a@",      "://x",        "http://",        "a.example.com/x", "a_b$.de",
                                        "x\x01.de", "*.*.example.com"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kt_x509_names names;
        struct kt_err err = {0};
        if (kt_x509_names_parse(wrong[i], &names, &err) != KT_INVALID)
            fail_msg("taken: %s", wrong[i]);
        assert_non_null(strstr(err.what, "number 1"));
    }
    char many[KT_X509_NAMES_MAX * 2 + 3] = "";
    for (size_t i = 0; i <= KT_X509_NAMES_MAX; i++)
        memcpy(many + i * 2, "a,", 3);
    struct kt_x509_names names;
    assert_int_equal(kt_x509_names_parse(many, &names, NULL), KT_INVALID);
}

/* What stands in it is asked of GnuTLS, not of who made it. */
static void a_leaf_says_what_was_wanted(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "", 3650 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_made made;
    char name[256];
    size_t len = sizeof name;
    unsigned ca = 0, usage = 0, critical = 0;
    assert_int_equal(leaf(NAMES, KT_X509_CLIENT, 90 * DAY_S, kt_bytes(NULL, 0), root, &made, NULL), KT_OK);
    gnutls_x509_crt_t crt = parsed(&made.certificate);
    assert_int_equal(gnutls_x509_crt_get_version(crt), 3);
    assert_int_equal(gnutls_x509_crt_get_ca_status(crt, &ca), 0);
    assert_int_equal(gnutls_x509_crt_get_key_usage(crt, &usage, &critical), 0);
    assert_int_equal(usage, GNUTLS_KEY_DIGITAL_SIGNATURE);
    assert_int_not_equal(critical, 0);
    assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(crt, 0, name, &len, &critical), 0);
    assert_string_equal(name, GNUTLS_KP_TLS_WWW_CLIENT);
    len = sizeof name;
    assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(crt, 1, name, &len, &critical),
                     GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
    len = sizeof name;
    assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len), 0);
    assert_string_equal(name, "app.example.com");
    assert_int_equal(gnutls_x509_crt_get_expiration_time(crt), NOW_MS / 1000 + 90 * DAY_S);
    assert_int_equal(gnutls_x509_crt_get_activation_time(crt), NOW_MS / 1000 - 300);
    assert_int_equal(made.from_ms, NOW_MS - 300000);
    assert_true(gnutls_x509_crt_check_hostname(crt, "app.example.com") != 0);
    assert_true(gnutls_x509_crt_check_hostname(crt, "a.dev.example.com") != 0);
    assert_true(gnutls_x509_crt_check_hostname(crt, "10.0.0.7") != 0);
    assert_true(gnutls_x509_crt_check_hostname(crt, "2001:db8::1") != 0);
    assert_true(gnutls_x509_crt_check_email(crt, "ops@example.com", 0) != 0);
    assert_false(gnutls_x509_crt_check_hostname(crt, "b.example.com") != 0);
    assert_int_equal(made.chain.len, 0);
    assert_int_not_equal(made.root.len, 0);
    gnutls_x509_crt_deinit(crt);
    kt_x509_made_free(&made);
    kt_x509_issuer_close(root);
}

/* Below an authority in between: leaf, then that one; the root apart; each signs for who is in front. */
static void chains_lead_to_the_root(void **state)
{
    (void)state;
    static const enum kt_x509_key keys[] = {KT_X509_P256, KT_X509_ED25519};
    for (size_t i = 0; i < 2; i++) {
        struct kt_x509_issuer *root = authority("Root", "", 3650 * DAY_S, NULL, keys[i]);
        struct kt_x509_issuer *between = authority("Between", "", 365 * DAY_S, root, keys[1 - i]);
        struct kt_x509_made made;
        struct kt_x509_names none = names_of("");
        assert_int_equal(
            leaf("a.example.com", KT_X509_SERVER, DAY_S, kt_bytes(NULL, 0), between, &made, NULL), KT_OK);
        gnutls_x509_crt_t chain[3] = {parsed(&made.certificate), parsed(&made.chain), parsed(&made.root)};
        assert_true(gnutls_x509_crt_check_issuer(chain[0], chain[1]) != 0);
        assert_true(gnutls_x509_crt_check_issuer(chain[1], chain[2]) != 0);
        assert_true(gnutls_x509_crt_check_issuer(chain[2], chain[2]) != 0);
        for (size_t k = 0; k < 3; k++)
            gnutls_x509_crt_deinit(chain[k]);
        kt_x509_made_free(&made);
        /* Below one in between there is no further authority. */
        const struct kt_x509_wish deeper = {.usage = KT_X509_AUTHORITY,
                                            .common_name = "Deeper",
                                            .names = &none,
                                            .now_ms = NOW_MS,
                                            .life_s = DAY_S};
        assert_int_equal(kt_x509_make(&deeper, between, &made, NULL), KT_INVALID);
        kt_x509_made_free(&made);
        kt_x509_issuer_close(between);
        kt_x509_issuer_close(root);
    }
}

static void refused(enum kt_kind kind, struct kt_x509_made *made, struct kt_err *err, const char *why)
{
    assert_int_equal(kind, KT_INVALID);
    if (strstr(err->what, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->what, why);
    kt_x509_made_free(made);
}

static void nothing_outlives_its_issuer(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "", 10 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_made made;
    struct kt_err err = {0};
    struct kt_bytes none = {0};
    assert_int_equal(leaf("a.de", KT_X509_SERVER, 10 * DAY_S, none, root, &made, &err), KT_OK);
    kt_x509_made_free(&made);
    refused(leaf("a.de", KT_X509_SERVER, 10 * DAY_S + 1, none, root, &made, &err), &made, &err, "ends before");
    kt_x509_issuer_close(root);
}

/* What logs in by certificate may look at the common name. */
static void a_leaf_is_called_by_its_names(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "example.com", 365 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_names names = names_of("app.example.com, api.example.com");
    struct kt_x509_wish wish = {.usage = KT_X509_CLIENT,
                                .common_name = "api.example.com",
                                .names = &names,
                                .now_ms = NOW_MS,
                                .life_s = DAY_S};
    struct kt_x509_made made;
    struct kt_err err = {0};
    assert_int_equal(kt_x509_make(&wish, root, &made, &err), KT_OK);
    kt_x509_made_free(&made);
    wish.common_name = "postgres";
    refused(kt_x509_make(&wish, root, &made, &err), &made, &err, "one of the names");
    kt_x509_issuer_close(root);
}

static void bounds_hold_further_down(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "example.com", 365 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_issuer *below = authority("s.example.com", "", 300 * DAY_S, root, KT_X509_P256);
    static const struct {
        const char *name;
        enum kt_kind kind;
    } rows[] = {{"a@evil.org", KT_INVALID}, {"https://a.example.com/x", KT_INVALID}, {"a.example.com", KT_OK}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct kt_x509_made made;
        assert_int_equal(leaf(rows[i / 2].name, KT_X509_CLIENT, DAY_S, kt_bytes(NULL, 0),
                              i % 2 == 0 ? root : below, &made, NULL),
                         rows[i / 2].kind);
        kt_x509_made_free(&made);
    }
    kt_x509_issuer_close(below);
    kt_x509_issuer_close(root);
}

static void an_authority_keeps_to_its_names(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "example.com, 10.0.0.7", 365 * DAY_S, NULL, KT_X509_P256);
    static const struct {
        const char *names, *why;
    } rows[] = {{"other.de", "for the name 'other.de'"},
                {"a.example.com, notexample.com", "for the name 'notexample.com'"},
                {"10.0.0.8", "for the name '10.0.0.8'"},
                {"ops@example.com", "for the name 'ops@example.com': its names are of other kinds"},
                {"a.example.com spiffe://example.com/x", "for the name 'spiffe://example.com/x'"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_x509_made made;
        struct kt_err err = {0};
        refused(leaf(rows[i].names, KT_X509_SERVER, DAY_S, kt_bytes(NULL, 0), root, &made, &err), &made, &err,
                rows[i].why);
    }
    struct kt_x509_made made;
    assert_int_equal(leaf("a.b.example.com example.com 10.0.0.7", KT_X509_SERVER, DAY_S, kt_bytes(NULL, 0), root,
                          &made, NULL),
                     KT_OK);
    kt_x509_made_free(&made);
    kt_x509_issuer_close(root);
}

/* ---- requests ---- */

enum damage { DAMAGE_NONE, DAMAGE_SIGNATURE };

/* Of a key of this kind, for "evil.example.com". */
static void request_of(gnutls_pk_algorithm_t algorithm, unsigned bits, enum damage damage, struct kt_buf *out)
{
    gnutls_x509_crq_t crq = NULL;
    gnutls_x509_privkey_t key = NULL;
    gnutls_datum_t der = {0}, pem = {0};
    assert_int_equal(gnutls_x509_crq_init(&crq), 0);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
    assert_int_equal(gnutls_x509_crq_set_dn(crq, "CN=evil.example.com", NULL), 0);
    assert_int_equal(gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_DNSNAME, "evil.example.com", 16, 0), 0);
    assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
    assert_int_equal(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER, &der), 0);
    if (damage == DAMAGE_SIGNATURE)
        der.data[der.size - 1] ^= 1;
    assert_int_equal(gnutls_pem_base64_encode2("CERTIFICATE REQUEST", &der, &pem), 0);
    kt_buf_add(out, pem.data, pem.size);
    gnutls_free(der.data);
    gnutls_free(pem.data);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_crq_deinit(crq);
}

static void a_request_gives_its_key_only(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "", 365 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_made made;
    char name[256];
    size_t len = sizeof name;
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, KT_X509_PEM_MAX);
    request_of(GNUTLS_PK_RSA, 2048, DAMAGE_NONE, &request);
    assert_int_equal(kt_x509_request_check(kt_buf_bytes(&request), NULL), KT_OK);
    assert_int_equal(
        leaf("good.example.com", KT_X509_SERVER, DAY_S, kt_buf_bytes(&request), root, &made, NULL), KT_OK);
    gnutls_x509_crt_t crt = parsed(&made.certificate);
    assert_int_equal(made.key.len, 0);
    assert_true(gnutls_x509_crt_check_hostname(crt, "good.example.com") != 0);
    assert_false(gnutls_x509_crt_check_hostname(crt, "evil.example.com") != 0);
    assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len), 0);
    assert_string_equal(name, "good.example.com");
    assert_int_equal(gnutls_x509_crt_get_pk_algorithm(crt, NULL), GNUTLS_PK_RSA);
    gnutls_x509_crt_deinit(crt);
    kt_x509_made_free(&made);
    kt_x509_issuer_close(root);
}

static void other_requests_are_refused(void **state)
{
    (void)state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, KT_X509_PEM_MAX);
    request_of(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), DAMAGE_SIGNATURE, &request);
    assert_int_equal(kt_x509_request_check(kt_buf_bytes(&request), &err), KT_INVALID);
    assert_non_null(strstr(err.what, "who asks has the key"));
    kt_buf_reset(&request);
    request_of(GNUTLS_PK_RSA, 1024, DAMAGE_NONE, &request);
    assert_int_equal(kt_x509_request_check(kt_buf_bytes(&request), &err), KT_INVALID);
    assert_non_null(strstr(err.what, "none that is signed for"));
    assert_int_equal(kt_x509_request_check(kt_str("-----BEGIN CERTIFICATE REQUEST-----\n"), &err), KT_INVALID);
    assert_int_equal(kt_x509_request_check(kt_str(""), &err), KT_INVALID);
}

/* ---- issuers ---- */

static void keys_belong_to_their_certificate(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "", 365 * DAY_S, NULL, KT_X509_P256), *other = NULL;
    struct kt_x509_made a, b;
    struct kt_err err = {0};
    struct kt_bytes none = {0};
    assert_int_equal(leaf("a.de", KT_X509_SERVER, DAY_S, none, root, &a, NULL), KT_OK);
    assert_int_equal(leaf("b.de", KT_X509_SERVER, DAY_S, none, root, &b, NULL), KT_OK);
    assert_int_equal(kt_x509_issuer_open(kt_buf_bytes(&a.key), kt_buf_bytes(&b.certificate), none, &other, &err),
                     KT_INVALID);
    assert_non_null(strstr(err.what, "not that of its certificate"));
    assert_int_equal(kt_x509_issuer_open(kt_buf_bytes(&a.key), kt_buf_bytes(&a.certificate), none, &other, &err),
                     KT_INVALID);
    assert_non_null(strstr(err.what, "none of an authority"));
    assert_int_equal(kt_x509_issuer_open(kt_str("x"), kt_buf_bytes(&a.certificate), none, &other, &err), KT_INVALID);
    assert_int_equal(kt_x509_issuer_open(kt_buf_bytes(&a.key), kt_str("x"), none, &other, &err), KT_INVALID);
    assert_string_not_equal(a.serial, b.serial);
    kt_x509_made_free(&a);
    kt_x509_made_free(&b);
    kt_x509_issuer_close(root);
}

/* ---- lists ---- */

static void a_list_names_what_is_revoked(void **state)
{
    (void)state;
    struct kt_x509_issuer *root = authority("Root", "", 365 * DAY_S, NULL, KT_X509_P256);
    struct kt_x509_revoked revoked = {.serial_len = KT_X509_SERIAL, .revoked_ms = NOW_MS};
    struct kt_x509_made a, b;
    struct kt_bytes none = {0};
    assert_int_equal(leaf("a.de", KT_X509_SERVER, DAY_S, none, root, &a, NULL), KT_OK);
    assert_int_equal(leaf("b.de", KT_X509_SERVER, DAY_S, none, root, &b, NULL), KT_OK);
    assert_int_equal(sodium_hex2bin(revoked.serial, sizeof revoked.serial, a.serial, strlen(a.serial), NULL, NULL,
                                    NULL),
                     0);
    const struct kt_x509_crl_wish wish = {.at = &revoked, .n = 1, .number = 7, .now_ms = NOW_MS, .life_s = 7 * DAY_S};
    kt_autobuf struct kt_buf pem;
    kt_buf_init(&pem, KT_X509_PEM_MAX);
    assert_int_equal(kt_x509_crl_make(&wish, root, &pem, NULL), KT_OK);
    const int64_t times_ms[] = {1600000000000, 4000000000000}; /* what a list's times are is not GnuTLS's to say */
    for (size_t i = 0; i < 2; i++) {
        struct kt_x509_crl_wish other = wish;
        kt_autobuf struct kt_buf at_another_time;
        kt_buf_init(&at_another_time, KT_X509_PEM_MAX);
        other.now_ms = times_ms[i];
        assert_int_equal(kt_x509_crl_make(&other, root, &at_another_time, NULL), KT_OK);
    }
    gnutls_x509_crl_t crl = NULL;
    gnutls_datum_t datum = {pem.at, (unsigned)pem.len};
    assert_int_equal(gnutls_x509_crl_init(&crl), 0);
    assert_int_equal(gnutls_x509_crl_import(crl, &datum, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_crl_get_next_update(crl), NOW_MS / 1000 + 7 * DAY_S);
    gnutls_x509_crt_t good = parsed(&b.certificate), bad = parsed(&a.certificate), by = parsed(&a.root);
    unsigned status = 0;
    assert_int_equal(gnutls_x509_crl_verify(crl, &by, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status), 0);
    assert_int_equal(status & (GNUTLS_CERT_SIGNATURE_FAILURE | GNUTLS_CERT_SIGNER_NOT_FOUND), 0);
    assert_int_equal(gnutls_x509_crt_check_revocation(bad, &crl, 1), 1);
    assert_int_equal(gnutls_x509_crt_check_revocation(good, &crl, 1), 0);
    gnutls_x509_crt_deinit(good);
    gnutls_x509_crt_deinit(bad);
    gnutls_x509_crt_deinit(by);
    gnutls_x509_crl_deinit(crl);
    kt_x509_made_free(&a);
    kt_x509_made_free(&b);
    kt_x509_issuer_close(root);
}

#ifdef KT_FAULT
static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    unsigned long nth = 0;
    for (enum kt_kind kind = KT_NO_MEMORY; kind != KT_OK;) {
        struct kt_x509_made made;
        struct kt_x509_names names = names_of("a.de");
        struct kt_x509_issuer *issuer = NULL;
        const struct kt_x509_wish wish = {.usage = KT_X509_AUTHORITY,
                                          .common_name = "Root",
                                          .names = &names,
                                          .now_ms = NOW_MS,
                                          .life_s = DAY_S};
        (void)kt_fail_allocation(++nth);
        kind = kt_x509_make(&wish, NULL, &made, NULL);
        if (kind == KT_OK)
            kind = kt_x509_issuer_open(kt_buf_bytes(&made.key), kt_buf_bytes(&made.certificate),
                                       kt_bytes(NULL, 0), &issuer, NULL);
        (void)kt_fail_allocation(0);
        kt_x509_issuer_close(issuer);
        kt_x509_made_free(&made);
        if (kind != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
    }
    assert_in_range(nth, 4, 40);
}
#endif

static time_t now_s(time_t *ret)
{
    if (ret != NULL)
        *ret = NOW_MS / 1000;
    return NOW_MS / 1000;
}

int main(void)
{
    gnutls_global_set_time_function(now_s);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(a_leaf_says_what_was_wanted),
        cmocka_unit_test(chains_lead_to_the_root),
        cmocka_unit_test(nothing_outlives_its_issuer),
        cmocka_unit_test(a_leaf_is_called_by_its_names),
        cmocka_unit_test(bounds_hold_further_down),
        cmocka_unit_test(an_authority_keeps_to_its_names),
        cmocka_unit_test(a_request_gives_its_key_only),
        cmocka_unit_test(other_requests_are_refused),
        cmocka_unit_test(keys_belong_to_their_certificate),
        cmocka_unit_test(a_list_names_what_is_revoked),
#ifdef KT_FAULT
        cmocka_unit_test(memory_that_runs_out_is_told),
#endif
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("x509_make", tests, NULL, NULL);
}
