/* Logging in with a certificate: who is let in, who is not, and who may go on. Each case of what other vaults
 * got wrong is a row here; the TLS connection itself is tests/security/certificates.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <gnutls/x509.h>

#include "lib/num.h"
#include "tests/support/certs.h"
#include "tests/support/meanwhile.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT 1024u
#define DAY  INT64_C(86400000)

static struct test_vault *vault;

/* Made once; all are valid for a year around the vault's clock, but those that say otherwise. */
static struct certs {
    struct test_cert *root, *middle, *middle_ended, *deep, *other, *twin, *old_root, *old_renewed;
    struct test_cert *web, *mail, *renewed, *below, *below_deep, *forged, *stale, *early, *server, *free_,
        *signer, *by_leaf, *authority, *weak, *sha1, *odd, *extra, *strange, *no_sign, *nameless, *two_names,
        *of_old, *lone, *lone_again, *lone_forged, *lone_stale, *lone_server;
} c;
static int64_t now_ms;

static struct test_cert *cert(struct test_cert_wish wish)
{
    static unsigned serial = 100;
    if (wish.from_ms == 0)
        wish.from_ms = now_ms - 100 * DAY;
    if (wish.until_ms == 0)
        wish.until_ms = now_ms + 265 * DAY;
    if (wish.serial == 0)
        wish.serial = serial++;
    return test_cert_make(&wish);
}
#define CERT(...) cert((struct test_cert_wish){__VA_ARGS__})

static void make_authorities(void)
{
    c.root = CERT(.dn = "CN=root", .ca = true);
    c.middle = CERT(.dn = "CN=middle", .ca = true, .issuer = c.root, .path_len = 1);
    c.middle_ended = CERT(.dn = "CN=middle", .ca = true, .issuer = c.root, .path_len = 1, .key_of = c.middle,
                          .until_ms = now_ms);
    c.deep = CERT(.dn = "CN=deep", .ca = true, .issuer = c.middle);
    c.other = CERT(.dn = "CN=other", .ca = true);
    c.twin = CERT(.dn = "CN=root", .ca = true); /* the same name, another key */
    c.old_root = CERT(.dn = "CN=old", .ca = true, .until_ms = now_ms - DAY);
    c.old_renewed = CERT(.dn = "CN=old", .ca = true, .key_of = c.old_root);
}

static void make_clients(void)
{
    c.web = CERT(.dn = "CN=web,OU=ops", .issuer = c.root, .serial = 7, .dns = "web.example",
                 .email = "ops@example", .uri = "spiffe://example/web");
    c.mail = CERT(.dn = "CN=mail", .issuer = c.root);
    c.renewed = CERT(.dn = "CN=web,OU=ops", .issuer = c.root, .key_of = c.web);
    c.below = CERT(.dn = "CN=below", .issuer = c.middle, .serial = 7);
    c.below_deep = CERT(.dn = "CN=below deep", .issuer = c.deep);
    c.forged = CERT(.dn = "CN=web,OU=ops", .issuer = c.twin, .serial = 7);
    c.stale = CERT(.dn = "CN=web", .issuer = c.root, .until_ms = now_ms);
    c.early = CERT(.dn = "CN=web", .issuer = c.root, .from_ms = now_ms + 1000);
    c.server = CERT(.dn = "CN=web", .issuer = c.root, .for_servers = true);
    c.free_ = CERT(.dn = "CN=free", .issuer = c.root, .no_purpose = true);
    c.signer = CERT(.dn = "CN=signer", .issuer = c.root);
    c.by_leaf = CERT(.dn = "CN=web", .issuer = c.signer);
    c.authority = CERT(.dn = "CN=web", .issuer = c.root, .ca = true);
    c.weak = CERT(.dn = "CN=web", .issuer = c.root, .rsa_1024 = true);
    c.sha1 = CERT(.dn = "CN=web", .issuer = c.root, .sha1 = true);
    c.odd = CERT(.dn = "CN=web", .issuer = c.root, .oid = "1.2.3.4", .oid_text = "x", .oid_critical = true);
    c.extra = CERT(.dn = "CN=extra", .issuer = c.root, .oid = "1.2.3.4", .oid_text = "team-a");
    c.strange = CERT(.dn = "CN=web,OU=ops", .issuer = c.other);
    c.no_sign = CERT(.dn = "CN=web", .issuer = c.root, .usage = GNUTLS_KEY_KEY_AGREEMENT);
    c.nameless = CERT(.issuer = c.root, .dns = "web.example");
    c.two_names = CERT(.dn = "CN=web,CN=admin", .issuer = c.root);
    c.of_old = CERT(.dn = "CN=web", .issuer = c.old_root);
    c.lone = CERT(.dn = "CN=lone", .issuer = c.other, .serial = 9);
    c.lone_again = CERT(.dn = "CN=lone", .issuer = c.other, .serial = 9, .key_of = c.lone);
    c.lone_forged = CERT(.dn = "CN=lone", .issuer = c.other, .serial = 9);
    c.lone_stale = CERT(.dn = "CN=lone", .issuer = c.other, .until_ms = now_ms);
    c.lone_server = CERT(.dn = "CN=lone", .issuer = c.other, .for_servers = true);
}

