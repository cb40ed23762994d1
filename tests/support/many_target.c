#include "tests/support/many_target.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/driver/form.h"

static void hash(struct kt_bytes password, char out[MANY_HASH])
{
    char made[DRIVER_FORM_TEXT];
    if (kt_form_make(FORM_SHA256, password, made, NULL) != KT_OK)
        abort();
    (void)snprintf(out, MANY_HASH, "%.*s", (int)MANY_HASH - 1, made);
}

void many_target_init(struct many_target *target, unsigned accounts, const char *password)
{
    *target = (struct many_target){.n = accounts,
                                   .accounts = calloc(accounts, sizeof *target->accounts),
                                   .order = calloc(accounts, sizeof *target->order)};
    if (target->accounts == NULL || target->order == NULL)
        abort();
    (void)pthread_mutex_init(&target->lock, NULL);
    for (unsigned i = 0; i < accounts; i++)
        hash(kt_str(password), target->accounts[i].first);
}

void many_target_free(struct many_target *target)
{
    (void)pthread_mutex_destroy(&target->lock);
    free(target->accounts);
    free(target->order);
}

static struct many_account *find(struct many_target *target, const char *name, unsigned *ret_number)
{
    char *end = NULL;
    if (name == NULL || name[0] != 'u')
        return NULL;
    unsigned long number = strtoul(name + 1, &end, 10);
    *ret_number = (unsigned)number;
    return *end == '\0' && end != name + 1 && number < target->n ? &target->accounts[number] : NULL;
}

static bool accepts(const struct many_account *account, struct kt_bytes password)
{
    char made[MANY_HASH];
    hash(password, made);
    return strcmp(account->first, made) == 0 || strcmp(account->second, made) == 0;
}

static void note(struct many_target *target, const struct driver_step *step)
{
    unsigned number = 0;
    struct many_account *account = find(target, step->logins[DRIVER_OLD].username, &number);
    if (account == NULL || account->asked)
        return;
    account->asked = true;
    target->order[target->n_order++] = number;
}

static void probe(struct many_target *target, const struct driver_step *step, struct driver_result *ret)
{
    unsigned number = 0;
    ret->replies[DRIVER_ADMIN].answer = ANSWER_ACCEPTED;
    for (size_t who = DRIVER_CONTROL; who <= DRIVER_OLD; who++) {
        const struct driver_login *login = &step->logins[who];
        const struct many_account *account = find(target, login->username, &number);
        if (account == NULL)
            continue;
        bool in = accepts(account, login->password);
        ret->replies[who].answer = in ? ANSWER_ACCEPTED : ANSWER_REFUSED;
        if (!in)
            (void)snprintf(ret->replies[who].code, sizeof ret->replies[who].code, "wrong");
    }
}

static void set(char to[MANY_HASH], struct kt_bytes part)
{
    (void)snprintf(to, MANY_HASH, "%.*s", (int)part.len, part.len == 0 ? "" : (const char *)part.at);
}

static void change(struct many_target *target, const struct driver_step *step)
{
    unsigned number = 0;
    struct many_account *account = find(target, step->account, &number);
    if (account == NULL)
        return;
    bool revokes = step->op == DRIVER_REVOKE;
    set(account->first, revokes ? step->keep_part : step->public_part);
    set(account->second, revokes ? kt_bytes(NULL, 0) : step->keep_part);
}

static enum kt_kind run(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    struct many_target *target = arg;
    (void)err;
    *ret = (struct driver_result){.class = DRIVER_OK};
    (void)snprintf(ret->server_id, sizeof ret->server_id, "many");
    (void)pthread_mutex_lock(&target->lock);
    note(target, step);
    target->inside++;
    target->peak = target->inside > target->peak ? target->inside : target->peak;
    (void)pthread_mutex_unlock(&target->lock);
    (void)sched_yield(); /* others come in, if they may */
    (void)pthread_mutex_lock(&target->lock);
    if (step->op == DRIVER_PROBE)
        probe(target, step, ret);
    else if (step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE || step->op == DRIVER_REVOKE)
        change(target, step);
    target->inside--;
    (void)pthread_mutex_unlock(&target->lock);
    return KT_OK;
}

void many_target_executor(struct many_target *target, struct rotation_executor *ret)
{
    *ret = (struct rotation_executor){.run = run, .interrupt = NULL, .arg = target};
}

unsigned many_target_accepting(struct many_target *target, const char *password)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&target->lock);
    for (unsigned i = 0; i < target->n; i++)
        n += accepts(&target->accounts[i], kt_str(password));
    (void)pthread_mutex_unlock(&target->lock);
    return n;
}

unsigned many_target_seen(struct many_target *target)
{
    (void)pthread_mutex_lock(&target->lock);
    unsigned n = target->n_order;
    (void)pthread_mutex_unlock(&target->lock);
    return n;
}
