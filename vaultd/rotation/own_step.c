#include <stdio.h>

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/own.h"

/* The steps at this vault. What cannot be asked (it is being sealed, the disk is full) is no answer, as
 * anywhere else. */

struct own_step {
    const struct driver_step *step;
    struct kt_arena *arena; /* the job's */
    struct driver_result *ret;
};

static void say(struct driver_result *ret, enum driver_class class, const char *code, const char *text)
{
    ret->class = class;
    (void)snprintf(ret->code, sizeof ret->code, "%s", code);
    (void)snprintf(ret->text, sizeof ret->text, "%.*s", (int)sizeof ret->text - 1, text);
}

/* What cannot be so is the target's no, with what mends it. */
static enum kt_kind judged(struct driver_result *ret, enum kt_kind kind, struct kt_err *err)
{
    char text[DRIVER_TEXT];
    if (kind != KT_INVALID)
        return kind;
    (void)snprintf(text, sizeof text, "%.200s%s%.200s", err->what, err->hint[0] == '\0' ? "" : ": ", err->hint);
    say(ret, DRIVER_PERMANENT, DRIVER_UNFIT, text);
    *err = (struct kt_err){0};
    return KT_OK;
}

static enum kt_kind check(struct request *req, const struct own_step *s, struct kt_err *err)
{
    int64_t life_s = 0;
    enum kt_kind kind = own_check(req, s->step->account, &life_s, err);
    if (kind == KT_OK)
        say(s->ret, DRIVER_OK, "", "its role is there");
    return judged(s->ret, kind, err);
}

/* ---- inspect, probe, verify ---- */

static struct own_text text_of(const struct driver_step *step, enum driver_who who)
{
    const char *accessor = step->ids[who];
    return (struct own_text){(const char *)step->logins[who].password.at, accessor == NULL ? "" : accessor};
}

static enum kt_kind life_of(struct request *req, const struct driver_step *step, enum driver_who who,
                            enum own_life *ret, struct kt_err *err)
{
    const struct own_text which = text_of(step, who);
    struct own_place place;
    *ret = OWN_DEAD;
    enum kt_kind kind = own_find(req, step->logins[who].username, &place, err);
    if (kind == KT_OK)
        return place.kind->look(req, &place, &which, ret, err);
    if (kind != KT_INVALID)
        return kind;
    *err = (struct kt_err){0}; /* its mount is gone, and it with it */
    return KT_OK;
}

/* What is accepted and would not be ended would outlive a run whose report calls it dead. */
static enum kt_kind inspect(struct request *req, const struct own_step *s, struct kt_err *err)
{
    enum own_life life = OWN_DEAD;
    enum kt_kind kind = check(req, s, err);
    if (kind == KT_OK && s->ret->class == DRIVER_OK && s->step->logins[DRIVER_OLD].username != NULL)
        kind = life_of(req, s->step, DRIVER_OLD, &life, err);
    if (kind == KT_OK && life == OWN_FOREIGN)
        say(s->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
            "the stored one is accepted but would not be ended: it is not of this role, or key_id in the secret is "
            "not its accessor; write one of this role there, with its accessor (secretctl kv patch)");
    return kind;
}

/* One that is accepted is no dead one, though it may be one that is not ended. */
static enum kt_kind try_login(struct request *req, const struct driver_step *step, enum driver_who who,
                              struct driver_reply *ret, struct kt_err *err)
{
    enum own_life life = OWN_DEAD;
    if (step->logins[who].username == NULL)
        return KT_OK;
    enum kt_kind kind = life_of(req, step, who, &life, err);
    if (kind == KT_OK)
        *ret = (struct driver_reply){.answer = life == OWN_DEAD ? ANSWER_REFUSED : ANSWER_ACCEPTED};
    return kind;
}

static enum kt_kind probe(struct request *req, const struct own_step *s, struct kt_err *err)
{
    struct driver_result *ret = s->ret;
    enum kt_kind kind = KT_OK;
    ret->replies[DRIVER_ADMIN] = (struct driver_reply){.answer = ANSWER_ACCEPTED};
    for (size_t who = DRIVER_CONTROL; kind == KT_OK && who < DRIVER_LOGIN_COUNT; who++)
        kind = try_login(req, s->step, (enum driver_who)who, &ret->replies[who], err);
    if (kind == KT_OK)
        ret->class = DRIVER_OK;
    return kind;
}

