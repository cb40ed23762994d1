#include "vaultd/audit/device.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/timespec.h"

#define FILL_BYTES    ((size_t)64 * 1024)   /* of lines at a time */
#define FILL_CHUNK    ((size_t)16 * 1024)   /* read from the log at a time */
#define PENDING_BYTES ((size_t)1024 * 1024) /* lines on their way; more are read from the log */
#define OFFERED       0x100u /* beside enum audit_device_work: what requests offered */
#define DEVICE_MAGIC  0x61646576u

struct lines { /* of records that follow each other */
    struct kt_buf text;
    uint64_t from, n;
};

struct audit_device {
    uint32_t magic;
    const struct audit_device_type *type;
    struct audit_log *log;
    char *path;
    int64_t timeout_ms;
    atomic_bool failing; /* written under lock */
    pthread_t thread;

    /* the thread's own */
    struct audit_place place;
    struct lines writing;
    uint64_t next_at_look; /* when it was last seen to be the same */
    bool placed;           /* next was found out from what the device holds */
    bool doubtful;         /* a write failed: more than next says may be in it */

    pthread_mutex_t lock;
    pthread_cond_t wake, done; /* for the thread; for who waits for it */
    /* guarded by lock */
    struct lines pending;
    uint64_t next;         /* record it needs next */
    uint64_t wanted;       /* somebody waits for all below */
    unsigned asked;        /* enum audit_device_work, OFFERED */
    uint64_t rounds;       /* that the thread has ended */
    bool working, stop, ended, abandoned, said;
    int64_t call_since_ms; /* the device has the thread since; 0: it has not */
    struct kt_err why;     /* it fails */
};

static const struct audit_device_type *const types[] = {&audit_device_file};

/* ---- time ---- */

int64_t audit_device_deadline_ms(const struct audit_device *device)
{
    return kt_timespec_mono_ms() + device->timeout_ms;
}

/* False: that time is over. The lock is held. */
static bool wait_done(struct audit_device *device, int64_t deadline_ms)
{
    const struct timespec until = kt_timespec_of_ms(deadline_ms);
    return pthread_cond_timedwait(&device->done, &device->lock, &until) == 0;
}

static bool hangs(const struct audit_device *device)
{
    return device->call_since_ms != 0 && kt_timespec_mono_ms() - device->call_since_ms >= device->timeout_ms;
}

/* ---- failing; the lock is held ---- */

static void fail(struct audit_device *device, const struct kt_err *err)
{
    device->why = *err;
    atomic_store(&device->failing, true);
    if (!device->said)
        kt_log_err(KT_LOG_ERROR, "audit-device-failed", err);
    device->said = true;
}

static void fail_late(struct audit_device *device)
{
    struct kt_err err = {0};
    bool in_call = device->call_since_ms != 0;
    errno = 0;
    (void)kt_fail(&err, KT_BUSY, "the audit device '%s' %s", device->path,
                  in_call ? "does not answer" : "is catching up");
    if (in_call)
        kt_hint(&err, "look at the file system it is on, or take it out of the configuration; vaultd "
                      "goes on by itself when it answers");
    fail(device, &err);
}

static void works_again(struct audit_device *device)
{
    if (device->said)
        kt_log(KT_LOG_NOTICE, "audit-device-works", "path=\"%s\"", device->path);
    device->said = false;
    atomic_store(&device->failing, false);
}

/* ---- the thread: calls that a device may hang in ---- */

static void call_begins(struct audit_device *device)
{
    (void)pthread_mutex_lock(&device->lock);
    device->call_since_ms = kt_timespec_mono_ms();
    (void)pthread_mutex_unlock(&device->lock);
}

/* False: nobody waits for this thread any more, and the log may be gone. */
static bool call_ends(struct audit_device *device)
{
    (void)pthread_mutex_lock(&device->lock);
    device->call_since_ms = 0;
    bool go_on = !device->abandoned;
    (void)pthread_mutex_unlock(&device->lock);
    return go_on;
}

static enum kt_kind given_up(struct kt_err *err)
{
    return kt_fail(err, KT_BUSY, "the audit device is being closed");
}

