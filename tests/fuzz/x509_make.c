/* tests/fuzz/x509_make.c - what is read of others before a certificate is made: names, requests, issuers.
 *
 * The first byte says as what the rest is read: 'n' names, 'r' a request; anything else: an issuer's texts,
 * its key, certificate and chain, each ended by a NUL. What is taken as a request gets a certificate. */
#include <sodium.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/x509_make.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS INT64_C(1767225600000)

static struct kt_x509_names names;

static void judge_names(void)
{
    KT_ASSERT(names.n <= KT_X509_NAMES_MAX);
    for (unsigned i = 0; i < names.n; i++) {
        const struct kt_x509_name *name = &names.at[i];
        KT_ASSERT(name->text[0] != '\0');
        for (const char *c = name->text; *c != '\0'; c++)
            KT_ASSERT((unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f && *c != ',');
        KT_ASSERT(name->kind != KT_X509_ADDRESS || name->address_len == 4 || name->address_len == 16);
    }
}

/* A root that lives as long as the program. */
static const struct kt_x509_issuer *root(void)
{
    static struct kt_x509_issuer *issuer;
    static struct kt_x509_names none;
    struct kt_x509_made made;
    const struct kt_x509_wish wish = {.usage = KT_X509_AUTHORITY,
                                      .common_name = "Root",
                                      .names = &none,
                                      .now_ms = NOW_MS,
                                      .life_s = 86400};
    if (issuer != NULL)
        return issuer;
    KT_ASSERT(kt_x509_make(&wish, NULL, &made, NULL) == KT_OK);
    KT_ASSERT(kt_x509_issuer_open(kt_buf_bytes(&made.key), kt_buf_bytes(&made.certificate), kt_bytes(NULL, 0),
                                  &issuer, NULL) == KT_OK);
    kt_x509_made_free(&made);
    return issuer;
}

static void read_request(struct kt_bytes pem)
{
    struct kt_x509_made made;
    if (kt_x509_request_check(pem, NULL) != KT_OK)
        return;
    KT_ASSERT(kt_x509_names_parse("a.example.com", &names, NULL) == KT_OK);
    const struct kt_x509_wish wish = {.usage = KT_X509_SERVER,
                                      .request = pem,
                                      .common_name = "",
                                      .names = &names,
                                      .now_ms = NOW_MS,
                                      .life_s = 3600};
    KT_ASSERT(kt_x509_make(&wish, root(), &made, NULL) == KT_OK);
    KT_ASSERT(made.key.len == 0 && made.certificate.len > 0);
    kt_x509_made_free(&made);
}

static struct kt_bytes next_text(struct kt_bytes *rest)
{
    const unsigned char *end = rest->len == 0 ? NULL : memchr(rest->at, '\0', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
    struct kt_bytes text = kt_bytes(rest->at, len);
    size_t used = end == NULL ? len : len + 1;
    *rest = used == 0 ? *rest : kt_bytes(rest->at + used, rest->len - used);
    return text;
}

static void read_issuer(struct kt_bytes rest)
{
    KT_AUTO(kt_x509_issuer_close_at) struct kt_x509_issuer *issuer = NULL;
    struct kt_bytes key = next_text(&rest), certificate = next_text(&rest), chain = next_text(&rest);
    kt_autobuf struct kt_buf crl;
    kt_buf_init(&crl, KT_X509_PEM_MAX);
    if (kt_x509_issuer_open(key, certificate, chain, &issuer, NULL) != KT_OK)
        return;
    const struct kt_x509_crl_wish wish = {.number = 1, .now_ms = NOW_MS, .life_s = 3600};
    (void)(kt_x509_crl_make(&wish, issuer, &crl, NULL) == KT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes rest = kt_bytes(data + 1, size == 0 ? 0 : size - 1);
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, size + 1);
    if (size == 0 || sodium_init() < 0)
        return 0;
    if (data[0] == 'r')
        read_request(rest);
    else if (data[0] != 'n')
        read_issuer(rest);
    else {
        kt_buf_add_bytes(&text, rest);
        if (kt_x509_names_parse(kt_buf_text(&text), &names, NULL) == KT_OK)
            judge_names();
    }
    return 0;
}
