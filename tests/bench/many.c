/* many - very many connections to one vaultd that mostly wait.
 *
 *   --watch         each is an agent's: it long-polls fleet/watch/hI, takes its cursor from the answer,
 *                   and comes back after a loss as an agent does (lib/pace.h)
 *   --once PATH     each asks once and then stays open
 *   (neither)       each only connects (and shakes hands)
 *
 * Their own addresses are 127.0.0.2 and following (--addresses), tokens come from the lines of --tokens.
 * Prints "ready" once every connection stands and was answered; then it obeys lines of its standard
 * input and ends with that:
 *
 *   news NS    {"hosts", "p50_ms", "p99_ms", "max_ms"} of the answers with news that came since
 *              CLOCK_MONOTONIC NS, and nothing is awaited
 *   state      {"asking", "down", "lost"}: how many have a request under way, are not connected, and how
 *              often one lost its connection
 *   close      closes all; prints {} */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/api.h"
#include "lib/num.h"
#include "lib/pace.h"

#define TICK_MS  10
#define IN_MAX   8192u
#define NEVER    UINT64_MAX
#define OPENING_MAX 256u /* while none of them has stood yet */

struct options {
    const char *once, *token_file;
    uint64_t port, connections, addresses, wait;
    bool tls, watch;
};

enum phase { DOWN, CONNECTING, SHAKING, ASKING, RESTING };

struct line {
    int fd;
    enum phase phase;
    gnutls_session_t tls;
    struct kt_pace pace;
    uint64_t due_ns;  /* DOWN: connect again; RESTING: ask again */
    uint64_t news_ns; /* the last answer with news */
    bool answered;
    size_t have;
    char cursor[128];
    char in[IN_MAX];
};

struct crowd {
    struct options options;
    struct line *lines;
    char **tokens;
    size_t n, n_tokens, stands, opening;
    uint64_t lost;
    int epoll;
    bool closed;
    gnutls_certificate_credentials_t trust;
};

static uint64_t now_ns(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* ---- one connection ---- */

static void drop(struct line *line)
{
    if (line->tls != NULL)
        gnutls_deinit(line->tls);
    line->tls = NULL;
    if (line->fd >= 0)
        (void)close(line->fd);
    line->fd = -1;
    line->phase = DOWN;
    line->due_ns = NEVER;
}

static void lose(struct crowd *crowd, struct line *line)
{
    if (line->phase == CONNECTING || line->phase == SHAKING)
        crowd->opening--;
    crowd->lost++;
    drop(line);
    line->due_ns = now_ns() + (uint64_t)kt_pace_next_ms(&line->pace) * 1000000u;
}

static bool dial(struct crowd *crowd, struct line *line)
{
    size_t i = (size_t)(line - crowd->lines);
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i % crowd->options.addresses));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)crowd->options.port);
    int one = 1;
    line->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line->fd < 0)
        return false;
    (void)setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(line->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(line->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        (connect(line->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS))
        return false;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = line};
    line->phase = CONNECTING;
    line->have = 0;
    crowd->opening++;
    return epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, line->fd, &event) == 0;
}

static bool write_all(struct line *line, const char *text, size_t len)
{
    ssize_t n = line->tls == NULL ? send(line->fd, text, len, MSG_NOSIGNAL)
                                  : gnutls_record_send(line->tls, text, len);
    return n == (ssize_t)len; /* a request fits into an empty socket's buffer */
}

static bool ask(struct crowd *crowd, struct line *line)
{
    char text[2048], path[512];
    size_t i = (size_t)(line - crowd->lines);
    const struct options *options = &crowd->options;
    if (options->watch)
        (void)snprintf(path, sizeof path, "/v1/fleet/watch/h%zu?wait=%llu%s%s", i,
                       (unsigned long long)options->wait, line->cursor[0] != '\0' ? "&since=" : "",
                       line->cursor);
    else
        (void)snprintf(path, sizeof path, "%s", options->once);
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: b\r\nX-Vault-Token: %s\r\n\r\n",
                       path, crowd->n_tokens == 0 ? "" : crowd->tokens[i % crowd->n_tokens]);
    line->phase = ASKING;
    line->have = 0;
    return write_all(line, text, (size_t)len);
}

static void stands(struct crowd *crowd, struct line *line)
{
    if (!line->answered)
        crowd->stands++;
    line->answered = true;
}

static bool connected(struct crowd *crowd, struct line *line)
{
    crowd->opening--;
    if (crowd->options.watch || crowd->options.once != NULL)
        return ask(crowd, line);
    line->phase = RESTING;
    line->due_ns = NEVER;
    stands(crowd, line);
    return true;
}

static bool shake(struct crowd *crowd, struct line *line)
{
    if (!crowd->options.tls)
        return connected(crowd, line);
    if (line->tls == NULL) {
        if (gnutls_init(&line->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) != 0)
            return false;
        (void)gnutls_set_default_priority(line->tls);
        (void)gnutls_credentials_set(line->tls, GNUTLS_CRD_CERTIFICATE, crowd->trust);
        gnutls_transport_set_int(line->tls, line->fd);
    }
    line->phase = SHAKING;
    int code = gnutls_handshake(line->tls);
    if (code == 0)
        return connected(crowd, line);
    return !gnutls_error_is_fatal(code);
}

