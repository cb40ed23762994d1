/* vaultd/worker/main.c - vaultd-worker: runs one driver step, fetches one document, or gives a program one
 * message, and ends.
 *
 * It has no key and no token: its step comes over descriptor 3 from vaultd
 * (vaultd/spawn/protocol.h) and holds the credentials of this step alone. What needs files or name
 * look-ups is done first; then it gives up everything but memory, time and connections to the
 * target's port, and only then talks to the target. The words of its command line are the programs that the
 * driver "exec" may start (lib/driver/program.h). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/driver/table.h"
#include "lib/ipc.h"
#include "lib/process.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "vaultd/spawn/protocol.h"
#include "vaultd/worker/cell.h"
#include "vaultd/worker/fetch.h"
#include "vaultd/worker/mail.h"

#define STEP_WAIT_MS  10000u
#define ARENA_MAX     ((size_t)1024 * 1024)
#define NOBODY        65534u
#define CPU_S         30u
#define MEMORY_BYTES  (UINT64_C(128) * 1024 * 1024)
#define FILES         64u
#define MEMFILE_BYTES (UINT64_C(1024) * 1024) /* the CA certificates, in memory */

/* Of a program that is started, each process; interpreters map much and use little of it. */
#define PROGRAM_MEMORY_BYTES (UINT64_C(4) * 1024 * 1024 * 1024)
#define PROGRAM_FILES        256u
#define PROGRAM_PROCESSES    1024u /* of the user, vaultd's threads among them */
#define PROGRAM_FILE_BYTES   (UINT64_C(256) * 1024 * 1024)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

enum exit_code { EXIT_ANSWERED, EXIT_START, EXIT_NO_STEP, EXIT_NO_ANSWER };

/* First the wide ones, for the step is not known yet; then, but for a program, the narrow ones. */
static enum kt_kind set_limits(bool wide, struct kt_err *err)
{
    struct kt_limits limits = {
        .cpu_s = CPU_S,
        .address_bytes = wide ? PROGRAM_MEMORY_BYTES : MEMORY_BYTES,
        .open_files = wide ? PROGRAM_FILES : FILES,
        .processes = wide ? PROGRAM_PROCESSES : 0,
        .file_bytes = wide ? PROGRAM_FILE_BYTES : MEMFILE_BYTES,
    };
#ifdef SANITIZED
    limits.address_bytes = UINT64_MAX; /* its shadow memory is terabytes */
#endif
    return kt_limits_set(&limits, err);
}

