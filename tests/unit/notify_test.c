/* Who is told: each thing once, in words, without a value; later when it does not arrive, and nothing lost.
 * The channels' other end is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/engine.h"

#define KEPT 64u

/* The other end of all channels. */
struct people {
    pthread_mutex_t lock;
    struct notify_channels channels;
    bool deaf;
    unsigned tries, n;
    struct {
        char channel[16], id[64], body[4096];
    } got[KEPT];
};

static enum kt_kind hear(void *arg, const struct notify_order *order, struct kt_err *err)
{
    struct people *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    bool deaf = p->deaf;
    p->tries++;
    if (!deaf && p->n < KEPT) {
        (void)snprintf(p->got[p->n].channel, sizeof p->got[0].channel, "%s", order->channel->name);
        (void)snprintf(p->got[p->n].id, sizeof p->got[0].id, "%s", order->id);
        (void)snprintf(p->got[p->n].body, sizeof p->got[0].body, "%.*s", (int)order->body.len,
                       (const char *)order->body.at);
        p->n++;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return deaf ? kt_fail(err, KT_IO, "nobody answers") : KT_OK;
}

static struct people *people_of(size_t n)
{
    static struct people p;
    p = (struct people){.channels = {.at = {{.name = "ops", .url = "https://ops.example/secret-part"},
                                            {.name = "dba", .url = "https://dba.example/"}},
                                     .n = n,
                                     .send = hear}};
    (void)pthread_mutex_init(&p.lock, NULL);
    return &p;
}

static struct scene *begin(struct people *p, const char *strategy)
{
    p->channels.arg = p;
    return scene_telling(strategy, &p->channels);
}

static unsigned heard(struct people *p, const char *channel, const char *text)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->n; i++)
        n += (channel == NULL || strcmp(p->got[i].channel, channel) == 0) &&
             strstr(p->got[i].body, text) != NULL;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

static unsigned tried(struct people *p)
{
    (void)pthread_mutex_lock(&p->lock);
    unsigned n = p->tries;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

static void soon_heard(struct people *p, const char *channel, const char *text, unsigned times)
{
    for (int i = 0; i < PATIENCE && heard(p, channel, text) < times; i++)
        pause_ms(1);
    assert_int_equal(heard(p, channel, text), times);
}

/* Nothing waits any more: what was to be told was. */
static void all_told(struct scene *s)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/notify", NULL);
        if (!test_vault_said(s->vault, "\"waiting\":1") && !test_vault_said(s->vault, "\"waiting\":2") &&
            !test_vault_said(s->vault, "\"waiting\":3"))
            return;
        pause_ms(1);
    }
    says(s, "\"waiting\":0");
}

static void freeze(struct scene *s)
{
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    until(s, "frozen");
}

/* ---- what is told ---- */

static void frozen_is_told_once(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    freeze(s);
    soon_heard(p, "ops", "\"event\":\"frozen\"", 1);
    soon_heard(p, "dba", "\"event\":\"frozen\"", 1);
    assert_int_equal(heard(p, "ops", "FROZEN  " SECRET ": pg refuses the password"), 1);
    assert_int_equal(heard(p, "ops", "\"hurt\":\"whoever logs in with what the vault has\""), 1);
    assert_int_equal(heard(p, "ops", "\"next\":\"secretctl run show "), 1);
    assert_int_equal(heard(p, "ops", s->run), 1);
    assert_string_equal(p->got[0].id, p->got[1].id);
    /* It is looked at again and again, and stays what it is. */
    for (int i = 0; i < 5; i++) {
        s->vault->now_ms += 3600000;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 2);
    assert_int_equal(heard(p, NULL, "first-password-of-a"), 0);
    scene_end(s);
}

/* A run that ends where it began: the service does not take the new version. */
static void goes_back(struct scene *s)
{
    char to[16];
    rotate(s);
    soon(s, "acking");
    load_run(s);
    text_at(s, "data.to", to, sizeof to);
    unsigned version = (unsigned)strtoul(to, NULL, 10);
    read_version(s, version);
    assert_int_equal(report(s, "h1", version, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    until(s, "rolled_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
}

/* Acceptance test 13 among them: three runs in a row fail at a target, and one message says so. */
static void going_back_is_told(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    register_agent(s, "h1");
    for (unsigned i = 1; i <= 4; i++) {
        goes_back(s);
        soon_heard(p, "ops", "\"event\":\"rolled_back\"", i);
    }
    assert_int_equal(heard(p, "ops", "because orders@h1 is not healthy on v2: d"), 1);
    soon_heard(p, "ops", "\"event\":\"consumer_vetoes\"", 1);
    assert_int_equal(heard(p, "ops", "secretctl consumer quarantine orders@h1 " SECRET), 1);
    soon_heard(p, "ops", "\"event\":\"target_held\"", 1);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 6);
    scene_end(s);
}

static void pausing_is_told(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"say \\\"no\\\"\"}");
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"again\"}");
    soon_heard(p, "ops", "PAUSED  all rotations; by root: say \\\"no\\\"", 1);
    need(s, 200, "DELETE", "rotation/pause", NULL);
    soon_heard(p, "ops", "\"event\":\"resumed\"", 1);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 2);
    scene_end(s);
}

