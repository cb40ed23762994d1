/* tests/fuzz/x509.c - certificates and revocation lists of strangers: what is read is plain text within its limits,
 * what is written is read again, and nobody is vouched for by bytes alone.
 *
 * The first byte says as what the rest is read: 'p' PEM of certificates, 'c' a certificate's DER, 'l' a list in PEM or
 * DER; anything else: a chain, each certificate after two bytes of its length, the last one an anchor. */
#include <sodium.h>

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/auth/x509.h"

#define ARENA_MAX ((size_t)8 << 20)
#define NOW_MS    INT64_C(1800000000000)

static void judge_text(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        KT_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void judge_list(const struct string_list *list)
{
    KT_ASSERT(list->n <= X509_NAMES_MAX);
    for (size_t i = 0; i < list->n; i++)
        judge_text(list->at[i]);
}

static void read_certificate(struct kt_bytes der, struct kt_arena *arena)
{
    struct x509_facts facts;
    struct kt_bytes value;
    const char *text = NULL;
    if (x509_read(der, arena, &facts, NULL) != KT_OK)
        return;
    judge_text(facts.common_name);
    judge_list(&facts.dns);
    judge_list(&facts.emails);
    judge_list(&facts.uris);
    judge_list(&facts.units);
    KT_ASSERT(facts.serial[0] != '\0' && strspn(facts.serial, "0123456789") == strlen(facts.serial));
    KT_ASSERT(!x509_pinned(&facts, kt_bytes(der.at, der.len - 1), NOW_MS));
    if (x509_extension(der, "1.2.3.4", arena, &value, &text, NULL) == KT_OK && text != NULL)
        judge_text(text);
}

static void read_pem(struct kt_bytes pem, struct kt_arena *arena)
{
    struct kt_bytes der[X509_ANCHORS_MAX], again[X509_ANCHORS_MAX];
    size_t n = 0, n_again = 0;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, (size_t)1 << 20);
    if (x509_read_pem(pem, arena, der, &n, NULL) != KT_OK)
        return;
    KT_ASSERT(n >= 1 && n <= X509_ANCHORS_MAX);
    for (size_t i = 0; i < n; i++)
        read_certificate(der[i], arena);
    KT_ASSERT(x509_write_pem(der, n, &out, NULL) == KT_OK);
    if (out.len > X509_PEM_MAX)
        return;
    KT_ASSERT(x509_read_pem(kt_buf_bytes(&out), arena, again, &n_again, NULL) == KT_OK && n_again == n);
    for (size_t i = 0; i < n; i++)
        KT_ASSERT(kt_bytes_equal(der[i], again[i]));
}

static void read_list(struct kt_bytes text, struct kt_arena *arena)
{
    struct x509_crl crl, again;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, (size_t)8 << 20);
    if (x509_crl_read(text, arena, &crl, NULL) != KT_OK)
        return;
    KT_ASSERT(x509_crl_read(crl.der, arena, &again, NULL) == KT_OK);
    KT_ASSERT(again.n == crl.n && again.until_ms == crl.until_ms && memcmp(again.issuer, crl.issuer, X509_HASH) == 0);
    struct kt_jsonw w = kt_jsonw(&out);
    kt_jsonw_object(&w);
    (void)!x509_crl_show(crl.der, arena, &w, NULL);
}

static void read_chain(struct kt_bytes rest)
{
    struct kt_bytes chain[X509_CHAIN_MAX + 1];
    struct x509_path path;
    enum x509_ruling ruling;
    size_t n = 0;
    while (n <= X509_CHAIN_MAX && rest.len >= 2) {
        size_t len = (size_t)rest.at[0] << 8 | rest.at[1];
        if (len > rest.len - 2)
            len = rest.len - 2;
        chain[n++] = kt_bytes(rest.at + 2, len);
        rest = kt_bytes(rest.at + 2 + len, rest.len - 2 - len);
    }
    if (n < 2)
        return;
    if (x509_verify(chain, n - 1, &chain[n - 1], 1, NOW_MS, &path, NULL) == KT_OK) {
        KT_ASSERT(path.n >= 2 && path.n <= n && kt_bytes_equal(path.at[0], chain[0]));
        KT_ASSERT(kt_bytes_equal(path.at[path.n - 1], chain[n - 1]) && !kt_bytes_equal(chain[0], chain[n - 1]));
    }
    struct gnutls_x509_crl_int *crl = NULL;
    if (x509_crl_open(chain[0], &crl, NULL) == KT_OK)
        (void)!x509_crl_ask(crl, chain[1], n > 2 ? chain[2] : kt_bytes(NULL, 0), NOW_MS, &ruling, NULL);
    x509_crl_close(&crl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_arena arena;
    if (size < 2 || size > 65536)
        return 0;
    struct kt_bytes rest = kt_bytes(data + 1, size - 1);
    kt_arena_init(&arena, ARENA_MAX);
    if (data[0] == 'p')
        read_pem(rest, &arena);
    else if (data[0] == 'c')
        read_certificate(rest, &arena);
    else if (data[0] == 'l')
        read_list(rest, &arena);
    else
        read_chain(rest);
    kt_arena_free(&arena);
    return 0;
}
