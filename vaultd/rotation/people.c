#include "vaultd/rotation/people.h"

#include "vaultd/approval/rules.h"
#include "vaultd/core/bound.h"
#include "vaultd/identity/groups.h"
#include "vaultd/rotation/together.h"

#define PLAN_MAX ((size_t)8 * 1024 * 1024) /* six runs, each with all texts of its target as long as they may be */

/* ---- whose approval ---- */

void people_want_of_class(struct request *req, const struct rotation_classes *classes, enum risk_class risk)
{
    if (classes->approvals[risk] > 0)
        request_wants(req, classes->approvers[risk], (unsigned)classes->approvals[risk]);
}

enum kt_kind people_want(struct request *req, const struct rotation_settings *settings, struct kt_err *err)
{
    struct rotation_classes classes;
    enum risk_class risk;
    if (settings->approvals > 0)
        request_wants(req, settings->approvers, (unsigned)settings->approvals);
    if (!risk_class_parse(settings->risk, &risk))
        return KT_OK;
    enum kt_kind kind = classes_load(req, &classes, err);
    if (kind == KT_OK)
        people_want_of_class(req, &classes, risk);
    return kind;
}

enum kt_kind people_want_all(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    struct rotation_secret *mate = kt_arena_take(&req->arena, sizeof *mate);
    size_t n = 0;
    if (mate == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for who has to approve");
    enum kt_kind kind = people_want(req, &secret->settings, err);
    if (kind == KT_OK)
        kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        kind = secret_load(req, names[i], mate, err);
        if (kind == KT_OK)
            kind = people_want(req, &mate->settings, err);
        else if (kind == KT_NOT_FOUND) { /* starting it says so */
            *err = (struct kt_err){0};
            kind = KT_OK;
        }
    }
    return kind;
}

/* ---- whether they are there ---- */

static enum kt_kind refuse(struct kt_err *err, const char *what, const char *why, const char *approvers)
{
    (void)kt_fail(err, KT_INVALID, "%s: %s", what, why);
    kt_hint(err, "approvers=RULE names a rule of approval, whose group approves: secretctl read sys/approvals/rules/%s",
            approvers[0] == '\0' ? "NAME" : approvers);
    return KT_INVALID;
}

enum kt_kind people_check(struct request *req, int64_t approvals, const char *approvers, const char *what,
                          struct kt_err *err)
{
    struct approval_rules rules;
    struct group group = {0};
    if (approvals < 0 || approvals > (int64_t)APPROVAL_NEEDED_MAX)
        return kt_fail(err, KT_INVALID, "%s: between 0 and %u people can be wanted", what, APPROVAL_NEEDED_MAX);
    if (approvals == 0 && approvers[0] == '\0')
        return KT_OK;
    if (approvals == 0)
        return refuse(err, what, "approvers are named, and none of them is wanted: approvals=1?", approvers);
    if (approvers[0] == '\0')
        return refuse(err, what, "nobody is named whose approval is wanted", approvers);
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    if (kind != KT_OK)
        return kind;
    const struct approval_rule *rule = approval_rules_find(&rules, approvers);
    if (rule == NULL)
        return refuse(err, what, "there is no rule of approval of that name", approvers);
    kind = group_find(req, rule->group, &group, err);
    if (kind == KT_NOT_FOUND)
        return refuse(err, what, "the group of that rule is gone", approvers);
    if (kind == KT_OK && (uint64_t)approvals > group.entities.n)
        return refuse(err, what, "the group of that rule has fewer people: nobody could ever rotate it", approvers);
    if (kind == KT_OK && rule->needed < (unsigned)approvals)
        request_warn(req, "the rule \"%s\" itself may be changed by %u of them: set its needed to %u, too", approvers,
                     rule->needed, (unsigned)approvals);
    return kind;
}

/* ---- what they approve ---- */

static void show_target(const struct rotation_target *t, struct kt_jsonw *w)
{
    kt_jsonw_kv_text(w, "driver", t->driver);
    kt_jsonw_kv_text(w, "host", t->host);
    kt_jsonw_kv_int(w, "port", t->port);
    kt_jsonw_kv_text(w, "database", t->database);
    kt_jsonw_kv_text(w, "sslmode", t->sslmode);
    kt_jsonw_kv_text(w, "ca", t->ca);
    kt_jsonw_kv_text(w, "program", t->program);
    kt_jsonw_kv_text(w, "api", t->api);
    kt_jsonw_kv_text(w, "keys_file", t->keys_file);
    kt_jsonw_kv_text(w, "admin", t->admin_username);
    kt_jsonw_kv_text(w, "admin_secret", t->admin_secret);
    kt_jsonw_key(w, "servers");
    kt_jsonw_array(w);
    for (size_t i = 0; i < t->nodes.n; i++)
        kt_jsonw_text(w, t->nodes.at[i]);
    kt_jsonw_end(w);
    target_sentinels_show(t, w);
}

