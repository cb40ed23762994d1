/* lib/driver/postgresql.c - the operations of the PostgreSQL driver.
 *
 * Every change is one transaction under an advisory lock of the account group: two changes of one
 * role at a time end in "tuple concurrently updated". With it goes a comment on the role, which
 * says after a crash which change is in place without asking a superuser for the verifier.
 *
 * Administrative logins with few rights are served by functions in the schema `keyturn` of the
 * target's database (docs/postgresql-least-privilege.sql). They are used when they belong to a role
 * that could do the same itself: a schema of that name that somebody else made is passed by. */
#include "lib/driver/postgresql.h"

#include <stdio.h>

#include "lib/driver/pg_inspect.h"
#include "lib/driver/pg_session.h"
#include "lib/driver/probe.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"

#define APPLICATION "keyturn"
#define PROBE       "keyturn-probe"
#define TRIES       5
#define SETTLE_MS   1000u
#define LOCK_MS     5000u

/* The privilege-less way to change a role, where it exists, else the statement itself. */
enum function { SET_VERIFIER, RETIRE, NOTE, END_SESSIONS };
static const struct {
    const char *name, *arguments;
} functions[] = {
    [SET_VERIFIER] = {"set_verifier", "text, text"},
    [RETIRE] = {"retire", "text"},
    [NOTE] = {"note", "text, text"},
    [END_SESSIONS] = {"end_sessions", "text"},
};

struct change {
    const struct driver_run *run;
    struct driver_result *ret;
    struct pg_session s;
    const char *doing; /* for texts: "changing the password of 'app_b'" */
};

static bool has_group(const struct driver_step *step)
{
    return kt_step_text(step->group)[0] != '\0';
}

static bool failed(struct change *c)
{
    return kt_pg_fail(&c->s, c->ret, c->doing);
}

/* ---- the administrative session ------------------------------------------------------------ */

static bool check_server(const struct driver_run *run, struct pg_session *s,
                         struct driver_result *ret)
{
    kt_driver_evidence(run, kt_pg_version_text(s), ret->server_version,
                       sizeof(ret->server_version));
    const char *wanted = kt_step_text(run->step->target.server_id);
    if (!kt_pg_ask(s, "SELECT system_identifier FROM pg_catalog.pg_control_system()", 0, NULL)) {
        if (wanted[0] == '\0')
            return true; /* somebody took the right away; then there is nothing to compare with */
        return kt_pg_fail(s, ret, "asking the server who it is");
    }
    kt_driver_evidence(run, kt_pg_cell(s, 0, 0), ret->server_id, sizeof(ret->server_id));
    if (wanted[0] == '\0' || strcmp(wanted, ret->server_id) == 0)
        return true;
    return kt_driver_say(run, ret, DRIVER_WRONG_SERVER, "server",
                         "this is another server: its system identifier is %s, the target's was %s",
                         ret->server_id, wanted);
}

static bool settle_session(struct change *c)
{
    char statements[400];
    (void)!snprintf(statements, sizeof(statements),
                    "SET search_path = pg_catalog, pg_temp; SET statement_timeout = %u; "
                    "SET lock_timeout = %u; SET standard_conforming_strings = on; "
                    "SELECT set_config('synchronous_commit', 'on', false) WHERE "
                    "current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
                    kt_place_statement_ms(c->run), LOCK_MS);
    return kt_pg_run(&c->s, statements) || failed(c);
}

static bool open_admin(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_ADMIN];
    char doing[DRIVER_NAME_MAX + 40];
    (void)!snprintf(doing, sizeof(doing), "logging in as '%s'", login->username);
    if (!kt_pg_open(c->run, login, APPLICATION, PG_BINDING, &c->s))
        return kt_pg_fail(&c->s, c->ret, doing);
    return check_server(c->run, &c->s, c->ret) && settle_session(c);
}

static bool has_function(struct change *c, enum function function)
{
    const char *values[] = {functions[function].name, functions[function].arguments};
    /* Not by to_regprocedure(): that fails where the schema may not be used. */
    return kt_pg_ask(&c->s,
                     "SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                     "JOIN pg_roles o ON o.oid = p.proowner WHERE n.nspname = 'keyturn' "
                     "AND p.proname = $1 AND oidvectortypes(p.proargtypes) = $2 AND p.prosecdef "
                     "AND (o.rolsuper OR o.rolcreaterole) "
                     "AND has_schema_privilege(n.oid, 'USAGE') "
                     "AND has_function_privilege(p.oid, 'EXECUTE')",
                     2, values) &&
           kt_pg_count(&c->s) == 1;
}

