#include "vaultd/rotation/together.h"

#include "vaultd/rotation/acks.h"
#include "vaultd/rotation/people.h"

/* ---- the rule ---- */

static bool goes_back(const struct mate *mate)
{
    const struct machine *m = mate->machine;
    if (m->bound || m->past)
        return false;
    return (mate->asked && m->state != RUN_DONE) || m->state == RUN_ROLLING_BACK || m->state == RUN_ROLLED_BACK || m->state == RUN_CANCELLED;
}

/* One whose old value is dead cannot go back, perhaps long before its consumers have the new one. What ended behind the
 * point of no return is waited for no more, though a person gave it up there. */
static bool is_there(const struct mate *mate)
{
    const struct machine *m = mate->machine;
    return m->bound || machine_ends_old(m) || (m->past && run_state_ended(m->state)) || m->state == RUN_DONE ||
           (m->state == RUN_OVERLAPPING && (mate->ready || machine_only_ahead(m)));
}

enum together_verdict together_judge(const struct mate *mates, size_t n, size_t *ret_who)
{
    enum together_verdict verdict = TOGETHER_GO;
    for (size_t i = 0; i < n; i++) {
        if (goes_back(&mates[i])) {
            *ret_who = i;
            return TOGETHER_BACK;
        }
        if (verdict == TOGETHER_WAIT || is_there(&mates[i]))
            continue;
        verdict = TOGETHER_WAIT;
        *ret_who = i;
    }
    return verdict;
}

/* ---- who they are ---- */

static enum kt_kind names_of(struct request *req, const char *text, const char **at, size_t *ret_n,
                             struct kt_err *err)
{
    struct kt_bytes name;
    size_t n = 0;
    while (settings_name(&text, &name) && n < TOGETHER_MAX) {
        at[n] = kt_arena_text(&req->arena, name);
        if (at[n++] == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading who rotates together");
    }
    *ret_n = n;
    return KT_OK;
}

enum kt_kind together_others(struct request *req, const struct rotation_secret *secret, const char **at,
                             size_t *ret_n, struct kt_err *err)
{
    struct rotation_secret first = *secret;
    enum kt_kind kind = secret->led_by[0] == '\0' ? KT_OK : secret_load(req, secret->led_by, &first, err);
    *ret_n = 0;
    if (kind == KT_OK)
        kind = names_of(req, first.settings.together, at, ret_n, err);
    if (kind != KT_OK || secret->led_by[0] == '\0')
        return kind;
    for (size_t i = 0; i < *ret_n; i++) /* the first in its own place */
        if (strcmp(at[i], secret->name) == 0)
            at[i] = secret->led_by;
    return KT_OK;
}

static enum kt_kind permit(struct request *req, const char *folder, const char *name, struct kt_err *err)
{
    const char *path = kt_arena_printf(&req->arena, "rotation/%s/%s", folder, name);
    return path == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies") : request_also(req, OP_UPDATE, path, err);
}

static enum kt_kind permit_others(struct request *req, const char *folder, const struct rotation_secret *secret,
                                  struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    size_t n = 0;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        kind = permit(req, folder, names[i], err);
    return kind;
}

enum kt_kind together_permit(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    return permit_others(req, "rotate", secret, err);
}

enum kt_kind together_permit_times(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    return permit_others(req, "secrets", secret, err);
}

enum kt_kind together_permit_back(struct request *req, const struct run *run, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < run->mates.n && kind == KT_OK; i++) {
        const char *name = run_mate_name(run, i);
        if (name[0] != '\0')
            kind = permit(req, "rotate", name, err);
    }
    return kind;
}

/* ---- writing ---- */

static bool names_has(const char *text, const char *name)
{
    struct kt_bytes one;
    while (settings_name(&text, &one))
        if (kt_bytes_is(one, name))
            return true;
    return false;
}

static enum kt_kind refuse(struct kt_err *err, const char *name, const char *why)
{
    (void)kt_fail(err, KT_INVALID, "together: '%s' %s", name, why);
    kt_hint(err, "see how it stands: secretctl schedule show %s", name);
    return KT_INVALID;
}

static enum kt_kind check_member(struct request *req, const struct rotation_secret *first,
                                 const struct rotation_secret *member, struct kt_err *err)
{
    if (memcmp(member->id, first->id, RUN_ID) == 0)
        return refuse(err, member->name, "rotates with itself anyway");
    if (!settings_has_target(&member->settings))
        return refuse(err, member->name, "has no target: its run is over in the commit that makes it");
    if (member->settings.together[0] != '\0' || (member->led_by[0] != '\0' && strcmp(member->led_by, first->name) != 0))
        return refuse(err, member->name, "rotates together with others already");
    return permit(req, "secrets", member->name, err);
}

