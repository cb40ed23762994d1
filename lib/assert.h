/* lib/assert.h - assertions that stay on in production.
 *
 * KT_ASSERT checks what we would have broken ourselves: arguments, invariants, the magic number of
 * every void * that comes back from a callback. It prints place and condition, never a value, and
 * aborts. It never checks input, memory, disk or peers: those are errors (lib/err.h). */
#pragma once

#include <stdint.h>

_Noreturn void kt_assert_failed(const char *condition, const char *file, int line);

#define KT_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : kt_assert_failed(#condition, __FILE__, __LINE__))

/* The object behind a callback's void *, whose first field is a uint32_t magic. */
#define KT_OBJECT(type, pointer, wanted)                                                           \
    __extension__({                                                                                \
        type *kt_object = (pointer);                                                               \
        KT_ASSERT(kt_object != NULL && kt_object->magic == (wanted));                              \
        kt_object;                                                                                 \
    })
