/* cli/output.h - tables for people, JSON for programs, times in the reader's zone.
 *
 * Values that came from elsewhere are shown with their control characters made visible, so that a
 * secret cannot move the cursor or recolour what stands above it; only "-field" prints them as they
 * are.
 * Owner:   a table owns copies of its cells and wipes them: table_free().
 * Limits:  8 columns; widths count characters, not columns of wide ones.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

struct cli;

#define TABLE_COLUMNS 8u

struct table {
    size_t columns, cells, room;
    size_t *ends; /* where each cell ends in text */
    struct kt_buf text;
    bool failed;
};
/* names: one word of the heading a column; NULL: a table without a heading. */
void table_init(struct table *table, size_t columns, const char *const *names);
void table_free(struct table *table);
void table_text(struct table *table, const char *text);
void table_bytes(struct table *table, struct kt_bytes text);
void table_printf(struct table *table, const char *format, ...) KT_PRINTF(2, 3);
/* A string decoded, anything else as it is written; null and absent: "-". */
void table_json(struct table *table, struct kt_json value);
/* A list of texts as "a, b"; else as table_json(). */
void table_list(struct table *table, struct kt_json value);
size_t table_rows(const struct table *table); /* without the heading */
/* Appends it; every line is begun with indent blanks. */
void table_print(const struct table *table, unsigned indent, struct kt_buf *out);
/* Key and value of each member, "n/a" for null. */
void table_members(struct table *table, struct kt_json object);

/* Appends text with control characters as \x1b; newlines stay. */
void output_safe(struct kt_buf *out, struct kt_bytes text);
/* The "steps" of a check: a line each, "ok" or "FAILED", its name, its text. */
void output_steps(struct kt_json data, struct kt_buf *out);
/* A string decoded, anything else as written. */
void output_value(struct kt_buf *out, struct kt_json value);
/* A line for each of a list's values: "NAME 1: value". */
void output_numbered(struct kt_buf *out, const char *name, struct kt_json list);
/* Indented by two blanks, with a newline at the end. */
void output_json(struct kt_buf *out, struct kt_json value);
/* The same inside of something that is depth deep, without the newline. */
void output_json_at(struct kt_buf *out, struct kt_json value, size_t depth);

/* "2025-11-25 14:02:11 +01:00"; "-" for 0. */
#define OUTPUT_TIME 40
void output_time(struct cli *cli, int64_t ms, char out[OUTPUT_TIME]);
/* "14:02:11" of the reader's day. */
void output_clock(struct cli *cli, int64_t ms, char out[OUTPUT_TIME]);
/* "3 minutes", "2 days"; "3 minutes ago" and "in 2 days" for a time. */
void output_span(int64_t ms, char out[OUTPUT_TIME]);
void output_age(struct cli *cli, int64_t ms, char out[OUTPUT_TIME]);
/* An error's text on one line (kt_api_tidy). */
void output_line(struct kt_buf *out, struct kt_bytes text);
/* "2m 10s", "340 ms": for durations of steps. */
void output_took(int64_t ms, char out[OUTPUT_TIME]);
/* A member that is RFC 3339, as milliseconds; 0 when absent. */
int64_t output_time_of(struct kt_json object, const char *name);
