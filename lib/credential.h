/* lib/credential.h - a key that the service manager hands over: a file of $CREDENTIALS_DIRECTORY.
 *
 * What:    Reads one credential of a known length straight into guarded memory. Nobody but its owner
 *          (and the group, whose bits show systemd's access list) may be able to read it, nobody but
 *          root and its owner to change it, its folder included.
 * Owner:   the secret is the caller's, who frees it.
 * Errors:  KT_NOT_FOUND: no such folder or file; KT_DENIED: others could read or change it;
 *          KT_INVALID: not of that length, or all of its bytes are the same; KT_IO; KT_NO_MEMORY.
 *          Hints name the line of the unit that mends it.
 * Threads: any thread.
 * Source:  systemd.exec(5), LoadCredential=, LoadCredentialEncrypted=. */
#pragma once

#include "lib/secret.h"

#define KT_CREDENTIAL_NAME 65u /* with its NUL */

/* 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.', which does not come first. */
bool kt_credential_name_ok(const char *name);
/* folder NULL or "": there is none. */
enum kt_kind kt_credential_read(const char *folder, const char *name, size_t len,
                                struct kt_secret **ret, struct kt_err *err) KT_MUST_CHECK;
