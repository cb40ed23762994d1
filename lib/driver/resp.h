/* lib/driver/resp.h - Redis's protocol, version 2: commands as bytes, replies as items.
 *
 * What:    Nothing is copied or allocated for a reply: kt_resp_whole() says whether one is there,
 *          kt_resp_next() walks over its items in the order in which they stand. A list is an item
 *          that says how many items after it are in it; lists in lists are no recursion.
 * Owner:   texts point into the reply's bytes.
 * Limits:  RESP_REPLY_MAX bytes and RESP_ITEMS_MAX items a reply, whatever a server announces.
 * Errors:  RESP_BAD: no reply of this protocol, or too large.
 * Source:  "Redis serialization protocol specification", RESP2.
 * Threads: plain functions. */
#pragma once

#include "lib/buf.h"

#define RESP_REPLY_MAX ((size_t)8 * 1024 * 1024)
#define RESP_ITEMS_MAX 100000u

enum resp_type { RESP_TEXT, RESP_ERROR, RESP_NUMBER, RESP_BULK, RESP_NIL, RESP_LIST };
struct resp {
    enum resp_type type;
    struct kt_bytes text; /* RESP_TEXT, RESP_ERROR, RESP_BULK */
    int64_t number;       /* RESP_NUMBER; RESP_LIST: how many are in it */
};

enum resp_state { RESP_WHOLE, RESP_MORE, RESP_BAD };
/* Does a whole reply stand in front? RESP_WHOLE: *ret_len is its length. */
enum resp_state kt_resp_whole(struct kt_bytes bytes, size_t *ret_len);
/* Takes the next item from *rest. False: there is none. */
bool kt_resp_next(struct kt_bytes *rest, struct resp *ret);
/* Takes the next item with all that is in it. */
bool kt_resp_skip(struct kt_bytes *rest);

void kt_resp_command(size_t n, const struct kt_bytes *words, struct kt_buf *out);
