/* lib/driver/pg_session.c - see lib/driver/pg_session.h. */
#include "lib/driver/pg_session.h"

#include <poll.h>
#include <postgresql/libpq-fe.h>
#include <stdio.h>

#include "lib/driver/cert_dates.h"

#define RESULTS_MAX 64

static bool fail(struct pg_session *s, const char *code, const char *detail)
{
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    (void)!snprintf(s->detail, sizeof(s->detail), "%.*s", (int)sizeof(s->detail) - 1, detail);
    return false;
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* "...FATAL:  28P01": with PQERRORS_SQLSTATE that is all a server's refusal says. */
static bool sqlstate_in(const char *message, char code[9])
{
    bool found = false;
    for (const char *at = message; (at = strstr(at, ":  ")) != NULL;) {
        at += 3;
        size_t n = strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n != 5 || (at[5] != '\0' && at[5] != '\n'))
            continue;
        memcpy(code, at, 5);
        code[5] = '\0';
        found = true;
    }
    return found;
}

/* libpq's own failures have no codes, only English sentences (no locale is set). */
static const struct {
    const char *part, *code;
} client_failures[] = {
    {"channel binding", "binding"}, {"authentication method", "binding"},
    {"hot standby", "standby"},     {"read-only", "standby"},
    {"certificate", "tls"},         {"SSL", "tls"},
    {"timeout expired", "timeout"}, {"no password supplied", "password"},
};

static bool fail_connect(struct pg_session *s)
{
    const char *message = PQerrorMessage(s->conn);
    char code[9] = "connect";
    s->used_password = PQconnectionUsedPassword(s->conn) != 0;
    if (sqlstate_in(message, code))
        return fail(s, code, "");
    for (size_t i = 0; i < sizeof(client_failures) / sizeof(client_failures[0]); i++) {
        if (strstr(message, client_failures[i].part) != NULL) {
            (void)!snprintf(code, sizeof(code), "%s", client_failures[i].code);
            break;
        }
    }
    const char *reason = strstr(message, "failed: ");
    reason = reason == NULL ? message : reason + strlen("failed: ");
    char first_line[sizeof(s->detail)];
    (void)!snprintf(first_line, sizeof(first_line), "%.*s", (int)strcspn(reason, "\n"), reason);
    return fail(s, code, first_line);
}

/* PostgreSQL 15 manual, "Message Formats", SSLRequest. */
static bool hello(struct kt_stream *s, int64_t deadline)
{
    static const unsigned char request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
    unsigned char said = 0;
    size_t len = 0;
    return kt_stream_send(s, kt_bytes(request, sizeof(request)), deadline) &&
           kt_stream_receive(s, &said, 1, &len, deadline) && said == 'S';
}

/* libpq says of a certificate that it could not be verified, and not why. */
static void say_dates(struct pg_session *s)
{
    char dates[CERT_DATES_TEXT];
    size_t len = strlen(s->detail);
    if (strcmp(s->code, "tls") == 0 &&
        kt_cert_look(s->run, kt_place_address(s->run, s->run->own), hello, dates))
        (void)!snprintf(s->detail + len, sizeof(s->detail) - len, "; %s", dates);
}

#define PARAMETERS 16

struct parameters {
    const char *names[PARAMETERS + 1], *values[PARAMETERS + 1];
    size_t n;
};

static void set(struct parameters *p, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0' || p->n == PARAMETERS)
        return;
    p->names[p->n] = name;
    p->values[p->n++] = value;
}

/* One host, no password file, no service file, no Kerberos, no client certificate: what is not
 * named here, the worker's empty environment and home cannot add. */
