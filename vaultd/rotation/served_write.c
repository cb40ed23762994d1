#include <arpa/inet.h>
#include <stdio.h>

#include "lib/tls_place.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/served.h"

/* Which listeners may be named, and by whom. A name is kept in one spelling, by which a policy means it. */

#define NAMES_MAX ((size_t)RUN_LISTENERS_MAX * (KT_TLS_HOST_MAX + 16))

/* ---- one spelling ---- */

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Lower case; none of the spellings by which an address is a name ("127.1", "0x7f000001", "2130706433"). */
static bool spell_name(char *host)
{
    size_t label = 0;
    const char *last = host;
    for (char *c = host; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        bool dot = *c == '.';
        if ((!dot && !is_label_char(*c)) || (dot && label == 0) || label > 63)
            return false;
        label = dot ? 0 : label + 1;
        last = dot ? c + 1 : last;
    }
    return label > 0 && label <= 63 && (last[0] < '0' || last[0] > '9');
}

static bool spell_address(char *host, size_t size, int family)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(family, host, address) == 1 && inet_ntop(family, address, host, (socklen_t)size) != NULL;
}

/* What is reached over IPv4 is one place to the policies, however it is written. */
static bool spell_mapped(char *host, size_t size)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, host, &address) == 1 && IN6_IS_ADDR_V4MAPPED(&address) &&
           inet_ntop(AF_INET, &address.s6_addr[12], host, (socklen_t)size) != NULL;
}

static enum kt_kind add_spelt(const char *text, struct kt_buf *out, struct kt_err *err)
{
    struct kt_tls_place place;
    enum kt_kind kind = kt_tls_place_read(text, &place, err);
    if (kind != KT_OK)
        return kind;
    (void)spell_mapped(place.host, sizeof place.host);
    bool six = strchr(place.host, ':') != NULL;
    if (six ? spell_address(place.host, sizeof place.host, AF_INET6)
            : spell_address(place.host, sizeof place.host, AF_INET) || spell_name(place.host)) {
        kt_buf_printf(out, "%s%s%s:%u", six ? "[" : "", place.host, six ? "]" : "", place.port);
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "served_at: '%.200s' is no name or address of a listener", text);
    kt_hint(err, "web1.example.com:443, 192.0.2.7:8443, [2001:db8::7]:443");
    return KT_INVALID;
}

static bool has(struct kt_buf *names, struct kt_bytes one)
{
    const char *at = kt_buf_text(names);
    struct kt_bytes name;
    while (settings_name(&at, &name))
        if (name.len == one.len && memcmp(name.at, one.at, one.len) == 0)
            return true;
    return false;
}

static enum kt_kind spell_all(struct request *req, struct rotation_settings *s, struct kt_err *err)
{
    const char *at = s->served_at;
    struct kt_bytes name;
    kt_autobuf struct kt_buf all;
    kt_buf_init(&all, NAMES_MAX);
    enum kt_kind kind = KT_OK;
    for (size_t n = 0; kind == KT_OK && settings_name(&at, &name); n++) {
        kt_autobuf struct kt_buf one;
        kt_buf_init(&one, NAMES_MAX);
        const char *text = kt_arena_text(&req->arena, name);
        if (n == RUN_LISTENERS_MAX)
            return kt_fail(err, KT_INVALID, "served_at: %u listeners at most", RUN_LISTENERS_MAX);
        kind = text == NULL ? kt_fail(err, KT_NO_MEMORY, "reading served_at") : add_spelt(text, &one, err);
        if (kind == KT_OK && !kt_buf_ok(&one))
            kind = kt_fail(err, KT_NO_MEMORY, "reading served_at");
        if (kind == KT_OK && has(&all, kt_buf_bytes(&one)))
            return kt_fail(err, KT_INVALID, "served_at: '%s' stands there twice", kt_buf_text(&one));
        kt_buf_printf(&all, "%s%s", n == 0 ? "" : ",", kt_buf_text(&one));
    }
    if (kind != KT_OK)
        return kind;
    s->served_at = kt_buf_ok(&all) ? kt_arena_text(&req->arena, kt_buf_bytes(&all)) : NULL;
    return s->served_at == NULL ? kt_fail(err, KT_NO_MEMORY, "reading served_at") : KT_OK;
}

/* ---- who may, and for what ---- */

static enum kt_kind permit(struct request *req, const char *names, struct kt_err *err)
{
    struct kt_bytes name;
    enum kt_kind kind = KT_OK;
    while (kind == KT_OK && settings_name(&names, &name)) {
        const char *path = kt_arena_printf(&req->arena, "rotation/listeners/%.*s", (int)name.len,
                                           (const char *)name.at);
        kind = path == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies")
                            : request_also(req, OP_UPDATE, path, err);
    }
    return kind;
}

static bool is_written(struct request *req)
{
    struct kt_json value;
    return request_member(req, "served_at", &value) == KT_OK || request_member(req, "served_name", &value) == KT_OK;
}

static enum kt_kind check_kind(struct request *req, const struct rotation_settings *s, struct kt_err *err)
{
    bool serves = s->gen_usage[0] == '\0' || strstr(s->gen_usage, "server") != NULL;
    if (strcmp(s->gen_type, "x509") != 0 || !serves) {
        (void)kt_fail(err, KT_INVALID, "served_at is of a server's certificate that the vault makes");
        kt_hint(err, "generator.type=x509 with usage server; else leave it out: served_at=");
        return KT_INVALID;
    }
    return rotation_can_run(req->core->rotation)
               ? KT_OK
               : kt_fail(err, KT_INVALID, "served_at: this vaultd was started without what asks listeners");
}

enum kt_kind served_check(struct request *req, struct rotation_settings *s, struct kt_err *err)
{
    if (!served_wanted(s))
        return s->served_name[0] == '\0'
                   ? KT_OK
                   : kt_fail(err, KT_INVALID, "served_name is what the listeners of served_at are asked for: there are none");
    char name[KT_TLS_HOST_MAX + 3];
    (void)snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, s->served_name);
    enum kt_kind kind = check_kind(req, s, err);
    if (kind == KT_OK && name[0] != '\0' && (strlen(name) > 253 || !spell_name(name)))
        kind = kt_fail(err, KT_INVALID, "served_name must be a DNS name");
    if (kind == KT_OK)
        s->served_name = kt_arena_text(&req->arena, kt_str(name));
    if (kind == KT_OK && s->served_name == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "reading served_name");
    if (kind == KT_OK)
        kind = spell_all(req, s, err);
    return kind == KT_OK && is_written(req) ? permit(req, s->served_at, err) : kind;
}
