/* The log's thread: syncs, signs, makes segments, looks after devices. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/timespec.h"
#include "vaultd/audit/own.h"

enum kt_kind audit_sync_now(struct audit *audit, struct audit_synced *ret, struct kt_err *err)
{
    enum kt_kind kind = audit_log_sync(audit->log, ret, err);
    if (kind != KT_OK || ret->mark.generation < 2)
        return kind;
    /* More outcomes of the last fold may follow: only those before it are all there. */
    generation whole = ret->mark.generation - 1;
    (void)pthread_mutex_lock(&audit->lock);
    bool news = whole > audit->told;
    if (news)
        audit->told = whole;
    (void)pthread_mutex_unlock(&audit->lock);
    if (news)
        store_outcomes_synced(audit->store, whole);
    return KT_OK;
}

/* ---- checkpoints ---- */

static void committed(void *arg, const struct commit_result *result)
{
    struct audit *audit = KT_OBJECT(struct audit, arg, AUDIT_MAGIC);
    (void)pthread_mutex_lock(&audit->lock);
    audit->commits--;
    audit->commit_error = result->error;
    (void)pthread_cond_broadcast(&audit->changed);
    (void)pthread_mutex_unlock(&audit->lock);
}

static enum kt_kind send_to_store(struct audit *audit, struct kt_bytes note, struct kt_err *err)
{
    unsigned char key[sizeof AUDIT_CHECKPOINT_KEY] = {TABLE_CHECKPOINT};
    memcpy(key + 1, AUDIT_CHECKPOINT_KEY, sizeof key - 1);
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, KT_CHECKPOINT_NOTE_MAX + 16);
    kt_buf_add_u8(&value, AUDIT_CHECKPOINT_FORMAT);
    kt_buf_add_i64(&value, kt_wall_ms(audit->clock));
    kt_buf_add_bytes(&value, note);
    struct batch *batch = batch_new();
    if (batch == NULL || !kt_buf_ok(&value)) {
        batch_free(batch);
        return kt_fail(err, KT_NO_MEMORY, "storing a checkpoint");
    }
    batch_put(batch, kt_bytes(key, sizeof key), kt_buf_bytes(&value));
    batch_relief(batch); /* a full store may not keep the vault from sealing properly */
    (void)pthread_mutex_lock(&audit->lock);
    audit->commits++;
    (void)pthread_mutex_unlock(&audit->lock);
    store_commit(audit->store, batch, committed, audit);
    return KT_OK;
}

enum store_error audit_commits_wait(struct audit *audit)
{
    (void)pthread_mutex_lock(&audit->lock);
    while (audit->commits > 0)
        (void)pthread_cond_wait(&audit->changed, &audit->lock);
    enum store_error error = audit->commit_error;
    (void)pthread_mutex_unlock(&audit->lock);
    return error;
}

static enum kt_kind sign(struct audit *audit, const struct audit_synced *synced, struct kt_err *err)
{
    struct kt_checkpoint checkpoint = {.size = synced->size};
    memcpy(checkpoint.origin, audit->note_key.name, sizeof checkpoint.origin);
    memcpy(checkpoint.root, synced->root, sizeof checkpoint.root);
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, KT_CHECKPOINT_NOTE_MAX);
    enum kt_kind kind =
        kt_checkpoint_sign(&checkpoint, &audit->note_key, audit->sign_key->at, &note, err);
    if (kind == KT_OK)
        kind = audit_notes_add(&audit->notes, &checkpoint, kt_buf_bytes(&note), err);
    if (kind == KT_OK)
        kind = send_to_store(audit, kt_buf_bytes(&note), err);
    return kind;
}

enum kt_kind audit_checkpoint_now(struct audit *audit, struct kt_buf *out, struct kt_err *err)
{
    struct audit_synced synced;
    (void)pthread_mutex_lock(&audit->check_lock);
    enum kt_kind kind = audit_sync_now(audit, &synced, err);
    /* Under check_lock nobody else adds, so `last` may be read. */
    if (kind == KT_OK && !(audit->notes.any && audit->notes.last.size == synced.size))
        kind = sign(audit, &synced, err);
    if (kind == KT_OK && out != NULL)
        kind = audit_notes_newest(&audit->notes, out, err);
    (void)pthread_mutex_unlock(&audit->check_lock);
    return kind;
}