static int make_all(void **state)
{
    (void)state;
    struct test_vault *first = test_vault_new(false);
    now_ms = first->now_ms;
    test_vault_free(first);
    make_authorities();
    make_clients();
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct test_cert **all = (struct test_cert **)&c;
    for (size_t i = 0; i < sizeof c / sizeof *all; i++)
        test_cert_free(all[i]);
    return 0;
}

/* ---- asking ---- */

static unsigned ask(const struct test_cert *const *chain, size_t n, const char *method, const char *path,
                    const char *token, const char *body)
{
    char target[TEXT];
    struct kt_bytes der[16];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    for (size_t i = 0; i < n; i++)
        der[i] = test_cert_der(chain[i]);
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token == NULL ? vault->root : token),
                                         .body = kt_str(body),
                                         .address = "192.0.2.1",
                                         .chain = der,
                                         .n_chain = n};
    return test_vault_ask(vault, &request);
}

static void wants_from(const struct test_cert *who, unsigned status, const char *says, const char *method,
                       const char *path, const char *token, const char *body)
{
    unsigned got = ask(&who, who != NULL, method, path, token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

static void wants(unsigned status, const char *says, const char *method, const char *path, const char *body)
{
    wants_from(NULL, status, says, method, path, NULL, body);
}

/* An entry that trusts it; more: members, each with a comma in front. */
static void trust(const char *name, struct test_cert *of, const char *more)
{
    char path[TEXT], body[16384];
    (void)snprintf(path, sizeof path, "auth/cert/certs/%s", name);
    (void)snprintf(body, sizeof body, "{\"certificate\":\"%s\"%s}", test_cert_pem(of), more);
    wants(204, NULL, "POST", path, body);
}

static void put_crl(const char *name, unsigned status, const struct test_crl_wish *wish)
{
    static char body[256 * 1024];
    char path[TEXT];
    struct test_crl_wish whole = *wish;
    if (whole.from_ms == 0)
        whole.from_ms = now_ms - DAY;
    if (whole.until_ms == 0)
        whole.until_ms = now_ms + DAY;
    char *pem = test_crl_make(&whole);
    (void)snprintf(path, sizeof path, "auth/cert/crls/%s", name);
    (void)snprintf(body, sizeof body, "{\"crl\":\"%s\"}", pem);
    free(pem);
    wants(status, NULL, "POST", path, body);
}

#define NO_MATCH "invalid certificate or no client certificate supplied"

static void in(const struct test_cert *who, const char *says)
{
    wants_from(who, 200, says, "POST", "auth/cert/login", "", "{}");
}

static void out(const struct test_cert *who)
{
    wants_from(who, 400, NO_MATCH, "POST", "auth/cert/login", "", "{}");
}

static int make(void **state)
{
    *state = vault = test_vault_new(true);
    wants(204, NULL, "POST", "sys/auth/cert", "{\"type\":\"cert\"}");
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

/* ---- chains ---- */

/* Against an entry that trusts "CN=root". */
static const struct chain_row {
    const char *name;
    struct test_cert **chain[4];
    bool in;
} chains[] = {
    {"a client of the authority", {&c.web}, true},
    {"no purposes are all purposes", {&c.free_}, true},
    {"the authority's own certificate sent along", {&c.web, &c.root}, true},
    {"below an authority in between", {&c.below, &c.middle}, true},
    {"out of order, with others'", {&c.below, &c.other, &c.middle}, true},
    {"the one in between was renewed with its key", {&c.below, &c.middle_ended, &c.middle}, true},
    {"the one in between has ended", {&c.below, &c.middle_ended}, false},
    {"the one in between is not sent", {&c.below}, false},
    {"deeper than the authority in between may go", {&c.below_deep, &c.deep, &c.middle}, false},
    {"another authority's", {&c.strange}, false},
    {"another authority's, with the trusted one sent along", {&c.strange, &c.root}, false},
    {"with its own root sent along", {&c.strange, &c.other}, false},
    {"an authority of the same name", {&c.forged}, false},
    {"an authority of the same name, sent along", {&c.forged, &c.twin}, false},
    {"a client that plays authority", {&c.by_leaf, &c.signer}, false},
    {"the authority itself", {&c.root}, false},
    {"an authority below it", {&c.middle}, false},
    {"an authority of a client's name", {&c.authority}, false},
    {"ended this moment", {&c.stale}, false},
    {"not begun", {&c.early}, false},
    {"for servers", {&c.server}, false},
    {"its key may not sign", {&c.no_sign}, false},
    {"a key that is too short", {&c.weak}, false},
    {"signed with SHA-1", {&c.sha1}, false},
    {"a critical extension nobody knows", {&c.odd}, false},
};

static void who_is_let_in(void **state)
{
    (void)state;
    trust("root", c.root, "");
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        const struct test_cert *sent[4];
        size_t n = 0;
        while (n < 4 && chains[i].chain[n] != NULL) {
            sent[n] = *chains[i].chain[n];
            n++;
        }
        unsigned got = ask(sent, n, "POST", "auth/cert/login", "", "{}");
        if (got != (chains[i].in ? 200u : 400u) || (got == 400 && !test_vault_said(vault, NO_MATCH)))
            fail_msg("%s: %u %s", chains[i].name, got, vault->body);
    }
}

/* CVE-2023-29409: in the client's own certificate, one that it sends along, and one that is to be trusted. */
static void keys_that_are_too_large(void **state)
{
    (void)state;
    static const struct {
        unsigned bits, exponent;
        bool taken;
    } rows[] = {{2048, 3, true},  {8192, 5, true},   {8200, 3, false},
                {16384, 3, false}, {2048, 6, false}, {4096, 16, false}};
    char body[16384];
    trust("root", c.root, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_cert *of = CERT(.dn = "CN=large", .issuer = c.root, .ca = true, .rsa_bits = rows[i].bits,
                                    .rsa_exponent = rows[i].exponent);
        struct test_cert *own = CERT(.dn = "CN=large", .issuer = c.root, .rsa_bits = rows[i].bits,
                                     .rsa_exponent = rows[i].exponent);
        const struct test_cert *sent[] = {c.web, of};
        const char *says = rows[i].taken ? NULL : "too large";
        unsigned got = ask(sent, 2, "POST", "auth/cert/login", "", "{}");
        if (got != (rows[i].taken ? 200u : 400u) || (says != NULL && !test_vault_said(vault, says)))
            fail_msg("%u bits, %u: %u %s", rows[i].bits, rows[i].exponent, got, vault->body);
        wants_from(own, rows[i].taken ? 200 : 400, says, "POST", "auth/cert/login", "", "{}");
        (void)snprintf(body, sizeof body, "{\"certificate\":\"%s\"}", test_cert_pem(of));
        wants(rows[i].taken ? 204 : 400, says, "POST", "auth/cert/certs/large", body);
        test_cert_free(of);
        test_cert_free(own);
    }
}

static void authorities_end_too(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "sys/auth/second", "{\"type\":\"cert\"}");
    char body[16384];
    (void)snprintf(body, sizeof body, "{\"certificate\":\"%s\"}", test_cert_pem(c.old_root));
    wants(200, "has expired", "POST", "auth/cert/certs/old", body);
    out(c.of_old);
    (void)snprintf(body, sizeof body, "{\"certificate\":\"%s%s\"}", test_cert_pem(c.old_root),
                   test_cert_pem(c.old_renewed));
    wants(200, "has expired", "POST", "auth/cert/certs/old", body);
    in(c.of_old, NULL);
    trust("root", c.root, "");
    in(c.web, NULL);
    vault->now_ms += 300 * DAY;
    out(c.web);
}

static void a_chain_without_end(void **state)
{
    (void)state;
    const struct test_cert *sent[8];
    trust("root", c.root, "");
    for (size_t i = 0; i < 8; i++)
        sent[i] = i == 0 ? c.strange : c.other;
    assert_int_equal(ask(sent, 8, "POST", "auth/cert/login", "", "{}"), 400);
    sent[0] = c.web;
    assert_int_equal(ask(sent, 8, "POST", "auth/cert/login", "", "{}"), 200);
}

/* ---- a single certificate ---- */

/* CVE-2024-2048, CVE-2025-6037: not its number, its names or its issuer, but all of it. */
static void one_certificate_is_that_one(void **state)
{
    (void)state;
    trust("lone", c.lone, "");
    in(c.lone, "\"cert_name\":\"lone\"");
    out(c.lone_again);
    out(c.lone_forged);
    out(c.strange); /* its issuer's others are not meant */
    vault->now_ms += 300 * DAY;
    out(c.lone);
}

static void authorities_and_one_certificate(void **state)
{
    (void)state;
    trust("a-lone", c.lone, ",\"policies\":\"one\"");
    trust("b-other", c.other, ",\"policies\":\"any\"");
    in(c.lone, "\"cert_name\":\"a-lone\"");
    in(c.lone_forged, "\"cert_name\":\"b-other\"");
    wants_from(c.lone, 200, "\"cert_name\":\"b-other\"", "POST", "auth/cert/login", "", "{\"name\":\"B-Other\"}");
    wants_from(c.lone_forged, 400, NO_MATCH, "POST", "auth/cert/login", "", "{\"name\":\"a-lone\"}");
    wants_from(c.lone, 400, NO_MATCH, "POST", "auth/cert/login", "", "{\"name\":\"none\"}");
    wants_from(c.lone, 400, NO_MATCH, "POST", "auth/cert/login", "", "{\"name\":\"../a-lone\"}");
}

/* The visit is made on the calling thread alone. */
static void many_entries_hold_up_nobody(void **state)
{
    (void)state;
    const struct visit visits[] = {{"GET", "sys/health", NULL, NULL, 200}, {NULL}};
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "e%u", i);
        trust(name, c.root, i % 4 == 3 ? "" : ",\"required_extensions\":\"1.2.3.4:x\"");
        if (i % 4 != 3)
            continue;
        meanwhile(vault, visits, NULL);
        in(c.web, "\"cert_name\":\"e3\"");
        assert_int_equal(meanwhile_over(), i == 3);
    }
}

