/* lib/http_client.c - see lib/http_client.h.
 *
 * Every transfer goes through a multi handle, so that a long poll can also wait for the caller's
 * descriptor. Options that never change are set once; what a request sets is set for every one. */
#include "lib/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/http_address.h"
#include "lib/http_failure.h"
#include "lib/num.h"
#include "lib/server_purpose.h"
#include "lib/wipe_alloc.h"

#define REDIRECTS_MAX      3u
#define HEADER_LINE_MAX    ((size_t)8 * 1024)
#define BODY_MAX           ((size_t)33 * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 10000u
#define TIMEOUT_MS         60000u
#define TICK_MS            1000

struct kt_http {
    struct kt_http_address address;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *connect_to;
    unsigned timeout_ms;
    size_t body_max;
    bool stays;
    char ca_file[1024];
    const struct kt_http_names *names;
    const char *client_cert, *client_key; /* while it is opened; NULL: none */
    char curl_said[CURL_ERROR_SIZE];
    /* of the request under way */
    struct kt_http_response *response;
    char location[2048];
    bool not_local; /* plain http would have left this machine */
};

enum kt_kind kt_http_init(struct kt_err *err)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, kt_wipe_malloc, kt_wipe_free, kt_wipe_realloc,
                             kt_wipe_strdup, kt_wipe_calloc) != CURLE_OK)
        return kt_fail(err, KT_NO_MEMORY, "libcurl does not start");
    return KT_OK;
}

void kt_http_response_init(struct kt_http_response *response, size_t body_max)
{
    *response = (struct kt_http_response){0};
    kt_buf_init(&response->body, body_max);
}

void kt_http_response_free(struct kt_http_response *response)
{
    if (response != NULL)
        kt_buf_free(&response->body);
}

/* ---- callbacks ---- */

static size_t body_arrived(char *at, size_t size, size_t count, void *arg)
{
    struct kt_http *http = arg;
    kt_buf_add(&http->response->body, at, size * count);
    if (http->response->body.len > http->body_max)
        http->response->body.failed = true;
    return kt_buf_ok(&http->response->body) ? size * count : 0;
}

static struct kt_bytes header_value(const char *line, size_t len, const char *name)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return kt_bytes(NULL, 0);
    const char *at = line + n + 1;
    const char *end = line + len;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    return kt_bytes(at, (size_t)(end - at));
}

static size_t header_arrived(char *at, size_t size, size_t count, void *arg)
{
    struct kt_http *http = arg;
    size_t len = size * count;
    uint64_t seconds = 0;
    struct kt_bytes value = header_value(at, len, "Content-Type");
    if (value.at != NULL)
        (void)snprintf(http->response->content_type, sizeof http->response->content_type, "%.*s",
                       (int)value.len, (const char *)value.at);
    value = header_value(at, len, "Location");
    if (value.at != NULL && value.len < sizeof http->location)
        (void)snprintf(http->location, sizeof http->location, "%.*s", (int)value.len,
                       (const char *)value.at);
    value = header_value(at, len, "Retry-After");
    if (value.at != NULL && kt_u64_parse(value, 86400, &seconds))
        http->response->retry_after_s = (unsigned)seconds;
    return len;
}

static bool is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_UNIX)
        return true;
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof in);
        return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
    }
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof in6);
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}

/* A name may resolve to anything, so the rule for plain http is applied to the address. */
static curl_socket_t socket_wanted(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct kt_http *http = arg;
    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    if (!http->address.tls && !is_loopback(&address->addr)) {
        http->not_local = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- open and close ---- */

static bool set_rules(struct kt_http *http)
{
    CURL *easy = http->easy;
    const char *scheme = http->address.tls ? "https" : "http";
    CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(easy, option, value)
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROTOCOLS_STR, scheme);
    SET(CURLOPT_REDIR_PROTOCOLS_STR, scheme);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)http->body_max);
    SET(CURLOPT_ERRORBUFFER, http->curl_said);
    SET(CURLOPT_WRITEFUNCTION, body_arrived);
    SET(CURLOPT_WRITEDATA, http);
    SET(CURLOPT_HEADERFUNCTION, header_arrived);
    SET(CURLOPT_HEADERDATA, http);
    SET(CURLOPT_FRESH_CONNECT, http->stays ? 1L : 0L);
    SET(CURLOPT_FORBID_REUSE, http->stays ? 1L : 0L);
    SET(CURLOPT_OPENSOCKETFUNCTION, socket_wanted);
    SET(CURLOPT_OPENSOCKETDATA, http);
    /* The folder of the system's certificates would be trusted beside the file that is named; and
     * beside the system's file it says the same again, in 140 small files. */
    char *system_file = NULL;
    if (http->ca_file[0] != '\0')
        SET(CURLOPT_CAINFO, http->ca_file);
    if (http->ca_file[0] != '\0' ||
        (curl_easy_getinfo(easy, CURLINFO_CAINFO, &system_file) == CURLE_OK && system_file != NULL))
        SET(CURLOPT_CAPATH, NULL);
    if (http->client_cert != NULL && http->address.tls) {
        SET(CURLOPT_SSLCERT, http->client_cert);
        SET(CURLOPT_SSLKEY, http->client_key);
    }
    if (http->address.socket_path[0] != '\0')
        SET(CURLOPT_UNIX_SOCKET_PATH, http->address.socket_path);
    if (http->connect_to != NULL)
        SET(CURLOPT_CONNECT_TO, http->connect_to);
