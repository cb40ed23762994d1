/* lib/api.h - the vault's API for our own programs: secretctl and secret-agent.
 *
 * What:    kt_api_call() sends one request below /v1/ with token and namespace, checks the answer's
 *          JSON and finds its parts. Bodies are never made into a tree: the reply's parts are spans
 *          (lib/json.h) of one wiped buffer, so numbers keep every digit.
 * Owner:   kt_api_open() gives one, kt_api_close() takes it and wipes the token; NULL is fine. A
 *          reply is started with kt_api_reply_init(), may be used for one call after the other, and
 *          is ended with kt_api_reply_free(). Spans live until the reply's next call.
 * Errors:  what the transport says (lib/http_client.h), and for a status >= 400 its kind: 400
 *          KT_INVALID, 403 KT_DENIED, 404 KT_NOT_FOUND, 503 KT_SEALED or KT_BUSY ... `what` is the
 *          server's errors, joined; when there are two or more, the last is the hint. The reply is
 *          filled then too: a 404 may carry data (a deleted version), a 400 too (a run's id).
 *          KT_PRECONDITION: 202, the request is kept until others approve it.
 *          KT_CORRUPT: the answer is not JSON; KT_UNKNOWN when a write's answer did not arrive.
 * Threads: one thread at a time per struct kt_api; each has one connection. kt_secret_init() first.
 * Source:  docs/api-rotation.md, and Vault's HTTP API. */
#pragma once

#include "lib/http_client.h"
#include "lib/json.h"

#define KT_API_PATH_MAX 2048u

struct kt_api;

struct kt_api_options {
    const char *address;        /* as lib/http_client.h; NULL or "": KT_API_ADDRESS */
    const char *ca_file;        /* or NULL */
    const char *client_cert;    /* what the client shows, as lib/http_client.h; or NULL */
    const char *client_key;     /* or NULL */
    const char *server_name;    /* or NULL */
    const char *namespace_path; /* or NULL */
    const char *user_agent;     /* or NULL */
    const struct kt_http_names *names; /* as lib/http_client.h; or NULL */
    struct kt_bytes token;      /* copied into guarded memory; empty: none */
    unsigned timeout_ms;        /* 0: 60 s */
    size_t body_max;            /* 0: 33 MiB */
    /* For calls that are given no wake_fd: while they wait, woken() is called when wake_fd gets
     * readable; false: the call is given up with KT_GONE. NULL: nothing wakes them. */
    int wake_fd;
    bool (*woken)(void *arg);
    void *woken_arg;
};
#define KT_API_ADDRESS "https://127.0.0.1:8200"

enum kt_kind kt_api_open(const struct kt_api_options *options, struct kt_api **ret,
                         struct kt_err *err) KT_MUST_CHECK;
void kt_api_close(struct kt_api *api);
/* Takes a copy; empty: no token is sent from now on. */
enum kt_kind kt_api_set_token(struct kt_api *api, struct kt_bytes token,
                              struct kt_err *err) KT_MUST_CHECK;
const char *kt_api_address(const struct kt_api *api);

struct kt_api_request {
    const char *method; /* "GET", "LIST", "POST", "PUT", "PATCH", "DELETE" */
    const char *path; /* below /v1/, as a person writes it: "secret/data/team a/db"; escaped here */
    const char *query;        /* "version=2&wait=30", escaped already; or NULL */
    struct kt_bytes body;     /* JSON; may be empty */
    const char *content_type; /* NULL: none; PATCH: application/merge-patch+json */
    const char *wrap_ttl;     /* X-Vault-Wrap-TTL: the answer waits for a wrapping token; or NULL */
    unsigned timeout_ms;      /* 0: the client's. A long poll: its wait and 15 s */
    bool raw;                 /* the answer is no JSON: leave it in reply.http.body */
    void (*tick)(void *arg);  /* as in struct kt_http_request */
    void *tick_arg;
};
struct kt_api_reply {
    struct kt_http_response http; /* status and the whole body */
    struct kt_json root;          /* absent after a 204 and after raw */
    struct kt_json data;     /* the envelope's data; of a bare object (sys/health) the object */
    struct kt_json auth;     /* absent when null */
    struct kt_json wrap_info; /* absent when null */
    struct kt_json warnings; /* an array, absent when null */
    struct kt_json errors;   /* an array, absent when there is none */
    char request_id[40];
};
void kt_api_reply_init(struct kt_api_reply *reply);
void kt_api_reply_free(struct kt_api_reply *reply);

