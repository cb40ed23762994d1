/* lib/sandbox.c - see lib/sandbox.h. */
#include "lib/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define LAYER(layer) (1u << (layer))

/* ---- Landlock: constants newer than Debian 12's header, by ABI ----------------------------- */

#define FS_ABI_1      ((UINT64_C(1) << 13) - 1) /* execute .. make_sym */
#define FS_REFER      (UINT64_C(1) << 13)       /* ABI 2 */
#define FS_TRUNCATE   (UINT64_C(1) << 14)       /* ABI 3 */
#define FS_IOCTL_DEV  (UINT64_C(1) << 15)       /* ABI 5 */
#define NET_BIND      (UINT64_C(1) << 0)        /* ABI 4 */
#define NET_CONNECT   (UINT64_C(1) << 1)
#define SCOPE_ALL     UINT64_C(3) /* ABI 6: abstract sockets, signals */
#define RULE_NET_PORT 2

#define FS_FOR_FILES                                                                               \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct net_port_attr {
    uint64_t access, port;
};

/* 0: no Landlock. */
static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

static uint64_t fs_rights(int abi)
{
    return FS_ABI_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static bool seccomp_offered(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

uint32_t kt_sandbox_layers(void)
{
    int abi = landlock_abi();
    return (seccomp_offered() ? LAYER(KT_LAYER_SECCOMP) : 0) |
           (abi >= 1 ? LAYER(KT_LAYER_FILES) : 0) | (abi >= 3 ? LAYER(KT_LAYER_TRUNCATE) : 0) |
           (abi >= 4 ? LAYER(KT_LAYER_NET) : 0) | (abi >= 6 ? LAYER(KT_LAYER_SCOPE) : 0);
}

static const struct {
    const char *text, *missing;
} layers[] = {
#define X(name, text, missing) [name] = {text, missing},
    KT_SANDBOX_LAYERS(X)
#undef X
};

const char *kt_sandbox_layer_text(enum kt_sandbox_layer layer)
{
    return layer < KT_LAYER_COUNT ? layers[layer].text : "unknown";
}

const char *kt_sandbox_layer_missing(enum kt_sandbox_layer layer)
{
    return layer < KT_LAYER_COUNT ? layers[layer].missing : "unknown";
}

static enum kt_kind allow_path(int ruleset, const char *path, uint64_t rights, struct kt_err *err)
{
    kt_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return KT_OK;
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return kt_fail(err, KT_IO, "cannot open '%s' for the sandbox", path);
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(info.st_mode) ? rights : rights & FS_FOR_FILES, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return kt_fail(err, KT_IO, "cannot allow '%s' in the sandbox", path);
    return KT_OK;
}

static enum kt_kind allow_paths(int ruleset, const char *const *paths, uint64_t rights,
                                struct kt_err *err)
{
    for (; paths != NULL && *paths != NULL; paths++) {
        enum kt_kind kind = allow_path(ruleset, *paths, rights, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind allow_ports(int ruleset, const struct kt_sandbox *sandbox, struct kt_err *err)
{
    for (size_t i = 0; i < sandbox->n_connect_ports; i++) {
        struct net_port_attr rule = {NET_CONNECT, sandbox->connect_ports[i]};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0)
            return kt_fail(err, KT_IO, "cannot allow port %u in the sandbox",
                           (unsigned)sandbox->connect_ports[i]);
    }
    return KT_OK;
}

static enum kt_kind enter_landlock(const struct kt_sandbox *sandbox, struct kt_err *err)
{
    int abi = landlock_abi();
    struct ruleset_attr attr = {
        .fs = sandbox->limit_files ? fs_rights(abi) : 0,
        .net = sandbox->limit_connect && abi >= 4 ? NET_BIND | NET_CONNECT : 0,
        .scoped = sandbox->limit_scope && abi >= 6 ? SCOPE_ALL : 0,
    };
    if (abi == 0 || (attr.fs == 0 && attr.net == 0 && attr.scoped == 0))
        return KT_OK;
    size_t size = abi >= 6   ? sizeof(attr)
                  : abi >= 4 ? offsetof(struct ruleset_attr, scoped)
                             : offsetof(struct ruleset_attr, net);
    kt_autoclose int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return kt_fail(err, KT_IO, "cannot make a Landlock ruleset");
    enum kt_kind kind = KT_OK;
    if (attr.fs != 0) {
        kind = allow_paths(ruleset, sandbox->read_paths, FS_READ, err);
        if (kind == KT_OK)
            kind = allow_paths(ruleset, sandbox->run_paths, FS_READ | LANDLOCK_ACCESS_FS_EXECUTE, err);
        if (kind == KT_OK)
            kind = allow_paths(ruleset, sandbox->write_paths,
                               attr.fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE, err);
    }
    if (kind == KT_OK && attr.net != 0)
        kind = allow_ports(ruleset, sandbox, err);
    if (kind != KT_OK)
        return kind;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return kt_fail(err, KT_IO, "cannot enter the Landlock ruleset");
    return KT_OK;
}

/* ---- seccomp ------------------------------------------------------------------------------- */

/* Only an attacker calls these in a process that has its sandbox on. Names unknown to libseccomp
 * 2.5.4 would not compile; calls newer than it fall under the default. */
static const int deadly_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(quotactl),
    SCMP_SYS(open_by_handle_at),
};

/* Of these, what a program has to be able to do that starts others. */
static const int starting_calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),
                                     SCMP_SYS(vfork)};

/* What libc, OpenSSL and a database client need to go on. */
static const int client_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(connect),
    SCMP_SYS(shutdown),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* libseccomp answers -EACCES for "as the default" and -EDOM for a call this machine lacks. */
static int add(scmp_filter_ctx ctx, uint32_t action, int call)
{
    int rc = seccomp_rule_add_array(ctx, action, call, 0, NULL);
    return rc == -EDOM || rc == -EACCES ? 0 : rc;
}

static int add_if(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n,
                  const struct scmp_arg_cmp *conditions)
{
    int rc = seccomp_rule_add_array(ctx, action, call, n, conditions);
    return rc == -EDOM || rc == -EACCES ? 0 : rc;
}

static int add_all(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add(ctx, action, calls[i]);
    return rc;
}

/* argument `at` with `mask` equals `value` */
static struct scmp_arg_cmp masked(unsigned at, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){at, SCMP_CMP_MASKED_EQ, mask, value};
}

