#include "lib/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/zone_rule.h"

#define OFFSET_MAX_S ((int64_t)26 * 3600) /* RFC 8536 3.2: offsets lie in -25h..+26h */
#define FAR_S        ((int64_t)1 << 40)   /* 34,865 years; old files begin at -2^59 */
#define HEADER_BYTES 44u
#define TYPE_BYTES   6u
#define FOOTER_MAX   128u

struct change {
    int64_t at_s;
    int64_t offset_s; /* from at_s on */
};

/* Only real changes of the offset are kept: names and the DST flag do not matter here. */
struct kt_zone {
    char name[KT_ZONE_NAME_MAX + 1];
    int64_t first_offset_s; /* before the first change */
    struct change *changes; /* strictly ascending */
    size_t count;
    bool has_rule; /* the footer's, from the last change on */
    struct zone_rule rule;
};

void kt_zone_free(struct kt_zone *zone)
{
    if (zone == NULL)
        return;
    int saved = errno;
    free(zone->changes);
    free(zone);
    errno = saved;
}

const char *kt_zone_name(const struct kt_zone *zone)
{
    return zone->name;
}

/* ---- names ---- */

static bool name_has_form(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > KT_ZONE_NAME_MAX || name[0] == '/' || name[len - 1] == '/' ||
        strstr(name, "//") != NULL)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
           len;
}

/* Folders of tzdata that hold the same zones otherwise, or none that follow a place. */
static const struct area {
    const char *prefix, *hint;
} refused_areas[] = {
    {"Etc/", "write \"UTC\", or a place, as \"Europe/Berlin\""},
    {"posix/", "leave out \"posix/\""},
    {"right/", "leave out \"right/\": leap seconds are not counted"},
    {"SystemV/", "write a place, as \"America/New_York\""},
};

enum kt_kind kt_zone_name_check(const char *name, struct kt_err *err)
{
    if (strcmp(name, "UTC") == 0)
        return KT_OK;
    if (!name_has_form(name)) {
        (void)kt_fail(err, KT_INVALID, "this is not the name of a time zone");
        kt_hint(err, "write \"UTC\", or an area and a place, as \"Europe/Berlin\"");
        return KT_INVALID;
    }
    if (strchr(name, '/') == NULL) {
        (void)kt_fail(err, KT_INVALID, "time zone '%s' is an abbreviation or names no place", name);
        kt_hint(err,
                "write an area and a place, as \"Europe/Berlin\": only a place's clock changes "
                "are known; \"UTC\" has none");
        return KT_INVALID;
    }
    for (size_t i = 0; i < sizeof refused_areas / sizeof refused_areas[0]; i++)
        if (kt_bytes_starts(kt_str(name), refused_areas[i].prefix)) {
            (void)kt_fail(err, KT_INVALID, "time zone '%s' is not a place", name);
            kt_hint(err, "%s", refused_areas[i].hint);
            return KT_INVALID;
        }
    return KT_OK;
}

/* ---- TZif (RFC 8536) ---- */

