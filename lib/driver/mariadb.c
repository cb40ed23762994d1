/* lib/driver/mariadb.c - the operations of the MariaDB driver.
 *
 * A statement about accounts commits by itself, so there is no transaction to hold a change together:
 * a named lock of the server keeps two changes of one group apart, and each change is one statement
 * that sets a whole state and can be repeated. */
#include "lib/driver/mariadb.h"

#include <stdio.h>

#include "lib/driver/form.h"
#include "lib/driver/maria_account.h"
#include "lib/driver/maria_inspect.h"
#include "lib/driver/probe.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"

#define NAME_MAX_BYTES ((size_t)80) /* of a user; of a role and a host it is more */
#define SETTLE_MS      1000u
#define LOCK_S         5u
#define STATEMENT_MAX  ((size_t)32 * 1024)

struct change {
    const struct driver_run *run;
    struct driver_result *ret;
    struct maria_session s;
    bool routines;     /* what the administrative login has instead of privileges */
    const char *doing; /* for texts: "changing the password of 'app_b'" */
};

static bool has_group(const struct driver_step *step)
{
    return kt_step_text(step->group)[0] != '\0';
}

static bool failed(struct change *c)
{
    return kt_maria_fail(&c->s, c->ret, c->doing);
}

static bool done(struct change *c, const char *what)
{
    return kt_step_done(c->run, what, c->ret);
}

static bool no_memory(struct change *c)
{
    return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "memory", "%s: out of memory", c->doing);
}

/* ---- before the sandbox -------------------------------------------------------------------- */

static bool too_long(const char *name)
{
    return name != NULL && strlen(name) > NAME_MAX_BYTES;
}

static bool check_names(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool bad = too_long(step->account) || too_long(step->other_account) || too_long(step->group);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        bad = bad || too_long(step->logins[who].username);
    return !bad || kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                                 "MariaDB's names have at most %zu bytes", NAME_MAX_BYTES);
}

static bool check_hashes(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool setting = step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
    return ((!setting || kt_form_is(FORM_MARIADB, step->public_part)) &&
            (step->keep_part.len == 0 || kt_form_is(FORM_MARIADB, step->keep_part))) ||
           kt_driver_say(run, ret, DRIVER_PERMANENT, "verifier",
                         "the public part is not a MariaDB driver's two hashes; nothing was sent");
}

bool kt_mariadb_prepare(struct driver_run *run, struct driver_result *ret)
{
    struct driver_place *place = kt_arena_take(run->arena, sizeof(*place));
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    run->own = place;
    return check_names(run, ret) && kt_step_whole(run, kt_step_needs_database(run->step), ret) && check_hashes(run, ret) &&
           kt_place_find(run, place, ret) && kt_maria_load(run, ret);
}

/* ---- the administrative session ------------------------------------------------------------ */

/* Of a cluster it is the cluster's, since any node may answer; else the server's own. */
static bool check_server(const struct driver_run *run, struct maria_session *s,
                         struct driver_result *ret)
{
    kt_driver_evidence(run, kt_maria_version(s), ret->server_version, sizeof(ret->server_version));
    const char *wanted = kt_step_text(run->step->target.server_id);
    bool known = kt_maria_run(s, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                                 "WHERE VARIABLE_NAME = 'WSREP_CLUSTER_STATE_UUID' "
                                 "AND VARIABLE_VALUE <> ''") &&
                 kt_maria_count(s) == 1;
    if (!known)
        known = kt_maria_run(s, "SELECT HEX(FROM_BASE64(@@server_uid))");
    if (known)
        kt_driver_evidence(run, kt_maria_cell(s, 0, 0), ret->server_id, sizeof(ret->server_id));
    if (wanted[0] == '\0' || strcmp(wanted, ret->server_id) == 0)
        return true;
    if (!known)
        return kt_maria_fail(s, ret, "asking the server who it is");
    return kt_driver_say(run, ret, DRIVER_WRONG_SERVER, "server",
                         "this is another server: its identifier is %s, the target's was %s",
                         ret->server_id, wanted);
}

