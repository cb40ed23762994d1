/* timing - Welch's t of pairs that a refused client must not tell apart, through the pipeline.
 *
 * The two sides take turns in an order drawn at random; the slowest tenth of the samples is left out.
 * Prints a line per pair: name, t, both means in ns. The last pair is the control: the same request, of
 * which one side spins 5 us longer. timing [SAMPLES] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/num.h"
#include "lib/random.h"
#include "tests/support/vault.h"

#define PLANTED_NS 5000

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void no_suspend(struct request *req)
{
    (void)req;
}
static const struct request_carrier carrier = {no_suspend, no_suspend, NULL};

struct side {
    const char *path, *token;
    int64_t spin_ns;
};

static double sample(struct test_vault *vault, const struct side *side)
{
    struct request req;
    int64_t begun = now_ns();
    request_init(&req, vault->core, ORIGIN_TCP, &carrier, NULL);
    req.method = kt_str("GET");
    req.target = kt_str(side->path);
    req.token_text = kt_str(side->token);
    (void)snprintf(req.remote_address, sizeof req.remote_address, "127.0.0.1");
    (void)pipeline_run(&req);
    unsigned status = pipeline_status(&req);
    request_free(&req);
    int64_t answered = now_ns();
    while (side->spin_ns > 0 && now_ns() - answered < side->spin_ns)
        ;
    int64_t took = now_ns() - begun;
    if (status != 403)
        abort();
    return (double)took;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct series {
    double *at;
    size_t n;
};

static void moments(struct series *of, double *ret_mean, double *ret_variance)
{
    qsort(of->at, of->n, sizeof *of->at, ascending);
    size_t n = of->n - of->n / 10;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += of->at[i];
    for (size_t i = 0; i < n; i++)
        squares += (of->at[i] - sum / (double)n) * (of->at[i] - sum / (double)n);
    *ret_mean = sum / (double)n;
    *ret_variance = squares / (double)(n - 1) / (double)n;
}

static void compare(struct test_vault *vault, const char *name, const struct side sides[2],
                    uint64_t samples)
{
    struct series series[2] = {{calloc(samples, sizeof(double)), 0},
                               {calloc(samples, sizeof(double)), 0}};
    double mean[2], variance[2];
    if (series[0].at == NULL || series[1].at == NULL)
        abort();
    for (unsigned i = 0; i < 200; i++)
        (void)sample(vault, &sides[i % 2]);
    while (series[0].n < samples && series[1].n < samples) {
        unsigned char bits;
        kt_random(&bits, sizeof bits);
        struct series *to = &series[bits & 1];
        to->at[to->n++] = sample(vault, &sides[bits & 1]);
    }
    for (int i = 0; i < 2; i++) {
        moments(&series[i], &mean[i], &variance[i]);
        free(series[i].at);
    }
    printf("%s\t%.1f\t%.0f\t%.0f\n", name, (mean[0] - mean[1]) / sqrt(variance[0] + variance[1]),
           mean[0], mean[1]);
}

int main(int argc, char **argv)
{
    uint64_t samples = 20000;
    if (argc > 1 && !kt_u64_parse(kt_str(argv[1]), 10000000, &samples))
        return 1;
    struct test_vault *vault = test_vault_new(true);
    char known[256], unknown[256], near[256];
    if (test_vault_call(vault, "POST", "secret/data/known", vault->root,
                        "{\"data\":{\"a\":\"b\"}}") != 200)
        abort();
    test_vault_token(vault, "none", "path \"x\" { capabilities = [\"read\"] }", known, sizeof known);
    (void)snprintf(near, sizeof near, "%s", known);
    (void)snprintf(unknown, sizeof unknown, "%s", known);
    char *last = near + strlen(near) - 1;
    *last = *last == 'a' ? 'b' : 'a';
    for (char *c = unknown + 4; *c != '\0'; c++)
        *c = *c == 'x' ? 'y' : 'x';
    const char *a = "/v1/secret/data/known", *b = "/v1/secret/data/other";
    const struct {
        const char *name;
        struct side sides[2];
    } pairs[] = {
        {"unknown and near-miss token", {{a, unknown, 0}, {a, near, 0}}},
        {"unknown token, known and unknown path", {{a, unknown, 0}, {b, unknown, 0}}},
        {"no permission, known and unknown path", {{a, known, 0}, {b, known, 0}}},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        compare(vault, pairs[i].name, pairs[i].sides, samples);
    const struct side control[2] = {{a, known, 0}, {a, known, PLANTED_NS}};
    compare(vault, "control: 5 us planted", control, samples);
    test_vault_free(vault);
    return 0;
}
