#include "tests/support/canned_server.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWERS_MAX 64u
#define REQUEST_MAX 65536u

struct canned {
    int listener, stop;
    pthread_t thread;
    char address[CANNED_PATH + 32], path[CANNED_PATH];
    gnutls_certificate_credentials_t credentials;
    bool tls;
    pthread_mutex_t lock;
    char *answers[ANSWERS_MAX];
    size_t answer_count;
    char *requests[ANSWERS_MAX];
    size_t request_count, connections;
};

struct link {
    struct canned *server;
    int fd;
    gnutls_session_t session;
};

/* True when there is something to read; false when the server is to stop. */
static bool readable(const struct link *link)
{
    struct pollfd fds[] = {{link->fd, POLLIN, 0}, {link->server->stop, POLLIN, 0}};
    if (link->session != NULL && gnutls_record_check_pending(link->session) > 0)
        return true;
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    return fds[1].revents == 0;
}

static ssize_t get(const struct link *link, char *at, size_t room)
{
    if (!readable(link))
        return 0;
    return link->session != NULL ? gnutls_record_recv(link->session, at, room)
                                 : recv(link->fd, at, room, 0);
}

static bool put(const struct link *link, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = link->session != NULL ? gnutls_record_send(link->session, at, len)
                                          : send(link->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* How long head and body are; 0 while the head is not complete. */
static size_t whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\ncontent-length:");
    if (end == NULL)
        return 0;
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return (size_t)(end - text) + 4 + body;
}

static const char *note_request(struct canned *server, const char *text)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t n = server->request_count;
    if (n < ANSWERS_MAX)
        server->requests[n] = strdup(text);
    server->request_count++;
    size_t at = n < server->answer_count ? n : server->answer_count - 1;
    const char *answer = server->answer_count > 0 ? server->answers[at] : CANNED_CLOSE;
    (void)pthread_mutex_unlock(&server->lock);
    return answer;
}

static void serve(const struct link *link)
{
    char *text = calloc(1, REQUEST_MAX + 1);
    size_t len = 0;
    while (text != NULL && len < REQUEST_MAX) {
        size_t want = whole(text);
        if (want == 0 || len < want) {
            ssize_t n = get(link, text + len, REQUEST_MAX - len);
            if (n <= 0)
                break;
            len += (size_t)n;
            continue;
        }
        const char *answer = note_request(link->server, text);
        memset(text, 0, REQUEST_MAX);
        len = 0;
        if (strcmp(answer, CANNED_CLOSE) == 0)
            break;
        if (strcmp(answer, CANNED_SILENT) != 0 && !put(link, answer, strlen(answer)))
            break;
    }
    free(text);
}

static void serve_tls(struct link *link)
{
    int rc = gnutls_init(&link->session, GNUTLS_SERVER);
    if (rc == 0)
        rc = gnutls_set_default_priority(link->session);
    if (rc == 0)
        rc = gnutls_credentials_set(link->session, GNUTLS_CRD_CERTIFICATE,
                                    link->server->credentials);
    if (rc == 0) {
        gnutls_transport_set_int(link->session, link->fd);
        do
            rc = gnutls_handshake(link->session);
        while (rc < 0 && gnutls_error_is_fatal(rc) == 0);
    }
    if (rc == 0)
        serve(link);
    gnutls_deinit(link->session);
}

static void *run(void *arg)
{
    struct canned *server = arg;
    for (;;) {
        struct pollfd fds[] = {{server->listener, POLLIN, 0}, {server->stop, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno == EINTR)
            continue;
        if (fds[1].revents != 0)
            return NULL;
        struct link link = {.server = server, .fd = accept(server->listener, NULL, NULL)};
        if (link.fd < 0)
            continue;
        (void)pthread_mutex_lock(&server->lock);
        server->connections++;
        (void)pthread_mutex_unlock(&server->lock);
        if (server->tls)
            serve_tls(&link);
        else
            serve(&link);
        (void)close(link.fd);
    }
}

static bool listen_local(struct canned *server)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(server->path, sizeof server->path, "/tmp/kt-canned-%d-%d", (int)getpid(),
                   server->stop);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%.100s", server->path);
    (void)snprintf(server->address, sizeof server->address, "unix://%s", server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *at = (const struct sockaddr *)(const void *)&name;
    return bind(server->listener, at, sizeof name) == 0 && listen(server->listener, 8) == 0;
}

static bool listen_port(struct canned *server)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr *at = (struct sockaddr *)(void *)&name;
    if (bind(server->listener, at, sizeof name) != 0 || listen(server->listener, 8) != 0 ||
        getsockname(server->listener, at, &len) != 0)
        return false;
    (void)snprintf(server->address, sizeof server->address, "%s://127.0.0.1:%u",
                   server->tls ? "https" : "http", ntohs(name.sin_port));
    return true;
}

struct canned *canned_start(const struct canned_options *options)
{
    struct canned *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    (void)pthread_mutex_init(&server->lock, NULL);
    server->stop = eventfd(0, EFD_CLOEXEC);
    server->tls = options->cert_file != NULL;
    if (server->tls &&
        (gnutls_certificate_allocate_credentials(&server->credentials) != 0 ||
         gnutls_certificate_set_x509_key_file(server->credentials, options->cert_file,
                                              options->key_file, GNUTLS_X509_FMT_PEM) != 0))
        abort();
    if (!(options->local ? listen_local(server) : listen_port(server)) ||
        pthread_create(&server->thread, NULL, run, server) != 0)
        abort();
    return server;
}

void canned_stop(struct canned *server)
{
    if (server == NULL)
        return;
    uint64_t one = 1;
    (void)!write(server->stop, &one, sizeof one); /* an eventfd takes it */
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    (void)close(server->stop);
    if (server->path[0] != '\0')
        (void)unlink(server->path);
    if (server->tls)
        gnutls_certificate_free_credentials(server->credentials);
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        free(server->answers[i]);
        free(server->requests[i]);
    }
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *canned_address(const struct canned *server)
{
    return server->address;
}

void canned_answer(struct canned *server, const char *bytes)
{
    (void)pthread_mutex_lock(&server->lock);
    if (server->answer_count < ANSWERS_MAX)
        server->answers[server->answer_count++] = strdup(bytes);
    (void)pthread_mutex_unlock(&server->lock);
}

void canned_json(struct canned *server, unsigned status, const char *json)
{
    size_t room = strlen(json) + 160;
    char *text = calloc(1, room);
    if (text == NULL)
        abort();
    (void)snprintf(
        text, room,
        "HTTP/1.1 %u x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
        strlen(json), json);
    canned_answer(server, text);
    free(text);
}

static size_t read_count(struct canned *server, const size_t *count)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t n = *count;
    (void)pthread_mutex_unlock(&server->lock);
    return n;
}

size_t canned_requests(struct canned *server)
{
    return read_count(server, &server->request_count);
}

size_t canned_connections(struct canned *server)
{
    return read_count(server, &server->connections);
}

const char *canned_request(struct canned *server, size_t n)
{
    (void)pthread_mutex_lock(&server->lock);
    const char *text = n < ANSWERS_MAX && server->requests[n] != NULL ? server->requests[n] : "";
    (void)pthread_mutex_unlock(&server->lock);
    return text;
}
