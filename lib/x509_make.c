#include "lib/x509_make.h"

#include <sodium.h>

#include "lib/random.h"
#include "lib/utf8.h"
#include "lib/x509_own.h"

#define BACKDATE_S 300 /* for who is asked by a clock that is behind */

struct making {
    const struct kt_x509_wish *wish;
    const struct kt_x509_issuer *issuer; /* NULL: itself */
    struct kt_x509_made *made;
    gnutls_x509_crt_t crt;
    gnutls_privkey_t key; /* NULL: of a request */
    gnutls_pubkey_t pubkey;
};

static void making_drop(struct making *m)
{
    crt_drop(&m->crt);
    key_drop(&m->key);
    pubkey_drop(&m->pubkey);
}

static void add_datum(struct kt_buf *out, const gnutls_datum_t *datum)
{
    kt_buf_add(out, datum->data, datum->size);
}

static enum kt_kind make_key(struct making *m, struct kt_err *err)
{
    static const struct {
        gnutls_pk_algorithm_t algorithm;
        gnutls_ecc_curve_t curve;
    } kinds[] = {[KT_X509_P256] = {GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP256R1},
                 [KT_X509_ED25519] = {GNUTLS_PK_EDDSA_ED25519, GNUTLS_ECC_CURVE_ED25519}};
    KT_AUTO(x509_key_drop) gnutls_x509_privkey_t key = NULL;
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t pem = {0};
    int code = gnutls_x509_privkey_init(&key);
    if (code == 0)
        code = gnutls_x509_privkey_generate(key, kinds[m->wish->key].algorithm,
                                            GNUTLS_CURVE_TO_BITS(kinds[m->wish->key].curve), 0);
    if (code == 0)
        code = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
    if (code == 0)
        code = gnutls_privkey_init(&m->key);
    if (code == 0)
        code = gnutls_privkey_import_x509(m->key, key, GNUTLS_PRIVKEY_IMPORT_COPY);
    if (code == 0)
        code = gnutls_pubkey_init(&m->pubkey);
    if (code == 0)
        code = gnutls_pubkey_import_privkey(m->pubkey, m->key, 0, 0);
    if (code != 0)
        return kt_x509_refuse(code, "making a key", err);
    add_datum(&m->made->key, &pem);
    return KT_OK;
}

static bool is_among(const struct kt_x509_names *names, const char *text)
{
    for (unsigned i = 0; i < names->n; i++)
        if (strcmp(names->at[i].text, text) == 0)
            return true;
    return false;
}

static enum kt_kind set_subject(struct making *m, struct kt_err *err)
{
    const struct kt_x509_names *names = m->wish->names;
    const char *name = m->wish->common_name;
    bool authority = (m->wish->usage & KT_X509_AUTHORITY) != 0;
    if (name[0] == '\0' && !authority && names->n > 0)
        name = names->at[0].text;
    if (!authority && !is_among(names, name))
        return kt_fail(err, KT_INVALID, "common_name has to be one of the names: it, too, says who this is");
    size_t len = strlen(name), step = 0;
    if (len == 0 || len > KT_X509_CN_MAX) {
        (void)kt_fail(err, KT_INVALID, "the certificate needs a common name of at most %u bytes", KT_X509_CN_MAX);
        kt_hint(err, "generator.common_name=NAME");
        return KT_INVALID;
    }
    for (size_t i = 0; i < len; i += step) {
        step = kt_utf8_step((const unsigned char *)name + i, len - i);
        if (step == 0 || (unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return kt_fail(err, KT_INVALID, "common_name has a character that is not printable");
    }
    int code = gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)len);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "setting the common name", err);
}

static const gnutls_x509_subject_alt_name_t san_types[] = {[KT_X509_DNS] = GNUTLS_SAN_DNSNAME,
                                                           [KT_X509_ADDRESS] = GNUTLS_SAN_IPADDRESS,
                                                           [KT_X509_EMAIL] = GNUTLS_SAN_RFC822NAME,
                                                           [KT_X509_URI] = GNUTLS_SAN_URI};

