/* Answers of a strange server: the first byte chooses the status, the rest is the body. What was
 * understood goes through everything that shows it to a person. */
#include "lib/api.h"

#include "cli/output.h"
#include "cli/run_view.h"
#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX ((size_t)16 * 1024 * 1024)

static void check_printable(const struct kt_buf *out)
{
    for (size_t i = 0; i < out->len; i++)
        KT_ASSERT(out->at[i] == '\n' || out->at[i] == '\t' ||
                  (out->at[i] >= 0x20 && out->at[i] != 0x7f));
}

/* Laid out anew it is the same JSON. */
static void pretty(struct kt_json value)
{
    struct kt_buf laid_out, compact, again;
    kt_buf_init(&laid_out, OUT_MAX);
    kt_buf_init(&compact, OUT_MAX);
    kt_buf_init(&again, OUT_MAX);
    output_json(&laid_out, value);
    static const struct kt_json_limits wide = {OUT_MAX, 250, 1u << 24, 1u << 24, OUT_MAX, OUT_MAX};
    if (kt_buf_ok(&laid_out)) {
        KT_ASSERT(kt_json_check(kt_buf_bytes(&laid_out), &wide, NULL) == KT_OK);
        KT_ASSERT(kt_json_compact(value, &compact));
        KT_ASSERT(kt_json_compact(kt_json_value(kt_buf_bytes(&laid_out)), &again));
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&compact), kt_buf_bytes(&again)));
    }
    kt_buf_free(&laid_out);
    kt_buf_free(&compact);
    kt_buf_free(&again);
}

static void show(struct kt_json data)
{
    struct run_model run;
    struct table table;
    struct kt_buf out;
    static const char *const names[] = {"Key", "Value"};
    kt_buf_init(&out, OUT_MAX);
    table_init(&table, 2, names);
    table_members(&table, data);
    table_print(&table, 2, &out);
    table_free(&table);
    run_model_init(&run);
    KT_ASSERT(run_model_take(&run, data));
    KT_ASSERT(run_model_take(&run, data));
    run_view_picture(NULL, &run, 60, 24, &out);
    run_view_verdict(NULL, &run, &out);
    KT_ASSERT(run.step_count <= RUN_STEPS_MAX && run.consumer_count <= RUN_CONSUMERS_MAX);
    run_model_free(&run);
    if (kt_buf_ok(&out))
        check_printable(&out);
    kt_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned statuses[] = {200, 204, 400, 403, 404, 429, 500, 503};
    struct kt_api_reply reply;
    struct kt_err err = {0};
    if (size < 1)
        return 0;
    kt_api_reply_init(&reply);
    reply.http.status = statuses[data[0] & 7];
    kt_buf_add(&reply.http.body, data + 1, size - 1);
    enum kt_kind kind = kt_api_reply_read(&reply, (data[0] & 8) != 0, &err);
    KT_ASSERT((kind == KT_OK) == (reply.http.status < 400) || kind == KT_CORRUPT);
    for (const char *c = err.what; *c != '\0'; c++)
        KT_ASSERT((unsigned char)*c >= 0x20);
    if (kt_json_type(reply.root) != KT_JSON_NONE)
        pretty(reply.root);
    if (kt_json_type(reply.data) == KT_JSON_OBJECT)
        show(reply.data);
    kt_api_reply_free(&reply);
    return 0;
}
