#include "lib/driver/http_call.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <strings.h>

#include "lib/ipc.h"
#include "lib/json_pointer.h"
#include "lib/jsonw.h"

#define BODY_MAX   ((size_t)64 * 1024)
#define HEADER_MAX ((size_t)8 * 1024)
#define QUOTE_MAX  200u

/* ---- where --------------------------------------------------------------------------------------- */

static bool is_number(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool open_client(struct http_call *call, struct driver_result *ret)
{
    const struct driver_run *run = call->run;
    char address[PLACE_ADDRESS_TEXT + 32];
    const char *at = kt_place_address(run, &call->place);
    if (at == NULL || strchr(at, '%') != NULL)
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "an API is at a host and a port");
    bool six = strchr(at, ':') != NULL;
    (void)snprintf(address, sizeof address, "%s://%s%s%s:%u", call->place.tls ? "https" : "http", six ? "[" : "", at,
                   six ? "]" : "", (unsigned)run->step->target.port);
    /* The name is in the request and in the certificate; looking it up again is not possible any more. */
    const struct kt_http_options options = {
        .address = address,
        .ca_file = call->place.ca_path,
        .server_name = is_number(run->step->target.host) ? NULL : run->step->target.host,
        .connect_timeout_ms = kt_place_connect_ms(run),
        .timeout_ms = kt_place_statement_ms(run),
        .body_max = HTTP_ANSWER_MAX,
        .stays = true,
    };
    struct kt_err err = {0};
    kt_http_response_init(&call->response, HTTP_ANSWER_MAX);
    return kt_http_open(&options, &call->http, &err) == KT_OK ||
           kt_driver_say(run, ret, DRIVER_UNREACH, "connect", "%s", err.what);
}

struct http_call *kt_http_call_open(const struct driver_run *run, struct driver_result *ret)
{
    struct http_call *call = kt_arena_take(run->arena, sizeof *call);
    struct kt_err err = {0};
    if (call == NULL) {
        (void)kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
        return NULL;
    }
    call->run = run;
    enum kt_kind kind = kt_http_api_read(run->step->target.api, run->arena, &call->api, &err);
    if (kind != KT_OK)
        (void)kt_driver_say(run, ret, kind == KT_INVALID ? DRIVER_PERMANENT : DRIVER_UNREACH,
                            kind == KT_INVALID ? "api" : "memory", "%s", err.what);
    else if (kt_place_find(run, &call->place, ret) && open_client(call, ret))
        return call;
    kt_http_call_close(call);
    return NULL;
}

void kt_http_call_close(struct http_call *call)
{
    kt_http_close(call->http);
    kt_http_response_free(&call->response);
}

/* ---- what is sent -------------------------------------------------------------------------------- */

static struct kt_bytes text_of(const char *text)
{
    return kt_str(text == NULL ? "" : text);
}

void kt_http_values(const struct driver_step *step, enum driver_who who, const char *id,
                    char attempt[16], struct template_values *ret)
{
    const struct driver_login *admin = &step->logins[DRIVER_ADMIN];
    const struct driver_login none = {.username = NULL};
    const struct driver_login *login = who < DRIVER_LOGIN_COUNT ? &step->logins[who] : &none;
    (void)snprintf(attempt, 16, "%u", (unsigned)step->attempt);
    *ret = (struct template_values){
        .at = {[TEMPLATE_ACCOUNT] = text_of(login->username != NULL ? login->username : step->account),
               [TEMPLATE_RUN] = text_of(step->run),
               [TEMPLATE_ATTEMPT] = kt_str(attempt),
               [TEMPLATE_ID] = text_of(id[0] == '\0' && who < DRIVER_LOGIN_COUNT ? step->ids[who] : id),
               [TEMPLATE_ADMIN_NAME] = text_of(admin->username),
               [TEMPLATE_ADMIN] = admin->password,
               [TEMPLATE_VALUE] = login->password}};
}

