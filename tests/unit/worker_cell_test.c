/* What is left to a worker, by the target of its step: tried from inside, in a child. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sandbox.h"
#include "vaultd/worker/cell.h"

#define MADE 0 /* or the errno */

static int listening;
static uint16_t port;
static struct sockaddr_un local = {.sun_family = AF_UNIX};

static int connect_to(int family, const void *at, size_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, at, (socklen_t)size) == 0 ? MADE : errno;
}

static int over_tcp(uint16_t to)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect_to(AF_INET, &at, sizeof at);
}

static int to_the_port(void)
{
    return over_tcp(port);
}

static int to_another_port(void)
{
    return over_tcp((uint16_t)(port == 1 ? 2 : 1));
}

static int to_a_socket(void)
{
    return connect_to(AF_UNIX, &local, sizeof local);
}

static int over_ip6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 || errno == EAFNOSUPPORT ? MADE : errno;
}

static struct row {
    const char *name, *host;
    int (*attempt)(void);
    int expected;
    int layer; /* needs this layer of the kernel */
} rows[] = {
    {"an address: its port", "127.0.0.1", to_the_port, MADE, KT_LAYER_SECCOMP},
    {"an address: no other port", "127.0.0.1", to_another_port, EACCES, KT_LAYER_NET},
    {"an address: no Unix socket", "127.0.0.1", to_a_socket, EPERM, KT_LAYER_SECCOMP},
    {"a name: no Unix socket", "db.example.com", to_a_socket, EPERM, KT_LAYER_SECCOMP},
    {"a name: the other family too", "db.example.com", over_ip6, MADE, KT_LAYER_SECCOMP},
    {"a socket folder: Unix sockets", "/run/postgresql", to_a_socket, MADE, KT_LAYER_SECCOMP},
    {"a socket folder: no TCP", "/run/postgresql", to_the_port, EPERM, KT_LAYER_SECCOMP},
    {"a socket folder: no TCP of the other family", "/run/postgresql", over_ip6, EPERM, KT_LAYER_SECCOMP},
};
#define N (sizeof rows / sizeof rows[0])

static void attempts(void **state)
{
    const struct row *row = *state;
    if ((kt_sandbox_layers() & (1u << row->layer)) == 0)
        skip();
    pid_t pid = fork();
    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        const struct driver_target target = {.host = row->host, .port = port};
        uint32_t missing = 0;
        _exit(cell_enter(&target, &missing, NULL) == KT_OK ? row->attempt() : 255);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != row->expected)
        fail_msg("expected %d, got %d", row->expected, WEXITSTATUS(status));
}

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) != 0 || listen(listening, 8) != 0 ||
        getsockname(listening, (struct sockaddr *)&at, &size) != 0)
        return -1;
    port = ntohs(at.sin_port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(local.sun_path, sizeof local.sun_path, "/tmp/kt-cell-test.%d", (int)getpid());
    return bind(fd, (struct sockaddr *)&local, sizeof local) == 0 && listen(fd, 8) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(listening);
    return unlink(local.sun_path);
}

int main(void)
{
    struct CMUnitTest tests[N];
    memset(tests, 0, sizeof tests);
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = attempts, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests_name("worker's cell", tests, set_up, tear_down);
}
