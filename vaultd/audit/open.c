/* Opening the audit log at unseal: does it belong to this database, and what is missing in it.
 *
 * Compared: the head of the database (log, synced size, root, generation) and the newest signed
 * checkpoint beside the log with what the log holds. The log may be ahead of the head, since it is
 * synced beside the path, but never behind it; and no outcome in it may be of a generation that the
 * database never reached. Both are so after every crash and power loss, and not after something
 * old was put back. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"
#include "lib/log.h"
#include "lib/num.h"
#include "vaultd/audit/own.h"
#include "vaultd/barrier/format.h"

#define HISTORY_SHIFT 48u /* a log's number: fence below, history above */
#define HISTORY_MAX   0xFFFFu
#define LOG_NAME      48u
#define NOTE_BODY_MAX 4096u
#define OUTCOME_ROOM  16384u /* of the buffers that outcomes are copied with */

struct opening {
    const struct audit_config *config;
    struct audit *audit;
    int folder; /* DATA/audit */
    /* the database's word */
    uint64_t head_log;
    struct audit_trust head;
    generation at;
    char database_time[AUDIT_TIME_TEXT]; /* of its newest checkpoint; "?" */
    /* what is on the disk */
    bool any_log;
    unsigned newest; /* history */
    /* what became of it */
    struct audit_found found;
    bool refused, made;
    struct kt_err refusal;
    uint64_t start; /* size before our own first records */
    unsigned copied, unreadable;
    enum kt_kind copy_kind;
    struct kt_err *copy_err;
};

static unsigned history_of(uint64_t log)
{
    return (unsigned)(log >> HISTORY_SHIFT);
}

static uint64_t log_number(uint64_t fence, unsigned history)
{
    return fence | (uint64_t)history << HISTORY_SHIFT;
}

/* "f1"; a history that an operator began anew is "f1.2", "f1.3", ... */
static void log_name(uint64_t log, char out[LOG_NAME])
{
    uint64_t fence = log & (((uint64_t)1 << HISTORY_SHIFT) - 1);
    if (history_of(log) == 0)
        (void)snprintf(out, LOG_NAME, "f%ju", (uintmax_t)fence);
    else
        (void)snprintf(out, LOG_NAME, "f%ju.%u", (uintmax_t)fence, history_of(log) + 1);
}

/* ---- what is there ---- */

static enum kt_kind open_folder(struct opening *o, struct kt_err *err)
{
    kt_autoclose int data = open(o->config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data < 0)
        return kt_fail(err, KT_IO, "cannot open the data folder '%s'", o->config->folder);
    if (mkdirat(data, "audit", 0700) != 0 && errno != EEXIST)
        return audit_disk_error(err, "cannot make the folder 'audit' in the data folder");
    if (fsync(data) != 0)
        return kt_fail(err, KT_IO, "cannot sync the data folder '%s'", o->config->folder);
    o->folder = openat(data, "audit", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (o->folder < 0)
        return kt_fail(err, KT_IO, "cannot open the folder 'audit' in the data folder");
    return KT_OK;
}

/* "f<fence>" or "f<fence>.<n>", n >= 2. */
static bool parse_name(const char *name, uint64_t fence, unsigned *ret_history)
{
    char first[LOG_NAME];
    uint64_t n = 0;
    log_name(fence, first);
    size_t len = strlen(first);
    if (strncmp(name, first, len) != 0)
        return false;
    if (name[len] == '\0') {
        *ret_history = 0;
        return true;
    }
    if (name[len] != '.' || !kt_u64_parse(kt_str(name + len + 1), HISTORY_MAX, &n) || n < 2)
        return false;
    *ret_history = (unsigned)n - 1;
    return true;
}

static enum kt_kind list_logs(struct opening *o, struct kt_err *err)
{
    int fd = openat(o->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot list the audit logs");
        if (fd >= 0)
            (void)close(fd);
        return kind;
    }
    struct dirent *entry = NULL;
    while ((entry = readdir(dir)) != NULL) {
        unsigned history = 0;
        if (!parse_name(entry->d_name, o->config->fence, &history))
            continue;
        if (!o->any_log || history > o->newest)
            o->newest = history;
        o->any_log = true;
    }
    (void)closedir(dir);
    return KT_OK;
}

static void read_checkpoint_1(struct kt_reader *r, void *ret)
{
    int64_t *made_ms = ret;
    *made_ms = kt_read_i64(r);
    (void)kt_read_bytes(r, r->left); /* the note itself is not asked for here */
}

static format_reader *const checkpoint_readers[] = {[AUDIT_CHECKPOINT_FORMAT] = read_checkpoint_1};

static void read_database_time(struct opening *o)
{
    unsigned char key[sizeof AUDIT_CHECKPOINT_KEY] = {TABLE_CHECKPOINT};
    memcpy(key + 1, AUDIT_CHECKPOINT_KEY, sizeof key - 1);
    struct snapshot *snapshot = NULL;
    struct entry entry;
    (void)snprintf(o->database_time, sizeof o->database_time, "unknown time");
    if (snapshot_begin(o->audit->store, &snapshot) != STORE_OK)
        return; /* only a text is poorer for it */
    int64_t made_ms = 0;
    if (snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) == STORE_OK &&
        FORMAT_READ("a checkpoint in the store", entry.value, checkpoint_readers, &made_ms, NULL) ==
            KT_OK) {
        char text[KT_TIME_TEXT];
        kt_time_text(made_ms, text);
        (void)snprintf(o->database_time, sizeof o->database_time, "%s", text);
    }
    snapshot_end(snapshot);
}