/* Runs the statement that the parts make; a part is NULL when quoting it ran out of memory. */
static bool run_parts(struct change *c, size_t n, const char *const *parts)
{
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, 8192);
    for (size_t i = 0; i < n; i++) {
        if (parts[i] == NULL)
            return failed(c);
        kt_buf_add_text(&statement, parts[i]);
    }
    if (!kt_buf_ok(&statement))
        return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "memory", "%s: out of memory",
                             c->doing);
    return kt_pg_run(&c->s, kt_buf_text(&statement)) || failed(c);
}
#define RUN(c, ...)                                                                                \
    run_parts((c), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),              \
              (const char *const[]){__VA_ARGS__})

static bool lock_group(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *key =
        kt_arena_printf(c->run->arena, "keyturn:%s", has_group(step) ? step->group : step->account);
    if (key == NULL)
        return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "memory", "%s: out of memory",
                             c->doing);
    return kt_pg_ask(&c->s, "SELECT pg_advisory_xact_lock(hashtext($1))", 1, &key) || failed(c);
}

/* A comment is a help, not a condition: without the right to it, the probe has to do. */
static bool leave_note(struct change *c, const char *what)
{
    const struct driver_step *step = c->run->step;
    const char *note = kt_arena_printf(c->run->arena, "keyturn run=%s attempt=%u %s",
                                       kt_step_text(step->run), step->attempt, what);
    if (note == NULL || !kt_pg_run(&c->s, "SAVEPOINT note"))
        return failed(c);
    const char *values[] = {step->account, note};
    bool noted = false;
    if (has_function(c, NOTE)) {
        noted = kt_pg_ask(&c->s, "SELECT keyturn.note($1, $2)", 2, values);
    } else {
        const char *name = kt_pg_name(&c->s, step->account);
        const char *literal = kt_pg_literal(&c->s, note);
        noted = RUN(c, "COMMENT ON ROLE ", name, " IS ", literal);
    }
    if (!kt_pg_run(&c->s, noted ? "RELEASE SAVEPOINT note" : "ROLLBACK TO SAVEPOINT note"))
        return failed(c);
    if (noted)
        kt_driver_evidence(c->run, note, c->ret->comment, sizeof(c->ret->comment));
    return true;
}

/* Runs `body` in a transaction until no other transaction is in its way. A COMMIT without an answer
 * is DRIVER_UNREACH: it may have happened. */
static bool transact(struct change *c, bool (*body)(struct change *))
{
    for (int attempt = 1;; attempt++) {
        bool ok = kt_pg_run(&c->s, "BEGIN") || failed(c);
        ok = ok && lock_group(c) && body(c);
        ok = ok && (kt_pg_run(&c->s, "COMMIT") || failed(c));
        if (ok)
            return true;
        if (attempt == TRIES || !kt_pg_transient(&c->s) || !kt_pg_run(&c->s, "ROLLBACK"))
            return false;
    }
}

static bool done(struct change *c, const char *what)
{
    return kt_step_done(c->run, what, c->ret);
}

/* ---- apply, restore ------------------------------------------------------------------------ */

static bool set_verifier(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *verifier = (const char *)step->public_part.at;
    const char *values[] = {step->account, verifier};
    if (has_function(c, SET_VERIFIER)) {
        if (!kt_pg_ask(&c->s, "SELECT keyturn.set_verifier($1, $2)", 2, values))
            return failed(c);
    } else if (!RUN(c, "ALTER ROLE ", kt_pg_name(&c->s, step->account), " LOGIN PASSWORD ",
                    kt_pg_literal(&c->s, verifier), " VALID UNTIL 'infinity'")) {
        return false;
    }
    const char *digest = kt_arena_printf(c->run->arena, "sha256=%s", kt_step_text(step->digest));
    return leave_note(c, kt_step_text(digest));
}

static void apply(struct change *c)
{
    c->doing = kt_step_phrase(c->run, "changing the password of", c->run->step->account);
    if (open_admin(c) && transact(c, set_verifier))
        (void)done(c, "the server has the verifier");
}

/* ---- probe --------------------------------------------------------------------------------- */

/* A server that lets everybody in never gets to SCRAM, and the client then breaks off. The control
 * is a random value, so it may be shown to such a server to find out. */
