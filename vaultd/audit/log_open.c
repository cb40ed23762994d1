/* Opening a log: is it ours, is what the store knows in it, where does it end, and mending the
 * rest.
 *
 * Up to the trusted size the index and the tree are believed if they give the trusted root, else
 * made anew from the records. Behind it every record is opened. The log ends before the first that
 * does not open; what follows is zeroed, so that it can never be taken for a record later. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/num.h"
#include "vaultd/audit/log_own.h"
#include "vaultd/barrier/format.h"

#define IDENTITY_BYTES (1u + 16u + 8u + 4u)
#define IDENTITY_MAX   64u /* of any format that is known */
#define SCAN_CHUNK     ((size_t)256 * 1024)

/* ---- making and freeing the object ---- */

struct audit_log *log_new(int folder, const struct audit_sealer *sealer, size_t segment_bytes)
{
    struct audit_log *log = kt_calloc(1, sizeof *log);
    if (log == NULL)
        return NULL;
    log->folder = folder;
    log->sealer = *sealer;
    log->segment_bytes = segment_bytes;
    log->current.fd = log->spare.fd = log->index.fd = -1;
    for (unsigned i = 0; i < AUDIT_TREE_FILES; i++)
        log->tree.fds[i] = -1;
    pthread_mutexattr_t adaptive;
    (void)pthread_mutexattr_init(&adaptive);
    (void)pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    (void)pthread_mutex_init(&log->lock, &adaptive); /* held for some 50 ns */
    (void)pthread_mutexattr_destroy(&adaptive);
    (void)pthread_mutex_init(&log->keep_lock, NULL);
    (void)pthread_mutex_init(&log->make_lock, NULL);
    (void)pthread_cond_init(&log->published_more, NULL);
    atomic_init(&log->published, 0);
    atomic_init(&log->wants_spare, true);
    return log;
}

void audit_log_close(struct audit_log *log, bool clean)
{
    if (log == NULL)
        return;
    if (clean && unlinkat(log->folder, "running", 0) == 0)
        (void)fsync(log->folder); /* else the next opening says that this stop was not clean */
    for (unsigned i = 0; i < log->n_retired; i++)
        audit_segment_close(&log->retired[i].segment);
    audit_segment_close(&log->current);
    audit_segment_close(&log->spare);
    audit_tree_close(&log->tree);
    audit_index_close(&log->index);
    (void)close(log->folder);
    (void)pthread_cond_destroy(&log->published_more);
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_mutex_destroy(&log->keep_lock);
    (void)pthread_mutex_destroy(&log->make_lock);
    free(log);
}

static void close_at(struct audit_log **log)
{
    audit_log_close(*log, false);
}

/* ---- whose log it is ---- */

