#include "lib/driver/server.h"

#include "lib/driver/driver.h"
#include "lib/num.h"

struct pieces {
    struct kt_bytes host, port;
    bool has_port;
};

static bool is_path(struct kt_bytes text)
{
    return kt_bytes_starts(text, "/");
}

static size_t count(struct kt_bytes text, unsigned char c)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.at[i] == c;
    return n;
}

static void split_at(struct kt_bytes text, size_t colon, struct pieces *ret)
{
    ret->host = kt_bytes(text.at, colon);
    ret->port = kt_bytes(text.at + colon + 1, text.len - colon - 1);
    ret->has_port = true;
}

/* "[2001:db8::7]" and what may come behind it. */
static bool split_brackets(struct kt_bytes text, struct pieces *ret)
{
    const unsigned char *end = memchr(text.at, ']', text.len);
    if (end == NULL)
        return false;
    size_t close = (size_t)(end - text.at);
    ret->host = kt_bytes(text.at + 1, close - 1);
    if (count(ret->host, ':') == 0 || is_path(ret->host))
        return false;
    if (close + 1 == text.len)
        return true;
    if (text.at[close + 1] != ':')
        return false;
    ret->port = kt_bytes(text.at + close + 2, text.len - close - 2);
    ret->has_port = true;
    return true;
}

/* A path may have colons of its own: what follows the last one is a port when it is a number. */
static void split_path(struct kt_bytes text, struct pieces *ret)
{
    size_t colon = text.len;
    uint64_t number = 0;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    bool numbered = colon > 1 && kt_u64_parse(kt_bytes(text.at + colon, text.len - colon), 65535, &number);
    if (numbered)
        split_at(text, colon - 1, ret);
    else
        ret->host = text;
}

static bool split(struct kt_bytes text, struct pieces *ret)
{
    *ret = (struct pieces){.has_port = false};
    if (text.len == 0)
        return false;
    if (text.at[0] == '[')
        return split_brackets(text, ret);
    if (is_path(text)) {
        split_path(text, ret);
        return true;
    }
    const unsigned char *colon = memchr(text.at, ':', text.len);
    if (colon == NULL || count(text, ':') > 1)
        ret->host = text;
    else
        split_at(text, (size_t)(colon - text.at), ret);
    return true;
}

static bool is_host(struct kt_bytes host)
{
    if (host.len == 0 || host.len > DRIVER_NAME_MAX - 1)
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] <= ' ' || host.at[i] == 0x7f || host.at[i] == ',' ||
            (!is_path(host) && (host.at[i] == '[' || host.at[i] == ']')))
            return false;
    return true;
}

const char *kt_server_name(const char *host, uint32_t port, struct kt_arena *arena)
{
    bool six = host[0] != '/' && strchr(host, ':') != NULL;
    return kt_arena_printf(arena, six ? "[%s]:%u" : "%s:%u", host, port);
}

enum kt_kind kt_server_parse(struct kt_bytes text, uint32_t default_port, struct kt_arena *arena,
                             struct driver_server *ret, struct kt_err *err)
{
    struct pieces pieces;
    uint64_t port = default_port;
    bool right = split(text, &pieces) && is_host(pieces.host) &&
                 (!pieces.has_port || (kt_u64_parse(pieces.port, 65535, &port) && port > 0));
    if (!right) {
        (void)kt_fail(err, KT_INVALID, "that is no server");
        kt_hint(err, "a host and perhaps its port: db1, db1:5432, [2001:db8::7]:5432, /run/pg");
        return KT_INVALID;
    }
    struct driver_server server = {.port = (uint32_t)port, .own_port = pieces.has_port};
    server.host = kt_arena_text(arena, pieces.host);
    server.name = server.host == NULL ? NULL : kt_server_name(server.host, server.port, arena);
    if (server.name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a server's name");
    *ret = server;
    return KT_OK;
}
