/* The client against a server that gives prepared answers: what goes out, what never does, and what
 * each failure tells a person (CVE-2021-27400: whoever answered was believed). */
#include "lib/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/cleanup.h"
#include "lib/http_address.h"
#include "lib/server_purpose.h"
#include "tests/support/canned_server.h"
#include "vaultd/http/certificate.h"

#define BODY_MAX 65536u
#define DAY_MS   ((int64_t)86400000)

struct fixture {
    struct canned *server;
    struct kt_http *http;
    struct kt_http_response response;
    struct kt_err err;
};

static struct fixture begin(const struct canned_options *options, const char *ca_file,
                            const char *server_name)
{
    struct fixture f = {.server = canned_start(options)};
    struct kt_http_options client = {.address = canned_address(f.server),
                                     .ca_file = ca_file,
                                     .server_name = server_name,
                                     .body_max = BODY_MAX};
    assert_int_equal(kt_http_open(&client, &f.http, &f.err), KT_OK);
    kt_http_response_init(&f.response, BODY_MAX);
    return f;
}

static void end(struct fixture *f)
{
    kt_http_close(f->http);
    kt_http_response_free(&f->response);
    canned_stop(f->server);
}

static enum kt_kind get(struct fixture *f, const char *path)
{
    struct kt_http_header token = {"X-Vault-Token", kt_str("hvs.canary")};
    struct kt_http_request request = {
        .method = "GET", .path = path, .headers = &token, .header_count = 1};
    return kt_http_perform(f->http, &request, -1, &f->response, &f->err);
}

static void expect_error(const struct fixture *f, const char *what, const char *hint)
{
    if (strstr(f->err.what, what) == NULL || strstr(f->err.hint, hint) == NULL)
        fail_msg("expected '%s' and '%s', got '%s' and '%s'", what, hint, f->err.what, f->err.hint);
    assert_null(strstr(f->err.what, "hvs.canary"));
}

/* ---- what goes out ---- */

static void a_request_and_its_answer(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_json(f.server, 200, "{\"a\":1}");
    assert_int_equal(get(&f, "/v1/x%20y?a=b"), KT_OK);
    assert_int_equal(f.response.status, 200);
    assert_string_equal(kt_buf_text(&f.response.body), "{\"a\":1}");
    assert_string_equal(f.response.content_type, "application/json");
    const char *asked = canned_request(f.server, 0);
    assert_ptr_equal(strstr(asked, "GET /v1/x%20y?a=b HTTP/1.1\r\n"), asked);
    assert_non_null(strstr(asked, "X-Vault-Token: hvs.canary\r\n"));
    assert_null(strstr(asked, "Accept-Encoding"));
    assert_null(strstr(asked, "Authorization"));
    end(&f);
}

static void bodies_by_method(void **state)
{
    static const struct {
        const char *method, *body, *head;
    } rows[] = {
        {"PUT", "{\"key\":\"v\"}", "Content-Length: 11\r\n"},
        {"POST", "", "Content-Length: 0\r\n"},
        {"PATCH", "{}", "Content-Length: 2\r\n"},
        {"LIST", "", "LIST / HTTP/1.1\r\n"},
        {"DELETE", "", "DELETE / HTTP/1.1\r\n"},
        {"GET", "", "GET / HTTP/1.1\r\n"},
    };
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "HTTP/1.1 204 x\r\n\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_http_request request = {
            .method = rows[i].method, .path = "/", .body = kt_str(rows[i].body)};
        assert_int_equal(kt_http_perform(f.http, &request, -1, &f.response, &f.err), KT_OK);
        assert_int_equal(f.response.status, 204);
        const char *asked = canned_request(f.server, i);
        if (strncmp(asked, rows[i].method, strlen(rows[i].method)) != 0 ||
            strstr(asked, rows[i].head) == NULL || strstr(asked, "Content-Type") != NULL ||
            strstr(asked, "Expect") != NULL)
            fail_msg("%s: got %s", rows[i].method, asked);
    }
    assert_int_equal(canned_connections(f.server), 1);
    end(&f);
}

