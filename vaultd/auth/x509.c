#include "vaultd/auth/x509.h"

#include <sodium.h>

#include "lib/tls_key.h"
#include "lib/utf8.h"
#include "vaultd/auth/x509_own.h"

#define SERIAL_MAX 64u
#define KEY_ID_MAX 128u
#define NAME_MAX_X 1024u
/* ASN.1's strings that are read: UTF8String, PrintableString, IA5String. */
static const unsigned char text_tags[] = {0x0c, 0x13, 0x16};

/* ---- what GnuTLS gives ---- */

enum kt_kind x509_fail(int code, const char *what, struct kt_err *err)
{
    return code == GNUTLS_E_MEMORY_ERROR ? kt_fail(err, KT_NO_MEMORY, "%s", what)
                                         : kt_fail(err, KT_INVALID, "%s: %s", what, gnutls_strerror(code));
}

gnutls_datum_t x509_datum(struct kt_bytes bytes)
{
    void *at = (void *)(uintptr_t)bytes.at; // NOLINT(performance-no-int-to-ptr)
    return (gnutls_datum_t){at, (unsigned)bytes.len};
}

enum kt_kind x509_import(struct kt_bytes der, gnutls_x509_crt_t *ret, struct kt_err *err)
{
    gnutls_datum_t datum = x509_datum(der);
    if (der.len > X509_DER_MAX)
        return kt_fail(err, KT_INVALID, "a certificate has more than %u bytes", X509_DER_MAX);
    int code = gnutls_x509_crt_init(ret);
    if (code == 0)
        code = gnutls_x509_crt_import(*ret, &datum, GNUTLS_X509_FMT_DER);
    if (code == 0 && !kt_tls_key_fits(*ret))
        return kt_fail(err, KT_INVALID, "a certificate's key is none that is taken, or too large");
    return code == 0 ? KT_OK : x509_fail(code, "reading a certificate", err);
}

void x509_hash(struct kt_bytes bytes, unsigned char out[X509_HASH])
{
    _Static_assert(X509_HASH == crypto_hash_sha256_BYTES, "it is SHA-256");
    crypto_hash_sha256(out, bytes.at, bytes.len);
}

static enum kt_kind no_memory(struct kt_err *err)
{
    return kt_fail(err, KT_NO_MEMORY, "reading a certificate");
}

static struct kt_bytes bytes_of(gnutls_datum_t datum)
{
    return kt_bytes(datum.data, datum.size);
}

/* ---- texts ---- */

