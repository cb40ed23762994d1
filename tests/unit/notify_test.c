/* Who is told: each thing once, in words, without a value; later when it does not arrive, and nothing lost.
 * The channels' other end is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/log.h"
#include "tests/support/hearing.h"
#include "vaultd/rotation/engine.h"

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

/* It ended well, and late; and not for everybody. */
static void who_was_left_behind_is_told_of(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }", person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    s->vault->now_ms += 601000;
    until(s, "done");
    soon_heard(p, "ops", "DONE, late", 1);
    assert_int_equal(heard(p, "ops", "\"hurt\":\"who has the old one still: not everybody was waited for\""), 1);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 3);
    cancel(s, 200);
    soon_says(s, "1 consumers that still run v3");
    s->vault->now_ms += 7200000;
    until(s, "rolled_back");
    soon_heard(p, "ops", "\"hurt\":\"who has the new one still: not everybody went back in time\"", 1);
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
    assert_int_equal(heard(p, "ops", "because orders@h1 is not healthy on v2\""), 1);
    soon_heard(p, "ops", "\"event\":\"consumer_vetoes\"", 1);
    assert_int_equal(heard(p, "ops", "secretctl consumer quarantine orders@h1 " SECRET), 1);
    soon_heard(p, "ops", "\"event\":\"target_held\"", 1);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":"), 6);
    scene_end(s);
}

/* A host chose the name, and somebody will paste the command. */
static void names_are_words(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    s->service = "x;$(id) it's";
    register_agent(s, "h1");
    goes_back(s);
    goes_back(s);
    soon_heard(p, "ops", "secretctl consumer quarantine 'x;$(id) it'\\\\''s@h1' " SECRET, 1);
    scene_end(s);
}

