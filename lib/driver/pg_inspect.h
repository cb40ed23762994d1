/* lib/driver/pg_inspect.h - what a PostgreSQL server has for an account, and what is amiss.
 *
 * What:    Comment and sessions of the account; findings about it, its sibling and the group: who
 *          else can log in, what differs, what one account owns alone, lines with trust. Changes
 *          nothing. What makes every run go back is no finding but a reason not to begin.
 * Errors:  false: a statement failed; kt_pg_fail() has the reason.
 * Threads: one. */
#pragma once

#include "lib/driver/pg_session.h"

/* In an administrative session, outside of a transaction. ret_unfit: why verify would refuse the account whatever its
 * password, with the statement that mends it; or "". */
bool kt_pg_inspect(struct pg_session *s, struct driver_result *ret, char ret_unfit[DRIVER_TEXT]);
