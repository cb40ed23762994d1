/* Which places of servers are taken, and what becomes of those that are none: nobody there, silence, rubbish. What
 * real servers show is tests/integration/certificates.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/tls_shown.h"

static void fails(const char *place, enum kt_kind wanted, const char *text)
{
    struct kt_tls_cert cert;
    struct kt_err err = {0};
    assert_int_equal(kt_tls_shown(place, NULL, 100, &cert, &err), wanted);
    if (strstr(err.what, text) == NULL)
        fail_msg("%s: %s", place, err.what);
}

static void no_places(void **state)
{
    (void)state;
    static const char *const places[] = {"",         ":443",      "a:",       "a:0",       "a:65536",  "a:4x",
                                         "a:b:443",  "2001:db8::7", "[::1",   "[]:443",    "[::1]443", "[::1]:"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        fails(places[i], KT_INVALID, "is no place of a server");
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fails(longest, KT_INVALID, "is no place of a server");
}

static int bound(char place[32], bool listens)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    if (listens)
        assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(place, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

static void nobody_and_silence(void **state)
{
    (void)state;
    char place[32];
    int fd = bound(place, true);
    fails(place, KT_IO, "did not shake hands"); /* it takes the connection, and says nothing */
    (void)close(fd);
    fd = bound(place, false); /* so it is nobody else's meanwhile */
    fails(place, KT_IO, "was not reached: Connection refused");
    (void)close(fd);
}

/* A record of 16 KiB, a byte at a time, for as long as anybody listens. */
static void *drip(void *arg)
{
    static const unsigned char head[] = {0x16, 3, 3, 0x40, 0};
    int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    bool taken = fd >= 0 && send(fd, head, sizeof head, MSG_NOSIGNAL) == (ssize_t)sizeof head;
    for (int i = 0; i < 6000 && taken; i++) {
        (void)nanosleep(&pause, NULL);
        taken = send(fd, "", 1, MSG_NOSIGNAL) == 1;
    }
    if (fd >= 0)
        (void)close(fd);
    *(int *)arg = taken ? -1 : 0; /* -1: it listened for a minute */
    return NULL;
}

static void a_dripping_server(void **state)
{
    (void)state;
    char place[32];
    pthread_t thread;
    int fd = bound(place, true), held = fd;
    assert_int_equal(pthread_create(&thread, NULL, drip, &held), 0);
    fails(place, KT_IO, "did not shake hands");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(held, 0);
    (void)close(fd);
}

static void *say_rubbish(void *arg)
{
    static const char rubbish[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)!send(fd, rubbish, sizeof rubbish - 1, MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static void rubbish(void **state)
{
    (void)state;
    char place[32];
    pthread_t thread;
    int fd = bound(place, true);
    assert_int_equal(pthread_create(&thread, NULL, say_rubbish, &fd), 0);
    struct kt_tls_cert cert;
    struct kt_err err = {0};
    assert_int_equal(kt_tls_shown(place, "name", 60000, &cert, &err), KT_IO);
    assert_non_null(strstr(err.what, "did not shake hands"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(fd);
}

static void no_certificates(void **state)
{
    (void)state;
    struct kt_tls_cert cert;
    struct kt_err err = {0};
    static char large[KT_TLS_CERT_MAX + 1];
    static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    memset(large, 'a', sizeof large);
    assert_int_equal(kt_tls_cert_read(kt_bytes(NULL, 0), &cert, &err), KT_INVALID);
    assert_int_equal(kt_tls_cert_read(kt_str("no certificate"), &cert, &err), KT_INVALID);
    assert_int_equal(kt_tls_cert_read(kt_str(cut), &cert, &err), KT_INVALID);
    assert_int_equal(kt_tls_cert_read(kt_bytes(large, sizeof large), &cert, &err), KT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_places),
        cmocka_unit_test(nobody_and_silence),
        cmocka_unit_test(a_dripping_server),
        cmocka_unit_test(rubbish),
        cmocka_unit_test(no_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