static enum kt_kind open_place(struct audit_device *device, struct kt_err *err)
{
    call_begins(device);
    enum kt_kind kind = device->type->open(&device->place, err);
    return call_ends(device) ? kind : given_up(err);
}

static void close_place(struct audit_device *device)
{
    call_begins(device);
    device->type->close(&device->place);
    (void)call_ends(device);
}

static enum kt_kind write_place(struct audit_device *device, struct kt_bytes bytes,
                                struct kt_err *err)
{
    call_begins(device);
    enum kt_kind kind = device->type->write(&device->place, bytes, err);
    device->doubtful = kind != KT_OK;
    return call_ends(device) ? kind : given_up(err);
}

/* ---- the thread: where the device stands ---- */

/* The number that ends a record's line: ,"seq":N} */
static bool line_seq(struct kt_bytes line, uint64_t *ret)
{
    static const char label[] = ",\"seq\":";
    size_t end = line.len;
    if (end == 0 || line.at[end - 1] != '}')
        return false;
    size_t start = end - 1;
    while (start > 0 && line.at[start - 1] >= '0' && line.at[start - 1] <= '9')
        start--;
    size_t n = sizeof label - 1;
    return start >= n && memcmp(line.at + start - n, label, n) == 0 &&
           kt_u64_parse(kt_bytes(line.at + start, end - 1 - start), UINT64_MAX, ret);
}

static void set_next(struct audit_device *device, uint64_t next)
{
    (void)pthread_mutex_lock(&device->lock);
    device->next = next;
    (void)pthread_cond_broadcast(&device->done);
    (void)pthread_mutex_unlock(&device->lock);
}

static uint64_t next_of(struct audit_device *device)
{
    (void)pthread_mutex_lock(&device->lock);
    uint64_t next = device->next;
    (void)pthread_mutex_unlock(&device->lock);
    return next;
}

static enum kt_kind same_record(struct audit_device *device, uint64_t seq, struct kt_bytes line,
                                bool *ret_same, struct kt_err *err)
{
    struct audit_reader reader;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, AUDIT_LINE_MAX);
    enum kt_kind kind = audit_log_reader(device->log, seq, FILL_CHUNK, &reader, err);
    if (kind != KT_OK)
        return kind;
    kind = audit_log_read(device->log, &reader, seq, &record, err);
    audit_reader_done(&reader);
    if (kind == KT_OK)
        *ret_same = kt_bytes_equal(line, kt_buf_bytes(&record));
    return kind;
}

/* Sets next to the record behind the one the device ends with, if that one is of this log; after a
 * write that failed only if it got that far: what somebody took out is not written again. */
static enum kt_kind find_next(struct audit_device *device, struct kt_err *err)
{
    kt_autobuf struct kt_buf last;
    kt_buf_init(&last, 2 * AUDIT_LINE_MAX);
    call_begins(device);
    enum kt_kind kind = device->type->last_line(&device->place, &last, err);
    if (!call_ends(device))
        return given_up(err);
    uint64_t seq = 0;
    bool same = false;
    if (kind == KT_OK && line_seq(kt_buf_bytes(&last), &seq) && seq < audit_log_size(device->log))
        kind = same_record(device, seq, kt_buf_bytes(&last), &same, err);
    if (kind != KT_OK)
        return kind;
    if (same && (!device->placed || seq + 1 > next_of(device)))
        set_next(device, seq + 1);
    device->placed = true;
    device->doubtful = false;
    device->next_at_look = next_of(device);
    return KT_OK;
}

/* ---- the thread: filling ---- */

static bool stopping(struct audit_device *device)
{
    (void)pthread_mutex_lock(&device->lock);
    bool stop = device->stop;
    (void)pthread_mutex_unlock(&device->lock);
    return stop;
}

static enum kt_kind fill_with(struct audit_device *device, struct audit_reader *reader,
                              struct kt_buf *lines, uint64_t next, uint64_t upto,
                              struct kt_err *err)
{
    while (next < upto) {
        enum kt_kind kind = audit_log_read(device->log, reader, next, lines, err);
        if (kind != KT_OK)
            return kind;
        kt_buf_add_char(lines, '\n');
        next++;
        if (lines->len < FILL_BYTES && next < upto)
            continue;
        if (!kt_buf_ok(lines))
            return kt_fail(err, KT_NO_MEMORY, "filling the audit device '%s'", device->path);
        kind = write_place(device, kt_buf_bytes(lines), err);
        if (kind != KT_OK)
            return kind;
        set_next(device, next);
        kt_buf_reset(lines);
        if (stopping(device))
            return given_up(err);
    }
    return KT_OK;
}

