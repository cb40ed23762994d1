#include "vaultd/http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/tls_key.h"
#include "vaultd/http/exchange.h"
#include "vaultd/http/peer.h"
#include "vaultd/http/socket.h"

/* TLS 1.2 and 1.3, forward secret, authenticated encryption only. An unknown word here makes the
 * daemon fail to start, which a test would notice. */
#define TLS_PRIORITIES                                                                             \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:+ECDHE-ECDSA:-CIPHER-ALL:"      \
    "+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE:%NO_TICKETS"
/* Of a client's message in the handshake, its certificates among them: the session keeps those. */
#define HANDSHAKE_BYTES ((size_t)32 * 1024)
/* Inactivity, seconds: the library's own time-out, for replies that nobody reads. */
#define STALL_S 60u
/* Descriptors that are not connections: database, log, devices, sockets, pipes. */
#define SPARE_DESCRIPTORS ((rlim_t)256)

const struct http_limits http_default_limits = {
    .max_connections = 32768,
    .max_unix_connections = 4096,
    .threads = 0,
    .header_bytes = 8192,
    .max_request_bytes = UINT64_C(32) << 20,
    .anonymous_body_bytes = UINT64_C(256) << 20,
    .body_bytes = UINT64_C(1) << 30,
    .deadlines = {.header_ms = 10000,
                  .body_ms = 60000,
                  .body_grace_ms = 10000,
                  .body_rate = 4096,
                  .reply_ms = 300000,
                  .idle_ms = 60000,
                  .per_address = 256,
                  .address_grace_ms = 2000},
};

/* ---- making and binding ---- */

enum kt_kind http_server_new(const struct http_limits *limits, const struct kt_clock *clock,
                             struct http_server **ret, struct kt_err *err)
{
    struct http_server *server = kt_calloc(1, sizeof *server);
    if (server == NULL)
        return kt_fail(err, KT_NO_MEMORY, "no memory for the listeners");
    server->limits = limits == NULL ? http_default_limits : *limits;
    server->clock = clock;
    if (server->limits.threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        server->limits.threads = cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
    }
    *ret = server;
    return KT_OK;
}

static void free_retired(struct listener *listener, int64_t older_than_ms)
{
    struct retired_certificate **at = &listener->retired;
    while (*at != NULL) {
        struct retired_certificate *retired = *at;
        if (retired->since_ms > older_than_ms) {
            at = &retired->next;
            continue;
        }
        *at = retired->next;
        certificate_free(retired->certificate);
        free(retired);
    }
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text); // NOLINT(performance-no-int-to-ptr): it is this struct's copy
}

static void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->fd >= 0) {
        (void)close(listener->fd);
        if (listener->config.is_unix)
            (void)unlink(listener->config.address);
    }
    for (size_t i = 0; i < 2; i++)
        if (listener->quiet[i] >= 0)
            (void)close(listener->quiet[i]);
    free_retired(listener, INT64_MAX);
    certificate_free(atomic_load(&listener->certificate));
    free_text(listener->config.address);
    free_text(listener->config.cert_file);
    free_text(listener->config.key_file);
    free(listener);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_free(server->listeners[i]);
    deadlines_free(server->deadlines);
    free(server);
}

static bool copy_texts(struct listener *listener, const struct http_listener_config *config)
{
    listener->config = *config;
    listener->config.address = strdup(config->address);
    listener->config.cert_file = config->tls ? strdup(config->cert_file) : NULL;
    listener->config.key_file = config->tls ? strdup(config->key_file) : NULL;
    return listener->config.address != NULL &&
           (!config->tls ||
            (listener->config.cert_file != NULL && listener->config.key_file != NULL));
}

enum kt_kind http_server_listen(struct http_server *server,
                                const struct http_listener_config *config, struct kt_err *err)
{
    if (server->n_listeners == HTTP_LISTENERS_MAX) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "more than %u listeners", HTTP_LISTENERS_MAX);
        kt_hint(err, "remove listener blocks; one address can serve every client");
        return kind;
    }
    struct listener *listener = kt_calloc(1, sizeof *listener);
    if (listener == NULL)
        return kt_fail(err, KT_NO_MEMORY, "no memory for a listener");
    listener->fd = listener->quiet[0] = listener->quiet[1] = -1;
    listener->server = server;
    if (!copy_texts(listener, config)) {
        listener_free(listener);
        return kt_fail(err, KT_NO_MEMORY, "no memory for a listener");
    }
    enum kt_kind kind =
        config->is_unix ? socket_listen_unix(config->address, config->mode, &listener->fd, err)
                        : socket_listen_tcp(config->address, &listener->fd, &listener->port, err);
    if (kind != KT_OK) {
        listener_free(listener);
        return kind;
    }
    server->listeners[server->n_listeners++] = listener;
    return KT_OK;
}

