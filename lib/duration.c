#include "lib/duration.h"

#include <stdio.h>

#include "lib/num.h"

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   (1000 * NS_PER_MS)
#define NS_PER_DAY (86400 * NS_PER_S)
#define NS_MAX     ((uint64_t)INT64_MAX)
/* Digits of a fraction that are looked at: 10^15 units of an hour fit into 128 bits, and one more
 * digit is less than a hundredth of a nanosecond. */
#define FRACTION_DIGITS 15u

__extension__ typedef unsigned __int128 wide;

static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},         {"us", 1000},    {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
    {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

static enum kt_kind fail(struct kt_err *err, const char *why)
{
    (void)kt_fail(err, KT_INVALID, "not a duration: %s", why);
    kt_hint(err, "write it like 90s, 5m, 1h30m, 1.5h, 250ms or 30d");
    return KT_INVALID;
}

static enum kt_kind too_long(struct kt_err *err)
{
    return fail(err, "more than 292 years");
}

static bool digit(struct kt_bytes text, size_t i)
{
    return i < text.len && text.at[i] >= '0' && text.at[i] <= '9';
}

static size_t digits_from(struct kt_bytes text, size_t i)
{
    size_t start = i;
    while (digit(text, i))
        i++;
    return i - start;
}

/* The unit that is all of text up to the next digit or point. */
static const struct unit *unit_at(struct kt_bytes text, size_t at, size_t *ret_len)
{
    size_t len = 0;
    while (at + len < text.len && !digit(text, at + len) && text.at[at + len] != '.')
        len++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (kt_bytes_is(kt_bytes(text.at + at, len), units[i].name)) {
            *ret_len = len;
            return &units[i];
        }
    }
    return NULL;
}

/* Nanoseconds in 0.DIGITS of a unit. */
static uint64_t fraction_ns(struct kt_bytes digits, uint64_t unit_ns)
{
    uint64_t value = 0, scale = 1;
    for (size_t i = 0; i < digits.len && i < FRACTION_DIGITS; i++) {
        value = value * 10 + (uint64_t)(digits.at[i] - '0');
        scale *= 10;
    }
    return (uint64_t)((wide)value * unit_ns / scale);
}

/* One number with its unit, from *at on. */
static enum kt_kind part(struct kt_bytes text, size_t *at, uint64_t *sum_ns, struct kt_err *err)
{
    size_t whole_len = digits_from(text, *at), next = *at + whole_len, fraction_len = 0;
    struct kt_bytes whole = kt_bytes(text.at + *at, whole_len);
    if (next < text.len && text.at[next] == '.')
        fraction_len = digits_from(text, ++next);
    if (whole_len + fraction_len == 0)
        return fail(err, "a number was expected");
    struct kt_bytes fraction = kt_bytes(text.at + next, fraction_len);
    next += fraction_len;
    if (next == text.len)
        return fail(err, "the unit is missing");
    size_t unit_len = 0;
    const struct unit *unit = unit_at(text, next, &unit_len);
    if (unit == NULL)
        return fail(err, "an unknown unit");
    uint64_t count = 0, ns = 0;
    if ((whole_len > 0 && !kt_u64_parse(whole, NS_MAX, &count)) ||
        __builtin_mul_overflow(count, unit->ns, &ns) ||
        __builtin_add_overflow(ns, fraction_ns(fraction, unit->ns), &ns) ||
        __builtin_add_overflow(*sum_ns, ns, sum_ns) || *sum_ns > NS_MAX)
        return too_long(err);
    *at = next + unit_len;
    return KT_OK;
}

/* A count of one unit. */
static enum kt_kind whole(struct kt_bytes count, uint64_t unit_ns, uint64_t *ret_ms,
                          struct kt_err *err)
{
    uint64_t n = 0;
    if (!kt_u64_parse(count, NS_MAX / unit_ns, &n))
        return too_long(err);
    *ret_ms = n * (unit_ns / NS_PER_MS);
    return KT_OK;
}

enum kt_kind kt_duration_parse(struct kt_bytes text, uint64_t *ret_ms, struct kt_err *err)
{
    if (text.len == 0)
        return fail(err, "empty");
    if (text.at[0] == '-')
        return fail(err, "negative");
    size_t first = digits_from(text, 0);
    if (first == text.len)
        return whole(text, NS_PER_S, ret_ms, err);
    if (first > 0 && first + 1 == text.len && text.at[first] == 'd')
        return whole(kt_bytes(text.at, first), NS_PER_DAY, ret_ms, err);
    if (text.at[text.len - 1] == 'd')
        return fail(err, "days are whole and stand alone");
    uint64_t sum_ns = 0;
    for (size_t at = 0; at < text.len;) {
        enum kt_kind kind = part(text, &at, &sum_ns, err);
        if (kind != KT_OK)
            return kind;
    }
    *ret_ms = sum_ns / NS_PER_MS;
    return KT_OK;
}

void kt_duration_text(uint64_t ms, char out[KT_DURATION_TEXT])
{
    if (ms == 0) {
        (void)snprintf(out, KT_DURATION_TEXT, "0s");
        return;
    }
    if (ms < 1000) {
        (void)snprintf(out, KT_DURATION_TEXT, "%ums", (unsigned)ms);
        return;
    }
    uint64_t s = ms / 1000;
    char fraction[8] = "";
    unsigned rest = (unsigned)(ms % 1000);
    if (rest != 0) {
        int len = snprintf(fraction, sizeof fraction, ".%03u", rest);
        while (len > 0 && fraction[len - 1] == '0')
            fraction[--len] = '\0';
    }
    int len = 0;
    if (s >= 3600)
        len = snprintf(out, KT_DURATION_TEXT, "%juh", (uintmax_t)(s / 3600));
    if (s >= 60)
        len +=
            snprintf(out + len, KT_DURATION_TEXT - (size_t)len, "%um", (unsigned)(s % 3600 / 60));
    (void)snprintf(out + len, KT_DURATION_TEXT - (size_t)len, "%u%ss", (unsigned)(s % 60),
                   fraction);
}
