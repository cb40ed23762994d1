/* Kills, failing syncs, power losses. The program is its own victim: with arguments it is the
 * writer or the checker, and tests/support/store_powerloss.py runs it as both.
 *
 *   store_crash_test write FOLDER FIRST COUNT [IN-FLIGHT]
 *                                               commits batches, prints each number when
 *                                               acknowledged
 *   store_crash_test check                      answers lines "FOLDER ACKNOWLEDGED" with "ok LAST"
 *                                               or what is wrong */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/num.h"
#include "lib/random.h"
#include "lib/secret.h"
#include "tests/support/store_fixture.h"
#include "tests/support/store_load.h"

#define IN_FLIGHT 8

/* ---- the writer ---- */

struct writer {
    sem_t room;
    uint32_t next_done;
    struct store *store;
    atomic_uint broken_calls;
    enum store_error error; /* the first that was not STORE_OK */
};

static void on_done(void *arg, const struct commit_result *result)
{
    struct writer *writer = arg;
    if (result->error == STORE_OK) {
        char line[16];
        int n = snprintf(line, sizeof line, "%u\n", writer->next_done);
        if (n <= 0 || write(1, line, (size_t)n) != (ssize_t)n)
            _exit(5);
        if (writer->next_done % 16 == 0 && result->at > 4)
            store_outcomes_synced(writer->store, result->at - 4);
    } else if (writer->error == STORE_OK) {
        writer->error = result->error;
    }
    writer->next_done++;
    (void)sem_post(&writer->room);
}

static void on_broken(void *arg, const char *what)
{
    struct writer *writer = arg;
    (void)fprintf(stderr, "broken: %s\n", what);
    (void)atomic_fetch_add(&writer->broken_calls, 1);
}

static void wait_room(struct writer *writer)
{
    while (sem_wait(&writer->room) != 0)
        ;
}

/* 0: all committed; 3: the open was refused; 4: it broke, and everything after was refused. */
static int write_load(const char *folder, uint32_t first, uint32_t count, unsigned in_flight)
{
    struct writer writer = {.next_done = first};
    struct store_config config = {.engine = STORE_LMDB, .path = folder};
    struct kt_err err = {0};
    if (store_open(&config, &writer.store, &err) != KT_OK) {
        (void)fprintf(stderr, "refused: %s\n", err.what);
        return 3;
    }
    (void)sem_init(&writer.room, 0, in_flight);
    store_on_broken(writer.store, on_broken, &writer);
    for (uint32_t i = first; i - first < count; i++) {
        struct batch *batch = store_load_batch(i);
        if (batch == NULL)
            return 5;
        wait_room(&writer);
        store_commit(writer.store, batch, on_done, &writer);
    }
    for (unsigned i = 0; i < in_flight; i++)
        wait_room(&writer);
    struct snapshot *snapshot = NULL;
    int result = 0;
    if (writer.error != STORE_OK) {
        bool as_promised = writer.error == STORE_UNKNOWN &&
                           snapshot_begin(writer.store, &snapshot) == STORE_BROKEN;
        result = as_promised ? 4 : 6;
    }
    store_close(writer.store);
    if (atomic_load(&writer.broken_calls) != (result == 0 ? 0 : 1))
        result = 7;
    return result;
}

static int check_lines(void)
{
    char line[300], text[400];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *space = strchr(line, ' '), *end = strchr(line, '\n');
        uint64_t acknowledged = 0;
        uint32_t last = 0;
        if (space == NULL || end == NULL ||
            !kt_u64_parse(kt_bytes(space + 1, (size_t)(end - space - 1)), UINT32_MAX,
                          &acknowledged))
            return 2;
        *space = '\0';
        const char *wrong = store_load_check(line, (uint32_t)acknowledged, &last, text);
        if (wrong == NULL)
            (void)printf("ok %u\n", last);
        else
            (void)printf("%s\n", wrong);
        (void)fflush(stdout);
    }
    return 0;
}