unsigned http_server_port(const struct http_server *server, size_t i)
{
    KT_ASSERT(i < server->n_listeners);
    return server->listeners[i]->port;
}

/* ---- libmicrohttpd's callbacks that concern connections ---- */

/* While a listener starts, what the library says is the reason why it does not; later it is about
 * clients, one line for each bad request, and only want of resources concerns the operator. Its
 * arguments may hold what a client sent, so only the format is said. */
static void complain(void *cls, const char *format, va_list args)
{
    struct listener *listener = cls;
    (void)args;
    unsigned long n = atomic_fetch_add(&listener->complaints, 1);
    bool starting = !atomic_load(&listener->serving);
    bool resources = strncmp(format, "Hit process", 11) == 0;
    if (starting || (resources && (n & (n - 1)) == 0))
        kt_log(KT_LOG_WARNING, "http_library", "listener=\"%s\" text=\"%.200s\"",
               listener->config.address, format);
}

static _Noreturn void panic(void *cls, const char *file, unsigned line, const char *reason)
{
    (void)cls;
    kt_log(KT_LOG_ERROR, "http_library_failed", "file=%s line=%u reason=\"%.200s\"", file, line,
           reason == NULL ? "" : reason);
    abort();
}

static enum MHD_Result admit(void *cls, const struct sockaddr *peer, socklen_t len)
{
    const struct listener *listener = cls;
    (void)len;
    return deadlines_admit(listener->server->deadlines, peer) ? MHD_YES : MHD_NO;
}

/* Before the client's signature is checked: with a large enough key that takes minutes of this thread, and no
 * deadline ends it (lib/tls_key.h). Whoever is refused here has shown nothing, so nobody is told. */
static int judge_key(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                     const gnutls_datum_t *message)
{
    gnutls_x509_crt_t crt = NULL;
    unsigned n = 0;
    (void)type;
    (void)when;
    (void)message;
    if (incoming == 0)
        return 0;
    const gnutls_datum_t *sent = gnutls_certificate_get_peers(session, &n);
    if (sent == NULL || n == 0 || gnutls_x509_crt_init(&crt) != 0)
        return GNUTLS_E_CERTIFICATE_ERROR;
    bool fits = gnutls_x509_crt_import(crt, &sent[0], GNUTLS_X509_FMT_DER) == 0 && kt_tls_key_fits(crt);
    gnutls_x509_crt_deinit(crt);
    return fits ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

/* Nobody has to have one, and none is verified here: that is the matter of who looks at it. No names of
 * authorities are sent along, for clients leave a certificate at home that none of those names fits. */
static void ask_certificate(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (tls == NULL || tls->tls_session == NULL)
        return;
    gnutls_certificate_server_set_request(tls->tls_session, GNUTLS_CERT_REQUEST);
    gnutls_handshake_set_max_packet_length(tls->tls_session, HANDSHAKE_BYTES);
    gnutls_handshake_set_hook_function(tls->tls_session, GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY,
                                       GNUTLS_HOOK_PRE, judge_key);
}

static void conn_opened(struct listener *listener, struct MHD_Connection *mhd, void **state)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    KT_ASSERT(fd != NULL);
    int socket = fd->connect_fd;
    struct conn *conn =
        conn_add(listener->server->deadlines, socket,
                 listener->config.is_unix || peer == NULL ? NULL : peer->client_addr, listener);
    if (conn == NULL) {
        /* Without a place in the table it would have no deadline. */
        (void)shutdown(socket, SHUT_RDWR);
        return;
    }
    if (kt_cidrs_hold(&listener->config.forwarded.trusted, kt_str(conn->address)))
        conn_uncounted(conn);
    if (listener->config.tls && !listener->config.no_client_certs)
        ask_certificate(mhd);
    if (listener->config.is_unix)
        peer_read(socket, &conn->peer_uid, &conn->peer_groups);
    *state = conn;
}