/* It went back, as it was meant to. */
static void a_good_drill_is_no_news(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    register_agent(s, "h1");
    need(s, 200, "POST", "rotation/drill/" SECRET, "{\"reason\":\"before the release\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "acking");
    acknowledge(s, "h1", 2);
    until(s, "rolling_back");
    soon_says(s, "\"back_step\":\"redistribute\"");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    says(s, "\"drill\":\"good\"");
    need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    soon_heard(p, "ops", "\"event\":\"test\"", 1);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 1);
    scene_end(s);
}

/* ---- to whom ---- */

static void only_who_is_named(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    change_rotation(s, "{\"notify\":\"team db, dba\"}");
    freeze(s);
    soon_heard(p, "dba", "\"event\":\"frozen\"", 1);
    all_told(s);
    assert_int_equal(heard(p, "ops", "\"event\":"), 0);
    scene_end(s);
}

static void trying_one(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    need(s, 404, "POST", "rotation/notify/none/test", "{}");
    says(s, "vaultd's configuration has no channel 'none'");
    need(s, 200, "POST", "rotation/notify/dba/test", "{}");
    soon_heard(p, "dba", "TEST  root wants to know", 1);
    all_told(s);
    need(s, 200, "GET", "rotation/notify", NULL);
    says(s, "\"name\":\"dba\",\"host\":\"dba.example\",\"signed\":false,\"waiting\":0,\"sent\":1,\"failed\":0");
    says(s, p->got[0].id);
    assert_false(test_vault_said(s->vault, "secret-part"));
    assert_int_equal(heard(p, "ops", "\"event\":"), 0);
    scene_end(s);
}

/* ---- when it does not arrive ---- */

static void it_is_kept_until_it_arrives(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    p->deaf = true;
    need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    char id[64];
    text_at(s, "data.id", id, sizeof id);
    for (int i = 0; i < PATIENCE && tried(p) == 0; i++)
        pause_ms(1);
    assert_true(tried(p) > 0);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/notify", NULL);
        if (test_vault_said(s->vault, "\"error\":\"nobody answers\""))
            break;
        pause_ms(1);
    }
    says(s, "\"waiting\":1,\"sent\":0");
    test_vault_reseal(s->vault);
    s->vault->now_ms += NOTIFY_REST_MS;
    (void)pthread_mutex_lock(&p->lock);
    p->deaf = false;
    (void)pthread_mutex_unlock(&p->lock);
    notifier_wake(s->vault->core->rotation->notifier);
    soon_heard(p, "ops", "\"event\":\"test\"", 1);
    assert_string_equal(p->got[0].id, id);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 1);
    scene_end(s);
}

static void what_is_old_is_given_up(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    p->deaf = true;
    need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    for (int i = 0; i < PATIENCE && tried(p) == 0; i++)
        pause_ms(1);
    s->vault->now_ms += NOTIFY_OLD_MS + 1000;
    notifier_wake(s->vault->core->rotation->notifier);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/notify", NULL);
        if (test_vault_said(s->vault, "\"given_up\":1"))
            break;
        notifier_wake(s->vault->core->rotation->notifier);
        pause_ms(1);
    }
    says(s, "\"given_up\":1");
    all_told(s);
    scene_end(s);
}

static void the_queue_is_bounded(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    p->deaf = true;
    for (unsigned i = 0; i < NOTICES_MAX; i++)
        need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    need(s, 412, "POST", "rotation/notify/ops/test", "{}");
    says(s, "1000 messages wait already");
    need(s, 200, "POST", "rotation/notify/dba/test", "{}"); /* which is another line */
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"what is done is done all the same\"}");
    scene_end(s);
}

/* ---- what is sent ---- */

