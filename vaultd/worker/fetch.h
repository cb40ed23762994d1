/* vaultd/worker/fetch.h - a document from an address that somebody wrote into the vault's settings.
 *
 * What:    https alone, verified, TLS 1.2 or newer, no redirect, no proxy, nothing compressed, no more than
 *          FETCH_BODY_MAX bytes and FETCH_TIMEOUT_MS. The name is looked up first; then all but connections to the
 *          address's port is given up (cell.h). Addresses that lib/may_connect.h refuses are refused as they are
 *          connected to.
 * Threads: the worker's one. */
#pragma once

#include "lib/fetch.h"

/* Appends the result's message to out. False: out of memory. */
bool fetch_serve(struct kt_bytes message, struct kt_arena *arena, struct kt_buf *out);
