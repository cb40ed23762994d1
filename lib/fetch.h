/* lib/fetch.h - what vaultd and a worker say to each other when a document is to be fetched.
 *
 * What:    vaultd connects to nobody: a worker fetches one address over https and ends. Both messages are a
 *          format byte, a kind byte and fields (lib/buf.h), in one message of lib/ipc.h. An order may send
 *          something along (POST): then any answer of the 200s will do. Or it names a program of vaultd's
 *          configuration, which gets it on its standard input and has to end with status 0.
 * Owner:   what is decoded points into the message; texts of an order are put into the arena.
 * Limits:  below. What is longer: KT_INVALID.
 * Threads: plain values. */
#pragma once

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

#define FETCH_URL_MAX    1024u
#define FETCH_NAME_MAX   64u
#define FETCH_CA_MAX     ((size_t)32 * 1024)
#define FETCH_BODY_MAX   ((size_t)56 * 1024)
#define FETCH_POST_MAX   ((size_t)32 * 1024)
#define FETCH_HEADERS    4u
#define FETCH_HEADER_MAX 512u /* bytes of one */
#define FETCH_TEXT_MAX   200u
#define FETCH_TIMEOUT_MS 10000u

struct fetch_order {
    const char *url; /* https:// */
    const char *ca;  /* PEM; "": the system's */
    const char *program; /* NULL: an address is fetched; else of these only this and post count */
    bool posts;
    struct kt_bytes post;               /* what is sent */
    const char *headers[FETCH_HEADERS]; /* "Name: value" beside it; NULL: none */
};
struct fetch_result {
    bool done;
    struct kt_bytes text; /* what went wrong; printable */
    struct kt_bytes body;
};

enum kt_kind kt_fetch_order_encode(const struct fetch_order *order, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Whether the message is one, well-formed or not: steps of drivers come by the same way. */
bool kt_fetch_is_order(struct kt_bytes message);
/* It is one that names a program. */
bool kt_fetch_is_call(struct kt_bytes message);
enum kt_kind kt_fetch_order_decode(struct kt_bytes message, struct kt_arena *arena, struct fetch_order *ret,
                                   struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_fetch_result_encode(const struct fetch_result *result, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind kt_fetch_result_decode(struct kt_bytes message, struct fetch_result *ret, struct kt_err *err)
    KT_MUST_CHECK;