/* What is shown must be what was compared: nothing that ends early, or moves a cursor. */
static bool is_plain(struct kt_bytes text)
{
    if (text.len > NAME_MAX_X)
        return false;
    for (size_t i = 0, step = 0; i < text.len; i += step) {
        step = kt_utf8_step(text.at + i, text.len - i);
        if (step == 0 || text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
        if (step == 2 && text.at[i] == 0xc2 && text.at[i + 1] < 0xa0) /* C1's control characters */
            return false;
    }
    return true;
}

static bool is_text_tag(unsigned long tag)
{
    for (size_t i = 0; i < sizeof text_tags; i++)
        if (text_tags[i] == tag)
            return true;
    return false;
}

static enum kt_kind add_text(struct kt_arena *arena, struct kt_bytes text, struct string_list *to,
                             struct kt_err *err)
{
    if (to->at == NULL)
        to->at = kt_arena_take(arena, X509_NAMES_MAX * sizeof *to->at);
    char *copy = kt_arena_text(arena, text);
    if (to->at == NULL || copy == NULL)
        return no_memory(err);
    if (to->n == X509_NAMES_MAX)
        return kt_fail(err, KT_INVALID, "a certificate has more than %u names of a kind", X509_NAMES_MAX);
    to->at[to->n++] = copy;
    return KT_OK;
}

static const char *colon_hex(struct kt_arena *arena, const unsigned char *at, size_t len)
{
    char *text = kt_arena_take(arena, len * 3 + 1);
    for (size_t i = 0; text != NULL && i < len; i++) {
        static const char digits[] = "0123456789abcdef";
        text[3 * i] = digits[at[i] >> 4];
        text[3 * i + 1] = digits[at[i] & 15];
        text[3 * i + 2] = i + 1 == len ? '\0' : ':';
    }
    return text;
}

const char *x509_decimal(struct kt_bytes number, struct kt_arena *arena)
{
    unsigned char digits[SERIAL_MAX * 3] = {0}; /* the lowest first */
    size_t n = 1;
    if (number.len > SERIAL_MAX)
        number.len = SERIAL_MAX;
    for (size_t i = 0; i < number.len; i++) {
        unsigned carry = number.at[i];
        for (size_t d = 0; d < n; d++) {
            carry += digits[d] * 256u;
            digits[d] = (unsigned char)(carry % 10);
            carry /= 10;
        }
        for (; carry > 0; carry /= 10)
            digits[n++] = (unsigned char)(carry % 10);
    }
    char *text = kt_arena_take(arena, n + 1);
    for (size_t d = 0; text != NULL && d < n; d++)
        text[d] = (char)('0' + digits[n - 1 - d]);
    return text;
}

/* ---- the parts of a certificate ---- */

static bool is_oid(gnutls_datum_t oid, const char *wanted)
{
    size_t len = oid.size;
    while (len > 0 && oid.data[len - 1] == '\0')
        len--;
    return kt_bytes_is(kt_bytes(oid.data, len), wanted);
}

static enum kt_kind take_ava(const gnutls_x509_ava_st *ava, struct kt_arena *arena,
                             struct x509_facts *ret, struct kt_err *err)
{
    struct kt_bytes value = bytes_of(ava->value);
    bool readable = is_text_tag(ava->value_tag) && is_plain(value);
    if (is_oid(ava->oid, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME))
        return readable ? add_text(arena, value, &ret->units, err) : KT_OK;
    if (!is_oid(ava->oid, GNUTLS_OID_X520_COMMON_NAME))
        return KT_OK;
    if (!readable)
        return kt_fail(err, KT_INVALID, "the certificate's common name is no plain text");
    if (ret->common_name != NULL)
        return kt_fail(err, KT_INVALID, "the certificate has more than one common name");
    ret->common_name = kt_arena_text(arena, value);
    return ret->common_name == NULL ? no_memory(err) : KT_OK;
}

static enum kt_kind take_subject(gnutls_x509_crt_t crt, struct kt_arena *arena,
                                 struct x509_facts *ret, struct kt_err *err)
{
    gnutls_x509_dn_t dn = NULL; /* the certificate's */
    enum kt_kind kind = KT_OK;
    int code = gnutls_x509_crt_get_subject(crt, &dn);
    if (code != 0)
        return x509_fail(code, "reading a certificate's subject", err);
    for (int rdn = 0; kind == KT_OK && code == 0; rdn++) {
        gnutls_x509_ava_st ava;
        int at = 0;
        for (; kind == KT_OK && (code = gnutls_x509_dn_get_rdn_ava(dn, rdn, at, &ava)) == 0; at++)
            kind = take_ava(&ava, arena, ret, err);
        if (at > 0 && code != GNUTLS_E_MEMORY_ERROR) /* the part's end, not the name's */
            code = 0;
    }
    if (kind == KT_OK && code == GNUTLS_E_MEMORY_ERROR)
        return no_memory(err);
    if (kind == KT_OK && ret->common_name == NULL)
        ret->common_name = "";
    return kind;
}

static void drop_sans(gnutls_subject_alt_names_t *sans)
{
    if (*sans != NULL)
        gnutls_subject_alt_names_deinit(*sans);
}

static enum kt_kind take_sans(gnutls_x509_crt_t crt, struct kt_arena *arena, struct x509_facts *ret,
                              struct kt_err *err)
{
    KT_AUTO(x509_wipe) gnutls_datum_t raw = {0};
    KT_AUTO(drop_sans) gnutls_subject_alt_names_t sans = NULL;
    unsigned critical = 0, type = 0;
    int code = gnutls_x509_crt_get_extension_by_oid2(crt, "2.5.29.17", 0, &raw, &critical);
    if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return KT_OK;
    if (code == 0)
        code = gnutls_subject_alt_names_init(&sans);
    if (code == 0)
        code = gnutls_x509_ext_import_subject_alt_names(&raw, sans, 0);
    if (code != 0)
        return x509_fail(code, "reading a certificate's alternative names", err);
    enum kt_kind kind = KT_OK;
    gnutls_datum_t san;
    for (unsigned i = 0;
         kind == KT_OK && gnutls_subject_alt_names_get(sans, i, &type, &san, NULL) == 0; i++) {
        struct string_list *to = type == GNUTLS_SAN_DNSNAME      ? &ret->dns
                                 : type == GNUTLS_SAN_RFC822NAME ? &ret->emails
                                 : type == GNUTLS_SAN_URI        ? &ret->uris
                                                                 : NULL;
        if (to != NULL && is_plain(bytes_of(san))) /* another one fits no pattern */
            kind = add_text(arena, bytes_of(san), to, err);
    }
    return kind;
}

static enum kt_kind take_ids(gnutls_x509_crt_t crt, struct kt_arena *arena, struct x509_facts *ret,
                             struct kt_err *err)
{
    unsigned char serial[SERIAL_MAX], ski[KEY_ID_MAX], aki[KEY_ID_MAX];
    size_t serial_len = sizeof serial, ski_len = sizeof ski, aki_len = sizeof aki, key_len = X509_HASH;
    unsigned critical = 0;
    int code = gnutls_x509_crt_get_serial(crt, serial, &serial_len);
    if (code == 0)
        code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, ret->key, &key_len);
    if (code != 0)
        return x509_fail(code, "reading a certificate", err);
    if (gnutls_x509_crt_get_subject_key_id(crt, ski, &ski_len, &critical) != 0)
        ski_len = 0; /* it is only shown */
    if (gnutls_x509_crt_get_authority_key_id(crt, aki, &aki_len, &critical) != 0)
        aki_len = 0;
    ret->serial = x509_decimal(kt_bytes(serial, serial_len), arena);
    ret->subject_key = colon_hex(arena, ski, ski_len);
    ret->authority_key = colon_hex(arena, aki, aki_len);
    return arena->failed ? no_memory(err) : KT_OK;
}

