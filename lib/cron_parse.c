#include "lib/cron.h"

#include <stdio.h>
#include <strings.h>

#include "lib/cron_set.h"
#include "lib/num.h"

#define CYCLE_DAYS 146097 /* the Gregorian calendar repeats after 400 years, weekdays included */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const char *const no_names[] = {NULL};

static const struct field {
    const char *name;
    unsigned min, max;
    const char *const *names; /* of min, min+1, ... */
} fields[KT_CRON_FIELDS] = {
    [KT_CRON_SECOND] = {"second", 0, 59, no_names},
    [KT_CRON_MINUTE] = {"minute", 0, 59, no_names},
    [KT_CRON_HOUR] = {"hour", 0, 23, no_names},
    [KT_CRON_DAY] = {"day", 1, 31, no_names},
    [KT_CRON_MONTH] = {"month", 1, 12, month_names},
    [KT_CRON_WEEKDAY] = {"weekday", 0, 7, weekday_names},
};

static const struct word {
    const char *name, *cron;
} words[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* ---- one field ---- */

/* Characters that other crons give a meaning which the five fields cannot say. */
static const struct refused {
    char character;
    const char *what, *hint;
} refused[] = {
    {'#', "'#' (the n-th weekday of a month) is not supported",
     "write the days, as \"0 4 8-14 * *\", or the weekday alone, as \"0 4 * * fri\""},
    {'?', "'?' is not supported", "write \"*\""},
    {'L', "'L' (the last day) is not supported",
     "write \"28\" for a day that every month has, or \"1\" for the day after the last"},
    {'W', "'W' (the nearest working day) is not supported",
     "write \"mon-fri\" in the weekday field and \"*\" in the day field"},
    {'H', "'H' (a hashed value) is not supported",
     "write a fixed value and set jitter, which spreads the start times"},
};

/* "L", "5L", "LW", "fri#2", "H(0-29)", but not a mistyped name that has such a letter. */
static bool word_uses(struct kt_bytes word, char character)
{
    bool used = false;
    for (size_t i = 0; i < word.len; i++) {
        int c = word.at[i] >= 'a' && word.at[i] <= 'z' ? word.at[i] - 32 : word.at[i];
        bool letter = c >= 'A' && c <= 'Z';
        if (letter && character >= 'A' && character <= 'Z' && strchr("LWH", c) == NULL)
            return false;
        used |= c == character;
    }
    return used;
}

static enum kt_kind refuse_word(const struct field *field, struct kt_bytes word, struct kt_err *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (word_uses(word, refused[i].character)) {
            (void)kt_fail(err, KT_INVALID, "%s field: %s", field->name, refused[i].what);
            kt_hint(err, "%s", refused[i].hint);
            return KT_INVALID;
        }
    (void)kt_fail(err, KT_INVALID, "%s field: '%.*s' is no value", field->name,
                  (int)(word.len > 20 ? 20 : word.len), (const char *)word.at);
    if (field->names[0] == NULL)
        kt_hint(err, "write %u-%u, \"*\", \"*/2\", \"1-5\", \"1,3\"", field->min, field->max);
    else
        kt_hint(err, "write %u-%u, or names as \"%s\", \"%s-%s\"", field->min, field->max,
                field->names[0], field->names[1], field->names[4]);
    return KT_INVALID;
}

static enum kt_kind read_value(enum kt_cron_field which, struct kt_bytes text, unsigned *ret,
                               struct kt_err *err)
{
    const struct field *field = &fields[which];
    for (unsigned i = 0; text.len == 3 && field->names[i] != NULL; i++)
        if (strncasecmp((const char *)text.at, field->names[i], 3) == 0) {
            *ret = field->min + i;
            return KT_OK;
        }
    uint64_t v = 0;
    if (text.len > 9 || !kt_u64_parse(text, UINT32_MAX, &v))
        return refuse_word(field, text, err);
    if (v < field->min || v > field->max) {
        (void)kt_fail(err, KT_INVALID, "%s field: %u is outside %u-%u", field->name, (unsigned)v,
                      field->min, field->max);
        if (which == KT_CRON_HOUR && v == 24)
            kt_hint(err, "write 0 for midnight");
        else if (which == KT_CRON_WEEKDAY && v >= 1970)
            kt_hint(err,
                    "there is no year field: leave it out; the first of six fields is seconds");
        return KT_INVALID;
    }
    *ret = (unsigned)v;
    return KT_OK;
}

/* Writes a value as the reader wrote it most likely: by name where there are names. */
static const char *value_text(enum kt_cron_field which, unsigned v, char out[12])
{
    const struct field *field = &fields[which];
    if (field->names[0] != NULL && v <= field->max)
        return field->names[which == KT_CRON_WEEKDAY ? v % 7 : v - field->min];
    (void)snprintf(out, 12, "%u", v);
    return out;
}

static enum kt_kind refuse_wrap(enum kt_cron_field which, unsigned from, unsigned to,
                                struct kt_err *err)
{
    const struct field *field = &fields[which];
    unsigned last = which == KT_CRON_WEEKDAY ? 6 : field->max;
    char a[12], b[12], c[12], d[12];
    const char *from_text = value_text(which, from, a), *to_text = value_text(which, to, b);
    const char *last_text = value_text(which, last, c);
    const char *first_text = value_text(which, field->min, d);
    (void)kt_fail(err, KT_INVALID, "%s field: the range %s-%s runs backwards", field->name,
                  from_text, to_text);
    kt_hint(err, "use a list: %s%s%s,%s%s%s", from_text, from == last ? "" : "-",
            from == last ? "" : last_text, first_text, to == field->min ? "" : "-",
            to == field->min ? "" : to_text);
    return KT_INVALID;
}

struct range {
    unsigned from, to, step;
    bool is_range;
};

static enum kt_kind read_step(enum kt_cron_field which, struct kt_bytes text, struct range *range,
                              struct kt_err *err)
{
    const struct field *field = &fields[which];
    char a[12];
    if (!range->is_range) {
        (void)kt_fail(err, KT_INVALID, "%s field: a step needs a range", field->name);
        kt_hint(err, "write %u-%u%s", range->from, which == KT_CRON_WEEKDAY ? 6 : field->max,
                text.len == 0 ? "" : "/ and the step");
        uint64_t step = 0;
        if (kt_u64_parse(text, field->max, &step))
            kt_hint(err, "write %u-%u/%u", range->from, which == KT_CRON_WEEKDAY ? 6 : field->max,
                    (unsigned)step);
        return KT_INVALID;
    }
    uint64_t step = 0;
    if (!kt_u64_parse(text, UINT32_MAX, &step))
        return kt_fail(err, KT_INVALID, "%s field: after '/' a number is wanted", field->name);
    if (step == 0) {
        (void)kt_fail(err, KT_INVALID, "%s field: a step of 0 never moves on", field->name);
        kt_hint(err, "write 1 or more after '/'");
        return KT_INVALID;
    }
    if (step > 1 && step > range->to - range->from) {
        (void)kt_fail(err, KT_INVALID, "%s field: the step %llu is larger than the range",
                      field->name, (unsigned long long)step);
        kt_hint(err, "write \"%s\" if only that is meant", value_text(which, range->from, a));
        return KT_INVALID;
    }
    range->step = (unsigned)step;
    return KT_OK;
}

/* "*", "a" or "a-b", then perhaps "/n". */
static enum kt_kind read_item(enum kt_cron_field which, struct kt_bytes text, uint64_t *set,
                              struct kt_err *err)
{
    const struct field *field = &fields[which];
    const unsigned char *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
    struct kt_bytes body = slash == NULL ? text : kt_bytes(text.at, (size_t)(slash - text.at));
    const unsigned char *dash = body.len == 0 ? NULL : memchr(body.at, '-', body.len);
    struct range range = {field->min, field->max, 1, true};

    enum kt_kind kind = KT_OK;
    if (body.len == 0)
        return kt_fail(err, KT_INVALID, "%s field: a value is missing", field->name);
    if (dash != NULL) {
        kind = read_value(which, kt_bytes(body.at, (size_t)(dash - body.at)), &range.from, err);
        if (kind == KT_OK)
            kind = read_value(which, kt_bytes(dash + 1, (size_t)(body.at + body.len - dash - 1)),
                              &range.to, err);
        if (kind == KT_OK && range.from > range.to)
            kind = refuse_wrap(which, range.from, range.to, err);
    } else if (!kt_bytes_is(body, "*")) {
        kind = read_value(which, body, &range.from, err);
        range.to = range.from;
        range.is_range = false;
    }
    if (kind == KT_OK && slash != NULL)
        kind = read_step(which, kt_bytes(slash + 1, (size_t)(text.at + text.len - slash - 1)),
                         &range, err);
    if (kind != KT_OK)
        return kind;
    for (unsigned v = range.from; v <= range.to; v += range.step)
        *set |= (uint64_t)1 << (which == KT_CRON_WEEKDAY ? v % 7 : v);
    return KT_OK;
}

static enum kt_kind read_field(enum kt_cron_field which, struct kt_bytes text, struct kt_cron *cron,
                               struct kt_err *err)
{
    cron->star[which] = text.at[0] == '*';
    while (true) {
        const unsigned char *comma = text.len == 0 ? NULL : memchr(text.at, ',', text.len);
        struct kt_bytes item = comma == NULL ? text : kt_bytes(text.at, (size_t)(comma - text.at));
        enum kt_kind kind = read_item(which, item, &cron->set[which], err);
        if (kind != KT_OK || comma == NULL)
            return kind;
        text = kt_bytes(comma + 1, text.len - item.len - 1);
    }
}

/* ---- the whole ---- */

/* Splits at blanks. Returns the number of fields, which may be above max: then only max are set. */
static size_t split(struct kt_bytes text, struct kt_bytes *ret, size_t max)
{
    size_t n = 0, at = 0;
    while (at < text.len) {
        size_t from = at;
        while (at < text.len && text.at[at] != ' ' && text.at[at] != '\t')
            at++;
        if (at > from && n < max)
            ret[n] = kt_bytes(text.at + from, at - from);
        n += at > from;
        at++;
    }
    return n;
}

static enum kt_kind read_word(struct kt_bytes text, struct kt_bytes *ret, struct kt_err *err)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (text.len == strlen(words[i].name) &&
            strncasecmp((const char *)text.at, words[i].name, text.len) == 0) {
            *ret = kt_str(words[i].cron);
            return KT_OK;
        }
    if (kt_bytes_starts(text, "@every")) {
        (void)kt_fail(err, KT_INVALID, "@every is not a cron expression here");
        kt_hint(err, "use period = \"30d\": it counts from the last completed rotation");
    } else if (kt_bytes_starts(text, "@reboot")) {
        (void)kt_fail(err, KT_INVALID,
                      "@reboot is not supported: a restart is no reason to rotate");
        kt_hint(err, "write a time, as \"30 2 * * *\", or use period");
    } else {
        (void)kt_fail(err, KT_INVALID, "this word beginning with '@' is not known");
        kt_hint(err, "write @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually");
    }
    return KT_INVALID;
}

