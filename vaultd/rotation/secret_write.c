#include "lib/duration.h"
#include "lib/driver/ldap_name.h"
#include "vaultd/core/mounts.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/credential.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/issue.h"
#include "vaultd/rotation/order.h"
#include "vaultd/rotation/own.h"
#include "vaultd/rotation/people.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/strategy.h"
#include "vaultd/rotation/together.h"
#include "vaultd/rotation/truth.h"

/* What people say about a secret's rotation: checked, adopted, stored. */

static void wake_after(struct request *req, const struct commit_result *result)
{
    if (result->error != STORE_OK)
        return;
    atomic_store(&req->core->rotation->looks_news, true);
    rotation_wake(req->core->rotation);
}

static enum kt_kind load_named(struct request *req, struct rotation_secret *ret,
                               struct kt_err *err)
{
    return secret_load(req, request_param(req, "path"), ret, err);
}

/* ---- checking what is written ---- */

/* Whose an account is, and whether it is at work, is told by its name to the byte. */
static enum kt_kind check_names(const struct rotation_settings *s, const struct driver_info *info,
                                struct kt_err *err)
{
    for (size_t i = 0; i < 2; i++) {
        if (!info->entries || kt_ldap_name_is_plain(s->accounts[i]))
            continue;
        (void)kt_fail(err, KT_INVALID, "accounts: '%s' is one of several spellings of its entry", s->accounts[i]);
        kt_hint(err, "write the entry's name in lower case, without blanks at commas and at =, without \\XX, in "
                     "accounts and in the secret's \"%s\"",
                s->username_field);
        return KT_INVALID;
    }
    return KT_OK;
}

static enum kt_kind check_strategy(const struct rotation_settings *s, const struct rotation_target *target,
                                   const struct driver_info *info, struct kt_err *err)
{
    if (s->strategy == STRATEGY_GENERATE) {
        (void)kt_fail(err, KT_INVALID, "strategy generate has no target");
        kt_hint(err, "strategy=alternate with two accounts and a group changes the password without "
                     "a gap, strategy=overlap with one where the driver can; strategy=in-place has a gap");
        return KT_INVALID;
    }
    bool alternate = s->strategy == STRATEGY_ALTERNATE;
    if (!strategy_possible(info, s->strategy)) {
        (void)kt_fail(err, KT_INVALID, "driver %s cannot do strategy %s", target->driver,
                      run_strategy_text(s->strategy));
        kt_hint(err, "it can:%s%s%s", info->alternate ? " alternate" : "",
                info->overlap ? " overlap" : "", info->in_place ? " in-place" : "");
        return KT_INVALID;
    }
    if (alternate && (settings_accounts(s) != 2 || strcmp(s->accounts[0], s->accounts[1]) == 0)) {
        (void)kt_fail(err, KT_INVALID, "strategy alternate needs two different accounts");
        kt_hint(err, "accounts=app_a,app_b%s", info->groups ? ", both in group=app" : "");
        return KT_INVALID;
    }
    if (!info->groups && !info->program && s->group[0] != '\0')
        return kt_fail(err, KT_INVALID, "driver %s knows no groups: leave group empty",
                       target->driver);
    if (alternate && info->groups && s->group[0] == '\0')
        return kt_fail(err, KT_INVALID,
                       "strategy alternate needs group: the role that owns everything");
    if (alternate && info->groups && (strcmp(s->group, s->accounts[0]) == 0 ||
                      strcmp(s->group, s->accounts[1]) == 0))
        return kt_fail(err, KT_INVALID, "group must be another role than the accounts");
    if (!alternate && settings_accounts(s) != 1)
        return kt_fail(err, KT_INVALID, "strategy %s needs one account",
                       run_strategy_text(s->strategy));
    return check_names(s, info, err);
}

