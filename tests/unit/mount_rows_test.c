/* The rows of an engine that names nothing of its mount: rules of approval about what is in it are about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/core/engine.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

/* A row of a mount that names nothing in it is about all of it, or changes nothing of it. */
static void rows_of_whole_mounts_say_so(void **state)
{
    static const char *const harmless[] = {"tidy/secret-id"};
    static const char *const only_once[] = {"system", "identity", "rotation", "fleet", "token"};
    (void)state;
    for (size_t i = 0; i < n_engines; i++) {
        bool once = false;
        for (size_t j = 0; j < COUNT(only_once); j++)
            once = once || strcmp(only_once[j], engines[i]->type) == 0;
        for (size_t j = 0; !once && j < engines[i]->n_routes; j++) {
            const struct route *row = &engines[i]->routes[j];
            bool writes = row->write != NULL || row->patch != NULL || row->delete_ != NULL, fine = !writes;
            fine = fine || strchr(row->pattern, '{') != NULL || (row->flags & (ROUTE_PUBLIC | ROUTE_OF_MOUNT)) != 0;
            for (size_t k = 0; k < COUNT(harmless); k++)
                fine = fine || strcmp(row->pattern, harmless[k]) == 0;
            if (!fine)
                fail_msg("%s: %s changes all of its mount, and has no ROUTE_OF_MOUNT", engines[i]->type, row->pattern);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_of_whole_mounts_say_so)};
    return cmocka_run_group_tests_name("rows of whole mounts", tests, NULL, NULL);
}