static enum kt_kind check_text(struct kt_bytes text, struct kt_err *err)
{
    if (text.len > KT_CRON_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "a cron expression has at most %u bytes", KT_CRON_TEXT_MAX);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.at[i];
        if (c == '=') {
            (void)kt_fail(err, KT_INVALID, "a cron expression sets no variables");
            kt_hint(err, "give the time zone apart: zone = \"Europe/Berlin\"");
            return KT_INVALID;
        }
        if ((c < ' ' && c != '\t') || c > '~')
            return kt_fail(err, KT_INVALID, "a cron expression is one line of ASCII characters");
    }
    return KT_OK;
}

static enum kt_kind check_count(size_t n, struct kt_bytes last, struct kt_err *err)
{
    static const char form[] = "write five fields: minute hour day month weekday, "
                               "as \"30 2 * * *\"; six begin with seconds";
    if (n == 5 || n == 6)
        return KT_OK;
    if (n == 0)
        (void)kt_fail(err, KT_INVALID, "the cron expression is empty");
    else if (n == 7 && last.at != NULL)
        (void)kt_fail(err, KT_INVALID, "there is no year field");
    else
        (void)kt_fail(err, KT_INVALID, "a cron expression has five or six fields, not %zu", n);
    kt_hint(err, n == 7 ? "leave the last field out; %s" : "%s", form);
    return KT_INVALID;
}

