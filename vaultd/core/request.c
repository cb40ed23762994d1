#include "vaultd/core/request.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/uuid.h"
#include "vaultd/core/private.h"
#include "vaultd/identity/identity.h"
#include "vaultd/policy/policy.h"

#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define REPLY_MAX ((size_t)16 * 1024 * 1024)

static void make_uuid(char out[KT_UUID_TEXT])
{
    unsigned char id[KT_UUID_BYTES];
    kt_random_id(id, sizeof id);
    kt_uuid_mark(id);
    kt_uuid_text(id, out);
}

void request_init(struct request *req, struct core *core, enum request_origin origin,
                  const struct request_carrier *carrier, void *carrier_data)
{
    *req = (struct request){.magic = REQUEST_MAGIC,
                            .core = core,
                            .origin = origin,
                            .carrier = carrier,
                            .carrier_data = carrier_data};
    kt_arena_init(&req->arena, ARENA_MAX);
    kt_buf_init(&req->reply.data, REPLY_MAX);
    kt_buf_init(&req->reply.auth, REPLY_MAX);
    make_uuid(req->id);
    req->received_mono_ms = kt_mono_ms(core->clock);
}

void request_scratch_begin(struct request *req, struct kt_arena *ret_kept)
{
    *ret_kept = req->arena;
    kt_arena_init(&req->arena, ret_kept->max);
}

const char *request_scratch_end(struct request *req, const struct kt_arena *kept, const char *keep)
{
    struct kt_arena scratch = req->arena;
    req->arena = *kept;
    const char *copy = keep == NULL ? NULL : kt_arena_text(&req->arena, kt_str(keep));
    kt_arena_free(&scratch);
    return copy;
}

void request_free(struct request *req)
{
    KT_ASSERT(req->magic == REQUEST_MAGIC);
    struct request_private *own = req->own;
    if (own != NULL) {
        KT_ASSERT(!own->entered && req->snapshot == NULL);
        acl_unref(own->acl);
        identity_unref(req->identity);
        kt_buf_free(&own->outcome);
        kt_buf_free(&own->body);
    }
    batch_free(req->batch);
    kt_buf_free(&req->reply.data);
    kt_buf_free(&req->reply.auth);
    kt_arena_free(&req->arena);
    req->magic = 0;
}

struct batch *request_batch(struct request *req)
{
    if (req->batch == NULL)
        req->batch = batch_new();
    return req->batch;
}

bool request_reserve(struct request *req, size_t bytes)
{
    struct kt_buf *const both[] = {&req->reply.data, &req->own->body};
    for (size_t i = 0; i < 2; i++) {
        if (kt_buf_grow(both[i], bytes) == NULL)
            return false;
        both[i]->len -= bytes;
    }
    return true;
}

void request_warn(struct request *req, const char *format, ...)
{
    if (req->reply.n_warnings >= REPLY_WARNINGS_MAX)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = kt_arena_text(&req->arena, kt_str(text));
    if (copy != NULL)
        req->reply.warnings[req->reply.n_warnings++] = copy;
}

void request_log(struct request *req, enum kt_log_level level, const char *event, const char *format, ...)
{
    struct request_private *own = req->own;
    struct log_line *line = kt_arena_take(&req->arena, sizeof *line);
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *copy = kt_arena_text(&req->arena, kt_str(text));
    if (line == NULL || copy == NULL)
        return; /* the arena has failed, and the request with it */
    *line = (struct log_line){.level = level, .event = event, .text = copy};
    *(own->lines == NULL ? &own->lines : own->lines_end) = line;
    own->lines_end = &line->next;
}

void request_log_now(struct request *req)
{
    for (const struct log_line *line = req->own->lines; line != NULL; line = line->next)
        kt_log(line->level, line->event, "%s", line->text);
    request_log_forget(req);
}

void request_log_forget(struct request *req)
{
    req->own->lines = NULL;
}

void request_wait(struct request *req, struct wait_list *list, int64_t deadline_mono_ms)
{
    req->own->wait_on = list;
    req->wait_deadline_ms = deadline_mono_ms;
}

enum kt_kind request_record(struct request *req, struct kt_bytes key, struct kt_bytes *ret,
                            generation *ret_changed, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, STORE_VALUE_MAX);
    enum kt_kind kind =
        barrier_get(req->core->barrier, req->snapshot, key, &plain, ret_changed, err);
    if (kind == KT_NOT_FOUND && err != NULL)
        err->what[0] = '\0';
    if (kind != KT_OK)
        return kind;
    struct kt_bytes bytes = kt_buf_bytes(&plain);
    char *copy = kt_arena_text(&req->arena, bytes);
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a record");
    *ret = kt_bytes(copy, bytes.len);
    return KT_OK;
}

