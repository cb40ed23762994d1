#include "vaultd/audit/log.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "vaultd/audit/log_own.h"
#include "vaultd/audit/terse.h"

#define SUFFIX_MIN 3u  /* terse: ,"seq":0} */
#define SUFFIX_MAX 32u /* ,"seq":18446744073709551615} */
#define TEXT_USUAL (AUDIT_OUTCOME_ROOM_MAX + SUFFIX_MAX) /* every outcome fits: no allocation */
#define SPINS          2000u /* some microseconds: what sealing a record takes */

/* ---- room ---- */

/* The tree first: what has room in the index has room in the tree. */
enum kt_kind log_room(struct audit_log *log, uint64_t records, unsigned segments,
                      struct kt_err *err)
{
    records += segments * (log->segment_bytes / AUDIT_RECORD_MIN + 1);
    enum kt_kind kind = audit_tree_room(&log->tree, records, err);
    if (kind == KT_OK)
        kind = audit_index_room(&log->index, records, err);
    return kind;
}

/* Makes the spare segment. make_lock is held, lock is not: allocating takes its time. */
static enum kt_kind make_spare(struct audit_log *log, struct kt_err *err)
{
    (void)pthread_mutex_lock(&log->lock);
    bool there = log->spare.map != NULL;
    uint32_t number = log->current.number + 1;
    uint64_t next = log->next;
    (void)pthread_mutex_unlock(&log->lock);
    if (there)
        return KT_OK;
    struct audit_segment spare = {.fd = -1};
    /* For the rest of this segment, the spare, and one more, so that a restart on a full disk finds
     * room for what still fits here. */
    enum kt_kind kind = log_room(log, next, 3, err);
    if (kind == KT_OK)
        kind = audit_segment_create(log->folder, number, log->segment_bytes, &spare, err);
    if (kind != KT_OK)
        return kind;
    (void)pthread_mutex_lock(&log->lock);
    /* Nobody switches without a spare, so the number is still the next. */
    KT_ASSERT(log->spare.map == NULL && log->current.number + 1 == number);
    log->spare = spare;
    atomic_store(&log->wants_spare, false);
    log->folder_dirty = true;
    (void)pthread_mutex_unlock(&log->lock);
    return KT_OK;
}

enum kt_kind audit_log_prepare(struct audit_log *log, struct kt_err *err)
{
    (void)pthread_mutex_lock(&log->make_lock);
    enum kt_kind kind = make_spare(log, err);
    (void)pthread_mutex_unlock(&log->make_lock);
    return kind;
}

bool audit_log_wants_segment(struct audit_log *log)
{
    return atomic_load_explicit(&log->wants_spare, memory_order_relaxed);
}

/* ---- a place for a record; all with the lock held ---- */

struct ticket {
    uint64_t seq;
    unsigned char *to;
    struct audit_header header;
    struct audit_entry entry;
};

static enum kt_kind refuse_broken(const struct audit_log *log, struct kt_err *err)
{
    errno = 0; /* the story is in the text */
    (void)kt_fail(err, KT_IO, "the audit log stopped: %.200s", log->broken_by.what);
    kt_hint(err, "see to the disk of the data folder, then restart vaultd and unseal it");
    return KT_IO;
}

static void switch_segment(struct audit_log *log)
{
    log->retired[log->n_retired++] = (struct log_retired){log->current, log->next};
    log->current = log->spare;
    log->spare = (struct audit_segment){.fd = -1};
    atomic_store(&log->wants_spare, true);
    log->at = 0;
    log->unmapped = 0;
}

/* Room in the index for one more besides all outcomes that were promised theirs. */
static bool index_fits(const struct audit_log *log)
{
    return log->next + log->promised / AUDIT_RECORD_MIN + 2 <=
           atomic_load_explicit(&log->index.room, memory_order_relaxed);
}

/* Whether a record of that size has its room now, and the promised room stays. Switches. */
static bool fits(struct audit_log *log, size_t size, bool promised)
{
    bool here = size <= log->segment_bytes - log->at;
    if (!here) {
        unsigned keep = promised ? 0 : 2; /* the last entries of the list are the outcomes' */
        if (log->spare.map == NULL || log->n_retired + keep >= LOG_RETIRED_MAX)
            return false;
        switch_segment(log);
    }
    if (promised)
        return true;
    if (!index_fits(log))
        return false;
    if (log->spare.map != NULL)
        return true;
    return log->at + size + log->promised + LOG_SLACK <= log->segment_bytes;
}