static enum kt_kind check_current(struct request *req, const struct rotation_secret *secret,
                                  const struct driver_info *info, const struct kv_secret *kv,
                                  bool ids, struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    if (kv->current == 0) {
        (void)kt_fail(err, KT_INVALID, "'%s' has no version: there is nothing to rotate",
                      secret->name);
        kt_hint(err, "write the credential that is in use first: secretctl kv put %s %s= %s=",
                secret->name, s->username_field, s->password_field);
        return KT_INVALID;
    }
    struct credential now;
    struct kt_bytes json;
    enum kt_kind kind = credential_load(req, secret, s, kv, kv->current, &now, &json, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "the current version of '%s' is gone", secret->name);
    if (kind != KT_OK)
        return kind;
    if (kv_version_deleted(kv, kv_version(kv, kv->current), req->now_ms)) {
        (void)kt_fail(err, KT_INVALID, "the current version of '%s' is deleted: nobody gets it", secret->name);
        kt_hint(err, "secretctl kv undelete -versions=%u %s", kv->current, secret->name);
        return KT_INVALID;
    }
    if (strcmp(now.username, s->accounts[0]) != 0 &&
        (s->accounts[1][0] == '\0' || strcmp(now.username, s->accounts[1]) != 0)) {
        (void)kt_fail(err, KT_INVALID, "the secret's \"%s\" is none of the accounts",
                      s->username_field);
        kt_hint(err,
                "name the account that is in use in accounts, or mend the secret (%s?): secretctl kv "
                "patch %s %s=",
                s->accounts[0], secret->name, s->username_field);
        return KT_INVALID;
    }
    if (info->generator != NULL) {
        const char *unused = NULL;
        kind = credential_public(info->name, now.password, &req->arena, &unused, err);
        if (kind == KT_INVALID) {
            kt_context(err, "the secret's \"%s\", which has to be a private key", s->password_field);
            kt_hint(err, "a new one: ssh-keygen -t ed25519 -N '' -f KEY; an older form of one becomes this "
                         "by: ssh-keygen -p -N '' -f KEY; then: secretctl kv patch %s %s=@KEY",
                    secret->name, s->password_field);
        }
        return kind;
    }
    const char *id = "";
    if (ids)
        kind = credential_id(json, &req->arena, &id, err);
    if (kind != KT_OK)
        return kind;
    if (ids && id[0] == '\0') {
        (void)kt_fail(err, KT_INVALID, "the secret has no text member \"" CREDENTIAL_ID_FIELD "\": by it the key is "
                                       "known that is to be deleted");
        kt_hint(err, "write the id that the API has for it, this vault its accessor: secretctl kv patch %s "
                     CREDENTIAL_ID_FIELD "=", secret->name);
        return KT_INVALID;
    }
    for (const char *at = now.password; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            return kt_fail(err, KT_INVALID,
                           "the current password has characters that are not printable ASCII: "
                           "this driver cannot tell how the server reads them");
    return KT_OK;
}

static enum kt_kind check_public_field(const struct rotation_settings *s, struct kt_err *err)
{
    if (s->public_field[0] == '\0')
        return KT_OK;
    if (strcmp(s->public_field, s->username_field) == 0 || strcmp(s->public_field, s->password_field) == 0)
        return kt_fail(err, KT_INVALID, "public_field must name a member of its own");
    if (strcmp(s->gen_type, "ssh-ed25519") == 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "public_field is for the public half of an SSH key, and the value is none");
    kt_hint(err, "set generator.type=ssh-ed25519, or leave public_field out");
    return KT_INVALID;
}

/* An id would be written over a value that was made, which then nobody has and nobody ends. */
static enum kt_kind check_id_field(const struct rotation_settings *s, struct kt_err *err)
{
    if (!settings_has_target(s) || (strcmp(s->username_field, CREDENTIAL_ID_FIELD) != 0 &&
                                    strcmp(s->password_field, CREDENTIAL_ID_FIELD) != 0))
        return KT_OK;
    return kt_fail(err, KT_INVALID, "\"" CREDENTIAL_ID_FIELD "\" is where a key's id is stored: password_field and "
                                    "username_field must name other members");
}

/* Where the driver can only use values of one kind, that kind is meant. */
static enum kt_kind choose_generator(struct rotation_settings *s, const struct driver_info *info,
                                     struct kt_err *err)
{
    if (info->generator != NULL && s->gen_type[0] == '\0')
        s->gen_type = info->generator;
    if (info->generator == NULL ? strcmp(s->gen_type, "ssh-ed25519") != 0
                                : strcmp(s->gen_type, info->generator) == 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "driver %s cannot use a value of the kind '%s'", info->name, s->gen_type);
    kt_hint(err, "set generator.type=%s", info->generator == NULL ? "password" : info->generator);
    return KT_INVALID;
}

static enum kt_kind check_settings(struct request *req, const struct rotation_secret *secret,
                                   struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    struct kt_generator generator;
    enum kt_kind kind = KT_OK;
    if (!settings_issue(s)) {
        kind = issue_none(s, err);
        if (kind == KT_OK)
            kind = settings_generator(s, &generator, err);
    }
    if (kind != KT_OK)
        return kind;
    kt_autowhen struct rotation_when when = {0};
    kind = when_load(req, s, NULL, &when, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_INVALID : kind;
    if (s->blackout[0] != '\0' && kt_schedule_is_manual(when.schedule) && s->max_age[0] == '\0' &&
        s->drill[0] == '\0')
        request_warn(req, "blackout has no effect: nothing is started by schedule");
    kt_autobuf struct kt_buf warnings;
    kt_buf_init(&warnings, 4096);
    kt_schedule_warn(when.schedule, req->now_ms, &warnings);
    if (warnings.len > 0)
        request_warn(req, "%s", kt_buf_text(&warnings));
    if (s->password_field[0] == '\0' || strcmp(s->username_field, s->password_field) == 0)
        return kt_fail(err, KT_INVALID,
                       "password_field and username_field must name two members of the secret");
    kind = check_id_field(s, err);
    if (kind != KT_OK)
        return kind;
    if (!settings_has_target(s) && s->strategy != STRATEGY_GENERATE) {
        (void)kt_fail(err, KT_INVALID, "strategy %s needs a target", run_strategy_text(s->strategy));
        kt_hint(err, "target=NAME; make one: secretctl target set NAME driver=postgresql ...");
        return KT_INVALID;
    }
    if (s->max_overlap_s < s->overlap_s)
        request_warn(req, "max_overlap is shorter than overlap: it has no effect");
    return KT_OK;
}

/* Before there were classes it was a free word; one that is there stays. */
static enum kt_kind check_risk(const struct rotation_settings *before,
                               const struct rotation_settings *s, struct kt_err *err)
{
    enum risk_class risk;
    if (s->risk[0] == '\0' || strcmp(s->risk, before->risk) == 0 || risk_class_parse(s->risk, &risk))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "risk must be critical, high, medium or low");
    kt_hint(err, "what they mean: secretctl classes show");
    return KT_INVALID;
}

/* Who sets that nobody, or fewer, have to approve needs the approval that was wanted until now; so does who changes
 * anything else of it: a schedule starts it without asking anybody. */
static enum kt_kind check_people(struct request *req, const struct rotation_settings *before,
                                 const struct rotation_settings *s, struct kt_err *err)
{
    if (before->approvals == s->approvals && strcmp(before->approvers, s->approvers) == 0)
        return KT_OK;
    return people_check(req, s->approvals, s->approvers, "approvals", err);
}

/* ---- writing ---- */

static bool same_place(const struct rotation_settings *a, const struct rotation_settings *b)
{
    return strcmp(a->target, b->target) == 0 && a->strategy == b->strategy &&
           strcmp(a->accounts[0], b->accounts[0]) == 0 &&
           strcmp(a->accounts[1], b->accounts[1]) == 0 && strcmp(a->group, b->group) == 0 &&
           strcmp(a->username_field, b->username_field) == 0 &&
           strcmp(a->password_field, b->password_field) == 0;
}

static bool same_schedule(const struct rotation_settings *a, const struct rotation_settings *b)
{
    return strcmp(a->cron, b->cron) == 0 && strcmp(a->zone, b->zone) == 0 &&
           strcmp(a->period, b->period) == 0 && strcmp(a->jitter, b->jitter) == 0 &&
           strcmp(a->window, b->window) == 0 && strcmp(a->max_age, b->max_age) == 0 &&
           strcmp(a->catchup, b->catchup) == 0 && strcmp(a->blackout, b->blackout) == 0;
}

static enum kt_kind refuse_active(const struct rotation_secret *secret, struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    (void)kt_fail(err, KT_INVALID, "KT-R-005 run %s of '%s' is under way: it would not know whom to "
                                   "change",
                  id, secret->name);
    kt_hint(err, "wait for it (secretctl run watch %s), or go back first: secretctl run cancel %s",
            id, id);
    return KT_INVALID;
}

/* Its services go on with the current version, whose time may have gone by while it was in use. */
static void let_go(struct kv_secret *kv, struct kv_version *v, int64_t now_ms)
{
    if (!v->deleted && v->number == kv->current)
        v->deletion_ms = 0;
    if (kv_in_use(kv, v))
        kv_retire(v, now_ms);
}

/* The value that is there is what the target accepts: it stays as it is, and cannot be destroyed. */
static enum kt_kind adopt(struct request *req, struct rotation_secret *secret,
                          struct kv_secret *kv, struct kt_err *err)
{
    bool driven = settings_has_target(&secret->settings);
    if (kv->changed == 0 || (kv->has_driver == driven && !driven))
        return KT_OK;
    bool changed = kv->has_driver != driven;
    for (size_t i = 0; i < kv->n_versions; i++) {
        struct kv_version *v = &kv->versions[i];
        if (!driven) {
            let_go(kv, v, req->now_ms);
        } else if (v->number == kv->current) {
            changed = changed || !v->accepted_maybe;
            v->accepted_maybe = true;
        }
        if (secret->last_done_ms == 0 && v->number == kv->current)
            secret->last_done_ms = v->created_ms;
    }
    kv->has_driver = driven;
    if (!changed)
        return KT_OK;
    return kv_save(req->core, secret->mount, request_batch(req), secret->path, kv, err);
}

/* Whoever sets it has to be able to make what it makes, whatever of it is written. */
static enum kt_kind check_own(struct request *req, const struct rotation_settings *s, struct kt_err *err)
{
    char text[KT_DURATION_TEXT];
    uint64_t age_ms = 0;
    int64_t life_s = 0;
    enum kt_kind kind = own_permit(req, s->accounts[0], err);
    if (kind == KT_OK)
        kind = own_check(req, s->accounts[0], &life_s, err);
    if (kind != KT_OK || life_s == 0)
        return kind;
    bool aged = s->max_age[0] != '\0' && kt_duration_parse(kt_str(s->max_age), &age_ms, NULL) == KT_OK;
    if (aged && age_ms < (uint64_t)life_s * 1000)
        return KT_OK;
    kt_duration_text((uint64_t)life_s * 1000, text);
    request_warn(req, "what is made lasts %s unless it is renewed: rotate it more often, and set max_age below that",
                 text);
    return KT_OK;
}

/* A login that has no version yet is looked at when a run begins. */
static enum kt_kind check_login(struct request *req, const struct rotation_target *target,
                                const struct rotation_secret *secret, struct kt_err *err)
{
    struct rotation_target tried = *target;
    enum kt_kind kind = target_login(req, &tried, err);
    if (kind == KT_INVALID) {
        kt_err_clear(err);
        return KT_OK;
    }
    return kind == KT_OK ? target_login_free(req, &tried, secret, err) : kind;
}

static enum kt_kind check_target_side(struct request *req, const struct rotation_settings *before,
                                      struct rotation_secret *secret, const struct kv_secret *kv, struct kt_err *err)
{
    if (!settings_has_target(&secret->settings))
        return KT_OK;
    struct rotation_target target;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "there is no target '%s'", secret->settings.target);
        kt_hint(err, "make it first: secretctl target set %s driver=postgresql host=...",
                secret->settings.target);
        return KT_INVALID;
    }
    if (kind != KT_OK)
        return kind;
    if (!rotation_can_run(req->core->rotation))
        return kt_fail(err, KT_INVALID, "this vaultd was started without what runs drivers");
    struct driver_info can = {.name = ""};
    bool ids = false;
    kind = strategy_abilities(req, &target, &can, &ids, err);
    if (kind == KT_OK)
        kind = check_strategy(&secret->settings, &target, &can, err);
    if (kind == KT_OK && own_is(target.driver))
        kind = check_own(req, &secret->settings, err);
    if (kind == KT_OK)
        kind = target_admin_strategy(req, &target, secret, err);
    if (kind == KT_OK && !same_place(before, &secret->settings))
        kind = check_login(req, &target, secret, err);
    if (kind == KT_OK)
        kind = strategy_check_gap(req, before, &secret->settings, &can, err);
    const struct driver_info *info = kt_driver_info(target.driver);
    if (kind == KT_OK)
        kind = choose_generator(&secret->settings, info, err);
    return kind == KT_OK ? check_current(req, secret, info, kv, ids, err) : kind;
}

