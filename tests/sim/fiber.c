#include "tests/sim/fiber.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/sim/sched.h"
#include "tests/sim/wrapped.h"

#define STACK      ((size_t)512 << 10)
#define GUARD      ((size_t)4096)
#define STACKS_MAX 64u

struct fiber {
    ucontext_t context;
    unsigned char *stack; /* NULL: the thread's */
    void (*run)(void *arg);
    void *arg;
    int error;
    unsigned char locals[]; /* what its thread-local variables hold while another one runs */
};

static unsigned char *spare[STACKS_MAX];
static unsigned n_spare;

/* ---- the program's thread-local variables ---- */

struct locals {
    unsigned char *at;          /* of this thread */
    const unsigned char *first; /* what they hold in a new one */
    size_t first_len, len;
};

static int of_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct locals *ret = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            ret->at = info->dlpi_tls_data;
            uintptr_t first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            memcpy(&ret->first, &first, sizeof first);
            ret->first_len = info->dlpi_phdr[i].p_filesz;
            ret->len = info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the program itself comes first */
}

/* Of the thread that runs the world: looked up when it begins. */
static struct locals locals;

/* ---- stacks ---- */

static unsigned char *new_stack(void)
{
    if (n_spare > 0)
        return spare[--n_spare];
    unsigned char *stack = __real_mmap(NULL, GUARD + STACK, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD, PROT_NONE) != 0)
        sim_fail("no memory for a stack");
    return stack;
}

/* ---- fibers ---- */

static struct fiber *make(void)
{
    struct fiber *fiber = calloc(1, sizeof *fiber + locals.len);
    if (fiber == NULL)
        sim_fail("no memory for a thread");
    return fiber;
}

struct fiber *fiber_of_thread(void)
{
    locals = (struct locals){0};
    (void)dl_iterate_phdr(of_program, &locals);
    return make();
}

/* makecontext() passes nothing but int. */
static struct fiber *beginning;

static void begin(void)
{
    struct fiber *fiber = beginning;
    fiber->run(fiber->arg);
    sim_fail("a thread did not say that it ends");
}

struct fiber *fiber_new(void (*run)(void *arg), void *arg)
{
    struct fiber *fiber = make();
    fiber->run = run;
    fiber->arg = arg;
    fiber->stack = new_stack();
    memcpy(fiber->locals, locals.first, locals.first_len);
    if (getcontext(&fiber->context) != 0)
        sim_fail("no context");
    fiber->context.uc_stack.ss_sp = fiber->stack + GUARD;
    fiber->context.uc_stack.ss_size = STACK;
    makecontext(&fiber->context, begin, 0);
    return fiber;
}

void fiber_switch(struct fiber *from, struct fiber *to)
{
    from->error = errno;
    memcpy(from->locals, locals.at, locals.len);
    memcpy(locals.at, to->locals, locals.len);
    errno = to->error;
    beginning = to;
    if (swapcontext(&from->context, &to->context) != 0)
        sim_fail("no switch");
}

void fiber_free(struct fiber *fiber)
{
    if (fiber->stack != NULL && n_spare < STACKS_MAX)
        spare[n_spare++] = fiber->stack;
    else if (fiber->stack != NULL)
        (void)__real_munmap(fiber->stack, GUARD + STACK);
    free(fiber);
}
