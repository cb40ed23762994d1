#include <arpa/inet.h>
#include <stdlib.h>

#include "lib/driver/form.h"
#include "lib/driver/http_api.h"
#include "lib/plain_text.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/people.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/target.h"

#define REFUSALS_UNSET (-1) /* the driver's own */
#define SSLMODE_UNSET  "verify-full"

const struct field target_fields[] = {
    {"driver", FIELD_STRING, "postgresql, mariadb, redis, ldap, ssh-key, exec, http; vault: what people log in with here"},
    {"program", FIELD_STRING, "exec: the name of a driver_program in vaultd's configuration"},
    {"api", FIELD_STRING, "http: the requests of the API, as JSON; secretctl: api=@FILE"},
    {"host", FIELD_STRING, "a name, an address, or a socket or its folder that begins with /"},
    {"hosts", FIELD_COMMA_LIST, "several servers that are one target, 8 at most, instead of host: name, name:port; empty: one again"},
    {"sentinels", FIELD_COMMA_LIST, "redis: the Sentinels that are asked whether hosts names all, 8 at most: name, name:26379; empty: none"},
    {"sentinel_master", FIELD_STRING, "redis: what the Sentinels call the primary"},
    {"port", FIELD_INT, "the driver's own"},
    {"database", FIELD_STRING, "the database to log in to; redis, ldap: none"},
    {"sslmode", FIELD_STRING, "verify-full (default), verify-ca, require, disable"},
    {"ca", FIELD_STRING, "the CA of the server's certificate, PEM; empty: the system's"},
    {"keys_file", FIELD_STRING, "ssh-key: the file of authorized keys, .ssh/authorized_keys; %u is the account"},
    {"admin_username", FIELD_STRING, "the administrative login"},
    {"admin_password", FIELD_STRING, "its password (ssh-key: its private key); cannot be read back"},
    {"admin_secret", FIELD_STRING, "a secret that is the administrative login instead; you have to be allowed to read it"},
    {"connect_timeout", FIELD_DURATION, "5"},
    {"statement_timeout", FIELD_DURATION, "10"},
    {"max_refusals_per_hour", FIELD_INT, "refused logins that probes may cause an account, 3 (redis, http: 0); 0: no limit"},
    {"probe_spacing", FIELD_DURATION, "between two probes of an account, 30"},
    {"settle", FIELD_DURATION, "between two looks for open sessions of an account that is ended, 1"},
    {"recheck", FIELD_DURATION, "between two looks of a frozen run at what it froze at, 900; 0: none"},
    {"max_runs", FIELD_INT, "runs that do something there at the same time, 1; one account or pair has one at most"},
    {"starts_per_minute", FIELD_INT, "runs that schedules may start there in a minute, 0: as many as in all"},
    {"server_id", FIELD_STRING, "what the server said it is; empty: learn it anew. ssh-key: the host key's fingerprint, SHA256:..., never learned"},
    {NULL, FIELD_ANY, NULL},
};

static void wake_after(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_wake(req->core->rotation);
}

/* ---- reading ---- */

