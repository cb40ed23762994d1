#include "vaultd/audit/notes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vaultd/audit/index.h"
#include "vaultd/audit/segment.h"

#define TAIL_BYTES ((size_t)64 * 1024) /* holds many notes: ours have some 300 bytes */

/* Where a note may begin: at the start, or behind a signature line. */
static struct kt_bytes first_note(struct kt_bytes tail, const char *origin)
{
    size_t n = strlen(origin);
    while (tail.len > n) {
        if (memcmp(tail.at, origin, n) == 0 && tail.at[n] == '\n')
            return tail;
        const unsigned char *end = memchr(tail.at, '\n', tail.len);
        if (end == NULL)
            break;
        tail.len -= (size_t)(end + 1 - tail.at);
        tail.at = end + 1;
    }
    return kt_bytes(NULL, 0);
}

/* A note is synced before the next is written, so no more than one can be torn, at the end: its
 * sectors may arrive in any order, and half of it can look like a whole one of a wrong key. */
#define TORN_MAX 1024u

static enum kt_kind cut(struct audit_notes *notes, uint64_t len, struct kt_err *err)
{
    if (len == notes->len)
        return KT_OK;
    if (ftruncate(notes->fd, (off_t)len) != 0)
        return kt_fail(err, KT_IO, "cannot mend the file of checkpoints");
    notes->len = len;
    return KT_OK;
}

/* Finds the newest good note and cuts off what a crash left behind it. What is more than that was
 * not left by a crash: it stays, and verification will name it. */
static enum kt_kind read_tail(struct audit_notes *notes, const struct kt_note_key *key,
                              struct kt_err *err)
{
    size_t n = notes->len < TAIL_BYTES ? (size_t)notes->len : TAIL_BYTES;
    kt_autobuf struct kt_buf tail;
    kt_buf_init(&tail, TAIL_BYTES);
    unsigned char *at = n == 0 ? NULL : kt_buf_grow(&tail, n);
    if (at == NULL)
        return n == 0 ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading the checkpoints");
    enum kt_kind kind = audit_read_at(notes->fd, notes->len - n, at, n, "checkpoints", err);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes rest = first_note(kt_bytes(at, n), key->name), note;
    size_t unknown = n; /* bytes behind the last good note */
    while (kt_note_next(&rest, &note)) {
        struct kt_checkpoint checkpoint;
        if (kt_checkpoint_open(note, key, &checkpoint, NULL) != KT_OK)
            continue;
        unknown = rest.len;
        notes->last = checkpoint;
        notes->any = true;
        kt_buf_reset(&notes->note);
        kt_buf_add_bytes(&notes->note, note);
    }
    if (!kt_buf_ok(&notes->note))
        return kt_fail(err, KT_NO_MEMORY, "reading the checkpoints");
    return cut(notes, notes->len - (unknown <= TORN_MAX ? unknown : rest.len), err);
}

enum kt_kind audit_notes_open(int folder, const struct kt_note_key *key, struct audit_notes *notes,
                              struct kt_err *err)
{
    struct stat st;
    memset(notes, 0, sizeof *notes);
    (void)pthread_mutex_init(&notes->lock, NULL);
    kt_buf_init(&notes->note, KT_CHECKPOINT_NOTE_MAX);
    notes->fd =
        openat(folder, "checkpoints", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (notes->fd < 0 || fstat(notes->fd, &st) != 0)
        return audit_disk_error(err, "cannot open the file of checkpoints");
    notes->len = st.st_size > 0 ? (uint64_t)st.st_size : 0;
    return read_tail(notes, key, err);
}

void audit_notes_close(struct audit_notes *notes)
{
    if (notes->fd >= 0)
        (void)close(notes->fd);
    notes->fd = -1;
    kt_buf_free(&notes->note);
    (void)pthread_mutex_destroy(&notes->lock);
}

enum kt_kind audit_notes_add(struct audit_notes *notes, const struct kt_checkpoint *checkpoint,
                             struct kt_bytes note, struct kt_err *err)
{
    enum kt_kind kind =
        audit_write_at(notes->fd, notes->len, note.at, note.len, "checkpoints", err);
    if (kind == KT_OK && fdatasync(notes->fd) != 0)
        kind = kt_fail(err, KT_IO, "cannot sync the file of checkpoints");
    /* What was written of it is overwritten by the next, or cut at the next opening. */
    if (kind != KT_OK)
        return kind;
    (void)pthread_mutex_lock(&notes->lock);
    notes->len += note.len;
    notes->last = *checkpoint;
    notes->any = true;
    kt_buf_reset(&notes->note);
    kt_buf_add_bytes(&notes->note, note);
    bool kept = kt_buf_ok(&notes->note);
    (void)pthread_mutex_unlock(&notes->lock);
    return kept ? KT_OK : kt_fail(err, KT_NO_MEMORY, "keeping a checkpoint");
}

enum kt_kind audit_notes_newest(struct audit_notes *notes, struct kt_buf *out, struct kt_err *err)
{
    (void)pthread_mutex_lock(&notes->lock);
    bool any = notes->any;
    if (any)
        kt_buf_add_bytes(out, kt_buf_bytes(&notes->note));
    (void)pthread_mutex_unlock(&notes->lock);
    if (!any)
        return kt_fail(err, KT_NOT_FOUND, "the audit log has no checkpoint yet");
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading a checkpoint");
}

/* Every stride-th note, and the newest. */
static enum kt_kind thin(const struct audit_notes *notes, uint64_t len, uint64_t stride,
                         struct kt_buf *out, struct kt_err *err)
{
    kt_autobuf struct kt_buf window;
    kt_buf_init(&window, KT_CHECKPOINT_NOTE_MAX);
    uint64_t at = 0, number = 0;
    while (at < len) {
        uint64_t left = len - at;
        size_t n = left < KT_CHECKPOINT_NOTE_MAX ? (size_t)left : KT_CHECKPOINT_NOTE_MAX;
        kt_buf_reset(&window);
        unsigned char *to = kt_buf_grow(&window, n);
        if (to == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading the checkpoints");
        enum kt_kind kind = audit_read_at(notes->fd, at, to, n, "checkpoints", err);
        if (kind != KT_OK)
            return kind;
        struct kt_bytes rest = kt_bytes(to, n), note;
        uint64_t start = at;
        while (kt_note_next(&rest, &note)) {
            at += note.len;
            if (number++ % stride == 0 && at < len)
                kt_buf_add_bytes(out, note);
        }
        if (at == start)
            break; /* not a note: nothing behind it can be told apart */
    }
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "too many checkpoints to send");
}

enum kt_kind audit_notes_read(struct audit_notes *notes, struct kt_buf *out, struct kt_err *err)
{
    (void)pthread_mutex_lock(&notes->lock);
    uint64_t len = notes->len;
    (void)pthread_mutex_unlock(&notes->lock);
    size_t room = out->max > out->len ? out->max - out->len : 0;
    if (len == 0)
        return KT_OK;
    if (len > room) {
        enum kt_kind kind = thin(notes, len, len / (room / 2 + 1) + 1, out, err);
        return kind == KT_OK ? audit_notes_newest(notes, out, err) : kind;
    }
    unsigned char *to = kt_buf_grow(out, (size_t)len);
    if (to == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the checkpoints");
    return audit_read_at(notes->fd, 0, to, (size_t)len, "checkpoints", err);
}