#undef SET
    return bad == CURLE_OK && (!http->address.tls || kt_server_purpose_check(easy) == CURLE_OK);
}

/* Said before a handshake that could only fail. */
static enum kt_kind check_client_file(const char *file, const char *what, const char *name, struct kt_err *err)
{
    if (access(file, R_OK) == 0)
        return KT_OK;
    enum kt_kind kind = kt_fail(err, KT_IO, "cannot read the %s '%.200s'", what, file);
    kt_hint(err, "%s names its PEM file", name);
    return kind;
}

/* Borrowed for the call to open: libcurl keeps copies. */
static enum kt_kind take_client_cert(struct kt_http *http, const struct kt_http_options *options,
                                     struct kt_err *err)
{
    bool cert = options->client_cert != NULL && options->client_cert[0] != '\0';
    bool key = options->client_key != NULL && options->client_key[0] != '\0';
    if (key && !cert) {
        (void)kt_fail(err, KT_INVALID, "a client's key without its certificate");
        kt_hint(err, "VAULT_CLIENT_CERT (-client-cert) names the certificate's PEM file");
        return KT_INVALID;
    }
    if (!cert || !http->address.tls)
        return KT_OK;
    http->client_cert = options->client_cert;
    http->client_key = key ? options->client_key : options->client_cert;
    enum kt_kind kind = check_client_file(http->client_cert, "client's certificate",
                                          "VAULT_CLIENT_CERT (-client-cert)", err);
    return kind == KT_OK ? check_client_file(http->client_key, "client's key",
                                             "VAULT_CLIENT_KEY (-client-key)", err)
                         : kind;
}

static enum kt_kind fill(struct kt_http *http, const struct kt_http_options *options,
                         struct kt_err *err)
{
    http->names = options->names != NULL ? options->names : &kt_http_default_names;
    enum kt_kind kind = kt_http_address_parse(options->address, &http->address, err);
    if (kind != KT_OK) {
        kt_context(err, "%s", http->names->address);
        return kind;
    }
    http->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS;
    http->stays = options->stays;
    http->body_max = options->body_max != 0 ? options->body_max : BODY_MAX;
    if (options->ca_file != NULL && options->ca_file[0] != '\0') {
        if (strlen(options->ca_file) >= sizeof http->ca_file)
            return kt_fail(err, KT_INVALID, "the path of the CA file is too long");
        (void)snprintf(http->ca_file, sizeof http->ca_file, "%s", options->ca_file);
        if (http->address.tls && access(http->ca_file, R_OK) != 0) {
            kind = kt_fail(err, KT_IO, "cannot read the CA file '%.200s'", http->ca_file);
            kt_hint(err, "%s names the PEM file of the CA that signed the vault's certificate",
                    http->names->ca_file);
            return kind;
        }
    }
    kind = take_client_cert(http, options, err);
    if (kind != KT_OK)
        return kind;
    if (options->server_name != NULL && options->server_name[0] != '\0') {
        char connect_to[512];
        kind = kt_http_address_rename(&http->address, options->server_name, connect_to,
                                      sizeof connect_to, err);
        if (kind != KT_OK)
            return kind;
        http->connect_to = curl_slist_append(NULL, connect_to);
        if (http->connect_to == NULL)
            return kt_fail(err, KT_NO_MEMORY, "setting up the connection");
    }
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    unsigned connect_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    const char *agent = options->user_agent != NULL ? options->user_agent : "keyturn/" KT_VERSION;
    if (http->easy == NULL || http->multi == NULL || !set_rules(http) ||
        curl_easy_setopt(http->easy, CURLOPT_USERAGENT, agent) != CURLE_OK ||
        curl_easy_setopt(http->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) != CURLE_OK)
        return kt_fail(err, KT_NO_MEMORY, "setting up the connection");
    return KT_OK;
}

