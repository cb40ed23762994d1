/* The wall clock is set while schedules go on: nothing fires twice, nothing is lost, nothing storms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/zone.h"
#include "tests/support/vault.h"
#include "vaultd/rotation/engine.h"

#define HOUR_MS  ((int64_t)3600 * 1000)
#define DAY_MS   (24 * HOUR_MS)
#define YEARS_MS (3652 * DAY_MS) /* ten of them */
#define PATIENCE 30000           /* rounds of at least 1 ms: only what hangs needs so many */
#define STEP_MS  (HOUR_MS / 2)

/* How often each of them runs in 48 hours, by its own rule. */
static const struct kind_row {
    const char *name, *body;
    unsigned status; /* 200: with a warning */
    unsigned least, most;
} kinds[] = {
    {"hourly", "{\"cron\":\"0 * * * *\"}", 204, 47, 49},
    {"daily", "{\"cron\":\"30 2 * * *\",\"zone\":\"Europe/Berlin\"}", 204, 2, 3},
    {"spread", "{\"cron\":\"0 */6 * * *\",\"jitter\":\"20m\"}", 204, 7, 9},
    {"night", "{\"cron\":\"0 12 * * *\",\"window\":\"22:00-04:00\"}", 200, 1, 3},
    {"period", "{\"period\":\"6h\"}", 204, 7, 9},
    {"aged", "{\"max_age\":\"12h\"}", 204, 3, 5},
    {"dropped", "{\"cron\":\"0 */4 * * *\",\"catchup\":\"none\"}", 204, 11, 13},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

struct scene {
    struct test_vault *vault;
    unsigned runs[KINDS], fires[KINDS];
    char last_fire[KINDS][64];
};

static void need(struct scene *s, unsigned wanted, const char *method, const char *path,
                 const char *body)
{
    unsigned status = test_vault_call(s->vault, method, path, s->vault->root, body);
    if (status != wanted)
        fail_msg("%s %s: %u, wanted %u: %s", method, path, status, wanted, s->vault->body);
}

static void pause_ms(long ms)
{
    const struct timespec left = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&left, NULL);
}