/* ---- restrictions ---- */

static const struct restriction {
    const char *more;
    bool in;
} restrictions[] = {
    {",\"allowed_names\":\"web\"", true},
    {",\"allowed_names\":\"WEB\"", false},
    {",\"allowed_names\":\"x,*.example\"", true},
    {",\"allowed_names\":\"ops@example\"", true},
    {",\"allowed_names\":\"spiffe://example/web\"", false}, /* no URI is a name */
    {",\"allowed_names\":\"ops\"", false},                  /* nor is a unit */
    {",\"allowed_common_names\":\"w*b\"", true},
    {",\"allowed_common_names\":\"web.example\"", false},
    {",\"allowed_dns_sans\":\"web.*\"", true},
    {",\"allowed_dns_sans\":\"web\"", false}, /* the common name is no DNS name */
    {",\"allowed_email_sans\":\"*@example\"", true},
    {",\"allowed_email_sans\":\"web.example\"", false},
    {",\"allowed_uri_sans\":\"spiffe://example/*\"", true},
    {",\"allowed_uri_sans\":\"spiffe://other/*\"", false},
    {",\"allowed_organizational_units\":\"ops\"", true},
    {",\"allowed_organizational_units\":\"dev\"", false},
    {",\"allowed_common_names\":\"web\",\"allowed_dns_sans\":\"no\"", false}, /* all of the lists */
    {",\"required_extensions\":\"1.2.3.4:team-*\"", false},
    {",\"token_bound_cidrs\":\"192.0.2.0/24\"", true},
    {",\"token_bound_cidrs\":\"198.51.100.0/24\"", false},
};

