#include "lib/driver/exec.h"

#include "lib/driver/exec_child.h"
#include "lib/driver/exec_protocol.h"
#include "lib/driver/probe.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"

/* ---- before the sandbox ---------------------------------------------------------------------- */

/* What each operation needs, so that no program has to look for what is missing. */
static bool check_needs(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    const char *what = NULL;
    if (!kt_step_logs_in(step) && kt_step_lacks(step->account))
        what = "the account";
    else if (step->op == DRIVER_VERIFY && step->logins[DRIVER_NEW].username == NULL)
        what = "the login to verify";
    else if (kt_step_sets(step) && step->logins[DRIVER_NEW].password.len == 0)
        what = "the value to set";
    return kt_step_whole(run, what, ret);
}

bool kt_exec_prepare(struct driver_run *run, struct driver_result *ret)
{
    const char *name = run->step->target.program;
    struct kt_err err = {0};
    run->program = kt_program_find(run->programs, name);
    if (run->program == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "program",
                             "vaultd's configuration has no driver_program \"%s\"; nothing was started",
                             name);
    if (!check_needs(run, ret))
        return false;
    /* It was looked at when vaultd started; a package may have been changed since. */
    if (kt_program_check(run->program, &err) != KT_OK)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "program", "%s; nothing was started", err.what);
    return kt_exec_adopt_orphans() || kt_driver_say(run, ret, DRIVER_UNREACH, "worker",
                                                    "cannot take care of what the program starts");
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool say_end(const struct driver_run *run, struct driver_result *ret,
                    const struct exec_outcome *outcome, uint32_t timeout_ms)
{
    static const char maybe[] = "what it did before may have taken effect";
    const char *name = run->program->name;
    switch (outcome->end) {
    case EXEC_ANSWERED:
        return true;
    case EXEC_NOT_STARTED:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "program",
                             "program \"%s\" could not be started: %s; nothing was done", name,
                             kt_errno_text(outcome->number));
    case EXEC_STATUS:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "exit",
                             "program \"%s\" ended with status %d: its answer is not believed, %s", name,
                             outcome->number, maybe);
    case EXEC_SIGNAL:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "exit",
                             "program \"%s\" was ended by signal %d; %s", name, outcome->number, maybe);
    case EXEC_LATE:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "timeout",
                             "program \"%s\" did not end within %u ms and was killed; %s", name,
                             timeout_ms, maybe);
    case EXEC_TOO_LONG:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                             "program \"%s\" answered more than %zu bytes and was killed; %s", name,
                             EXEC_ANSWER_MAX, maybe);
    case EXEC_LOST:
        return kt_driver_say(run, ret, DRIVER_UNREACH, "worker",
                             "program \"%s\" was lost: %s; %s", name, kt_errno_text(outcome->number),
                             maybe);
    }
    return false;
}

/* How long it may take: its own time, and what is left of the step's. 0: none is left. */
static uint32_t time_left_ms(const struct driver_run *run)
{
    int64_t left = run->deadline - kt_ipc_deadline(0);
    int64_t own = (int64_t)run->program->timeout_ms;
    return left <= 0 ? 0 : (uint32_t)(left < own ? left : own);
}

/* False: no answer of the protocol came; *ret says so. */
static bool ask(const struct driver_run *run, enum driver_who who, struct driver_result *ret,
                struct driver_reply *reply)
{
    kt_autobuf struct kt_buf order;
    kt_autobuf struct kt_buf answer;
    kt_buf_init(&order, EXEC_ORDER_MAX);
    kt_buf_init(&answer, EXEC_ANSWER_MAX + 1);
    uint32_t timeout_ms = time_left_ms(run);
    if (timeout_ms == 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "timeout",
                             "the step's time was over before program \"%s\" was started",
                             run->program->name);
    kt_exec_order(run->step, who, timeout_ms, &order);
    if (!kt_buf_ok(&order))
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    struct exec_outcome outcome = {EXEC_LOST, 0};
    ret->class = DRIVER_UNREACH;
    ret->code[0] = ret->text[0] = '\0';
    kt_exec_call(run->program, kt_buf_bytes(&order), kt_ipc_deadline(timeout_ms), &answer, &outcome);
    if (!say_end(run, ret, &outcome, timeout_ms))
        return false;
    struct kt_err err = {0};
    return kt_exec_answer(run, kt_buf_bytes(&answer), ret, reply, &err) == KT_OK ||
           kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                         "program \"%s\": %s; what it did before may have taken effect",
                         run->program->name, err.what);
}

