#include <stdlib.h>
#include <strings.h>

#include "lib/duration.h"
#include "lib/num.h"
#include "vaultd/core/path.h"
#include "vaultd/core/private.h"

#define QUERY_MAX    ((size_t)64 * 1024)
#define QUERY_FIELDS 128u
#define WARNED_MAX   400u /* bytes of names in one warning */

/* ---- the operation --------------------------------------------------------------------------- */

static const struct {
    const char *method;
    enum operation op;
} methods[] = {
    {"GET", OP_READ},     {"HEAD", OP_HEAD},   {"LIST", OP_LIST},     {"POST", OP_UPDATE},
    {"PUT", OP_UPDATE},   {"PATCH", OP_PATCH}, {"DELETE", OP_DELETE}, {"HELP", OP_HELP},
};

/* Go's ParseBool. */
static bool parse_bool(struct kt_bytes text, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"1", true},      {"t", true},      {"T", true},      {"TRUE", true},
                 {"true", true},   {"True", true},   {"0", false},     {"f", false},
                 {"F", false},     {"FALSE", false}, {"false", false}, {"False", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (kt_bytes_is(text, words[i].text)) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

struct query_pair {
    struct kt_bytes key, value;
};

/* Walks "a=b&c=d": false at the end, *kind says whether it was an error. */
static bool next_pair(struct kt_arena *arena, struct kt_bytes *query, struct query_pair *ret,
                      enum kt_kind *kind, struct kt_err *err)
{
    *kind = KT_OK;
    while (query->len > 0) {
        const unsigned char *end = memchr(query->at, '&', query->len);
        size_t len = end == NULL ? query->len : (size_t)(end - query->at);
        struct kt_bytes part = kt_bytes(query->at, len);
        size_t skip = end == NULL ? len : len + 1;
        *query = kt_bytes(query->at + skip, query->len - skip);
        if (len == 0)
            continue;
        const unsigned char *equals = memchr(part.at, '=', part.len);
        size_t key_len = equals == NULL ? part.len : (size_t)(equals - part.at);
        struct kt_bytes value = equals == NULL
                                    ? kt_bytes("", 0)
                                    : kt_bytes(equals + 1, part.len - key_len - 1);
        *kind = query_decode(arena, kt_bytes(part.at, key_len), &ret->key, err);
        if (*kind == KT_OK)
            *kind = query_decode(arena, value, &ret->value, err);
        return *kind == KT_OK;
    }
    return false;
}

static enum kt_kind add_slash(struct request *req, struct kt_err *err)
{
    if (req->path_len == 0 || req->path[req->path_len - 1] == '/')
        return KT_OK;
    const char *path = kt_arena_printf(&req->arena, "%s/", req->path);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the path");
    req->path = path;
    req->path_len++;
    return KT_OK;
}

static enum kt_kind query_operation(struct request *req, struct kt_err *err)
{
    struct kt_bytes query = req->query;
    struct query_pair pair;
    enum kt_kind kind = KT_OK;
    while (next_pair(&req->arena, &query, &pair, &kind, err)) {
        bool yes = false;
        if (kt_bytes_is(pair.key, "help") && pair.value.len > 0) {
            req->op = OP_HELP;
        } else if (kt_bytes_is(pair.key, "list") && req->op == OP_READ) {
            if (!parse_bool(pair.value, &yes))
                return kt_fail(err, KT_INVALID, "%s", "");
            if (yes)
                req->op = OP_LIST;
        }
    }
    return kind;
}

enum kt_kind input_operation(struct request *req, struct kt_err *err)
{
    req->op = OP_NONE;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (kt_bytes_is(req->method, methods[i].method))
            req->op = methods[i].op;
    if (req->op == OP_NONE)
        return kt_fail(err, KT_METHOD, "%s", "");
    enum kt_kind kind = req->query.len > 0 ? query_operation(req, err) : KT_OK;
    if (kind == KT_OK && req->op == OP_LIST)
        kind = add_slash(req, err);
    return kind;
}

/* ---- the data -------------------------------------------------------------------------------- */

static enum kt_kind query_data(struct request *req, struct kt_err *err)
{
    struct query_pair pairs[QUERY_FIELDS];
    size_t n = 0;
    struct kt_bytes query = req->query;
    enum kt_kind kind = KT_OK;
    if (query.len > QUERY_MAX)
        return kt_fail(err, KT_INVALID, "the query is longer than %zu bytes", QUERY_MAX);
    struct query_pair pair;
    while (next_pair(&req->arena, &query, &pair, &kind, err)) {
        if (kt_bytes_is(pair.key, "list") || kt_bytes_is(pair.key, "help"))
            continue;
        if (n == QUERY_FIELDS)
            return kt_fail(err, KT_INVALID, "the query has more than %u fields", QUERY_FIELDS);
        pairs[n++] = pair;
    }
    if (kind != KT_OK || n == 0)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, QUERY_MAX * 8);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++)
            if (kt_bytes_equal(pairs[j].key, pairs[i].key)) {
                same++;
                first = first && j >= i;
            }
        if (!first)
            continue;
        kt_jsonw_key_bytes(&w, pairs[i].key);
        if (same > 1)
            kt_jsonw_array(&w);
        for (size_t j = i; j < n; j++)
            if (kt_bytes_equal(pairs[j].key, pairs[i].key))
                kt_jsonw_bytes(&w, pairs[j].value);
        if (same > 1)
            kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    char *copy = kt_buf_ok(&text) ? kt_arena_text(&req->arena, kt_buf_bytes(&text)) : NULL;
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the query");
    req->data = kt_json_value(kt_bytes(copy, text.len));
    req->has_data = true;
    return KT_OK;
}

