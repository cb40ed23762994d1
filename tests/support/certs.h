/* tests/support/certs.h - certificates, keys and revocation lists, made for a test.
 *
 * Owner:   test_cert_make() gives one, test_cert_free() ends it. Aborts when it cannot be made.
 * Threads: one thread at a time. */
#pragma once

#include "lib/bytes.h"

struct test_cert;

struct test_cert_wish {
    const char *dn;                 /* "CN=web,O=x"; NULL: none */
    const char *dns, *email, *uri;  /* one of each at most; NULL: none */
    const struct test_cert *issuer; /* NULL: itself */
    const struct test_cert *key_of; /* has the same key; NULL: a new one */
    bool ca;
    int path_len;                   /* of an authority: so many below it, and 1; 0: any number */
    bool rsa_1024, sha1;
    unsigned rsa_bits;              /* it shows an RSA key of so many bits that nobody has; 0: its own */
    unsigned rsa_exponent;          /* bytes of that key's; 0: 3 */
    bool no_purpose, for_servers;   /* else for clients; an authority has none */
    unsigned usage;                 /* key usage, GnuTLS's bits; 0: none of a client, an authority's own */
    unsigned serial;
    int64_t from_ms, until_ms;
    const char *oid;                /* one more extension, a UTF8String */
    const char *oid_text;
    bool oid_critical;
};
struct test_cert *test_cert_make(const struct test_cert_wish *wish);
void test_cert_free(struct test_cert *cert);
struct kt_bytes test_cert_der(const struct test_cert *cert);
/* A JSON string's inside: newlines as \n. Static per cert. */
const char *test_cert_pem(struct test_cert *cert);

struct test_crl_wish {
    const struct test_cert *issuer, *signer; /* signer NULL: the issuer */
    const unsigned *serials;
    size_t n;
    int64_t from_ms, until_ms;
    unsigned number;
};
/* PEM as above; free() it. */
char *test_crl_make(const struct test_crl_wish *wish);