/* wake_fd as in kt_http_perform(); -1: none. */
enum kt_kind kt_api_call(struct kt_api *api, const struct kt_api_request *request, int wake_fd,
                         struct kt_api_reply *reply, struct kt_err *err) KT_MUST_CHECK;
/* The URL of a request, for messages and -output-curl-string. */
void kt_api_url(const struct kt_api *api, const struct kt_api_request *request, struct kt_buf *out);
/* What kt_api_call() does with an answer that has arrived in reply->http: finds the parts, makes
 * the error. Public for its tests. */
enum kt_kind kt_api_reply_read(struct kt_api_reply *reply, bool raw,
                               struct kt_err *err) KT_MUST_CHECK;

/* ---- parts of an answer; absent members leave *ret alone and give false ---- */
bool kt_api_i64(struct kt_json object, const char *name, int64_t *ret);
bool kt_api_bool(struct kt_json object, const char *name, bool *ret);
/* Decoded into out, cut at its size; "" when absent. True when it was there and fitted. */
bool kt_api_text(struct kt_json object, const char *name, char *out, size_t out_size);

/* An error's text on one line: "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
 * is "permission denied; invalid token"; control characters become blanks. */
void kt_api_tidy(struct kt_buf *out, struct kt_bytes text);

/* ---- what both programs ask for ---- */

/* Which mount a secret's path belongs to (Vault's preflight, sys/internal/ui/mounts/PATH). */
struct kt_api_mount {
    char path[256];   /* "secret/" */
    char type[32];    /* "kv", or what else is there */
    unsigned version; /* 1 or 2 */
};
enum kt_kind kt_api_mount_of(struct kt_api *api, const char *path, struct kt_api_mount *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* MOUNT/data/PATH?version=N of a secret "secret/db/orders"; version 0: the current one. The values
 * are reply->data's member "data"; *ret_version is the version that was read. */
enum kt_kind kt_api_kv_read(struct kt_api *api, const struct kt_api_mount *mount,
                            const char *secret, uint64_t version, struct kt_api_reply *reply,
                            uint64_t *ret_version, struct kt_err *err) KT_MUST_CHECK;

/* GET fleet/watch/HOST: the long poll of an agent. cursor "" asks for everything at once. */
enum kt_kind kt_api_watch(struct kt_api *api, const char *host, const char *cursor, unsigned wait_s,
                          int wake_fd, struct kt_api_reply *reply,
                          struct kt_err *err) KT_MUST_CHECK;

/* POST fleet/consumers/HOST/SECRET; NULL texts are left out, so are samples and p95 of 0. */
struct kt_api_consumer {
    const char *host, *secret, *service, *state; /* state: "registered", "healthy", ... */
    const char *instance, *evidence, *detail;
    uint64_t version;
    unsigned samples;
    unsigned p95_ms, baseline_p95_ms;
    unsigned candidates;     /* 2: it tries another credential when one is refused */
    uint64_t holds;          /* the version that it has besides; 0: none */
    unsigned timeout_ms; /* 0: the client's */
};
enum kt_kind kt_api_consumer_report(struct kt_api *api, const struct kt_api_consumer *report,
                                    struct kt_api_reply *reply, struct kt_err *err) KT_MUST_CHECK;

#define kt_autoapireply __attribute__((cleanup(kt_api_reply_free)))
