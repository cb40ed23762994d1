/* A server's certificate that is over is named with its date; where that cannot be found out, because memory is out or
 * a look does not come through, nothing is said, and nothing is left open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/clock.h"
#include "lib/driver/cert_dates.h"
#include "lib/ipc.h"
#include "tests/support/certs.h"

#define DAY_MS ((int64_t)86400 * 1000)
#define HOST   "db.example"

/* ---- what the server shows, and what fails ---- */

static gnutls_datum_t shown[3];
static unsigned n_shown;
/* Which call fails, from 1; 0: none. */
static struct {
    unsigned crt, credentials, open, hello, secure;
} fails;
static int open_streams, open_credentials, open_crts;

static bool is_it(unsigned *left)
{
    return *left > 0 && --*left == 0;
}

const gnutls_datum_t *__wrap_gnutls_certificate_get_peers(gnutls_session_t tls, unsigned *ret_n);
const gnutls_datum_t *__wrap_gnutls_certificate_get_peers(gnutls_session_t tls, unsigned *ret_n)
{
    (void)tls;
    *ret_n = n_shown;
    return n_shown == 0 ? NULL : shown;
}

int __real_gnutls_x509_crt_init(gnutls_x509_crt_t *crt);
int __wrap_gnutls_x509_crt_init(gnutls_x509_crt_t *crt);
int __wrap_gnutls_x509_crt_init(gnutls_x509_crt_t *crt)
{
    if (is_it(&fails.crt))
        return GNUTLS_E_MEMORY_ERROR;
    open_crts++;
    return __real_gnutls_x509_crt_init(crt);
}

void __real_gnutls_x509_crt_deinit(gnutls_x509_crt_t crt);
void __wrap_gnutls_x509_crt_deinit(gnutls_x509_crt_t crt);
void __wrap_gnutls_x509_crt_deinit(gnutls_x509_crt_t crt)
{
    open_crts--;
    __real_gnutls_x509_crt_deinit(crt);
}

int __real_gnutls_certificate_allocate_credentials(gnutls_certificate_credentials_t *ret);
int __wrap_gnutls_certificate_allocate_credentials(gnutls_certificate_credentials_t *ret);
int __wrap_gnutls_certificate_allocate_credentials(gnutls_certificate_credentials_t *ret)
{
    if (is_it(&fails.credentials))
        return GNUTLS_E_MEMORY_ERROR;
    open_credentials++;
    return __real_gnutls_certificate_allocate_credentials(ret);
}

void __real_gnutls_certificate_free_credentials(gnutls_certificate_credentials_t credentials);
void __wrap_gnutls_certificate_free_credentials(gnutls_certificate_credentials_t credentials);
void __wrap_gnutls_certificate_free_credentials(gnutls_certificate_credentials_t credentials)
{
    open_credentials--;
    __real_gnutls_certificate_free_credentials(credentials);
}

bool __wrap_kt_stream_open(struct kt_stream_place *place, int64_t deadline, struct kt_stream *s);
bool __wrap_kt_stream_open(struct kt_stream_place *place, int64_t deadline, struct kt_stream *s)
{
    (void)deadline;
    *s = (struct kt_stream){.fd = -1};
    assert_true(place->later && !place->check_chain && !place->check_name); /* it believes nothing, so it asks nothing */
    assert_string_equal(place->host, HOST);
    assert_int_equal(place->n_addresses, 1);
    open_streams++; /* what failed is closed, too */
    return !is_it(&fails.open);
}

bool __wrap_kt_stream_secure(const struct kt_stream_place *place, int64_t deadline, struct kt_stream *s);
bool __wrap_kt_stream_secure(const struct kt_stream_place *place, int64_t deadline, struct kt_stream *s)
{
    (void)place;
    (void)deadline;
    (void)s;
    return !is_it(&fails.secure);
}

void __wrap_kt_stream_close(struct kt_stream *s);
void __wrap_kt_stream_close(struct kt_stream *s)
{
    (void)s;
    open_streams--;
}

static bool hello(struct kt_stream *s, int64_t deadline)
{
    (void)s;
    (void)deadline;
    return !is_it(&fails.hello);
}

/* ---- the certificates ---- */

static struct test_cert *certs[3];

static struct test_cert *made(int64_t from_days, int64_t until_days)
{
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    return test_cert_make(&(struct test_cert_wish){.dn = "CN=" HOST,
                                                   .serial = 1,
                                                   .for_servers = true,
                                                   .from_ms = now_ms + from_days * DAY_MS,
                                                   .until_ms = now_ms + until_days * DAY_MS});
}

