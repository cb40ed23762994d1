/* How old the key shares and the credentials that open the vault are: from what is stored, told once, gone when they
 * are made anew; and where nothing is stored of it, that it is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/num.h"
#include "tests/support/hearing.h"
#include "vaultd/barrier/tables.h"
#include "vaultd/core/key_set.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/key_age.h"
#include "vaultd/rotation/names.h"

#define DAY_MS      ((int64_t)86400 * 1000)
#define HALF_DAY_MS (DAY_MS / 2)
#define TEXT        256u
#define FRESH       "\"keys\":[{\"key\":\"key shares (3 of 5)\",\"id\":\""
#define UNKNOWN     "\"made\":\"\",\"age_s\":null,\"max_age_s\":2592000,\"overdue\":"
#define TOLD        "OVERDUE  the vault's key shares (3 of 5): "

static void overdue(struct scene *s, const char *text)
{
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, text);
}

/* In steps that the clock's guard takes for time that passed. */
static void pass_days(struct scene *s, unsigned days)
{
    for (unsigned i = 0; i < 2 * days; i++) {
        s->vault->now_ms += HALF_DAY_MS;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

/* A walk came to its end since. */
static void counts(struct scene *s, unsigned n)
{
    char text[64];
    (void)snprintf(text, sizeof text, "\nkeyturn_keys_overdue %u\n", n);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "sys/metrics?format=prometheus", NULL);
        if (test_vault_said(s->vault, text))
            return;
        if (i % 100 == 0) /* the thread that walks may not get its turn: its days must not go by meanwhile */
            s->vault->now_ms += 300000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("never%s", text);
}

static struct scene *limited(struct people *p, const char *strategy, unsigned days)
{
    struct scene *s = begin(p, strategy);
    s->vault->core->config.max_key_age_ms = days * DAY_MS;
    return s;
}

static void rekey_with(struct scene *s, const char *path, const char *nonce, unsigned char shares[][SHAMIR_SHARE_BYTES],
                       unsigned n)
{
    char hex[2 * SHAMIR_SHARE_BYTES + 1], body[2 * TEXT];
    for (unsigned i = 0; i < n; i++) {
        kt_hex_encode(shares[i], SHAMIR_SHARE_BYTES, hex);
        (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, nonce);
        need(s, 200, "PUT", path, body);
    }
    says(s, "\"complete\":true");
}

/* verify: the new ones come back before they are the vault's. */
static void rekey(struct scene *s, bool verify)
{
    char nonce[TEXT], body[TEXT];
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    struct kt_json keys = {0};
    unsigned n = 0;
    (void)snprintf(body, sizeof body, "{\"secret_shares\":5,\"secret_threshold\":3,\"require_verification\":%s}",
                   verify ? "true" : "false");
    need(s, 200, "PUT", "sys/rekey/init", body);
    text_at(s, "nonce", nonce, sizeof nonce);
    rekey_with(s, "sys/rekey/update", nonce, s->vault->shares, 3);
    assert_true(kt_json_member(kt_json_value(kt_str(s->vault->body)), "keys", &keys));
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it))
        assert_int_equal(shamir_share_parse(kt_bytes((const unsigned char *)it.value.at + 1, it.value.len - 2),
                                            fresh[n++], NULL), KT_OK);
    assert_int_equal(n, 5);
    if (verify) {
        text_at(s, "verification_nonce", nonce, sizeof nonce);
        s->vault->now_ms += 60000; /* they are not the vault's yet */
        overdue(s, "\"overdue\":\"age\"");
        rekey_with(s, "sys/rekey/verify", nonce, fresh, 3);
    }
    memcpy(s->vault->shares, fresh, sizeof s->vault->shares);
}

/* ---- known ---- */

static void as_old_as_the_vault(void **state)
{
    struct scene *s = scene(*state);
    s->vault->now_ms += 60000; /* before the first walk, which reads the limit, too */
    overdue(s, FRESH);
    says(s, "\"made\":\"2027-01-15T08:00:00Z\",\"age_s\":60,\"max_age_s\":0,\"overdue\":\"\",\"since\":\"\","
            "\"next\":\"secretctl operator rekey -init -key-shares=5 -key-threshold=3\"}],\"keys_overdue\":0");
    s->vault->core->config.max_key_age_ms = 30 * DAY_MS;
    s->vault->now_ms += 40 * DAY_MS - 60000;
    overdue(s, "\"age_s\":3456000,\"max_age_s\":2592000,\"overdue\":\"age\",\"since\":\"2027-02-14T08:00:00Z\"");
    says(s, "\"keys_overdue\":1");
    says(s, "\"count\":0"); /* of the secrets */
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, FRESH);
    says(s, "\"overdue\":\"age\",\"since\":\"2027-02-14T08:00:00Z\"");
    /* What is stored is what counts. */
    test_vault_reseal(s->vault);
    overdue(s, "\"age_s\":3456000");
    scene_end(s);
}

