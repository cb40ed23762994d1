/* vaultd/engine/sys.h - handlers of the sys/ routes, file by file; the table is in sys.c. */
#pragma once

#include "vaultd/core/core.h"

extern const struct engine system_engine;

/* Vault's clients take the server for a Vault of this line; the product's own version stands beside
 * it, in "keyturn_version". */
#define SYS_VAULT_VERSION "1.15.6"

/* sys_status.c: answer also while sealed */
handler_fn sys_init_read, sys_init_write, sys_seal_status, sys_unseal, sys_health, sys_leader;
handler_fn sys_seal, sys_step_down;
/* sys_seals.c */
handler_fn sys_seals_read, sys_seals_write, sys_seals_delete;
/* sys_keys.c */
handler_fn sys_rotate, sys_key_status, sys_rotate_config_read, sys_rotate_config_write;
/* sys_rekey.c */
handler_fn sys_rekey_status, sys_rekey_begin, sys_rekey_cancel, sys_rekey_update;
handler_fn sys_rekey_verify_status, sys_rekey_verify, sys_rekey_verify_again;
handler_fn sys_rekey_backup_read, sys_rekey_backup_delete, sys_rekey_recovery;
/* sys_generate_root.c */
handler_fn sys_root_status, sys_root_begin, sys_root_cancel, sys_root_update;
/* sys_storage.c */
handler_fn sys_storage, sys_compact_read, sys_compact_write, sys_compact_delete;
handler_fn sys_reencrypt_read, sys_reencrypt_write;
/* sys_mounts.c */
handler_fn sys_mounts_list, sys_mounts_read, sys_mounts_write, sys_mounts_delete, sys_auth_list;
/* sys_tune.c */
handler_fn sys_tune_read, sys_tune_write, sys_auth_tune_read, sys_auth_tune_write;
/* sys_auth.c */
handler_fn sys_auth_read, sys_auth_write, sys_auth_delete;
/* sys_remount.c */
handler_fn sys_remount, sys_remount_status;
/* sys_ui.c */
handler_fn sys_ui_mount, sys_ui_mounts, sys_ui_acl;
/* sys_policy.c */
handler_fn sys_policy_list, sys_policy_old_list, sys_policy_read, sys_policy_old_read;
handler_fn sys_policy_write, sys_policy_delete;
handler_fn sys_capabilities, sys_capabilities_self, sys_capabilities_accessor;
/* sys_wrapping.c */
handler_fn sys_wrapping_wrap, sys_wrapping_lookup, sys_wrapping_unwrap, sys_wrapping_rewrap;
/* A policy's text as it came: raw HCL or JSON, or the base64 of it. */
struct kt_bytes sys_policy_text(struct request *req, const char *text);
/* sys_explain.c */
handler_fn sys_policy_explain, sys_policy_lint;
/* sys_audit.c */
handler_fn sys_audit_checkpoint_read, sys_audit_checkpoint_write, sys_audit_export;
handler_fn sys_audit_leaves, sys_audit_checkpoints, sys_audit_proof, sys_audit_hash;
/* sys_tools.c */
handler_fn sys_random, sys_hash;
/* sys_devices.c: what is the configuration's */
handler_fn sys_devices_list, sys_devices_write, sys_devices_delete;
handler_fn sys_audit_headers_list, sys_audit_header_read, sys_audit_header_write;
handler_fn sys_cors_read, sys_cors_write, sys_nothing_delete;
/* sys_host.c */
handler_fn sys_host_info, sys_ha_status, sys_config_state, sys_counters_tokens;
/* sys_approvals.c */
handler_fn sys_approvals_list, sys_approval_read, sys_approval_approve, sys_approval_deny, sys_approval_break_glass;
handler_fn sys_approvals_mine, sys_approval_mine_read, sys_approval_mine_write, sys_approval_mine_delete;
handler_fn sys_approval_finish;
/* sys_approval_rules.c */
handler_fn sys_approval_rules_list, sys_approval_rule_read, sys_approval_rule_write, sys_approval_rule_delete;
/* sys_quotas.c */
handler_fn sys_quotas_config_read, sys_quotas_config_write;
handler_fn sys_quota_read, sys_quota_list, sys_quota_write, sys_quota_delete;
/* sys_leases.c */
handler_fn sys_lease_lookup, sys_lease_renew, sys_lease_revoke, sys_lease_revoke_prefix, sys_lease_revoke_force;
handler_fn sys_lease_list, sys_lease_count, sys_leases, sys_lease_tidy;
/* sys_metrics.c */
handler_fn sys_metrics;
/* sys_openapi.c */
handler_fn sys_openapi;
/* sys_mounts.c: enables what the request's fields say at a path with its trailing '/'. */
enum kt_kind sys_mount_enable(struct request *req, const char *path, struct kt_err *err) KT_MUST_CHECK;
/* sys_ui.c: what the request's token may do, to be unref'd; NULL: no token came along. */
struct acl;
enum kt_kind sys_acl_of(struct request *req, struct acl **ret, struct kt_err *err) KT_MUST_CHECK;
