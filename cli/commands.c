/* cli/commands.c - see cli/commands.h. Rows stand in the order of the help. */
#include "cli/commands.h"

#include <string.h>

#include "cli/cmd.h"

#define MANY CLI_WORDS_MAX
#define END                                                                                        \
    {                                                                                              \
        FLAG_ID_COUNT, NULL                                                                        \
    }

const char *const command_group_titles[GROUP_COUNT] = {
    [GROUP_SECRETS] = "Keep secrets",       [GROUP_ROTATION] = "Rotate them",
    [GROUP_FLEET] = "See who uses them",    [GROUP_AUDIT] = "Prove what happened",
    [GROUP_ACCESS] = "Say who may do what", [GROUP_VAULT] = "Run the vault",
    [GROUP_MOVING] = "Move in and out",    [GROUP_SELF] = "This program",
};

static const enum flag_id common_flags[] = {
    FLAG_ADDRESS, FLAG_CA_CERT, FLAG_CLIENT_CERT, FLAG_CLIENT_KEY, FLAG_TLS_SERVER_NAME,
    FLAG_NAMESPACE, FLAG_CURL,
};

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
static const struct command_flag approve_flags[] = {{FLAG_FIELD, NULL}, END};
static const struct command_flag deny_flags[] = {
    {FLAG_REASON, "why, for who asked and for the audit log"}, {FLAG_FIELD, NULL}, END};
