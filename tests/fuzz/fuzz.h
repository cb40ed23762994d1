/* tests/fuzz/fuzz.h - what every fuzz target exports. A property that does not hold aborts:
 * KT_ASSERT (lib/assert.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
