/* To which addresses this machine has a route: with its network, and in one that has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/net_route.h"

static bool to_loopback(void)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return kt_has_route((const struct sockaddr *)&at, sizeof at);
}

static void with_a_network(void **state)
{
    (void)state;
    assert_true(to_loopback());
}

static void of_no_family(void **state)
{
    (void)state;
    const struct sockaddr at = {.sa_family = AF_MAX};
    assert_false(kt_has_route(&at, sizeof at));
}

static void without_a_network(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 ? 77 : to_loopback() ? 1 : 0);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* nobody may make a network here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_network),
        cmocka_unit_test(of_no_family),
        cmocka_unit_test(without_a_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
