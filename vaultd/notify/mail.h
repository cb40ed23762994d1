/* vaultd/notify/mail.h - a message to people as mail (RFC 5322), and whom a configuration may name.
 *
 * What:    Header lines of our own, the subject in encoded words (RFC 2047) where it is no short ASCII, the text as
 *          base64: so no name of a secret, a person or a service begins a header line, ends one, or is cut within
 *          a character. Lines end with LF, as sendmail wants them from local programs. The Message-ID is the
 *          message's, the same when it is sent again. It says of itself that a machine sent it (RFC 3834).
 * Threads: plain values. */
#pragma once

#include "vaultd/notify/channel.h"

#define MAIL_TO_MAX      8u
#define MAIL_ADDRESS_MAX 254u

/* KT_INVALID: what is wrong with a channel's mail, from and program. */
enum kt_kind mail_judge(const struct notify_channel *channel, struct kt_err *err) KT_MUST_CHECK;
void mail_write(const struct notify_channel *channel, const struct notice *notice, const char *cluster,
                struct kt_buf *out);
