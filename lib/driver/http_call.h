/* lib/driver/http_call.h - one declared request, made and judged.
 *
 * What:    kt_http_call_open() before the sandbox: where the API is, and whom to believe. Then each
 *          kt_http_call() fills the templates, sends, and says what the answer means. A status counts
 *          only where the declaration has it, and never with an HTML page, which is a proxy's or a
 *          login form's. No redirect is followed. A 429 or 503 that asks for a short wait is tried
 *          again within the step; a longer wait is the engine's.
 * Secrets: they go out in headers and bodies. What comes in is text of the target: what is quoted of it
 *          passes the redactor, and of an answer that says yes nothing is.
 * Owner:   the call is the driver's, until kt_http_call_close(). An answer is valid until the next.
 * Limits:  HTTP_ANSWER_MAX bytes; HTTP_WAIT_MS and HTTP_TRIES for what is to be tried again.
 * Errors:  in the result, see lib/driver/table.h.
 * Threads: one. */
#pragma once

#include "lib/driver/http_api.h"
#include "lib/driver/place.h"
#include "lib/http_client.h"

#define HTTP_ANSWER_MAX ((size_t)256 * 1024)
#define HTTP_WAIT_MS    5000u
#define HTTP_TRIES      3u

struct http_call {
    const struct driver_run *run;
    struct http_api api;
    struct driver_place place;
    struct kt_http *http;
    struct kt_http_response response;
};

/* What came of a request. HTTP_MEANING_COUNT: nothing that says anything. */
struct http_said {
    enum http_meaning meaning;
    unsigned status; /* 0: no answer */
    struct kt_json answer; /* checked; absent: none, or no JSON */
};

/* NULL: without memory, and *ret says so. The same goes for what cannot be found. */
struct http_call *kt_http_call_open(const struct driver_run *run, struct driver_result *ret);
/* What it came from, the arena, has the rest. */
void kt_http_call_close(struct http_call *call);
/* Writes code and text of *ret, and a class that an administrative request would have: DRIVER_OK,
 * DRIVER_REFUSED, DRIVER_PERMANENT, DRIVER_BAD_VALUE, DRIVER_UNREACH. who: whose value the request is
 * about (DRIVER_LOGIN_COUNT: nobody's). id: "" for that login's own. */
struct http_said kt_http_call(struct http_call *call, enum http_request_name name, enum driver_who who,
                              const char *id, struct driver_result *ret);
/* A text of the answer, in the run's arena; NULL: there is none at that pointer. */
const char *kt_http_text(const struct http_call *call, struct kt_json answer, const char *pointer);
/* What the names of templates stand for. */
void kt_http_values(const struct driver_step *step, enum driver_who who, const char *id,
                    char attempt[16], struct template_values *ret);