static enum kt_kind verify(struct request *req, const struct own_step *s, struct kt_err *err)
{
    struct driver_reply reply = {.answer = ANSWER_REFUSED};
    enum kt_kind kind = try_login(req, s->step, DRIVER_NEW, &reply, err);
    if (kind != KT_OK)
        return kind;
    bool in = reply.answer == ANSWER_ACCEPTED;
    say(s->ret, in ? DRIVER_OK : DRIVER_REFUSED, in ? "" : "refused", in ? "it was found" : "it is not there");
    return KT_OK;
}

/* ---- apply, revoke ---- */

/* See own.h: nothing comes into being here. */
static enum kt_kind apply(struct request *req, const struct own_step *s, struct kt_err *err)
{
    struct own_place place;
    enum kt_kind kind = check(req, s, err);
    if (kind != KT_OK || s->ret->class != DRIVER_OK)
        return kind;
    kind = own_find(req, s->step->account, &place, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, DRIVER_PASSWORD_MAX);
    place.kind->draw(&text);
    const char *made = kt_buf_ok(&text) ? kt_arena_text(s->arena, kt_buf_bytes(&text)) : NULL;
    const char *told = kt_arena_printf(&req->arena, "a new %s was drawn", place.kind->what);
    if (made == NULL || told == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a credential");
    s->ret->made = kt_str(made);
    say(s->ret, DRIVER_OK, "", told);
    return KT_OK;
}

static enum kt_kind revoke(struct request *req, const struct own_step *s, struct kt_err *err)
{
    enum driver_who who = s->step->logins[DRIVER_OLD].username != NULL ? DRIVER_OLD : DRIVER_NEW;
    const char *account = s->step->logins[who].username;
    const struct own_text which = text_of(s->step, who);
    struct own_place place;
    bool was = false;
    enum kt_kind kind = KT_OK;
    if (account != NULL)
        kind = own_find(req, account, &place, err);
    if (account != NULL && kind == KT_OK)
        kind = place.kind->end(req, &place, &which, &was, err);
    /* Where its mount is gone it is, too: a way to log in does not move (mounts_move()). */
    if (kind != KT_OK && kind != KT_INVALID)
        return kind;
    *err = (struct kt_err){0};
    say(s->ret, DRIVER_OK, "", was ? "it was ended" : "it was not there any more");
    return KT_OK;
}

static enum kt_kind refuse(struct request *req, const struct own_step *s, struct kt_err *err)
{
    (void)req;
    (void)err;
    say(s->ret, DRIVER_PERMANENT, "step", "this vault makes its credentials itself: none is set");
    return KT_OK;
}

static enum kt_kind step_handler(struct request *req, struct kt_err *err)
{
    static enum kt_kind (*const steps[DRIVER_OP_COUNT])(struct request *, const struct own_step *,
                                                        struct kt_err *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = refuse, [DRIVER_APPLY] = apply,   [DRIVER_VERIFY] = verify,
        [DRIVER_PROBE] = probe,     [DRIVER_REVOKE] = revoke, [DRIVER_RESTORE] = refuse,
    };
    const struct own_step *s = req->handler_data;
    *s->ret = (struct driver_result){.class = DRIVER_UNREACH}; /* it may run more than once */
    return steps[s->step->op](req, s, err);
}

void own_run_step(struct rotation *rotation, const struct driver_step *step, struct kt_arena *arena,
                  struct driver_result *ret)
{
    struct own_step s = {.step = step, .arena = arena, .ret = ret};
    struct kt_err err = {0};
    char path[64];
    (void)snprintf(path, sizeof path, "rotation/own/%s", kt_driver_op_text(step->op));
    enum kt_kind kind = request_internal(rotation->core, path, step_handler, &s, &err);
    if (kind == KT_OK)
        return;
    *ret = (struct driver_result){.class = DRIVER_UNREACH};
    say(ret, DRIVER_UNREACH, "vault", err.what[0] == '\0' ? kt_kind_text(kind) : err.what);
}
