/* cli/commands_moving.c - the help's group "Move in and out"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag export_vault_flags[] = {
    {FLAG_TO, "the other vault's address"}, {FLAG_PEER_TOKEN, NULL}, {FLAG_PEER_CA, NULL},
    {FLAG_PEER_NAME, NULL}, {FLAG_PEER_NAMESPACE, NULL},
    {FLAG_PATH, "only this KV mount, folder or secret"}, {FLAG_DRY_RUN, NULL},
    {FLAG_REPLACE, "write over what is there already and differs"}, END};
static const struct command_flag import_files_flags[] = {
    {FLAG_DRY_RUN, NULL}, {FLAG_REPLACE, "replace what is there already and differs"}, END};
static const struct command_flag import_vault_flags[] = {
    {FLAG_FROM, "the other vault's address"}, {FLAG_PEER_TOKEN, NULL}, {FLAG_PEER_CA, NULL},
    {FLAG_PEER_NAME, NULL}, {FLAG_PEER_NAMESPACE, NULL},
    {FLAG_PATH, "only this KV mount, folder or secret"}, {FLAG_DRY_RUN, NULL},
    {FLAG_REPLACE, "write over what is there already and differs"}, END};

static const struct command rows[] = {
    {"import vault", NULL, GROUP_MOVING, 0, "Copy everything from a running Vault or OpenBao, and compare.", "", 0, 0,
     import_vault_flags,
     "Takes KV mounts (all versions with their numbers, times and states, and the metadata), policies, AppRole's\n"
     "roles, entities and groups; with -path only what is in a KV mount. What cannot come is told with its\n"
     "reason. The other vault is only read. Interrupted, the same command goes on: what is there already and\n"
     "equal is left as it is. What is there already and differs is refused, or written over with -replace. At\n"
     "the end both sides are compared. Exit code 0 when all came and is equal, 2 when not.",
     "secretctl import vault -from=https://vault.example:8200 -peer-token-file=old-token -dry-run\n"
     "secretctl import vault -from=https://vault.example:8200 -path=secret/team-a", cmd_import_vault},
    {"import env", NULL, GROUP_MOVING, 0, "Make a secret of a .env file.", "FILE|- SECRET", 2, 2, import_files_flags,
     "Each NAME=VALUE becomes a key. Quotes and escapes are read as dotenv files have them; nothing is\n"
     "expanded. Another value that is there already is refused, or replaced with -replace.",
     "secretctl import env .env secret/team-a/app\nsecretctl import env -dry-run - secret/app < .env",
     cmd_import_env},
    {"import sops-decrypted", NULL, GROUP_MOVING, 0, "Make a secret of what sops -d prints.", "FILE|- SECRET", 2, 2,
     import_files_flags, "JSON and dotenv are read. A file that is still encrypted is refused.",
     "sops -d --output-type json app.enc.yaml | secretctl import sops-decrypted - secret/team-a/app", cmd_import_sops},
    {"import json", NULL, GROUP_MOVING, 0, "Make secrets of a JSON object of secrets.", "FILE|- PATH", 2, 2,
     import_files_flags, "{\"db/orders\": {\"username\": ...}, ...}, as secretctl export json writes it: each member\n"
     "becomes a secret below PATH.",
     "secretctl import json secrets.json secret/team-a", cmd_import_json},
    {"import dir", NULL, GROUP_MOVING, 0, "Make secrets of a folder of files.", "DIR PATH", 2, 2, import_files_flags,
     "db/orders.json and db/orders.env become PATH/db/orders. Any other file is a key of the secret that has\n"
     "its folder's name: db/orders/password. Names that begin with a dot are passed over.",
     "secretctl import dir ./secrets secret/team-a", cmd_import_dir},
    {"export vault", NULL, GROUP_MOVING, 0, "Copy everything to a running Vault or OpenBao, and compare.", "", 0, 0,
     export_vault_flags,
     "The way back of import vault, with nothing asked of the other vault but what every Vault has: versions are\n"
     "written one after the other, so they have their numbers, values and states there, but the times of the\n"
     "export. The vault here is only read. Interrupted, the same command goes on. Exit code 0 when all came\n"
     "and is equal, 2 when not.",
     "secretctl export vault -to=https://vault.example:8200 -peer-token-file=their-token -dry-run",
     cmd_export_vault},
    {"export env", NULL, GROUP_MOVING, 0, "Write a secret as a .env file.", "SECRET [FILE|-]", 1, 2, NULL,
     "FILE is made anew, for its owner alone. What is no text is written as its JSON.",
     "secretctl export env secret/team-a/app app.env", cmd_export_env},
    {"export json", NULL, GROUP_MOVING, 0, "Write all secrets below a path as one JSON object.", "PATH [FILE|-]", 1, 2,
     NULL, "The newest versions; what is deleted is left. FILE is made anew, for its owner alone.",
     "secretctl export json secret/team-a team-a.json", cmd_export_json},
    {"export dir", NULL, GROUP_MOVING, 0, "Write all secrets below a path into a folder, a file each.", "PATH DIR", 2, 2,
     NULL, "PATH/db/orders becomes DIR/.../db/orders.json. DIR is made anew, for its owner alone.",
     "secretctl export dir secret/team-a ./secrets", cmd_export_dir},
};
/* clang-format on */
const struct command_rows commands_moving = COMMAND_ROWS(rows);
