#include "tests/support/meanwhile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "vaultd/core/mounts.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct test_vault *vault;
    const struct visit *visits; /* NULL: none are to be made */
    bool (*meant)(const struct request *req);
    pthread_t caller;
} expected;

static void ask(struct test_vault *vault, const struct visit *visit)
{
    char answer[4096], target[256];
    (void)snprintf(target, sizeof target, "/v1/%s", visit->path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    const struct test_request request = {
        .method = kt_str(visit->method),
        .target = kt_str(target),
        .query = kt_str(query),
        .token = kt_str(visit->token == NULL ? vault->root : visit->token),
        .body = kt_str(visit->body)};
    unsigned status = test_vault_ask_apart(vault, &request, answer, sizeof answer);
    if (status == visit->status)
        return;
    (void)fprintf(stderr, "meanwhile %s %s: %u is expected, %u came: %s\n", visit->method, visit->path,
                  visit->status, status, answer);
    abort();
}

/* A thread of its own, for a thread has one request at a time. */
static void *visit_all(void *arg)
{
    const struct visit *visits = arg;
    for (const struct visit *visit = visits; visit->path != NULL; visit++)
        for (unsigned i = 0; i <= visit->more; i++)
            ask(expected.vault, visit);
    return NULL;
}

void meanwhile(struct test_vault *vault, const struct visit *visits,
               bool (*meant)(const struct request *req))
{
    (void)pthread_mutex_lock(&lock);
    expected.vault = vault;
    expected.visits = visits;
    expected.meant = meant;
    expected.caller = pthread_self();
    (void)pthread_mutex_unlock(&lock);
}

bool meanwhile_over(void)
{
    (void)pthread_mutex_lock(&lock);
    bool made = expected.visits == NULL;
    expected.visits = NULL;
    (void)pthread_mutex_unlock(&lock);
    return made;
}

/* The visits, if this is the request; they are made once. */
static const struct visit *take(const struct request *req)
{
    (void)pthread_mutex_lock(&lock);
    bool is_it = expected.visits != NULL &&
                 (expected.meant == NULL ? pthread_equal(expected.caller, pthread_self()) != 0
                                         : expected.meant(req));
    const struct visit *visits = is_it ? expected.visits : NULL;
    if (is_it)
        expected.visits = NULL;
    (void)pthread_mutex_unlock(&lock);
    return visits;
}

void __real_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch)
{
    const struct visit *visits = take(req);
    pthread_t thread;
    if (visits != NULL &&
        (pthread_create(&thread, NULL, visit_all, (void *)(uintptr_t)visits) != 0 ||
         pthread_join(thread, NULL) != 0))
        abort();
    __real_mounts_require(req, batch);
}
