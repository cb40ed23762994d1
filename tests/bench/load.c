/* load - HTTP/1.1 load on keep-alive connections, and what it measured as one JSON line.
 *
 * Each connection has one request under way. A thread serves its share of the connections with its
 * own epoll. In --path and --body each "%d" becomes the same random number below --keys, and "%t"
 * its thousands (with --walk the numbers go up one by one). The token comes from VAULT_TOKEN, or is a
 * random one of the lines of --tokens. With --rate the requests are offered at fixed times, whatever
 * became of those before, and a latency counts from the time at which its request was due. Latencies
 * are counted in buckets 1/32 of a power of two wide. --pid adds the CPU time that process took for
 * each request. An answer of another class than --expect, or a lost connection, is an error. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/num.h"
#include "lib/random.h"

#define REQUEST_MAX 65536u
#define SUB_BITS    5
#define BUCKETS     (40u << SUB_BITS)

struct options {
    const char *host, *unix_path, *method, *path, *body, *type, *token, *token_file;
    uint64_t port, connections, threads, keys, seconds, count, rate, pid, first_class;
    bool tls, walk;
    char **tokens; /* the lines of token_file */
    size_t n_tokens;
};

struct client {
    struct client *next_free;
    int fd;
    gnutls_session_t tls;
    uint64_t began_ns;
    size_t sent, length; /* of the request in `out` */
    size_t have;         /* bytes of the answer's header in `in` */
    uint64_t body_left;
    bool in_body;
    unsigned status;
    char *out;
    char in[4096];
};

struct crowd {
    const struct options *options;
    pthread_t thread;
    size_t n, busy; /* connections, and those with a request under way */
    struct client *clients;
    uint64_t requests, errors, statuses[6];
    uint64_t buckets[BUCKETS];
    uint64_t max_ns;
    int epoll, timer;
    /* With --rate: those without a request, the longest idle first, so that none is cut off as silent. */
    struct client *free, *free_last;
    uint64_t due_ns;     /* with --rate: of the next request */
};

static atomic_uint_fast64_t left, walked;
static atomic_uint running;
static atomic_bool over;
static pthread_barrier_t ready;

static uint64_t now_ns(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* ---- latencies ---- */

static size_t bucket_of(uint64_t ns)
{
    if (ns < (1u << SUB_BITS))
        return ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    size_t at = ((size_t)(power - SUB_BITS + 1) << SUB_BITS) +
                (size_t)((ns >> (power - SUB_BITS)) & ((1u << SUB_BITS) - 1));
    return at < BUCKETS ? at : BUCKETS - 1;
}

static double bucket_us(size_t at)
{
    if (at < (1u << SUB_BITS))
        return (double)at / 1000.0;
    size_t power = (at >> SUB_BITS) + SUB_BITS - 1;
    size_t sub = at & ((1u << SUB_BITS) - 1);
    return (double)(((1u << SUB_BITS) + sub) << (power - SUB_BITS)) / 1000.0;
}

static double percentile(const struct crowd *total, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)total->requests * share);
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += total->buckets[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return (double)total->max_ns / 1000.0;
}

/* ---- requests ---- */

/* Copies text with each %d and %t replaced; returns the end. */
static char *fill(char *to, const char *end, const char *text, uint64_t number)
{
    while (*text != '\0' && to + 24 < end) {
        if (text[0] == '%' && (text[1] == 'd' || text[1] == 't')) {
            uint64_t shown = text[1] == 'd' ? number : number / 1000;
            to += snprintf(to, 24, "%llu", (unsigned long long)shown);
            text += 2;
        } else {
            *to++ = *text++;
        }
    }
    return to;
}

