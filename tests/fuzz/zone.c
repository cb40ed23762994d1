/* tests/fuzz/zone.c - TZif files: refused, or a mapping that goes there and back. */
#include "lib/assert.h"
#include "lib/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const struct kt_zone *zone, int64_t utc_s)
{
    int64_t offset_s = kt_zone_offset(zone, utc_s);
    KT_ASSERT(offset_s >= -26 * 3600 && offset_s <= 26 * 3600);
    struct kt_local local = kt_zone_local(zone, utc_s + offset_s);
    KT_ASSERT(local.kind != KT_LOCAL_GAP && local.size_s >= 0);
    KT_ASSERT(local.first_s <= utc_s && utc_s <= local.last_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_zone *zone = NULL;
    struct kt_err err = {0};
    if (size > 4096 || kt_zone_parse(kt_bytes(data, size), "Some/Where", &zone, &err) != KT_OK) {
        KT_ASSERT(size > 4096 || (err.kind == KT_CORRUPT && zone == NULL));
        return 0;
    }
    int64_t at_s = -4000000000;
    for (int i = 0; i < 12; i++) {
        int64_t from_s = at_s;
        there_and_back(zone, from_s);
        if (!kt_zone_change_after(zone, from_s, &at_s))
            break;
        KT_ASSERT(at_s > from_s);
        KT_ASSERT(kt_zone_offset(zone, at_s - 1) != kt_zone_offset(zone, at_s));
        KT_ASSERT(kt_zone_offset(zone, at_s - 1) == kt_zone_offset(zone, from_s));
        there_and_back(zone, at_s);
        (void)kt_zone_local(zone, at_s + kt_zone_offset(zone, at_s - 1));
    }
    kt_zone_free(zone);
    return 0;
}
