/* tests/bench/audit.c - what a record costs, and what a verifier gets through, against SHA-256 and the
 * seal alone in the same run. In /tmp: a real disk under it. */
#include <sodium.h>
#include <sys/resource.h>

#include "lib/assert.h"
#include "lib/audit_verify.h"
#include "lib/log.h"
#include "tests/bench/audit_event.h"
#include "tests/unit/audit_fake.h"
#include "tests/unit/audit_folder.h"
#include "vaultd/audit/own.h"

#define RECORDS 200000u
#define PLAIN   (2u * RECORDS)

static double cpu_ns(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static void print(const char *what, double ns, const char *rest)
{
    (void)printf("audit   %-38s %8.0f ns  %s\n", what, ns, rest);
}

static void parts(struct audit *audit)
{
    struct audit_event event;
    char id[37];
    static unsigned char line[1024], sealed[1024 + AUDIT_OVERHEAD], hash[KT_HASH_BYTES];
    static unsigned char usual[AUDIT_LINE_USUAL];
    struct audit_line made;
    audit_line_init_in(&made, usual, sizeof usual);
    event_fill(&event, id);
    KT_ASSERT(audit_line_event(audit->hasher, &event, &made, NULL) == KT_OK);
    size_t len = audit_line_length(&made), terse = made.terse.len;
    char size[64];
    (void)snprintf(size, sizeof size, "(line of %zu bytes, terse %zu)", len + 10, terse + 4);
    double since = now_ns();
    for (unsigned i = 0; i < RECORDS; i++)
        kt_merkle_leaf_in_place(line, len, hash);
    print("SHA-256 of the line alone", (now_ns() - since) / RECORDS, size);
    const struct audit_header header = {.len = (uint32_t)terse, .kind = AUDIT_RECORD};
    since = now_ns();
    for (unsigned i = 0; i < RECORDS; i++)
        audit_record_seal(&audit->sealer, i, &header, line, sealed);
    print("seal of the line alone", (now_ns() - since) / RECORDS, "");
    since = now_ns();
    for (unsigned i = 0; i < RECORDS; i++)
        KT_ASSERT(audit_line_event(audit->hasher, &event, &made, NULL) == KT_OK);
    print("the line in both forms, with 6 HMACs", (now_ns() - since) / RECORDS, "");
    audit_line_free(&made);
}

static void *appender(void *arg)
{
    struct audit *audit = arg;
    struct audit_event event;
    char id[37];
    event_fill(&event, id);
    for (unsigned i = 0; i < RECORDS; i++)
        KT_ASSERT(audit_append(audit, &event, NULL) == KT_OK);
    return NULL;
}

static void appends(struct audit *audit, unsigned threads)
{
    pthread_t ids[4];
    char what[64], rate[64];
    double since = now_ns(), cpu = cpu_ns();
    for (unsigned i = 0; i < threads; i++)
        KT_ASSERT(pthread_create(&ids[i], NULL, appender, audit) == 0);
    for (unsigned i = 0; i < threads; i++)
        KT_ASSERT(pthread_join(ids[i], NULL) == 0);
    double n = (double)threads * RECORDS;
    (void)snprintf(what, sizeof what, "append, %u thread%s, CPU a record", threads,
                   threads == 1 ? "" : "s");
    (void)snprintf(rate, sizeof rate, "%.0f records/s", n / ((now_ns() - since) / 1e9));
    print(what, (cpu_ns() - cpu) / n, rate);
}

#define IN_FLIGHT 1000u

static void outcomes(struct audit *audit)
{
    struct audit_event event;
    char id[37];
    static struct kt_buf sealed[IN_FLIGHT];
    double sealing = 0, copying = 0;
    event_fill(&event, id);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        kt_buf_init(&sealed[i], STORE_OUTCOME_MAX);
    for (unsigned round = 0; round < RECORDS / IN_FLIGHT; round++) {
        double since = cpu_ns();
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            kt_buf_reset(&sealed[i]);
            KT_ASSERT(audit_outcome_seal(audit, &event, &sealed[i], NULL) == KT_OK);
        }
        sealing += cpu_ns() - since;
        since = cpu_ns();
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            const struct commit_result result = {.error = STORE_OK, .at = 1000 + round, .place = i};
            audit_outcome_done(audit, kt_buf_bytes(&sealed[i]), &result);
        }
        copying += cpu_ns() - since;
    }
    char size[64];
    (void)snprintf(size, sizeof size, "(%zu bytes in the store)", sealed[0].len);
    print("outcome, sealed for the store", sealing / RECORDS, size);
    print("outcome, copied on the store's thread", copying / RECORDS, "");
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        kt_buf_free(&sealed[i]);
}

static void put(const char *folder, const char *name, struct kt_bytes bytes)
{
    char path[2 * FOLDER_NAME];
    (void)snprintf(path, sizeof path, "%.200s/%s", folder, name);
    file_write(path, bytes.at, bytes.len);
}

static void verify(struct audit *audit, const char *folder)
{
    struct audit_status status;
    struct kt_audit_verdict verdict;
    kt_autobuf struct kt_buf lines, leaves, notes;
    uint64_t next = 0;
    char rate[64];
    kt_buf_init(&lines, (size_t)2 << 30);
    kt_buf_init(&leaves, (size_t)1 << 30);
    kt_buf_init(&notes, 1 << 20);
    KT_ASSERT(audit_checkpoint_now(audit, NULL, NULL) == KT_OK);
    audit_status(audit, &status);
    double since = now_ns();
    KT_ASSERT(audit_export(audit, 0, status.size, SIZE_MAX, &lines, &next, NULL) == KT_OK);
    print("export (open each)", (now_ns() - since) / (double)status.size, "");
    KT_ASSERT(audit_leaves(audit, 0, status.size, &leaves, NULL) == KT_OK);
    KT_ASSERT(audit_checkpoints(audit, &notes, NULL) == KT_OK);
    put(folder, KT_AUDIT_RECORDS_FILE, kt_buf_bytes(&lines));
    put(folder, KT_AUDIT_LEAVES_FILE, kt_buf_bytes(&leaves));
    put(folder, KT_AUDIT_CHECKPOINTS_FILE, kt_buf_bytes(&notes));
    put(folder, KT_AUDIT_KEY_FILE, kt_str(status.public_key));
    since = now_ns();
    KT_ASSERT(kt_audit_verify_folder(folder, status.public_key, NULL, false, &verdict, NULL) == KT_OK);
    double took = now_ns() - since;
    KT_ASSERT(kt_audit_good(&verdict) && verdict.proven == status.size);
    (void)snprintf(rate, sizeof rate, "%.0f records/s", (double)status.size / (took / 1e9));
    print("verify an export", took / (double)status.size, rate);
}

int main(void)
{
    char path[FOLDER_NAME] = "/tmp/keyturn-bench-audit-XXXXXX", other[FOLDER_NAME];
    struct audit *audit = NULL;
    struct kt_err err = {0};
    KT_ASSERT(kt_secret_init(&err) == KT_OK && mkdtemp(path) != NULL);
    folder_make(other);
    kt_log_set_level(KT_LOG_ERROR);
    struct store *store = fake_store_new();
    const struct audit_config config = {.folder = path, .origin = "keyturn/bench", .fence = 1};
    if (audit_open(&config, NULL, store, &kt_system_clock, &audit, &err) != KT_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        return 1;
    }
    parts(audit);
    appends(audit, 1);
    appends(audit, 2);
    outcomes(audit);
    verify(audit, other);
    audit_close(audit);
    fake_store_free(store);
    folder_remove(path);
    folder_remove(other);
    return 0;
}