/* Media types know no upper and lower case; parameters do not matter here. */
static bool media_type_is(struct kt_bytes header, const char *wanted)
{
    size_t n = 0;
    while (n < header.len && header.at[n] != ';' && header.at[n] != ' ')
        n++;
    return n == strlen(wanted) && strncasecmp((const char *)header.at, wanted, n) == 0;
}

static enum kt_kind check_patch_type(const struct request *req, struct kt_err *err)
{
    static const char wanted[] = "application/merge-patch+json";
    if (req->content_type.at == NULL || req->content_type.len == 0)
        return kt_fail(err, KT_INVALID, "PATCH requires Content-Type of %s, provided none", wanted);
    if (!media_type_is(req->content_type, wanted))
        return kt_fail(err, KT_MEDIA_TYPE, "PATCH requires Content-Type of %s", wanted);
    return KT_OK;
}

static enum kt_kind body_data(struct request *req, struct kt_err *err)
{
    struct kt_bytes body = req->body;
    size_t start = 0;
    while (start < body.len && memchr(" \t\r\n", body.at[start], 4) != NULL)
        start++;
    if (start == body.len)
        return KT_OK;
    bool json = body.at[start] == '{' || body.at[start] == '[';
    if (!json && media_type_is(req->content_type, "application/x-www-form-urlencoded")) {
        (void)kt_fail(err, KT_INVALID, "a form body is not accepted");
        kt_hint(err, "send a JSON object: curl -d '{\"key\":\"value\"}'");
        return KT_INVALID;
    }
    enum kt_kind kind = kt_json_check(body, NULL, err);
    if (kind != KT_OK) {
        kt_context(err, "failed to decode JSON input");
        return kind;
    }
    struct kt_json value = kt_json_value(body);
    if (kt_json_type(value) == KT_JSON_NULL)
        return KT_OK;
    if (kt_json_type(value) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "failed to decode JSON input: the body must be an object");
    req->data = value;
    req->has_data = kt_json_count(value) > 0;
    return KT_OK;
}

enum kt_kind input_read(struct request *req, struct kt_err *err)
{
    req->data = (struct kt_json){0};
    req->has_data = false;
    if ((req->op & (OP_UPDATE | OP_CREATE | OP_PATCH)) == 0)
        return req->query.len > 0 ? query_data(req, err) : KT_OK;
    if (req->op == OP_PATCH) {
        enum kt_kind kind = check_patch_type(req, err);
        if (kind != KT_OK)
            return kind;
    }
    return body_data(req, err);
}

/* ---- unknown fields -------------------------------------------------------------------------- */

static bool known(const struct route *route, struct kt_json key)
{
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
        if (kt_json_is(key, field->name))
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Vault's warning; only on an answer that has a body, so a 204 stays one. */
void input_warn_unknown(struct request *req)
{
    const struct route *route = req->route;
    if (!req->has_data || (route->flags & ROUTE_ANY_FIELDS) != 0 ||
        (req->reply.data.len == 0 && req->reply.auth.len == 0) ||
        req->reply.form != REPLY_ENVELOPE)
        return;
    const char *names[32];
    size_t n = 0;
    struct kt_json_iter it = kt_json_iter(req->data);
    while (kt_json_next(&it) && n < 32)
        if (!known(route, it.key)) {
            const char *name = kt_json_text(it.key, &req->arena);
            if (name != NULL)
                names[n++] = name;
        }
    if (n == 0)
        return;
    qsort(names, n, sizeof names[0], by_text);
    kt_autobuf struct kt_buf list;
    kt_buf_init(&list, WARNED_MAX);
    for (size_t i = 0; i < n; i++) {
        bool fits = list.len + strlen(names[i]) + sizeof " ..." < WARNED_MAX;
        kt_buf_add_text(&list, i == 0 ? "" : " ");
        kt_buf_add_text(&list, fits ? names[i] : "...");
        if (!fits)
            break;
    }
    request_warn(req, "Endpoint ignored these unrecognized parameters: [%s]", kt_buf_text(&list));
}
