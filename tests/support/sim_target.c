#include "tests/support/sim_target.h"

#include <stdio.h>

#include "lib/driver/form.h"
#include "lib/scram.h"
#include "vaultd/core/mounts.h"
#include "vaultd/engine/kv.h"

void sim_init(struct sim *sim)
{
    *sim = (struct sim){.n_accounts = 0};
    (void)pthread_mutex_init(&sim->lock, NULL);
    (void)pthread_cond_init(&sim->answers, NULL);
    (void)snprintf(sim->admin_password, sizeof sim->admin_password, "admin");
    (void)snprintf(sim->server_id, sizeof sim->server_id, "7000000000000000001");
}

void sim_free(struct sim *sim)
{
    (void)pthread_cond_destroy(&sim->answers);
    (void)pthread_mutex_destroy(&sim->lock);
}

void sim_say(struct sim *sim, char *at, size_t size, const char *text)
{
    (void)pthread_mutex_lock(&sim->lock);
    (void)snprintf(at, size, "%s", text);
    (void)pthread_mutex_unlock(&sim->lock);
}

struct sim_account *sim_account(struct sim *sim, const char *name)
{
    for (unsigned i = 0; i < sim->n_accounts; i++)
        if (strcmp(sim->accounts[i].name, name) == 0)
            return &sim->accounts[i];
    return NULL;
}

static enum driver_form form_of(const struct sim *sim)
{
    return sim->hashes ? FORM_SHA256 : FORM_SCRAM;
}

void sim_keep_hashes(struct sim *sim)
{
    sim->hashes = true;
}

void sim_add(struct sim *sim, const char *name, const char *password)
{
    struct sim_account *a = &sim->accounts[sim->n_accounts++];
    (void)snprintf(a->name, sizeof a->name, "%s", name);
    a->login = password != NULL;
    char made[DRIVER_FORM_TEXT];
    if (password == NULL)
        return;
    a->login = kt_form_make(form_of(sim), kt_str(password), made, NULL) == KT_OK;
    (void)snprintf(a->verifier, sizeof a->verifier, "%.*s", (int)sizeof a->verifier - 1, made);
}

static bool is_of(const char *public_part, struct kt_bytes password)
{
    char made[DRIVER_FORM_TEXT];
    bool same = false;
    if (public_part[0] == '\0')
        return false;
    if (kt_form_is(FORM_SHA256, kt_str(public_part)))
        return kt_form_make(FORM_SHA256, password, made, NULL) == KT_OK &&
               strcmp(made, public_part) == 0;
    return kt_scram_matches(kt_str(public_part), password, &same, NULL) == KT_OK && same;
}

static bool matches(const struct sim_account *a, struct kt_bytes password)
{
    return a != NULL && a->login && (is_of(a->verifier, password) || is_of(a->also, password));
}

bool sim_accepts(struct sim *sim, const char *name, const char *password)
{
    (void)pthread_mutex_lock(&sim->lock);
    bool yes = matches(sim_account(sim, name), kt_str(password));
    (void)pthread_mutex_unlock(&sim->lock);
    return yes;
}

static void lose_last(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_accounts; i++) {
        memcpy(sim->accounts[i].verifier, sim->undo[i].verifier, sizeof sim->undo[i].verifier);
        memcpy(sim->accounts[i].also, sim->undo[i].also, sizeof sim->undo[i].also);
        sim->accounts[i].login = sim->undo[i].login;
    }
}

void sim_lose_last(struct sim *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    lose_last(sim);
    (void)pthread_mutex_unlock(&sim->lock);
}

unsigned sim_refusals(struct sim *sim, const char *name)
{
    (void)pthread_mutex_lock(&sim->lock);
    unsigned n = sim_account(sim, name)->refusals;
    (void)pthread_mutex_unlock(&sim->lock);
    return n;
}

unsigned sim_ops(struct sim *sim, enum driver_op op)
{
    (void)pthread_mutex_lock(&sim->lock);
    unsigned n = sim->ops[op];
    (void)pthread_mutex_unlock(&sim->lock);
    return n;
}

