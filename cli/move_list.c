/* cli/move_list.c - see cli/move_list.h. */
#include "cli/move_list.h"

#include <stdio.h>

#define PAGE     1000u
#define KEYS_MAX ((size_t)64 * 1024 * 1024)
#define KEY_MAX  600u

/* A page's keys behind `after`, which becomes the last of them. *ret_any false: it has none. */
static enum kt_kind add_page(struct kt_json keys, char after[KEY_MAX], struct kt_buf *ret, bool *ret_any,
                             struct kt_err *err)
{
    char last[KEY_MAX];
    (void)snprintf(last, sizeof last, "%s", after);
    *ret_any = false;
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf key = {0};
        kt_buf_init(&key, KEY_MAX - 1);
        if (!kt_json_string(it.value, &key))
            return kt_fail(err, KT_CORRUPT, "an id of the list cannot be read");
        if (strcmp(kt_buf_text(&key), after) <= 0) /* said before: it does not page */
            continue;
        *ret_any = true;
        if (strcmp(kt_buf_text(&key), last) > 0)
            (void)snprintf(last, sizeof last, "%s", kt_buf_text(&key));
        if (ret->len > 1)
            kt_buf_add_text(ret, ",");
        kt_buf_add(ret, it.value.at, it.value.len);
    }
    memcpy(after, last, sizeof last);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "the list is too long");
}

static enum kt_kind ask_page(struct kt_api *api, const char *path, const char *after,
                             struct kt_api_reply *reply, struct kt_err *err)
{
    kt_autobuf struct kt_buf query = {0};
    kt_buf_init(&query, (size_t)4 * KEY_MAX);
    kt_buf_printf(&query, "limit=%u", PAGE);
    if (after[0] != '\0') {
        kt_buf_add_text(&query, "&after=");
        kt_url_escape(&query, kt_str(after), false);
    }
    if (!kt_buf_ok(&query))
        return kt_fail(err, KT_NO_MEMORY, "asking for a list");
    const struct kt_api_request request = {.method = "LIST", .path = path, .query = kt_buf_text(&query)};
    return move_call(api, &request, reply, err);
}

enum kt_kind move_list(struct kt_api *api, const char *path, struct kt_buf *ret, struct kt_err *err)
{
    char after[KEY_MAX] = "";
    bool any = true;
    enum kt_kind kind = KT_OK;
    kt_buf_init(ret, KEYS_MAX);
    kt_buf_add_text(ret, "[");
    while (kind == KT_OK && any) {
        struct kt_json keys = {0};
        kt_autoapireply struct kt_api_reply reply;
        kt_api_reply_init(&reply);
        kind = ask_page(api, path, after, &reply, err);
        (void)kt_json_member(reply.data, "keys", &keys);
        if (kind == KT_OK)
            kind = add_page(keys, after, ret, &any, err);
    }
    kt_buf_add_text(ret, "]");
    if (kind == KT_NOT_FOUND)
        kind = KT_OK;
    return kind == KT_OK && !kt_buf_ok(ret) ? kt_fail(err, KT_NO_MEMORY, "reading a list") : kind;
}
