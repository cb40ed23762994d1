/* tests/support/stuck.h - a test that would wait for ever ends, and says so.
 *
 * What:    stuck_after(s, text) .. stuck_after(0, NULL) around what may hang. The text goes to stderr, then the
 *          program aborts.
 * Owner:   the text stays the caller's until the second call.
 * Threads: the program has one alarm. */
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *stuck_text;

static inline void stuck_handler(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, "stuck: ", 7);
    (void)!write(STDERR_FILENO, stuck_text, strlen(stuck_text));
    (void)!write(STDERR_FILENO, "\n", 1);
    abort();
}

static inline void stuck_after(unsigned seconds, const char *text)
{
    if (seconds > 0) {
        stuck_text = text;
        (void)signal(SIGALRM, stuck_handler);
    }
    (void)alarm(seconds);
}
