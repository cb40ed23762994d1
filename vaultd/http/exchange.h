/* vaultd/http/exchange.h - one request and its reply on a connection: libmicrohttpd's callbacks.
 *
 * begin (request line) -> first step (header) -> steps (body) -> last step -> [suspended, step]*
 * -> end. What each may do is libmicrohttpd's rule:
 * - A reply queued in the first step closes the connection and reads no body: used for refusals
 * only.
 * - In between nothing can be queued; a body that grew too large is read and thrown away, bounded.
 * - A suspended connection has no time-out and does not notice its client going: whoever suspended
 *   it resumes it by a deadline.
 * Threads: the connection's daemon thread; resuming comes from any thread.
 * For listener.c alone. */
#pragma once

#include "vaultd/http/server.h"

#define EXCHANGE_TARGET_MAX 5120u

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_step(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state);
void exchange_end(void *cls, struct MHD_Connection *mhd, void **state,
                  enum MHD_RequestTerminationCode code);
