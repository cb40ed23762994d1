#include "lib/report_check.h"

#include <sodium.h>
#include <string.h>

#include "lib/num.h"

#define RUN_LINE "\n- run: "

void kt_report_hash(struct kt_bytes bytes, char out[KT_REPORT_HASH])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, bytes.at, bytes.len);
    kt_hex_encode(hash, sizeof hash, out);
}

/* The digits of an id, no more and no less. */
static bool take_run(struct kt_bytes text, char out[KT_REPORT_RUN])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    size_t len = 0;
    while (len < text.len && len < KT_REPORT_RUN && text.at[len] != '\0' && strchr(digits, text.at[len]) != NULL)
        len++;
    if (len != KT_REPORT_RUN - 1)
        return false;
    memcpy(out, text.at, len);
    out[len] = '\0';
    return true;
}

/* The first such line: what consumers say stands behind it. */
static bool run_of_text(struct kt_bytes file, char out[KT_REPORT_RUN])
{
    size_t len = strlen(RUN_LINE);
    for (size_t i = 0; i + len <= file.len; i++)
        if (memcmp(file.at + i, RUN_LINE, len) == 0)
            return take_run(kt_bytes(file.at + i + len, file.len - i - len), out);
    return false;
}

static bool text_of(struct kt_json object, const char *name, char *out, size_t size)
{
    struct kt_json member = {0};
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, size);
    if (!kt_json_member(object, name, &member) || !kt_json_string(member, &text) || text.len >= size ||
        strlen(kt_buf_text(&text)) != text.len)
        return false;
    memcpy(out, kt_buf_text(&text), text.len + 1);
    return true;
}

static enum kt_kind read_json(struct kt_bytes file, struct kt_report *ret, struct kt_err *err)
{
    struct kt_json value = kt_json_value(file);
    char run[KT_REPORT_RUN];
    kt_autobuf struct kt_buf compact;
    kt_buf_init(&compact, KT_REPORT_MAX);
    if (kt_json_type(value) != KT_JSON_OBJECT || !text_of(value, "id", run, sizeof run) ||
        !take_run(kt_str(run), ret->run))
        return kt_fail(err, KT_INVALID, "the file is no report: it has no run's \"id\"");
    if (!kt_json_compact(value, &compact))
        return kt_fail(err, KT_NO_MEMORY, "reading a report");
    kt_report_hash(kt_buf_bytes(&compact), ret->hash);
    ret->json = true;
    return KT_OK;
}

enum kt_kind kt_report_read(struct kt_bytes file, struct kt_report *ret, struct kt_err *err)
{
    *ret = (struct kt_report){.json = false};
    if (kt_json_check(file, NULL, NULL) == KT_OK)
        return read_json(file, ret, err);
    if (!run_of_text(file, ret->run))
        return kt_fail(err, KT_INVALID, "the file is no report: it has no line \"- run: ID\"");
    kt_report_hash(file, ret->hash);
    return KT_OK;
}

enum kt_report_word kt_report_word(struct kt_bytes line, const struct kt_report *report, uint64_t *ret_seq)
{
    char logged[KT_REPORT_LOGGED];
    struct kt_json request = {0}, seq = {0};
    int64_t number = 0;
    size_t run = KT_REPORT_RUN - 1, hash = KT_REPORT_HASH - 1;
    if (kt_json_check(line, NULL, NULL) != KT_OK)
        return KT_REPORT_OTHER;
    struct kt_json record = kt_json_value(line);
    if (!kt_json_member(record, "request", &request) || !text_of(request, "report", logged, sizeof logged) ||
        strlen(logged) != run + 2 + 2 * hash || memcmp(logged, report->run, run) != 0 ||
        !kt_json_member(record, "seq", &seq) || !kt_json_i64(seq, &number) || number < 0)
        return KT_REPORT_OTHER;
    *ret_seq = (uint64_t)number;
    const char *at = logged + run + 1 + (report->json ? hash + 1 : 0);
    return memcmp(at, report->hash, hash) == 0 ? KT_REPORT_SAME : KT_REPORT_DIFFERS;
}