/* ---- running it ---- */

static char self[512];

struct child {
    pid_t pid;
    int out;
    char left[64]; /* of a line */
    size_t left_len;
    uint32_t acknowledged;
};

static void start_writer(struct child *child, const char *folder, uint32_t first, uint32_t count,
                         unsigned in_flight, char *const *environment)
{
    char first_text[16], count_text[16], in_flight_text[16];
    (void)snprintf(in_flight_text, sizeof in_flight_text, "%u", in_flight);
    (void)snprintf(first_text, sizeof first_text, "%u", first);
    (void)snprintf(count_text, sizeof count_text, "%u", count);
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    *child = (struct child){.out = out[0], .acknowledged = first - 1};
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        (void)dup2(out[1], 1);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
        char *arguments[] = {self, (char[]){"write"}, (char *)(uintptr_t)folder, first_text,
                             count_text, in_flight_text, NULL};
        (void)execve(self, arguments, environment);
        _exit(127);
    }
    (void)close(out[1]);
}

/* Reads what there is; false at the end. */
static bool read_acknowledged(struct child *child)
{
    char text[4096];
    ssize_t n = read(child->out, text, sizeof text);
    if (n <= 0)
        return false;
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] != '\n') {
            assert_true(child->left_len < sizeof child->left);
            child->left[child->left_len++] = text[i];
            continue;
        }
        uint64_t number = 0;
        assert_true(kt_u64_parse(kt_bytes(child->left, child->left_len), UINT32_MAX, &number));
        assert_int_equal(number, child->acknowledged + 1);
        child->acknowledged = (uint32_t)number;
        child->left_len = 0;
    }
    return true;
}

static int finish_child(struct child *child)
{
    while (read_acknowledged(child))
        ;
    (void)close(child->out);
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

static void kill_at_random_moments(void **state)
{
    (void)state;
    char folder[64], text[400];
    assert_int_equal(folder_make(folder), 0);
    uint32_t last = 0;
    char *const environment[] = {NULL};
    for (unsigned round = 0; round < 30; round++) {
        struct child child;
        start_writer(&child, folder, last + 1, 1000000, IN_FLIGHT, environment);
        assert_true(read_acknowledged(&child)); /* it is under way */
        struct timespec pause = {0, (long)kt_random_below(8000) * 1000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child.pid, SIGKILL), 0);
        int status = finish_child(&child);
        assert_true(WIFSIGNALED(status));
        const char *wrong = store_load_check(folder, child.acknowledged, &last, text);
        if (wrong != NULL)
            fail_msg("round %u, acknowledged %u: %s (folder %s)", round, child.acknowledged, wrong,
                     folder);
    }
    print_message("    %u batches\n", last);
    folder_remove(folder);
}

static bool shim_path(char out[600])
{
    char *slash = strrchr(self, '/');
    (void)snprintf(out, 600, "%.*s/../support/sync_shim.so", (int)(slash - self), self);
    if (access(out, R_OK) == 0)
        return true;
    print_message("    not tried: %s is missing (make shims)\n", out);
    return false;
}

/* Whatever sync fails: what was acknowledged is there, what was not is whole or absent, nothing is
 * accepted after it. */
