/* lib/driver/stream.c - see lib/driver/stream.h. */
#include "lib/driver/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/driver/cert_dates.h"
#include "lib/driver/place.h"
#include "lib/ipc.h"

#define VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* ---- before the sandbox -------------------------------------------------------------------- */

static const struct mode {
    const char *name;
    bool tls, chain, host;
} modes[] = {
    {"verify-full", true, true, true},
    {"verify-ca", true, true, false},
    {"require", true, false, false},
    {"disable", false, false, false},
};

static bool read_mode(const struct driver_run *run, struct kt_stream_place *place,
                      struct driver_result *ret)
{
    const char *mode = run->step->target.sslmode, *ca = run->step->target.ca;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (mode == NULL || strcmp(modes[i].name, mode) != 0)
            continue;
        place->tls = modes[i].tls;
        /* Whoever gives a CA wants it to count, as with libpq and libmariadb. */
        place->check_chain = modes[i].chain || (modes[i].tls && ca != NULL && ca[0] != '\0');
        place->check_name = modes[i].host;
        return true;
    }
    return kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                         "sslmode must be verify-full, verify-ca, require or disable");
}

static bool read_trust(const struct driver_run *run, struct kt_stream_place *place,
                       struct driver_result *ret)
{
    const char *ca = run->step->target.ca;
    bool own = ca != NULL && ca[0] != '\0';
    if (gnutls_certificate_allocate_credentials(&place->trust) != GNUTLS_E_SUCCESS)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    if (!place->check_chain)
        return true;
    gnutls_datum_t pem = {(unsigned char *)(uintptr_t)ca, own ? (unsigned)strlen(ca) : 0};
    int n = own ? gnutls_certificate_set_x509_trust_mem(place->trust, &pem, GNUTLS_X509_FMT_PEM)
                : gnutls_certificate_set_x509_system_trust(place->trust);
    if (n > 0)
        return true;
    return kt_driver_say(run, ret, DRIVER_PERMANENT, "tls",
                         "no CA certificates to verify the server with: give the target a `ca` "
                         "(PEM text), or install ca-certificates");
}

static bool use_socket(const struct driver_run *run, struct kt_stream_place *place,
                       struct driver_result *ret)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(place->host);
    if (len >= sizeof(un.sun_path))
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                             "the socket's path is longer than %zu bytes", sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, place->host, len + 1);
    memcpy(&place->addresses[0].at, &un, sizeof(un));
    place->addresses[0].size = sizeof(un);
    place->n_addresses = 1;
    place->tls = false;
    return true;
}

size_t kt_stream_addresses(const char *host, uint32_t port, struct kt_stream_address ret[STREAM_ADDRESSES_MAX],
                           int *ret_error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char text[16];
    size_t n = 0;
    (void)!snprintf(text, sizeof(text), "%u", port);
    *ret_error = getaddrinfo(host, text, &hints, &list);
    if (*ret_error != 0)
        return 0;
    for (const struct addrinfo *at = list; at != NULL && n < STREAM_ADDRESSES_MAX; at = at->ai_next) {
        if (at->ai_addrlen > sizeof(ret[n].at))
            continue;
        memcpy(&ret[n].at, at->ai_addr, at->ai_addrlen);
        ret[n++].size = at->ai_addrlen;
    }
    freeaddrinfo(list);
    return n;
}

static bool look_up(const struct driver_run *run, struct kt_stream_place *place,
                    struct driver_result *ret)
{
    int error = 0;
    place->n_addresses = kt_stream_addresses(place->host, run->step->target.port, place->addresses, &error);
    if (error != 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "resolve", "no address for host '%s': %s",
                             place->host, gai_strerror(error));
    place->chosen = place->n_addresses;
    return place->n_addresses > 0 || kt_driver_say(run, ret, DRIVER_UNREACH, "resolve",
                                                   "no usable address for host '%s'", place->host);
}

bool kt_stream_find(struct driver_run *run, struct kt_stream_place *place,
                    struct driver_result *ret)
{
    *place = (struct kt_stream_place){.host = run->step->target.host};
    if (!read_mode(run, place, ret))
        return false;
    if (place->host[0] == '/')
        return use_socket(run, place, ret);
    return (!place->tls || read_trust(run, place, ret)) && look_up(run, place, ret);
}

bool kt_stream_find_bare(const struct driver_run *run, struct kt_stream_place *place,
                         struct driver_result *ret)
{
    *place = (struct kt_stream_place){.host = run->step->target.host};
    return look_up(run, place, ret);
}

/* ---- connecting ---------------------------------------------------------------------------- */

static bool fail(struct kt_stream *s, const char *code, const char *detail)
{
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    (void)!snprintf(s->detail, sizeof(s->detail), "%.*s", (int)sizeof(s->detail) - 1, detail);
    return false;
}

static bool connect_to(const struct kt_stream_address *address, int64_t deadline,
                       struct kt_stream *s)
{
    struct sockaddr_storage at = address->at;
    int error = 0;
    socklen_t error_size = sizeof(error);
    s->fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return fail(s, "connect", strerrordesc_np(errno));
    s->is_open = true;
    if (connect(s->fd, (const struct sockaddr *)&at, address->size) == 0)
        return true;
    if (errno != EINPROGRESS)
        return fail(s, "connect", strerrordesc_np(errno));
    if (!kt_place_wait(s->fd, POLLOUT, deadline))
        return fail(s, "timeout", "");
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
        error = errno;
    return error == 0 || fail(s, "connect", strerrordesc_np(error));
}