/* Too old, told once; made anew; then too old once more. */
static void told_until_made_anew(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = limited(p, *state, 30);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"so that nothing starts\"}");
    for (unsigned times = 1; times <= 2; times++) {
        pass_days(s, 31);
        counts(s, 1);
        soon_heard(p, "ops", TOLD, times);
        soon_heard(p, "dba", TOLD, times);
        pass_days(s, 2);
        counts(s, 1);
        all_told(s);
        assert_int_equal(heard(p, "ops", TOLD), times);
        rekey(s, times == 1);
        overdue(s, "\"age_s\":0,\"max_age_s\":2592000,\"overdue\":\"\"");
        says(s, "\"keys_overdue\":0");
        counts(s, 0);
    }
    assert_int_equal(heard(p, "ops", "old, may be 720h0m0s"), 2);
    assert_int_equal(heard(p, "ops", "\"next\":\"secretctl operator rekey -init -key-shares=5 -key-threshold=3\""), 2);
    scene_end(s);
}

/* Nobody is told again because vaultd was started again. */
static void told_once_over_a_restart(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = limited(p, *state, 30);
    pass_days(s, 31);
    counts(s, 1);
    soon_heard(p, "ops", TOLD, 1);
    test_vault_reseal(s->vault);
    atomic_store(&s->vault->core->rotation->keys_overdue, 9); /* so that a walk is seen to end */
    counts(s, 1);
    all_told(s);
    assert_int_equal(heard(p, "ops", TOLD), 1);
    scene_end(s);
}

/* ---- not known ---- */

struct put {
    const char *id; /* NULL: what is there is damaged */
    unsigned char format;
    int64_t made_ms;
};

static enum kt_kind put(struct request *req, struct kt_err *err)
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    const struct put *wish = req->handler_data;
    struct batch *batch = request_batch(req);
    if (wish->id != NULL)
        return key_set_put(req->core, batch, wish->id, wish->made_ms, err);
    unsigned char key[BARRIER_NAME_KEY];
    barrier_name_key(req->core->barrier, TABLE_CONFIG, no_scope, kt_str("key-set"), key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_bytes(&wish->format, 1), err);
}

static void store(struct scene *s, struct put wish)
{
    assert_int_equal(request_internal(s->vault->core, "test/key-set", put, &wish, NULL), KT_OK);
}

static enum kt_kind forget(struct request *req, struct kt_err *err)
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    unsigned char key[BARRIER_NAME_KEY];
    (void)err;
    barrier_name_key(req->core->barrier, TABLE_CONFIG, no_scope, kt_str("key-set"), key);
    batch_delete(request_batch(req), kt_bytes(key, sizeof key));
    return KT_OK;
}

/* A vault from before there was a time; younger than the limit it is fine nevertheless. */
static void not_known(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = limited(p, *state, 30);
    assert_int_equal(request_internal(s->vault->core, "test/key-set", forget, NULL, NULL), KT_OK);
    overdue(s, UNKNOWN "\"\"");
    says(s, "\"keys_overdue\":0");
    pass_days(s, 31);
    overdue(s, UNKNOWN "\"unknown\",\"since\":\"\"");
    says(s, "\"keys_overdue\":1");
    counts(s, 1);
    soon_heard(p, "ops", TOLD "how old is not known, may be 720h0m0s", 1);
    rekey(s, false);
    overdue(s, "\"age_s\":0,\"max_age_s\":2592000,\"overdue\":\"\"");
    scene_end(s);
}

