/* fill - puts very many secrets, tokens and schedules into an initialised vault that no vaultd serves.
 *
 * The vault's own code in this process, its own records, audited; but many objects go into one commit.
 * Reads the unseal key shares from standard input, a line each. A mount secret/ (KV version 2) and the
 * policy that the tokens name have to be there. What is made:
 *
 *   --secrets N     secret/app/F/I, F = I / 1000, with --bytes of JSON (400)
 *   --children N    secret/many/I, of one small member
 *   --schedules N   the first N of the secrets rotate in one to thirty days, without a target
 *   --due N         that many more, secret/due/I, are due --due-in seconds after this began (60), or in
 *                   --due-groups that are --due-gap seconds apart
 *   --tokens N      with --policy (bench); their texts go to --token-file, a line each; all end
 *                   --token-life seconds after this began (32 days)
 *   --descendants N tokens below one that is the first line of --token-file; ten children each
 *
 * Prints one JSON line. Use a folder on a tmpfs and copy it: each commit syncs. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/num.h"
#include "tests/support/vault.h"
#include "vaultd/auth/token.h"
#include "vaultd/rotation/secret.h"

#define THREADS  4u
#define SHARES   16u
#define TOKEN_S  (INT64_C(32) * 24 * 3600)
#define CHILDREN 10u /* of each token that has descendants */

struct options {
    const char *folder, *policy, *token_path;
    uint64_t secrets, bytes, children, schedules, due, due_in, due_groups, due_gap, tokens, token_life, descendants;
};

struct filler {
    const struct options *options;
    struct core *core;
    int64_t due_ms, tokens_end_ms;
    FILE *token_file;
    pthread_mutex_t lock; /* of token_file */
};

/* What a commit of one kind of object makes of the numbers from..to. */
typedef enum kt_kind put_fn(struct filler *filler, struct request *req, uint64_t i,
                            struct kt_err *err);
struct kind {
    put_fn *put;
    size_t count; /* offset in struct options */
    unsigned each; /* objects a commit: a batch has room for 100 operations */
};

struct slice {
    struct filler *filler;
    const struct kind *kind;
    uint64_t from, to;
};

/* ---- what is made ---- */