/* Literals are quoted for this mode and this character set. */
static bool settle_session(struct change *c)
{
    char statement[200];
    uint32_t ms = kt_place_statement_ms(c->run);
    (void)!snprintf(statement, sizeof(statement),
                    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', max_statement_time = %u.%03u, "
                    "lock_wait_timeout = %u",
                    ms / 1000, ms % 1000, LOCK_S);
    return (kt_maria_run(&c->s, "SET NAMES utf8mb4") && kt_maria_run(&c->s, statement)) || failed(c);
}

static bool open_admin(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_ADMIN];
    const char *doing = c->doing;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_maria_open(c->run, login, NULL, &c->s))
        return failed(c);
    if (!check_server(c->run, &c->s, c->ret) || !settle_session(c))
        return false;
    c->routines = kt_maria_uses_routines(&c->s);
    c->doing = doing;
    return true;
}

/* Runs what was put together. */
static bool run(struct change *c, struct kt_buf *statement)
{
    if (!kt_buf_ok(statement))
        return no_memory(c);
    return kt_maria_run(&c->s, kt_buf_text(statement)) || failed(c);
}

/* "BEGINNING 'a', 'b'...END"; NULL ends the names. */
static bool say(struct change *c, const char *beginning, const char *const *names, const char *end)
{
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, STATEMENT_MAX);
    kt_buf_add_text(&statement, beginning);
    for (size_t i = 0; names[i] != NULL; i++) {
        kt_buf_add_text(&statement, i == 0 ? "" : ", ");
        kt_maria_quote(&statement, names[i]);
    }
    kt_buf_add_text(&statement, end);
    return run(c, &statement);
}

static bool lock_group(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *const names[] = {has_group(step) ? step->group : step->account, NULL};
    char end[40];
    /* A lock's name is shorter than a role's may be. */
    (void)!snprintf(end, sizeof(end), ")), %u)", LOCK_S);
    if (!say(c, "SELECT GET_LOCK(CONCAT('keyturn:', MD5(", names, end))
        return false;
    if (strcmp(kt_maria_cell(&c->s, 0, 0), "1") == 0)
        return true;
    return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "busy",
                         "%s: another change of this account is under way", c->doing);
}

static bool missing(struct change *c)
{
    return kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "missing",
                         "%s: the server has no such account%s", c->doing,
                         c->routines ? ", or it is not in keyturn.managed" : "");
}

static bool read_account(struct change *c, struct maria_account *ret)
{
    if (!kt_maria_read_account(&c->s, c->routines, c->run->step->account, ret))
        return failed(c);
    const struct maria_entry *foreign = kt_maria_foreign(ret);
    if (foreign == NULL)
        return true;
    return kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "plugin",
                         "%s: '%s'@'%s' logs in by %s%s%s, which a password has no part in; it was "
                         "left as it is",
                         c->doing, ret->name, foreign->host, foreign->plugin,
                         foreign->others[0] == '\0' ? "" : " and ", foreign->others);
}

/* ---- apply, restore ------------------------------------------------------------------------ */

/* What the account accepts from now on; either may be empty. */
static bool set_hashes(struct change *c, const struct maria_account *account, struct kt_bytes first,
                       struct kt_bytes second)
{
    struct kt_mariadb_hashes hashes[2] = {{.native = ""}, {.native = ""}};
    size_t n = 0;
    n += kt_mariadb_split(first, &hashes[n]);
    n += kt_mariadb_split(second, &hashes[n]);
    const char *const names[] = {account->name,     hashes[0].native,  hashes[0].ed25519,
                                 hashes[1].native, hashes[1].ed25519, NULL};
    if (c->routines)
        return say(c, "CALL keyturn.set_hashes(", names, ")");
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, STATEMENT_MAX);
    kt_maria_set_hashes(account, hashes, n, &statement);
    return run(c, &statement);
}

static void apply(struct change *c)
{
    const struct driver_step *step = c->run->step;
    struct maria_account account;
    c->doing = kt_step_phrase(c->run, "changing the password of", step->account);
    if (!open_admin(c) || !lock_group(c) || !read_account(c, &account))
        return;
    if (account.n == 0)
        (void)missing(c);
    else if (set_hashes(c, &account, step->public_part, step->keep_part))
        (void)done(c, "the server has the hash");
}

