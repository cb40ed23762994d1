/* vaultd/engine/kv_copy.h - who may copy or move a secret of KV version 2 without reading it.
 *
 * What:    A copy must not let anybody read what he could not read before. So it takes, beside "update"
 *          on MOUNT/copy/PATH (or move/PATH), which the row itself asks for:
 *
 *            at the source         read on metadata/PATH: notes and history come along
 *                                  read on data/PATH, as whoever could do it by hand has it; else sudo on
 *                                  copy/PATH, so that no pattern of a whole mount that was written
 *                                  before means it; a deny on data/PATH refuses all the same
 *                                  delete on metadata/PATH, for a move
 *            at the destination    create on data/TO and on metadata/TO
 *
 *          and it is refused where the asker could read at the destination, by whatever row, what he may
 *          not read at the source; or bring deleted versions back there that he may not bring back here.
 *          A right that stands under conditions (parameters, wrapping) is not enough to give, and enough
 *          to be refused.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/engine/kv_handlers.h"

struct kv_place {
    const struct mount *mount;
    const char *path; /* inside it */
};

/* KT_DENIED, with the rule that decided in the audit log. Looks at no secret. */
enum kt_kind kv_copy_permit(struct request *req, const struct kv_place *from,
                            const struct kv_place *to, bool moves, struct kt_err *err) KT_MUST_CHECK;
/* The same for a secret that has deleted versions. */
enum kt_kind kv_copy_permit_deleted(struct request *req, const struct kv_place *from,
                                    const struct kv_place *to, struct kt_err *err) KT_MUST_CHECK;
