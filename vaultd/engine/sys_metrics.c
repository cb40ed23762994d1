#include "vaultd/engine/sys_metrics.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "vaultd/barrier/seals.h"
#include "vaultd/core/autounseal.h"
#include "vaultd/core/counts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/rotation/rotation.h"

/* ---- the numbers ---- */

enum number {
    AUDIT_BYTES,
    AUDIT_DEVICES,
    AUDIT_DEVICES_FAILING,
    AUDIT_RECORDS,
    AUDIT_RECORDS_SYNCED,
    KEYS_OVERDUE,
    NOTICES_FAILED,
    NOTICES_GIVEN_UP,
    NOTICES_SENT,
    NOTICES_WAITING,
    NOTIFY_FAILING,
    QUOTA_REFUSED,
    ROTATION_DRIFTED,
    ROTATION_OVERDUE,
    ROTATION_UNREADABLE,
    SEALS,
    SEALS_NOT_OPENED,
    STORE_BATCHES,
    STORE_BYTES_FILE,
    STORE_BYTES_MAX,
    STORE_BYTES_USED,
    STORE_ENTRIES,
    STORE_FOLDS,
    STORE_QUEUED,
    STORE_SNAPSHOT_OLDEST,
    PROCESS_CPU,
    PROCESS_MEMORY_MAX,
    PROCESS_START,
    NUMBERS
};

/* clang-format off */
const struct metric sys_metric_requests =
    { "keyturn_requests_total", true, "Requests answered, by operation and class of status." };

