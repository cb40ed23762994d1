/* lib/driver/probe.c - see lib/driver/probe.h. */
#include "lib/driver/probe.h"

#include "lib/ipc.h"

static uint32_t since(int64_t start)
{
    int64_t took = kt_ipc_deadline(0) - start;
    return took < 0 ? 0 : (uint32_t)took;
}

/* False: nothing is proven by what would follow. */
static bool probe_one(const struct driver_run *run, const struct driver_prober *prober,
                      enum driver_who who, struct driver_result *ret)
{
    struct driver_reply *reply = &ret->replies[who];
    int64_t start = kt_ipc_deadline(0);
    bool going = prober->try(prober->own, who, reply);
    reply->took_ms = since(start);
    if (who != DRIVER_CONTROL || !going || reply->answer == ANSWER_REFUSED)
        return going;
    if (reply->answer == ANSWER_ACCEPTED)
        return kt_driver_say(run, ret, DRIVER_OK, reply->code,
                             "a random password was accepted for '%s': %s",
                             run->step->logins[who].username, prober->open_door);
    return false;
}

void kt_driver_probe(const struct driver_run *run, const struct driver_prober *prober,
                     struct driver_result *ret)
{
    bool going = true;
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++) {
        if (run->step->logins[who].username == NULL)
            continue;
        if (going)
            going = probe_one(run, prober, (enum driver_who)who, ret);
        else
            ret->replies[who] = (struct driver_reply){.answer = ANSWER_UNKNOWN, .code = "skipped"};
    }
    if (going)
        (void)kt_driver_say(run, ret, DRIVER_OK, "", "every login had its answer");
}

bool kt_driver_stays(const struct driver_run *run, const struct driver_prober *prober,
                     struct driver_result *ret)
{
    static const enum driver_who others[] = {DRIVER_NEW, DRIVER_OLD};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *name = run->step->logins[others[i]].username;
        struct driver_reply reply = {0};
        if (name == NULL)
            continue;
        (void)prober->try(prober->own, others[i], &reply);
        if (reply.answer != ANSWER_ACCEPTED)
            return kt_driver_say(run, ret, DRIVER_UNREACH, DRIVER_STAYS,
                                 "nothing was ended: '%s', which is to stay, was not let in just before (%s)", name,
                                 reply.code);
    }
    return true;
}
