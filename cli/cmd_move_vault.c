/* cli/cmd_move_vault.c - import vault: everything that another vault has and this one can have, too. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/move_identity.h"
#include "cli/move_logins.h"
#include "cli/move_mounts.h"
#include "cli/move_policies.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

/* What became of one part, by the difference of the counts. */
static const char *const count_names[MOVE_COUNTS] = {
    [MOVE_TAKEN] = "taken",         [MOVE_SAME] = "already_there",   [MOVE_REFUSED] = "refused",
    [MOVE_LEFT] = "left",           [MOVE_COMPARED] = "equal",       [MOVE_DIFFERENT] = "different",
    [MOVE_VERSIONS] = "versions",   [MOVE_VALUELESS] = "versions_without_value",
};

static void remember(const struct move_run *run, uint64_t counts[MOVE_COUNTS])
{
    for (unsigned i = 0; i < MOVE_COUNTS; i++)
        counts[i] = move_counted(run, (enum move_count)i);
}

static void tell_part(struct move_run *run, struct table *table, const char *name, const uint64_t before[MOVE_COUNTS])
{
    static const enum move_count columns[] = {MOVE_TAKEN, MOVE_SAME, MOVE_REFUSED};
    table_text(table, name);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        table_printf(table, "%ju", (uintmax_t)(move_counted(run, columns[i]) - before[columns[i]]));
}

/* ---- the parts ---- */

/* What stands outside of the KV mounts, in the order in which one needs the other. */
static const struct {
    const char *name;
    void (*move)(struct move_run *run, enum move_pass pass);
} parts[] = {
    {"policies", move_policies}, {"roles", move_logins}, {"entities", move_entities}, {"groups", move_groups}};
#define PARTS (sizeof parts / sizeof parts[0])

struct plan {
    struct move_mounts mounts, there;
    const struct move_mount *only; /* -path: this mount's alone, below prefix */
    const char *prefix;
};

static void plan_free(struct plan *plan)
{
    move_mounts_free(&plan->mounts);
    move_mounts_free(&plan->there);
}

static bool is_wanted(const struct plan *plan, const struct move_mount *mount)
{
    return plan->only == NULL || plan->only == mount;
}

static void tell_left(struct move_run *run, const struct move_mount *mount)
{
    char why[160];
    if (move_mount_is_own(mount))
        return;
    (void)snprintf(why, sizeof why, "an engine of type %s is not there, and its keys do not leave the old vault",
                   mount->type);
    move_left(run, mount->mount.path, why);
}

static void copy_mounts(struct move_run *run, const struct plan *plan, struct table *table)
{
    for (size_t i = 0; i < plan->mounts.count && !move_stopped(run); i++) {
        const struct move_mount *mount = &plan->mounts.at[i];
        uint64_t before[MOVE_COUNTS];
        remember(run, before);
        if (!is_wanted(plan, mount))
            continue;
        if (!move_mount_is_kv(mount)) {
            tell_left(run, mount);
            continue;
        }
        if (move_mount_prepare(run, &plan->there, mount, plan->only == NULL))
            move_mount_secrets(run, mount, plan->prefix, MOVE_COPY);
        tell_part(run, table, mount->mount.path, before);
    }
    if (plan->only == NULL && !move_stopped(run))
        move_mounts_unseen(run, "secret", &plan->mounts);
}

/* The settings as they are now. */
static void compare_settings(struct move_run *run, const struct plan *plan)
{
    struct kt_err err = {0};
    KT_AUTO(move_mounts_free) struct move_mounts now = {0};
    if (move_mounts_read(run->destination, "secret", &now, &err) != KT_OK) {
        move_refused(run, "the settings of the mounts", &err);
        return;
    }
    for (size_t i = 0; i < plan->mounts.count && !move_stopped(run); i++)
        if (move_mount_is_kv(&plan->mounts.at[i]) && move_mounts_find(&now, plan->mounts.at[i].mount.path) != NULL)
            move_mount_settings(run, &now, &plan->mounts.at[i], MOVE_COMPARE);
}

static void compare_all(struct move_run *run, const struct plan *plan)
{
    if (plan->only == NULL)
        compare_settings(run, plan);
    for (size_t i = 0; i < plan->mounts.count && !move_stopped(run); i++)
        if (is_wanted(plan, &plan->mounts.at[i]) && move_mount_is_kv(&plan->mounts.at[i]))
            move_mount_secrets(run, &plan->mounts.at[i], plan->prefix, MOVE_COMPARE);
    for (size_t i = 0; i < PARTS && plan->only == NULL && !move_stopped(run); i++)
        parts[i].move(run, MOVE_COMPARE);
}

static void copy_all(struct move_run *run, const struct plan *plan, struct table *table)
{
    copy_mounts(run, plan, table);
    for (size_t i = 0; i < PARTS && plan->only == NULL && !move_stopped(run); i++) {
        uint64_t before[MOVE_COUNTS];
        remember(run, before);
        parts[i].move(run, MOVE_COPY);
        tell_part(run, table, parts[i].name, before);
    }
}

/* ---- the command ---- */

/* Two vaults and two tokens: which of them. */
static bool refused_mounts(struct move_run *run, struct kt_api *api, bool other, struct kt_err *err)
{
    kt_context(err, "reading the mounts of %s", kt_api_address(api));
    if (err->kind == KT_DENIED && err->hint[0] == '\0')
        kt_hint(err, "%s", other ? "a token that is valid there: -peer-token-file=FILE, a file that only you may read"
                                 : "the token of this vault: secretctl login, or VAULT_TOKEN");
    (void)cli_fail(run->cli, err);
    run->cli->exit_code = cli_remote_code(run->cli);
    return false;
}

