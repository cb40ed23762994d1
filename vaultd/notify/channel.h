/* vaultd/notify/channel.h - a way to tell people, named in vaultd's configuration alone: what is sent there.
 *
 * What:    A webhook: one https POST of JSON, of the vault's own form or by the configuration's template, in
 *          which {{verdict}} and its like stand for a text, escaped for JSON. With a key each body is signed:
 *
 *              X-Keyturn-Id: 01JD7K...           the message; the same when it is sent again
 *              X-Keyturn-Signature: t=1764194400,v1=HEX
 *                    HMAC-SHA256 (RFC 2104, FIPS 180-4) of the number behind t=, a '.', and the body
 *
 *          The key is a credential of 32 bytes (lib/credential.h), read anew for each message.
 *          Or mail (mail.h): a message that a program of the configuration takes, as sendmail -t does.
 * Owner:   texts are the configuration's, but for `ca`: channels_free().
 * Limits:  NOTIFY_CHANNELS_MAX channels; a body of NOTIFY_BODY_MAX bytes.
 * Threads: plain values; constant once vaultd serves. */
#pragma once

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define NOTIFY_CHANNELS_MAX 8u
#define NOTIFY_NAME_MAX     64u
#define NOTIFY_BODY_MAX     ((size_t)24 * 1024)
#define NOTIFY_SIGNATURE    100u /* bytes of its text */

struct notice;
struct notify_channel {
    const char *name;
    const char *url, *key, *ca_file, *form; /* NULL: not given */
    struct kt_words mail;                   /* to whom; none: it is a webhook */
    const char *from, *program;             /* of mail; NULL: not given */
    char *ca;                               /* what ca_file has; NULL: the system's */
};

/* One try: what goes to whom. */
struct notify_order {
    const struct notify_channel *channel;
    const char *id, *signature; /* signature "": none */
    struct kt_bytes body;
};
/* Blocks until it arrived, or did not: KT_IO, and the text says why. Several threads at a time. */
typedef enum kt_kind notify_send_fn(void *arg, const struct notify_order *order, struct kt_err *err);

struct notify_channels {
    struct notify_channel at[NOTIFY_CHANNELS_MAX];
    size_t n;
    notify_send_fn *send; /* NULL: nobody can */
    void *arg;
};

/* Whether its settings make sense; KT_INVALID. Looks at no file. */
enum kt_kind channel_judge(const struct notify_channel *channel, struct kt_err *err) KT_MUST_CHECK;
/* Does one of them hand its mail to that program? Then nothing else is handed to it. */
bool channels_mail_by(const struct notify_channels *channels, const char *program);
/* Reads the files that channels name, while they can be read. */
enum kt_kind channels_load(struct notify_channels *channels, struct kt_err *err) KT_MUST_CHECK;
void channels_free(struct notify_channels *channels);
const struct notify_channel *channel_find(const struct notify_channels *channels, const char *name);
/* Words with commas or blanks between: does one of them name the channel; any of them any? words may be NULL. */
bool channel_is_named(const char *name, const char *words);
bool channels_named(const struct notify_channels *channels, const char *words);

/* What is sent, JSON or mail; out is written from its beginning. cluster: the vault's name. */
enum kt_kind channel_body(const struct notify_channel *channel, const struct notice *notice,
                          const char *cluster, struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* "" without a key. folder: $CREDENTIALS_DIRECTORY. */
enum kt_kind channel_sign(const struct notify_channel *channel, const char *folder, int64_t now_ms,
                          struct kt_bytes body, char out[NOTIFY_SIGNATURE], struct kt_err *err) KT_MUST_CHECK;
