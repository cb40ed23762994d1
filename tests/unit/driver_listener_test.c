/* What a TLS listener shows, as a worker asks it: each address of a name, the first that shows something else; what is
 * refused, silent or rubbish; which addresses nobody is connected to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/driver/listener.h"
#include "lib/driver/stream.h"
#include "lib/ipc.h"
#include "lib/num.h"

#define UNTIL 4102444800 /* 2100 */

/* ---- certificates ---- */

struct shown {
    gnutls_certificate_credentials_t credentials;
    char hash[65];
};
static struct shown first, second;

static void make(struct shown *ret, unsigned char serial)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t der;
    unsigned char hash[32];
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(crt, &serial, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(crt, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, UNTIL), 0);
    assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash), 0);
    kt_hex_encode(hash, sizeof hash, ret->hash);
    assert_int_equal(gnutls_certificate_allocate_credentials(&ret->credentials), 0);
    assert_int_equal(gnutls_certificate_set_x509_key(ret->credentials, &crt, 1, key), 0);
    gnutls_free(der.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static int make_both(void **state)
{
    (void)state;
    make(&first, 1);
    make(&second, 2);
    return 0;
}

static int drop_both(void **state)
{
    (void)state;
    gnutls_certificate_free_credentials(first.credentials);
    gnutls_certificate_free_credentials(second.credentials);
    return 0;
}

/* ---- servers ---- */

enum manner { SHOWS, SAYS_RUBBISH, IS_SILENT, IS_AWAY };
struct server {
    enum manner manner;
    const struct shown *shown;
    int fd;
    pthread_t thread;
    char name[64]; /* that it was asked for */
};

#define BANNER "220 mail.example.com at your service\r\n"

static void shake(struct server *server, int fd)
{
    gnutls_session_t tls;
    size_t len = sizeof server->name - 1;
    unsigned type = 0;
    assert_int_equal(gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NO_SIGNAL), 0);
    assert_int_equal(gnutls_set_default_priority(tls), 0);
    assert_int_equal(gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, server->shown->credentials), 0);
    gnutls_transport_set_int(tls, fd);
    int rc = GNUTLS_E_AGAIN;
    while (rc < 0 && gnutls_error_is_fatal(rc) == 0)
        rc = gnutls_handshake(tls);
    (void)gnutls_server_name_get(tls, server->name, &len, &type, 0);
    gnutls_deinit(tls);
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char byte;
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return NULL; /* nobody came before it ended */
    if (server->manner == SHOWS)
        shake(server, fd);
    if (server->manner == SAYS_RUBBISH)
        (void)!send(fd, BANNER, sizeof BANNER - 1, MSG_NOSIGNAL);
    if (server->manner == IS_SILENT) /* until the other end has enough */
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
    (void)close(fd);
    return NULL;
}

/* At 127.0.0.1, .2 ...; the port of the first is that of all. */
static void begin(struct server *servers, size_t n, struct kt_stream_place *place)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    *place = (struct kt_stream_place){.host = "several", .n_addresses = n, .chosen = n};
    for (size_t i = 0; i < n; i++) {
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)i);
        servers[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(servers[i].fd >= 0);
        assert_int_equal(bind(servers[i].fd, (const struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(getsockname(servers[i].fd, (struct sockaddr *)&at, &size), 0);
        memcpy(&place->addresses[i].at, &at, sizeof at);
        place->addresses[i].size = sizeof at;
        if (servers[i].manner == IS_AWAY)
            continue; /* so it is nobody else's */
        assert_int_equal(listen(servers[i].fd, 4), 0);
        assert_int_equal(pthread_create(&servers[i].thread, NULL, serve, &servers[i]), 0);
    }
}

static void end(struct server *servers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)shutdown(servers[i].fd, SHUT_RDWR); /* whoever waits to be asked waits no longer */
        if (servers[i].manner != IS_AWAY)
            assert_int_equal(pthread_join(servers[i].thread, NULL), 0);
        (void)close(servers[i].fd);
    }
}

/* ---- asking ---- */