static unsigned seq_digits(uint64_t seq)
{
    unsigned digits = 1;
    for (; seq >= 10; seq /= 10)
        digits++;
    return digits;
}

/* Takes the next number and its place for a line that is open_len long yet. */
static void take(struct audit_log *log, size_t open_len, enum audit_kind kind,
                 const struct audit_mark *mark, struct ticket *ret)
{
    uint64_t seq = log->next++;
    if (mark != NULL)
        log->mark = *mark;
    uint32_t len = (uint32_t)(open_len + 2 + seq_digits(seq)); /* PIECE_SEQ, number, brace */
    *ret = (struct ticket){.seq = seq,
                           .to = log->current.map + log->at,
                           .header = {.len = len, .kind = kind, .mark = log->mark},
                           .entry = {.segment = log->current.number, .offset = (uint32_t)log->at}};
    log->at += AUDIT_OVERHEAD + len;
}

/* ---- publishing ---- */

static void break_log(struct audit_log *log, const struct kt_err *by)
{
    if (!log->broken)
        log->broken_by = *by;
    log->broken = true;
}

void audit_log_break(struct audit_log *log, const struct kt_err *why)
{
    (void)pthread_mutex_lock(&log->lock);
    break_log(log, why);
    (void)pthread_mutex_unlock(&log->lock);
}

/* The lock is held. */
static void publish_ready(struct audit_log *log)
{
    uint64_t published = atomic_load_explicit(&log->published, memory_order_relaxed);
    uint64_t start = published;
    for (; published < log->next; published++) {
        struct log_slot *slot = &log->slots[published % LOG_SLOTS];
        if (!slot->ready)
            break;
        slot->ready = false;
        struct kt_err err = {0};
        if (audit_index_put(&log->index, published, &slot->entry, &err) != KT_OK)
            break_log(log, &err);
        log->published_mark = slot->mark;
    }
    atomic_store_explicit(&log->published, published, memory_order_release);
    if (published != start && log->waiting > 0)
        (void)pthread_cond_broadcast(&log->published_more);
}

static bool is_published(struct audit_log *log, uint64_t seq)
{
    return atomic_load_explicit(&log->published, memory_order_acquire) > seq;
}

/* Those before it are being sealed by other threads: microseconds, unless one was put to sleep. */
static void wait_published(struct audit_log *log, uint64_t seq)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (is_published(log, seq))
            return;
        if (i % 100 == 99)
            (void)sched_yield();
    }
    (void)pthread_mutex_lock(&log->lock);
    log->waiting++;
    while (!is_published(log, seq))
        (void)pthread_cond_wait(&log->published_more, &log->lock);
    log->waiting--;
    (void)pthread_mutex_unlock(&log->lock);
}

/* The two forms of a line: what is sealed, and what is hashed (with a byte for the leaf's prefix). */
struct lines {
    struct kt_buf *terse, *text;
};

/* Neither form may fail to grow once there is a number: each gets room for it now. */
static bool reserve_suffix(struct kt_buf *line)
{
    bool room = kt_buf_grow(line, SUFFIX_MAX) != NULL;
    if (room)
        line->len -= SUFFIX_MAX;
    return room;
}

static enum kt_kind lines_ready(struct lines *lines, struct kt_err *err)
{
    struct kt_buf *terse = lines->terse, *text = lines->text;
    while (terse->len + SUFFIX_MIN < AUDIT_LINE_MIN && kt_buf_ok(terse))
        kt_buf_add_char(terse, PIECE_NOTHING);
    if (reserve_suffix(terse) && reserve_suffix(text))
        return KT_OK;
    bool large = terse->full || text->full;
    return kt_fail(err, large ? KT_TOO_LARGE : KT_NO_MEMORY, "an audit record does not fit");
}

/* A line that came in its terse form alone. */
static enum kt_kind lines_expand(struct lines *lines, struct kt_err *err)
{
    kt_buf_add_u8(lines->text, 0);
    if (!audit_terse_expand(kt_bytes(lines->terse->at, lines->terse->len), lines->text))
        return kt_fail(err, KT_INTERNAL, "an audit record does not expand");
    return lines_ready(lines, err);
}

