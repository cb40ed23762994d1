/* pipeline - nanoseconds of one authenticated KV read through the pipeline, without HTTP.
 *
 * The same in-process vault as the tests use: store in memory, audit log in a folder.
 * pipeline [COUNT [THREADS]]: prints one JSON line. Instructions, which no noise touches:
 *   valgrind --tool=callgrind --collect-atstart=no --toggle-collect='read_once*' pipeline 2000 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/num.h"
#include "tests/support/vault.h"

#define THREADS_MAX 16u

static void no_suspend(struct request *req)
{
    (void)req;
}
static const struct request_carrier carrier = {no_suspend, no_suspend, NULL};

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
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

struct reader {
    pthread_t thread;
    struct test_vault *vault;
    const char *token;
    uint64_t count;
};

static void *read_many(void *arg)
{
    const struct reader *reader = arg;
    for (uint64_t i = 0; i < reader->count; i++)
        if (read_once(reader->vault, reader->token) != 200)
            abort();
    return NULL;
}

static void run(struct reader *readers, uint64_t n, uint64_t count)
{
    for (uint64_t i = 0; i < n; i++) {
        readers[i].count = count / n;
        if (pthread_create(&readers[i].thread, NULL, read_many, &readers[i]) != 0)
            abort();
    }
    for (uint64_t i = 0; i < n; i++)
        (void)pthread_join(readers[i].thread, NULL);
}

int main(int argc, char **argv)
{
    uint64_t count = 200000, threads = 1;
    bool fine = argc < 2 || kt_u64_parse(kt_str(argv[1]), 1000000000, &count);
    fine = fine && (argc < 3 || kt_u64_parse(kt_str(argv[2]), THREADS_MAX, &threads));
    if (!fine || threads == 0)
        return 2;
    struct test_vault *vault = test_vault_new(true);
    char token[256];
    test_vault_token(vault, "t", "path \"secret/data/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    char body[512];
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"app_a\",\"password\":\"%0200d\"}}", 7);
    if (test_vault_call(vault, "POST", "secret/data/app/db", vault->root, body) != 200)
        return 1;
    struct reader readers[THREADS_MAX];
    for (size_t i = 0; i < THREADS_MAX; i++)
        readers[i] = (struct reader){.vault = vault, .token = token};
    run(readers, threads, 1000 * threads);
    double begun = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    run(readers, threads, count);
    double took = seconds(CLOCK_MONOTONIC) - begun;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    (void)printf("{\"reads\":%llu,\"threads\":%llu,\"ns_per_read\":%.0f,\"cpu_ns_per_read\":%.0f}\n",
                 (unsigned long long)count, (unsigned long long)threads, took * 1e9 / (double)count,
                 cpu * 1e9 / (double)count);
    test_vault_free(vault);
    return 0;
}
