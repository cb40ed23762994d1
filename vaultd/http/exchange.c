#include "vaultd/http/exchange.h"

#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "vaultd/core/pipeline.h"
#include "vaultd/http/answer.h"
#include "vaultd/http/headers.h"

#define EXCHANGE_MAGIC 0x65786331u

enum exchange_step {
    STEP_HEADER, /* the header is whole */
    STEP_BODY,
    STEP_RUN /* the request is whole; or refused before its body */
};

struct exchange {
    uint32_t magic;
    enum exchange_step step;
    struct http_server *server;
    struct conn *conn;
    struct MHD_Connection *mhd;
    bool tls;
    const char *uri; /* where the target stood in the connection's memory; never read */
    /* A refusal of ours; 0: none. The pipeline says it, for it is recorded. */
    unsigned refused_status;
    const char *refused_text;
    bool body_dropped;    /* too large or over a budget: the rest is thrown away */
    uint64_t body_seen;   /* bytes of the body so far */
    uint64_t body_budget; /* of them counted in the server's budgets */
    bool anonymous_budget;
    struct answer *answer; /* the prepared reply that was queued; NULL: another one, or none yet */
    struct kt_bytes chain[CLIENT_CHAIN_MAX]; /* the TLS session's, as long as the connection */
    struct kt_buf body;
    struct request req;
    size_t target_len;
    char target[];
};

/* ---- the carrier ---- */

static void suspend(struct request *req)
{
    struct exchange *ex = KT_OBJECT(struct exchange, req->carrier_data, EXCHANGE_MAGIC);
    atomic_fetch_add(&ex->server->suspended, 1);
    MHD_suspend_connection(ex->mhd);
}

static void resume(struct request *req)
{
    struct exchange *ex = KT_OBJECT(struct exchange, req->carrier_data, EXCHANGE_MAGIC);
    struct http_server *server = ex->server;
    /* From the next call on the daemon's thread owns the exchange. */
    MHD_resume_connection(ex->mhd);
    atomic_fetch_sub(&server->suspended, 1);
}

/* libmicrohttpd looks at no suspended connection, and closes none. */
static bool gone(const struct request *req)
{
    const struct exchange *ex = KT_OBJECT(struct exchange, req->carrier_data, EXCHANGE_MAGIC);
    struct pollfd at = {.fd = ex->conn->fd, .events = POLLRDHUP};
    return poll(&at, 1, 0) > 0;
}

static const struct request_carrier carrier = {suspend, resume, gone};

/* ---- begin ---- */

static struct conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct listener *listener = cls;
    struct http_server *server = listener->server;
    struct conn *conn = conn_of(mhd);
    size_t len = uri == NULL ? 0 : strlen(uri);
    if (conn == NULL)
        return NULL;
    conn_phase(conn, CONN_HEADER);
    size_t kept = len > EXCHANGE_TARGET_MAX ? 0 : len;
    struct exchange *ex = kt_malloc(sizeof *ex + kept + 1);
    if (ex == NULL)
        return NULL;
    ex->magic = EXCHANGE_MAGIC;
    ex->step = STEP_HEADER;
    ex->server = server;
    ex->conn = conn;
    ex->mhd = mhd;
    ex->tls = listener->config.tls;
    ex->uri = uri;
    ex->refused_status = 0;
    ex->body_dropped = false;
    ex->body_seen = 0;
    ex->body_budget = 0;
    ex->anonymous_budget = false;
    ex->answer = NULL;
    kt_buf_init(&ex->body, server->limits.max_request_bytes);
    request_init(&ex->req, server->core, listener->config.is_unix ? ORIGIN_UNIX : ORIGIN_TCP,
                 &carrier, ex);
    if (kept > 0)
        memcpy(ex->target, uri, kept);
    ex->target[kept] = '\0';
    ex->target_len = kept;
    if (kept != len) {
        ex->refused_status = MHD_HTTP_URI_TOO_LONG;
        ex->refused_text = "the path is too long";
    }
    kt_tally_add(&server->active, 1);
    return ex;
}

