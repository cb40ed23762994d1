/* lib/driver/redis.c - the operations of the Redis driver.
 *
 * ACL SETUSER with several rules is one change: all of them or none. It makes a user that is not
 * there, so each operation looks first. Nothing is durable before ACL SAVE (or, without an ACL file,
 * CONFIG REWRITE): a change is made only where that works, and taken back when it then does not.
 * ACL LOAD is never used: it ends connections of users whose entries did not change. */
#include "lib/driver/redis.h"

#include <stdio.h>

#include "lib/driver/probe.h"
#include "lib/driver/redis_inspect.h"
#include "lib/driver/redis_sentinel.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"

#define NAME      "keyturn"
#define PROBE     "keyturn-probe"
#define SETTLE_MS 1000u
#define NO_FILE   "not configured to use an ACL file"
#define WORDS_MAX (8 + REDIS_HASHES_MAX)

struct change {
    const struct driver_run *run;
    struct driver_result *ret;
    struct redis_session s;
    const char *doing; /* for texts: "changing the passwords of 'app'" */
};

static bool failed(struct change *c)
{
    return kt_redis_fail(&c->s, c->ret, c->doing);
}

static bool done(struct change *c, const char *what)
{
    return kt_step_done(c->run, what, c->ret);
}

static struct kt_bytes account(const struct change *c)
{
    return kt_str(c->run->step->account);
}

/* ---- the administrative session ------------------------------------------------------------ */

/* Users are not replicated: a replica has its own, and as one of several servers it is changed like the others,
 * whichever of them is the primary by then. Alone it stands for the primary that clients look for at that place. */
static bool check_server(struct change *c)
{
    kt_driver_evidence(c->run, c->s.version, c->ret->server_version,
                       sizeof(c->ret->server_version));
    bool replica = strcmp(c->s.role, "replica") == 0 || strcmp(c->s.role, "slave") == 0;
    return !replica || !kt_step_lacks(c->run->step->target.servers) ||
           kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "replica",
                         "this is a replica, not the primary: its users are its own; name all servers that have them "
                         "(hosts=)");
}

static bool open_admin(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_ADMIN];
    const char *doing = c->doing;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_redis_open(c->run, login, NAME, &c->s))
        return failed(c);
    c->doing = doing;
    return check_server(c);
}

static bool need_user(struct change *c, struct redis_user *ret)
{
    if (!kt_redis_read_user(&c->s, c->run->step->account, ret))
        return failed(c);
    return ret->there || kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "missing",
                                       "%s: there is no such user", c->doing);
}

/* False: code and detail of the session say why. */
static bool write_down(struct change *c)
{
    if (KT_REDIS_ASK(&c->s, kt_str("ACL"), kt_str("SAVE")))
        return true;
    return strstr(c->s.detail, NO_FILE) != NULL &&
           KT_REDIS_ASK(&c->s, kt_str("CONFIG"), kt_str("REWRITE"));
}

/* ---- apply, restore ------------------------------------------------------------------------ */

struct hash_word {
    char at[1 + REDIS_HASH];
};

/* In the caller's own memory: an empty word for want of it would be taken, and let nobody in. */
static struct kt_bytes hash_word(struct hash_word *room, struct kt_bytes hash)
{
    size_t len = hash.len < REDIS_HASH ? hash.len : REDIS_HASH; /* its form was looked at */
    room->at[0] = '#';
    memcpy(room->at + 1, hash.at, len);
    return kt_bytes(room->at, 1 + len);
}

/* The account as it was; false: it is not known how it is now. */
static bool put_back(struct change *c, const struct redis_user *was)
{
    struct kt_bytes words[WORDS_MAX] = {kt_str("ACL"), kt_str("SETUSER"), account(c),
                                        kt_str("resetpass"), kt_str(was->on ? "on" : "off")};
    struct hash_word rooms[REDIS_HASHES_MAX];
    size_t n = 5;
    if (was->n_hashes > REDIS_HASHES_MAX)
        return false;
    for (size_t i = 0; i < was->n_hashes; i++)
        words[n++] = hash_word(&rooms[i], was->hashes[i]);
    return kt_redis_ask(&c->s, n, words);
}

