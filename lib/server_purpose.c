/* lib/server_purpose.c - see lib/server_purpose.h. */
#include "lib/server_purpose.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

static bool is_servers(gnutls_session_t session)
{
    unsigned n = 0;
    gnutls_x509_crt_t certificate;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    if (chain == NULL || n == 0 || gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS)
        return false;
    bool is = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS &&
              gnutls_x509_crt_check_key_purpose(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0) != 0;
    gnutls_x509_crt_deinit(certificate);
    return is;
}

/* Without a session there is nobody whose purpose could be known: that is no server, either. */
static int connected(void *easy, char *peer, char *own, int peer_port, int own_port)
{
    const struct curl_tlssessioninfo *info = NULL;
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
        info->internals == NULL || info->backend != CURLSSLBACKEND_GNUTLS)
        return CURL_PREREQFUNC_ABORT;
    return is_servers(info->internals) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

CURLcode kt_server_purpose_check(CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connected);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_PREREQDATA, easy);
}