static struct pg_conn *start(const struct driver_run *run, const struct driver_login *login,
                             const char *application, enum pg_binding binding)
{
    struct driver_place *place = run->own;
    const struct driver_target *at = &run->step->target;
    struct parameters p = {.n = 0};
    char port[16], timeout[16];
    (void)!snprintf(port, sizeof(port), "%u", at->port);
    (void)!snprintf(timeout, sizeof(timeout), "%u", kt_place_connect_ms(run) / 1000 + 2);
    set(&p, "host", at->host);
    set(&p, "hostaddr", kt_place_address(run, place));
    set(&p, "port", port);
    set(&p, "dbname", at->database);
    set(&p, "user", login->username);
    set(&p, "password", (const char *)login->password.at);
    set(&p, "passfile", "/dev/null");
    set(&p, "connect_timeout", timeout);
    set(&p, "application_name", application);
    set(&p, "client_encoding", "UTF8");
    set(&p, "gssencmode", "disable");
    set(&p, "target_session_attrs", "primary");
    set(&p, "sslmode", place->tls ? at->sslmode : "disable");
    set(&p, "sslrootcert", place->tls ? place->ca_path : NULL);
    set(&p, "channel_binding",
        !place->tls             ? "disable"
        : binding == PG_BINDING ? "require"
                                : "prefer");
    return PQconnectStartParams(p.names, p.values, 0);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

bool kt_pg_open(const struct driver_run *run, const struct driver_login *login,
                const char *application, enum pg_binding binding, struct pg_session *s)
{
    *s = (struct pg_session){.run = run};
    (void)kt_place_address(run, run->own); /* finding one has a time of its own */
    int64_t deadline = kt_place_deadline(run, kt_place_connect_ms(run));
    s->conn = start(run, login, application, binding);
    if (s->conn == NULL)
        return fail(s, "memory", "");
    (void)PQsetErrorVerbosity(s->conn, PQERRORS_SQLSTATE);
    (void)PQsetNoticeProcessor(s->conn, ignore_notice, NULL);
    if (PQstatus(s->conn) == CONNECTION_BAD)
        return fail_connect(s);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!kt_place_wait(PQsocket(s->conn), events, deadline)) {
            s->used_password = PQconnectionUsedPassword(s->conn) != 0;
            return fail(s, "timeout", "");
        }
        next = PQconnectPoll(s->conn);
    }
    if (next != PGRES_POLLING_OK) {
        (void)fail_connect(s);
        say_dates(s);
        return false;
    }
    s->used_password = PQconnectionUsedPassword(s->conn) != 0;
    return true;
}

void kt_pg_close(struct pg_session *s)
{
    PQclear(s->rows);
    s->rows = NULL;
    /* At once: an idle session shows its last statement to others. */
    if (s->conn != NULL)
        PQfinish(s->conn);
    s->conn = NULL;
}

/* ---- statements ---------------------------------------------------------------------------- */

static bool fail_result(struct pg_session *s, const struct pg_result *result)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return fail(s, code == NULL ? "connect" : code, message == NULL ? "" : message);
}

static bool await_result(struct pg_session *s, int64_t deadline)
{
    while (PQisBusy(s->conn) != 0) {
        if (!kt_place_wait(PQsocket(s->conn), POLLIN, deadline)) {
            kt_pg_close(s);
            return fail(s, "timeout", "");
        }
        if (PQconsumeInput(s->conn) == 0)
            return fail(s, "connect", "the connection was lost");
    }
    return true;
}

/* Reads all results of what was sent; keeps the last, reports the first failure. */
static bool collect(struct pg_session *s)
{
    int64_t deadline = kt_place_deadline(s->run, kt_place_statement_ms(s->run) + 1000);
    bool ok = true;
    for (int i = 0; i < RESULTS_MAX; i++) {
        if (!await_result(s, deadline))
            return false;
        struct pg_result *result = PQgetResult(s->conn);
        if (result == NULL)
            return ok;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            PQclear(s->rows);
            s->rows = result;
            continue;
        }
        if (ok)
            ok = fail_result(s, result);
        PQclear(result);
    }
    kt_pg_close(s);
    return fail(s, "protocol", "the server sent what was not asked for");
}

static bool ready(struct pg_session *s)
{
    PQclear(s->rows);
    s->rows = NULL;
    return s->conn != NULL || fail(s, "connect", "the connection was lost");
}

bool kt_pg_run(struct pg_session *s, const char *statements)
{
    if (!ready(s))
        return false;
    if (PQsendQuery(s->conn, statements) == 0)
        return fail(s, "connect", "the connection was lost");
    return collect(s);
}

bool kt_pg_ask(struct pg_session *s, const char *statement, int n, const char *const *values)
{
    if (!ready(s))
        return false;
    if (PQsendQueryParams(s->conn, statement, n, NULL, values, NULL, NULL, 0) == 0)
        return fail(s, "connect", "the connection was lost");
    return collect(s);
}

size_t kt_pg_count(const struct pg_session *s)
{
    int n = s->rows == NULL ? 0 : PQntuples(s->rows);
    return n < 0 ? 0 : (size_t)n;
}

const char *kt_pg_cell(const struct pg_session *s, size_t row, size_t column)
{
    if (row >= kt_pg_count(s) || column >= (size_t)PQnfields(s->rows))
        return "";
    return PQgetvalue(s->rows, (int)row, (int)column);
}

bool kt_pg_is(const struct pg_session *s, size_t row, size_t column, const char *text)
{
    return strcmp(kt_pg_cell(s, row, column), text) == 0;
}

const char *kt_pg_version_text(const struct pg_session *s)
{
    const char *text = s->conn == NULL ? NULL : PQparameterStatus(s->conn, "server_version");
    return text == NULL ? "" : text;
}

static const char *keep(struct pg_session *s, char *quoted)
{
    if (quoted == NULL) {
        (void)fail(s, "memory", "");
        return NULL;
    }
    const char *kept = kt_arena_text(s->run->arena, kt_str(quoted));
    PQfreemem(quoted);
    if (kept == NULL)
        (void)fail(s, "memory", "");
    return kept;
}

