/* A certificate's run waits until each of its listeners shows the new one: who shows what, who is waited for, what
 * becomes of those that never do, when there is no way back, and who may name listeners. What real ones show is
 * tests/integration/certificates.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"

#define CA   "secret/ca"
#define LEAF "secret/leaf"
#define TLS  "{\"type\":\"x509\",\"issuer\":\"" CA "\",\"names\":\"a.example.com\",\"life\":\"20d\"}"

/* ---- listeners ---- */

/* How the next look finds it. */
struct listener {
    const char *host;
    bool reloads;     /* it shows what is looked for, from now on */
    const char *code; /* it cannot be asked; NULL: it can */
    bool lies;        /* what comes from the worker is nothing that a worker says */
    char shows[65];   /* hexadecimal; "": nothing yet */
    unsigned asked;
    char name[80];    /* that it was asked for */
};
static struct listener listeners[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rotation_executor others;

#define STRANGER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BANNER   "220 mail.example.com"

static void answer(struct listener *l, const struct driver_step *step, struct driver_result *ret)
{
    l->asked++;
    (void)snprintf(l->name, sizeof l->name, "%s", step->account);
    if (l->reloads)
        (void)snprintf(l->shows, sizeof l->shows, "%s", step->digest);
    *ret = (struct driver_result){.class = l->code == NULL ? DRIVER_OK : DRIVER_UNREACH};
    (void)snprintf(ret->code, sizeof ret->code, "%s", l->code == NULL ? "" : l->code);
    (void)snprintf(ret->text, sizeof ret->text, "%s", BANNER);
    (void)snprintf(ret->server_id, sizeof ret->server_id, "%s%s", l->lies ? BANNER : "", l->shows);
    (void)snprintf(ret->server_version, sizeof ret->server_version, "%s", l->lies ? BANNER : "4102444800000");
}

static enum kt_kind run_step(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    if (strcmp(step->driver, "tls") != 0)
        return others.run(arg, step, ret, err);
    struct listener *found = NULL;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(listeners[i].host, step->target.host) == 0)
            found = &listeners[i];
    if (found == NULL || step->op != DRIVER_INSPECT || step->target.port != 443 || step->logins[DRIVER_ADMIN].username)
        return kt_fail(err, KT_INTERNAL, "a step that was not wanted");
    (void)pthread_mutex_lock(&lock);
    answer(found, step, ret);
    (void)pthread_mutex_unlock(&lock);
    return KT_OK;
}

static void set_listener(size_t i, bool reloads, const char *code)
{
    (void)pthread_mutex_lock(&lock);
    listeners[i].reloads = reloads;
    listeners[i].code = code;
    (void)pthread_mutex_unlock(&lock);
}

