#include "lib/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

bool kt_credential_name_ok(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = strlen(name);
    return len > 0 && len < KT_CREDENTIAL_NAME && name[0] != '.' && strspn(name, good) == len;
}

static enum kt_kind is_missing(const char *folder, const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_NOT_FOUND, "there is no credential '%s' in '%.200s'", name, folder);
    kt_hint(err, "LoadCredentialEncrypted=%s:/etc/credstore.encrypted/%s in the unit, and restart it",
            name, name);
    return KT_NOT_FOUND;
}

static enum kt_kind is_open_to_others(const char *what, const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_DENIED, "the %s '%s' can be read or changed by others", what, name);
    kt_hint(err, "let systemd make it: LoadCredentialEncrypted= in the unit");
    return KT_DENIED;
}

static bool owned_well(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static enum kt_kind open_folder(const char *folder, int *ret, struct kt_err *err)
{
    struct stat st = {0};
    if (folder == NULL || folder[0] == '\0') {
        (void)kt_fail(err, KT_NOT_FOUND, "no credentials were handed over: CREDENTIALS_DIRECTORY is not set");
        kt_hint(err, "LoadCredentialEncrypted= in the unit, and restart it");
        return KT_NOT_FOUND;
    }
    kt_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        (void)kt_fail(err, KT_NOT_FOUND, "the folder of credentials '%.200s' does not exist", folder);
        kt_hint(err, "LoadCredentialEncrypted= in the unit, and restart it");
        return KT_NOT_FOUND;
    }
    if (fd < 0 || fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot open the folder of credentials '%.200s'", folder);
    if (!owned_well(&st) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return is_open_to_others("folder of credentials", folder, err);
    *ret = KT_TAKE_FD(fd);
    return KT_OK;
}

static enum kt_kind look_at(int fd, const char *name, size_t len, struct kt_err *err)
{
    struct stat st = {0};
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at the credential '%s'", name);
    if (!S_ISREG(st.st_mode) || !owned_well(&st) || (st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        return is_open_to_others("credential", name, err);
    if (st.st_size == (off_t)len)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "the credential '%s' has %jd bytes, not %zu", name,
                  (intmax_t)st.st_size, len);
    kt_hint(err, "make it anew: head -c %zu /dev/urandom | systemd-creds encrypt --name=%s - FILE", len,
            name);
    return KT_INVALID;
}

static enum kt_kind read_all(int fd, const char *name, struct kt_secret *into, struct kt_err *err)
{
    size_t have = 0;
    while (have < into->len) {
        ssize_t n = read(fd, into->at + have, into->len - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read the credential '%s'", name);
        if (n == 0)
            return kt_fail(err, KT_INVALID, "the credential '%s' became shorter", name);
        have += (size_t)n;
    }
    return KT_OK;
}

/* Zeros and their like are what a failed command leaves; one byte of a key tells nothing of it. */
static bool no_key(const struct kt_secret *secret)
{
    unsigned char differs = 0;
    for (size_t i = 1; i < secret->len; i++)
        differs |= secret->at[i] ^ secret->at[0];
    return differs == 0;
}

enum kt_kind kt_credential_read(const char *folder, const char *name, size_t len,
                                struct kt_secret **ret, struct kt_err *err)
{
    kt_autoclose int dir = -1;
    if (!kt_credential_name_ok(name))
        return kt_fail(err, KT_INVALID, "this is no credential's name");
    enum kt_kind kind = open_folder(folder, &dir, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return is_missing(folder, name, err);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open the credential '%s'", name);
    kind = look_at(fd, name, len, err);
    if (kind != KT_OK)
        return kind;
    kt_autosecret struct kt_secret *secret = kt_secret_new(len);
    if (secret == NULL)
        return kt_secret_failed(err, "reading a credential");
    kind = read_all(fd, name, secret, err);
    if (kind != KT_OK)
        return kind;
    if (no_key(secret))
        return kt_fail(err, KT_INVALID, "the credential '%s' is no key: all of its bytes are the same",
                       name);
    *ret = KT_TAKE(secret);
    return KT_OK;
}
