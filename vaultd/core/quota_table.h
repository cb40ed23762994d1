/* vaultd/core/quota_table.h - the rate-limit quotas and their settings as a value, and its record.
 *
 * What:    A quota governs a mount, or one path of it, or all paths that begin so, or everything. It stands
 *          on the mount, not on the mount's path: it moves with it, and is gone with it.
 * Format:  one record: u8 format (1) ‖ u8 flags (1 audit logging, 2 headers, 4 exempt paths were set) ‖
 *          u16 n × field exempt path ‖ u16 n × quota: field name ‖ u8 flags (1 of a mount) ‖ scope16 ‖
 *          field suffix ‖ i64 rate, millionths ‖ i64 interval, block interval, s ‖ u64 id. None: nothing
 *          is limited.
 * Owner:   quota_table_read() gives one, quota_table_free() ends it; texts are its arena's, or borrowed.
 * Limits:  QUOTAS_MAX quotas; QUOTA_EXEMPT_MAX exempt paths.
 * Errors:  KT_CORRUPT: damaged, or of a newer format. KT_NO_MEMORY.
 * Threads: any; immutable once it is published. */
#pragma once

#include "vaultd/core/core.h"

#define QUOTAS_MAX       256u
#define QUOTA_EXEMPT_MAX 256u
#define QUOTA_RECORD_MAX ((size_t)256 * 1024)
#define QUOTA_NAME_MAX   128u
#define QUOTA_PATH_MAX   512u
#define QUOTA_MILLIONTHS 1000000
/* Less than one request in a thousand intervals, or an interval above a month, is nobody's limit. */
#define QUOTA_RATE_MIN   1000
#define QUOTA_RATE_MAX   (INT64_C(1000000000) * QUOTA_MILLIONTHS)
#define QUOTA_TIME_MAX_S 2678400

struct quota {
    const char *name;
    bool of_mount;                      /* else of everything */
    unsigned char scope[BARRIER_SCOPE]; /* the mount's */
    const char *suffix;                 /* behind the mount's path; "": all of it; "x*": all that begin so */
    int64_t rate, interval_s, block_s;  /* the rate in millionths */
    uint64_t id;                        /* made anew whenever it is written */
};
struct quota_table {
    generation changed; /* of the record; 0: there is none */
    struct kt_arena arena;
    bool audit_logging, headers, exempt_set;
    struct string_list exempt;
    struct quota *rows; /* room for QUOTAS_MAX */
    size_t n;
};

void quota_table_key(struct core *core, unsigned char key[BARRIER_NAME_KEY]);
/* An empty record: the settings that Vault begins with. */
enum kt_kind quota_table_read(struct kt_bytes record, generation changed, struct quota_table **ret,
                              struct kt_err *err) KT_MUST_CHECK;
void quota_table_free(struct quota_table *table);
void quota_table_write(const struct quota_table *table, struct kt_buf *out);
/* The one that governs most closely: the path itself, the longest beginning, the mount, everything. NULL:
 * none, or the path is exempt. rest: in the path, what is behind its mount; lowered: where names have no
 * case, so that no spelling of them is counted apart. */
const struct quota *quota_table_find(const struct quota_table *table, const char *path,
                                     const struct mount *mount, const char *rest, bool lowered);
