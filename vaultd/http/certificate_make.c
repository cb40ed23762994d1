/* A self-signed certificate, for --dev-tls and the tests. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/random.h"
#include "vaultd/http/certificate.h"

static void wipe_at(gnutls_datum_t *data)
{
    if (data->data != NULL) {
        gnutls_memset(data->data, 0, data->size);
        gnutls_free(data->data);
    }
}

static int add_address(gnutls_x509_crt_t crt, const char *text)
{
    unsigned char ip[16];
    unsigned len = inet_pton(AF_INET, text, ip) == 1    ? 4
                   : inet_pton(AF_INET6, text, ip) == 1 ? 16
                                                        : 0;
    if (len == 0)
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, text,
                                                    (unsigned)strlen(text), GNUTLS_FSAN_APPEND);
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, len,
                                                GNUTLS_FSAN_APPEND);
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *host,
                int64_t not_before_ms, int64_t not_after_ms)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    unsigned char serial[16];
    kt_random(serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, all 16 bytes */
    int bad = gnutls_x509_crt_set_version(crt, 3);
    bad |= gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    bad |= gnutls_x509_crt_set_activation_time(crt, (time_t)(not_before_ms / 1000));
    bad |= gnutls_x509_crt_set_expiration_time(crt, (time_t)(not_after_ms / 1000));
    bad |= gnutls_x509_crt_set_dn(crt, "CN=Keyturn development", NULL);
    bad |= gnutls_x509_crt_set_key(crt, key);
    bad |= gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
    bad |=
        gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN);
    bad |= gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    bool named = false;
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        bad |= add_address(crt, always[i]);
        named = named || strcmp(host, always[i]) == 0;
    }
    if (!named)
        bad |= add_address(crt, host);
    return bad;
}

static enum kt_kind put_file(const char *folder, const char *name, const gnutls_datum_t *data,
                             struct kt_err *err)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return kt_fail(err, KT_INVALID, "the folder's name is too long");
    kt_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot create '%s'", path);
    size_t done = 0;
    while (done < data->size) {
        ssize_t n = write(fd, data->data + done, data->size - done);
        if (n < 0 && errno != EINTR)
            return kt_fail(err, KT_IO, "cannot write '%s'", path);
        done += n > 0 ? (size_t)n : 0;
    }
    return KT_OK;
}

enum kt_kind certificate_make(const char *folder, const char *host, int64_t not_before_ms,
                              int64_t not_after_ms, struct kt_err *err)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    KT_AUTO(wipe_at) gnutls_datum_t cert_pem = {0};
    KT_AUTO(wipe_at) gnutls_datum_t key_pem = {0};
    bool made =
        gnutls_x509_privkey_init(&key) == 0 && gnutls_x509_crt_init(&crt) == 0 &&
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0 &&
        fill(crt, key, host, not_before_ms, not_after_ms) == 0 &&
        gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) == 0 &&
        gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert_pem) == 0 &&
        gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem) == 0;
    if (crt != NULL)
        gnutls_x509_crt_deinit(crt);
    if (key != NULL)
        gnutls_x509_privkey_deinit(key);
    if (!made)
        return kt_fail(err, KT_INTERNAL, "cannot make a certificate for '%s'", host);
    enum kt_kind kind = put_file(folder, "cert.pem", &cert_pem, err);
    return kind != KT_OK ? kind : put_file(folder, "key.pem", &key_pem, err);
}
