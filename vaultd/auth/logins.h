/* vaultd/auth/logins.h - what logins keep in memory.
 *
 * Owner:   the core makes and ends it.
 * Threads: any thread; the fields are set at birth and stay. */
#pragma once

#include "vaultd/auth/hashing.h"
#include "vaultd/auth/jwt_source.h"
#include "vaultd/auth/lockout.h"
#include "vaultd/auth/pam_talks.h"

#define LOGINS_PAM_SOCKET "/run/vaultd-pam.sock"

struct logins {
    struct lockout *passwords; /* names that passwords were guessed for */
    struct lockout *machines;  /* roles that secret ids were guessed for */
    struct lockout *host;      /* names that reached the host's PAM and were not let in */
    struct hashing *hashing;
    struct pam_talks *pam;
    struct jwt_sources *jwt; /* key sets that lie elsewhere */
};

/* pam_socket: vaultd-pam's; NULL: LOGINS_PAM_SOCKET. NULL: no memory, or the path is too long. */
struct logins *logins_new(struct wait_clock *waits, const struct kt_clock *clock, const char *pam_socket);
void logins_free(struct logins *logins); /* NULL is fine */