enum kt_kind target_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct rotation_target target;
    enum kt_kind kind = target_load(req, request_param(req, "name"), &target, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_exists = kind == KT_OK;
    return KT_OK;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

enum kt_kind targets_list(struct request *req, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    targets_prefix(req->core, prefix);
    const char *names[1024];
    size_t n = 0;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, (size_t)128 * 1024);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "listing the targets");
    while (kind == KT_OK && n < sizeof names / sizeof names[0] && rows_next(&rows)) {
        struct rotation_target target;
        kind = rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&target_kind, kt_buf_bytes(&plain), &req->arena, &target, err);
        if (kind == KT_OK)
            names[n++] = target.name;
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK || n == 0)
        return kind;
    qsort(names, n, sizeof names[0], by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(&w, names[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind target_load_named(struct request *req, struct rotation_target *ret,
                                struct kt_err *err)
{
    const char *name = request_param(req, "name");
    enum kt_kind kind = target_load(req, name, ret, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_NOT_FOUND, "there is no target '%s'", name);
        kt_hint(err, "which there are: secretctl target list");
    }
    return kind;
}

enum kt_kind target_read(struct request *req, struct kt_err *err)
{
    struct rotation_target target;
    enum kt_kind kind = target_load_named(req, &target, err);
    if (kind != KT_OK)
        return kind;
    struct places_seen places;
    places_seen(req->core->rotation, target.name, &places);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "driver", target.driver);
    kt_jsonw_kv_text(&w, "program", target.program);
    kt_jsonw_kv_text(&w, "api", target.api);
    kt_jsonw_kv_text(&w, "host", target.host);
    kt_jsonw_kv_int(&w, "port", target.port);
    target_nodes_show(&target, &w);
    target_sentinels_show(&target, &w);
    kt_jsonw_kv_text(&w, "database", target.database);
    kt_jsonw_kv_text(&w, "sslmode", target.sslmode);
    kt_jsonw_kv_text(&w, "ca", target.ca);
    kt_jsonw_kv_text(&w, "keys_file", target.keys_file);
    kt_jsonw_kv_text(&w, "admin_username", target.admin_username);
    kt_jsonw_kv_text(&w, "admin_secret", target.admin_secret);
    kt_jsonw_kv_int(&w, "connect_timeout", target.connect_timeout_s);
    kt_jsonw_kv_int(&w, "statement_timeout", target.statement_timeout_s);
    kt_jsonw_kv_int(&w, "max_refusals_per_hour", target.max_refusals_per_hour);
    kt_jsonw_kv_int(&w, "probe_spacing", target.probe_spacing_s);
    kt_jsonw_kv_int(&w, "settle", target.settle_s);
    kt_jsonw_kv_int(&w, "recheck", target.recheck_s);
    kt_jsonw_kv_int(&w, "max_runs", target.max_runs);
    kt_jsonw_kv_int(&w, "starts_per_minute", target.starts_per_minute);
    kt_jsonw_kv_int(&w, "runs", places.here);
    kt_jsonw_kv_text(&w, "server_id", target.server_id);
    target_servers_show(&target, &w);
    kt_jsonw_kv_int(&w, "secrets", target.users);
    kt_jsonw_kv_int(&w, "failures", target.failures);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing ---- */

static enum kt_kind read_text(struct request *req, const char *name, size_t most, bool lines,
                              const char **ret, struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (strlen(text) > most)
        return kt_fail(err, KT_INVALID, "%s is longer than %zu bytes", name, most);
    bool plain = lines || kt_text_is_plain(text);
    for (const char *at = text; *at != '\0' && lines; at++)
        plain = plain && (((unsigned char)*at >= 0x20 && *at != 0x7f) || *at == '\n' || *at == '\r' || *at == '\t');
    if (!plain)
        return kt_fail(err, KT_INVALID, "%s has a control character", name);
    *ret = text;
    return KT_OK;
}

static enum kt_kind read_texts(struct request *req, struct rotation_target *t, struct kt_err *err)
{
    const struct {
        const char *name;
        size_t most;
        bool lines;
        const char **at;
    } rows[] = {
        {"driver", 64, false, &t->driver},
        {"program", PROGRAM_NAME_MAX, false, &t->program},
        {"api", DRIVER_API_MAX, true, &t->api},
        {"host", DRIVER_NAME_MAX - 1, false, &t->host},
        {"database", DRIVER_NAME_MAX - 1, false, &t->database},
        {"sslmode", 16, false, &t->sslmode},
        {"ca", DRIVER_CA_MAX - 1, true, &t->ca},
        {"keys_file", DRIVER_PATH_MAX - 1, false, &t->keys_file},
        {"admin_username", DRIVER_NAME_MAX - 1, false, &t->admin_username},
        {"admin_password", DRIVER_PASSWORD_MAX - 1, true, &t->admin_password},
        {"admin_secret", TARGET_SECRET_MAX, false, &t->admin_secret},
        {"server_id", 160, false, &t->server_id},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum kt_kind kind =
            read_text(req, rows[i].name, rows[i].most, rows[i].lines, rows[i].at, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind read_number(struct request *req, const char *name, int64_t least, int64_t most,
                                bool duration, int64_t *ret, struct kt_err *err)
{
    int64_t number = 0;
    enum kt_kind kind = duration ? request_duration_s(req, name, &number, err)
                                 : request_int(req, name, &number, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (number < least || number > most)
        return kt_fail(err, KT_INVALID, "%s must be from %lld to %lld", name, (long long)least,
                       (long long)most);
    *ret = number;
    return KT_OK;
}

static enum kt_kind read_numbers(struct request *req, struct rotation_target *t,
                                 struct kt_err *err)
{
    int64_t port = t->port, runs = t->max_runs, starts = t->starts_per_minute;
    enum kt_kind kind = read_number(req, "port", 0, 65535, false, &port, err);
    if (kind == KT_OK)
        kind = read_number(req, "connect_timeout", 1, 60, true, &t->connect_timeout_s, err);
    if (kind == KT_OK)
        kind = read_number(req, "statement_timeout", 1, 120, true, &t->statement_timeout_s, err);
    if (kind == KT_OK)
        kind = read_number(req, "max_refusals_per_hour", 0, TARGET_REFUSALS_MAX, false,
                           &t->max_refusals_per_hour, err);
    if (kind == KT_OK)
        kind = read_number(req, "probe_spacing", 0, 3600, true, &t->probe_spacing_s, err);
    if (kind == KT_OK)
        kind = read_number(req, "settle", 0, 60, true, &t->settle_s, err);
    if (kind == KT_OK)
        kind = read_number(req, "recheck", 0, 86400, true, &t->recheck_s, err);
    if (kind == KT_OK)
        kind = read_number(req, "max_runs", 1, TARGET_RUNS_MAX, false, &runs, err);
    if (kind == KT_OK)
        kind = read_number(req, "starts_per_minute", 0, TARGET_STARTS_MAX, false, &starts, err);
    t->port = (uint32_t)port;
    t->max_runs = (uint32_t)runs;
    t->starts_per_minute = (uint32_t)starts;
    return kind;
}

static void hint_drivers(struct kt_err *err)
{
    size_t n = 0;
    const struct driver_info *infos = kt_driver_infos(&n);
    kt_autobuf struct kt_buf names;
    kt_buf_init(&names, 1024);
    for (size_t i = 0; i < n; i++)
        if (!infos[i].listens)
            kt_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", infos[i].name);
    kt_hint(err, "it has: %s", kt_buf_text(&names));
}

/* A target only picks a name; what is started stands in vaultd's configuration. */
static enum kt_kind check_program(struct request *req, const struct rotation_target *t,
                                  struct kt_err *err)
{
    if (rotation_has_program(req->core->rotation, t->program))
        return KT_OK;
    if (t->program[0] == '\0')
        (void)kt_fail(err, KT_INVALID, "driver exec needs program: a name of vaultd's configuration");
    else
        (void)kt_fail(err, KT_INVALID, "vaultd's configuration has no driver_program \"%s\"",
                      t->program);
    kt_hint(err, "who runs vaultd adds it: driver_program \"%s\" { command = [\"/usr/libexec/...\"] }, "
                 "and restarts vaultd",
            t->program[0] == '\0' ? "NAME" : t->program);
    return KT_INVALID;
}

static enum kt_kind check_password(const struct rotation_target *t, enum driver_form form,
                                   struct kt_err *err)
{
    char public_part[DRIVER_FORM_TEXT];
    if (form == FORM_SSH) {
        enum kt_kind kind = kt_form_make(form, kt_str(t->admin_password), public_part, err);
        if (kind == KT_INVALID)
            kt_context(err, "admin_password, the administrative login's private key");
        return kind;
    }
    if (strpbrk(t->admin_password, "\n\r\t") != NULL)
        return kt_fail(err, KT_INVALID, "admin_password has a control character");
    return KT_OK;
}

/* What of SSH has another form than elsewhere. */
static enum kt_kind check_ssh(const struct rotation_target *t, struct kt_err *err)
{
    if (t->host[0] == '/')
        return kt_fail(err, KT_INVALID, "host must name one host");
    if (t->ca[0] != '\0' || strcmp(t->sslmode, SSLMODE_UNSET) != 0)
        return kt_fail(err, KT_INVALID, "driver %s has no TLS: leave sslmode and ca out", t->driver);
    if (t->server_id[0] != '\0' && strncmp(t->server_id, "SHA256:", 7) != 0) {
        (void)kt_fail(err, KT_INVALID, "server_id must be the fingerprint of the host's key, SHA256:...");
        kt_hint(err, "on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
        return KT_INVALID;
    }
    return KT_OK;
}

static enum kt_kind check_keys_file(const struct rotation_target *t, enum driver_form form,
                                    struct kt_err *err)
{
    const char *mark = strchr(t->keys_file, '%');
    if (form != FORM_SSH && t->keys_file[0] != '\0')
        return kt_fail(err, KT_INVALID, "driver %s has no file of keys: leave keys_file out", t->driver);
    if (strstr(t->keys_file, "..") != NULL ||
        (mark != NULL && (mark[1] != 'u' || strchr(mark + 1, '%') != NULL)))
        return kt_fail(err, KT_INVALID, "keys_file must be a path without \"..\" and with one %%u at most");
    return KT_OK;
}

static bool is_this_machine(const char *host)
{
    struct in_addr address;
    if (host[0] == '/' || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* All of its servers. */
static bool is_near(const struct rotation_target *t, struct kt_arena *arena)
{
    bool near = is_this_machine(t->host);
    for (size_t i = 0; i < t->nodes.n && near; i++) {
        struct driver_server server;
        near = kt_server_parse(kt_str(t->nodes.at[i]), 1, arena, &server, NULL) == KT_OK && is_this_machine(server.host);
    }
    return near;
}

/* A secret is nowhere in an address, and goes nowhere but to the host, within TLS. */
static enum kt_kind check_api(struct request *req, const struct rotation_target *t, struct kt_err *err)
{
    struct http_api api;
    bool open = strcmp(t->sslmode, "disable") == 0;
    if (t->api[0] == '\0') {
        (void)kt_fail(err, KT_INVALID, "driver http needs api: the requests, as JSON");
        kt_hint(err, "docs/driver-http.md has whole ones; secretctl target set %s api=@FILE", t->name);
        return KT_INVALID;
    }
    enum kt_kind kind = kt_http_api_read(t->api, &req->arena, &api, err);
    if (kind != KT_OK)
        return kind;
    if (t->host[0] == '/')
        return kt_fail(err, KT_INVALID, "host must name one host");
    if (open ? !is_this_machine(t->host) : strcmp(t->sslmode, "verify-full") != 0)
        return kt_fail(err, KT_INVALID, "sslmode must be verify-full, or disable on this machine alone");
    return KT_OK;
}

/* Asking costs nothing, locks nobody out, and many may be under way. */
static void begin_inside(struct rotation_target *t)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (info == NULL || !info->inside)
        return;
    t->probe_spacing_s = 0;
    t->max_runs = TARGET_RUNS_MAX;
}

/* It is where it runs, and needs no login. */
static enum kt_kind check_inside(const struct rotation_target *t, struct kt_err *err)
{
    const char *const texts[] = {t->host,           t->database,       t->ca,           t->keys_file, t->program, t->api,
                                 t->admin_username, t->admin_password, t->admin_secret, t->server_id};
    bool named = t->port != 0 || strcmp(t->sslmode, SSLMODE_UNSET) != 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        named = named || texts[i][0] != '\0';
    return named ? kt_fail(err, KT_INVALID, "driver %s is this vault: it has no place, program, api, login or server_id",
                           t->driver)
                 : KT_OK;
}

static enum kt_kind check_target(struct request *req, struct rotation_target *t,
                                 struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (info == NULL || info->listens) {
        (void)kt_fail(err, KT_INVALID, "driver must name a driver of this vaultd");
        hint_drivers(err);
        return KT_INVALID;
    }
    if (t->max_refusals_per_hour == REFUSALS_UNSET)
        t->max_refusals_per_hour = info->refusals;
    if (info->inside)
        return check_inside(t, err);
    enum kt_kind kind = check_keys_file(t, info->form, err);
    if (kind == KT_OK && info->names_server)
        kind = check_ssh(t, err);
    if (kind != KT_OK)
        return kind;
    if (!info->api && t->api[0] != '\0')
        return kt_fail(err, KT_INVALID, "driver %s has no api", t->driver);
    if (info->program)
        return check_program(req, t, err);
    if (info->api)
        kind = check_api(req, t, err);
    if (kind != KT_OK)
        return kind;
    if (t->program[0] != '\0')
        return kt_fail(err, KT_INVALID, "driver %s starts no program", t->driver);
    if (t->port == 0)
        t->port = info->default_port;
    static const char *const modes[] = {"verify-full", "verify-ca", "require", "disable"};
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        known = known || strcmp(t->sslmode, modes[i]) == 0;
    if (!known)
        return kt_fail(err, KT_INVALID,
                       "sslmode must be verify-full, verify-ca, require or disable");
    if (t->host[0] == '\0' || strchr(t->host, ',') != NULL)
        return kt_fail(err, KT_INVALID, "host must name one host, or a socket folder");
    if (info->databases && t->database[0] == '\0')
        return kt_fail(err, KT_INVALID, "database must name the database to log in to");
    if (!info->databases && t->database[0] != '\0')
        return kt_fail(err, KT_INVALID, "driver %s logs in to no database: leave it out", t->driver);
    bool own = t->admin_secret[0] == '\0';
    if (own && (t->admin_username[0] == '\0' || t->admin_password[0] == '\0'))
        return kt_fail(err, KT_INVALID,
                       "admin_username and admin_password must give the administrative login");
    if (own)
        kind = check_password(t, info->form, err);
    if (kind != KT_OK)
        return kind;
    if (t->ca[0] != '\0' && strstr(t->ca, "-----BEGIN CERTIFICATE-----") == NULL)
        return kt_fail(err, KT_INVALID, "ca must be a certificate in PEM, not the name of a file");
    bool socket = t->host[0] == '/';
    for (size_t i = 0; i < t->nodes.n; i++)
        socket = socket && t->nodes.at[i][0] == '/';
    if (strcmp(t->sslmode, "disable") == 0 && !socket)
        request_warn(req, "sslmode=disable: logins cross the network without protection");
    else if (strcmp(t->sslmode, "require") == 0 && !socket)
        request_warn(req, "sslmode=require does not check who answers: use verify-full");
    return KT_OK;
}

/* Where logins go, and how it is told who answers there. */
static bool same_place(const struct rotation_target *a, const struct rotation_target *b)
{
    return strcmp(a->driver, b->driver) == 0 && strcmp(a->program, b->program) == 0 &&
           strcmp(a->host, b->host) == 0 && a->port == b->port &&
           strcmp(a->sslmode, b->sslmode) == 0 && strcmp(a->ca, b->ca) == 0 &&
           strcmp(a->api, b->api) == 0 && target_same_nodes(a, b);
}

/* A program is told all of the place, and a program may show a login in any way. */
static enum kt_kind check_place(const struct request *req, const struct rotation_target *before,
                                const struct rotation_target *t, struct kt_err *err)
{
    bool fixed = t->host[0] == '\0' && t->port == 0 && t->database[0] == '\0' && t->ca[0] == '\0' &&
                 strcmp(t->sslmode, SSLMODE_UNSET) == 0;
    bool as_it_was = before->changed != 0 && same_place(before, t) &&
                     strcmp(before->database, t->database) == 0;
    if (as_it_was || req->sudo || (fixed && before->changed == 0))
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "where a program takes logins to is not said by everybody");
    kt_hint(err,
            "leave host, port, database, sslmode and ca out, where the program knows; or let somebody "
            "set it whose policy grants sudo on %s",
            req->path);
    return KT_DENIED;
}

/* The login that is there is not shown anywhere else by who only has the right to write it. */
static bool brings_login(const struct rotation_target *before, const struct rotation_target *t)
{
    return t->admin_secret[0] != '\0' ? t->admin_secret != before->admin_secret
                                      : t->admin_password != before->admin_password;
}

static enum kt_kind refuse_place(struct request *req, const struct rotation_target *t,
                                 const struct driver_info *info, struct kt_err *err)
{
    bool shows = info != NULL && info->shows, api = info != NULL && info->api;
    bool near = is_near(t, &req->arena);
    if (api)
        (void)kt_fail(err, KT_DENIED,
                      "what driver %s sends, from vaultd's machine and with each login, is not said by everybody",
                      t->driver);
    else if (near)
        (void)kt_fail(err, KT_DENIED,
                      "the target would show logins that it has to whoever answers at another place");
    else if (shows)
        (void)kt_fail(err, KT_DENIED,
                      "driver %s shows each login to whoever answers, and that is another machine", t->driver);
    else
        (void)kt_fail(err, KT_DENIED,
                      "sslmode=disable to another machine shows each login to whoever answers there");
    if (near && !api)
        kt_hint(err, "before secrets are rotated there, give the administrative login with it; or let somebody set it "
                     "whose policy grants sudo on %s", req->path);
    else
        kt_hint(err, "%slet somebody set it whose policy grants sudo on %s",
                shows ? "" : "use verify-full, or ", req->path);
    return KT_DENIED;
}

/* Whoever answers there may see each login: the administrative one, and those of secrets. Who may set up targets
 * could so read what his policy does not give him. On this machine, too, anybody may listen at a port: there
 * a target is free to begin, and to move with its own login as long as nobody's secrets are rotated at it. What is
 * declared for an API reaches whatever listens on loopback for vaultd's machine alone. */
static enum kt_kind check_open_way(struct request *req, const struct rotation_target *before,
                                   const struct rotation_target *t, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (info != NULL && info->program)
        return check_place(req, before, t, err);
    bool api = info != NULL && info->api;
    bool open = (info != NULL && info->shows) || strcmp(t->sslmode, "disable") == 0;
    bool as_it_was = before->changed != 0 && same_place(before, t);
    bool begins = before->changed == 0 || (before->users == 0 && brings_login(before, t));
    if (as_it_was || req->sudo || !open || (!api && begins && is_near(t, &req->arena)))
        return KT_OK;
    return refuse_place(req, t, info, err);
}

/* ---- who makes the values ---- */

enum maker { MAKER_VAULT, MAKER_SLOTS, MAKER_KEYS, MAKER_INSIDE };

static enum kt_kind maker_of(struct request *req, const struct rotation_target *t, enum maker *ret, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    struct http_api api = {.makes = false};
    if (info != NULL && info->api) {
        enum kt_kind kind = kt_http_api_read(t->api, &req->arena, &api, err);
        if (kind != KT_OK)
            return kind;
    }
    bool inside = info != NULL && info->inside;
    *ret = inside ? MAKER_INSIDE : api.lists ? MAKER_KEYS : api.makes ? MAKER_SLOTS : MAKER_VAULT;
    return KT_OK;
}

/* A run, and a secret's settings, go by what the target said when they began; and who set those had to have the
 * right to have them made inside (own_permit()), where that is so. */
static enum kt_kind check_maker(struct request *req, const struct rotation_target *before,
                                const struct rotation_target *t, struct kt_err *err)
{
    static const char *const words[] = {
        [MAKER_VAULT] = "that the vault makes", [MAKER_SLOTS] = "that it makes itself",
        [MAKER_KEYS] = "that it makes itself as keys in a list",
        [MAKER_INSIDE] = "that people log in to this vault with"};
    enum maker was = MAKER_VAULT, is = MAKER_VAULT;
    struct kt_err unread = {0};
    if (before->users == 0)
        return KT_OK;
    enum kt_kind kind = maker_of(req, before, &was, &unread);
    bool broken = kind == KT_INVALID; /* what cannot be read any more may be mended, as what it was */
    kind = kind == KT_OK || broken ? maker_of(req, t, &is, err) : kt_fail(err, kind, "%s", unread.what);
    if (kind != KT_OK || was == is || (broken && is != MAKER_INSIDE))
        return kind;
    (void)kt_fail(err, KT_INVALID, "%u secrets are rotated at target '%s' with values %s: not with values %s",
                  before->users, t->name, words[was], words[is]);
    kt_hint(err, "make another target, and when no run is under way: secretctl schedule set SECRET target=OTHER "
                 "strategy=...");
    return KT_INVALID;
}

/* Who names a secret instead means that: of the login that was there nothing is kept. */
static void let_go_of_login(const struct rotation_target *before, struct rotation_target *t)
{
    if (before->admin_secret[0] != '\0' || t->admin_secret[0] == '\0')
        return;
    if (t->admin_username == before->admin_username)
        t->admin_username = "";
    if (t->admin_password == before->admin_password)
        t->admin_password = "";
}

enum kt_kind target_write(struct request *req, struct kt_err *err)
{
    const char *name = request_param(req, "name");
    if (strlen(name) > TARGET_NAME_MAX)
        return kt_fail(err, KT_INVALID, "the name is longer than %u bytes", TARGET_NAME_MAX);
    struct rotation_target t;
    enum kt_kind kind = target_load(req, name, &t, err);
    if (kind == KT_NOT_FOUND)
        t = (struct rotation_target){.name = name,
                                     .driver = "",
                                     .program = "",
                                     .keys_file = "",
                                     .api = "",
                                     .host = "",
                                     .database = "",
                                     .sslmode = SSLMODE_UNSET,
                                     .ca = "",
                                     .admin_username = "",
                                     .admin_password = "",
                                     .admin_secret = "",
                                     .server_id = "",
                                     .sentinel_master = "",
                                     .connect_timeout_s = 5,
                                     .statement_timeout_s = 10,
                                     .max_refusals_per_hour = REFUSALS_UNSET,
                                     .probe_spacing_s = 30,
                                     .settle_s = 1,
                                     .recheck_s = 900,
                                     .max_runs = 1};
    else if (kind != KT_OK)
        return kind;
    const struct rotation_target before = t;
    kind = read_texts(req, &t, err);
    if (kind == KT_OK && before.changed == 0)
        begin_inside(&t);
    if (kind == KT_OK)
        let_go_of_login(&before, &t);
    if (kind == KT_OK)
        kind = read_numbers(req, &t, err);
    if (kind == KT_OK)
        kind = target_nodes_read(req, &before, &t, err);
    if (kind == KT_OK)
        kind = target_sentinels_read(req, &before, &t, err);
    if (kind == KT_OK)
        kind = check_target(req, &t, err);
    if (kind == KT_OK)
        kind = check_open_way(req, &before, &t, err);
    if (kind == KT_OK)
        kind = check_maker(req, &before, &t, err);
    if (kind == KT_OK)
        kind = target_admin_check(req, &before, &t, err);
    if (kind == KT_OK)
        kind = people_bind_target(req, &before, err);
    if (kind != KT_OK)
        return kind;
    /* Another place is meant: what the old one said it is does not hold it back (of several: target_nodes_read()). */
    bool place = before.nodes.n == 0 && (strcmp(before.host, t.host) != 0 || before.port != t.port);
    bool moved = place || strcmp(before.program, t.program) != 0;
    if (before.changed != 0 && moved && t.nodes.n == 0 && strcmp(before.server_id, t.server_id) == 0)
        t.server_id = "";
    req->after_commit = wake_after;
    return target_save(req, &t, err);
}

enum kt_kind target_delete(struct request *req, struct kt_err *err)
{
    struct rotation_target target;
    enum kt_kind kind = target_load(req, request_param(req, "name"), &target, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (target.users > 0) {
        (void)kt_fail(err, KT_INVALID, "%u secrets are rotated at target '%s'", target.users,
                      target.name);
        kt_hint(err, "see them: secretctl schedule list; end each: secretctl schedule remove SECRET");
        return KT_INVALID;
    }
    kind = people_bind_target(req, &target, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a target");
    unsigned char key[BARRIER_NAME_KEY];
    target_key(req->core, target.name, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), target.changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}