static void notify(void *cls, struct MHD_Connection *mhd, void **state,
                   enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        conn_opened(cls, mhd, state);
    } else {
        conn_remove(*state);
        *state = NULL;
    }
}

/* Decoding is the pipeline's: the library's own turns %2F into a separator and %00 into an end. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

static int give_certificate(gnutls_session_t session, const gnutls_datum_t *ca_names, int n_names,
                            const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                            gnutls_pcert_st **ret_chain, unsigned *ret_length,
                            gnutls_privkey_t *ret_key)
{
    (void)ca_names;
    (void)n_names;
    (void)algorithms;
    (void)n_algorithms;
    /* libmicrohttpd keeps its connection in the session, and ours in the connection. */
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *info =
        mhd == NULL ? NULL : MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info == NULL || info->socket_context == NULL)
        return -1;
    struct conn *conn = KT_OBJECT(struct conn, info->socket_context, CONN_MAGIC);
    struct listener *listener = conn->owner;
    certificate_answer(atomic_load(&listener->certificate), ret_chain, ret_length, ret_key);
    return 0;
}

/* ---- starting ---- */

/* As many connections as descriptors allow: beyond that, accepting fails in ways nobody expects. */
static unsigned affordable(unsigned connections)
{
    rlim_t wanted = (rlim_t)connections + SPARE_DESCRIPTORS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    if (limit.rlim_cur < limit.rlim_max && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* refused: what there is counts */
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted)
        return connections;
    rlim_t left = limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? limit.rlim_cur - SPARE_DESCRIPTORS
                                                         : limit.rlim_cur / 2;
    kt_log(KT_LOG_WARNING, "few_descriptors",
           "connections=%u possible=%ju next=\"raise LimitNOFILE\"", connections, (uintmax_t)left);
    return (unsigned)left;
}

static enum kt_kind listener_start(struct listener *listener, struct kt_err *err)
{
    struct http_server *server = listener->server;
    const struct http_limits *limits = &server->limits;
    bool is_unix = listener->config.is_unix;
    unsigned connections = is_unix ? limits->max_unix_connections : limits->max_connections;
    unsigned threads = limits->threads < connections ? limits->threads : 1;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    union {
        gnutls_certificate_retrieve_function2 *function;
        void *at; /* the library takes every pointer as one */
    } callback = {give_certificate};
    static char tls_priorities[] = TLS_PRIORITIES; /* not const in the library's type; read only */
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, callback.at},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!listener->config.tls)
        tls[0] = tls[2];
    else
        flags |= MHD_USE_TLS;
    /* clang-format off */
    listener->daemon = MHD_start_daemon(
        flags, 0, is_unix ? NULL : admit, listener, exchange_step, listener,
        MHD_OPTION_EXTERNAL_LOGGER, complain, listener, /* first, so that it hears of the others */
        MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, listener,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_end, listener,
        MHD_OPTION_NOTIFY_CONNECTION, notify, listener,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_bytes,
        MHD_OPTION_CONNECTION_TIMEOUT, STALL_S,
        MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0,
        MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
    /* clang-format on */
    if (listener->daemon == NULL) {
        enum kt_kind kind =
            kt_fail(err, KT_INTERNAL, "libmicrohttpd cannot serve %s", listener->config.address);
        kt_hint(err, "see its reason in the log line before; often LimitNOFILE or TasksMax is low");
        return kind;
    }
    atomic_store(&listener->serving, true);
    return KT_OK;
}

static enum kt_kind load_certificate(struct listener *listener, struct certificate **ret,
                                     struct kt_err *err)
{
    return certificate_load(listener->config.cert_file, listener->config.key_file,
                            kt_wall_ms(listener->server->clock), ret, err);
}

enum kt_kind http_server_start(struct http_server *server, struct core *core, struct kt_err *err)
{
    server->core = core;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < server->n_listeners; i++) {
        struct certificate *certificate = NULL;
        if (!server->listeners[i]->config.tls)
            continue;
        kind = load_certificate(server->listeners[i], &certificate, err);
        if (kind == KT_OK)
            atomic_store(&server->listeners[i]->certificate, certificate);
    }
    server->limits.max_connections = affordable(server->limits.max_connections);
    if (kind == KT_OK)
        kind = deadlines_new(&server->limits.deadlines, server->clock, &server->deadlines, err);
    if (kind != KT_OK)
        return kind;
    MHD_set_panic_func(panic, NULL);
    for (size_t i = 0; kind == KT_OK && i < server->n_listeners; i++)
        kind = listener_start(server->listeners[i], err);
    if (kind != KT_OK && !http_server_stop(server, 0))
        abort(); /* a request came and waits, though the vault is only starting */
    return kind;
}

