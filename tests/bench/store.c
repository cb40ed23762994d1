/* tests/bench/store.c - what the store costs beside bare LMDB, in one run on one disk.
 *
 *   store [FOLDER [KEYS]]     prints the figures; FOLDER (default: here) says which disk is meant
 *
 * The second half runs this program again under tests/support/sync_shim.c, each sync 5 ms long:
 * there the rate of 64 clients against that of one shows the folding alone. It is 32 when two
 * groups take turns, and more as far as clients are back before the next fold begins. */
#include <lmdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/support/folder.h"
#include "vaultd/store/store.h"

#define KEY_BYTES   32u
#define VALUE_BYTES 256u
#define OUTCOME     200u

static uint64_t keys = 100000;

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void make_key(uint64_t n, unsigned char out[KEY_BYTES])
{
    memset(out, 0, KEY_BYTES);
    out[0] = 1;
    uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    kt_put_be64(out + 1, x ^ (x >> 32));
}

static uint64_t pick(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % keys;
}

/* Bytes that this process has handed to write calls. */
static double written(void)
{
    char text[256] = "";
    FILE *file = fopen("/proc/self/io", "re");
    unsigned long long bytes = 0;
    while (file != NULL && fgets(text, sizeof text, file) != NULL)
        if (sscanf(text, "wchar: %llu", &bytes) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return (double)bytes;
}

/* ---- writing ---- */

struct clients {
    struct store *store;
    sem_t room;
    atomic_ulong done;
    bool outcome;
    uint64_t seed;
};

static void on_done(void *arg, const struct commit_result *result)
{
    struct clients *clients = arg;
    KT_ASSERT(result->error == STORE_OK);
    store_outcomes_synced(clients->store, result->at - 1);
    (void)atomic_fetch_add(&clients->done, 1);
    (void)sem_post(&clients->room);
}

static void wait_room(struct clients *clients)
{
    while (sem_wait(&clients->room) != 0)
        ;
}

struct rate {
    double per_s, bytes; /* bytes written for each commit */
};

static void add(struct rate *sum, struct rate one, double rounds)
{
    sum->per_s += one.per_s / rounds;
    sum->bytes += one.bytes / rounds;
}

static struct rate commits(struct store *store, unsigned in_flight, bool outcome, double seconds)
{
    static unsigned char value[VALUE_BYTES], record[OUTCOME];
    struct clients clients = {.store = store, .outcome = outcome, .seed = 7};
    (void)sem_init(&clients.room, 0, in_flight);
    double begin = now_s(), bytes = written();
    while (now_s() < begin + seconds) {
        wait_room(&clients);
        unsigned char key[KEY_BYTES];
        make_key(pick(&clients.seed), key);
        struct batch *batch = batch_new();
        KT_ASSERT(batch != NULL);
        batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(value, sizeof value));
        if (outcome)
            batch_outcome(batch, kt_bytes(record, sizeof record));
        store_commit(store, batch, on_done, &clients);
    }
    double took = now_s() - begin;
    unsigned long done = atomic_load(&clients.done);
    for (unsigned i = 0; i < in_flight; i++)
        wait_room(&clients);
    return (struct rate){(double)done / took,
                         (written() - bytes) / (double)atomic_load(&clients.done)};
}

static void fill(struct store *store)
{
    static unsigned char value[VALUE_BYTES];
    struct clients clients = {.store = store};
    (void)sem_init(&clients.room, 0, 64);
    for (uint64_t n = 0; n < keys;) {
        struct batch *batch = batch_new();
        KT_ASSERT(batch != NULL);
        for (unsigned i = 0; i < STORE_BATCH_OPS && n < keys; i++, n++) {
            unsigned char key[KEY_BYTES];
            make_key(n, key);
            batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(value, sizeof value));
        }
        wait_room(&clients);
        store_commit(store, batch, on_done, &clients);
    }
    for (unsigned i = 0; i < 64; i++)
        wait_room(&clients);
}

/* ---- bare LMDB: the same keys and values, the same head, one put a commit ---- */

struct bare {
    MDB_env *env;
    MDB_dbi data, head;
};

static void bare_put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void *value,
                     size_t len)
{
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)value};
    KT_ASSERT(mdb_put(txn, dbi, &k, &v, 0) == 0);
}

