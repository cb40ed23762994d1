/* lib/driver/pg_inspect.h - what a PostgreSQL server has for an account, and what is amiss.
 *
 * What:    Comment and sessions of the account; findings about it, its sibling and the group: who
 *          else can log in, what differs, what one account owns alone, lines with trust. Changes
 *          nothing.
 * Errors:  false: a statement failed; kt_pg_fail() has the reason.
 * Threads: one. */
#pragma once

#include "lib/driver/pg_session.h"

/* In an administrative session, outside of a transaction. */
bool kt_pg_inspect(struct pg_session *s, struct driver_result *ret);