/* Records [next, upto) from the log. */
static enum kt_kind fill(struct audit_device *device, uint64_t upto, struct kt_err *err)
{
    uint64_t next = next_of(device);
    if (next >= upto)
        return KT_OK;
    struct audit_reader reader;
    kt_autobuf struct kt_buf lines;
    kt_buf_init(&lines, FILL_BYTES + AUDIT_LINE_MAX + 1);
    enum kt_kind kind = audit_log_reader(device->log, next, FILL_CHUNK, &reader, err);
    if (kind != KT_OK)
        return kind;
    kind = fill_with(device, &reader, &lines, next, upto, err);
    audit_reader_done(&reader);
    return kind;
}

/* What requests left on their way; false: nothing, or something else was asked meanwhile, which must
 * not wait until nobody has a line any more. */
static bool take_pending(struct audit_device *device)
{
    kt_buf_reset(&device->writing.text);
    (void)pthread_mutex_lock(&device->lock);
    struct lines taken = device->pending;
    bool any = taken.n > 0 && (device->asked & ~OFFERED) == 0;
    if (any) {
        device->pending = device->writing;
        device->pending.n = 0;
        device->writing = taken;
    }
    (void)pthread_mutex_unlock(&device->lock);
    return any;
}

static enum kt_kind write_pending(struct audit_device *device, struct kt_err *err)
{
    const struct lines *lines = &device->writing;
    enum kt_kind kind = fill(device, lines->from, err);
    if (kind != KT_OK || next_of(device) != lines->from || !kt_buf_ok(&lines->text))
        return kind; /* some of them are in it already: the log has the rest */
    kind = write_place(device, kt_buf_bytes(&lines->text), err);
    if (kind == KT_OK)
        set_next(device, lines->from + lines->n);
    return kind;
}

static enum kt_kind bring_up_to_date(struct audit_device *device, bool all, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    while (kind == KT_OK && take_pending(device) && !stopping(device))
        kind = write_pending(device, err);
    if (kind != KT_OK)
        return kind;
    (void)pthread_mutex_lock(&device->lock);
    uint64_t upto = device->wanted; /* what did not fit on its way, or came before its turn */
    (void)pthread_mutex_unlock(&device->lock);
    return fill(device, all ? audit_log_size(device->log) : upto, err);
}

/* ---- the thread: one round ---- */

static enum kt_kind look(struct audit_device *device, bool reopen)
{
    struct audit_look seen = {.same = true};
    call_begins(device);
    device->type->look(&device->place, &seen);
    if (!call_ends(device))
        return KT_BUSY;
    if (seen.cut)
        kt_log(KT_LOG_WARNING, "audit-device-cut", "path=\"%s\" next=\"%s\"", device->path,
               "what is missing in it is in the log: secretctl audit export");
    if (seen.lost)
        set_next(device, device->next_at_look);
    device->next_at_look = next_of(device);
    if (reopen || !seen.same)
        close_place(device);
    return KT_OK;
}

static enum kt_kind work(struct audit_device *device, unsigned asked, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    bool looks = (asked & (DEVICE_LOOK | DEVICE_REOPEN)) != 0;
    if (looks && device->place.fd >= 0)
        kind = look(device, (asked & DEVICE_REOPEN) != 0);
    if (kind == KT_OK && device->place.fd < 0)
        kind = open_place(device, err);
    if (kind == KT_OK && (!device->placed || device->doubtful))
        kind = find_next(device, err);
    return kind == KT_OK ? bring_up_to_date(device, asked != OFFERED, err) : kind;
}

/* What failed is tried again when somebody looks, not for every record. */
static bool worthwhile(const struct audit_device *device, unsigned asked)
{
    return device->place.fd >= 0 || (asked & (DEVICE_LOOK | DEVICE_REOPEN)) != 0;
}

