/* tests/fuzz/driver_exec.c - what a program answers: a result with printable texts and without the value, or an
 * error without a piece of it; and an error changes nothing. */
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/driver/exec_protocol.h"
#include "lib/secret.h"
#include "tests/fuzz/fuzz.h"

#define VALUE "fuzzed-Value-4711"

static void check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    KT_ASSERT(len < size && strstr(text, VALUE) == NULL);
    for (size_t i = 0; i < len; i++)
        KT_ASSERT(text[i] >= 0x20 && text[i] < 0x7f);
}

static const struct driver_run *the_run(void)
{
    static struct driver_step step;
    static struct driver_run run;
    if (run.step != NULL)
        return &run;
    KT_ASSERT(kt_secret_init(NULL) == KT_OK);
    step.logins[DRIVER_NEW] = (struct driver_login){"a", kt_str(VALUE)};
    run = (struct driver_run){.step = &step, .redactor = kt_driver_redactor(&step)};
    KT_ASSERT(run.redactor != NULL);
    return &run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct driver_result result = {0}, none = {0};
    struct driver_reply reply = {0};
    struct kt_err err = {0};
    if (kt_exec_answer(the_run(), kt_bytes(data, size), &result, &reply, &err) != KT_OK) {
        KT_ASSERT(err.what[0] != '\0' && memcmp(&result, &none, sizeof none) == 0);
        return 0;
    }
    KT_ASSERT(size <= EXEC_ANSWER_MAX && result.class < DRIVER_CLASS_COUNT && reply.answer < DRIVER_ANSWER_COUNT);
    check_text(result.code, sizeof result.code);
    check_text(result.text, sizeof result.text);
    check_text(result.server_id, sizeof result.server_id);
    check_text(result.server_version, sizeof result.server_version);
    check_text(result.session_user, sizeof result.session_user);
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX; i++)
        check_text(result.findings[i], sizeof result.findings[i]);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, DRIVER_MESSAGE_MAX);
    KT_ASSERT(kt_driver_result_encode(&result, &out, NULL) == KT_OK);
    return 0;
}