static void read_head(struct opening *o)
{
    unsigned char witness[STORE_WITNESS_BYTES], history[16];
    store_head(o->audit->store, witness, &o->at, history);
    o->head_log = kt_get_u64(witness);
    o->head.size = kt_get_u64(witness + 8);
    memcpy(o->head.root, witness + 16, KT_HASH_BYTES);
    read_database_time(o);
}

/* ---- refusing ---- */

#define WAYS_ON                                                                                     \
    "put back the database and the audit log of one and the same moment (the newest there is), or " \
    "accept the loss with all unseal keys: secretctl operator unseal -accept-rollback"

static enum kt_kind refuse(struct opening *o, struct kt_err *err)
{
    o->refused = true;
    kt_hint(&o->refusal, WAYS_ON);
    if (err != NULL)
        *err = o->refusal;
    return KT_PRECONDITION;
}

static enum kt_kind refuse_log(struct opening *o, const char *name, struct kt_err *err)
{
    const struct audit_found *found = &o->found;
    struct kt_err *r = &o->refusal;
    uintmax_t at = (uintmax_t)o->at, known = (uintmax_t)o->head.size, has = (uintmax_t)found->size;
    switch (found->trouble) {
    case AUDIT_NO_LOG:
        (void)kt_fail(r, KT_PRECONDITION,
                      "the audit log %s is missing: the database (generation %ju, %s) knows it "
                      "with %ju records",
                      name, at, o->database_time, known);
        break;
    case AUDIT_OTHER_VAULT:
        (void)kt_fail(r, KT_PRECONDITION,
                      "the audit log %s belongs to another vault than the database (generation "
                      "%ju, %s)",
                      name, at, o->database_time);
        break;
    case AUDIT_SHORT:
        (void)kt_fail(r, KT_PRECONDITION,
                      "the audit log %s is older than the database, or was altered: it has %ju "
                      "readable records (the last of %s), the database (generation %ju, %s) knows "
                      "%ju",
                      name, has, found->last_time[0] == '\0' ? "no time" : found->last_time, at,
                      o->database_time, known);
        break;
    case AUDIT_FINE:
    case AUDIT_OTHER_ROOT:
        (void)kt_fail(r, KT_PRECONDITION,
                      "the audit log %s was altered, or is of another history than the database "
                      "(generation %ju, %s): its first %ju records are not those that the "
                      "database knows; it has %ju (the last of %s)",
                      name, at, o->database_time, known, has, found->last_time);
        break;
    }
    return refuse(o, err);
}

/* ---- opening ---- */

