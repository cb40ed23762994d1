#include "vaultd/auth/logins.h"

#include <stdlib.h>

#include "lib/failpoint.h"

struct logins *logins_new(struct wait_clock *waits, const struct kt_clock *clock)
{
    struct logins *logins = kt_calloc(1, sizeof *logins);
    if (logins == NULL)
        return NULL;
    logins->passwords = lockout_new();
    logins->machines = lockout_new();
    if (logins->passwords != NULL)
        logins->hashing = hashing_new(waits, clock, logins->passwords);
    if (logins->machines == NULL || logins->hashing == NULL) {
        logins_free(logins);
        return NULL;
    }
    return logins;
}

void logins_free(struct logins *logins)
{
    if (logins == NULL)
        return;
    hashing_free(logins->hashing);
    lockout_free(logins->machines);
    lockout_free(logins->passwords);
    free(logins);
}