static void reload_one(struct listener *listener)
{
    struct kt_err err = {0};
    struct certificate *fresh = NULL;
    int64_t now_ms = kt_mono_ms(listener->server->clock);
    free_retired(listener, now_ms - CERTIFICATE_LINGER_MS);
    struct retired_certificate *retired = kt_calloc(1, sizeof *retired);
    if (retired == NULL || load_certificate(listener, &fresh, &err) != KT_OK) {
        if (retired == NULL)
            (void)kt_fail(&err, KT_NO_MEMORY, "no memory for a certificate");
        free(retired);
        kt_context(&err, "listener %s keeps its old certificate", listener->config.address);
        kt_log_err(KT_LOG_ERROR, "certificate_refused", &err);
        return;
    }
    retired->certificate = atomic_exchange(&listener->certificate, fresh);
    retired->since_ms = now_ms;
    retired->next = listener->retired;
    listener->retired = retired;
    char until[KT_TIME_TEXT];
    kt_time_text(certificate_expires_ms(fresh), until);
    kt_log(KT_LOG_NOTICE, "certificate_loaded", "listener=\"%s\" expires=%s",
           listener->config.address, until);
}

void http_server_reload(struct http_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++)
        if (server->listeners[i]->config.tls)
            reload_one(server->listeners[i]);
}

/* ---- stopping ---- */

/* Nobody is accepted any more, and who knocks is refused. MHD_quiesce_daemon() does this by taking
 * the socket out of each worker's epoll set, which races with the workers doing the same and then
 * aborts the process (0.9.75). Here another file takes the descriptor's number: the last reference
 * to the listening socket goes, and with it the socket and its place in every epoll set. */
static void stop_accepting(struct listener *listener)
{
    if (listener->daemon == NULL || listener->quiet[0] >= 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, listener->quiet) != 0 ||
        dup3(listener->quiet[0], listener->fd, O_CLOEXEC) < 0)
        kt_log(KT_LOG_WARNING, "still_accepting", "listener=\"%s\"", listener->config.address);
    if (listener->config.is_unix)
        (void)unlink(listener->config.address); /* its folder may be closed to us by now */
}

static void listener_stop(struct listener *listener)
{
    if (listener->daemon == NULL)
        return;
    MHD_stop_daemon(listener->daemon); /* closes fd */
    listener->daemon = NULL;
    listener->fd = -1;
}

/* Until the connections are gone, or only suspended requests are left if that is enough. */
static void wait_for_clients(struct http_server *server, int64_t wait_ms, bool all)
{
    int64_t until_ms = kt_mono_ms(server->clock) + wait_ms;
    for (;;) {
        struct deadline_counts counts;
        deadlines_shut_idle(server->deadlines);
        deadlines_counts(server->deadlines, &counts);
        bool quiet = kt_tally_sum(&server->active) == (int64_t)atomic_load(&server->suspended);
        if (counts.open == 0 || (!all && quiet) || kt_mono_ms(server->clock) >= until_ms)
            return;
        (void)poll(NULL, 0, 5);
    }
}

void http_server_drain(struct http_server *server, int64_t wait_ms)
{
    atomic_store(&server->draining, true);
    for (size_t i = 0; i < server->n_listeners; i++)
        stop_accepting(server->listeners[i]);
    if (server->deadlines != NULL)
        wait_for_clients(server, wait_ms, false);
}

bool http_server_stop(struct http_server *server, int64_t wait_ms)
{
    http_server_drain(server, 0);
    if (server->deadlines == NULL)
        return true;
    wait_for_clients(server, wait_ms, true);
    /* The library aborts the process when it is stopped with a suspended connection. */
    if (atomic_load(&server->suspended) != 0)
        return false;
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_stop(server->listeners[i]);
    return true;
}

void http_server_counts(struct http_server *server, struct http_counts *ret)
{
    deadlines_counts(server->deadlines, &ret->connections);
    ret->active = (unsigned)kt_tally_sum(&server->active);
    ret->suspended = atomic_load(&server->suspended);
    ret->body_bytes = atomic_load(&server->body_bytes);
}
