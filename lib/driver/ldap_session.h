/* lib/driver/ldap_session.h - one connection to an LDAP server, with a deadline on everything.
 *
 * What:    StartTLS where the port is LDAP's own (389), a simple bind, modifications of one attribute, the
 *          reading of one entry; what a result means.
 * Owner:   kt_ldap_open() begins a session, kt_ldap_close() ends it, also after a failure and twice.
 *          What was read of an entry lives as long as the step.
 * Secrets: the login's password is in the bind; its buffer is wiped. A bind without a name or a password
 *          is let in as nobody by every server: none is sent.
 * Threads: one.
 * Source:  RFC 4511; RFC 4513, section 5.1.2 (such binds). */
#pragma once

#include "lib/driver/ldap_message.h"
#include "lib/driver/stream.h"

struct ldap_session {
    const struct driver_run *run; /* run->own is a struct kt_stream_place */
    struct kt_stream stream;
    struct kt_buf in;
    int32_t id;       /* of the last request */
    int32_t result;   /* of the last answer; meaningful while code is "" or a number */
    int32_t policy;   /* of the bind */
    int32_t grace;    /* of the bind: logins that are left to an expired password; -1: it has not expired */
    char code[9];     /* of the last failure, a row of ldap_session.c's tables; "" when none */
    char detail[400]; /* the server's sentence; passes the redactor in kt_ldap_fail() */
};

/* False: code and detail tell why. */
bool kt_ldap_open(const struct driver_run *run, const struct driver_login *login,
                  struct ldap_session *s);
void kt_ldap_close(struct ldap_session *s);

/* value NULL: with LDAP_DELETE all of them. False: no answer, or a result that is not success. */
bool kt_ldap_change(struct ldap_session *s, const char *dn, enum ldap_change change,
                    const char *attribute, const struct kt_bytes *value);
/* The entry's attributes, as far as they may be seen; dn "" is the server's own entry. */
bool kt_ldap_look(struct ldap_session *s, const char *dn, size_t n, const char *const *attributes,
                  struct kt_bytes *ret);
/* Of what kt_ldap_look() gave: how many values an attribute has, and the first as a text, "" for none. */
size_t kt_ldap_count(struct kt_bytes attributes, const char *name);
const char *kt_ldap_first(const struct ldap_session *s, struct kt_bytes attributes, const char *name);
/* The server answered the last request, with this result. */
bool kt_ldap_said(const struct ldap_session *s, int32_t result);

/* The result of the last failure: "DOING: what it means (what the server said)". Always false. */
bool kt_ldap_fail(const struct ldap_session *s, struct driver_result *ret, const char *doing);
/* A bind as evidence: only an answer that says nothing else says that the password is wrong. */
void kt_ldap_reply(const struct ldap_session *s, struct driver_reply *ret);