static void compose(const struct options *options, struct client *client)
{
    uint64_t key = options->walk ? atomic_fetch_add(&walked, 1) % options->keys
                                 : kt_random_below((uint32_t)options->keys);
    char *at = client->out, *end = client->out + REQUEST_MAX - 512;
    at += snprintf(at, 32, "%s ", options->method);
    at = fill(at, end, options->path, key);
    at += snprintf(at, 512, " HTTP/1.1\r\nHost: bench\r\n");
    const char *token = options->n_tokens == 0
                            ? options->token
                            : options->tokens[kt_random_below((uint32_t)options->n_tokens)];
    if (token != NULL)
        at += snprintf(at, 512, "X-Vault-Token: %.400s\r\n", token);
    if (options->body != NULL) {
        static _Thread_local char body[REQUEST_MAX];
        size_t len = (size_t)(fill(body, body + sizeof body / 2, options->body, key) - body);
        at += snprintf(at, 512, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", options->type,
                       len);
        memcpy(at, body, len);
        at += len;
    } else {
        at += snprintf(at, 8, "\r\n");
    }
    client->length = (size_t)(at - client->out);
    client->sent = 0;
}

/* ---- bytes ---- */

static ssize_t give(struct client *client)
{
    const char *at = client->out + client->sent;
    size_t len = client->length - client->sent;
    if (client->tls == NULL)
        return send(client->fd, at, len, MSG_NOSIGNAL);
    ssize_t n = gnutls_record_send(client->tls, at, len);
    errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? EAGAIN : EPIPE;
    return n < 0 ? -1 : n;
}

static ssize_t take(struct client *client, void *at, size_t len)
{
    if (client->tls == NULL)
        return recv(client->fd, at, len, 0);
    ssize_t n = gnutls_record_recv(client->tls, at, len);
    errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? EAGAIN : EPIPE;
    return n < 0 ? -1 : n;
}

static int dial_socket(const struct options *options)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
    int one = 1;
    int fd = socket(options->unix_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (options->unix_path != NULL) {
        (void)snprintf(local.sun_path, sizeof local.sun_path, "%s", options->unix_path);
        if (connect(fd, (struct sockaddr *)&local, sizeof local) == 0)
            return fd;
    } else {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (inet_pton(AF_INET, options->host, &inet.sin_addr) == 1 &&
            connect(fd, (struct sockaddr *)&inet, sizeof inet) == 0)
            return fd;
    }
    (void)close(fd);
    return -1;
}

static bool shake_hands(struct client *client, gnutls_certificate_credentials_t trust)
{
    if (gnutls_init(&client->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) != 0)
        return false;
    (void)gnutls_set_default_priority(client->tls);
    (void)gnutls_credentials_set(client->tls, GNUTLS_CRD_CERTIFICATE, trust);
    gnutls_transport_set_int(client->tls, client->fd);
    int code;
    do
        code = gnutls_handshake(client->tls);
    while (code < 0 && !gnutls_error_is_fatal(code));
    return code == 0;
}

