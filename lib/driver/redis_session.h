/* lib/driver/redis_session.h - one connection to a Redis server, or a Sentinel, with a deadline.
 *
 * What:    HELLO with name and password, commands, what an error means.
 * Owner:   kt_redis_open() or kt_redis_connect() begins a session, kt_redis_close() ends it, also after a failure and
 *          twice. `reply` lives until the next command.
 * Secrets: the login's password is in the first command; its buffer is wiped.
 * Threads: one.
 * Source:  Redis 7.0's manual, "HELLO", "ACL". */
#pragma once

#include "lib/driver/redis_user.h"
#include "lib/driver/stream.h"

struct redis_session {
    const struct driver_run *run; /* run->own is a struct kt_stream_place */
    struct kt_stream stream;
    struct kt_buf in;
    struct kt_bytes reply;
    char code[9];     /* of the last failure, a row of redis_session.c's table; "" when none */
    char detail[400]; /* the server's or client's sentence; passes the redactor in kt_redis_fail() */
    /* as HELLO has them */
    char version[32], role[16], mode[16];
};

/* Without logging in. False: code and detail tell why. */
bool kt_redis_connect(const struct driver_run *run, struct redis_session *s);
/* The connection has the name `name`. False: code and detail tell why. */
bool kt_redis_open(const struct driver_run *run, const struct driver_login *login, const char *name,
                   struct redis_session *s);
void kt_redis_close(struct redis_session *s);
/* False: no reply, or an error as reply. */
bool kt_redis_ask(struct redis_session *s, size_t n, const struct kt_bytes *words);
#define KT_REDIS_ASK(s, ...)                                                                       \
    kt_redis_ask((s), sizeof((const struct kt_bytes[]){__VA_ARGS__}) / sizeof(struct kt_bytes),    \
                 (const struct kt_bytes[]){__VA_ARGS__})
/* ACL GETUSER; texts live as long as the step. */
bool kt_redis_read_user(struct redis_session *s, const char *name, struct redis_user *ret);
/* The reply is a number; -1 when it is none. */
int64_t kt_redis_number(const struct redis_session *s);

/* The result of the last failure: "DOING: what it means (what the server said)". Always false. */
bool kt_redis_fail(const struct redis_session *s, struct driver_result *ret, const char *doing);
/* A login attempt as evidence: only WRONGPASS says that the password is wrong. */
void kt_redis_answer(const struct redis_session *s, struct driver_reply *ret);