static void the_environments_proxy_is_ignored(void **state)
{
    (void)state;
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_json(f.server, 200, "{}");
    assert_int_equal(get(&f, "/"), KT_OK);
    (void)unsetenv("http_proxy");
    (void)unsetenv("ALL_PROXY");
    end(&f);
}

static void a_control_character_is_refused(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    struct kt_http_header bad = {"X-Vault-Token", kt_str("a\r\nX-Evil: 1")};
    struct kt_http_request request = {
        .method = "GET", .path = "/", .headers = &bad, .header_count = 1};
    assert_int_equal(kt_http_perform(f.http, &request, -1, &f.response, &f.err), KT_INVALID);
    assert_int_equal(canned_requests(f.server), 0);
    end(&f);
}

static void over_a_unix_socket(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){.local = true}, NULL, NULL);
    canned_json(f.server, 200, "{}");
    assert_int_equal(get(&f, "/v1/sys/health"), KT_OK);
    assert_non_null(strstr(canned_request(f.server, 0), "Host: localhost\r\n"));
    end(&f);
}

/* ---- redirects ---- */

static void only_307_to_the_same_origin_is_followed(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "HTTP/1.1 307 x\r\nLocation: /v1/there\r\nContent-Length: 0\r\n\r\n");
    canned_json(f.server, 200, "{}");
    assert_int_equal(get(&f, "/v1/here"), KT_OK);
    assert_int_equal(f.response.status, 200);
    assert_non_null(strstr(canned_request(f.server, 1), "GET /v1/there "));
    end(&f);
}

static void a_302_is_an_answer(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "HTTP/1.1 302 x\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(get(&f, "/"), KT_OK);
    assert_int_equal(f.response.status, 302);
    assert_int_equal(canned_requests(f.server), 1);
    end(&f);
}

static void the_token_is_not_sent_on(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    struct canned *other = canned_start(&(struct canned_options){0});
    char answer[256];
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 307 x\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n",
                   canned_address(other));
    canned_answer(f.server, answer);
    assert_int_equal(get(&f, "/"), KT_DENIED);
    expect_error(&f, "redirects to another server", "VAULT_ADDR");
    assert_int_equal(canned_connections(other), 0);
    canned_stop(other);
    end(&f);
}

static void a_circle_of_redirects_ends(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "HTTP/1.1 307 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(get(&f, "/"), KT_IO);
    assert_int_equal(canned_requests(f.server), 4);
    end(&f);
}

/* ---- limits ---- */

static void a_body_without_a_length_is_counted(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    char *text = calloc(1, 2 * BODY_MAX + 128);
    assert_non_null(text);
    int n = snprintf(text, 128, "HTTP/1.1 200 x\r\nConnection: close\r\n\r\n");
    memset(text + n, 'x', 2 * BODY_MAX);
    canned_answer(f.server, text);
    free(text);
    assert_int_equal(get(&f, "/"), KT_TOO_LARGE);
    assert_int_equal(f.response.body.len, 0);
    end(&f);
}

static void an_announced_length_is_refused(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "HTTP/1.1 200 x\r\nContent-Length: 99999999\r\n\r\nx");
    assert_int_equal(get(&f, "/"), KT_TOO_LARGE);
    end(&f);
}

static void silence_ends_with_the_timeout(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, CANNED_SILENT);
    struct kt_http_request request = {.method = "GET", .path = "/", .timeout_ms = 60};
    assert_int_equal(kt_http_perform(f.http, &request, -1, &f.response, &f.err), KT_TIMEOUT);
    expect_error(&f, "did not answer in time", "VAULT_CLIENT_TIMEOUT");
    end(&f);
}

static void a_wait_can_be_given_up(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    kt_autoclose int wake = eventfd(1, EFD_CLOEXEC);
    canned_answer(f.server, CANNED_SILENT);
    struct kt_http_request request = {.method = "GET", .path = "/", .timeout_ms = 30000};
    assert_int_equal(kt_http_perform(f.http, &request, wake, &f.response, &f.err), KT_GONE);
    canned_stop(f.server);
    f.server = NULL;
    assert_int_equal(get(&f, "/"), KT_IO);
    end(&f);
}