/* ---- answers ---- */

/* An answer of a watch; with a cursor it only says something when there is news. */
static bool understand(struct crowd *crowd, struct line *line, struct kt_bytes body)
{
    struct kt_json root = kt_json_value(body), data, secrets;
    int64_t hosts = 0, poll_ms = 0;
    bool first = line->cursor[0] == '\0';
    if (!kt_json_member(root, "data", &data) ||
        !kt_api_text(data, "cursor", line->cursor, sizeof line->cursor) ||
        !kt_json_member(data, "secrets", &secrets))
        return false;
    (void)kt_api_i64(data, "hosts", &hosts);
    (void)kt_api_i64(data, "next_poll_ms", &poll_ms);
    kt_pace_crowd(&line->pace, (uint64_t)hosts, crowd->options.tls);
    if (!first && kt_json_count(secrets) > 0)
        line->news_ns = now_ns();
    line->due_ns = now_ns() + (uint64_t)poll_ms * 1000000u;
    return true;
}

/* True: a whole answer; *ret_fine: and a good one. */
static bool whole(struct crowd *crowd, struct line *line, bool *ret_fine)
{
    line->in[line->have] = '\0';
    char *end = strstr(line->in, "\r\n\r\n");
    const char *length = strstr(line->in, "Content-Length: ");
    uint64_t len = 0;
    if (end == NULL)
        return false;
    *ret_fine = length != NULL && length < end &&
                kt_u64_parse(kt_bytes(length + 16, strcspn(length + 16, "\r")), IN_MAX, &len);
    if (*ret_fine && line->have < (size_t)(end + 4 - line->in) + len)
        return false;
    *ret_fine = *ret_fine && strncmp(line->in + 9, "200", 3) == 0;
    line->due_ns = NEVER;
    if (*ret_fine && crowd->options.watch)
        *ret_fine = understand(crowd, line, kt_bytes(end + 4, len));
    return true;
}

static bool hear(struct crowd *crowd, struct line *line)
{
    for (;;) {
        size_t room = sizeof line->in - 1 - line->have;
        ssize_t n = line->tls == NULL ? recv(line->fd, line->in + line->have, room, 0)
                                      : gnutls_record_recv(line->tls, line->in + line->have, room);
        if (n < 0)
            return line->tls == NULL ? errno == EAGAIN
                                     : n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
        if (n == 0)
            return false;
        line->have += (size_t)n;
        bool fine = false;
        if (line->phase != ASKING || !whole(crowd, line, &fine))
            continue;
        if (!fine)
            return false;
        line->phase = RESTING;
        line->have = 0;
        kt_pace_worked(&line->pace);
        stands(crowd, line);
    }
}

static void happened(struct crowd *crowd, struct line *line, uint32_t events)
{
    bool fine = (events & (EPOLLERR | EPOLLHUP)) == 0;
    if (fine && (line->phase == CONNECTING || line->phase == SHAKING) &&
        (line->phase == SHAKING || (events & EPOLLOUT) != 0))
        fine = shake(crowd, line);
    else if (fine && (events & EPOLLIN) != 0)
        fine = hear(crowd, line);
    if (!fine)
        lose(crowd, line);
}

/* ---- all ---- */

static void what_is_due(struct crowd *crowd)
{
    uint64_t now = now_ns();
    bool gently = crowd->stands < crowd->n;
    for (size_t i = 0; i < crowd->n; i++) {
        struct line *line = &crowd->lines[i];
        if (line->due_ns > now || (gently && line->phase == DOWN && crowd->opening >= OPENING_MAX))
            continue;
        line->due_ns = NEVER;
        bool fine = line->phase == DOWN ? dial(crowd, line) : ask(crowd, line);
        if (!fine)
            lose(crowd, line);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void tell_news(const struct crowd *crowd, uint64_t since)
{
    uint64_t *took = calloc(crowd->n + 1, sizeof *took);
    size_t n = 0;
    if (took == NULL)
        return;
    for (size_t i = 0; i < crowd->n; i++)
        if (crowd->lines[i].news_ns >= since)
            took[n++] = crowd->lines[i].news_ns - since;
    qsort(took, n, sizeof *took, by_value);
    (void)printf("{\"hosts\":%zu,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"max_ms\":%.1f}\n", n,
                 n == 0 ? 0 : (double)took[n / 2] / 1e6,
                 n == 0 ? 0 : (double)took[n * 99 / 100] / 1e6,
                 n == 0 ? 0 : (double)took[n - 1] / 1e6);
    free(took);
}

static void tell_state(const struct crowd *crowd)
{
    size_t asking = 0, down = 0;
    for (size_t i = 0; i < crowd->n; i++) {
        asking += crowd->lines[i].phase == ASKING;
        down += crowd->lines[i].fd < 0;
    }
    (void)printf("{\"asking\":%zu,\"down\":%zu,\"lost\":%llu}\n", asking, down,
                 (unsigned long long)crowd->lost);
}

/* False: the end. */
static bool obey(struct crowd *crowd)
{
    char text[128];
    ssize_t n = read(STDIN_FILENO, text, sizeof text - 1);
    uint64_t since = 0;
    if (n <= 0)
        return false;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "news ", 5) == 0 && kt_u64_parse(kt_str(text + 5), UINT64_MAX, &since)) {
        tell_news(crowd, since);
    } else if (strcmp(text, "close") == 0) {
        crowd->closed = true;
        for (size_t i = 0; i < crowd->n; i++)
            drop(&crowd->lines[i]);
        (void)printf("{}\n");
    } else {
        tell_state(crowd);
    }
    return fflush(stdout) == 0;
}

