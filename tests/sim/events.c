/* eventfd, timerfd and poll, for a vault whose thread sleeps in poll(). */
#include <errno.h>
#include <string.h>

#include "tests/sim/sched.h"
#include "tests/sim/wrapped.h"

#define EVENTS_FIRST (1 << 21)
#define EVENTS_MAX   16

struct event {
    bool used, timer;
    uint64_t count;
    /* A timer's. */
    int64_t due_ms;   /* by the wall clock; INT64_MAX: not set */
    int64_t moved_ms; /* how much that was set by then: more, and the timer is cancelled */
};
static struct event events[EVENTS_MAX];

static struct event *event_of(int fd)
{
    int i = fd - EVENTS_FIRST;
    return i >= 0 && i < EVENTS_MAX && events[i].used ? &events[i] : NULL;
}

static int new_event(bool timer)
{
    for (int i = 0; i < EVENTS_MAX; i++)
        if (!events[i].used) {
            events[i] = (struct event){.used = true, .timer = timer, .due_ms = INT64_MAX, .moved_ms = INT64_MAX};
            return EVENTS_FIRST + i;
        }
    sim_fail("more than %d eventfds", EVENTS_MAX);
}

int __wrap_eventfd(unsigned start, int flags)
{
    (void)flags;
    int fd = new_event(false);
    event_of(fd)->count = start;
    return fd;
}

int __wrap_timerfd_create(int clock, int flags)
{
    (void)flags;
    if (clock != CLOCK_REALTIME)
        sim_fail("a timerfd on clock %d is not simulated", clock);
    return new_event(true);
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
    (void)flags;
    (void)old;
    struct event *event = event_of(fd);
    event->count = 0;
    event->due_ms = (int64_t)at->it_value.tv_sec * 1000 + (at->it_value.tv_nsec + 999999) / 1000000;
    event->moved_ms = sched_moved_ms();
    return 0;
}

void events_clock_was_set(void)
{
    sched_wake(events);
}

static bool is_cancelled(const struct event *event)
{
    return event->timer && sched_moved_ms() > event->moved_ms;
}

static int64_t due_ns(const struct event *event)
{
    int64_t left_ms = event->due_ms - sched_wall_ms();
    return left_ms > INT64_C(1000) * 86400 * 365 ? INT64_MAX : sched_now_ns() + left_ms * 1000000;
}

static bool is_ready(const struct event *event)
{
    return event->timer ? is_cancelled(event) || due_ns(event) <= sched_now_ns() : event->count > 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (n == 0 || event_of(fds[0].fd) == NULL)
        return __real_poll(fds, n, timeout_ms);
    int64_t end = timeout_ms < 0 ? INT64_MAX : sched_now_ns() + (int64_t)timeout_ms * 1000000;
    for (;;) {
        int ready = 0;
        int64_t until = end;
        for (nfds_t i = 0; i < n; i++) {
            const struct event *event = event_of(fds[i].fd);
            fds[i].revents = is_ready(event) ? POLLIN : 0;
            ready += is_ready(event);
            if (event->timer && due_ns(event) < until)
                until = due_ns(event);
        }
        if (ready > 0 || end <= sched_now_ns())
            return ready;
        sched_wait(events, until);
    }
}

ssize_t __wrap_read(int fd, void *to, size_t len)
{
    struct event *event = event_of(fd);
    if (event == NULL)
        return __real_read(fd, to, len);
    if (!is_ready(event)) {
        errno = EAGAIN;
        return -1;
    }
    bool cancelled = is_cancelled(event);
    uint64_t count = event->timer ? 1 : event->count;
    memcpy(to, &count, sizeof count);
    event->count = 0;
    event->due_ms = event->moved_ms = INT64_MAX;
    if (cancelled) {
        errno = ECANCELED;
        return -1;
    }
    return sizeof count;
}

ssize_t __wrap_write(int fd, const void *from, size_t len)
{
    struct event *event = event_of(fd);
    if (event == NULL)
        return __real_write(fd, from, len);
    uint64_t count;
    memcpy(&count, from, sizeof count);
    event->count += count;
    sched_wake(events);
    sched_point();
    return (ssize_t)len;
}

bool events_close(int fd)
{
    struct event *event = event_of(fd);
    if (event == NULL)
        return false;
    event->used = false;
    return true;
}