static bool open_client(struct crowd *crowd, struct client *client,
                        gnutls_certificate_credentials_t trust)
{
    client->fd = dial_socket(crowd->options);
    client->out = malloc(REQUEST_MAX);
    if (client->fd < 0 || client->out == NULL)
        return false;
    if (crowd->options->tls && !shake_hands(client, trust))
        return false;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    return fcntl(client->fd, F_SETFL, O_NONBLOCK) == 0 &&
           epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

/* ---- answers ---- */

static bool may_ask(const struct options *options)
{
    if (atomic_load_explicit(&over, memory_order_relaxed))
        return false;
    if (options->count == 0)
        return true;
    uint64_t before = atomic_fetch_sub(&left, 1);
    return before > 0 && before <= options->count; /* beyond 0 it wraps around */
}

static void ask(struct crowd *crowd, struct client *client)
{
    client->length = 0;
    if (!may_ask(crowd->options))
        return;
    compose(crowd->options, client);
    client->have = 0;
    client->in_body = false;
    client->began_ns = now_ns();
    crowd->busy++;
}

static void set_free(struct crowd *crowd, struct client *client)
{
    client->next_free = NULL;
    if (crowd->free == NULL)
        crowd->free = client;
    else
        crowd->free_last->next_free = client;
    crowd->free_last = client;
}

static void finish(struct crowd *crowd, struct client *client)
{
    uint64_t took = now_ns() - client->began_ns;
    unsigned class = client->status / 100;
    crowd->buckets[bucket_of(took)]++;
    crowd->max_ns = took > crowd->max_ns ? took : crowd->max_ns;
    crowd->requests++;
    crowd->statuses[class < 6 ? class : 0]++;
    crowd->errors += class != crowd->options->first_class;
    crowd->busy--;
    if (crowd->options->rate == 0) {
        ask(crowd, client);
        return;
    }
    client->length = 0;
    set_free(crowd, client);
}

/* The header is whole: status and length. What came behind it belongs to the body. */
static bool read_header(struct client *client, const char *end)
{
    client->in[client->have] = '\0';
    const char *length = strstr(client->in, "Content-Length: ");
    uint64_t bytes = 0, status = 0;
    if (client->have < 12 || !kt_u64_parse(kt_bytes(client->in + 9, 3), 999, &status))
        return false;
    if (length != NULL && length < end &&
        !kt_u64_parse(kt_bytes(length + 16, strcspn(length + 16, "\r")), UINT64_MAX, &bytes))
        return false;
    size_t extra = client->have - (size_t)(end - client->in);
    client->status = (unsigned)status;
    client->in_body = true;
    client->body_left = bytes > extra ? bytes - extra : 0;
    return true;
}

/* Reads what there is; false: the connection is lost. *ret_whole: the answer is there. */
static bool hear(struct client *client, bool *ret_whole)
{
    static _Thread_local char skip[65536];
    for (;;) {
        if (client->in_body && client->body_left == 0) {
            *ret_whole = true;
            return true;
        }
        char *to = client->in_body ? skip : client->in + client->have;
        size_t room = client->in_body ? sizeof skip : sizeof client->in - 1 - client->have;
        if (client->in_body && client->body_left < room)
            room = client->body_left;
        ssize_t n = take(client, to, room);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        if (client->in_body) {
            client->body_left -= (uint64_t)n;
            continue;
        }
        client->have += (size_t)n;
        const char *end = memmem(client->in, client->have, "\r\n\r\n", 4);
        if (end == NULL ? client->have == sizeof client->in - 1 : !read_header(client, end + 4))
            return false;
    }
}

static bool progress(struct crowd *crowd, struct client *client)
{
    while (client->length > 0) {
        while (client->sent < client->length) {
            ssize_t n = give(client);
            if (n < 0)
                return errno == EAGAIN;
            client->sent += (size_t)n;
        }
        bool whole = false;
        if (!hear(client, &whole))
            return false;
        if (!whole)
            return true;
        finish(crowd, client);
    }
    return true;
}

static void lose(struct crowd *crowd, struct client *client)
{
    crowd->errors++;
    crowd->busy -= client->length > 0;
    client->length = 0;
    (void)close(client->fd);
    client->fd = -1;
}

static bool open_all(struct crowd *crowd)
{
    gnutls_certificate_credentials_t trust = NULL;
    if (crowd->options->tls && gnutls_certificate_allocate_credentials(&trust) != 0)
        return false;
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    crowd->clients = calloc(crowd->n, sizeof *crowd->clients);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (crowd->epoll < 0 || crowd->timer < 0 || crowd->clients == NULL ||
        epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, crowd->timer, &event) != 0)
        return false;
    for (size_t i = 0; i < crowd->n; i++)
        if (!open_client(crowd, &crowd->clients[i], trust)) {
            (void)fprintf(stderr, "load: connection %zu failed: %s\n", i, strerror(errno));
            return false;
        }
    return true;
}

static void ask_and_go(struct crowd *crowd, struct client *client)
{
    ask(crowd, client);
    if (!progress(crowd, client))
        lose(crowd, client);
}