/* Its part of the plan, and of the sentence about it. The sentence may be cut, so the plan has all that counts. */
static enum kt_kind add_run(struct request *req, const struct run *run, struct kt_jsonw *w, struct kt_buf *about,
                            struct kt_err *err)
{
    struct rotation_target t = {.name = "", .driver = "", .host = "", .database = "", .sslmode = "", .ca = "",
                                .program = "", .api = "", .keys_file = "", .admin_username = "", .admin_secret = "",
                                .sentinel_master = ""};
    if (run_touches_target(run)) {
        enum kt_kind kind = target_load(req, run->settings.target, &t, err);
        if (kind != KT_OK)
            return kind;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", run->name);
    kt_jsonw_kv_int(w, "version", run->from);
    settings_show(&run->settings, w);
    kt_jsonw_kv_text(w, "run", run_trigger_text(run->trigger));
    show_target(&t, w);
    kt_jsonw_end(w);
    kt_buf_printf(about, "%s%s, version %u, %s%s%s%s%s", about->len == 0 ? "" : "; as one with ", run->name, run->from,
                  run_strategy_text(run->machine.strategy), t.name[0] == '\0' ? "" : " at ", t.name,
                  t.host[0] == '\0' ? "" : ", host ", t.host);
    return KT_OK;
}

enum kt_kind people_bind(struct request *req, const struct run *runs, size_t n, struct kt_err *err)
{
    kt_autobuf struct kt_buf plan, about;
    enum kt_kind kind = KT_OK;
    kt_buf_init(&plan, PLAN_MAX);
    kt_buf_init(&about, PLAN_MAX);
    struct kt_jsonw w = kt_jsonw(&plan);
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        kind = add_run(req, &runs[i], &w, &about, err);
    kt_jsonw_end(&w);
    if (kind != KT_OK)
        return kind;
    if (!kt_buf_ok(&plan) || !kt_buf_ok(&about))
        return kt_fail(err, KT_NO_MEMORY, "planning a rotation");
    request_binds(req, kt_buf_bytes(&plan), kt_buf_text(&about), runs[0].settings.notify);
    return KT_OK;
}

/* ---- what a change changes ---- */

static void show_class(const struct rotation_classes *classes, enum risk_class risk, struct kt_jsonw *w)
{
    kt_jsonw_kv_text(w, "max_age", classes->max_age[risk]);
    kt_jsonw_kv_text(w, "description", classes->description[risk]);
    kt_jsonw_kv_int(w, "approvals", classes->approvals[risk]);
    kt_jsonw_kv_text(w, "approvers", classes->approvers[risk]);
}

static void show_settings(const struct rotation_secret *secret, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", secret->name);
    kt_jsonw_kv_bool(w, "rotated", secret->changed != 0);
    kt_jsonw_kv_text(w, "led_by", secret->led_by);
    settings_show(&secret->settings, w);
    kt_jsonw_end(w);
}

static enum kt_kind show_named(struct request *req, const char *name, struct kt_jsonw *w, struct kt_err *err)
{
    struct rotation_secret *secret = kt_arena_take(&req->arena, sizeof *secret);
    if (secret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a change");
    struct kt_err none = {0};
    enum kt_kind kind = secret_load(req, name, secret, &none);
    if (kind == KT_OK)
        show_settings(secret, w);
    else if (kind == KT_NOT_FOUND) /* the change is refused, or it is let go */
        kt_jsonw_text(w, name);
    else
        return kt_fail(err, kind, "%s", none.what);
    return KT_OK;
}

/* Of all that it rotates as one with, and would. */
static enum kt_kind show_mates(struct request *req, const struct rotation_secret *secret, const char *together,
                               struct kt_jsonw *w, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    struct kt_bytes name;
    size_t n = 0;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        kind = show_named(req, names[i], w, err);
    for (n = 0; n < TOGETHER_MAX && kind == KT_OK && settings_name(&together, &name); n++) {
        const char *text = kt_arena_text(&req->arena, name);
        kind = text == NULL ? kt_fail(err, KT_NO_MEMORY, "planning a change") : show_named(req, text, w, err);
    }
    return kind;
}

static enum kt_kind bind_change(struct request *req, struct kt_buf *plan, struct kt_buf *about, const char *told,
                                struct kt_err *err)
{
    if (!kt_buf_ok(plan) || !kt_buf_ok(about))
        return kt_fail(err, KT_NO_MEMORY, "planning a change");
    request_binds(req, kt_buf_bytes(plan), kt_buf_text(about), told);
    return KT_OK;
}

/* A sentence of who had to approve, which is what a change most likely is about. */
static void add_people(int64_t approvals, const char *approvers, struct kt_buf *about)
{
    if (approvals > 0)
        kt_buf_printf(about, "approvals=%jd approvers=%s", (intmax_t)approvals, approvers);
    else
        kt_buf_add_text(about, "no approvals");
}

enum kt_kind people_bind_settings(struct request *req, const struct rotation_secret *before,
                                  const struct rotation_settings *after, struct kt_err *err)
{
    const struct rotation_settings *s = &before->settings;
    const char *risks[] = {s->risk, after->risk};
    struct rotation_classes classes;
    kt_autobuf struct kt_buf plan, about;
    kt_buf_init(&plan, PLAN_MAX);
    kt_buf_init(&about, PLAN_MAX);
    struct kt_jsonw w = kt_jsonw(&plan);
    enum kt_kind kind = classes_load(req, &classes, err);
    kt_jsonw_array(&w);
    if (kind == KT_OK) {
        show_settings(before, &w);
        kind = show_mates(req, before, after->together, &w, err);
    }
    for (size_t i = 0; i < 2 && kind == KT_OK; i++) {
        enum risk_class risk;
        kt_jsonw_object(&w);
        if (risk_class_parse(risks[i], &risk))
            show_class(&classes, risk, &w);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    if (kind != KT_OK)
        return kind;
    kt_buf_printf(&about, "%s as it was: ", before->name);
    if (before->changed == 0)
        kt_buf_add_text(&about, "without a rotation");
    else
        add_people(s->approvals, s->approvers, &about);
    if (before->changed != 0)
        kt_buf_printf(&about, ", risk=%s, %s%s%s", s->risk[0] == '\0' ? "none" : s->risk,
                      run_strategy_text(s->strategy), s->target[0] == '\0' ? "" : " at ", s->target);
    return bind_change(req, &plan, &about, s->notify, err);
}

enum kt_kind people_bind_classes(struct request *req, const struct rotation_classes *before, struct kt_err *err)
{
    kt_autobuf struct kt_buf plan, about;
    kt_buf_init(&plan, PLAN_MAX);
    kt_buf_init(&about, PLAN_MAX);
    struct kt_jsonw w = kt_jsonw(&plan);
    kt_jsonw_array(&w);
    kt_buf_add_text(&about, "the classes as they were: ");
    for (unsigned i = 0; i < RISK_CLASS_COUNT; i++) {
        kt_jsonw_object(&w);
        show_class(before, (enum risk_class)i, &w);
        kt_jsonw_end(&w);
        kt_buf_printf(&about, "%s%s max_age=%s, ", i == 0 ? "" : "; ", risk_class_text((enum risk_class)i),
                      before->max_age[i][0] == '\0' ? "none" : before->max_age[i]);
        add_people(before->approvals[i], before->approvers[i], &about);
    }
    kt_jsonw_end(&w);
    return bind_change(req, &plan, &about, "", err);
}

enum kt_kind people_bind_target(struct request *req, const struct rotation_target *before, struct kt_err *err)
{
    kt_autobuf struct kt_buf plan, about;
    kt_buf_init(&plan, PLAN_MAX);
    kt_buf_init(&about, PLAN_MAX);
    struct kt_jsonw w = kt_jsonw(&plan);
    kt_jsonw_object(&w);
    show_target(before, &w);
    kt_jsonw_end(&w);
    if (before->changed == 0)
        kt_buf_printf(&about, "target %s, which was not there", before->name);
    else
        kt_buf_printf(&about, "target %s as it was: %s%s%s", before->name, before->driver,
                      before->host[0] == '\0' ? "" : ", host ", before->host);
    return bind_change(req, &plan, &about, "", err);
}
