/* lib/driver/authorized_keys.h - what is changed in a file of authorized keys, and what is not.
 *
 * What:    One function from a file's bytes to its new bytes. Lines that are not ours come out byte by
 *          byte as they went in, comments and what nobody understands among them; only a missing last
 *          newline is added, when a line comes behind it. Ours are the lines whose key is one of the two
 *          that are named, and those that bear the secret's mark, a word of its own behind the key:
 *          "keyturn:SECRET" or "keyturn:SECRET:RUN". A line of ours that has no mark gets one.
 *          A new line has the options (restrict, from=, command=...) of the line that it follows: of
 *          `keep`, else of the first that has the mark. Without either there is nothing to follow, and
 *          a key is let in by no line that nobody wrote.
 * Owner:   everything is borrowed; the new bytes are appended to the caller's buffer.
 * Limits:  KT_KEYS_FILE_MAX bytes.
 * Source:  sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; a backslash hides a quote in options, and in them
 *          only a blank outside of quotes ends them, as in OpenSSH 9.2's auth2-pubkeyfile.c.
 * Threads: plain functions. */
#pragma once

#include "lib/buf.h"

#define KT_KEYS_FILE_MAX ((size_t)256 * 1024)

struct kt_keys_wish {
    struct kt_bytes add;  /* "TYPE BASE64", accepted afterwards; empty: none */
    struct kt_bytes keep; /* the same form, stays accepted; empty: none */
    const char *secret;   /* what the mark names: letters, digits, '-', '_' */
    const char *run;      /* the same alphabet; "" for none */
    bool alone;           /* other lines that have the mark are taken out */
};

struct kt_keys_seen {
    bool add, keep;      /* there is a line with this key */
    bool marked_keep;    /* each of them has the mark */
    bool expires;        /* the line that a new one would follow has expiry-time */
    size_t others;       /* lines with the mark and another key */
    size_t foreign;      /* other lines that are keys */
};

enum kt_keys_outcome {
    KT_KEYS_SAME,     /* nothing to change: the new bytes are the old ones */
    KT_KEYS_CHANGED,
    KT_KEYS_NO_MODEL, /* no line to take options from: no new bytes */
    KT_KEYS_MEMORY    /* the buffer is of no use */
};

void kt_keys_look(struct kt_bytes file, const struct kt_keys_wish *wish, struct kt_keys_seen *ret);
enum kt_keys_outcome kt_keys_edit(struct kt_bytes file, const struct kt_keys_wish *wish,
                                  struct kt_buf *out, struct kt_keys_seen *ret_seen);
