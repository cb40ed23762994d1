/* cli/commands_fleet.c - the help's group "See who uses them"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag quarantine_flags[] = {{FLAG_REASON, NULL}, {FLAG_FIELD, NULL}, END};

static const struct command rows[] = {
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
};
/* clang-format on */
const struct command_rows commands_fleet = COMMAND_ROWS(rows);