void exchange_end(void *cls, struct MHD_Connection *mhd, void **state,
                  enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)mhd;
    (void)code; /* a client that left early changes nothing: what was committed stays */
    if (*state == NULL)
        return;
    struct exchange *ex = KT_OBJECT(struct exchange, *state, EXCHANGE_MAGIC);
    *state = NULL;
    if (ex->body_budget != 0)
        atomic_fetch_sub(&ex->server->body_bytes, ex->body_budget);
    if (ex->anonymous_budget)
        atomic_fetch_sub(&ex->server->anonymous_body_bytes, ex->body_budget);
    request_free(&ex->req);
    kt_buf_free(&ex->body);
    answer_give(ex->answer);
    conn_phase(ex->conn, CONN_IDLE);
    kt_tally_add(&ex->server->active, -1);
    ex->magic = 0;
    free(ex);
}

/* ---- replies ---- */

static struct MHD_Response *response_of(struct kt_bytes body, enum MHD_ResponseMemoryMode mode)
{
    /* The library's parameter is not const; with these modes it only reads. */
    void *at = (void *)(uintptr_t)body.at; // NOLINT(performance-no-int-to-ptr)
    return MHD_create_response_from_buffer(body.len, at, mode);
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_number(struct MHD_Response *response, const char *name, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", value);
    return add(response, name, text);
}

static bool add_limit(struct MHD_Response *response, const struct request_limit *limit)
{
    return add_number(response, "X-Ratelimit-Limit", limit->limit) &&
           add_number(response, "X-Ratelimit-Remaining", limit->remaining) &&
           add_number(response, "X-Ratelimit-Reset", limit->reset_s);
}

static const char json[] = "application/json";

/* Whether this reply has header lines that not every reply has. */
static bool is_special(const struct exchange *ex, const char *content_type)
{
    return strcmp(content_type, json) != 0 || ex->req.ns.len > 0 || ex->req.reply.retry_after_s != 0 ||
           ex->req.limit.told ||
           atomic_load_explicit(&ex->server->draining, memory_order_relaxed);
}

static enum MHD_Result queue_special(struct exchange *ex, unsigned status, const char *content_type)
{
    unsigned retry_after_s = ex->req.reply.retry_after_s;
    struct MHD_Response *response = response_of(pipeline_body(&ex->req), MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    bool fine = answer_headers(response, content_type, ex->tls);
    if (ex->req.ns.len > 0) /* the library ends every value with a NUL */
        fine = fine && add(response, "X-Vault-Namespace", (const char *)ex->req.ns.at);
    if (retry_after_s != 0)
        fine = fine && add_number(response, MHD_HTTP_HEADER_RETRY_AFTER, retry_after_s);
    if (ex->req.limit.told)
        fine = fine && add_limit(response, &ex->req.limit);
    if (atomic_load_explicit(&ex->server->draining, memory_order_relaxed))
        fine = fine && add(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = fine ? MHD_queue_response(ex->mhd, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(struct exchange *ex)
{
    const struct request *req = &ex->req;
    const char *type = pipeline_content_type(req) == NULL ? json : pipeline_content_type(req);
    unsigned status = pipeline_status(req);
    if (pipeline_authenticated(req))
        conn_authenticated(ex->conn);
    conn_phase(ex->conn, CONN_REPLY);
    if (!is_special(ex, type))
        ex->answer = answer_take(pipeline_body(req), ex->tls);
    return ex->answer != NULL ? MHD_queue_response(ex->mhd, status, answer_response(ex->answer))
                              : queue_special(ex, status, type);
}

static enum MHD_Result run(struct exchange *ex)
{
    ex->step = STEP_RUN;
    conn_phase(ex->conn, CONN_BUSY);
    if (ex->refused_status != 0) {
        ex->req.refusal = ex->refused_text;
        ex->req.refusal_status = ex->refused_status;
    }
    if (pipeline_run(&ex->req) == PIPELINE_WAIT)
        return MHD_YES; /* suspended; the next step comes after resume() */
    return answer(ex);
}

/* ---- the header ---- */

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    headers_add(cls, kt_bytes(name, name_len), kt_bytes(value == NULL ? "" : value, value_len));
    return MHD_YES;
}

/* Behind a proxy the connection's address is the proxy's. */
static void name_client(struct exchange *ex, const struct headers *headers)
{
    _Static_assert(sizeof ex->req.remote_address == FORWARDED_ADDRESS, "one address, one size");
    const struct listener *listener = ex->conn->owner;
    const char *refusal =
        forwarded_client(&listener->config.forwarded, headers->forwarded, headers->n_forwarded,
                         ex->conn->address, ex->req.remote_address);
    if (ex->req.refusal == NULL)
        ex->req.refusal = refusal;
}

/* Only where they lie: they are read by whoever wants to know, who is rare. */
static void find_chain(struct exchange *ex)
{
    unsigned n = 0;
    ex->req.tls = ex->tls;
    const union MHD_ConnectionInfo *tls =
        ex->tls ? MHD_get_connection_info(ex->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    if (tls == NULL || tls->tls_session == NULL)
        return;
    const gnutls_datum_t *sent = gnutls_certificate_get_peers(tls->tls_session, &n);
    for (unsigned i = 0; sent != NULL && i < n && i < CLIENT_CHAIN_MAX; i++)
        ex->chain[ex->req.n_chain++] = kt_bytes(sent[i].data, sent[i].size);
    ex->req.chain = ex->chain;
}

static void fill_request(struct exchange *ex, const struct headers *headers, const char *method)
{
    struct request *req = &ex->req;
    const char *mark = memchr(ex->target, '?', ex->target_len);
    size_t path_len = mark == NULL ? ex->target_len : (size_t)(mark - ex->target);
    req->method = kt_str(method);
    req->target = kt_bytes(ex->target, path_len);
    if (mark != NULL)
        req->query = kt_bytes(mark + 1, ex->target_len - path_len - 1);
    req->token_text = headers_token(headers);
    req->ns = headers->value[HEADER_NAMESPACE];
    req->wrap_ttl = headers->value[HEADER_WRAP_TTL];
    req->content_type = headers->value[HEADER_CONTENT_TYPE];
    req->request_key = headers->value[HEADER_REQUEST_KEY];
    req->refusal = headers->status == 400 ? headers->refusal : NULL;
    name_client(ex, headers);
    find_chain(ex);
    req->forwarded = headers->n_forwarded > 0; /* believed or not: somebody stands between */
    req->remote_port = ex->conn->port;
    req->peer_uid = ex->conn->peer_uid;
    req->peer_groups = ex->conn->peer_groups;
}

/* A NUL in the request line cuts the target short for us, but not for a proxy in front: the version
 * would then not follow right behind it. */
static bool target_was_cut(const struct exchange *ex, const char *version)
{
    return ex->uri != NULL && version[0] != '\0' && ex->refused_status == 0 &&
           version != ex->uri + ex->target_len + 1;
}

static bool over_budget(const struct exchange *ex, uint64_t more)
{
    const struct http_server *server = ex->server;
    if (atomic_load_explicit(&server->body_bytes, memory_order_relaxed) + more >
        server->limits.body_bytes)
        return true;
    return !atomic_load_explicit(&ex->conn->authenticated, memory_order_relaxed) &&
           atomic_load_explicit(&server->anonymous_body_bytes, memory_order_relaxed) + more >
               server->limits.anonymous_body_bytes;
}

static void refuse_budget(struct exchange *ex)
{
    ex->refused_status = MHD_HTTP_SERVICE_UNAVAILABLE;
    ex->refused_text = "too many request bodies at once; try again";
    ex->body_dropped = true;
}

static enum MHD_Result header_done(struct exchange *ex, const char *method, const char *version)
{
    struct headers headers;
    headers_begin(&headers);
    (void)MHD_get_connection_values_n(ex->mhd, MHD_HEADER_KIND, take_header, &headers);
    headers_end(&headers);
    fill_request(ex, &headers, method);
    bool framing = headers.framing;
    if (headers.status == 431) {
        ex->refused_status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
        ex->refused_text = headers.refusal;
    } else if (target_was_cut(ex, version)) {
        ex->req.refusal = "the request line is malformed";
        framing = true;
    }
    uint64_t announced = headers.content_length;
    if (announced > ex->server->limits.max_request_bytes) {
        ex->req.body_too_large = true;
        framing = true; /* its body is not read */
    } else if (announced > 0 && over_budget(ex, announced)) {
        refuse_budget(ex);
    }
    if (framing || ex->refused_status != 0)
        return run(ex);
    if (announced == 0 && !headers.chunked) {
        ex->step = STEP_BODY; /* the last step comes at once */
        conn_phase(ex->conn, CONN_BUSY);
        return MHD_YES;
    }
    ex->step = STEP_BODY;
    conn_body(ex->conn, 0);
    conn_phase(ex->conn, CONN_BODY);
    /* One allocation instead of growing; pages that are never written cost nothing. */
    if (announced > 0 && kt_buf_grow(&ex->body, announced) != NULL)
        ex->body.len = 0;
    return MHD_YES;
}

/* ---- the body ---- */

static void count_body(struct exchange *ex, uint64_t more)
{
    if (ex->body_budget == 0)
        ex->anonymous_budget =
            !atomic_load_explicit(&ex->conn->authenticated, memory_order_relaxed);
    ex->body_budget += more;
    atomic_fetch_add(&ex->server->body_bytes, more);
    if (ex->anonymous_budget)
        atomic_fetch_add(&ex->server->anonymous_body_bytes, more);
}

static enum MHD_Result take_body(struct exchange *ex, const char *upload, size_t size)
{
    uint64_t max = ex->server->limits.max_request_bytes;
    ex->body_seen += size;
    conn_body(ex->conn, ex->body_seen);
    if (ex->body_seen / 2 > max)
        return MHD_NO; /* told nothing, and still sending: enough was thrown away */
    if (!ex->body_dropped && ex->body_seen > max) {
        ex->req.body_too_large = true;
        ex->body_dropped = true;
    } else if (!ex->body_dropped && over_budget(ex, size)) {
        refuse_budget(ex);
    }
    if (ex->body_dropped) {
        kt_buf_free(&ex->body);
        return MHD_YES;
    }
    count_body(ex, size);
    kt_buf_add(&ex->body, upload, size);
    if (!kt_buf_ok(&ex->body))
        refuse_budget(ex); /* no memory is the same answer: later */
    return MHD_YES;
}

static enum MHD_Result body_done(struct exchange *ex)
{
    ex->req.body = kt_buf_bytes(&ex->body);
    return run(ex);
}

/* A request that only waits for news ends when its client has gone; one whose commit is under way
 * goes on, for its record has to be finished. */
static bool client_left(const struct exchange *ex)
{
    struct pollfd peer = {.fd = ex->conn->fd, .events = POLLRDHUP};
    return pipeline_waited(&ex->req) && poll(&peer, 1, 0) == 1 &&
           (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

enum MHD_Result exchange_step(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)cls;
    (void)mhd;
    (void)url; /* unescaped and cut by the library: exchange_begin() kept the real one */
    if (*state == NULL)
        return MHD_NO; /* no memory when it began */
    struct exchange *ex = KT_OBJECT(struct exchange, *state, EXCHANGE_MAGIC);
    switch (ex->step) {
    case STEP_HEADER:
        return header_done(ex, method, version);
    case STEP_BODY:
        if (*upload_size == 0)
            return body_done(ex);
        size_t size = *upload_size;
        *upload_size = 0;
        return take_body(ex, upload, size);
    case STEP_RUN:
        return client_left(ex) ? MHD_NO : run(ex);
    }
    return MHD_NO;
}