/* Each address but the last one gets half of what is left. */
static bool connect_somewhere(struct kt_stream_place *place, int64_t deadline, struct kt_stream *s)
{
    if (place->chosen < place->n_addresses)
        return connect_to(&place->addresses[place->chosen], deadline, s);
    for (size_t i = 0; i < place->n_addresses; i++) {
        int64_t now = kt_ipc_deadline(0);
        bool last = i + 1 == place->n_addresses;
        kt_stream_close(s);
        if (connect_to(&place->addresses[i], last ? deadline : now + (deadline - now) / 2, s)) {
            place->chosen = i;
            return true;
        }
    }
    return false;
}

static bool is_again(ssize_t rc)
{
    return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

static bool await_tls(struct kt_stream *s, int64_t deadline)
{
    short events = gnutls_record_get_direction(s->tls) == 0 ? POLLIN : POLLOUT;
    return kt_place_wait(s->fd, events, deadline) || fail(s, "timeout", "");
}

static bool is_address(const char *host)
{
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

/* A CA gives certificates to clients, too: none of those is a server's. */
static void check_certificate(const struct kt_stream_place *place, struct kt_stream *s)
{
    static char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
    unsigned n = 0;
    s->verify[n++] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose};
    if (place->check_name)
        s->verify[n++] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME,
                                                 .data = (unsigned char *)(uintptr_t)place->host};
    gnutls_session_set_verify_cert2(s->tls, s->verify, n, 0);
}

static int set_up_tls(const struct kt_stream_place *place, struct kt_stream *s)
{
    int rc = gnutls_init(&s->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_priority_set_direct(s->tls, VERSIONS, NULL);
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, place->trust);
    if (rc == GNUTLS_E_SUCCESS && !is_address(place->host))
        rc = gnutls_server_name_set(s->tls, GNUTLS_NAME_DNS, place->host, strlen(place->host));
    if (rc != GNUTLS_E_SUCCESS)
        return rc;
    if (place->check_chain)
        check_certificate(place, s);
    gnutls_transport_set_int(s->tls, s->fd);
    return rc;
}

/* What is wrong with the server's certificate is said in the library's words, since when in ours. */
static bool fail_tls(const struct kt_stream_place *place, struct kt_stream *s, int rc)
{
    gnutls_datum_t text = {NULL, 0};
    char dates[CERT_DATES_TEXT];
    if (rc != GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR ||
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(s->tls),
                                                     GNUTLS_CRT_X509, &text, 0) < 0)
        return fail(s, "tls", gnutls_strerror(rc));
    (void)fail(s, "tls", (const char *)text.data);
    gnutls_free(text.data);
    size_t len = strlen(s->detail);
    if (kt_cert_dates(s->tls, place->host, dates))
        (void)!snprintf(s->detail + len, sizeof(s->detail) - len, "%s", dates);
    return false;
}

bool kt_stream_secure(const struct kt_stream_place *place, int64_t deadline, struct kt_stream *s)
{
    int rc = set_up_tls(place, s);
    if (rc != GNUTLS_E_SUCCESS)
        return fail(s, "tls", gnutls_strerror(rc));
    while ((rc = gnutls_handshake(s->tls)) < 0 && gnutls_error_is_fatal(rc) == 0) {
        if (is_again(rc) && !await_tls(s, deadline))
            return false;
    }
    return rc == GNUTLS_E_SUCCESS || fail_tls(place, s, rc);
}

bool kt_stream_open(struct kt_stream_place *place, int64_t deadline, struct kt_stream *s)
{
    *s = (struct kt_stream){.fd = -1};
    return connect_somewhere(place, deadline, s) &&
           (!place->tls || place->later || kt_stream_secure(place, deadline, s));
}

void kt_stream_close(struct kt_stream *s)
{
    if (s->tls != NULL)
        gnutls_deinit(s->tls);
    s->tls = NULL;
    if (s->is_open)
        (void)close(s->fd);
    s->is_open = false;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static ssize_t send_some(struct kt_stream *s, const unsigned char *at, size_t len)
{
    if (s->tls != NULL)
        return gnutls_record_send(s->tls, at, len);
    ssize_t n = send(s->fd, at, len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? GNUTLS_E_AGAIN : n;
}

static ssize_t receive_some(struct kt_stream *s, unsigned char *at, size_t room)
{
    if (s->tls != NULL)
        return gnutls_record_recv(s->tls, at, room);
    ssize_t n = recv(s->fd, at, room, 0);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? GNUTLS_E_AGAIN : n;
}

static bool await_turn(struct kt_stream *s, short events, int64_t deadline)
{
    if (s->tls != NULL)
        return await_tls(s, deadline);
    return kt_place_wait(s->fd, events, deadline) || fail(s, "timeout", "");
}

bool kt_stream_send(struct kt_stream *s, struct kt_bytes bytes, int64_t deadline)
{
    size_t sent = 0;
    while (sent < bytes.len) {
        ssize_t n = send_some(s, bytes.at + sent, bytes.len - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (!is_again(n))
            return fail(s, "closed", "the connection was lost");
        else if (!await_turn(s, POLLOUT, deadline))
            return false;
    }
    return true;
}

bool kt_stream_receive(struct kt_stream *s, unsigned char *at, size_t room, size_t *ret_len,
                       int64_t deadline)
{
    for (;;) {
        ssize_t n = receive_some(s, at, room);
        if (n > 0) {
            *ret_len = (size_t)n;
            return true;
        }
        if (!is_again(n))
            return fail(s, "closed", "the connection was lost");
        if (!await_turn(s, POLLIN, deadline))
            return false;
    }
}
