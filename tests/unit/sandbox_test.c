/* tests/unit/sandbox_test.c - a child enters a sandbox and tries things; its end tells. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/process.h"
#include "lib/sandbox.h"

#define ALLOWED 0 /* or the errno it failed with, or 1000 + the signal that ended it */
#define KILLED  (1000 + SIGSYS)

static uint16_t open_port, closed_port; /* closed: nobody listens there, and it is not allowed */
static char folder[] = "/tmp/sandbox_test.XXXXXX";
static char inside[sizeof(folder) + 8], outside[sizeof(folder) + 8];

static int result_of(long rc)
{
    return rc < 0 ? errno : ALLOWED;
}

static int try_exec(void)
{
    return result_of(execl("/bin/true", "true", (char *)NULL));
}
static int try_fork(void)
{
    return result_of(fork());
}
static int try_ptrace(void)
{
    return result_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int try_write_file(void)
{
    return result_of(open(outside, O_WRONLY));
}
static int try_create_file(void)
{
    return result_of(open("/tmp/sandbox_test.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static int try_read_outside(void)
{
    return result_of(open(outside, O_RDONLY));
}
static int try_read_inside(void)
{
    return result_of(open(inside, O_RDONLY));
}
static int try_write_inside(void)
{
    return result_of(open(inside, O_WRONLY));
}
static int try_executable_memory(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : ALLOWED;
}
static int try_memory(void)
{
    void *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : ALLOWED;
}
static int try_packet_socket(void)
{
    return result_of(socket(AF_PACKET, SOCK_RAW, 0));
}
static int try_datagram_socket(void)
{
    return result_of(socket(AF_INET, SOCK_DGRAM, 0));
}
static int try_unix_socket(void)
{
    return result_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}
static int try_unix_datagrams(void)
{
    return result_of(socket(AF_UNIX, SOCK_DGRAM, 0));
}
static int try_socket_pair(void)
{
    int pair[2];
    return result_of(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}
static int try_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return fd < 0 ? errno : result_of(connect(fd, (struct sockaddr *)&at, sizeof(at)));
}
static int try_open_port(void)
{
    return try_connect(open_port);
}
static int try_closed_port(void)
{
    return try_connect(closed_port);
}
static int try_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return fd < 0 ? errno : result_of(bind(fd, (struct sockaddr *)&at, sizeof(at)));
}
static int try_signal(void)
{
    return result_of(kill(getppid(), 0));
}
static int try_raise_limit(void)
{
    struct rlimit more = {1000, 1000};
    return result_of(setrlimit(RLIMIT_NOFILE, &more));
}
static int try_memfd_by_path(void)
{
    /* As a client library opens a certificate that was put into memory before. */
    int fd = open("/proc/self/fd/9", O_RDONLY | O_CLOEXEC);
    char byte = 0;
    return fd < 0 ? errno : read(fd, &byte, 1) == 1 && byte == 'x' ? ALLOWED : EIO;
}
static int try_abort(void)
{
    abort();
}

static const struct row {
    const char *name;
    enum kt_sandbox_calls calls;
    int (*attempt)(void);
    int expected;
    int layer; /* needs this layer of the kernel */
} rows[] = {
    {"client, exec kills", KT_CALLS_CLIENT, try_exec, KILLED, KT_LAYER_SECCOMP},
    {"client, fork kills", KT_CALLS_CLIENT, try_fork, KILLED, KT_LAYER_SECCOMP},
    {"client, ptrace kills", KT_CALLS_CLIENT, try_ptrace, KILLED, KT_LAYER_SECCOMP},
    {"client, no file is written", KT_CALLS_CLIENT, try_write_file, EPERM, KT_LAYER_SECCOMP},
    {"client, no file is created", KT_CALLS_CLIENT, try_create_file, EPERM, KT_LAYER_SECCOMP},
    {"client, no executable memory", KT_CALLS_CLIENT, try_executable_memory, EPERM,
     KT_LAYER_SECCOMP},
    {"client, memory", KT_CALLS_CLIENT, try_memory, ALLOWED, KT_LAYER_SECCOMP},
    {"client, no packet socket", KT_CALLS_CLIENT, try_packet_socket, EPERM, KT_LAYER_SECCOMP},
    {"client, no datagrams", KT_CALLS_CLIENT, try_datagram_socket, EPERM, KT_LAYER_SECCOMP},
    {"client, no Unix socket", KT_CALLS_CLIENT, try_unix_socket, EPERM, KT_LAYER_SECCOMP},
    {"client, no pair of sockets", KT_CALLS_CLIENT, try_socket_pair, EPERM, KT_LAYER_SECCOMP},
    {"local client, a Unix socket", KT_CALLS_LOCAL_CLIENT, try_unix_socket, ALLOWED, KT_LAYER_SECCOMP},
    {"local client, no datagrams", KT_CALLS_LOCAL_CLIENT, try_unix_datagrams, EPERM, KT_LAYER_SECCOMP},
    {"local client, no pair of sockets", KT_CALLS_LOCAL_CLIENT, try_socket_pair, EPERM, KT_LAYER_SECCOMP},
    {"local client, no TCP", KT_CALLS_LOCAL_CLIENT, try_open_port, EPERM, KT_LAYER_SECCOMP},
    {"local client, exec kills", KT_CALLS_LOCAL_CLIENT, try_exec, KILLED, KT_LAYER_SECCOMP},
    {"local client, no file is written", KT_CALLS_LOCAL_CLIENT, try_write_file, EPERM, KT_LAYER_SECCOMP},
    {"client, no signal", KT_CALLS_CLIENT, try_signal, EPERM, KT_LAYER_SECCOMP},
    {"client, no limit raised", KT_CALLS_CLIENT, try_raise_limit, EPERM, KT_LAYER_SECCOMP},
    {"client, connects", KT_CALLS_CLIENT, try_open_port, ALLOWED, KT_LAYER_SECCOMP},
    {"client, not to another port", KT_CALLS_CLIENT, try_closed_port, EACCES, KT_LAYER_NET},
    {"client, does not listen", KT_CALLS_CLIENT, try_listen, EPERM, KT_LAYER_SECCOMP},
    {"client, reads no file outside", KT_CALLS_CLIENT, try_read_outside, EACCES, KT_LAYER_FILES},
    {"client, reads memory by path", KT_CALLS_CLIENT, try_memfd_by_path, ALLOWED, KT_LAYER_FILES},
    {"client, aborts as usual", KT_CALLS_CLIENT, try_abort, 1000 + SIGABRT, KT_LAYER_SECCOMP},
    {"daemon, exec kills", KT_CALLS_DAEMON, try_exec, KILLED, KT_LAYER_SECCOMP},
    {"daemon, fork kills", KT_CALLS_DAEMON, try_fork, KILLED, KT_LAYER_SECCOMP},
    {"daemon, reads inside", KT_CALLS_DAEMON, try_read_inside, ALLOWED, KT_LAYER_FILES},
    {"daemon, writes inside", KT_CALLS_DAEMON, try_write_inside, ALLOWED, KT_LAYER_FILES},
    {"daemon, reads no file outside", KT_CALLS_DAEMON, try_read_outside, EACCES, KT_LAYER_FILES},
    {"daemon, writes no file outside", KT_CALLS_DAEMON, try_write_file, EACCES, KT_LAYER_FILES},
    {"daemon, creates no file outside", KT_CALLS_DAEMON, try_create_file, EACCES, KT_LAYER_FILES},
    {"daemon, no signal outside", KT_CALLS_DAEMON, try_signal, EPERM, KT_LAYER_SCOPE},
    {"daemon, does not connect elsewhere", KT_CALLS_DAEMON, try_closed_port, EACCES, KT_LAYER_NET},
    {"daemon, datagrams", KT_CALLS_DAEMON, try_datagram_socket, ALLOWED, KT_LAYER_SECCOMP},
};

static void child(const struct row *row)
{
    const char *const paths[] = {inside, "/nonexistent/keyturn", NULL};
    struct kt_sandbox sandbox = {
        .calls = row->calls,
        .limit_files = true,
        .write_paths = row->calls == KT_CALLS_DAEMON ? paths : NULL,
        .limit_connect = true,
        .connect_ports = &open_port,
        .n_connect_ports = 1,
        .limit_scope = true,
    };
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    int memory = memfd_create("ca", MFD_CLOEXEC);
    if (write(memory, "x", 1) != 1 || dup2(memory, 9) != 9)
        _exit(200);
    uint32_t missing = 0;
    if (kt_sandbox_enter(&sandbox, &missing, NULL) != KT_OK)
        _exit(201);
    _exit(row->attempt());
}

static void attempts(void **state)
{
    const struct row *row = *state;
    if ((kt_sandbox_layers() & (1u << row->layer)) == 0)
        skip();
    pid_t pid = fork();
    assert_int_not_equal(pid, -1);
    if (pid == 0)
        child(row);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    int got = WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
    if (got != row->expected)
        fail_msg("%s: expected %d, got %d", row->name, row->expected, got);
}

static int in_child(void (*function)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        function();
        _exit(99);
    }
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void started(void)
{
    static const char *const keep[] = {"KT_KEPT", "KT_ABSENT", NULL};
    (void)setenv("KT_KEPT", "here", 1);
    (void)setenv("PGPASSWORD", "secret", 1);
    (void)close(0);
    int left_open = fcntl(1, F_DUPFD, 20);
    struct kt_process_options options = {.keep_env = keep};
    if (kt_process_start(&options, NULL) != KT_OK)
        _exit(1);
    const char *kept = secure_getenv("KT_KEPT");
    if (kept == NULL || strcmp(kept, "here") != 0 || secure_getenv("PGPASSWORD") != NULL)
        _exit(2);
    if (fcntl(0, F_GETFD) < 0 || (fcntl(left_open, F_GETFD) & FD_CLOEXEC) == 0)
        _exit(3);
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
        _exit(4);
    struct stat info;
    if (umask(0) != 077 || stat("/proc/self/environ", &info) != 0 || info.st_uid != 0)
        _exit(5);
    _exit(0);
}

static void process_starts_clean(void **state)
{
    (void)state;
    assert_int_equal(in_child(started), 0);
}

static void limited(void)
{
    struct kt_limits limits = KT_LIMITS_NONE;
    limits.open_files = 8;
    limits.file_bytes = 0;
    if (kt_limits_set(&limits, NULL) != KT_OK)
        _exit(1);
    int fd = 0;
    while (fd >= 0 && fd < 100)
        fd = dup(1);
    if (fd >= 0 || errno != EMFILE)
        _exit(2);
    limits.open_files = 1000; /* what is above the hard limit is as good as reached */
    struct rlimit files;
    if (kt_limits_set(&limits, NULL) != KT_OK || getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur != 8)
        _exit(3);
    _exit(0);
}

static void limits_hold(void **state)
{
    (void)state;
    assert_int_equal(in_child(limited), 0);
}

static void layers_have_texts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KT_LAYER_COUNT; i++) {
        assert_true(strlen(kt_sandbox_layer_text((enum kt_sandbox_layer)i)) > 3);
        assert_true(strlen(kt_sandbox_layer_missing((enum kt_sandbox_layer)i)) > 10);
    }
}

static int listening;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(inside, sizeof(inside), "%s/in", folder);
    (void)snprintf(outside, sizeof(outside), "%s/out", folder);
    const char *paths[] = {inside, outside};
    for (int i = 0; i < 2; i++) {
        int fd = open(paths[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0 || close(fd) != 0)
            return -1;
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listening, 8) != 0 || getsockname(listening, (struct sockaddr *)&at, &size) != 0)
        return -1;
    open_port = ntohs(at.sin_port);
    closed_port = (uint16_t)(open_port == 1 ? 2 : 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(listening);
    (void)unlink(inside);
    (void)unlink(outside);
    return rmdir(folder);
}

int main(void)
{
    enum { N = sizeof(rows) / sizeof(rows[0]) };
    struct CMUnitTest tests[N + 3] = {
        [N] = cmocka_unit_test(process_starts_clean),
        [N + 1] = cmocka_unit_test(limits_hold),
        [N + 2] = cmocka_unit_test(layers_have_texts),
    };
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = attempts,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
