#include "vaultd/core/path.h"

#include "lib/utf8.h"

/* A mount, what its engine puts between, a name: also one from when a whole path had 32 segments and 4 KiB. */
_Static_assert(PATH_MOUNT_DEPTH + 1 + 31 <= PATH_MAX_DEPTH, "every name is reached");
_Static_assert(3u * PATH_MOUNT_BYTES + 4096u + 16u <= PATH_MAX_BYTES, "every name is reached");
_Static_assert(3 * (PATH_MOUNT_BYTES + PATH_NAME_BYTES) + 1024 <= PATH_MAX_BYTES, "with all escaped");

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes text[*i] and moves on; -1 for a bad escape. */
static int next_byte(struct kt_bytes text, size_t *i)
{
    unsigned char c = text.at[(*i)++];
    if (c != '%')
        return c;
    if (text.len - *i < 2)
        return -1;
    int high = hex_digit(text.at[*i]), low = hex_digit(text.at[*i + 1]);
    if (high < 0 || low < 0)
        return -1;
    *i += 2;
    return high * 16 + low;
}

/* What no reader of a list, a log or a policy can see: controls, spaces that are no space, marks that
 * turn the direction of writing or join, separators, what no character is. Two names must not look
 * the same because of these. Unicode 15, categories Cc, Cf, Zs, Zl, Zp and noncharacters. */
static bool is_unseen(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } rows[] = {
        {0x0000, 0x001f}, {0x007f, 0x00a0}, {0x00ad, 0x00ad},   {0x0600, 0x0605},
        {0x061c, 0x061c}, {0x06dd, 0x06dd}, {0x070f, 0x070f},   {0x0890, 0x0891},
        {0x08e2, 0x08e2}, {0x1680, 0x1680}, {0x180e, 0x180e},   {0x2000, 0x200f},
        {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},   {0xfdd0, 0xfdef},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
        {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    if ((code & 0xfffe) == 0xfffe)
        return true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rows[i].first <= code; i++)
        if (code <= rows[i].last)
            return true;
    return false;
}

static bool printable(const unsigned char *at, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = kt_utf8_step(at + i, len - i);
        if (n == 0 || is_unseen(kt_utf8_code(at + i, n)))
            return false;
        i += n;
    }
    return true;
}

static enum kt_kind check_segments(const char *path, size_t len, struct kt_err *err)
{
    unsigned depth = 0;
    for (size_t start = 0; start < len;) {
        size_t n = strcspn(path + start, "/");
        const char *segment = path + start;
        if ((n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.'))
            return kt_fail(err, KT_INVALID, "relative paths not supported");
        if (n == 0)
            return kt_fail(err, KT_INVALID, "empty path segments ('//') are not supported");
        if (n > PATH_MAX_SEGMENT || ++depth > PATH_MAX_DEPTH)
            return kt_fail(err, KT_INVALID,
                           "the path is too deep or a segment too long (%u segments of %u bytes)",
                           PATH_MAX_DEPTH, PATH_MAX_SEGMENT);
        start += n + 1;
    }
    return KT_OK;
}

static enum kt_kind check(const char *path, size_t len, struct kt_err *err)
{
    if (!printable((const unsigned char *)path, len))
        return kt_fail(err, KT_INVALID,
                       "the path has characters that are not printable or not UTF-8");
    return check_segments(path, len, err);
}

enum kt_kind path_check(const char *path, struct kt_err *err)
{
    size_t len = strlen(path);
    if (len > PATH_MAX_BYTES)
        return kt_fail(err, KT_INVALID, "the path is longer than %u bytes", PATH_MAX_BYTES);
    return check(path, len, err);
}

static unsigned depth_of(const char *path)
{
    unsigned depth = 0;
    for (const char *at = path; *at != '\0'; depth++) {
        at += strcspn(at, "/");
        at += *at == '/';
    }
    return depth;
}

static enum kt_kind check_bounds(const char *path, const char *what, unsigned bytes, unsigned depth,
                                 struct kt_err *err)
{
    if (strlen(path) <= bytes && depth_of(path) <= depth)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "%s is too long: %u bytes and %u segments are the most", what, bytes,
                   depth);
}

enum kt_kind path_check_mount(const char *path, struct kt_err *err)
{
    return check_bounds(path, "the mount's path", PATH_MOUNT_BYTES, PATH_MOUNT_DEPTH, err);
}

enum kt_kind path_check_name(const char *path, struct kt_err *err)
{
    return check_bounds(path, "the name in the mount", PATH_NAME_BYTES, PATH_NAME_DEPTH, err);
}

enum kt_kind path_canonical(struct kt_arena *arena, struct kt_bytes target, const char **ret,
                            size_t *ret_len, struct kt_err *err)
{
    if (!kt_bytes_starts(target, "/v1/"))
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (target.len > PATH_MAX_BYTES)
        return kt_fail(err, KT_INVALID, "the path is longer than %u bytes", PATH_MAX_BYTES);
    struct kt_bytes encoded = kt_bytes(target.at + 4, target.len - 4);
    char *path = kt_arena_take(arena, encoded.len + 1);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the path");
    size_t len = 0;
    for (size_t i = 0; i < encoded.len;) {
        int c = next_byte(encoded, &i);
        if (c < 0)
            return kt_fail(err, KT_INVALID, "the path has an invalid percent escape");
        path[len++] = (char)c;
    }
    path[len] = '\0';
    enum kt_kind kind = check(path, len, err);
    if (kind != KT_OK)
        return kind;
    *ret = path;
    *ret_len = len;
    return KT_OK;
}

enum kt_kind query_decode(struct kt_arena *arena, struct kt_bytes text, struct kt_bytes *ret,
                          struct kt_err *err)
{
    unsigned char *out = kt_arena_take(arena, text.len + 1);
    if (out == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the query");
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        bool plus = text.at[i] == '+';
        int c = next_byte(text, &i);
        if (c <= 0)
            return kt_fail(err, KT_INVALID, "the query has an invalid percent escape");
        out[len++] = plus ? ' ' : (unsigned char)c;
    }
    if (!printable(out, len))
        return kt_fail(err, KT_INVALID,
                       "the query has characters that are not printable or not UTF-8");
    *ret = kt_bytes(out, len);
    return KT_OK;
}