static void add_suffix(struct kt_buf *line, uint64_t seq)
{
    kt_buf_add_decimal(line, seq);
    kt_buf_add_char(line, '}');
}

static void finish(struct audit_log *log, struct ticket *ticket, struct lines *lines)
{
    struct kt_buf *terse = lines->terse, *text = lines->text;
    kt_buf_add_char(terse, PIECE_SEQ);
    add_suffix(terse, ticket->seq);
    kt_buf_add_text(text, ",\"seq\":");
    add_suffix(text, ticket->seq);
    KT_ASSERT(kt_buf_ok(terse) && kt_buf_ok(text) && terse->len == ticket->header.len);
    audit_record_seal(&log->sealer, ticket->seq, &ticket->header, terse->at, ticket->to);
    kt_merkle_leaf_in_place(text->at, text->len - 1, ticket->entry.leaf);

    (void)pthread_mutex_lock(&log->lock);
    struct log_slot *slot = &log->slots[ticket->seq % LOG_SLOTS];
    slot->entry = ticket->entry;
    slot->mark = ticket->header.mark;
    slot->ready = true;
    publish_ready(log);
    (void)pthread_mutex_unlock(&log->lock);
    wait_published(log, ticket->seq);
}

/* ---- appending ---- */

/* Waits for a free slot: 256 others are being sealed. The lock is held. */
static void wait_slot(struct audit_log *log)
{
    while (log->next - atomic_load_explicit(&log->published, memory_order_relaxed) >= LOG_SLOTS) {
        log->waiting++;
        (void)pthread_cond_wait(&log->published_more, &log->lock);
        log->waiting--;
    }
}

static enum kt_kind no_room(struct audit_log *log, struct kt_err *err)
{
    if (log->n_retired + 2 < LOG_RETIRED_MAX)
        return KT_FULL;
    (void)kt_fail(err, KT_BUSY, "the disk does not keep up with the audit log");
    kt_hint(err, "look at the disk of the data folder: %u segments wait to be synced",
            log->n_retired);
    return KT_BUSY;
}