/* Of another set, or by a clock that was wrong: it says nothing of this one. */
static void of_another_set(void **state)
{
    struct scene *s = limited(people_of(1), *state, 30);
    char id[TEXT];
    s->vault->now_ms += 40 * DAY_MS;
    need(s, 200, "GET", "sys/seal-status", NULL);
    text_at(s, "key_set_id", id, sizeof id);
    store(s, (struct put){.id = "0a6c0000-0000-4000-8000-000000000000", .made_ms = s->vault->now_ms});
    overdue(s, UNKNOWN "\"unknown\"");
    store(s, (struct put){.id = id, .made_ms = s->vault->now_ms + 1000});
    overdue(s, UNKNOWN "\"unknown\"");
    store(s, (struct put){.id = id, .made_ms = s->vault->now_ms});
    overdue(s, "\"age_s\":0,\"max_age_s\":2592000,\"overdue\":\"\"");
    scene_end(s);
}

/* Of what cannot be read nothing is known: what else is overdue is told all the same, and a rekey mends it. */
static void what_is_damaged(void **state)
{
    struct scene *s = limited(people_of(1), *state, 30);
    store(s, (struct put){.format = 1});
    s->vault->now_ms += 31 * DAY_MS;
    overdue(s, "\"overdue\":\"unknown\"");
    says(s, "secretctl operator rekey -init");
    need(s, 200, "GET", "rotation/plan", NULL);
    store(s, (struct put){.format = 9});
    overdue(s, "\"overdue\":\"unknown\"");
    rekey(s, false);
    overdue(s, "\"age_s\":0");
    scene_end(s);
}

static enum kt_kind damage_told(struct request *req, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    keys_told_key(req->core, key);
    return barrier_put(req->core->barrier, request_batch(req), kt_bytes(key, sizeof key), kt_str("\x09what"), err);
}

/* Whom people were told of is not known: they are told once more, not at each look, and not never. */
static void told_is_damaged(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = limited(p, *state, 30);
    assert_int_equal(request_internal(s->vault->core, "test/told", damage_told, NULL, NULL), KT_OK);
    pass_days(s, 31);
    counts(s, 1);
    soon_heard(p, "ops", TOLD, 1);
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&s->vault->core->rotation->keys_overdue, 9); /* so that a walk is seen to end */
        pass_days(s, 1);
        counts(s, 1);
    }
    all_told(s);
    assert_int_equal(heard(p, "ops", TOLD), 1);
    scene_end(s);
}

/* ---- credentials ---- */

static char folder[TEXT];

static void hand_over(unsigned char mark)
{
    char path[TEXT + 8];
    unsigned char bytes[KT_KEY_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(mark + i);
    (void)snprintf(path, sizeof path, "%s/host", folder);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT, 0400);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    assert_int_equal(close(fd), 0);
}

static void credentials_too(void **state)
{
    static const char *const names[] = {"host"};
    struct people *p = people_of(1);
    struct scene *s = limited(p, *state, 30);
    (void)snprintf(folder, sizeof folder, "%s/credentials", s->vault->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    s->vault->core->config.credentials = folder;
    s->vault->core->config.seals = names;
    s->vault->core->config.n_seals = 1;
    hand_over(1);
    need(s, 200, "POST", "sys/seals/host", NULL);
    pass_days(s, 31);
    rekey(s, false);
    overdue(s, "\"key\":\"credential host\"");
    says(s, "\"overdue\":\"age\",\"since\":\"2027-02-14T08:00:00Z\",\"next\":\"secretctl operator seal-add host\"}],"
            "\"keys_overdue\":1");
    counts(s, 1);
    soon_heard(p, "ops", "OVERDUE  the vault's credential host: ", 1);
    /* The same key again is no new one. */
    need(s, 200, "POST", "sys/seals/host", NULL);
    says(s, "the seal stays as old as it was");
    overdue(s, "\"keys_overdue\":1");
    pass_days(s, 1);
    atomic_store(&s->vault->core->rotation->keys_overdue, 9); /* so that a walk is seen to end */
    counts(s, 1);
    all_told(s);
    assert_int_equal(heard(p, "ops", "OVERDUE  the vault's credential host: "), 1);
    hand_over(7);
    need(s, 200, "POST", "sys/seals/host", NULL);
    overdue(s, "\"keys_overdue\":0");
    counts(s, 0);
    scene_end(s);
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        OVERLAP(as_old_as_the_vault), OVERLAP(told_until_made_anew), OVERLAP(told_once_over_a_restart),
        OVERLAP(not_known),           OVERLAP(of_another_set),       OVERLAP(what_is_damaged),
        OVERLAP(told_is_damaged),     OVERLAP(credentials_too),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_key_age", tests, NULL, NULL);
}
