#include "vaultd/auth/logins.h"

#include <stdlib.h>

#include "lib/failpoint.h"

struct logins *logins_new(struct wait_clock *waits, const struct kt_clock *clock, const char *pam_socket)
{
    struct logins *logins = kt_calloc(1, sizeof *logins);
    if (logins == NULL)
        return NULL;
    logins->passwords = lockout_new();
    logins->machines = lockout_new();
    logins->host = lockout_new();
    if (logins->passwords != NULL)
        logins->hashing = hashing_new(waits, clock, logins->passwords);
    if (logins->host != NULL)
        logins->pam = pam_talks_new(waits, clock, logins->host,
                                    pam_socket != NULL ? pam_socket : LOGINS_PAM_SOCKET);
    logins->jwt = jwt_sources_new(waits, clock);
    if (logins->jwt == NULL || logins->machines == NULL || logins->hashing == NULL || logins->pam == NULL) {
        logins_free(logins);
        return NULL;
    }
    return logins;
}

void logins_free(struct logins *logins)
{
    if (logins == NULL)
        return;
    jwt_sources_free(logins->jwt);
    pam_talks_free(logins->pam);
    hashing_free(logins->hashing);
    lockout_free(logins->host);
    lockout_free(logins->machines);
    lockout_free(logins->passwords);
    free(logins);
}
