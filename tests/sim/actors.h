/* tests/sim/actors.h - who works with a vault of the simulated world, and what each holds it to.
 *
 * Each model keeps what the vault has acknowledged, and what it may have done without anybody
 * having heard of it: at most one thing an owner, which the next life's check settles. */
#pragma once

#include "tests/sim/world.h"

/* ---- all of them ---- */
void actors_begin(struct world *world);
void actors_end(struct world *world);
unsigned actors_list(struct world *world, struct actor *actors, unsigned max);
/* Those of the last life, which is not ended by a crash: they only bring to an end what was begun.
 */
unsigned actors_list_last(struct world *world, struct actor *actors, unsigned max);
/* After unsealing, before anybody works: is everything there that was promised? */
void actors_check(struct world *world);
void actors_crashed(struct world *world);

/* ---- kv.c: secrets ---- */
void kv_begin(struct world *world);
void kv_end(struct world *world);
void kv_check(struct world *world);
void kv_run(struct world *world, unsigned number);
#define KV_CLIENTS 2u

/* ---- tokens.c: who may ask, and until when ---- */
void tokens_begin(struct world *world);
void tokens_end(struct world *world);
void tokens_check(struct world *world);
void tokens_run(struct world *world, unsigned number);
void tokens_watch(struct world *world, unsigned number);
void tokens_look(struct world *world); /* before a clock is set, or a life begins */
/* Whatever is asked: a token that is certainly dead gets nothing, one certainly alive is let in. */
void tokens_before_pass(struct world *world, struct ask *ask);
/* That pass read the token; one that only hands over what a commit brought did not. */
void tokens_looked_at(struct ask *ask);
void tokens_after_pass(struct world *world, const struct ask *ask);

/* ---- auditing.c: what was answered is in the log ---- */
void audit_begin(struct world *world);
void audit_end(struct world *world);
void audit_check(struct world *world);
void audit_crashed(struct world *world);
void audit_note_answer(struct world *world, const struct ask *ask);
void audit_run(struct world *world, unsigned number);

/* ---- fleet.c: targets, agents, rotations ---- */
void fleet_begin(struct world *world);
void fleet_end(struct world *world);
void fleet_check(struct world *world);
/* It may be put back to a backup while the vault is down. */
void fleet_crashed(struct world *world);
void fleet_person(struct world *world, unsigned number);
/* From now on nobody is moody, off or unreachable. */
void fleet_calm(struct world *world);
void fleet_settle(struct world *world);
/* How often a target was put back to a backup, and what came of it. False: not all that must be did. */
bool fleet_print(bool must_be_full);
void fleet_agent(struct world *world, unsigned number);
const struct rotation_executor *fleet_executor(struct world *world);
