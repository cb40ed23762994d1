/* lib/http_failure.c - see lib/http_failure.h. */
#include "lib/http_failure.h"

#include <curl/curl.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>

#include "lib/server_purpose.h"

#define SAID_MAX 160

const struct kt_http_names kt_http_default_names = {.address = "VAULT_ADDR (-address)",
                                                    .address_is = "VAULT_ADDR=",
                                                    .ca_file = "VAULT_CACERT (-ca-cert)",
                                                    .server_name = "-tls-server-name"};

static enum kt_kind could_not_connect(const struct kt_http_failure *failure, struct kt_err *err)
{
    const char *address = failure->address->text;
    if (failure->not_local) {
        (void)kt_fail(err, KT_INVALID,
                      "%s is not this machine, and plain http carries the token "
                      "for everyone to read",
                      address);
        kt_hint(err, "use https:// in %s", failure->names->address);
        return KT_INVALID;
    }
    long number = 0;
    (void)curl_easy_getinfo(failure->easy, CURLINFO_OS_ERRNO, &number);
    errno = (int)number;
    enum kt_kind kind = kt_fail(err, KT_IO, "cannot connect to %s", address);
    if (failure->address->socket_path[0] != '\0' && number == EACCES)
        kt_hint(err, "this user may not open the socket: see listener \"unix\" { mode } of vaultd");
    else if (number == ECONNREFUSED || number == ENOENT || number == 0)
        kt_hint(err, "is vaultd running there? Another address: %s", failure->names->address);
    else
        kt_hint(err, "check %s and the way to it", failure->names->address);
    return kind;
}

static enum kt_kind not_found(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind =
        kt_fail(err, KT_IO, "no address known for the host '%.100s'", failure->address->host);
    kt_hint(err, "check the name in %s", failure->names->address);
    return kind;
}

static enum kt_kind timed_out(const struct kt_http_failure *failure, struct kt_err *err)
{
    curl_off_t connected = 0;
    (void)curl_easy_getinfo(failure->easy, CURLINFO_CONNECT_TIME_T, &connected);
    errno = 0;
    if (connected == 0) {
        (void)kt_fail(err, KT_TIMEOUT, "no connection to %s in time", failure->address->text);
        kt_hint(err, "check %s and the firewalls on the way", failure->names->address);
    } else {
        (void)kt_fail(err, KT_TIMEOUT, "%s did not answer in time", failure->address->text);
        kt_hint(err, "look at the vault's log; a longer wait: VAULT_CLIENT_TIMEOUT=120s");
    }
    return KT_TIMEOUT;
}

/* A file that is none of certificates is no error to libcurl: it trusts nobody then. */
static bool has_no_certificate(const char *ca_file)
{
    gnutls_certificate_credentials_t trusted = NULL;
    if (ca_file[0] == '\0' || gnutls_certificate_allocate_credentials(&trusted) != 0)
        return false;
    int count = gnutls_certificate_set_x509_trust_file(trusted, ca_file, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(trusted);
    return count == 0 || count == GNUTLS_E_NO_CERTIFICATE_FOUND || count == GNUTLS_E_BASE64_DECODING_ERROR;
}

static enum kt_kind no_certificate(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind = kt_fail(err, KT_IO, "there is no certificate in '%.200s'", failure->ca_file);
    kt_hint(err, "%s names a PEM file with the CA's certificate", failure->names->ca_file);
    return kind;
}

static void hint_ca(const struct kt_http_failure *failure, struct kt_err *err)
{
    kt_hint(err, "%s names the CA's certificate; now: %.120s", failure->names->ca_file,
            failure->ca_file[0] != '\0' ? failure->ca_file : "the system's");
}

static void hint_name(const struct kt_http_failure *failure, struct kt_err *err)
{
    const struct kt_http_names *names = failure->names;
    if (names->server_name != NULL)
        kt_hint(err, "use the name in the certificate, or say it: %s", names->server_name);
    else
        kt_hint(err, "use the name in the certificate: %s", names->address);
}

/* gnutls_certificate_status_t bits, most telling first. */
static const struct reason {
    unsigned bit;
    const char *what, *hint;
    void (*tell)(const struct kt_http_failure *failure, struct kt_err *err); /* instead of a hint */
} reasons[] = {
    {GNUTLS_CERT_EXPIRED, "has expired", "give vaultd a new certificate and send it SIGHUP", NULL},
    {GNUTLS_CERT_NOT_ACTIVATED, "is not valid yet", "compare the clocks of both machines", NULL},
    {GNUTLS_CERT_REVOKED, "was revoked", "give vaultd a new certificate and send it SIGHUP", NULL},
    {GNUTLS_CERT_SIGNER_NOT_FOUND, "is signed by a CA that is not trusted here", NULL, hint_ca},
    {GNUTLS_CERT_UNEXPECTED_OWNER, "is for another name", NULL, hint_name},
};

static enum kt_kind not_trusted(const struct kt_http_failure *failure, struct kt_err *err)
{
    long status = 0;
    (void)curl_easy_getinfo(failure->easy, CURLINFO_SSL_VERIFYRESULT, &status);
    errno = 0;
    if (has_no_certificate(failure->ca_file))
        return no_certificate(failure, err);
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (((unsigned long)status & reasons[i].bit) == 0)
            continue;
        (void)kt_fail(err, KT_IO, "the certificate of %s %s", failure->address->text,
                      reasons[i].what);
        if (reasons[i].tell != NULL)
            reasons[i].tell(failure, err);
        else
            kt_hint(err, "%s", reasons[i].hint);
        return KT_IO;
    }
    bool name =
        strstr(failure->said, "host name") != NULL || strstr(failure->said, "subject name") != NULL;
    (void)kt_fail(err, KT_IO, "the certificate of %s %s", failure->address->text,
                  name ? "is for another name" : "cannot be verified");
    (name ? hint_name : hint_ca)(failure, err);
    return KT_IO;
}

