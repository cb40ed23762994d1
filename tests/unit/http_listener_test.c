/* The listeners over real sockets, with a pipeline of our own behind them: what reaches it, what
 * never does, and how connections live and end. Short deadlines stand in for the real ones. */
#include "vaultd/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "vaultd/core/pipeline.h"
#include "vaultd/http/certificate.h"

/* ---- the pipeline behind the listeners ------------------------------------------------------ */

#define BIG_BYTES (1024u * 1024u)
#define SLOTS     64

static struct {
    pthread_mutex_t lock;
    struct request *waiting[SLOTS]; /* suspended at /v1/wait */
    atomic_uint ran, freed;
} vault = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct answer {
    unsigned status;
    struct kt_buf body;
    bool woken, authenticated;
};

void request_init(struct request *req, struct core *core, enum request_origin origin,
                  const struct request_carrier *carrier, void *carrier_data)
{
    *req = (struct request){.magic = REQUEST_MAGIC,
                            .core = core,
                            .origin = origin,
                            .carrier = carrier,
                            .carrier_data = carrier_data};
    kt_arena_init(&req->arena, 64 * 1024);
}

void request_free(struct request *req)
{
    struct answer *answer = req->handler_data;
    if (answer != NULL)
        kt_buf_free(&answer->body);
    kt_arena_free(&req->arena);
    atomic_fetch_add(&vault.freed, 1);
}

/* Echoes what arrived as one JSON line. */
static void echo(const struct request *req, struct answer *answer)
{
    kt_buf_printf(&answer->body,
                  "{\"method\":\"%.*s\",\"target\":\"%.*s\",\"query\":\"%.*s\",\"token\":\"%.*s\","
                  "\"ns\":\"%.*s\",\"type\":\"%.*s\",\"body\":%zu,\"first\":\"%.*s\","
                  "\"from\":\"%s\",\"uid\":%d}\n",
                  (int)req->method.len, (const char *)req->method.at, (int)req->target.len,
                  (const char *)req->target.at, (int)req->query.len, (const char *)req->query.at,
                  (int)req->token_text.len, (const char *)req->token_text.at, (int)req->ns.len,
                  (const char *)req->ns.at, (int)req->content_type.len,
                  (const char *)req->content_type.at, req->body.len,
                  (int)(req->body.len < 8 ? req->body.len : 8), (const char *)req->body.at,
                  req->remote_address, (int)req->peer_uid);
}

static void wait_for_news(struct request *req)
{
    (void)pthread_mutex_lock(&vault.lock);
    for (size_t i = 0; i < SLOTS; i++) {
        if (vault.waiting[i] != NULL)
            continue;
        req->carrier->suspend(req);
        vault.waiting[i] = req;
        break;
    }
    (void)pthread_mutex_unlock(&vault.lock);
}

enum pipeline_state pipeline_run(struct request *req)
{
    struct answer *answer = req->handler_data;
    atomic_fetch_add(&vault.ran, 1);
    if (answer == NULL) {
        answer = req->handler_data = kt_arena_take(&req->arena, sizeof *answer);
        kt_buf_init(&answer->body, 4 * BIG_BYTES);
        answer->authenticated = kt_bytes_is(req->token_text, "good");
        if (kt_bytes_is(req->target, "/v1/wait")) {
            answer->woken = true;
            wait_for_news(req);
            return PIPELINE_WAIT;
        }
    }
    answer->status = 200;
    if (req->refusal != NULL) {
        answer->status = req->refusal_status != 0 ? req->refusal_status : 400;
        req->reply.retry_after_s = answer->status == 503 ? 1 : 0;
        kt_buf_printf(&answer->body, "{\"errors\":[\"%s\"]}\n", req->refusal);
    } else if (req->body_too_large) {
        answer->status = 413;
        kt_buf_add_text(&answer->body, "{\"errors\":[\"http: request body too large\"]}\n");
    } else if (kt_bytes_is(req->target, "/v1/none")) {
        answer->status = 204;
    } else if (kt_bytes_is(req->target, "/v1/big")) {
        memset(kt_buf_grow(&answer->body, BIG_BYTES), 'x', BIG_BYTES);
    } else {
        echo(req, answer);
    }
    return PIPELINE_DONE;
}

