/* lib/api.c - see lib/api.h. */
#include "lib/api.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"
#include "lib/secret.h"

#define BODY_MAX       ((size_t)33 * 1024 * 1024)
#define MERGE_PATCH    "application/merge-patch+json"
#define NAMESPACE_MAX  256u
#define REPORT_MAX     ((size_t)64 * 1024)
#define LONG_POLL_MORE 15000u

/* What a vault may answer: long lists, and what others stored. */
static const struct kt_json_limits reply_limits = {
    .bytes = BODY_MAX,
    .depth = 128,
    .nodes = 8000000,
    .keys = 1000000,
    .string_bytes = BODY_MAX,
    .number_bytes = 4096,
};

struct kt_api {
    struct kt_http *http;
    struct kt_secret *token;
    size_t body_max;
    int wake_fd;
    bool (*woken)(void *arg);
    void *woken_arg;
    char namespace_path[NAMESPACE_MAX];
};

enum kt_kind kt_api_open(const struct kt_api_options *options, struct kt_api **ret,
                         struct kt_err *err)
{
    const char *ns = options->namespace_path != NULL ? options->namespace_path : "";
    if (strlen(ns) >= NAMESPACE_MAX)
        return kt_fail(err, KT_INVALID, "the namespace is too long");
    struct kt_api *api = kt_calloc(1, sizeof *api);
    if (api == NULL)
        return kt_fail(err, KT_NO_MEMORY, "setting up the connection");
    const char *address =
        options->address != NULL && options->address[0] != '\0' ? options->address : KT_API_ADDRESS;
    struct kt_http_options http = {
        .address = address,
        .ca_file = options->ca_file,
        .client_cert = options->client_cert,
        .client_key = options->client_key,
        .server_name = options->server_name,
        .user_agent = options->user_agent,
        .names = options->names,
        .timeout_ms = options->timeout_ms,
        .body_max = options->body_max,
    };
    api->body_max = options->body_max != 0 ? options->body_max : BODY_MAX;
    api->wake_fd = options->wake_fd;
    api->woken = options->woken;
    api->woken_arg = options->woken_arg;
    (void)snprintf(api->namespace_path, sizeof api->namespace_path, "%s", ns);
    enum kt_kind kind = kt_http_open(&http, &api->http, err);
    if (kind == KT_OK)
        kind = kt_api_set_token(api, options->token, err);
    if (kind != KT_OK) {
        kt_api_close(api);
        return kind;
    }
    *ret = api;
    return KT_OK;
}

void kt_api_close(struct kt_api *api)
{
    if (api == NULL)
        return;
    kt_http_close(api->http);
    kt_secret_free(api->token);
    free(api);
}

enum kt_kind kt_api_set_token(struct kt_api *api, struct kt_bytes token, struct kt_err *err)
{
    struct kt_secret *copy = NULL;
    if (token.len > 0) {
        copy = kt_secret_copy(token);
        if (copy == NULL)
            return kt_fail(err, KT_NO_MEMORY, "keeping the token");
    }
    kt_secret_free(api->token);
    api->token = copy;
    return KT_OK;
}

const char *kt_api_address(const struct kt_api *api)
{
    return kt_http_address(api->http);
}

void kt_api_reply_init(struct kt_api_reply *reply)
{
    *reply = (struct kt_api_reply){0};
    kt_http_response_init(&reply->http, BODY_MAX);
}

void kt_api_reply_free(struct kt_api_reply *reply)
{
    if (reply != NULL)
        kt_http_response_free(&reply->http);
}

/* ---- parts of an answer ---- */

bool kt_api_i64(struct kt_json object, const char *name, int64_t *ret)
{
    struct kt_json value = {0};
    return kt_json_member(object, name, &value) && kt_json_i64(value, ret);
}

bool kt_api_bool(struct kt_json object, const char *name, bool *ret)
{
    struct kt_json value = {0};
    return kt_json_member(object, name, &value) && kt_json_bool(value, ret);
}

bool kt_api_text(struct kt_json object, const char *name, char *out, size_t out_size)
{
    struct kt_json value = {0};
    out[0] = '\0';
    if (!kt_json_member(object, name, &value))
        return false;
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, value.len + 1);
    if (!kt_json_string(value, &text))
        return false;
    (void)snprintf(out, out_size, "%s", kt_buf_text(&text));
    return text.len < out_size;
}

static struct kt_json member_not_null(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    if (!kt_json_member(object, name, &value) || kt_json_type(value) == KT_JSON_NULL)
        return (struct kt_json){0};
    return value;
}

/* ---- errors ---- */

