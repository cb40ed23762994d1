/* lib/driver/cert_dates.c - see lib/driver/cert_dates.h. */
#include "lib/driver/cert_dates.h"

#include <netdb.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/driver/place.h"

/* What was shown first is the server's own. */
static bool say(bool own, const char *host, gnutls_x509_crt_t crt, int64_t now_s, char ret[CERT_DATES_TEXT])
{
    char at[KT_TIME_TEXT];
    int64_t from = gnutls_x509_crt_get_activation_time(crt), until = gnutls_x509_crt_get_expiration_time(crt);
    bool over = until >= 0 && now_s > until, early = from >= 0 && now_s < from;
    if (!over && !early)
        return false;
    kt_time_text((over ? until : from) * 1000, at);
    (void)!snprintf(ret, CERT_DATES_TEXT,
                    over ? "%s of %s expired at %s: give the server a new one"
                         : "%s of %s is not valid before %s: compare the clocks of this machine and of its issuer",
                    own ? "the certificate" : "a CA's certificate in the chain", host, at);
    return true;
}

bool kt_cert_dates(gnutls_session_t tls, const char *host, char ret[CERT_DATES_TEXT])
{
    unsigned n = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(tls, &n);
    int64_t now_s = kt_wall_ms(&kt_system_clock) / 1000;
    bool found = false;
    ret[0] = '\0';
    for (unsigned i = 0; shown != NULL && i < n && !found; i++) {
        gnutls_x509_crt_t crt = NULL;
        if (gnutls_x509_crt_init(&crt) != GNUTLS_E_SUCCESS)
            return false;
        if (gnutls_x509_crt_import(crt, &shown[i], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS)
            found = say(i == 0, host, crt, now_s, ret);
        gnutls_x509_crt_deinit(crt);
    }
    return found;
}

/* ---- looking once more --------------------------------------------------------------------- */

static bool find(const struct driver_run *run, const char *address, struct kt_stream_place *ret)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[16];
    (void)!snprintf(port, sizeof(port), "%u", run->step->target.port);
    *ret = (struct kt_stream_place){.host = run->step->target.host, .tls = true, .later = true, .n_addresses = 1};
    if (getaddrinfo(address, port, &hints, &list) != 0)
        return false;
    bool fits = list->ai_addrlen <= sizeof(ret->addresses[0].at);
    if (fits) {
        memcpy(&ret->addresses[0].at, list->ai_addr, list->ai_addrlen);
        ret->addresses[0].size = list->ai_addrlen;
    }
    freeaddrinfo(list);
    return fits;
}

bool kt_cert_look(const struct driver_run *run, const char *address, kt_cert_hello *hello, char ret[CERT_DATES_TEXT])
{
    struct kt_stream_place place;
    struct kt_stream s;
    int64_t deadline = kt_place_deadline(run, kt_place_connect_ms(run));
    ret[0] = '\0';
    if (address == NULL || !find(run, address, &place) ||
        gnutls_certificate_allocate_credentials(&place.trust) != GNUTLS_E_SUCCESS)
        return false;
    bool found = kt_stream_open(&place, deadline, &s) && hello(&s, deadline) &&
                 kt_stream_secure(&place, deadline, &s) && kt_cert_dates(s.tls, place.host, ret);
    kt_stream_close(&s);
    gnutls_certificate_free_credentials(place.trust);
    return found;
}