static enum kt_kind use_log(struct opening *o, uint64_t number, struct kt_err *err)
{
    char name[LOG_NAME];
    char origin[sizeof o->audit->note_key.name];
    unsigned char public_key[32];
    log_name(number, name);
    int n = snprintf(origin, sizeof origin, "%s/%s", o->config->origin, name);
    if (n < 0 || (size_t)n >= sizeof origin)
        return kt_fail(err, KT_INVALID, "the cluster's name is too long for the audit log");
    memcpy(public_key, o->audit->sign_key->at + 32, sizeof public_key);
    o->audit->sealer.log = number;
    return kt_note_key_make(origin, public_key, &o->audit->note_key, err);
}

static enum kt_kind open_notes(struct opening *o, struct kt_err *err)
{
    struct audit *audit = o->audit;
    audit->has_notes = true;
    return audit_notes_open(audit_log_folder(audit->log), &audit->note_key, &audit->notes, err);
}

static enum kt_kind create_log(struct opening *o, uint64_t number, struct kt_err *err)
{
    char name[LOG_NAME];
    log_name(number, name);
    size_t bytes = o->config->segment_bytes == 0 ? AUDIT_SEGMENT_BYTES : o->config->segment_bytes;
    enum kt_kind kind = use_log(o, number, err);
    if (kind == KT_OK)
        kind = audit_log_create(o->folder, name, &o->audit->sealer, bytes, &o->audit->log, err);
    if (kind == KT_OK)
        kind = open_notes(o, err);
    o->made = kind == KT_OK;
    return kind;
}

/* What the vault itself signed must be in the log too, also when the database does not know it. */
static enum kt_kind check_notes(struct opening *o, const char *name, struct kt_err *err)
{
    const struct kt_checkpoint *last = &o->audit->notes.last;
    unsigned char root[KT_HASH_BYTES];
    if (!o->audit->notes.any)
        return KT_OK;
    bool good = last->size <= o->found.size;
    if (good) {
        enum kt_kind kind = audit_log_root(o->audit->log, last->size, root, err);
        if (kind != KT_OK)
            return kind;
        good = memcmp(root, last->root, sizeof root) == 0;
    }
    if (good)
        return KT_OK;
    (void)kt_fail(&o->refusal, KT_PRECONDITION,
                  "the audit log %s is older than its newest checkpoint, or was altered: a "
                  "checkpoint of %ju records is not that of the log, which has %ju (the last of "
                  "%s); the database is at generation %ju (%s)",
                  name, (uintmax_t)last->size, (uintmax_t)o->found.size, o->found.last_time,
                  (uintmax_t)o->at, o->database_time);
    return refuse(o, err);
}

static enum kt_kind check_outcomes(struct opening *o, const char *name, struct kt_err *err)
{
    if (o->found.mark.generation <= o->at)
        return KT_OK;
    (void)kt_fail(&o->refusal, KT_PRECONDITION,
                  "the database is older than the audit log: it stands at generation %ju (%s, %ju "
                  "records known), and the log %s (%ju records, the last of %s) holds the outcome "
                  "of generation %ju",
                  (uintmax_t)o->at, o->database_time, (uintmax_t)o->head.size, name,
                  (uintmax_t)o->found.size, o->found.last_time,
                  (uintmax_t)o->found.mark.generation);
    return refuse(o, err);
}

static enum kt_kind open_log(struct opening *o, uint64_t number, struct kt_err *err)
{
    char name[LOG_NAME];
    log_name(number, name);
    enum kt_kind kind = use_log(o, number, err);
    if (kind == KT_OK)
        kind = audit_log_open(o->folder, name, &o->audit->sealer, &o->head, &o->audit->log,
                              &o->found, err);
    if (kind == KT_PRECONDITION && o->found.trouble == AUDIT_NO_LOG && o->head.size == 0)
        return create_log(o, number, err); /* made a moment before a crash */
    if (kind == KT_PRECONDITION && o->found.trouble != AUDIT_FINE)
        return refuse_log(o, name, err);
    if (kind == KT_OK)
        kind = open_notes(o, err);
    if (kind == KT_OK)
        kind = check_notes(o, name, err);
    if (kind == KT_OK)
        kind = check_outcomes(o, name, err);
    return kind;
}

