#include "lib/clock.h"

#include <string.h>
#include <time.h>

#include "lib/timespec.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec now = {0};
    (void)clock_gettime(id, &now);  /* cannot fail for these two clocks */
    return kt_timespec_ms(&now);
}

static int64_t system_wall(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_BOOTTIME);
}

const struct kt_clock kt_system_clock = {system_wall, system_mono, NULL};

int64_t kt_days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned yoe = (unsigned)(year - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void kt_date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = (int64_t)yoe + era * 400 + (*ret_month <= 2);
}

/* Every answer has such texts: snprintf would be a tenth of a read. */
static char *put_digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--, value /= 10)
        at[i - 1] = (char)('0' + value % 10);
    return at + count;
}

void kt_time_text(int64_t ms, char out[KT_TIME_TEXT])
{
    int64_t days = ms / 86400000;
    int64_t rest = ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    int64_t year = 0;
    unsigned month = 0, day = 0;
    kt_date_from_days(days, &year, &month, &day);
    unsigned s = (unsigned)(rest / 1000), frac = (unsigned)(rest % 1000);
    char *at = put_digits(out, (unsigned)year, 4);
    const struct {
        char before;
        unsigned value;
    } parts[] = {{'-', month}, {'-', day}, {'T', s / 3600}, {':', s / 60 % 60}, {':', s % 60}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *at++ = parts[i].before;
        at = put_digits(at, parts[i].value, 2);
    }
    if (frac != 0) {
        *at++ = '.';
        at = put_digits(at, frac, 3);
        while (at[-1] == '0')
            at--;
    }
    *at++ = 'Z';
    *at = '\0';
}

static bool digits(const char **at, const char *end, unsigned count, unsigned *ret)
{
    unsigned v = 0;
    for (unsigned i = 0; i < count; i++, (*at)++) {
        if (*at >= end || **at < '0' || **at > '9')
            return false;
        v = v * 10 + (unsigned)(**at - '0');
    }
    *ret = v;
    return true;
}

static bool literal(const char **at, const char *end, char c)
{
    if (*at >= end || **at != c)
        return false;
    (*at)++;
    return true;
}

/* "Z" or "+hh:mm": the offset in minutes. */
static bool offset(const char **at, const char *end, int *ret_minutes)
{
    if (literal(at, end, 'Z')) {
        *ret_minutes = 0;
        return true;
    }
    int sign = 1;
    if (!literal(at, end, '+')) {
        if (!literal(at, end, '-'))
            return false;
        sign = -1;
    }
    unsigned h = 0, m = 0;
    if (!digits(at, end, 2, &h) || !literal(at, end, ':') || !digits(at, end, 2, &m) || h > 23 ||
        m > 59)
        return false;
    *ret_minutes = sign * (int)(h * 60 + m);
    return true;
}

bool kt_time_parse(const char *text, size_t len, int64_t *ret_ms)
{
    const char *at = text, *end = text + len;
    unsigned y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    if (!digits(&at, end, 4, &y) || !literal(&at, end, '-') || !digits(&at, end, 2, &mo) ||
        !literal(&at, end, '-') || !digits(&at, end, 2, &d) || !literal(&at, end, 'T') ||
        !digits(&at, end, 2, &h) || !literal(&at, end, ':') || !digits(&at, end, 2, &mi) ||
        !literal(&at, end, ':') || !digits(&at, end, 2, &s))
        return false;
    if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 60)
        return false;
    unsigned ms = 0, scale = 100;
    if (literal(&at, end, '.')) {
        if (at >= end || *at < '0' || *at > '9')
            return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++, scale /= 10)
            ms += (unsigned)(*at - '0') * scale;
    }
    int minutes = 0;
    if (!offset(&at, end, &minutes) || at != end)
        return false;
    int64_t days = kt_days_from_date(y, mo, d);
    *ret_ms = ((days * 24 + h) * 60 + mi - minutes) * 60000 + (int64_t)s * 1000 + ms;
    return true;
}
