/* cli/names.c - see cli/names.h. */
#include "cli/names.h"

#include <stdlib.h>

#include "cli/cli.h"
#include "cli/move_side.h"
#include "cli/walk.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define QUERY_MAX   ((size_t)64 * 1024)
#define WARNING_MAX ((size_t)4096)

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->at[i]);
    free(names->at);
    *names = (struct names){0};
}

static bool grow(struct names *names, size_t more)
{
    if (names->count + more <= names->room)
        return true;
    size_t room = names->room * 2 > names->count + more ? names->room * 2 : names->count + more;
    char **at = reallocarray(names->at, room, sizeof *at);
    if (at == NULL)
        return false;
    names->at = at;
    names->room = room;
    return true;
}

static enum kt_kind too_many(struct kt_err *err)
{
    return kt_fail(err, KT_TOO_LARGE, "there are more than %zu names, or %zu MiB of them", WALK_MOST,
                   NAMES_BYTES / 1024 / 1024);
}

static bool is_part(struct kt_bytes part)
{
    return part.len > 0 && !kt_bytes_equal(part, kt_str(".")) && !kt_bytes_equal(part, kt_str(".."));
}

static bool is_name(const char *name, bool folder)
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '/')
        len--;
    for (size_t start = 0;;) {
        const char *slash = memchr(name + start, '/', len - start);
        size_t end = slash == NULL ? len : (size_t)(slash - name);
        if (!is_part(kt_bytes(name + start, end - start)) || (slash != NULL && folder))
            return false;
        if (slash == NULL)
            return true;
        start = end + 1;
    }
}

/* Room for it was made. */
static enum kt_kind take_one(const struct names_ask *ask, struct kt_json value, struct names *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, value.len + 1);
    if (kt_json_type(value) == KT_JSON_STRING && !kt_json_string(value, &text) && !kt_buf_ok(&text))
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    if (!is_name(kt_buf_text(&text), ask->folder)) {
        ret->bad++;
        return KT_OK;
    }
    char *name = kt_malloc(text.len + 1);
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    memcpy(name, kt_buf_text(&text), text.len + 1);
    ret->at[ret->count++] = name;
    ret->bytes += text.len + 1;
    return KT_OK;
}

static enum kt_kind take(const struct names_ask *ask, const struct kt_api_reply *reply, struct names *ret,
                         struct kt_err *err)
{
    struct kt_json keys = {0};
    (void)kt_json_member(reply->data, "keys", &keys);
    if (kt_json_count(keys) > WALK_MOST)
        return too_many(err);
    if (!grow(ret, kt_json_count(keys)))
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(keys);
    while (kind == KT_OK && kt_json_next(&it))
        kind = take_one(ask, it.value, ret, err);
    return kind;
}

/* ---- pages ---- */

static enum kt_kind ask_page(struct kt_api *api, const struct names_ask *ask, const char *after,
                             struct kt_api_reply *reply, struct kt_err *err)
{
    kt_autobuf struct kt_buf query = {0};
    struct kt_api_request request = {.method = "LIST", .path = ask->path};
    kt_buf_init(&query, QUERY_MAX);
    if (after != NULL) {
        kt_buf_add_text(&query, "after=");
        kt_url_escape(&query, kt_str(after), false);
        if (!kt_buf_ok(&query))
            return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
        request.query = kt_buf_text(&query);
    }
    return ask->patient ? move_call(api, &request, reply, err) : move_call_quota(api, &request, reply, err);
}

static void say_rest(struct names *names, const struct kt_api_reply *reply)
{
    kt_autobuf struct kt_buf raw = {0};
    kt_autobuf struct kt_buf tidy = {0};
    struct kt_json_iter it = kt_json_iter(reply->warnings);
    kt_buf_init(&raw, WARNING_MAX);
    kt_buf_init(&tidy, WARNING_MAX);
    if (kt_json_next(&it) && kt_json_string(it.value, &raw))
        kt_api_tidy(&tidy, kt_buf_bytes(&raw));
    (void)kt_fail(&names->rest, KT_TOO_LARGE, "its list may not be whole: %.200s", kt_buf_text(&tidy));
}

/* Does a page follow on what came before it? A vault that does not know pages begins anew. */
static bool follows(const struct names *page, const char *last)
{
    for (size_t i = 0; i < page->count; i++)
        if (strcmp(page->at[i], last) <= 0)
            return false;
    return true;
}

/* Takes those of the page. The vault may have pages without end: what is kept of them has one. */
static enum kt_kind join(struct names *names, struct names *page, struct kt_err *err)
{
    if (page->count > WALK_MOST - names->count || page->bytes > NAMES_BYTES - names->bytes)
        return too_many(err);
    if (!grow(names, page->count))
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    if (page->count > 0)
        memcpy(names->at + names->count, page->at, page->count * sizeof *page->at);
    names->count += page->count;
    names->bytes += page->bytes;
    names->bad += page->bad;
    page->count = 0;
    return KT_OK;
}

/* What comes behind the last name. *ret_more: that may not be all either. */
static enum kt_kind next_page(struct kt_api *api, const struct names_ask *ask, struct names *names, bool *ret_more,
                              struct kt_err *err)
{
    KT_AUTO(names_free) struct names page = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    const char *last = names->at[names->count - 1];
    enum kt_kind kind = ask_page(api, ask, last, &reply, err);
    *ret_more = false;
    if (kind == KT_OK)
        kind = take(ask, &reply, &page, err);
    if (kind != KT_OK && !cli_is_empty(&reply, err))
        return kind;
    *err = (struct kt_err){0};
    if (!follows(&page, last)) /* `rest` stands */
        return KT_OK;
    names->rest = (struct kt_err){0};
    *ret_more = page.count > 0 && kt_json_count(reply.warnings) > 0;
    if (*ret_more)
        say_rest(names, &reply);
    return join(names, &page, err);
}

enum kt_kind names_read(struct kt_api *api, const struct names_ask *ask, struct names *ret, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    *ret = (struct names){0};
    enum kt_kind kind = ask_page(api, ask, NULL, &reply, err);
    if (kind != KT_OK && cli_is_empty(&reply, err)) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = take(ask, &reply, ret, err);
    bool more = kind == KT_OK && ret->count > 0 && kt_json_count(reply.warnings) > 0;
    if (more)
        say_rest(ret, &reply);
    while (kind == KT_OK && more)
        kind = next_page(api, ask, ret, &more, err);
    if (kind != KT_OK)
        names_free(ret);
    return kind;
}