unsigned pipeline_status(const struct request *req)
{
    return ((const struct answer *)req->handler_data)->status;
}
struct kt_bytes pipeline_body(const struct request *req)
{
    return kt_buf_bytes(&((const struct answer *)req->handler_data)->body);
}
const char *pipeline_content_type(const struct request *req)
{
    (void)req;
    return "application/json";
}
bool pipeline_authenticated(const struct request *req)
{
    return ((const struct answer *)req->handler_data)->authenticated;
}
bool pipeline_waited(const struct request *req)
{
    const struct answer *answer = req->handler_data;
    return answer != NULL && answer->woken;
}

static size_t waiting(void)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&vault.lock);
    for (size_t i = 0; i < SLOTS; i++)
        n += vault.waiting[i] != NULL;
    (void)pthread_mutex_unlock(&vault.lock);
    return n;
}

/* Whether the clients of those that wait have left, as their carrier knows. */
static bool all_gone(void)
{
    bool gone = true;
    (void)pthread_mutex_lock(&vault.lock);
    for (size_t i = 0; i < SLOTS; i++)
        if (vault.waiting[i] != NULL)
            gone = gone && vault.waiting[i]->carrier->gone(vault.waiting[i]);
    (void)pthread_mutex_unlock(&vault.lock);
    return gone;
}

static void wake_all(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        (void)pthread_mutex_lock(&vault.lock);
        struct request *req = vault.waiting[i];
        vault.waiting[i] = NULL;
        (void)pthread_mutex_unlock(&vault.lock);
        if (req != NULL)
            req->carrier->resume(req);
    }
}

/* ---- a server and a client ------------------------------------------------------------------- */

static struct http_server *server;
static struct core *const no_core = NULL;
static char folder[] = "/tmp/kt-http-test-XXXXXX";
static char socket_path[64], cert_path[64], key_path[64];

#define MUCH_MS  60000 /* ends what hangs */
#define SHORT_MS 1500  /* the longest deadline of short_limits(); a busy machine must be quicker */

static struct http_limits short_limits(void)
{
    struct http_limits limits = http_default_limits;
    limits.threads = 2;
    limits.max_connections = 400;
    limits.max_request_bytes = 64 * 1024;
    limits.anonymous_body_bytes = 100 * 1024;
    limits.deadlines = (struct deadline_limits){.header_ms = SHORT_MS * 4 / 5,
                                                .body_ms = SHORT_MS,
                                                .body_grace_ms = SHORT_MS * 2 / 5,
                                                .body_rate = 4096,
                                                .reply_ms = SHORT_MS,
                                                .idle_ms = SHORT_MS,
                                                .per_address = 256,
                                                .address_grace_ms = 40};
    return limits;
}

static void start(const struct http_limits *limits)
{
    struct kt_err err = {0};
    const struct http_listener_config configs[] = {
        {.address = "127.0.0.1:0"},
        {.is_unix = true, .address = socket_path, .mode = 0660},
        {.address = "127.0.0.1:0", .tls = true, .cert_file = cert_path, .key_file = key_path},
        {.address = "127.0.0.1:0",
         .forwarded = {.trusted = {.at = {{.at = {127}, .bits = 8}}, .n = 1},
                       .hop_skips = 1,
                       .refuse_absent = true,
                       .refuse_stranger = true}},
    };
    if (http_server_new(limits, &kt_system_clock, &server, &err) != KT_OK)
        fail_msg("%s", err.what);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (http_server_listen(server, &configs[i], &err) != KT_OK)
            fail_msg("%s", err.what);
    if (http_server_start(server, no_core, &err) != KT_OK)
        fail_msg("%s", err.what);
}

/* For tests that are not about time: no deadline ends what a slow machine does slowly. */
static struct http_limits patient_limits(void)
{
    struct http_limits limits = short_limits();
    limits.deadlines.header_ms = limits.deadlines.body_ms = MUCH_MS;
    limits.deadlines.reply_ms = limits.deadlines.idle_ms = MUCH_MS;
    return limits;
}

static int begin(void **state)
{
    (void)state;
    struct http_limits limits = patient_limits();
    start(&limits);
    return 0;
}

static int begin_short(void **state)
{
    (void)state;
    struct http_limits limits = short_limits();
    start(&limits);
    return 0;
}

static int end(void **state)
{
    (void)state;
    wake_all();
    if (!http_server_stop(server, MUCH_MS))
        return -1;
    http_server_free(server);
    server = NULL;
    return 0;
}

