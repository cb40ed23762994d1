/* tests/fuzz/driver_http.c - what an operator declares of an API, and what an API answers: behind a NUL the answer.
 * A declaration is refused, or nothing of it puts a secret into an address, and every body is JSON. */
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/driver/http_api.h"
#include "lib/json_pointer.h"
#include "tests/fuzz/fuzz.h"

#define VALUE "fuzzed-Value-4711"

static const struct template_values *the_values(void)
{
    static struct template_values values;
    for (unsigned i = 0; i < TEMPLATE_NAME_COUNT; i++)
        values.at[i] = kt_str((TEMPLATE_SECRETS & TEMPLATE_BIT(i)) != 0 ? VALUE : "a/\"b\\");
    return &values;
}

static void check_request(const struct http_request *q)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, (size_t)1024 * 1024);
    KT_ASSERT(q->path[0] == '/');
    kt_template_fill_url(q->path, the_values(), &out);
    /* The fuzzer learns what is compared: a declaration may say it itself. */
    KT_ASSERT(strstr(q->path, VALUE) != NULL || strstr(kt_buf_text(&out), VALUE) == NULL);
    for (size_t i = 0; i < out.len; i++)
        KT_ASSERT(out.at[i] > ' ' && out.at[i] <= '~');
    if (kt_json_type(q->body) == KT_JSON_NONE)
        return;
    kt_buf_reset(&out);
    kt_template_fill_json(q->body, the_values(), &out);
    if (kt_buf_ok(&out))
        KT_ASSERT(kt_json_check(kt_buf_bytes(&out), NULL, NULL) == KT_OK);
}

static void look_into(const struct http_request *q, struct kt_json answer)
{
    const char *const pointers[] = {q->value_at, q->id_at, q->items_at, q->tag_at, q->more_at, q->server_at, q->message_at};
    struct kt_json value;
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++)
        if (pointers[i] != NULL && kt_json_pointer(answer, pointers[i], &value))
            KT_ASSERT(value.at >= answer.at && value.at + value.len <= answer.at + answer.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_arena arena;
    struct http_api api;
    struct kt_err err = {0};
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t len = strlen(text);
    struct kt_bytes rest = len < size ? kt_bytes(text + len + 1, size - len - 1) : kt_bytes(NULL, 0);
    bool answered = rest.len > 0 && kt_json_check(rest, NULL, NULL) == KT_OK;
    kt_arena_init(&arena, (size_t)1024 * 1024);
    if (kt_http_api_read(text, &arena, &api, &err) != KT_OK) {
        KT_ASSERT(err.what[0] != '\0');
    } else {
        KT_ASSERT(api.requests[HTTP_ADMIN].declared && api.requests[HTTP_TEST].declared);
        for (size_t i = 0; i < HTTP_REQUEST_COUNT; i++) {
            if (!api.requests[i].declared)
                continue;
            check_request(&api.requests[i]);
            if (answered)
                look_into(&api.requests[i], kt_json_value(rest));
        }
    }
    kt_arena_free(&arena);
    free(text);
    return 0;
}
