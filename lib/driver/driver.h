/* lib/driver/driver.h - one step at a target: what is asked for, and what came of it.
 *
 * What:    A rotation asks a driver for one step (struct driver_step) and gets one result (struct
 *          driver_result). Both travel between vaultd and its worker as bounded messages, because a
 *          driver links somebody's client library and talks to somebody's server. Asking needs only
 *          this header: vaultd contains no database client.
 *          Every step can be repeated: it sets a state, and never adds or toggles one.
 * Owner:   a step borrows everything it points at. kt_driver_step_decode() puts it into the arena.
 *          A result is plain memory and owns nothing; `made` and `made_id` are in the arena.
 * Secrets: logins[].password only. public_part is no secret, but is kept out of texts as well.
 *          A result holds a value in `made` alone; its texts passed the redactor of the run's values.
 * Threads: plain values.
 * Limits:  DRIVER_*_MAX below; longer, or text with a control character: KT_INVALID.
 * Errors:  encode, decode: KT_INVALID, KT_NO_MEMORY. What happens at the target is no error but a
 *          result. */
#pragma once

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

#define DRIVER_MESSAGE_MAX  ((size_t)64 * 1024)
#define DRIVER_NAME_MAX     128u          /* host, database, role names, run id */
#define DRIVER_PATH_MAX     256u
#define DRIVER_PASSWORD_MAX 1024u
#define DRIVER_PUBLIC_MAX   4096u
#define DRIVER_CA_MAX       ((size_t)32 * 1024)
#define DRIVER_API_MAX      ((size_t)16 * 1024)
#define DRIVER_TIMEOUT_MAX  (10u * 60u * 1000u)
#define DRIVER_FINDINGS_MAX 16u

/* name, text in records and reports */
#define DRIVER_OPS(X)                                                                              \
    X(DRIVER_INSPECT, "inspect") /* what the target has for the account; changes nothing */        \
    X(DRIVER_CREATE, "create")   /* the account (and group) exist, without a password */           \
    X(DRIVER_APPLY, "apply")     /* the target accepts the public part for the account */          \
    X(DRIVER_VERIFY, "verify")   /* log in as `new`: is it the right place with the right role? */ \
    X(DRIVER_PROBE, "probe")     /* try each login: accepted, refused, unknown */                  \
    X(DRIVER_REVOKE, "revoke")   /* the account accepts keep_part alone; with none nothing, and */ \
                                 /* its sessions are ended */                                      \
    X(DRIVER_RESTORE, "restore") /* as apply, with the public part of the version before */
#define X(name, text) name,
enum driver_op { DRIVER_OPS(X) DRIVER_OP_COUNT };
#undef X

/* Who logs in. Probes go in this order: the administrative login shows that this is the server and
 * that it is up; the control, a value never issued, must be refused. When either does not turn out
 * so, nothing would be proven and the rest is not tried (ANSWER_UNKNOWN, code "skipped"). */
#define DRIVER_LOGINS(X)                                                                           \
    X(DRIVER_ADMIN, "admin")                                                                       \
    X(DRIVER_CONTROL, "control")                                                                   \
    X(DRIVER_NEW, "new")                                                                           \
    X(DRIVER_OLD, "old")
#define X(name, text) name,
enum driver_who { DRIVER_LOGINS(X) DRIVER_LOGIN_COUNT };
#undef X

/* What a step came to. A zeroed result says that nothing is known. */
#define DRIVER_CLASSES(X)                                                                          \
    X(DRIVER_UNREACH, "unreach")     /* no answer, or none that says much: may have happened */    \
    X(DRIVER_OK, "ok")               /* done, and committed at the target */                       \
    X(DRIVER_REFUSED, "refused")     /* the login was refused: admin's, or new's in verify */      \
    X(DRIVER_PERMANENT, "permanent") /* the target said no (privilege, policy); nothing changed,   \
                                        but for revoke: see text and evidence.sessions */          \
    X(DRIVER_BAD_VALUE, "value")     /* the target's rules refuse this value; nothing changed */    \
    X(DRIVER_WRONG_SERVER, "wrong-server") /* not the one that target.server_id names; no effect */
#define X(name, text) name,
enum driver_class { DRIVER_CLASSES(X) DRIVER_CLASS_COUNT };
#undef X

#define DRIVER_ANSWERS(X)                                                                          \
    X(ANSWER_NONE, "none")       /* was not asked for */                                           \
    X(ANSWER_UNKNOWN, "unknown") /* no evidence of anything */                                     \
    X(ANSWER_ACCEPTED, "accepted")                                                                 \
    X(ANSWER_REFUSED, "refused") /* the server answered that this credential is wrong */
#define X(name, text) name,
enum driver_answer { DRIVER_ANSWERS(X) DRIVER_ANSWER_COUNT };
#undef X