/* A request as it goes out; its buffers wipe themselves. */
struct outgoing {
    struct kt_buf path, body, basic;
    struct kt_buf lines[HTTP_HEADERS_MAX];
    struct kt_http_header headers[HTTP_HEADERS_MAX + 3];
    size_t n;
    bool typed; /* the declaration has a Content-Type */
};

static void outgoing_free(struct outgoing *out)
{
    kt_buf_free(&out->path);
    kt_buf_free(&out->body);
    kt_buf_free(&out->basic);
    for (size_t i = 0; i < HTTP_HEADERS_MAX; i++)
        kt_buf_free(&out->lines[i]);
}

static void outgoing_init(struct outgoing *out)
{
    *out = (struct outgoing){.n = 0};
    kt_buf_init(&out->path, KT_HTTP_PATH_MAX);
    kt_buf_init(&out->body, BODY_MAX);
    kt_buf_init(&out->basic, HEADER_MAX);
    for (size_t i = 0; i < HTTP_HEADERS_MAX; i++)
        kt_buf_init(&out->lines[i], HEADER_MAX);
}

static void add_header(struct outgoing *out, const char *name, struct kt_bytes value)
{
    out->headers[out->n++] = (struct kt_http_header){name, value};
}

static void make_basic(const char *const basic[2], const struct template_values *values, struct kt_buf *out)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, HEADER_MAX / 2);
    kt_template_fill(basic[0], values, &plain);
    kt_buf_add_char(&plain, ':');
    kt_template_fill(basic[1], values, &plain);
    kt_buf_add_text(out, "Basic ");
    size_t size = kt_buf_ok(&plain) ? sodium_base64_encoded_len(plain.len, sodium_base64_VARIANT_ORIGINAL) : 0;
    unsigned char *at = size == 0 ? NULL : kt_buf_grow(out, size);
    if (at == NULL) {
        out->failed = true;
        return;
    }
    (void)sodium_bin2base64((char *)at, size, plain.at, plain.len, sodium_base64_VARIANT_ORIGINAL);
    out->len--; /* its NUL */
}

static void make_form(struct kt_json form, const struct template_values *values, struct kt_buf *out)
{
    kt_autobuf struct kt_buf text;
    kt_autobuf struct kt_buf filled;
    kt_buf_init(&text, BODY_MAX);
    kt_buf_init(&filled, BODY_MAX);
    struct kt_json_iter it = kt_json_iter(form);
    while (kt_json_next(&it)) {
        if (out->len > 0)
            kt_buf_add_char(out, '&');
        kt_buf_reset(&text);
        bool ok = kt_json_string(it.key, &text);
        kt_url_escape(out, kt_buf_bytes(&text), false);
        kt_buf_add_char(out, '=');
        kt_buf_reset(&text);
        kt_buf_reset(&filled);
        ok = ok && kt_json_string(it.value, &text);
        kt_template_fill(kt_buf_text(&text), values, &filled);
        kt_url_escape(out, kt_buf_bytes(&filled), false);
        out->failed = out->failed || !ok || !kt_buf_ok(&filled);
    }
}

static bool make(const struct http_request *q, const struct template_values *values, struct outgoing *out)
{
    bool json = kt_json_type(q->body) != KT_JSON_NONE, form = kt_json_type(q->form) != KT_JSON_NONE;
    kt_template_fill_url(q->path, values, &out->path);
    bool ok = kt_buf_ok(&out->path);
    for (size_t i = 0; i < q->n_headers; i++) {
        kt_template_fill(q->headers[i].text, values, &out->lines[i]);
        ok = ok && kt_buf_ok(&out->lines[i]);
        add_header(out, q->headers[i].name, kt_buf_bytes(&out->lines[i]));
        out->typed = out->typed || strcasecmp(q->headers[i].name, "content-type") == 0;
    }
    if (q->basic[1] != NULL) {
        make_basic(q->basic, values, &out->basic);
        add_header(out, "Authorization", kt_buf_bytes(&out->basic));
    }
    if (json)
        kt_template_fill_json(q->body, values, &out->body);
    if (form)
        make_form(q->form, values, &out->body);
    if ((json || form) && !out->typed)
        add_header(out, "Content-Type", kt_str(json ? "application/json" : "application/x-www-form-urlencoded"));
    add_header(out, "Accept", kt_str("application/json"));
    return ok && kt_buf_ok(&out->body) && kt_buf_ok(&out->basic);
}