static bool make_plan(struct move_run *run, struct plan *plan)
{
    struct kt_err err = {0};
    const char *path = flags_text(&run->cli->flags, FLAG_PATH);
    plan->prefix = "";
    if (move_mounts_read(run->source, "secret", &plan->mounts, &err) != KT_OK)
        return refused_mounts(run, run->source, run->from.is_other, &err);
    if (move_mounts_read(run->destination, "secret", &plan->there, &err) != KT_OK)
        return refused_mounts(run, run->destination, run->to.is_other, &err);
    if (path == NULL)
        return true;
    plan->only = move_mounts_of(&plan->mounts, path);
    if (plan->only == NULL || !move_mount_is_kv(plan->only)) {
        run->cli->exit_code = cli_wrong(run->cli, "secretctl secrets list, with the other vault's address and token",
                                        "'%.200s' is in no KV mount that the other vault's token may see", path);
        return false;
    }
    size_t len = strlen(plan->only->mount.path);
    plan->prefix = strlen(path) > len ? path + len : "";
    return true;
}

static void summary_json(const struct move_run *run)
{
    struct kt_buf *out = &run->cli->out;
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    for (unsigned i = 0; i < MOVE_COUNTS; i++)
        kt_jsonw_kv_int(&w, count_names[i], (int64_t)move_counted(run, (enum move_count)i));
    kt_jsonw_kv_bool(&w, "dry_run", run->dry);
    kt_jsonw_kv_bool(&w, "complete", !run->stopped);
    kt_jsonw_end(&w);
    kt_buf_add_char(out, '\n');
}

static void summary(const struct move_run *run, const struct table *table)
{
    struct kt_buf *out = &run->cli->out;
    if (run->cli->format == CLI_JSON) {
        summary_json(run);
        return;
    }
    table_print(table, 0, out);
    uint64_t valueless = move_counted(run, MOVE_VALUELESS), different = move_counted(run, MOVE_DIFFERENT);
    kt_buf_add_char(out, '\n');
    if (run->dry) {
        kt_buf_add_text(out, "nothing was written: this is what would come\n");
        return;
    }
    kt_buf_printf(out, "versions   %ju written\n", (uintmax_t)move_counted(run, MOVE_VERSIONS));
    if (valueless > 0)
        kt_buf_printf(out, "           %ju deleted ones without their values, which the other vault does not show\n",
                      (uintmax_t)valueless);
    if (!run->stopped)
        kt_buf_printf(out, "compared   %ju equal on both sides, %ju different\n",
                      (uintmax_t)move_counted(run, MOVE_COMPARED), (uintmax_t)different);
}

static int ending(struct move_run *run)
{
    if (run->stopped) {
        cli_note(run->cli, "Error: the move stopped: %s", run->why.what);
        cli_note(run->cli, "next   the same command goes on where it stopped%s%s",
                 run->why.hint[0] != '\0' ? "; before that: " : "", run->why.hint);
    }
    bool bad = run->stopped || move_counted(run, MOVE_REFUSED) > 0 || move_counted(run, MOVE_DIFFERENT) > 0;
    return bad ? CLI_REFUSED : CLI_DONE;
}

/* A path that was mistyped is no success. */
static bool found_nothing(struct move_run *run, const struct plan *plan)
{
    static const enum move_count counts[] = {MOVE_TAKEN, MOVE_SAME, MOVE_REFUSED};
    if (plan->only == NULL || run->stopped)
        return false;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (move_counted(run, counts[i]) > 0)
            return false;
    cli_note(run->cli, "Error: there is nothing at or below '%.200s' in the vault that it comes from",
             flags_text(&run->cli->flags, FLAG_PATH));
    return true;
}

static int move_everything(struct move_run *run)
{
    static const char *const names[] = {"Part", "Taken", "Already there", "Refused"};
    KT_AUTO(plan_free) struct plan plan = {0};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 4, names);
    if (!move_run_begin(run) || !make_plan(run, &plan))
        return run->cli->exit_code;
    copy_all(run, &plan, &table);
    if (!run->dry && !move_stopped(run))
        compare_all(run, &plan);
    summary(run, &table);
    int code = ending(run);
    return found_nothing(run, &plan) ? CLI_REFUSED : code;
}

static struct move_run run_of(struct cli *cli)
{
    return (struct move_run){.cli = cli,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .dry = flags_on(&cli->flags, FLAG_DRY_RUN),
                             .replace = flags_on(&cli->flags, FLAG_REPLACE)};
}

int cmd_import_vault(struct cli *cli)
{
    const char *from = flags_text(&cli->flags, FLAG_FROM);
    KT_AUTO(move_run_end) struct move_run run = run_of(cli);
    if (from == NULL)
        return cli_wrong(cli, "secretctl import vault -from=https://vault.example:8200 -peer-token-file=FILE",
                         "from which vault?");
    if (!move_side_here(cli, &run.to) || !move_side_there(cli, from, &run.from))
        return cli->exit_code;
    return move_everything(&run);
}

int cmd_export_vault(struct cli *cli)
{
    const char *to = flags_text(&cli->flags, FLAG_TO);
    KT_AUTO(move_run_end) struct move_run run = run_of(cli);
    run.plain = true;
    if (to == NULL)
        return cli_wrong(cli, "secretctl export vault -to=https://vault.example:8200 -peer-token-file=FILE",
                         "to which vault?");
    if (!move_side_here(cli, &run.from) || !move_side_there(cli, to, &run.to))
        return cli->exit_code;
    return move_everything(&run);
}