static enum kt_kind write_identity(int folder, const struct audit_sealer *sealer,
                                   size_t segment_bytes, struct kt_err *err)
{
    unsigned char bytes[IDENTITY_BYTES] = {AUDIT_LOG_FORMAT};
    memcpy(bytes + 1, sealer->vault, 16);
    kt_put_u64(bytes + 17, sealer->log);
    kt_put_u32(bytes + 25, (uint32_t)segment_bytes);
    kt_autoclose int fd =
        openat(folder, "log.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return audit_disk_error(err, "cannot begin an audit log");
    enum kt_kind kind = audit_write_at(fd, 0, bytes, sizeof bytes, "identity", err);
    if (kind != KT_OK)
        return kind;
    if (fsync(fd) != 0 || renameat(folder, "log.new", folder, "log") != 0 || fsync(folder) != 0)
        return audit_disk_error(err, "cannot begin an audit log");
    return KT_OK;
}

struct identity {
    unsigned char vault[16];
    uint64_t log;
    size_t segment_bytes;
};

static void read_identity_1(struct kt_reader *r, void *ret)
{
    struct identity *identity = ret;
    struct kt_bytes vault = kt_read_bytes(r, sizeof identity->vault);
    if (vault.at != NULL)
        memcpy(identity->vault, vault.at, vault.len);
    identity->log = kt_read_u64(r);
    identity->segment_bytes = kt_read_u32(r);
}

static format_reader *const identity_readers[] = {[AUDIT_LOG_FORMAT] = read_identity_1};

/* As much as there is, up to size. -1: errno says why not. */
static ssize_t read_from_start(int fd, unsigned char *to, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, to + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* KT_NOT_FOUND: there is none. */
static enum kt_kind read_identity(int folder, const struct audit_sealer *sealer,
                                  size_t *ret_segment_bytes, struct audit_found *found,
                                  struct kt_err *err)
{
    kt_autoclose int fd = openat(folder, "log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return KT_NOT_FOUND;
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open the audit log");
    unsigned char bytes[IDENTITY_MAX];
    ssize_t n = read_from_start(fd, bytes, sizeof bytes);
    if (n < 0)
        return kt_fail(err, KT_IO, "cannot read the audit log's identity");
    struct identity identity = {0};
    enum kt_kind kind = FORMAT_READ("the audit log's identity", kt_bytes(bytes, (size_t)n),
                                    identity_readers, &identity, err);
    if (kind == KT_OK && identity.segment_bytes < AUDIT_SEGMENT_MIN)
        kind = kt_fail(err, KT_CORRUPT, "the audit log's identity is damaged");
    if (kind != KT_OK)
        return kind;
    if (memcmp(identity.vault, sealer->vault, 16) != 0 || identity.log != sealer->log) {
        found->trouble = AUDIT_OTHER_VAULT;
        return kt_fail(err, KT_PRECONDITION, "the audit log belongs to another vault");
    }
    *ret_segment_bytes = identity.segment_bytes;
    return KT_OK;
}

/* ---- segments there are ---- */

/* The highest number; false when there is none. */
static enum kt_kind last_segment(int folder, bool *ret_any, uint32_t *ret_last, struct kt_err *err)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot list the audit log");
        if (fd >= 0)
            (void)close(fd);
        return kind;
    }
    bool any = false;
    uint32_t last = 0;
    struct dirent *entry = NULL;
    while ((entry = readdir(dir)) != NULL) {
        struct kt_bytes name = kt_str(entry->d_name);
        uint64_t number = 0;
        if (name.len < 5 || strcmp(entry->d_name + name.len - 4, ".seg") != 0 ||
            !kt_u64_parse(kt_bytes(name.at, name.len - 4), UINT32_MAX - 2, &number))
            continue;
        if (!any || number > last)
            last = (uint32_t)number;
        any = true;
    }
    (void)closedir(dir);
    *ret_any = any;
    *ret_last = last;
    return KT_OK;
}

/* ---- finding the end ---- */

struct scan {
    struct audit_log *log;
    struct audit_reader reader;
    struct kt_buf line; /* [0]: room for the leaf's prefix */
    uint64_t size;      /* records found */
    struct audit_mark mark;
    char last_time[AUDIT_TIME_TEXT];
};

/* The value of "time", which opens each line. */
static void note_time(struct scan *scan)
{
    const char *start = "{\"time\":\"";
    struct kt_bytes line = kt_bytes(scan->line.at + 1, scan->line.len - 1);
    size_t from = strlen(start), n = 0;
    if (!kt_bytes_starts(line, start))
        return;
    while (from + n < line.len && n < AUDIT_TIME_TEXT - 1 && line.at[from + n] != '"')
        n++;
    memcpy(scan->last_time, line.at + from, n);
    scan->last_time[n] = '\0';
}

/* Reads the next record and its leaf. KT_NOT_FOUND: the end. */
static enum kt_kind scan_one(struct scan *scan, struct audit_entry *ret, struct kt_err *err)
{
    kt_buf_reset(&scan->line);
    kt_buf_add_u8(&scan->line, 0);
    enum kt_kind kind =
        audit_reader_next(&scan->reader, &scan->log->sealer, scan->size, &scan->line, err);
    if (kind != KT_OK)
        return kind;
    kt_merkle_leaf_in_place(scan->line.at, scan->line.len - 1, ret->leaf);
    ret->segment = scan->reader.record_number;
    ret->offset = (uint32_t)scan->reader.record_offset;
    scan->mark = scan->reader.header.mark;
    return KT_OK;
}

/* Opens all records from the reader's place to the end and writes their index entries. */
static enum kt_kind scan_rest(struct scan *scan, struct kt_err *err)
{
    struct audit_entry entry;
    for (;;) {
        enum kt_kind kind = scan_one(scan, &entry, err);
        if (kind == KT_NOT_FOUND)
            return KT_OK;
        if (kind == KT_OK)
            kind = audit_index_room(&scan->log->index, scan->size + 1, err);
        if (kind == KT_OK)
            kind = audit_index_put(&scan->log->index, scan->size, &entry, err);
        if (kind != KT_OK)
            return kind;
        note_time(scan);
        scan->size++;
    }
}

/* True when index and tree give the trusted root and the last trusted record stands where the index
 * says. The scan then stands behind it. Damage is not an error here: false. */
static enum kt_kind trust_index(struct scan *scan, const struct audit_trust *trust,
                                bool *ret_trusted, struct kt_err *err)
{
    struct kt_merkle_source source = audit_tree_source(&scan->log->tree);
    struct audit_entry entry, again;
    unsigned char root[KT_HASH_BYTES];
    *ret_trusted = false;
    enum kt_kind kind = kt_merkle_root_at(&source, trust->size, root, err);
    if (kind == KT_OK && memcmp(root, trust->root, sizeof root) != 0)
        kind = KT_CORRUPT;
    if (kind == KT_OK)
        kind = audit_index_get(&scan->log->index, trust->size - 1, &entry, err);
    if (kind == KT_OK && entry.offset < scan->log->segment_bytes) {
        audit_reader_seek(&scan->reader, entry.segment, entry.offset);
        scan->size = trust->size - 1;
        kind = scan_one(scan, &again, err);
        *ret_trusted = kind == KT_OK && memcmp(&entry, &again, sizeof entry) == 0;
    }
    if (*ret_trusted) {
        note_time(scan);
        scan->size = trust->size;
    }
    return kind == KT_CORRUPT || kind == KT_NOT_FOUND ? KT_OK : kind;
}

static void scan_from_start(struct scan *scan)
{
    audit_reader_seek(&scan->reader, 0, 0);
    scan->size = 0;
    scan->mark = (struct audit_mark){0, 0};
    scan->last_time[0] = '\0';
}

/* Fills index and tree and checks them against what the store knows. */
static enum kt_kind find_end(struct scan *scan, const struct audit_trust *trust,
                             struct audit_found *found, struct kt_err *err)
{
    struct audit_log *log = scan->log;
    bool trusted = trust->size == 0;
    enum kt_kind kind = KT_OK;
    scan_from_start(scan);
    if (!trusted)
        kind = trust_index(scan, trust, &trusted, err);
    /* The tree alone may be lost, with the leaves intact: cheaper than opening every record. */
    if (kind == KT_OK && !trusted) {
        found->rebuilt = true;
        kind = audit_tree_room(&log->tree, trust->size, err);
        if (kind == KT_OK)
            kind = audit_tree_grow(&log->tree, trust->size, err);
        kind = kind == KT_CORRUPT ? KT_OK : kind;
        kt_merkle_init(&log->tree.edge);
        if (kind == KT_OK)
            kind = trust_index(scan, trust, &trusted, err);
    }
    if (kind == KT_OK && !trusted)
        scan_from_start(scan);
    if (kind == KT_OK)
        kind = scan_rest(scan, err);
    if (kind != KT_OK)
        return kind;

    uint64_t known = trusted ? trust->size : 0;
    found->size = scan->size;
    found->mark = scan->mark;
    memcpy(found->last_time, scan->last_time, sizeof found->last_time);
    kind = log_room(log, scan->size, 3, err);
    if (kind == KT_FULL)
        kind = log_room(log, scan->size, 1, err); /* was made long ago */
    if (kind == KT_FULL)
        kind = audit_tree_room(&log->tree, scan->size, err); /* enough to read and to refuse */
    if (kind == KT_OK)
        kind = audit_tree_set(&log->tree, known, err);
    if (kind == KT_OK)
        kind = audit_tree_grow(&log->tree, scan->size, err);
    struct kt_merkle_source source = audit_tree_source(&log->tree);
    if (kind == KT_OK)
        kind = kt_merkle_root_at(&source, scan->size, found->root, err);
    if (kind != KT_OK)
        return kind;
    if (scan->size < trust->size) {
        found->trouble = AUDIT_SHORT;
        return kt_fail(err, KT_PRECONDITION, "the audit log is too short");
    }
    found->after_trust = scan->size - trust->size;
    unsigned char root[KT_HASH_BYTES];
    kind = kt_merkle_root_at(&source, trust->size, root, err);
    if (kind == KT_OK && trust->size > 0 && memcmp(root, trust->root, sizeof root) != 0) {
        memcpy(found->root, root, sizeof root);
        found->trouble = AUDIT_OTHER_ROOT;
        return kt_fail(err, KT_PRECONDITION, "the audit log has another history");
    }
    return kind;
}

/* ---- mending the end ---- */

/* Bytes up to the last that is not zero. */
static size_t used(const unsigned char *at, size_t len)
{
    while (len >= 8 && kt_get_u64(at + len - 8) == 0)
        len -= 8;
    while (len > 0 && at[len - 1] == 0)
        len--;
    return len;
}

/* Zeroes what is behind the end in this segment; later segments are removed, but for the next one,
 * which becomes the spare. */
static enum kt_kind cut_tail(struct audit_log *log, uint32_t number, size_t offset, uint32_t last,
                             uint64_t *ret_cut, struct kt_err *err)
{
    uint64_t cut = 0;
    enum kt_kind kind =
        audit_segment_open(log->folder, number, log->segment_bytes, &log->current, err);
    if (kind == KT_NOT_FOUND && offset == 0) {
        log->folder_dirty = true;
        kind = audit_segment_create(log->folder, number, log->segment_bytes, &log->current, err);
    }
    if (kind != KT_OK)
        return kind;
    size_t tail = used(log->current.map + offset, log->segment_bytes - offset);
    if (tail > 0)
        kind = audit_segment_cut(&log->current, offset, err);
    cut += tail;
    for (uint32_t later = number + 1; later <= last && kind == KT_OK; later++) {
        struct audit_segment segment = {.fd = -1};
        kind = audit_segment_open(log->folder, later, log->segment_bytes, &segment, err);
        if (kind != KT_OK) {
            kind = kind == KT_NOT_FOUND ? KT_OK : kind;
            continue;
        }
        tail = used(segment.map, segment.bytes);
        cut += tail;
        /* An opening that was killed may have emptied it, and not synced that: old records would be back behind
         * new ones. */
        kind = audit_segment_cut(&segment, tail > 0 ? 0 : segment.bytes, err);
        audit_segment_close(&segment);
        char name[AUDIT_SEGMENT_NAME];
        audit_segment_name(later, name);
        if (later > number + 1 && kind == KT_OK && unlinkat(log->folder, name, 0) != 0)
            kind = kt_fail(err, KT_IO, "cannot remove segment %s of the audit log", name);
        log->folder_dirty = true;
    }
    *ret_cut = cut;
    return kind;
}

static enum kt_kind rewrite(int fd, size_t from, size_t to, struct kt_err *err)
{
    unsigned char bytes[16384];
    while (from < to) {
        size_t n = to - from < sizeof bytes ? to - from : sizeof bytes;
        enum kt_kind kind = audit_read_at(fd, from, bytes, n, "segments", err);
        if (kind == KT_OK)
            kind = audit_write_at(fd, from, bytes, n, "segments", err);
        if (kind != KT_OK)
            return kind;
        from += n;
    }
    return KT_OK;
}

/* What a crash left in the kernel's hands alone may be called synced only after this. After a sync that
 * failed (here, a moment ago, or in the process before) the kernel may hold pages that it takes for
 * written and that are not on the disk: a second sync alone would pass over them, so all that is not
 * known to be synced is written once more. */
static enum kt_kind sync_segments(struct audit_log *log, const struct audit_entry *trusted,
                                  const struct audit_reader *end, struct kt_err *err)
{
    for (uint32_t number = trusted->segment; number <= end->number; number++) {
        char name[AUDIT_SEGMENT_NAME];
        audit_segment_name(number, name);
        kt_autoclose int fd = openat(log->folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return kt_fail(err, KT_IO, "cannot open segment %s of the audit log", name);
        enum kt_kind kind = rewrite(fd, number == trusted->segment ? trusted->offset : 0,
                                    number == end->number ? end->offset : log->segment_bytes, err);
        if (kind != KT_OK)
            return kind;
        if (fdatasync(fd) != 0)
            return kt_fail(err, KT_IO, "cannot sync segment %s of the audit log", name);
    }
    return KT_OK;
}

/* The sync that ends the opening has it. */
static enum kt_kind mark_running(int folder, struct kt_err *err)
{
    kt_autoclose int fd =
        openat(folder, "running", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return audit_disk_error(err, "cannot mark the audit log as open");
    return KT_OK;
}

/* The state in memory for a log of `size` records that ends at the scan's place. */
static void set_state(struct audit_log *log, const struct scan *scan)
{
    log->next = scan->size;
    atomic_store(&log->published, scan->size);
    log->mark = log->published_mark = scan->mark;
    log->at = scan->reader.offset;
}

/* trusted: where the last record stands that the store knows to be synced. */
static enum kt_kind mend(struct audit_log *log, struct scan *scan, const struct audit_entry *trusted,
                         uint32_t last, struct audit_found *found, struct kt_err *err)
{
    uint32_t number = scan->reader.number;
    enum kt_kind kind = cut_tail(log, number, scan->reader.offset, last, &found->bytes_cut, err);
    if (kind == KT_OK)
        kind = sync_segments(log, trusted, &scan->reader, err);
    if (kind == KT_OK)
        kind = mark_running(log->folder, err);
    if (kind != KT_OK)
        return kind;
    set_state(log, scan);
    log->folder_dirty = true;
    log->tree.dirty = true;
    /* No room for the next segment: appends will say so; opening needs none. */
    kind = audit_log_prepare(log, err);
    if (kind != KT_OK && kind != KT_FULL)
        return kind;
    struct audit_synced synced;
    return audit_log_sync(log, &synced, err);
}

/* ---- opening ---- */

static enum kt_kind open_files(struct audit_log *log, struct kt_err *err)
{
    enum kt_kind kind = audit_index_open(log->folder, &log->index, err);
    if (kind == KT_OK)
        kind = audit_tree_open(log->folder, &log->index, &log->tree, err);
    return kind;
}

static enum kt_kind open_folder(int parent, const char *name, int *ret, struct kt_err *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return kt_fail(err, errno == ENOENT ? KT_NOT_FOUND : KT_IO,
                       "cannot open the audit log '%s'", name);
    *ret = fd;
    return KT_OK;
}

static void scan_done(struct scan *scan)
{
    audit_reader_done(&scan->reader);
    kt_buf_free(&scan->line);
}

static enum kt_kind no_log(struct audit_found *found, struct kt_err *err)
{
    found->trouble = AUDIT_NO_LOG;
    return kt_fail(err, KT_PRECONDITION, "the audit log is missing");
}

enum kt_kind audit_log_open(int parent, const char *name, const struct audit_sealer *sealer,
                            const struct audit_trust *trust, struct audit_log **ret,
                            struct audit_found *found, struct kt_err *err)
{
    kt_autoclose int folder = -1;
    size_t segment_bytes = 0;
    bool any = false;
    uint32_t last = 0;
    memset(found, 0, sizeof *found);
    enum kt_kind kind = open_folder(parent, name, &folder, err);
    if (kind == KT_OK)
        kind = read_identity(folder, sealer, &segment_bytes, found, err);
    if (kind == KT_NOT_FOUND)
        return no_log(found, err);
    if (kind == KT_OK)
        kind = last_segment(folder, &any, &last, err);
    if (kind != KT_OK)
        return kind;
    if (!any && trust->size > 0)
        return no_log(found, err);
    found->running = faccessat(folder, "running", F_OK, 0) == 0;

    KT_AUTO(close_at) struct audit_log *log = log_new(folder, sealer, segment_bytes);
    if (log == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit log");
    (void)KT_TAKE_FD(folder);
    kind = open_files(log, err);
    if (kind != KT_OK)
        return kind;
    KT_AUTO(scan_done) struct scan scan = {.log = log};
    kt_buf_init(&scan.line, AUDIT_LINE_MAX + 1);
    audit_reader_init(&scan.reader, log->folder, segment_bytes, SCAN_CHUNK);
    kind = find_end(&scan, trust, found, err);
    struct audit_entry trusted = {.segment = 0};
    if (kind == KT_OK && trust->size > 0)
        kind = audit_index_get(&log->index, trust->size - 1, &trusted, err);
    if (kind == KT_OK)
        kind = mend(log, &scan, &trusted, last, found, err);
    if (kind == KT_OK)
        *ret = KT_TAKE(log);
    return kind;
}

enum kt_kind audit_log_create(int parent, const char *name, const struct audit_sealer *sealer,
                              size_t segment_bytes, struct audit_log **ret, struct kt_err *err)
{
    kt_autoclose int folder = -1;
    bool any = false;
    uint32_t last = 0;
    KT_ASSERT(segment_bytes >= AUDIT_SEGMENT_MIN && segment_bytes <= UINT32_MAX);
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
        return audit_disk_error(err, "cannot make the audit log's folder");
    enum kt_kind kind = open_folder(parent, name, &folder, err);
    if (kind == KT_OK)
        kind = last_segment(folder, &any, &last, err);
    if (kind != KT_OK)
        return kind;
    if (any) {
        (void)kt_fail(err, KT_PRECONDITION,
                      "the folder of the audit log '%s' holds segments "
                      "but not the file 'log' that says whose they are",
                      name);
        kt_hint(err, "put the whole folder back from where it came, or move it away");
        return KT_PRECONDITION;
    }
    if (fsync(parent) != 0)
        return kt_fail(err, KT_IO, "cannot sync the data folder");
    kind = write_identity(folder, sealer, segment_bytes, err);
    KT_AUTO(close_at) struct audit_log *log = NULL;
    if (kind != KT_OK)
        return kind;
    log = log_new(folder, sealer, segment_bytes);
    if (log == NULL)
        return kt_fail(err, KT_NO_MEMORY, "beginning an audit log");
    (void)KT_TAKE_FD(folder);
    struct audit_found found = {0};
    struct scan scan = {.log = log};
    const struct audit_entry none = {.segment = 0};
    kind = open_files(log, err);
    if (kind == KT_OK)
        kind = log_room(log, 0, 3, err);
    if (kind == KT_OK)
        kind = mend(log, &scan, &none, 0, &found, err);
    if (kind == KT_OK)
        kind = audit_log_prepare(log, err); /* a new log begins with its spare, or not at all */
    if (kind == KT_OK)
        *ret = KT_TAKE(log);
    return kind;
}