/* ---- what came back ------------------------------------------------------------------------------ */

static struct kt_json answer_of(const struct http_call *call)
{
    static const struct kt_json_limits limits = {.bytes = HTTP_ANSWER_MAX,
                                                 .depth = 32,
                                                 .nodes = 20000,
                                                 .keys = 256,
                                                 .string_bytes = (size_t)64 * 1024,
                                                 .number_bytes = 64};
    struct kt_bytes body = kt_buf_bytes(&call->response.body);
    if (body.len == 0 || kt_json_check(body, &limits, NULL) != KT_OK)
        return (struct kt_json){NULL, 0};
    return kt_json_value(body);
}

const char *kt_http_text(const struct http_call *call, struct kt_json answer, const char *pointer)
{
    struct kt_json value;
    if (pointer == NULL || !kt_json_pointer(answer, pointer, &value))
        return NULL;
    if (kt_json_type(value) == KT_JSON_NUMBER) /* ids often are */
        return kt_arena_text(call->run->arena, kt_json_bytes(value));
    return kt_json_text(value, call->run->arena);
}

/* What the API says of itself, where it says no. */
static const char *message_of(const struct http_call *call, const struct http_request *q, struct kt_json answer)
{
    static const char *const usual[] = {"/message", "/error/message", "/error_description", "/detail", "/error"};
    const char *text = kt_http_text(call, answer, q->message_at);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0] && text == NULL && q->message_at == NULL; i++)
        text = kt_http_text(call, answer, usual[i]);
    return text == NULL ? "" : text;
}

static bool is_page(const struct http_call *call)
{
    return strncasecmp(call->response.content_type, "text/html", 9) == 0;
}

static bool matches(const struct http_call *call, const struct http_request *q, struct kt_json answer,
                    const struct template_values *values)
{
    kt_autobuf struct kt_buf wanted;
    kt_buf_init(&wanted, HEADER_MAX);
    for (size_t i = 0; i < q->n_matches; i++) {
        const char *text = kt_http_text(call, answer, q->matches[i].name);
        kt_buf_reset(&wanted);
        kt_template_fill(q->matches[i].text, values, &wanted);
        if (text == NULL || !kt_buf_ok(&wanted) || !kt_bytes_is(kt_buf_bytes(&wanted), text))
            return false;
    }
    return true;
}

static enum driver_class class_of(enum http_meaning meaning)
{
    static const enum driver_class classes[HTTP_MEANING_COUNT] = {
        [HTTP_OK] = DRIVER_OK,
        [HTTP_REFUSED] = DRIVER_REFUSED,
        [HTTP_PERMANENT] = DRIVER_PERMANENT,
        [HTTP_BAD_VALUE] = DRIVER_BAD_VALUE,
        [HTTP_LATER] = DRIVER_UNREACH,
    };
    return meaning < HTTP_MEANING_COUNT ? classes[meaning] : DRIVER_UNREACH;
}

static void tell(const struct http_call *call, enum http_request_name name, const struct http_said *said,
                 const char *why, struct driver_result *ret)
{
    char code[16];
    (void)snprintf(code, sizeof code, "%u", said->status);
    if (said->meaning == HTTP_OK) {
        (void)kt_driver_say(call->run, ret, DRIVER_OK, "", "\"%s\" was answered with status %u",
                            kt_http_request_text(name), said->status);
        return;
    }
    (void)kt_driver_say(call->run, ret, class_of(said->meaning), code, "\"%s\" was answered with status %u%s%.*s%s",
                        kt_http_request_text(name), said->status, why[0] == '\0' ? "" : ": ", (int)QUOTE_MAX, why,
                        said->meaning == HTTP_MEANING_COUNT ? "; that says nothing" : "");
}