static void round_ended(struct audit_device *device, enum kt_kind kind, const struct kt_err *err,
                        int64_t took_ms)
{
    if (device->abandoned || device->stop)
        return;
    if (kind != KT_OK)
        fail(device, err);
    else if (atomic_load(&device->failing) && took_ms < device->timeout_ms)
        works_again(device);
}

static void free_device(struct audit_device *device)
{
    kt_buf_free(&device->pending.text);
    kt_buf_free(&device->writing.text);
    (void)pthread_cond_destroy(&device->wake);
    (void)pthread_cond_destroy(&device->done);
    (void)pthread_mutex_destroy(&device->lock);
    free(device->path);
    device->magic = 0;
    free(device);
}

static void *run(void *arg)
{
    struct audit_device *device = KT_OBJECT(struct audit_device, arg, DEVICE_MAGIC);
    (void)pthread_mutex_lock(&device->lock);
    while (!device->stop) {
        if (device->asked == 0) {
            (void)pthread_cond_wait(&device->wake, &device->lock);
            continue;
        }
        unsigned asked = device->asked;
        device->asked = 0;
        device->working = true;
        (void)pthread_mutex_unlock(&device->lock);
        struct kt_err err = {0};
        int64_t begun_ms = kt_timespec_mono_ms();
        enum kt_kind kind = worthwhile(device, asked) ? work(device, asked, &err) : KT_OK;
        bool tried = kind != KT_OK || device->place.fd >= 0;
        if (kind != KT_OK && device->place.fd >= 0)
            close_place(device);
        (void)pthread_mutex_lock(&device->lock);
        if (tried)
            round_ended(device, kind, &err, kt_timespec_mono_ms() - begun_ms);
        device->working = false;
        device->rounds++;
        (void)pthread_cond_broadcast(&device->done);
    }
    (void)pthread_mutex_unlock(&device->lock);
    close_place(device);
    (void)pthread_mutex_lock(&device->lock);
    bool abandoned = device->abandoned;
    device->ended = true;
    (void)pthread_cond_broadcast(&device->done);
    (void)pthread_mutex_unlock(&device->lock);
    if (abandoned)
        free_device(device);
    return NULL;
}

/* ---- for everybody else ---- */

bool audit_device_failing(struct audit_device *device)
{
    return atomic_load_explicit(&device->failing, memory_order_relaxed);
}

/* The lock is held. */
static void ask(struct audit_device *device, unsigned work_)
{
    device->asked |= work_;
    if (!device->working)
        (void)pthread_cond_signal(&device->wake);
}

void audit_device_ask(struct audit_device *device, unsigned work_)
{
    (void)pthread_mutex_lock(&device->lock);
    ask(device, work_);
    (void)pthread_mutex_unlock(&device->lock);
}

void audit_device_settle(struct audit_device *device)
{
    int64_t deadline_ms = audit_device_deadline_ms(device);
    (void)pthread_mutex_lock(&device->lock);
    uint64_t wanted = device->rounds + (device->working ? 1 : 0) + (device->asked != 0 ? 1 : 0);
    while (device->rounds < wanted && !hangs(device) && wait_done(device, deadline_ms))
        ;
    (void)pthread_mutex_unlock(&device->lock);
}

/* The story of a device that fails. The lock is held. */
static enum kt_kind tell_why(const struct audit_device *device, struct kt_err *err)
{
    if (err != NULL)
        *err = device->why;
    return device->why.kind;
}

enum kt_kind audit_device_ready(struct audit_device *device, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    int64_t deadline_ms = audit_device_deadline_ms(device);
    (void)pthread_mutex_lock(&device->lock);
    if (audit_device_failing(device) && !hangs(device)) {
        /* A round that is under way may have begun before the device was mended. */
        uint64_t wanted = device->rounds + (device->working ? 2 : 1);
        ask(device, DEVICE_LOOK);
        while (audit_device_failing(device) && device->rounds < wanted &&
               wait_done(device, deadline_ms))
            ;
        if (audit_device_failing(device) && device->rounds < wanted)
            fail_late(device);
    }
    if (audit_device_failing(device))
        kind = tell_why(device, err);
    (void)pthread_mutex_unlock(&device->lock);
    return kind;
}

