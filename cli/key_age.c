/* cli/key_age.c - see cli/key_age.h. */
#include "cli/key_age.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/plan_text.h"

#define NEXT_MAX 256

struct words {
    char key[160], made[OUTPUT_TIME], age[OUTPUT_TIME], most[OUTPUT_TIME], overdue[32], next[NEXT_MAX];
};

static void read_words(struct cli *cli, struct kt_json key, struct words *ret)
{
    int64_t age_s = 0, most_s = 0, made_ms = output_time_of(key, "made");
    *ret = (struct words){.made = "unknown", .age = "unknown", .most = "no limit"};
    (void)kt_api_text(key, "key", ret->key, sizeof ret->key);
    (void)kt_api_text(key, "overdue", ret->overdue, sizeof ret->overdue);
    (void)kt_api_text(key, "next", ret->next, sizeof ret->next);
    if (made_ms != 0)
        output_time(cli, made_ms, ret->made);
    if (kt_api_i64(key, "age_s", &age_s))
        output_span(age_s * 1000, ret->age);
    if (kt_api_i64(key, "max_age_s", &most_s) && most_s > 0)
        output_span(most_s * 1000, ret->most);
}

static struct kt_json_iter keys_of(struct kt_json data)
{
    struct kt_json keys = {0};
    (void)kt_json_member(data, "keys", &keys);
    return kt_json_iter(keys);
}

void key_age_table(struct cli *cli, struct kt_json data)
{
    static const char *const names[] = {"Key", "Made", "Age", "May be", "Next"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 5, names);
    struct kt_json_iter it = keys_of(data);
    while (kt_json_next(&it)) {
        struct words words;
        read_words(cli, it.value, &words);
        if (words.overdue[0] == '\0')
            continue;
        table_text(&table, words.key);
        table_text(&table, words.made);
        table_text(&table, words.age);
        table_text(&table, words.most);
        table_text(&table, words.next);
    }
    if (table_rows(&table) > 0)
        table_print(&table, 0, &cli->out);
}

void key_age_next(struct kt_json data, char *out, size_t room)
{
    char overdue[32];
    out[0] = '\0';
    struct kt_json_iter it = keys_of(data);
    while (out[0] == '\0' && kt_json_next(&it))
        if (kt_api_text(it.value, "overdue", overdue, sizeof overdue) && overdue[0] != '\0')
            (void)kt_api_text(it.value, "next", out, room);
}

void key_age_section(struct cli *cli, struct kt_json data, struct kt_buf *out)
{
    kt_buf_add_text(out, "\n## What opens the vault\n\n"
                         "| key | made | age | may be | overdue | to make it anew |\n|---|---|---|---|---|---|\n");
    struct kt_json_iter it = keys_of(data);
    while (kt_json_next(&it)) {
        struct words words;
        read_words(cli, it.value, &words);
        const char *const cells[] = {words.key, words.made, words.age, words.most, words.overdue, words.next};
        for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
            kt_buf_add_text(out, "| ");
            plan_safe(out, cells[i]);
            kt_buf_add_char(out, ' ');
        }
        kt_buf_add_text(out, "|\n");
    }
}