struct header {
    unsigned version; /* 1, 2, ... */
    uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

static bool read_header(struct kt_reader *r, struct header *ret)
{
    struct kt_bytes bytes = kt_read_bytes(r, HEADER_BYTES);
    if (bytes.at == NULL || !kt_bytes_starts(bytes, "TZif"))
        return false;
    unsigned char version = bytes.at[4];
    const unsigned char *counts = bytes.at + 20;
    *ret = (struct header){
        .version = version == 0 ? 1 : (unsigned)version - '0',
        .isutcnt = kt_get_be32(counts),
        .isstdcnt = kt_get_be32(counts + 4),
        .leapcnt = kt_get_be32(counts + 8),
        .timecnt = kt_get_be32(counts + 12),
        .typecnt = kt_get_be32(counts + 16),
        .charcnt = kt_get_be32(counts + 20),
    };
    return ret->version >= 1 && ret->version <= 9 && ret->typecnt >= 1 && ret->typecnt <= 256;
}

/* The data block after a header; time_bytes is 4 in version 1's block, 8 in the second. */
struct block {
    struct kt_bytes times, indexes, types;
};

static bool read_block(struct kt_reader *r, const struct header *h, size_t time_bytes,
                       struct block *ret)
{
    /* The counts are below 2^32 and size_t has 64 bits: none of these products wraps. */
    ret->times = kt_read_bytes(r, h->timecnt * time_bytes);
    ret->indexes = kt_read_bytes(r, h->timecnt);
    ret->types = kt_read_bytes(r, (size_t)h->typecnt * TYPE_BYTES);
    (void)kt_read_bytes(r, h->charcnt);
    (void)kt_read_bytes(r, h->leapcnt * (time_bytes + 4));
    (void)kt_read_bytes(r, h->isstdcnt);
    (void)kt_read_bytes(r, h->isutcnt);
    return !r->failed;
}

static bool type_offset(const struct block *block, size_t type, int64_t *ret)
{
    if (type >= block->types.len / TYPE_BYTES)
        return false;
    *ret = (int32_t)kt_get_be32(block->types.at + type * TYPE_BYTES);
    return *ret >= -OFFSET_MAX_S && *ret <= OFFSET_MAX_S;
}

static int64_t block_time(const struct block *block, size_t i, size_t time_bytes)
{
    return time_bytes == 8 ? (int64_t)kt_get_be64(block->times.at + i * 8)
                           : (int32_t)kt_get_be32(block->times.at + i * 4);
}

static enum kt_kind keep_changes(struct kt_zone *zone, const struct block *block, size_t time_bytes,
                                 struct kt_err *err)
{
    size_t count = block->indexes.len;
    if (!type_offset(block, 0, &zone->first_offset_s))
        return kt_fail(err, KT_CORRUPT, "time zone '%s': its first type is not valid", zone->name);
    zone->changes = kt_calloc(count + 1, sizeof *zone->changes);
    if (zone->changes == NULL)
        return kt_fail(err, KT_NO_MEMORY, "time zone '%s'", zone->name);

    int64_t offset_s = zone->first_offset_s, before_s = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t at_s = block_time(block, i, time_bytes), next_s = 0;
        if (!type_offset(block, block->indexes.at[i], &next_s) || (i > 0 && at_s <= before_s))
            return kt_fail(err, KT_CORRUPT, "time zone '%s': its change %zu is not valid",
                           zone->name, i);
        before_s = at_s;
        if (next_s == offset_s || at_s > FAR_S)
            continue;
        offset_s = next_s;
        if (at_s < -FAR_S)
            zone->first_offset_s = next_s;
        else
            zone->changes[zone->count++] = (struct change){at_s, next_s};
    }
    return KT_OK;
}

/* "\n" TZ string "\n", to the end of the file. An empty string: nothing is known of the future. */
static enum kt_kind read_footer(struct kt_zone *zone, struct kt_reader *r, struct kt_err *err)
{
    struct kt_bytes rest = kt_bytes(r->at, r->left);
    const unsigned char *end =
        rest.len < 2 || rest.at[0] != '\n' ? NULL : memchr(rest.at + 1, '\n', rest.len - 1);
    if (end == NULL || (size_t)(end - rest.at) > FOOTER_MAX)
        return kt_fail(err, KT_CORRUPT, "time zone '%s': it has no footer", zone->name);
    struct kt_bytes text = kt_bytes(rest.at + 1, (size_t)(end - rest.at) - 1);
    if (text.len == 0)
        return KT_OK;
    if (!kt_zone_rule_parse(text, &zone->rule))
        return kt_fail(err, KT_CORRUPT, "time zone '%s': its footer is not a TZ string",
                       zone->name);
    const struct change *last = zone->count == 0 ? NULL : &zone->changes[zone->count - 1];
    if (last != NULL && kt_zone_rule_offset(&zone->rule, last->at_s) != last->offset_s)
        return kt_fail(err, KT_CORRUPT, "time zone '%s': its footer contradicts its last change",
                       zone->name);
    zone->has_rule = true;
    return KT_OK;
}