static void restrictions_bind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof restrictions / sizeof restrictions[0]; i++) {
        const struct test_cert *sent[1] = {c.web};
        trust("r", c.root, restrictions[i].more);
        unsigned got = ask(sent, 1, "POST", "auth/cert/login", "", "{}");
        if (got != (restrictions[i].in ? 200u : 400u))
            fail_msg("%s: %u %s", restrictions[i].more, got, vault->body);
        wants(204, NULL, "DELETE", "auth/cert/certs/r", NULL);
    }
}

static void extensions_bind(void **state)
{
    (void)state;
    trust("e", c.root, ",\"required_extensions\":\"1.2.3.4:team-*\",\"allowed_metadata_extensions\":\"1.2.3.4,1.2.3.5\"");
    in(c.extra, "\"1-2-3-4\":\"team-a\"");
    assert_false(test_vault_said(vault, "1-2-3-5"));
    out(c.web);
    trust("e", c.root, ",\"required_extensions\":\"1.2.3.4:team-*,1.2.3.5:*\"");
    out(c.extra);
    trust("e", c.root, ",\"required_extensions\":\"hex:1.2.3.4:0c067465616d2d61\"");
    in(c.extra, NULL);
    trust("e", c.root, ",\"required_extensions\":\"hex:1.2.3.4:0c06ff*\"");
    out(c.extra);
}

/* Pinned ones are restricted, too. */
static void one_certificate_is_restricted(void **state)
{
    (void)state;
    trust("lone", c.lone, ",\"allowed_common_names\":\"web\"");
    out(c.lone);
}

static void who_it_is_must_be_clear(void **state)
{
    (void)state;
    trust("root", c.root, "");
    wants_from(c.nameless, 400, "no common name", "POST", "auth/cert/login", "", "{}");
    wants_from(c.two_names, 400, "more than one common name", "POST", "auth/cert/login", "", "{}");
}

/* ---- the answer ---- */