/* Which log the database means, and whether a newer one is there. */
static enum kt_kind find_log(struct opening *o, struct kt_err *err)
{
    uint64_t head_fence = o->head_log & (((uint64_t)1 << HISTORY_SHIFT) - 1);
    unsigned history = head_fence == o->config->fence ? history_of(o->head_log) : 0;
    uint64_t number = log_number(o->config->fence, history);
    if (head_fence > o->config->fence)
        return kt_fail(err, KT_INTERNAL, "the database was led with fence %ju, after %ju",
                       (uintmax_t)head_fence, (uintmax_t)o->config->fence);
    if (head_fence != o->config->fence)
        memset(&o->head, 0, sizeof o->head); /* a new leadership begins a new log */
    if (o->any_log && o->newest > history) {
        char known[LOG_NAME], newest[LOG_NAME];
        log_name(number, known);
        log_name(log_number(o->config->fence, o->newest), newest);
        (void)kt_fail(&o->refusal, KT_PRECONDITION,
                      "the database is older than the audit log: it stands at generation %ju (%s) "
                      "and knows the log %s with %ju records; the newest log is %s",
                      (uintmax_t)o->at, o->database_time, known, (uintmax_t)o->head.size, newest);
        return refuse(o, err);
    }
    if (!o->any_log && o->head.size == 0)
        return create_log(o, number, err);
    return open_log(o, number, err);
}

static enum kt_kind begin_history(struct opening *o, struct kt_err *err)
{
    unsigned history = history_of(o->head_log);
    struct audit *audit = o->audit;
    if (o->any_log && o->newest > history)
        history = o->newest;
    if (audit->has_notes)
        audit_notes_close(&audit->notes);
    audit->has_notes = false;
    audit_log_close(audit->log, false);
    audit->log = NULL;
    if (history == HISTORY_MAX)
        return kt_fail(err, KT_FULL, "the audit log was begun anew too often");
    return create_log(o, log_number(o->config->fence, history + 1), err);
}

/* ---- the log's own records ---- */

static enum kt_kind append_note(struct opening *o, const char *type, struct kt_buf *body,
                                struct kt_err *err)
{
    uint64_t seq = 0;
    const struct audit_note note = {type, kt_wall_ms(o->audit->clock), kt_buf_bytes(body)};
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, AUDIT_LINE_MAX);
    if (!kt_buf_ok(body))
        return kt_fail(err, KT_NO_MEMORY, "writing an audit record");
    enum kt_kind kind = audit_line_note(&note, &line, err);
    if (kind == KT_OK)
        kind = audit_log_append(o->audit->log, &line, &seq, err);
    return kind;
}

static enum kt_kind note_init(struct opening *o, struct barrier *barrier, struct kt_err *err)
{
    struct barrier_status status;
    barrier_status(barrier, &status);
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, NOTE_BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "vault_id", status.vault_id);
    kt_jsonw_kv_time(&w, "initialized_time", status.initialized_ms);
    kt_jsonw_kv_int(&w, "shares", status.shares);
    kt_jsonw_kv_int(&w, "threshold", status.threshold);
    kt_jsonw_end(&w);
    return append_note(o, "init", &body, err);
}

static void kv_root(struct kt_jsonw *w, const unsigned char root[KT_HASH_BYTES])
{
    char text[64];
    (void)sodium_bin2base64(text, sizeof text, root, KT_HASH_BYTES, sodium_base64_VARIANT_ORIGINAL);
    kt_jsonw_kv_text(w, "root", text);
}

/* The first record of a new history names both states that did not belong together. */
static enum kt_kind note_history(struct opening *o, struct kt_err *err)
{
    char name[LOG_NAME];
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, NOTE_BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "reason", o->refusal.what);
    kt_jsonw_key(&w, "database");
    kt_jsonw_object(&w);
    log_name(o->head_log, name);
    kt_jsonw_kv_int(&w, "generation", (int64_t)o->at);
    kt_jsonw_kv_text(&w, "time", o->database_time);
    kt_jsonw_kv_text(&w, "log", name);
    kt_jsonw_kv_int(&w, "size", (int64_t)o->head.size);
    kv_root(&w, o->head.root);
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "log");
    kt_jsonw_object(&w);
    log_name(log_number(o->config->fence, o->newest), name);
    kt_jsonw_kv_text(&w, "newest", o->any_log ? name : "none");
    kt_jsonw_kv_int(&w, "size", (int64_t)o->found.size);
    kv_root(&w, o->found.root);
    kt_jsonw_kv_int(&w, "generation", (int64_t)o->found.mark.generation);
    kt_jsonw_kv_text(&w, "last_time", o->found.last_time);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return append_note(o, "history", &body, err);
}

