/* tests/unit/spawner_test.c - steps in real worker processes, without a database: nobody listens,
 * somebody listens and says nothing, the worker is killed, vaultd-spawn is killed, vaultd ends.
 * The programs are looked for in $KT_BIN, else in build/bin; without them the tests are skipped. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/support/stuck.h"
#include "vaultd/rotation/spawner.h"

#define STUCK_S  300u
#define PASSWORD "planted-4711-password"

static char spawn_path[4096], worker_path[4096];
static char folder[] = "/tmp/spawner_test.XXXXXX";
static int listening = -1; /* a "server" in `folder` that accepts and says nothing */
static bool programs_there;

static struct driver_step step_for(const char *host, uint32_t port)
{
    return (struct driver_step){
        .driver = "postgresql",
        .op = DRIVER_PROBE,
        .target = {.host = host,
                   .port = port,
                   .database = "postgres",
                   .sslmode = "disable",
                   .connect_timeout_ms = 60000},
        .logins = {[DRIVER_ADMIN] = {"kt_vault", kt_str(PASSWORD)},
                   [DRIVER_NEW] = {"app_b", kt_str(PASSWORD "2")}},
        .account = "app_b",
        .timeout_ms = 60000,
    };
}

static struct spawner *start(void)
{
    struct spawner *spawner = NULL;
    struct kt_err err = {0};
    if (!programs_there)
        skip();
    if (spawner_start(spawn_path, worker_path, NULL, &spawner, &err) != KT_OK)
        fail_msg("%s", err.what);
    return spawner;
}

/* ---- what comes back ----------------------------------------------------------------------- */

static uint32_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct driver_step step = step_for("127.0.0.1", free_port());
    struct driver_result result = {0};
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_int_equal(result.class, DRIVER_UNREACH);
    assert_string_equal(result.code, "connect");
    assert_non_null(strstr(result.text, "Connection refused"));
    assert_int_equal(result.replies[DRIVER_ADMIN].answer, ANSWER_UNKNOWN);
    assert_int_equal(result.replies[DRIVER_NEW].answer, ANSWER_UNKNOWN);
    assert_string_equal(result.replies[DRIVER_NEW].code, "skipped");
    assert_int_equal(result.replies[DRIVER_OLD].answer, ANSWER_NONE);
    spawner_stop(spawner);
}

static void localhost_is_looked_up(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct driver_step step = step_for("localhost", free_port());
    struct driver_result result = {0};
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_string_equal(result.code, "connect");
    spawner_stop(spawner);
}

static void an_unknown_driver_is_refused(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct driver_step step = step_for("127.0.0.1", 1);
    struct driver_result result = {0};
    step.driver = "fax";
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_int_equal(result.class, DRIVER_PERMANENT);
    assert_string_equal(result.text, "there is no driver 'fax'");
    spawner_stop(spawner);
}

static void a_step_that_is_not_well_formed_starts_nothing(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct driver_step step = step_for("127.0.0.1", 1);
    struct driver_result result = {.took_ms = 7};
    struct kt_err err = {0};
    step.timeout_ms = 0;
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, &err), KT_INVALID);
    assert_int_equal(result.took_ms, 7);
    spawner_stop(spawner);
}

static void missing_programs_are_named(void **state)
{
    (void)state;
    struct spawner *spawner = NULL;
    struct kt_err err = {0};
    if (!programs_there)
        skip();
    assert_int_equal(spawner_start("/nonexistent/spawn", worker_path, NULL, &spawner, &err), KT_IO);
    assert_non_null(strstr(err.what, "/nonexistent/spawn"));
    assert_int_equal(spawner_start(spawn_path, "/nonexistent/worker", NULL, &spawner, &err), KT_IO);
    assert_non_null(strstr(err.what, "/nonexistent/worker"));
    assert_true(err.hint[0] != '\0');
    assert_int_equal(spawner_start(spawn_path, "/etc/passwd", NULL, &spawner, &err), KT_IO);
    assert_null(spawner);
    spawner_stop(NULL);
}