static void what_a_login_answers(void **state)
{
    (void)state;
    char token[TEXT], entity[TEXT], path[TEXT * 2];
    trust("web", c.root, ",\"display_name\":\"Front\",\"token_policies\":\"b,a\",\"token_ttl\":600,\"token_num_uses\":9");
    in(c.web, "\"policies\":[\"a\",\"b\",\"default\"]");
    assert_true(test_vault_said(vault, "\"common_name\":\"web\""));
    assert_true(test_vault_said(vault, "\"serial_number\":\"4294967303\"")); /* 0x0100000007 */
    assert_true(test_vault_said(vault, "\"lease_duration\":600"));
    assert_true(test_vault_said(vault, "\"num_uses\":9"));
    test_vault_text(vault, "auth.metadata.subject_key_id", path, sizeof path);
    assert_int_equal(strlen(path), 59); /* 20 bytes */
    test_vault_text(vault, "auth.metadata.authority_key_id", entity, sizeof entity);
    assert_string_not_equal(path, entity);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    test_vault_text(vault, "auth.entity_id", entity, sizeof entity);
    wants_from(NULL, 200, "\"display_name\":\"cert-Front\"", "GET", "auth/token/lookup-self", token, NULL);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity);
    wants(200, "\"name\":\"web\"", "GET", path, NULL);
    assert_false(test_vault_said(vault, "serial_number"));
    wants(204, NULL, "POST", "auth/cert/config", "{\"enable_identity_alias_metadata\":true}");
    in(c.web, NULL);
    wants(200, "serial_number", "GET", path, NULL);
    in(c.mail, NULL);
    assert_false(test_vault_said(vault, entity));
}

static void who_is_no_tls_client(void **state)
{
    (void)state;
    trust("root", c.root, "");
    assert_int_equal(test_vault_call(vault, "POST", "auth/cert/login", NULL, "{}"), 400);
    assert_true(test_vault_said(vault, "tls connection required"));
    wants_from(NULL, 400, "client certificate must be supplied", "POST", "auth/cert/login", "", "{}");
    assert_true(test_vault_said(vault, "VAULT_CLIENT_CERT"));
    struct kt_bytes der = test_cert_der(c.web);
    const struct test_request through = {.method = kt_str("POST"), .target = kt_str("/v1/auth/cert/login"),
                                         .body = kt_str("{}"), .chain = &der, .n_chain = 1, .forwarded = true};
    assert_int_equal(test_vault_ask(vault, &through), 400);
    assert_true(test_vault_said(vault, "a proxy stands between"));
    der.len -= 1;
    const struct test_request cut = {.method = kt_str("POST"), .target = kt_str("/v1/auth/cert/login"),
                                     .body = kt_str("{}"), .chain = &der, .n_chain = 1};
    assert_int_equal(test_vault_ask(vault, &cut), 400);
}

/* ---- revocation ---- */

static void the_revoked_stay_out(void **state)
{
    (void)state;
    const unsigned seven[] = {7};
    trust("root", c.root, "");
    in(c.web, NULL);
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = seven, .n = 1});
    out(c.web);
    in(c.mail, NULL);
    const struct test_cert *below[] = {c.below, c.middle}; /* 7 of another issuer */
    assert_int_equal(ask(below, 2, "POST", "auth/cert/login", "", "{}"), 200);
    wants(200, "\"serials\":{\"4294967303\":{}}", "GET", "auth/cert/crls/root", NULL);
    wants(200, "\"keys\":[\"root\"]", "LIST", "auth/cert/crls", NULL);
    wants(204, NULL, "DELETE", "auth/cert/crls/root", NULL);
    wants(404, NULL, "GET", "auth/cert/crls/root", NULL);
    wants(204, NULL, "DELETE", "auth/cert/crls/root", NULL);
    in(c.web, NULL);
}

static void authorities_are_revoked_too(void **state)
{
    (void)state;
    const unsigned seven[] = {7};
    const struct test_cert *below[] = {c.below, c.middle};
    trust("root", c.root, "");
    put_crl("middle", 204, &(struct test_crl_wish){.issuer = c.middle, .serials = seven, .n = 1});
    assert_int_equal(ask(below, 2, "POST", "auth/cert/login", "", "{}"), 400);
    in(c.web, NULL);
    wants(204, NULL, "DELETE", "auth/cert/crls/middle", NULL);
    assert_int_equal(ask(below, 2, "POST", "auth/cert/login", "", "{}"), 200);
    struct test_cert *gone = CERT(.dn = "CN=middle", .ca = true, .issuer = c.root, .serial = 77, .key_of = c.middle);
    const unsigned middles[] = {77};
    const struct test_cert *by_gone[] = {c.below, gone};
    assert_int_equal(ask(by_gone, 2, "POST", "auth/cert/login", "", "{}"), 200);
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = middles, .n = 1});
    assert_int_equal(ask(by_gone, 2, "POST", "auth/cert/login", "", "{}"), 400);
    test_cert_free(gone);
}

