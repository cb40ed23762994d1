/* audit_log - a long audit log: made by the vault's own code, left by a crash, opened, proven from.
 *
 *   audit_log FOLDER RECORDS TAIL [EXPORT]
 *
 * A process fills a log below FOLDER with RECORDS, makes a checkpoint, appends TAIL more of which
 * the database never heard (what a second of reads leaves), and kills itself. Then the log is opened
 * as after a crash: with its files in the page cache, and, a second time, with none of them there
 * (its last state is put back by another such end). Inclusion proofs are drawn at random. With
 * EXPORT the whole is written into that folder as `secretctl audit export` does. Prints one JSON
 * line. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/audit_verify.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/bench/audit_event.h"
#include "tests/unit/audit_fake.h"

#define PATH    512u
#define THREADS 2u
#define PROOFS  1000u
#define PIECE   ((size_t)4 * 1024 * 1024)
#define WARM    20000u /* records before memory is looked at: pools and caches are filled by then */

/* What the filling process tells the one that opens the log. Shared between the two. */
struct news {
    struct fake_disk disk; /* what is in the database */
    double seconds, cpu_ns;
    uint64_t size;
    long early_kib, late_kib; /* anonymous memory */
};

static long anonymous_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return kib;
}

static double cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- filling ---- */

struct crew {
    struct audit *audit;
    uint64_t each;
};

static void *append_many(void *arg)
{
    const struct crew *crew = arg;
    struct audit_event event;
    char id[37];
    event_fill(&event, id);
    for (uint64_t i = 0; i < crew->each; i++)
        KT_ASSERT(audit_append(crew->audit, &event, NULL) == KT_OK);
    return NULL;
}