unsigned sim_timeout(struct sim *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    unsigned ms = sim->timeout_ms;
    (void)pthread_mutex_unlock(&sim->lock);
    return ms;
}

/* ---- the watcher ---- */

static bool version_works(struct sim *sim, struct request *req, const struct mount *mount,
                          const struct kv_version *version)
{
    struct kt_buf value;
    kt_buf_init(&value, 65536);
    bool works = false;
    if (kv_value(req->core, mount, req->snapshot, sim->secret, version, &value, NULL) == KT_OK) {
        struct kt_json object = kt_json_value(kt_buf_bytes(&value)), member;
        const char *user = NULL, *password = NULL;
        if (kt_json_member(object, "username", &member))
            user = kt_json_text(member, &req->arena);
        if (kt_json_member(object, "password", &member))
            password = kt_json_text(member, &req->arena);
        works = user != NULL && password != NULL &&
                matches(sim_account(sim, user), kt_str(password));
    }
    kt_buf_free(&value);
    return works;
}

static enum kt_kind watch_handler(struct request *req, struct kt_err *err)
{
    struct sim *sim = req->handler_data;
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, "secret/x", &rest);
    struct kv_secret *secret = NULL;
    enum kt_kind kind =
        kv_load(req->core, mount, req->snapshot, &req->arena, sim->secret, &secret, err);
    if (kind != KT_OK)
        return kind;
    bool saved = false;
    for (size_t i = 0; i < secret->n_versions && !saved; i++)
        saved = version_works(sim, req, mount, &secret->versions[i]);
    bool told = sim->locked_out[0] != '\0' && strncmp(sim->locked_out, "watcher:", 8) != 0;
    if (!saved && !told)
        (void)snprintf(sim->locked_out, sizeof sim->locked_out,
                       "apply %u, revoke %u, restore %u: the target accepts nothing that is stored",
                       sim->ops[DRIVER_APPLY], sim->ops[DRIVER_REVOKE], sim->ops[DRIVER_RESTORE]);
    return KT_OK;
}

static void look_into_the_vault(struct sim *sim)
{
    struct kt_err err = {0};
    if (sim->vault == NULL)
        return;
    enum kt_kind kind = request_internal(sim->vault->core, "test/watch", watch_handler, sim, &err);
    bool waits = kind == KT_SEALED || (sim->may_stop && kind == KT_IO);
    if (kind != KT_OK && !waits && sim->locked_out[0] == '\0')
        (void)snprintf(sim->locked_out, sizeof sim->locked_out, "watcher: %.100s", err.what);
}

/* ---- steps ---- */

static void say(struct driver_result *ret, enum driver_class class, const char *code,
                const char *text)
{
    ret->class = class;
    (void)snprintf(ret->code, sizeof ret->code, "%s", code);
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
}

static bool is_admin_login(struct sim *sim, const struct driver_login *login)
{
    return sim->admins ? matches(sim_account(sim, login->username), login->password)
                       : kt_bytes_is(login->password, sim->admin_password);
}

static struct driver_reply ask(struct sim *sim, const struct driver_login *login, bool is_admin)
{
    struct driver_reply reply = {.answer = ANSWER_NONE};
    if (login->username == NULL)
        return reply;
    struct sim_account *a = sim_account(sim, login->username);
    bool right = is_admin ? is_admin_login(sim, login) : matches(a, login->password);
    reply.answer = right || (sim->trust && !is_admin) ? ANSWER_ACCEPTED : ANSWER_REFUSED;
    reply.unasked = sim->trust && !is_admin;
    if (sim->bars && right && !is_admin)
        reply = (struct driver_reply){.answer = ANSWER_UNKNOWN, .barred = true, .code = "53300"};
    if (reply.answer == ANSWER_REFUSED) {
        (void)snprintf(reply.code, sizeof reply.code, "28P01");
        sim->refusals++;
        if (a != NULL)
            a->refusals++;
    }
    return reply;
}

static void note_gap(struct sim *sim, struct sim_account *a)
{
    int64_t now = sim->vault->now_ms;
    if (a->asked_ms != 0 && (a->least_gap_ms == 0 || now - a->asked_ms < a->least_gap_ms))
        a->least_gap_ms = now - a->asked_ms;
    a->asked_ms = now;
}

