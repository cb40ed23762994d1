#include "vaultd/rotation/inventory.h"

#include "vaultd/core/rows.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/each.h"
#include "vaultd/rotation/key_age.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/truth.h"
#include "vaultd/rotation/veto.h"

#define PAGE_DEFAULT   100
#define PAGE_MAX       1000
#define PAGE_BYTES     ((size_t)1024 * 1024) /* then a page ends */
#define PAGE_ARENA     ((size_t)16 * 1024 * 1024)
#define RUNS_LOOKED    5u
#define CONSUMERS_MOST 50u /* named; the rest is a number */
#define GRACE_MS       ((int64_t)300 * 1000)

/* ---- which secrets: the next ones of the store behind the last page ---- */

struct page {
    struct request *req;
    struct secrets_part part;
    const char *names[PAGE_MAX + 1];
    size_t n, most; /* most + 1 are looked for: the last says that there are more */
};

static enum kt_kind take_name(void *arg, const struct rotation_secret *secret, struct kt_err *err)
{
    struct page *page = arg;
    const char *name = kt_arena_text(&page->req->arena, kt_str(secret->name));
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    page->names[page->n++] = name;
    page->part.enough = page->n > page->most;
    return KT_OK;
}

/* ---- one of them ---- */

static bool ended_back(const struct run *run)
{
    return run->machine.state == RUN_ROLLED_BACK ||
           (run->machine.state == RUN_DONE && run->trigger == TRIGGER_BACK);
}

static enum kt_kind look_at_runs(struct request *req, struct inventory *it, struct kt_err *err)
{
    unsigned char prefix[1 + RUN_ID];
    prefix[0] = TABLE_RUN_OF;
    memcpy(prefix + 1, it->secret.id, RUN_ID);
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "looking at runs");
    while (kind == KT_OK && it->runs < RUNS_LOOKED && rows_next(&rows)) {
        unsigned char id[RUN_ID];
        run_id_of_key(rows.entry.key, id);
        kind = run_load(req, id, run, err);
        it->runs++;
        it->went_back = it->went_back || (kind == KT_OK && ended_back(run));
    }
    return rows_end(&rows, kind, err);
}

static enum kt_kind plan_times(struct request *req, const struct rotation_classes *classes,
                               struct inventory *it, struct kt_err *err)
{
    struct kt_err why = {0};
    it->max_age = classes_age(classes, &it->secret.settings);
    enum kt_kind kind = when_load(req, &it->secret.settings, NULL, &it->when, &why);
    if (kind != KT_OK && kind != KT_INVALID && kind != KT_NOT_FOUND && kind != KT_CORRUPT)
        return kt_fail(err, kind, "%s", why.what);
    if (kind != KT_OK || !it->secret.due)
        return KT_OK;
    it->next_ms[0] = it->secret.due_ms;
    struct kt_due due;
    if (due_second(req, &it->secret, it->when.schedule, &due))
        it->next_ms[1] = due.due_ms;
    return KT_OK;
}

