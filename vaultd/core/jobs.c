#include "vaultd/core/jobs.h"

#include "vaultd/auth/approle_secret.h"
#include "vaultd/auth/lease.h"
#include "vaultd/auth/token.h"
#include "vaultd/auth/way.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/private.h"
#include "vaultd/engine/kv_clear.h"
#include "vaultd/identity/login.h"

#define FORMAT      1u
#define ROOM        96u /* of STORE_BATCH_OPS */
#define ROW_ROOM    2u  /* to delete a job's row, on condition that it was not put anew */
#define SUBJECT_MAX 8192u

static const struct {
    enum job_kind kind;
    job_fn *step;
} kinds[] = {
    {JOB_TOKEN, token_job},
    {JOB_MOUNT, kv_mount_job},
    {JOB_SECRET, kv_secret_job},
    {JOB_ALIASES, identity_job},
    {JOB_WAY, way_job},
    {JOB_ROLE, way_role_job},
    {JOB_LEASES, lease_revoke_job},
    {JOB_LEASE_PATHS, lease_tidy_job},
    {JOB_LEASES_FORCE, lease_force_job},
};

void job_key(const unsigned char id[JOB_ID], unsigned char key[1 + JOB_ID])
{
    key[0] = TABLE_JOB;
    memcpy(key + 1, id, JOB_ID);
}

enum kt_kind job_put(struct core *core, struct batch *batch, enum job_kind kind,
                     const unsigned char id[JOB_ID], struct kt_bytes subject, struct kt_err *err)
{
    unsigned char key[1 + JOB_ID];
    job_key(id, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, SUBJECT_MAX);
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_u8(&record, (uint8_t)kind);
    kt_buf_add_bytes(&record, subject);
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "noting what is left to do");
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

struct job {
    unsigned kind;
    struct kt_bytes subject;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct job *job = ret;
    job->kind = kt_read_u8(r);
    job->subject = kt_read_bytes(r, r->left);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

struct run {
    int64_t now_ms, life_ms; /* request.h */
    unsigned char from[1 + JOB_ID]; /* where this step begins ... */
    unsigned char next[1 + JOB_ID]; /* ... and the next one */
    bool jobs_first, more, more_due, many;
    bool of_tokens;       /* a job of a token that has ended was looked at */
    unsigned lane, lanes; /* the first alone looks at anything but tokens */
    struct kt_bytes due_from, due_until; /* of job_step */
};

/* Jobs of tokens touch nothing that another's does: steps side by side share them by the last byte of their id,
 * for tokens that end together are neighbours and have the first ones in common. */
static bool is_in_lane(const struct run *run, const struct entry *row)
{
    return row->key.at[JOB_ID] % run->lanes == run->lane;
}

/* *ret_others: another step has it. */
static enum kt_kind step_of(struct job_step *step, struct run *run, const struct entry *row, bool *ret_others,
                            struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, SUBJECT_MAX);
    enum kt_kind kind =
        barrier_open_entry(step->req->core->barrier, row->key, row->value, &record, err);
    struct job job = {0};
    if (kind == KT_OK)
        kind = FORMAT_READ("a job", kt_buf_bytes(&record), readers, &job, err);
    if (kind != KT_OK)
        return kind;
    bool of_token = job.kind == JOB_TOKEN;
    *ret_others = of_token ? !is_in_lane(run, row) : run->lane != 0;
    if (*ret_others)
        return KT_OK;
    run->of_tokens = run->of_tokens || of_token;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((unsigned)kinds[i].kind == job.kind)
            return kinds[i].step(step, job.subject, err);
    (void)kt_fail(err, KT_CORRUPT, "a job of kind %u cannot be done", job.kind);
    kt_hint(err, "it was written by a newer vaultd: install that version");
    return KT_CORRUPT;
}