static void note_gaps(struct sim *sim, const struct driver_step *step)
{
    for (unsigned i = 0; i < sim->n_accounts && sim->vault != NULL; i++)
        for (size_t who = DRIVER_CONTROL; who < DRIVER_LOGIN_COUNT; who++)
            if (step->logins[who].username != NULL &&
                strcmp(step->logins[who].username, sim->accounts[i].name) == 0) {
                note_gap(sim, &sim->accounts[i]);
                break;
            }
}

static struct driver_reply unsure_of(struct sim *sim)
{
    sim->unsure--;
    return (struct driver_reply){.answer = ANSWER_UNKNOWN, .code = "503"};
}

static void probe(struct sim *sim, const struct driver_step *step, struct driver_result *ret)
{
    note_gaps(sim, step);
    say(ret, DRIVER_OK, "", "");
    ret->replies[DRIVER_ADMIN] = ask(sim, &step->logins[DRIVER_ADMIN], true);
    bool in = ret->replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED;
    ret->replies[DRIVER_CONTROL] = ask(sim, &step->logins[DRIVER_CONTROL], false);
    bool proves = in && ret->replies[DRIVER_CONTROL].answer != ANSWER_ACCEPTED;
    for (size_t who = DRIVER_NEW; who <= DRIVER_OLD; who++) {
        if (step->logins[who].username == NULL)
            continue;
        if (proves && who == DRIVER_OLD && sim->unsure > 0)
            ret->replies[who] = unsure_of(sim);
        else if (proves)
            ret->replies[who] = ask(sim, &step->logins[who], false);
        else
            ret->replies[who].answer = ANSWER_UNKNOWN;
    }
}

static void copy_part(char to[160], struct kt_bytes part)
{
    size_t len = part.len < 159 ? part.len : 159;
    if (len > 0)
        memcpy(to, part.at, len);
    to[len] = '\0';
}

static void set_verifier(struct sim *sim, const struct driver_step *step,
                         struct driver_result *ret)
{
    struct sim_account *a = sim_account(sim, step->account);
    if (sim->says_no) {
        say(ret, DRIVER_PERMANENT, "42501", "permission denied");
        return;
    }
    if (a == NULL) {
        say(ret, DRIVER_PERMANENT, "42704", "there is no such role");
        return;
    }
    if (sim->bad_values > 0) {
        sim->bad_values--;
        say(ret, DRIVER_BAD_VALUE, "22023", "the server does not accept the value");
        return;
    }
    if (!kt_form_is(form_of(sim), step->public_part)) {
        say(ret, DRIVER_PERMANENT, "form", "this is no verifier");
        return;
    }
    memcpy(sim->undo, sim->accounts, sizeof sim->undo);
    if (!sim->ignores) {
        copy_part(a->verifier, step->public_part);
        copy_part(a->also, step->keep_part);
        sim->kept += step->keep_part.len > 0;
        a->login = true;
    }
    say(ret, DRIVER_OK, "", "the server has the verifier");
}

/* As drivers do: see kt_driver_stays(). */
static bool lets_in_who_stays(struct sim *sim, const struct driver_step *step)
{
    for (enum driver_who who = DRIVER_NEW; who <= DRIVER_OLD && step->keep_part.len == 0; who++) {
        const struct driver_login *login = &step->logins[who];
        struct sim_account *a = login->username == NULL ? NULL : sim_account(sim, login->username);
        if (login->username == NULL || sim->trust || matches(a, login->password))
            continue;
        if (a != NULL)
            a->refusals++;
        return false;
    }
    return true;
}

static void revoke(struct sim *sim, const struct driver_step *step, struct driver_result *ret)
{
    struct sim_account *a = sim_account(sim, step->account);
    if (sim->loses_then)
        lose_last(sim);
    sim->loses_then = false;
    if (!lets_in_who_stays(sim, step)) {
        say(ret, DRIVER_UNREACH, DRIVER_STAYS, "nothing was ended: who is to stay was not let in");
        return;
    }
    if (sim->no_revoke) {
        say(ret, DRIVER_PERMANENT, "42501", "permission denied");
        return;
    }
    memcpy(sim->undo, sim->accounts, sizeof sim->undo);
    if (a != NULL && !sim->old_survives) {
        copy_part(a->verifier, step->keep_part);
        a->also[0] = '\0';
        a->login = step->keep_part.len > 0;
        a->sessions = a->login ? a->sessions : 0;
    }
    say(ret, DRIVER_OK, "", "the account accepts nothing");
}