static int add_daemon_rules(scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp no_thread = masked(0, CLONE_THREAD, 0);
    int rc = add_if(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1, &no_thread);
    /* Its flags are in memory, out of a filter's sight: libc then falls back to clone(). */
    return rc != 0 ? rc : add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
}

static int add_stream_socket(scmp_filter_ctx ctx, uint64_t family)
{
    struct scmp_arg_cmp stream[] = {masked(0, UINT32_MAX, family), masked(1, 0xf, SOCK_STREAM)};
    return add_if(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, stream);
}

static int add_client_sockets(scmp_filter_ctx ctx, enum kt_sandbox_calls calls)
{
    if (calls == KT_CALLS_LOCAL_CLIENT)
        return add_stream_socket(ctx, AF_UNIX);
    int rc = add_stream_socket(ctx, AF_INET);
    return rc == 0 ? add_stream_socket(ctx, AF_INET6) : rc;
}

static bool is_client(enum kt_sandbox_calls calls)
{
    return calls == KT_CALLS_CLIENT || calls == KT_CALLS_LOCAL_CLIENT;
}

static int add_client_rules(scmp_filter_ctx ctx, enum kt_sandbox_calls calls)
{
    const uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    const struct {
        int call;
        struct scmp_arg_cmp only;
    } rows[] = {
        {SCMP_SYS(open), masked(1, writing, 0)},
        {SCMP_SYS(openat), masked(2, writing, 0)},
        {SCMP_SYS(mmap), masked(2, PROT_EXEC, 0)},
        {SCMP_SYS(mprotect), masked(2, PROT_EXEC, 0)},
        {SCMP_SYS(prlimit64), masked(2, UINT64_MAX, 0)}, /* asking, not setting */
        {SCMP_SYS(fcntl), masked(1, UINT32_MAX, F_GETFD)},
        {SCMP_SYS(fcntl), masked(1, UINT32_MAX, F_SETFD)},
        {SCMP_SYS(fcntl), masked(1, UINT32_MAX, F_GETFL)},
        {SCMP_SYS(fcntl), masked(1, UINT32_MAX, F_SETFL)},
        {SCMP_SYS(tgkill), masked(0, UINT32_MAX, (uint64_t)getpid())}, /* abort() */
    };
    int rc = add_all(ctx, SCMP_ACT_ALLOW, client_calls, sizeof(client_calls) / sizeof(int));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++)
        rc = add_if(ctx, SCMP_ACT_ALLOW, rows[i].call, 1, &rows[i].only);
    if (rc == 0)
        rc = add_client_sockets(ctx, calls);
    if (rc == 0)
        rc = add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone));
    if (rc == 0)
        rc = add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    return rc;
}