static void show(unsigned at, struct test_cert *cert)
{
    struct kt_bytes der = test_cert_der(cert);
    certs[at] = cert;
    shown[at] = (gnutls_datum_t){(unsigned char *)(uintptr_t)der.at, (unsigned)der.len};
    n_shown = at + 1;
}

static int begin(void **state)
{
    (void)state;
    memset(certs, 0, sizeof certs);
    memset(&fails, 0, sizeof fails);
    open_streams = open_credentials = open_crts = 0;
    n_shown = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        test_cert_free(certs[i]);
    assert_int_equal(open_crts, 0);
    assert_int_equal(open_credentials, 0);
    assert_int_equal(open_streams, 0);
    return 0;
}

static void says(const char *text)
{
    char ret[CERT_DATES_TEXT];
    memset(ret, 'x', sizeof ret);
    bool found = kt_cert_dates(NULL, HOST, ret);
    if (found != (text[0] != '\0') || strncmp(ret, text, strlen(text)) != 0 || (text[0] == '\0' && ret[0] != '\0'))
        fail_msg("wanted '%s', got %d '%s'", text, found, ret);
}

/* ---- the dates ---- */

static void the_dates(void **state)
{
    (void)state;
    says(""); /* it showed nothing */
    show(0, made(-10, 10));
    says("");
    show(1, made(-10, -1));
    says("a CA's certificate in the chain of " HOST " expired at 20");
    show(2, made(1, 10));
    says("a CA's certificate in the chain of " HOST " expired at 20"); /* the first that is not valid */
}

static void of_its_own(void **state)
{
    (void)state;
    show(0, made(-10, -1));
    says("the certificate of " HOST " expired at 20");
}

static void not_yet(void **state)
{
    (void)state;
    show(0, made(1, 10));
    says("the certificate of " HOST " is not valid before 20");
}

/* It is passed over: what is behind it is looked at. */
static void one_is_rubbish(void **state)
{
    static unsigned char rubbish[] = {0x30, 0x03, 0x02, 0x01};
    (void)state;
    show(1, made(-10, -1));
    shown[0] = (gnutls_datum_t){rubbish, sizeof rubbish};
    says("a CA's certificate in the chain of " HOST " expired at 20");
}

static void memory_is_out(void **state)
{
    (void)state;
    show(0, made(-10, 10));
    show(1, made(-10, -1));
    for (fails.crt = 1; fails.crt <= 2;) {
        unsigned at = fails.crt;
        says("");
        assert_int_equal(fails.crt, 0); /* it was asked for, and failed */
        fails.crt = at + 1;
    }
    says("a CA's certificate in the chain of " HOST " expired at 20"); /* the third is not asked for */
}

/* ---- a look ---- */

static bool look(const char *address, char ret[CERT_DATES_TEXT])
{
    struct driver_step step = {.target = {.host = HOST, .port = 5432, .connect_timeout_ms = 1000}};
    const struct driver_run run = {.step = &step, .deadline = kt_ipc_deadline(60000)};
    int ours = open_crts; /* the test's own */
    memset(ret, 'x', CERT_DATES_TEXT);
    bool found = kt_cert_look(&run, address, hello, ret);
    assert_int_equal(open_streams, 0);
    assert_int_equal(open_credentials, 0);
    assert_int_equal(open_crts, ours);
    return found;
}

static void nothing_stays_open(void **state)
{
    unsigned *const calls[] = {&fails.credentials, &fails.open, &fails.hello, &fails.secure, &fails.crt};
    char text[CERT_DATES_TEXT];
    (void)state;
    show(0, made(-10, -1));
    assert_true(look("127.0.0.1", text));
    assert_non_null(strstr(text, "the certificate of " HOST " expired at 20"));
    assert_true(look("::1", text));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        *calls[i] = 1;
        assert_false(look("127.0.0.1", text));
        assert_string_equal(text, "");
        assert_int_equal(*calls[i], 0);
    }
    assert_false(look(NULL, text));
    assert_string_equal(text, "");
    assert_false(look("a name", text));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_dates, begin, end),
        cmocka_unit_test_setup_teardown(of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(not_yet, begin, end),
        cmocka_unit_test_setup_teardown(one_is_rubbish, begin, end),
        cmocka_unit_test_setup_teardown(memory_is_out, begin, end),
        cmocka_unit_test_setup_teardown(nothing_stays_open, begin, end),
    };
    return cmocka_run_group_tests_name("cert_dates", tests, NULL, NULL);
}