const struct metric sys_metric_rows[] = {
    [AUDIT_BYTES] = { "keyturn_audit_bytes", false, "Bytes of the audit log's segments." },
    [AUDIT_DEVICES] = { "keyturn_audit_devices", false, "Audit devices of the configuration." },
    [AUDIT_DEVICES_FAILING] = { "keyturn_audit_devices_failing", false, "Audit devices that cannot be written now." },
    [AUDIT_RECORDS] = { "keyturn_audit_records", false, "Records in the audit log." },
    [AUDIT_RECORDS_SYNCED] = { "keyturn_audit_records_synced", false, "Records of the audit log that are on the disk for good." },
    [KEYS_OVERDUE] = { "keyturn_keys_overdue", false, "Of the key shares, and the credentials that open the vault, those older than max_key_age allows when all were last looked at." },
    [NOTICES_FAILED] = { "keyturn_notices_failed_total", true, "Tries to tell a channel that failed." },
    [NOTICES_GIVEN_UP] = { "keyturn_notices_given_up_total", true, "Messages that were too old when they failed once more." },
    [NOTICES_SENT] = { "keyturn_notices_sent_total", true, "Messages that arrived at a channel." },
    [NOTICES_WAITING] = { "keyturn_notices_waiting", false, "Messages that wait for a channel." },
    [NOTIFY_FAILING] = { "keyturn_notify_channels_failing", false, "Channels whose last try failed." },
    [QUOTA_REFUSED] = { "keyturn_quota_refused_total", true, "Requests refused because a rate-limit quota was used up." },
    [ROTATION_DRIFTED] = { "keyturn_rotation_drifted", false, "Secrets whose stored credential the target refused when it was last asked." },
    [ROTATION_OVERDUE] = { "keyturn_rotation_overdue", false, "Secrets that were overdue when all were last looked at, which takes five minutes or more." },
    [ROTATION_UNREADABLE] = { "keyturn_rotation_unreadable", false, "Secrets whose rotation could not be read when all were last looked at: none of them rotates." },
    [SEALS] = { "keyturn_seals", false, "Credentials that may open the vault by themselves, beside the key shares." },
    [SEALS_NOT_OPENED] = { "keyturn_seals_not_opened", false, "Of them those that did not open when they were last tried, which is when vaultd started." },
    [STORE_BATCHES] = { "keyturn_store_batches_total", true, "Changes committed since the store was opened." },
    [STORE_BYTES_FILE] = { "keyturn_store_bytes_file", false, "Bytes of the store's file: used pages and free ones." },
    [STORE_BYTES_MAX] = { "keyturn_store_bytes_max", false, "Bytes that the store may grow to." },
    [STORE_BYTES_USED] = { "keyturn_store_bytes_used", false, "Bytes of the store's used pages." },
    [STORE_ENTRIES] = { "keyturn_store_entries", false, "Entries in the store." },
    [STORE_FOLDS] = { "keyturn_store_folds_total", true, "Transactions since the store was opened; one holds the changes of many requests." },
    [STORE_QUEUED] = { "keyturn_store_queued", false, "Changes that wait for the next transaction." },
    [STORE_SNAPSHOT_OLDEST] = { "keyturn_store_oldest_snapshot_seconds", false, "How long the oldest reader has been reading; it keeps pages from being used again." },
    [PROCESS_CPU] = { "process_cpu_seconds_total", true, "Processor time of the process, user and system." },
    [PROCESS_MEMORY_MAX] = { "process_resident_memory_max_bytes", false, "The most memory that the process has had resident." },
    [PROCESS_START] = { "process_start_time_seconds", false, "When the process started, in seconds since 1970." },
};
/* clang-format on */
const size_t sys_n_metric_rows = NUMBERS;
_Static_assert(sizeof sys_metric_rows / sizeof sys_metric_rows[0] == NUMBERS, "a row each");

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void sample(struct core *core, double out[NUMBERS])
{
    struct audit_status audit;
    struct store_status store;
    struct rusage usage = {0};
    struct seal_shown seals[SEALS_MAX];
    audit_status(core->audit, &audit);
    store_status(core->store, &store);
    (void)getrusage(RUSAGE_SELF, &usage);
    out[AUDIT_BYTES] = (double)audit.bytes;
    out[AUDIT_DEVICES] = audit.devices;
    out[AUDIT_DEVICES_FAILING] = audit.devices_failing;
    out[AUDIT_RECORDS] = (double)audit.size;
    out[AUDIT_RECORDS_SYNCED] = (double)audit.synced_size;
    out[QUOTA_REFUSED] = (double)core_quota_refusals(core);
    out[SEALS] = barrier_seals(core->barrier, seals);
    out[SEALS_NOT_OPENED] = autounseal_failing(core);
    out[STORE_BATCHES] = (double)store.batches;
    out[STORE_BYTES_FILE] = (double)store.bytes_file;
    out[STORE_BYTES_MAX] = (double)store.bytes_max;
    out[STORE_BYTES_USED] = (double)store.bytes_used;
    out[STORE_ENTRIES] = (double)store.entries;
    out[STORE_FOLDS] = (double)store.folds;
    out[STORE_QUEUED] = store.queued;
    out[STORE_SNAPSHOT_OLDEST] = (double)store.oldest_snapshot_ms / 1e3;
    out[PROCESS_CPU] = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    out[PROCESS_MEMORY_MAX] = (double)usage.ru_maxrss * 1024;
    out[PROCESS_START] = (double)core_started_ms(core) / 1e3;
}

/* Calls fn for each pair of operation and class that was answered at least once. */
typedef void answered_fn(void *arg, const char *operation, unsigned class, int64_t n);
static void each_answered(const struct counts *counts, answered_fn *fn, void *arg)
{
    for (unsigned row = 0; row < COUNTS_OPERATIONS; row++)
        for (unsigned class = 0; class < COUNTS_CLASSES; class++) {
            int64_t n = kt_tally_sum(&counts->answered[row][class]);
            if (n > 0)
                fn(arg, operation_name(counts_operation(row)), class, n);
        }
}

/* ---- Prometheus ---- */

static void begin_family(struct kt_buf *out, const struct metric *row)
{
    kt_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                  row->counter ? "counter" : "gauge");
}

static void add_answered_line(void *arg, const char *operation, unsigned class, int64_t n)
{
    kt_buf_printf(arg, "%s{operation=\"%s\",status=\"%uxx\"} %lld\n", sys_metric_requests.name,
                  operation, class, (long long)n);
}

static void write_prometheus(struct request *req, const double numbers[NUMBERS])
{
    struct kt_buf *out = &req->reply.data;
    begin_family(out, &sys_metric_requests);
    each_answered(core_counts(req->core), add_answered_line, out);
    for (size_t i = 0; i < NUMBERS; i++) {
        begin_family(out, &sys_metric_rows[i]);
        kt_buf_printf(out, "%s %.15g\n", sys_metric_rows[i].name, numbers[i]);
    }
    req->reply.form = REPLY_RAW;
    req->reply.content_type = "text/plain; version=0.0.4";
}