static enum kt_kind load_target(struct request *req, struct inventory *it, struct kt_err *err)
{
    it->target = (struct rotation_target){.name = "", .driver = "", .host = "", .database = "",
                                          .server_id = ""};
    if (!settings_has_target(&it->secret.settings))
        return KT_OK;
    enum kt_kind kind = target_load(req, it->secret.settings.target, &it->target, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind load(struct request *req, const char *name, const struct rotation_classes *classes,
                         struct inventory *it, struct kt_err *err)
{
    struct kv_secret *kv = NULL;
    enum kt_kind kind = secret_load(req, name, &it->secret, err);
    if (kind == KT_OK)
        kind = kv_load(req->core, it->secret.mount, req->snapshot, &req->arena, it->secret.path, &kv,
                       err);
    it->version = kind == KT_OK ? kv->current : 0;
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = load_target(req, it, err);
    if (kind == KT_OK)
        kind = strategy_instead_at(req, &it->secret.settings, &it->target, &it->instead, err);
    if (kind == KT_OK)
        kind = overdue_judge(req, &it->secret, classes, GRACE_MS, &it->overdue, err);
    if (kind == KT_OK)
        kind = plan_times(req, classes, it, err);
    if (kind == KT_OK)
        kind = consumers_load(req, it->secret.id, NULL, &it->consumers, &it->n_consumers, err);
    return kind == KT_OK ? look_at_runs(req, it, err) : kind;
}

/* ---- showing it ---- */

static void show_target(const struct rotation_target *target, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "system");
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "driver", target->driver);
    kt_jsonw_kv_text(w, "host", target->host);
    kt_jsonw_kv_int(w, "port", target->port);
    target_nodes_show(target, w);
    kt_jsonw_kv_text(w, "database", target->database);
    kt_jsonw_kv_int(w, "max_runs", target->max_runs);
    kt_jsonw_kv_int(w, "starts_per_minute", target->starts_per_minute);
    kt_jsonw_kv_bool(w, "reached", target->server_id[0] != '\0');
    kt_jsonw_end(w);
}

static void show_times(const struct inventory *it, int64_t now_ms, struct kt_jsonw *w)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    if (it->when.schedule != NULL)
        kt_schedule_describe(it->when.schedule, &text);
    const struct rotation_secret *secret = &it->secret;
    kt_jsonw_kv_text(w, "cadence", kt_buf_text(&text));
    kt_jsonw_key(w, "next");
    kt_jsonw_array(w);
    for (size_t i = 0; i < 2 && it->next_ms[i] != 0; i++)
        kt_jsonw_time(w, it->next_ms[i]);
    kt_jsonw_end(w);
    kt_jsonw_kv_text(w, "next_reason", secret->due ? kt_due_reason_text(secret->reason) : "");
    kt_jsonw_kv_int(w, "max_age_s", it->overdue.max_age_ms / 1000);
    kt_jsonw_kv_text(w, "max_age_from",
                     it->max_age[0] == '\0'                    ? ""
                     : secret->settings.max_age[0] != '\0' ? "secret"
                                                           : "class");
    kt_jsonw_kv_time(w, "last_done", secret->last_done_ms);
    kt_jsonw_kv_int(w, "age_s",
                    it->overdue.value_ms == 0 ? 0 : (now_ms - it->overdue.value_ms) / 1000);
}

static void show_state(const struct inventory *it, struct kt_jsonw *w)
{
    static const unsigned char none[RUN_ID];
    const struct rotation_secret *secret = &it->secret;
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    kt_jsonw_kv_int(w, "version", it->version);
    kt_jsonw_kv_text(w, "run", secret->active ? id : "");
    kt_jsonw_kv_text(w, "last_run", memcmp(secret->run, none, RUN_ID) == 0 ? "" : id);
    kt_jsonw_kv_text(w, "last_result",
                     secret->last_state == RUN_PLANNED ? "" : run_state_text(secret->last_state));
    kt_jsonw_kv_int(w, "failures", secret->failures);
    kt_jsonw_kv_text(w, "held", secret->held);
    kt_jsonw_kv_text(w, "overdue", overdue_reason_text(it->overdue.why));
    truth_show(secret, it->version, w);
    drill_show(secret, w);
    strategy_show_gap(secret, &it->instead, w);
}