/* ---- what failures tell ---- */

static void nobody_listens(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_stop(f.server);
    f.server = NULL;
    assert_int_equal(get(&f, "/"), KT_IO);
    expect_error(&f, "cannot connect to http://127.0.0.1:", "is vaultd running there?");
    end(&f);
}

static void plain_http_stays_on_this_machine(void **state)
{
    (void)state;
    struct kt_err err = {0};
    kt_autohttp struct kt_http *http = NULL;
    kt_autoresponse struct kt_http_response response;
    kt_http_response_init(&response, BODY_MAX);
    struct kt_http_options options = {.address = "http://192.0.2.1:8200"};
    struct kt_http_request request = {.method = "GET", .path = "/"};
    assert_int_equal(kt_http_open(&options, &http, &err), KT_OK);
    assert_int_equal(kt_http_perform(http, &request, -1, &response, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "is not this machine"));
    assert_non_null(strstr(err.hint, "https://"));
}

static void the_connection_is_closed_without_an_answer(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, CANNED_CLOSE);
    assert_int_equal(get(&f, "/"), KT_UNKNOWN);
    expect_error(&f, "without an answer", "VAULT_ADDR=https://");
    end(&f);
}

static void what_is_not_http(void **state)
{
    (void)state;
    struct fixture f = begin(&(struct canned_options){0}, NULL, NULL);
    canned_answer(f.server, "\x15\x03\x01 no\r\n\r\n");
    struct kt_http_request request = {.method = "GET", .path = "/", .timeout_ms = 60000};
    assert_int_equal(kt_http_perform(f.http, &request, -1, &f.response, &f.err), KT_UNKNOWN);
    expect_error(&f, "", "https://");
    end(&f);
}

/* ---- TLS ---- */

struct certs {
    char folder[64], cert[96], key[96];
};

static struct certs make_certs(const char *host, int64_t from_ms, int64_t days)
{
    struct certs certs = {.folder = "/tmp/kt-certs-XXXXXX"};
    struct kt_err err = {0};
    assert_non_null(mkdtemp(certs.folder));
    if (certificate_make(certs.folder, host, from_ms, from_ms + days * DAY_MS, &err) != KT_OK)
        fail_msg("no certificate: %s", err.what);
    (void)snprintf(certs.cert, sizeof certs.cert, "%.60s/cert.pem", certs.folder);
    (void)snprintf(certs.key, sizeof certs.key, "%.60s/key.pem", certs.folder);
    return certs;
}

static void drop_certs(const struct certs *certs)
{
    (void)unlink(certs->cert);
    (void)unlink(certs->key);
    (void)rmdir(certs->folder);
}

static void tls_row(const char *host, int64_t from_ms, bool trusted, const char *server_name,
                    const char *what, const char *hint)
{
    struct certs certs = make_certs(host, from_ms, 10);
    struct canned_options options = {.cert_file = certs.cert, .key_file = certs.key};
    struct fixture f =
        begin(&options, trusted ? certs.cert : "/etc/ssl/certs/ca-certificates.crt", server_name);
    canned_json(f.server, 200, "{}");
    enum kt_kind kind = get(&f, "/v1/x");
    if (what == NULL) {
        if (kind != KT_OK)
            fail_msg("expected an answer, got '%s'", f.err.what);
    } else {
        assert_int_equal(kind, KT_IO);
        expect_error(&f, what, hint);
        assert_int_equal(canned_requests(f.server), 0);
    }
    end(&f);
    drop_certs(&certs);
}

static void tls_with_the_right_ca(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) - DAY_MS, true, NULL, NULL, NULL);
}

static void tls_with_another_ca(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) - DAY_MS, false, NULL, "not trusted here",
            "VAULT_CACERT");
}

static void tls_expired(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) - 40 * DAY_MS, true, NULL, "has expired",
            "SIGHUP");
}

static void tls_not_yet_valid(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) + 5 * DAY_MS, true, NULL, "not valid yet",
            "clocks");
}