/* What goes only ahead ends nothing yet while its consumers are not well: that the old one lives says nobody. */
static void no_zombie_before_its_end(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    put_into_run(s, s->run, no_way_back);
    SIM_SET(&s->sim, down, true);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    for (int i = 0; i < PATIENCE && heard(p, "ops", "\"event\":\"revocation_stuck\"") == 0; i++) {
        s->vault->now_ms += 30000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    let_go(s);
    soon_says(s, "connection refused");
    assert_true(is_in(s, "acking"));
    assert_int_equal(heard(p, "ops", "WAITS  " SECRET ": pg does not answer"), 1);
    assert_int_equal(heard(p, "ops", "MAY STILL WORK"), 0);
    assert_false(test_vault_said(s->vault, "was not proven dead"));
    scene_end(s);
}

/* A target that answers is not called silent: what it answers is what people have to look at. */
static void what_answers_is_not_called_silent(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    rotate(s);
    soon(s, "overlapping");
    SIM_SET(&s->sim, bars, true);
    for (int i = 0; i < PATIENCE && heard(p, "ops", "\"event\":\"revocation_stuck\"") == 0; i++) {
        s->vault->now_ms += 30000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(heard(p, "ops", ": pg answers, but does not say who is let in; it is asked until it does"), 1);
    assert_int_equal(heard(p, "ops", "\"hurt\":\"not known: v2 is in use, and nobody saw it let in\""), 1);
    assert_int_equal(heard(p, "ops", "does not answer"), 0);
    SIM_SET(&s->sim, bars, false);
    ends_done(s);
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

static void drill(struct scene *s, int64_t slow_ms)
{
    register_agent(s, "h1");
    need(s, 200, "POST", "rotation/drill/" SECRET, "{\"reason\":\"before the release\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "acking");
    acknowledge(s, "h1", 2);
    until(s, "rolling_back");
    soon_says(s, "\"back_step\":\"redistribute\"");
    s->vault->now_ms += slow_ms;
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
}

static void a_drill_that_failed_says_what_it_was(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    change_rotation(s, "{\"rto\":\"10s\"}");
    drill(s, 60000);
    says(s, "\"drill\":\"failed\"");
    soon_heard(p, "ops", "DRILL FAILED  " SECRET ": it went back in ", 1);
    assert_int_equal(heard(p, "ops", "longer than its objective of 10s"), 1);
    scene_end(s);
}

/* It went back, as it was meant to. */
static void a_good_drill_is_no_news(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    drill(s, 0);
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

/* Of mail each host, once, and nothing that stands before it. */
static void each_host_is_shown(void **state)
{
    static const char *const to[] = {"a@one.example", "b@two.example", "c@ONE.example"};
    struct people *p = people_of(2);
    p->channels.at[0] = (struct notify_channel){.name = "ops", .mail = {to, 3}, .program = "mail"};
    struct scene *s = begin(p, *state);
    need(s, 200, "GET", "rotation/notify", NULL);
    says(s, "\"name\":\"ops\",\"host\":\"one.example, two.example\",\"kind\":\"mail\"");
    says(s, "\"name\":\"dba\",\"host\":\"dba.example\",\"kind\":\"webhook\"");
    assert_false(test_vault_said(s->vault, "@"));
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
    says(s, "\"name\":\"dba\",\"host\":\"dba.example\",\"kind\":\"webhook\",\"signed\":false,\"waiting\":0,\"sent\":1,\"failed\":0");
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
    (void)pthread_mutex_lock(&p->lock);
    p->deaf = false;
    (void)pthread_mutex_unlock(&p->lock);
    heard_in_the_end(p, s, "ops", "\"event\":\"test\"");
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
        s->vault->now_ms += 1000; /* the first failure may be written down only now */
        notifier_wake(s->vault->core->rotation->notifier);
        pause_ms(1);
    }
    says(s, "\"given_up\":1");
    all_told(s);
    scene_end(s);
}

/* Who mended the other end and tries it waits for an answer, not for a rest of five minutes. */
static void a_try_ends_a_rest(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    p->deaf = true;
    for (unsigned i = 1; i <= 10; i++) { /* each failure makes the rest twice as long */
        need(s, 200, "POST", "rotation/notify/ops/test", "{}");
        for (int k = 0; k < PATIENCE && tried(p) < i; k++)
            pause_ms(1);
        assert_true(tried(p) >= i);
    }
    (void)pthread_mutex_lock(&p->lock);
    p->deaf = false;
    (void)pthread_mutex_unlock(&p->lock);
    need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    char id[64];
    text_at(s, "data.id", id, sizeof id);
    soon_heard(p, "ops", id, 1);
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

static const char *const eight[NOTIFY_CHANNELS_MAX] = {"ops", "b", "c", "d", "e", "f", "g", "h"};

#define FILLED_AT_ONCE 40u

/* As channels that were deaf for long have them. */
static enum kt_kind fill_handler(struct request *req, struct kt_err *err)
{
    const unsigned *filled = req->handler_data;
    static char text[NOTICE_TEXT + 1];
    memset(text, 'x', NOTICE_TEXT);
    const struct notice old = {.id = "old", .channel = eight[*filled / NOTICES_MAX], .secret = SECRET, .run = "",
                               .verdict = text, .hurt = text, .next = text, .at_ms = req->now_ms};
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, 16384);
    record_write(&notice_kind, &old, &record);
    enum kt_kind kind = KT_OK;
    for (unsigned i = 0; i < FILLED_AT_ONCE && kind == KT_OK; i++) {
        unsigned number = *filled + i;
        unsigned char id[RUN_ID] = {2}, key[DUE_KEY];
        memcpy(id + 1, &number, sizeof number);
        notice_key(req->now_ms + NOTIFY_REST_MS, id, key);
        kind = barrier_put(req->core->barrier, request_batch(req), kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                           err);
    }
    return kind;
}

static void fill_all(struct scene *s)
{
    for (unsigned n = 0; n < NOTIFY_CHANNELS_MAX * NOTICES_MAX; n += FILLED_AT_ONCE)
        assert_int_equal(request_internal(s->vault->core, "test", fill_handler, &n, NULL), KT_OK);
}

/* Each channel gets a message of each consumer that vetoes, in the commit that has the run go back. */
static void many_vetoes(const char *strategy, bool full)
{
    struct people *p = people_of(NOTIFY_CHANNELS_MAX);
    char host[8];
    for (size_t i = 0; i < NOTIFY_CHANNELS_MAX; i++)
        p->channels.at[i] = (struct notify_channel){.name = eight[i], .url = "https://x.example/"};
    p->deaf = true;
    struct scene *s = begin(p, strategy);
    if (full)
        fill_all(s);
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(host, sizeof host, "h%u", i);
        register_agent(s, host);
    }
    for (unsigned i = 0; i < 2; i++) { /* nobody takes the new version */
        rotate(s);
        until(s, "rolled_back");
    }
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, "\"vetoes\":2");
    scene_end(s);
}

static void many_vetoes_at_many_channels(void **state)
{
    many_vetoes(*state, false);
}

static void many_vetoes_at_full_channels(void **state)
{
    many_vetoes(*state, true);
}

static enum kt_kind count_handler(struct request *req, struct kt_err *err)
{
    return notices_count(req, req->handler_data, err);
}

/* As a vault with more channels left it. */
static enum kt_kind leave_handler(struct request *req, struct kt_err *err)
{
    const struct notice left = {.id = "left", .channel = "gone", .secret = "", .run = "", .verdict = "v",
                                .hurt = "", .next = "", .at_ms = req->now_ms};
    unsigned char id[RUN_ID] = {1}, key[DUE_KEY];
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, 4096);
    record_write(&notice_kind, &left, &record);
    notice_key(req->now_ms, id, key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

static void a_channel_that_is_no_more(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    size_t waiting = 0;
    assert_int_equal(request_internal(s->vault->core, "test", leave_handler, NULL, NULL), KT_OK);
    assert_int_equal(request_internal(s->vault->core, "test", count_handler, &waiting, NULL), KT_OK);
    assert_int_equal(waiting, 1);
    s->vault->now_ms += NOTIFY_OLD_MS + 1000;
    for (int i = 0; i < PATIENCE; i++) {
        notifier_wake(s->vault->core->rotation->notifier);
        assert_int_equal(request_internal(s->vault->core, "test", count_handler, &waiting, NULL), KT_OK);
        if (waiting == 0)
            break;
        pause_ms(1);
    }
    assert_int_equal(waiting, 0);
    assert_int_equal(heard(p, NULL, ""), 0);
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

/* Nothing that a text has in it begins or ends a header line; what is long or no ASCII is in encoded words. */
static void mails(void **state)
{
    (void)state;
    static const char *const to[] = {"ops@example.com", "dba@example.org"};
    static const struct {
        const char *verdict, *subject;
    } rows[] = {
        {"FROZEN  secret/a: x", "Subject: FROZEN  secret/a: x\nMessage-ID: <01JD7K@keyturn.invalid>\n"},
        {"a\nBcc: all@example.com", "Subject: =?utf-8?B?YQpCY2M6IGFsbEBleGFtcGxlLmNvbQ==?=\nMessage-ID:"},
        {"a\r\n\r\nb", "Subject: =?utf-8?B?YQ0KDQpi?=\nMessage-ID:"},
        {"=?utf-8?B?YQ==?=", "Subject: =?utf-8?B?PT91dGYtOD9CP1lRPT0/PQ==?=\nMessage-ID:"},
        /* 38 bytes, and a character of two that is not cut. */
        {"01234567890123456789012345678901234567\xc3\xa4z",
         "Subject: =?utf-8?B?MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc=?=\n"
         " =?utf-8?B?w6R6?=\nMessage-ID:"},
    };
    const struct notify_channel channel = {
        .name = "m", .mail = {to, 2}, .from = "keyturn@example.com", .program = "mail"};
    struct kt_buf out;
    kt_buf_init(&out, NOTIFY_BODY_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct notice notice = sample;
        struct kt_err err = {0};
        notice.verdict = rows[i].verdict;
        assert_int_equal(channel_body(&channel, &notice, "c", &out, &err), KT_OK);
        const char *text = kt_buf_text(&out);
        if (strstr(text, rows[i].subject) == NULL)
            fail_msg("no %s in %s", rows[i].subject, text);
        assert_ptr_equal(strstr(text, "Date: Fri, 15 Jan 2027 08:00:00 +0000\nFrom: keyturn@example.com\n"
                                      "To: ops@example.com,\n dba@example.org\nSubject: "), text);
        assert_null(strstr(text, "\nBcc:"));
        for (const char *line = text; line != NULL; line = strchr(line + 1, '\n'))
            assert_true(strcspn(line + 1, "\n") <= 76);
    }
    kt_buf_free(&out);
}

static void settings(void **state)
{
    (void)state;
    static const char *const good[] = {"o.p+s@mail.example.com", "a@b", "a@b", "a@b", "a@b", "a@b", "a@b", "a@b", "a@b"};
    static const char *const bad[] = {"ops", "a@b\nBcc: c@d", "-t@b", "a@-b"};
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
        {{.name = "ops", .url = "https://h/x", .program = "mail"}, "are for mail"},
        {{.name = "ops", .mail = {good, 1}, .program = "mail"}, NULL},
        {{.name = "ops", .mail = {good, 1}, .from = "a@b", .program = "mail"}, NULL},
        {{.name = "ops", .mail = {good, 1}}, "mail needs program"},
        {{.name = "ops", .mail = {good, 1}, .program = "mail", .url = "https://h/x"}, "are for webhooks"},
        {{.name = "ops", .mail = {good, 9}, .program = "mail"}, "more than 8 addresses"},
        {{.name = "ops", .mail = {good, 1}, .from = "a b@c", .program = "mail"}, "from is no plain"},
        {{.name = "ops", .mail = {bad, 1}, .program = "mail"}, "no plain mail address"},
        {{.name = "ops", .mail = {bad + 1, 1}, .program = "mail"}, "no plain mail address"},
        {{.name = "ops", .mail = {bad + 2, 1}, .program = "mail"}, "no plain mail address"},
        {{.name = "ops", .mail = {bad + 3, 1}, .program = "mail"}, "no plain mail address"},
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
        ALTERNATE(who_was_left_behind_is_told_of),
        ALTERNATE(names_are_words),
        ALTERNATE(no_zombie_before_its_end),
        ALTERNATE(what_answers_is_not_called_silent),
        ALTERNATE(pausing_is_told),
        ALTERNATE(a_good_drill_is_no_news),
        ALTERNATE(a_drill_that_failed_says_what_it_was),
        ALTERNATE(only_who_is_named),
        ALTERNATE(each_host_is_shown),
        ALTERNATE(trying_one),
        ALTERNATE(it_is_kept_until_it_arrives),
        ALTERNATE(what_is_old_is_given_up),
        ALTERNATE(the_queue_is_bounded),
        ALTERNATE(a_try_ends_a_rest),
        ALTERNATE(many_vetoes_at_many_channels),
        ALTERNATE(many_vetoes_at_full_channels),
        ALTERNATE(a_channel_that_is_no_more),
        cmocka_unit_test(bodies),
        cmocka_unit_test(mails),
        cmocka_unit_test(settings),
        cmocka_unit_test(signatures),
        cmocka_unit_test(names_in_words),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