static int add_name(gnutls_x509_crt_t crt, const struct kt_x509_name *name)
{
    bool address = name->kind == KT_X509_ADDRESS;
    const void *at = address ? (const void *)name->address : (const void *)name->text;
    unsigned len = address ? name->address_len : (unsigned)strlen(name->text);
    return gnutls_x509_crt_set_subject_alt_name(crt, san_types[name->kind], at, len, GNUTLS_FSAN_APPEND);
}

static void constraints_drop(gnutls_x509_name_constraints_t *nc)
{
    if (*nc != NULL)
        gnutls_x509_name_constraints_deinit(*nc);
}

/* A DNS name allows what is below it; "*.x" says no more than "x". */
static int add_constraint(gnutls_x509_name_constraints_t nc, const struct kt_x509_name *name)
{
    const char *text = strncmp(name->text, "*.", 2) == 0 ? name->text + 2 : name->text;
    gnutls_datum_t datum = kt_x509_datum_of(kt_str(text));
    unsigned char range[32];
    memset(range, 0xff, sizeof range);
    memcpy(range, name->address, name->address_len);
    if (name->kind == KT_X509_ADDRESS)
        datum = (gnutls_datum_t){range, name->address_len * 2};
    return gnutls_x509_name_constraints_add_permitted(nc, san_types[name->kind], &datum);
}

static enum kt_kind set_constraints(struct making *m, struct kt_err *err)
{
    KT_AUTO(constraints_drop) gnutls_x509_name_constraints_t nc = NULL;
    const struct kt_x509_names *names = m->wish->names;
    if (names->n == 0)
        return KT_OK;
    int code = gnutls_x509_name_constraints_init(&nc);
    for (unsigned i = 0; i < names->n && code == 0; i++)
        code = add_constraint(nc, &names->at[i]);
    if (code == 0)
        code = gnutls_x509_crt_set_name_constraints(m->crt, nc, 1);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "setting what the authority may sign for", err);
}

