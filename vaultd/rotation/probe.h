/* vaultd/rotation/probe.h - what a probe batch proves, and how often one may ask.
 *
 * What:    A batch proves something only when the administrative login got in and a wrong password
 *          was refused; then each answer that is accepted or refused is evidence. Two values for one
 *          account need no third: one of them is the wrong password. "Barred but right"
 *          (the password was right, something else keeps the login out) proves life where death is
 *          to be shown, and nothing where life is.
 * Threads: plain functions. */
#pragma once

#include "vaultd/rotation/run.h"

struct evidence {
    bool valid;           /* both answers below are evidence */
    enum run_event event; /* else: EV_UNREACH, EV_ADMIN, EV_OPEN, EV_SERVER */
    bool new_accepted, old_accepted;
};
enum probe_death { DEATH_OF_NONE, DEATH_OF_OLD, DEATH_OF_NEW };
/* A login that the step did not ask for counts as refused. */
void probe_judge(const struct driver_result *result, bool asks_new, bool asks_old,
                 enum probe_death death, struct evidence *ret);
/* "the new one accepted, the old one refused (28P01), a wrong password refused (28P01)"; where there is
 * no new one, the old one is "the stored one". */
void probe_text(const struct driver_result *result, bool alone, struct kt_buf *out);

/* A batch on this account that may be refused so often: now? Else *ret_ms says when. */
bool budget_allows(const struct probe_budget *budget, const struct rotation_target *target,
                   unsigned refusals, int64_t now_ms, int64_t *ret_ms);
void budget_note(struct probe_budget *budget, unsigned refusals, int64_t now_ms);