static void not_written_down(struct change *c, const struct redis_user *was)
{
    const char *why = kt_arena_text(c->run->arena, kt_str(c->s.detail));
    bool back = put_back(c, was);
    (void)kt_driver_say(c->run, c->ret, back ? DRIVER_PERMANENT : DRIVER_UNREACH, "save",
                        "%s: the server could not write it down (%s)%s", c->doing, kt_step_text(why),
                        back ? "; it was taken back" : ", and it could not be taken back");
}

static void apply(struct change *c)
{
    const struct driver_step *step = c->run->step;
    struct redis_user was;
    c->doing = kt_step_phrase(c->run, "changing the passwords of", step->account);
    if (!open_admin(c) || !need_user(c, &was))
        return;
    if (!write_down(c)) {
        if (c->s.stream.is_open)
            (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "save",
                                "%s: nothing was changed, because the server could not write it "
                                "down (%s)",
                                c->doing, c->s.detail);
        else
            (void)failed(c);
        return;
    }
    struct kt_bytes words[6] = {kt_str("ACL"), kt_str("SETUSER"), account(c), kt_str("on")};
    struct hash_word room;
    size_t n = 4;
    if (step->keep_part.len == 0)
        words[n++] = kt_str("resetpass");
    words[n++] = hash_word(&room, step->public_part);
    bool taken = kt_redis_ask(&c->s, n, words);
    if (taken && write_down(c))
        (void)done(c, "the server has the hash, in its file, too");
    else if (taken && c->s.stream.is_open)
        not_written_down(c, &was);
    else
        (void)failed(c);
}

/* ---- probe --------------------------------------------------------------------------------- */

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct change *c = own;
    const struct driver_login *login = &c->run->step->logins[who];
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    bool in = kt_redis_open(c->run, login, PROBE, &c->s);
    kt_redis_answer(&c->s, reply);
    if (!in)
        (void)failed(c);
    bool going = who != DRIVER_ADMIN || (in && check_server(c));
    kt_redis_close(&c->s);
    return going;
}

static void probe(struct change *c)
{
    const struct driver_prober prober = {try_login, c, "the user has nopass"};
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

/* A login that was under way when the account was closed shows up a moment later: only two looks
 * apart from each other that find nothing are the end. */
static bool end_sessions(struct change *c)
{
    uint32_t settle = c->run->step->settle_ms == 0 ? SETTLE_MS : c->run->step->settle_ms;
    for (int clean = 0; clean < 2;) {
        if (!KT_REDIS_ASK(&c->s, kt_str("CLIENT"), kt_str("KILL"), kt_str("USER"), account(c)))
            return failed(c);
        int64_t seen = kt_redis_number(&c->s);
        c->ret->sessions = seen > 0 && seen < UINT32_MAX ? (uint32_t)seen : 0;
        c->ret->ended_sessions += c->ret->sessions;
        clean = seen == 0 ? clean + 1 : 0;
        uint32_t wait = clean == 0 ? 50 : settle;
        if (clean < 2 && kt_ipc_deadline(wait) >= c->run->deadline)
            return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "timeout",
                                 "'%s' cannot log in any more, but its sessions have not ended",
                                 c->run->step->account);
        if (clean < 2)
            kt_step_pause(wait);
    }
    return true;
}

/* The other credential alone: whatever else was accepted is not any more. */
static bool keep_one(struct change *c, const struct redis_user *was)
{
    struct kt_bytes keep = c->run->step->keep_part;
    struct hash_word room;
    size_t others = was->n_hashes - (kt_redis_user_has(was, keep) ? 1u : 0u);
    if (others > 1)
        kt_driver_finding(c->run, c->ret,
                          "'%s' accepted %zu passwords besides the two of this run; they are gone",
                          c->run->step->account, others - 1);
    return KT_REDIS_ASK(&c->s, kt_str("ACL"), kt_str("SETUSER"), account(c), kt_str("resetpass"),
                        hash_word(&room, keep)) ||
           failed(c);
}

static bool close_account(struct change *c)
{
    return KT_REDIS_ASK(&c->s, kt_str("ACL"), kt_str("SETUSER"), account(c), kt_str("off"),
                        kt_str("resetpass")) ||
           failed(c);
}

