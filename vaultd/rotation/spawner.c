/* vaultd/rotation/spawner.c - see vaultd/rotation/spawner.h and vaultd/spawn/protocol.h. */
#include "vaultd/rotation/spawner.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "vaultd/spawn/protocol.h"

#define SPAWNER_MAGIC 0x73706e72u
#define START_MS      10000u /* for vaultd-spawn to say hello, or to start a worker */
#define GRACE_MS      1000u  /* a worker answers by itself when its time is over */

enum spawner_state {
    SPAWNER_RUNS,
    SPAWNER_INTERRUPTED, /* vaultd stops */
    SPAWNER_ENDED        /* vaultd-spawn is gone, and nobody told it to go */
};

struct spawner {
    uint32_t magic;
    int control;
    pid_t pid;
    const struct kt_programs *programs;
    _Atomic enum spawner_state state;
    pthread_mutex_t lock; /* of next_id, and of asking and reading the answer */
    uint32_t next_id;
};

_Noreturn static void become_spawn(char *const *argv, int control)
{
    char *const env[] = {NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    /* dup2() onto itself would leave close-on-exec set. */
    int moved = control == SPAWN_FD ? dup(control) : control;
    if (moved < 0 || dup2(moved, SPAWN_FD) < 0 || close_range(SPAWN_FD + 1, ~0u, 0) != 0 ||
        pthread_sigmask(SIG_SETMASK, &none, NULL) != 0)
        _exit(127);
    (void)execve(argv[0], argv, env);
    _exit(127);
}

static enum kt_kind await_hello(int control, const char *spawn_path, const char *worker_path,
                                struct kt_err *err)
{
    unsigned char hello[SPAWN_MESSAGE];
    size_t len = 0;
    enum kt_kind kind = kt_ipc_receive(control, hello, sizeof(hello), &len, NULL, NULL,
                                       kt_ipc_deadline(START_MS), err);
    if (kind != KT_OK || len != sizeof(hello) || hello[0] != SPAWN_HELLO) {
        kind = kt_fail(err, KT_IO, "cannot start '%s'", spawn_path);
        kt_hint(err, "vaultd-spawn has to be executable by the user that vaultd runs as");
        return kind;
    }
    errno = (int)kt_get_u32(hello + 5);
    if (errno == 0)
        return KT_OK;
    kind = kt_fail(err, KT_IO, "cannot use '%s'", worker_path);
    kt_hint(err, "vaultd-worker has to be executable by the user that vaultd runs as");
    return kind;
}

#define COMMAND_LINE_MAX ((size_t)128 * 1024)

/* Its command line, in `text`; the words are the caller's to free. */
static enum kt_kind command_line(const char *spawn_path, const char *worker_path,
                                 const struct kt_programs *programs, char *text, char ***ret,
                                 struct kt_err *err)
{
    size_t n = kt_programs_count(programs), at = strlen(spawn_path) + strlen(worker_path) + 2;
    kt_autofree char **words = kt_calloc(n + 3, sizeof(*words));
    if (words == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting vaultd-spawn");
    if (at >= COMMAND_LINE_MAX ||
        !kt_programs_words(programs, text + at, COMMAND_LINE_MAX - at, words + 2))
        return kt_fail(err, KT_INVALID, "the driver_program blocks are longer than %zu bytes together",
                       COMMAND_LINE_MAX);
    words[0] = memcpy(text, spawn_path, strlen(spawn_path) + 1);
    words[1] = memcpy(text + strlen(spawn_path) + 1, worker_path, strlen(worker_path) + 1);
    *ret = KT_TAKE(words);
    return KT_OK;
}

const struct kt_programs *spawner_programs(const struct spawner *spawner)
{
    return spawner->programs;
}

enum kt_kind spawner_start(const char *spawn_path, const char *worker_path,
                           const struct kt_programs *programs, struct spawner **ret,
                           struct kt_err *err)
{
    kt_autofree struct spawner *spawner = kt_calloc(1, sizeof(*spawner));
    kt_autofree char *text = kt_calloc(1, COMMAND_LINE_MAX);
    kt_autofree char **words = NULL;
    if (spawner == NULL || text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting vaultd-spawn");
    enum kt_kind kind = command_line(spawn_path, worker_path, programs, text, &words, err);
    if (kind != KT_OK)
        return kind;
    int pair[2];
    kind = kt_ipc_pair(pair, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int ours = pair[0];
    kt_autoclose int theirs = pair[1];
    pid_t pid = fork();
    if (pid < 0)
        return kt_fail(err, KT_IO, "cannot start '%s'", spawn_path);
    if (pid == 0)
        become_spawn(words, theirs);
    (void)close(KT_TAKE_FD(theirs));
    kind = await_hello(ours, spawn_path, worker_path, err);
    if (kind != KT_OK) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return kind;
    }
    spawner->magic = SPAWNER_MAGIC;
    spawner->control = KT_TAKE_FD(ours);
    spawner->pid = pid;
    spawner->programs = programs;
    if (pthread_mutex_init(&spawner->lock, NULL) != 0)
        KT_ASSERT(false); /* cannot fail without attributes */
    *ret = KT_TAKE(spawner);
    return KT_OK;
}

void spawner_interrupt(struct spawner *spawner)
{
    if (spawner == NULL)
        return;
    KT_ASSERT(spawner->magic == SPAWNER_MAGIC);
    atomic_store(&spawner->state, SPAWNER_INTERRUPTED);
    /* vaultd-spawn sees the end, kills its workers and ends; their sockets close. */
    (void)shutdown(spawner->control, SHUT_RDWR);
}

void spawner_stop(struct spawner *spawner)
{
    if (spawner == NULL)
        return;
    spawner_interrupt(spawner);
    (void)close(spawner->control);
    while (waitpid(spawner->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    (void)pthread_mutex_destroy(&spawner->lock);
    spawner->magic = 0;
    free(spawner);
}

static enum kt_kind gone(struct spawner *spawner, struct kt_err *err)
{
    enum spawner_state before = SPAWNER_RUNS;
    bool news = atomic_compare_exchange_strong(&spawner->state, &before, SPAWNER_ENDED);
    if (news)
        kt_log(KT_LOG_ERROR, "spawner-ended",
               "why=\"vaultd-spawn has ended: no step at a target is started any more\" "
               "next=\"restart vaultd: it goes on with every run where it was\"");
    errno = 0;
    enum kt_kind kind =
        kt_fail(err, KT_IO, "%s",
                before == SPAWNER_INTERRUPTED ? "rotation steps are not started any more" : "vaultd-spawn has ended");
    kt_hint(err, "restart vaultd: it goes on with every run where it was");
    return kind;
}

/* Under the lock. */
static enum kt_kind ask(struct spawner *spawner, uint32_t id, int *ret_error, int *ret_socket,
                        struct kt_err *err)
{
    unsigned char message[SPAWN_MESSAGE];
    int fds[KT_IPC_FDS_MAX];
    size_t len = 0, n_fds = 0;
    int64_t deadline = kt_ipc_deadline(START_MS);
    spawn_message(message, SPAWN_START, id, 0);
    if (kt_ipc_send(spawner->control, kt_bytes(message, sizeof(message)), NULL, 0, deadline,
                    NULL) != KT_OK ||
        kt_ipc_receive(spawner->control, message, sizeof(message), &len, fds, &n_fds, deadline,
                       NULL) != KT_OK)
        return gone(spawner, err);
    int error = (int)kt_get_u32(message + 5);
    if (len == sizeof(message) && message[0] == SPAWN_START && kt_get_u32(message + 1) == id &&
        n_fds == (error == 0 ? 1 : 0)) {
        *ret_error = error;
        *ret_socket = error == 0 ? fds[0] : -1;
        return KT_OK;
    }
    for (size_t i = 0; i < n_fds; i++)
        (void)close(fds[i]);
    return gone(spawner, err);
}

static enum kt_kind start_worker(struct spawner *spawner, uint32_t *ret_id, int *ret_error,
                                 int *ret_socket, struct kt_err *err)
{
    if (atomic_load(&spawner->state) != SPAWNER_RUNS)
        return gone(spawner, err);
    (void)pthread_mutex_lock(&spawner->lock);
    uint32_t id = ++spawner->next_id;
    enum kt_kind kind = ask(spawner, id, ret_error, ret_socket, err);
    (void)pthread_mutex_unlock(&spawner->lock);
    *ret_id = id;
    return kind;
}

static void kill_worker(struct spawner *spawner, uint32_t id)
{
    unsigned char message[SPAWN_MESSAGE];
    spawn_message(message, SPAWN_KILL, id, 0);
    (void)pthread_mutex_lock(&spawner->lock);
    /* When it cannot be sent, vaultd-spawn is gone, and so are its workers. */
    enum kt_kind ignored = kt_ipc_send(spawner->control, kt_bytes(message, sizeof(message)), NULL,
                                       0, kt_ipc_deadline(GRACE_MS), NULL);
    (void)ignored;
    (void)pthread_mutex_unlock(&spawner->lock);
}

static void say(struct driver_result *ret, const char *code, const char *format, ...)
    KT_PRINTF(3, 4);
static void say(struct driver_result *ret, const char *code, const char *format, ...)
{
    *ret = (struct driver_result){.class = DRIVER_UNREACH};
    size_t len = strnlen(code, sizeof(ret->code) - 1);
    memcpy(ret->code, code, len);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(ret->text, sizeof(ret->text), format, args);
    va_end(args);
    if (n < 0)
        ret->text[0] = '\0';
}

static void say_ended(int status, struct driver_result *ret)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        say(ret, "sandbox",
            "the driver's process did what its sandbox forbids and was ended; "
            "what it had sent before may have taken effect");
    else if (WIFSIGNALED(status))
        say(ret, "worker",
            "the driver's process was ended by signal %d; what it had sent before "
            "may have taken effect",
            WTERMSIG(status));
    else
        say(ret, "worker",
            "the driver's process ended with status %d and without an answer; what "
            "it had sent before may have taken effect",
            WEXITSTATUS(status));
}

/* One message from the worker's socket. True: *ret is the step's result. */
static bool take_message(struct kt_bytes message, struct kt_arena *arena, struct driver_result *ret)
{
    if (message.len == SPAWN_MESSAGE && message.at[0] == SPAWN_ENDED) {
        say_ended((int)kt_get_u32(message.at + 5), ret);
        return true;
    }
    struct kt_err err = {0};
    if (kt_driver_result_decode(message, arena, ret, &err) != KT_OK)
        say(ret, "worker", "%s", err.what);
    return true;
}

static void await_result(struct spawner *spawner, uint32_t id, int socket,
                         const struct driver_step *step, struct kt_buf *buf, struct kt_arena *arena,
                         struct driver_result *ret)
{
    kt_buf_reset(buf);
    unsigned char *at = kt_buf_grow(buf, KT_IPC_MESSAGE_MAX);
    if (at == NULL) {
        kill_worker(spawner, id);
        say(ret, "memory", "there was no memory to read the driver's answer");
        return;
    }
    size_t len = 0;
    enum kt_kind kind = kt_ipc_receive(socket, at, KT_IPC_MESSAGE_MAX, &len, NULL, NULL,
                                       kt_ipc_deadline(step->timeout_ms + GRACE_MS), NULL);
    if (kind == KT_OK && take_message(kt_bytes(at, len), arena, ret))
        return;
    kill_worker(spawner, id);
    if (kind == KT_TIMEOUT)
        say(ret, "timeout",
            "the step did not end within %u ms and was ended; what it had sent "
            "before may have taken effect",
            step->timeout_ms);
    else
        say(ret, "worker", "%s",
            atomic_load(&spawner->state) == SPAWNER_INTERRUPTED ? "the step was broken off because vaultd stops"
                                                                : "the driver's process was lost");
}

/* An answer that was not asked for is none; one that is missing is unknown. */
static void match_replies(const struct driver_step *step, struct driver_result *ret)
{
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++) {
        bool asked = step->op == DRIVER_PROBE && step->logins[who].username != NULL;
        if (!asked)
            ret->replies[who] = (struct driver_reply){0};
        else if (ret->replies[who].answer == ANSWER_NONE)
            ret->replies[who].answer = ANSWER_UNKNOWN;
    }
}

enum kt_kind spawner_run(struct spawner *spawner, const struct driver_step *step, struct kt_arena *arena,
                         struct driver_result *ret, struct kt_err *err)
{
    KT_ASSERT(spawner != NULL && spawner->magic == SPAWNER_MAGIC);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, DRIVER_MESSAGE_MAX);
    enum kt_kind kind = kt_driver_step_encode(step, &buf, err);
    if (kind != KT_OK)
        return kind;
    uint32_t id = 0;
    int error = 0;
    kt_autoclose int socket = -1;
    kind = start_worker(spawner, &id, &error, &socket, err);
    if (kind != KT_OK)
        return kind;
    struct driver_result result = {0};
    if (error == EAGAIN)
        say(&result, DRIVER_UNSENT, "%u steps are running already", SPAWN_WORKERS_MAX);
    else if (error != 0)
        say(&result, DRIVER_UNSENT, "cannot start a driver process: %s", kt_errno_text(error));
    else if (kt_ipc_send(socket, kt_buf_bytes(&buf), NULL, 0, kt_ipc_deadline(START_MS), NULL) !=
             KT_OK)
        say(&result, DRIVER_UNSENT, "the driver's process ended before it had its step");
    else
        await_result(spawner, id, socket, step, &buf, arena, &result);
    match_replies(step, &result);
    *ret = result;
    return KT_OK;
}

/* ---- fetching ---- */

static enum kt_kind take_document(struct kt_bytes message, struct kt_buf *body, struct kt_err *err)
{
    struct fetch_result result = {0};
    enum kt_kind kind = message.len == SPAWN_MESSAGE && message.at[0] == SPAWN_ENDED
                            ? kt_fail(err, KT_IO, "the process that fetches ended without an answer")
                            : kt_fetch_result_decode(message, &result, err);
    errno = 0;
    if (kind != KT_OK)
        return kt_fail(err, KT_IO, "the process that fetches ended without an answer");
    if (!result.done)
        return kt_fail(err, KT_IO, "%.*s", (int)result.text.len, (const char *)result.text.at);
    kt_buf_reset(body);
    kt_buf_add_bytes(body, result.body);
    return kt_buf_ok(body) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching");
}

enum kt_kind spawner_fetch(struct spawner *spawner, const struct fetch_order *order, struct kt_buf *body,
                           struct kt_err *err)
{
    KT_ASSERT(spawner != NULL && spawner->magic == SPAWNER_MAGIC);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, DRIVER_MESSAGE_MAX);
    uint32_t id = 0;
    int error = 0;
    size_t len = 0;
    kt_autoclose int socket = -1;
    enum kt_kind kind = kt_fetch_order_encode(order, &buf, err);
    if (kind == KT_OK)
        kind = start_worker(spawner, &id, &error, &socket, err);
    if (kind != KT_OK)
        return kind;
    errno = error;
    if (error != 0)
        return kt_fail(err, KT_IO, "cannot start a process that fetches");
    if (kt_ipc_send(socket, kt_buf_bytes(&buf), NULL, 0, kt_ipc_deadline(START_MS), NULL) == KT_OK) {
        kt_buf_reset(&buf);
        unsigned char *at = kt_buf_grow(&buf, KT_IPC_MESSAGE_MAX - 1);
        kind = at == NULL ? KT_NO_MEMORY
                          : kt_ipc_receive(socket, at, KT_IPC_MESSAGE_MAX - 1, &len, NULL, NULL,
                                           kt_ipc_deadline(FETCH_TIMEOUT_MS + GRACE_MS), NULL);
        if (kind == KT_OK)
            return take_document(kt_bytes(at, len), body, err);
    }
    kill_worker(spawner, id);
    errno = 0;
    return kt_fail(err, KT_IO, "the process that fetches did not answer in time");
}