static enum kt_kind note_recovery(struct opening *o, struct kt_err *err)
{
    const struct audit_found *found = &o->found;
    if (o->made && o->unreadable == 0)
        return KT_OK;
    if (!found->running && found->bytes_cut == 0 && o->copied == 0 && o->unreadable == 0 &&
        !found->rebuilt)
        return KT_OK;
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, NOTE_BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "stopped_cleanly", !found->running);
    kt_jsonw_kv_int(&w, "records", (int64_t)found->size);
    kt_jsonw_kv_int(&w, "records_after_head", (int64_t)found->after_trust);
    kt_jsonw_kv_int(&w, "bytes_cut", (int64_t)found->bytes_cut);
    kt_jsonw_kv_int(&w, "outcomes_copied", o->copied);
    kt_jsonw_kv_int(&w, "outcomes_unreadable", o->unreadable);
    kt_jsonw_kv_bool(&w, "index_rebuilt", found->rebuilt);
    kt_jsonw_kv_int(&w, "generation", (int64_t)o->at);
    kt_jsonw_end(&w);
    kt_log(KT_LOG_NOTICE, "audit-log-recovered",
           "records=%ju after_head=%ju bytes_cut=%ju outcomes_copied=%u", (uintmax_t)found->size,
           (uintmax_t)found->after_trust, (uintmax_t)found->bytes_cut, o->copied);
    return append_note(o, "recovery", &body, err);
}

/* ---- outcomes that did not get into the log ---- */

static void copy_missing(void *arg, generation at, unsigned place, struct kt_bytes record)
{
    struct opening *o = arg;
    struct audit *audit = o->audit;
    const struct audit_mark mark = {at, place};
    if (o->copy_kind != KT_OK || audit_mark_compare(mark, audit_log_mark(audit->log)) <= 0)
        return;
    enum kt_kind kind = audit_log_promise(audit->log, audit_outcome_room(record), o->copy_err);
    if (kind == KT_OK)
        kind = audit_copy_outcome(audit, record, mark, o->copy_err);
    if (kind == KT_OK) {
        o->copied++;
    } else if (kind == KT_CORRUPT && o->config->accept_rollback) {
        o->unreadable++;
    } else {
        if (kind == KT_CORRUPT)
            kt_hint(o->copy_err, WAYS_ON);
        o->copy_kind = kind;
    }
}

static enum kt_kind copy_outcomes(struct opening *o, struct kt_err *err)
{
    struct kt_err why = {0};
    generation after = audit_log_mark(o->audit->log).generation;
    o->copy_kind = KT_OK;
    o->copy_err = &why;
    enum store_error error =
        store_outcomes(o->audit->store, after == 0 ? 0 : after - 1, copy_missing, o);
    if (error != STORE_OK)
        return kt_fail(err, KT_IO, "cannot read the outcomes in the database: %s",
                       store_error_text(error));
    if (o->copy_kind != KT_OK && err != NULL)
        *err = why;
    return o->copy_kind;
}

/* ---- all of it ---- */