enum kt_kind kt_http_open(const struct kt_http_options *options, struct kt_http **ret,
                          struct kt_err *err)
{
    enum kt_kind kind = kt_http_init(err);
    if (kind != KT_OK)
        return kind;
    kt_autohttp struct kt_http *http = kt_calloc(1, sizeof *http);
    if (http == NULL)
        return kt_fail(err, KT_NO_MEMORY, "setting up the connection");
    kind = fill(http, options, err);
    if (kind == KT_OK)
        *ret = KT_TAKE(http);
    return kind;
}

void kt_http_close(struct kt_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->easy);
    (void)curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->connect_to);
    free(http);
}

const char *kt_http_address(const struct kt_http *http)
{
    return http->address.text;
}

/* ---- a request ---- */

/* The strings hold the token. */
static void headers_free(struct curl_slist **list)
{
    for (struct curl_slist *item = *list; item != NULL; item = item->next)
        sodium_memzero(item->data, strlen(item->data));
    curl_slist_free_all(*list);
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static enum kt_kind make_headers(const struct kt_http_request *request, struct curl_slist **list,
                                 struct kt_err *err)
{
    if (request->header_count > KT_HTTP_HEADERS_MAX)
        return kt_fail(err, KT_INVALID, "more than %u headers", KT_HTTP_HEADERS_MAX);
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, HEADER_LINE_MAX);
    /* curl would announce a form, and ask before it sends a larger body. */
    bool ok = add_header(list, "Expect:") && add_header(list, "Content-Type:");
    for (size_t i = 0; ok && i < request->header_count; i++) {
        const struct kt_http_header *header = &request->headers[i];
        for (size_t k = 0; k < header->value.len; k++)
            if (header->value.at[k] < 0x20 || header->value.at[k] == 0x7f)
                return kt_fail(err, KT_INVALID, "a control character in the value of %s",
                               header->name);
        kt_buf_reset(&line);
        kt_buf_printf(&line, header->value.len == 0 ? "%s;" : "%s: ", header->name);
        kt_buf_add_bytes(&line, header->value);
        if (!kt_buf_ok(&line))
            return kt_fail(err, KT_INVALID, "the value of %s is too long", header->name);
        ok = add_header(list, kt_buf_text(&line));
    }
    return ok ? KT_OK : kt_fail(err, KT_NO_MEMORY, "making the request");
}

static bool sends_body(const struct kt_http_request *request)
{
    return request->body.len > 0 || strcmp(request->method, "POST") == 0 ||
           strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
}

static enum kt_kind prepare(struct kt_http *http, const struct kt_http_request *request,
                            const char *url, struct curl_slist *headers, struct kt_err *err)
{
    CURL *easy = http->easy;
    bool own_timeout = request->timeout_ms != 0;
    long timeout = (long)(own_timeout ? request->timeout_ms : http->timeout_ms);
    CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(easy, option, value)
    SET(CURLOPT_HTTPGET, 1L);
    if (sends_body(request)) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, request->body.len > 0 ? (const char *)request->body.at : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    SET(CURLOPT_NOBODY, strcmp(request->method, "HEAD") == 0 ? 1L : 0L);
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_TIMEOUT_MS, timeout);
    /* A long poll is silent on purpose. */
    SET(CURLOPT_LOW_SPEED_LIMIT, own_timeout ? 0L : 1L);
    SET(CURLOPT_LOW_SPEED_TIME, own_timeout ? 0L : 30L);
#undef SET
    http->curl_said[0] = '\0';
    http->location[0] = '\0';
    http->not_local = false;
    http->response->status = 0;
    http->response->content_type[0] = '\0';
    http->response->retry_after_s = 0;
    kt_buf_reset(&http->response->body);
    return bad == CURLE_OK ? KT_OK : kt_fail(err, KT_NO_MEMORY, "making the request");
}

/* Takes the request's pointers out of the handle: they end with the request. */
static void let_go(struct kt_http *http)
{
    (void)curl_multi_remove_handle(http->multi, http->easy);
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
    http->response = NULL;
}

static enum kt_kind drive(struct kt_http *http, const struct kt_http_request *request, int wake_fd,
                          CURLcode *ret_code, struct kt_err *err)
{
    int wait_ms = request->tick != NULL ? TICK_MS : 60000;
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return kt_fail(err, KT_NO_MEMORY, "making the request");
    for (;;) {
        int running = 0;
        if (curl_multi_perform(http->multi, &running) != CURLM_OK)
            return kt_fail(err, KT_INTERNAL, "libcurl gave up");
        int left = 0;
        CURLMsg *message = curl_multi_info_read(http->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *ret_code = message->data.result;
            return KT_OK;
        }
        struct curl_waitfd extra = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
        if (curl_multi_poll(http->multi, &extra, wake_fd >= 0 ? 1 : 0, wait_ms, NULL) != CURLM_OK)
            return kt_fail(err, KT_INTERNAL, "libcurl cannot wait");
        if (request->tick != NULL)
            request->tick(request->tick_arg);
        if (wake_fd >= 0 && extra.revents != 0 &&
            (request->woken == NULL || !request->woken(request->woken_arg)))
            return kt_fail(err, KT_GONE, "the request was given up");
    }
}