static void revoke(struct change *c)
{
    struct redis_user was;
    bool keeps = c->run->step->keep_part.len > 0;
    c->doing = kt_step_phrase(c->run, "closing", c->run->step->account);
    if (keeps)
        c->doing = kt_step_phrase(c->run, "leaving one password to", c->run->step->account);
    if (!open_admin(c))
        return;
    if (!kt_redis_read_user(&c->s, c->run->step->account, &was)) {
        (void)failed(c);
        return;
    }
    if (!was.there && !keeps) {
        (void)done(c, "there is no such user: nothing accepts a password for it");
        return;
    }
    if (!was.there) {
        (void)need_user(c, &was);
        return;
    }
    if (!keeps && !lets_in_who_stays(c))
        return;
    if (!(keeps ? keep_one(c, &was) : close_account(c)))
        return;
    if (!write_down(c)) {
        (void)kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "save",
                            "%s: done, but the server could not write it down, and after a restart "
                            "it would accept what it accepted before (%s)",
                            c->doing, c->s.detail);
        return;
    }
    if (keeps)
        (void)done(c, "the account accepts one password, in the server's file, too");
    else if (end_sessions(c))
        (void)done(c, "the account accepts nothing and has no session");
}

/* ---- create -------------------------------------------------------------------------------- */

/* What a user may do is an administrator's to say. */
static void create(struct change *c)
{
    struct redis_user user;
    c->doing = kt_step_phrase(c->run, "creating", c->run->step->account);
    if (!open_admin(c))
        return;
    if (!kt_redis_read_user(&c->s, c->run->step->account, &user))
        (void)failed(c);
    else if (user.there)
        (void)done(c, "the user exists");
    else
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "missing",
                            "there is no user '%s': make it with the rights of its sibling, ACL "
                            "SETUSER %s off ~... +...",
                            c->run->step->account, c->run->step->account);
}

/* ---- verify -------------------------------------------------------------------------------- */

static void verify(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_NEW];
    struct resp who;
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!kt_redis_open(c->run, login, PROBE, &c->s)) {
        (void)failed(c);
        return;
    }
    if (!check_server(c))
        return;
    kt_driver_evidence(c->run, login->username, c->ret->session_user, sizeof(c->ret->session_user));
    /* Few applications may ask who they are; the login was answered all the same. */
    if (KT_REDIS_ASK(&c->s, kt_str("ACL"), kt_str("WHOAMI"))) {
        struct kt_bytes rest = c->s.reply;
        const char *name = kt_resp_next(&rest, &who) && who.type == RESP_BULK
                               ? kt_arena_text(c->run->arena, who.text)
                               : NULL;
        kt_driver_evidence(c->run, kt_step_text(name), c->ret->current_user, sizeof(c->ret->current_user));
    }
    (void)done(c, "the new login works");
}

/* ---- inspect ------------------------------------------------------------------------------- */

static void inspect(struct change *c)
{
    c->doing = kt_step_phrase(c->run, "inspecting", c->run->step->account);
    if (open_admin(c) && kt_redis_inspect(&c->s, c->ret))
        (void)done(c, "looked at the user");
}

/* ---- all ----------------------------------------------------------------------------------- */

bool kt_redis_prepare(struct driver_run *run, struct driver_result *ret)
{
    if (kt_redis_is_sentinel(run->step))
        return kt_redis_sentinel_prepare(run, ret);
    if (!kt_step_whole(run, kt_step_needs_host(run->step, true), ret) ||
        !kt_step_parts(run, FORM_SHA256, "hash", "the public part is no SHA-256 hash; nothing was sent", ret))
        return false;
    struct kt_stream_place *place = kt_arena_take(run->arena, sizeof(*place));
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    run->own = place;
    return kt_stream_find(run, place, ret);
}

void kt_redis_run(const struct driver_run *run, struct driver_result *ret)
{
    static void (*const ops[DRIVER_OP_COUNT])(struct change *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = create, [DRIVER_APPLY] = apply,
        [DRIVER_VERIFY] = verify,   [DRIVER_PROBE] = probe,   [DRIVER_REVOKE] = revoke,
        [DRIVER_RESTORE] = apply,
    };
    if (kt_redis_is_sentinel(run->step)) {
        kt_redis_sentinel_run(run, ret);
        return;
    }
    struct change c = {.run = run, .ret = ret, .s = {.run = run}, .doing = ""};
    ops[run->step->op](&c);
    kt_redis_close(&c.s);
}
