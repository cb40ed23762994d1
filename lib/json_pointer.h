/* lib/json_pointer.h - a value inside a JSON document, by its pointer: "/keys/0/secret".
 *
 * Source:  RFC 6901. "" is the whole document; "~1" is '/', "~0" is '~'.
 * Limits:  a pointer of JSON_POINTER_MAX bytes; its names as long.
 * Owner:   the result is a span of the document's text.
 * Threads: any thread. */
#pragma once

#include "lib/json.h"

#define JSON_POINTER_MAX 200u

/* Well-formed? */
bool kt_json_pointer_is(const char *pointer);
/* In checked text. False: there is no such value. */
bool kt_json_pointer(struct kt_json document, const char *pointer, struct kt_json *ret);