static unsigned asked(size_t i)
{
    (void)pthread_mutex_lock(&lock);
    unsigned n = listeners[i].asked;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

/* ---- words ---- */

static void set_leaf(struct scene *s, const char *body)
{
    need(s, 204, "POST", "rotation/secrets/" LEAF, body);
}

static void rotate_leaf(struct scene *s)
{
    need(s, 200, "POST", "rotation/rotate/" LEAF, "{\"reason\":\"test\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

/* An authority and a certificate of it, which both listeners show. */
static struct scene *served(void)
{
    struct scene *s = scene(scene_alternate);
    others = s->executor;
    s->executor.run = run_step;
    memset(listeners, 0, sizeof listeners);
    listeners[0].host = "one.example.com";
    listeners[1].host = "192.0.2.2";
    need(s, 204, "POST", "rotation/secrets/" CA, "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"Root\"}}");
    need(s, 200, "POST", "rotation/rotate/" CA, "{}");
    set_leaf(s, "{\"generator\":" TLS ",\"served_at\":\"one.example.com:443,192.0.2.2\",\"ack_timeout\":30,"
                "\"max_overlap\":600}");
    set_listener(0, true, NULL);
    set_listener(1, true, NULL);
    rotate_leaf(s);
    soon(s, "done");
    return s;
}

static unsigned leaf_version(struct scene *s)
{
    char number[16];
    need(s, 200, "GET", "secret/data/leaf", NULL);
    text_at(s, "data.metadata.version", number, sizeof number);
    return (unsigned)strtoul(number, NULL, 10);
}

static void report_says(struct scene *s, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, text);
}

/* So that looks are made: the vault's time passes until the run tells of this. */
static void comes_to_say(struct scene *s, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        load_run(s);
        if (test_vault_said(s->vault, text))
            return;
        (void)goes_by(s, 10);
        pause_ms(1);
    }
    says(s, text);
}

static unsigned put_leaf(struct scene *s)
{
    return test_vault_call(s->vault, "POST", "secret/data/leaf", s->vault->root, "{\"data\":{\"mine\":\"1\"}}");
}

/* So much time passes, and then they are asked twice: what came of the first time was decided upon. */
static void looked_at(struct scene *s, int64_t ms)
{
    s->vault->now_ms += ms;
    unsigned before = asked(0);
    for (int i = 0; i < PATIENCE && asked(0) < before + 2; i++) {
        (void)goes_by(s, 100);
        pause_ms(1);
    }
    assert_true(asked(0) >= before + 2);
}

/* ---- a run ---- */

static void waits_for_each(void **state)
{
    (void)state;
    struct scene *s = served();
    assert_int_equal(leaf_version(s), 1);
    report_says(s, "DONE  " LEAF ": v1 is current; 2 of 2 listeners show it.");
    assert_string_equal(listeners[0].name, "one.example.com");
    assert_string_equal(listeners[1].name, ""); /* an address is no name to ask for */
    set_listener(0, true, NULL);
    set_listener(1, false, NULL);
    rotate_leaf(s);
    soon_says(s, "192.0.2.2:443 shows the certificate of before (SHA-256 ");
    says(s, "\"state\":\"acking\"");
    soon_says(s, "\"waits_for\":\"listeners 1/2 to show v2: 192.0.2.2:443 shows the certificate of before");
    says(s, "{\"place\":\"one.example.com:443\",\"ok\":true,\"shows\":\"new\"");
    says(s, "{\"place\":\"192.0.2.2:443\",\"ok\":false,\"shows\":\"old\"");
    assert_int_equal(leaf_version(s), 2);
    /* Nobody changes meanwhile what they are compared with, nor what is gone back to. */
    assert_int_equal(put_leaf(s), 400);
    says(s, "KT-R-005");
    need(s, 400, "POST", "secret/destroy/leaf", "{\"versions\":[1]}");
    need(s, 400, "POST", "rotation/rotate/" LEAF, "{}");
    says(s, "KT-R-003");
    set_listener(1, true, NULL);
    until(s, "done");
    report_says(s, "DONE  " LEAF ": v2 is current; 2 of 2 listeners show it.");
    says(s, "192.0.2.2:443 shows it (SHA-256 ");
    assert_false(test_vault_said(s->vault, BANNER));
    assert_int_equal(put_leaf(s), 200);
    scene_end(s);
}

/* What was seen before counts nothing: all show it in the look that ends the run. */
static void all_in_one_look(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, "connect");
    rotate_leaf(s);
    comes_to_say(s, "192.0.2.2:443 cannot be reached, since ");
    set_listener(0, false, "timeout");
    set_listener(1, true, NULL);
    comes_to_say(s, "one.example.com:443 does not answer in time, since ");
    comes_to_say(s, "{\"place\":\"192.0.2.2:443\",\"ok\":true"); /* perhaps only in the next look */
    assert_true(is_in(s, "acking"));
    set_listener(0, true, NULL);
    until(s, "done");
    scene_end(s);
}

static void never_shows_it(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, NULL);
    rotate_leaf(s);
    until(s, "rolled_back");
    says(s, "\"why\":\"1 of 2 listeners show v2 after 30 s; 192.0.2.2:443 shows the certificate of before");
    report_says(s, "# ROLLED BACK  " LEAF ": v1 is current again; v2 lasts until it ends or is revoked.");
    assert_false(test_vault_said(s->vault, "is dead"));
    says(s, "it went back by itself");
    assert_int_equal(leaf_version(s), 1);
    need(s, 200, "GET", "secret/data/leaf?version=2", NULL); /* it is none that nobody may have */
    need(s, 200, "GET", "rotation/secrets/" LEAF, NULL);
    says(s, "\"last_result\":\"rolled_back\"");
    assert_int_equal(put_leaf(s), 200);
    scene_end(s);
}

static void is_held(void **state)
{
    (void)state;
    struct scene *s = served();
    set_leaf(s, "{\"on_ack_timeout\":\"hold\"}");
    set_listener(0, false, "tls");
    set_listener(1, false, "near");
    rotate_leaf(s);
    comes_to_say(s, "one.example.com:443 does not shake hands");
    comes_to_say(s, "192.0.2.2:443 has no address that vaultd connects to");
    looked_at(s, 700000); /* ack_timeout and max_overlap */
    assert_true(is_in(s, "acking"));
    assert_int_equal(leaf_version(s), 2);
    set_listener(0, true, NULL);
    set_listener(1, true, NULL);
    until(s, "done");
    /* It is as old as the certificate. */
    char done[64], promoted[64];
    report_says(s, "\"promoted\"");
    text_at(s, "data.report.promoted", promoted, sizeof promoted);
    need(s, 200, "GET", "rotation/secrets/" LEAF, NULL);
    text_at(s, "data.state.last_done", done, sizeof done);
    assert_string_equal(done, promoted);
    scene_end(s);
}

