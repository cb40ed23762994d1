/* vaultd/dev.h - vaultd --dev: a vault to try things with, ready at once and gone at the end.
 *
 * What:    A throw-away folder with the LMDB store, one unseal key, unsealed, KV version 2 at
 *          secret/, a root token in ~/.vault-token, on a loopback address. Everything else is as
 *          in earnest: sealed on disk, audited, fail-closed.
 * Order:   dev_config() before privileges are dropped (it may open the caller's ~/.vault-token);
 *          dev_prepare() after, before threads; dev_begin() once the listeners serve.
 * Owner:   struct dev owns what it opened; dev_end() gives it back and removes the folder.
 * Threads: one. */
#pragma once

#include "vaultd/args.h"
#include "vaultd/config.h"
#include "vaultd/scratch.h"

struct core;

struct dev {
    bool tls;
    char address[300]; /* where it listens */
    char host[256];
    const char *root_token_id; /* NULL: a random one */
    struct scratch scratch;
    char folder[128], cert_file[128], key_file[128];
    int token_fd; /* of ~/.vault-token; -1: not written */
};

enum kt_kind dev_config(const struct args *args, struct dev *ret, struct config *ret_config,
                        struct kt_err *err) KT_MUST_CHECK;
enum kt_kind dev_prepare(struct dev *dev, struct config *config, struct kt_err *err) KT_MUST_CHECK;
/* Makes and unseals the vault, prints what a person needs to go on. port: the one that was bound.
 */
enum kt_kind dev_begin(struct dev *dev, struct core *core, unsigned port,
                       struct kt_err *err) KT_MUST_CHECK;
void dev_end(struct dev *dev);