static int serve(struct crowd *crowd)
{
    bool said = false;
    struct epoll_event stdin_event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &stdin_event) != 0)
        return 1;
    for (;;) {
        struct epoll_event events[512];
        if (!crowd->closed)
            what_is_due(crowd);
        int n = epoll_wait(crowd->epoll, events, 512, TICK_MS);
        for (int i = 0; i < n; i++) {
            struct line *line = events[i].data.ptr;
            if (line == NULL && !obey(crowd))
                return 0;
            if (line != NULL && line->fd >= 0)
                happened(crowd, line, events[i].events);
        }
        if (!said && crowd->stands == crowd->n) {
            (void)printf("ready\n");
            (void)fflush(stdout);
            said = true;
        }
    }
}

static bool read_tokens(struct crowd *crowd)
{
    FILE *file = fopen(crowd->options.token_file, "re");
    char *line = NULL;
    size_t room = 0;
    crowd->tokens = calloc(crowd->n, sizeof *crowd->tokens);
    while (file != NULL && crowd->tokens != NULL && crowd->n_tokens < crowd->n &&
           getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        crowd->tokens[crowd->n_tokens++] = line;
        line = NULL;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return crowd->n_tokens > 0;
}

static bool begin(struct crowd *crowd)
{
    struct rlimit files = {.rlim_cur = 0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    crowd->n = (size_t)crowd->options.connections;
    crowd->lines = calloc(crowd->n, sizeof *crowd->lines);
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->lines == NULL || crowd->epoll < 0 ||
        gnutls_certificate_allocate_credentials(&crowd->trust) != 0)
        return false;
    for (size_t i = 0; i < crowd->n; i++) {
        crowd->lines[i].fd = -1;
        kt_pace_init(&crowd->lines[i].pace);
    }
    return crowd->options.token_file == NULL || read_tokens(crowd);
}

/* ---- the command line ---- */

static const struct {
    const char *name;
    size_t text, number, flag; /* offsets in struct options */
} flags[] = {
    {"--once", offsetof(struct options, once), SIZE_MAX, SIZE_MAX},
    {"--tokens", offsetof(struct options, token_file), SIZE_MAX, SIZE_MAX},
    {"--port", SIZE_MAX, offsetof(struct options, port), SIZE_MAX},
    {"--connections", SIZE_MAX, offsetof(struct options, connections), SIZE_MAX},
    {"--addresses", SIZE_MAX, offsetof(struct options, addresses), SIZE_MAX},
    {"--wait", SIZE_MAX, offsetof(struct options, wait), SIZE_MAX},
    {"--tls", SIZE_MAX, SIZE_MAX, offsetof(struct options, tls)},
    {"--watch", SIZE_MAX, SIZE_MAX, offsetof(struct options, watch)},
};

static bool parse(int argc, char **argv, struct options *options)
{
    char *at = (char *)options;
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < sizeof flags / sizeof flags[0] && strcmp(argv[i], flags[k].name) != 0)
            k++;
        if (k == sizeof flags / sizeof flags[0])
            return false;
        bool yes = true;
        uint64_t number = 0;
        if (flags[k].flag != SIZE_MAX)
            memcpy(at + flags[k].flag, &yes, sizeof yes);
        else if (++i == argc)
            return false;
        else if (flags[k].text != SIZE_MAX)
            memcpy(at + flags[k].text, &argv[i], sizeof argv[i]);
        else if (!kt_u64_parse(kt_str(argv[i]), 1000000, &number))
            return false;
        else
            memcpy(at + flags[k].number, &number, sizeof number);
    }
    return options->port != 0 && options->connections != 0 && options->addresses != 0;
}

int main(int argc, char **argv)
{
    static struct crowd crowd = {.options = {.addresses = 16, .wait = 300}};
    if (!parse(argc, argv, &crowd.options) || !begin(&crowd)) {
        (void)fprintf(stderr, "usage: many --port N --connections N [--watch | --once PATH] [--tls] "
                              "[--tokens FILE] [--addresses N] [--wait SECONDS]\n");
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return serve(&crowd);
}
