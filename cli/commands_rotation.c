/* cli/commands_rotation.c - the help's group "Rotate them"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command_flag overdue_flags[] = {{FLAG_LIMIT, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag run_pause_flags[] = {
    {FLAG_ALL, "everything: there is no pause of less"}, {FLAG_REASON, NULL}, {FLAG_FIELD, NULL}, END};
static const struct command_flag run_resume_flags[] = {
    {FLAG_ALL, "everything, as it was paused"}, {FLAG_FIELD, NULL}, END};
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
static const struct command_flag served_flags[] = {{FLAG_SERVER_NAME, NULL}, END};
static const struct command_flag revoke_flags[] = {
    {FLAG_VERSION, "of the secret; the current one"}, {FLAG_REASON, NULL}, END};
static const struct command_flag detach_flags[] = {{FLAG_DETACH, NULL}, END};
static const struct command_flag limit_flags[] = {{FLAG_LIMIT, NULL}, {FLAG_FIELD, NULL}, END};

static const struct command rows[] = {
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
     "overdue by its max_age alone. Key shares, and credentials that open the vault, are when they are older\n"
     "than vaultd's configuration says: rotation { max_key_age }. What cannot be read counts as well: it does\n"
     "not rotate.", "secretctl overdue\nsecretctl overdue -o json", cmd_overdue},
    {"zombies", NULL, GROUP_ROTATION, COMMAND_ASKS,
     "List credentials that should be dead and are not proven to be.", "", 0, 0, field_flags,
     "Runs that are ending a credential, or froze while they did; each stays here until it is proven dead. For\n"
     "monitoring: exit code 0 when none has lived longer than its max_overlap since it was to be ended, 2 when\n"
     "one has, 1 for an error.", "secretctl zombies", cmd_zombies},
    {"plan", NULL, GROUP_ROTATION, 0, "Print the secrets rotation plan, from live data.", "[PREFIX]", 0, 1, NULL,
     "Markdown, or JSON with -o json: every secret that is rotated with its type, system, owner, risk, cadence\n"
     "and next two times, age, consumers, procedure, way back and emergency line; what is missing for it, and\n"
     "what was never seen to work; then what opens the vault, with its age, and the secrets that nothing\n"
     "rotates. No value is in it.",
     "secretctl plan > rotation-plan.md\nsecretctl plan secret/db", cmd_plan},
    {"classes show", NULL, GROUP_ROTATION, 0, "Show how old a secret of each risk class may get.", "", 0, 0,
     field_flags, NULL, "secretctl classes show", cmd_classes_show},
    {"classes write", NULL, GROUP_ROTATION, 0, "Say how old a secret of each risk class may get.", "FILE", 1, 1, NULL,
     "The file has a block for each of critical, high, medium and low: class \"high\" { max_age = \"90d\" }.\n"
     "A secret names its class (schedule set SECRET risk=high); a max_age of its own counts instead.\n"
     "approvals = 2, approvers = \"RULE\": so many people of that rule of approval's group have to approve.",
     "secretctl classes write policies/rotation-classes.hcl", cmd_classes_write},
    {"schedule set", NULL, GROUP_ROTATION, 0, "Say how and when a secret is rotated.",
     "SECRET NAME=VALUE ...", 2, MANY, NULL, "What is not given keeps its value. Durations: 90s, 5m, 1h30m, 30d.\n\n"
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
     "  generator.type=x509-crl               .issuer= .life=7d: a list of what was revoked\n"
     "  generator.type=ssh-krl                .issuer=: the same for sshd's RevokedKeys, in base64\n"
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
     "  allow_gap=false       consumers may be cut off for a moment: in-place where the target can do better\n"
     "                        (else refused), and drills in-place\n"
     "  approvals=2 approvers=RULE           people of a rule of approval's group who have to approve (docs/approvals.md)\n"
     "  together=SECRET,...   those rotate as one with it, whichever is started: none ends its old credential\n"
     "                        before all could, and all go back where one does\n"
     "  after=SECRET,...      waits while one of those is due, too, or has a run under way; an issuer\n"
     "                        goes before its certificates by itself\n"
     "  served_at=HOST:PORT,...              of a certificate: its run ends once each of these shows the new\n"
     "                        one; who does not within ack_timeout: on_ack_timeout. served_name=NAME to ask for\n"
     "  risk=critical|high|medium|low        its max_age where there is no other (classes show)\n"
     "  owner= notify=        free words; of notify the channels are told of it (secretctl notify list)",
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
    {"certificate revoke", NULL, GROUP_ROTATION, 0, "Revoke the certificate in a version of a secret.", "SECRET", 1, 1,
     revoke_flags,
     "Its serial number goes on the lists of its issuer (schedule set SECRET generator.type=x509-crl, of\n"
     "SSH ssh-krl), which are made anew at once. Who does not read them accepts it until it ends.\n"
     "The secret stays as it is.",
     "secretctl certificate revoke --version=3 --reason=\"key was in a backup\" secret/tls/app",
     cmd_certificate_revoke},
    {"certificate revoked", NULL, GROUP_ROTATION, 0, "List what an issuer revoked.", "ISSUER", 1, 1, field_flags, NULL,
     "secretctl certificate revoked secret/ca/web", cmd_certificate_revoked},
    {"certificate served", NULL, GROUP_ROTATION, COMMAND_ASKS | COMMAND_LOCAL,
     "See whether servers show a certificate.", "FILE HOST[:PORT]...", 2, MANY, served_flags,
     "FILE is the certificate in PEM, or - for the standard input: the first one in it counts. Each server\n"
     "(port 443; of a name each address) is connected to from here, and shows that it has its key; whether\n"
     "it is trusted is not asked. Exit code 2 when one of them shows another one, or none. For an agent's health check, too.",
     "secretctl certificate served /run/app/tls.crt web1.example web2.example:8443", cmd_certificate_served},
    {"target set", NULL, GROUP_ROTATION, 0, "Describe a system that accepts credentials.",
     "NAME NAME=VALUE ...", 2, MANY, NULL,
     "What is not given keeps its value. The administrative password is never an argument:\n"
     "admin_password=@FILE, admin_password=- (standard input) or admin_password= (asks).\n\n"
     "  driver=postgresql|mariadb|redis|ldap|ssh-key|exec|http|vault  host= port= database=   host=/run/pg: a socket's folder\n"
     "  hosts=db1,db2:5433    several servers that are one target, 8 at most: all accept the new one, or nobody gets it\n"
     "  sentinels=s1,s2:26379 sentinel_master=NAME   driver=redis: are asked whether hosts names all that they know\n"
     "  program=NAME          driver=exec: of a driver_program in vaultd's configuration; host is not needed\n"
     "  api=@FILE             driver=http: the declared requests, docs/driver-http.md\n"
     "                        driver=vault: secret ids and tokens of this vault's own roles; nothing else is given\n"
     "  sslmode=verify-full|verify-ca|require|disable   ca=@FILE\n"
     "  keys_file=            driver=ssh-key: .ssh/authorized_keys, or another path; %u is the account\n"
     "  admin_username= admin_password=\n"
     "  admin_secret=SECRET   its current version is the administrative login instead, so that it can rotate, too\n"
     "  connect_timeout=5s statement_timeout=10s max_refusals_per_hour=3 probe_spacing=30s settle=1s recheck=15m\n"
     "  max_runs=1 starts_per_minute=0   how much rotates there at the same time, and a minute\n"
     "  server_id=            take the server that answers next for the right one",
     "secretctl target set pg driver=postgresql host=db1.example database=orders \\\n"
     "    admin_username=keyturn admin_password=", cmd_target_set},
    {"target check", NULL, GROUP_ROTATION, COMMAND_ASKS,
     "Try a target: reach it, log in, see a wrong password refused.", "NAME", 1, 1, field_flags,
     "Exit code 2 when it is not ready to rotate, 1 for an error.", "secretctl target check pg", cmd_target_check},
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
    {"run verify", NULL, GROUP_ROTATION, COMMAND_ASKS | COMMAND_LOCAL,
     "Check a rotation's report against an exported audit log.", "FILE DIR", 2, 2, verify_flags,
     "Needs no vault. FILE is what secretctl report RUN > FILE made, as text or as JSON; DIR what\n"
     "secretctl audit export wrote. Exit code 2 when the report was edited, or the log was, or\n"
     "nothing is proven; 1 for an error.",
     "secretctl run verify report.md ./audit-2025-11 --key \"$(cat vault-key.pub)\"", cmd_run_verify},
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
    {"run resume", NULL, GROUP_ROTATION, 0, "Let all rotations go on that were paused.", "", 0, 0, run_resume_flags,
     "What is late starts then: each secret once, one after the other at each target.",
     "secretctl run resume", cmd_run_resume},
    {"notify list", NULL, GROUP_ROTATION, 0, "List the channels by which people are told, and how they are.", "",
     0, 0, field_flags,
     "vaultd's configuration names them: notify \"ops\" { url = \"https://...\" }. A secret names those that are\n"
     "told of it (schedule set SECRET notify=ops); where it names none, all are. Counts are since vaultd started.",
     "secretctl notify list", cmd_notify_list},
    {"notify test", NULL, GROUP_ROTATION, 0, "Send a message by a channel, and see whether it arrives.", "CHANNEL",
     1, 1, NULL, NULL, "secretctl notify test ops", cmd_notify_test},
};
/* clang-format on */
const struct command_rows commands_rotation = COMMAND_ROWS(rows);