static enum kt_kind read_tzif(struct kt_zone *zone, struct kt_bytes tzif, struct kt_err *err)
{
    struct kt_reader r = kt_reader(tzif);
    struct header header;
    struct block block;
    if (!read_header(&r, &header) || !read_block(&r, &header, 4, &block))
        return kt_fail(err, KT_CORRUPT, "time zone '%s': not a TZif file, or cut short",
                       zone->name);
    size_t time_bytes = 4;
    if (header.version >= 2) {
        time_bytes = 8;
        if (!read_header(&r, &header) || !read_block(&r, &header, time_bytes, &block))
            return kt_fail(err, KT_CORRUPT, "time zone '%s': its second part is cut short",
                           zone->name);
    }
    if (header.leapcnt != 0)
        return kt_fail(err, KT_CORRUPT, "time zone '%s': it counts leap seconds", zone->name);
    enum kt_kind kind = keep_changes(zone, &block, time_bytes, err);
    if (kind == KT_OK && time_bytes == 8)
        kind = read_footer(zone, &r, err);
    return kind;
}

static struct kt_zone *zone_new(const char *name, struct kt_err *err)
{
    struct kt_zone *zone = kt_calloc(1, sizeof *zone);
    if (zone == NULL)
        (void)kt_fail(err, KT_NO_MEMORY, "time zone");
    else
        (void)snprintf(zone->name, sizeof zone->name, "%s", name);
    return zone;
}

enum kt_kind kt_zone_parse(struct kt_bytes tzif, const char *name, struct kt_zone **ret,
                           struct kt_err *err)
{
    kt_autozone struct kt_zone *zone = zone_new(name, err);
    if (zone == NULL)
        return KT_NO_MEMORY;
    enum kt_kind kind = read_tzif(zone, tzif, err);
    if (kind == KT_OK)
        *ret = KT_TAKE(zone);
    return kind;
}

/* ---- files ---- */

static enum kt_kind open_zone(const char *dir, const char *name, int *ret_fd, struct kt_err *err)
{
    kt_autoclose int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        (void)kt_fail(err, KT_IO, "cannot open the time zones in '%s'", dir);
        kt_hint(err, "apt-get install tzdata");
        return KT_IO;
    }
    /* O_NONBLOCK: a FIFO must not hang us before it is seen to be no file. */
    kt_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        (void)kt_fail(err, KT_NOT_FOUND, "there is no time zone '%s'", name);
        kt_hint(err, "names are written as \"Europe/Berlin\", upper and lower case matter; "
                     "'timedatectl list-timezones' lists them");
        return KT_NOT_FOUND;
    }
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open the time zone '%s' in '%s'", name, dir);
    *ret_fd = KT_TAKE_FD(fd);
    return KT_OK;
}

