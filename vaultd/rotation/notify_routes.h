/* vaultd/rotation/notify_routes.h - the channels by which people are told: how they are, and a try.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

enum kt_kind notify_list(struct request *req, struct kt_err *err);
enum kt_kind notify_test(struct request *req, struct kt_err *err);
