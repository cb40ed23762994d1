/* vaultd/rotation/credential.h - the two members of a secret's data that are rotated.
 *
 * Secrets: texts and values are in arena memory, which is wiped.
 * Threads: plain functions. */
#pragma once

#include "vaultd/rotation/run.h"

struct credential {
    const char *username; /* "" without target */
    const char *password;
};
/* From a version's JSON text. KT_INVALID names the member that is missing or no text. */
enum kt_kind credential_read(const struct rotation_settings *settings, struct kt_bytes json,
                             struct kt_arena *arena, struct credential *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The JSON text with both members set; every other one stays as it stands. `json` empty: {}. */
enum kt_kind credential_write(const struct rotation_settings *settings, struct kt_bytes json,
                              const struct credential *credential, struct kt_buf *out,
                              struct kt_err *err) KT_MUST_CHECK;
/* The key's id, which tells it from the account's others at the target; "" without one. */
#define CREDENTIAL_ID_FIELD "key_id"
enum kt_kind credential_id(struct kt_bytes json, struct kt_arena *arena, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The JSON text with the id in it. */
enum kt_kind credential_write_id(struct kt_bytes json, const char *id, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* A new random password that is not in `old`, as an arena text. */
enum kt_kind credential_generate(const struct rotation_settings *settings,
                                 const struct credential *old, struct kt_arena *arena,
                                 const char **ret, struct kt_err *err) KT_MUST_CHECK;
/* What the target gets instead of the password; "" where it gets the password itself. */
enum kt_kind credential_public(const char *driver, const char *password, struct kt_arena *arena,
                               const char **ret, struct kt_err *err) KT_MUST_CHECK;
/* Of a version of the secret. KT_NOT_FOUND: the version is gone. */
enum kt_kind credential_load(struct request *req, const struct rotation_secret *secret,
                             const struct rotation_settings *settings, const struct kv_secret *kv,
                             uint32_t version, struct credential *ret, struct kt_bytes *ret_json,
                             struct kt_err *err) KT_MUST_CHECK;
