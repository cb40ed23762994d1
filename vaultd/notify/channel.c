#include "vaultd/notify/channel.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/credential.h"
#include "lib/failpoint.h"
#include "lib/fetch.h"
#include "lib/json.h"
#include "lib/jsonw.h"
#include "vaultd/notify/mail.h"
#include "vaultd/notify/notice.h"

#define SEPARATORS " ,\t"

/* ---- its settings ---- */

/* What {{word}} stands for. */
enum word { WORD_ID, WORD_EVENT, WORD_SECRET, WORD_RUN, WORD_VERDICT, WORD_HURT, WORD_NEXT, WORD_AT,
            WORD_CLUSTER, WORD_COUNT };
static const char *const word_names[WORD_COUNT] = {"id", "event", "secret", "run", "verdict", "hurt",
                                                   "next", "at", "cluster"};

struct words {
    const char *at[WORD_COUNT];
    char time[KT_TIME_TEXT];
};

static void fill_words(const struct notice *notice, const char *cluster, struct words *ret)
{
    kt_time_text(notice->at_ms, ret->time);
    ret->at[WORD_ID] = notice->id;
    ret->at[WORD_EVENT] = notice_event_text(notice->event);
    ret->at[WORD_SECRET] = notice->secret;
    ret->at[WORD_RUN] = notice->run;
    ret->at[WORD_VERDICT] = notice->verdict;
    ret->at[WORD_HURT] = notice->hurt;
    ret->at[WORD_NEXT] = notice->next;
    ret->at[WORD_AT] = ret->time;
    ret->at[WORD_CLUSTER] = cluster == NULL ? "" : cluster;
}

/* The text as it stands within a JSON string. */
static void add_escaped(struct kt_buf *out, const char *text)
{
    kt_autobuf struct kt_buf quoted;
    kt_buf_init(&quoted, NOTIFY_BODY_MAX);
    kt_json_quote(&quoted, kt_str(text));
    if (kt_buf_ok(&quoted) && quoted.len >= 2)
        kt_buf_add_bytes(out, kt_bytes(quoted.at + 1, quoted.len - 2));
    else
        out->failed = true;
}

static const char *find_word(const struct words *words, const char *name, size_t len)
{
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (strlen(word_names[i]) == len && memcmp(word_names[i], name, len) == 0)
            return words->at[i];
    return NULL;
}

static enum kt_kind fill_form(const char *form, const struct words *words, struct kt_buf *out,
                              struct kt_err *err)
{
    while (*form != '\0') {
        const char *open = strstr(form, "{{"), *close = open == NULL ? NULL : strstr(open, "}}");
        if (open == NULL) {
            kt_buf_add_text(out, form);
            break;
        }
        const char *text = close == NULL ? NULL : find_word(words, open + 2, (size_t)(close - open) - 2);
        if (text == NULL)
            return kt_fail(err, KT_INVALID, "the template has a {{word}} that is none of id, event, secret, "
                                            "run, verdict, hurt, next, at, cluster");
        kt_buf_add_bytes(out, kt_bytes(form, (size_t)(open - form)));
        add_escaped(out, text);
        form = close + 2;
    }
    return KT_OK;
}

static void own_form(const struct words *words, struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < WORD_COUNT; i++)
        kt_jsonw_kv_text(&w, word_names[i], words->at[i]);
    kt_jsonw_end(&w);
}

enum kt_kind channel_body(const struct notify_channel *channel, const struct notice *notice,
                          const char *cluster, struct kt_buf *out, struct kt_err *err)
{
    struct words words;
    enum kt_kind kind = KT_OK;
    kt_buf_reset(out);
    fill_words(notice, cluster, &words);
    if (channel->mail.n > 0)
        mail_write(channel, notice, cluster, out);
    else if (channel->form == NULL)
        own_form(&words, out);
    else
        kind = fill_form(channel->form, &words, out, err);
    if (kind != KT_OK)
        return kind;
    if (out->full)
        return kt_fail(err, KT_TOO_LARGE, "a message of channel \"%s\" is longer than %zu bytes",
                       channel->name, NOTIFY_BODY_MAX);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a message to people");
}

/* Whatever a text has in it, JSON comes out. */
static enum kt_kind try_form(const struct notify_channel *channel, struct kt_err *err)
{
    static const struct notice sample = {.id = "id", .secret = "a\"b", .run = "", .verdict = "\\", .hurt = "\n",
                                         .next = "x"};
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, NOTIFY_BODY_MAX);
    enum kt_kind kind = channel_body(channel, &sample, "c", &body, err);
    if (kind == KT_OK && kt_json_check(kt_buf_bytes(&body), NULL, NULL) != KT_OK) {
        kind = kt_fail(err, KT_INVALID, "notify \"%s\": the template makes no JSON", channel->name);
        kt_hint(err, "template = \"{\\\"text\\\": \\\"{{verdict}} {{next}}\\\"}\"");
    }
    return kind;
}