static enum kt_kind take_names(gnutls_x509_crt_t crt, struct x509_facts *ret, struct kt_err *err)
{
    KT_AUTO(x509_wipe) gnutls_datum_t subject = {0};
    KT_AUTO(x509_wipe) gnutls_datum_t issuer = {0};
    int code = gnutls_x509_crt_get_raw_dn(crt, &subject);
    if (code == 0)
        code = gnutls_x509_crt_get_raw_issuer_dn(crt, &issuer);
    if (code != 0)
        return x509_fail(code, "reading a certificate's names", err);
    x509_hash(bytes_of(subject), ret->subject);
    x509_hash(bytes_of(issuer), ret->issuer);
    return KT_OK;
}

/* Only what is not there may count as absent: a call that failed for another reason would allow more. */
static bool is_absent(int code)
{
    return code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

/* The purposes: none are all (RFC 5280, 4.2.1.12). *ret_any: there are some. */
static enum kt_kind take_purposes(gnutls_x509_crt_t crt, struct x509_facts *ret, bool *ret_any,
                                  struct kt_err *err)
{
    for (unsigned i = 0;; i++) {
        char oid[X509_OID_MAX];
        size_t len = sizeof oid;
        unsigned critical = 0;
        int code = gnutls_x509_crt_get_key_purpose_oid(crt, i, oid, &len, &critical);
        *ret_any = i > 0 || !is_absent(code);
        if (is_absent(code))
            return KT_OK;
        if (code == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue;
        if (code != 0)
            return x509_fail(code, "reading a certificate's purposes", err);
        if (strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0 || strcmp(oid, GNUTLS_KP_ANY) == 0)
            ret->says_clients = true;
    }
}

static enum kt_kind take_usage(gnutls_x509_crt_t crt, struct x509_facts *ret, struct kt_err *err)
{
    unsigned usage = 0, critical = 0, ca = 0;
    bool any = false;
    int code = gnutls_x509_crt_get_key_usage(crt, &usage, &critical);
    if (code != 0 && !is_absent(code))
        return x509_fail(code, "reading a certificate's usage", err);
    bool may_sign = is_absent(code) || (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) != 0;
    code = gnutls_x509_crt_get_basic_constraints(crt, &critical, &ca, NULL);
    if (code < 0 && !is_absent(code))
        return x509_fail(code, "reading a certificate's constraints", err);
    ret->is_ca = code >= 0 && ca != 0;
    enum kt_kind kind = take_purposes(crt, ret, &any, err);
    ret->for_clients = may_sign && (!any || ret->says_clients);
    return kind;
}

static enum kt_kind take_key(gnutls_x509_crt_t crt, struct x509_facts *ret, struct kt_err *err)
{
    unsigned bits = 0;
    int pk = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
    time_t from = gnutls_x509_crt_get_activation_time(crt), until = gnutls_x509_crt_get_expiration_time(crt);
    if (from == (time_t)-1 || until == (time_t)-1)
        return kt_fail(err, KT_INVALID, "the certificate does not say when it is valid");
    ret->weak = pk < 0 || gnutls_pk_bits_to_sec_param((gnutls_pk_algorithm_t)pk, bits) <
                              GNUTLS_SEC_PARAM_MEDIUM;
    ret->from_ms = (int64_t)from * 1000;
    ret->until_ms = (int64_t)until * 1000;
    return KT_OK;
}

enum kt_kind x509_read(struct kt_bytes der, struct kt_arena *arena, struct x509_facts *ret,
                       struct kt_err *err)
{
    KT_AUTO(x509_drop) gnutls_x509_crt_t crt = NULL;
    *ret = (struct x509_facts){.der = der};
    enum kt_kind kind = x509_import(der, &crt, err);
    if (kind == KT_OK)
        kind = take_subject(crt, arena, ret, err);
    if (kind == KT_OK)
        kind = take_sans(crt, arena, ret, err);
    if (kind == KT_OK)
        kind = take_ids(crt, arena, ret, err);
    if (kind == KT_OK)
        kind = take_names(crt, ret, err);
    if (kind == KT_OK)
        kind = take_usage(crt, ret, err);
    if (kind == KT_OK)
        kind = take_key(crt, ret, err);
    x509_hash(der, ret->print);
    return kind;
}

void x509_tag(const struct x509_facts *facts, unsigned char out[X509_HASH])
{
    memcpy(out, facts->is_ca ? facts->subject : facts->print, X509_HASH);
}

/* ---- extensions ---- */

/* A string of ASN.1 that is the whole value, with a length of one byte or of two or three. */
static bool whole_text(struct kt_bytes value, struct kt_bytes *ret)
{
    size_t head = 2, len = 0;
    if (value.len < 2 || !is_text_tag(value.at[0]))
        return false;
    len = value.at[1];
    if (len == 0x81 && value.len > 3 && value.at[2] >= 0x80) {
        head = 3;
        len = value.at[2];
    } else if (len == 0x82 && value.len > 4 && value.at[2] != 0) {
        head = 4;
        len = (size_t)value.at[2] << 8 | value.at[3];
    } else if (len >= 0x80) {
        return false;
    }
    *ret = kt_bytes(value.at + head, value.len - head);
    return ret->len == len && is_plain(*ret);
}

enum kt_kind x509_extension(struct kt_bytes der, const char *oid, struct kt_arena *arena,
                            struct kt_bytes *ret, const char **ret_text, struct kt_err *err)
{
    KT_AUTO(x509_drop) gnutls_x509_crt_t crt = NULL;
    KT_AUTO(x509_wipe) gnutls_datum_t raw = {0};
    struct kt_bytes text;
    unsigned critical = 0;
    *ret_text = NULL;
    enum kt_kind kind = x509_import(der, &crt, err);
    if (kind != KT_OK)
        return kind;
    int code = gnutls_x509_crt_get_extension_by_oid2(crt, oid, 0, &raw, &critical);
    if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return KT_NOT_FOUND;
    if (code != 0)
        return x509_fail(code, "reading a certificate's extension", err);
    char *copy = kt_arena_text(arena, bytes_of(raw));
    *ret = kt_bytes(copy, raw.size);
    if (copy != NULL && whole_text(*ret, &text))
        *ret_text = kt_arena_text(arena, text);
    return arena->failed ? no_memory(err) : KT_OK;
}

/* ---- PEM ---- */

enum kt_kind x509_read_pem(struct kt_bytes pem, struct kt_arena *arena,
                           struct kt_bytes ret[X509_ANCHORS_MAX], size_t *ret_n, struct kt_err *err)
{
    gnutls_x509_crt_t all[X509_ANCHORS_MAX];
    unsigned n = X509_ANCHORS_MAX;
    gnutls_datum_t text = x509_datum(pem);
    *ret_n = 0;
    if (pem.len > X509_PEM_MAX)
        return kt_fail(err, KT_INVALID, "the certificates have more than %u bytes", X509_PEM_MAX);
    int code = gnutls_x509_crt_list_import(all, &n, &text, GNUTLS_X509_FMT_PEM,
                                           GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (code == GNUTLS_E_SHORT_MEMORY_BUFFER)
        return kt_fail(err, KT_INVALID, "more than %u certificates", X509_ANCHORS_MAX);
    if (code < 0)
        return x509_fail(code, "failed to parse certificate", err);
    enum kt_kind kind = KT_OK;
    for (unsigned i = 0; i < n; i++) {
        KT_AUTO(x509_wipe) gnutls_datum_t der = {0};
        code = kind == KT_OK ? gnutls_x509_crt_export2(all[i], GNUTLS_X509_FMT_DER, &der) : 0;
        gnutls_x509_crt_deinit(all[i]);
        if (kind != KT_OK)
            continue;
        char *copy = code == 0 ? kt_arena_text(arena, bytes_of(der)) : NULL;
        ret[i] = kt_bytes(copy, der.size);
        kind = copy != NULL ? KT_OK : no_memory(err);
    }
    *ret_n = n;
    return kind;
}

enum kt_kind x509_write_pem(const struct kt_bytes *der, size_t n, struct kt_buf *out, struct kt_err *err)
{
    for (size_t i = 0; i < n; i++) {
        KT_AUTO(x509_wipe) gnutls_datum_t pem = {0};
        gnutls_datum_t datum = x509_datum(der[i]);
        int code = gnutls_pem_base64_encode2("CERTIFICATE", &datum, &pem);
        if (code != 0)
            return x509_fail(code, "writing a certificate", err);
        kt_buf_add_bytes(out, bytes_of(pem));
    }
    return kt_buf_ok(out) ? KT_OK : no_memory(err);
}
