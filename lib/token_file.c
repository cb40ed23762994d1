/* lib/token_file.c - see lib/token_file.h. */
#include "lib/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/random.h"
#include "lib/write.h"

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum kt_kind kt_token_check(struct kt_bytes text, struct kt_bytes *ret, struct kt_err *err)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text = kt_bytes(text.at + 1, text.len - 1);
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    if (text.len == 0)
        return kt_fail(err, KT_INVALID, "the token is empty");
    if (text.len > KT_TOKEN_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "this is too long for a token");
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7f)
            return kt_fail(err, KT_INVALID, "a token has no blanks and no special characters");
    *ret = text;
    return KT_OK;
}

static enum kt_kind keep(struct kt_bytes text, struct kt_secret **ret, struct kt_err *err)
{
    struct kt_bytes token = {0};
    enum kt_kind kind = kt_token_check(text, &token, err);
    if (kind != KT_OK)
        return kind;
    struct kt_secret *secret = kt_secret_copy(token);
    if (secret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "keeping the token");
    *ret = secret;
    return KT_OK;
}

enum kt_kind kt_token_env_take(const char *name, struct kt_secret **ret, struct kt_err *err)
{
    char *value = secure_getenv(name);
    if (value == NULL || value[0] == '\0')
        return kt_fail(err, KT_NOT_FOUND, "%s is not set", name);
    enum kt_kind kind = keep(kt_str(value), ret, err);
    sodium_memzero(value, strlen(value));
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads, the header says
    (void)unsetenv(name);
    if (kind != KT_OK)
        kt_context(err, "%s", name);
    return kind;
}

static enum kt_kind check_mode(int fd, const char *path, struct kt_err *err)
{
    struct stat st = {0};
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at '%.200s'", path);
    if (!S_ISREG(st.st_mode))
        return kt_fail(err, KT_DENIED, "'%.200s' is not a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        enum kt_kind kind =
            kt_fail(err, KT_DENIED, "the token file '%.200s' belongs to another user", path);
        kt_hint(err, "remove it, or give it to the user who runs this");
        return kind;
    }
    if ((st.st_mode & 077) != 0) {
        enum kt_kind kind =
            kt_fail(err, KT_DENIED, "others may read the token file '%.200s'", path);
        kt_hint(err, "chmod 600 %.200s", path);
        return kind;
    }
    return KT_OK;
}

enum kt_kind kt_token_file_read(const char *path, struct kt_secret **ret, struct kt_err *err)
{
    kt_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return kt_fail(err, KT_NOT_FOUND, "there is no file '%.200s'", path);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open '%.200s'", path);
    enum kt_kind kind = check_mode(fd, path, err);
    if (kind != KT_OK)
        return kind;
    unsigned char text[KT_TOKEN_TEXT_MAX + 64];
    size_t len = 0;
    ssize_t n = 0;
    do {
        n = read(fd, text + len, sizeof text - len);
        if (n > 0)
            len += (size_t)n;
    } while ((n > 0 && len < sizeof text) || (n < 0 && errno == EINTR));
    if (n < 0)
        kind = kt_fail(err, KT_IO, "cannot read '%.200s'", path);
    else
        kind = keep(kt_bytes(text, len), ret, err);
    sodium_memzero(text, sizeof text);
    if (kind == KT_INVALID)
        kt_context(err, "'%.200s'", path);
    return kind;
}

/* A new file beside it. */
static enum kt_kind open_beside(const char *path, char temporary[4096], int *ret_fd, struct kt_err *err)
{
    uint64_t id = 0;
    kt_random_id(&id, sizeof id);
    int n = snprintf(temporary, 4096, "%s.%016jx", path, (uintmax_t)id);
    if (n < 0 || n >= 4096)
        return kt_fail(err, KT_INVALID, "the path of the token file is too long");
    *ret_fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *ret_fd >= 0 ? KT_OK : kt_fail(err, KT_IO, "cannot write '%.200s'", path);
}

enum kt_kind kt_token_file_try(const char *path, struct kt_err *err)
{
    char temporary[4096];
    struct stat st = {0};
    kt_autoclose int fd = -1;
    enum kt_kind kind = open_beside(path, temporary, &fd, err);
    if (kind == KT_OK)
        (void)unlink(temporary);
    if (kind == KT_OK && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        kind = kt_fail(err, KT_INVALID, "cannot write '%.200s': it is a folder", path);
    return kind;
}

enum kt_kind kt_token_file_write(const char *path, struct kt_bytes token, struct kt_err *err)
{
    char temporary[4096];
    kt_autoclose int fd = -1;
    enum kt_kind made = open_beside(path, temporary, &fd, err);
    if (made != KT_OK)
        return made;
    if (!kt_write_all(fd, token) || fsync(fd) != 0 || rename(temporary, path) != 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot write '%.200s'", path);
        (void)unlink(temporary);
        return kind;
    }
    return KT_OK;
}