static void somebody_cancels(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, "resolve");
    rotate_leaf(s);
    comes_to_say(s, "192.0.2.2:443 has a name without an address");
    cancel(s, 200);
    until(s, "rolled_back");
    assert_int_equal(leaf_version(s), 1);
    scene_end(s);
}

static void over_a_restart(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, NULL);
    rotate_leaf(s);
    comes_to_say(s, "\"shows\":\"old\"");
    unsigned before = asked(1);
    test_vault_reseal(s->vault);
    load_run(s);
    says(s, "\"shows\":\"old\""); /* what was seen is there, and is looked at again */
    for (int i = 0; i < PATIENCE && asked(1) == before; i++)
        pause_ms(1);
    assert_true(asked(1) > before); /* with no time in between */
    assert_true(is_in(s, "acking"));
    set_listener(1, true, NULL);
    until(s, "done");
    scene_end(s);
}

/* ---- no way back ---- */

static void ends_without_one(struct scene *s, unsigned version)
{
    let_go(s);
    until(s, "done");
    assert_int_equal(leaf_version(s), version);
    report_says(s, "is current; 1 of 2 listeners show it.");
    says(s, "listeners did not show the new certificate when max_overlap ended");
}

static void the_first_one(void **state)
{
    (void)state;
    struct scene *s = served();
    need(s, 204, "POST", "rotation/secrets/secret/new",
         "{\"generator\":" TLS ",\"served_at\":\"one.example.com,192.0.2.2\",\"ack_timeout\":30,\"max_overlap\":600}");
    set_listener(1, false, NULL);
    need(s, 200, "POST", "rotation/rotate/secret/new", "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    comes_to_say(s, "192.0.2.2:443 shows another certificate (SHA-256 ");
    soon_says(s, "there is no way back"); /* in the step behind the one that noted what it shows */
    says(s, "\"can_go_back\":false");
    looked_at(s, 60000);
    assert_true(is_in(s, "acking"));
    let_go(s);
    until(s, "done");
    report_says(s, "v1 is current; 1 of 2 listeners show it.");
    scene_end(s);
}

static void not_to_a_revoked_one(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, NULL);
    rotate_leaf(s);
    comes_to_say(s, "\"shows\":\"old\"");
    need(s, 200, "POST", "rotation/revoke/" LEAF, "{\"version\":1,\"reason\":\"lost\"}");
    cancel(s, 400);
    says(s, "KT-R-008");
    says(s, "what was before is no certificate, has ended or is revoked");
    s->vault->now_ms += 31000;
    comes_to_say(s, "there is no way back");
    assert_true(is_in(s, "acking"));
    ends_without_one(s, 2);
    scene_end(s);
}

static void not_to_one_that_ended(void **state)
{
    (void)state;
    struct scene *s = served();
    set_leaf(s, "{\"period\":\"\",\"jitter\":\"\",\"max_age\":\"\"}"); /* nobody renewed it in time */
    s->vault->now_ms += (int64_t)21 * 86400 * 1000;
    set_listener(1, false, NULL);
    rotate_leaf(s);
    comes_to_say(s, "there is no way back");
    cancel(s, 400);
    ends_without_one(s, 2);
    scene_end(s);
}

/* ---- consumers ---- */

static void leaf_agent(struct scene *s, unsigned version, const char *how)
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"service\":\"web\",\"version\":%u,\"state\":\"%s\",\"detail\":\"d\"}", version, how);
    s->vault->now_ms += 1;
    assert_int_equal(as_agent(s, "GET", "secret/data/leaf", NULL), 200);
    if (as_agent(s, "POST", "fleet/consumers/h1/" LEAF, body) != 200)
        fail_msg("%s", s->vault->body);
}

static void consumers_first(void **state)
{
    (void)state;
    struct scene *s = served();
    leaf_agent(s, 1, "registered");
    leaf_agent(s, 1, "healthy");
    unsigned before = asked(0);
    rotate_leaf(s);
    soon_says(s, "consumers 0/1 on v2 and healthy");
    assert_int_equal(asked(0), before);
    leaf_agent(s, 2, "healthy");
    until(s, "done");
    assert_true(asked(0) > before);
    /* One that cannot live with the new one: back, without asking any target. */
    rotate_leaf(s);
    soon_says(s, "consumers 0/1 on v3 and healthy");
    leaf_agent(s, 3, "unhealthy");
    soon(s, "rolling_back");
    leaf_agent(s, 2, "healthy");
    until(s, "rolled_back");
    assert_int_equal(leaf_version(s), 2);
    scene_end(s);
}

