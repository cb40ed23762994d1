/* lib/driver/http_api.h - what an operator declares of an HTTP API, for the driver "http".
 *
 * What:    A JSON object with a member for each request that the driver may make: docs/driver-http.md
 *          has them all. Read by vaultd when it is written, and by the worker before it is used.
 *          An API either takes a value that the vault made ("set"), or makes one and shows it once
 *          ("create"); with "list" an account has several such keys, told apart by their ids.
 * Secrets: none is in it: the templates name them. A template of an address that names a secret is
 *          refused, whatever else is in it.
 * Owner:   the result points into the text and the arena.
 * Limits:  HTTP_API_MAX bytes.
 * Errors:  KT_INVALID names the request and its member, with what it takes.
 * Threads: plain functions. */
#pragma once

#include "lib/arena.h"
#include "lib/driver/template.h"

#define HTTP_API_MAX      ((size_t)16 * 1024)
#define HTTP_HEADERS_MAX  12u
#define HTTP_STATUSES_MAX 12u
#define HTTP_MATCHES_MAX  4u

/* name, text, what it is there for */
#define HTTP_REQUESTS(X)                                                                           \
    X(HTTP_ADMIN, "admin")   /* does the administrative credential work? */                        \
    X(HTTP_TEST, "test")     /* does this value work? */                                           \
    X(HTTP_SET, "set")       /* the account's value is the one that the vault made */              \
    X(HTTP_CREATE, "create") /* the API makes a value and shows it */                              \
    X(HTTP_LIST, "list")     /* the account's keys */                                              \
    X(HTTP_DELETE, "delete") /* this key, or the account's value, is dead */
#define X(name, text) name,
enum http_request_name { HTTP_REQUESTS(X) HTTP_REQUEST_COUNT };
#undef X

/* What a status means. */
enum http_meaning {
    HTTP_OK,
    HTTP_REFUSED,   /* the credential that it was asked with is wrong */
    HTTP_PERMANENT, /* no, for another reason */
    HTTP_BAD_VALUE, /* this value is not allowed */
    HTTP_LATER,     /* ask again later */
    HTTP_MEANING_COUNT
};

struct http_statuses {
    uint16_t at[HTTP_STATUSES_MAX];
    size_t n;
};

struct http_pair {
    const char *name, *text; /* text: a template */
};

struct http_request {
    bool declared;
    const char *method;
    const char *path; /* a template */
    struct http_pair headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    const char *basic[2];              /* user and password of Basic authentication; NULL: none */
    struct kt_json body, form;         /* absent: none */
    struct http_statuses statuses[HTTP_MEANING_COUNT];
    struct http_pair matches[HTTP_MATCHES_MAX]; /* name: a pointer into the answer */
    size_t n_matches;
    unsigned sends; /* which names stand in what goes out: bits */
    /* Pointers into the answer; NULL: none. */
    const char *value_at, *id_at, *items_at, *tag_at, *more_at, *server_at, *message_at;
    const char *tag; /* list: a template, which an item has at tag_at when this run made it */
};

struct http_api {
    struct http_request requests[HTTP_REQUEST_COUNT];
    bool makes; /* the API makes the value */
    bool lists; /* an account has several, with ids */
    bool in_place, alternate, overlap; /* the strategies that it allows */
};

const char *kt_http_request_text(enum http_request_name name);
enum kt_kind kt_http_api_read(const char *text, struct kt_arena *arena, struct http_api *ret,
                              struct kt_err *err) KT_MUST_CHECK;
/* HTTP_MEANING_COUNT: none of them. */
enum http_meaning kt_http_meaning(const struct http_request *request, unsigned status);
