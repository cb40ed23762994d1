/* vaultd/http/answer.h - prepared replies: what a thread makes once and sends many times.
 *
 * What:    A reply of libmicrohttpd's with two header lines takes eight allocations, a tenth of what a
 *          read costs altogether. Nearly all replies say the same but for the body, and its memory may
 *          be ours; so each thread keeps replies by the body's length and fills the body in.
 * Owner:   answer_take() gives one, filled with a copy of the body; answer_give() wipes the copy and
 *          keeps or ends it. In between it is queued at most once, and given back when its request
 *          ended. What a thread keeps ends with the thread.
 * Limits:  JSON bodies of 1 to ANSWER_MAX bytes; ANSWERS replies a thread.
 * Threads: taken and given back on the same thread. */
#pragma once

#include <microhttpd.h>

#include "lib/bytes.h"

#define ANSWER_MAX 4096u

struct answer;
/* NULL: none can be kept for this body, or memory is out; the caller makes a reply of its own. */
struct answer *answer_take(struct kt_bytes body, bool tls);
struct MHD_Response *answer_response(const struct answer *answer);
void answer_give(struct answer *answer); /* NULL is fine */

/* The header lines that every reply has. */
bool answer_headers(struct MHD_Response *response, const char *content_type, bool tls);
