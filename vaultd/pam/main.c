/* vaultd/pam/main.c - vaultd-pam: asks this host's PAM whether a person is who they say.
 *
 * It runs as root, because only root may ask PAM about others, and is therefore apart from vaultd and
 * as small as it can be. It knows no key, no token and no secret but the password that a child of it
 * is asked to try; it has one socket and one file of its own to read, /etc/pam.d/keyturn.
 *
 * Started by systemd with a listening socket (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, descriptor 3),
 * it ends when it was idle for a while; started by hand with --listen it makes the socket itself. */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/process.h"
#include "lib/secret.h"
#include "vaultd/pam/keeper.h"

#define ACTIVATED_FD 3
#define IDLE_S       60u
#define BACKLOG      128

struct options {
    const char *listen, *user, *service;
    unsigned min_uid, timeout_s;
    struct account_rules accounts;
    bool help;
};

/* ---- the command line ---- */

enum flag_kind { FLAG_TEXT, FLAG_NUMBER, FLAG_NAME, FLAG_SWITCH };
static const struct flag {
    const char *name, *value;
    enum flag_kind kind;
    size_t offset;
    unsigned least, most;
    const char *help;
} flags[] = {
    /* clang-format off */
    {"listen", "PATH", FLAG_TEXT, offsetof(struct options, listen), 0, 0, "make the socket here (under systemd it is given)"},
    {"user", "NAME", FLAG_TEXT, offsetof(struct options, user), 0, 0, "vaultd's user, the only one who may connect (keyturn)"},
    {"service", "NAME", FLAG_TEXT, offsetof(struct options, service), 0, 0, "the file below /etc/pam.d (keyturn)"},
    {"min-uid", "UID", FLAG_NUMBER, offsetof(struct options, min_uid), 0, UINT32_MAX, "no account below it may log in (1000)"},
    {"allow", "NAME", FLAG_NAME, 0, 0, 0, "but this one may; can be given again"},
    {"timeout", "SECONDS", FLAG_NUMBER, offsetof(struct options, timeout_s), 1, PAMD_TIMEOUT_S, "for a whole login (120)"},
    {"help", NULL, FLAG_SWITCH, offsetof(struct options, help), 0, 0, "print this"},
    /* clang-format on */
};
#define FLAGS (sizeof flags / sizeof flags[0])

static enum kt_kind take_number(const struct flag *flag, const char *value, unsigned *ret,
                                struct kt_err *err)
{
    uint64_t number = 0;
    if (!kt_u64_parse(kt_str(value), flag->most, &number) || number < flag->least)
        return kt_fail(err, KT_INVALID, "--%s is a number from %u to %u", flag->name, flag->least,
                       flag->most);
    *ret = (unsigned)number;
    return KT_OK;
}

static enum kt_kind take(struct options *options, const struct flag *flag, const char *value,
                         struct kt_err *err)
{
    char *at = (char *)options + flag->offset;
    struct account_rules *accounts = &options->accounts;
    switch (flag->kind) {
    case FLAG_SWITCH:
        *(bool *)at = true;
        return KT_OK;
    case FLAG_TEXT:
        memcpy(at, &value, sizeof value);
        return KT_OK;
    case FLAG_NUMBER:
        return take_number(flag, value, (unsigned *)(void *)at, err);
    case FLAG_NAME:
        if (accounts->n_named == ACCOUNT_NAMED_MAX)
            return kt_fail(err, KT_INVALID, "--allow: at most %u names", ACCOUNT_NAMED_MAX);
        accounts->named[accounts->n_named++] = value;
        return KT_OK;
    }
    return KT_OK;
}

static const struct flag *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

