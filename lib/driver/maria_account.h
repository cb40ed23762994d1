/* lib/driver/maria_account.h - what a MariaDB server has for an account, and with which rights it is
 * changed.
 *
 * What:    An administrative login may have the privileges itself (CREATE USER, and SELECT on
 *          mysql.global_priv to read), or be allowed no more than to call the routines of
 *          docs/mariadb-least-privilege.sql, which do it for the accounts in a list.
 * Owner:   texts are in the run's arena.
 * Threads: one. */
#pragma once

#include "lib/driver/maria_session.h"
#include "lib/driver/maria_statement.h"

/* Is this login one that has the routines, and may not read for itself? False without an answer, too:
 * then the statements say what is wrong. */
bool kt_maria_uses_routines(struct maria_session *s);
/* false: the session says why. No entry is no failure. */
bool kt_maria_read_account(struct maria_session *s, bool routines, const char *name,
                           struct maria_account *ret);
/* Has the login, or its role, this privilege on everything? False without an answer, too. */
bool kt_maria_may(struct maria_session *s, const char *privilege);
/* Open sessions; *ret_seen: may this login count them? */
bool kt_maria_sessions(struct maria_session *s, bool routines, const char *name, uint32_t *ret,
                       bool *ret_seen);