static void ask(struct server *servers, size_t n, uint32_t timeout_ms, struct driver_result *ret)
{
    struct kt_stream_place place;
    const struct driver_step step = {
        .op = DRIVER_INSPECT, .account = "web.example.com", .digest = first.hash, .timeout_ms = timeout_ms};
    struct kt_redactor *redactor = kt_driver_redactor(&step);
    assert_non_null(redactor);
    begin(servers, n, &place);
    const struct driver_run run = {
        .step = &step, .redactor = redactor, .deadline = kt_ipc_deadline(timeout_ms), .own = &place};
    *ret = (struct driver_result){.class = DRIVER_PERMANENT};
    kt_listener_run(&run, ret);
    end(servers, n);
    kt_redactor_free(redactor);
}

static void shows(struct server *servers, size_t n, const struct shown *wanted, uint32_t asked)
{
    struct driver_result result;
    ask(servers, n, 60000, &result);
    assert_int_equal(result.class, DRIVER_OK);
    assert_string_equal(result.server_id, wanted->hash);
    assert_string_equal(result.server_version, "4102444800000");
    assert_int_equal(result.sessions, asked);
}

static void each_address(void **state)
{
    (void)state;
    struct server one = {.shown = &first}, two[] = {{.shown = &first}, {.shown = &first}};
    shows(&one, 1, &first, 1);
    assert_string_equal(one.name, "web.example.com");
    shows(two, 2, &first, 2);
    struct server other = {.shown = &second}, last[] = {{.shown = &first}, {.shown = &second}};
    shows(&other, 1, &second, 1);
    shows(last, 2, &second, 2);
    struct server begins[] = {{.shown = &second}, {.shown = &first}};
    shows(begins, 2, &second, 1); /* that is enough */
}

static void does_not(struct server *servers, size_t n, uint32_t timeout_ms, const char *code)
{
    struct driver_result result;
    ask(servers, n, timeout_ms, &result);
    assert_int_equal(result.class, DRIVER_UNREACH);
    assert_string_equal(result.code, code);
    assert_string_equal(result.server_id, "");
    assert_null(strstr(result.text, "mail.example.com"));
}

static void one_that_does_not(void **state)
{
    (void)state;
    struct server away[] = {{.shown = &first}, {.manner = IS_AWAY}};
    does_not(away, 2, 60000, "connect");
    struct server rubbish[] = {{.shown = &first}, {.manner = SAYS_RUBBISH}};
    does_not(rubbish, 2, 60000, "tls");
    struct server silent[] = {{.manner = IS_SILENT}, {.shown = &first}};
    does_not(silent, 2, 200, "timeout");
}

/* ---- what is asked at all ---- */

static void prepared(const struct driver_step *step, bool wanted, const char *code)
{
    struct kt_arena arena;
    struct driver_result result = {0};
    struct kt_redactor *redactor = kt_driver_redactor(step);
    kt_arena_init(&arena, 65536);
    struct driver_run run = {.step = step, .arena = &arena, .redactor = redactor};
    assert_int_equal(kt_listener_prepare(&run, &result), wanted);
    assert_string_equal(result.code, code);
    kt_arena_free(&arena);
    kt_redactor_free(redactor);
}

static void what_is_asked(void **state)
{
    (void)state;
    struct driver_step step = {.op = DRIVER_INSPECT, .target = {.host = "127.0.0.1", .port = 443}, .digest = first.hash};
    prepared(&step, true, "");
    static const char *const near[] = {"169.254.169.254", "fe80::1", "::ffff:169.254.1.1", "224.0.0.1", "0.0.0.0"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        step.target.host = near[i];
        prepared(&step, false, "near");
    }
    step.target.host = "/run/socket";
    prepared(&step, false, "step");
    step.target.host = "127.0.0.1";
    step.digest = "abc";
    prepared(&step, false, "step");
    step.digest = first.hash;
    step.target.port = 0;
    prepared(&step, false, "step");
    step.target.port = 443;
    for (enum driver_op op = 0; op < DRIVER_OP_COUNT; op++) {
        step.op = op;
        prepared(&step, op == DRIVER_INSPECT, op == DRIVER_INSPECT ? "" : "step");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address),
        cmocka_unit_test(one_that_does_not),
        cmocka_unit_test(what_is_asked),
    };
    return cmocka_run_group_tests(tests, make_both, drop_both);
}
