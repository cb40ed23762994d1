/* Whatever was answered is in the log, once, whatever became of the vault; and the log only grows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/actors.h"
#include "vaultd/audit/own.h"

#define PROMISES 4096u
#define NOTES    64u
#define MS       INT64_C(1000000)

struct promise {
    char id[37];
    bool effect, found;
    unsigned life;
};
struct signed_state {
    uint64_t size;
    unsigned char root[KT_HASH_BYTES];
};

struct audit_model {
    struct promise promises[PROMISES];
    unsigned n;
    uint64_t read_upto;               /* records before were looked at, and were synced then */
    struct signed_state notes[NOTES]; /* checkpoints that were handed out */
    unsigned n_notes;
    bool power_lost;
};

void audit_begin(struct world *world)
{
    world->audit = calloc(1, sizeof *world->audit);
}

void audit_end(struct world *world)
{
    free(world->audit);
}

void audit_crashed(struct world *world)
{
    world->audit->power_lost |= world->died_of_power;
}

void audit_note_answer(struct world *world, const struct ask *ask)
{
    struct audit_model *model = world->audit;
    if (ask->unknown || ask->status < 200 || ask->status >= 300)
        return;
    if (model->n == PROMISES)
        sim_fail("more than %u answers in a life", PROMISES);
    struct promise *promise = &model->promises[model->n++];
    *promise = (struct promise){.effect = ask->effect, .life = world->life};
    memcpy(promise->id, ask->id, sizeof promise->id);
}

/* ---- reading the log ---- */

static bool request_id(const char *line, char out[37])
{
    const char *at = strstr(line, "\"request\":{\"id\":\"");
    if (at == NULL)
        return false;
    memcpy(out, at + strlen("\"request\":{\"id\":\""), 36);
    out[36] = '\0';
    return true;
}

static void look_at(struct audit_model *model, const char *line)
{
    char id[37];
    if (strstr(line, "\"type\":\"response\"") == NULL || !request_id(line, id))
        return;
    bool outcome = strstr(line, ",\"generation\":") != NULL;
    for (unsigned i = 0; i < model->n; i++) {
        struct promise *promise = &model->promises[i];
        if (strcmp(promise->id, id) != 0)
            continue;
        if (promise->found)
            sim_fail("request %s is in the audit log twice: %s", id, line);
        if (promise->effect && !outcome)
            sim_fail("request %s had an effect, and its record is no outcome: %s", id, line);
        promise->found = true;
        return;
    }
}

static void read_records(struct world *world, uint64_t size)
{
    struct audit_model *model = world->audit;
    struct kt_err err = {0};
    uint64_t at = model->read_upto;
    for (unsigned i = 0; i < model->n; i++)
        model->promises[i].found = false;
    while (at < size) {
        struct kt_buf lines;
        uint64_t next = 0;
        kt_buf_init(&lines, (size_t)8 << 20);
        if (audit_export(world->core->audit, at, size, (size_t)4 << 20, &lines, &next, &err) !=
            KT_OK)
            sim_fail("the audit log is not read: %s", err.what);
        char *line = NULL, *rest = NULL;
        kt_buf_add_char(&lines, '\0');
        for (line = strtok_r((char *)lines.at, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest))
            look_at(model, line);
        kt_buf_free(&lines);
        at = next;
    }
}

static void all_found(struct world *world)
{
    struct audit_model *model = world->audit;
    for (unsigned i = 0; i < model->n; i++) {
        const struct promise *promise = &model->promises[i];
        if (!promise->found && (promise->effect || !model->power_lost))
            sim_fail("request %s of life %u was answered (%s), and is not in the audit log",
                     promise->id, promise->life,
                     promise->effect ? "with an effect" : "without an effect");
    }
    model->n = 0;
    model->power_lost = false;
}

/* ---- checkpoints ---- */

static void same_tree(struct world *world)
{
    struct audit_model *model = world->audit;
    struct kt_err err = {0};
    for (unsigned i = 0; i < model->n_notes; i++) {
        unsigned char root[KT_HASH_BYTES];
        if (audit_log_root(world->core->audit->log, model->notes[i].size, root, &err) != KT_OK)
            sim_fail("the audit log has no root at %ju, where a checkpoint was signed: %s",
                     (uintmax_t)model->notes[i].size, err.what);
        if (memcmp(root, model->notes[i].root, sizeof root) != 0)
            sim_fail("the audit log's first %ju records are not those of a checkpoint that was "
                     "handed out",
                     (uintmax_t)model->notes[i].size);
    }
}

static void take_note(struct world *world)
{
    struct audit_model *model = world->audit;
    struct kt_buf note;
    struct kt_checkpoint checkpoint;
    struct kt_err err = {0};
    kt_buf_init(&note, KT_CHECKPOINT_NOTE_MAX);
    if (!barrier_enter(world->core->barrier)) {
        kt_buf_free(&note);
        return;
    }
    struct audit *audit = world->core->audit;
    enum kt_kind kind = sim_chance(300) ? audit_checkpoint(audit, &note, &err)
                                        : audit_last_checkpoint(audit, &note, &err);
    if (kind == KT_OK)
        kind = kt_checkpoint_open(kt_buf_bytes(&note), &audit->note_key, &checkpoint, &err);
    barrier_leave(world->core->barrier);
    if (kind != KT_OK && !world->dead)
        sim_fail("a checkpoint: %s", err.what);
    if (kind == KT_OK && !world->dead) {
        unsigned at = model->n_notes < NOTES ? model->n_notes++ : sim_below(NOTES);
        model->notes[at].size = checkpoint.size;
        memcpy(model->notes[at].root, checkpoint.root, KT_HASH_BYTES);
        world_say(world, "checkpoint of %ju records", (uintmax_t)checkpoint.size);
    }
    kt_buf_free(&note);
}

void audit_check(struct world *world)
{
    struct audit_synced synced;
    uint64_t size = audit_log_size(world->core->audit->log);
    audit_log_synced(world->core->audit->log, &synced);
    same_tree(world);
    read_records(world, size);
    /* What was read may be of a life that is over by now: then it is read again in the next. */
    if (world->dead)
        return;
    all_found(world);
    world->audit->read_upto = synced.size;
}

void audit_run(struct world *world, unsigned number)
{
    (void)number;
    while (!world->dead && !world->leaving) {
        sched_sleep_ns((int64_t)(1 + sim_below(4000)) * MS);
        if (!world->dead && !world->leaving)
            take_note(world);
    }
}