/* "February has no day 30". */
static enum kt_kind check_fires(const struct kt_cron *cron, struct kt_err *err)
{
    if (kt_cron_next_day(cron, 0, CYCLE_DAYS) < CYCLE_DAYS)
        return KT_OK;
    char text[160] = "";
    size_t len = 0;
    bool several = false;
    for (unsigned m = 1; m <= 12; m++)
        if ((cron->set[KT_CRON_MONTH] >> m) & 1 && len < sizeof text) {
            several = len > 0;
            int n = snprintf(text + len, sizeof text - len, "%s%s", several ? ", " : "",
                             kt_cron_months[m - 1]);
            len += n < 0 ? 0 : (size_t)n;
        }
    (void)kt_fail(err, KT_INVALID, "this never fires: %s %s no day %u", text,
                  several ? "have" : "has", kt_cron_lowest(cron->set[KT_CRON_DAY]));
    kt_hint(err, "choose a day that the month has; \"28\" exists in every month");
    return KT_INVALID;
}

enum kt_kind kt_cron_parse(struct kt_bytes text, struct kt_cron *ret, struct kt_err *err)
{
    struct kt_bytes part[7] = {{NULL, 0}};
    enum kt_kind kind = check_text(text, err);
    if (kind != KT_OK)
        return kind;
    size_t n = split(text, part, 7);
    if (n > 0 && part[0].at[0] == '@') {
        kind = read_word(part[0], &text, err);
        if (kind == KT_OK && n > 1)
            kind = kt_fail(err, KT_INVALID, "nothing may follow a word beginning with '@'");
        if (kind != KT_OK)
            return kind;
        n = split(text, part, 7);
    }
    kind = check_count(n, part[6], err);
    if (kind != KT_OK)
        return kind;

    struct kt_cron cron = {.set = {[KT_CRON_SECOND] = 1}};
    if (n == 6)
        cron.set[KT_CRON_SECOND] = 0;
    for (size_t i = 0; i < n; i++) {
        kind = read_field((enum kt_cron_field)(KT_CRON_FIELDS - n + i), part[i], &cron, err);
        if (kind != KT_OK)
            return kind;
    }
    if (cron.set[KT_CRON_SECOND] == ((uint64_t)1 << 60) - 1) {
        (void)kt_fail(err, KT_INVALID, "second field: this would fire every second");
        kt_hint(err,
                "write 0 for the full minute, or \"*/10\"; the first of six fields is seconds");
        return KT_INVALID;
    }
    kind = check_fires(&cron, err);
    if (kind == KT_OK)
        *ret = cron;
    return kind;
}