static void comes_to_say(struct scene *s, const char *path, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", path, NULL);
        if (test_vault_said(s->vault, text))
            return;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("no '%s' in %.2000s", text, s->vault->body);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->vault = test_vault_new(true);
    s->vault->now_ms += 5 * 60 * 1000; /* past the hour */
    for (size_t i = 0; i < KINDS; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", kinds[i].name);
        need(s, kinds[i].status, "POST", path, kinds[i].body);
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    test_vault_free(s->vault);
    free(s);
    return 0;
}

/* Runs are counted by the versions that they make, fires by the times that they say they were for. */
static void count(struct scene *s)
{
    for (size_t i = 0; i < KINDS; i++) {
        char path[64], fire[64], current[32];
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", kinds[i].name);
        need(s, 200, "GET", path, NULL);
        test_vault_text(s->vault, "data.state.current", current, sizeof current);
        test_vault_text(s->vault, "data.state.last_fire", fire, sizeof fire);
        unsigned runs = (unsigned)strtoul(current, NULL, 10);
        if (runs > s->runs[i] && strcmp(fire, s->last_fire[i]) != 0) {
            s->fires[i]++;
            (void)snprintf(s->last_fire[i], sizeof s->last_fire[i], "%s", fire);
        }
        s->runs[i] = runs;
    }
}

static int64_t wall(const struct scene *s)
{
    return s->vault->now_ms + s->vault->wall_ahead_ms;
}

/* All that is due by now has run. */
static void settle(struct scene *s)
{
    static const char mark[] = "\"next_due\":\"";
    for (int i = 0; i < PATIENCE; i++) {
        int64_t next_ms = 0;
        need(s, 200, "GET", "rotation/due?limit=1", NULL);
        const char *at = strstr(s->vault->body, mark);
        assert_non_null(at);
        at += sizeof mark - 1;
        assert_true(kt_time_parse(at, strcspn(at, "\""), &next_ms));
        if (next_ms > wall(s)) {
            count(s);
            return;
        }
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("still due: %s", s->vault->body);
}

static void time_passes(struct scene *s, int64_t ms)
{
    for (; ms > 0; ms -= STEP_MS) {
        s->vault->now_ms += STEP_MS;
        settle(s);
    }
}

/* Two days by the clock as it is now: each runs as often as its rule wants, and each time for another
 * fire. */
static void goes_on(struct scene *s)
{
    unsigned before[KINDS], fires[KINDS];
    memcpy(before, s->runs, sizeof before);
    memcpy(fires, s->fires, sizeof fires);
    time_passes(s, 2 * DAY_MS);
    for (size_t i = 0; i < KINDS; i++) {
        unsigned n = s->runs[i] - before[i];
        if (n < kinds[i].least || n > kinds[i].most)
            fail_msg("%s ran %u times in two days, wanted %u to %u", kinds[i].name, n,
                     kinds[i].least, kinds[i].most);
        if (n != s->fires[i] - fires[i])
            fail_msg("%s ran %u times for %u fires", kinds[i].name, n, s->fires[i] - fires[i]);
    }
}

/* How often each ran since: at most so many times. */
static void ran_at_most(struct scene *s, const unsigned before[KINDS], unsigned most)
{
    for (size_t i = 0; i < KINDS; i++)
        if (s->runs[i] - before[i] > most)
            fail_msg("%s ran %u times at once, wanted %u at most", kinds[i].name,
                     s->runs[i] - before[i], most);
}

static void jump(struct scene *s, int64_t by_ms)
{
    s->vault->wall_ahead_ms += by_ms;
    rotation_wake(s->vault->core->rotation);
}

/* So few are planned anew in one commit: when one of them is, all are. */
static void due_within(struct scene *s, const char *name, int64_t ms)
{
    char text[64], path[64];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", name);
    for (int i = 0; i < PATIENCE; i++) {
        int64_t next_ms = 0;
        need(s, 200, "GET", path, NULL);
        test_vault_text(s->vault, "data.state.next_due", text, sizeof text);
        assert_true(kt_time_parse(text, strlen(text), &next_ms));
        if (next_ms <= wall(s) + ms)
            return;
        pause_ms(1);
    }
    fail_msg("the next time of %s is still %s", name, text);
}

static void planned_by_the_clock(struct scene *s)
{
    due_within(s, "hourly", HOUR_MS);
}

/* By a clock that was wrong a time was named that comes again by the right one. */
static void forget_fires(struct scene *s)
{
    memset(s->last_fire, 0, sizeof s->last_fire);
}

static void distrusted_then_accepted(struct scene *s, const char *how)
{
    unsigned before[KINDS];
    memcpy(before, s->runs, sizeof before);
    comes_to_say(s, "rotation/clock", "\"alarm\":true");
    assert_true(test_vault_said(s->vault, how));
    count(s);
    ran_at_most(s, before, 0);
    need(s, 204, "POST", "rotation/clock", "{\"accept\":true}");
    comes_to_say(s, "rotation/clock", "\"alarm\":false");
    settle(s);
    planned_by_the_clock(s);
    settle(s);
    ran_at_most(s, before, 1);
    forget_fires(s);
}

static void an_hour_ahead(void **state)
{
    struct scene *s = *state;
    unsigned before[KINDS];
    goes_on(s);
    memcpy(before, s->runs, sizeof before);
    jump(s, HOUR_MS);
    settle(s);
    ran_at_most(s, before, 1);
    assert_int_equal(s->runs[0] - before[0], 1); /* the hour that was jumped over */
    goes_on(s);
}

static void an_hour_back(void **state)
{
    struct scene *s = *state;
    unsigned before[KINDS];
    goes_on(s);
    memcpy(before, s->runs, sizeof before);
    jump(s, -HOUR_MS);
    settle(s);
    ran_at_most(s, before, 0);
    /* The full hour that comes again has had its run. */
    time_passes(s, HOUR_MS);
    assert_int_equal(s->runs[0] - before[0], 0);
    time_passes(s, HOUR_MS);
    assert_int_equal(s->runs[0] - before[0], 1);
    goes_on(s);
}

static void to_and_fro(void **state)
{
    struct scene *s = *state;
    unsigned before[KINDS];
    goes_on(s);
    memcpy(before, s->runs, sizeof before);
    for (int i = 0; i < 6; i++) {
        jump(s, i % 2 == 0 ? -HOUR_MS : HOUR_MS);
        settle(s);
    }
    ran_at_most(s, before, 0);
    goes_on(s);
}

static void a_day_ahead(void **state)
{
    struct scene *s = *state;
    unsigned before[KINDS];
    goes_on(s);
    memcpy(before, s->runs, sizeof before);
    jump(s, DAY_MS);
    settle(s);
    ran_at_most(s, before, 1);
    assert_int_equal(s->runs[0] - before[0], 1); /* 24 fires became one run */
    assert_int_equal(s->runs[1] - before[1], 1);
    goes_on(s);
}

static void a_day_back(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    jump(s, -DAY_MS);
    distrusted_then_accepted(s, "went back");
    goes_on(s);
}

static void ten_years_ahead_and_back(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    jump(s, YEARS_MS);
    distrusted_then_accepted(s, "went ahead");
    goes_on(s);
    jump(s, -YEARS_MS);
    distrusted_then_accepted(s, "went back");
    goes_on(s);
}

static void ten_years_back_and_ahead(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    jump(s, -YEARS_MS);
    distrusted_then_accepted(s, "went back");
    goes_on(s);
    jump(s, YEARS_MS);
    distrusted_then_accepted(s, "went ahead");
    goes_on(s);
}

/* Nobody accepts it, and the clock is set right: as if nothing had been. */
static void ten_years_by_mistake(void **state)
{
    struct scene *s = *state;
    unsigned before[KINDS];
    goes_on(s);
    for (int i = 0; i < 2; i++) {
        memcpy(before, s->runs, sizeof before);
        jump(s, i == 0 ? YEARS_MS : -YEARS_MS);
        comes_to_say(s, "rotation/clock", "\"alarm\":true");
        jump(s, i == 0 ? -YEARS_MS : YEARS_MS);
        comes_to_say(s, "rotation/clock", "\"alarm\":false");
        settle(s);
        ran_at_most(s, before, 0);
        goes_on(s);
    }
}

/* A run by hand ends, and a setting is written, while the clock is wrong. */
static void used_while_wrong(struct scene *s)
{
    char current[32];
    unsigned before = s->runs[4];
    jump(s, YEARS_MS);
    comes_to_say(s, "rotation/clock", "\"alarm\":true");
    need(s, 200, "POST", "rotation/rotate/secret/period", NULL);
    (void)snprintf(current, sizeof current, "\"current\":%u", before + 1);
    comes_to_say(s, "rotation/secrets/secret/period", current);
    need(s, 204, "POST", "rotation/secrets/secret/hourly", "{\"cron\":\"0 * * * *\",\"zone\":\"UTC\"}");
    count(s);
}

static void used_by_mistake(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    used_while_wrong(s);
    jump(s, -YEARS_MS);
    comes_to_say(s, "rotation/clock", "\"alarm\":false");
    due_within(s, "period", 6 * HOUR_MS);
    planned_by_the_clock(s);
    goes_on(s);
}

/* vaultd knows nothing of the alarm any more when the clock is right. */
static void used_by_mistake_and_restarted(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    used_while_wrong(s);
    core_seal(s->vault->core, "test");
    s->vault->wall_ahead_ms -= YEARS_MS;
    test_vault_reseal(s->vault);
    due_within(s, "period", 6 * HOUR_MS);
    planned_by_the_clock(s);
    goes_on(s);
}

/* It is sealed (killed, restarted) right after the clock was accepted: all is planned anew all the same. */
static void accepted_and_restarted(void **state)
{
    struct scene *s = *state;
    goes_on(s);
    jump(s, YEARS_MS);
    distrusted_then_accepted(s, "went ahead");
    jump(s, -YEARS_MS);
    comes_to_say(s, "rotation/clock", "\"alarm\":true");
    test_vault_reseal(s->vault);
    comes_to_say(s, "rotation/clock", "is behind the last stored time");
    need(s, 204, "POST", "rotation/clock", "{\"accept\":true}");
    test_vault_reseal(s->vault);
    need(s, 204, "POST", "rotation/clock", "{\"accept\":true}");
    comes_to_say(s, "rotation/clock", "\"alarm\":false");
    planned_by_the_clock(s);
    settle(s);
    forget_fires(s);
    goes_on(s);
}

/* What waits for its window is not dropped by who changes something else. */
static void another_setting(void **state)
{
    struct scene *s = *state;
    time_passes(s, 13 * HOUR_MS);
    need(s, 200, "POST", "rotation/secrets/secret/night", "{\"owner\":\"db\"}");
    unsigned before = s->runs[3];
    time_passes(s, 10 * HOUR_MS);
    assert_int_equal(s->runs[3] - before, 1);
}

/* ---- the rules of a time zone ---- */

static const char *_Atomic zone_dir; /* NULL: the host's */
enum kt_kind __real_kt_zone_load(const char *dir, const char *name, struct kt_zone **ret, struct kt_err *err);
enum kt_kind __wrap_kt_zone_load(const char *dir, const char *name, struct kt_zone **ret, struct kt_err *err);
enum kt_kind __wrap_kt_zone_load(const char *dir, const char *name, struct kt_zone **ret, struct kt_err *err)
{
    return __real_kt_zone_load(dir == NULL ? zone_dir : dir, name, ret, err);
}

void __real_kt_zone_data_version(const char *dir, char out[KT_ZONE_VERSION_TEXT]);
void __wrap_kt_zone_data_version(const char *dir, char out[KT_ZONE_VERSION_TEXT]);
void __wrap_kt_zone_data_version(const char *dir, char out[KT_ZONE_VERSION_TEXT])
{
    __real_kt_zone_data_version(dir == NULL ? zone_dir : dir, out);
}

/* Each file is there whole or not at all: the vault reads at any moment. */
static void put_file(const char *dir, const char *name, const void *bytes, size_t len)
{
    char path[128], temporary[140];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(temporary, path), 0);
}

/* Berlin's clocks are as those of `like`. */
static void put_zone(const char *dir, const char *like, const char *version)
{
    static char bytes[65536];
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", KT_ZONE_DIR, like);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    put_file(dir, "Europe/Berlin", bytes, len);
    put_file(dir, "tzdata.zi", version, strlen(version));
}

static unsigned runs_of_zoned(struct scene *s)
{
    unsigned n = 0;
    if (test_vault_call(s->vault, "LIST", "rotation/runs?secret=secret/zoned", s->vault->root, NULL) == 404)
        return 0;
    for (const char *at = s->vault->body; (at = strstr(at, "\"trigger\":\"schedule\"")) != NULL; at++)
        n++;
    return n;
}

/* A country changes its clocks while the vault runs: what is due is planned by the new rules, and runs once a
 * day all the same. */
static void other_rules(void **state)
{
    struct scene *s = *state;
    char dir[] = "/tmp/kt-zones-XXXXXX", path[64];
    for (int i = 0; i < PATIENCE && atomic_load(&s->vault->core->rotation->poked); i++)
        pause_ms(1); /* its first look at the zones is an hour before the next one */
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/Europe", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put_zone(dir, "Europe/Berlin", "# version 2099a\n");
    zone_dir = dir;
    need(s, 204, "POST", "rotation/secrets/secret/zoned", "{\"cron\":\"0 3 * * *\",\"zone\":\"Europe/Berlin\"}");
    need(s, 200, "GET", "rotation/secrets/secret/zoned", NULL);
    assert_true(test_vault_said(s->vault, "\"next_due\":\"2027-01-16T02:00:00Z\""));
    put_zone(dir, "Asia/Tokyo", "# version 2099b\n");
    s->vault->now_ms += HOUR_MS + 60000;
    comes_to_say(s, "rotation/secrets/secret/zoned", "\"next_due\":\"2027-01-15T18:00:00Z\"");
    for (unsigned day = 1; day <= 2; day++) {
        time_passes(s, DAY_MS);
        assert_int_equal(runs_of_zoned(s), day);
    }
    zone_dir = NULL;
    static const char *const names[] = {"Europe/Berlin", "tzdata.zi", "Europe"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

/* The rotation thread looks at it again and again: it begins a look only when the one before has ended. */
static void alarm_stays(struct scene *s)
{
    struct rotation *rotation = s->vault->core->rotation;
    for (unsigned looks = 0; looks < 20; looks++) {
        rotation_wake(rotation);
        for (int i = 0; i < PATIENCE && atomic_load(&rotation->poked); i++)
            pause_ms(1);
        assert_false(atomic_load(&rotation->poked));
        need(s, 200, "GET", "rotation/clock", NULL);
        assert_true(test_vault_said(s->vault, "\"alarm\":true"));
    }
}

/* Just beyond the bound, then just within it: a day ahead is as wrong as it was. */
static void ends_when_it_is_right(void **state)
{
    static const int64_t jumps[][3] = {{DAY_MS + HOUR_MS, -2 * HOUR_MS, -23 * HOUR_MS},
                                       {-4 * HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS - HOUR_MS / 2}};
    struct scene *s = *state;
    for (size_t i = 0; i < 2; i++) {
        jump(s, jumps[i][0]);
        comes_to_say(s, "rotation/clock", "\"alarm\":true");
        jump(s, jumps[i][1]);
        alarm_stays(s);
        jump(s, jumps[i][2]);
        comes_to_say(s, "rotation/clock", "\"alarm\":false");
    }
}

/* Who asks for one secret is told what all of them wait for, also of one that has time left. */
static void each_says_so(void **state)
{
    struct scene *s = *state;
    jump(s, -DAY_MS);
    for (size_t i = 0; i < KINDS; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", kinds[i].name);
        comes_to_say(s, path, "\"blocked_by\":\"the clock went back by 1440 minutes");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_hour_ahead),
        TEST(an_hour_back),
        TEST(to_and_fro),
        TEST(a_day_ahead),
        TEST(a_day_back),
        TEST(ten_years_ahead_and_back),
        TEST(ten_years_back_and_ahead),
        TEST(ten_years_by_mistake),
        TEST(used_by_mistake),
        TEST(used_by_mistake_and_restarted),
        TEST(accepted_and_restarted),
        TEST(ends_when_it_is_right),
        TEST(each_says_so),
        TEST(another_setting),
        TEST(other_rules),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_jumps", tests, NULL, NULL);
}
