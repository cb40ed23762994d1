/* vaultd/rotation/quarantine.h - consumers that no run waits for, because somebody said so.
 *
 * What:    Who is put aside is not asked, not waited for and not believed by any run of that secret, the one
 *          under way included, until it is released: it may be cut off when the old credential is ended.
 *          Which consumers keep runs from ending well is noted by blame.c.
 * Stored:  veto.h; each change touches the secret's consumers, so that runs look again.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

/* Routes. */
enum kt_kind quarantine_list(struct request *req, struct kt_err *err);
enum kt_kind quarantine_write(struct request *req, struct kt_err *err);
enum kt_kind quarantine_delete(struct request *req, struct kt_err *err);
