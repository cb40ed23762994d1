#include "vaultd/worker/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/may_connect.h"
#include "lib/server_purpose.h"
#include "lib/system_ca.h"
#include "lib/write.h"
#include "vaultd/worker/cell.h"

#define HOST_MAX      256u
#define ADDRESSES_MAX 8u

struct fetch {
    struct fetch_order order;
    char host[HOST_MAX];
    uint32_t port;
    char ca_path[32];
    CURL *easy;
    CURLM *multi;
    struct curl_slist *resolved, *headers;
    struct kt_buf body;
    char said[CURL_ERROR_SIZE];
    bool refused; /* an address that is not connected to */
};

/* ---- where to ---- */

static bool part_of(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return false;
    bool fits = strlen(text) < size;
    if (fits)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return fits;
}

static const char *read_url(struct fetch *fetch)
{
    char scheme[16] = "", port[8] = "", user[8] = "";
    CURLU *url = curl_url();
    if (url == NULL)
        return "out of memory";
    bool ok = curl_url_set(url, CURLUPART_URL, fetch->order.url, CURLU_DISALLOW_USER) == CURLUE_OK &&
              part_of(url, CURLUPART_SCHEME, 0, scheme, sizeof scheme) && strcmp(scheme, "https") == 0 &&
              part_of(url, CURLUPART_HOST, 0, fetch->host, sizeof fetch->host) &&
              part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port) &&
              !part_of(url, CURLUPART_USER, 0, user, sizeof user);
    curl_url_cleanup(url);
    for (const char *c = port; ok && *c != '\0'; c++)
        fetch->port = fetch->port * 10 + (uint32_t)(*c - '0');
    return ok && fetch->port > 0 && fetch->port <= UINT16_MAX ? NULL : "the address is none of https";
}

/* "host:port:address,address", as libcurl takes it; nobody is asked for the name again. */
static const char *look_up(struct fetch *fetch)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char name[HOST_MAX], text[HOST_MAX + 64 * ADDRESSES_MAX];
    size_t len = strlen(fetch->host), n = 0;
    bool six = fetch->host[0] == '[';
    (void)snprintf(name, sizeof name, "%.*s", (int)(six ? len - 2 : len), fetch->host + six);
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return "the name of the server is not known";
    size_t at = (size_t)snprintf(text, sizeof text, "%s:%u:", fetch->host, (unsigned)fetch->port);
    for (const struct addrinfo *info = list; info != NULL && n < ADDRESSES_MAX; info = info->ai_next) {
        char address[64];
        if (!kt_may_connect(info->ai_addr) ||
            getnameinfo(info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        bool six_address = info->ai_family == AF_INET6;
        at += (size_t)snprintf(text + at, sizeof text - at, six_address ? "%s[%s]" : "%s%s", n == 0 ? "" : ",", address);
        n++;
    }
    freeaddrinfo(list);
    if (n == 0)
        return "the server has no address that is connected to: none of the own link";
    fetch->resolved = curl_slist_append(NULL, text);
    return fetch->resolved == NULL ? "out of memory" : NULL;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *fetch = arg;
    fetch->refused = purpose != CURLSOCKTYPE_IPCXN || !kt_may_connect(&address->addr);
    return fetch->refused ? CURL_SOCKET_BAD
                          : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- whom to believe ---- */

/* libcurl wants a path. The memory file stays open, so that its path works without a file tree. */
static const char *keep_ca(struct fetch *fetch)
{
    int fd = memfd_create("ca", MFD_CLOEXEC);
    bool system = fetch->order.ca[0] == '\0';
    if (fd < 0 || !(system ? kt_system_ca_copy(fd) : kt_write_all(fd, kt_str(fetch->order.ca))))
        return "there are no CA certificates to verify the server with";
    (void)snprintf(fetch->ca_path, sizeof fetch->ca_path, "/proc/self/fd/%d", fd);
    return NULL;
}

/* ---- fetching ---- */

static size_t arrived(char *at, size_t size, size_t count, void *arg)
{
    struct fetch *fetch = arg;
    if (fetch->order.posts) /* only the status is asked for */
        return size * count;
    kt_buf_add(&fetch->body, at, size * count);
    return kt_buf_ok(&fetch->body) ? size * count : 0;
}

/* No "Expect": who is asked to wait may wait for long. */
static const char *set_post(struct fetch *fetch)
{
    const char *const fixed[] = {"Content-Type: application/json", "Expect:"};
    const char *lines[2 + FETCH_HEADERS] = {fixed[0], fixed[1]};
    for (size_t i = 0; i < FETCH_HEADERS; i++)
        lines[2 + i] = fetch->order.headers[i];
    for (size_t i = 0; i < 2 + FETCH_HEADERS; i++) {
        if (lines[i] == NULL)
            continue;
        struct curl_slist *longer = curl_slist_append(fetch->headers, lines[i]);
        if (longer == NULL)
            return "out of memory";
        fetch->headers = longer;
    }
    bool ok = curl_easy_setopt(fetch->easy, CURLOPT_POST, 1L) == CURLE_OK &&
              curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDSIZE, (long)fetch->order.post.len) == CURLE_OK &&
              curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDS, fetch->order.post.at) == CURLE_OK &&
              curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers) == CURLE_OK;
    return ok ? NULL : "out of memory";
}

