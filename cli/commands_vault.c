/* cli/commands_vault.c - the help's group "Run the vault"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag path_flags[] = {{FLAG_FIELD, NULL}, {FLAG_WRAP_TTL, NULL}, END};
static const struct command_flag init_flags[] = {
    {FLAG_SHARES, NULL}, {FLAG_THRESHOLD, NULL}, {FLAG_STATUS, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag unseal_flags[] = {
    {FLAG_RESET, NULL}, {FLAG_ACCEPT_ROLLBACK, NULL}, {FLAG_BY_CREDENTIAL, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag compact_flags[] = {
    {FLAG_STATUS, "only say how far it is, or how the last one ended"}, {FLAG_STOP, NULL},
    {FLAG_DETACH, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag reencrypt_flags[] = {
    {FLAG_STATUS, "only say how far it is, or how the last one ended"}, {FLAG_DETACH, NULL},
    {FLAG_FIELD, NULL}, END};
static const struct command_flag rekey_flags[] = {
    {FLAG_INIT, "begin, with -key-shares and -key-threshold"}, {FLAG_SHARES, NULL}, {FLAG_THRESHOLD, NULL},
    {FLAG_VERIFY, "give the new keys (-status, -cancel: of that); with -init it is on: =false does without"},
    {FLAG_NONCE, NULL}, {FLAG_STATUS, "only say how far it is"}, {FLAG_CANCEL, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag generate_root_flags[] = {
    {FLAG_INIT, NULL}, {FLAG_DECODE, NULL},
    {FLAG_OTP, "-init writes the one-time pad there, for its owner only; -decode reads it"},
    {FLAG_NONCE, NULL}, {FLAG_STATUS, "only say how far it is"}, {FLAG_CANCEL, NULL}, {FLAG_FIELD, NULL}, END};

static const struct command rows[] = {
    {"status", NULL, GROUP_VAULT, COMMAND_ASKS | COMMAND_TOKENLESS, "Say whether the vault is sealed.", "", 0, 0,
     field_flags, "Exit code 0 when it is unsealed, 2 when it is sealed, 1 for an error.",
     "secretctl status", cmd_status},
    {"operator init", "init", GROUP_VAULT, COMMAND_TOKENLESS, "Make the keys of a new vault.", "", 0, 0,
     init_flags, "With -status: exit code 0 when it is done already, 2 when not, 1 for an error.",
     "secretctl operator init\nsecretctl operator init -key-shares=1 -key-threshold=1", cmd_operator_init},
    {"operator unseal", "unseal", GROUP_VAULT, COMMAND_TOKENLESS, "Give unseal keys, one after the other.",
     "[-]", 0, 1, unseal_flags,
     "Each key is asked for, or stands in a line of the standard input. -accept-rollback needs all of\n"
     "the threshold with it. -by-credential gives none: it has vaultd try its credentials again, after\n"
     "operator seal for instance (operator seal-status says how each went).",
     "secretctl operator unseal\nsecretctl operator unseal - < three-keys.txt", cmd_operator_unseal},
    {"operator seal", "seal", GROUP_VAULT, 0, "Take the vault's keys out of memory.", "", 0, 0, NULL, NULL,
     "secretctl operator seal", cmd_operator_seal},
    {"operator seal-status", NULL, GROUP_VAULT, COMMAND_ASKS | COMMAND_TOKENLESS,
     "Show what opens the vault, and what is wrong with it.", "", 0, 0, field_flags,
     "The key shares, and the credentials with which vaultd unseals by itself when it starts: how each went\n"
     "when it was last tried. Exit code 0 when the vault is unsealed, 2 when it is sealed, 1 for an error.",
     "secretctl operator seal-status", cmd_operator_seal_status},
    {"operator seal-add", NULL, GROUP_VAULT, 0, "Let vaultd unseal by itself with a credential.", "NAME", 1, 1, NULL,
     "NAME is a credential of 32 bytes that systemd hands to vaultd (LoadCredentialEncrypted=), and that\n"
     "vaultd's configuration names: seal \"credential\" { name = \"NAME\" }. It wraps the same root key as the\n"
     "key shares do, which stay valid. Again, after the credential was changed: takes the new one.",
     "secretctl operator seal-add vaultd-seal", cmd_operator_seal_add},
    {"operator seal-remove", NULL, GROUP_VAULT, 0, "Take from a credential that it unseals.", "NAME", 1, 1, NULL,
     "Copies of the data folder that were made before still open with it.",
     "secretctl operator seal-remove vaultd-seal", cmd_operator_seal_remove},
    {"operator key-status", NULL, GROUP_VAULT, 0, "Show the term of the keyring.", "", 0, 0, field_flags, NULL,
     "secretctl operator key-status", cmd_operator_key_status},
    {"operator rotate", NULL, GROUP_VAULT, 0, "Seal what is written from now on with a new key.", "", 0, 0, NULL,
     NULL, "secretctl operator rotate", cmd_operator_rotate},
    {"operator rekey", NULL, GROUP_VAULT, 0, "Make new unseal keys, with the consent of who holds the old ones.",
     "[-]", 0, 1, rekey_flags,
     "-init and -cancel want a token with sudo on sys/rekey/init, or root on the vault's own machine through\n"
     "its Unix socket. Then the holders of the old keys give them, as for operator unseal; whoever gives the\n"
     "last one is shown the new ones, once. Until enough of those were given back with -verify, within a\n"
     "day, the old keys stay valid: nothing is lost if the new ones are. secretctl status says which set of\n"
     "keys unseals (Key Set). A copy of the data folder that was made before opens with the old keys, for ever.",
     "secretctl operator rekey -init -key-shares=5 -key-threshold=3\n"
     "secretctl operator rekey\n"
     "secretctl operator rekey -nonce=NONCE - < a-key.txt\n"
     "secretctl operator rekey -verify", cmd_operator_rekey},
    {"operator generate-root", NULL, GROUP_VAULT, 0,
     "Make a root token, with the consent of who holds the unseal keys.", "[-]", 0, 1, generate_root_flags,
     "-init and -cancel want a token with sudo on sys/generate-root/attempt, or root on the vault's own\n"
     "machine through its Unix socket. Then the holders of the unseal keys give them; whoever gives the last\n"
     "one is shown the token encoded with the one-time pad: who began, and has the pad, turns it into the\n"
     "token with -decode, which asks for what is encoded, or reads it with \"-\" from the standard input.",
     "secretctl operator generate-root -init -otp=pad.txt\n"
     "secretctl operator generate-root\n"
     "secretctl operator generate-root -decode -otp=pad.txt", cmd_operator_generate_root},
    {"operator reencrypt", NULL, GROUP_VAULT, 0, "Seal everything with a new key and destroy the old ones.",
     "", 0, 0, reencrypt_flags,
     "Begins a new term of the keyring and seals what older terms sealed anew, while the vault serves;\n"
     "then the older terms are destroyed. It goes on after a restart. With operator compact after it,\n"
     "what was deleted or destroyed before cannot be read from the store any more, not even with all\n"
     "unseal keys. Blocks of the disk that held the old file, and backups, are excepted.",
     "secretctl operator reencrypt\nsecretctl operator reencrypt -status", cmd_operator_reencrypt},
    {"operator compact", NULL, GROUP_VAULT, 0, "Give the store's free pages back to the disk, while it serves.",
     "", 0, 0, compact_flags,
     "Writes what is there into a new file and lets it take the old one's place. It needs room for the\n"
     "copy. Reads never wait, writes wait a moment at the end. A crash leaves one whole store.",
     "secretctl operator compact\nsecretctl operator compact -status", cmd_operator_compact},
    {"operator storage", NULL, GROUP_VAULT, 0, "Show how large the store is, and how much of it is free.",
     "", 0, 0, field_flags, "Free pages are taken first by later writes.", "secretctl operator storage",
     cmd_operator_storage},
    {"read", NULL, GROUP_VAULT, 0, "Read any path of the API.", "PATH", 1, 1, path_flags, NULL,
     "secretctl read sys/health", cmd_read},
    {"write", NULL, GROUP_VAULT, 0, "Write to any path of the API.", "PATH KEY=@FILE|KEY=-|KEY=|@FILE|-", 1,
     MANY, path_flags,
     "A value comes from a file, the standard input or a prompt. KEY=VALUE is taken where the API's field is\n"
     "a setting that is no secret: of identity/, of roles, users and groups below auth/, of rules of approval.",
     "secretctl write identity/group name=approvers member_entity_ids=ID,ID\n"
     "secretctl write sys/mounts/team-a/tune @tune.json\n"
     "secretctl write -wrap-ttl=5m sys/wrapping/wrap @for-them.json", cmd_write},
    {"list", NULL, GROUP_VAULT, 0, "List any path of the API.", "PATH", 1, 1, NULL, NULL,
     "secretctl list auth/token/accessors", cmd_list},
    {"delete", NULL, GROUP_VAULT, 0, "Delete any path of the API.", "PATH", 1, 1, NULL, NULL,
     "secretctl delete sys/policies/acl/old", cmd_delete},
};
/* clang-format on */
const struct command_rows commands_vault = COMMAND_ROWS(rows);