/* What a driver's targets keep of a password: its public part. lib/driver/form.h makes them. */
#define DRIVER_FORMS(X)                                                                            \
    X(FORM_SCRAM, "a SCRAM-SHA-256 verifier")                                                      \
    X(FORM_SHA256, "a SHA-256 hash as 64 lower-case hexadecimal digits")                           \
    X(FORM_MARIADB, "the hashes of mysql_native_password and of ed25519")                          \
    X(FORM_SSHA512, "a salted SHA-512 hash as LDAP has it, {SSHA512}")                             \
    X(FORM_SSH, "the type and the key of a line of authorized_keys")                               \
    X(FORM_NONE, "nothing") /* the password itself travels, in steps that set it; no record has it */
#define X(name, text) name,
enum driver_form { DRIVER_FORMS(X) DRIVER_FORM_COUNT };
#undef X

struct driver_login {
    const char *username;     /* NULL: no such login in this step */
    struct kt_bytes password;
};

struct driver_target {
    const char *host;      /* a name, an address, or a folder with a socket ("/...") */
    uint32_t port;
    const char *database;
    const char *program;   /* exec: a name of vaultd's configuration, which alone says what is started */
    const char *api;       /* http: the declared requests (lib/driver/http_api.h) */
    const char *sslmode;   /* verify-full, verify-ca, require, disable */
    const char *ca;        /* PEM; "" or NULL: the system's */
    const char *server_id; /* what evidence.server_id said the first time; "" or NULL: any. ssh-key: the
                              fingerprints of the host's keys, with commas; "": none, and none is believed */
    const char *keys_file; /* ssh-key: where the account's keys are; "" or NULL: .ssh/authorized_keys */
    const char *servers;   /* of several servers, of which this is one: the names of all (lib/driver/server.h) with
                              commas; "" or NULL: it is the only one */
    const char *sentinel_master; /* redis, inspect: host and port are a Sentinel's, which is asked whether `servers` are
                              all that it knows of this master; no login goes along. "" or NULL: a server's */
    uint32_t connect_timeout_ms, statement_timeout_ms;
};

/* Texts may be NULL for "". Which fields an operation needs:
 *   all:      driver, op, target, timeout_ms, logins[DRIVER_ADMIN] (not verify); run and secret where
 *             there is an account
 *   inspect:  account; other_account, group when alternating
 *   create:   account; group when alternating
 *   apply, restore: account, public_part, run, attempt, digest; group; keep_part. Where the form
 *             of public parts is none, logins[DRIVER_NEW] is the account with the value to set; where the
 *             target makes the value, apply brings it back (result.made), and the public part is an id
 *   verify:   logins[DRIVER_NEW]; group when alternating
 *   probe:    whichever logins are to be tried
 *   revoke:   account; group, settle_ms; keep_part; going back also public_part: what was added and ends;
 *             where the target makes the value always, the id of what ends; where a driver `asks_who_stays`,
 *             the login of the account that stays, as new, going back as old: without keep_part it has to be
 *             accepted just before
 * keep_part is the public part of the other credential where one account has two: it stays accepted.
 * Without it the account accepts the public part and nothing else. */
struct driver_step {
    const char *driver;          /* a row of kt_driver_info() */
    enum driver_op op;
    struct driver_target target;
    struct driver_login logins[DRIVER_LOGIN_COUNT];
    const char *ids[DRIVER_LOGIN_COUNT]; /* of their keys, where the target tells an account's apart */
    const char *account;         /* the role that is changed */
    const char *other_account;   /* its sibling, to compare with */
    const char *group;           /* the role that both accounts are in; "" in-place */
    struct kt_bytes public_part; /* of the driver's form */
    struct kt_bytes keep_part;   /* of the same form, or empty */
    const char *secret;          /* its id, for a mark at the target that outlives a run */
    const char *run;             /* run id, digest, secret: letters, digits, '-', '_' */
    const char *digest;          /* of the public part, left at the target for reading back */
    uint32_t attempt;
    uint32_t settle_ms;          /* between the two looks that have to find no session; 0: 1000 */
    uint32_t timeout_ms;         /* for the whole step; after it the result is DRIVER_UNREACH */
};

#define DRIVER_TEXT     513u /* 512 and a NUL */
#define DRIVER_EVIDENCE 161u

/* The code of an inspect that is permanent: this target cannot be changed as it is. */
#define DRIVER_UNFIT "unfit"
/* Of a revoke that ended nothing: the account that stays was not let in (lib/driver/probe.h). */
#define DRIVER_STAYS "stays"
/* Of any step, with DRIVER_UNREACH: nobody was there to carry it out, and the target heard of nothing. */
#define DRIVER_UNSENT "unsent"

