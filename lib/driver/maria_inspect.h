/* lib/driver/maria_inspect.h - what a MariaDB server has for an account, as findings for a person. */
#pragma once

#include "lib/driver/maria_account.h"

/* Fills in sessions and findings; false: the session says why. *ret_unfit: why the account cannot be
 * changed as it is, or NULL. */
bool kt_maria_inspect(struct maria_session *s, bool routines, struct driver_result *ret,
                      const char **ret_unfit);