/* Below a root one more authority at most: its path length is 0. */
static enum kt_kind set_authority(struct making *m, struct kt_err *err)
{
    int code = gnutls_x509_crt_set_basic_constraints(m->crt, 1, m->issuer == NULL ? -1 : 0);
    if (code == 0)
        code = gnutls_x509_crt_set_key_usage(m->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    return code == 0 ? set_constraints(m, err) : kt_x509_refuse(code, "making an authority", err);
}

static enum kt_kind set_purpose(struct making *m, struct kt_err *err)
{
    const struct kt_x509_names *names = m->wish->names;
    unsigned usage = m->wish->usage;
    unsigned bits = GNUTLS_KEY_DIGITAL_SIGNATURE;
    if (gnutls_pubkey_get_pk_algorithm(m->pubkey, NULL) == GNUTLS_PK_RSA)
        bits |= GNUTLS_KEY_KEY_ENCIPHERMENT;
    int code = gnutls_x509_crt_set_basic_constraints(m->crt, 0, -1);
    if (code == 0)
        code = gnutls_x509_crt_set_key_usage(m->crt, bits);
    if (code == 0 && (usage & KT_X509_SERVER) != 0)
        code = gnutls_x509_crt_set_key_purpose_oid(m->crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (code == 0 && (usage & KT_X509_CLIENT) != 0)
        code = gnutls_x509_crt_set_key_purpose_oid(m->crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    for (unsigned i = 0; i < names->n && code == 0; i++)
        code = add_name(m->crt, &names->at[i]);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "saying what the certificate is for", err);
}

static enum kt_kind set_time(struct making *m, struct kt_err *err)
{
    int64_t now = m->wish->now_ms / 1000;
    int64_t from = now - (m->wish->life_s / 24 < BACKDATE_S ? m->wish->life_s / 24 : BACKDATE_S);
    int64_t until = now + m->wish->life_s;
    if (m->issuer != NULL) {
        int64_t begin = gnutls_x509_crt_get_activation_time(m->issuer->crt);
        int64_t end = gnutls_x509_crt_get_expiration_time(m->issuer->crt);
        if (until > end)
            return kt_fail(err, KT_INVALID, "the issuer ends before a certificate of this life would: %s",
                           end < now ? "it has ended" : "it is to be renewed first");
        if (now < begin)
            return kt_fail(err, KT_INVALID, "the issuer's certificate is not valid yet");
        from = from < begin ? begin : from;
    }
    int code = gnutls_x509_crt_set_activation_time(m->crt, (time_t)from);
    if (code == 0)
        code = gnutls_x509_crt_set_expiration_time(m->crt, (time_t)until);
    m->made->from_ms = from * 1000;
    m->made->until_ms = until * 1000;
    return code == 0 ? KT_OK : kt_x509_refuse(code, "setting how long it is valid", err);
}

/* Positive, never 0, and always of the same length: the highest bits are 01. */
static int set_serial(struct making *m)
{
    unsigned char serial[KT_X509_SERIAL];
    kt_random(serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    (void)sodium_bin2hex(m->made->serial, sizeof m->made->serial, serial, sizeof serial);
    return gnutls_x509_crt_set_serial(m->crt, serial, sizeof serial);
}

static int set_key_ids(struct making *m)
{
    unsigned char id[KEY_ID_MAX];
    size_t len = sizeof id;
    int code = gnutls_pubkey_get_key_id(m->pubkey, 0, id, &len);
    if (code == 0)
        code = gnutls_x509_crt_set_subject_key_id(m->crt, id, len);
    if (code == 0 && m->issuer != NULL)
        code = kt_x509_key_id_of(m->issuer, id, &len);
    return code == 0 ? gnutls_x509_crt_set_authority_key_id(m->crt, id, len) : code;
}

/* What was signed is read again: what stands in it is asked, not what was meant to. */
static int read_again(gnutls_x509_crt_t *crt)
{
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t der = {0};
    KT_AUTO(crt_drop) gnutls_x509_crt_t again = NULL;
    int code = gnutls_x509_crt_export2(*crt, GNUTLS_X509_FMT_DER, &der);
    if (code == 0)
        code = gnutls_x509_crt_init(&again);
    if (code == 0)
        code = gnutls_x509_crt_import(again, &der, GNUTLS_X509_FMT_DER);
    if (code != 0)
        return code;
    crt_drop(crt);
    *crt = KT_TAKE(again);
    return 0;
}

static enum kt_kind sign(struct making *m, struct kt_err *err)
{
    gnutls_x509_crt_t by = m->issuer == NULL ? m->crt : m->issuer->crt;
    gnutls_privkey_t key = m->issuer == NULL ? m->key : m->issuer->key;
    int code = gnutls_x509_crt_privkey_sign(m->crt, by, key,
                                            kt_x509_digest_for(by, m->issuer == NULL ? m->pubkey : NULL), 0);
    if (code == 0)
        code = read_again(&m->crt);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "signing the certificate", err);
}

static enum kt_kind check_depth(struct making *m, struct kt_err *err)
{
    int depth = -1;
    if (m->issuer == NULL || (m->wish->usage & KT_X509_AUTHORITY) == 0)
        return KT_OK;
    (void)gnutls_x509_crt_get_basic_constraints(m->issuer->crt, NULL, NULL, &depth);
    return depth != 0 ? KT_OK : kt_fail(err, KT_INVALID, "the issuer may not sign for an authority");
}

static gnutls_datum_t datum_of_name(const struct kt_x509_name *name)
{
    return kt_x509_datum_of(name->kind == KT_X509_ADDRESS ? kt_bytes(name->address, name->address_len)
                                                          : kt_str(name->text));
}

static enum kt_kind refuse_name(const struct kt_x509_name *name, const char *why, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "the issuer may not sign for the name '%s'%s", name->text, why);
    kt_hint(err, "take it out of generator.names; or set the issuer's generator anew, with this among its own "
                 "generator.names, and rotate the issuer first");
    return KT_INVALID;
}

/* RFC 5280 leaves a kind of name free of which no constraint speaks; here an authority that is told what it
 * may sign for signs nothing else, nor does one below it. */
static enum kt_kind check_names_of(const struct kt_x509_names *names, gnutls_x509_crt_t by, struct kt_err *err)
{
    KT_AUTO(constraints_drop) gnutls_x509_name_constraints_t nc = NULL;
    bool kinds[GNUTLS_SAN_MAX + 1] = {false};
    unsigned type = 0;
    gnutls_datum_t name;
    int code = gnutls_x509_name_constraints_init(&nc);
    if (code == 0)
        code = gnutls_x509_crt_get_name_constraints(by, nc, 0, NULL);
    if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return KT_OK;
    if (code != 0)
        return kt_x509_refuse(code, "reading what the issuer may sign for", err);
    unsigned n = 0;
    for (; gnutls_x509_name_constraints_get_permitted(nc, n, &type, &name) == 0; n++)
        if (type <= GNUTLS_SAN_MAX)
            kinds[type] = true;
    kinds[GNUTLS_SAN_URI] = false; /* GnuTLS does not hold them to a constraint */
    for (unsigned i = 0; n > 0 && i < names->n; i++) {
        gnutls_x509_subject_alt_name_t kind = san_types[names->at[i].kind];
        gnutls_datum_t datum = datum_of_name(&names->at[i]);
        if (!kinds[kind])
            return refuse_name(&names->at[i], ": its names are of other kinds", err);
        if (gnutls_x509_name_constraints_check(nc, kind, &datum) == 0)
            return refuse_name(&names->at[i], "", err);
    }
    return KT_OK;
}

static enum kt_kind check_names(struct making *m, struct kt_err *err)
{
    if (m->issuer == NULL || (m->wish->usage & KT_X509_AUTHORITY) != 0)
        return KT_OK;
    enum kt_kind kind = check_names_of(m->wish->names, m->issuer->crt, err);
    for (unsigned i = 0; i < m->issuer->n_above && kind == KT_OK; i++)
        kind = check_names_of(m->wish->names, m->issuer->above[i], err);
    return kind;
}

/* The whole chain, as who uses it will; when is not asked, for the clock of GnuTLS is another one. */
static enum kt_kind verify(struct making *m, struct kt_err *err)
{
    gnutls_x509_crt_t chain[CRT_ALL_MAX + 2] = {m->crt};
    unsigned n = 1, status = 0;
    if (m->issuer != NULL)
        chain[n++] = m->issuer->crt;
    for (unsigned i = 0; m->issuer != NULL && !m->issuer->self && i < m->issuer->n_above; i++)
        chain[n++] = m->issuer->above[i];
    gnutls_x509_crt_t anchor = chain[n - 1]; /* not part of the chain but where it is all of it */
    int code = gnutls_x509_crt_list_verify(chain, n > 1 ? n - 1 : n, &anchor, 1, NULL, 0,
                                           GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
    if (code != 0)
        return kt_x509_refuse(code, "verifying the certificate", err);
    if (status == 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "nobody would accept this certificate: its issuer may not sign it");
    kt_hint(err, "look at the issuer's names, which an authority's common_name counts for, too, and at whether it "
                 "may sign for an authority");
    return KT_INVALID;
}

static enum kt_kind export_crt(gnutls_x509_crt_t crt, struct kt_buf *out, struct kt_err *err)
{
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t pem = {0};
    int code = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
    if (code != 0)
        return kt_x509_refuse(code, "writing a certificate", err);
    add_datum(out, &pem);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a certificate");
}

/* The issuer is in the chain unless it is the root; so is each one above but that. */
static enum kt_kind export_chain(struct making *m, struct kt_err *err)
{
    const struct kt_x509_issuer *issuer = m->issuer;
    if (issuer == NULL)
        return export_crt(m->crt, &m->made->root, err);
    enum kt_kind kind = export_crt(issuer->crt, issuer->self ? &m->made->root : &m->made->chain, err);
    for (unsigned i = 0; i < issuer->n_above && kind == KT_OK && !issuer->self; i++) {
        gnutls_x509_crt_t crt = issuer->above[i];
        bool root = gnutls_x509_crt_check_issuer(crt, crt) != 0;
        kind = export_crt(crt, root ? &m->made->root : &m->made->chain, err);
    }
    return kind;
}

static enum kt_kind make(struct making *m, struct kt_err *err)
{
    bool authority = (m->wish->usage & KT_X509_AUTHORITY) != 0;
    enum kt_kind kind =
        m->wish->request.len == 0 ? make_key(m, err) : kt_x509_request_read(m->wish->request, &m->pubkey, err);
    if (kind != KT_OK)
        return kind;
    int code = gnutls_x509_crt_init(&m->crt);
    if (code == 0)
        code = gnutls_x509_crt_set_version(m->crt, 3);
    if (code == 0)
        code = gnutls_x509_crt_set_pubkey(m->crt, m->pubkey);
    if (code == 0)
        code = set_serial(m);
    if (code == 0)
        code = set_key_ids(m);
    if (code != 0)
        return kt_x509_refuse(code, "making a certificate", err);
    kind = set_subject(m, err);
    if (kind == KT_OK)
        kind = authority ? set_authority(m, err) : set_purpose(m, err);
    if (kind == KT_OK)
        kind = set_time(m, err);
    if (kind == KT_OK)
        kind = sign(m, err);
    if (kind == KT_OK)
        kind = check_depth(m, err);
    if (kind == KT_OK)
        kind = check_names(m, err);
    if (kind == KT_OK)
        kind = verify(m, err);
    if (kind == KT_OK)
        kind = export_crt(m->crt, &m->made->certificate, err);
    return kind == KT_OK ? export_chain(m, err) : kind;
}

enum kt_kind kt_x509_make(const struct kt_x509_wish *wish, const struct kt_x509_issuer *issuer,
                          struct kt_x509_made *ret, struct kt_err *err)
{
    bool authority = (wish->usage & KT_X509_AUTHORITY) != 0;
    *ret = (struct kt_x509_made){.serial = ""};
    kt_buf_init(&ret->key, KT_X509_PEM_MAX);
    kt_buf_init(&ret->certificate, KT_X509_PEM_MAX);
    kt_buf_init(&ret->chain, KT_X509_PEM_MAX);
    kt_buf_init(&ret->root, KT_X509_PEM_MAX);
    bool mixed = authority && wish->usage != KT_X509_AUTHORITY;
    if (wish->usage == 0 || mixed || (issuer == NULL && !authority) ||
        (authority && wish->request.len > 0))
        return kt_fail(err, KT_INVALID, "a certificate is of an authority, with its own key, or of a server or "
                                        "client with an issuer");
    KT_AUTO(making_drop) struct making m = {.wish = wish, .issuer = issuer, .made = ret};
    enum kt_kind kind = make(&m, err);
    if (kind == KT_OK && !kt_buf_ok(&ret->key))
        kind = kt_fail(err, KT_NO_MEMORY, "making a certificate");
    return kind;
}

void kt_x509_made_free(struct kt_x509_made *made)
{
    kt_buf_free(&made->key);
    kt_buf_free(&made->certificate);
    kt_buf_free(&made->chain);
    kt_buf_free(&made->root);
}

