/* vaultd/auth/cert_settings.h - auth/cert/config: what holds of all logins with certificates of a mount.
 *
 * What:    Settings, and in the same record how often revocation lists were changed: a login requires the
 *          record as it saw it, so none is committed that a list forbade meanwhile.
 * Format:  named.h's ‖ u8 flags (1: renewals need no certificate, 2: aliases carry metadata) ‖ u64 changes.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/named.h"

struct cert_settings {
    bool disable_binding;
    bool alias_metadata;
    uint64_t crl_changes;
    generation changed; /* 0: never written */
};

enum kt_kind cert_settings_get(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               struct cert_settings *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind cert_settings_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                   const struct cert_settings *settings, struct kt_err *err) KT_MUST_CHECK;
/* Into the batch of a change of the lists. */
enum kt_kind cert_settings_crl_changed(struct request *req, struct kt_err *err) KT_MUST_CHECK;

handler_fn cert_settings_read, cert_settings_write;
