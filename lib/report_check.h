/* lib/report_check.h - is a rotation's report the one that the vault wrote?
 *
 * What:    The request that ends a run stands in the audit log with "report": the run's id, and the SHA-256 of
 *          its report as text and as JSON. A file is one of these, as secretctl printed it; JSON may have been
 *          indented. That a log is whole is lib/audit_verify.h's to say.
 * Owner:   plain values.
 * Threads: any thread. */
#pragma once

#include "lib/json.h"

#define KT_REPORT_RUN  27u  /* a run's id as text, NUL included */
#define KT_REPORT_HASH 65u  /* SHA-256 as hexadecimal digits, NUL included */
#define KT_REPORT_MAX  ((size_t)4 * 1024 * 1024) /* of a file */
#define KT_REPORT_LOGGED (KT_REPORT_RUN + 2u * KT_REPORT_HASH)

void kt_report_hash(struct kt_bytes bytes, char out[KT_REPORT_HASH]);

struct kt_report {
    char run[KT_REPORT_RUN];
    char hash[KT_REPORT_HASH];
    bool json;
};
/* KT_INVALID: it is no report, for it names no run. */
enum kt_kind kt_report_read(struct kt_bytes file, struct kt_report *ret, struct kt_err *err) KT_MUST_CHECK;

enum kt_report_word {
    KT_REPORT_OTHER,  /* the record is not about that run's report */
    KT_REPORT_SAME,
    KT_REPORT_DIFFERS
};
/* One line of the log's records. *ret_seq: its number, when it is about the report. */
enum kt_report_word kt_report_word(struct kt_bytes line, const struct kt_report *report, uint64_t *ret_seq);
