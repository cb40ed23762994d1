/* lib/http_client.h - an HTTP client over libcurl that cannot be talked into giving a token away.
 *
 * What:    One client is one server and one kept-alive connection. No redirect is followed but 307
 *          to the same origin (at most 3); no proxy, no netrc, no cookies, no decompression, no
 *          user name in an address. TLS 1.2 or newer, always verified; plain http only to this
 *          machine (the address that is connected to is checked, not just the name) or over a Unix
 *          socket. Header lines are wiped after the request, libcurl's own memory when it frees it.
 * Address: "https://vault.example:8200", "http://127.0.0.1:8200",
 *          "unix:///run/vaultd/vaultd.sock".
 * Owner:   kt_http_open() gives one, kt_http_close() takes it; NULL is fine. What a request points
 *          at is borrowed for the call. A response is initialised by the caller with
 *          kt_http_response_init() and ended with kt_http_response_free(), which wipes.
 * Limits:  address <= 1024, path <= 16 KiB, 16 headers, response body options.body_max.
 * Errors:  KT_INVALID: the address, or a request that breaks a limit. KT_IO: could not be reached,
 *          TLS failed. KT_TIMEOUT. KT_UNKNOWN: the connection ended in place of an answer, so what
 *          was asked for may have been done. KT_TOO_LARGE: the answer passes body_max. KT_GONE:
 *          woken. Each with a hint that says what to do. Any HTTP status is KT_OK: it is in the
 *          response.
 * Threads: kt_http_init() once, before threads; a client: one thread at a time. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define KT_HTTP_ADDRESS_MAX 1024u
#define KT_HTTP_PATH_MAX    ((size_t)16 * 1024)
#define KT_HTTP_HEADERS_MAX 16u

struct kt_http;

/* How whoever opens the client names these settings: for what errors say to do. */
struct kt_http_names {
    const char *address, *address_is; /* "VAULT_ADDR", and what stands before a value: "VAULT_ADDR=" */
    const char *ca_file;
    const char *server_name; /* NULL: there is no such setting */
};

struct kt_http_options {
    const char *address;
    const char *ca_file;     /* PEM; NULL or "": the system's */
    const char *client_cert; /* PEM, with what stands between it and its authority; NULL or "": none */
    const char *client_key;  /* its private key's PEM; NULL or "": in the same file */
    const char *server_name; /* the name in the server's certificate when not the address's; NULL */
    const char *user_agent;  /* NULL: "keyturn/VERSION" */
    const struct kt_http_names *names; /* borrowed; NULL: environment and flags of secretctl */
    unsigned connect_timeout_ms; /* 0: 10 s */
    unsigned timeout_ms;         /* for a whole request; 0: 60 s */
    size_t body_max;             /* 0: 33 MiB */
    bool stays;                  /* no redirect is followed: a 307 is an answer like others; and each
                                    request has a connection of its own, for what a kept one loses
                                    libcurl sends a second time */
};

struct kt_http_header {
    const char *name;
    struct kt_bytes value; /* no control characters, or KT_INVALID */
};
struct kt_http_request {
    const char *method; /* "GET", "LIST", ... */
    const char *path;   /* "/v1/secret/data/a%20b?version=2": escaped already */
    const struct kt_http_header *headers;
    size_t header_count;
    struct kt_bytes body;    /* sent unless empty; POST, PUT and PATCH send an empty one too */
    unsigned timeout_ms;     /* 0: the client's; a long poll sets its wait and some more */
    void (*tick)(void *arg); /* called about once a second while waiting; NULL: not at all */
    void *tick_arg;
    bool (*woken)(void *arg); /* called when wake_fd gets readable; true: it was read, go on */
    void *woken_arg;
};
struct kt_http_response {
    unsigned status;
    struct kt_buf body;
    char content_type[64];
    unsigned retry_after_s; /* 0: none */
};

void kt_http_response_init(struct kt_http_response *response, size_t body_max);
void kt_http_response_free(struct kt_http_response *response);

/* libcurl's start. Also done by kt_http_open(), for programs with a single thread. */
enum kt_kind kt_http_init(struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_http_open(const struct kt_http_options *options, struct kt_http **ret,
                          struct kt_err *err) KT_MUST_CHECK;
void kt_http_close(struct kt_http *http);
/* The address as given, for messages. */
const char *kt_http_address(const struct kt_http *http);

/* wake_fd: when it gets readable (an eventfd, say) the request is given up with KT_GONE; -1: none.
 * It is not read. The response's body is emptied first; it is filled on KT_OK only. */
enum kt_kind kt_http_perform(struct kt_http *http, const struct kt_http_request *request,
                             int wake_fd, struct kt_http_response *response,
                             struct kt_err *err) KT_MUST_CHECK;

/* Appends text percent-encoded: unreserved characters of RFC 3986 stay, and '/' if keep_slash. */
void kt_url_escape(struct kt_buf *out, struct kt_bytes text, bool keep_slash);

static inline void kt_http_close_at(struct kt_http **http)
{
    kt_http_close(*http);
}
#define kt_autohttp     __attribute__((cleanup(kt_http_close_at)))
#define kt_autoresponse __attribute__((cleanup(kt_http_response_free)))
