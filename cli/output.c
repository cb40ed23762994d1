/* cli/output.c - see cli/output.h. */
#include "cli/output.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/api.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/plain_text.h"
#include "lib/utf8.h"

#define TABLE_TEXT_MAX ((size_t)256 * 1024 * 1024)
#define GAP            4u

/* ---- tables ---- */

void table_init(struct table *table, size_t columns, const char *const *names)
{
    *table = (struct table){.columns = columns};
    kt_buf_init(&table->text, TABLE_TEXT_MAX);
    for (size_t i = 0; names != NULL && i < columns; i++)
        table_text(table, names[i]);
    for (size_t i = 0; names != NULL && i < columns; i++) {
        char dashes[32];
        size_t len = strlen(names[i]) < sizeof dashes ? strlen(names[i]) : sizeof dashes - 1;
        memset(dashes, '-', len);
        dashes[len] = '\0';
        table_text(table, dashes);
    }
}

void table_free(struct table *table)
{
    kt_buf_free(&table->text);
    free(table->ends);
    *table = (struct table){0};
}

static void end_cell(struct table *table)
{
    if (table->cells == table->room) {
        size_t room = table->room == 0 ? 64 : table->room * 2;
        size_t *ends = kt_calloc(room, sizeof *ends);
        if (ends == NULL) {
            table->failed = true;
            return;
        }
        if (table->cells > 0)
            memcpy(ends, table->ends, table->cells * sizeof *ends);
        free(table->ends);
        table->ends = ends;
        table->room = room;
    }
    table->ends[table->cells++] = table->text.len;
}

void table_bytes(struct table *table, struct kt_bytes text)
{
    output_safe(&table->text, text);
    end_cell(table);
}

void table_text(struct table *table, const char *text)
{
    table_bytes(table, kt_str(text));
}

void table_printf(struct table *table, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    table_text(table, text);
}

void table_json(struct table *table, struct kt_json value)
{
    enum kt_json_type type = kt_json_type(value);
    if (type == KT_JSON_NONE || type == KT_JSON_NULL) {
        table_text(table, "-");
        return;
    }
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, TABLE_TEXT_MAX);
    output_value(&text, value);
    table_bytes(table, kt_buf_bytes(&text));
}

void table_list(struct table *table, struct kt_json value)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, TABLE_TEXT_MAX);
    if (kt_json_type(value) != KT_JSON_ARRAY) {
        table_json(table, value);
        return;
    }
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        if (text.len > 0)
            kt_buf_add_text(&text, ", ");
        output_value(&text, it.value);
    }
    table_bytes(table, kt_buf_bytes(&text));
}

void table_members(struct table *table, struct kt_json object)
{
    kt_autobuf struct kt_buf key = {0};
    kt_buf_init(&key, TABLE_TEXT_MAX);
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        kt_buf_reset(&key);
        (void)kt_json_string(it.key, &key);
        table_bytes(table, kt_buf_bytes(&key));
        if (kt_json_type(it.value) == KT_JSON_NULL)
            table_text(table, "n/a");
        else
            table_json(table, it.value);
    }
}

size_t table_rows(const struct table *table)
{
    size_t rows = table->cells / table->columns;
    return rows >= 2 ? rows - 2 : 0;
}

static struct kt_bytes cell(const struct table *table, size_t i)
{
    size_t from = i == 0 ? 0 : table->ends[i - 1];
    return kt_bytes(table->text.at + from, table->ends[i] - from);
}

static size_t width_of(struct kt_bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.at[i] & 0xC0) != 0x80;
    return width;
}

static void blanks(struct kt_buf *out, size_t n)
{
    while (n-- > 0)
        kt_buf_add_char(out, ' ');
}

/* Lines after the first of a value stand below it. */
static void add_cell(struct kt_buf *out, struct kt_bytes text, size_t column)
{
    for (size_t i = 0; i < text.len; i++) {
        kt_buf_add_char(out, (char)text.at[i]);
        if (text.at[i] == '\n' && i + 1 < text.len)
            blanks(out, column);
    }
}

/* Without the blanks that empty last cells leave. */
static void end_line(struct kt_buf *out)
{
    while (out->len > 0 && out->at[out->len - 1] == ' ')
        out->len--;
    kt_buf_add_char(out, '\n');
}

void table_print(const struct table *table, unsigned indent, struct kt_buf *out)
{
    size_t width[TABLE_COLUMNS] = {0};
    if (table->failed || table->text.failed) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < table->cells; i++) {
        size_t w = width_of(cell(table, i));
        if (i % table->columns + 1 < table->columns && w > width[i % table->columns])
            width[i % table->columns] = w;
    }
    size_t column = 0;
    for (size_t i = 0; i < table->cells; i++) {
        struct kt_bytes text = cell(table, i);
        if (i % table->columns == 0) {
            blanks(out, indent);
            column = indent;
        }
        add_cell(out, text, column);
        size_t wide = width[i % table->columns];
        size_t w = width_of(text);
        if (i % table->columns + 1 == table->columns)
            end_line(out);
        else
            blanks(out, wide + GAP - (w < wide ? w : wide));
        column += wide + GAP;
    }
}

