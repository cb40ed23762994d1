#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/inventory.h"
#include "vaultd/rotation/notify_routes.h"
#include "vaultd/rotation/overdue.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/quarantine.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/zombies.h"

/* ---- the clock ---- */

static enum kt_kind clock_read(struct request *req, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    char text[sizeof rotation->clock.text];
    (void)err;
    (void)pthread_mutex_lock(&rotation->lock);
    bool alarm = rotation->clock.alarm;
    memcpy(text, rotation->clock.text, sizeof text);
    (void)pthread_mutex_unlock(&rotation->lock);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_time(&w, "now", req->now_ms);
    kt_jsonw_kv_bool(&w, "alarm", alarm);
    kt_jsonw_kv_text(&w, "text", text);
    kt_jsonw_end(&w);
    return KT_OK;
}

static void accept_after(struct request *req, const struct commit_result *result)
{
    if (result->error != STORE_OK)
        return;
    atomic_store(&req->core->rotation->clock.accept, true);
    rotation_wake(req->core->rotation);
}

/* All is planned anew by the accepted clock: what is stored is that, so a rule of approvals holds it, too. */
static enum kt_kind clock_write(struct request *req, struct kt_err *err)
{
    bool accept = false;
    enum kt_kind kind = request_bool(req, "accept", &accept, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!accept)
        return kt_fail(err, KT_INVALID, "accept must be true");
    req->after_commit = accept_after;
    return rotation_clock_want_replan(req, err);
}

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct route routes[] = {
    { .pattern = "targets", .list = targets_list, .help = "Names of the targets." },
    { .pattern = "targets/{name}", .read = target_read, .write = target_write,
      .delete_ = target_delete, .exists = target_exists, .fields = target_fields,
      .body_max = 128 * 1024, .help = "A system that accepts credentials." },
    { .pattern = "targets/{name}/check", .write = target_check,
      .help = "Reaches a target, logs in as its administrator, has a wrong password refused." },
    { .pattern = "calendars", .list = calendars_list, .help = "Names of the calendars." },
    { .pattern = "calendars/{name}", .read = calendar_read, .write = calendar_write,
      .delete_ = calendar_delete, .exists = calendar_exists, .fields = calendar_fields,
      .body_max = 128 * 1024, .help = "Times in which nothing is started by schedule." },
    { .pattern = "secrets", .list = secrets_list, .help = "Secrets that are rotated." },
    { .pattern = "secrets/{path...}", .read = secret_read, .write = secret_write,
      .delete_ = secret_delete, .list = secrets_list, .exists = secret_exists,
      .fields = settings_fields, .body_max = 64 * 1024,
      .help = "How a secret is rotated; lists those below a path." },
    { .pattern = "rotate/{path...}", .write = rotate_write, .body_max = 16 * 1024,
      .fields = FIELDS({ "reason", FIELD_STRING, "for the report" },
                       { "back", FIELD_BOOL, "go back to the version before" },
                       { "force", FIELD_BOOL, "although everything is paused" }),
      .help = "Rotates a secret now." },
    { .pattern = "dry-run/{path...}", .write = dry_run_write,
      .help = "Tries all of a rotation that can be tried without changing anything." },
    { .pattern = "reconcile/{path...}", .write = reconcile_write, .body_max = 16 * 1024,
      .fields = FIELDS({ "reason", FIELD_STRING, "for the report" }),
      .help = "Has the target accept the stored credential again." },
    { .pattern = "drill/{path...}", .write = drill_write, .body_max = 16 * 1024,
      .fields = FIELDS({ "reason", FIELD_STRING, "for the report" },
                       { "allow_gap", FIELD_BOOL, "in-place: although consumers are cut off for a moment" }),
      .help = "Tries going back: rotates a secret, then goes back on purpose." },
    { .pattern = "revoke/{path...}", .write = revoke_write, .body_max = 16 * 1024,
      .fields = FIELDS({ "version", FIELD_INT, "which one, the current" },
                       { "reason", FIELD_STRING, "for who reads the list" }),
      .help = "Revokes the certificate in a version of a secret." },
    { .pattern = "issuers/{path...}", .read = issuer_read,
      .help = "What an issuer of certificates revoked; update on it lets others have it sign." },
    { .pattern = "runs", .list = runs_list,
      .fields = FIELDS({ "secret", FIELD_STRING, "only of this secret" },
                       { "limit", FIELD_INT, "how many, 100" }),
      .help = "Runs, the newest first." },
    { .pattern = "runs/{id}", .read = run_read,
      .fields = FIELDS({ "wait", FIELD_DURATION, "wait for a step after since" },
                       { "since", FIELD_INT, "only steps after this number" }),
      .help = "A run with its steps, consumers and readers." },
    { .pattern = "runs/{id}/cancel", .write = run_cancel,
      .fields = FIELDS({ "reason", FIELD_STRING, "for the report" }),
      .help = "Goes back, as long as that is possible." },
    { .pattern = "runs/{id}/thaw", .write = run_thaw, .help = "Lets a frozen run go on." },
    { .pattern = "runs/{id}/report", .read = run_report, .help = "The report of an ended run." },
    { .pattern = "due", .read = due_list,
      .fields = FIELDS({ "limit", FIELD_INT, "how many, 50" }),
      .help = "What is due, soonest first." },
    { .pattern = "plan", .read = inventory_read,
      .fields = FIELDS({ "prefix", FIELD_STRING, "only below it" },
                       { "after", FIELD_STRING, "only what is behind this one in the store" },
                       { "limit", FIELD_INT, "how many, 100" }),
      .help = "The rotation plan: each secret, how it is rotated, what is missing for it." },
    { .pattern = "classes", .read = classes_read, .write = classes_write, .fields = classes_fields,
      .body_max = 16 * 1024, .help = "Risk classes: how old a secret of each may get." },
    { .pattern = "overdue", .read = overdue_list,
      .fields = FIELDS({ "limit", FIELD_INT, "how many, 100" },
                       { "grace", FIELD_DURATION, "so late a run may start, 5m" }),
      .help = "What should be rotated by now and is not." },
    { .pattern = "pause", .read = pause_read, .write = pause_write, .delete_ = pause_delete,
      .fields = FIELDS({ "reason", FIELD_STRING, "why, for whoever finds that nothing is rotated" }),
      .help = "Whether everything is paused; pausing it; letting it go on." },
    { .pattern = "quarantine", .read = quarantine_list,
      .help = "Consumers that keep runs from ending well, and those that are put aside." },
    { .pattern = "quarantine/{host}/{path...}", .write = quarantine_write, .delete_ = quarantine_delete,
      .body_max = 16 * 1024,
      .fields = FIELDS({ "service", FIELD_STRING, "name of the service" },
                       { "reason", FIELD_STRING, "why, for whoever wonders that it was not waited for" }),
      .help = "Puts a consumer of a secret aside: no run waits for it, or believes it; waits for it again." },
    { .pattern = "zombies", .read = zombies_list,
      .help = "Credentials that should be dead and are not proven to be." },
    { .pattern = "notify", .read = notify_list, .help = "How the channels are by which people are told." },
    { .pattern = "notify/{name}/test", .write = notify_test, .help = "Sends a message by one of them." },
    { .pattern = "clock", .read = clock_read, .write = clock_write,
      .fields = FIELDS({ "accept", FIELD_BOOL, "the clock is right as it is" }),
      .help = "Whether the clock is trusted; accepting it after a jump." },
};
/* clang-format on */

const struct engine rotation_engine = {
    .type = "rotation",
    .help = "Rotation of credentials: targets, schedules, runs.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