static bool same_server(const struct driver_run *run, struct driver_result *ret)
{
    const char *known = run->step->target.server_id;
    if (kt_step_lacks(known) || ret->server_id[0] == '\0' || strcmp(known, ret->server_id) == 0)
        return true;
    return kt_driver_say(run, ret, DRIVER_WRONG_SERVER, "server",
                         "this is another server than before: it says it is %s, not %s", ret->server_id,
                         known);
}

static bool judge_admin(const struct driver_run *run, struct driver_result *ret,
                        const struct driver_reply *reply)
{
    if (ret->class != DRIVER_OK)
        return false;
    if (reply->answer == ANSWER_REFUSED)
        return kt_driver_say(run, ret, DRIVER_REFUSED, "login", "the administrative login was refused");
    if (reply->answer != ANSWER_ACCEPTED)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "login",
                             "the administrative login had no clear answer");
    return same_server(run, ret);
}

static bool judge_login(const struct driver_run *run, enum driver_who who, struct driver_result *ret,
                        const struct driver_reply *reply)
{
    if (ret->class == DRIVER_OK && reply->answer == ANSWER_NONE)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                             "program \"%s\" did not say what the login came to", run->program->name);
    if (who == DRIVER_ADMIN)
        return judge_admin(run, ret, reply);
    if (ret->class != DRIVER_OK && ret->class != DRIVER_UNREACH)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                             "program \"%s\": the class of a probe is ok or unreach, whether the login was "
                             "accepted stands in \"answer\"",
                             run->program->name);
    if (who == DRIVER_CONTROL && ret->class == DRIVER_OK && reply->answer == ANSWER_UNKNOWN)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "login",
                             "whether a wrong password is refused had no clear answer");
    return true;
}

struct probing {
    const struct driver_run *run;
    struct driver_result *ret;
};

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct probing *p = own;
    bool told = ask(p->run, who, p->ret, reply);
    memcpy(reply->code, p->ret->code, sizeof reply->code);
    if (!told || p->ret->class != DRIVER_OK)
        reply->answer = ANSWER_UNKNOWN;
    return told && judge_login(p->run, who, p->ret, reply);
}

static void probe(const struct driver_run *run, struct driver_result *ret)
{
    struct probing probing = {run, ret};
    const struct driver_prober prober = {try_login, &probing, "the target accepts anything there"};
    kt_driver_probe(run, &prober, ret);
}

static void verify(const struct driver_run *run, struct driver_result *ret)
{
    struct driver_reply reply = {0};
    if (!ask(run, DRIVER_NEW, ret, &reply) || ret->class != DRIVER_OK || reply.answer == ANSWER_ACCEPTED)
        return;
    if (reply.answer == ANSWER_REFUSED)
        (void)kt_driver_say(run, ret, DRIVER_REFUSED, "login", "the new login was refused");
    else
        (void)kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                            "program \"%s\" did not say what the login came to", run->program->name);
}

void kt_exec_run(const struct driver_run *run, struct driver_result *ret)
{
    struct driver_reply none = {0};
    if (run->step->op == DRIVER_PROBE)
        probe(run, ret);
    else if (run->step->op == DRIVER_VERIFY)
        verify(run, ret);
    else if (ask(run, DRIVER_LOGIN_COUNT, ret, &none) && ret->class == DRIVER_OK &&
             run->step->op == DRIVER_INSPECT)
        (void)same_server(run, ret);
}