static enum kt_kind store_settings(struct request *req, const struct rotation_settings *before,
                                   struct rotation_secret *secret, struct kv_secret *kv,
                                   struct kt_err *err)
{
    enum kt_kind kind = claims_move(req, before, secret, err);
    if (kind == KT_OK)
        kind = together_move(req, before, secret, err);
    if (kind == KT_OK)
        kind = calendar_change_users(req, before->blackout, secret->settings.blackout, err);
    if (kind == KT_OK)
        kind = revoked_move_list(req, before, secret, err);
    if (kind == KT_OK && !secret->active)
        kind = adopt(req, secret, kv, err);
    if (kind == KT_OK && !secret->active) {
        secret->held = "";
        /* Who changes something else drops no time that has passed and is waited with. */
        bool changed = false;
        bool told = due_for_news(secret), news = told && revoked_is_list(&secret->settings);
        if (!news && (told || !secret->due || !same_schedule(before, &secret->settings)))
            kind = due_plan(req, secret, req->now_ms, err);
        else if (news || strcmp(before->risk, secret->settings.risk) != 0) /* its class may have an age */
            kind = due_replan(req, secret, &changed, err);
    }
    if (kind == KT_OK && !same_place(before, &secret->settings))
        kind = truth_forget(req, secret, err);
    if (kind == KT_OK && !same_place(before, &secret->settings))
        kind = drill_forget(req, secret, err);
    if (!same_place(before, &secret->settings))
        strategy_forget_gap(secret);
    if (kind == KT_OK)
        kind = drill_follow(req, before, secret, err);
    if (kind == KT_OK && !secret->active)
        kind = truth_plan(req, secret, err);
    if (kind == KT_OK)
        kind = secret_save(req, secret, err);
    return kind;
}