struct driver_reply {
    enum driver_answer answer;
    /* With ANSWER_UNKNOWN: the password was right, only something else bars the login (no LOGIN,
     * no such database, no free connection). Proof that the credential is not dead; no proof that
     * it works. */
    bool barred;
    bool unasked;   /* with ANSWER_ACCEPTED: the server never asked for a password */
    char code[9];   /* SQLSTATE, "tls", "timeout", "connect", "skipped"... */
    uint32_t took_ms;
    /* Of a target of several servers only, and in no message: they do not agree (the result's text says who
     * says what); and one of them refused it, which counts whatever the answer is. */
    bool mixed, refused_by_one;
};

struct driver_result {
    enum driver_class class;
    char code[9];                                    /* SQLSTATE or a word as above; "" when ok */
    char text[DRIVER_TEXT];                          /* a sentence for a person */
    struct driver_reply replies[DRIVER_LOGIN_COUNT]; /* probe */
    char server_version[DRIVER_EVIDENCE];
    char server_id[DRIVER_EVIDENCE];   /* postgresql: the system identifier; mariadb: of the cluster,
                                          else of the server */
    char comment[DRIVER_EVIDENCE];     /* inspect, apply: "keyturn run=... attempt=..." */
    char session_user[DRIVER_EVIDENCE], current_user[DRIVER_EVIDENCE]; /* verify */
    uint32_t sessions;                 /* inspect, revoke: of the account, at the last look */
    uint32_t ended_sessions;           /* revoke */
    char findings[DRIVER_FINDINGS_MAX][DRIVER_EVIDENCE];               /* inspect, probe; "" ends */
    uint32_t missing_layers;           /* of the worker's sandbox: bits of lib/sandbox.h */
    uint32_t took_ms;
    /* apply, where the target makes the value: it exists nowhere else yet. Empty: none was made. */
    struct kt_bytes made, made_id;
};

/* The account is not there, and DRIVER_CREATE makes it. */
bool kt_driver_is_missing(const struct driver_result *result);

const char *kt_driver_op_text(enum driver_op op);
const char *kt_driver_who_text(enum driver_who who);
const char *kt_driver_class_text(enum driver_class class);
const char *kt_driver_answer_text(enum driver_answer answer);
bool kt_driver_op_parse(struct kt_bytes text, enum driver_op *ret);

/* What vaultd has to know about a driver without containing it; NULL: no such driver. */
struct driver_info {
    const char *name;
    uint32_t default_port;
    bool alternate, overlap, in_place; /* strategies */
    bool databases;           /* a login is to one, which the target has to name */
    int64_t refusals;         /* an account an hour, where a target does not say; 0: no limit */
    bool groups;              /* alternate: both accounts are in one that owns everything */
    enum driver_form form;    /* of public parts */
    bool program;             /* a program of the configuration is started: target.program */
    bool api;                 /* target.api declares what is asked, and which strategies that allows */
    bool shows;               /* a login shows the password to whoever answers, within TLS too */
    bool names_server;        /* target.server_id is said by people and never learned; no TLS */
    bool entries;             /* an account is the name of a directory's entry: kt_ldap_name_is_plain() */
    const char *generator;    /* what values have to be made by; NULL: any */
    bool only_keeps;          /* a keep_part that is not there any more is not put there */
    bool inside;              /* vaultd is the target: its steps go to no worker (vaultd/rotation/own.h) */
    bool asks_who_stays;      /* revoking one of two accounts, it first logs in as the other */
    bool several;             /* a target may be several servers (vaultd/rotation/nodes.h) */
    bool sentinels;           /* Sentinels can be asked which servers there are (vaultd/rotation/sentinels.h) */
    bool listens;             /* no target has it: listeners are asked by it what they show (listener.h) */
    bool saves;               /* a change lasts only once it is written down, too: accepted is no proof */
};
const struct driver_info *kt_driver_info(const char *name);
const struct driver_info *kt_driver_infos(size_t *ret_count);

/* Appends the message. Secrets are in it: the buffer wipes itself. */
enum kt_kind kt_driver_step_encode(const struct driver_step *step, struct kt_buf *out,
                                   struct kt_err *err) KT_MUST_CHECK;
/* Strict: any surplus, unknown number or text with control characters is KT_INVALID. Texts are
 * never NULL afterwards, except usernames of absent logins. Passwords have a NUL behind them. */
enum kt_kind kt_driver_step_decode(struct kt_bytes message, struct kt_arena *arena,
                                   struct driver_step *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_driver_result_encode(const struct driver_result *result, struct kt_buf *out,
                                     struct kt_err *err) KT_MUST_CHECK;
/* What a worker says is foreign text: non-printable characters come out as '?'. A made value goes into
 * the arena; NULL: there is to be none. */
enum kt_kind kt_driver_result_decode(struct kt_bytes message, struct kt_arena *arena,
                                     struct driver_result *ret, struct kt_err *err) KT_MUST_CHECK;
