#include "vaultd/http/answer.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define ANSWERS 64u /* a thread keeps; a body's length says which place */

struct answer {
    struct MHD_Response *response;
    size_t len;
    bool tls;
    unsigned char body[];
};

struct answers {
    struct answer *at[ANSWERS]; /* NULL while taken */
};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool keyed;

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

bool answer_headers(struct MHD_Response *response, const char *content_type, bool tls)
{
    return add(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) &&
           add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") &&
           (!tls || add(response, MHD_HTTP_HEADER_STRICT_TRANSPORT_SECURITY,
                        "max-age=31536000; includeSubDomains"));
}

/* ---- what a thread keeps ---- */

/* The library may hold a reference for a moment longer; it does not look at the body any more. */
static void answer_free(struct answer *answer)
{
    if (answer == NULL)
        return;
    if (answer->response != NULL)
        MHD_destroy_response(answer->response);
    free(answer);
}

static void answers_free(void *at)
{
    struct answers *answers = at;
    for (unsigned i = 0; i < ANSWERS; i++)
        answer_free(answers->at[i]);
    free(answers);
}

static void begin(void)
{
    keyed = pthread_key_create(&key, answers_free) == 0;
}

/* NULL: nothing can be kept. */
static struct answers *thread_answers(void)
{
    (void)pthread_once(&once, begin);
    struct answers *answers = keyed ? pthread_getspecific(key) : NULL;
    if (answers != NULL || !keyed)
        return answers;
    answers = kt_calloc(1, sizeof *answers);
    if (answers != NULL && pthread_setspecific(key, answers) != 0) {
        free(answers);
        return NULL;
    }
    return answers;
}

static struct answer **place(struct answers *answers, size_t len)
{
    return &answers->at[len % ANSWERS];
}

/* ---- taking and giving ---- */

static struct answer *answer_new(size_t len, bool tls)
{
    struct answer *answer = kt_malloc(sizeof *answer + len);
    if (answer == NULL)
        return NULL;
    answer->len = len;
    answer->tls = tls;
    answer->response = MHD_create_response_from_buffer(len, answer->body, MHD_RESPMEM_PERSISTENT);
    if (answer->response == NULL || !answer_headers(answer->response, "application/json", tls)) {
        answer_free(answer);
        return NULL;
    }
    return answer;
}

struct answer *answer_take(struct kt_bytes body, bool tls)
{
    if (body.len == 0 || body.len > ANSWER_MAX)
        return NULL;
    struct answers *answers = thread_answers();
    if (answers == NULL)
        return NULL;
    struct answer **kept = place(answers, body.len), *answer = *kept;
    if (answer != NULL && answer->len == body.len && answer->tls == tls)
        *kept = NULL;
    else
        answer = answer_new(body.len, tls);
    if (answer != NULL)
        memcpy(answer->body, body.at, body.len);
    return answer;
}

struct MHD_Response *answer_response(const struct answer *answer)
{
    return answer->response;
}

void answer_give(struct answer *answer)
{
    if (answer == NULL)
        return;
    sodium_memzero(answer->body, answer->len);
    struct answers *answers = thread_answers();
    if (answers == NULL) {
        answer_free(answer);
        return;
    }
    struct answer **kept = place(answers, answer->len);
    answer_free(*kept);
    *kept = answer;
}
