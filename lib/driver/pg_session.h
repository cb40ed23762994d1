/* lib/driver/pg_session.h - one connection to a PostgreSQL server, with a deadline on everything.
 *
 * What:    Wraps libpq (nobody else includes its header): connecting with nothing taken from the
 *          environment or from files, statements with parameters, what an error code means.
 * Owner:   kt_pg_open() begins a session, kt_pg_close() ends it, also after a failure and twice.
 *          Rows live until the next statement; texts from kt_pg_literal() and kt_pg_name() live in
 *          the run's arena.
 * Threads: one.
 * Source:  PostgreSQL 15 manual, "libpq - C Library"; appendix "PostgreSQL Error Codes". */
#pragma once

#include "lib/driver/place.h"

enum pg_binding {
    PG_BINDING,    /* with TLS: only SCRAM bound to this TLS session */
    PG_ANY_METHOD  /* for a control value alone: whatever the server asks for */
};

struct pg_session {
    const struct driver_run *run;
    struct pg_conn *conn;
    struct pg_result *rows;
    bool used_password; /* the server asked for one, and got it */
    char code[9];       /* of the last failure: SQLSTATE, or a word of kt_pg_fail()'s table */
    char detail[400];   /* the client's or server's sentence; passes the redactor in kt_pg_fail() */
};

/* The login is `login`. False: code, detail and used_password tell why. */
bool kt_pg_open(const struct driver_run *run, const struct driver_login *login,
                const char *application, enum pg_binding binding, struct pg_session *s);
void kt_pg_close(struct pg_session *s);

/* Several statements without parameters; no rows. */
bool kt_pg_run(struct pg_session *s, const char *statements);
/* One statement, parameters as text ($1...). */
bool kt_pg_ask(struct pg_session *s, const char *statement, int n, const char *const *values);
size_t kt_pg_count(const struct pg_session *s);
/* "" for NULL and for what is not there. */
const char *kt_pg_cell(const struct pg_session *s, size_t row, size_t column);
bool kt_pg_is(const struct pg_session *s, size_t row, size_t column, const char *text);
const char *kt_pg_version_text(const struct pg_session *s);

/* Quoted for a statement; NULL without memory. */
const char *kt_pg_literal(struct pg_session *s, const char *text);
const char *kt_pg_name(struct pg_session *s, const char *text);

/* Worth trying again at once: another transaction was in the way. */
bool kt_pg_transient(const struct pg_session *s);
/* The result of the last failure: "DOING: what the code means (what the server said)". */
bool kt_pg_fail(const struct pg_session *s, struct driver_result *ret, const char *doing);

/* A login attempt as evidence. Only 28P01 says that the password is wrong. 28000, 3D000, 42501 and
 * 53300 after a password was given come behind its check: barred, but right. */
void kt_pg_reply(const struct pg_session *s, struct driver_reply *ret);
