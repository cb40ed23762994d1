#include "lib/driver/http_api.h"

#include "lib/json_pointer.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define DEPTH       12u

#define X(name, text) [name] = (text),
static const char *const texts[] = {HTTP_REQUESTS(X)};
#undef X

const char *kt_http_request_text(enum http_request_name name)
{
    return name < HTTP_REQUEST_COUNT ? texts[name] : "";
}

struct reading {
    struct kt_arena *arena;
    struct http_request *request;
    unsigned in_path, in_rest, compared; /* which names its templates use, where; compared: in nothing that is sent */
    struct kt_err *err;
};

/* ---- the members of a request ------------------------------------------------------------------ */

/* KT_INVALID: what is wrong with it, without the names of request and member. */
typedef enum kt_kind member_fn(struct reading *r, struct kt_json value, size_t at);

static enum kt_kind take_text(struct reading *r, struct kt_json value, const char **ret)
{
    if (kt_json_type(value) != KT_JSON_STRING)
        return kt_fail(r->err, KT_INVALID, "it is no text");
    const char *text = kt_json_text(value, r->arena);
    if (text == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading an API's declaration");
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return kt_fail(r->err, KT_INVALID, "a control character is in it");
    *ret = text;
    return KT_OK;
}

static void put(struct reading *r, size_t at, const char *text)
{
    memcpy((char *)r->request + at, &text, sizeof text);
}

static enum kt_kind read_method(struct reading *r, struct kt_json value, size_t at)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < COUNT(methods); i++)
        if (kt_json_is(value, methods[i])) {
            put(r, at, methods[i]);
            return KT_OK;
        }
    return kt_fail(r->err, KT_INVALID, "it is none of GET, POST, PUT, PATCH, DELETE");
}

static enum kt_kind read_path(struct reading *r, struct kt_json value, size_t at)
{
    const char *text = NULL;
    enum kt_kind kind = take_text(r, value, &text);
    if (kind == KT_OK)
        kind = kt_template_check(text, &r->in_path, r->err);
    if (kind != KT_OK)
        return kind;
    if (text[0] != '/')
        return kt_fail(r->err, KT_INVALID, "it does not begin with '/'");
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return kt_fail(r->err, KT_INVALID, "it has a character that an address has to have encoded");
    put(r, at, text);
    return KT_OK;
}

static enum kt_kind read_template(struct reading *r, struct kt_json value, unsigned *names, const char **ret)
{
    enum kt_kind kind = take_text(r, value, ret);
    return kind == KT_OK ? kt_template_check(*ret, names, r->err) : kind;
}

static enum kt_kind read_tag(struct reading *r, struct kt_json value, size_t at)
{
    const char *text = NULL;
    enum kt_kind kind = read_template(r, value, &r->compared, &text);
    if (kind == KT_OK)
        put(r, at, text);
    return kind;
}