static enum kt_kind check_apart(const struct rotation_secret *one, const struct rotation_secret *other,
                                struct kt_err *err)
{
    if (memcmp(one->id, other->id, RUN_ID) == 0)
        return refuse(err, one->name, "is named twice");
    if (strcmp(one->settings.target, other->settings.target) == 0 &&
        strcmp(run_lock_name(&one->settings), run_lock_name(&other->settings)) == 0)
        return refuse(err, one->name, "has the account group of another of them: never both at once");
    return KT_OK;
}

static enum kt_kind let_go(struct request *req, const char *name, struct kt_err *err)
{
    struct rotation_secret member;
    enum kt_kind kind = secret_load(req, name, &member, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    member.led_by = "";
    return secret_save(req, &member, err);
}

/* The last of n members, which has its word for who leads it unless it has that already. */
static enum kt_kind join(struct request *req, const struct rotation_secret *first, struct rotation_secret *members,
                         size_t n, const char *name, struct kt_err *err)
{
    struct rotation_secret *member = &members[n - 1];
    enum kt_kind kind = secret_load(req, name, member, err);
    if (kind == KT_NOT_FOUND)
        return member->mount == NULL ? KT_INVALID : refuse(err, name, "has no rotation");
    if (kind == KT_OK)
        kind = check_member(req, first, member, err);
    if (kind == KT_OK)
        kind = check_apart(member, first, err);
    for (size_t i = 0; i + 1 < n && kind == KT_OK; i++)
        kind = check_apart(member, &members[i], err);
    if (kind != KT_OK || member->led_by[0] != '\0')
        return kind;
    kind = people_want(req, &member->settings, err); /* from now on others start it, too */
    if (kind != KT_OK)
        return kind;
    member->led_by = first->name;
    return secret_save(req, member, err);
}

static enum kt_kind check_first(const struct rotation_secret *secret, struct kt_err *err)
{
    bool many = secret->settings.together[0] != '\0', led = secret->led_by[0] != '\0';
    struct kt_bytes name;
    size_t n = 0;
    for (const char *at = secret->settings.together; settings_name(&at, &name); n++)
        if (name.len > TOGETHER_NAME_MAX)
            return kt_fail(err, KT_INVALID, "together: a name is longer than %u bytes", TOGETHER_NAME_MAX);
    if (n >= TOGETHER_MAX)
        return kt_fail(err, KT_INVALID, "together: %u secrets at most, this one included", TOGETHER_MAX);
    if (many && strlen(secret->name) > TOGETHER_NAME_MAX)
        return kt_fail(err, KT_INVALID, "together: its own name is longer than %u bytes", TOGETHER_NAME_MAX);
    if (many && led) {
        (void)kt_fail(err, KT_INVALID, "together: it rotates together with '%s' already", secret->led_by);
        kt_hint(err, "name the others there: secretctl schedule set %s together=...", secret->led_by);
        return KT_INVALID;
    }
    if ((many || led) && !settings_has_target(&secret->settings))
        return refuse(err, secret->name, "has no target: its run is over in the commit that makes it");
    return KT_OK;
}

enum kt_kind together_move(struct request *req, const struct rotation_settings *before,
                           const struct rotation_secret *secret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    struct rotation_secret *members = kt_arena_take(&req->arena, TOGETHER_MAX * sizeof *members);
    size_t n = 0;
    enum kt_kind kind =
        members == NULL ? kt_fail(err, KT_NO_MEMORY, "writing who rotates together") : check_first(secret, err);
    if (kind != KT_OK || strcmp(before->together, secret->settings.together) == 0)
        return kind;
    kind = names_of(req, before->together, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        if (!names_has(secret->settings.together, names[i]))
            kind = let_go(req, names[i], err);
    if (kind == KT_OK)
        kind = names_of(req, secret->settings.together, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        members[i] = (struct rotation_secret){.name = names[i]};
        kind = join(req, secret, members, i + 1, names[i], err);
    }
    return kind;
}

/* ---- starting ---- */

struct beginning {
    struct rotation_secret secret;
    unsigned char id[RUN_ID];
    const char *text; /* "ID NAME": what the others keep of it */
};

static enum kt_kind mates_of(struct request *req, const struct beginning *starts, size_t n, size_t self,
                             struct record_list *ret, struct kt_err *err)
{
    const char **at = kt_arena_take(&req->arena, n * sizeof *at);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting rotations together");
    *ret = (struct record_list){.at = at};
    for (size_t i = 0; i < n; i++)
        if (i != self)
            at[ret->n++] = starts[i].text;
    return KT_OK;
}

static enum kt_kind begin(struct request *req, const char *name, struct beginning *ret, struct kt_err *err)
{
    char text[RUN_ID_TEXT];
    enum kt_kind kind = name == NULL ? KT_OK : secret_load(req, name, &ret->secret, err);
    if (kind == KT_NOT_FOUND)
        return refuse(err, name, "has no rotation any more");
    if (kind != KT_OK)
        return kind;
    run_id_make(req->now_ms, ret->id);
    run_id_text(ret->id, text);
    ret->text = kt_arena_printf(&req->arena, "%s %s", text, ret->secret.name);
    return ret->text == NULL ? kt_fail(err, KT_NO_MEMORY, "starting rotations together") : KT_OK;
}

static enum kt_kind start_all(struct request *req, struct beginning *starts, size_t n, const struct run_wish *wish,
                              struct run *ret, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        struct run_wish own = *wish;
        for (size_t before = 0; before < i && kind == KT_OK; before++)
            kind = check_apart(&starts[i].secret, &starts[before].secret, err);
        if (kind != KT_OK)
            return kind;
        own.id = starts[i].id;
        kind = mates_of(req, starts, n, i, &own.mates, err);
        if (kind == KT_OK)
            kind = run_start(req, &starts[i].secret, &own, &ret[i], err);
        if (kind == KT_INVALID && i > 0)
            kt_context(err, "'%s', which rotates together with '%s'", starts[i].secret.name, starts[0].secret.name);
    }
    return kind;
}

enum kt_kind together_start(struct request *req, struct rotation_secret *secret, const struct run_wish *wish,
                            struct run **ret, size_t *ret_n, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    size_t n = 0;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    if (kind != KT_OK)
        return kind;
    *ret_n = n + 1;
    *ret = kt_arena_take(&req->arena, (n + 1) * sizeof **ret);
    if (*ret != NULL && n == 0)
        return run_start(req, secret, wish, *ret, err);
    struct beginning *starts = kt_arena_take(&req->arena, (n + 1) * sizeof *starts);
    if (*ret == NULL || starts == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting rotations together");
    starts[0].secret = *secret;
    for (size_t i = 0; i <= n && kind == KT_OK; i++)
        kind = begin(req, i == 0 ? NULL : names[i - 1], &starts[i], err);
    if (kind == KT_OK)
        kind = start_all(req, starts, n + 1, wish, *ret, err);
    if (kind == KT_OK)
        *secret = starts[0].secret;
    return kind;
}

/* ---- under way ---- */

struct others {
    struct run *runs;
    struct mate mates[TOGETHER_MAX];
    size_t n;
};

static enum kt_kind load_others(const struct work *w, struct others *ret, struct kt_err *err)
{
    const struct record_list *list = &w->run.mates;
    enum kt_kind kind = KT_OK;
    *ret = (struct others){.n = list->n < TOGETHER_MAX ? list->n : TOGETHER_MAX};
    ret->runs = kt_arena_take(&w->req->arena, ret->n * sizeof *ret->runs);
    if (ret->runs == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at who rotates together");
    for (size_t i = 0; i < ret->n && kind == KT_OK; i++) {
        unsigned char id[RUN_ID];
        char text[RUN_ID_TEXT] = "";
        memcpy(text, list->at[i], strnlen(list->at[i], sizeof text - 1));
        if (!run_id_parse(text, id))
            return kt_fail(err, KT_CORRUPT, "a run that rotates together with another has no id");
        kind = run_load(w->req, id, &ret->runs[i], err);
        ret->mates[i] = (struct mate){.machine = &ret->runs[i].machine,
                                        .ready = ret->runs[i].ready,
                                        .asked = ret->runs[i].cancel};
    }
    return kind;
}

enum kt_kind together_back(struct work *w, const char **ret_why, struct kt_err *err)
{
    struct others others;
    size_t who = 0;
    *ret_why = NULL;
    if (w->run.mates.n == 0 || w->run.cancel || !machine_can_go_back(&w->run.machine))
        return KT_OK;
    if (w->run.machine.state == RUN_FROZEN) /* a person's matter: it follows when it was thawed */
        return KT_OK;
    enum kt_kind kind = load_others(w, &others, err);
    if (kind != KT_OK || together_judge(others.mates, others.n, &who) != TOGETHER_BACK)
        return kind;
    const struct run *other = &others.runs[who];
    w->run.back_with = (uint32_t)who + 1;
    w->run.window_closed = other->window_closed;
    *ret_why = kt_arena_printf(&w->req->arena, "%.300s, which rotates together with it, went back: %.500s", other->name,
                               other->because[0] == '\0' ? other->cancel_why : other->because);
    if (*ret_why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "going back together");
    w->run.cancel = other->cancel;
    w->run.cancel_why = other->cancel ? *ret_why : "";
    return KT_OK;
}

static enum kt_kind note(struct work *w, struct run *run, struct kt_err *err)
{
    return step_add(w->req, run,
                    (struct run_step){.kind = STEP_NOTE, .name = STEP_NAME_TOGETHER, .ok = true,
                                      .text = "all that rotate together have come so far: from here on none goes back"},
                    err);
}

static bool over(const struct run *run)
{
    return run->machine.bound || run->machine.past || run_state_ended(run->machine.state);
}

/* Nobody waits for its consumers any more. */
static bool is_decided(const struct run *run)
{
    const struct machine *m = &run->machine;
    return m->bound || machine_ends_old(m) || run_state_ended(m->state);
}

static bool acked(const void *arg, const struct consumer *consumer)
{
    return consumer_acked(arg, consumer);
}

/* Its own last look may be older than what a consumer said since. Those of all together may be more than a request has
 * room for, and then none would ever be bound: nothing of them is kept. */
static enum kt_kind look_at_consumers(struct work *w, const struct run *run, bool *ret_well, struct kt_err *err)
{
    enum kt_kind kind = consumers_fit(w->req, run->secret_id, acked, run, ret_well, err);
    if (kind == KT_OK)
        consumers_require(w->req, run->secret_id, w->req->batch);
    return kind;
}

/* NULL in *ret_who: all are. What they say while this is on its way has it tried again. */
static enum kt_kind who_is_unwell(struct work *w, const struct others *others, const struct run **ret_who,
                                  struct kt_err *err)
{
    bool well = true;
    enum kt_kind kind = KT_OK;
    *ret_who = NULL;
    if (request_batch(w->req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "binding rotations");
    consumers_require(w->req, w->run.secret_id, w->req->batch); /* its own are well: it would not be here else */
    for (size_t i = 0; i < others->n && kind == KT_OK && well; i++) {
        if (is_decided(&others->runs[i]))
            continue;
        kind = look_at_consumers(w, &others->runs[i], &well, err);
        if (!well)
            *ret_who = &others->runs[i];
    }
    return kind;
}

/* Each is put on condition that it is as it was read: one that went back meanwhile has this tried again. */
static enum kt_kind bind_all(struct work *w, struct others *others, struct kt_err *err)
{
    w->run.machine.bound = true;
    enum kt_kind kind = note(w, &w->run, err);
    for (size_t i = 0; i < others->n && kind == KT_OK; i++) {
        struct run *run = &others->runs[i];
        if (over(run))
            continue;
        run->machine.bound = true;
        kind = note(w, run, err);
        if (kind == KT_OK)
            kind = run_save(w->req, run, err);
    }
    return kind == KT_OK ? run_save(w->req, &w->run, err) : kind;
}

enum kt_kind together_hold(struct pass *p, struct work *w, bool *ret_held, struct kt_err *err)
{
    struct others others;
    struct run *run = &w->run;
    size_t who = 0;
    *ret_held = run->mates.n > 0 && !machine_only_ahead(&run->machine);
    if (!*ret_held)
        return KT_OK;
    enum kt_kind kind = load_others(w, &others, err);
    if (kind != KT_OK)
        return kind;
    const struct run *unwell = NULL;
    switch (together_judge(others.mates, others.n, &who)) {
    case TOGETHER_GO:
        kind = who_is_unwell(w, &others, &unwell, err);
        if (kind == KT_OK && unwell == NULL)
            kind = bind_all(w, &others, err);
        p->moved = kind == KT_OK && unwell == NULL;
        if (unwell != NULL)
            pass_wait(p, 0, "the consumers of %.150s, of which one said that it is not well", unwell->name);
        return kind;
    case TOGETHER_BACK: /* the next look goes back */
    case TOGETHER_WAIT:
        break;
    }
    pass_wait(p, 0, "%.150s, which rotates together with it, to come as far (it is %s)", others.runs[who].name,
              run_state_text(others.runs[who].machine.state));
    if (run->ready)
        return KT_OK;
    run->ready = true;
    p->moved = true;
    return run_save(w->req, run, err);
}

/* ---- for people ---- */

void together_show(const struct run *run, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "together");
    kt_jsonw_array(w);
    for (size_t i = 0; i < run->mates.n; i++) {
        const char *name = run_mate_name(run, i);
        if (name[0] == '\0')
            continue;
        kt_jsonw_object(w);
        kt_jsonw_key(w, "run");
        kt_jsonw_bytes(w, kt_bytes(run->mates.at[i], (size_t)(name - 1 - run->mates.at[i])));
        kt_jsonw_kv_text(w, "secret", name);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}
