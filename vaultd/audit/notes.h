/* vaultd/audit/notes.h - the file of signed checkpoints in a log's folder.
 *
 * Format:  "checkpoints": signed notes (lib/checkpoint.h), one behind the other. A torn end, which a
 *          crash may leave, is cut off when it is opened.
 * Threads: adding: one thread at a time; reading: any thread, and never behind a disk. */
#pragma once

#include <pthread.h>

#include "lib/checkpoint.h"

struct audit_notes {
    int fd;
    pthread_mutex_t lock;
    /* guarded by lock; written by the adder alone */
    uint64_t len;
    bool any;
    struct kt_checkpoint last; /* the newest with a good signature */
    struct kt_buf note;        /* its text */
};
/* KT_OK also when there is none yet. audit_notes_close() it, also after an error. */
enum kt_kind audit_notes_open(int folder, const struct kt_note_key *key,
                              struct audit_notes *notes, struct kt_err *err) KT_MUST_CHECK;
void audit_notes_close(struct audit_notes *notes);
/* The newest note, appended to out. KT_NOT_FOUND. */
enum kt_kind audit_notes_newest(struct audit_notes *notes, struct kt_buf *out,
                                struct kt_err *err) KT_MUST_CHECK;
/* Adds a note and syncs. What could not be written whole is taken back. */
enum kt_kind audit_notes_add(struct audit_notes *notes, const struct kt_checkpoint *checkpoint,
                             struct kt_bytes note, struct kt_err *err) KT_MUST_CHECK;
/* All, as far as out can take them: when it cannot, every second, third, ... and the newest. */
enum kt_kind audit_notes_read(struct audit_notes *notes, struct kt_buf *out,
                              struct kt_err *err) KT_MUST_CHECK;
