/* cli/commands_access.c - the help's group "Say who may do what"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag approve_flags[] = {{FLAG_FIELD, NULL}, END};
static const struct command_flag deny_flags[] = {
    {FLAG_REASON, "why, for who asked and for the audit log"}, {FLAG_FIELD, NULL}, END};
static const struct command_flag approvals_flags[] = {{FLAG_MINE, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag login_flags[] = {
    {FLAG_METHOD, NULL}, {FLAG_PATH, "where the way is, if not at its own name"}, {FLAG_WRAP_TTL, NULL},
    {FLAG_NO_STORE, NULL}, {FLAG_NO_PRINT, NULL}, {FLAG_FIELD, "token, or another field"}, END};
static const struct command_flag auth_enable_flags[] = {
    {FLAG_PATH, NULL}, {FLAG_DESCRIPTION, NULL}, {FLAG_DEFAULT_LEASE, NULL}, {FLAG_MAX_LEASE, NULL}, END};
static const struct command_flag auth_tune_flags[] = {
    {FLAG_DESCRIPTION, NULL}, {FLAG_DEFAULT_LEASE, NULL}, {FLAG_MAX_LEASE, NULL}, END};
static const struct command_flag token_create_flags[] = {
    {FLAG_POLICY, NULL}, {FLAG_TTL, NULL}, {FLAG_PERIOD, NULL}, {FLAG_MAX_TTL, NULL},
    {FLAG_USE_LIMIT, NULL}, {FLAG_DISPLAY_NAME, NULL}, {FLAG_METADATA, NULL}, {FLAG_ORPHAN, NULL},
    {FLAG_NO_DEFAULT, NULL}, {FLAG_RENEWABLE, NULL}, {FLAG_WRAP_TTL, NULL},
    {FLAG_FIELD, "token, or another field"}, END};
static const struct command_flag token_lookup_flags[] = {
    {FLAG_ACCESSOR, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag token_renew_flags[] = {
    {FLAG_INCREMENT, NULL}, {FLAG_ACCESSOR, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag token_revoke_flags[] = {
    {FLAG_SELF, NULL}, {FLAG_ACCESSOR, NULL}, END};
static const struct command_flag lease_renew_flags[] = {{FLAG_INCREMENT, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag lease_revoke_flags[] = {
    {FLAG_PREFIX, NULL}, {FLAG_FORCE, "with -prefix: forget them, even where what they stand for cannot be revoked"},
    {FLAG_SYNC, NULL}, END};
static const struct command_flag accessor_flags[] = {{FLAG_ACCESSOR, NULL}, END};
static const struct command_flag detailed_flags[] = {{FLAG_DETAILED, NULL}, END};
static const struct command_flag enable_flags[] = {
    {FLAG_PATH, NULL}, {FLAG_VERSION, "version of the KV engine, 2"}, {FLAG_DESCRIPTION, NULL}, END};
static const struct command_flag tune_flags[] = {
    {FLAG_DESCRIPTION, NULL}, {FLAG_DEFAULT_LEASE, "lease of what says none; \"system\": the vault's"},
    {FLAG_MAX_LEASE, "the longest lease; \"system\": the vault's"}, {FLAG_VISIBILITY, NULL},
    {FLAG_VERSION, "2 makes KV version 1 keep versions from now on; there is no way back"}, END};
static const struct command_flag force_flags[] = {{FLAG_FORCE, NULL}, END};
static const struct command_flag fmt_flags[] = {{FLAG_WRITE, NULL}, END};
static const struct command_flag explain_flags[] = {
    {FLAG_CAN, NULL}, {FLAG_FILE, NULL}, {FLAG_ENTITY, NULL}, END};

static const struct command rows[] = {
    {"login", NULL, GROUP_ACCESS, COMMAND_TOKENLESS, "Log in, and keep the token in ~/.vault-token.",
     "[-|NAME=VALUE ...]", 0, 4, login_flags,
     "Without -method it is a token that is tried. What is secret is asked for, or read from the standard\n"
     "input, or from a file (userpass: password=@FILE; approle: secret_id=@FILE; jwt: jwt=@FILE), but is never a word;\n"
     "pam asks for what the host wants to know.",
     "secretctl login\nsecretctl login - < token.txt\n"
     "secretctl login -method=userpass username=bob\n"
     "secretctl login -method=pam username=bob\n"
     "secretctl login -method=approle -path=ci role_id=ID secret_id=@FILE\n"
     "secretctl login -method=jwt role=web jwt=@/var/run/secrets/tokens/vault\n"
     "secretctl login -method=cert -client-cert=web.pem -client-key=web.key\n"
     "secretctl login -method=unix", cmd_login},
    {"token create", NULL, GROUP_ACCESS, 0, "Make a token.", "", 0, 0, token_create_flags,
     "-orphan asks auth/token/create-orphan, all else auth/token/create. One -policy is sent as a text,\n"
     "which allowed_parameters may allow by a pattern (\"agent-*\"); several are sent as a list, which it\n"
     "allows as a whole (\"policies\" = [[\"a\", \"b\"]]).",
     "secretctl token create -policy=deploy -ttl=8h -display-name=ci\n"
     "secretctl token create -orphan -policy=agent-web1 -period=24h -field=token", cmd_token_create},
    {"unwrap", NULL, GROUP_ACCESS, COMMAND_TOKENLESS, "Take what is wrapped, once.", "[-]", 0, 1, field_flags,
     "The wrapping token is asked for, or read from the standard input; no other is needed. Who hears that\n"
     "it is not valid, and should have been the first: somebody else was, and the audit log has it.",
     "secretctl unwrap\nsecretctl unwrap - < wrapping-token.txt", cmd_unwrap},
    {"token lookup", NULL, GROUP_ACCESS, 0, "Show what a token is and how long it lives.", "[-|ACCESSOR]", 0, 1,
     token_lookup_flags, NULL,
     "secretctl token lookup\nsecretctl token lookup -accessor 8mPmRQJ0KcUxnJH0SsbEnWQh",
     cmd_token_lookup},
    {"token renew", NULL, GROUP_ACCESS, 0, "Let a token live longer.", "[-|ACCESSOR]", 0, 1,
     token_renew_flags, NULL, "secretctl token renew -increment=8h", cmd_token_renew},
    {"token revoke", NULL, GROUP_ACCESS, 0, "End a token, and those made with it.", "[-|ACCESSOR]", 0, 1,
     token_revoke_flags, NULL,
     "secretctl token revoke -self\n"
     "secretctl token revoke -accessor 8mPmRQJ0KcUxnJH0SsbEnWQh", cmd_token_revoke},
    {"token tree", NULL, GROUP_ACCESS, 0, "Draw which tokens end with which.", "[ACCESSOR]", 0, 1, NULL,
     "Each with its accessor, name, policies and the time that it has left; below it those that are revoked\n"
     "with it. With an accessor only that one and what is below. It takes read and sudo on auth/token/tree.",
     "secretctl token tree\nsecretctl token tree 8mPmRQJ0KcUxnJH0SsbEnWQh", cmd_token_tree},
    {"token capabilities", NULL, GROUP_ACCESS, 0, "Say what a token may do with a path.", "[-|ACCESSOR] PATH",
     1, 2, accessor_flags, NULL, "secretctl token capabilities secret/data/db/orders",
     cmd_token_capabilities},
    {"approve", NULL, GROUP_ACCESS, 0, "Approve a change that somebody else asked for.", "ID", 1, 1, approve_flags,
     "Look at it first: secretctl approvals show ID. It takes a login of your own: root, and tokens that were\n"
     "made with another token, approve nothing. Who asked carries it out.",
     "secretctl approve 0f8fad5b-d9cb-469f-a165-70867728950e", cmd_approve},
    {"deny", NULL, GROUP_ACCESS, 0, "End a request for approval.", "ID", 1, 1, deny_flags, NULL,
     "secretctl deny 0f8fad5b-d9cb-469f-a165-70867728950e -reason=\"too wide: it grants all of secret/\"", cmd_deny},
    {"approvals list", NULL, GROUP_ACCESS, 0, "List the changes that wait for approval.", "", 0, 0, approvals_flags,
     NULL, "secretctl approvals list\nsecretctl approvals list -mine", cmd_approvals_list},
    {"approvals show", NULL, GROUP_ACCESS, 0, "Show who asks for what, until when, and who approved.", "ID", 1, 1,
     approvals_flags, "Values are shown to who may read them at their path; to others as in the audit log.",
     "secretctl approvals show 0f8fad5b-d9cb-469f-a165-70867728950e", cmd_approvals_show},
    {"approvals finish", NULL, GROUP_ACCESS, 0, "Carry out what you asked for, once it is approved.", "ID", 1, 1,
     approve_flags, "It is done once, with the rights that you have then.",
     "secretctl approvals finish 0f8fad5b-d9cb-469f-a165-70867728950e", cmd_approvals_finish},
    {"approvals withdraw", NULL, GROUP_ACCESS, 0, "Take back what you asked for.", "ID", 1, 1, NULL, NULL,
     "secretctl approvals withdraw 0f8fad5b-d9cb-469f-a165-70867728950e", cmd_approvals_withdraw},
    {"approvals break-glass", NULL, GROUP_ACCESS, 0, "Let a change pass without approvals.", "ID", 1, 1, deny_flags,
     "It takes a root token, on the vault's Unix socket, as the host's root; where there is none, the holders of\n"
     "key shares make one: secretctl operator generate-root. The audit log and vaultd's own log say so.",
     "secretctl approvals break-glass 0f8fad5b-d9cb-469f-a165-70867728950e -reason=\"all approvers left\"",
     cmd_approvals_break_glass},
    {"lease list", NULL, GROUP_ACCESS, 0, "List what ends by itself, below a path.", "[PREFIX]", 0, 1, NULL,
     "Folders end in '/'. It takes list and sudo on sys/leases/lookup/PREFIX.",
     "secretctl lease list\nsecretctl lease list auth/userpass/login/", cmd_lease_list},
    {"lease lookup", NULL, GROUP_ACCESS, 0, "Show when a lease was made and when it ends.", "ID", 1, 1, field_flags,
     NULL, "secretctl lease lookup auth/token/create/h0123...", cmd_lease_lookup},
    {"lease renew", NULL, GROUP_ACCESS, 0, "Let what a lease stands for live longer.", "ID", 1, 1, lease_renew_flags,
     "A token is renewed with secretctl token renew instead.",
     "secretctl lease renew -increment=1h database/creds/orders/4Zk...", cmd_lease_renew},
    {"lease revoke", NULL, GROUP_ACCESS, 0, "End a lease, or all below a path.", "ID|PREFIX", 1, 1,
     lease_revoke_flags,
     "It is answered as soon as nobody can use the lease any more; what it stands for is revoked after that,\n"
     "or before with -sync. -prefix and -force take sudo. -force leaves behind what cannot be revoked: who\n"
     "uses it has to see to it that nobody can use it there.",
     "secretctl lease revoke auth/token/create/h0123...\n"
     "secretctl lease revoke -prefix -sync auth/userpass/login/bob/", cmd_lease_revoke},
    {"policy list", NULL, GROUP_ACCESS, 0, "List the policies.", "", 0, 0, NULL, NULL,
     "secretctl policy list", cmd_policy_list},
    {"policy read", NULL, GROUP_ACCESS, 0, "Print a policy.", "NAME", 1, 1, field_flags, NULL,
     "secretctl policy read deploy", cmd_policy_read},
    {"policy write", NULL, GROUP_ACCESS, 0, "Write a policy from a file.", "NAME FILE|-", 2, 2, NULL, NULL,
     "secretctl policy write deploy policies/deploy.hcl", cmd_policy_write},
    {"policy delete", NULL, GROUP_ACCESS, 0, "Delete a policy; tokens lose what it granted.", "NAME", 1, 1, NULL,
     NULL, "secretctl policy delete deploy", cmd_policy_delete},
    {"policy fmt", NULL, GROUP_ACCESS, COMMAND_LOCAL, "Check a policy file and lay it out.", "FILE|-", 1, 1,
     fmt_flags, NULL, "secretctl policy fmt -w deploy.hcl", cmd_policy_fmt},
    {"policy explain", "can-i", GROUP_ACCESS, COMMAND_ASKS,
     "Say whether policies allow something, which rule decides and why.",
     "[POLICY ...] [CAPABILITY] PATH", 1, MANY, explain_flags,
     "The policies are taken together, as a token has them. Without one it is what the token in use may do,\n"
     "without the rule. Paths are the API's, as policies write them: secret/data/x. Exit code 0 for yes, 2\n"
     "for no, 1 for an error.",
     "secretctl policy explain deploy default -can read secret/data/db/orders\n"
     "secretctl policy explain -file=deploy.hcl update secret/data/db/orders\n"
     "secretctl policy explain -entity=alice -can read secret/data/home/alice/x\n"
     "secretctl can-i read secret/data/db/orders", cmd_policy_explain},
    {"policy lint", NULL, GROUP_ACCESS, COMMAND_ASKS,
     "Say what in a policy file has no effect, and what was perhaps meant.", "FILE|-", 1, 1, NULL,
     "It is held against the mounts that are there and what can be asked of them. Exit code 0 when there is\n"
     "nothing to say, 2 when there is, 1 for an error.",
     "secretctl policy lint deploy.hcl", cmd_policy_lint},
    {"auth list", NULL, GROUP_ACCESS, 0, "List the ways to log in.", "", 0, 0, NULL, NULL,
     "secretctl auth list", cmd_auth_list},
    {"auth enable", NULL, GROUP_ACCESS, 0, "Enable a way to log in.", "TYPE", 1, 1, auth_enable_flags, NULL,
     "secretctl auth enable userpass\nsecretctl auth enable -path=ci -max-lease-ttl=1h approle",
     cmd_auth_enable},
    {"auth disable", NULL, GROUP_ACCESS, 0, "Disable a way to log in, and end all that came through it.",
     "PATH", 1, 1, force_flags, NULL, "secretctl auth disable -force userpass", cmd_auth_disable},
    {"auth tune", NULL, GROUP_ACCESS, 0, "Change the settings of a way to log in.", "PATH", 1, 1,
     auth_tune_flags, NULL, "secretctl auth tune -default-lease-ttl=8h userpass", cmd_auth_tune},
    {"secrets list", NULL, GROUP_ACCESS, 0, "List the mounts.", "", 0, 0, detailed_flags, NULL,
     "secretctl secrets list", cmd_secrets_list},
    {"secrets enable", NULL, GROUP_ACCESS, 0, "Mount a KV engine.", "TYPE", 1, 1, enable_flags, NULL,
     "secretctl secrets enable -path=team-a kv-v2", cmd_secrets_enable},
    {"secrets disable", NULL, GROUP_ACCESS, 0, "Unmount an engine and remove everything in it.", "PATH", 1, 1,
     force_flags, NULL, "secretctl secrets disable -force team-a", cmd_secrets_disable},

    {"secrets tune", NULL, GROUP_ACCESS, 0, "Change a mount's settings.", "MOUNT", 1, 1, tune_flags, NULL,
     "secretctl secrets tune -description=\"team A\" -max-lease-ttl=24h team-a", cmd_secrets_tune},
    {"secrets move", NULL, GROUP_ACCESS, 0, "Give a mount another path.", "FROM TO", 2, 2, NULL,
     "Policies do not follow it. Not while secrets in it are rotated, or services use them by their names.",
     "secretctl secrets move team-a/ teams/a/", cmd_secrets_move},
};
/* clang-format on */
const struct command_rows commands_access = COMMAND_ROWS(rows);
