/* pipeline - nanoseconds of one authenticated KV read through the pipeline, without HTTP.
 *
 * The same in-process vault as the tests use: store in memory, audit log in a folder, one thread.
 * pipeline [COUNT]: prints one JSON line. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/num.h"
#include "tests/support/vault.h"

static void no_suspend(struct request *req)
{
    (void)req;
}
static const struct request_carrier carrier = {no_suspend, no_suspend};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noinline)) static unsigned read_once(struct test_vault *vault, const char *token)
{
    struct request req;
    request_init(&req, vault->core, ORIGIN_TCP, &carrier, NULL);
    req.method = kt_str("GET");
    req.target = kt_str("/v1/secret/data/app/db");
    req.token_text = kt_str(token);
    (void)snprintf(req.remote_address, sizeof req.remote_address, "127.0.0.1");
    (void)pipeline_run(&req);
    unsigned status = pipeline_status(&req);
    request_free(&req);
    return status;
}

int main(int argc, char **argv)
{
    uint64_t count = 200000;
    if (argc > 1)
        (void)kt_u64_parse(kt_str(argv[1]), 1000000000, &count);
    struct test_vault *vault = test_vault_new(true);
    char token[256];
    test_vault_token(vault, "t", "path \"secret/data/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    char body[512];
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"app_a\",\"password\":\"%0200d\"}}", 7);
    if (test_vault_call(vault, "POST", "secret/data/app/db", vault->root, body) != 200)
        return 1;
    for (int i = 0; i < 1000; i++)
        if (read_once(vault, token) != 200)
            return 1;
    double begun = now_s();
    for (uint64_t i = 0; i < count; i++)
        (void)read_once(vault, token);
    double took = now_s() - begun;
    (void)printf("{\"reads\":%llu,\"ns_per_read\":%.0f}\n", (unsigned long long)count,
                 took * 1e9 / (double)count);
    test_vault_free(vault);
    return 0;
}
