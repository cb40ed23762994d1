#include "vaultd/http/certificate.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"

struct certificate {
    gnutls_pcert_st chain[CERTIFICATE_CHAIN_MAX];
    unsigned length;
    gnutls_privkey_t key;
    int64_t expires_ms;
};

static enum kt_kind tls_fail(struct kt_err *err, const char *what, const char *file, int code)
{
    return kt_fail(err, KT_INVALID, "%s '%s': %s", what, file, gnutls_strerror(code));
}

static enum kt_kind read_file(int fd, const char *file, struct kt_buf *out, struct kt_err *err)
{
    for (;;) {
        unsigned char *at = kt_buf_grow(out, 4096);
        if (at == NULL)
            return kt_fail(err, KT_TOO_LARGE, "'%s' is too large to be a certificate or a key",
                           file);
        ssize_t n = read(fd, at, 4096);
        out->len -= 4096u - (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return KT_OK;
        if (n < 0 && errno != EINTR)
            return kt_fail(err, KT_IO, "cannot read '%s'", file);
    }
}

/* The private key may be read by its owner, and by a group of which the vault's user is one. */
static enum kt_kind check_key_mode(int fd, const char *file, struct kt_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at '%s'", file);
    if (!S_ISREG(st.st_mode))
        return kt_fail(err, KT_INVALID, "'%s' is not a file", file);
    if ((st.st_mode & 0027) == 0)
        return KT_OK;
    enum kt_kind kind =
        kt_fail(err, KT_INVALID, "the private key '%s' is open to others (mode %04o)", file,
                (unsigned)st.st_mode & 07777u);
    kt_hint(err, "chmod 600 %s", file);
    return kind;
}

static enum kt_kind load_file(const char *file, bool is_key, struct kt_buf *out, struct kt_err *err)
{
    kt_autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bool denied = errno == EACCES;
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot open the %s '%s'",
                                    is_key ? "private key" : "certificate", file);
        kt_hint(err,
                denied ? "the user that vaultd runs as must be able to read it: "
                         "chown root:keyturn and chmod 640"
                       : "check the path in the listener's %s",
                is_key ? "tls_key_file" : "tls_cert_file");
        return kind;
    }
    enum kt_kind kind = is_key ? check_key_mode(fd, file, err) : KT_OK;
    return kind != KT_OK ? kind : read_file(fd, file, out, err);
}

static enum kt_kind parse_chain(struct certificate *certificate, const char *file,
                                struct kt_buf *pem, struct kt_err *err)
{
    gnutls_datum_t data = {pem->at, (unsigned)pem->len};
    certificate->length = CERTIFICATE_CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(certificate->chain, &certificate->length, &data,
                                                 GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0) {
        certificate->length = 0;
        return tls_fail(err, "no certificate chain in", file, code);
    }
    return KT_OK;
}

static enum kt_kind parse_key(struct certificate *certificate, const char *file, struct kt_buf *pem,
                              struct kt_err *err)
{
    gnutls_datum_t data = {pem->at, (unsigned)pem->len};
    int code = gnutls_privkey_init(&certificate->key);
    if (code == 0)
        code =
            gnutls_privkey_import_x509_raw(certificate->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == 0)
        return KT_OK;
    enum kt_kind kind = tls_fail(err, "no private key in", file, code);
    if (code == GNUTLS_E_DECRYPTION_FAILED)
        kt_hint(err, "a key with a passphrase cannot be used; openssl pkey -in it -out plain.pem");
    return kind;
}

