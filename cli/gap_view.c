/* cli/gap_view.c - see cli/gap_view.h. */
#include "cli/gap_view.h"

#include "cli/cli.h"
#include "cli/output.h"
#include "lib/api.h"
#include "lib/shell_word.h"

/* A word that this secretctl does not know yet is shown as it is. */
static const char *reading_of(const char *word)
{
    static const struct {
        const char *word, *text;
    } rows[] = {
        {"acknowledged", "at most"},
        {"readable", "at least: no consumer is registered"},
        {"least", "at least: not everybody was waited for"},
        {"back", "at most, there and back"},
        {"held", "none: each registered consumer had both passwords before the change"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].text;
    return word;
}

void gap_view_measured(struct cli *cli, struct kt_json state, struct kt_buf *out)
{
    char took[OUTPUT_TIME], time[OUTPUT_TIME], until[64] = "";
    int64_t ms = 0, at = output_time_of(state, "last_gap");
    if (at == 0 || !kt_api_i64(state, "last_gap_ms", &ms)) {
        kt_buf_add_text(out, "not measured yet");
        return;
    }
    (void)kt_api_text(state, "last_gap_until", until, sizeof until);
    output_took(ms, took);
    output_time(cli, at, time);
    bool none = strcmp(until, "held") == 0;
    kt_buf_printf(out, "%s%s%s, %s", none ? "" : took, none ? "" : " ", reading_of(until), time);
}

bool gap_view_instead(struct kt_json state, const char *secret, struct kt_buf *out)
{
    struct kt_json list = {0};
    bool first = true;
    (void)kt_json_member(state, "gap_instead", &list);
    struct kt_json_iter it = kt_json_iter(list);
    for (; kt_json_next(&it); first = false) {
        kt_buf_add_text(out, first ? "secretctl schedule set " : ", or secretctl schedule set ");
        kt_add_shell_word(out, secret);
        kt_buf_add_char(out, ' ');
        output_value(out, it.value);
    }
    return !first;
}
