/* cli/cmd_served.c - certificate served: does each server show the certificate that it is to show? */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/clock.h"
#include "lib/jsonw.h"
#include "lib/tls_shown.h"

#define ANSWER_MAX ((size_t)256 * 1024)
#define WAIT_MS    10000u
#define ADDRESSES  16u /* of a name */

struct asked {
    struct cli *cli;
    const struct kt_tls_cert *wanted;
    struct kt_jsonw *w;
    size_t good, all;
    bool another; /* one shows another one */
};

static void note(struct asked *a, const char *place, bool good, const char *text)
{
    a->all++;
    a->good += good;
    kt_jsonw_object(a->w);
    kt_jsonw_kv_text(a->w, "name", place);
    kt_jsonw_kv_bool(a->w, "ok", good);
    kt_jsonw_kv_text(a->w, "text", text);
    kt_jsonw_end(a->w);
}

static void ask_one(struct asked *a, const char *place, const char *address, const char *name)
{
    struct kt_tls_cert shown;
    struct kt_err err = {0};
    char until[KT_TIME_TEXT], text[512];
    enum kt_kind kind = kt_tls_shown(address, name, WAIT_MS, &shown, &err);
    if (kind != KT_OK) {
        note(a, place, false, err.what);
        return;
    }
    bool good = kt_tls_cert_same(&shown, a->wanted);
    a->another = a->another || !good;
    kt_time_text(shown.until_ms, until);
    (void)snprintf(text, sizeof text, "%s: serial %s, until %s", good ? "it shows it" : "it shows ANOTHER one",
                   shown.serial, until);
    note(a, place, good, text);
}

/* Each address of a name: behind one of them may be a server that was not reloaded. */
static void ask_all(struct asked *a, const char *word)
{
    char addresses[ADDRESSES + 1][KT_TLS_ADDRESS_TEXT]; /* one more: there are too many */
    struct kt_tls_place place;
    struct kt_err err = {0};
    size_t n = 0;
    const char *name = flags_text(&a->cli->flags, FLAG_SERVER_NAME);
    enum kt_kind kind = kt_tls_place_read(word, &place, &err);
    if (kind == KT_OK)
        kind = kt_tls_addresses(&place, ADDRESSES + 1, addresses, &n, &err);
    if (kind == KT_OK && n > ADDRESSES)
        kind = kt_fail(&err, KT_INVALID, "it has more than %u addresses: ask each of them by its address", ADDRESSES);
    if (kind != KT_OK) {
        note(a, word, false, err.what);
        return;
    }
    if (name == NULL && !kt_tls_is_address(place.host))
        name = place.host;
    for (size_t i = 0; i < n; i++) {
        char each[KT_TLS_HOST_MAX + KT_TLS_ADDRESS_TEXT + 4];
        (void)snprintf(each, sizeof each, "%s at %s", word, addresses[i]);
        ask_one(a, n == 1 ? word : each, addresses[i], name);
    }
}

int cmd_certificate_served(struct cli *cli)
{
    struct kt_tls_cert wanted;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf pem = {0};
    kt_autobuf struct kt_buf answer = {0};
    kt_buf_init(&pem, KT_TLS_CERT_MAX);
    kt_buf_init(&answer, ANSWER_MAX);
    enum kt_kind kind = input_file(cli, cli->words[0], KT_TLS_CERT_MAX, &pem, &err);
    if (kind == KT_OK && (kind = kt_tls_cert_read(kt_buf_bytes(&pem), &wanted, &err)) != KT_OK)
        kt_context(&err, "reading %.200s", cli->words[0]);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    struct kt_jsonw w = kt_jsonw(&answer);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "serial_number", wanted.serial);
    struct asked asked = {.cli = cli, .wanted = &wanted, .w = &w};
    kt_jsonw_key(&w, "steps");
    kt_jsonw_array(&w);
    for (size_t i = 1; i < cli->word_count; i++)
        ask_all(&asked, cli->words[i]);
    kt_jsonw_end(&w);
    bool all_good = asked.good == asked.all;
    kt_jsonw_kv_bool(&w, "ok", all_good);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&answer)) {
        (void)kt_fail(&err, KT_NO_MEMORY, "writing what the servers show");
        return cli_fail(cli, &err);
    }
    struct kt_json data = kt_json_value(kt_buf_bytes(&answer));
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, data);
        return all_good ? CLI_DONE : CLI_REFUSED;
    }
    kt_buf_printf(&cli->out, "%s: %zu of %zu show serial %s\n", all_good ? "SERVED" : "NOT SERVED", asked.good,
                  asked.all, wanted.serial);
    output_steps(data, &cli->out);
    if (!all_good)
        kt_buf_printf(&cli->out, "next    %s\n",
                      asked.another ? "reload the servers that show another one: they read their files then, not before"
                              : "see why they were not reached");
    return all_good ? CLI_DONE : CLI_REFUSED;
}