static enum kt_kind put_secret(struct request *req, const char *name, uint64_t bytes,
                               struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    struct kv_secret *kv = NULL;
    enum kt_kind kind = secret_place(req, name, &mount, &path, err);
    if (kind == KT_OK)
        kind = kv_load(req->core, mount, req->snapshot, &req->arena, path, &kv, err);
    if (kind != KT_NOT_FOUND)
        return kind == KT_OK ? kt_fail(err, KT_INVALID, "%s is there already", name) : kind;
    char *value = kt_arena_printf(&req->arena, "{\"username\":\"app\",\"password\":\"%0*d\"}",
                                  (int)(bytes > 40 ? bytes - 35 : 5), 7);
    if (value == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making %s", name);
    return kv_write(req->core, mount, req->snapshot, request_batch(req), path, kv,
                    kt_str(value), KV_CURRENT, req->now_ms, err);
}

static const char *app_name(struct request *req, uint64_t i)
{
    return kt_arena_printf(&req->arena, "secret/app/%llu/%llu", (unsigned long long)i / 1000,
                           (unsigned long long)i);
}

static enum kt_kind put_app(struct filler *filler, struct request *req, uint64_t i,
                            struct kt_err *err)
{
    return put_secret(req, app_name(req, i), filler->options->bytes, err);
}

static enum kt_kind put_child(struct filler *filler, struct request *req, uint64_t i,
                              struct kt_err *err)
{
    (void)filler;
    const char *name =
        kt_arena_printf(&req->arena, "secret/many/%llu", (unsigned long long)i);
    return put_secret(req, name, 0, err);
}

static enum kt_kind put_schedule_of(struct request *req, const char *name, int64_t due_ms,
                                    uint64_t days, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, name, &secret, err);
    if (kind != KT_NOT_FOUND)
        return kind == KT_OK ? kt_fail(err, KT_INVALID, "%s has a rotation already", name) : kind;
    secret.settings.strategy = STRATEGY_GENERATE;
    secret.settings.period =
        kt_arena_printf(&req->arena, "%lluh", (unsigned long long)(24 + days % 720));
    kind = due_plan(req, &secret, req->now_ms, err);
    if (kind == KT_OK && due_ms != 0) {
        secret.fire_ms = due_ms;
        kind = due_move(req, &secret, due_ms, err);
    }
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

static enum kt_kind put_schedule(struct filler *filler, struct request *req, uint64_t i,
                                 struct kt_err *err)
{
    (void)filler;
    return put_schedule_of(req, app_name(req, i), 0, i, err);
}

static enum kt_kind put_due(struct filler *filler, struct request *req, uint64_t i,
                            struct kt_err *err)
{
    const char *name = kt_arena_printf(&req->arena, "secret/due/%llu", (unsigned long long)i);
    enum kt_kind kind = put_secret(req, name, filler->options->bytes, err);
    const struct options *options = filler->options;
    uint64_t group = i * options->due_groups / options->due;
    int64_t due_ms = filler->due_ms + (int64_t)(group * options->due_gap) * 1000;
    return kind == KT_OK ? put_schedule_of(req, name, due_ms, 0, err) : kind;
}

/* wish empty: any text. parent NULL: an orphan. */
static enum kt_kind make_token(struct filler *filler, struct request *req, const char *wish,
                               const unsigned char *parent, bool tell, struct kt_err *err)
{
    const char *policies[] = {filler->options->policy};
    struct token token = {.display_name = "token",
                          .entity_id = "",
                          .path = "auth/token/create",
                          .policies = policies,
                          .n_policies = 1,
                          .meta = kt_str("null"),
                          .created_ms = req->now_ms,
                          .expires_ms = filler->tokens_end_ms,
                          .creation_ttl_s = TOKEN_S,
                          .renewable = true};
    if (parent != NULL) {
        token.has_parent = true;
        memcpy(token.parent, parent, sizeof token.parent);
    }
    struct kt_buf text;
    kt_buf_init(&text, 512);
    enum kt_kind kind = token_create(req->core, &req->arena, request_batch(req), &token,
                                     kt_str(wish), &text, err);
    if (kind == KT_OK && tell && filler->token_file != NULL) {
        (void)pthread_mutex_lock(&filler->lock);
        (void)fprintf(filler->token_file, "%s\n", kt_buf_text(&text));
        (void)pthread_mutex_unlock(&filler->lock);
    }
    kt_buf_free(&text);
    return kind;
}

static enum kt_kind put_token(struct filler *filler, struct request *req, uint64_t i, struct kt_err *err)
{
    (void)i;
    return make_token(filler, req, "", NULL, true, err);
}

static void name_descendant(uint64_t i, char out[48])
{
    (void)snprintf(out, 48, "descendant-%llu", (unsigned long long)i);
}

/* The texts are known, so that the hash of a parent is, made or not yet. */
static enum kt_kind put_descendant(struct filler *filler, struct request *req, uint64_t i, struct kt_err *err)
{
    char own[48], parent[48];
    unsigned char key[BARRIER_HASH_KEY];
    name_descendant(i, own);
    name_descendant(i == 0 ? 0 : (i - 1) / CHILDREN, parent);
    barrier_hash_key(req->core->barrier, TABLE_TOKEN, kt_str(parent), key);
    return make_token(filler, req, own, i == 0 ? NULL : key + 1, i == 0, err);
}

static const struct kind kinds[] = {
    {put_app, offsetof(struct options, secrets), 10},
    {put_child, offsetof(struct options, children), 12},
    {put_schedule, offsetof(struct options, schedules), 20},
    {put_due, offsetof(struct options, due), 5},
    {put_token, offsetof(struct options, tokens), 8},
    {put_descendant, offsetof(struct options, descendants), 8},
};

/* ---- many at a time ---- */

static enum kt_kind put_slice(struct request *req, struct kt_err *err)
{
    const struct slice *slice = req->handler_data;
    enum kt_kind kind = request_batch(req) == NULL ? kt_fail(err, KT_NO_MEMORY, "filling") : KT_OK;
    for (uint64_t i = slice->from; kind == KT_OK && i < slice->to; i++)
        kind = slice->kind->put(slice->filler, req, i, err);
    return kind;
}

struct crew {
    struct filler *filler;
    const struct kind *kind;
    uint64_t count;
    atomic_uint_fast64_t next;
};

static void *put_many(void *arg)
{
    struct crew *crew = arg;
    unsigned each = crew->kind->each;
    for (;;) {
        struct slice slice = {.filler = crew->filler, .kind = crew->kind};
        slice.from = atomic_fetch_add(&crew->next, each);
        if (slice.from >= crew->count)
            return NULL;
        slice.to = slice.from + each < crew->count ? slice.from + each : crew->count;
        struct kt_err err = {0};
        if (request_internal(crew->filler->core, "bench/fill", put_slice, &slice, &err) != KT_OK) {
            (void)fprintf(stderr, "fill: %s\n", err.what);
            exit(1);
        }
    }
}

static void fill_kind(struct filler *filler, const struct kind *kind)
{
    struct crew crew = {.filler = filler, .kind = kind};
    memcpy(&crew.count, (const char *)filler->options + kind->count, sizeof crew.count);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, put_many, &crew) != 0)
            abort();
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fill(const struct options *options, const char *const *shares, size_t n_shares)
{
    struct kt_err err = {0};
    struct test_vault *vault = NULL;
    double begun = seconds();
    enum kt_kind kind = test_vault_on_disk(options->folder, &vault, &err);
    if (kind == KT_OK)
        kind = test_vault_unseal(vault, shares, n_shares, false, &err);
    if (kind != KT_OK) {
        (void)fprintf(stderr, "fill: %s\n", err.what);
        return 1;
    }
    struct filler filler = {.options = options, .core = vault->core};
    (void)pthread_mutex_init(&filler.lock, NULL);
    filler.due_ms = kt_wall_ms(&kt_system_clock) + (int64_t)options->due_in * 1000;
    int64_t life_s = options->token_life == 0 ? TOKEN_S : (int64_t)options->token_life;
    filler.tokens_end_ms = kt_wall_ms(&kt_system_clock) + life_s * 1000;
    if (options->token_path != NULL)
        filler.token_file = fopen(options->token_path, "we");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        fill_kind(&filler, &kinds[i]);
    bool written = filler.token_file == NULL || fclose(filler.token_file) == 0;
    test_vault_free(vault);
    (void)printf("{\"seconds\":%.1f,\"due_ms\":%lld,\"tokens_end_ms\":%lld}\n", seconds() - begun,
                 (long long)filler.due_ms, (long long)filler.tokens_end_ms);
    return written ? 0 : 1;
}

