/* vaultd/engine/sys_mount.h - what the routes about mounts share: naming one, showing it, reading its
 * settings; for vaultd/engine/sys_*.c only.
 *
 * Owner:   texts live in the request's arena.
 * Threads: one thread at a time, as its request. */
#pragma once

#include "vaultd/core/core.h"

/* The path parameter as mounts are keyed: one trailing slash. NULL: no memory. */
const char *mount_wanted(struct request *req);
/* The mount of exactly this path; NULL: none. */
const struct mount *mount_exactly(struct request *req, const char *path);
/* The path parameter of sys/auth: below "auth/". NULL: no memory. */
const char *mount_wanted_auth(struct request *req);
bool mount_is_auth(const struct mount *mount);
/* Vault's name of a mount among its kind: an auth mount's is without "auth/". */
const char *mount_short_path(const struct mount *mount);
/* Vault's object about a mount; path: a member "path" more, if not NULL. */
void mount_write_info(struct kt_jsonw *w, const struct mount *mount, const char *path);
void mount_write_options(struct kt_jsonw *w, const struct mount *mount);
/* The members that are only there where somebody set them. */
void mount_write_set(struct kt_jsonw *w, const struct mount *mount);

/* The settings that sys/mounts/PATH/tune has at its top, and "config" of a new mount, from req's data
 * into *mount; what is not given stays. KT_INVALID names the field. */
/* What people say of it; KT_NOT_FOUND: nothing. Longer than MOUNT_DESCRIPTION_MAX: KT_INVALID, for all mounts
 * share one record. */
#define MOUNT_DESCRIPTION_MAX 1024u
enum kt_kind mount_read_description(struct request *req, struct mount *mount, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind mount_read_settings(struct request *req, struct mount *mount, struct kt_err *err)
    KT_MUST_CHECK;
/* "version" in the field "options"; KT_NOT_FOUND: not given. */
enum kt_kind mount_read_version(struct request *req, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Rows of a route's fields. */
#define MOUNT_SETTING_FIELDS                                                                       \
    {"default_lease_ttl", FIELD_STRING, "duration or \"system\""},                                 \
        {"max_lease_ttl", FIELD_STRING, "duration or \"system\""},                                 \
        {"force_no_cache", FIELD_BOOL, "kept and shown; changes nothing"},                                          \
        {"listing_visibility", FIELD_STRING, "\"unauth\": seen without a token; \"hidden\""},      \
        {"token_type", FIELD_STRING, "of auth mounts"},                                            \
        {"plugin_version", FIELD_STRING, "accepted"},                                              \
        MOUNT_LISTS_OF(MOUNT_LIST_FIELD){"description", FIELD_STRING, "text for people"}
#define MOUNT_LIST_FIELD(name, text, help) {text, FIELD_COMMA_LIST, help},