static void bare_open(struct bare *bare, const char *folder)
{
    static const unsigned char value[VALUE_BYTES + 8];
    MDB_txn *txn = NULL;
    KT_ASSERT(mdb_env_create(&bare->env) == 0 && mdb_env_set_maxdbs(bare->env, 4) == 0 &&
              mdb_env_set_mapsize(bare->env, UINT64_C(64) << 30) == 0 &&
              mdb_env_open(bare->env, folder, MDB_NOTLS, 0600) == 0);
    KT_ASSERT(mdb_txn_begin(bare->env, NULL, 0, &txn) == 0 &&
              mdb_dbi_open(txn, "data", MDB_CREATE, &bare->data) == 0 &&
              mdb_dbi_open(txn, "head", MDB_CREATE, &bare->head) == 0);
    KT_ASSERT(mdb_txn_commit(txn) == 0 && mdb_env_set_flags(bare->env, MDB_NOSYNC, 1) == 0);
    /* In as many transactions as the store, so that the tree and the free list have its shape. */
    for (uint64_t n = 0; n < keys;) {
        KT_ASSERT(mdb_txn_begin(bare->env, NULL, 0, &txn) == 0);
        for (unsigned i = 0; i < 10 * STORE_BATCH_OPS && n < keys; i++, n++) {
            unsigned char key[KEY_BYTES];
            make_key(n, key);
            bare_put(txn, bare->data, key, sizeof key, value, sizeof value);
        }
        KT_ASSERT(mdb_txn_commit(txn) == 0);
    }
    KT_ASSERT(mdb_env_set_flags(bare->env, MDB_NOSYNC, 0) == 0 && mdb_env_sync(bare->env, 1) == 0);
}

static struct rate bare_commits(struct bare *bare, double seconds)
{
    static const unsigned char value[VALUE_BYTES + 8], head[108];
    uint64_t seed = 7;
    unsigned long done = 0;
    double begin = now_s(), bytes = written();
    while (now_s() < begin + seconds) {
        MDB_txn *txn = NULL;
        unsigned char key[KEY_BYTES];
        make_key(pick(&seed), key);
        KT_ASSERT(mdb_txn_begin(bare->env, NULL, 0, &txn) == 0);
        bare_put(txn, bare->data, key, sizeof key, value, sizeof value);
        bare_put(txn, bare->head, "head", 4, head, sizeof head);
        KT_ASSERT(mdb_txn_commit(txn) == 0);
        done++;
    }
    return (struct rate){(double)done / (now_s() - begin), (written() - bytes) / (double)done};
}

/* ---- reading ---- */

#define READS 400000

/* snapshot, one get, end; or with one snapshot for all of them. */
static double reads_ns(struct store *store, bool each)
{
    uint64_t seed = 3, sum = 0;
    struct snapshot *snapshot = NULL;
    KT_ASSERT(snapshot_begin(store, &snapshot) == STORE_OK);
    double begin = now_s();
    for (int i = 0; i < READS; i++) {
        unsigned char key[KEY_BYTES];
        make_key(pick(&seed), key);
        if (each) {
            snapshot_end(snapshot);
            KT_ASSERT(snapshot_begin(store, &snapshot) == STORE_OK);
        }
        struct entry entry;
        KT_ASSERT(snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) == STORE_OK);
        sum += entry.value.len;
    }
    double took = now_s() - begin;
    snapshot_end(snapshot);
    KT_ASSERT(sum == (uint64_t)READS * VALUE_BYTES);
    return took * 1e9 / READS;
}

static double bare_reads_ns(struct bare *bare, bool each)
{
    uint64_t seed = 3, sum = 0;
    MDB_txn *txn = NULL;
    KT_ASSERT(mdb_txn_begin(bare->env, NULL, MDB_RDONLY, &txn) == 0);
    double begin = now_s();
    for (int i = 0; i < READS; i++) {
        unsigned char key[KEY_BYTES];
        make_key(pick(&seed), key);
        if (each) {
            mdb_txn_reset(txn);
            KT_ASSERT(mdb_txn_renew(txn) == 0);
        }
        MDB_val k = {sizeof key, key}, v;
        KT_ASSERT(mdb_get(txn, bare->data, &k, &v) == 0);
        sum += v.mv_size;
    }
    double took = now_s() - begin;
    mdb_txn_abort(txn);
    KT_ASSERT(sum == (uint64_t)READS * (VALUE_BYTES + 8));
    return took * 1e9 / READS;
}

static double snapshots_ns(struct store *store)
{
    double begin = now_s();
    for (int i = 0; i < READS; i++) {
        struct snapshot *snapshot = NULL;
        KT_ASSERT(snapshot_begin(store, &snapshot) == STORE_OK);
        snapshot_end(snapshot);
    }
    return (now_s() - begin) * 1e9 / READS;
}

