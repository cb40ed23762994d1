#include "lib/failpoint.h"

#ifdef KT_FAULT
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define X(name) #name,
static const char *const names[] = {KT_FAILPOINTS(X)};
#undef X

static atomic_ulong hits[KT_FAILPOINT_COUNT];
static atomic_ulong allocations, failing_allocation;

const char *kt_failpoint_name(enum kt_failpoint point)
{
    return names[point];
}

/* Finds "name=action[@n]" in the environment's list; n counts from 1, 0 means every time. */
static bool find(const char *name, char action[16], unsigned long *ret_nth)
{
    const char *list = secure_getenv("KEYTURN_FAILPOINTS");
    size_t len = strlen(name);
    while (list != NULL && *list != '\0') {
        const char *end = strchrnul(list, ',');
        if ((size_t)(end - list) > len && strncmp(list, name, len) == 0 && list[len] == '=') {
            const char *text = list + len + 1;
            const char *at = memchr(text, '@', (size_t)(end - text));
            size_t n = (size_t)((at != NULL ? at : end) - text);
            if (n >= 16)
                return false;
            memcpy(action, text, n);
            action[n] = '\0';
            *ret_nth = at != NULL ? strtoul(at + 1, NULL, 10) : 0;
            return true;
        }
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

bool kt_failpoint_hit(enum kt_failpoint point)
{
    char action[16];
    unsigned long nth = 0;
    if (!find(names[point], action, &nth))
        return false;
    unsigned long hit = atomic_fetch_add(&hits[point], 1) + 1;
    if (nth != 0 && hit != nth)
        return false;
    if (strcmp(action, "kill") == 0) {
        (void)fprintf(stderr, "<5>failpoint name=%s action=kill\n", names[point]);
        (void)kill(getpid(), SIGKILL);
    } else if (strcmp(action, "stop") == 0) {
        (void)raise(SIGSTOP); /* this thread before its next step, and with it all others */
        return false;
    }
    return strcmp(action, "error") == 0;
}

unsigned long kt_fail_allocation(unsigned long nth)
{
    unsigned long made = atomic_exchange(&allocations, 0);
    atomic_store(&failing_allocation, nth);
    return made;
}

static bool allocation_fails(void)
{
    unsigned long nth = atomic_load(&failing_allocation);
    unsigned long made = atomic_fetch_add(&allocations, 1) + 1;
    if (nth == 0 || made != nth)
        return false;
    errno = ENOMEM;
    return true;
}

void *kt_malloc(size_t size)
{
    return allocation_fails() ? NULL : malloc(size);
}

void *kt_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : calloc(count, size);
}
#endif
