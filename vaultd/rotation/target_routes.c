#include <arpa/inet.h>
#include <stdlib.h>

#include "lib/driver/form.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/target.h"

#define CHECK_WAIT_MS ((int64_t)90 * 1000)
#define CHECKS_MAX    8u
#define REFUSALS_UNSET (-1) /* the driver's own */
#define SSLMODE_UNSET  "verify-full"

const struct field target_fields[] = {
    {"driver", FIELD_STRING, "postgresql, mariadb, redis, ldap, ssh-key, exec"},
    {"program", FIELD_STRING, "exec: the name of a driver_program in vaultd's configuration"},
    {"host", FIELD_STRING, "a name, an address, or a socket or its folder that begins with /"},
    {"port", FIELD_INT, "the driver's own"},
    {"database", FIELD_STRING, "the database to log in to; redis, ldap: none"},
    {"sslmode", FIELD_STRING, "verify-full (default), verify-ca, require, disable"},
    {"ca", FIELD_STRING, "the CA of the server's certificate, PEM; empty: the system's"},
    {"keys_file", FIELD_STRING, "ssh-key: the file of authorized keys, .ssh/authorized_keys; %u is the account"},
    {"admin_username", FIELD_STRING, "the administrative login"},
    {"admin_password", FIELD_STRING, "its password (ssh-key: its private key); cannot be read back"},
    {"connect_timeout", FIELD_DURATION, "5"},
    {"statement_timeout", FIELD_DURATION, "10"},
    {"max_refusals_per_hour", FIELD_INT, "refused logins that probes may cause an account, 3 (redis: 0); 0: no limit"},
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

static enum kt_kind load_named(struct request *req, struct rotation_target *ret,
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
    enum kt_kind kind = load_named(req, &target, err);
    if (kind != KT_OK)
        return kind;
    struct places_seen places;
    places_seen(req->core->rotation, target.name, &places);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "driver", target.driver);
    kt_jsonw_kv_text(&w, "program", target.program);
    kt_jsonw_kv_text(&w, "host", target.host);
    kt_jsonw_kv_int(&w, "port", target.port);
    kt_jsonw_kv_text(&w, "database", target.database);
    kt_jsonw_kv_text(&w, "sslmode", target.sslmode);
    kt_jsonw_kv_text(&w, "ca", target.ca);
    kt_jsonw_kv_text(&w, "keys_file", target.keys_file);
    kt_jsonw_kv_text(&w, "admin_username", target.admin_username);
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
    for (const char *at = text; *at != '\0'; at++) {
        bool control = (unsigned char)*at < 0x20 || *at == 0x7f;
        if (control && !(lines && (*at == '\n' || *at == '\r' || *at == '\t')))
            return kt_fail(err, KT_INVALID, "%s has a control character", name);
    }
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
        {"host", DRIVER_NAME_MAX - 1, false, &t->host},
        {"database", DRIVER_NAME_MAX - 1, false, &t->database},
        {"sslmode", 16, false, &t->sslmode},
        {"ca", DRIVER_CA_MAX - 1, true, &t->ca},
        {"keys_file", DRIVER_PATH_MAX - 1, false, &t->keys_file},
        {"admin_username", DRIVER_NAME_MAX - 1, false, &t->admin_username},
        {"admin_password", DRIVER_PASSWORD_MAX - 1, true, &t->admin_password},
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

static enum kt_kind check_target(struct request *req, struct rotation_target *t,
                                 struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (info == NULL) {
        (void)kt_fail(err, KT_INVALID, "driver must name a driver of this vaultd");
        hint_drivers(err);
        return KT_INVALID;
    }
    if (t->max_refusals_per_hour == REFUSALS_UNSET)
        t->max_refusals_per_hour = info->refusals;
    enum kt_kind kind = check_keys_file(t, info->form, err);
    if (kind == KT_OK && info->names_server)
        kind = check_ssh(t, err);
    if (kind != KT_OK)
        return kind;
    if (info->program)
        return check_program(req, t, err);
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
    if (t->admin_username[0] == '\0' || t->admin_password[0] == '\0')
        return kt_fail(err, KT_INVALID,
                       "admin_username and admin_password must give the administrative login");
    kind = check_password(t, info->form, err);
    if (kind != KT_OK)
        return kind;
    if (t->ca[0] != '\0' && strstr(t->ca, "-----BEGIN CERTIFICATE-----") == NULL)
        return kt_fail(err, KT_INVALID, "ca must be a certificate in PEM, not the name of a file");
    bool socket = t->host[0] == '/';
    if (strcmp(t->sslmode, "disable") == 0 && !socket)
        request_warn(req, "sslmode=disable: logins cross the network without protection");
    else if (strcmp(t->sslmode, "require") == 0 && !socket)
        request_warn(req, "sslmode=require does not check who answers: use verify-full");
    return KT_OK;
}

static bool is_this_machine(const char *host)
{
    struct in_addr address;
    if (host[0] == '/' || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* Where logins go, and how it is told who answers there. */
static bool same_place(const struct rotation_target *a, const struct rotation_target *b)
{
    return strcmp(a->driver, b->driver) == 0 && strcmp(a->program, b->program) == 0 &&
           strcmp(a->host, b->host) == 0 && a->port == b->port &&
           strcmp(a->sslmode, b->sslmode) == 0 && strcmp(a->ca, b->ca) == 0;
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

/* Whoever answers there may see each login: the administrative one, and those of secrets. Who may set up targets
 * could so read what his policy does not give him. */
static enum kt_kind check_open_way(const struct request *req, const struct rotation_target *before,
                                   const struct rotation_target *t, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (info != NULL && info->program)
        return check_place(req, before, t, err);
    bool shows = info != NULL && info->shows;
    bool open = shows || strcmp(t->sslmode, "disable") == 0;
    bool as_it_was = before->changed != 0 && same_place(before, t);
    if (as_it_was || req->sudo || !open || is_this_machine(t->host))
        return KT_OK;
    if (shows)
        (void)kt_fail(err, KT_DENIED,
                      "driver %s shows each login to whoever answers, and that is another machine", t->driver);
    else
        (void)kt_fail(err, KT_DENIED,
                      "sslmode=disable to another machine shows each login to whoever answers there");
    kt_hint(err, "%slet somebody set it whose policy grants sudo on %s",
            shows ? "" : "use verify-full, or ", req->path);
    return KT_DENIED;
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
                                     .host = "",
                                     .database = "",
                                     .sslmode = SSLMODE_UNSET,
                                     .ca = "",
                                     .admin_username = "",
                                     .admin_password = "",
                                     .server_id = "",
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
    if (kind == KT_OK)
        kind = read_numbers(req, &t, err);
    if (kind == KT_OK)
        kind = check_target(req, &t, err);
    if (kind == KT_OK)
        kind = check_open_way(req, &before, &t, err);
    if (kind != KT_OK)
        return kind;
    /* Another place is meant: what the old one said it is does not hold it back. */
    bool moved = strcmp(before.host, t.host) != 0 || before.port != t.port ||
                 strcmp(before.program, t.program) != 0;
    if (before.changed != 0 && moved && strcmp(before.server_id, t.server_id) == 0)
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
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a target");
    unsigned char key[BARRIER_NAME_KEY];
    target_key(req->core, target.name, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), target.changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}

/* ---- check: the only look at a target that a person can ask for ---- */

static void check_step(struct kt_jsonw *w, const char *name, bool ok, const char *text)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "name", name);
    kt_jsonw_kv_bool(w, "ok", ok);
    kt_jsonw_kv_text(w, "text", text);
    kt_jsonw_end(w);
}

/* What a person does next; "" when all is well. */
static const char *check_next(struct request *req, const struct driver_result *r)
{
    static const struct {
        enum driver_class class;
        const char *text;
    } rows[] = {
        {DRIVER_WRONG_SERVER, "only if the move was meant: secretctl target set %s server_id="},
        {DRIVER_REFUSED, "give it the password that works: secretctl target set %s admin_password="},
        {DRIVER_UNREACH, "is it up, and are host, port and sslmode right? secretctl target show %s"},
        {DRIVER_PERMANENT, "see what it lacks, then: secretctl target show %s"},
    };
    if (r->class == DRIVER_OK)
        return r->replies[DRIVER_CONTROL].answer == ANSWER_ACCEPTED
                   ? "PostgreSQL: look for trust, peer or cert lines in pg_hba.conf, mend and reload it; "
                     "MariaDB: was it started with skip-grant-tables?"
                   : "";
    const char *name = request_param(req, "name"), *text = NULL;
    if (r->class == DRIVER_WRONG_SERVER && strncmp(r->server_id, "SHA256:", 7) == 0)
        text = kt_arena_printf(&req->arena,
                               "if the host itself says the same (ssh-keygen -lf "
                               "/etc/ssh/ssh_host_ed25519_key.pub): secretctl target set %s server_id=%s",
                               name, r->server_id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && text == NULL; i++)
        if (rows[i].class == r->class) {
            const char *mark = strstr(rows[i].text, "%s");
            text = kt_arena_printf(&req->arena, "%.*s%s%s", (int)(mark - rows[i].text), rows[i].text, name,
                                   mark + 2);
        }
    return text == NULL ? "" : text;
}

/* The steps that were made: what comes behind the first that failed was not. */
static void show_steps(struct kt_jsonw *w, const struct driver_result *r, bool in, bool refused)
{
    const struct driver_reply *control = &r->replies[DRIVER_CONTROL];
    bool answered = r->class == DRIVER_OK || r->class == DRIVER_REFUSED ||
                    r->class == DRIVER_WRONG_SERVER;
    check_step(w, "reach", answered,
               !answered                       ? r->text
               : r->server_version[0] != '\0' ? r->server_version
                                               : "it answers");
    if (!answered)
        return;
    bool same = r->class != DRIVER_WRONG_SERVER;
    if (in || same) /* SSH tells who it is before there is a login */
        check_step(w, "admin login", in, in ? "accepted" : r->text);
    if (!in && same)
        return;
    check_step(w, "server", same,
               !same                      ? r->text
               : r->server_id[0] != '\0' ? r->server_id
                                          : "it does not tell its identifier");
    if (same)
        check_step(w, "wrong password", refused,
                   refused                                ? "refused, as it has to be"
                   : control->answer == ANSWER_ACCEPTED ? "ACCEPTED: no test proves anything here"
                                                          : r->text);
}

static void show_check(struct request *req, const struct driver_result *r)
{
    bool in = r->replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED;
    bool refused = r->replies[DRIVER_CONTROL].answer == ANSWER_REFUSED;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "ok", r->class == DRIVER_OK && in && refused);
    kt_jsonw_key(&w, "steps");
    kt_jsonw_array(&w);
    show_steps(&w, r, in, refused);
    kt_jsonw_end(&w);
    kt_jsonw_kv_text(&w, "next", check_next(req, r));
    kt_jsonw_kv_int(&w, "took_ms", r->took_ms);
    kt_jsonw_end(&w);
}

static unsigned checks_open(struct rotation *rotation)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next)
        n += job->kind == JOB_CHECK;
    (void)pthread_mutex_unlock(&rotation->lock);
    return n;
}

