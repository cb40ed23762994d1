#include "vaultd/audit/audit.h"

#include <stdlib.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "vaultd/audit/own.h"

#define EXPORT_CHUNK ((size_t)256 * 1024)

/* ---- appending ---- */

static enum kt_kind copy_to_devices(struct audit *audit, uint64_t seq, struct audit_line *line,
                                    struct kt_err *err)
{
    kt_buf_add_char(&line->text, '\n');
    if (!audit_line_ok(line))
        return kt_fail(err, KT_NO_MEMORY, "copying an audit record");
    return audit_devices_write(audit->devices, seq, audit_line_text(line), err);
}

enum kt_kind audit_append(struct audit *audit, const struct audit_event *event, struct kt_err *err)
{
    uint64_t seq = 0;
    KT_UNINIT unsigned char usual[AUDIT_LINE_USUAL];
    struct audit_line line;
    audit_line_init_in(&line, usual, sizeof usual);
    enum kt_kind kind = audit->n_devices == 0 ? KT_OK : audit_devices_ready(audit->devices, err);
    if (kind == KT_OK)
        kind = audit_line_event(audit->hasher, event, &line, err);
    if (kind == KT_OK)
        kind = audit_log_append_line(audit->log, &line, &seq, err);
    if (kind == KT_OK && audit->n_devices > 0)
        kind = copy_to_devices(audit, seq, &line, err);
    audit_line_free(&line);
    if (audit_log_wants_segment(audit->log))
        audit_keeper_wake(audit);
    return kind;
}

/* ---- outcomes ---- */

enum kt_kind audit_outcome_seal(struct audit *audit, const struct audit_event *event,
                                struct kt_buf *out, struct kt_err *err)
{
    uint16_t room = 0;
    kt_autobuf struct kt_buf packed;
    kt_buf_init(&packed, STORE_OUTCOME_MAX);
    enum kt_kind kind = audit_outcome_pack(audit->hasher, event, &packed, &room, err);
    if (kind == KT_OK)
        kind = audit_outcome_wrap(&audit->sealer, kt_buf_bytes(&packed), room, out, err);
    if (kind == KT_OK)
        kind = audit_log_promise(audit->log, room, err);
    if (audit_log_wants_segment(audit->log))
        audit_keeper_wake(audit);
    return kind;
}

enum kt_kind audit_copy_outcome(struct audit *audit, struct kt_bytes sealed, struct audit_mark mark,
                                struct kt_err *err)
{
    uint64_t seq = 0;
    kt_buf_reset(&audit->outcome);
    enum kt_kind kind = audit_outcome_unwrap(&audit->sealer, sealed, &audit->outcome, err);
    if (kind == KT_OK)
        kind = audit_line_outcome(kt_buf_bytes(&audit->outcome), mark, &audit->outcome_line, err);
    if (kind == KT_OK)
        return audit_log_outcome(audit->log, &audit->outcome_line, mark, audit_outcome_room(sealed),
                                 &seq, err);
    audit_log_release(audit->log, audit_outcome_room(sealed));
    return kind;
}

void audit_outcome_done(struct audit *audit, struct kt_bytes sealed,
                        const struct commit_result *result)
{
    struct kt_err err = {0};
    if (result->error != STORE_OK) {
        audit_log_release(audit->log, audit_outcome_room(sealed));
        return;
    }
    const struct audit_mark mark = {result->at, result->place};
    enum kt_kind kind = audit_copy_outcome(audit, sealed, mark, &err);
    if (kind != KT_OK) {
        /* It is still in the store and will be copied at the next start, unless a later one were
         * copied and synced before: so nothing more may follow. */
        audit_log_break(audit->log, &err);
        kt_log_err(KT_LOG_ERROR, "audit-outcome-not-copied", &err);
    }
    if (audit->n_devices > 0 || audit_log_wants_segment(audit->log))
        audit_keeper_wake(audit);
}

void audit_hmac(struct audit *audit, struct kt_bytes text, char out[AUDIT_HMAC_TEXT])
{
    audit_hasher_text(audit->hasher, text, out);
}

/* ---- proofs and export ---- */

void audit_status(struct audit *audit, struct audit_status *ret)
{
    struct audit_synced synced;
    audit_log_synced(audit->log, &synced);
    memset(ret, 0, sizeof *ret);
    ret->synced_size = synced.size;
    memcpy(ret->root, synced.root, sizeof ret->root);
    ret->size = audit_log_size(audit->log);
    ret->bytes = audit_log_bytes(audit->log);
    kt_note_key_text(&audit->note_key, ret->public_key);
    memcpy(ret->origin, audit->note_key.name, sizeof ret->origin);
    audit_devices_count(audit->devices, &ret->devices, &ret->devices_failing);
}

enum kt_kind audit_checkpoint(struct audit *audit, struct kt_buf *out, struct kt_err *err)
{
    return audit_checkpoint_now(audit, out, err);
}

