#include "vaultd/rotation/inventory.h"
#include "vaultd/rotation/together.h"

/* Whose approval a rotation by hand wants now, and what says so: the secret, its class, those that it rotates as one
 * with, rules by their paths. Of one rule the largest number counts, as when it is asked for (core/approve_rules.c). */

#define WANTS_MAX (2u * TOGETHER_MAX + APPROVAL_RULES_MAX)

struct want {
    const char *rule, *from;
    int64_t needed;
};
struct wants {
    struct request *req;
    const struct inventory_frame *frame;
    struct want at[WANTS_MAX];
    size_t n;
};

static void add(struct wants *wants, const char *rule, int64_t needed, const char *from)
{
    size_t i = 0;
    while (i < wants->n && strcmp(wants->at[i].rule, rule) != 0)
        i++;
    if (i == wants->n)
        wants->at[wants->n++] = (struct want){rule, from, needed};
    else if (wants->at[i].needed < needed)
        wants->at[i] = (struct want){rule, from, needed};
}

/* mate: its name; "": the secret that it is about. */
static enum kt_kind add_settings(struct wants *wants, const struct rotation_settings *s, const char *mate,
                                 struct kt_err *err)
{
    const struct rotation_classes *classes = wants->frame->classes;
    enum risk_class risk;
    if (s->approvals > 0)
        add(wants, s->approvers, s->approvals, mate[0] == '\0' ? "the secret" : mate);
    if (!risk_class_parse(s->risk, &risk) || classes->approvals[risk] == 0)
        return KT_OK;
    const char *from = kt_arena_printf(&wants->req->arena, "class %s%s%s", risk_class_text(risk),
                                       mate[0] == '\0' ? "" : " of ", mate);
    if (from == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    add(wants, classes->approvers[risk], classes->approvals[risk], from);
    return KT_OK;
}

static enum kt_kind add_rules(struct wants *wants, const char *name, const char *from, struct kt_err *err)
{
    const struct approval_rules *rules = wants->frame->rules;
    const char *path = kt_arena_printf(&wants->req->arena, "rotation/rotate/%s", name);
    if (path == NULL || from == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    for (size_t i = 0; i < rules->n; i++) {
        const struct approval_rule *rule = &rules->at[i];
        bool covers = false;
        for (size_t k = 0; k < rule->paths.n && !covers; k++)
            covers = approval_covers(rule->paths.at[k], path, false);
        if (covers)
            add(wants, rule->name, rule->needed, from);
    }
    return KT_OK;
}

/* Whoever starts the one starts the others: their rules are asked, too (together_permit()). */
static enum kt_kind add_mates(struct wants *wants, const struct rotation_secret *secret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    struct rotation_secret *mate = kt_arena_take(&wants->req->arena, sizeof *mate);
    size_t n = 0;
    if (mate == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    enum kt_kind kind = together_others(wants->req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        kind = add_rules(wants, names[i], kt_arena_printf(&wants->req->arena, "the rule's paths, of %s", names[i]), err);
        if (kind != KT_OK)
            return kind;
        kind = secret_load(wants->req, names[i], mate, err);
        if (kind == KT_OK)
            kind = add_settings(wants, &mate->settings, names[i], err);
        else if (kind == KT_NOT_FOUND) { /* it is going */
            kt_err_clear(err);
            kind = KT_OK;
        }
    }
    return kind;
}

enum kt_kind inventory_people(struct request *req, const struct inventory *it, const struct inventory_frame *frame,
                              struct kt_jsonw *w, struct kt_err *err)
{
    struct wants *wants = kt_arena_take(&req->arena, sizeof *wants);
    if (wants == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    *wants = (struct wants){.req = req, .frame = frame};
    enum kt_kind kind = add_settings(wants, &it->secret.settings, "", err);
    if (kind == KT_OK)
        kind = add_rules(wants, it->secret.name, "the rule's paths", err);
    if (kind == KT_OK)
        kind = add_mates(wants, &it->secret, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_key(w, "approvals_in_force");
    kt_jsonw_array(w);
    for (size_t i = 0; i < wants->n; i++) {
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "rule", wants->at[i].rule);
        kt_jsonw_kv_int(w, "needed", wants->at[i].needed);
        kt_jsonw_kv_text(w, "from", wants->at[i].from);
        kt_jsonw_kv_bool(w, "rule_is_there", approval_rules_find(frame->rules, wants->at[i].rule) != NULL);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
    return KT_OK;
}