enum kt_kind secret_write(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND && secret_place(req, request_param(req, "path"), &secret.mount,
                                             &secret.path, err) != KT_OK)
        return KT_INVALID;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct rotation_secret stored = secret;
    const struct rotation_settings before = secret.settings;
    kind = people_want_all(req, &secret, err);
    if (kind == KT_OK)
        kind = settings_read(req, &secret.settings, err);
    if (kind == KT_OK)
        kind = people_bind_settings(req, &stored, &secret.settings, err);
    if (kind == KT_OK && request_member(req, "notify", &(struct kt_json){0}) == KT_OK)
        notify_warn(req, secret.settings.notify);
    if (kind == KT_OK)
        kind = check_risk(&before, &secret.settings, err);
    if (kind == KT_OK)
        kind = check_people(req, &before, &secret.settings, err);
    if (kind == KT_OK && settings_issue(&secret.settings))
        kind = issue_check(req, &before, &secret, err);
    if (kind == KT_OK)
        kind = check_settings(req, &secret, err);
    if (kind == KT_OK)
        kind = served_check(req, &secret.settings, err);
    if (kind == KT_OK)
        kind = drill_check(req, &secret.settings, err);
    if (kind == KT_OK)
        kind = order_check(req, &before, &secret, err);
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || kv == NULL))
        return kind;
    if (secret.active && !same_place(&before, &secret.settings))
        return refuse_active(&secret, err);
    if (secret.active)
        request_warn(req, "a run is under way: this applies from the next run");
    kind = check_target_side(req, &before, &secret, kv, err);
    if (kind == KT_OK)
        kind = check_public_field(&secret.settings, err);
    if (kind == KT_OK && settings_has_target(&secret.settings))
        kind = kv_warn_of_end(req, secret.mount, kv, err);
    if (kind != KT_OK)
        return kind;
    if (request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a rotation");
    if (!same_schedule(&before, &secret.settings) || strcmp(before.risk, secret.settings.risk) != 0)
        kind = together_permit_times(req, &secret, err);
    if (kind == KT_OK && secret.changed == 0)
        kind = mounts_keep_name(req, secret.mount, err);
    req->after_commit = wake_after;
    return kind == KT_OK ? store_settings(req, &before, &secret, kv, err) : kind;
}

