/* vaultd/args.h - vaultd's command line.
 *
 * What:    One row per flag, with one dash or two, "--flag value" or "--flag=value"; a leading word
 *          "server" is skipped, for hands that know Vault. Help is printed from the rows.
 * Errors:  KT_INVALID names the word and the nearest flag.
 * Threads: before threads. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct args {
    const char *config;
    const char *user;      /* NULL: the configuration's */
    const char *log_level; /* NULL: the configuration's */
    bool check, settings, version, help;
    bool dev, dev_no_store_token, dev_tls;
    const char *dev_root_token_id; /* NULL: a random one */
    const char *dev_listen_address;
};

enum kt_kind args_parse(int argc, char *const *argv, struct args *ret,
                        struct kt_err *err) KT_MUST_CHECK;
void args_help(struct kt_buf *out);
