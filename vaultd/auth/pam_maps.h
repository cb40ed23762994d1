/* vaultd/auth/pam_maps.h - what a mount of type "pam" knows: its settings, and which policies the host's
 * users and groups get.
 *
 * What:    Settings hold for everybody who logs in. A user or a group of the host has policies; who has none,
 *          by name, by group or by the settings, does not log in: being on the host is not enough.
 * Names:   those of the host, in lower case; PAM_NAME_MAX characters, see pam_is_name().
 * Format:  settings: named.h's ‖ u32 max_failures ‖ token_params. A user, a group: maps.h's.
 * Owner:   what is found lies in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/named.h"
#include "vaultd/auth/token_params.h"

#define PAM_MAX_FAILURES 3u /* below deny=4 of systemd/pam.d/keyturn; 2 of them by the network */

/* Letters in lower case, digits, '_', and inside '-', '.', '@', and a space: users and groups of directories
 * have those. */
bool pam_is_name(const char *name);
/* The path's {param}, if it is such a name; else KT_NOT_FOUND, said as of a path that is not there. */
enum kt_kind pam_param(struct request *req, const char *param, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;

struct pam_settings {
    unsigned max_failures;
    struct token_params params;
    generation changed; /* 0: none were written, these are the defaults */
};
enum kt_kind pam_settings_find(struct request *req, const struct mount *mount,
                               struct pam_settings *ret, struct kt_err *err) KT_MUST_CHECK;

/* As found, and required in the request's batch. */
enum kt_kind pam_settings_require(struct request *req, const struct mount *mount,
                                  struct pam_settings *ret, struct kt_err *err) KT_MUST_CHECK;

/* All policies of a user with these groups beside those in params, and which of the groups are known here.
 * What was found is required in the request's batch. */
enum kt_kind pam_policies(struct request *req, const struct mount *mount, const char *user,
                          const struct string_list *groups, struct token_params *params,
                          struct string_list *ret_known, struct kt_err *err) KT_MUST_CHECK;

handler_fn pam_read_settings, pam_write_settings;
handler_fn pam_list_users, pam_read_user, pam_write_user, pam_delete_user;
handler_fn pam_list_groups, pam_read_group, pam_write_group, pam_delete_group;