/* ---- probe --------------------------------------------------------------------------------- */

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct change *c = own;
    const struct driver_step *step = c->run->step;
    const struct driver_login *login = &step->logins[who];
    bool admin = who == DRIVER_ADMIN;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    bool in = kt_maria_open(c->run, login, admin ? NULL : step->target.database, &c->s);
    kt_maria_reply(&c->s, reply);
    /* Behind the check of the password: a wrong one passed it. */
    if (who == DRIVER_CONTROL && reply->barred)
        reply->answer = ANSWER_ACCEPTED;
    if (!in)
        (void)failed(c);
    bool going = !admin || (in && check_server(c->run, &c->s, c->ret));
    kt_maria_close(&c->s);
    return going;
}

static void probe(struct change *c)
{
    const struct driver_prober prober = {
        try_login, c,
        "the server accepts anything there; was it started with skip-grant-tables, or does the account "
        "log in another way?"};
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

static bool retire(struct change *c, const struct maria_account *account)
{
    const char *const names[] = {account->name, NULL};
    if (c->routines)
        return say(c, "CALL keyturn.retire(", names, ")");
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, STATEMENT_MAX);
    kt_maria_retire(account, &statement);
    return run(c, &statement);
}

/* The server says nothing when it leaves sessions alone because the login may not end them. */
static bool cannot_end(struct change *c)
{
    return kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "kill", "%s: %s", c->doing,
                         c->routines
                             ? "keyturn.end_sessions leaves some: has its definer CONNECTION ADMIN?"
                             : "the administrative login may not; GRANT CONNECTION ADMIN ON *.* TO it");
}

/* A login that was under way when the account was closed shows up a moment later: only two looks
 * apart from each other that find nothing are the end. */
static bool end_sessions(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *const names[] = {step->account, NULL};
    uint32_t settle = step->settle_ms == 0 ? SETTLE_MS : step->settle_ms;
    bool counted = false;
    if (!c->routines && !kt_maria_may(&c->s, "CONNECTION ADMIN"))
        return cannot_end(c);
    for (int clean = 0; clean < 2;) {
        bool asked = c->routines ? say(c, "CALL keyturn.end_sessions(", names, ")")
                                 : say(c, "KILL HARD CONNECTION USER ", names, "");
        if (!asked)
            return false;
        uint32_t seen = c->s.changed > UINT32_MAX ? UINT32_MAX : (uint32_t)c->s.changed;
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
                "'%s' cannot log in any more, but %u of its sessions have not ended", step->account,
                seen);
        kt_step_pause(wait);
    }
    if (!kt_maria_sessions(&c->s, c->routines, step->account, &c->ret->sessions, &counted))
        return failed(c);
    return c->ret->sessions == 0 || cannot_end(c);
}

/* Where the other password of the account stays, nobody can tell with which one a session began. The step's
 * public part, if it has one, is what ends. */
static void leave_other(struct change *c)
{
    struct maria_account account;
    c->doing = kt_step_phrase(c->run, "ending the other password of", c->run->step->account);
    if (!open_admin(c) || !lock_group(c) || !read_account(c, &account))
        return;
    if (account.n == 0)
        (void)missing(c);
    else if (set_hashes(c, &account, c->run->step->keep_part, kt_bytes(NULL, 0)))
        (void)done(c, "the account accepts one password, and no other");
}

static void revoke(struct change *c)
{
    if (c->run->step->keep_part.len > 0) {
        leave_other(c);
        return;
    }
    const char *name = c->run->step->account;
    struct maria_account account;
    c->doing = kt_step_phrase(c->run, "closing", name);
    if (!open_admin(c) || !lock_group(c) || !read_account(c, &account))
        return;
    /* The view does not show what is not managed: that is no proof that it is not there. */
    if (account.n == 0 && !c->routines) {
        (void)done(c, "there is no such account: nothing accepts a password for it");
        return;
    }
    if (!lets_in_who_stays(c) || !retire(c, &account))
        return;
    c->doing = kt_step_phrase(c->run, "it cannot log in any more, but ending the sessions of", name);
    if (end_sessions(c))
        (void)done(c, "the account accepts nothing and has no session");
}

/* ---- create -------------------------------------------------------------------------------- */