static enum kt_kind refuse_led(const struct rotation_secret *secret, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "'%s' rotates together with '%s'", secret->name, secret->led_by);
    kt_hint(err, "let it go first: secretctl schedule set %s together=", secret->led_by);
    return KT_INVALID;
}

enum kt_kind secret_delete(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    if (secret.active)
        return refuse_active(&secret, err);
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a rotation");
    const struct rotation_settings before = secret.settings;
    if (secret.led_by[0] != '\0')
        return refuse_led(&secret, err);
    kind = people_want_all(req, &secret, err);
    if (kind == KT_OK)
        kind = people_bind_settings(req, &secret, &before, err);
    if (kind != KT_OK)
        return kind;
    secret.settings.target = secret.settings.together = "";
    secret.settings.gen_type = "";
    kind = claims_move(req, &before, &secret, err);
    if (kind == KT_OK)
        kind = together_move(req, &before, &secret, err);
    if (kind == KT_OK)
        kind = revoked_move_list(req, &before, &secret, err);
    if (kind == KT_OK)
        kind = calendar_change_users(req, before.blackout, "", err);
    if (kind == KT_OK)
        kind = due_remove(req, &secret, err);
    if (kind == KT_OK)
        kind = truth_forget(req, &secret, err);
    if (kind == KT_OK)
        kind = drill_forget(req, &secret, err);
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind == KT_OK)
        kind = adopt(req, &secret, kv, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    unsigned char key[BARRIER_NAME_KEY];
    secret_key(req->core, secret.mount->scope, secret.path, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), secret.changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}
