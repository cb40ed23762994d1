#include "vaultd/rotation/order.h"

#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/together.h"

/* ---- who goes before a secret ---- */

struct names {
    const char *at[ORDER_NAMES_MAX + 2u];
    size_t n;
};

static enum kt_kind add_name(struct request *req, struct names *names, struct kt_bytes name, struct kt_err *err)
{
    if (name.len == 0 || names->n == sizeof names->at / sizeof names->at[0])
        return KT_OK;
    const char *text = kt_arena_text(&req->arena, name);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading what goes before a secret");
    names->at[names->n++] = text;
    return KT_OK;
}

/* A list of what is revoked waits for no issuer: whoever checks it is to know at once, and the issuer's new
 * version has it made again. */
static enum kt_kind names_before(struct request *req, const struct rotation_settings *s, struct names *ret,
                                 struct kt_err *err)
{
    *ret = (struct names){.n = 0};
    enum kt_kind kind = KT_OK;
    struct kt_bytes name;
    for (const char *at = s->after; kind == KT_OK && settings_name(&at, &name);)
        kind = add_name(req, ret, name, err);
    return kind == KT_OK && !revoked_is_list(s) ? add_name(req, ret, kt_str(s->gen_issuer), err) : kind;
}

/* And the administrative login of its target, unless it is that itself. */
static enum kt_kind all_before(struct request *req, const struct rotation_secret *secret, struct names *ret,
                               struct kt_err *err)
{
    struct rotation_target target;
    enum kt_kind kind = names_before(req, &secret->settings, ret, err);
    if (kind != KT_OK || !settings_has_target(&secret->settings))
        return kind;
    kind = target_load(req, secret->settings.target, &target, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK || target_admin_is(req, &target, secret->id))
        return kind;
    return add_name(req, ret, kt_str(target.admin_secret), err);
}

/* ---- circles ---- */

struct node {
    const char *name;
    unsigned char id[RUN_ID];
    size_t from; /* whom it goes before */
};

struct walk {
    struct request *req;
    const char *target; /* of which the first is to be the administrative login; NULL: none */
    struct node nodes[ORDER_WALK_MAX + 1u]; /* the first is the secret that is written */
    size_t n;
};

static enum kt_kind refuse_circle(const struct walk *walk, size_t last, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 65536);
    kt_buf_add_text(&text, walk->nodes[0].name);
    size_t way[ORDER_WALK_MAX + 1u], n = 0;
    for (size_t at = last; at != 0; at = walk->nodes[at].from)
        way[n++] = at;
    while (n > 0)
        kt_buf_printf(&text, " after %s", walk->nodes[way[--n]].name);
    if (!kt_buf_ok(&text))
        return kt_fail(err, KT_NO_MEMORY, "naming who is in a circle");
    (void)kt_fail(err, KT_INVALID, "a circle, none of them could go first: %s after %s", kt_buf_text(&text),
                  walk->nodes[0].name);
    kt_hint(err, "leave one of them out of the other's after=, which may be empty");
    return KT_INVALID;
}

static bool is_known(const struct walk *walk, const unsigned char id[RUN_ID])
{
    for (size_t i = 0; i < walk->n; i++)
        if (memcmp(walk->nodes[i].id, id, RUN_ID) == 0)
            return true;
    return false;
}

static enum kt_kind require_same(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char key[BARRIER_NAME_KEY];
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a circle");
    secret_key(req->core, secret->mount->scope, secret->path, key);
    batch_require(batch, secret->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  secret->changed);
    return KT_OK;
}

static enum kt_kind add_node(struct walk *walk, size_t from, const char *name, struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    struct node node = {.name = name, .from = from};
    if (secret_place(walk->req, name, &mount, &path, NULL) != KT_OK)
        return KT_OK; /* its mount is gone: nothing is waited for there */
    secret_id(walk->req->core, mount->scope, path, node.id);
    if (memcmp(node.id, walk->nodes[0].id, RUN_ID) == 0)
        return refuse_circle(walk, from, err);
    if (is_known(walk, node.id))
        return KT_OK;
    if (walk->n == sizeof walk->nodes / sizeof walk->nodes[0])
        return kt_fail(err, KT_INVALID, "more than %u secrets would go before '%s'", ORDER_WALK_MAX,
                       walk->nodes[0].name);
    walk->nodes[walk->n++] = node;
    return KT_OK;
}

static enum kt_kind add_nodes(struct walk *walk, size_t from, const struct rotation_secret *secret,
                              struct kt_err *err)
{
    struct names names;
    enum kt_kind kind = all_before(walk->req, secret, &names, err);
    for (size_t i = 0; i < names.n && kind == KT_OK; i++)
        kind = add_node(walk, from, names.at[i], err);
    return kind;
}

/* What `after` names has to be there when it is written; who removes it later leaves nobody waiting. */
static enum kt_kind check_rotated(struct request *req, const struct rotation_settings *s, struct kt_err *err)
{
    struct rotation_settings only = *s;
    struct names names;
    only.gen_issuer = "";
    enum kt_kind kind = names_before(req, &only, &names, err);
    for (size_t i = 0; i < names.n && kind == KT_OK; i++) {
        struct rotation_secret before;
        kind = secret_load(req, names.at[i], &before, err);
        if (kind != KT_NOT_FOUND)
            continue;
        kind = KT_INVALID;
        if (before.mount == NULL) /* which it has said */
            return kind;
        (void)kt_fail(err, KT_INVALID, "after: '%s' has no rotation, so it would never be waited for", names.at[i]);
        kt_hint(err, "say how it is rotated first: secretctl schedule set %s --help", names.at[i]);
    }
    return kind;
}