static double scans_ns(struct store *store)
{
    uint64_t seen = 0;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    KT_ASSERT(snapshot_begin(store, &snapshot) == STORE_OK);
    double begin = now_s();
    KT_ASSERT(cursor_open(snapshot, kt_str("\x01"), kt_str(""), &cursor) == STORE_OK);
    struct entry entry;
    while (cursor_next(cursor, &entry) == STORE_OK)
        seen++;
    double took = now_s() - begin;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return took * 1e9 / (double)seen;
}

/* ---- */

static struct store *open_store(const char *folder)
{
    struct store_config config = {.engine = STORE_LMDB, .path = folder};
    struct store *store = NULL;
    struct kt_err err = {0};
    if (store_open(&config, &store, &err) != KT_OK) {
        (void)fprintf(stderr, "%s (%s)\n", err.what, err.hint);
        exit(1);
    }
    return store;
}

static void line(const char *what, double ours, double bare, const char *unit)
{
    (void)printf("store %-42s %8.0f %s", what, ours, unit);
    if (bare > 0)
        (void)printf("   bare LMDB %8.0f   ratio %.2f", bare, ours / bare);
    (void)printf("\n");
    (void)fflush(stdout);
}

static void figures(const char *folder)
{
    char at[400];
    (void)snprintf(at, sizeof at, "%s/bare", folder);
    KT_ASSERT(mkdir(at, 0700) == 0);
    struct bare bare;
    bare_open(&bare, at);
    struct store *store = open_store(folder);
    fill(store);
    line("snapshot, begin and end", snapshots_ns(store), 0, "ns");
    line("snapshot, get, end", reads_ns(store, true), bare_reads_ns(&bare, true), "ns");
    line("get", reads_ns(store, false), bare_reads_ns(&bare, false), "ns");
    line("scan, per entry", scans_ns(store), 0, "ns");
    static const struct {
        const char *what;
        unsigned in_flight;
        bool outcome;
    } rows[] = {{"commits, 1 in flight", 1, false},
                {"commits with outcome, 1 in flight", 1, true},
                {"commits, 64 in flight", 64, false},
                {"commits with outcome, 64 in flight", 64, true}};
    struct rate rates[4] = {0}, bare_rate = {0};
    for (int round = 0; round < 3; round++) { /* in turns: the disk is shared */
        add(&bare_rate, bare_commits(&bare, 0.7), 3);
        for (size_t i = 0; i < 4; i++)
            add(&rates[i], commits(store, rows[i].in_flight, rows[i].outcome, 0.7), 3);
    }
    for (size_t i = 0; i < 4; i++)
        line(rows[i].what, rates[i].per_s, bare_rate.per_s, "/s");
    for (size_t i = 0; i < 4; i++) {
        char what[80];
        (void)snprintf(what, sizeof what, "bytes, %s", rows[i].what);
        line(what, rates[i].bytes, bare_rate.bytes, "each");
    }
    store_close(store);
    mdb_env_close(bare.env);
}

static void slow_figures(const char *folder)
{
    struct store *store = open_store(folder);
    keys = 1000;
    fill(store);
    double one = commits(store, 1, true, 2).per_s, many = commits(store, 64, true, 2).per_s;
    (void)printf("store with syncs of 5 ms: %.1f commits/s at 1, %.0f at 64: ratio %.1f (at least "
                 "25)\n",
                 one, many, many / one);
    store_close(store);
}

static void run_slow(const char *program, const char *folder)
{
    char preload[600], inner[400];
    const char *slash = strrchr(program, '/');
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%.*s/../support/sync_shim.so",
                   (int)(slash - program), program);
    (void)snprintf(inner, sizeof inner, "%s/slow", folder);
    if (access(strchr(preload, '=') + 1, R_OK) != 0) {
        (void)printf("store with syncs of 5 ms: not measured, make shims first\n");
        return;
    }
    KT_ASSERT(mkdir(inner, 0700) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    KT_ASSERT(pid >= 0);
    if (pid == 0) {
        char *arguments[] = {(char *)(uintptr_t)program, (char[]){"--slow"}, inner, NULL};
        char *environment[] = {preload, (char[]){"KT_SYNC_DELAY_US=5000"}, NULL};
        (void)execve(program, arguments, environment);
        _exit(127);
    }
    int status = 0;
    KT_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
    char program[512], folder[300];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0 || kt_secret_init(NULL) != KT_OK)
        return 1;
    program[n] = '\0';
    if (argc == 3 && strcmp(argv[1], "--slow") == 0) {
        slow_figures(argv[2]);
        return 0;
    }
    if (argc > 2 && !kt_u64_parse(kt_str(argv[2]), 100000000, &keys))
        return 2;
    (void)snprintf(folder, sizeof folder, "%s/kt-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    figures(folder);
    run_slow(program, folder);
    folder_remove(folder);
    return 0;
}
