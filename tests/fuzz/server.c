/* What is accepted is within bounds, and its name reads back as itself, whatever port stands for none. */
#include "lib/driver/server.h"

#include "lib/assert.h"
#include "lib/driver/driver.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct driver_server server = {.name = NULL}, again = {.name = NULL};
    struct kt_err err = {0};
    struct kt_arena arena;
    kt_arena_init(&arena, (size_t)64 * 1024);
    enum kt_kind kind = kt_server_parse(kt_bytes(data, size), 77, &arena, &server, &err);
    if (kind != KT_OK) {
        KT_ASSERT(kind == KT_INVALID && server.name == NULL && err.what[0] != '\0');
    } else {
        KT_ASSERT(server.port > 0 && server.port <= 65535 && server.host[0] != '\0');
        KT_ASSERT(strlen(server.host) < DRIVER_NAME_MAX && strchr(server.host, ',') == NULL);
        KT_ASSERT(kt_server_parse(kt_str(server.name), 78, &arena, &again, NULL) == KT_OK);
        KT_ASSERT(strcmp(again.host, server.host) == 0 && again.port == server.port);
        KT_ASSERT(strcmp(again.name, server.name) == 0 && again.own_port);
        KT_ASSERT(server.own_port || server.port == 77);
    }
    kt_arena_free(&arena);
    return 0;
}