static void tls_for_another_name(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) - DAY_MS, true, "other.test",
            "is for another name", "-tls-server-name");
}

static void tls_with_the_name_said(void **state)
{
    (void)state;
    tls_row("vault.test", kt_wall_ms(&kt_system_clock) - DAY_MS, true, "vault.test", NULL, NULL);
}

static void tls_to_a_port_without(void **state)
{
    (void)state;
    struct kt_err err = {0};
    struct canned *server = canned_start(&(struct canned_options){0});
    char address[128];
    kt_autohttp struct kt_http *http = NULL;
    kt_autoresponse struct kt_http_response response;
    kt_http_response_init(&response, BODY_MAX);
    canned_answer(server, "HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n");
    (void)snprintf(address, sizeof address, "https%s", canned_address(server) + 4);
    struct kt_http_options options = {.address = address};
    struct kt_http_request request = {.method = "GET", .path = "/", .timeout_ms = 300};
    assert_int_equal(kt_http_open(&options, &http, &err), KT_OK);
    assert_int_not_equal(kt_http_perform(http, &request, -1, &response, &err), KT_OK);
    canned_stop(server);
}

/* Where TLS was wanted and none is to be seen nothing is said. */
static void without_tls_nobody_is_a_server(void **state)
{
    (void)state;
    struct canned *server = canned_start(&(struct canned_options){0});
    canned_answer(server, "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
    CURL *easy = curl_easy_init();
    assert_non_null(easy);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_URL, canned_address(server)), CURLE_OK);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_PROXY, ""), CURLE_OK);
    assert_int_equal(kt_server_purpose_check(easy), CURLE_OK);
    assert_int_equal(curl_easy_perform(easy), CURLE_ABORTED_BY_CALLBACK);
    assert_int_equal(canned_requests(server), 0);
    curl_easy_cleanup(easy);
    canned_stop(server);
}

static void a_ca_file_without_certificates_is_named(void **state)
{
    (void)state;
    struct certs certs = make_certs("vault.test", kt_wall_ms(&kt_system_clock) - DAY_MS, 10);
    struct canned_options options = {.cert_file = certs.cert, .key_file = certs.key};
    struct fixture f = begin(&options, "/etc/passwd", NULL);
    canned_json(f.server, 200, "{}");
    assert_int_equal(get(&f, "/v1/x"), KT_IO);
    expect_error(&f, "there is no certificate in '/etc/passwd'", "VAULT_CACERT");
    end(&f);
    drop_certs(&certs);
}

static void a_missing_ca_file_is_named(void **state)
{
    (void)state;
    struct kt_err err = {0};
    struct kt_http *http = NULL;
    struct kt_http_options options = {.address = "https://127.0.0.1:1", .ca_file = "/nope.pem"};
    assert_int_equal(kt_http_open(&options, &http, &err), KT_IO);
    assert_non_null(strstr(err.what, "/nope.pem"));
    assert_non_null(strstr(err.hint, "VAULT_CACERT"));
}

/* ---- addresses and escapes ---- */

static const struct address_row {
    const char *name, *text, *base, *socket_path;
    unsigned port;
    const char *says; /* when it is refused */
} address_rows[] = {
    {"https", "https://vault.example:8200", "https://vault.example:8200", "", 8200, NULL},
    {"trailing slash", "https://vault.example:8200/", "https://vault.example:8200", "", 8200, NULL},
    {"default port", "https://vault.example", "https://vault.example:443", "", 443, NULL},
    {"http", "http://127.0.0.1:8200", "http://127.0.0.1:8200", "", 8200, NULL},
    {"IPv6", "https://[::1]:8200", "https://[::1]:8200", "", 8200, NULL},
    {"unix", "unix:///run/v.sock", "http://localhost", "/run/v.sock", 0, NULL},
    {"no scheme", "vault.example:8200", NULL, NULL, 0, "does not begin with https"},
    {"another scheme", "ftp://vault.example", NULL, NULL, 0, "does not begin with https"},
    {"empty", "", NULL, NULL, 0, "empty"},
    {"a user", "https://me:pw@vault.example", NULL, NULL, 0, "user name"},
    {"a path", "https://vault.example/v1", NULL, NULL, 0, "a path or a query"},
    {"a query", "https://vault.example/?x=1", NULL, NULL, 0, "a path or a query"},
    {"port 0", "https://vault.example:0", NULL, NULL, 0, "port"},
    {"port too large", "https://vault.example:70000", NULL, NULL, 0, "port"},
    {"port that is no number", "https://vault.example:http", NULL, NULL, 0, "port"},
    {"no host", "https://:8200", NULL, NULL, 0, "no host"},
    {"unix without a path", "unix://run/v.sock", NULL, NULL, 0, "socket"},
};

