/* tests/support/canned_server.h - a server that gives prepared answers and keeps what it was asked.
 *
 * What:    Answers the n-th request with the n-th answer, the last one from then on. An answer is
 *          the bytes that go out, status line and all; canned_json() makes one. CANNED_CLOSE closes
 *          the connection instead, CANNED_SILENT answers nothing.
 * Owner:   canned_start() gives one, canned_stop() ends its thread and frees it.
 * Limits:  64 answers, requests of 64 KiB, one connection at a time.
 * Threads: its own; what it was asked is read after the client got its answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CANNED_CLOSE  "close"
#define CANNED_SILENT "silent"
#define CANNED_PATH   128u

struct canned;
struct canned_options {
    bool local;            /* a Unix socket instead of a port */
    const char *cert_file; /* PEM: speaks TLS; NULL: does not */
    const char *key_file;
};
struct canned *canned_start(const struct canned_options *options);
void canned_stop(struct canned *server);
/* "http://127.0.0.1:PORT", "https://127.0.0.1:PORT" or "unix:///PATH" */
const char *canned_address(const struct canned *server);
void canned_answer(struct canned *server, const char *bytes);
void canned_json(struct canned *server, unsigned status, const char *json);
size_t canned_requests(struct canned *server);
size_t canned_connections(struct canned *server);
/* The n-th request from 0: its head and body as they came; "" when there was none. */
const char *canned_request(struct canned *server, size_t n);