/* ---- values ---- */

void output_safe(struct kt_buf *out, struct kt_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.at[i];
        size_t n = kt_utf8_step(text.at + i, text.len - i);
        uint32_t code = n > 1 ? kt_utf8_code(text.at + i, n) : 0;
        if (n > 1 && !kt_is_plain(code)) {
            kt_buf_printf(out, "\\u%04x", code);
            i += n - 1;
        } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            kt_buf_printf(out, "\\x%02x", c);
        } else {
            kt_buf_add_char(out, (char)c);
        }
    }
}

void output_value(struct kt_buf *out, struct kt_json value)
{
    if (kt_json_type(value) == KT_JSON_STRING)
        (void)kt_json_string(value, out);
    else
        kt_buf_add_bytes(out, kt_json_bytes(value));
}

void output_line(struct kt_buf *out, struct kt_bytes text)
{
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, 2 * text.len + 1);
    kt_api_tidy(&line, text);
    output_safe(out, kt_buf_bytes(&line));
}

static void json_newline(struct kt_buf *out, size_t depth)
{
    kt_buf_add_char(out, '\n');
    blanks(out, depth * 2);
}

/* Checked text, so that only strings have to be told from the rest. */
void output_numbered(struct kt_buf *out, const char *name, struct kt_json list)
{
    size_t number = 0;
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        kt_buf_printf(out, "%s %zu: ", name, ++number);
        output_value(out, it.value);
        kt_buf_add_char(out, '\n');
    }
}

void output_json_at(struct kt_buf *out, struct kt_json value, size_t depth)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '"') {
            size_t from = i++;
            while (value.at[i] != '"')
                i += value.at[i] == '\\' ? 2 : 1;
            kt_buf_add(out, value.at + from, i - from + 1);
        } else if (c == '{' || c == '[') {
            size_t next = i + 1;
            while (next < value.len && strchr(" \n\r\t", value.at[next]) != NULL)
                next++;
            kt_buf_add_char(out, c);
            if (next < value.len && (value.at[next] == '}' || value.at[next] == ']')) {
                kt_buf_add_char(out, value.at[next]);
                i = next;
            } else {
                json_newline(out, ++depth);
            }
        } else if (c == '}' || c == ']') {
            json_newline(out, --depth);
            kt_buf_add_char(out, c);
        } else if (c == ',') {
            kt_buf_add_char(out, c);
            json_newline(out, depth);
        } else if (c == ':') {
            kt_buf_add_text(out, ": ");
        } else if (strchr(" \n\r\t", c) == NULL) {
            kt_buf_add_char(out, c);
        }
    }
}

void output_json(struct kt_buf *out, struct kt_json value)
{
    output_json_at(out, value, 0);
    kt_buf_add_char(out, '\n');
}

/* ---- times ---- */

/* The zone of TZ, else of /etc/localtime; UTC when neither can be read. */
static struct kt_zone *load_zone(void)
{
    struct kt_zone *zone = NULL;
    const char *name = secure_getenv("TZ");
    if (name != NULL && name[0] == ':')
        name++;
    if (name != NULL && name[0] != '\0' && kt_zone_load(NULL, name, &zone, NULL) == KT_OK)
        return zone;
    kt_autoclose int fd = name != NULL ? -1 : open("/etc/localtime", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, KT_ZONE_FILE_MAX);
        struct stat st = {0};
        unsigned char *at =
            fstat(fd, &st) == 0 && st.st_size > 0 ? kt_buf_grow(&text, (size_t)st.st_size) : NULL;
        if (at != NULL && read(fd, at, (size_t)st.st_size) == st.st_size &&
            kt_zone_parse(kt_buf_bytes(&text), "local", &zone, NULL) == KT_OK)
            return zone;
    }
    return kt_zone_load(NULL, "UTC", &zone, NULL) == KT_OK ? zone : NULL;
}

static int64_t offset_at(struct cli *cli, int64_t utc_s)
{
    if (!cli->zone_loaded) {
        cli->zone = load_zone();
        cli->zone_loaded = true;
    }
    return cli->zone != NULL ? kt_zone_offset(cli->zone, utc_s) : 0;
}

struct broken_time {
    int64_t year;
    unsigned month, day, hour, minute, second;
    char sign;
    unsigned offset_h, offset_m;
};