/* The jobs from run->from on that there is room for; one that fails is left for later. */
static enum kt_kind do_jobs(struct job_step *step, struct cursor *cursor, struct run *run,
                            struct kt_err *err)
{
    enum kt_kind first = KT_OK;
    struct entry row;
    enum store_error found = STORE_OK;
    job_key((const unsigned char[JOB_ID]){0}, run->next);
    while ((found = cursor_next(cursor, &row)) == STORE_OK) {
        struct kt_err why = {0};
        bool others = false;
        if (run->lane != 0 && !is_in_lane(run, &row))
            continue;
        memcpy(run->next, row.key.at, sizeof run->next);
        run->more = step->room <= ROW_ROOM;
        if (run->more)
            return first;
        step->done = false;
        step->room -= ROW_ROOM;
        enum kt_kind kind = step_of(step, run, &row, &others, &why);
        if (others) {
            step->room += ROW_ROOM;
            continue;
        }
        if (kind == KT_OK && !step->done) {
            run->more = true; /* it took all the room */
            return first;
        }
        if (kind == KT_OK) {
            batch_require(step->batch, KEY_CHANGED_AT, row.key, row.changed);
            batch_delete(step->batch, row.key);
        } else if (first == KT_OK) {
            first = kind;
            *err = why;
        }
    }
    job_key((const unsigned char[JOB_ID]){0}, run->next);
    if (found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the jobs");
    return first;
}

static enum kt_kind take_jobs(struct job_step *step, struct run *run, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_JOB};
    struct cursor *cursor = NULL;
    if (cursor_open(step->req->snapshot, kt_bytes(prefix, 1), kt_bytes(run->from, sizeof run->from),
                    &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "reading the jobs");
    enum kt_kind kind = do_jobs(step, cursor, run, err);
    cursor_close(cursor);
    return kind;
}

/* What ends by its time: tokens, secret ids. */
static enum kt_kind take_due(struct job_step *step, bool *ret_more, struct kt_err *err)
{
    bool tokens = false, secrets = false;
    enum kt_kind kind = token_due(step, &tokens, err);
    struct kt_err of_secrets = {0};
    enum kt_kind other = secret_id_due(step, &secrets, &of_secrets);
    *ret_more = tokens || secrets;
    if (kind == KT_OK && other != KT_OK)
        *err = of_secrets;
    return kind == KT_OK ? other : kind;
}

static enum kt_kind run_step(struct request *req, struct kt_err *err)
{
    struct run *run = req->handler_data;
    struct job_step step = {
        .req = req, .batch = request_batch(req), .now_ms = run->now_ms, .life_ms = run->life_ms, .room = ROOM,
        .due_from = run->due_from, .due_until = run->due_until};
    if (step.batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying");
    batch_relief(step.batch);
    struct kt_err of_jobs = {0}, of_due = {0};
    enum kt_kind jobs = KT_OK;
    bool first = run->lane == 0;
    run->more = run->more_due = run->of_tokens = false;
    if (run->jobs_first)
        jobs = take_jobs(&step, run, &of_jobs);
    enum kt_kind due = first ? take_due(&step, &run->more_due, &of_due) : token_due(&step, &run->more_due, &of_due);
    if (!run->jobs_first)
        jobs = take_jobs(&step, run, &of_jobs);
    run->many = run->more_due || (run->more && run->of_tokens);
    /* Who ends a token leaves a job: what was done is a reason to look again. */
    run->more = run->more || run->more_due || batch_ops(step.batch) > 0;
    /* What could be done is committed; a failure is told when there was nothing else. */
    if (batch_ops(step.batch) > 0 || (due == KT_OK && jobs == KT_OK))
        return KT_OK;
    *err = due != KT_OK ? of_due : of_jobs;
    return due != KT_OK ? due : jobs;
}

/* A look without a request: nothing due means nothing to record. */
static bool anything_due(struct core *core, const struct run *run)
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return false;
    const unsigned char prefix[1] = {TABLE_JOB};
    struct cursor *cursor = NULL;
    struct entry row;
    bool due = token_any_due(snapshot, run->life_ms) || secret_id_any_due(snapshot, run->now_ms);
    if (!due && cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor) == STORE_OK)
        due = cursor_next(cursor, &row) == STORE_OK;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return due;
}

