/* Bad news end the process, also when its main thread does not hear them; a reload that takes its time keeps
 * nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vaultd/attend.h"

static void reload(void *arg)
{
    (void)arg;
}

static void *tell(void *arg)
{
    attend_store_broken(arg, "a test");
    return NULL;
}

/* The child's exit status; what it said is in text. */
static int live(bool hears, char *text, size_t size)
{
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct attend attend;
        pthread_t thread;
        (void)dup2(pipes[1], STDERR_FILENO);
        if (attend_begin(&attend, NULL) != KT_OK)
            _exit(9);
        attend.end_s = hears ? 600 : 1; /* who hears may be late on a busy machine */
        if (pthread_create(&thread, NULL, tell, &attend) != 0)
            _exit(9);
        while (!hears)
            (void)pause(); /* whatever it hangs on */
        _exit(attend_loop(&attend, reload, NULL) == ATTEND_BROKEN ? 3 : 9);
    }
    (void)close(pipes[1]);
    size_t len = 0;
    ssize_t n = 0;
    while (len + 1 < size && (n = read(pipes[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_main_thread_hears(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(live(true, text, sizeof text), 3);
    assert_non_null(strstr(text, "<3>store_broken error=\"a test\""));
}

static void the_main_thread_hangs(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(live(false, text, sizeof text), 1);
    assert_non_null(strstr(text, "<3>store_broken error=\"a test\""));
    assert_non_null(strstr(text, "<3>stop_took_too_long"));
}

/* ---- reloads ---- */

static struct slow {
    int begun[2], go_on[2]; /* a byte for each */
    unsigned n;
} slow;

static void reload_slowly(void *arg)
{
    char byte = 'x';
    (void)arg;
    slow.n++;
    (void)!write(slow.begun[1], &byte, 1);
    (void)!read(slow.go_on[0], &byte, 1);
}

/* Signals of which each comes once the one before has had its effect. */
static void *send_signals(void *arg)
{
    char byte = 'x';
    (void)arg;
    (void)kill(getpid(), SIGHUP);
    (void)!read(slow.begun[0], &byte, 1);
    (void)kill(getpid(), SIGHUP); /* these are one more */
    (void)kill(getpid(), SIGHUP);
    (void)!write(slow.go_on[1], &byte, 1);
    (void)!read(slow.begun[0], &byte, 1);
    (void)kill(getpid(), SIGTERM);
    return NULL;
}

/* SIGTERM is taken while the second reload does not get on: then it may. */
static int reload_in_a_child(void)
{
    struct attend attend;
    pthread_t thread;
    char byte = 'x';
    if (pipe(slow.begun) != 0 || pipe(slow.go_on) != 0 || attend_begin(&attend, NULL) != KT_OK ||
        pthread_create(&thread, NULL, send_signals, NULL) != 0)
        return 9;
    enum attend_end end = attend_loop(&attend, reload_slowly, NULL);
    bool under_way = !attend_settle(&attend, 0);
    (void)!write(slow.go_on[1], &byte, 1);
    bool settled = attend_settle(&attend, -1);
    (void)pthread_join(thread, NULL);
    attend_end(&attend);
    return end == ATTEND_STOP && under_way && settled && slow.n == 2 ? 3 : 9;
}

static void a_reload_keeps_nobody(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(60);
        _exit(reload_in_a_child());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_main_thread_hears),
        cmocka_unit_test(the_main_thread_hangs),
        cmocka_unit_test(a_reload_keeps_nobody),
    };
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}