/* lines is ready. */
static enum kt_kind append(struct audit_log *log, struct lines *lines, uint64_t *ret_seq,
                           struct kt_err *err)
{
    size_t most = AUDIT_OVERHEAD + lines->terse->len + SUFFIX_MAX;
    enum kt_kind kind = KT_OK;
    struct ticket ticket;
    if (most + LOG_SLACK > log->segment_bytes)
        return kt_fail(err, KT_TOO_LARGE, "an audit record does not fit a segment");
    if (KT_FAILPOINT(audit_append))
        return kt_fail(err, KT_FULL, "no room for the next segment of the audit log");
    (void)pthread_mutex_lock(&log->lock);
    /* Twice: the second time after an attempt to make the segment that is missing. */
    for (unsigned round = 0;; round++) {
        wait_slot(log);
        if (log->broken) {
            kind = refuse_broken(log, err);
            break;
        }
        if (fits(log, most, false)) {
            take(log, lines->terse->len, AUDIT_RECORD, NULL, &ticket);
            (void)pthread_mutex_unlock(&log->lock);
            finish(log, &ticket, lines);
            *ret_seq = ticket.seq;
            return KT_OK;
        }
        kind = no_room(log, err);
        if (kind != KT_FULL || round == 2)
            break;
        (void)pthread_mutex_unlock(&log->lock);
        kind = audit_log_prepare(log, err);
        if (kind != KT_OK)
            return kind;
        (void)pthread_mutex_lock(&log->lock);
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (kind == KT_FULL)
        (void)kt_fail(err, KT_BUSY, "the audit log grows faster than its segments can be made");
    return kind == KT_FULL ? KT_BUSY : kind;
}

enum kt_kind audit_log_append(struct audit_log *log, struct kt_buf *line, uint64_t *ret_seq,
                              struct kt_err *err)
{
    KT_UNINIT unsigned char usual[TEXT_USUAL];
    kt_autobuf struct kt_buf text;
    struct lines lines = {.terse = line, .text = &text};
    kt_buf_init_in(&text, AUDIT_LINE_MAX + 1, usual, sizeof usual);
    enum kt_kind kind = lines_expand(&lines, err);
    return kind == KT_OK ? append(log, &lines, ret_seq, err) : kind;
}

enum kt_kind audit_log_append_line(struct audit_log *log, struct audit_line *line,
                                   uint64_t *ret_seq, struct kt_err *err)
{
    struct lines lines = {.terse = &line->terse, .text = &line->text};
    enum kt_kind kind = lines_ready(&lines, err);
    return kind == KT_OK ? append(log, &lines, ret_seq, err) : kind;
}

/* ---- outcomes ---- */

/* The lock is held. */
static enum kt_kind promise_now(struct audit_log *log, size_t room, struct kt_err *err)
{
    if (log->broken)
        return refuse_broken(log, err);
    if (log->n_retired + 2 >= LOG_RETIRED_MAX)
        return no_room(log, err);
    if (log->promised + room + LOG_SLACK > log->segment_bytes / 2)
        return kt_fail(err, KT_BUSY, "too many writes at once for the audit log");
    if (log->spare.map == NULL && log->at + log->promised + room + LOG_SLACK > log->segment_bytes)
        return KT_FULL;
    if (!index_fits(log))
        return KT_FULL;
    log->promised += room;
    return KT_OK;
}

enum kt_kind audit_log_promise(struct audit_log *log, size_t room, struct kt_err *err)
{
    enum kt_kind kind = KT_FULL;
    for (unsigned round = 0; round < 3 && kind == KT_FULL; round++) {
        if (round > 0) {
            kind = audit_log_prepare(log, err);
            if (kind != KT_OK)
                return kind;
        }
        (void)pthread_mutex_lock(&log->lock);
        kind = promise_now(log, room, err);
        (void)pthread_mutex_unlock(&log->lock);
    }
    if (kind == KT_FULL)
        return kt_fail(err, KT_BUSY, "the audit log grows faster than its segments can be made");
    return kind;
}

void audit_log_release(struct audit_log *log, size_t room)
{
    (void)pthread_mutex_lock(&log->lock);
    KT_ASSERT(log->promised >= room);
    log->promised -= room;
    (void)pthread_mutex_unlock(&log->lock);
}

enum kt_kind audit_log_outcome(struct audit_log *log, struct kt_buf *line, struct audit_mark mark,
                               size_t room, uint64_t *ret_seq, struct kt_err *err)
{
    KT_UNINIT unsigned char usual[TEXT_USUAL];
    kt_autobuf struct kt_buf text;
    struct lines lines = {.terse = line, .text = &text};
    kt_buf_init_in(&text, AUDIT_LINE_MAX + 1, usual, sizeof usual);
    enum kt_kind kind = lines_expand(&lines, err);
    size_t most = AUDIT_OVERHEAD + line->len + SUFFIX_MAX;
    if (kind == KT_OK && most > room)
        kind = kt_fail(err, KT_INTERNAL, "an outcome is larger than the room it was promised");
    struct ticket ticket;
    (void)pthread_mutex_lock(&log->lock);
    KT_ASSERT(log->promised >= room);
    log->promised -= room;
    if (kind == KT_OK)
        wait_slot(log);
    if (kind == KT_OK && log->broken)
        kind = refuse_broken(log, err);
    if (kind == KT_OK && audit_mark_compare(mark, log->mark) <= 0)
        kind = kt_fail(err, KT_CONFLICT, "outcome %ju.%u is in the audit log already",
                       (uintmax_t)mark.generation, mark.place);
    if (kind == KT_OK && !fits(log, most, true))
        kind = kt_fail(err, KT_FULL, "no room in the audit log for outcome %ju.%u",
                       (uintmax_t)mark.generation, mark.place);
    if (kind == KT_OK)
        take(log, line->len, AUDIT_OUTCOME, &mark, &ticket);
    (void)pthread_mutex_unlock(&log->lock);
    if (kind == KT_OK) {
        finish(log, &ticket, &lines);
        *ret_seq = ticket.seq;
    }
    return kind;
}

/* ---- syncing ---- */

struct sync_file {
    int fd;
    unsigned char *full; /* pages that are written to the end */
    size_t full_len;
};
struct sync_list {
    struct sync_file files[LOG_RETIRED_MAX + 1];
    unsigned n;
    bool folder;
};

/* The lock is held. */
static void list_files(struct audit_log *log, struct sync_list *list)
{
    for (unsigned i = 0; i < log->n_retired; i++) {
        const struct audit_segment *retired = &log->retired[i].segment;
        list->files[list->n++] = (struct sync_file){retired->fd, retired->map, retired->bytes};
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE), upto = log->at / page * page;
    size_t from = log->unmapped < upto ? log->unmapped : upto;
    list->files[list->n++] =
        (struct sync_file){log->current.fd, log->current.map + from, upto - from};
    log->unmapped = upto;
    list->folder = log->folder_dirty;
    log->folder_dirty = false;
}

static enum kt_kind sync_files(struct audit_log *log, const struct sync_list *list,
                               struct kt_err *err)
{
    if (KT_FAILPOINT(audit_sync)) {
        errno = EIO;
        return kt_fail(err, KT_IO, "cannot sync the audit log");
    }
    for (unsigned i = 0; i < list->n; i++) {
        const struct sync_file *file = &list->files[i];
        /* Takes the pages out of our page tables, not out of the file: else the kernel has to
         * write-protect each by itself, with an interrupt to every processor. */
        if (file->full_len > 0)
            (void)madvise(file->full, file->full_len, MADV_DONTNEED);
        if (fdatasync(file->fd) != 0)
            return kt_fail(err, KT_IO, "cannot sync the audit log");
    }
    if (list->folder && fsync(log->folder) != 0)
        return kt_fail(err, KT_IO, "cannot sync the audit log's folder");
    return KT_OK;
}

/* Unmaps the segments that are full, synced and no longer written to. */
static void drop_retired(struct audit_log *log, uint64_t size)
{
    struct audit_segment dropped[LOG_RETIRED_MAX];
    unsigned n = 0, kept = 0;
    (void)pthread_mutex_lock(&log->lock);
    for (unsigned i = 0; i < log->n_retired; i++) {
        if (log->retired[i].end <= size)
            dropped[n++] = log->retired[i].segment;
        else
            log->retired[kept++] = log->retired[i];
    }
    log->n_retired = kept;
    (void)pthread_mutex_unlock(&log->lock);
    while (n-- > 0)
        audit_segment_close(&dropped[n]);
}

/* keep_lock is held. */
static enum kt_kind sync_upto(struct audit_log *log, struct audit_synced *synced,
                              const struct sync_list *list, struct kt_err *err)
{
    enum kt_kind kind = sync_files(log, list, err);
    if (kind == KT_OK)
        kind = audit_tree_grow(&log->tree, synced->size, err);
    if (kind == KT_OK)
        kind = audit_index_sync(&log->index, err);
    if (kind == KT_OK)
        kind = audit_tree_sync(&log->tree, err);
    struct kt_merkle_source source = audit_tree_source(&log->tree);
    if (kind == KT_OK)
        kind = kt_merkle_root_at(&source, synced->size, synced->root, err);
    return kind;
}

enum kt_kind audit_log_sync(struct audit_log *log, struct audit_synced *ret, struct kt_err *err)
{
    struct sync_list list = {.n = 0};
    struct audit_synced synced;
    enum kt_kind kind = KT_OK;
    (void)pthread_mutex_lock(&log->keep_lock);
    (void)pthread_mutex_lock(&log->lock);
    synced = log->synced;
    bool grown = atomic_load(&log->published) != synced.size || log->folder_dirty;
    if (log->broken)
        kind = refuse_broken(log, err);
    synced.size = atomic_load(&log->published);
    synced.mark = log->published_mark;
    list_files(log, &list);
    (void)pthread_mutex_unlock(&log->lock);

    struct kt_err why = {0};
    if (kind == KT_OK && grown) {
        kind = sync_upto(log, &synced, &list, &why);
        (void)pthread_mutex_lock(&log->lock);
        if (kind == KT_OK)
            log->synced = synced;
        else
            break_log(log, &why);
        (void)pthread_mutex_unlock(&log->lock);
        if (kind == KT_OK)
            drop_retired(log, synced.size);
        else if (err != NULL)
            *err = why;
    }
    (void)pthread_mutex_unlock(&log->keep_lock);
    if (kind == KT_OK)
        *ret = synced;
    return kind;
}
