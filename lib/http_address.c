/* lib/http_address.c - see lib/http_address.h. */
#include "lib/http_address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "lib/num.h"

#define EXAMPLE "write it as https://vault.example:8200 or unix:///run/vaultd/vaultd.sock"
_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) <= 128, "a socket's path fits");

static void curl_free_at(char **text)
{
    curl_free(*text);
}

static void curl_url_free_at(CURLU **url)
{
    curl_url_cleanup(*url);
}

static enum kt_kind parse_unix(const char *path, struct kt_http_address *ret, struct kt_err *err)
{
    if (path[0] != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "the address names no usable socket");
        kt_hint(err, "three slashes and at most 107 characters: unix:///run/vaultd/vaultd.sock");
        return kind;
    }
    (void)snprintf(ret->socket_path, sizeof ret->socket_path, "%s", path);
    (void)snprintf(ret->host, sizeof ret->host, "localhost");
    (void)snprintf(ret->base, sizeof ret->base, "http://localhost");
    return KT_OK;
}

static enum kt_kind parse_url(const char *text, struct kt_http_address *ret, struct kt_err *err)
{
    KT_AUTO(curl_url_free_at) CURLU *url = curl_url();
    KT_AUTO(curl_free_at) char *scheme = NULL;
    KT_AUTO(curl_free_at) char *host = NULL;
    KT_AUTO(curl_free_at) char *port = NULL;
    KT_AUTO(curl_free_at) char *path = NULL;
    KT_AUTO(curl_free_at) char *query = NULL;
    uint64_t number = 0;
    enum kt_kind kind = KT_INVALID;
    if (url == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the address");
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
        !kt_u64_parse(kt_str(port), 65535, &number) || number == 0 ||
        strlen(host) >= sizeof ret->host) {
        kind = kt_fail(err, KT_INVALID, "the address is not a URL without a user name");
        kt_hint(err, EXAMPLE);
        return kind;
    }
    if (strcmp(path, "/") != 0 ||
        curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_NO_QUERY) {
        kind = kt_fail(err, KT_INVALID, "the address has a path or a query behind the port");
        kt_hint(err, "scheme, host and port only: %s://%.100s:%s", scheme, host, port);
        return kind;
    }
    ret->tls = strcmp(scheme, "https") == 0;
    ret->port = (unsigned)number;
    size_t len = strlen(host);
    bool bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';
    (void)snprintf(ret->host, sizeof ret->host, "%.*s", (int)(bracketed ? len - 2 : len),
                   bracketed ? host + 1 : host);
    (void)snprintf(ret->base, sizeof ret->base, "%s://%s:%u", scheme, host, ret->port);
    return KT_OK;
}

enum kt_kind kt_http_address_parse(const char *text, struct kt_http_address *ret,
                                   struct kt_err *err)
{
    static const char unix_scheme[] = "unix://";
    struct kt_http_address address = {0};
    size_t len = strlen(text);
    if (len == 0 || len > KT_HTTP_ADDRESS_MAX) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "the address is empty or too long");
        kt_hint(err, EXAMPLE);
        return kind;
    }
    enum kt_kind kind = KT_INVALID;
    if (strncmp(text, unix_scheme, sizeof unix_scheme - 1) == 0) {
        kind = parse_unix(text + sizeof unix_scheme - 1, &address, err);
    } else if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        kind = parse_url(text, &address, err);
    } else {
        kind = kt_fail(err, KT_INVALID, "the address does not begin with https://");
        kt_hint(err, EXAMPLE);
    }
    if (kind != KT_OK)
        return kind;
    while (len > 0 && text[len - 1] == '/')
        len--;
    (void)snprintf(address.text, sizeof address.text, "%.*s", (int)len, text);
    *ret = address;
    return KT_OK;
}

enum kt_kind kt_http_address_rename(struct kt_http_address *address, const char *server_name,
                                    char *connect_to, size_t connect_to_size, struct kt_err *err)
{
    if (strspn(server_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
            strlen(server_name) ||
        strlen(server_name) > 253)
        return kt_fail(err, KT_INVALID, "the server name is not a host name");
    bool v6 = strchr(address->host, ':') != NULL;
    int n = snprintf(connect_to, connect_to_size, "::%s%s%s:%u", v6 ? "[" : "", address->host,
                     v6 ? "]" : "", address->port);
    if (n < 0 || (size_t)n >= connect_to_size)
        return kt_fail(err, KT_INVALID, "the address is too long");
    (void)snprintf(address->base, sizeof address->base, "%s://%s:%u",
                   address->tls ? "https" : "http", server_name, address->port);
    return KT_OK;
}
