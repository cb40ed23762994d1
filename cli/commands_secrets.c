/* cli/commands_secrets.c - the help's group "Keep secrets"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag kv_get_flags[] = {
    {FLAG_FIELD, NULL}, {FLAG_VERSION, NULL}, {FLAG_WRAP_TTL, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_put_flags[] = {
    {FLAG_CAS, NULL}, {FLAG_REPLACE, NULL}, {FLAG_FIELD, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_patch_flags[] = {
    {FLAG_CAS, NULL}, {FLAG_REMOVE, NULL}, {FLAG_FIELD, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_path_flags[] = {{FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_list_flags[] = {{FLAG_RECURSIVE, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_diff_flags[] = {
    {FLAG_VERSIONS, "of these two"}, {FLAG_VALUES, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag find_flags[] = {
    {FLAG_KEY, "it has this key; * and ? as in a shell"},
    {FLAG_METADATA, "this note stands beside it; KEY alone: with any value; * and ? as in a shell"},
    {FLAG_IN, NULL}, END};
static const struct command_flag kv_versions_flags[] = {
    {FLAG_VERSIONS, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_rollback_flags[] = {
    {FLAG_VERSION, "back to what this version holds"}, {FLAG_FIELD, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_read_flags[] = {{FLAG_FIELD, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_metadata_flags[] = {
    {FLAG_MAX_VERSIONS, NULL}, {FLAG_CAS_REQUIRED, NULL}, {FLAG_DELETE_AFTER, NULL},
    {FLAG_CUSTOM, NULL}, {FLAG_MOUNT, NULL}, END};
static const struct command_flag kv_metadata_delete_flags[] = {
    {FLAG_FORCE, NULL}, {FLAG_MOUNT, NULL}, END};

static const struct command rows[] = {
    {"kv get", "get", GROUP_SECRETS, 0, "Read a secret.", "PATH", 1, 1, kv_get_flags, NULL,
     "secretctl kv get secret/db/orders\n"
     "secretctl kv get -field=password secret/db/orders\n"
     "secretctl kv get -wrap-ttl=5m -field=wrapping_token secret/db/orders > token.txt", cmd_kv_get},
    {"kv put", "put", GROUP_SECRETS, 0, "Write a new version of a secret, all keys of it.",
     "PATH KEY=@FILE|KEY=-|KEY= ...", 2, MANY, kv_put_flags,
     "A value is never an argument: key=@FILE takes a file, key=- the standard input, key= asks.\n"
     "\"-\" or @FILE alone is a whole JSON object. Every byte is kept, a newline at the end too: a password\n"
     "comes from printf %s or echo -n (where it is one line, the newline is pointed out).\n"
     "Keys that are not given again are gone in the new version; at a terminal that wants --replace.",
     "secretctl kv put secret/db/orders username= password=\n"
     "secretctl kv put secret/tls/web key=@key.pem cert=@cert.pem\n"
     "generate | secretctl kv put secret/api/key token=-\n"
     "secretctl kv put -cas=0 secret/new - < secret.json", cmd_kv_put},
    {"kv patch", "patch", GROUP_SECRETS, 0, "Change some keys of a secret.",
     "PATH KEY=@FILE|KEY=-|KEY= ...", 1, MANY, kv_patch_flags,
     "Values are given as for kv put; the other keys stay as they are.",
     "secretctl kv patch secret/db/orders password=@new.txt\n"
     "secretctl kv patch -remove-data=old_key secret/db/orders", cmd_kv_patch},
    {"kv list", "ls", GROUP_SECRETS, 0, "List what is in a folder.", "PATH", 0, 1, kv_list_flags,
     "With -r all secrets below it, with their whole names; folders that may not be listed are named.",
     "secretctl kv list secret/\n"
     "secretctl kv list -r secret/db/", cmd_kv_list},
    {"kv tree", "tree", GROUP_SECRETS, 0, "Draw all that is below a folder.", "PATH", 0, 1, kv_path_flags,
     NULL, "secretctl kv tree secret/\nsecretctl tree secret/db", cmd_kv_tree},
    {"find", NULL, GROUP_SECRETS, COMMAND_ASKS, "Find secrets by name, by a key that they have, or by a note.",
     "[WORD]", 0, 1, find_flags,
     "WORD is a part of the path, or a pattern with * and ? for all of it or its last name; upper and lower\n"
     "case are alike. What is given has to be true together. Looks where the token may: what it may not list\n"
     "or look at is named. Values are never looked at; but a KV mount of version 1 can tell keys only with\n"
     "them. Exit code 0 when something is found, 2 when nothing is, 1 for an error.",
     "secretctl find orders\n"
     "secretctl find -key=password -in=secret/db/\n"
     "secretctl find -metadata=owner=team-* \"*/web*\"", cmd_find},
    {"kv history", "history", GROUP_SECRETS, 0, "List the versions of a secret and their state.",
     "PATH", 1, 1, kv_read_flags, NULL, "secretctl kv history secret/db/orders", cmd_kv_history},
    {"kv diff", "diff", GROUP_SECRETS, COMMAND_ASKS, "Say in which keys two versions of a secret differ.", "PATH",
     1, 1, kv_diff_flags,
     "Without -versions it is the one before the current, and that. + is new, - is gone, ~ has another value;\n"
     "-values shows the values. Exit code 0 when they are the same, 2 when not, 1 for an error.",
     "secretctl kv diff secret/app/config\n"
     "secretctl kv diff -versions=2,5 secret/app/config", cmd_kv_diff},
    {"kv rollback", "rollback", GROUP_SECRETS, 0, "Write an old version again as the newest.", "PATH",
     1, 1, kv_rollback_flags,
     "Refused for a secret that a driver rotates, since its target would not accept the old value:\n"
     "there it is secretctl rotate --back SECRET.",
     "secretctl kv rollback -version=3 secret/app/config", cmd_kv_rollback},
    {"kv delete", "rm", GROUP_SECRETS, 0, "Delete the current version, or others; they can be brought back.",
     "PATH", 1, 1, kv_versions_flags, NULL,
     "secretctl kv delete secret/app/config\n"
     "secretctl kv delete -versions=1,2 secret/app/config", cmd_kv_delete},
    {"kv undelete", "undelete", GROUP_SECRETS, 0, "Bring deleted versions back.", "PATH", 1, 1,
     kv_versions_flags, NULL, "secretctl kv undelete -versions=2 secret/app/config", cmd_kv_undelete},
    {"kv destroy", "destroy", GROUP_SECRETS, 0, "Remove versions for good.", "PATH", 1, 1,
     kv_versions_flags, NULL, "secretctl kv destroy -versions=1,2 secret/app/config", cmd_kv_destroy},
    {"kv cp", "cp", GROUP_SECRETS, 0, "Copy a secret with its versions, without reading it.", "FROM TO", 2, 2,
     field_flags,
     "One transaction; never over something that is there. TO may end in '/': into that folder. It takes\n"
     "update on MOUNT/copy/FROM, read on MOUNT/metadata/FROM, and on MOUNT/data/FROM read, or else sudo\n"
     "beside the update; at TO create on MOUNT/data/TO and MOUNT/metadata/TO. Where the token could read\n"
     "there what it may not read here it is refused. Not for a secret that a driver rotates.",
     "secretctl kv cp secret/app/config secret/app/config-old\n"
     "secretctl kv cp secret/app/config archive/2025/", cmd_kv_cp},
    {"kv mv", "mv", GROUP_SECRETS, 0, "Move a secret with its versions, without reading it.", "FROM TO", 2, 2,
     field_flags,
     "As kv cp; it takes update on MOUNT/move/FROM instead, and delete on MOUNT/metadata/FROM. Policies do\n"
     "not follow it. Not while the secret is rotated, nor while services are known to use it by its name.",
     "secretctl kv mv secret/app/config secret/team-a/config", cmd_kv_mv},
    {"kv enable-versioning", NULL, GROUP_SECRETS, 0, "Let a KV mount of version 1 keep versions from now on.",
     "MOUNT", 1, 1, NULL, "Its secrets become version 1 of themselves. There is no way back.",
     "secretctl kv enable-versioning kv/", cmd_kv_enable_versioning},
    {"kv metadata get", NULL, GROUP_SECRETS, 0, "Show what stands beside a secret: limits, notes, times.",
     "PATH", 1, 1, kv_read_flags, NULL, "secretctl kv metadata get secret/app/config",
     cmd_kv_metadata_get},
    {"kv metadata put", NULL, GROUP_SECRETS, 0, "Set limits and notes of a secret; notes are replaced.",
     "PATH", 1, 1, kv_metadata_flags, NULL,
     "secretctl kv metadata put -max-versions=20 secret/app/config\n"
     "secretctl kv metadata put -custom-metadata=owner=team-orders secret/app/config",
     cmd_kv_metadata_put},
    {"kv metadata patch", NULL, GROUP_SECRETS, 0, "Change some limits and notes of a secret.", "PATH", 1, 1,
     kv_metadata_flags, NULL,
     "secretctl kv metadata patch -custom-metadata=owner=team-orders secret/app/config",
     cmd_kv_metadata_patch},
    {"kv metadata delete", NULL, GROUP_SECRETS, 0, "Remove a secret with all its versions for good.",
     "PATH", 1, 1, kv_metadata_delete_flags, NULL, "secretctl kv metadata delete secret/app/config",
     cmd_kv_metadata_delete},
};
/* clang-format on */
const struct command_rows commands_secrets = COMMAND_ROWS(rows);
