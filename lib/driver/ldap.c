/* lib/driver/ldap.c - the operations of the LDAP driver.
 *
 * userPassword has as many values as one likes, and a bind fits any of them. Each change is one
 * modification of one kind: a password policy (slapo-ppolicy) takes an add and a delete in one request for
 * a user's own change and asks for the old password, and allows one value in a replace.
 *
 * A server stores whatever it is given behind a name of a scheme that it knows. Where it cannot check
 * {SSHA512} (without its module pw-sha2), a hash that was set lets nobody in. So in a
 * rotation the value that was there before is never replaced by a hash of the same password: it is left alone
 * until the new one was seen to be accepted, and going back takes away exactly what had been added. A restore
 * without a part to keep is another thing: the stored password was refused before, and whatever is there is
 * replaced (a reconciliation). Where the server cannot check the hash, nobody gets in until the module is
 * loaded. */
#include "lib/driver/ldap.h"

#include <strings.h>

#include "lib/driver/ldap_session.h"
#include "lib/driver/probe.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"
#include "lib/timespec.h"

#define PASSWORD  "userPassword"
#define LOCKED    "pwdAccountLockedTime"
#define RESET     "pwdReset"
#define HISTORY   "pwdHistory"
#define SECOND_MS 1000u
/* LDAP's own: connections begin in clear there, and change to TLS when asked to. */
#define PORT_IN_CLEAR 389u

struct change {
    const struct driver_run *run;
    struct driver_result *ret;
    struct ldap_session s;     /* the administrative one, or the one login of a verify */
    struct ldap_session probe; /* of the other logins of a probe */
    const char *doing;         /* for texts: "changing the passwords of 'uid=app,...'" */
};

static bool failed(struct change *c)
{
    return kt_ldap_fail(&c->s, c->ret, c->doing);
}

static bool done(struct change *c, const char *what)
{
    return kt_step_done(c->run, what, c->ret);
}

/* ---- the administrative session ------------------------------------------------------------ */

static bool ends_with(const char *name, struct kt_bytes end)
{
    size_t len = strlen(name);
    return end.len > 0 && end.len <= len &&
           strncasecmp(name + len - end.len, (const char *)end.at, end.len) == 0 &&
           (end.len == len || name[len - end.len - 1] == ',');
}

/* A directory has no name of its own. What its replicas share, and no other has, is the identity of the
 * entry at its top. "": it is not told. */
static const char *read_identity(struct change *c, const char *login)
{
    static const char *const contexts[] = {"namingContexts"}, *const identity[] = {"entryUUID"};
    struct kt_bytes root, top, name, values, value;
    if (!kt_ldap_look(&c->s, "", 1, contexts, &root))
        return "";
    while (kt_ldap_attribute(&root, &name, &values)) {
        while (kt_ber_take(&values, BER_OCTETS, &value)) {
            const char *context = ends_with(login, value) ? kt_arena_text(c->run->arena, value) : NULL;
            if (context != NULL && kt_ldap_look(&c->s, context, 1, identity, &top))
                return kt_ldap_first(&c->s, top, identity[0]);
        }
    }
    return "";
}

static bool check_server(struct change *c, const char *login)
{
    const char *wanted = kt_step_text(c->run->step->target.server_id);
    kt_driver_evidence(c->run, read_identity(c, login), c->ret->server_id, sizeof(c->ret->server_id));
    if (!c->s.stream.is_open)
        return failed(c);
    if (wanted[0] == '\0' || strcmp(wanted, c->ret->server_id) == 0)
        return true;
    if (c->ret->server_id[0] == '\0')
        return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "server",
                             "the server does not tell who it is any more: may the administrative login "
                             "read entryUUID of the entry at the top?");
    return kt_driver_say(c->run, c->ret, DRIVER_WRONG_SERVER, "server",
                         "this is another directory: its identifier is %s, the target's was %s",
                         c->ret->server_id, wanted);
}

static bool open_admin(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_ADMIN];
    const char *doing = c->doing;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_ldap_open(c->run, login, &c->s))
        return failed(c);
    c->doing = doing;
    return check_server(c, login->username);
}

/* ---- apply, restore ------------------------------------------------------------------------ */

/* Of each change a policy writes down what the first password was, and the second. Two changes in one second
 * are the same to it, and it refuses the later one: so that comes again in the next second. */
static bool is_too_soon(struct change *c)
{
    if (!kt_ldap_said(&c->s, LDAP_VALUE_EXISTS) || strstr(c->s.detail, HISTORY) == NULL ||
        kt_ipc_deadline(SECOND_MS) >= c->run->deadline)
        return false;
    kt_step_pause(SECOND_MS);
    return true;
}

static bool change(struct change *c, enum ldap_change change, const struct kt_bytes *value)
{
    bool changed = false;
    do
        changed = kt_ldap_change(&c->s, c->run->step->account, change, PASSWORD, value);
    while (!changed && is_too_soon(c));
    return changed;
}

