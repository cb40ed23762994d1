/* lib/system_ca.h - the CA certificates of this machine.
 *
 * What:    for client libraries that a closed sandbox will have: kt_system_ca_copy() writes all of
 *          KT_SYSTEM_CA into a descriptor, while files can still be opened.
 * Errors:  false: the file is not there, or could not be read or written to the end; what was
 *          written before stays.
 * Threads: any thread. */
#pragma once

#include <stdbool.h>

#define KT_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

bool kt_system_ca_copy(int to);