/* It has no way back, and its agent says nothing: who is silent is passed over, the listeners are not. */
static void silent_and_not_shown(void **state)
{
    (void)state;
    struct scene *s = served();
    leaf_agent(s, 1, "registered");
    leaf_agent(s, 1, "healthy");
    set_leaf(s, "{\"period\":\"\",\"jitter\":\"\",\"max_age\":\"\"}");
    s->vault->now_ms += (int64_t)21 * 86400 * 1000;
    set_listener(1, false, "connect");
    rotate_leaf(s);
    soon_says(s, "consumers 0/1 on v2 and healthy");
    unsigned before = asked(0);
    let_go(s);
    comes_to_say(s, "\"name\":\"passed over\"");
    until(s, "done");
    assert_true(asked(0) > before);
    report_says(s, "DONE  " LEAF ": v2 is current; 1 of 2 listeners show it.");
    says(s, "consumers had not acknowledged the new version when max_overlap ended");
    says(s, "listeners did not show the new certificate when max_overlap ended");
    scene_end(s);
}

/* Want of workers, say: nobody goes back for that before max_overlap. */
static void not_for_what_is_ours(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(1, false, "busy");
    rotate_leaf(s);
    comes_to_say(s, "192.0.2.2:443 could not be asked, since ");
    looked_at(s, 60000);
    assert_true(is_in(s, "acking"));
    let_go(s);
    until(s, "rolled_back");
    scene_end(s);
}

/* ---- what is believed ---- */

static void what_a_worker_says(void **state)
{
    (void)state;
    struct scene *s = served();
    set_listener(0, false, "nonsense");
    (void)pthread_mutex_lock(&lock);
    listeners[1].lies = true;
    (void)pthread_mutex_unlock(&lock);
    rotate_leaf(s);
    comes_to_say(s, "192.0.2.2:443 could not be asked, since ");
    comes_to_say(s, "one.example.com:443 could not be asked, since ");
    assert_false(test_vault_said(s->vault, BANNER));
    assert_false(test_vault_said(s->vault, "nonsense"));
    (void)pthread_mutex_lock(&lock);
    listeners[1].lies = false;
    listeners[1].reloads = false;
    memcpy(listeners[1].shows, STRANGER, sizeof listeners[1].shows);
    (void)pthread_mutex_unlock(&lock);
    comes_to_say(s, "192.0.2.2:443 shows another certificate (SHA-256 0123456789abcdef..., until 2100-01-01T00:00:00");
    until(s, "rolled_back");
    scene_end(s);
}

/* ---- what is written ---- */

static void spellings(void **state)
{
    (void)state;
    struct scene *s = served();
    static const struct {
        const char *given, *kept; /* NULL: it is refused */
    } rows[] = {
        {"WEB.Example.com:0443", "[\"web.example.com:443\"]"},
        {"a:1,b:2", "[\"a:1\",\"b:2\"]"},
        {"[2001:DB8:0::7]:8443", "[\"[2001:db8::7]:8443\"]"},
        {"[::ffff:192.0.2.7]:443", "[\"192.0.2.7:443\"]"},
        {"[::ffff:192.0.2.7]:443,192.0.2.7", NULL},
        {"a1.b2c", "[\"a1.b2c:443\"]"},
        {"127.1:443", NULL}, {"2130706433:443", NULL}, {"0x7f000001:443", NULL}, {"web.1:443", NULL},
        {"a..b:443", NULL}, {".a:443", NULL}, {"a.:443", NULL}, {"a b:443", NULL}, {"a/b:443", NULL},
        {"a:0", NULL}, {"a:65536", NULL}, {"a:443,A:0443", NULL}, {"/run/socket", NULL}, {"[::1%lo]:443", NULL},
        {"a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1", NULL}, {"*:443", NULL}, {"a+b:443", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "{\"served_at\":\"%s\"}", rows[i].given);
        unsigned status = test_vault_call(s->vault, "POST", "rotation/secrets/" LEAF, s->vault->root, body);
        if (status != (rows[i].kept == NULL ? 400u : 204u))
            fail_msg("%s: %u: %s", rows[i].given, status, s->vault->body);
        if (rows[i].kept == NULL)
            continue;
        need(s, 200, "GET", "rotation/secrets/" LEAF, NULL);
        (void)snprintf(body, sizeof body, "\"served_at\":%s", rows[i].kept);
        says(s, body);
    }
    need(s, 400, "POST", "rotation/secrets/" LEAF, "{\"served_name\":\"10.0.0.1\"}");
    set_leaf(s, "{\"served_at\":\"192.0.2.2\",\"served_name\":\"Shop.example.com\"}");
    rotate_leaf(s);
    until(s, "done");
    assert_string_equal(listeners[1].name, "shop.example.com");
    need(s, 400, "POST", "rotation/secrets/" LEAF, "{\"served_at\":\"\"}"); /* a name for nobody */
    set_leaf(s, "{\"served_at\":\"\",\"served_name\":\"\"}");
    rotate_leaf(s);
    assert_true(is_in(s, "done")); /* in its first commit */
    scene_end(s);
}

