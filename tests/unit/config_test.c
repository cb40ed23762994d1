/* What a configuration may say, and what is said of it when it is wrong. */
#include "vaultd/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "vaultd/http/certificate.h"

#define STORE    "storage \"lmdb\" { path = \"/var/lib/vaultd\" }\n"
#define LISTENER "listener \"tcp\" { address = \"127.0.0.1:8200\" tls_disable = true }\n"

#define SEAL(n)  "seal \"credential\" { name = \"s" #n "\" }\n"
#define NINE_SEALS SEAL(1) SEAL(2) SEAL(3) SEAL(4) SEAL(5) SEAL(6) SEAL(7) SEAL(8) SEAL(9)

struct row {
    const char *name, *text;
    bool ok;
    const char *says, *hints; /* parts of one finding; NULL: there is none */
};

/* clang-format off */
static const struct row rows[] = {
    {"the least", STORE LISTENER, true, NULL, NULL},
    {"the JSON form", "{\"storage\": {\"lmdb\": {\"path\": \"/d\"}}, \"listener\": {\"tcp\": {\"tls_disable\": true}}}", true, NULL, NULL},
    {"nothing", "", false, "no storage", "storage \"lmdb\""},
    {"no listener", STORE, false, "no listener", "listener \"tcp\""},
    {"an unknown storage", "storage \"raft\" { path = \"/d\" }\n" LISTENER, false, "no storage is called 'raft'", "storage \"lmdb\" and storage \"inmem\""},
    {"two storages", STORE STORE LISTENER, false, "second storage", "keep one"},
    {"lmdb without a path", "storage \"lmdb\" {}\n" LISTENER, false, "without a path", "path ="},
    {"inmem needs none", "storage \"inmem\" {}\n" LISTENER, true, NULL, NULL},
    {"a mistyped setting", STORE LISTENER "clster_name = \"a\"", false, "unknown setting 'clster_name'", "did you mean 'cluster_name'"},
    {"a mistyped setting in a block", STORE "listener \"tcp\" { adress = \"a\" tls_disable = true }", false, "unknown setting 'adress'", "did you mean 'address'"},
    {"a mistyped block", STORE LISTENER "audti \"file\" { path = \"/a\" }", false, "unknown setting 'audti'", "did you mean 'audit'"},
    {"a block that is further off", STORE LISTENER "lmts { }", false, "unknown setting 'lmts'", "did you mean 'limits'"},
    {"another one's setting", STORE "listener \"tcp\" { tls_disable = true tls_max_version = \"tls13\" }", true, "unknown setting 'tls_max_version'", ""},
    {"another one's block", STORE LISTENER "telemetry { }", true, "unknown setting 'telemetry'", "vaultd --settings"},
    {"a data folder from where it is started", "storage \"lmdb\" { path = \"data\" }\n" LISTENER, true, "the data folder 'data' depends on where vaultd is started", "absolute path"},
    {"a setting of Vault's alone", STORE LISTENER "ui = true", true, "'ui' has no effect here: there is no web interface", ""},
    {"a listener without a certificate", STORE "listener \"tcp\" {}", false, "without a certificate", "tls_disable = true"},
    {"a certificate without a key", STORE "listener \"tcp\" { tls_cert_file = \"/c\" }", false, "without a certificate", "tls_key_file"},
    {"a Unix listener", STORE "listener \"unix\" { path = \"/run/s\" mode = \"0600\" }", true, NULL, NULL},
    {"in Vault's words", STORE "listener \"unix\" { address = \"/run/s\" socket_mode = \"600\" }", true, NULL, NULL},
    {"a Unix listener without a path", STORE "listener \"unix\" {}", false, "without a path", "path ="},
    {"twins", STORE LISTENER LISTENER, false, "same address", "remove one"},
    {"a mode that is none", STORE "listener \"unix\" { path = \"/s\" mode = \"rw\" }", false, "expected a file mode", ""},
    {"a mode that is too much", STORE "listener \"unix\" { path = \"/s\" mode = \"4755\" }", false, "'mode' must be", ""},
    {"a log level", STORE LISTENER "log_level = \"warn\"", true, NULL, NULL},
    {"a log level that is none", STORE LISTENER "log_level = \"loud\"", false, "'log_level' has no such value", "error, warn"},
    {"a sandbox word that is none", STORE LISTENER "sandbox = \"maybe\"", false, "'sandbox' has no such value", "required"},
    {"a size", STORE LISTENER "limits { max_request_size = \"16MiB\" }", true, NULL, NULL},
    {"a size in bytes", STORE LISTENER "limits { max_request_size = 1048576 }", true, NULL, NULL},
    {"a size that is none", STORE LISTENER "limits { max_request_size = \"16 elephants\" }", false, "expected a size", ""},
    {"a size beyond its bounds", STORE LISTENER "limits { max_request_size = \"1KiB\" }", false, "must be from 65536 to", ""},
    {"a duration", STORE LISTENER "limits { header_timeout = \"5s\" }", true, NULL, NULL},
    {"a duration that is none", STORE LISTENER "limits { header_timeout = \"soon\" }", false, "", ""},
    {"an audit device", STORE LISTENER "audit \"file\" { path = \"/var/log/a\" }", true, NULL, NULL},
    {"an audit device without a path", STORE LISTENER "audit \"file\" {}", false, "without a path", "path ="},
    {"an unknown audit device", STORE LISTENER "audit \"syslog\" {}", false, "no audit is called 'syslog'", "audit \"file\""},
    {"an empty text", STORE LISTENER "cluster_name = \"\"", false, "'cluster_name' is empty", ""},
    {"the wrong type", STORE LISTENER "cluster_name = [1]", false, "", ""},
    {"proxies, as a text", STORE "listener \"tcp\" { tls_disable = true x_forwarded_for_authorized_addrs = \"10.0.0.0/8, fd00::/8\" x_forwarded_for_hop_skips = 1 }", true, NULL, NULL},
    {"proxies, as a list", STORE "listener \"tcp\" { tls_disable = true x_forwarded_for_authorized_addrs = [\"10.0.0.1\"] x_forwarded_for_reject_not_present = false x_forwarded_for_reject_not_authorized = \"false\" }", true, NULL, NULL},
    {"a proxy that is no address", STORE "listener \"tcp\" { tls_disable = true x_forwarded_for_authorized_addrs = [\"10.0.0.0/8\", \"proxy\"] }", false, "addresses or blocks such as", ""},
    {"no proxy", STORE "listener \"tcp\" { tls_disable = true x_forwarded_for_authorized_addrs = \"\" }", false, "addresses or blocks such as", ""},
    {"seals", STORE LISTENER "seal \"credential\" { name = \"a-1\" }\nseal \"credential\" { name = \"b.key\" }", true, NULL, NULL},
    {"a seal without a name", STORE LISTENER "seal \"credential\" {}", false, "without a name", "name ="},
    {"a seal whose name leads elsewhere", STORE LISTENER "seal \"credential\" { name = \"../a\" }", false, "a credential's name is", "name ="},
    {"a seal whose name is hidden", STORE LISTENER "seal \"credential\" { name = \".a\" }", false, "a credential's name is", "name ="},
    {"twin seals", STORE LISTENER "seal \"credential\" { name = \"a\" }\nseal \"credential\" { name = \"a\" }", false, "two seals have the same name", "remove one"},
    {"an unknown seal", STORE LISTENER "seal \"awskms\" {}", false, "no seal is called 'awskms'", "seal \"credential\""},
    {"too many seals", STORE LISTENER NINE_SEALS, false, "more than 8 seals", "remove some"},
    {"more runs than there are threads for", STORE LISTENER "rotation { max_runs = 17 }", false, "", ""},
    {"no starts", STORE LISTENER "rotation { starts_per_minute = 0 }", false, "", ""},
    {"the rotation's tick", STORE LISTENER "rotation { tick = \"1s\" }", true, NULL, NULL},
};
/* clang-format on */