/* Sessions of either account start with the role, which has the rights. */
static bool give_role(struct change *c, const struct maria_account *account)
{
    const char *group = c->run->step->group;
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, STATEMENT_MAX);
    kt_buf_add_text(&statement, "GRANT ");
    kt_maria_quote(&statement, group);
    kt_maria_name_all(account, " TO", &statement);
    if (!run(c, &statement))
        return false;
    for (size_t i = 0; i < account->n; i++) {
        struct maria_account one = {.name = account->name, .entries = {account->entries[i]}, .n = 1};
        kt_buf_reset(&statement);
        kt_buf_add_text(&statement, "SET DEFAULT ROLE ");
        kt_maria_quote(&statement, group);
        kt_maria_name_all(&one, " FOR", &statement);
        if (!run(c, &statement))
            return false;
    }
    return true;
}

/* Without a password it would be open to everybody: it is made locked, with a hash that nothing has. */
static bool make_account(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const char *const account_name[] = {step->account, NULL};
    const char *const group[] = {step->group, NULL};
    struct maria_account account;
    if (!read_account(c, &account))
        return false;
    if (account.n == 0) {
        if (!say(c, "CREATE USER IF NOT EXISTS ", account_name,
                 "@'%' IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK") ||
            !read_account(c, &account))
            return false;
    }
    if (!has_group(step))
        return true;
    return say(c, "CREATE ROLE IF NOT EXISTS ", group, "") && give_role(c, &account);
}

static void create(struct change *c)
{
    c->doing = kt_step_phrase(c->run, "creating", c->run->step->account);
    if (open_admin(c) && lock_group(c) && make_account(c))
        (void)done(c, "the account exists and has no password yet");
}

/* ---- verify -------------------------------------------------------------------------------- */

static void verify(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const struct driver_login *login = &step->logins[DRIVER_NEW];
    const char *wanted = kt_step_text(step->group);
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_maria_open(c->run, login, step->target.database, &c->s) ||
        !kt_maria_run(&c->s, "SELECT CURRENT_USER(), CURRENT_ROLE(), @@global.read_only")) {
        (void)failed(c);
        return;
    }
    struct driver_result *ret = c->ret;
    const char *role = kt_maria_cell(&c->s, 0, 1);
    kt_driver_evidence(c->run, kt_maria_version(&c->s), ret->server_version,
                       sizeof(ret->server_version));
    kt_driver_evidence(c->run, kt_maria_cell(&c->s, 0, 0), ret->session_user,
                       sizeof(ret->session_user));
    kt_driver_evidence(c->run, role, ret->current_user, sizeof(ret->current_user));
    if (strcmp(kt_maria_cell(&c->s, 0, 2), "0") != 0)
        (void)kt_driver_say(c->run, ret, DRIVER_UNREACH, "readonly", "this server is read-only");
    else if (has_group(step) && strcmp(role, wanted) != 0)
        (void)kt_driver_say(c->run, ret, DRIVER_PERMANENT, "role",
                            "sessions of %s start with the role '%s', not with '%s': they lack its "
                            "rights; GRANT '%s' TO it, and SET DEFAULT ROLE '%s' FOR it",
                            ret->session_user, role, wanted, wanted, wanted);
    else
        (void)done(c, "the new login works");
}

/* ---- inspect ------------------------------------------------------------------------------- */

static void inspect(struct change *c)
{
    const char *unfit = NULL;
    c->doing = kt_step_phrase(c->run, "inspecting", c->run->step->account);
    if (!open_admin(c))
        return;
    if (!kt_maria_inspect(&c->s, c->routines, c->ret, &unfit))
        (void)failed(c);
    else if (unfit != NULL)
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT, "'%s' cannot be rotated: %s",
                            c->run->step->account, unfit);
    else
        (void)done(c, "looked at the account");
}

/* ---- all ----------------------------------------------------------------------------------- */

void kt_mariadb_run(const struct driver_run *step_run, struct driver_result *ret)
{
    static void (*const ops[DRIVER_OP_COUNT])(struct change *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = create, [DRIVER_APPLY] = apply,
        [DRIVER_VERIFY] = verify,   [DRIVER_PROBE] = probe,   [DRIVER_REVOKE] = revoke,
        [DRIVER_RESTORE] = apply,
    };
    struct change c = {.run = step_run, .ret = ret, .s = {.run = step_run}, .doing = ""};
    ops[step_run->step->op](&c);
    kt_maria_close(&c.s);
}
