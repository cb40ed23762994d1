/* vaultd/rotation/pause.h - the brake: one stored record that keeps all rotations from beginning.
 *
 * What:    While it is there nothing starts by schedule, a rotation by hand needs "force", and a run that
 *          was made before it and has not begun to change anything waits, without a place at its target.
 *          What began goes on to its end: stopping halfway is worse. Going back is always
 *          allowed; so is reconciling, but where the vault would make another value (own.h).
 * Stored:  one record of TABLE_CONFIG. The commit of a start that it holds up has its absence as a
 *          condition, so that none comes after the answer to who paused.
 * Owner:   texts live in the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"
#include "vaultd/rotation/record.h"

struct rotation_pause {
    const char *by, *reason;
    int64_t since_ms;
};
extern const struct record_kind pause_kind;

/* KT_OK with *ret_on false: nothing is paused, and *ret is empty. */
enum kt_kind pause_load(struct request *req, struct rotation_pause *ret, bool *ret_on,
                        struct kt_err *err) KT_MUST_CHECK;
/* The batch commits only while nothing is paused. */
void pause_require_off(struct request *req, struct batch *batch);
/* "paused by maria since 2026-11-26T19:00:00Z: migration"; "" when off. NULL: no memory. */
const char *pause_text(struct request *req, const struct rotation_pause *pause, bool on);
/* The member "paused" of an open object: null, or {by, since, reason}. */
void pause_show(const struct rotation_pause *pause, bool on, struct kt_jsonw *w);

/* Routes. */
enum kt_kind pause_read(struct request *req, struct kt_err *err);
enum kt_kind pause_write(struct request *req, struct kt_err *err);
enum kt_kind pause_delete(struct request *req, struct kt_err *err);
