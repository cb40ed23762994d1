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

static enum kt_kind refuse_url(CURLUcode code, struct kt_err *err)
{
    static const struct {
        CURLUcode code;
        const char *what;
    } rows[] = {
        {CURLUE_BAD_PORT_NUMBER, "the address has a port that is no number from 1 to 65535"},
        {CURLUE_USER_NOT_ALLOWED, "the address has a user name in it"},
        {CURLUE_BAD_HOSTNAME, "the address has a host with characters that no name has"},
        {CURLUE_NO_HOST, "the address has no host"},
    };
    const char *what = "the address is not a URL";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            what = rows[i].what;
    enum kt_kind kind = kt_fail(err, KT_INVALID, "%s", what);
    kt_hint(err, EXAMPLE);
    return kind;
}

/* The caller frees the parts, also those of an address that is refused. */
static CURLUcode take_parts(CURLU *url, const char *text, char **scheme, char **host, char **port, char **path)
{
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_SCHEME, scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_HOST, host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_PORT, port, CURLU_DEFAULT_PORT);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_PATH, path, 0);
    return code;
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
    CURLUcode code = take_parts(url, text, &scheme, &host, &port, &path);
    if (code == CURLUE_OK && (!kt_u64_parse(kt_str(port), 65535, &number) || number == 0))
        code = CURLUE_BAD_PORT_NUMBER;
    if (code == CURLUE_OK && strlen(host) >= sizeof ret->host)
        code = CURLUE_BAD_HOSTNAME;
    if (code != CURLUE_OK)
        return refuse_url(code, err);
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
