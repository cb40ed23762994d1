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

enum kt_kind format_read(const char *what, struct kt_bytes record, format_reader *const *readers,
                         size_t n, void *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned number = kt_read_u8(&r);
    if (number >= n || readers[number] == NULL)
        return format_refuse(what, number, (unsigned)n - 1, err);
    readers[number](&r, ret);
    if (kt_reader_done(&r))
        return KT_OK;
    (void)kt_fail(err, KT_CORRUPT, "%s: what stands there, %zu bytes, is not as this vaultd knows format %u", what,
                  record.len, number);
    kt_hint(err, "another version of vaultd wrote it: install that one; or restore a backup");
    return KT_CORRUPT;
}