static void reopen_unbound(struct change *c, const struct driver_login *login,
                           struct driver_reply *reply)
{
    struct driver_reply unbound;
    kt_pg_close(&c->s);
    (void)kt_pg_open(c->run, login, PROBE, PG_ANY_METHOD, &c->s);
    kt_pg_reply(&c->s, &unbound);
    if (unbound.answer == ANSWER_ACCEPTED)
        *reply = unbound;
}

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct change *c = own;
    const struct driver_login *login = &c->run->step->logins[who];
    bool admin = who == DRIVER_ADMIN;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    bool in = kt_pg_open(c->run, login, PROBE, PG_BINDING, &c->s);
    kt_pg_reply(&c->s, reply);
    if (who == DRIVER_CONTROL && strcmp(reply->code, "binding") == 0)
        reopen_unbound(c, login, reply);
    if (!in)
        (void)failed(c);
    bool going = !admin || (in && check_server(c->run, &c->s, c->ret));
    kt_pg_close(&c->s);
    return going;
}

static void probe(struct change *c)
{
    const struct driver_prober prober = {
        try_login, c, "the server accepts anything there, look for trust lines in pg_hba.conf"};
    kt_driver_probe(c->run, &prober, c->ret);
}

/* Over a connection of its own: the administrative one stays open. */
static bool lets_in_who_stays(struct change *c)
{
    struct change other = {.run = c->run, .ret = c->ret};
    const struct driver_prober prober = {.try = try_login, .own = &other};
    return kt_driver_stays(c->run, &prober, c->ret);
}

/* ---- revoke -------------------------------------------------------------------------------- */

static bool retire(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *account = step->account;
    if (has_function(c, RETIRE)) {
        if (!kt_pg_ask(&c->s, "SELECT keyturn.retire($1)", 1, &account))
            return failed(c);
    } else if (!RUN(c, "ALTER ROLE ", kt_pg_name(&c->s, account), " NOLOGIN PASSWORD NULL")) {
        return false;
    }
    return leave_note(c, "retired");
}

/* Ends what is there, and tells how many that were. */
static bool look(struct change *c, bool function, uint32_t *ret_seen)
{
    const char *account = c->run->step->account;
    const char *statement = function
                                ? "SELECT keyturn.end_sessions($1)"
                                : "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                  "WHERE usename = $1 AND pid <> pg_backend_pid()";
    if (!kt_pg_ask(&c->s, statement, 1, &account))
        return failed(c);
    uint64_t seen = 0;
    for (const char *at = kt_pg_cell(&c->s, 0, 0); *at >= '0' && *at <= '9' && seen < 100000; at++)
        seen = seen * 10 + (uint64_t)(*at - '0');
    *ret_seen = (uint32_t)seen;
    return true;
}

/* A login that was under way when the account was closed shows up a moment later: only two looks
 * apart from each other that find nothing are the end. */
static bool end_sessions(struct change *c)
{
    uint32_t settle = c->run->step->settle_ms == 0 ? SETTLE_MS : c->run->step->settle_ms;
    bool function = has_function(c, END_SESSIONS);
    for (int clean = 0; clean < 2;) {
        uint32_t seen = 0;
        if (!look(c, function, &seen))
            return false;
        c->ret->sessions = seen;
        if (seen > c->ret->ended_sessions)
            c->ret->ended_sessions = seen;
        clean = seen == 0 ? clean + 1 : 0;
        if (clean == 2)
            break;
        uint32_t wait = clean == 0 ? 50 : settle;
        if (kt_ipc_deadline(wait) >= c->run->deadline)
            return kt_driver_say(
                c->run, c->ret, DRIVER_UNREACH, "timeout",
                "'%s' cannot log in any more, but %u of its sessions have not ended",
                c->run->step->account, seen);
        kt_step_pause(wait);
    }
    return true;
}

static void revoke(struct change *c)
{
    const char *account = c->run->step->account;
    c->doing = kt_step_phrase(c->run, "closing", account);
    if (!open_admin(c))
        return;
    if (!kt_pg_ask(&c->s, "SELECT 1 FROM pg_roles WHERE rolname = $1", 1, &account)) {
        (void)failed(c);
        return;
    }
    if (kt_pg_count(&c->s) == 0) {
        (void)done(c, "there is no such role: nothing accepts a password for it");
        return;
    }
    if (!lets_in_who_stays(c) || !transact(c, retire))
        return;
    c->doing = kt_step_phrase(c->run, "it cannot log in any more, but ending the sessions of", account);
    if (end_sessions(c))
        (void)done(c, "the account accepts nothing and has no session");
}