/* ---- the command line ---- */

static const struct {
    const char *name;
    size_t text, number; /* offsets in struct options */
} flags[] = {
    {"--folder", offsetof(struct options, folder), SIZE_MAX},
    {"--policy", offsetof(struct options, policy), SIZE_MAX},
    {"--token-file", offsetof(struct options, token_path), SIZE_MAX},
    {"--secrets", SIZE_MAX, offsetof(struct options, secrets)},
    {"--bytes", SIZE_MAX, offsetof(struct options, bytes)},
    {"--children", SIZE_MAX, offsetof(struct options, children)},
    {"--schedules", SIZE_MAX, offsetof(struct options, schedules)},
    {"--due", SIZE_MAX, offsetof(struct options, due)},
    {"--due-in", SIZE_MAX, offsetof(struct options, due_in)},
    {"--due-groups", SIZE_MAX, offsetof(struct options, due_groups)},
    {"--due-gap", SIZE_MAX, offsetof(struct options, due_gap)},
    {"--tokens", SIZE_MAX, offsetof(struct options, tokens)},
    {"--token-life", SIZE_MAX, offsetof(struct options, token_life)},
    {"--descendants", SIZE_MAX, offsetof(struct options, descendants)},
};

static bool parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof flags / sizeof flags[0] && strcmp(argv[i], flags[k].name) != 0)
            k++;
        if (k == sizeof flags / sizeof flags[0])
            return false;
        const char *value = argv[i + 1];
        uint64_t number = 0;
        if (flags[k].text != SIZE_MAX)
            memcpy((char *)options + flags[k].text, &value, sizeof value);
        else if (!kt_u64_parse(kt_str(value), 100000000, &number))
            return false;
        else
            memcpy((char *)options + flags[k].number, &number, sizeof number);
    }
    return argc % 2 == 1 && options->folder != NULL;
}

int main(int argc, char **argv)
{
    static struct options options = {.policy = "bench", .bytes = 400, .due_in = 60, .due_groups = 1};
    static char lines[SHARES][256];
    const char *shares[SHARES];
    size_t n = 0;
    if (!parse(argc, argv, &options)) {
        (void)fprintf(stderr, "usage: fill --folder DATA [--secrets N] [--children N] "
                              "[--schedules N] [--due N] [--tokens N] ... < SHARES\n");
        return 1;
    }
    while (n < SHARES && fgets(lines[n], sizeof lines[n], stdin) != NULL) {
        lines[n][strcspn(lines[n], "\n")] = '\0';
        shares[n] = lines[n];
        n++;
    }
    return fill(&options, shares, n);
}