/* ---- the thread ---- */

void audit_keeper_wake(struct audit *audit)
{
    (void)pthread_mutex_lock(&audit->lock);
    if (!audit->woken) {
        audit->woken = true;
        (void)pthread_cond_broadcast(&audit->changed);
    }
    (void)pthread_mutex_unlock(&audit->lock);
}

/* Waits until that time or until somebody wants something. False: stop. */
static bool wait_until(struct audit *audit, int64_t due_ms)
{
    struct timespec due = kt_timespec_of_ms(due_ms);
    (void)pthread_mutex_lock(&audit->lock);
    int waited = 0;
    while (!audit->stop && !audit->woken && waited == 0)
        waited = pthread_cond_timedwait(&audit->changed, &audit->lock, &due);
    audit->woken = false;
    bool go_on = !audit->stop;
    (void)pthread_mutex_unlock(&audit->lock);
    return go_on;
}

/* Says a thing once, until it was well in between. */
struct said {
    bool failing;
};
static void say(struct said *said, const char *event, enum kt_kind kind, const struct kt_err *err)
{
    if (kind != KT_OK && !said->failing)
        kt_log_err(KT_LOG_ERROR, event, err);
    else if (kind == KT_OK && said->failing)
        kt_log(KT_LOG_NOTICE, "audit-log-recovered", "after=\"%s\"", event);
    said->failing = kind != KT_OK;
}

static void *keep(void *arg)
{
    struct audit *audit = KT_OBJECT(struct audit, arg, AUDIT_MAGIC);
    struct said sync_said = {false}, segment_said = {false}, checkpoint_said = {false};
    int64_t sync_due = kt_timespec_mono_ms() + audit->sync_ms,
            checkpoint_due = kt_timespec_mono_ms() + audit->checkpoint_ms;
    while (wait_until(audit, sync_due < checkpoint_due ? sync_due : checkpoint_due)) {
        struct kt_err err = {0};
        struct audit_synced synced;
        /* A request that needed it may have made the segment. */
        enum kt_kind segment = audit_log_wants_segment(audit->log)
                                   ? audit_log_prepare(audit->log, &err)
                                   : KT_OK;
        say(&segment_said, "audit-log-full", segment, &err);
        bool tick = kt_timespec_mono_ms() >= sync_due;
        if (audit->n_devices > 0)
            audit_devices_ask(audit->devices, tick ? DEVICE_FILL | DEVICE_LOOK : DEVICE_FILL);
        if (tick) {
            enum kt_kind kind = audit_sync_now(audit, &synced, &err);
            if (kind != KT_OK && !sync_said.failing && audit->broken != NULL)
                audit->broken(audit->broken_arg, err.what);
            say(&sync_said, "audit-log-sync", kind, &err);
            sync_due = kt_timespec_mono_ms() + audit->sync_ms;
        }
        if (kt_timespec_mono_ms() >= checkpoint_due) {
            say(&checkpoint_said, "audit-log-checkpoint", audit_checkpoint_now(audit, NULL, &err),
                &err);
            checkpoint_due = kt_timespec_mono_ms() + audit->checkpoint_ms;
        }
    }
    return NULL;
}

enum kt_kind audit_keeper_start(struct audit *audit, struct kt_err *err)
{
    errno = pthread_create(&audit->keeper, NULL, keep, audit);
    if (errno != 0)
        return kt_fail(err, KT_IO, "cannot start the audit log's thread");
    audit->has_keeper = true;
    return KT_OK;
}

void audit_keeper_stop(struct audit *audit)
{
    if (!audit->has_keeper)
        return;
    (void)pthread_mutex_lock(&audit->lock);
    audit->stop = true;
    (void)pthread_cond_broadcast(&audit->changed);
    (void)pthread_mutex_unlock(&audit->lock);
    (void)pthread_join(audit->keeper, NULL);
    audit->has_keeper = false;
}
