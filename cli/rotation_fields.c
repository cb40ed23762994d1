/* cli/rotation_fields.c - see cli/rotation_fields.h. */
#include "cli/rotation_fields.h"

/* clang-format off */
const struct input_field cli_target_fields[] = {
    {"driver",                INPUT_TEXT,     "postgresql, mariadb, redis, ldap, exec"},
    {"program",               INPUT_TEXT,     "exec: the name of a driver_program in vaultd's configuration"},
    {"host",                  INPUT_TEXT,     "name, address, or a socket folder that begins with /"},
    {"port",                  INPUT_NUMBER,   "5432"},
    {"database",              INPUT_TEXT,     "the database to log in to"},
    {"sslmode",               INPUT_TEXT,     "verify-full (default), verify-ca, require, disable"},
    {"ca",                    INPUT_FILE,     "@FILE: the CA of the server's certificate, PEM"},
    {"admin_username",        INPUT_TEXT,     "the administrative login"},
    {"admin_password",        INPUT_SECRET,   "its password: @FILE, - or nothing (asks)"},
    {"connect_timeout",       INPUT_DURATION, "5s"},
    {"statement_timeout",     INPUT_DURATION, "10s"},
    {"max_refusals_per_hour", INPUT_NUMBER,   "refused logins that probes may cause an account, 3"},
    {"probe_spacing",         INPUT_DURATION, "between two probes, 30s"},
    {"settle",                INPUT_DURATION, "between two looks for open sessions, 1s"},
    {"recheck",               INPUT_DURATION, "between two looks at what a frozen run froze at, 15m; 0: none"},
    {"max_runs",              INPUT_NUMBER,   "runs that do something there at the same time, 1"},
    {"starts_per_minute",     INPUT_NUMBER,   "runs that schedules may start there in a minute; 0: as many as in all"},
    {"server_id",             INPUT_TEXT,     "nothing behind \"=\": take the server that answers next"},
    {NULL, INPUT_TEXT, NULL},
};

const struct input_field cli_calendar_fields[] = {
    {"zone",   INPUT_TEXT, "Europe/Berlin; UTC"},
    {"ranges", INPUT_FILE, "@FILE, or a line: \"2027-11-25..2027-11-29 the busiest days\""},
    {NULL, INPUT_TEXT, NULL},
};

const struct input_field cli_schedule_fields[] = {
    {"target",          INPUT_TEXT,     "a target's name (target list); without: a new value in the vault only"},
    {"strategy",        INPUT_TEXT,     "alternate (two accounts), overlap, in-place (one), generate (no target)"},
    {"accounts",        INPUT_LIST,     "app_a,app_b for alternate, one for overlap and in-place"},
    {"group",           INPUT_TEXT,     "alternate: the role that owns everything, both accounts are in it"},
    {"username_field",  INPUT_TEXT,     "the key of the user's name in the secret, username"},
    {"password_field",  INPUT_TEXT,     "the key of the password, password"},
    {"generator",       INPUT_MAP,      "generator.length=32 .alphabet= .exclude= .min_upper= .type=password|hex|base64|uuid|x509|x509-ca|ssh-cert"},
    {"cron",            INPUT_TEXT,     "\"30 2 * * sun\": five fields, or six with seconds first; @daily"},
    {"zone",            INPUT_TEXT,     "Europe/Berlin; UTC"},
    {"period",          INPUT_TEXT,     "30d after the last success, instead of cron"},
    {"jitter",          INPUT_TEXT,     "up to so much later: 10m, or 10% of the period"},
    {"window",          INPUT_TEXT,     "\"22:00-04:00 mon-fri Europe/Berlin\": starts only then; or 2h after the time"},
    {"max_age",         INPUT_TEXT,     "90d: due then, outside the window too"},
    {"catchup",         INPUT_TEXT,     "one (default): missed times become one run; none"},
    {"blackout",        INPUT_TEXT,     "a calendar's name (calendar list): nothing is started in its times"},
    {"overlap",         INPUT_DURATION, "both are accepted at least so long, 60s"},
    {"max_overlap",     INPUT_DURATION, "how long a reader that is no agent holds the old one, 24h"},
    {"soak",            INPUT_DURATION, "consumers have to stay healthy so long, 60s"},
    {"drain",           INPUT_DURATION, "sessions of the old account may take so long to end, 300s"},
    {"propagation",     INPUT_DURATION, "the target takes so long to spread a change, 0"},
    {"ack_timeout",     INPUT_DURATION, "a consumer may take so long, 120s"},
    {"on_unhealthy",    INPUT_TEXT,     "rollback (default), hold"},
    {"on_ack_timeout",  INPUT_TEXT,     "rollback (default), hold"},
    {"loose_readers",   INPUT_TEXT,     "readers that are no agents: hold (default), ignore"},
    {"require_healthy", INPUT_BOOL,     "nothing begins while a consumer is unhealthy, true"},
    {"old_is_dead",     INPUT_BOOL,     "the next run need not see the old one accepted, false"},
    {"owner",           INPUT_TEXT,     "who is asked about it"},
    {"risk",            INPUT_TEXT,     "critical, high, medium or low"},
    {"notify",          INPUT_TEXT,     "who is told"},
    {"verify_every",    INPUT_DURATION, "how often the target is asked whether it accepts what is stored, 0: never"},
    {"rto",             INPUT_DURATION, "5m: going back has to take no longer; 0: not said"},
    {"drill",           INPUT_TEXT,     "\"0 4 1 * *\": when going back is tried, five or six fields of cron"},
    {"allow_gap",       INPUT_BOOL,     "consumers may be cut off for a moment: drills in-place, false"},
    {NULL, INPUT_TEXT, NULL},
};
/* clang-format on */
