/* tests/sim/fiber.h - threads of one thread: each with a stack and thread-local variables of its own.
 *
 * What:    Switching from one to another is a function call, not two calls of the kernel. What
 *          _Thread_local variables of the program hold is put aside and brought back with each
 *          switch, errno, too; their addresses are the same for all fibers. What libraries keep per
 *          thread (malloc's cache, GnuTLS) they keep once.
 * Owner:   fiber_new(), fiber_of_thread() .. fiber_free(). A fiber's function does not return: it
 *          switches away for the last time, and another one frees it. Stacks are kept for the next.
 * Errors:  no memory ends the process.
 * Threads: one at a time. */
#pragma once

struct fiber;

/* The calling thread itself, with its own stack. */
struct fiber *fiber_of_thread(void);
struct fiber *fiber_new(void (*run)(void *arg), void *arg);
void fiber_switch(struct fiber *from, struct fiber *to);
void fiber_free(struct fiber *fiber);