static void carry_out(struct sim *sim, const struct driver_step *step, struct driver_result *ret)
{
    const struct sim_account *a = NULL;
    switch (step->op) {
    case DRIVER_INSPECT:
        a = sim_account(sim, step->account);
        ret->sessions = a == NULL ? 0 : a->sessions;
        if (sim->unfit)
            say(ret, DRIVER_PERMANENT, DRIVER_UNFIT, "it would forget what is changed");
        else
            say(ret, DRIVER_OK, "", "looked");
        break;
    case DRIVER_CREATE:
        if (sim_account(sim, step->account) == NULL)
            sim_add(sim, step->account, NULL);
        say(ret, DRIVER_OK, "", "the account exists");
        break;
    case DRIVER_APPLY:
    case DRIVER_RESTORE:
        set_verifier(sim, step, ret);
        break;
    case DRIVER_VERIFY:
        if (sim->misplaced)
            say(ret, DRIVER_PERMANENT, "role", "it is another role");
        else if (matches(sim_account(sim, step->logins[DRIVER_NEW].username),
                    step->logins[DRIVER_NEW].password))
            say(ret, DRIVER_OK, "", "the new login works");
        else
            say(ret, DRIVER_REFUSED, "28P01", "refused");
        break;
    case DRIVER_PROBE:
        probe(sim, step, ret);
        break;
    case DRIVER_REVOKE:
        revoke(sim, step, ret);
        break;
    case DRIVER_OP_COUNT:
        break;
    }
}

static bool changes(enum driver_op op)
{
    return op == DRIVER_APPLY || op == DRIVER_RESTORE || op == DRIVER_REVOKE;
}

static enum kt_kind run(void *arg, const struct driver_step *step, struct driver_result *ret,
                        struct kt_err *err)
{
    struct sim *sim = arg;
    (void)err;
    *ret = (struct driver_result){.class = DRIVER_UNREACH};
    (void)pthread_mutex_lock(&sim->lock);
    sim->ops[step->op]++;
    sim->timeout_ms = step->timeout_ms;
    while (changes(step->op) && sim->slow)
        (void)pthread_cond_wait(&sim->answers, &sim->lock);
    if (sim->down) {
        say(ret, DRIVER_UNREACH, "connect", "connection refused");
    } else if (step->target.server_id != NULL && step->target.server_id[0] != '\0' &&
               strcmp(step->target.server_id, sim->server_id) != 0) {
        say(ret, DRIVER_WRONG_SERVER, "server", "this is another server");
    } else if (changes(step->op) && !is_admin_login(sim, &step->logins[DRIVER_ADMIN])) {
        say(ret, DRIVER_REFUSED, "28P01", "the administrative login was refused");
    } else {
        carry_out(sim, step, ret);
        (void)snprintf(ret->server_id, sizeof ret->server_id, "%s", sim->server_id);
        if (changes(step->op))
            look_into_the_vault(sim);
        while (changes(step->op) && sim->late)
            (void)pthread_cond_wait(&sim->answers, &sim->lock);
        if (changes(step->op) && sim->lose_reply > 0) {
            sim->lose_reply--;
            *ret = (struct driver_result){.class = DRIVER_UNREACH};
            say(ret, DRIVER_UNREACH, "timeout", "no answer");
        }
    }
    (void)pthread_mutex_unlock(&sim->lock);
    return KT_OK;
}

void sim_answer(struct sim *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    sim->late = sim->slow = false;
    (void)pthread_cond_broadcast(&sim->answers);
    (void)pthread_mutex_unlock(&sim->lock);
}

void sim_executor(struct sim *sim, struct rotation_executor *ret)
{
    *ret = (struct rotation_executor){.run = run, .interrupt = NULL, .arg = sim};
}
