/* cli/commands_audit.c - the help's group "Prove what happened"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag export_flags[] = {
    {FLAG_FROM, "records from this number on"}, {FLAG_TO, "up to this one, but without it"}, END};
static const struct command_flag tail_flags[] = {
    {FLAG_COUNT, "so many of the last records first, 20"}, {FLAG_FOLLOW, NULL},
    {FLAG_ALL, "these questions themselves too"}, END};

static const struct command rows[] = {
    {"audit export", NULL, GROUP_AUDIT, 0, "Write the audit log into a folder that anyone can verify.", "DIR",
     1, 1, export_flags,
     "The folder holds records.jsonl, leaves.bin, checkpoints.txt and key.pub. With -from or -to the\n"
     "records are a selection: verify it with -partial.", "secretctl audit export ./audit-2025-11", cmd_audit_export},
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
};
/* clang-format on */
const struct command_rows commands_audit = COMMAND_ROWS(rows);
