/* lib/driver/ldap_message.h - LDAP's requests as bytes, and its answers as what they say.
 *
 * What:    Bind with a name and a password, a modification of one attribute, the reading of one entry,
 *          StartTLS; and what comes back. Every bind asks for the password policy's opinion.
 * Owner:   what an answer holds points into the message that was read.
 * Secrets: a bind has the password in it: its buffer wipes itself.
 * Limits:  a message: BER_MAX. A referral is an answer as any other, and is never followed.
 * Errors:  reading: false, it is no message that LDAP has here.
 * Source:  RFC 4511; draft-behera-ldap-password-policy-10, section 6.
 * Threads: plain functions. */
#pragma once

#include "lib/driver/ber.h"

/* As they stand in a message. */
enum ldap_op {
    LDAP_BOUND = 0x61,
    LDAP_ENTRY = 0x64,
    LDAP_READ = 0x65, /* the end of a search */
    LDAP_MODIFIED = 0x67,
    LDAP_REFERENCE = 0x73,
    LDAP_EXTENDED = 0x78,
};
enum ldap_change { LDAP_ADD = 0, LDAP_DELETE = 1, LDAP_REPLACE = 2 };

/* Of the RFC's result codes, those that somebody asks for by name. */
enum {
    LDAP_SUCCESS = 0,
    LDAP_NO_SUCH_ATTRIBUTE = 16,
    LDAP_RULE = 19,
    LDAP_VALUE_EXISTS = 20,
    LDAP_NO_SUCH_ENTRY = 32,
    LDAP_WRONG_PASSWORD = 49,
};

/* What the policy said of a bind; LDAP_POLICY_NONE: nothing. */
enum { LDAP_POLICY_NONE = -1, LDAP_EXPIRED = 0, LDAP_LOCKED = 1, LDAP_MUST_CHANGE = 2 };

struct ldap_answer {
    int32_t id;                 /* of the request; 0: the server speaks unasked */
    unsigned op;                /* an enum ldap_op, or one that is not known here */
    int32_t result;             /* where it has one */
    struct kt_bytes text;       /* the server's sentence */
    int32_t policy;
    int32_t grace;              /* logins that an expired password has left; -1: nothing of the kind was said */
    struct kt_bytes attributes; /* of LDAP_ENTRY: kt_ldap_attribute() */
};

void kt_ldap_bind(int32_t id, const char *dn, struct kt_bytes password, struct kt_buf *out);
void kt_ldap_unbind(int32_t id, struct kt_buf *out);
void kt_ldap_start_tls(int32_t id, struct kt_buf *out);
/* value: NULL: with LDAP_DELETE all of them. */
void kt_ldap_modify(int32_t id, const char *dn, enum ldap_change change, const char *attribute,
                    const struct kt_bytes *value, struct kt_buf *out);
/* Of one entry; dn "" is the server's own. */
void kt_ldap_read(int32_t id, const char *dn, size_t n, const char *const *attributes,
                  struct kt_buf *out);

/* message: exactly one, as kt_ber_whole() measured it. */
bool kt_ldap_answer(struct kt_bytes message, struct ldap_answer *ret);
/* The next attribute of an entry: its name, and its values, each an element with the tag BER_OCTETS. */
bool kt_ldap_attribute(struct kt_bytes *rest, struct kt_bytes *ret_name, struct kt_bytes *ret_values);