static enum kt_kind begin_check(struct request *req, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    struct rotation_target target;
    enum kt_kind kind = load_named(req, &target, err);
    if (kind != KT_OK)
        return kind;
    if (!rotation_can_run(rotation))
        return kt_fail(err, KT_INVALID, "this vaultd was started without what runs drivers");
    if (checks_open(rotation) >= CHECKS_MAX)
        return kt_fail(err, KT_BUSY, "%u checks are under way", CHECKS_MAX);
    unsigned char *id = kt_arena_take(&req->arena, RUN_ID);
    if (id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "checking a target");
    run_id_make(req->now_ms, id);
    struct job *job = NULL;
    kind = plan_check(req, &target, id, &job, err);
    if (kind != KT_OK)
        return kind;
    req->handler_data = id;
    job_post(rotation, job);
    request_wait(req, rotation->news, req->received_mono_ms + CHECK_WAIT_MS);
    return KT_OK;
}

enum kt_kind target_check(struct request *req, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    const unsigned char *id = req->handler_data;
    if (id == NULL)
        return begin_check(req, err);
    struct job *job = job_take_check(rotation, id);
    if (job == NULL) {
        int64_t deadline = req->received_mono_ms + CHECK_WAIT_MS;
        if (kt_mono_ms(req->core->clock) >= deadline)
            return kt_fail(err, KT_TIMEOUT, "the check did not come to an end");
        request_wait(req, rotation->news, deadline);
        return KT_OK;
    }
    show_check(req, &job->parts[0].result);
    job_free(job);
    return KT_OK;
}