static void one_certificate_is_revoked_too(void **state)
{
    (void)state;
    const unsigned nine[] = {9};
    trust("lone", c.lone, "");
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = nine, .n = 1});
    in(c.lone, NULL);
    put_crl("other", 204, &(struct test_crl_wish){.issuer = c.other, .serials = nine, .n = 1});
    out(c.lone);
}

/* What is not known to be good is not good. */
static void lists_that_cannot_be_believed(void **state)
{
    (void)state;
    trust("root", c.root, "");
    put_crl("root", 200, &(struct test_crl_wish){.issuer = c.root, .until_ms = now_ms});
    wants_from(c.web, 400, "out of date", "POST", "auth/cert/login", "", "{}");
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .until_ms = now_ms + 2000});
    in(c.web, NULL);
    vault->now_ms += 2000;
    wants_from(c.web, 400, "out of date", "POST", "auth/cert/login", "", "{}");
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .signer = c.twin});
    wants_from(c.web, 400, "not signed", "POST", "auth/cert/login", "", "{}");
    /* With one that is signed, the other is nobody's business: the authority had another key once. */
    put_crl("root-2", 204, &(struct test_crl_wish){.issuer = c.root});
    in(c.web, NULL);
    const unsigned seven[] = {7};
    put_crl("root-2", 204, &(struct test_crl_wish){.issuer = c.root, .serials = seven, .n = 1});
    out(c.web);
}

/* A long one takes milliseconds to read: not those of the thread that serves others. */
static void a_long_list_holds_up_nobody(void **state)
{
    static unsigned serials[3000];
    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        serials[i] = 0x400000u + i;
    serials[0] = 7;
    trust("root", c.root, "");
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = serials, .n = 10});
    out(c.web);
    assert_int_equal(vault->suspended, 0);
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = serials, .n = 3000});
    out(c.web);
    assert_int_equal(vault->suspended, 1);
    in(c.mail, NULL);
}

