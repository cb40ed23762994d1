#include "vaultd/barrier/format.h"

enum kt_kind format_refuse(const char *what, unsigned number, unsigned newest, struct kt_err *err)
{
    if (number > newest) {
        (void)kt_fail(err, KT_CORRUPT,
                      "%s: format %u is newer than this vaultd (%u): install the newer version",
                      what, number, newest);
        kt_hint(err, "the data was written by a newer vaultd; nothing of it was changed");
    } else {
        (void)kt_fail(err, KT_CORRUPT, "%s: format %u is unknown to this vaultd (%u)", what, number,
                      newest);
        kt_hint(err, "the data folder is damaged or was not written by vaultd: restore a backup");
    }
    return KT_CORRUPT;
}