/* What a client library says by itself, or what says how long a message is, is not declared. */
static bool is_header(const char *name)
{
    static const char *const own[] = {"host", "content-length", "transfer-encoding", "connection", "expect", "te",
                                      "upgrade", "trailer"};
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (name[0] == '\0' || strlen(name) > 64 || name[strspn(name, token)] != '\0')
        return false;
    for (size_t i = 0; i < COUNT(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return false;
    return true;
}

static bool is_pointer(const char *text)
{
    return text[0] != '\0' && kt_json_pointer_is(text);
}

/* The members of an object as pairs whose texts are templates. */
static enum kt_kind read_pairs(struct reading *r, struct kt_json value, bool (*is_name)(const char *name),
                               unsigned *names, struct http_pair *pairs, size_t most, size_t *ret_n)
{
    if (kt_json_type(value) != KT_JSON_OBJECT || kt_json_count(value) > most)
        return kt_fail(r->err, KT_INVALID, "it is no object of %zu members at most", most);
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        struct http_pair *pair = &pairs[*ret_n];
        enum kt_kind kind = take_text(r, it.key, &pair->name);
        if (kind == KT_OK && !is_name(pair->name))
            kind = kt_fail(r->err, KT_INVALID, "the name of a member of it is not allowed there");
        if (kind == KT_OK)
            kind = read_template(r, it.value, names, &pair->text);
        if (kind != KT_OK)
            return kind;
        ++*ret_n;
    }
    return KT_OK;
}

static enum kt_kind read_headers(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    return read_pairs(r, value, is_header, &r->in_rest, r->request->headers, HTTP_HEADERS_MAX, &r->request->n_headers);
}

static enum kt_kind read_match(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    return read_pairs(r, value, is_pointer, &r->compared, r->request->matches, HTTP_MATCHES_MAX, &r->request->n_matches);
}

static enum kt_kind read_basic(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    if (kt_json_type(value) != KT_JSON_ARRAY || kt_json_count(value) != 2)
        return kt_fail(r->err, KT_INVALID, "it is no list of two texts, user and password");
    struct kt_json_iter it = kt_json_iter(value);
    for (size_t i = 0; i < 2 && kt_json_next(&it); i++) {
        enum kt_kind kind = read_template(r, it.value, &r->in_rest, &r->request->basic[i]);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind read_body(struct reading *r, struct kt_json value, size_t at)
{
    enum kt_json_type type = kt_json_type(value);
    if (type != KT_JSON_OBJECT && type != KT_JSON_ARRAY)
        return kt_fail(r->err, KT_INVALID, "it is neither an object nor a list");
    memcpy((char *)r->request + at, &value, sizeof value);
    return kt_template_check_json(value, &r->in_rest, r->err);
}

static enum kt_kind read_form(struct reading *r, struct kt_json value, size_t at)
{
    if (kt_json_type(value) != KT_JSON_OBJECT)
        return kt_fail(r->err, KT_INVALID, "it is no object");
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        const char *text = NULL;
        enum kt_kind kind = read_template(r, it.value, &r->in_rest, &text);
        if (kind != KT_OK)
            return kind;
    }
    memcpy((char *)r->request + at, &value, sizeof value);
    return KT_OK;
}

static enum kt_kind read_statuses(struct reading *r, struct kt_json value, size_t at)
{
    struct http_statuses read = {.n = 0};
    if (kt_json_type(value) != KT_JSON_ARRAY || kt_json_count(value) > HTTP_STATUSES_MAX)
        return kt_fail(r->err, KT_INVALID, "it is no list of %u statuses at most", HTTP_STATUSES_MAX);
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        int64_t status = 0;
        if (!kt_json_i64(it.value, &status) || status < 200 || status > 599 || (status >= 300 && status < 400))
            return kt_fail(r->err, KT_INVALID, "it has what is no status, or a redirect, which is not followed");
        read.at[read.n++] = (uint16_t)status;
    }
    memcpy((char *)r->request + at, &read, sizeof read);
    return KT_OK;
}

static enum kt_kind read_pointer(struct reading *r, struct kt_json value, size_t at)
{
    const char *text = NULL;
    enum kt_kind kind = take_text(r, value, &text);
    if (kind == KT_OK && !kt_json_pointer_is(text))
        kind = kt_fail(r->err, KT_INVALID, "it is no JSON pointer, as in \"/key/secret\"");
    if (kind == KT_OK)
        put(r, at, text);
    return kind;
}

#define AT(member) offsetof(struct http_request, member)
#define EVERY      ((1u << HTTP_REQUEST_COUNT) - 1)
#define OF(name)   (1u << (name))
static const struct member {
    const char *name;
    unsigned of; /* of which requests */
    member_fn *read;
    size_t at;
} members[] = {
    {"method", EVERY, read_method, AT(method)},
    {"path", EVERY, read_path, AT(path)},
    {"headers", EVERY, read_headers, 0},
    {"basic", EVERY, read_basic, 0},
    {"body", EVERY, read_body, AT(body)},
    {"form", EVERY, read_form, AT(form)},
    {"ok", EVERY, read_statuses, AT(statuses[HTTP_OK])},
    {"refused", EVERY, read_statuses, AT(statuses[HTTP_REFUSED])},
    {"permanent", EVERY & ~OF(HTTP_TEST), read_statuses, AT(statuses[HTTP_PERMANENT])},
    {"bad_value", OF(HTTP_SET), read_statuses, AT(statuses[HTTP_BAD_VALUE])},
    {"retry", EVERY, read_statuses, AT(statuses[HTTP_LATER])},
    {"match", EVERY, read_match, 0},
    {"message", EVERY, read_pointer, AT(message_at)},
    {"value", OF(HTTP_CREATE), read_pointer, AT(value_at)},
    {"id", OF(HTTP_CREATE) | OF(HTTP_LIST), read_pointer, AT(id_at)},
    {"items", OF(HTTP_LIST), read_pointer, AT(items_at)},
    {"tag", OF(HTTP_LIST), read_pointer, AT(tag_at)},
    {"tag_is", OF(HTTP_LIST), read_tag, AT(tag)},
    {"more", OF(HTTP_LIST), read_pointer, AT(more_at)},
    {"server_id", OF(HTTP_ADMIN), read_pointer, AT(server_at)},
};

/* ---- what each may say, and has to ------------------------------------------------------------- */

#define B(name) TEMPLATE_BIT(TEMPLATE_##name)
#define MADE    (B(ACCOUNT) | B(RUN) | B(ATTEMPT))
#define AS      (B(ADMIN_NAME) | B(ADMIN))
static const struct rule {
    unsigned may, must; /* names of templates */
    struct http_statuses statuses[HTTP_MEANING_COUNT]; /* where none are declared */
} rules[HTTP_REQUEST_COUNT] = {
    [HTTP_ADMIN] = {AS, B(ADMIN), {{{200, 204}, 2}, {{401}, 1}, {{403}, 1}, {{0}, 0}, {{429, 503}, 2}}},
    [HTTP_TEST] = {B(ACCOUNT) | B(ID) | B(VALUE), B(VALUE),
                   {{{200, 204}, 2}, {{401}, 1}, {{0}, 0}, {{0}, 0}, {{429, 503}, 2}}},
    [HTTP_SET] = {MADE | AS | B(VALUE), B(VALUE),
                  {{{200, 201, 204}, 3}, {{401}, 1}, {{400, 403, 404, 405, 409}, 5}, {{422}, 1}, {{429, 503}, 2}}},
    [HTTP_CREATE] = {MADE | AS, B(ADMIN),
                     {{{200, 201}, 2}, {{401}, 1}, {{400, 403, 404, 405, 409, 422}, 6}, {{0}, 0}, {{429, 503}, 2}}},
    [HTTP_LIST] = {MADE | AS, B(ADMIN), {{{200}, 1}, {{401}, 1}, {{400, 403, 404, 405}, 4}, {{0}, 0}, {{429, 503}, 2}}},
    [HTTP_DELETE] = {MADE | AS | B(ID), B(ADMIN),
                     {{{200, 202, 204, 404, 410}, 5}, {{401}, 1}, {{400, 403, 405, 409}, 4}, {{0}, 0}, {{429, 503}, 2}}},
};

static enum kt_kind check_names(const struct reading *r, enum http_request_name name)
{
    unsigned sent = r->in_path | r->in_rest, all = sent | r->compared;
    if ((r->in_path & TEMPLATE_SECRETS) != 0) {
        (void)kt_fail(r->err, KT_INVALID, "its path names a secret: addresses are written into logs");
        kt_hint(r->err, "{admin} and {value} go into headers, basic, body or form");
        return KT_INVALID;
    }
    for (unsigned i = 0; i < TEMPLATE_NAME_COUNT; i++) {
        const char *text = kt_template_name_text((enum template_name)i);
        if ((all & TEMPLATE_BIT(i)) != 0 && (rules[name].may & TEMPLATE_BIT(i)) == 0)
            return kt_fail(r->err, KT_INVALID, "it has no {%s}", text);
        if ((sent & TEMPLATE_BIT(i)) == 0 && (rules[name].must & TEMPLATE_BIT(i)) != 0)
            return kt_fail(r->err, KT_INVALID, "it nowhere uses {%s}", text);
    }
    return KT_OK;
}

static enum kt_kind check_request(const struct reading *r, enum http_request_name name)
{
    struct http_request *q = r->request;
    if (q->method == NULL || q->path == NULL)
        return kt_fail(r->err, KT_INVALID, "it lacks \"method\" or \"path\"");
    if (kt_json_type(q->body) != KT_JSON_NONE && kt_json_type(q->form) != KT_JSON_NONE)
        return kt_fail(r->err, KT_INVALID, "it has both a \"body\" and a \"form\"");
    for (size_t i = 0; i < HTTP_MEANING_COUNT; i++)
        if (q->statuses[i].n == 0)
            q->statuses[i] = rules[name].statuses[i];
    q->sends = r->in_path | r->in_rest;
    return check_names(r, name);
}

static enum kt_kind read_member(struct reading *r, enum http_request_name name, const struct kt_json_iter *it)
{
    for (size_t i = 0; i < COUNT(members); i++) {
        if (!kt_json_is(it->key, members[i].name) || (members[i].of & OF(name)) == 0)
            continue;
        enum kt_kind kind = members[i].read(r, it->value, members[i].at);
        if (kind != KT_OK)
            kt_context(r->err, "%s", members[i].name);
        return kind;
    }
    return kt_fail(r->err, KT_INVALID, "a member that it does not have");
}

static enum kt_kind read_request(struct kt_json value, enum http_request_name name, struct kt_arena *arena,
                                 struct http_request *ret, struct kt_err *err)
{
    struct reading r = {.arena = arena, .request = ret, .err = err};
    enum kt_kind kind = KT_OK;
    if (kt_json_type(value) != KT_JSON_OBJECT)
        kind = kt_fail(err, KT_INVALID, "it is no object");
    struct kt_json_iter it = kt_json_iter(value);
    while (kind == KT_OK && kt_json_next(&it))
        kind = read_member(&r, name, &it);
    if (kind == KT_OK)
        kind = check_request(&r, name);
    if (kind != KT_OK)
        kt_context(err, "%s", texts[name]);
    ret->declared = true;
    return kind;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static bool uses(const char *text, enum template_name name)
{
    unsigned names = 0;
    return text != NULL && kt_template_check(text, &names, NULL) == KT_OK && (names & TEMPLATE_BIT(name)) != 0;
}

static const char *lacking(const struct http_api *api)
{
    const struct http_request *q = api->requests;
    if (!q[HTTP_ADMIN].declared || !q[HTTP_TEST].declared)
        return "it needs \"admin\" and \"test\"";
    if (q[HTTP_SET].declared == q[HTTP_CREATE].declared)
        return "it needs either \"set\", where the vault makes the value, or \"create\", where the API does";
    if (q[HTTP_LIST].declared && !q[HTTP_CREATE].declared)
        return "\"list\" goes with \"create\"";
    if (!q[HTTP_CREATE].declared)
        return NULL;
    if (!q[HTTP_DELETE].declared)
        return "where the API makes the value it needs \"delete\"";
    if (q[HTTP_CREATE].value_at == NULL)
        return "\"create\" needs \"value\": where its answer has the value";
    if (!q[HTTP_LIST].declared)
        return NULL;
    if (q[HTTP_CREATE].id_at == NULL || q[HTTP_LIST].id_at == NULL || q[HTTP_LIST].items_at == NULL)
        return "keys in a list need \"id\" in \"create\" and in \"list\", and \"items\" in \"list\"";
    if (q[HTTP_LIST].tag_at == NULL || !uses(q[HTTP_LIST].tag, TEMPLATE_RUN))
        return "\"list\" needs \"tag\" and \"tag_is\" with {run}: by it a key is known that was made and whose "
               "answer was lost";
    return NULL;
}

/* That an id, or the run, is really used: else every key would look like any other. */
static enum kt_kind check_ids(const struct http_api *api, struct kt_err *err)
{
    if (!api->lists)
        return KT_OK;
    if ((api->requests[HTTP_DELETE].sends & TEMPLATE_BIT(TEMPLATE_ID)) == 0)
        return kt_fail(err, KT_INVALID, "delete: with \"list\" it needs {id}");
    if ((api->requests[HTTP_CREATE].sends & TEMPLATE_BIT(TEMPLATE_RUN)) == 0)
        return kt_fail(err, KT_INVALID, "create: with \"list\" it needs {run}, as list's \"tag_is\" has it");
    return KT_OK;
}

static enum kt_kind read_all(struct kt_json object, struct kt_arena *arena, struct http_api *ret,
                             struct kt_err *err)
{
    if (kt_json_type(object) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "it is no JSON object");
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        unsigned name = 0;
        while (name < HTTP_REQUEST_COUNT && !kt_json_is(it.key, texts[name]))
            name++;
        if (name == HTTP_REQUEST_COUNT)
            return kt_fail(err, KT_INVALID, "it has a member that is none of admin, test, set, create, list, delete");
        enum kt_kind kind =
            read_request(it.value, (enum http_request_name)name, arena, &ret->requests[name], err);
        if (kind != KT_OK)
            return kind;
    }
    const char *lacks = lacking(ret);
    if (lacks != NULL)
        return kt_fail(err, KT_INVALID, "%s", lacks);
    ret->makes = ret->requests[HTTP_CREATE].declared;
    ret->lists = ret->requests[HTTP_LIST].declared;
    ret->in_place = !ret->makes;
    ret->alternate = !ret->lists && ret->requests[HTTP_DELETE].declared;
    ret->overlap = ret->lists;
    return check_ids(ret, err);
}

enum kt_kind kt_http_api_read(const char *text, struct kt_arena *arena, struct http_api *ret,
                              struct kt_err *err)
{
    static const struct kt_json_limits limits = {.bytes = HTTP_API_MAX,
                                                 .depth = DEPTH,
                                                 .nodes = 512,
                                                 .keys = 64,
                                                 .string_bytes = TEMPLATE_MAX,
                                                 .number_bytes = 16};
    struct kt_json_fault fault = {0};
    *ret = (struct http_api){.makes = false};
    enum kt_kind kind = kt_json_find_fault(kt_str(text), &limits, &fault);
    if (kind != KT_OK)
        kind = kt_fail(err, KT_INVALID, "it is no JSON that is taken: %s at byte %zu",
                       fault.problem == NULL ? "too much" : fault.problem, fault.offset);
    if (kind == KT_OK)
        kind = read_all(kt_json_value(kt_str(text)), arena, ret, err);
    if (kind == KT_INVALID)
        kt_context(err, "api");
    return kind;
}

enum http_meaning kt_http_meaning(const struct http_request *request, unsigned status)
{
    for (unsigned meaning = 0; meaning < HTTP_MEANING_COUNT; meaning++)
        for (size_t i = 0; i < request->statuses[meaning].n; i++)
            if (request->statuses[meaning].at[i] == status)
                return (enum http_meaning)meaning;
    return HTTP_MEANING_COUNT;
}
