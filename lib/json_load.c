#include "lib/json.h"

json_t *kt_json_load(struct kt_bytes text, const struct kt_json_limits *limits, struct kt_err *err)
{
    if (kt_json_check(text, limits, err) != KT_OK)
        return NULL;
    json_error_t error;
    json_t *tree = json_loadb((const char *)text.at, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree != NULL)
        return tree;
    /* error.text quotes the input. */
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_out_of_memory)
        (void)kt_fail(err, KT_NO_MEMORY, "out of memory");
    else
        (void)kt_fail(err, KT_INVALID, "line %d, column %d: %s", error.line, error.column,
                      code == json_error_numeric_overflow ? "a number is out of range"
                                                          : "not accepted");
    return NULL;
}
