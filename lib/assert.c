#include "lib/assert.h"

#include <stdio.h>
#include <stdlib.h>

void kt_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "<2>assertion failed place=%s:%d condition=\"%s\"\n", file, line,
                  condition);
    abort();
}