/* Its children stay in the process group that is killed with it. */
static int add_program_rules(scmp_filter_ctx ctx)
{
    static const uint64_t namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                          CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    int rc = add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsid));
    if (rc == 0)
        rc = add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setpgid));
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]) && rc == 0; i++) {
        struct scmp_arg_cmp own = masked(0, namespaces[i], namespaces[i]);
        rc = add_if(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &own);
    }
    return rc != 0 ? rc : add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
}

static bool starts_others(int call)
{
    for (size_t i = 0; i < sizeof(starting_calls) / sizeof(int); i++)
        if (starting_calls[i] == call)
            return true;
    return false;
}

static int add_deadly(scmp_filter_ctx ctx, enum kt_sandbox_calls calls)
{
    if (calls != KT_CALLS_PROGRAM)
        return add_all(ctx, SCMP_ACT_KILL_PROCESS, deadly_calls, sizeof(deadly_calls) / sizeof(int));
    int rc = 0;
    for (size_t i = 0; i < sizeof(deadly_calls) / sizeof(int) && rc == 0; i++)
        if (!starts_others(deadly_calls[i]))
            rc = add(ctx, SCMP_ACT_ERRNO(EPERM), deadly_calls[i]);
    return rc;
}

static int add_rules(scmp_filter_ctx ctx, enum kt_sandbox_calls calls)
{
    if (is_client(calls))
        return add_client_rules(ctx, calls);
    return calls == KT_CALLS_PROGRAM ? add_program_rules(ctx) : add_daemon_rules(ctx);
}

static void release_filter(scmp_filter_ctx *ctx)
{
    if (*ctx != NULL)
        seccomp_release(*ctx);
}

static enum kt_kind enter_seccomp(enum kt_sandbox_calls calls, struct kt_err *err)
{
    uint32_t fallback = is_client(calls) ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW;
    KT_AUTO(release_filter) scmp_filter_ctx ctx = seccomp_init(fallback);
    if (ctx == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making the system call filter");
    int rc = add_deadly(ctx, calls);
    if (rc == 0)
        rc = add_rules(ctx, calls);
    if (rc == 0)
        rc = seccomp_load(ctx);
    if (rc != 0) {
        errno = -rc;
        return kt_fail(err, KT_IO, "cannot enter the system call filter");
    }
    return KT_OK;
}

/* ---- both ---------------------------------------------------------------------------------- */

static uint32_t wanted_layers(const struct kt_sandbox *sandbox)
{
    return (sandbox->calls != KT_CALLS_ANY ? LAYER(KT_LAYER_SECCOMP) : 0) |
           (sandbox->limit_files ? LAYER(KT_LAYER_FILES) | LAYER(KT_LAYER_TRUNCATE) : 0) |
           (sandbox->limit_connect ? LAYER(KT_LAYER_NET) : 0) |
           (sandbox->limit_scope ? LAYER(KT_LAYER_SCOPE) : 0);
}

enum kt_kind kt_sandbox_enter(const struct kt_sandbox *sandbox, uint32_t *ret_missing,
                              struct kt_err *err)
{
    uint32_t offered = kt_sandbox_layers();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return kt_fail(err, KT_IO, "cannot forbid new privileges");
    enum kt_kind kind = enter_landlock(sandbox, err);
    if (kind == KT_OK && sandbox->calls != KT_CALLS_ANY && (offered & LAYER(KT_LAYER_SECCOMP)) != 0)
        kind = enter_seccomp(sandbox->calls, err);
    if (kind == KT_OK)
        *ret_missing = wanted_layers(sandbox) & ~offered;
    return kind;
}

static bool limit(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit now;
    if (value == UINT64_MAX)
        return true;
    if (getrlimit(resource, &now) != 0)
        return false;
    rlim_t wanted = now.rlim_max < value ? now.rlim_max : (rlim_t)value;
    now = (struct rlimit){wanted, wanted};
    return setrlimit(resource, &now) == 0;
}

enum kt_kind kt_limits_set(const struct kt_limits *limits, struct kt_err *err)
{
    const struct {
        __rlimit_resource_t resource;
        uint64_t value;
        const char *name;
    } rows[] = {
        {RLIMIT_CPU, limits->cpu_s, "processor time"},
        {RLIMIT_AS, limits->address_bytes, "memory"},
        {RLIMIT_NOFILE, limits->open_files, "open files"},
        {RLIMIT_NPROC, limits->processes, "processes"},
        {RLIMIT_FSIZE, limits->file_bytes, "file size"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!limit(rows[i].resource, rows[i].value))
            return kt_fail(err, KT_IO, "cannot limit %s", rows[i].name);
    }
    return KT_OK;
}
