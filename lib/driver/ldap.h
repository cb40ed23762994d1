/* lib/driver/ldap.h - the driver of LDAP directories (OpenLDAP's slapd): its row's functions.
 *
 * What:    Changes the values of an entry's userPassword, as hashes that were made on our side: no
 *          password is ever in a change, only in a bind. How each operation is done stands in
 *          lib/driver/ldap.c.
 * Threads: one; a process runs one step. */
#pragma once

#include "lib/driver/table.h"

bool kt_ldap_prepare(struct driver_run *run, struct driver_result *ret);
void kt_ldap_run(const struct driver_run *run, struct driver_result *ret);
