/* lib/http_failure.h - libcurl's codes as errors that say what to do. For lib/http_client.c.
 * Threads: any thread. */
#pragma once

#include "lib/http_client.h"
#include "lib/http_address.h"

extern const struct kt_http_names kt_http_default_names;

struct kt_http_failure {
    int code; /* a CURLcode */
    void *easy;
    const struct kt_http_address *address;
    const char *ca_file; /* "" for the system's */
    const struct kt_http_names *names;
    const char *said;    /* CURLOPT_ERRORBUFFER */
    bool not_local, too_large;
};

enum kt_kind kt_http_failed(const struct kt_http_failure *failure, struct kt_err *err);
