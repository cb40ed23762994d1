/* cli/move_write.h - what a move writes; in a dry run, whether it would be let.
 *
 * What:    A dry run goes the way of the move itself, up to the request that would change something. In its place
 *          the vault is asked what the token may do there (sys/capabilities-self), so that a dry run says of
 *          nothing that it would come which the move would be refused. What would be there by then, it notes:
 *          what needs it is decided as if it were there.
 * Errors:  of move_call(); KT_DENIED: the token may not.
 * Threads: move_write(), move_remove(): any, each with its own connection. move_will(), move_would(): the run's. */
#pragma once

#include "cli/move_run.h"

/* What a write needs or allows. */
#define MOVE_SUDO   1u
#define MOVE_AGAIN  2u /* the same again does no harm: it is sent again when its answer was lost */
#define MOVE_MAKES  4u /* where a vault tells create from update, it is the former */
#define MOVE_EITHER 8u /* one of them: not known which */

/* POST of a body to a path put together as printf does. */
enum kt_kind move_write(const struct move_run *run, struct kt_api *api, unsigned flags, struct kt_bytes body,
                        struct kt_err *err, const char *format, ...) KT_PRINTF(6, 7) KT_MUST_CHECK;
/* DELETE of a path. */
enum kt_kind move_remove(const struct move_run *run, struct kt_api *api, const char *path,
                         struct kt_err *err) KT_MUST_CHECK;

/* Only a dry run notes: `id` of this kind is not there, and would be. KT_NO_MEMORY. */
enum kt_kind move_will(struct move_run *run, const char *kind_of, const char *id, struct kt_err *err) KT_MUST_CHECK;
bool move_would(const struct move_run *run, const char *kind_of, const char *id);