static enum kt_kind parse(int argc, char *const *argv, struct options *ret, struct kt_err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        size_t dashes = (size_t)(name - argv[i]), len = strcspn(name, "=");
        const struct flag *flag = dashes == 1 || dashes == 2 ? find_flag(name, len) : NULL;
        if (flag == NULL)
            return kt_fail(err, KT_INVALID, "unknown argument '%.100s'", argv[i]);
        const char *value = name[len] == '='       ? name + len + 1
                            : flag->value == NULL  ? NULL
                            : i + 1 < argc         ? argv[++i]
                                                   : "";
        if ((flag->value == NULL) != (value == NULL) || (value != NULL && value[0] == '\0'))
            return kt_fail(err, KT_INVALID, "--%s %s", flag->name,
                           flag->value == NULL ? "takes no value" : "needs a value");
        enum kt_kind kind = take(ret, flag, value, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static int help(void)
{
    (void)printf("vaultd-pam asks this host's PAM for vaultd's logins (auth method \"pam\").\n\n"
                 "  systemctl enable --now vaultd-pam.socket   as a service\n"
                 "  vaultd-pam --listen /run/vaultd-pam.sock   by hand, as root\n\n");
    for (size_t i = 0; i < FLAGS; i++)
        (void)printf("  --%-8s %-8s  %s\n", flags[i].name,
                     flags[i].value == NULL ? "" : flags[i].value, flags[i].help);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- the socket ---- */

static enum kt_kind find_user(const char *name, unsigned *ret, struct kt_err *err)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads; there are none
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        (void)kt_fail(err, KT_NOT_FOUND, "there is no user '%.100s'", name);
        kt_hint(err, "--user is whom vaultd runs as");
        return KT_NOT_FOUND;
    }
    *ret = entry->pw_uid;
    return KT_OK;
}

static bool is_seqpacket(int fd)
{
    int type = 0, listens = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0;
}

/* Whether the service manager gave us our socket, as sd_listen_fds(3) has it. */
static bool is_activated(void)
{
    const char *pid = secure_getenv("LISTEN_PID"), *fds = secure_getenv("LISTEN_FDS");
    uint64_t number = 0;
    return pid != NULL && fds != NULL && kt_u64_parse(kt_str(pid), INT32_MAX, &number) &&
           (pid_t)number == getpid() && strcmp(fds, "1") == 0;
}

/* One that nobody listens at is left over from an end without a goodbye. */
static enum kt_kind remove_stale(const struct sockaddr_un *address, struct kt_err *err)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0)
        return errno == ENOENT ? KT_OK : kt_fail(err, KT_IO, "cannot look at '%s'", address->sun_path);
    kt_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool live = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (!S_ISSOCK(info.st_mode) || live)
        return kt_fail(err, KT_INVALID, "'%s' is %s", address->sun_path,
                       live ? "another vaultd-pam's" : "there already, and no socket");
    return unlink(address->sun_path) == 0
               ? KT_OK
               : kt_fail(err, KT_IO, "cannot remove the old '%s'", address->sun_path);
}

static enum kt_kind make_socket(const char *path, unsigned uid, int *ret, struct kt_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return kt_fail(err, KT_INVALID, "--listen: the path is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len);
    enum kt_kind kind = remove_stale(&address, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Made for its owner alone (umask 077), then given to vaultd's user. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        (uid != geteuid() && chown(path, uid, (gid_t)-1) != 0) || listen(fd, BACKLOG) != 0)
        return kt_fail(err, KT_IO, "cannot listen at '%s'", path);
    *ret = KT_TAKE_FD(fd);
    return KT_OK;
}

static enum kt_kind find_socket(const struct options *options, unsigned uid, int *ret,
                                struct kt_err *err)
{
    if (options->listen != NULL)
        return make_socket(options->listen, uid, ret, err);
    if (is_activated() && is_seqpacket(ACTIVATED_FD)) {
        *ret = ACTIVATED_FD;
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "there is no socket to listen at");
    kt_hint(err, "systemctl enable --now vaultd-pam.socket, or --listen PATH");
    return KT_INVALID;
}

/* ---- main ---- */

static enum kt_kind run(const struct options *options, struct kt_err *err)
{
    struct keeper_rules rules = {.ask = {.service = options->service, .accounts = options->accounts},
                                 .timeout_s = options->timeout_s,
                                 .idle_s = options->listen == NULL ? IDLE_S : 0};
    int listener = -1;
    rules.ask.accounts.min_uid = options->min_uid;
    enum kt_kind kind = find_user(options->user, &rules.peer_uid, err);
    if (kind == KT_OK)
        kind = ask_check(options->service, err);
    if (kind == KT_OK)
        kind = kt_secret_init(err);
    if (kind == KT_OK)
        kind = find_socket(options, rules.peer_uid, &listener, err);
    if (kind != KT_OK)
        return kind;
    kt_log(KT_LOG_NOTICE, "ready", "service=%s user=%s", options->service, options->user);
    kind = keeper_run(&rules, listener, err);
    (void)close(listener);
    if (options->listen != NULL)
        (void)unlink(options->listen);
    return kind;
}

int main(int argc, char **argv)
{
    static const char *const keep[] = {"PATH", "TZ", "LANG", "LISTEN_PID", "LISTEN_FDS", NULL};
    static const struct kt_process_options process = {.keep_env = keep, .inherited_fds = 1};
    struct options options = {
        .user = "keyturn", .service = "keyturn", .min_uid = 1000, .timeout_s = PAMD_TIMEOUT_S};
    struct kt_err err = {0};
    enum kt_kind kind = kt_process_start(&process, &err);
    if (kind == KT_OK)
        kind = parse(argc, argv, &options, &err);
    if (kind == KT_OK && options.help)
        return help();
    if (kind == KT_OK)
        kind = run(&options, &err);
    if (kind == KT_OK)
        return 0;
    kt_log_err(KT_LOG_ERROR, "not_started", &err);
    return 1;
}
