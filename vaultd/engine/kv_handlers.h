/* vaultd/engine/kv_handlers.h - handlers of the KV routes; the tables are in kv_routes.c (version 2) and
 * kv_v1.c. */
#pragma once

#include "vaultd/engine/kv.h"

/* kv_data.c */
exists_fn kv_exists;
handler_fn kv_read, kv_put, kv_patch, kv_subkeys;
/* kv_versions.c */
handler_fn kv_delete_latest, kv_delete_versions, kv_undelete, kv_destroy_versions;
/* kv_copy.c */
handler_fn kv_copy, kv_move;
/* kv_metadata.c */
handler_fn kv_list, kv_metadata_read, kv_metadata_write, kv_metadata_patch, kv_metadata_delete;
handler_fn kv_config_read, kv_config_write;

/* kv_import.c */
handler_fn kv_import;

/* What the request says of a secret's settings and custom metadata, into *secret; *ret_given: anything. */
enum kt_kind kv_read_settings(struct request *req, struct kv_secret *secret, bool *ret_given,
                              struct kt_err *err);
/* The secret that the path parameter names, loaded into the request's arena. */
enum kt_kind kv_load_named(struct request *req, struct kv_secret **ret, struct kt_err *err);
/* Members of a version's "metadata": custom_metadata with_custom. */
void kv_write_version_members(struct kt_jsonw *w, const struct kv_secret *secret,
                              const struct kv_version *version, bool with_custom);
/* A whole number of seconds, negative: -1 (disabled). KT_NOT_FOUND: absent. */
enum kt_kind kv_signed_duration(struct request *req, const char *name, int64_t *ret,
                                struct kt_err *err);
