/* tests/fuzz/schedule.c - schedules: one setting a line, cron zone period jitter window max_age
 * catchup; then the lines of a calendar. Refused with a reason, or its fires ascend, lie in their windows
 * and in no blackout. */
#include <sodium.h>

#include "lib/assert.h"
#include "lib/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETTINGS 7

static void walk(const struct kt_schedule *schedule, const struct kt_blackout *blackout)
{
    struct kt_blackout_span span;
    static const unsigned char key[32] = {7};
    struct kt_schedule_seed seed = {kt_bytes(key, sizeof key), kt_str("id")};
    int64_t now_ms = 1800000000123, last_fire_ms = 0, last_done_ms = now_ms - 86400000;
    for (int i = 0; i < 8; i++) {
        struct kt_due due = {0};
        int64_t wait_ms = 0;
        if (!kt_schedule_next(schedule, &seed, now_ms, last_fire_ms, last_done_ms, &due)) {
            KT_ASSERT(kt_schedule_is_manual(schedule));
            return;
        }
        KT_ASSERT(due.fire_ms > last_fire_ms && due.due_ms >= due.fire_ms);
        KT_ASSERT(due.due_ms < due.closes_ms);
        KT_ASSERT(blackout == NULL || !kt_blackout_at(blackout, due.due_ms, &span));
        enum kt_due_verdict verdict = kt_schedule_judge(schedule, &due, now_ms, &wait_ms);
        KT_ASSERT(verdict != KT_DUE_WAIT || wait_ms > now_ms);
        if (verdict == KT_DUE_WAIT) {
            now_ms = due.due_ms = wait_ms;
            KT_ASSERT(kt_schedule_judge(schedule, &due, now_ms, &wait_ms) == KT_DUE_START);
        }
        last_fire_ms = due.fire_ms;
        if (i % 2 == 0)
            last_done_ms = now_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512] = {0}, *setting[SETTINGS] = {text};
    size_t n = 1;
    if (size >= sizeof text || sodium_init() < 0)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n') {
            text[i] = '\0';
            if (n < SETTINGS)
                setting[n++] = text + i + 1;
            else
                break;
        }
    size_t used = (size_t)(setting[n - 1] - text) + strlen(setting[n - 1]) + 1;
    const struct kt_blackout_text ranges = {.ranges = used < size ? text + used : ""};
    kt_autoblackout struct kt_blackout *blackout = NULL;
    struct kt_err err = {0};
    if (kt_blackout_parse(&ranges, &blackout, &err) != KT_OK) {
        KT_ASSERT(blackout == NULL && err.what[0] != '\0');
        return 0;
    }
    struct kt_schedule_text texts = {.cron = setting[0],
                                     .zone = setting[1],
                                     .period = setting[2],
                                     .jitter = setting[3],
                                     .window = setting[4],
                                     .max_age = setting[5],
                                     .catchup = setting[6],
                                     .blackout = blackout};
    struct kt_schedule *schedule = NULL;
    if (kt_schedule_parse(&texts, &schedule, &err) != KT_OK) {
        KT_ASSERT(schedule == NULL && err.what[0] != '\0');
        return 0;
    }
    kt_autobuf struct kt_buf words;
    kt_buf_init(&words, 8192);
    kt_schedule_describe(schedule, &words);
    kt_schedule_warn(schedule, 1800000000000, &words);
    KT_ASSERT(kt_buf_ok(&words) && words.len > 0);
    walk(schedule, blackout);
    kt_schedule_free(schedule);
    return 0;
}