static const struct command_flag approvals_flags[] = {{FLAG_MINE, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag overdue_flags[] = {{FLAG_LIMIT, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag run_pause_flags[] = {
    {FLAG_ALL, "everything: there is no pause of less"}, {FLAG_REASON, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag quarantine_flags[] = {{FLAG_REASON, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag run_resume_flags[] = {
    {FLAG_ALL, "everything, as it was paused"}, {FLAG_FIELD, NULL}, END};
static const struct command_flag field_flags[] = {{FLAG_FIELD, NULL}, END};
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
static const struct command_flag preview_flags[] = {
    {FLAG_COUNT, "so many times, 10"}, {FLAG_FROM, "after this time (2027-03-27T12:00:00Z), now"}, END};
static const struct command_flag rotate_flags[] = {
    {FLAG_BACK, NULL}, {FLAG_DETACH, NULL}, {FLAG_DRY_RUN, "try all that can be tried, change nothing"},
    {FLAG_JOIN, NULL}, {FLAG_REASON, NULL}, {FLAG_FORCE, "although everything is paused (run pause)"}, END};
static const struct command_flag reconcile_flags[] = {
    {FLAG_DETACH, NULL}, {FLAG_JOIN, NULL}, {FLAG_REASON, NULL}, END};
static const struct command_flag drill_flags[] = {
    {FLAG_ALLOW_GAP, "in-place: although consumers are cut off for a moment, there and back"},
    {FLAG_DETACH, NULL}, {FLAG_JOIN, NULL}, {FLAG_REASON, NULL}, END};
static const struct command_flag run_list_flags[] = {
    {FLAG_SECRET, NULL}, {FLAG_LIMIT, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag detach_flags[] = {{FLAG_DETACH, NULL}, END};
static const struct command_flag limit_flags[] = {{FLAG_LIMIT, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag export_flags[] = {
    {FLAG_FROM, "records from this number on"}, {FLAG_TO, "up to this one, but without it"}, END};
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
static const struct command_flag verify_flags[] = {
    {FLAG_KEY, NULL}, {FLAG_CHECKPOINT, NULL}, {FLAG_PARTIAL, NULL}, END};
static const struct command_flag tail_flags[] = {
    {FLAG_COUNT, "so many of the last records first, 20"}, {FLAG_FOLLOW, NULL},
    {FLAG_ALL, "these questions themselves too"}, END};

const struct command command_table[] = {
    /* ---- Keep secrets ---- */
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

    /* ---- Rotate them ---- */
    {"rotate", NULL, GROUP_ROTATION, 0, "Rotate a secret now and watch until it is over.", "SECRET", 1, 1,
     rotate_flags,
     "Waits: exit code 0 when done; 2 when it was rolled back, frozen or refused. If the terminal is\n"
     "closed the run goes on. With --dry-run nothing is changed: the target is reached, logged in to, has\n"
     "to refuse a wrong password and to accept the stored one; consumers, window, limits and the generator\n"
     "are looked at. Exit code 0 when a rotation would go ahead, 2 when not.",
     "secretctl rotate secret/db/orders\n"
     "secretctl rotate --dry-run secret/db/orders\n"
     "secretctl rotate --back --reason=\"orders cannot log in\" secret/db/orders", cmd_rotate},
    {"reconcile", NULL, GROUP_ROTATION, 0, "Have the target accept the stored credential again.", "SECRET", 1, 1,
     reconcile_flags,
     "For a secret that has drifted: somebody changed the password at the target. It is set again with the\n"
     "administrative login, without a new version, and proven. Who logs in with the password that was set\n"
     "by hand fails from then on. What is accepted already is left alone. Waits, and exits, as rotate does.",
     "secretctl reconcile secret/db/orders\n"
     "secretctl reconcile --reason=\"changed by hand on Monday\" secret/db/orders", cmd_reconcile},
    {"drill", NULL, GROUP_ROTATION, 0, "Try going back: rotate a secret, then go back on purpose.", "SECRET", 1, 1,
     drill_flags,
     "Goes as far as all consumers running a new version, then back, and says how long that took, from the\n"
     "order until everybody was well with the old one again, against the secret's rto. It ends no old\n"
     "credential and is no rotation: age and next time stay as they are. Waits: exit code 0 when it went\n"
     "back in time, 2 when not. On a schedule: schedule set SECRET drill=\"0 4 1 * *\".",
     "secretctl drill secret/db/orders\n"
     "secretctl drill --reason=\"before the release\" secret/db/orders", cmd_drill},
    {"due", NULL, GROUP_ROTATION, 0, "List what is rotated next, soonest first, and what has drifted.", "", 0, 0,
     limit_flags, NULL, "secretctl due", cmd_due},
    {"overdue", NULL, GROUP_ROTATION, COMMAND_ASKS, "List what should be rotated by now and is not.", "", 0, 0,
     overdue_flags,
     "For monitoring: exit code 0 when there is nothing, 2 when there is, 1 for an error. A secret is overdue\n"
     "when it is older than its max_age, when its time is over by five minutes and nothing started or the run\n"
     "failed, when its run is frozen or goes on beyond max_overlap and the next time, when its schedule\n"
     "cannot be read any more, or when its last drill failed. What a window or a calendar holds back is\n"
     "overdue by its max_age alone.",
     "secretctl overdue\nsecretctl overdue -o json", cmd_overdue},
    {"zombies", NULL, GROUP_ROTATION, COMMAND_ASKS,
     "List credentials that should be dead and are not proven to be.", "", 0, 0, field_flags,
     "Runs that are ending a credential, or froze while they did; each stays here until it is proven dead. For\n"
     "monitoring: exit code 0 when none has lived longer than its max_overlap since it was to be ended, 2 when\n"
     "one has, 1 for an error.",
     "secretctl zombies", cmd_zombies},
    {"plan", NULL, GROUP_ROTATION, 0, "Print the secrets rotation plan, from live data.", "[PREFIX]", 0, 1, NULL,
     "Markdown, or JSON with -o json: every secret that is rotated with its type, system, owner, risk, cadence\n"
     "and next two times, age, consumers, procedure, way back and emergency line; what is missing for it, and\n"
     "what was never seen to work; then the secrets that nothing rotates. No value is in it.",
     "secretctl plan > rotation-plan.md\nsecretctl plan secret/db", cmd_plan},
    {"classes show", NULL, GROUP_ROTATION, 0, "Show how old a secret of each risk class may get.", "", 0, 0,
     field_flags, NULL, "secretctl classes show", cmd_classes_show},
    {"classes write", NULL, GROUP_ROTATION, 0, "Say how old a secret of each risk class may get.", "FILE", 1, 1,
     NULL,
     "The file has a block for each of critical, high, medium and low: class \"high\" { max_age = \"90d\" }.\n"
     "A secret names its class (schedule set SECRET risk=high); a max_age of its own counts instead.",
     "secretctl classes write policies/rotation-classes.hcl", cmd_classes_write},
    {"schedule set", NULL, GROUP_ROTATION, 0, "Say how and when a secret is rotated.",
     "SECRET NAME=VALUE ...", 2, MANY, NULL,
     "What is not given keeps its value. Durations: 90s, 5m, 1h30m, 30d.\n\n"
     "  target=NAME           a target (target set); without one only the vault's value changes\n"
     "  strategy=             alternate (two accounts in turn), overlap (one with two passwords for a\n"
     "                        time), in-place (one), generate (no target)\n"
     "  accounts=a,b          the login roles; group=ROLE owns everything, both are in it; names with\n"
     "                        commas are told apart, or ended, by a semicolon: accounts=\"uid=app,ou=x;\"\n"
     "  username_field= password_field=      the secret's keys that change (username, password)\n"
     "  public_field=         the key of an SSH key's public half, none\n"
     "  generator.length=32   also .alphabet .exclude .min_upper .min_lower .min_digit .min_symbol\n"
     "                        .type=password|words|hex|base64|uuid|ssh-ed25519 .allow_weak; words\n"
     "                        have a .separator=-  .exclude=places:shell,url: what needs escaping there\n"
     "  generator.type=x509   a certificate: .issuer=SECRET .names=app.example.com,10.0.0.7\n"
     "                        .usage=server|client .life=90d .key=ecdsa-p256|ed25519 .common_name=\n"
     "                        .request=\"$(cat FILE)\" for a key made elsewhere; .type=x509-ca: an authority,\n"
     "                        .common_name= and, below another, .issuer=. Renewed at two thirds of life\n"
     "  generator.type=ssh-cert               .issuer= .names=deploy .usage=user|host .options= .request=\n"
     "  cron=\"30 2 * * sun\"   five fields, or six with seconds first; zone=Europe/Berlin (UTC)\n"
     "  period=30d            after the last success, instead of cron; jitter=10m or 10%\n"
     "  window=\"22:00-04:00 mon-fri\"         starts only then; or 2h: not later than that\n"
     "  max_age=90d           due then, outside the window too\n"
     "  catchup=one|none      what becomes of missed times\n"
     "  blackout=NAME         a calendar (calendar set): nothing is started in its times\n"
     "  overlap= soak= ack_timeout= max_overlap=    60s 60s 120s 24h\n"
     "  drain= propagation=                         300s 0\n"
     "  on_unhealthy= on_ack_timeout=        rollback|hold\n"
     "  loose_readers=hold|ignore            readers that are no agents\n"
     "  require_healthy=true old_is_dead=false\n"
     "  verify_every=6h       the target is asked whether it accepts what is stored; 0: never\n"
     "  rto=5m                going back has to take no longer: measured, and said where it did\n"
     "  drill=\"0 4 1 * *\"     when going back is tried (drill), in its zone, window and calendar\n"
     "  allow_gap=false       in-place: a drill may cut consumers off for a moment\n"
     "  risk=critical|high|medium|low        its max_age where there is no other (classes show)\n"
     "  owner=                free words\n"
     "  notify=               channels that are told of it (secretctl notify list), and free words",
     "secretctl schedule set secret/db/orders target=pg strategy=alternate accounts=app_a,app_b \\\n"
     "    group=app cron=\"0 3 * * sun\" zone=Europe/Berlin\n"
     "secretctl schedule set secret/api/key strategy=generate period=30d\n"
     "secretctl schedule set secret/ca/web generator.type=x509-ca generator.common_name=\"Example CA\"\n"
     "secretctl schedule set secret/tls/app generator.type=x509 generator.issuer=secret/ca/web \\\n"
     "    generator.names=app.example.com", cmd_schedule_set},
    {"schedule show", NULL, GROUP_ROTATION, 0, "Show how a secret is rotated, and where it stands.",
     "SECRET", 1, 1, field_flags, NULL, "secretctl schedule show secret/db/orders", cmd_schedule_show},
    {"schedule list", NULL, GROUP_ROTATION, 0, "List the secrets that are rotated.", "[PREFIX]", 0, 1, NULL,
     NULL, "secretctl schedule list\nsecretctl schedule list secret/db", cmd_schedule_list},
    {"schedule remove", NULL, GROUP_ROTATION, 0, "Rotate a secret no more.", "SECRET", 1, 1, NULL,
     "The value, its versions and the accounts at the target stay as they are.",
     "secretctl schedule remove secret/db/orders", cmd_schedule_remove},
    {"schedule preview", "preview", GROUP_ROTATION, 0,
     "Show the next times of a schedule, and what clock changes do to it.",
     "SECRET|NAME=VALUE ...", 1, MANY, preview_flags,
     "With words instead of a secret nothing is asked of the vault: cron= zone= period= jitter= window=\n"
     "max_age= catchup=, and blackout= with a calendar's name, which is. Behind a secret they say what would be different.",
     "secretctl schedule preview secret/db/orders\n"
     "secretctl schedule preview cron=\"30 2 * * sun\" zone=Europe/Berlin\n"
     "secretctl schedule preview -from=2027-03-27T12:00:00Z cron=\"30 2 * * *\" zone=Europe/Berlin",
     cmd_schedule_preview},
    {"calendar set", NULL, GROUP_ROTATION, 0, "Say when nothing is to be rotated by schedule.",
     "NAME NAME=VALUE ...", 2, MANY, NULL,
     "A line a range: FIRST..LAST and the reason, in the time of zone= (UTC). A date is the whole day; a\n"
     "time is written behind it: 2027-12-20T18:00. Secrets name the calendar: schedule set SECRET\n"
     "blackout=NAME. What would start in one of its times starts at the end of that, into its window.",
     "secretctl calendar set freeze zone=Europe/Berlin ranges=@freeze.txt\n"
     "secretctl calendar set freeze ranges=\"2027-11-25..2027-11-29 the busiest days\"", cmd_calendar_set},
    {"calendar show", NULL, GROUP_ROTATION, 0, "Show a calendar, and what of it is next.", "NAME", 1, 1,
     field_flags, NULL, "secretctl calendar show freeze", cmd_calendar_show},
    {"calendar list", NULL, GROUP_ROTATION, 0, "List the calendars.", "", 0, 0, NULL, NULL,
     "secretctl calendar list", cmd_calendar_list},
    {"calendar remove", NULL, GROUP_ROTATION, 0, "Forget a calendar that no secret names.", "NAME", 1, 1,
     NULL, NULL, "secretctl calendar remove freeze", cmd_calendar_remove},
    {"target set", NULL, GROUP_ROTATION, 0, "Describe a system that accepts credentials.",
     "NAME NAME=VALUE ...", 2, MANY, NULL,
     "What is not given keeps its value. The administrative password is never an argument:\n"
     "admin_password=@FILE, admin_password=- (standard input) or admin_password= (asks).\n\n"
     "  driver=postgresql|mariadb|redis|ldap|ssh-key|exec  host= port= database=   host=/run/pg: a socket's folder\n"
     "  program=NAME          driver=exec: of a driver_program in vaultd's configuration; host is not needed\n"
     "  sslmode=verify-full|verify-ca|require|disable   ca=@FILE\n"
     "  keys_file=            driver=ssh-key: .ssh/authorized_keys, or another path; %u is the account\n"
     "  admin_username= admin_password=\n"
     "  connect_timeout=5s statement_timeout=10s\n"
     "  max_refusals_per_hour=3 probe_spacing=30s settle=1s recheck=15m\n"
     "  max_runs=1 starts_per_minute=0   how much rotates there at the same time, and a minute\n"
     "  server_id=            take the server that answers next for the right one",
     "secretctl target set pg driver=postgresql host=db1.example database=orders \\\n"
     "    admin_username=keyturn admin_password=", cmd_target_set},
    {"target check", NULL, GROUP_ROTATION, COMMAND_ASKS,
     "Try a target: reach it, log in, see a wrong password refused.", "NAME", 1, 1, field_flags,
     "Exit code 2 when it is not ready to rotate, 1 for an error.", "secretctl target check pg",
     cmd_target_check},
    {"target show", NULL, GROUP_ROTATION, 0, "Show a target, without its password.", "NAME", 1, 1,
     field_flags, NULL, "secretctl target show pg", cmd_target_show},
    {"target list", NULL, GROUP_ROTATION, 0, "List the targets.", "", 0, 0, NULL, NULL,
     "secretctl target list", cmd_target_list},
    {"target remove", NULL, GROUP_ROTATION, 0, "Forget a target that no secret names.", "NAME", 1, 1, NULL,
     NULL, "secretctl target remove pg", cmd_target_remove},
    {"run list", NULL, GROUP_ROTATION, 0, "List rotations, newest first.", "[SECRET]", 0, 1, run_list_flags,
     NULL, "secretctl run list\nsecretctl run list secret/db/orders", cmd_run_list},
    {"run show", NULL, GROUP_ROTATION, 0, "Show a rotation with every step.", "RUN|SECRET", 1, 1, field_flags,
     "A secret stands for its newest run.",
     "secretctl run show 01JD7K\nsecretctl run show secret/db/orders", cmd_run_show},
    {"run watch", "watch", GROUP_ROTATION, 0, "Follow a rotation to its end.", "RUN|SECRET", 1, 1, NULL,
     "Exit codes as those of rotate.", "secretctl run watch 01JD7K", cmd_run_watch},
    {"run report", "report", GROUP_ROTATION, 0, "Print the report that was written when a rotation ended.",
     "RUN|SECRET", 1, 1, NULL, NULL,
     "secretctl report 01JD7K > report.md\nsecretctl report -o json 01JD7K", cmd_run_report},
    {"run cancel", "cancel", GROUP_ROTATION, 0, "Take a rotation back while that is possible.", "RUN|SECRET", 1,
     1, field_flags, NULL, "secretctl run cancel 01JD7K", cmd_run_cancel},
    {"run why", "why", GROUP_ROTATION, 0, "Say why a secret is not rotated, late, waiting or frozen.",
     "SECRET|RUN", 1, 1, field_flags, NULL, "secretctl run why secret/db/orders", cmd_run_why},
    {"run thaw", "thaw", GROUP_ROTATION, 0, "Let a frozen rotation go on when its cause is mended.",
     "RUN|SECRET", 1, 1, detach_flags, "Looks at the target first; safe to repeat.",
     "secretctl run thaw 01JD7K", cmd_run_thaw},
    {"run pause", NULL, GROUP_ROTATION, 0, "Pause all rotations, and say why.", "", 0, 0, run_pause_flags,
     "Nothing starts by schedule until they are resumed, across restarts too; secretctl rotate wants\n"
     "--force. A run that has begun to change something goes on to its end; one that has not, waits.\n"
     "Going back (rotate --back, run cancel) is not held up. Who, when and why: secretctl due.",
     "secretctl run pause --all --reason=\"database migration until 14:00\"", cmd_run_pause},
    {"run resume", NULL, GROUP_ROTATION, 0, "Let all rotations go on that were paused.", "", 0, 0,
     run_resume_flags,
     "What is late starts then: each secret once, one after the other at each target.",
     "secretctl run resume", cmd_run_resume},
    {"notify list", NULL, GROUP_ROTATION, 0, "List the channels by which people are told, and how they are.", "",
     0, 0, field_flags,
     "vaultd's configuration names them: notify \"ops\" { url = \"https://...\" }. A secret names those that are\n"
     "told of it (schedule set SECRET notify=ops); where it names none, all are. Counts are since vaultd started.",
     "secretctl notify list", cmd_notify_list},
    {"notify test", NULL, GROUP_ROTATION, 0, "Send a message by a channel, and see whether it arrives.", "CHANNEL",
     1, 1, NULL, NULL, "secretctl notify test ops", cmd_notify_test},

    /* ---- See who uses them ---- */
    {"agent list", NULL, GROUP_FLEET, 0, "List the hosts whose agents report.", "", 0, 0, field_flags, NULL,
     "secretctl agent list", cmd_agent_list},
    {"consumer list", NULL, GROUP_FLEET, 0, "List services with the version that each runs now.",
     "[HOST [SECRET]]", 0, 2, NULL, NULL,
     "secretctl consumer list\nsecretctl consumer list h1 secret/db/orders", cmd_consumer_list},
    {"consumer quarantine", NULL, GROUP_FLEET, 0, "Put a service aside that keeps a secret from being rotated.",
     "SERVICE@HOST SECRET", 2, 2, quarantine_flags,
     "No rotation of that secret waits for it or believes it, the one under way included, and reports say so.\n"
     "It is cut off when the credential that it runs is ended. A service that makes two runs in a row go back,\n"
     "or not begin, is named by the second one's report and by: secretctl consumer quarantined.",
     "secretctl consumer quarantine orders-api@h1 secret/db/orders -reason=\"broken release, ticket 4711\"",
     cmd_consumer_quarantine},
    {"consumer release", NULL, GROUP_FLEET, 0, "Have rotations wait again for a service that was put aside.",
     "SERVICE@HOST SECRET", 2, 2, field_flags, NULL,
     "secretctl consumer release orders-api@h1 secret/db/orders", cmd_consumer_release},
    {"consumer quarantined", NULL, GROUP_FLEET, 0,
     "List services that keep rotations from ending well, and those that are put aside.", "", 0, 0, field_flags,
     NULL, "secretctl consumer quarantined", cmd_consumer_quarantined},

    /* ---- Prove what happened ---- */
    {"audit export", NULL, GROUP_AUDIT, 0, "Write the audit log into a folder that anyone can verify.", "DIR",
     1, 1, export_flags,
     "The folder holds records.jsonl, leaves.bin, checkpoints.txt and key.pub. With -from or -to the\n"
     "records are a selection: verify it with -partial.",
     "secretctl audit export ./audit-2025-11", cmd_audit_export},
    {"audit verify", "verify", GROUP_AUDIT, COMMAND_ASKS | COMMAND_LOCAL,
     "Check an exported audit log with the public key alone.", "DIR", 1, 1, verify_flags,
     "Needs no vault. Names the record that was altered. Exit code 2 when it is bad, 1 for an error.\n"
     "Only a key and a checkpoint kept elsewhere prove that nothing was replaced as a whole.",
     "secretctl audit verify ./audit-2025-11 --key \"$(cat vault-key.pub)\"\n"
     "secretctl audit verify ./audit-2025-11 --checkpoint kept-checkpoint.txt", cmd_audit_verify},
    {"audit tail", "tail", GROUP_AUDIT, 0, "Show the newest records of the audit log.", "", 0, 0, tail_flags,
     "Records of questions to the audit log itself are left out: -all shows them too. -follow asks once a\n"
     "second.", "secretctl audit tail -count=50\nsecretctl audit tail -follow", cmd_audit_tail},
    {"audit checkpoint", NULL, GROUP_AUDIT, 0, "Have the audit log signed as it is now, and print that.", "", 0,
     0, field_flags, "Kept outside the vault's host it shows later that nothing was put back.",
     "secretctl audit checkpoint > kept-checkpoint.txt", cmd_audit_checkpoint},

    /* ---- Say who may do what ---- */
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

    /* ---- Move in and out ---- */
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

    /* ---- Run the vault ---- */
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
     MANY, path_flags, NULL,
     "secretctl write sys/mounts/team-a/tune @tune.json\n"
     "secretctl write -wrap-ttl=5m sys/wrapping/wrap @for-them.json", cmd_write},
    {"list", NULL, GROUP_VAULT, 0, "List any path of the API.", "PATH", 1, 1, NULL, NULL,
     "secretctl list auth/token/accessors", cmd_list},
    {"delete", NULL, GROUP_VAULT, 0, "Delete any path of the API.", "PATH", 1, 1, NULL, NULL,
     "secretctl delete sys/policies/acl/old", cmd_delete},

    /* ---- This program ---- */
    {"explain", NULL, GROUP_SELF, COMMAND_LOCAL, "Say what a code like KT-R-021 means.", "[CODE]", 0, 1, NULL, NULL,
     "secretctl explain KT-R-021", cmd_explain},
    {"completion", NULL, GROUP_SELF, COMMAND_LOCAL, "Print the completion file of a shell.", "bash", 1, 1, NULL,
     "Secrets, targets and policies are completed too: they are asked of the vault at VAULT_ADDR, with the\n"
     "token in VAULT_TOKEN or ~/.vault-token, for a second at most.",
     "secretctl completion bash > /usr/share/bash-completion/completions/secretctl",
     cmd_completion},
    {"complete", NULL, GROUP_SELF, COMMAND_HIDDEN, "Print what a word may become: kv, rotated, target, policy.",
     "KIND [WORD]", 1, 2, NULL, NULL, "secretctl complete kv secret/db/", cmd_complete},
    {"version", NULL, GROUP_SELF, COMMAND_LOCAL, "Print this program's version.", "", 0, 0, NULL, NULL,
     "secretctl version", cmd_version},
    {"docs", NULL, GROUP_SELF, COMMAND_LOCAL | COMMAND_HIDDEN, "Print docs/secretctl.md.", "", 0, 0, NULL, NULL,
     "secretctl docs > docs/secretctl.md", cmd_docs},
};
/* clang-format on */
const size_t command_count = sizeof command_table / sizeof command_table[0];

bool command_has_alias(const struct command *command, const char *word)
{
    return command->alias != NULL && strcmp(command->alias, word) == 0;
}

/* How many of the words are the command's; 0 when it is not this one. */
static size_t words_used(const struct command *command, const char *const *words, size_t count)
{
    const char *at = command->words;
    size_t used = 0;
    while (*at != '\0') {
        size_t len = strcspn(at, " ");
        if (used == count || strlen(words[used]) != len || strncmp(words[used], at, len) != 0)
            return 0;
        used++;
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    return used;
}

const struct command *command_find(const char *const *words, size_t count, size_t *ret_used)
{
    const struct command *found = NULL;
    size_t most = 0;
    for (size_t i = 0; i < command_count; i++) {
        size_t used = words_used(&command_table[i], words, count);
        if (used == 0 && count > 0 && command_has_alias(&command_table[i], words[0]))
            used = 1;
        if (used > most) {
            most = used;
            found = &command_table[i];
        }
    }
    *ret_used = most;
    return found;
}

size_t command_flags(const struct command *command, enum flag_id ret[FLAG_ID_COUNT])
{
    size_t count = 0;
    for (const struct command_flag *use = command->flags; use != NULL && use->id != FLAG_ID_COUNT;
         use++)
        ret[count++] = use->id;
    for (size_t i = 0;
         (command->traits & COMMAND_LOCAL) == 0 && i < sizeof common_flags / sizeof common_flags[0];
         i++)
        ret[count++] = common_flags[i];
    ret[count++] = FLAG_FORMAT;
    ret[count++] = FLAG_HELP;
    return count;
}