static void a_worker_that_says_nothing_is_unreach(void **state)
{
    (void)state;
    struct spawner *spawner = NULL;
    if (!programs_there)
        skip();
    assert_int_equal(spawner_start(spawn_path, "/bin/false", NULL, &spawner, NULL), KT_OK);
    struct driver_step step = step_for("127.0.0.1", 1);
    struct driver_result result = {0};
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_int_equal(result.class, DRIVER_UNREACH);
    /* It may be gone before its step is sent, or after. */
    bool after = strcmp(result.code, "worker") == 0 && strstr(result.text, "status 1") != NULL;
    bool before = strcmp(result.code, DRIVER_UNSENT) == 0 && strstr(result.text, "before it had its step") != NULL;
    assert_true(after || before);
    spawner_stop(spawner);
}

static void a_worker_past_its_time_is_killed(void **state)
{
    (void)state;
    struct spawner *spawner = NULL;
    if (!programs_there)
        skip();
    assert_int_equal(spawner_start(spawn_path, "/usr/bin/yes", NULL, &spawner, NULL), KT_OK);
    struct driver_step step = step_for("127.0.0.1", 1);
    struct driver_result result = {0};
    step.timeout_ms = 1;
    assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_int_equal(result.class, DRIVER_UNREACH);
    assert_string_equal(result.code, "timeout");
    spawner_stop(spawner); /* would wait for a worker that is still there */
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* As another thread's child between fork and exec. */
static void a_childs_copies_hold_nobody_up(void **state)
{
    (void)state;
    int ended[2];
    struct spawner *spawner = start();
    assert_int_equal(pipe2(ended, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        (void)close(ended[1]);
        while (read(ended[0], &byte, 1) > 0)
            continue;
        _exit(0);
    }
    assert_true(child > 0);
    stuck_after(STUCK_S, "stopping waits for a child that holds a copy of the socket");
    spawner_stop(spawner); /* waits for vaultd-spawn, not for the child */
    stuck_after(0, NULL);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    (void)close(ended[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ended[0]);
}

static void nothing_is_left_open(void **state)
{
    (void)state;
    int before = count_fds();
    struct spawner *spawner = start();
    int started = count_fds();
    struct driver_step step = step_for("127.0.0.1", free_port());
    struct driver_result result = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(spawner_run(spawner, &step, NULL, &result, NULL), KT_OK);
    assert_int_equal(count_fds(), started);
    spawner_stop(spawner);
    assert_int_equal(count_fds(), before);
}

#ifdef KT_FAULT
static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct spawner *spawner = NULL;
    if (!programs_there)
        skip();
    (void)kt_fail_allocation(1);
    enum kt_kind kind = spawner_start(spawn_path, worker_path, NULL, &spawner, NULL);
    (void)kt_fail_allocation(0);
    assert_int_equal(kind, KT_NO_MEMORY);
    spawner = start();
    struct driver_step step = step_for("127.0.0.1", free_port());
    for (unsigned long nth = 1; nth < 50; nth++) {
        struct driver_result result = {0};
        (void)kt_fail_allocation(nth);
        kind = spawner_run(spawner, &step, NULL, &result, NULL);
        bool untouched = kt_fail_allocation(0) < nth;
        /* Without memory for the question nothing was started; for the answer, nothing is known. */
        assert_true(kind == KT_NO_MEMORY || (kind == KT_OK && result.class == DRIVER_UNREACH));
        if (untouched) {
            assert_string_equal(result.code, "connect");
            break;
        }
    }
    spawner_stop(spawner);
}
#endif

/* ---- at work ------------------------------------------------------------------------------- */

struct call {
    pthread_t thread;
    struct spawner *spawner;
    struct driver_step step;
    struct driver_result result;
    enum kt_kind kind;
};

static void *run_call(void *arg)
{
    struct call *call = arg;
    call->kind = spawner_run(call->spawner, &call->step, NULL, &call->result, NULL);
    return NULL;
}

static void begin(struct call *call, struct spawner *spawner, struct driver_step step)
{
    *call = (struct call){.spawner = spawner, .step = step};
    assert_int_equal(pthread_create(&call->thread, NULL, run_call, call), 0);
}

static void end(struct call *call)
{
    assert_int_equal(pthread_join(call->thread, NULL), 0);
}

/* The worker as it comes to the server that says nothing. */
static int accept_worker(pid_t *ret_pid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    struct pollfd entry = {.fd = listening, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 120000), 1);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    *ret_pid = peer.pid;
    return fd;
}

/* A file of /proc/PID, whole; NULs become newlines. */
static void read_proc(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (fd >= 0)
        (void)close(fd);
    for (size_t i = 0; i < len; i++)
        out[i] = out[i] == '\0' ? '\n' : out[i];
    out[len] = '\0';
}

static uint64_t status_number(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    uint64_t value = UINT64_MAX;
    assert_non_null(at);
    at += strlen(name) + strspn(at + strlen(name), " \t");
    assert_true(kt_u64_parse(kt_bytes(at, strspn(at, "0123456789")), UINT64_MAX - 1, &value));
    return value;
}

static void a_worker_at_work_has_nothing(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct call call;
    pid_t pid = 0;
    char text[8192];
    begin(&call, spawner, step_for(folder, 5432));
    int fd = accept_worker(&pid);
    read_proc(pid, "status", text, sizeof(text));
    assert_int_equal(status_number(text, "\nNoNewPrivs:"), 1);
    assert_int_equal(status_number(text, "\nSeccomp:"), 2);
    assert_int_equal(status_number(text, "\nThreads:"), 1);
    assert_int_equal(status_number(text, "\nCapEff:"), 0);
    assert_true(status_number(text, "\nUid:") != 0);
    read_proc(pid, "cmdline", text, sizeof(text));
    assert_string_equal(text, "vaultd-worker\n");
    read_proc(pid, "environ", text, sizeof(text));
    assert_string_equal(text, "");
    (void)close(fd);
    end(&call);
    assert_int_equal(call.result.class, DRIVER_UNREACH);
    spawner_stop(spawner);
}

static void a_killed_worker_is_unreach(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct call call;
    pid_t pid = 0;
    begin(&call, spawner, step_for(folder, 5432));
    int fd = accept_worker(&pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    end(&call);
    (void)close(fd);
    assert_int_equal(call.kind, KT_OK);
    assert_int_equal(call.result.class, DRIVER_UNREACH);
    assert_string_equal(call.result.code, "worker");
    assert_non_null(strstr(call.result.text, "signal 9"));
    assert_int_equal(call.result.replies[DRIVER_NEW].answer, ANSWER_UNKNOWN);
    spawner_stop(spawner);
}

static void a_silent_server_costs_the_steps_time_and_no_more(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct driver_step step = step_for(folder, 5432);
    struct call call;
    pid_t pid = 0;
    step.timeout_ms = 2500; /* also the time in which the worker has to come */
    begin(&call, spawner, step);
    int fd = accept_worker(&pid);
    end(&call);
    (void)close(fd);
    assert_int_equal(call.result.class, DRIVER_UNREACH);
    assert_string_equal(call.result.code, "timeout");
    /* The worker said so itself; nobody had to kill it. */
    assert_string_equal(call.result.replies[DRIVER_ADMIN].code, "timeout");
    spawner_stop(spawner);
}

static void many_at_once(void **state)
{
    (void)state;
    enum { N = 6 };
    struct spawner *spawner = start();
    struct call calls[N];
    int fds[N];
    pid_t pid = 0;
    for (int i = 0; i < N; i++)
        begin(&calls[i], spawner, step_for(folder, 5432));
    for (int i = 0; i < N; i++)
        fds[i] = accept_worker(&pid); /* all are at work at the same time */
    for (int i = 0; i < N; i++)
        (void)close(fds[i]);
    for (int i = 0; i < N; i++) {
        end(&calls[i]);
        assert_int_equal(calls[i].kind, KT_OK);
        assert_string_equal(calls[i].result.code, "connect");
    }
    spawner_stop(spawner);
}

static void interrupting_ends_what_runs(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct call call;
    struct kt_err err = {0};
    pid_t pid = 0;
    begin(&call, spawner, step_for(folder, 5432));
    int fd = accept_worker(&pid);
    spawner_interrupt(spawner);
    end(&call);
    (void)close(fd);
    assert_int_equal(call.kind, KT_OK);
    assert_int_equal(call.result.class, DRIVER_UNREACH);
    struct driver_step step = step_for(folder, 5432);
    assert_int_equal(spawner_run(spawner, &step, NULL, &call.result, &err), KT_IO);
    spawner_stop(spawner);
}

static void a_killed_vaultd_spawn_is_noticed(void **state)
{
    (void)state;
    struct spawner *spawner = start();
    struct call call;
    struct kt_err err = {0};
    pid_t pid = 0;
    char text[8192];
    begin(&call, spawner, step_for(folder, 5432));
    int fd = accept_worker(&pid);
    read_proc(pid, "status", text, sizeof(text));
    assert_int_equal(kill((pid_t)status_number(text, "\nPPid:"), SIGKILL), 0);
    end(&call); /* its worker dies with it */
    (void)close(fd);
    assert_int_equal(call.result.class, DRIVER_UNREACH);
    struct driver_step step = step_for(folder, 5432);
    /* However often somebody asks. */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(spawner_run(spawner, &step, NULL, &call.result, &err), KT_IO);
        assert_non_null(strstr(err.what, "vaultd-spawn has ended"));
        assert_true(err.hint[0] != '\0');
    }
    spawner_stop(spawner);
}

static void workers_end_with_vaultd(void **state)
{
    (void)state;
    if (!programs_there)
        skip();
    pid_t vaultd = fork();
    if (vaultd == 0) {
        struct spawner *spawner = NULL;
        struct driver_step step = step_for(folder, 5432);
        struct driver_result result;
        if (spawner_start(spawn_path, worker_path, NULL, &spawner, NULL) == KT_OK &&
            spawner_run(spawner, &step, NULL, &result, NULL) == KT_OK)
            _exit(0);
        _exit(1);
    }
    pid_t pid = 0;
    int fd = accept_worker(&pid);
    assert_int_equal(kill(vaultd, SIGKILL), 0);
    assert_int_equal(waitpid(vaultd, NULL, 0), vaultd);
    char startup[1024];
    ssize_t n = 1;
    while (n > 0) /* what libpq sent first, then the end: the worker is gone */
        n = read(fd, startup, sizeof(startup));
    (void)close(fd);
}

/* ---- the programs and the server ----------------------------------------------------------- */

static bool find_programs(void)
{
    const char *bin = secure_getenv("KT_BIN");
    if (bin == NULL)
        bin = "build/bin";
    (void)snprintf(spawn_path, sizeof(spawn_path), "%s/vaultd-spawn", bin);
    (void)snprintf(worker_path, sizeof(worker_path), "%s/vaultd-worker", bin);
    return access(spawn_path, X_OK) == 0 && access(worker_path, X_OK) == 0;
}

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    programs_there = find_programs();
    if (kt_secret_init(NULL) != KT_OK || mkdtemp(folder) == NULL || chmod(folder, 0755) != 0)
        return -1;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/.s.PGSQL.5432", folder);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        chmod(at.sun_path, 0777) != 0)
        return -1;
    return listen(listening, 16);
}

static int tear_down(void **state)
{
    (void)state;
    char path[sizeof(folder) + 32];
    (void)close(listening);
    (void)snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", folder);
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(nothing_is_left_open),
        cmocka_unit_test(a_childs_copies_hold_nobody_up),
#ifdef KT_FAULT
        cmocka_unit_test(every_allocation_may_fail),
#endif
        cmocka_unit_test(localhost_is_looked_up),
        cmocka_unit_test(an_unknown_driver_is_refused),
        cmocka_unit_test(a_step_that_is_not_well_formed_starts_nothing),
        cmocka_unit_test(missing_programs_are_named),
        cmocka_unit_test(a_worker_that_says_nothing_is_unreach),
        cmocka_unit_test(a_worker_past_its_time_is_killed),
        cmocka_unit_test(a_worker_at_work_has_nothing),
        cmocka_unit_test(a_killed_worker_is_unreach),
        cmocka_unit_test(a_silent_server_costs_the_steps_time_and_no_more),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(interrupting_ends_what_runs),
        cmocka_unit_test(a_killed_vaultd_spawn_is_noticed),
        cmocka_unit_test(workers_end_with_vaultd),
    };
    return cmocka_run_group_tests_name("spawner", tests, set_up, tear_down);
}