/* What is added is there already. */
static bool was_there(const struct change *c)
{
    return kt_ldap_said(&c->s, LDAP_VALUE_EXISTS) && strstr(c->s.detail, HISTORY) == NULL;
}

/* Both are said as if of the value, and another value would not help. soon: what it is as long as nobody has
 * mended the policy, or its time has not come. */
static bool failed_change(struct change *c, enum driver_class soon)
{
    static const struct {
        const char *said, *code, *means;
    } rules[] = {
        {"too young", "age", "the server's policy wants more time since the last change (pwdMinAge)"},
        {"quality checking", "quality",
         "the server's policy refuses hashes, whose quality it cannot check: pwdCheckQuality has to be 0 or 1"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && kt_ldap_said(&c->s, LDAP_RULE); i++)
        if (strstr(c->s.detail, rules[i].said) != NULL)
            return kt_driver_say(c->run, c->ret, soon, rules[i].code, "%s: %s", c->doing, rules[i].means);
    return failed(c);
}

static void apply(struct change *c)
{
    const struct driver_step *step = c->run->step;
    bool beside = step->keep_part.len > 0;
    c->doing = kt_step_phrase(c->run, "changing the passwords of", step->account);
    if (!open_admin(c))
        return;
    if (!change(c, beside ? LDAP_ADD : LDAP_REPLACE, &step->public_part) &&
        !(beside && was_there(c)))
        (void)failed_change(c, DRIVER_PERMANENT);
    else
        (void)done(c, "the entry has the hash");
}

/* ---- probe --------------------------------------------------------------------------------- */

/* A server tells a locked account by its own words only where it is told to (ppolicy_use_lockout): else by
 * those for a wrong password, whatever the password is. */
static bool is_locked(struct change *c, const char *account)
{
    static const char *const names[] = {LOCKED};
    struct kt_bytes entry;
    return kt_ldap_look(&c->s, account, 1, names, &entry) && kt_ldap_count(entry, LOCKED) > 0;
}

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct change *c = own;
    const struct driver_login *login = &c->run->step->logins[who];
    struct ldap_session *s = who == DRIVER_ADMIN ? &c->s : &c->probe;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    bool in = kt_ldap_open(c->run, login, s);
    if (!in && who != DRIVER_ADMIN && kt_ldap_said(s, LDAP_WRONG_PASSWORD) &&
        is_locked(c, login->username))
        memcpy(s->code, "locked", sizeof("locked"));
    kt_ldap_reply(s, reply);
    if (who == DRIVER_CONTROL && reply->barred) /* behind the check of the password: a wrong one passed it */
        reply->answer = ANSWER_ACCEPTED;
    if (!in)
        (void)kt_ldap_fail(s, c->ret, c->doing);
    else if (s->grace >= 0)
        kt_driver_finding(c->run, c->ret, "%d logins are left to the expired password of '%s', and each takes one "
                                          "(pwdGraceAuthNLimit)",
                          (int)s->grace, login->username);
    bool going = who != DRIVER_ADMIN || (in && check_server(c, login->username));
    kt_ldap_close(&c->probe);
    return going;
}

static void probe(struct change *c)
{
    const struct driver_prober prober = {try_login, c,
                                         "the server lets it in with anything: what does userPassword of "
                                         "the entry hold, or who checks it instead of the server?"};
    kt_driver_probe(c->run, &prober, c->ret);
}

static bool lets_in_who_stays(struct change *c)
{
    const struct driver_prober prober = {.try = try_login, .own = c};
    const char *doing = c->doing;
    bool in = kt_driver_stays(c->run, &prober, c->ret);
    c->doing = doing;
    return in;
}

/* ---- revoke -------------------------------------------------------------------------------- */

/* Two ways to leave one password. Going back, the one that ends was set by us and is known to the letter.
 * Going on, the one that stays is known to be accepted, and whatever else there was ends with the old one. */
static void leave_one(struct change *c)
{
    const struct driver_step *step = c->run->step;
    bool going_back = step->public_part.len > 0;
    c->doing = kt_step_phrase(c->run, "leaving one password to", step->account);
    if (!open_admin(c))
        return;
    bool changed = going_back ? change(c, LDAP_DELETE, &step->public_part) ||
                                    kt_ldap_said(&c->s, LDAP_NO_SUCH_ATTRIBUTE)
                              : change(c, LDAP_REPLACE, &step->keep_part);
    if (!changed)
        (void)failed_change(c, DRIVER_UNREACH); /* that time comes */
    else
        (void)done(c, going_back ? "the hash that was added is gone" : "the entry has one password");
}

static void revoke(struct change *c)
{
    if (c->run->step->keep_part.len > 0) {
        leave_one(c);
        return;
    }
    c->doing = kt_step_phrase(c->run, "closing", c->run->step->account);
    if (!open_admin(c) || !lets_in_who_stays(c))
        return;
    if (change(c, LDAP_DELETE, NULL) || kt_ldap_said(&c->s, LDAP_NO_SUCH_ATTRIBUTE))
        (void)done(c, "the entry has no password; a server cannot end what was opened with it before");
    else if (kt_ldap_said(&c->s, LDAP_NO_SUCH_ENTRY))
        (void)done(c, "there is no such entry: nothing accepts a password for it");
    else
        (void)failed(c);
}