void audit_device_offer(struct audit_device *device, uint64_t seq, struct kt_bytes line)
{
    (void)pthread_mutex_lock(&device->lock);
    struct lines *pending = &device->pending;
    if (!audit_device_failing(device)) {
        if (pending->n == 0) {
            kt_buf_reset(&pending->text);
            pending->from = seq;
        }
        if (seq == pending->from + pending->n && pending->text.len + line.len < PENDING_BYTES) {
            kt_buf_add_bytes(&pending->text, line);
            pending->n++;
        }
        if (device->wanted <= seq)
            device->wanted = seq + 1;
        ask(device, OFFERED);
    }
    (void)pthread_mutex_unlock(&device->lock);
}

enum kt_kind audit_device_wait(struct audit_device *device, uint64_t upto, int64_t deadline_ms,
                               struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    (void)pthread_mutex_lock(&device->lock);
    while (device->next < upto && !audit_device_failing(device))
        if (!wait_done(device, deadline_ms) && device->next < upto)
            fail_late(device);
    if (device->next < upto)
        kind = tell_why(device, err);
    (void)pthread_mutex_unlock(&device->lock);
    return kind;
}

/* ---- birth and end ---- */

static struct audit_device *new_device(const struct audit_device_config *config,
                                       const struct audit_device_type *type, struct audit_log *log,
                                       uint64_t start)
{
    struct audit_device *device = kt_calloc(1, sizeof *device);
    char *path = kt_malloc(strlen(config->path) + 1);
    if (device == NULL || path == NULL) {
        free(device);
        free(path);
        return NULL;
    }
    memcpy(path, config->path, strlen(config->path) + 1);
    *device = (struct audit_device){.magic = DEVICE_MAGIC,
                                    .type = type,
                                    .log = log,
                                    .path = path,
                                    .place = {.path = path, .fd = -1},
                                    .next = start,
                                    .next_at_look = start,
                                    .timeout_ms = config->timeout_ms};
    atomic_init(&device->failing, true); /* until it was opened */
    (void)kt_fail(&device->why, KT_BUSY, "the audit device '%s' was not opened yet", path);
    kt_buf_init(&device->pending.text, PENDING_BYTES);
    kt_buf_init(&device->writing.text, PENDING_BYTES);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&device->lock, NULL);
    (void)pthread_cond_init(&device->wake, &monotonic);
    (void)pthread_cond_init(&device->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return device;
}

enum kt_kind audit_device_start(const struct audit_device_config *config, struct audit_log *log,
                                uint64_t start, struct audit_device **ret, struct kt_err *err)
{
    const struct audit_device_type *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i]->name, config->type) == 0)
            type = types[i];
    if (type == NULL)
        return kt_fail(err, KT_INVALID, "there is no audit device of the type '%s'; there is: file",
                       config->type);
    struct audit_device *device = new_device(config, type, log, start);
    if (device == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the audit device '%s'", config->path);
    errno = pthread_create(&device->thread, NULL, run, device);
    if (errno != 0) {
        free_device(device);
        return kt_fail(err, KT_IO, "cannot start the thread of the audit device '%s'",
                       config->path);
    }
    *ret = device;
    return KT_OK;
}

void audit_device_stop(struct audit_device *device)
{
    if (device == NULL)
        return;
    pthread_t thread = device->thread;
    (void)pthread_mutex_lock(&device->lock);
    device->stop = true;
    (void)pthread_cond_signal(&device->wake);
    while (!device->ended && !hangs(device))
        (void)wait_done(device, device->call_since_ms != 0
                                    ? device->call_since_ms + device->timeout_ms
                                    : audit_device_deadline_ms(device));
    device->abandoned = !device->ended;
    bool joins = device->ended;
    if (!joins)
        kt_log(KT_LOG_WARNING, "audit-device-hangs", "path=\"%s\" next=\"%s\"", device->path,
               "what it lacks is written when it is opened the next time");
    (void)pthread_mutex_unlock(&device->lock);
    if (!joins) {
        (void)pthread_detach(thread);
        return;
    }
    (void)pthread_join(thread, NULL);
    free_device(device);
}