static int dial_at(size_t listener)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server, listener)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static int dial(void)
{
    return dial_at(0);
}

static void say(int fd, const void *text, size_t len)
{
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    return poll(&at, 1, timeout_ms) == 1;
}

struct got {
    unsigned status;
    bool closed; /* the connection ended before or after this response */
    char *body;
    size_t body_len;
    char head[2048];
};

static void forget(struct got *got)
{
    free(got->body);
    got->body = NULL;
}

static bool header_is(const struct got *got, const char *line)
{
    return strstr(got->head, line) != NULL;
}

/* One response by its Content-Length. status 0: the connection ended (or nothing came in time). */
static struct got hear(int fd, bool head_only)
{
    struct got got = {0};
    size_t have = 0;
    while (have < sizeof got.head - 1 && strstr(got.head, "\r\n\r\n") == NULL) {
        char c;
        if (!readable(fd, MUCH_MS) || recv(fd, &c, 1, 0) != 1) {
            got.closed = true;
            return got;
        }
        got.head[have++] = c;
        got.head[have] = '\0';
    }
    assert_int_equal(sscanf(got.head, "HTTP/1.%*u %u", &got.status), 1);
    const char *length = strstr(got.head, "Content-Length: ");
    size_t wanted = length == NULL || head_only ? 0 : strtoul(length + 16, NULL, 10);
    got.body = calloc(1, wanted + 1);
    assert_non_null(got.body);
    while (got.body_len < wanted) {
        ssize_t n =
            readable(fd, MUCH_MS) ? recv(fd, got.body + got.body_len, wanted - got.body_len, 0) : -1;
        if (n <= 0) {
            got.closed = true;
            break;
        }
        got.body_len += (size_t)n;
    }
    return got;
}