static const struct notice sample = {.id = "01JD7K", .event = NOTICE_FROZEN, .secret = "secret/a\"b",
                                     .run = "R", .verdict = "line\none", .hurt = "nobody", .next = "do it",
                                     .at_ms = 1800000000000};

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *form, *wanted; /* NULL: not taken */
    } rows[] = {
        {"{\"text\":\"{{verdict}} -> {{secret}}\"}", "{\"text\":\"line\\none -> secret/a\\\"b\"}"},
        {"{\"a\":[\"{{event}}\",\"{{at}}\",\"{{cluster}}\"]}", "{\"a\":[\"frozen\",\"2027-01-15T08:00:00Z\",\"c\"]}"},
        {"{\"none\":1}", "{\"none\":1}"},
        {"{\"x\":\"{{password}}\"}", NULL},
        {"{\"x\":\"{{verdict\"}", NULL},
        {"{\"x\":{{verdict}}}", NULL},
        {"text {{verdict}}", NULL},
    };
    struct kt_buf out;
    kt_buf_init(&out, NOTIFY_BODY_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct notify_channel channel = {.name = "c", .url = "https://h/", .form = rows[i].form};
        struct kt_err err = {0};
        assert_int_equal(channel_judge(&channel, &err), rows[i].wanted == NULL ? KT_INVALID : KT_OK);
        if (rows[i].wanted == NULL)
            continue;
        assert_int_equal(channel_body(&channel, &sample, "c", &out, &err), KT_OK);
        assert_string_equal(kt_buf_text(&out), rows[i].wanted);
    }
    kt_buf_free(&out);
}

static void settings(void **state)
{
    (void)state;
    static const struct {
        struct notify_channel channel;
        const char *says; /* NULL: fine */
    } rows[] = {
        {{.name = "ops", .url = "https://h/x"}, NULL},
        {{.name = "ops", .url = "https://h/x", .key = "notify-ops"}, NULL},
        {{.name = "a b", .url = "https://h/x"}, "a channel's name"},
        {{.name = "ops"}, "needs a url of https"},
        {{.name = "ops", .url = "http://h/x"}, "needs a url of https"},
        {{.name = "ops", .url = "https://h/x", .key = "../key"}, "name of a credential"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_err err = {0};
        enum kt_kind kind = channel_judge(&rows[i].channel, &err);
        assert_int_equal(kind, rows[i].says == NULL ? KT_OK : KT_INVALID);
        if (rows[i].says != NULL)
            assert_non_null(strstr(err.what, rows[i].says));
    }
}

static void signatures(void **state)
{
    (void)state;
    char folder[] = "/tmp/notify-test-XXXXXX", path[64], signature[NOTIFY_SIGNATURE];
    unsigned char key[KT_KEY_BYTES];
    struct kt_err err = {0};
    struct notify_channel channel = {.name = "c", .url = "https://h/", .key = "k"};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/k", folder);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(i + 1);
    assert_int_equal(channel_sign(&channel, folder, 0, kt_str("{}"), signature, &err), KT_NOT_FOUND);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(key, sizeof key, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(channel_sign(&channel, folder, 1800000000123, kt_str("{\"a\":1}"), signature, &err), KT_OK);
    /* Computed by another program. */
    assert_string_equal(signature, "t=1800000000,v1=db217573c4e611c6c99c067e975237e0cdc8bf2dff6a41b341ec0ae807fc37c3");
    channel.key = NULL;
    assert_int_equal(channel_sign(&channel, NULL, 0, kt_str("{}"), signature, &err), KT_OK);
    assert_string_equal(signature, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void names_in_words(void **state)
{
    (void)state;
    assert_true(channel_is_named("ops", "ops"));
    assert_true(channel_is_named("ops", "team, ops dba"));
    assert_false(channel_is_named("ops", "oops opsx,dba"));
    assert_false(channel_is_named("ops", ""));
    assert_false(channel_is_named("ops", NULL));
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ALTERNATE(frozen_is_told_once),
        ALTERNATE(going_back_is_told),
        ALTERNATE(pausing_is_told),
        ALTERNATE(a_good_drill_is_no_news),
        ALTERNATE(only_who_is_named),
        ALTERNATE(trying_one),
        ALTERNATE(it_is_kept_until_it_arrives),
        ALTERNATE(what_is_old_is_given_up),
        ALTERNATE(the_queue_is_bounded),
        cmocka_unit_test(bodies),
        cmocka_unit_test(settings),
        cmocka_unit_test(signatures),
        cmocka_unit_test(names_in_words),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