bool request_waits(const struct request *req)
{
    return req->own->wait_on != NULL || req->own->wants_aside;
}

bool request_quiet(const struct request *req)
{
    return req->own->quiet;
}

bool request_aside(struct request *req)
{
    if (req->own->aside || req->origin == ORIGIN_INTERNAL)
        return false;
    req->own->wants_aside = true;
    return true;
}

/* ---- the vault's own requests ---- */

struct internal_crew {
    pthread_mutex_t lock;
    pthread_cond_t resumed;
};

struct internal_call {
    struct internal_crew *crew;
    struct request req;
    bool ready; /* guarded by the crew's lock: pipeline_run() is to be called */
};

static void internal_suspend(struct request *req)
{
    struct internal_call *call = req->carrier_data;
    (void)pthread_mutex_lock(&call->crew->lock);
    call->ready = false;
    (void)pthread_mutex_unlock(&call->crew->lock);
}

static void internal_resume(struct request *req)
{
    struct internal_call *call = req->carrier_data;
    (void)pthread_mutex_lock(&call->crew->lock);
    call->ready = true;
    (void)pthread_cond_signal(&call->crew->resumed);
    (void)pthread_mutex_unlock(&call->crew->lock);
}

static const struct request_carrier internal_carrier = {internal_suspend, internal_resume, NULL};

static void begin_call(struct core *core, struct internal_crew *crew, struct internal_call *call,
                       struct internal_request *wanted)
{
    struct request *req = &call->req;
    call->crew = crew;
    call->ready = true;
    request_init(req, core, ORIGIN_INTERNAL, &internal_carrier, call);
    req->handler_data = wanted->arg;
    req->path = wanted->path;
    req->path_len = strlen(wanted->path);
    req->rest = wanted->path;
    req->op = OP_UPDATE;
    req->own = kt_arena_take(&req->arena, sizeof *req->own);
    if (req->own != NULL)
        req->own->internal = wanted->fn;
    else
        wanted->kind = kt_fail(&wanted->err, KT_NO_MEMORY, "running '%s'", wanted->path);
}

static void end_call(struct internal_call *call, struct internal_request *wanted)
{
    if (call->req.own != NULL) {
        wanted->kind = call->req.own->outcome_kind;
        wanted->err = wanted->kind == KT_OK ? (struct kt_err){0} : call->req.own->err;
    }
    request_free(&call->req);
    call->crew = NULL;
}

/* One that can go on; NULL: none is left. */
static struct internal_call *next_call(struct internal_crew *crew, struct internal_call *calls,
                                       size_t n)
{
    struct internal_call *found = NULL;
    bool left = true;
    (void)pthread_mutex_lock(&crew->lock);
    while (found == NULL && left) {
        left = false;
        for (size_t i = 0; i < n && found == NULL; i++) {
            left = left || calls[i].crew != NULL;
            if (calls[i].crew != NULL && calls[i].ready)
                found = &calls[i];
        }
        if (found == NULL && left)
            (void)pthread_cond_wait(&crew->resumed, &crew->lock);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return found;
}

static void run_calls(struct core *core, struct internal_call *calls,
                      struct internal_request *requests, size_t n)
{
    struct internal_crew crew;
    (void)pthread_mutex_init(&crew.lock, NULL);
    (void)pthread_cond_init(&crew.resumed, NULL);
    for (size_t i = 0; i < n; i++)
        begin_call(core, &crew, &calls[i], &requests[i]);
    struct internal_call *call = NULL;
    while ((call = next_call(&crew, calls, n)) != NULL)
        if (call->req.own == NULL || pipeline_run(&call->req) == PIPELINE_DONE)
            end_call(call, &requests[call - calls]);
    (void)pthread_cond_destroy(&crew.resumed);
    (void)pthread_mutex_destroy(&crew.lock);
}

enum kt_kind request_internal(struct core *core, const char *path, handler_fn *fn, void *arg,
                              struct kt_err *err)
{
    struct internal_request wanted = {.path = path, .fn = fn, .arg = arg};
    struct internal_call call;
    run_calls(core, &call, &wanted, 1);
    if (err != NULL)
        *err = wanted.err;
    return wanted.kind;
}

void request_internal_all(struct core *core, struct internal_request *requests, size_t n)
{
    struct internal_call *calls = n == 0 ? NULL : kt_calloc(n, sizeof *calls);
    if (calls != NULL)
        run_calls(core, calls, requests, n);
    for (size_t i = 0; calls == NULL && i < n; i++)
        requests[i].kind =
            kt_fail(&requests[i].err, KT_NO_MEMORY, "running '%s'", requests[i].path);
    free(calls);
}