/* The first failure counts when none got on: one damaged row must not hold up what the others have to do. */
static enum kt_kind sum_up(struct core_private *own, const struct internal_request *requests, const struct run *runs,
                           unsigned lanes, bool *ret_more, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    bool more = false;
    own->jobs_many = false;
    for (unsigned i = 0; i < lanes; i++) {
        if (requests[i].kind != KT_OK && kind == KT_OK) {
            kind = requests[i].kind;
            *err = requests[i].err;
        }
        own->jobs_many = own->jobs_many || (requests[i].kind == KT_OK && runs[i].many);
        more = more || (requests[i].kind == KT_OK && runs[i].more);
    }
    *ret_more = more;
    return more ? KT_OK : kind;
}

/* Neighbours' shares end where the next one's begin: the steps read each row once, and what they change lies
 * on few pages. The last takes what is beyond; the first none: what is no token's is its alone. False: the
 * index cannot be read now. */
static bool share_due(struct core *core, struct run *runs, unsigned lanes, unsigned char starts[][TOKEN_DUE_KEY])
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return false;
    token_due_shares(snapshot, runs[0].life_ms, ROOM / TOKEN_END_COSTS, starts + 1, lanes - 1);
    snapshot_end(snapshot);
    memcpy(starts[0], starts[1], TOKEN_DUE_KEY); /* from there to there: nothing */
    for (unsigned i = 0; i < lanes; i++) {
        runs[i].due_from = kt_bytes(starts[i], TOKEN_DUE_KEY);
        if (i + 1 < lanes)
            runs[i].due_until = kt_bytes(starts[i + 1], TOKEN_DUE_KEY);
    }
    return true;
}

/* One step after the other; several side by side as long as more tokens are due than one commit holds: their
 * batches share folds, and with them the disk's syncs. */
static enum kt_kind run(struct core *core, bool *ret_more, struct kt_err *err)
{
    struct core_private *own = core->own;
    struct run runs[JOB_LANES];
    struct internal_request requests[JOB_LANES];
    unsigned lanes = own->jobs_many ? JOB_LANES : 1;
    struct run first = {.now_ms = kt_wall_ms(core->clock), .jobs_first = own->jobs_first, .lanes = lanes};
    first.life_ms = pass_expiry_ms(core, first.now_ms);
    if (!anything_due(core, &first))
        return KT_OK;
    for (unsigned i = 0; i < lanes; i++) {
        runs[i] = first;
        runs[i].lane = i;
        memcpy(runs[i].from, own->jobs_from[i], sizeof first.from);
        memcpy(runs[i].next, own->jobs_from[i], sizeof first.next);
        requests[i] = (struct internal_request){.path = "sys/housekeeping", .fn = run_step, .arg = &runs[i]};
    }
    unsigned char starts[JOB_LANES][TOKEN_DUE_KEY];
    if (lanes > 1 && !share_due(core, runs, lanes, starts))
        runs[0].lanes = lanes = 1;
    request_internal_all(core, requests, lanes);
    own->jobs_first = !own->jobs_first;
    for (unsigned i = 0; i < lanes; i++)
        memcpy(own->jobs_from[i], runs[i].next, sizeof own->jobs_from[i]);
    return sum_up(own, requests, runs, lanes, ret_more, err);
}

enum kt_kind jobs_run(struct core *core, bool *ret_more, struct kt_err *err)
{
    *ret_more = false;
    (void)pthread_mutex_lock(&core->own->tidying);
    enum kt_kind kind = run(core, ret_more, err);
    (void)pthread_mutex_unlock(&core->own->tidying);
    return kind;
}