static void each_sync_may_fail(void **state)
{
    (void)state;
    char shim[600];
    if (!shim_path(shim))
        skip();
    unsigned refused = 0, broke = 0;
    bool untouched = false;
    for (unsigned nth = 1; !untouched; nth++) {
        char folder[64], text[400], preload[640], dir[100], at[40];
        assert_true(nth < 100);
        assert_int_equal(folder_make(folder), 0);
        (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
        (void)snprintf(dir, sizeof dir, "KT_SYNC_DIR=%s", folder);
        (void)snprintf(at, sizeof at, "KT_SYNC_FAIL_AT=%u", nth);
        char *const environment[] = {preload, dir, at,
                                     (char[]){"ASAN_OPTIONS=verify_asan_link_order=0"}, NULL};
        struct child child;
        start_writer(&child, folder, 1, 20, IN_FLIGHT, environment);
        int status = finish_child(&child);
        assert_true(WIFEXITED(status));
        int code = WEXITSTATUS(status);
        refused += code == 3;
        broke += code == 4;
        untouched = code == 0;
        if (code != 0 && code != 3 && code != 4)
            fail_msg("sync %u: the writer ended with %d", nth, code);
        uint32_t last = 0;
        const char *wrong = store_load_check(folder, child.acknowledged, &last, text);
        if (wrong != NULL)
            fail_msg("sync %u: %s", nth, wrong);
        folder_remove(folder);
    }
    print_message("    refused at open %u, broke %u times\n", refused, broke);
    assert_true(refused >= 3);
    assert_true(broke >= 4);
}

/* How many syncs the shim wrote down; its log's form is at the head of sync_shim.c. */
static unsigned logged_syncs(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    unsigned char head[64];
    unsigned syncs = 0;
    while (fread(head, sizeof head, 1, file) == 1) {
        syncs += head[4] >= 2 && head[4] <= 4; /* SYNC, SYNC_DIR, WRITE_SYNC */
        assert_int_equal(fseek(file, (long)kt_get_u32(head) - 64, SEEK_CUR), 0);
    }
    (void)fclose(file);
    return syncs;
}

static unsigned syncs_of(const char *shim, uint32_t batches)
{
    char folder[64], log[80], preload[640], dir[100], log_text[100];
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(log, sizeof log, "%s.log", folder);
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
    (void)snprintf(dir, sizeof dir, "KT_SYNC_DIR=%s", folder);
    (void)snprintf(log_text, sizeof log_text, "KT_SYNC_LOG=%s", log);
    char *const environment[] = {preload, dir, log_text,
                                 (char[]){"ASAN_OPTIONS=verify_asan_link_order=0"}, NULL};
    struct child child;
    start_writer(&child, folder, 1, batches, 1, environment);
    assert_int_equal(finish_child(&child), 0);
    assert_int_equal(child.acknowledged, batches);
    unsigned syncs = logged_syncs(log);
    (void)unlink(log);
    folder_remove(folder);
    return syncs;
}

static void a_lone_commit_costs_two_syncs(void **state)
{
    (void)state;
    char shim[600];
    if (!shim_path(shim))
        skip();
    unsigned none = syncs_of(shim, 0);
    assert_true(none > 0);
    assert_int_equal(syncs_of(shim, 10) - none, 20);
}

static void power_losses(void **state)
{
    (void)state;
    char shim[600];
    static const char script[] = "tests/support/store_powerloss.py";
    if (!shim_path(shim))
        skip();
    if (access(script, R_OK) != 0 || access("/usr/bin/python3", X_OK) != 0) {
        print_message("    not tried: no python3, or not started at the root of the tree\n");
        skip();
    }
    char program[] = "/usr/bin/python3", name[sizeof script], count[] = "250", *end = NULL;
    memcpy(name, script, sizeof script);
    char *arguments[] = {program, name, self, shim, count, end};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execv(program, arguments);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || kt_secret_init(NULL) != KT_OK)
        return 1;
    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return check_lines();
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "write") == 0) {
        uint64_t first = 0, count = 0, in_flight = IN_FLIGHT;
        if (!kt_u64_parse(kt_str(argv[3]), UINT32_MAX, &first) ||
            !kt_u64_parse(kt_str(argv[4]), UINT32_MAX, &count) ||
            (argc == 6 && !kt_u64_parse(kt_str(argv[5]), 1000, &in_flight)))
            return 2;
        return write_load(argv[2], (uint32_t)first, (uint32_t)count, (unsigned)in_flight);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_at_random_moments),
        cmocka_unit_test(each_sync_may_fail),
        cmocka_unit_test(a_lone_commit_costs_two_syncs),
        cmocka_unit_test(power_losses),
    };
    return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
