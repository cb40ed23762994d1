#include "lib/background.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>

#define NICE 10

static bool allowed;

void kt_background_allow(void)
{
    allowed = true;
}

void kt_background_thread(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
    if (allowed)
        (void)setpriority(PRIO_PROCESS, 0, NICE);
}
