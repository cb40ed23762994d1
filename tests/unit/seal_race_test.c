/* Sealing and unsealing under load: every request has an answer, nothing acknowledged is lost. And without
 * any: nobody waits until the vault would have looked around by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>

#include "tests/support/stuck.h"
#include "tests/support/vault.h"

#define STUCK_S 200u
#define REST_MS 240000 /* longer than what hangs is waited for: looking around by itself helps nobody */
#define WORKERS 3u
#define ROUNDS  8u
#define BETWEEN 12u /* requests of each worker answered between two changes */

struct worker {
    pthread_t thread;
    struct test_vault *vault;
    unsigned number, acknowledged, refused, wrong;
    char first_wrong[200];
    atomic_bool *stop;
    atomic_uint answered;
};

static unsigned ask(struct test_vault *vault, const char *method, const char *path,
                    const char *body, char *out, size_t size)
{
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(path),
                                         .body = kt_str(body),
                                         .token = kt_str(vault->root)};
    return test_vault_ask_apart(vault, &request, out, size);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    char path[64], answer[4096];
    (void)snprintf(path, sizeof path, "/v1/secret/data/w%u", worker->number);
    while (!atomic_load(worker->stop)) {
        const struct {
            const char *method, *path, *body;
            bool write;
        } steps[] = {
            {"POST", path, "{\"data\":{\"k\":\"v\"}}", true},
            {"GET", path, NULL, false},
            {"POST", "/v1/auth/token/create", "{\"ttl\":\"1h\"}", false},
            {"LIST", "/v1/secret/metadata", NULL, false},
            {"POST", "/v1/sys/audit-log/checkpoint", "{}", false},
        };
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            unsigned status = ask(worker->vault, steps[i].method, steps[i].path, steps[i].body,
                                  answer, sizeof answer);
            worker->acknowledged += steps[i].write && status == 200;
            worker->refused += status == 503;
            bool absent = status == 404 && !steps[i].write; /* nothing was written yet */
            if (status != 200 && status != 503 && !absent && worker->wrong++ == 0)
                (void)snprintf(worker->first_wrong, sizeof worker->first_wrong, "%s %s: %u %.100s",
                               steps[i].method, steps[i].path, status, answer);
            atomic_fetch_add(&worker->answered, 1);
        }
    }
    return NULL;
}

/* Each of them: the machine may give one of them its turn much later than the others. */
static void let_them_work(struct worker workers[WORKERS])
{
    unsigned until[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        until[i] = atomic_load(&workers[i].answered) + BETWEEN;
    for (unsigned i = 0; i < WORKERS; i++)
        while (atomic_load(&workers[i].answered) < until[i])
            (void)sched_yield();
}

static void nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    struct worker workers[WORKERS];
    atomic_bool stop = false;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.vault = vault, .number = i, .stop = &stop};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        let_them_work(workers);
        core_seal(vault->core, "test");
        let_them_work(workers);
        bool unsealed = false, all = false;
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(
                core_unseal_share(vault->core, vault->shares[i], false, &unsealed, &all, NULL),
                KT_OK);
        assert_int_equal(core_unsealed(vault->core, false, NULL), KT_OK);
    }
    let_them_work(workers);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WORKERS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        char path[64], version[16];
        if (workers[i].wrong > 0)
            fail_msg("%u wrong answers, the first: %s", workers[i].wrong, workers[i].first_wrong);
        assert_true(workers[i].refused > 0 && workers[i].acknowledged > 0);
        (void)snprintf(path, sizeof path, "secret/metadata/w%u", i);
        assert_int_equal(test_vault_call(vault, "GET", path, vault->root, NULL), 200);
        test_vault_text(vault, "data.current_version", version, sizeof version);
        assert_int_equal(strtoul(version, NULL, 10), workers[i].acknowledged);
    }
    test_vault_free(vault);
}

/* ---- at rest ---- */

/* Rotation is going to sleep: nothing but a wake helps from here on. */
static atomic_uint sleeps;
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (timeout_ms > REST_MS)
        atomic_fetch_add(&sleeps, 1);
    return __real_poll(fds, n, timeout_ms);
}

static void a_sleeping_vault_is_sealed_at_once(void **state)
{
    (void)state;
    stuck_after(STUCK_S, "sealing waits for a thread that nobody woke");
    struct test_vault *vault = test_vault_at_rest();
    while (atomic_load(&sleeps) == 0)
        (void)sched_yield();
    core_seal(vault->core, "test");
    test_vault_free(vault);
    stuck_after(0, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost),
        cmocka_unit_test(a_sleeping_vault_is_sealed_at_once),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("seal_race", tests, NULL, NULL);
}
