/* vaultd/http/headers.h - what a request's header lines may say, and which of them matter to us.
 *
 * What:    Takes the header lines of one request one after the other, as libmicrohttpd delivers
 *          them, keeps those that have a meaning here, and judges. Two kinds of refusal:
 *          - framing: the lines leave doubt about where the body ends, or were damaged (smuggling).
 *            The answer is 400 and the connection ends; nothing behind it is read.
 *          - meaning: a line that matters says two different things (two tokens). The
 *            answer is 400.
 * Owner:   a struct headers lives on the stack; values point into the connection's memory and live
 *          as long as the request.
 * Limits:  HEADERS_MAX lines, HEADERS_TOKEN_MAX bytes of token text.
 * Threads: one thread at a time.
 * Source:  RFC 9110 section 5.1 (names are tokens), RFC 9112 sections 3.2 (Host), 5.2 (folded
 *          lines), 6.3 (length of a body); Vault's wire contract for the names. */
#pragma once

#include "lib/bytes.h"
#include "vaultd/http/forwarded.h"

#define HEADERS_MAX       100u
#define HEADERS_TOKEN_MAX 8192u

enum header_name {
    HEADER_AUTHORIZATION,
    HEADER_CONTENT_LENGTH,
    HEADER_CONTENT_TYPE,
    HEADER_HOST,
    HEADER_REQUEST_KEY, /* X-Keyturn-Request-Id */
    HEADER_TRANSFER_ENCODING,
    HEADER_FORWARDED,    /* X-Forwarded-For: see forwarded */
    HEADER_NAMESPACE,    /* X-Vault-Namespace */
    HEADER_REQUEST_MARK, /* X-Vault-Request */
    HEADER_TOKEN,        /* X-Vault-Token */
    HEADER_WRAP_TTL,     /* X-Vault-Wrap-TTL */
    HEADER_COUNT
};

struct headers {
    struct kt_bytes value[HEADER_COUNT]; /* at NULL: absent */
    struct kt_bytes forwarded[FORWARDED_LINES]; /* in their order */
    unsigned n_forwarded;    /* how many came; those beyond the array are not in it */
    unsigned lines;
    const char *refusal;     /* the first rule that was broken; NULL: none */
    unsigned status;         /* 400 or 431 beside a refusal */
    bool framing;            /* the refusal leaves the connection unusable */
    uint64_t content_length; /* announced; 0 when absent or chunked */
    bool chunked;
};

void headers_begin(struct headers *headers);
void headers_add(struct headers *headers, struct kt_bytes name, struct kt_bytes value);
/* After the last line: rules that need all of them. */
void headers_end(struct headers *headers);
/* The token text: X-Vault-Token, or else what follows "Bearer " in Authorization. May be empty. */
struct kt_bytes headers_token(const struct headers *headers);