/* What the first is the login of waits for it: so it may wait for nothing there. */
static enum kt_kind check_not_there(const struct walk *walk, const struct rotation_secret *before, struct kt_err *err)
{
    if (walk->target == NULL || strcmp(before->settings.target, walk->target) != 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "a circle: '%s' goes after '%s', which is rotated at target '%s' and so goes after "
                                   "its administrative login", walk->nodes[0].name, before->name, walk->target);
    kt_hint(err, "leave that out of the other's after=: secretctl schedule show %s", walk->nodes[0].name);
    return KT_INVALID;
}

static enum kt_kind walk_all(struct request *req, const struct rotation_secret *secret, const char *target,
                             struct kt_err *err)
{
    struct walk *walk = kt_arena_take(&req->arena, sizeof *walk);
    if (walk == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a circle");
    *walk = (struct walk){.req = req, .target = target, .nodes = {{.name = secret->name}}, .n = 1};
    memcpy(walk->nodes[0].id, secret->id, RUN_ID);
    enum kt_kind kind = add_nodes(walk, 0, secret, err);
    for (size_t i = 1; i < walk->n && kind == KT_OK; i++) {
        struct rotation_secret before;
        kind = secret_load(req, walk->nodes[i].name, &before, err);
        bool rotated = kind == KT_OK;
        if (rotated || (kind == KT_NOT_FOUND && before.mount != NULL))
            kind = require_same(req, &before, err);
        if (kind == KT_OK && rotated)
            kind = check_not_there(walk, &before, err);
        if (kind == KT_OK && rotated)
            kind = add_nodes(walk, i, &before, err);
    }
    return kind;
}

enum kt_kind order_check(struct request *req, const struct rotation_settings *before,
                         const struct rotation_secret *secret, struct kt_err *err)
{
    bool changed = strcmp(before->after, secret->settings.after) != 0;
    enum kt_kind kind = changed ? check_rotated(req, &secret->settings, err) : KT_OK;
    return kind == KT_OK ? walk_all(req, secret, NULL, err) : kind;
}

enum kt_kind order_check_target(struct request *req, const struct rotation_secret *admin, const char *target,
                                struct kt_err *err)
{
    enum kt_kind kind = require_same(req, admin, err);
    return kind == KT_OK ? walk_all(req, admin, target, err) : kind;
}

/* ---- waiting ---- */

static enum kt_kind say(struct request *req, struct order_wait *ret, const char *name, const char *text,
                        struct kt_err *err)
{
    ret->text = kt_arena_printf(&req->arena, "%s, which is rotated first: %s", name, text);
    return ret->text == NULL ? kt_fail(err, KT_NO_MEMORY, "looking what goes before a secret") : KT_OK;
}

/* A run that waits for a person may do so for long. */
static enum kt_kind look_at_run(struct request *req, const struct rotation_secret *before, bool late,
                                struct order_wait *ret, struct kt_err *err)
{
    struct run run;
    char id[RUN_ID_TEXT];
    run_id_text(before->run, id);
    enum kt_kind kind = run_load(req, before->run, &run, err);
    if (kind != KT_OK)
        return kind;
    bool frozen = run.machine.state == RUN_FROZEN;
    ret->waits = !frozen && !late;
    const char *text = kt_arena_printf(&req->arena, "its run %s is %s", id, run_state_text(run.machine.state));
    return say(req, ret, before->name, text == NULL ? "" : text, err);
}

/* Its time has come, be it that jitter, a window or a place at its target keeps it yet. */
static bool is_due(const struct rotation_secret *before, int64_t now_ms)
{
    return before->due && (before->due_ms <= now_ms || (before->failures == 0 && before->fire_ms <= now_ms));
}

static enum kt_kind look_at(struct request *req, const char *name, bool late, struct order_wait *ret,
                            struct kt_err *err)
{
    struct rotation_secret before;
    enum kt_kind kind = secret_load(req, name, &before, err);
    if (kind == KT_NOT_FOUND) {
        if (err != NULL)
            *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    memcpy(ret->id, before.id, RUN_ID);
    if (before.active)
        return look_at_run(req, &before, late, ret, err);
    bool due = is_due(&before, req->now_ms);
    ret->waits = due && !late;
    if (due)
        return say(req, ret, name, "it is due, too", err);
    return before.failures > 0 ? say(req, ret, name, "its last run did not end well", err) : KT_OK;
}

/* All start at once: so while one has a run of its own (a drill), none does. */
static enum kt_kind look_at_mates(struct request *req, const struct rotation_secret *secret, bool late,
                                  struct order_wait *ret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    size_t n = 0;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK && !ret->waits; i++) {
        struct rotation_secret mate;
        kind = secret_load(req, names[i], &mate, err);
        if (kind != KT_OK || !mate.active || late)
            continue;
        memcpy(ret->id, mate.id, RUN_ID);
        ret->waits = true;
        ret->text = kt_arena_printf(&req->arena, "%s, which rotates together with it and has a run under way", names[i]);
        if (ret->text == NULL)
            kind = kt_fail(err, KT_NO_MEMORY, "looking who rotates together");
    }
    return kind;
}

enum kt_kind order_look(struct request *req, const struct rotation_secret *secret, struct order_wait *ret,
                        struct kt_err *err)
{
    struct names names;
    bool late = secret->due && secret->due_ms + ORDER_MOST_MS <= req->now_ms;
    *ret = (struct order_wait){.text = ""};
    enum kt_kind kind = all_before(req, secret, &names, err);
    for (size_t i = 0; i < names.n && kind == KT_OK && !ret->waits; i++)
        kind = look_at(req, names.at[i], late, ret, err);
    if (kind == KT_OK && !ret->waits)
        kind = look_at_mates(req, secret, late, ret, err);
    return kind;
}
