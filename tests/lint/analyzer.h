/* tests/lint/analyzer.h - what the analysers cannot see, because they look at one file at a time.
 *
 * It is put in front of every file but lib/err.c. kt_fail() returns the kind that it is given: without
 * that, every early return looks as if it could go on. */
#pragma once

#include "lib/err.h"

#define kt_fail(err, kind, ...) ((void)kt_fail(err, kind, __VA_ARGS__), (kind))