static enum kt_kind not_a_servers(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind = kt_fail(err, KT_IO, "the certificate of %s " KT_SERVER_PURPOSE_LACKS, failure->address->text);
    kt_hint(err, "give the server a certificate for servers: whoever has this one may be any client of its CA");
    return kind;
}

static enum kt_kind tls_failed(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind = kt_fail(err, KT_IO, "no TLS with %s: %.*s", failure->address->text,
                                SAID_MAX, failure->said);
    kt_hint(err,
            "does it speak plain http? Then %shttp://%.100s:%u (only on this machine)",
            failure->names->address_is, failure->address->host, failure->address->port);
    return kind;
}

static enum kt_kind no_http(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind = kt_fail(err, KT_UNKNOWN, "%s closed the connection without an answer",
                                failure->address->text);
    if (!failure->address->tls && failure->address->socket_path[0] == '\0')
        kt_hint(err, "does it speak TLS? Then %shttps://%.100s:%u", failure->names->address_is, failure->address->host,
                failure->address->port);
    else
        kt_hint(err, "look at the vault's log");
    return kind;
}

static enum kt_kind bad_ca_file(const struct kt_http_failure *failure, struct kt_err *err)
{
    errno = 0;
    enum kt_kind kind =
        kt_fail(err, KT_IO, "cannot read certificates from '%.200s'", failure->ca_file);
    kt_hint(err, "%s names a PEM file with the CA's certificate", failure->names->ca_file);
    return kind;
}

enum kt_kind kt_http_failed(const struct kt_http_failure *failure, struct kt_err *err)
{
    static const struct {
        CURLcode code;
        enum kt_kind (*tell)(const struct kt_http_failure *failure, struct kt_err *err);
    } rows[] = {
        {CURLE_COULDNT_CONNECT, could_not_connect},
        {CURLE_COULDNT_RESOLVE_HOST, not_found},
        {CURLE_OPERATION_TIMEDOUT, timed_out},
        {CURLE_PEER_FAILED_VERIFICATION, not_trusted},
        {CURLE_ABORTED_BY_CALLBACK, not_a_servers},
        {CURLE_SSL_CONNECT_ERROR, tls_failed},
        {CURLE_SSL_CACERT_BADFILE, bad_ca_file},
        {CURLE_GOT_NOTHING, no_http},
        {CURLE_WEIRD_SERVER_REPLY, no_http},
        {CURLE_UNSUPPORTED_PROTOCOL, no_http},
        {CURLE_RECV_ERROR, no_http},
        {CURLE_SEND_ERROR, no_http},
        {CURLE_PARTIAL_FILE, no_http},
    };
    errno = 0;
    if (failure->too_large || failure->code == (int)CURLE_FILESIZE_EXCEEDED) {
        (void)kt_fail(err, KT_TOO_LARGE, "the answer of %s is larger than allowed",
                      failure->address->text);
        return KT_TOO_LARGE;
    }
    if (failure->code == (int)CURLE_OUT_OF_MEMORY)
        return kt_fail(err, KT_NO_MEMORY, "talking to %s", failure->address->text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((int)rows[i].code == failure->code)
            return rows[i].tell(failure, err);
    const char *said =
        failure->said[0] != '\0' ? failure->said : curl_easy_strerror((CURLcode)failure->code);
    enum kt_kind kind =
        kt_fail(err, KT_IO, "talking to %s: %.*s", failure->address->text, SAID_MAX, said);
    kt_hint(err, "check %s and the vault's log", failure->names->address);
    return kind;
}
