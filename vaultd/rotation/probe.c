#include "vaultd/rotation/probe.h"

#define HOUR_MS ((int64_t)60 * 60 * 1000)

/* ---- evidence ---- */

enum life { ALIVE, DEAD, NOT_KNOWN };

static enum life life_of(const struct driver_reply *reply, bool asked, bool death_wanted)
{
    if (!asked)
        return DEAD;
    switch (reply->answer) {
    case ANSWER_ACCEPTED:
        return ALIVE;
    case ANSWER_REFUSED:
        return DEAD;
    case ANSWER_UNKNOWN:
        return reply->barred && death_wanted ? ALIVE : NOT_KNOWN;
    case ANSWER_NONE:
    case DRIVER_ANSWER_COUNT:
        break;
    }
    return NOT_KNOWN;
}

/* A server that let anybody in without asking proves nothing either. */
static bool open_door(const struct driver_result *result)
{
    bool unasked = false;
    for (size_t i = DRIVER_CONTROL; i < DRIVER_LOGIN_COUNT; i++)
        unasked = unasked || (result->replies[i].answer == ANSWER_ACCEPTED &&
                              result->replies[i].unasked);
    return unasked || result->replies[DRIVER_CONTROL].answer == ANSWER_ACCEPTED;
}

void probe_judge(const struct driver_result *result, bool asks_new, bool asks_old,
                 enum probe_death death, struct evidence *ret)
{
    *ret = (struct evidence){.event = EV_UNREACH};
    if (result->class == DRIVER_WRONG_SERVER) {
        ret->event = EV_SERVER;
        return;
    }
    if (result->class == DRIVER_REFUSED ||
        result->replies[DRIVER_ADMIN].answer == ANSWER_REFUSED) {
        ret->event = EV_ADMIN;
        return;
    }
    if (result->class != DRIVER_OK)
        return;
    if (open_door(result)) {
        ret->event = EV_OPEN;
        return;
    }
    enum driver_answer control = result->replies[DRIVER_CONTROL].answer;
    if (result->replies[DRIVER_ADMIN].answer != ANSWER_ACCEPTED ||
        (control != ANSWER_REFUSED && control != ANSWER_NONE))
        return;
    enum life new_ = life_of(&result->replies[DRIVER_NEW], asks_new, death == DEATH_OF_NEW);
    enum life old = life_of(&result->replies[DRIVER_OLD], asks_old, death == DEATH_OF_OLD);
    if (new_ == NOT_KNOWN || old == NOT_KNOWN)
        return;
    if (control == ANSWER_NONE && new_ == ALIVE && old == ALIVE) {
        ret->event = EV_OPEN; /* nothing was refused: then nothing is proven */
        return;
    }
    *ret = (struct evidence){
        .valid = true, .event = EV_OK, .new_accepted = new_ == ALIVE, .old_accepted = old == ALIVE};
}

/* Servers that are one target. */
static bool disagree(const struct driver_result *result)
{
    bool mixed = false;
    for (size_t who = 0; who < DRIVER_LOGIN_COUNT; who++)
        mixed = mixed || result->replies[who].mixed;
    return mixed;
}

void probe_text(const struct driver_result *result, bool alone, struct kt_buf *out)
{
    const char *const names[] = {[DRIVER_ADMIN] = "the administrative login",
                                        [DRIVER_CONTROL] = "a wrong password",
                                        [DRIVER_NEW] = "the new one",
                                        [DRIVER_OLD] = alone ? "the stored one" : "the old one"};
    static const enum driver_who order[] = {DRIVER_NEW, DRIVER_OLD, DRIVER_CONTROL, DRIVER_ADMIN};
    bool any = false;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct driver_reply *reply = &result->replies[order[i]];
        if (reply->answer == ANSWER_NONE)
            continue;
        kt_buf_printf(out, "%s%s %s", any ? ", " : "", names[order[i]],
                      kt_driver_answer_text(reply->answer));
        if (reply->answer != ANSWER_ACCEPTED && reply->code[0] != '\0')
            kt_buf_printf(out, " (%s)", reply->code);
        if (reply->barred && !reply->mixed)
            kt_buf_add_text(out, " though the password was right");
        if (reply->unasked)
            kt_buf_add_text(out, " without being asked for it");
        any = true;
    }
    if ((result->class != DRIVER_OK || disagree(result)) && result->text[0] != '\0')
        kt_buf_printf(out, "%s%s", any ? "; " : "", result->text);
}

/* ---- how often ---- */

bool budget_allows(const struct probe_budget *budget, const struct rotation_target *target,
                   unsigned refusals, int64_t now_ms, int64_t *ret_ms)
{
    int64_t next = budget->last_ms + target->probe_spacing_s * 1000;
    if (budget->last_ms != 0 && now_ms < next && next - now_ms <= target->probe_spacing_s * 1000) {
        *ret_ms = next;
        return false;
    }
    if (target->max_refusals_per_hour <= 0)
        return true;
    int64_t most = target->max_refusals_per_hour, counted = 0, oldest = INT64_MAX;
    for (size_t i = 0; i < REFUSALS_KEPT; i++) {
        int64_t at = budget->refused_ms[i];
        if (at == 0 || at <= now_ms - HOUR_MS || at > now_ms + HOUR_MS)
            continue;
        counted++;
        if (at < oldest)
            oldest = at;
    }
    /* A batch that needs more than the limit goes alone. */
    if (counted == 0 || counted + (int64_t)refusals <= most)
        return true;
    *ret_ms = oldest + HOUR_MS + 1000;
    return false;
}

void budget_note(struct probe_budget *budget, unsigned refusals, int64_t now_ms)
{
    budget->last_ms = now_ms;
    while (refusals-- > 0) {
        size_t at = 0;
        for (size_t i = 1; i < REFUSALS_KEPT; i++)
            if (budget->refused_ms[i] < budget->refused_ms[at])
                at = i;
        budget->refused_ms[at] = now_ms;
    }
}