static void a_list_that_comes_meanwhile(void **state)
{
    (void)state;
    const unsigned seven[] = {7};
    static char body[16384];
    trust("root", c.root, "");
    char *pem = test_crl_make(&(struct test_crl_wish){
        .issuer = c.root, .serials = seven, .n = 1, .from_ms = now_ms - DAY, .until_ms = now_ms + DAY});
    (void)snprintf(body, sizeof body, "{\"crl\":\"%s\"}", pem);
    free(pem);
    const struct visit visits[] = {{"POST", "auth/cert/crls/root", NULL, body, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    out(c.web);
    assert_true(meanwhile_over());
}

static void an_entry_that_goes_meanwhile(void **state)
{
    (void)state;
    trust("root", c.root, "");
    const struct visit visits[] = {{"DELETE", "auth/cert/certs/root", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    out(c.web);
    assert_true(meanwhile_over());
}

/* ---- renewing ---- */

static void log_in(const struct test_cert *who, char token[TEXT])
{
    in(who, NULL);
    test_vault_text(vault, "auth.client_token", token, TEXT);
}

static void renews(const struct test_cert *who, unsigned status, const char *token)
{
    wants_from(who, status, NULL, "POST", "auth/token/renew-self", token, "{}");
}

/* CVE-2026-39388: the key of then, in a certificate that would be let in now. */
static void renewals_need_the_key(void **state)
{
    (void)state;
    char token[TEXT], body[TEXT * 2];
    trust("root", c.root, ",\"token_ttl\":600");
    trust("other", c.other, "");
    log_in(c.web, token);
    renews(c.web, 200, token);
    renews(c.renewed, 200, token);
    renews(c.mail, 403, token);
    renews(c.strange, 403, token);
    renews(c.forged, 403, token);
    renews(NULL, 400, token);
    assert_true(test_vault_said(vault, "client certificate must be supplied"));
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/renew-self", token, "{}"), 400);
    /* Whoever asks for it: root has no certificate either. */
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    wants_from(NULL, 400, NULL, "POST", "auth/token/renew", NULL, body);
    wants_from(c.mail, 403, NULL, "POST", "auth/token/renew", NULL, body);
    wants_from(c.web, 200, NULL, "POST", "auth/token/renew", NULL, body);
}

static void renewals_ask_again(void **state)
{
    (void)state;
    char token[TEXT];
    const unsigned seven[] = {7};
    trust("root", c.root, ",\"token_ttl\":600");
    log_in(c.web, token);
    put_crl("root", 204, &(struct test_crl_wish){.issuer = c.root, .serials = seven, .n = 1});
    renews(c.web, 403, token);
    renews(c.renewed, 200, token); /* the same key under another number is not revoked */
    wants(204, NULL, "DELETE", "auth/cert/crls/root", NULL);
    trust("root", c.root, ",\"allowed_common_names\":\"mail\"");
    renews(c.web, 403, token);
    trust("root", c.root, ",\"allowed_common_names\":\"\",\"token_policies\":\"more\"");
    renews(c.web, 500, token);
    assert_true(test_vault_said(vault, "policies have changed"));
    trust("root", c.root, ",\"token_policies\":\"\"");
    renews(c.web, 200, token);
    trust("root", c.other, "");
    renews(c.web, 403, token);
    wants(204, NULL, "DELETE", "auth/cert/certs/root", NULL);
    wants_from(c.web, 204, NULL, "POST", "auth/token/renew-self", token, "{}"); /* as Vault: not renewed */
}

static void renewals_without_binding(void **state)
{
    (void)state;
    char token[TEXT];
    trust("root", c.root, ",\"token_ttl\":600");
    log_in(c.web, token);
    wants(200, "\"disable_binding\":false", "GET", "auth/cert/config", NULL);
    renews(NULL, 400, token);
    wants(204, NULL, "POST", "auth/cert/config", "{\"disable_binding\":true}");
    wants(200, "\"disable_binding\":true", "GET", "auth/cert/config", NULL);
    renews(NULL, 200, token);
    renews(c.mail, 200, token);
    wants(204, NULL, "POST", "auth/cert/config", "{\"enable_identity_alias_metadata\":true}");
    renews(NULL, 200, token);
    wants(204, NULL, "POST", "auth/cert/config", "{\"disable_binding\":\"false\"}");
    renews(NULL, 400, token);
}

static void a_list_that_comes_while_it_renews(void **state)
{
    (void)state;
    const unsigned seven[] = {7};
    static char body[16384];
    char token[TEXT];
    trust("root", c.root, ",\"token_ttl\":600");
    log_in(c.web, token);
    char *pem = test_crl_make(&(struct test_crl_wish){
        .issuer = c.root, .serials = seven, .n = 1, .from_ms = now_ms - DAY, .until_ms = now_ms + DAY});
    (void)snprintf(body, sizeof body, "{\"crl\":\"%s\"}", pem);
    free(pem);
    const struct visit visits[] = {{"POST", "auth/cert/crls/root", NULL, body, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    renews(c.web, 403, token);
    assert_true(meanwhile_over());
}

static void an_entry_that_goes_while_it_renews(void **state)
{
    (void)state;
    char token[TEXT];
    trust("root", c.root, ",\"token_ttl\":600");
    log_in(c.web, token);
    const struct visit visits[] = {{"DELETE", "auth/cert/certs/root", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    renews(c.web, 204, token); /* as when it was gone before */
    assert_true(meanwhile_over());
}

/* ---- entries ---- */

static void entries_are_kept(void **state)
{
    (void)state;
    char body[16384], pem[8192];
    trust("Mixed-Case", c.root, ",\"allowed_dns_sans\":[\"a\",\"b*\"],\"policies\":\"p\"");
    wants(200, "\"keys\":[\"mixed-case\"]", "LIST", "auth/cert/certs", NULL);
    wants(200, "\"allowed_dns_sans\":[\"a\",\"b*\"]", "GET", "auth/cert/certs/MIXED-case", NULL);
    assert_true(test_vault_said(vault, "\"display_name\":\"mixed-case\""));
    assert_true(test_vault_said(vault, "\"allowed_names\":[]"));
    assert_true(test_vault_said(vault, "\"token_policies\":[\"p\"]"));
    assert_true(test_vault_said(vault, "-----BEGIN CERTIFICATE-----"));
    test_vault_text(vault, "data.certificate", pem, sizeof pem);
    /* What is not given stays. */
    wants(204, NULL, "POST", "auth/cert/certs/mixed-case", "{\"allowed_dns_sans\":\"c\"}");
    wants(200, "\"allowed_dns_sans\":[\"c\"]", "GET", "auth/cert/certs/mixed-case", NULL);
    assert_true(test_vault_said(vault, "\"token_policies\":[\"p\"]"));
    /* Several authorities in one. */
    (void)snprintf(body, sizeof body, "{\"certificate\":\"%s%s\"}", test_cert_pem(c.other), test_cert_pem(c.root));
    wants(204, NULL, "POST", "auth/cert/certs/two", body);
    wants_from(c.strange, 200, "\"cert_name\":\"two\"", "POST", "auth/cert/login", "", "{}");
    wants_from(c.web, 200, NULL, "POST", "auth/cert/login", "", "{\"name\":\"two\"}");
    wants(404, NULL, "GET", "auth/cert/certs/none", NULL);
    wants(204, NULL, "DELETE", "auth/cert/certs/none", NULL);
    wants(204, NULL, "DELETE", "auth/cert/certs/two", NULL);
    wants(404, NULL, "GET", "auth/cert/certs/two", NULL);
}

/* As in Vault: who may "update" may write a new one, and "create" alone is of no use. */
static void a_write_is_an_update(void **state)
{
    (void)state;
    char token[TEXT];
    static const struct {
        const char *capability;
        unsigned policy, status;
    } rows[] = {{"update", 204, 400}, {"create", 200, 403}}; /* 400: let through, and nothing was given */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[TEXT];
        (void)snprintf(body, sizeof body,
                       "{\"policy\":\"path \\\"auth/cert/*\\\" { capabilities = [\\\"%s\\\"] }\"}",
                       rows[i].capability);
        wants(rows[i].policy, NULL, "POST", "sys/policies/acl/writer", body);
        wants(200, NULL, "POST", "auth/token/create", "{\"policies\":[\"writer\"],\"no_default_policy\":true}");
        test_vault_text(vault, "auth.client_token", token, sizeof token);
        wants_from(NULL, rows[i].status, NULL, "POST", "auth/cert/certs/new", token, "{}");
        wants_from(NULL, rows[i].status, NULL, "POST", "auth/cert/crls/new", token, "{}");
    }
}

static void entries_that_are_wrong(void **state)
{
    (void)state;
    char body[16384];
    wants(400, "missing certificate", "POST", "auth/cert/certs/x", "{}");
    wants(400, "failed to parse certificate", "POST", "auth/cert/certs/x", "{\"certificate\":\"nonsense\"}");
    const struct {
        struct test_cert *first, *second;
        const char *more, *says;
    } rows[] = {
        {c.root, c.lone, "", "holds authorities alone"},
        {c.lone, c.root, "", "holds authorities alone"},
        {c.lone, c.web, "", "holds authorities alone"},
        {c.lone_server, NULL, "", "extended key usage"},
        {c.free_, NULL, "", "extended key usage"},
        {c.weak, NULL, "", "too short"},
        {c.two_names, NULL, "", "more than one common name"},
        {c.root, NULL, ",\"ocsp_enabled\":true", "OCSP"},
        {c.root, NULL, ",\"required_extensions\":\"nonsense\"", "required_extensions"},
        {c.root, NULL, ",\"required_extensions\":\"1..2:x\"", "required_extensions"},
        {c.root, NULL, ",\"allowed_metadata_extensions\":\"x.y\"", "allowed_metadata_extensions"},
        {c.root, NULL, ",\"token_policies\":\"root\"", "root"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(body, sizeof body, "{\"certificate\":\"%s%s\"%s}", test_cert_pem(rows[i].first),
                       rows[i].second == NULL ? "" : test_cert_pem(rows[i].second), rows[i].more);
        wants(400, rows[i].says, "POST", "auth/cert/certs/x", body);
    }
    wants(404, NULL, "GET", "auth/cert/certs/x", NULL);
    wants(400, "missing crl", "POST", "auth/cert/crls/x", "{}");
    wants(400, "failed to parse CRL", "POST", "auth/cert/crls/x", "{\"crl\":\"nonsense\"}");
    wants(400, "not fetched", "POST", "auth/cert/crls/x", "{\"url\":\"http://ca/crl\"}");
    (void)snprintf(body, sizeof body, "{\"crl\":\"%s\"}", test_cert_pem(c.root));
    wants(400, "failed to parse CRL", "POST", "auth/cert/crls/x", body);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(who_is_let_in),
        TEST(keys_that_are_too_large),
        TEST(authorities_end_too),
        TEST(a_chain_without_end),
        TEST(one_certificate_is_that_one),
        TEST(authorities_and_one_certificate),
        TEST(many_entries_hold_up_nobody),
        TEST(restrictions_bind),
        TEST(extensions_bind),
        TEST(one_certificate_is_restricted),
        TEST(who_it_is_must_be_clear),
        TEST(what_a_login_answers),
        TEST(who_is_no_tls_client),
        TEST(the_revoked_stay_out),
        TEST(a_long_list_holds_up_nobody),
        TEST(authorities_are_revoked_too),
        TEST(one_certificate_is_revoked_too),
        TEST(lists_that_cannot_be_believed),
        TEST(a_list_that_comes_meanwhile),
        TEST(an_entry_that_goes_meanwhile),
        TEST(renewals_need_the_key),
        TEST(renewals_ask_again),
        TEST(renewals_without_binding),
        TEST(a_list_that_comes_while_it_renews),
        TEST(an_entry_that_goes_while_it_renews),
        TEST(entries_are_kept),
        TEST(a_write_is_an_update),
        TEST(entries_that_are_wrong),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("certificates", tests, make_all, free_all);
}