/* Whether the peer ends the connection within the time; whatever it still says is skipped. */
static bool ends(int fd, int timeout_ms)
{
    char skip[4096];
    for (;;) {
        if (!readable(fd, timeout_ms))
            return false;
        ssize_t n = recv(fd, skip, sizeof skip, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return true;
        if (n < 0)
            return false;
    }
}

static void until(bool (*holds)(void))
{
    for (int i = 0; i < MUCH_MS && !holds(); i++)
        (void)poll(NULL, 0, 1);
    assert_true(holds());
}

/* ---- what arrives ---------------------------------------------------------------------------- */

struct arrival {
    const char *name, *request;
    unsigned status;
    const char *body; /* a part of it; NULL: any */
    bool closes;
};

/* clang-format off */
static const struct arrival arrivals[] = {
    {"a path arrives as it was sent",
     "GET /v1/secret%2fa%00b/%zz/./x?list=true&a=%41+b HTTP/1.1\r\nHost: a\r\n\r\n", 200,
     "\"target\":\"/v1/secret%2fa%00b/%zz/./x\",\"query\":\"list=true&a=%41+b\"", false},
    {"an own method", "LIST /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "\"method\":\"LIST\"", false},
    {"a lower-case method is another", "get /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "\"method\":\"get\"", false},
    {"a body", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "\"body\":3,\"first\":\"abc\"", false},
    {"a chunked body", "PUT /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "\"body\":5,\"first\":\"abcde\"", false},
    {"an empty body", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200, "\"body\":0", false},
    {"a token", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: t1\r\n\r\n", 200, "\"token\":\"t1\"", false},
    {"a bearer token", "GET /v1/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t2\r\n\r\n", 200, "\"token\":\"t2\"", false},
    {"a namespace", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Namespace: n/\r\n\r\n", 200, "\"ns\":\"n/\"", false},
    {"where it came from", "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "\"from\":\"127.0.0.1\"", false},
    {"two tokens", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: a\r\nX-Vault-Token: b\r\n\r\n", 400, "two different X-Vault-Token", false},
    {"absolute form arrives as it was sent", "GET http://evil/v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "\"target\":\"http://evil/v1/x\"", false},
    {"nothing to say", "GET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n", 204, NULL, false},
    {"HTTP/1.0 closes", "GET /v1/x HTTP/1.0\r\n\r\n", 200, NULL, true},
    {"no host", "GET /v1/x HTTP/1.1\r\n\r\n", 400, NULL, true},
    {"two hosts", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "may appear once", true},
    {"a space before the colon", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400, NULL, true},
    {"two lengths", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 40\r\n\r\nabcGET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "may appear once", true},
    {"the same length twice", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "may appear once", true},
    {"length and chunked", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "exclude each other", true},
    {"gzip, chunked", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "must be chunked", true},
    {"xchunked", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "must be chunked", true},
    {"a folded length", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n 7\r\n\r\nabc", 400, "folded", true},
    {"a folded encoding", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, "folded", true},
    {"a body announced too large", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413, "too large", true},
    {"bodies over the budget", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400, NULL, true},
};
/* clang-format on */

static void arrives(void **state)
{
    const struct arrival *row = *state;
    unsigned ran = atomic_load(&vault.ran);
    int fd = dial();
    say_text(fd, row->request);
    struct got got = hear(fd, false);
    if (got.status != row->status || (row->body != NULL && strstr(got.body, row->body) == NULL))
        fail_msg("status %u, body %s", got.status, got.body == NULL ? "" : got.body);
    if (got.status != 400 || got.body[0] == '{') { /* the library's own refusals are HTML */
        assert_true(header_is(&got, "Content-Type: application/json\r\n"));
        assert_true(header_is(&got, "Cache-Control: no-store\r\n"));
        assert_false(header_is(&got, "Strict-Transport-Security"));
    }
    assert_int_equal(ends(fd, row->closes ? MUCH_MS : 0), row->closes);
    assert_true(atomic_load(&vault.ran) - ran <= 1); /* nothing was smuggled in behind it */
    forget(&got);
    (void)close(fd);
}

static void ask_proxied(size_t listener, const char *lines, unsigned status, const char *says)
{
    char request[512];
    (void)snprintf(request, sizeof request, "GET /v1/x HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    int fd = dial_at(listener);
    say_text(fd, request);
    struct got got = hear(fd, false);
    assert_int_equal(got.status, status);
    if (strstr(got.body, says) == NULL)
        fail_msg("no %s in %s", says, got.body);
    forget(&got);
    (void)close(fd);
}

/* A listener that trusts proxies goes by what they say, in the order of their lines; others do not look. */
static void a_proxy_names_the_client(void **state)
{
    (void)state;
    static const char two[] = "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Vault-Token: t\r\n"
                              "X-Forwarded-For: 10.0.0.9\r\n";
    ask_proxied(3, two, 200, "\"from\":\"192.0.2.1\"");
    ask_proxied(3, "X-Forwarded-For: 192.0.2.1\r\n", 400, "would skip before earliest");
    ask_proxied(3, "", 400, "missing x-forwarded-for header");
    ask_proxied(0, two, 200, "\"from\":\"127.0.0.1\"");
}

/* However many a proxy has open: it stands for many. */
static void a_proxy_is_not_counted(void **state)
{
    (void)state;
    int fds[40];
    struct http_limits limits = patient_limits();
    limits.deadlines.per_address = 2;
    limits.deadlines.address_grace_ms = 0;
    start(&limits);
    for (size_t i = 0; i < 40; i++)
        fds[i] = dial_at(3);
    for (size_t i = 0; i < 40; i++) {
        say_text(fds[i], "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.9\r\n\r\n");
        struct got got = hear(fds[i], false);
        assert_int_equal(got.status, 200);
        forget(&got);
    }
    struct http_counts counts;
    http_server_counts(server, &counts);
    assert_int_equal(counts.connections.unauthenticated, 0);
    assert_int_equal(counts.connections.over_address, 0);
    for (size_t i = 0; i < 40; i++)
        (void)close(fds[i]);
}

static void echoes_the_namespace(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Namespace: n/\r\n\r\n");
    struct got got = hear(fd, false);
    assert_true(header_is(&got, "X-Vault-Namespace: n/\r\n"));
    forget(&got);
    (void)close(fd);
}

static void nul_in_the_target(void **state)
{
    (void)state;
    static const char request[] = "GET /v1/secret/a\0b HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = dial();
    say(fd, request, sizeof request - 1);
    struct got got = hear(fd, false);
    assert_int_equal(got.status, 400);
    assert_true(ends(fd, MUCH_MS));
    forget(&got);
    (void)close(fd);
}

static void target_length(void **state)
{
    (void)state;
    static const char tail[] = " HTTP/1.1\r\nHost: a\r\nX-Vault-Token: t\r\n\r\n";
    for (size_t len = 5120; len <= 5121; len++) {
        char request[5300] = "GET /v1/";
        memset(request + 8, 'a', len - 4);
        memcpy(request + 4 + len, tail, sizeof tail);
        int fd = dial();
        say_text(fd, request);
        struct got got = hear(fd, false);
        assert_int_equal(got.status, len > 5120 ? 414 : 200);
        forget(&got);
        (void)close(fd);
    }
}

static void header_block_limit(void **state)
{
    (void)state;
    /* What an ordinary client with a long token and cookies sends fits; far more does not. */
    static const struct {
        size_t value;
        unsigned status;
    } rows[] = {{6000, 200}, {9000, 431}};
    for (size_t i = 0; i < 2; i++) {
        char request[16384] = "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: ";
        size_t at = strlen(request);
        memset(request + at, 't', rows[i].value);
        memcpy(request + at + rows[i].value, "\r\n\r\n", 5);
        int fd = dial();
        say_text(fd, request);
        struct got got = hear(fd, false);
        assert_int_equal(got.status, rows[i].status);
        forget(&got);
        (void)close(fd);
    }
}

static void head_has_no_body(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "HEAD /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got got = hear(fd, true);
    assert_int_equal(got.status, 200);
    assert_true(header_is(&got, "Content-Length: "));
    say_text(fd, "GET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got next = hear(fd, false);
    assert_int_equal(next.status, 204);
    forget(&got);
    forget(&next);
    (void)close(fd);
}

static void keeps_alive(void **state)
{
    (void)state;
    int fd = dial();
    for (int i = 0; i < 5; i++) {
        say_text(fd, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        struct got got = hear(fd, false);
        assert_int_equal(got.status, 200);
        assert_false(header_is(&got, "Connection: close"));
        forget(&got);
    }
    (void)close(fd);
}

static void pipelines(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "GET /v1/1 HTTP/1.1\r\nHost: a\r\n\r\n"
                 "POST /v1/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                 "GET /v1/3 HTTP/1.1\r\nHost: a\r\n\r\n");
    static const char *const targets[] = {"/v1/1", "/v1/2", "/v1/3"};
    for (size_t i = 0; i < 3; i++) {
        struct got got = hear(fd, false);
        assert_int_equal(got.status, 200);
        assert_non_null(strstr(got.body, targets[i]));
        forget(&got);
    }
    (void)close(fd);
}

static void sends_large_answers(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "GET /v1/big HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got got = hear(fd, false);
    assert_int_equal(got.body_len, BIG_BYTES);
    forget(&got);
    (void)close(fd);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void takes_a_body_in_pieces(void **state)
{
    (void)state;
    static char piece[4096];
    memset(piece, 'b', sizeof piece);
    int fd = dial();
    say_text(fd, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    for (int i = 0; i < 16; i++)
        say(fd, piece, sizeof piece);
    struct got got = hear(fd, false);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.body, "\"body\":65536,\"first\":\"bbbbbbbb\""));
    forget(&got);
    (void)close(fd);
}

static void bounds_a_chunked_body(void **state)
{
    (void)state;
    static char chunk[1 + 6 + 4096 + 2];
    (void)snprintf(chunk, 7, "1000\r\n");
    memset(chunk + 6, 'c', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    int fd = dial();
    say_text(fd, "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++)
        say(fd, chunk, 6 + 4096 + 2);
    say_text(fd, "0\r\n\r\n");
    struct got got = hear(fd, false);
    assert_int_equal(got.status, 413);
    forget(&got);
    (void)close(fd);
    /* One that never stops is cut off. */
    fd = dial();
    say_text(fd, "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 40; i++)
        (void)!send(fd, chunk, 6 + 4096 + 2, MSG_NOSIGNAL);
    assert_true(ends(fd, MUCH_MS / 2)); /* before its deadline */
    (void)close(fd);
}

static void bounds_bodies_in_flight(void **state)
{
    (void)state;
    static char half[40 * 1024];
    int fds[3];
    /* Two bodies of 40 KiB stand half-sent; the third would pass the budget of 100 KiB. */
    for (size_t i = 0; i < 2; i++) {
        fds[i] = dial();
        say_text(fds[i], "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n");
        say(fds[i], half, sizeof half);
    }
    struct http_counts counts = {0};
    for (int i = 0; i < MUCH_MS && counts.body_bytes < 2 * sizeof half; i++) {
        http_server_counts(server, &counts);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(counts.body_bytes, 2 * sizeof half);
    fds[2] = dial();
    say_text(fds[2], "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n");
    struct got got = hear(fds[2], false);
    assert_int_equal(got.status, 503);
    assert_true(header_is(&got, "Retry-After: "));
    forget(&got);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void cuts_a_slow_header(void **state)
{
    (void)state;
    static const char request[] = "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Slow: yes\r\n\r\n";
    int fd = dial();
    bool ended = false;
    /* A byte each time never looks inactive; whole it would take twice what is allowed. */
    for (size_t i = 0; i < sizeof request - 1 && !ended; i++)
        ended = send(fd, request + i, 1, MSG_NOSIGNAL) != 1 ||
                ends(fd, 2 * SHORT_MS / (int)sizeof request);
    assert_true(ended);
    (void)close(fd);
}

static void cuts_a_slow_body(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    bool ended = false;
    for (int i = 0; i < 60 && !ended; i++)
        ended = send(fd, "b", 1, MSG_NOSIGNAL) != 1 || ends(fd, 2 * SHORT_MS / 60);
    assert_true(ended);
    (void)close(fd);
}

static void cuts_silence(void **state)
{
    (void)state;
    int never = dial(), once = dial();
    say_text(once, "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got got = hear(once, false);
    assert_int_equal(got.status, 200);
    assert_true(ends(never, MUCH_MS));
    assert_true(ends(once, MUCH_MS));
    forget(&got);
    (void)close(never);
    (void)close(once);
}

static bool one_waits(void)
{
    return waiting() == 1;
}

static void waits_beyond_every_deadline(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "GET /v1/wait HTTP/1.1\r\nHost: a\r\n\r\n");
    until(one_waits);
    assert_false(readable(fd, SHORT_MS + 500)); /* longer than any deadline of this test */
    struct http_counts counts;
    http_server_counts(server, &counts);
    assert_int_equal(counts.suspended, 1);
    wake_all();
    struct got got = hear(fd, false);
    assert_int_equal(got.status, 200);
    say_text(fd, "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got next = hear(fd, false);
    assert_int_equal(next.status, 200);
    forget(&got);
    forget(&next);
    (void)close(fd);
}

static unsigned freed_before;
static bool one_more_freed(void)
{
    return atomic_load(&vault.freed) == freed_before + 1;
}

static void forgets_who_left_while_waiting(void **state)
{
    (void)state;
    int fd = dial();
    say_text(fd, "GET /v1/wait HTTP/1.1\r\nHost: a\r\n\r\n");
    until(one_waits);
    freed_before = atomic_load(&vault.freed);
    unsigned ran = atomic_load(&vault.ran);
    assert_false(all_gone());
    (void)close(fd);
    until(all_gone);
    wake_all();
    until(one_more_freed);
    assert_int_equal(atomic_load(&vault.ran), ran); /* not run for nobody */
}

static void many_wait_and_wake(void **state)
{
    (void)state;
    int fds[SLOTS];
    for (size_t i = 0; i < SLOTS; i++) {
        fds[i] = dial();
        say_text(fds[i], "GET /v1/wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int i = 0; i < MUCH_MS && waiting() < SLOTS; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(waiting(), SLOTS);
    wake_all();
    for (size_t i = 0; i < SLOTS; i++) {
        struct got got = hear(fds[i], false);
        assert_int_equal(got.status, 200);
        forget(&got);
        (void)close(fds[i]);
    }
}

/* ---- connections of one address -------------------------------------------------------------- */

static void puts_out_the_oldest_of_one_address(void **state)
{
    (void)state;
    struct http_limits limits = patient_limits();
    limits.deadlines.per_address = 4;
    start(&limits);
    int known[8], strangers[8];
    for (size_t i = 0; i < 8; i++) {
        known[i] = dial();
        say_text(known[i], "GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: good\r\n\r\n");
        struct got got = hear(known[i], false);
        assert_int_equal(got.status, 200);
        forget(&got);
    }
    for (size_t i = 0; i < 8; i++)
        strangers[i] = dial();
    /* Two threads accept, so which ones count as the oldest is nearly the order of dialling. */
    bool out[8] = {0};
    size_t n_out = 0;
    for (int round = 0; round < MUCH_MS / 16 && n_out < 4; round++) /* of 8 ms, before any deadline */
        for (size_t i = 0; i < 8; i++)
            if (!out[i] && ends(strangers[i], 1))
                n_out += out[i] = true;
    assert_int_equal(n_out, 4);
    for (size_t i = 0; i < 8; i++) {
        if (out[i])
            continue;
        say_text(strangers[i], "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
        struct got got = hear(strangers[i], false);
        assert_int_equal(got.status, 200);
        forget(&got);
    }
    for (size_t i = 0; i < 8; i++) {
        say_text(known[i], "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
        struct got got = hear(known[i], false);
        assert_int_equal(got.status, 200);
        forget(&got);
        (void)close(known[i]);
        (void)close(strangers[i]);
    }
}

/* ---- Unix socket, TLS, the end ----------------------------------------------------------------
 */

static void serves_a_unix_socket(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    say_text(fd, "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got got = hear(fd, false);
    char uid[32];
    (void)snprintf(uid, sizeof uid, "\"from\":\"unix\",\"uid\":%u}", (unsigned)geteuid());
    assert_non_null(strstr(got.body, uid));
    forget(&got);
    (void)close(fd);
    struct kt_err err = {0};
    const struct http_listener_config again = {.is_unix = true, .address = socket_path};
    assert_int_equal(http_server_listen(server, &again, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "already serves"));
}

/* A handshake, one request; the certificate's expiry tells which certificate it was. */
static unsigned tls_ask(time_t *ret_expires)
{
    gnutls_certificate_credentials_t trust;
    gnutls_session_t session;
    assert_int_equal(gnutls_certificate_allocate_credentials(&trust), 0);
    assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_set_default_priority(session), 0);
    assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust), 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server, 2)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    gnutls_transport_set_int(session, fd);
    int code = gnutls_handshake(session);
    if (code != 0)
        fail_msg("handshake: %s", gnutls_strerror(code));
    assert_true(gnutls_protocol_get_version(session) >= GNUTLS_TLS1_2);
    *ret_expires = gnutls_certificate_expiration_time_peers(session);
    static const char request[] = "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_true(gnutls_record_send(session, request, sizeof request - 1) > 0);
    char text[2048] = "";
    ssize_t n = gnutls_record_recv(session, text, sizeof text - 1);
    unsigned status = 0;
    assert_true(n > 0 && sscanf(text, "HTTP/1.1 %u", &status) == 1);
    assert_non_null(strstr(text, "Strict-Transport-Security: max-age=31536000"));
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(trust);
    (void)close(fd);
    return status;
}

static void make_certificate(int64_t from_now_s)
{
    struct kt_err err = {0};
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    if (certificate_make(folder, "localhost", now_ms - 86400000, now_ms + from_now_s * 1000,
                         &err) != KT_OK)
        fail_msg("%s", err.what);
}

static void serves_tls_and_takes_a_new_certificate(void **state)
{
    (void)state;
    time_t first = 0, second = 0, third = 0;
    assert_int_equal(tls_ask(&first), 200);
    make_certificate(7200);
    assert_int_equal(tls_ask(&second), 200);
    assert_int_equal(first, second); /* not before it is told */
    http_server_reload(server);
    assert_int_equal(tls_ask(&second), 200);
    assert_true(second > first);
    make_certificate(-3600);
    http_server_reload(server); /* expired: refused, the old one stays */
    assert_int_equal(tls_ask(&third), 200);
    assert_int_equal(third, second);
    make_certificate(3600);
}

static void refuses_a_bad_pair(void **state)
{
    (void)state;
    struct kt_err err = {0};
    struct certificate *certificate = NULL;
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    assert_int_equal(chmod(key_path, 0644), 0);
    assert_int_equal(certificate_load(cert_path, key_path, now_ms, &certificate, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "open to others"));
    assert_non_null(strstr(err.hint, "chmod 600"));
    assert_int_equal(chmod(key_path, 0600), 0);
    assert_int_equal(certificate_load(cert_path, cert_path, now_ms, &certificate, &err),
                     KT_INVALID);
    char other[80];
    (void)snprintf(other, sizeof other, "%s.old", cert_path);
    assert_int_equal(rename(cert_path, other), 0);
    make_certificate(3600);
    assert_int_equal(certificate_load(other, key_path, now_ms, &certificate, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "does not belong"));
    assert_int_equal(unlink(other), 0);
    assert_int_equal(certificate_load(cert_path, key_path, now_ms + 7200000, &certificate, &err),
                     KT_INVALID);
    assert_non_null(strstr(err.what, "expired on"));
    assert_int_equal(
        certificate_load(cert_path, key_path, now_ms - 2 * 86400000, &certificate, &err),
        KT_INVALID);
    assert_non_null(strstr(err.what, "valid only from"));
    assert_int_equal(certificate_load("/nonexistent", key_path, now_ms, &certificate, &err), KT_IO);
    assert_null(certificate);
}

static void says_that_a_port_is_taken(void **state)
{
    (void)state;
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(server, 0));
    const struct http_listener_config again = {.address = address};
    struct kt_err err = {0};
    assert_int_equal(http_server_listen(server, &again, &err), KT_IO);
    assert_int_equal(err.saved_errno, EADDRINUSE);
    assert_non_null(strstr(err.hint, "another program has this port"));
}

static void stops_cleanly(void **state)
{
    (void)state;
    struct http_limits limits = patient_limits();
    start(&limits);
    int idle = dial(), busy = dial();
    say_text(idle, "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
    struct got first = hear(idle, false);
    assert_int_equal(first.status, 200);
    say_text(busy, "GET /v1/wait HTTP/1.1\r\nHost: a\r\n\r\n");
    until(one_waits);
    assert_false(http_server_stop(server, 20)); /* somebody still waits: nothing is torn down */
    assert_true(ends(idle, MUCH_MS));
    wake_all();
    struct got last = hear(busy, false);
    assert_int_equal(last.status, 200);
    assert_true(header_is(&last, "Connection: close"));
    assert_true(http_server_stop(server, MUCH_MS));
    http_server_free(server);
    server = NULL;
    struct stat st;
    assert_int_equal(stat(socket_path, &st), -1);
    forget(&first);
    forget(&last);
    (void)close(idle);
    (void)close(busy);
}

static int make_folder(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(socket_path, sizeof socket_path, "%s/sock", folder);
    (void)snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    (void)snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    make_certificate(3600);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(socket_path);
    (void)unlink(cert_path);
    (void)unlink(key_path);
    return rmdir(folder);
}

#define SERVED(test)  cmocka_unit_test_setup_teardown(test, begin, end)
#define HURRIED(test) cmocka_unit_test_setup_teardown(test, begin_short, end)
static const struct CMUnitTest others[] = {
    SERVED(echoes_the_namespace),
    SERVED(nul_in_the_target),
    SERVED(target_length),
    SERVED(header_block_limit),
    SERVED(head_has_no_body),
    SERVED(keeps_alive),
    SERVED(pipelines),
    SERVED(sends_large_answers),
    SERVED(takes_a_body_in_pieces),
    SERVED(bounds_a_chunked_body),
    SERVED(bounds_bodies_in_flight),
    HURRIED(cuts_a_slow_header),
    HURRIED(cuts_a_slow_body),
    HURRIED(cuts_silence),
    HURRIED(waits_beyond_every_deadline),
    SERVED(forgets_who_left_while_waiting),
    SERVED(many_wait_and_wake),
    cmocka_unit_test_teardown(puts_out_the_oldest_of_one_address, end),
    SERVED(a_proxy_names_the_client),
    cmocka_unit_test_teardown(a_proxy_is_not_counted, end),
    SERVED(serves_a_unix_socket),
    SERVED(serves_tls_and_takes_a_new_certificate),
    cmocka_unit_test(refuses_a_bad_pair),
    SERVED(says_that_a_port_is_taken),
    cmocka_unit_test(stops_cleanly),
};
#define N_ARRIVALS (sizeof arrivals / sizeof arrivals[0])
#define N_OTHERS   (sizeof others / sizeof others[0])

int main(void)
{
    static struct CMUnitTest tests[N_ARRIVALS + N_OTHERS];
    for (size_t i = 0; i < N_ARRIVALS; i++)
        tests[i] = (struct CMUnitTest){.name = arrivals[i].name,
                                       .test_func = arrives,
                                       .setup_func = begin,
                                       .teardown_func = end,
                                       .initial_state = (void *)(uintptr_t)&arrivals[i]};
    memcpy(tests + N_ARRIVALS, others, sizeof others);
    return cmocka_run_group_tests_name("http_listener", tests, make_folder, remove_folder);
}
