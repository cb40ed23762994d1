/* tests/fuzz/cron.c - cron expressions: a refusal that says why, or fires that ascend and match. */
#include "lib/assert.h"
#include "lib/clock.h"
#include "lib/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kt_zone *zone_of(size_t which)
{
    static const char *const names[] = {"UTC", "Europe/Berlin", "Pacific/Apia", "Antarctica/Troll"};
    static struct kt_zone *zones[4];
    if (zones[which] == NULL && kt_zone_load(NULL, names[which], &zones[which], NULL) != KT_OK)
        KT_ASSERT(kt_zone_load(NULL, "UTC", &zones[which], NULL) == KT_OK);
    return zones[which];
}

static bool matches_somewhere(const struct kt_cron *cron, int64_t local_s)
{
    int64_t days = local_s / 86400 - (local_s % 86400 < 0);
    return kt_cron_next_day(cron, days, days + 1) == days &&
           kt_cron_next_in_day(cron, local_s - days * 86400) == local_s - days * 86400;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_cron cron;
    struct kt_err err = {0};
    if (kt_cron_parse(kt_bytes(data, size), &cron, &err) != KT_OK) {
        KT_ASSERT(err.kind == KT_INVALID && err.what[0] != '\0');
        return 0;
    }
    kt_autobuf struct kt_buf words;
    kt_buf_init(&words, 4096);
    kt_cron_describe(&cron, "UTC", &words);
    KT_ASSERT(kt_buf_ok(&words) && words.len > 0);
    for (size_t which = 0; which < 4; which++) {
        const struct kt_zone *zone = zone_of(which);
        int64_t ms = 1300000000000 + (int64_t)size * 86400000;
        for (int i = 0; i < 5; i++) {
            int64_t after_ms = ms;
            if (!kt_cron_next(&cron, zone, after_ms, &ms)) {
                KT_ASSERT(which != 0); /* only a zone's gaps can swallow every fire */
                break;
            }
            KT_ASSERT(ms > after_ms && ms % 1000 == 0);
            int64_t now_s = kt_zone_offset(zone, ms / 1000);
            bool made_up = now_s > kt_zone_offset(zone, ms / 1000 - 1);
            KT_ASSERT(made_up || matches_somewhere(&cron, ms / 1000 + now_s));
        }
    }
    return 0;
}