static struct broken_time break_down(struct cli *cli, int64_t ms)
{
    int64_t utc_s = ms / 1000 - (ms % 1000 < 0);
    int64_t offset = offset_at(cli, utc_s);
    int64_t local = utc_s + offset;
    int64_t days = local / 86400 - (local % 86400 < 0);
    unsigned in_day = (unsigned)(local - days * 86400);
    unsigned away = (unsigned)((offset < 0 ? -offset : offset) / 60);
    struct broken_time t = {
        .hour = in_day / 3600,
        .minute = in_day / 60 % 60,
        .second = in_day % 60,
        .sign = offset < 0 ? '-' : '+',
        .offset_h = away / 60 % 100,
        .offset_m = away % 60,
    };
    kt_date_from_days(days, &t.year, &t.month, &t.day);
    return t;
}

void output_time(struct cli *cli, int64_t ms, char out[OUTPUT_TIME])
{
    if (ms == 0) {
        (void)snprintf(out, OUTPUT_TIME, "-");
        return;
    }
    struct broken_time t = break_down(cli, ms);
    (void)snprintf(out, OUTPUT_TIME, "%04jd-%02u-%02u %02u:%02u:%02u %c%02u:%02u",
                   (intmax_t)(t.year % 10000), t.month % 100, t.day % 100, t.hour % 100, t.minute,
                   t.second, t.sign, t.offset_h, t.offset_m);
}

void output_clock(struct cli *cli, int64_t ms, char out[OUTPUT_TIME])
{
    struct broken_time t = break_down(cli, ms);
    (void)snprintf(out, OUTPUT_TIME, "%02u:%02u:%02u", t.hour % 100, t.minute, t.second);
}

void output_span(int64_t ms, char out[OUTPUT_TIME])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"day", 86400000},
        {"hour", 3600000},
        {"minute", 60000},
        {"second", 1000},
    };
    if (ms < 0)
        ms = -ms;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t n = ms / units[i].ms;
        /* "90 minutes" says more than "1 hour". */
        if (n >= 2 || (n == 1 && i + 1 == sizeof units / sizeof units[0])) {
            (void)snprintf(out, OUTPUT_TIME, "%jd %s%s", (intmax_t)n, units[i].name,
                           n == 1 ? "" : "s");
            return;
        }
    }
    (void)snprintf(out, OUTPUT_TIME, "0 seconds");
}

void output_age(struct cli *cli, int64_t ms, char out[OUTPUT_TIME])
{
    char span[OUTPUT_TIME];
    int64_t away = ms - cli->now_ms;
    output_span(away, span);
    if (away > -1000 && away < 1000)
        (void)snprintf(out, OUTPUT_TIME, "now");
    else if (away < 0)
        (void)snprintf(out, OUTPUT_TIME, "%.30s ago", span);
    else
        (void)snprintf(out, OUTPUT_TIME, "in %.30s", span);
}

void output_took(int64_t ms, char out[OUTPUT_TIME])
{
    if (ms < 1000)
        (void)snprintf(out, OUTPUT_TIME, "%jd ms", (intmax_t)ms);
    else if (ms < 10000)
        (void)snprintf(out, OUTPUT_TIME, "%jd.%jd s", (intmax_t)(ms / 1000),
                       (intmax_t)(ms / 100 % 10));
    else if (ms < 120000)
        (void)snprintf(out, OUTPUT_TIME, "%jd s", (intmax_t)(ms / 1000));
    else if (ms < 7200000)
        (void)snprintf(out, OUTPUT_TIME, "%jdm %jds", (intmax_t)(ms / 60000),
                       (intmax_t)(ms / 1000 % 60));
    else
        (void)snprintf(out, OUTPUT_TIME, "%jdh %jdm", (intmax_t)(ms / 3600000),
                       (intmax_t)(ms / 60000 % 60));
}

int64_t output_time_of(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    int64_t ms = 0;
    char text[64];
    if (!kt_json_member(object, name, &value))
        return 0;
    kt_autobuf struct kt_buf decoded = {0};
    kt_buf_init(&decoded, sizeof text - 1);
    if (!kt_json_string(value, &decoded) || !kt_time_parse(kt_buf_text(&decoded), decoded.len, &ms))
        return 0;
    return ms;
}

void output_steps(struct kt_json data, struct kt_buf *out)
{
    struct kt_json steps = {0};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 3, NULL);
    (void)kt_json_member(data, "steps", &steps);
    struct kt_json_iter it = kt_json_iter(steps);
    while (kt_json_next(&it)) {
        struct kt_json value = {0};
        bool good = false;
        (void)kt_api_bool(it.value, "ok", &good);
        table_text(&table, good ? "ok" : "FAILED");
        (void)kt_json_member(it.value, "name", &value);
        table_json(&table, value);
        value = (struct kt_json){0};
        (void)kt_json_member(it.value, "text", &value);
        table_json(&table, value);
    }
    table_print(&table, 2, out);
}
