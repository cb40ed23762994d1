#include "vaultd/local_call.h"

#include <pthread.h>

#include "vaultd/core/pipeline.h"

struct caller {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool resumed;
};

static void suspend(struct request *req)
{
    struct caller *caller = req->carrier_data;
    (void)pthread_mutex_lock(&caller->lock);
    caller->resumed = false;
    (void)pthread_mutex_unlock(&caller->lock);
}

static void resume(struct request *req)
{
    struct caller *caller = req->carrier_data;
    (void)pthread_mutex_lock(&caller->lock);
    caller->resumed = true;
    (void)pthread_cond_signal(&caller->changed);
    (void)pthread_mutex_unlock(&caller->lock);
}

static const struct request_carrier carrier = {suspend, resume, NULL};

unsigned local_call(struct core *core, const char *method, const char *target, const char *token,
                    const char *body, struct kt_buf *out)
{
    struct caller caller = {.resumed = false};
    struct request req;
    (void)pthread_mutex_init(&caller.lock, NULL);
    (void)pthread_cond_init(&caller.changed, NULL);
    request_init(&req, core, ORIGIN_UNIX, &carrier, &caller);
    req.method = kt_str(method);
    req.target = kt_str(target);
    req.token_text = kt_str(token);
    req.body = kt_str(body);
    memcpy(req.remote_address, "vaultd", sizeof "vaultd");
    while (pipeline_run(&req) == PIPELINE_WAIT) {
        (void)pthread_mutex_lock(&caller.lock);
        while (!caller.resumed)
            (void)pthread_cond_wait(&caller.changed, &caller.lock);
        (void)pthread_mutex_unlock(&caller.lock);
    }
    unsigned status = pipeline_status(&req);
    kt_buf_add_bytes(out, pipeline_body(&req));
    request_free(&req);
    (void)pthread_cond_destroy(&caller.changed);
    (void)pthread_mutex_destroy(&caller.lock);
    return status;
}