const char *kt_pg_literal(struct pg_session *s, const char *text)
{
    return keep(s, s->conn == NULL ? NULL : PQescapeLiteral(s->conn, text, strlen(text)));
}

const char *kt_pg_name(struct pg_session *s, const char *text)
{
    return keep(s, s->conn == NULL ? NULL : PQescapeIdentifier(s->conn, text, strlen(text)));
}

/* ---- what codes mean ----------------------------------------------------------------------- */

/* The first row whose prefix fits. */
/* clang-format off */
static const struct code_row {
    const char *prefix;
    enum driver_class class;
    const char *sentence;
} codes[] = {
    {"28P01", DRIVER_REFUSED, "the server refused the password"},
    {"28",    DRIVER_REFUSED, "the server does not let this login in: no fitting line in pg_hba.conf, or NOLOGIN"},
    {"3D000", DRIVER_PERMANENT, "there is no such database"},
    {"42501", DRIVER_PERMANENT, "the administrative role lacks the privilege"},
    {"42704", DRIVER_PERMANENT, "there is no such role"},
    {"0A",    DRIVER_PERMANENT, "the server cannot do this"},
    {"22",    DRIVER_BAD_VALUE, "the server does not accept the value"},
    {"25006", DRIVER_UNREACH, "the server is read-only"},
    {"2",     DRIVER_PERMANENT, "the server refused the change"},
    {"42",    DRIVER_PERMANENT, "the server refused the statement"},
    {"08",    DRIVER_UNREACH, "the connection broke"},
    {"40",    DRIVER_UNREACH, "another transaction was in the way"},
    {"55P03", DRIVER_UNREACH, "somebody holds a lock on the role"},
    {"53300", DRIVER_UNREACH, "the server has no free connection"},
    {"53",    DRIVER_UNREACH, "the server is out of something it needs"},
    {"57014", DRIVER_UNREACH, "the statement took too long"},
    {"57P03", DRIVER_UNREACH, "the server is starting up or shutting down"},
    {"57",    DRIVER_UNREACH, "the server ended the connection"},
    {"58",    DRIVER_UNREACH, "the server has trouble with its system"},
    {"XX",    DRIVER_UNREACH, "the server reports an internal error"},
    {"P0",    DRIVER_PERMANENT, "the function at the server refused"},
    {"binding", DRIVER_PERMANENT, "the server does not ask for SCRAM-SHA-256 bound to TLS: its pg_hba.conf line needs scram-sha-256, and the role a SCRAM password"},
    {"password", DRIVER_REFUSED, "the server wants a password and there is none"},
    {"standby", DRIVER_UNREACH, "this is a standby, not the primary"},
    {"tls",     DRIVER_UNREACH, "no trusted TLS connection"},
    {"timeout", DRIVER_UNREACH, "no answer in time"},
    {"connect", DRIVER_UNREACH, "no connection"},
    {"memory",  DRIVER_UNREACH, "the worker ran out of memory"},
    {"protocol", DRIVER_UNREACH, "the server does not speak as PostgreSQL does"},
    {"",      DRIVER_PERMANENT, "the server refused"},
};
/* clang-format on */

static const struct code_row *row_of(const char *code)
{
    const struct code_row *row = codes;
    while (strncmp(code, row->prefix, strlen(row->prefix)) != 0)
        row++; /* the last prefix is empty and fits all */
    return row;
}

bool kt_pg_transient(const struct pg_session *s)
{
    /* "tuple concurrently updated" has no code of its own. */
    static const char *const prefixes[] = {"XX000", "40"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(s->code, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

bool kt_pg_fail(const struct pg_session *s, struct driver_result *ret, const char *doing)
{
    const struct code_row *row = row_of(s->code);
    if (s->detail[0] == '\0')
        return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s", doing, row->sentence);
    return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s (%s)", doing, row->sentence,
                         s->detail);
}

void kt_pg_reply(const struct pg_session *s, struct driver_reply *ret)
{
    static const char *const behind_the_password[] = {"28000", "3D000", "42501", "53300"};
    *ret = (struct driver_reply){.answer = ANSWER_UNKNOWN};
    if (s->code[0] == '\0') {
        ret->answer = ANSWER_ACCEPTED;
        ret->unasked = !s->used_password;
        return;
    }
    memcpy(ret->code, s->code, sizeof(ret->code));
    if (strcmp(s->code, "28P01") == 0)
        ret->answer = ANSWER_REFUSED;
    for (size_t i = 0; i < sizeof(behind_the_password) / sizeof(behind_the_password[0]); i++) {
        if (s->used_password && strcmp(s->code, behind_the_password[i]) == 0)
            ret->barred = true;
    }
}