static struct http_said judge(struct http_call *call, enum http_request_name name,
                              const struct template_values *values, struct driver_result *ret)
{
    const struct http_request *q = &call->api.requests[name];
    struct http_said said = {.meaning = HTTP_MEANING_COUNT, .status = call->response.status};
    const char *why = "";
    said.answer = answer_of(call);
    if (said.status >= 300 && said.status < 400) {
        why = "a redirect, which is not followed";
    } else if (is_page(call)) {
        why = "an HTML page";
    } else {
        said.meaning = kt_http_meaning(q, said.status);
        why = message_of(call, q, said.answer);
    }
    if (said.meaning == HTTP_OK && !matches(call, q, said.answer, values)) {
        said.meaning = HTTP_MEANING_COUNT;
        why = "the answer is not what \"match\" wants";
    }
    tell(call, name, &said, why, ret);
    return said;
}

/* ---- one request --------------------------------------------------------------------------------- */

static uint32_t left_ms(const struct driver_run *run)
{
    int64_t left = run->deadline - kt_ipc_deadline(0);
    return left <= 0 ? 0 : (uint32_t)left;
}

static bool send_once(struct http_call *call, const struct http_request *q, struct outgoing *out,
                      struct driver_result *ret)
{
    const struct driver_run *run = call->run;
    uint32_t left = left_ms(run), own = kt_place_statement_ms(run);
    struct kt_err err = {0};
    if (left == 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "timeout", "the step's time was over");
    const struct kt_http_request request = {
        .method = q->method,
        .path = kt_buf_text(&out->path),
        .headers = out->headers,
        .header_count = out->n,
        .body = kt_buf_bytes(&out->body),
        .timeout_ms = left < own ? left : own,
    };
    enum kt_kind kind = kt_http_perform(call->http, &request, -1, &call->response, &err);
    if (kind == KT_OK)
        return true;
    if (kind == KT_INVALID)
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "the request cannot be made: %s", err.what);
    return kt_driver_say(run, ret, DRIVER_UNREACH, kind == KT_TIMEOUT ? "timeout" : "connect", "\"%s\": %s",
                         kt_http_request_text((enum http_request_name)(q - call->api.requests)), err.what);
}

/* True: it was waited, and there is time to ask again. */
static bool wait_for_it(const struct http_call *call)
{
    uint32_t ms = call->response.retry_after_s > HTTP_WAIT_MS / 1000 ? 0 : call->response.retry_after_s * 1000;
    if (ms == 0 || ms + kt_place_statement_ms(call->run) > left_ms(call->run))
        return false;
    (void)poll(NULL, 0, (int)ms);
    return true;
}

struct http_said kt_http_call(struct http_call *call, enum http_request_name name, enum driver_who who,
                              const char *id, struct driver_result *ret)
{
    const struct http_request *q = &call->api.requests[name];
    struct http_said said = {.meaning = HTTP_MEANING_COUNT};
    struct template_values values;
    struct outgoing out;
    char attempt[16];
    kt_http_values(call->run->step, who, id, attempt, &values);
    outgoing_init(&out);
    if (!make(q, &values, &out)) {
        (void)kt_driver_say(call->run, ret, DRIVER_PERMANENT, "step", "\"%s\" cannot be made with these values",
                            kt_http_request_text(name));
        outgoing_free(&out);
        return said;
    }
    for (unsigned tries = 1; send_once(call, q, &out, ret); tries++) {
        said = judge(call, name, &values, ret);
        if (said.meaning != HTTP_LATER || tries == HTTP_TRIES || !wait_for_it(call))
            break;
    }
    outgoing_free(&out);
    return said;
}