static enum kt_kind kind_of(unsigned status)
{
    static const struct {
        unsigned status;
        enum kt_kind kind;
    } rows[] = {
        {400, KT_INVALID},    {403, KT_DENIED},   {404, KT_NOT_FOUND},    {405, KT_METHOD},
        {409, KT_CONFLICT},   {410, KT_GONE},     {412, KT_PRECONDITION}, {413, KT_TOO_LARGE},
        {415, KT_MEDIA_TYPE}, {429, KT_TOO_MANY}, {503, KT_BUSY},         {504, KT_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].kind;
    return status < 500 ? KT_INVALID : KT_INTERNAL;
}

void kt_api_tidy(struct kt_buf *out, struct kt_bytes text)
{
    static const char many[] = "occurred:\n\t* ";
    static const unsigned char blank[] = " ";
    const unsigned char *found =
        text.len > 0 ? memmem(text.at, text.len, many, sizeof many - 1) : NULL;
    if (found != NULL) {
        size_t skip = (size_t)(found - text.at) + sizeof many - 1;
        text = kt_bytes(text.at + skip, text.len - skip);
    }
    while (text.len > 0 && text.at[text.len - 1] <= 0x20)
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        if (text.len - i >= 4 && memcmp(text.at + i, "\n\t* ", 4) == 0) {
            kt_buf_add_text(out, "; ");
            i += 3;
        } else {
            kt_buf_add(out, text.at[i] < 0x20 || text.at[i] == 0x7f ? blank : text.at + i, 1);
        }
    }
}

static enum kt_kind server_error(struct kt_api_reply *reply, struct kt_err *err)
{
    unsigned status = reply->http.status;
    enum kt_kind kind = kind_of(status);
    size_t count = kt_json_count(reply->errors);
    size_t at = 0;
    kt_autobuf struct kt_buf joined = {0};
    kt_autobuf struct kt_buf last = {0};
    kt_autobuf struct kt_buf one = {0};
    kt_buf_init(&joined, BODY_MAX);
    kt_buf_init(&last, BODY_MAX);
    kt_buf_init(&one, BODY_MAX);
    struct kt_json_iter it = kt_json_iter(reply->errors);
    while (kt_json_next(&it)) {
        kt_buf_reset(&one);
        if (!kt_json_string(it.value, &one))
            continue;
        at++;
        struct kt_buf *to = count > 1 && at == count ? &last : &joined;
        if (to->len > 0)
            kt_buf_add_text(to, "; ");
        kt_api_tidy(to, kt_buf_bytes(&one));
    }
    const char *text = joined.len > 0 ? kt_buf_text(&joined) : kt_kind_text(kind);
    if (status == 503 && strstr(text, "sealed") != NULL)
        kind = KT_SEALED;
    errno = 0;
    (void)kt_fail(err, kind, "%s", text);
    if (last.len > 0)
        kt_hint(err, "%s", kt_buf_text(&last));
    else if (kind == KT_SEALED)
        kt_hint(err, "secretctl operator unseal");
    return kind;
}

/* What was asked is not done: whoever goes on as if it were would be wrong. The id stands in commands that are
 * pasted into a shell: what is no part of a UUID comes into none. */
static enum kt_kind kept_for_approval(const struct kt_api_reply *reply, struct kt_err *err)
{
    char id[40];
    struct kt_json value = {0};
    if (!kt_json_member(reply->data, "approval_id", &value))
        return KT_OK;
    bool whole = kt_api_text(reply->data, "approval_id", id, sizeof id);
    (void)kt_fail(err, KT_PRECONDITION, "nothing was done yet: this needs the approval of others, and waits for it");
    if (whole && id[0] != '\0' && id[strspn(id, "0123456789abcdefABCDEF-")] == '\0')
        kt_hint(err, "others: secretctl approve %s; then you: secretctl approvals finish %s", id, id);
    else
        kt_hint(err, "secretctl approvals list -mine");
    return KT_PRECONDITION;
}

enum kt_kind kt_api_reply_read(struct kt_api_reply *reply, bool raw, struct kt_err *err)
{
    struct kt_bytes body = kt_buf_bytes(&reply->http.body);
    bool failed = reply->http.status >= 400;
    reply->root = reply->data = reply->auth = reply->wrap_info = reply->warnings = reply->errors = (struct kt_json){0};
    reply->request_id[0] = '\0';
    if (body.len > 0 && (!raw || failed)) {
        enum kt_kind kind = kt_json_check(body, &reply_limits, err);
        if (kind != KT_OK && !failed) {
            kt_context(err, "the answer is not what a vault sends");
            kt_hint(err, "is there a vault at this address?");
            return KT_CORRUPT;
        }
        if (kind == KT_OK)
            reply->root = kt_json_value(body);
    }
    if (kt_json_type(reply->root) == KT_JSON_OBJECT) {
        struct kt_json id = {0};
        bool envelope = kt_json_member(reply->root, "request_id", &id);
        reply->data = envelope || failed ? member_not_null(reply->root, "data") : reply->root;
        reply->auth = member_not_null(reply->root, "auth");
        reply->wrap_info = member_not_null(reply->root, "wrap_info");
        reply->warnings = member_not_null(reply->root, "warnings");
        reply->errors = member_not_null(reply->root, "errors");
        (void)kt_api_text(reply->root, "request_id", reply->request_id, sizeof reply->request_id);
    }
    if (failed)
        return server_error(reply, err);
    return reply->http.status == 202 ? kept_for_approval(reply, err) : KT_OK;
}