static void show_consumers(const struct inventory *it, struct kt_jsonw *w)
{
    kt_jsonw_kv_int(w, "consumers_count", (int64_t)it->n_consumers);
    kt_jsonw_key(w, "consumers");
    kt_jsonw_array(w);
    for (size_t i = 0; i < it->n_consumers && i < CONSUMERS_MOST; i++) {
        const struct consumer *consumer = &it->consumers[i];
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "service", consumer->service);
        kt_jsonw_kv_text(w, "host", consumer->host);
        kt_jsonw_kv_int(w, "version", consumer->version);
        kt_jsonw_kv_text(w, "state", consumer_state_text(consumer->state));
        kt_jsonw_kv_text(w, "evidence", consumer->evidence);
        kt_jsonw_kv_bool(w, "quarantined", consumer->veto != NULL && consumer->veto->aside_ms != 0);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static enum kt_kind show(struct request *req, const struct inventory *it, const struct inventory_frame *frame,
                         struct kt_jsonw *w, struct kt_err *err)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", it->secret.name);
    kt_jsonw_kv_text(w, "mount", it->secret.mount->path);
    settings_show(&it->secret.settings, w);
    show_target(&it->target, w);
    show_times(it, req->now_ms, w);
    show_state(it, w);
    show_consumers(it, w);
    inventory_missing(req, it, w);
    inventory_unproven(req, it, w);
    enum kt_kind kind = inventory_people(req, it, frame, w, err);
    kt_jsonw_end(w);
    return kind;
}

static enum kt_kind show_one(struct request *req, const char *name, const struct inventory_frame *frame,
                             struct kt_jsonw *w, struct kt_err *err)
{
    struct inventory *it = kt_arena_take(&req->arena, sizeof *it);
    if (it == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning");
    it->paused = frame->paused;
    enum kt_kind kind = load(req, name, frame->classes, it, err);
    if (kind == KT_OK)
        kind = show(req, it, frame, w, err);
    when_free(&it->when);
    return kind;
}

/* Where secrets have many consumers a page has fewer, and no answer is too long. */
static bool is_full(const struct request *req)
{
    return req->reply.data.len > PAGE_BYTES || req->arena.taken > PAGE_ARENA;
}

static enum kt_kind show_page(struct page *page, const char *paused, struct kt_err *err)
{
    struct request *req = page->req;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    size_t n = page->n > page->most ? page->most : page->n;
    struct rotation_classes classes;
    struct approval_rules rules;
    struct key_ages keys;
    const struct inventory_frame frame = {paused, &classes, &rules};
    enum kt_kind kind = classes_load(req, &classes, err);
    if (kind == KT_OK)
        kind = approval_rules_load(req, &rules, err);
    if (kind == KT_OK)
        kind = key_ages_load(req, &keys, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_object(&w);
    kt_jsonw_kv_time(&w, "now", req->now_ms);
    kt_jsonw_kv_text(&w, "paused", paused);
    key_ages_show(req, &keys, &w);
    kt_jsonw_key(&w, "secrets");
    kt_jsonw_array(&w);
    size_t shown = 0;
    for (; shown < n && kind == KT_OK && (shown == 0 || !is_full(req)); shown++)
        kind = show_one(req, page->names[shown], &frame, &w, err);
    kt_jsonw_end(&w);
    kt_jsonw_kv_text(&w, "after", shown < page->n ? page->names[shown - 1] : "");
    kt_jsonw_end(&w);
    return kind;
}

enum kt_kind inventory_read(struct request *req, struct kt_err *err)
{
    struct page page = {.req = req, .part = {.after = "", .below = ""}};
    struct rotation_pause pause;
    int64_t limit = PAGE_DEFAULT;
    bool on = false;
    enum kt_kind kind = request_int(req, "limit", &limit, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_string(req, "after", &page.part.after, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_string(req, "prefix", &page.part.below, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (limit < 1 || limit > PAGE_MAX)
        return kt_fail(err, KT_INVALID, "limit must be from 1 to %d", PAGE_MAX);
    page.most = (size_t)limit;
    kind = pause_load(req, &pause, &on, err);
    if (kind == KT_OK)
        kind = secrets_each(req, &page.part, take_name, &page, err);
    if (kind != KT_OK || page.part.aside)
        return kind;
    const char *paused = pause_text(req, &pause, on);
    return paused == NULL ? kt_fail(err, KT_NO_MEMORY, "planning") : show_page(&page, paused, err);
}