static void of_certificates_alone(void **state)
{
    (void)state;
    struct scene *s = served();
    static const char *const rows[] = {
        "{\"generator\":{\"type\":\"password\"},\"served_at\":\"a:443\"}",
        "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"x\"},\"served_at\":\"a:443\"}",
        "{\"generator\":{\"type\":\"x509-crl\",\"issuer\":\"" CA "\"},\"served_at\":\"a:443\"}",
        "{\"generator\":{\"type\":\"x509\",\"issuer\":\"" CA "\",\"names\":\"a.b\",\"usage\":\"client\"},"
        "\"served_at\":\"a:443\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(s, 400, "POST", "rotation/secrets/secret/x", rows[i]);
        says(s, "served_at is of a server's certificate");
    }
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"served_at\":\"a:443\"}");
    /* Nor does one stop being it while it has listeners. */
    need(s, 400, "POST", "rotation/secrets/" LEAF, "{\"generator\":{\"type\":\"password\"}}");
    need(s, 400, "POST", "rotation/targets/t", "{\"driver\":\"tls\",\"host\":\"a\"}");
    says(s, "driver must name a driver of this vaultd");
    assert_false(test_vault_said(s->vault, "tls"));
    scene_end(s);
}

static void who_may_name_them(void **state)
{
    (void)state;
    struct scene *s = served();
    char token[128];
    static const char policy[] = "path \"rotation/secrets/secret/leaf\" { capabilities = [\"create\", \"update\", \"read\"] }\n"
                                 "path \"rotation/listeners/a.example.com:443\" { capabilities = [\"update\"] }\n"
                                 "path \"rotation/listeners/b.example.com:443\" { capabilities = [\"read\", \"create\"] }\n";
    static const struct {
        const char *body;
        unsigned status;
    } rows[] = {
        {"{\"owner\":\"me\"}", 204}, /* what stands stays */
        {"{\"served_at\":\"a.example.com\"}", 204},
        {"{\"served_at\":\"A.Example.com:443\"}", 204},
        {"{\"served_at\":\"a.example.com:8443\"}", 403},
        {"{\"served_at\":\"a.example.com,c.example.com\"}", 403},
        {"{\"served_at\":\"b.example.com\"}", 403},
        {"{\"served_name\":\"d.example.com\"}", 204},
        {"{\"served_at\":\"\",\"served_name\":\"\"}", 204},
    };
    test_vault_token(s->vault, "setter", policy, token, sizeof token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned status = test_vault_call(s->vault, "POST", "rotation/secrets/" LEAF, token, rows[i].body);
        if (status != rows[i].status)
            fail_msg("%s: %u: %s", rows[i].body, status, s->vault->body);
    }
    /* Somebody else's listeners are not asked for another name, either. */
    set_leaf(s, "{\"served_at\":\"c.example.com\"}");
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" LEAF, token, "{\"served_name\":\"a.b\"}"), 403);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_each),
        cmocka_unit_test(all_in_one_look),
        cmocka_unit_test(never_shows_it),
        cmocka_unit_test(is_held),
        cmocka_unit_test(somebody_cancels),
        cmocka_unit_test(over_a_restart),
        cmocka_unit_test(the_first_one),
        cmocka_unit_test(not_to_a_revoked_one),
        cmocka_unit_test(not_to_one_that_ended),
        cmocka_unit_test(consumers_first),
        cmocka_unit_test(silent_and_not_shown),
        cmocka_unit_test(not_for_what_is_ours),
        cmocka_unit_test(what_a_worker_says),
        cmocka_unit_test(spellings),
        cmocka_unit_test(of_certificates_alone),
        cmocka_unit_test(who_may_name_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