/* ---- a call ---- */

static void add_path(struct kt_buf *out, const struct kt_api_request *request)
{
    const char *path = request->path;
    while (*path == '/')
        path++;
    kt_buf_add_text(out, "/v1/");
    kt_url_escape(out, kt_str(path), true);
    if (request->query != NULL && request->query[0] != '\0') {
        kt_buf_add_char(out, '?');
        kt_buf_add_text(out, request->query);
    }
}

void kt_api_url(const struct kt_api *api, const struct kt_api_request *request, struct kt_buf *out)
{
    kt_buf_add_text(out, kt_api_address(api));
    add_path(out, request);
}

static bool is_write(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "LIST") != 0 && strcmp(method, "HEAD") != 0;
}

/* An answer that did not arrive: after a write nobody knows whether it was done. */
static enum kt_kind lost(enum kt_kind kind, const char *method, struct kt_err *err)
{
    if (kind != KT_TIMEOUT && kind != KT_UNKNOWN)
        return kind;
    enum kt_kind now = is_write(method) ? KT_UNKNOWN : kind == KT_UNKNOWN ? KT_IO : kind;
    if (err != NULL)
        err->kind = now;
    return now;
}

enum kt_kind kt_api_call(struct kt_api *api, const struct kt_api_request *request, int wake_fd,
                         struct kt_api_reply *reply, struct kt_err *err)
{
    struct kt_http_header headers[6];
    size_t count = 0;
    headers[count++] = (struct kt_http_header){"X-Vault-Request", kt_str("true")};
    if (api->token != NULL)
        headers[count++] = (struct kt_http_header){"X-Vault-Token", kt_secret_bytes(api->token)};
    if (api->namespace_path[0] != '\0')
        headers[count++] =
            (struct kt_http_header){"X-Vault-Namespace", kt_str(api->namespace_path)};
    if (request->wrap_ttl != NULL)
        headers[count++] = (struct kt_http_header){"X-Vault-Wrap-TTL", kt_str(request->wrap_ttl)};
    const char *type = request->content_type;
    if (type == NULL && strcmp(request->method, "PATCH") == 0)
        type = MERGE_PATCH;
    if (type != NULL)
        headers[count++] = (struct kt_http_header){"Content-Type", kt_str(type)};

    kt_autobuf struct kt_buf path = {0};
    kt_buf_init(&path, KT_HTTP_PATH_MAX);
    add_path(&path, request);
    if (!kt_buf_ok(&path) || strlen(request->path) > KT_API_PATH_MAX)
        return kt_fail(err, KT_INVALID, "the path is too long");
    struct kt_http_request http = {
        .method = request->method,
        .path = kt_buf_text(&path),
        .headers = headers,
        .header_count = count,
        .body = request->body,
        .timeout_ms = request->timeout_ms,
        .tick = request->tick,
        .tick_arg = request->tick_arg,
    };
    if (wake_fd < 0 && api->woken != NULL) {
        wake_fd = api->wake_fd;
        http.woken = api->woken;
        http.woken_arg = api->woken_arg;
    }
    enum kt_kind kind = kt_http_perform(api->http, &http, wake_fd, &reply->http, err);
    if (kind != KT_OK) {
        reply->root = reply->data = reply->auth = reply->wrap_info = reply->warnings = reply->errors =
            (struct kt_json){0};
        return lost(kind, request->method, err);
    }
    return kt_api_reply_read(reply, request->raw, err);
}

/* ---- what both programs ask for ---- */

enum kt_kind kt_api_mount_of(struct kt_api *api, const char *path, struct kt_api_mount *ret,
                             struct kt_err *err)
{
    char full[KT_API_PATH_MAX + 64];
    int n = snprintf(full, sizeof full, "sys/internal/ui/mounts/%s", path);
    if (n < 0 || (size_t)n > KT_API_PATH_MAX)
        return kt_fail(err, KT_INVALID, "the path is too long");
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct kt_api_request request = {.method = "GET", .path = full};
    enum kt_kind kind = kt_api_call(api, &request, -1, &reply, err);
    if (kind != KT_OK)
        return kind;
    struct kt_api_mount mount = {.version = 1};
    struct kt_json options = {0};
    char version[8] = "";
    if (!kt_api_text(reply.data, "path", mount.path, sizeof mount.path) || mount.path[0] == '\0')
        return kt_fail(err, KT_CORRUPT, "the vault did not say to which mount the path belongs");
    (void)kt_api_text(reply.data, "type", mount.type, sizeof mount.type);
    if (kt_json_member(reply.data, "options", &options) &&
        kt_api_text(options, "version", version, sizeof version))
        mount.version = strcmp(version, "2") == 0 ? 2 : 1;
    *ret = mount;
    return KT_OK;
}