static enum kt_kind read_file(int fd, const char *name, unsigned char **ret, size_t *ret_len,
                              struct kt_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at the time zone '%s'", name);
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > KT_ZONE_FILE_MAX)
        return kt_fail(err, KT_NOT_FOUND, "'%s' is no time zone, or larger than one", name);
    size_t size = (size_t)st.st_size, len = 0;
    kt_autofree unsigned char *bytes = kt_malloc(size + 1);
    if (bytes == NULL)
        return kt_fail(err, KT_NO_MEMORY, "time zone '%s'", name);
    while (len < size) {
        ssize_t n = read(fd, bytes + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read the time zone '%s'", name);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret = KT_TAKE(bytes);
    *ret_len = len;
    return KT_OK;
}

enum kt_kind kt_zone_load(const char *dir, const char *name, struct kt_zone **ret,
                          struct kt_err *err)
{
    enum kt_kind kind = kt_zone_name_check(name, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(name, "UTC") == 0) {
        struct kt_zone *zone = zone_new(name, err);
        if (zone == NULL)
            return KT_NO_MEMORY;
        *ret = zone;
        return KT_OK;
    }
    kt_autoclose int fd = -1;
    kind = open_zone(dir == NULL ? KT_ZONE_DIR : dir, name, &fd, err);
    kt_autofree unsigned char *bytes = NULL;
    size_t len = 0;
    if (kind == KT_OK)
        kind = read_file(fd, name, &bytes, &len, err);
    if (kind == KT_OK)
        kind = kt_zone_parse(kt_bytes(bytes, len), name, ret, err);
    return kind;
}

/* Debian's tzdata.zi begins with "# version 2025b"; a file "+VERSION" is BSD's way. */
static bool version_from(int dir_fd, const char *file, const char *prefix,
                         char out[KT_ZONE_VERSION_TEXT])
{
    char text[64];
    kt_autoclose int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    if (!kt_bytes_starts(kt_str(text), prefix))
        return false;
    const char *version = text + strlen(prefix);
    size_t len = strspn(version, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    if (len == 0 || len >= KT_ZONE_VERSION_TEXT)
        return false;
    memcpy(out, version, len);
    out[len] = '\0';
    return true;
}

void kt_zone_data_version(const char *dir, char out[KT_ZONE_VERSION_TEXT])
{
    kt_autoclose int dir_fd =
        open(dir == NULL ? KT_ZONE_DIR : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || (!version_from(dir_fd, "tzdata.zi", "# version ", out) &&
                       !version_from(dir_fd, "+VERSION", "", out)))
        (void)snprintf(out, KT_ZONE_VERSION_TEXT, "unknown");
}

/* ---- mapping ---- */

/* The number of changes at or before utc_s. */
static size_t changes_until(const struct kt_zone *zone, int64_t utc_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (zone->changes[mid].at_s <= utc_s)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int64_t kt_zone_offset(const struct kt_zone *zone, int64_t utc_s)
{
    size_t n = changes_until(zone, utc_s);
    if (n == zone->count && zone->has_rule)
        return kt_zone_rule_offset(&zone->rule, utc_s);
    return n == 0 ? zone->first_offset_s : zone->changes[n - 1].offset_s;
}

bool kt_zone_change_after(const struct kt_zone *zone, int64_t utc_s, int64_t *ret_s)
{
    size_t n = changes_until(zone, utc_s);
    if (n < zone->count) {
        *ret_s = zone->changes[n].at_s;
        return true;
    }
    return zone->has_rule && kt_zone_rule_change_after(&zone->rule, utc_s, ret_s);
}

struct kt_local kt_zone_local(const struct kt_zone *zone, int64_t local_s)
{
    /* Every instant with this local time lies within an offset's reach. */
    const int64_t reach_s = OFFSET_MAX_S + 1;
    int64_t from_s = local_s - reach_s, offset_s = kt_zone_offset(zone, from_s);
    struct kt_local local = {KT_LOCAL_GAP, 0, 0, 0}, gap = local;
    bool found = false, gap_found = false;
    for (;;) {
        int64_t to_s = INT64_MAX, utc_s = local_s - offset_s;
        if (!kt_zone_change_after(zone, from_s, &to_s) || to_s > local_s + reach_s)
            to_s = INT64_MAX;
        if (utc_s >= from_s && utc_s < to_s) {
            if (!found)
                local.first_s = utc_s;
            local.last_s = utc_s;
            found = true;
        }
        if (to_s == INT64_MAX)
            break;
        int64_t next_s = kt_zone_offset(zone, to_s);
        if (!gap_found && to_s + offset_s <= local_s && local_s < to_s + next_s) {
            gap = (struct kt_local){KT_LOCAL_GAP, to_s, to_s, next_s - offset_s};
            gap_found = true;
        }
        from_s = to_s;
        offset_s = next_s;
    }
    if (!found)
        return gap;
    local.size_s = local.last_s - local.first_s;
    local.kind = local.size_s > 0 ? KT_LOCAL_FOLD : KT_LOCAL_ONCE;
    return local;
}