/* What is due by now is asked on connections that are free; if none is, it is late and stays due. */
static void offer(struct crowd *crowd)
{
    const struct options *options = crowd->options;
    while (crowd->free != NULL && crowd->due_ns <= now_ns() && atomic_load(&over) == false) {
        struct client *client = crowd->free;
        uint64_t due_ns = crowd->due_ns;
        crowd->free = client->next_free;
        crowd->due_ns += options->threads * 1000000000u / options->rate;
        ask(crowd, client);
        client->began_ns = due_ns;
        if (!progress(crowd, client))
            lose(crowd, client);
    }
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(crowd->due_ns / 1000000000u),
                     .tv_nsec = (long)(crowd->due_ns % 1000000000u)}};
    if (crowd->free != NULL)
        (void)timerfd_settime(crowd->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void begin(struct crowd *crowd)
{
    crowd->due_ns = now_ns();
    for (size_t i = 0; i < crowd->n; i++) {
        if (crowd->options->rate == 0) {
            ask_and_go(crowd, &crowd->clients[i]);
            continue;
        }
        set_free(crowd, &crowd->clients[i]);
    }
}

static bool goes_on(const struct crowd *crowd)
{
    if (atomic_load_explicit(&over, memory_order_relaxed))
        return false;
    return crowd->busy > 0 || (crowd->options->rate != 0 && crowd->free != NULL);
}

static void *run(void *arg)
{
    struct crowd *crowd = arg;
    bool opened = open_all(crowd);
    if (!opened)
        atomic_store(&over, true);
    (void)pthread_barrier_wait(&ready);
    (void)pthread_barrier_wait(&ready);
    if (opened)
        begin(crowd);
    while (opened && goes_on(crowd)) {
        struct epoll_event events[256];
        if (crowd->options->rate != 0)
            offer(crowd);
        int n = epoll_wait(crowd->epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct client *client = events[i].data.ptr;
            if (client != NULL && client->fd >= 0 && !progress(crowd, client))
                lose(crowd, client);
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* ---- the whole ---- */

static uint64_t cpu_ns(uint64_t pid)
{
    clockid_t clock;
    struct timespec at;
    if (pid == 0 || clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &at) != 0)
        return 0;
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void add_up(struct crowd *total, const struct crowd *crowd)
{
    total->requests += crowd->requests;
    total->errors += crowd->errors;
    total->max_ns = crowd->max_ns > total->max_ns ? crowd->max_ns : total->max_ns;
    for (size_t i = 0; i < 6; i++)
        total->statuses[i] += crowd->statuses[i];
    for (size_t i = 0; i < BUCKETS; i++)
        total->buckets[i] += crowd->buckets[i];
}

static void print(const struct crowd *total, double seconds, double server_us)
{
    double requests = (double)total->requests;
    (void)printf("{\"requests\":%llu,\"errors\":%llu,\"seconds\":%.3f,\"rate\":%.0f,"
                 "\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,"
                 "\"status\":{\"2xx\":%llu,\"3xx\":%llu,\"4xx\":%llu,\"5xx\":%llu},"
                 "\"server_cpu_us\":%.2f}\n",
                 (unsigned long long)total->requests, (unsigned long long)total->errors, seconds,
                 seconds > 0 ? requests / seconds : 0, percentile(total, 0.5),
                 percentile(total, 0.9), percentile(total, 0.99), (double)total->max_ns / 1000.0,
                 (unsigned long long)total->statuses[2], (unsigned long long)total->statuses[3],
                 (unsigned long long)total->statuses[4], (unsigned long long)total->statuses[5],
                 requests > 0 ? server_us / requests : 0);
}

static int measure(const struct options *options)
{
    size_t n = (size_t)options->threads;
    struct crowd *crowds = calloc(n + 1, sizeof *crowds);
    if (crowds == NULL || pthread_barrier_init(&ready, NULL, (unsigned)n + 1) != 0)
        return 1;
    atomic_store(&left, options->count);
    atomic_store(&running, (unsigned)n);
    for (size_t i = 0; i < n; i++) {
        crowds[i].options = options;
        crowds[i].n = (size_t)options->connections / n + (i < options->connections % n);
        if (pthread_create(&crowds[i].thread, NULL, run, &crowds[i]) != 0)
            return 1;
    }
    (void)pthread_barrier_wait(&ready);
    if (atomic_load(&over))
        return 1;
    uint64_t cpu = cpu_ns(options->pid), began = now_ns();
    (void)pthread_barrier_wait(&ready);
    uint64_t until = began + options->seconds * 1000000000u;
    while (atomic_load(&running) > 0 && (options->seconds == 0 || now_ns() < until)) {
        struct timespec nap = {.tv_nsec = 2000000};
        (void)nanosleep(&nap, NULL);
    }
    atomic_store(&over, true);
    uint64_t ended = now_ns();
    cpu = cpu_ns(options->pid) - cpu;
    for (size_t i = 0; i < n; i++) {
        (void)pthread_join(crowds[i].thread, NULL);
        add_up(&crowds[n], &crowds[i]);
    }
    print(&crowds[n], (double)(ended - began) / 1e9, (double)cpu / 1000.0);
    return crowds[n].errors == 0 ? 0 : 2;
}

struct flag {
    const char *name, *help;
    size_t number, text; /* offsets; 0: not of this kind */
};
#define NUMBER(field) offsetof(struct options, field), SIZE_MAX
#define TEXT(field)   SIZE_MAX, offsetof(struct options, field)
static const struct flag flags[] = {
    {"host", "address of the server (127.0.0.1)", TEXT(host)},
    {"port", "its port", NUMBER(port)},
    {"unix", "its Unix socket instead", TEXT(unix_path)},
    {"connections", "kept open (64)", NUMBER(connections)},
    {"threads", "of this program (1)", NUMBER(threads)},
    {"method", "GET, POST, ...", TEXT(method)},
    {"path", "of the request; %d is a number below --keys, %t its thousands", TEXT(path)},
    {"body", "of the request, the same", TEXT(body)},
    {"type", "its Content-Type (application/json)", TEXT(type)},
    {"keys", "how many different numbers (1)", NUMBER(keys)},
    {"seconds", "how long (5)", NUMBER(seconds)},
    {"count", "how many requests instead", NUMBER(count)},
    {"rate", "how many requests a second are offered (as many as are answered)", NUMBER(rate)},
    {"tokens", "a file with a token a line, instead of VAULT_TOKEN", TEXT(token_file)},
    {"pid", "of the server, to measure its CPU time", NUMBER(pid)},
    {"expect", "2: 2xx is right (the default), 4: 4xx", NUMBER(first_class)},
};
#define FLAGS (sizeof flags / sizeof flags[0])

static int usage(void)
{
    (void)fprintf(stderr, "usage: load --port N [--tls] [--walk] [--flag value]...\n");
    for (size_t i = 0; i < FLAGS; i++)
        (void)fprintf(stderr, "  --%-12s %s\n", flags[i].name, flags[i].help);
    return 1;
}

static bool set(struct options *options, const struct flag *flag, const char *value)
{
    char *at = (char *)options;
    if (flag->text != SIZE_MAX) {
        memcpy(at + flag->text, &value, sizeof value);
        return true;
    }
    uint64_t number = 0;
    if (!kt_u64_parse(kt_str(value), UINT32_MAX, &number))
        return false;
    memcpy(at + flag->number, &number, sizeof number);
    return true;
}

static bool read_tokens(struct options *options)
{
    FILE *file = fopen(options->token_file, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while (file != NULL && (len = getline(&line, &room, file)) > 0) {
        if ((options->n_tokens & (options->n_tokens - 1)) == 0) {
            size_t more = options->n_tokens == 0 ? 1 : options->n_tokens * 2;
            char **at = realloc(options->tokens, more * sizeof *at);
            if (at == NULL)
                return false;
            options->tokens = at;
        }
        line[strcspn(line, "\n")] = '\0';
        options->tokens[options->n_tokens++] = line;
        line = NULL;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return options->n_tokens > 0 && options->n_tokens <= UINT32_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {.host = "127.0.0.1",
                              .method = "GET",
                              .path = "/v1/sys/health",
                              .type = "application/json",
                              .connections = 64,
                              .threads = 1,
                              .keys = 1,
                              .seconds = 5,
                              .first_class = 2};
    options.token = secure_getenv("VAULT_TOKEN");
    bool timed = false;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + (strncmp(argv[i], "--", 2) == 0 ? 2 : 0);
        size_t k = 0;
        while (k < FLAGS && strcmp(flags[k].name, name) != 0)
            k++;
        if (strcmp(name, "tls") == 0)
            options.tls = true;
        else if (strcmp(name, "walk") == 0)
            options.walk = true;
        else if (k == FLAGS || ++i == argc || !set(&options, &flags[k], argv[i]))
            return usage();
        timed = timed || strcmp(name, "seconds") == 0;
    }
    if (options.count != 0 && !timed)
        options.seconds = 0;
    if (options.threads == 0 || options.keys == 0 || options.connections < options.threads)
        return usage();
    if (options.token_file != NULL && !read_tokens(&options)) {
        (void)fprintf(stderr, "load: no tokens in %s\n", options.token_file);
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return measure(&options);
}