/* The worker's own end, should nobody else end it: vaultd's second of grace, and more. */
static void set_alarm(uint32_t timeout_ms)
{
    struct itimerval timer = {.it_value = {.tv_sec = timeout_ms / 1000 + 3}};
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static enum kt_kind start(struct kt_err *err)
{
    static const struct kt_process_options options = {.inherited_fds = 1};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    enum kt_kind kind = kt_process_start(&options, err);
    if (kind != KT_OK)
        return kind;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    /* Client libraries look for settings there. */
    if (setenv("HOME", "/nonexistent", 1) != 0) // NOLINT(concurrency-mt-unsafe): one thread
        return kt_fail(err, KT_NO_MEMORY, "setting up the environment");
    /* Only where vaultd itself runs as root, which it does in no installation. */
    if (geteuid() == 0)
        kind = kt_process_become(NOBODY, NOBODY, err);
    /* vaultd-spawn asked for this before exec; changing the user cleared it. */
    if (kind == KT_OK && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        kind = kt_fail(err, KT_IO, "cannot bind the worker's life to vaultd-spawn's");
    return kind == KT_OK ? set_limits(true, err) : kind;
}

static void say_err(const struct driver_run *run, struct driver_result *ret,
                    const struct kt_err *err)
{
    (void)kt_driver_say(run, ret, DRIVER_UNREACH, "worker", "%s", err->what);
}

static void run_step(struct driver_run *run, struct driver_result *ret)
{
    struct kt_err err = {0};
    const struct driver *driver = kt_driver_find(run->step->driver);
    if (driver == NULL) {
        (void)kt_driver_say(run, ret, DRIVER_PERMANENT, "driver", "there is no driver '%s'",
                            run->step->driver);
        return;
    }
    if (!driver->starts_program && set_limits(false, &err) != KT_OK) {
        say_err(run, ret, &err);
        return;
    }
    if (!driver->prepare(run, ret))
        return;
    uint32_t missing = 0;
    enum kt_kind kind = driver->starts_program ? cell_enter_program(run->program, &missing, &err)
                                               : cell_enter(&run->step->target, &missing, &err);
    if (kind != KT_OK) {
        say_err(run, ret, &err);
        return;
    }
    ret->missing_layers = missing;
    driver->run(run, ret);
}

static void serve_step(struct kt_bytes message, const struct kt_programs *programs,
                       struct kt_arena *arena, struct driver_result *ret)
{
    struct driver_step step = {0};
    struct driver_run run = {.step = &step, .programs = programs, .arena = arena};
    struct kt_err err = {0};
    int64_t began = kt_ipc_deadline(0);
    if (kt_driver_step_decode(message, arena, &step, &err) != KT_OK) {
        say_err(&run, ret, &err);
        return;
    }
    set_alarm(step.timeout_ms);
    run.deadline = began + step.timeout_ms;
    if (kt_secret_init(&err) != KT_OK) {
        say_err(&run, ret, &err);
        return;
    }
    kt_autoredactor struct kt_redactor *redactor = kt_driver_redactor(&step);
    run.redactor = redactor;
    if (redactor == NULL)
        (void)kt_driver_say(&run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    else
        run_step(&run, ret);
    ret->took_ms = (uint32_t)(kt_ipc_deadline(0) - began);
}

static enum exit_code serve(const struct kt_programs *programs, struct kt_buf *buf)
{
    size_t len = 0;
    unsigned char *at = kt_buf_grow(buf, DRIVER_MESSAGE_MAX);
    if (at == NULL || kt_ipc_receive(SPAWN_FD, at, DRIVER_MESSAGE_MAX, &len, NULL, NULL,
                                     kt_ipc_deadline(STEP_WAIT_MS), NULL) != KT_OK)
        return EXIT_NO_STEP;
    struct kt_arena arena;
    struct driver_result result = {0};
    kt_arena_init(&arena, ARENA_MAX);
    bool answers = false;
    if (kt_fetch_is_call(kt_bytes(at, len))) {
        kt_autobuf struct kt_buf reply;
        kt_buf_init(&reply, DRIVER_MESSAGE_MAX);
        set_alarm(FETCH_TIMEOUT_MS);
        answers = mail_serve(kt_bytes(at, len), programs, &arena, &reply);
        kt_buf_reset(buf);
        kt_buf_add_bytes(buf, kt_buf_bytes(&reply));
    } else if (kt_fetch_is_order(kt_bytes(at, len))) {
        kt_autobuf struct kt_buf reply;
        kt_buf_init(&reply, DRIVER_MESSAGE_MAX);
        set_alarm(FETCH_TIMEOUT_MS);
        answers = set_limits(false, NULL) == KT_OK && fetch_serve(kt_bytes(at, len), &arena, &reply);
        kt_buf_reset(buf);
        kt_buf_add_bytes(buf, kt_buf_bytes(&reply));
    } else {
        serve_step(kt_bytes(at, len), programs, &arena, &result);
        kt_buf_reset(buf);
        answers = kt_driver_result_encode(&result, buf, NULL) == KT_OK;
    }
    kt_arena_free(&arena);
    if (!answers || !kt_buf_ok(buf) ||
        kt_ipc_send(SPAWN_FD, kt_buf_bytes(buf), NULL, 0, KT_IPC_FOREVER, NULL) != KT_OK)
        return EXIT_NO_ANSWER;
    return EXIT_ANSWERED;
}

int main(int argc, char **argv)
{
    struct stat info;
    struct kt_programs programs;
    struct kt_err err = {0};
    if (argc < 1 || fstat(SPAWN_FD, &info) != 0 || !S_ISSOCK(info.st_mode) ||
        !kt_programs_read(argv + 1, &programs)) {
        (void)fprintf(stderr, "vaultd-worker is started by vaultd-spawn; there is nothing to do by "
                              "hand\n");
        return EXIT_START;
    }
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, DRIVER_MESSAGE_MAX);
    enum exit_code code = start(&err) == KT_OK ? serve(&programs, &buf) : EXIT_START;
    kt_buf_free(&buf);
    _exit((int)code); /* what libraries do at exit, the sandbox would not let pass */
}