static const char *set_up(struct fetch *fetch)
{
    CURLcode bad = CURLE_OK;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return "out of memory";
    fetch->easy = curl_easy_init();
    fetch->multi = curl_multi_init();
    if (fetch->easy == NULL || fetch->multi == NULL)
        return "out of memory";
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(fetch->easy, option, value)
    SET(CURLOPT_URL, fetch->order.url);
    SET(CURLOPT_RESOLVE, fetch->resolved);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_CAINFO, fetch->ca_path);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_TIMEOUT_MS / 2);
    SET(CURLOPT_MAXFILESIZE_LARGE, fetch->order.posts ? (curl_off_t)0 : (curl_off_t)FETCH_BODY_MAX);
    SET(CURLOPT_USERAGENT, "keyturn/" KT_VERSION);
    SET(CURLOPT_ERRORBUFFER, fetch->said);
    SET(CURLOPT_WRITEFUNCTION, arrived);
    SET(CURLOPT_WRITEDATA, fetch);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, fetch);
#undef SET
    if (bad == CURLE_OK)
        bad = kt_server_purpose_check(fetch->easy);
    if (bad == CURLE_OK && fetch->order.posts && set_post(fetch) != NULL)
        bad = CURLE_OUT_OF_MEMORY;
    bool added = bad == CURLE_OK && curl_multi_add_handle(fetch->multi, fetch->easy) == CURLM_OK;
    return added ? NULL : "out of memory";
}

static const char *perform(struct fetch *fetch)
{
    int running = 1, left = 0;
    while (running > 0)
        if (curl_multi_perform(fetch->multi, &running) != CURLM_OK ||
            (running > 0 && curl_multi_poll(fetch->multi, NULL, 0, 1000, NULL) != CURLM_OK))
            return "libcurl gave up";
    CURLMsg *message = curl_multi_info_read(fetch->multi, &left);
    long status = 0;
    CURLcode code = message == NULL ? CURLE_FAILED_INIT : message->data.result;
    if (fetch->refused)
        return "the server has no address that is connected to: none of the own link";
    if (code == CURLE_FILESIZE_EXCEEDED || !kt_buf_ok(&fetch->body))
        return "the answer is too long";
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return "the server's certificate " KT_SERVER_PURPOSE_LACKS;
    if (code != CURLE_OK)
        return fetch->said[0] != '\0' ? fetch->said : curl_easy_strerror(code);
    (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 || (fetch->order.posts && status > 200 && status < 300))
        return NULL;
    (void)snprintf(fetch->said, sizeof fetch->said, "the server answered with status %ld%s", status,
                   status >= 300 && status < 400 ? "; redirects are not followed" : "");
    return fetch->said;
}

static const char *fetch_it(struct fetch *fetch)
{
    uint32_t missing = 0;
    struct kt_err err = {0};
    const char *wrong = read_url(fetch);
    if (wrong == NULL)
        wrong = look_up(fetch);
    if (wrong == NULL)
        wrong = keep_ca(fetch);
    if (wrong == NULL)
        wrong = set_up(fetch);
    if (wrong != NULL)
        return wrong;
    const struct driver_target target = {.host = fetch->host, .port = fetch->port};
    if (cell_enter(&target, &missing, &err) != KT_OK)
        return "the sandbox cannot be entered";
    return perform(fetch);
}

bool fetch_serve(struct kt_bytes message, struct kt_arena *arena, struct kt_buf *out)
{
    char text[FETCH_TEXT_MAX + 1] = "";
    struct fetch *fetch = kt_arena_take(arena, sizeof *fetch);
    if (fetch == NULL)
        return false;
    kt_buf_init(&fetch->body, FETCH_BODY_MAX);
    const char *wrong = kt_fetch_order_decode(message, arena, &fetch->order, NULL) == KT_OK
                            ? fetch_it(fetch)
                            : "what to fetch is malformed";
    if (wrong != NULL)
        (void)snprintf(text, sizeof text, "%.*s", (int)FETCH_TEXT_MAX, wrong);
    for (char *c = text; *c != '\0'; c++)
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    const struct fetch_result result = {.done = wrong == NULL,
                                        .text = kt_str(text),
                                        .body = wrong == NULL ? kt_buf_bytes(&fetch->body) : kt_bytes(NULL, 0)};
    kt_buf_reset(out);
    return kt_fetch_result_encode(&result, out, NULL) == KT_OK;
}