static struct findings findings; /* too large for the stack */

static void findings_forget(void)
{
    findings = (struct findings){0};
}

static bool found(bool error, const char *says, const char *hints)
{
    for (size_t i = 0; i < findings.n; i++)
        if (findings.at[i].error == error && strstr(findings.at[i].text.what, says) != NULL &&
            strstr(findings.at[i].text.hint, hints) != NULL)
            return true;
    return false;
}

static void fail_with(const struct kt_err *err)
{
    for (size_t i = 0; i < findings.n; i++)
        print_error("%s: %s (%s)\n", findings.at[i].error ? "error" : "warning",
                    findings.at[i].text.what, findings.at[i].text.hint);
    fail_msg("%s", err->what);
}

static void judges(void **state)
{
    const struct row *row = *state;
    findings_forget();
    struct config config = {0};
    struct kt_err err = {0};
    enum kt_kind kind = config_parse(kt_str(row->text), "vaultd.hcl", &config, &findings, &err);
    if ((kind == KT_OK) != row->ok || (findings.errors == 0) != row->ok)
        fail_with(&err);
    if (row->says == NULL ? findings.n != 0 : !found(!row->ok, row->says, row->hints))
        fail_with(&err);
    if (kind == KT_OK)
        config_free(&config);
}

static void reads_values(void **state)
{
    (void)state;
    static const char text[] =
        "cluster_name = \"c\"\nlog_level = \"warn\"\nsandbox = \"required\"\nuser = \"u\"\n"
        "pid_file = \"/run/p\"\nstorage \"lmdb\" { path = \"/d\" max_size = \"2GiB\" }\n"
        "listener \"tcp\" { address = \":1\" x_forwarded_for_authorized_addrs = \"10.1.0.0/16,::1\" x_forwarded_for_hop_skips = 2 tls_cert_file = \"/c\" tls_key_file = \"/k\" }\n"
        "listener \"unix\" { path = \"/s\" mode = \"0600\" }\n"
        "audit \"file\" { path = \"/a\" }\naudit \"file\" { path = \"/b\" }\n"
        "limits { max_connections = 100 max_connections_per_ip = 0 header_timeout = \"5s\" }\n"
        "rotation { tick = \"2s\" max_runs = 8 starts_per_minute = 60 }\npam { socket = \"/p\" }\n";
    findings_forget();
    struct config config = {0};
    struct kt_err err = {0};
    if (config_parse(kt_str(text), "f", &config, &findings, &err) != KT_OK || findings.n != 0)
        fail_with(&err);
    assert_string_equal(config.cluster_name, "c");
    assert_string_equal(config.user, "u");
    assert_string_equal(config.pid_file, "/run/p");
    assert_int_equal(config.log_level, 4);
    assert_int_equal(config.sandbox, SANDBOX_REQUIRED);
    assert_int_equal(config.storage.engine, STORE_LMDB);
    assert_string_equal(config.storage.path, "/d");
    assert_true(config.storage.max_bytes == UINT64_C(2) << 30);
    assert_int_equal(config.n_listeners, 2);
    assert_string_equal(config.listeners[0].address, ":1");
    assert_string_equal(config.listeners[0].cert_file, "/c");
    assert_false(config.listeners[0].tls_disable);
    assert_int_equal(config.listeners[0].forwarded_trusted.n, 2);
    assert_true(kt_cidrs_hold(&config.listeners[0].forwarded_trusted, kt_str("10.1.2.3")));
    assert_false(kt_cidrs_hold(&config.listeners[0].forwarded_trusted, kt_str("10.2.2.3")));
    assert_int_equal(config.listeners[0].forwarded_hop_skips, 2);
    assert_true(config.listeners[0].forwarded_refuse_absent && config.listeners[0].forwarded_refuse_stranger);
    assert_true(config.listeners[1].is_unix);
    assert_int_equal(config.listeners[1].mode, 0600);
    assert_int_equal(config.n_devices, 2);
    assert_string_equal(config.devices[1].path, "/b");
    assert_int_equal(config.rotation_tick_ms, 2000);
    assert_int_equal(config.rotation_max_runs, 8);
    assert_int_equal(config.rotation_starts_per_minute, 60);
    assert_string_equal(config.pam_socket, "/p");
    struct http_limits limits;
    config_http_limits(&config, &limits);
    assert_int_equal(limits.max_connections, 100);
    assert_int_equal(limits.deadlines.per_address, 0);
    assert_int_equal(limits.deadlines.header_ms, 5000);
    assert_int_equal(limits.deadlines.idle_ms, http_default_limits.deadlines.idle_ms);
    config_free(&config);
}