/* ---- create -------------------------------------------------------------------------------- */

static bool ensure_role(struct change *c, const char *role)
{
    if (!kt_pg_ask(&c->s, "SELECT 1 FROM pg_roles WHERE rolname = $1", 1, &role))
        return failed(c);
    return kt_pg_count(&c->s) == 1 || RUN(c, "CREATE ROLE ", kt_pg_name(&c->s, role), " NOLOGIN");
}

static bool make_roles(struct change *c)
{
    const struct driver_step *step = c->run->step;
    if (!has_group(step))
        return ensure_role(c, step->account);
    const char *values[] = {step->account, step->group};
    if (!ensure_role(c, step->group) || !ensure_role(c, step->account))
        return false;
    if (!kt_pg_ask(&c->s,
                   "SELECT 1 FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member "
                   "JOIN pg_roles g ON g.oid = m.roleid WHERE a.rolname = $1 AND g.rolname = $2",
                   2, values))
        return failed(c);
    if (kt_pg_count(&c->s) == 0 &&
        !RUN(c, "GRANT ", kt_pg_name(&c->s, step->group), " TO ", kt_pg_name(&c->s, step->account)))
        return false;
    /* Sessions of either account start as the group, so that what they make belongs to both. */
    return RUN(c, "ALTER ROLE ", kt_pg_name(&c->s, step->account),
               " SET role = ", kt_pg_literal(&c->s, step->group));
}

static void create(struct change *c)
{
    c->doing = kt_step_phrase(c->run, "creating", c->run->step->account);
    if (open_admin(c) && transact(c, make_roles))
        (void)done(c, "the account exists and has no password yet");
}

/* ---- verify -------------------------------------------------------------------------------- */

static void verify(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const struct driver_login *login = &step->logins[DRIVER_NEW];
    const char *wanted = kt_step_text(step->group);
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_pg_open(c->run, login, PROBE, PG_BINDING, &c->s) ||
        !kt_pg_ask(&c->s, "SELECT session_user, current_user, pg_catalog.pg_is_in_recovery()", 0,
                   NULL)) {
        (void)failed(c);
        return;
    }
    kt_driver_evidence(c->run, kt_pg_version_text(&c->s), c->ret->server_version,
                       sizeof(c->ret->server_version));
    kt_driver_evidence(c->run, kt_pg_cell(&c->s, 0, 0), c->ret->session_user,
                       sizeof(c->ret->session_user));
    kt_driver_evidence(c->run, kt_pg_cell(&c->s, 0, 1), c->ret->current_user,
                       sizeof(c->ret->current_user));
    if (!kt_pg_is(&c->s, 0, 2, "f"))
        (void)kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "standby",
                            "this is a standby, not the primary");
    else if (has_group(step) && !kt_pg_is(&c->s, 0, 1, wanted))
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "role",
                            "sessions of '%s' start as '%s', not as '%s': what they make the other "
                            "account could not use; ALTER ROLE %s SET role = '%s'",
                            login->username, c->ret->current_user, wanted, login->username, wanted);
    else if (!c->s.used_password)
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "unasked",
                            "the server let '%s' in without asking for a password",
                            login->username);
    else
        (void)done(c, "the new login works");
}

/* ---- inspect ------------------------------------------------------------------------------- */

static void inspect(struct change *c)
{
    char unfit[DRIVER_TEXT];
    c->doing = kt_step_phrase(c->run, "inspecting", c->run->step->account);
    if (!open_admin(c))
        return;
    if (!kt_pg_inspect(&c->s, c->ret, unfit))
        (void)failed(c);
    else if (unfit[0] != '\0')
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT, "%s", unfit);
    else
        (void)done(c, "looked at the account");
}

/* ---- all ----------------------------------------------------------------------------------- */

void kt_postgresql_run(const struct driver_run *run, struct driver_result *ret)
{
    static void (*const ops[DRIVER_OP_COUNT])(struct change *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = create, [DRIVER_APPLY] = apply,
        [DRIVER_VERIFY] = verify,   [DRIVER_PROBE] = probe,   [DRIVER_REVOKE] = revoke,
        [DRIVER_RESTORE] = apply,
    };
    struct change c = {.run = run, .ret = ret, .s = {.run = run}, .doing = ""};
    ops[run->step->op](&c);
    kt_pg_close(&c.s);
}
