/* cli/move_pool.h - a few threads that work off a short queue of paths.
 *
 * What:    move_pool_add() waits while the queue is full, so that memory and requests in flight stay
 *          bounded however much there is to do.
 * Owner:   move_pool_start() .. move_pool_finish(), which waits until all is done. A path is copied.
 * Threads: started, fed and finished by one thread; work() runs on the pool's, each with its own number. */
#pragma once

#include "lib/err.h"

#define MOVE_WORKERS 8u

struct move_pool;
typedef void move_work_fn(void *arg, unsigned worker, const char *path);

enum kt_kind move_pool_start(move_work_fn *work, void *arg, struct move_pool **ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* False: no memory for the path. */
bool move_pool_add(struct move_pool *pool, const char *path);
void move_pool_finish(struct move_pool *pool);