/* The table's defaults and the listeners' own must be the same numbers. */
static void defaults_agree(void **state)
{
    (void)state;
    struct config config;
    struct http_limits limits;
    config_init(&config);
    config_http_limits(&config, &limits);
    assert_memory_equal(&limits, &http_default_limits, sizeof limits);
    assert_string_equal(config.cluster_name, "keyturn");
    assert_string_equal(config.user, "keyturn");
}

static void names_every_mistake_at_once(void **state)
{
    (void)state;
    static const char text[] = "log_level = \"loud\"\nstorage \"raft\" {}\n"
                               "listener \"tcp\" {}\nlistener \"unix\" {}\naudit \"file\" {}\n"
                               "limits { threads = \"many\" header_size = \"1B\" }\n";
    findings_forget();
    struct config config = {0};
    struct kt_err err = {0};
    assert_int_equal(config_parse(kt_str(text), "f", &config, &findings, &err), KT_INVALID);
    assert_int_equal(findings.errors, 7);
    assert_non_null(strstr(err.what, "7 mistakes in 'f'"));
    assert_true(found(true, "f:1:", ""));
}

static void keeps_findings_bounded(void **state)
{
    (void)state;
    static char text[8192];
    size_t at = 0;
    for (int i = 0; i < 100; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "zzz%d = 1\n", i);
    findings_forget();
    struct config config = {0};
    struct kt_err err = {0};
    assert_int_equal(config_parse(kt_str(text), "f", &config, &findings, &err), KT_INVALID);
    assert_int_equal(findings.n, FINDINGS_MAX);
    assert_true(findings.dropped >= 36);
}