enum kt_kind kt_api_kv_read(struct kt_api *api, const struct kt_api_mount *mount,
                            const char *secret, uint64_t version, struct kt_api_reply *reply,
                            uint64_t *ret_version, struct kt_err *err)
{
    size_t mount_len = strlen(mount->path);
    char path[KT_API_PATH_MAX + 1];
    char query[40] = "";
    if (strncmp(secret, mount->path, mount_len) != 0)
        return kt_fail(err, KT_INVALID, "the secret is not in the mount %s", mount->path);
    int n = snprintf(path, sizeof path, "%sdata/%s", mount->path, secret + mount_len);
    if (n < 0 || (size_t)n >= sizeof path)
        return kt_fail(err, KT_INVALID, "the path is too long");
    if (version != 0)
        (void)snprintf(query, sizeof query, "version=%ju", (uintmax_t)version);
    struct kt_api_request request = {.method = "GET", .path = path, .query = query};
    enum kt_kind kind = kt_api_call(api, &request, -1, reply, err);
    if (kind != KT_OK)
        return kind;
    struct kt_json metadata = {0};
    int64_t number = 0;
    if (!kt_json_member(reply->data, "metadata", &metadata) ||
        !kt_api_i64(metadata, "version", &number) || number < 1)
        return kt_fail(err, KT_CORRUPT, "the vault did not say which version it sent");
    *ret_version = (uint64_t)number;
    return KT_OK;
}

enum kt_kind kt_api_watch(struct kt_api *api, const char *host, const char *cursor, unsigned wait_s,
                          int wake_fd, struct kt_api_reply *reply, struct kt_err *err)
{
    kt_autobuf struct kt_buf path = {0};
    kt_autobuf struct kt_buf query = {0};
    kt_buf_init(&path, KT_API_PATH_MAX);
    kt_buf_init(&query, 1024);
    kt_buf_printf(&path, "fleet/watch/%s", host);
    kt_buf_printf(&query, "wait=%u", wait_s);
    if (cursor != NULL && cursor[0] != '\0') {
        kt_buf_add_text(&query, "&since=");
        kt_url_escape(&query, kt_str(cursor), false);
    }
    if (!kt_buf_ok(&path) || !kt_buf_ok(&query))
        return kt_fail(err, KT_INVALID, "the host's name or the cursor is too long");
    struct kt_api_request request = {
        .method = "GET",
        .path = kt_buf_text(&path),
        .query = kt_buf_text(&query),
        .timeout_ms = wait_s * 1000u + LONG_POLL_MORE,
    };
    return kt_api_call(api, &request, wake_fd, reply, err);
}

enum kt_kind kt_api_consumer_report(struct kt_api *api, const struct kt_api_consumer *report,
                                    struct kt_api_reply *reply, struct kt_err *err)
{
    kt_autobuf struct kt_buf path = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&path, KT_API_PATH_MAX);
    kt_buf_init(&body, REPORT_MAX);
    kt_buf_printf(&path, "fleet/consumers/%s/%s", report->host, report->secret);
    const struct {
        const char *name, *text;
    } texts[] = {
        {"service", report->service},   {"state", report->state},   {"instance", report->instance},
        {"evidence", report->evidence}, {"detail", report->detail},
    };
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"samples", report->samples},
        {"p95_ms", report->p95_ms},
        {"baseline_p95_ms", report->baseline_p95_ms},
        {"candidates", report->candidates},
        {"holds", report->holds},
    };
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].text != NULL)
            kt_jsonw_kv_text(&w, texts[i].name, texts[i].text);
    kt_jsonw_kv_int(&w, "version", (int64_t)report->version);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].value != 0)
            kt_jsonw_kv_int(&w, numbers[i].name, (int64_t)numbers[i].value);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&path) || !kt_buf_ok(&body))
        return kt_fail(err, KT_INVALID, "the report about a consumer is too long");
    struct kt_api_request request = {
        .method = "POST",
        .path = kt_buf_text(&path),
        .body = kt_buf_bytes(&body),
        .timeout_ms = report->timeout_ms};
    return kt_api_call(api, &request, -1, reply, err);
}