static void addresses(void **state)
{
    const struct address_row *row = *state;
    struct kt_http_address address = {0};
    struct kt_err err = {0};
    enum kt_kind kind = kt_http_address_parse(row->text, &address, &err);
    if (row->base == NULL) {
        assert_int_equal(kind, KT_INVALID);
        assert_int_not_equal(err.hint[0], 0);
        assert_null(strstr(err.what, "me:pw"));
        if (strstr(err.what, row->says) == NULL)
            fail_msg("expected '%s', got '%s'", row->says, err.what);
        return;
    }
    assert_int_equal(kind, KT_OK);
    assert_string_equal(address.base, row->base);
    assert_string_equal(address.socket_path, row->socket_path);
    assert_int_equal(address.port, row->port);
}

static void escapes(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 256);
    kt_url_escape(&out, kt_str("a b/\xc3\xa9?#%+~"), true);
    assert_string_equal(kt_buf_text(&out), "a%20b/%C3%A9%3F%23%25%2B~");
    kt_buf_reset(&out);
    kt_url_escape(&out, kt_str("a/b"), false);
    assert_string_equal(kt_buf_text(&out), "a%2Fb");
}

int main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(a_request_and_its_answer),
        cmocka_unit_test(bodies_by_method),
        cmocka_unit_test(the_environments_proxy_is_ignored),
        cmocka_unit_test(a_control_character_is_refused),
        cmocka_unit_test(over_a_unix_socket),
        cmocka_unit_test(only_307_to_the_same_origin_is_followed),
        cmocka_unit_test(a_302_is_an_answer),
        cmocka_unit_test(the_token_is_not_sent_on),
        cmocka_unit_test(a_circle_of_redirects_ends),
        cmocka_unit_test(a_body_without_a_length_is_counted),
        cmocka_unit_test(an_announced_length_is_refused),
        cmocka_unit_test(silence_ends_with_the_timeout),
        cmocka_unit_test(a_wait_can_be_given_up),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(plain_http_stays_on_this_machine),
        cmocka_unit_test(the_connection_is_closed_without_an_answer),
        cmocka_unit_test(what_is_not_http),
        cmocka_unit_test(tls_with_the_right_ca),
        cmocka_unit_test(tls_with_another_ca),
        cmocka_unit_test(tls_expired),
        cmocka_unit_test(tls_not_yet_valid),
        cmocka_unit_test(tls_for_another_name),
        cmocka_unit_test(tls_with_the_name_said),
        cmocka_unit_test(tls_to_a_port_without),
        cmocka_unit_test(without_tls_nobody_is_a_server),
        cmocka_unit_test(a_ca_file_without_certificates_is_named),
        cmocka_unit_test(a_missing_ca_file_is_named),
        cmocka_unit_test(escapes),
    };
    enum { FIXED = sizeof fixed / sizeof fixed[0] };
    enum { ADDRESSES = sizeof address_rows / sizeof address_rows[0] };
    struct CMUnitTest tests[FIXED + ADDRESSES];
    memcpy(tests, fixed, sizeof fixed);
    for (size_t i = 0; i < ADDRESSES; i++)
        tests[FIXED + i] =
            (struct CMUnitTest){.name = address_rows[i].name,
                                .test_func = addresses,
                                .initial_state = (void *)(uintptr_t)&address_rows[i]};
    return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
