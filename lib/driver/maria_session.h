/* lib/driver/maria_session.h - one connection to a MariaDB server, with a deadline on everything.
 *
 * What:    Wraps libmariadb (nobody else includes its header): connecting with nothing taken from the
 *          environment or from option files, two ways of logging in and no other, statements, what an
 *          error number means.
 * Owner:   kt_maria_open() begins a session, kt_maria_close() ends it, also after a failure and twice.
 *          Rows live until the next statement.
 * Threads: one.
 * Source:  MariaDB Connector/C's manual; "MariaDB Error Codes"; the text protocol. */
#pragma once

#include "lib/driver/place.h"

struct maria_session {
    const struct driver_run *run;
    struct st_mysql *conn;
    struct st_mysql_res *rows;
    uint64_t changed; /* rows, or sessions, that the last statement was about */
    char code[9];     /* of the last failure: the server's number, or a word of kt_maria_fail() */
    char detail[400]; /* the client's or server's sentence; passes the redactor in kt_maria_fail() */
};

/* Before the sandbox: loads what may have to be loaded later. */
bool kt_maria_load(const struct driver_run *run, struct driver_result *ret);

/* database NULL: none is chosen. False: code and detail tell why. */
bool kt_maria_open(const struct driver_run *run, const struct driver_login *login,
                   const char *database, struct maria_session *s);
void kt_maria_close(struct maria_session *s);

/* One statement; its rows are kept. A procedure's further results are read and dropped. */
bool kt_maria_run(struct maria_session *s, const char *statement);
size_t kt_maria_count(const struct maria_session *s);
/* "" for NULL and for what is not there. */
const char *kt_maria_cell(const struct maria_session *s, size_t row, size_t column);
const char *kt_maria_version(const struct maria_session *s);

/* The result of the last failure: "DOING: what the code means (what the server said)". */
bool kt_maria_fail(const struct maria_session *s, struct driver_result *ret, const char *doing);

/* A login attempt as evidence. Only 1045 says that the password is wrong: a locked account (4151), a
 * database that is missing or forbidden, a limit of connections come behind its check. */
void kt_maria_reply(const struct maria_session *s, struct driver_reply *ret);
