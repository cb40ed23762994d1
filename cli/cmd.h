/* cli/cmd.h - the handlers that the rows of cli/commands_*.c name; each stands in a cmd_*.c file.
 *
 * They return the exit code and have said what failed.
 * Threads: one thread. */
#pragma once

struct cli;

int cmd_operator_init(struct cli *cli);
int cmd_operator_unseal(struct cli *cli);
int cmd_operator_seal(struct cli *cli);
int cmd_operator_seal_status(struct cli *cli);
int cmd_operator_seal_add(struct cli *cli);
int cmd_operator_seal_remove(struct cli *cli);
int cmd_operator_key_status(struct cli *cli);
int cmd_operator_rotate(struct cli *cli);
int cmd_operator_rekey(struct cli *cli);
int cmd_operator_generate_root(struct cli *cli);
int cmd_operator_storage(struct cli *cli);
int cmd_operator_compact(struct cli *cli);
int cmd_operator_reencrypt(struct cli *cli);
int cmd_status(struct cli *cli);

int cmd_login(struct cli *cli);
int cmd_token_create(struct cli *cli);
int cmd_unwrap(struct cli *cli);
int cmd_token_lookup(struct cli *cli);
int cmd_token_renew(struct cli *cli);
int cmd_token_revoke(struct cli *cli);
int cmd_token_tree(struct cli *cli);
int cmd_token_capabilities(struct cli *cli);
int cmd_approve(struct cli *cli);
int cmd_deny(struct cli *cli);
int cmd_approvals_list(struct cli *cli);
int cmd_approvals_show(struct cli *cli);
int cmd_approvals_finish(struct cli *cli);
int cmd_approvals_withdraw(struct cli *cli);
int cmd_approvals_break_glass(struct cli *cli);
int cmd_lease_list(struct cli *cli);
int cmd_lease_lookup(struct cli *cli);
int cmd_lease_renew(struct cli *cli);
int cmd_lease_revoke(struct cli *cli);

int cmd_kv_get(struct cli *cli);
int cmd_kv_put(struct cli *cli);
int cmd_kv_patch(struct cli *cli);
int cmd_kv_list(struct cli *cli);
int cmd_kv_tree(struct cli *cli);
int cmd_kv_diff(struct cli *cli);
int cmd_find(struct cli *cli);
int cmd_kv_delete(struct cli *cli);
int cmd_kv_undelete(struct cli *cli);
int cmd_kv_destroy(struct cli *cli);
int cmd_kv_history(struct cli *cli);
int cmd_kv_rollback(struct cli *cli);
int cmd_kv_cp(struct cli *cli);
int cmd_kv_mv(struct cli *cli);
int cmd_kv_enable_versioning(struct cli *cli);
int cmd_kv_metadata_get(struct cli *cli);
int cmd_kv_metadata_put(struct cli *cli);
int cmd_kv_metadata_patch(struct cli *cli);
int cmd_kv_metadata_delete(struct cli *cli);

int cmd_read(struct cli *cli);
int cmd_write(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_delete(struct cli *cli);

int cmd_auth_list(struct cli *cli);
int cmd_auth_enable(struct cli *cli);
int cmd_auth_disable(struct cli *cli);
int cmd_auth_tune(struct cli *cli);
int cmd_secrets_list(struct cli *cli);
int cmd_secrets_enable(struct cli *cli);
int cmd_secrets_disable(struct cli *cli);
int cmd_secrets_tune(struct cli *cli);
int cmd_secrets_move(struct cli *cli);
int cmd_policy_list(struct cli *cli);
int cmd_policy_read(struct cli *cli);
int cmd_policy_write(struct cli *cli);
int cmd_policy_delete(struct cli *cli);
int cmd_policy_fmt(struct cli *cli);
int cmd_policy_explain(struct cli *cli);
int cmd_policy_lint(struct cli *cli);

int cmd_calendar_set(struct cli *cli);
int cmd_calendar_show(struct cli *cli);
int cmd_calendar_list(struct cli *cli);
int cmd_calendar_remove(struct cli *cli);
int cmd_certificate_revoke(struct cli *cli);
int cmd_certificate_revoked(struct cli *cli);
int cmd_certificate_served(struct cli *cli);
int cmd_schedule_set(struct cli *cli);
int cmd_schedule_show(struct cli *cli);
int cmd_schedule_list(struct cli *cli);
int cmd_schedule_remove(struct cli *cli);
int cmd_schedule_preview(struct cli *cli);
int cmd_target_set(struct cli *cli);
int cmd_target_show(struct cli *cli);
int cmd_target_list(struct cli *cli);
int cmd_target_remove(struct cli *cli);
int cmd_target_check(struct cli *cli);
int cmd_rotate(struct cli *cli);
int cmd_reconcile(struct cli *cli);
int cmd_drill(struct cli *cli);
int cmd_run_list(struct cli *cli);
int cmd_run_show(struct cli *cli);
int cmd_run_watch(struct cli *cli);
int cmd_run_report(struct cli *cli);
int cmd_run_verify(struct cli *cli);
int cmd_run_cancel(struct cli *cli);
int cmd_run_thaw(struct cli *cli);
int cmd_run_pause(struct cli *cli);
int cmd_run_resume(struct cli *cli);
int cmd_run_why(struct cli *cli);
int cmd_notify_list(struct cli *cli);
int cmd_notify_test(struct cli *cli);
int cmd_due(struct cli *cli);
int cmd_overdue(struct cli *cli);
int cmd_zombies(struct cli *cli);
int cmd_plan(struct cli *cli);
int cmd_classes_show(struct cli *cli);
int cmd_classes_write(struct cli *cli);

int cmd_agent_list(struct cli *cli);
int cmd_consumer_list(struct cli *cli);
int cmd_consumer_quarantine(struct cli *cli);
int cmd_consumer_release(struct cli *cli);
int cmd_consumer_quarantined(struct cli *cli);

int cmd_audit_export(struct cli *cli);
int cmd_audit_verify(struct cli *cli);
int cmd_audit_tail(struct cli *cli);
int cmd_audit_checkpoint(struct cli *cli);

int cmd_import_vault(struct cli *cli);
int cmd_export_vault(struct cli *cli);
int cmd_import_env(struct cli *cli);
int cmd_import_sops(struct cli *cli);
int cmd_import_json(struct cli *cli);
int cmd_import_dir(struct cli *cli);
int cmd_export_env(struct cli *cli);
int cmd_export_json(struct cli *cli);
int cmd_export_dir(struct cli *cli);

int cmd_explain(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_complete(struct cli *cli);
int cmd_docs(struct cli *cli);
int cmd_version(struct cli *cli);
