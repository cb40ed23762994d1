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
#include "vaultd/auth/lockout.h"

#define PLANTED_NS 5000
/* As long as those that vaultd makes: a record's length is its own. */
#define KNOWN_ID "0f4c1d2e-1b2a-4c3d-8e9f-0a1b2c3d4e5f"
#define OTHER_ID "9a8b7c6d-5e4f-4a3b-9c2d-1e0f9a8b7c6d"

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct side {
    const char *path, *token, *body; /* body NULL: a read */
    int64_t spin_ns;
};
struct pair {
    const char *name;
    struct side sides[2];
    unsigned status;
    int64_t pause_ms; /* on the vault's clock, before each: so that no name is locked out */
    uint64_t each;    /* of so many samples one is taken: it is a dear one */
};

static int64_t begun_ns, ended_ns;

static void begin(void *arg)
{
    (void)arg;
    begun_ns = now_ns();
}

static void answered(void *arg)
{
    const struct side *side = arg;
    int64_t at = now_ns();
    while (side->spin_ns > 0 && now_ns() - at < side->spin_ns)
        ;
    ended_ns = now_ns();
}

static double sample(struct test_vault *vault, const struct pair *pair, unsigned which)
{
    struct side side = pair->sides[which];
    const struct test_request request = {.method = kt_str(side.body == NULL ? "GET" : "POST"),
                                         .target = kt_str(side.path),
                                         .token = kt_str(side.token),
                                         .body = kt_str(side.body),
                                         .address = "127.0.0.1",
                                         .begin = begin,
                                         .answered = answered,
                                         .arg = &side};
    vault->now_ms += pair->pause_ms;
    if (test_vault_ask(vault, &request) != pair->status) {
        (void)fprintf(stderr, "%s: %u %s\n", pair->name, vault->status, vault->body);
        exit(1);
    }
    return (double)(ended_ns - begun_ns);
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

static void compare(struct test_vault *vault, const struct pair *pair, uint64_t samples)
{
    samples = pair->each > 1 ? samples / pair->each : samples;
    struct series series[2] = {{calloc(samples, sizeof(double)), 0},
                               {calloc(samples, sizeof(double)), 0}};
    double mean[2], variance[2];
    if (series[0].at == NULL || series[1].at == NULL)
        abort();
    for (unsigned i = 0; i < (pair->each > 1 ? 4 : 200); i++)
        (void)sample(vault, pair, i % 2);
    while (series[0].n < samples && series[1].n < samples) {
        unsigned char bits;
        kt_random(&bits, sizeof bits);
        struct series *to = &series[bits & 1];
        to->at[to->n++] = sample(vault, pair, bits & 1);
    }
    for (int i = 0; i < 2; i++) {
        moments(&series[i], &mean[i], &variance[i]);
        free(series[i].at);
    }
    printf("%s\t%.1f\t%.0f\t%.0f\n", pair->name, (mean[0] - mean[1]) / sqrt(variance[0] + variance[1]),
           mean[0], mean[1]);
}

static void make_logins(struct test_vault *vault)
{
    static const char *const steps[][2] = {
        {"sys/auth/userpass", "{\"type\":\"userpass\"}"},
        {"sys/auth/approle", "{\"type\":\"approle\"}"},
        {"auth/userpass/users/bob", "{\"password\":\"right\"}"},
        {"auth/approle/role/ci", "{\"role_id\":\"" KNOWN_ID "\"}"},
        {"auth/approle/role/ci/custom-secret-id", "{\"secret_id\":\"right\"}"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (test_vault_call(vault, "POST", steps[i][0], vault->root, steps[i][1]) >= 300)
            abort();
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
    make_logins(vault);
    const char *a = "/v1/secret/data/known", *b = "/v1/secret/data/other";
    const char *bob = "/v1/auth/userpass/login/bob", *eve = "/v1/auth/userpass/login/eve";
    const char *role = "/v1/auth/approle/login", *wrong = "{\"password\":\"wrong\"}";
    const char *known_id = "{\"role_id\":\"" KNOWN_ID "\",\"secret_id\":\"wrong\"}";
    const char *other_id = "{\"role_id\":\"" OTHER_ID "\",\"secret_id\":\"wrong\"}";
    const struct pair pairs[] = {
        {"unknown and near-miss token", {{a, unknown, NULL, 0}, {a, near, NULL, 0}}, 403, 0, 1},
        {"unknown token, known and unknown path", {{a, unknown, NULL, 0}, {b, unknown, NULL, 0}}, 403, 0, 1},
        {"no permission, known and unknown path", {{a, known, NULL, 0}, {b, known, NULL, 0}}, 403, 0, 1},
        {"approle, wrong secret id and unknown role id",
         {{role, NULL, known_id, 0}, {role, NULL, other_id, 0}}, 400, LOCKOUT_MS, 1},
        {"userpass, wrong password and unknown user",
         {{bob, NULL, wrong, 0}, {eve, NULL, wrong, 0}}, 400, LOCKOUT_MS, 100},
        {"control: 5 us planted", {{a, known, NULL, 0}, {a, known, NULL, PLANTED_NS}}, 403, 0, 1},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        compare(vault, &pairs[i], samples);
    test_vault_free(vault);
    return 0;
}