/* ---- what the machine says ---- */

static char folder[] = "/tmp/kt-config-test-XXXXXX";

static void looks_at_the_machine(void **state)
{
    (void)state;
    char text[2048], data[64], key[64];
    struct kt_err err = {0};
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    assert_int_equal(
        certificate_make(folder, "localhost", now_ms - 1000000, now_ms + 86400000, &err), KT_OK);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", folder);
    assert_int_equal(mkdir(data, 0755), 0);
    assert_int_equal(chmod(data, 0755), 0);
    (void)snprintf(text, sizeof text,
                   "storage \"lmdb\" { path = \"%s\" }\n"
                   "listener \"tcp\" { address = \"nonsense\" tls_disable = true }\n"
                   "listener \"tcp\" { address = \"0.0.0.0:0\" tls_disable = true }\n"
                   "listener \"tcp\" { address = \"127.0.0.1:0\" tls_cert_file = \"%s/cert.pem\" "
                   "tls_key_file = \"%s/key.pem\" }\n"
                   "listener \"tcp\" { address = \"[::1]:0\" tls_cert_file = \"%s/none.pem\" "
                   "tls_key_file = \"%s/none.pem\" }\n"
                   "listener \"unix\" { path = \"%s/cert.pem\" }\n"
                   "audit \"file\" { path = \"%s/nowhere/audit.log\" }\n",
                   data, folder, folder, folder, folder, folder, folder);
    findings_forget();
    struct config config = {0};
    if (config_parse(kt_str(text), "f", &config, &findings, &err) != KT_OK)
        fail_with(&err);
    config_check(&config, false, now_ms, &findings);
    assert_true(found(true, "is open to others (mode 0755)", "chmod 700"));
    assert_true(found(true, "'nonsense' is not HOST:PORT", "127.0.0.1:8200"));
    assert_true(found(false, "serves without TLS", "tls_cert_file"));
    assert_true(found(false, "expires in 1 days", "renew it") ||
                found(false, "expires in 0 days", "renew it"));
    assert_true(found(true, "cannot open the certificate", ""));
    assert_true(found(true, "exists and is not a socket", "another path"));
    assert_true(found(true, "nowhere' of an audit device", "install -d"));
    assert_int_equal(findings.errors, 5);
    config_free(&config);
    (void)snprintf(text, sizeof text, "%s/cert.pem", folder);
    (void)unlink(text);
    (void)unlink(key);
    assert_int_equal(rmdir(data), 0);
}

static void describes_every_setting(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 65536);
    config_describe(&text);
    static const char *const parts[] = {
        "cluster_name",    "tls_cert_file", "max_connections_per_ip", "storage \"lmdb\" { }",
        "(default 32MiB)", "(default 10s)", "(default 0660)"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(kt_buf_text(&text), parts[i]) == NULL)
            fail_msg("'%s' is missing in:\n%s", parts[i], kt_buf_text(&text));
}

static void reads_the_sample(void **state)
{
    (void)state;
    findings_forget();
    struct config config = {0};
    struct kt_err err = {0};
    if (access("systemd/vaultd.hcl", R_OK) != 0)
        skip(); /* not run from the tree */
    if (config_read("systemd/vaultd.hcl", &config, &findings, &err) != KT_OK || findings.n != 0)
        fail_with(&err);
    config_free(&config);
}

#ifdef KT_FAULT
/* Every allocation fails once: an error each time, nothing half-made, nothing leaked. */
static void survives_want_of_memory(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth < 10000; nth++) {
        findings_forget();
        struct config config = {0};
        struct kt_err err = {0};
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = config_parse(kt_str(STORE LISTENER "limits { threads = 2 }"), "f",
                                         &config, &findings, &err);
        unsigned long made = kt_fail_allocation(0);
        if (kind == KT_OK)
            config_free(&config);
        if (made < nth)
            return; /* untouched: every allocation has had its turn */
        assert_true(kind == KT_NO_MEMORY || kind == KT_INVALID);
    }
    fail_msg("does not come to an end");
}
#endif

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(reads_values),
        cmocka_unit_test(defaults_agree),
        cmocka_unit_test(names_every_mistake_at_once),
        cmocka_unit_test(keeps_findings_bounded),
        cmocka_unit_test(looks_at_the_machine),
        cmocka_unit_test(describes_every_setting),
        cmocka_unit_test(reads_the_sample),
#ifdef KT_FAULT
        cmocka_unit_test(survives_want_of_memory),
#endif
    };
    enum { ROWS = sizeof rows / sizeof rows[0], OTHERS = sizeof others / sizeof others[0] };
    static struct CMUnitTest tests[ROWS + OTHERS];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = judges,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests_name("config", tests, make_folder, remove_folder);
}