static enum kt_kind make(struct opening *o, struct barrier *barrier, struct kt_err *err)
{
    struct audit *audit = kt_calloc(1, sizeof *audit);
    if (audit == NULL)
        return kt_secret_failed(err, "opening the audit log");
    o->audit = audit;
    audit->magic = AUDIT_MAGIC;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&audit->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&audit->lock, NULL);
    (void)pthread_mutex_init(&audit->check_lock, NULL);
    audit->sync_ms = o->config->sync_ms > 0 ? o->config->sync_ms : 1000;
    audit->checkpoint_ms = o->config->checkpoint_ms > 0 ? o->config->checkpoint_ms : 10000;
    audit->n_devices = o->config->n_devices;
    audit->broken = o->config->broken;
    audit->broken_arg = o->config->broken_arg;
    kt_buf_init(&audit->outcome, OUTCOME_ROOM);
    kt_buf_init(&audit->outcome_line, OUTCOME_ROOM);
    audit->slab = kt_keyslab_new(3);
    audit->sign_key = kt_secret_new(64);
    if (audit->slab == NULL || audit->sign_key == NULL ||
        kt_buf_grow(&audit->outcome, OUTCOME_ROOM - 1) == NULL ||
        kt_buf_grow(&audit->outcome_line, OUTCOME_ROOM - 1) == NULL)
        return kt_secret_failed(err, "opening the audit log");
    audit->record_key = kt_keyslab_take(audit->slab);
    audit->hmac_key = kt_keyslab_take(audit->slab);
    unsigned char *seed = kt_keyslab_take(audit->slab), public_key[32];
    barrier_audit_keys(barrier, audit->record_key, audit->hmac_key, seed);
    barrier_vault_id(barrier, audit->sealer.vault);
    (void)crypto_sign_seed_keypair(public_key, audit->sign_key->at, seed);
    kt_keyslab_give(audit->slab, seed);
    audit->sealer.key = audit->record_key;
    audit->hasher = audit_hasher_new(audit->hmac_key);
    if (audit->hasher == NULL)
        return kt_secret_failed(err, "opening the audit log");
    kt_buf_reset(&audit->outcome);
    kt_buf_reset(&audit->outcome_line);
    return KT_OK;
}

static void witness(void *arg, unsigned char out[STORE_WITNESS_BYTES])
{
    struct audit *audit = KT_OBJECT(struct audit, arg, AUDIT_MAGIC);
    struct audit_synced synced;
    audit_log_synced(audit->log, &synced);
    kt_put_u64(out, audit->sealer.log);
    kt_put_u64(out + 8, synced.size);
    memcpy(out + 16, synced.root, KT_HASH_BYTES);
}

/* From here on the database names this log: a new one must be known to it before anything is
 * admitted, so that it cannot be taken away unnoticed. */
static enum kt_kind announce(struct opening *o, struct kt_err *err)
{
    struct audit *audit = o->audit;
    store_set_witness(audit->store, witness, audit);
    enum kt_kind kind = audit_checkpoint_now(audit, NULL, err);
    if (kind == KT_OK && o->made) {
        enum store_error error = audit_commits_wait(audit);
        if (error != STORE_OK)
            kind = kt_fail(err, error == STORE_FULL ? KT_FULL : KT_IO,
                           "the new audit log could not be made known to the database: %s",
                           store_error_text(error));
    }
    if (kind == KT_OK)
        kind = audit_keeper_start(audit, err);
    if (kind != KT_OK) {
        (void)audit_commits_wait(audit);
        store_set_witness(audit->store, NULL, NULL);
    }
    return kind;
}

static enum kt_kind open_all(struct opening *o, struct barrier *barrier, struct kt_err *err)
{
    read_head(o);
    enum kt_kind kind = open_folder(o, err);
    if (kind == KT_OK)
        kind = list_logs(o, err);
    if (kind == KT_OK)
        kind = find_log(o, err);
    if (kind == KT_PRECONDITION && o->refused && o->config->accept_rollback)
        kind = begin_history(o, err);
    if (kind != KT_OK)
        return kind;
    o->start = audit_log_size(o->audit->log);
    if (o->made)
        kind = o->refused ? note_history(o, err) : note_init(o, barrier, err);
    if (kind == KT_OK)
        kind = copy_outcomes(o, err);
    if (kind == KT_OK)
        kind = note_recovery(o, err);
    if (kind == KT_OK)
        kind = audit_devices_open(o->config->devices, o->config->n_devices, o->audit->log, o->start,
                                  &o->audit->devices, err);
    return kind;
}

enum kt_kind audit_open(const struct audit_config *config, struct barrier *barrier,
                        struct store *store, const struct kt_clock *clock, struct audit **ret,
                        struct kt_err *err)
{
    struct opening o = {.config = config, .folder = -1};
    enum kt_kind kind = make(&o, barrier, err);
    if (kind == KT_OK) {
        o.audit->store = store;
        o.audit->clock = clock;
        kind = open_all(&o, barrier, err);
    }
    if (kind == KT_OK)
        kind = announce(&o, err);
    if (o.folder >= 0)
        (void)close(o.folder);
    if (kind == KT_OK)
        *ret = o.audit;
    else if (o.audit != NULL)
        audit_free(o.audit, false);
    return kind;
}