enum kt_kind audit_last_checkpoint(struct audit *audit, struct kt_buf *out, struct kt_err *err)
{
    return audit_notes_newest(&audit->notes, out, err);
}

enum kt_kind audit_checkpoints(struct audit *audit, struct kt_buf *out, struct kt_err *err)
{
    return audit_notes_read(&audit->notes, out, err);
}

enum kt_kind audit_export(struct audit *audit, uint64_t from, uint64_t to, size_t max_bytes,
                          struct kt_buf *out, uint64_t *ret_next, struct kt_err *err)
{
    struct audit_reader reader;
    uint64_t size = audit_log_size(audit->log), next = from;
    size_t start = out->len;
    if (to > size)
        to = size;
    if (from > to)
        return kt_fail(err, KT_INVALID, "the audit log has %ju records", (uintmax_t)size);
    if (from == to) {
        *ret_next = from;
        return KT_OK;
    }
    /* The audit log reads what it wrote a moment ago: small ranges cost one small read. */
    size_t chunk = to - from < 64 ? EXPORT_CHUNK / 16 : EXPORT_CHUNK;
    enum kt_kind kind = audit_log_reader(audit->log, from, chunk, &reader, err);
    if (kind != KT_OK)
        return kind;
    while (kind == KT_OK && next < to) {
        size_t before = out->len;
        kind = audit_log_read(audit->log, &reader, next, out, err);
        if (kind != KT_OK)
            break;
        kt_buf_add_char(out, '\n');
        if (next > from && out->len - start > max_bytes) {
            out->len = before; /* the first always goes, so that every caller gets on */
            break;
        }
        next++;
    }
    audit_reader_done(&reader);
    if (kind == KT_OK && !kt_buf_ok(out))
        kind = kt_fail(err, KT_NO_MEMORY, "exporting the audit log");
    if (kind == KT_OK)
        *ret_next = next;
    return kind;
}

enum kt_kind audit_leaves(struct audit *audit, uint64_t from, uint64_t to, struct kt_buf *out,
                          struct kt_err *err)
{
    uint64_t size = audit_log_size(audit->log);
    if (to > size || from > to)
        return kt_fail(err, KT_INVALID, "the audit log has %ju records", (uintmax_t)size);
    if (from == to)
        return KT_OK;
    unsigned char *at = to - from > SIZE_MAX / KT_HASH_BYTES
                            ? NULL
                            : kt_buf_grow(out, (size_t)(to - from) * KT_HASH_BYTES);
    if (at == NULL)
        return kt_fail(err, KT_TOO_LARGE, "too many leaf hashes at once");
    return audit_log_leaves(audit->log, from, to - from, at, err);
}

enum kt_kind audit_inclusion(struct audit *audit, uint64_t index, uint64_t size, struct kt_buf *out,
                             struct kt_err *err)
{
    return audit_log_inclusion(audit->log, index, size, out, err);
}

enum kt_kind audit_consistency(struct audit *audit, uint64_t old_size, uint64_t size,
                               struct kt_buf *out, struct kt_err *err)
{
    return audit_log_consistency(audit->log, old_size, size, out, err);
}

void audit_reopen(struct audit *audit)
{
    if (audit->n_devices == 0)
        return;
    audit_devices_ask(audit->devices, DEVICE_REOPEN);
    audit_devices_settle(audit->devices);
}

/* ---- the end ---- */

void audit_free(struct audit *audit, bool clean)
{
    audit_devices_close(audit->devices);
    if (audit->has_notes)
        audit_notes_close(&audit->notes);
    audit_log_close(audit->log, clean);
    audit_hasher_free(audit->hasher);
    kt_keyslab_free(audit->slab); /* wipes */
    kt_secret_free(audit->sign_key);
    kt_buf_free(&audit->outcome);
    kt_buf_free(&audit->outcome_line);
    (void)pthread_cond_destroy(&audit->changed);
    (void)pthread_mutex_destroy(&audit->lock);
    (void)pthread_mutex_destroy(&audit->check_lock);
    audit->magic = 0;
    free(audit);
}

void audit_close(struct audit *audit)
{
    if (audit == NULL)
        return;
    struct kt_err err = {0};
    audit_keeper_stop(audit);
    enum kt_kind kind = audit_checkpoint_now(audit, NULL, &err);
    if (kind != KT_OK)
        kt_log_err(KT_LOG_ERROR, "audit-log-last-checkpoint", &err);
    enum store_error error = audit_commits_wait(audit);
    if (error != STORE_OK)
        kt_log(KT_LOG_WARNING, "audit-log-last-checkpoint", "store=\"%s\"",
               store_error_text(error));
    if (audit->n_devices > 0) {
        audit_devices_ask(audit->devices, DEVICE_FILL);
        audit_devices_settle(audit->devices);
    }
    store_set_witness(audit->store, NULL, NULL);
    audit_free(audit, kind == KT_OK);
}