static bool same_key(struct certificate *certificate)
{
    unsigned char ours[64], theirs[64];
    size_t ours_len = sizeof ours, theirs_len = sizeof theirs;
    gnutls_pubkey_t public_key = NULL;
    bool same =
        gnutls_pubkey_init(&public_key) == 0 &&
        gnutls_pubkey_import_privkey(public_key, certificate->key, 0, 0) == 0 &&
        gnutls_pubkey_get_key_id(public_key, 0, ours, &ours_len) == 0 &&
        gnutls_pubkey_get_key_id(certificate->chain[0].pubkey, 0, theirs, &theirs_len) == 0 &&
        ours_len == theirs_len && memcmp(ours, theirs, ours_len) == 0;
    if (public_key != NULL)
        gnutls_pubkey_deinit(public_key);
    return same;
}

static enum kt_kind check_dates(struct certificate *certificate, const char *file, int64_t now_ms,
                                struct kt_err *err)
{
    gnutls_x509_crt_t leaf = NULL;
    int code = gnutls_pcert_export_x509(&certificate->chain[0], &leaf);
    if (code != 0)
        return tls_fail(err, "cannot read the certificate in", file, code);
    time_t from = gnutls_x509_crt_get_activation_time(leaf);
    time_t until = gnutls_x509_crt_get_expiration_time(leaf);
    gnutls_x509_crt_deinit(leaf);
    char text[KT_TIME_TEXT];
    certificate->expires_ms = (int64_t)until * 1000;
    if (now_ms >= certificate->expires_ms) {
        kt_time_text(certificate->expires_ms, text);
        enum kt_kind kind =
            kt_fail(err, KT_INVALID, "the certificate in '%s' expired on %s", file, text);
        kt_hint(err, "put a renewed certificate there; a running vaultd takes it on SIGHUP");
        return kind;
    }
    if (now_ms < (int64_t)from * 1000) {
        kt_time_text((int64_t)from * 1000, text);
        enum kt_kind kind =
            kt_fail(err, KT_INVALID, "the certificate in '%s' is valid only from %s", file, text);
        kt_hint(err, "check this machine's clock");
        return kind;
    }
    return KT_OK;
}

enum kt_kind certificate_load(const char *cert_file, const char *key_file, int64_t now_ms,
                              struct certificate **ret, struct kt_err *err)
{
    struct certificate *certificate = kt_calloc(1, sizeof *certificate);
    if (certificate == NULL)
        return kt_fail(err, KT_NO_MEMORY, "no memory for a certificate");
    kt_autobuf struct kt_buf cert_pem, key_pem;
    kt_buf_init(&cert_pem, CERTIFICATE_FILE_BYTES);
    kt_buf_init(&key_pem, CERTIFICATE_FILE_BYTES);
    enum kt_kind kind = load_file(cert_file, false, &cert_pem, err);
    if (kind == KT_OK)
        kind = parse_chain(certificate, cert_file, &cert_pem, err);
    if (kind == KT_OK)
        kind = load_file(key_file, true, &key_pem, err);
    if (kind == KT_OK)
        kind = parse_key(certificate, key_file, &key_pem, err);
    if (kind == KT_OK && !same_key(certificate)) {
        kind = kt_fail(err, KT_INVALID, "the private key '%s' does not belong to '%s'", key_file,
                       cert_file);
        kt_hint(err, "both files must come from the same request; was only one of them renewed?");
    }
    if (kind == KT_OK)
        kind = check_dates(certificate, cert_file, now_ms, err);
    if (kind != KT_OK) {
        certificate_free(certificate);
        return kind;
    }
    *ret = certificate;
    return KT_OK;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate == NULL)
        return;
    for (unsigned i = 0; i < certificate->length; i++)
        gnutls_pcert_deinit(&certificate->chain[i]);
    if (certificate->key != NULL)
        gnutls_privkey_deinit(certificate->key);
    free(certificate);
}

int64_t certificate_expires_ms(const struct certificate *certificate)
{
    return certificate->expires_ms;
}

void certificate_answer(struct certificate *certificate, gnutls_pcert_st **ret_chain,
                        unsigned *ret_length, gnutls_privkey_t *ret_key)
{
    *ret_chain = certificate->chain;
    *ret_length = certificate->length;
    *ret_key = certificate->key;
}
