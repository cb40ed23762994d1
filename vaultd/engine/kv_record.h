/* vaultd/engine/kv_record.h - the stored forms of KV; for the kv files only.
 *
 * Metadata (suffix 0), format 3: u8 format ‖ u32 newest, current, pending, previous ‖ u8 flags ‖ i64
 * created, updated ‖ u32 max versions ‖ i64 delete after ‖ u32 oldest ‖ field custom metadata ‖ u32 n
 * ‖ n × (u32 number ‖ u32 slot ‖ i64 created, deletion ‖ u8 flags ‖ i64 dead proven ‖ 32 key ‖ i64
 * needed until). Sealed by the barrier. Format 2, which is written while no version is needed, ended before
 * that. Format 1 has no slots either: they are the numbers.
 * Version (suffix u32be slot), format 1: u8 format ‖ nonce24 ‖ ciphertext ‖ tag16 under the
 * version's own key, XChaCha20-Poly1305, AAD = the store key; plaintext u32 length ‖ JSON text ‖
 * zeroes to a multiple of 64. A new version takes the slot of the one that it pushes out: the record is
 * overwritten where it stands, and a commit touches a page less of the store. That key stands in the
 * metadata alone: without it the version is gone.
 * Name: u8 format ‖ field name ("c" or "b/"). Sealed by the barrier.
 * Mount settings: u8 format ‖ u32 max versions ‖ u8 cas required ‖ i64 delete after. */
#pragma once

#include "vaultd/engine/kv.h"

#define KV_KEY       (BARRIER_NAME_KEY + 4u)
#define KV_DATA_MAX  ((size_t)512 * 1024)
#define KV_VERSIONS_MAX 4096u /* in a secret's metadata: those kept, and older ones that a target may accept */
#define KV_PATH_MAX  4096u /* of names that are there; a new one is shorter (core/path.h) */

struct kv_settings {
    uint32_t max_versions;
    bool cas_required;
    int64_t delete_version_after_s; /* -1: disabled */
};

void kv_key(struct core *core, const struct mount *mount, const char *path, uint32_t suffix,
            unsigned char key[KV_KEY]);
void kv_meta_write(const struct kv_secret *secret, struct kt_buf *out);
enum kt_kind kv_meta_read(struct kt_bytes record, struct kt_arena *arena, struct kv_secret *ret,
                          struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kv_value_seal(const unsigned char dek[32], struct kt_bytes key, struct kt_bytes data,
                           struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kv_value_open(const unsigned char dek[32], struct kt_bytes key,
                           struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind kv_settings_load(struct core *core, const struct mount *mount,
                              struct snapshot *snapshot, struct kv_settings *ret,
                              generation *ret_changed, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kv_settings_put(struct core *core, const struct mount *mount, struct batch *batch,
                             const struct kv_settings *settings, generation changed,
                             struct kt_err *err) KT_MUST_CHECK;
void kv_settings_delete(struct core *core, const struct mount *mount, struct batch *batch);

/* ---- names (kv_names.c) ---- */
enum kt_kind kv_name_add(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                         struct batch *batch, const char *path, struct kt_err *err) KT_MUST_CHECK;
/* keeps: a path that the same batch adds: its folders stay; or NULL. */
enum kt_kind kv_name_remove(struct core *core, const struct mount *mount,
                            struct snapshot *snapshot, struct batch *batch, const char *path,
                            const char *keeps, struct kt_err *err) KT_MUST_CHECK;
/* The name in an entry of TABLE_KV_NAME, "c" or "b/"; in the arena, with a NUL behind it. */
enum kt_kind kv_name_read(struct core *core, const struct entry *entry, struct kt_arena *arena,
                          struct kt_bytes *ret, struct kt_err *err) KT_MUST_CHECK;
/* Answers with the children of a folder ("" or "a/b/"), sorted, as {"keys": [...]}; with nothing when
 * there are none. A long list goes aside. */
enum kt_kind kv_name_list(struct request *req, const struct mount *mount, const char *folder,
                          struct kt_err *err) KT_MUST_CHECK;
