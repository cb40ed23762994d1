/* vaultd/core/pipeline.h - the one way from a request to its answer.
 *
 * route -> authenticate -> authorise -> audit -> handle -> commit -> audit -> reply. A refusal at
 * any step is recorded too. Order of checks, Vault's: printable path, body size, relative
 * path, sealed, rate-limit quota, trailing slash on write, token, existence, policy, audit, handler. */
#pragma once

#include "vaultd/core/request.h"

enum pipeline_state {
    PIPELINE_DONE, /* pipeline_status(), pipeline_body() are final; the carrier sends them */
    PIPELINE_WAIT  /* the carrier was suspended; call pipeline_run() again after resume() */
};
enum pipeline_state pipeline_run(struct request *req);

/* After PIPELINE_DONE: the status, the body (rendered once, lives until request_free(); what it was made of is
 * gone by then) and its content type. An empty body has length 0 (204, HEAD is the carrier's). */
unsigned pipeline_status(const struct request *req);
struct kt_bytes pipeline_body(const struct request *req);
const char *pipeline_content_type(const struct request *req);
/* After the request's first pass: a token was accepted. */
bool pipeline_authenticated(const struct request *req);
/* Between resume() and the next pipeline_run(): the request only waited for news, nothing of it is
 * under way, and a carrier whose client has gone may request_free() it. */
bool pipeline_waited(const struct request *req);

/* For the core's desks: finish what was deferred to them, or run a long read there. */
void pipeline_deferred(struct request *req);
void pipeline_aside(struct request *req);