/* ---- create -------------------------------------------------------------------------------- */

/* What an entry is, and what it may do, is an administrator's to say. */
static void create(struct change *c)
{
    static const char *const nothing[] = {"1.1"};
    struct kt_bytes entry;
    c->doing = kt_step_phrase(c->run, "creating", c->run->step->account);
    if (!open_admin(c))
        return;
    if (kt_ldap_look(&c->s, c->run->step->account, 1, nothing, &entry))
        (void)done(c, "the entry exists");
    else
        (void)failed(c);
}

/* ---- verify -------------------------------------------------------------------------------- */

/* A policy may let a login in that can then do nothing but change its password. */
static void verify(struct change *c)
{
    static const char *const nothing[] = {"1.1"};
    const struct driver_login *login = &c->run->step->logins[DRIVER_NEW];
    struct kt_bytes entry;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_ldap_open(c->run, login, &c->s)) {
        (void)failed(c);
        return;
    }
    kt_driver_evidence(c->run, login->username, c->ret->session_user, sizeof(c->ret->session_user));
    bool seen = kt_ldap_look(&c->s, login->username, 1, nothing, &entry);
    if (c->s.policy == LDAP_MUST_CHANGE)
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "reset",
                            "'%s' has to change its password before it may do anything else: its policy "
                            "must not have pwdMustChange",
                            login->username);
    else if (!seen && !c->s.stream.is_open)
        (void)failed(c);
    else /* it may well have no right to see itself: that is an answer, too */
        (void)done(c, "the new login works");
}

/* ---- inspect ------------------------------------------------------------------------------- */

/* Passwords are seen only where the login may read them, which it need not. One of them is the vault's. */
static void judge_entry(struct change *c, const char *account, struct kt_bytes entry)
{
    size_t n = kt_ldap_count(entry, PASSWORD);
    if (n > 1)
        kt_driver_finding(c->run, c->ret, "'%s' accepts passwords that the vault does not have as current: %zu",
                          account, n - 1);
    if (kt_ldap_count(entry, LOCKED) > 0)
        kt_driver_finding(c->run, c->ret, "'%s' is locked since %s", account,
                          kt_ldap_first(&c->s, entry, LOCKED));
    if (strcasecmp(kt_ldap_first(&c->s, entry, RESET), "TRUE") == 0)
        kt_driver_finding(c->run, c->ret, "'%s' has to change its password first (pwdReset)", account);
}

static void inspect(struct change *c)
{
    static const char *const names[] = {PASSWORD, LOCKED, RESET};
    const char *account = c->run->step->account, *other = kt_step_text(c->run->step->other_account);
    struct kt_bytes entry;
    c->doing = kt_step_phrase(c->run, "inspecting", account);
    if (!open_admin(c))
        return;
    if (!kt_ldap_look(&c->s, account, sizeof(names) / sizeof(names[0]), names, &entry)) {
        if (failed(c) || !kt_ldap_said(&c->s, LDAP_NO_SUCH_ENTRY))
            return;
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                            "there is no entry '%s', or the administrative login may not see it", account);
        return;
    }
    judge_entry(c, account, entry);
    if (other[0] != '\0') {
        if (!kt_ldap_look(&c->s, other, sizeof(names) / sizeof(names[0]), names, &entry)) {
            c->doing = kt_step_phrase(c->run, "inspecting its sibling", other);
            (void)failed(c);
            return;
        }
        judge_entry(c, other, entry);
    }
    (void)done(c, "looked at the entry");
}

/* ---- all ----------------------------------------------------------------------------------- */

bool kt_ldap_prepare(struct driver_run *run, struct driver_result *ret)
{
    if (!kt_step_whole(run, kt_step_needs_host(run->step, true), ret) ||
        !kt_step_parts(run, FORM_SSHA512, "hash", "the public part is no whole {SSHA512} hash; nothing was sent", ret))
        return false;
    struct kt_stream_place *place = kt_arena_take(run->arena, sizeof(*place));
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    run->own = place;
    if (!kt_stream_find(run, place, ret))
        return false;
    place->later = run->step->target.port == PORT_IN_CLEAR;
    return true;
}

void kt_ldap_run(const struct driver_run *run, struct driver_result *ret)
{
    static void (*const ops[DRIVER_OP_COUNT])(struct change *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = create, [DRIVER_APPLY] = apply,
        [DRIVER_VERIFY] = verify,   [DRIVER_PROBE] = probe,   [DRIVER_REVOKE] = revoke,
        [DRIVER_RESTORE] = apply,
    };
    struct change c = {.run = run, .ret = ret, .s = {.run = run}, .probe = {.run = run}, .doing = ""};
    ops[run->step->op](&c);
    kt_ldap_close(&c.probe);
    kt_ldap_close(&c.s);
}
