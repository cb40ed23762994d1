#include "vaultd/notify/mail.h"

#include <sodium.h>
#include <time.h>

#include "vaultd/notify/notice.h"

#define TEXT_MAX     ((size_t)8 * 1024)
#define WORD_MOST    39u /* bytes in an encoded word: with "Subject: " a line of at most 76 */
#define SUBJECT_MOST 300u
#define PLAIN_MOST   65u
#define LINE_BYTES   57u /* 76 of base64 */

/* ---- whom ---- */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* A dot-atom of each side, without comments, quotes and literals. */
static bool is_address(const char *text)
{
    size_t local = strspn(text, LETTERS ".!#$%&*+/=?^_{|}~-");
    const char *domain = text + local + 1;
    return local > 0 && text[0] != '-' && text[local] == '@' && domain[0] != '\0' && domain[0] != '-' &&
           domain[strspn(domain, LETTERS ".-")] == '\0' && strlen(text) <= MAIL_ADDRESS_MAX;
}

enum kt_kind mail_judge(const struct notify_channel *channel, struct kt_err *err)
{
    const char *name = channel->name, *wrong = NULL;
    bool hooks = channel->url != NULL || channel->key != NULL || channel->ca_file != NULL || channel->form != NULL;
    if (hooks)
        wrong = "url, key, ca_file and template are for webhooks: make that another notify block";
    else if (channel->mail.n > MAIL_TO_MAX)
        wrong = "mail has more than 8 addresses: use a list of the mail server's";
    else if (channel->program == NULL)
        wrong = "mail needs program: the name of a driver_program that takes a message as sendmail -t does";
    else if (channel->from != NULL && !is_address(channel->from))
        wrong = "from is no plain mail address";
    for (size_t i = 0; i < channel->mail.n && wrong == NULL; i++)
        if (!is_address(channel->mail.at[i]))
            wrong = "mail has something that is no plain mail address";
    if (wrong == NULL)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "notify \"%s\": %s", name, wrong);
    kt_hint(err, "notify \"%s\" { mail = [\"ops@example.com\"], program = \"mail\" }", name);
    return KT_INVALID;
}

/* ---- what ---- */

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return len <= PLAIN_MOST && strstr(text, "=?") == NULL;
}

/* So many bytes of it that no character is cut. */
static size_t whole(const char *text, size_t len, size_t most)
{
    if (len <= most)
        return len;
    while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

static void add_base64(struct kt_buf *out, const char *at, size_t len)
{
    char text[sodium_base64_ENCODED_LEN(LINE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    (void)sodium_bin2base64(text, sizeof text, (const unsigned char *)at, len, sodium_base64_VARIANT_ORIGINAL);
    kt_buf_add_text(out, text);
}

static void add_subject(struct kt_buf *out, const char *text)
{
    size_t len = whole(text, strlen(text), SUBJECT_MOST);
    kt_buf_add_text(out, "Subject: ");
    if (is_plain(text, len)) {
        kt_buf_add_bytes(out, kt_bytes(text, len));
        len = 0;
    }
    for (size_t at = 0; at < len;) {
        size_t n = whole(text + at, len - at, WORD_MOST);
        n = n == 0 ? len - at < WORD_MOST ? len - at : WORD_MOST : n; /* no UTF-8 at all */
        kt_buf_add_text(out, at == 0 ? "=?utf-8?B?" : "\n =?utf-8?B?");
        add_base64(out, text + at, n);
        kt_buf_add_text(out, "?=");
        at += n;
    }
    kt_buf_add_text(out, "\n");
}

static void add_date(struct kt_buf *out, int64_t at_ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t at = (time_t)(at_ms / 1000);
    struct tm tm = {0};
    (void)gmtime_r(&at, &tm);
    kt_buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                  tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_text(struct kt_buf *out, const struct notice *notice, const char *cluster)
{
    char at[KT_TIME_TEXT];
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, TEXT_MAX);
    kt_time_text(notice->at_ms, at);
    kt_buf_printf(&text, "%s\n\nwho is hurt  %s\nnext         %s\n\nevent %s\nat %s\n", notice->verdict,
                  notice->hurt, notice->next, notice_event_text(notice->event), at);
    if (notice->secret[0] != '\0')
        kt_buf_printf(&text, "secret %.2000s\n", notice->secret);
    if (notice->run[0] != '\0')
        kt_buf_printf(&text, "run %s\n", notice->run);
    kt_buf_printf(&text, "vault %.200s\nmessage %s\n", cluster == NULL ? "" : cluster, notice->id);
    if (!kt_buf_ok(&text))
        out->failed = true;
    for (size_t i = 0; i < text.len; i += LINE_BYTES) {
        size_t n = text.len - i < LINE_BYTES ? text.len - i : LINE_BYTES;
        add_base64(out, (const char *)text.at + i, n);
        kt_buf_add_text(out, "\n");
    }
}

void mail_write(const struct notify_channel *channel, const struct notice *notice, const char *cluster,
                struct kt_buf *out)
{
    add_date(out, notice->at_ms);
    if (channel->from != NULL)
        kt_buf_printf(out, "From: %s\n", channel->from);
    for (size_t i = 0; i < channel->mail.n; i++)
        kt_buf_printf(out, "%s%s%s", i == 0 ? "To: " : ",\n ", channel->mail.at[i],
                      i + 1 == channel->mail.n ? "\n" : "");
    add_subject(out, notice->verdict);
    kt_buf_printf(out, "Message-ID: <%s@keyturn.invalid>\n"
                       "X-Keyturn-Id: %s\n"
                       "X-Keyturn-Event: %s\n"
                       "Auto-Submitted: auto-generated\n"
                       "MIME-Version: 1.0\n"
                       "Content-Type: text/plain; charset=utf-8\n"
                       "Content-Transfer-Encoding: base64\n\n",
                  notice->id, notice->id, notice_event_text(notice->event));
    add_text(out, notice, cluster);
}
