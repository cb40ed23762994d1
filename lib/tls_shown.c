#include "lib/tls_shown.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define VERSIONS  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define PLACE_TEXT (KT_TLS_HOST_MAX + 10u)

/* ---- reaching it ---- */

static enum kt_kind no_way(const char *place, const char *why, struct kt_err *err)
{
    errno = 0; /* `why` has it */
    return kt_fail(err, KT_IO, "%s was not reached: %s", place, why);
}

/* True: it is connected. */
static bool joins(int fd, const struct addrinfo *at, unsigned timeout_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS)
        return false;
    int ready = poll(&wait, 1, (int)timeout_ms);
    if (ready <= 0) {
        errno = ready == 0 ? ETIMEDOUT : errno;
        return false;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        errno = error != 0 ? error : errno;
        return false;
    }
    return true;
}

static enum kt_kind reach(const struct kt_tls_place *at_place, const char *place, unsigned timeout_ms, int *ret_fd,
                          struct kt_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *at = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", at_place->port);
    int rc = getaddrinfo(at_place->host, port, &hints, &at);
    if (rc != 0)
        return no_way(place, gai_strerror(rc), err);
    kt_autoclose int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool joined = fd >= 0 && joins(fd, at, timeout_ms);
    int error = errno;
    freeaddrinfo(at);
    if (!joined)
        return no_way(place, strerrordesc_np(error), err);
    *ret_fd = KT_TAKE_FD(fd);
    return KT_OK;
}

/* ---- the handshake ---- */

/* The library's own limit does not end a record that comes byte by byte. False: the time is over. */
static bool await_turn(gnutls_session_t tls, int64_t until_ms)
{
    int64_t left = until_ms - kt_mono_ms(&kt_system_clock);
    struct pollfd wait = {.fd = gnutls_transport_get_int(tls),
                          .events = gnutls_record_get_direction(tls) == 0 ? POLLIN : POLLOUT};
    return left > 0 && poll(&wait, 1, (int)left) > 0;
}

static int shake_hands(gnutls_session_t tls, int64_t until_ms)
{
    for (;;) {
        int rc = gnutls_handshake(tls);
        if (rc >= 0 || gnutls_error_is_fatal(rc) != 0)
            return rc;
        if (kt_mono_ms(&kt_system_clock) >= until_ms || (rc == GNUTLS_E_AGAIN && !await_turn(tls, until_ms)))
            return GNUTLS_E_TIMEDOUT;
    }
}

static enum kt_kind shake(gnutls_session_t tls, gnutls_certificate_credentials_t trust, const char *place,
                          const char *name, unsigned timeout_ms, struct kt_tls_cert *ret, struct kt_err *err)
{
    int rc = gnutls_priority_set_direct(tls, VERSIONS, NULL);
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, trust);
    if (rc == GNUTLS_E_SUCCESS && name != NULL)
        rc = gnutls_server_name_set(tls, GNUTLS_NAME_DNS, name, strlen(name));
    if (rc == GNUTLS_E_SUCCESS)
        rc = shake_hands(tls, kt_mono_ms(&kt_system_clock) + timeout_ms);
    unsigned n = 0;
    const gnutls_datum_t *chain = rc == GNUTLS_E_SUCCESS ? gnutls_certificate_get_peers(tls, &n) : NULL;
    errno = 0;
    if (rc != GNUTLS_E_SUCCESS || chain == NULL || n == 0)
        return kt_fail(err, KT_IO, "%s did not shake hands: %s", place,
                       rc != GNUTLS_E_SUCCESS ? gnutls_strerror(rc) : "it showed no certificate");
    return kt_tls_cert_read_der(kt_bytes(chain[0].data, chain[0].size), ret, err);
}

enum kt_kind kt_tls_shown_on(int fd, const char *place, const char *name, unsigned timeout_ms,
                             struct kt_tls_cert *ret, struct kt_err *err)
{
    gnutls_session_t tls = NULL;
    gnutls_certificate_credentials_t trust = NULL;
    if (gnutls_certificate_allocate_credentials(&trust) < 0)
        return kt_fail(err, KT_NO_MEMORY, "asking a server");
    if (gnutls_init(&tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
        gnutls_certificate_free_credentials(trust);
        return kt_fail(err, KT_NO_MEMORY, "asking a server");
    }
    gnutls_transport_set_int(tls, fd);
    enum kt_kind kind = shake(tls, trust, place, name, timeout_ms, ret, err);
    gnutls_deinit(tls);
    gnutls_certificate_free_credentials(trust);
    return kind;
}

enum kt_kind kt_tls_shown(const char *place, const char *name, unsigned timeout_ms, struct kt_tls_cert *ret,
                          struct kt_err *err)
{
    struct kt_tls_place at = {"", 0};
    char text[PLACE_TEXT];
    kt_autoclose int fd = -1;
    enum kt_kind kind = kt_tls_place_read(place, &at, err);
    if (kind != KT_OK)
        return kind;
    (void)snprintf(text, sizeof text, "%s:%u", at.host, at.port);
    kind = reach(&at, text, timeout_ms, &fd, err);
    if (kind != KT_OK)
        return kind;
    return kt_tls_shown_on(fd, text, name, timeout_ms, ret, err);
}
