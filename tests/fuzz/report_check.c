/* A file that is a report has a run and a hash, and the same file has the same; a record of the log that is
 * about it says so of the very hash alone. */
#include "lib/report_check.h"

#include <stdio.h>

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_err err = {0};
    struct kt_report report, known = {.run = "01ARYZ6S410000000000000000"};
    uint64_t seq = 0;
    char line[512];
    if (kt_report_read(kt_bytes(data, size), &report, &err) != KT_OK) {
        KT_ASSERT(err.kind == KT_INVALID && err.what[0] != '\0');
    } else {
        KT_ASSERT(strlen(report.run) == KT_REPORT_RUN - 1 && strlen(report.hash) == KT_REPORT_HASH - 1);
        (void)snprintf(line, sizeof line, "{\"request\":{\"report\":\"%s %s %s\"},\"seq\":7}", report.run, report.hash,
                       report.hash);
        KT_ASSERT(kt_report_word(kt_str(line), &report, &seq) == KT_REPORT_SAME && seq == 7);
        report.hash[0] = report.hash[0] == 'a' ? 'b' : 'a';
        KT_ASSERT(kt_report_word(kt_str(line), &report, &seq) == KT_REPORT_DIFFERS);
    }
    kt_report_hash(kt_bytes(data, size), known.hash);
    if (kt_report_word(kt_bytes(data, size), &known, &seq) == KT_REPORT_SAME)
        KT_ASSERT(false); /* a record with the hash of itself */
    return 0;
}