enum kt_kind channel_judge(const struct notify_channel *channel, struct kt_err *err)
{
    const char *name = channel->name == NULL ? "" : channel->name;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (len == 0 || len > NOTIFY_NAME_MAX || name[len] != '\0')
        return kt_fail(err, KT_INVALID, "a channel's name is 1 to %u letters, digits, '-', '_' and '.'",
                       NOTIFY_NAME_MAX);
    if (channel->mail.n > 0)
        return mail_judge(channel, err);
    if (channel->from != NULL || channel->program != NULL)
        return kt_fail(err, KT_INVALID, "notify \"%s\": from and program are for mail", name);
    if (channel->url == NULL || strncmp(channel->url, "https://", 8) != 0 ||
        strlen(channel->url) > FETCH_URL_MAX) {
        (void)kt_fail(err, KT_INVALID, "notify \"%s\" needs a url of https, of %u bytes at most, or mail", name,
                      FETCH_URL_MAX);
        kt_hint(err, "notify \"%s\" { url = \"https://hooks.example.com/keyturn\" }", name);
        return KT_INVALID;
    }
    if (channel->key != NULL && !kt_credential_name_ok(channel->key))
        return kt_fail(err, KT_INVALID, "notify \"%s\": key is the name of a credential: 1 to 64 letters, "
                                        "digits, '-', '_' and '.', which is not the first", name);
    return try_form(channel, err);
}

const struct notify_channel *channel_find(const struct notify_channels *channels, const char *name)
{
    for (size_t i = 0; channels != NULL && i < channels->n; i++)
        if (strcmp(channels->at[i].name, name) == 0)
            return &channels->at[i];
    return NULL;
}

bool channel_is_named(const char *name, const char *words)
{
    size_t len = strlen(name);
    for (const char *at = words == NULL ? "" : words; *at != '\0';) {
        at += strspn(at, SEPARATORS);
        size_t word = strcspn(at, SEPARATORS);
        if (word == len && memcmp(at, name, len) == 0)
            return true;
        at += word;
    }
    return false;
}

bool channels_named(const struct notify_channels *channels, const char *words)
{
    for (size_t i = 0; i < channels->n; i++)
        if (channel_is_named(channels->at[i].name, words))
            return true;
    return false;
}

bool channels_mail_by(const struct notify_channels *channels, const char *program)
{
    for (size_t i = 0; channels != NULL && i < channels->n; i++)
        if (channels->at[i].program != NULL && strcmp(channels->at[i].program, program) == 0)
            return true;
    return false;
}

/* ---- files ---- */

static enum kt_kind load_ca(struct notify_channel *channel, struct kt_err *err)
{
    kt_autoclose int fd = open(channel->ca_file, O_RDONLY | O_CLOEXEC);
    kt_autofree char *text = kt_calloc(1, FETCH_CA_MAX + 2);
    size_t len = 0;
    ssize_t n = 1;
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the ca_file of notify \"%s\"", channel->name);
    while (fd >= 0 && len <= FETCH_CA_MAX && (n = read(fd, text + len, FETCH_CA_MAX + 1 - len)) > 0)
        len += (size_t)n;
    if (fd < 0 || n < 0)
        return kt_fail(err, KT_IO, "notify \"%s\": cannot read '%s'", channel->name, channel->ca_file);
    if (len > FETCH_CA_MAX || strlen(text) != len || strstr(text, "BEGIN CERTIFICATE") == NULL)
        return kt_fail(err, KT_INVALID, "notify \"%s\": '%s' is no PEM of certificates of %zu bytes at most",
                       channel->name, channel->ca_file, FETCH_CA_MAX);
    channel->ca = KT_TAKE(text);
    return KT_OK;
}

enum kt_kind channels_load(struct notify_channels *channels, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < channels->n && kind == KT_OK; i++)
        if (channels->at[i].ca_file != NULL && channels->at[i].ca == NULL)
            kind = load_ca(&channels->at[i], err);
    return kind;
}

void channels_free(struct notify_channels *channels)
{
    for (size_t i = 0; i < channels->n; i++) {
        free(channels->at[i].ca);
        channels->at[i].ca = NULL;
    }
}

/* ---- signing ---- */

enum kt_kind channel_sign(const struct notify_channel *channel, const char *folder, int64_t now_ms,
                          struct kt_bytes body, char out[NOTIFY_SIGNATURE], struct kt_err *err)
{
    out[0] = '\0';
    if (channel->key == NULL)
        return KT_OK;
    kt_autosecret struct kt_secret *key = NULL;
    enum kt_kind kind = kt_credential_read(folder, channel->key, KT_KEY_BYTES, &key, err);
    if (kind != KT_OK)
        return kind;
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char time[24], hex[2 * sizeof mac + 1];
    int n = snprintf(time, sizeof time, "%lld", (long long)(now_ms / 1000));
    (void)crypto_auth_hmacsha256_init(&state, key->at, key->len);
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, (unsigned long long)n);
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    (void)crypto_auth_hmacsha256_update(&state, body.at, body.len);
    (void)crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
    (void)sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    (void)snprintf(out, NOTIFY_SIGNATURE, "t=%s,v1=%s", time, hex);
    return KT_OK;
}