static void append(struct audit *audit, uint64_t records)
{
    pthread_t ids[THREADS];
    struct crew crews[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        crews[i] = (struct crew){audit, records / THREADS + (i == 0 ? records % THREADS : 0)};
        KT_ASSERT(pthread_create(&ids[i], NULL, append_many, &crews[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        KT_ASSERT(pthread_join(ids[i], NULL) == 0);
}

static struct audit *open_log(const char *folder, struct store *store)
{
    struct audit *audit = NULL;
    struct kt_err err = {0};
    const struct audit_config config = {.folder = folder, .origin = "keyturn/bench", .fence = 1};
    if (audit_open(&config, NULL, store, &kt_system_clock, &audit, &err) != KT_OK) {
        (void)fprintf(stderr, "audit_log: %s\n", err.what);
        exit(1);
    }
    return audit;
}

/* Never returns: the process ends as by a crash. */
static void fill(const char *folder, uint64_t records, uint64_t tail, struct news *news)
{
    struct store *store = fake_store_new();
    store->disk = news->disk;
    struct audit *audit = open_log(folder, store);
    if (records > 0) {
        append(audit, records < WARM ? records : WARM);
        news->early_kib = anonymous_kib();
        double since = now_ns(), cpu = cpu_ns();
        append(audit, records < WARM ? 0 : records - WARM);
        news->seconds = (now_ns() - since) / 1e9;
        news->cpu_ns = (cpu_ns() - cpu) / (double)records;
        news->late_kib = anonymous_kib();
    }
    KT_ASSERT(audit_checkpoint(audit, NULL, NULL) != KT_CORRUPT);
    fake_store_wait(store);
    /* A commit after it, whose head names the checkpoint's state. */
    news->disk = store->disk;
    append(audit, tail);
    struct audit_status status;
    audit_status(audit, &status);
    news->size = status.size;
    (void)raise(SIGKILL);
}

static void fill_and_die(const char *folder, uint64_t records, uint64_t tail, struct news *news)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    KT_ASSERT(pid >= 0);
    if (pid == 0)
        fill(folder, records, tail, news);
    KT_ASSERT(waitpid(pid, &status, 0) == pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        exit(1);
}

/* ---- opening ---- */

/* Takes every file of the log out of the page cache, as a machine that was started again has it. */
static void forget_pages(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char below[PATH];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(below, sizeof below, "%.250s/%.250s", path, entry->d_name);
        int fd = entry->d_type == DT_DIR ? -1 : open(below, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            forget_pages(below);
            continue;
        }
        (void)fdatasync(fd);
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)close(fd);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

struct opened {
    struct store *store;
    struct audit *audit;
    double ms;
};

static struct opened reopen(const char *folder, const struct news *news)
{
    struct opened opened = {.store = fake_store_new()};
    opened.store->disk = news->disk;
    double since = now_ns();
    opened.audit = open_log(folder, opened.store);
    opened.ms = (now_ns() - since) / 1e6;
    struct audit_status status;
    audit_status(opened.audit, &status);
    KT_ASSERT(status.size > news->size); /* nothing was lost, and the recovery was recorded */
    return opened;
}

/* ---- proofs ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct proofs {
    double first, median, p99;
};

static struct proofs prove(struct audit *audit)
{
    static double ms[PROOFS];
    struct audit_status status;
    audit_status(audit, &status);
    KT_ASSERT(audit_checkpoint(audit, NULL, NULL) != KT_CORRUPT);
    struct kt_buf proof;
    kt_buf_init(&proof, 64 * KT_HASH_BYTES);
    for (unsigned i = 0; i < PROOFS; i++) {
        kt_buf_reset(&proof);
        uint64_t index = kt_random_below((uint32_t)status.size);
        double since = now_ns();
        KT_ASSERT(audit_inclusion(audit, index, status.size, &proof, NULL) == KT_OK);
        ms[i] = (now_ns() - since) / 1e6;
    }
    kt_buf_free(&proof);
    struct proofs proofs = {.first = ms[0]};
    qsort(ms, PROOFS, sizeof ms[0], by_value);
    proofs.median = ms[PROOFS / 2];
    proofs.p99 = ms[PROOFS * 99 / 100];
    return proofs;
}

/* ---- the export ---- */

static int make(const char *folder, const char *name)
{
    char path[PATH];
    (void)snprintf(path, sizeof path, "%.250s/%.200s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    KT_ASSERT(fd >= 0);
    return fd;
}

static void write_out(int fd, struct kt_buf *buf)
{
    KT_ASSERT(kt_buf_ok(buf) && write(fd, buf->at, buf->len) == (ssize_t)buf->len);
    kt_buf_reset(buf);
}

static void export_to(struct audit *audit, const char *folder)
{
    struct audit_status status;
    struct kt_buf piece;
    kt_buf_init(&piece, 2 * PIECE);
    KT_ASSERT(audit_checkpoint(audit, NULL, NULL) == KT_OK);
    audit_status(audit, &status);
    int lines = make(folder, KT_AUDIT_RECORDS_FILE), leaves = make(folder, KT_AUDIT_LEAVES_FILE);
    for (uint64_t from = 0, next = 0; from < status.size; from = next) {
        KT_ASSERT(audit_export(audit, from, status.size, PIECE, &piece, &next, NULL) == KT_OK);
        write_out(lines, &piece);
        KT_ASSERT(audit_leaves(audit, from, next, &piece, NULL) == KT_OK);
        write_out(leaves, &piece);
    }
    int notes = make(folder, KT_AUDIT_CHECKPOINTS_FILE), key = make(folder, KT_AUDIT_KEY_FILE);
    KT_ASSERT(audit_checkpoints(audit, &piece, NULL) == KT_OK);
    write_out(notes, &piece);
    kt_buf_add(&piece, status.public_key, strlen(status.public_key));
    write_out(key, &piece);
    (void)close(lines);
    (void)close(leaves);
    (void)close(notes);
    (void)close(key);
    kt_buf_free(&piece);
}

/* ---- */

static void end(struct opened *opened)
{
    audit_close(opened->audit);
    fake_store_free(opened->store);
}

int main(int argc, char **argv)
{
    uint64_t records = 0, tail = 0;
    if (argc < 4 || !kt_u64_parse(kt_str(argv[2]), 1000000000, &records) ||
        !kt_u64_parse(kt_str(argv[3]), 10000000, &tail) || kt_secret_init(NULL) != KT_OK) {
        (void)fprintf(stderr, "usage: audit_log FOLDER RECORDS TAIL [EXPORT]\n");
        return 2;
    }
    kt_log_set_level(KT_LOG_ERROR);
    struct news *news = mmap(NULL, sizeof *news, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                             -1, 0);
    KT_ASSERT(news != MAP_FAILED);
    fill_and_die(argv[1], records, tail, news);
    const double filled_s = news->seconds, each_ns = news->cpu_ns;
    struct opened warm = reopen(argv[1], news);
    struct proofs proofs = prove(warm.audit);
    if (argc > 4)
        export_to(warm.audit, argv[4]);
    KT_ASSERT(audit_checkpoint(warm.audit, NULL, NULL) == KT_OK);
    fake_store_wait(warm.store);
    news->disk = warm.store->disk;
    audit_close(warm.audit);
    fake_store_wait(warm.store);
    news->disk = warm.store->disk;
    fake_store_free(warm.store);
    fill_and_die(argv[1], 0, tail, news);
    forget_pages(argv[1]);
    struct opened cold = reopen(argv[1], news);
    struct proofs from_disk = prove(cold.audit);
    struct audit_status status;
    audit_status(cold.audit, &status);
    end(&cold);
    (void)printf("{\"records\":%llu,\"bytes\":%llu,\"fill_s\":%.1f,\"append_cpu_ns\":%.0f,"
                 "\"early_kib\":%ld,\"late_kib\":%ld,\"warm_ms\":%.1f,\"cold_ms\":%.1f,"
                 "\"proof_ms\":%.4f,\"proof_p99_ms\":%.4f,\"proof_cold_ms\":%.4f}\n",
                 (unsigned long long)status.size, (unsigned long long)status.bytes, filled_s, each_ns,
                 news->early_kib, news->late_kib, warm.ms, cold.ms, proofs.median, proofs.p99,
                 from_disk.first);
    return 0;
}