/* ---- Vault's JSON ---- */

static void write_number(struct kt_jsonw *w, const char *key, double value)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.15g", value);
    kt_jsonw_kv_raw(w, key, kt_str(text));
}

static void begin_json(struct kt_jsonw *w, const char *name)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "Name", name);
}

static void end_json(struct kt_jsonw *w, const char *operation, unsigned class)
{
    char status[24];
    kt_jsonw_key(w, "Labels");
    kt_jsonw_object(w);
    if (operation != NULL) {
        (void)snprintf(status, sizeof status, "%uxx", class);
        kt_jsonw_kv_text(w, "operation", operation);
        kt_jsonw_kv_text(w, "status", status);
    }
    kt_jsonw_end(w);
    kt_jsonw_end(w);
}

static void write_counter(struct kt_jsonw *w, const char *name, double value, const char *operation,
                          unsigned class)
{
    begin_json(w, name);
    write_number(w, "Count", value);
    write_number(w, "Sum", value);
    end_json(w, operation, class);
}

static void add_answered_json(void *arg, const char *operation, unsigned class, int64_t n)
{
    write_counter(arg, sys_metric_requests.name, (double)n, operation, class);
}

static void write_json(struct request *req, const double numbers[NUMBERS])
{
    char now[64];
    struct tm tm;
    time_t at = (time_t)(req->now_ms / 1000);
    (void)strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S +0000 UTC", gmtime_r(&at, &tm));
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "Timestamp", now);
    kt_jsonw_key(&w, "Gauges");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < NUMBERS; i++) {
        if (sys_metric_rows[i].counter)
            continue;
        begin_json(&w, sys_metric_rows[i].name);
        write_number(&w, "Value", numbers[i]);
        end_json(&w, NULL, 0);
    }
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "Points");
    kt_jsonw_raw(&w, kt_str("[]"));
    kt_jsonw_key(&w, "Counters");
    kt_jsonw_array(&w);
    each_answered(core_counts(req->core), add_answered_json, &w);
    for (size_t i = 0; i < NUMBERS; i++)
        if (sys_metric_rows[i].counter)
            write_counter(&w, sys_metric_rows[i].name, numbers[i], NULL, 0);
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "Samples");
    kt_jsonw_raw(&w, kt_str("[]"));
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

enum kt_kind sys_metrics(struct request *req, struct kt_err *err)
{
    const char *format = "";
    double numbers[NUMBERS];
    enum kt_kind kind = request_string(req, "format", &format, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    bool prometheus = strcmp(format, "prometheus") == 0;
    if (format[0] != '\0' && !prometheus)
        return kt_fail(err, KT_INVALID, "\"format\" must be \"prometheus\", or left out for JSON");
    /* The audit log's tree is locked while the log is synced: not on a thread that reads wait for. */
    if (request_aside(req))
        return KT_OK;
    size_t drifted = 0;
    struct rotation_told told;
    kind = rotation_count_drifted(req, &drifted, err);
    if (kind == KT_OK)
        kind = rotation_count_told(req, &told, err);
    if (kind != KT_OK)
        return kind;
    sample(req->core, numbers);
    numbers[NOTICES_FAILED] = (double)told.failed;
    numbers[NOTICES_GIVEN_UP] = (double)told.given_up;
    numbers[NOTICES_SENT] = (double)told.sent;
    numbers[NOTICES_WAITING] = (double)told.waiting;
    numbers[ROTATION_UNREADABLE] = (double)told.unreadable;
    numbers[ROTATION_OVERDUE] = (double)told.overdue;
    numbers[KEYS_OVERDUE] = (double)told.keys_overdue;
    numbers[NOTIFY_FAILING] = (double)told.failing;
    numbers[ROTATION_DRIFTED] = (double)drifted;
    if (prometheus)
        write_prometheus(req, numbers);
    else
        write_json(req, numbers);
    return KT_OK;
}