static enum kt_kind perform_once(struct kt_http *http, const struct kt_http_request *request,
                                 const char *url, int wake_fd, struct kt_http_response *response,
                                 struct kt_err *err)
{
    KT_AUTO(headers_free) struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OK;
    http->response = response;
    enum kt_kind kind = make_headers(request, &headers, err);
    if (kind == KT_OK)
        kind = prepare(http, request, url, headers, err);
    if (kind == KT_OK)
        kind = drive(http, request, wake_fd, &code, err);
    if (kind == KT_OK && code != CURLE_OK) {
        struct kt_http_failure failure = {
            .code = (int)code,
            .easy = http->easy,
            .address = &http->address,
            .ca_file = http->ca_file,
            .names = http->names,
            .said = http->curl_said,
            .not_local = http->not_local,
            .too_large = !kt_buf_ok(&response->body),
        };
        kind = kt_http_failed(&failure, err);
    }
    long status = 0;
    if (kind == KT_OK && curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        response->status = (unsigned)status;
    let_go(http);
    if (kind != KT_OK)
        kt_buf_reset(&response->body);
    return kind;
}

static void curl_url_free_at(CURLU **url)
{
    curl_url_cleanup(*url);
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = NULL;
    char *y = NULL;
    bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
    curl_free(x);
    curl_free(y);
    return same;
}

/* The next URL after a 307 that stays with the same origin. */
static enum kt_kind follow(struct kt_http *http, const char *url, struct kt_buf *ret,
                           struct kt_err *err)
{
    KT_AUTO(curl_url_free_at) CURLU *from = curl_url();
    KT_AUTO(curl_url_free_at) CURLU *to = curl_url();
    char *text = NULL;
    if (from == NULL || to == NULL || curl_url_set(from, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_set(to, CURLUPART_URL, url, 0) != CURLUE_OK)
        return kt_fail(err, KT_NO_MEMORY, "following a redirect");
    if (curl_url_set(to, CURLUPART_URL, http->location, CURLU_DISALLOW_USER) != CURLUE_OK ||
        !same_part(from, to, CURLUPART_SCHEME) || !same_part(from, to, CURLUPART_HOST) ||
        !same_part(from, to, CURLUPART_PORT) ||
        curl_url_get(to, CURLUPART_URL, &text, 0) != CURLUE_OK) {
        enum kt_kind kind =
            kt_fail(err, KT_DENIED, "%s redirects to another server", http->address.text);
        kt_hint(err, "a token is never sent on: set %s to the address of the active vault",
                http->names->address);
        return kind;
    }
    kt_buf_reset(ret);
    kt_buf_add_text(ret, text);
    curl_free(text);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_INVALID, "a redirect's address is too long");
}

enum kt_kind kt_http_perform(struct kt_http *http, const struct kt_http_request *request,
                             int wake_fd, struct kt_http_response *response, struct kt_err *err)
{
    kt_autobuf struct kt_buf url = {0};
    kt_buf_init(&url, KT_HTTP_ADDRESS_MAX + KT_HTTP_PATH_MAX);
    kt_buf_add_text(&url, http->address.base);
    kt_buf_add_text(&url, request->path);
    if (!kt_buf_ok(&url) || request->path[0] != '/')
        return kt_fail(err, KT_INVALID, "the path is too long, or no path");
    for (unsigned hops = 0;; hops++) {
        enum kt_kind kind = perform_once(http, request, kt_buf_text(&url), wake_fd, response, err);
        if (kind != KT_OK || response->status != 307 || http->location[0] == '\0' || http->stays)
            return kind;
        if (hops == REDIRECTS_MAX)
            return kt_fail(err, KT_IO, "%s redirects in a circle", http->address.text);
        kind = follow(http, kt_buf_text(&url), &url, err);
        if (kind != KT_OK)
            return kind;
    }
}

void kt_url_escape(struct kt_buf *out, struct kt_bytes text, bool keep_slash)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
        if (plain) {
            kt_buf_add_char(out, (char)c);
        } else {
            char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
            kt_buf_add(out, escaped, sizeof escaped);
        }
    }
}
