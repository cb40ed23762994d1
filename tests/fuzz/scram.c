/* tests/fuzz/scram.c - the verifier's form against a second reader: the regular expression. */
#include <regex.h>

#include "lib/assert.h"
#include "lib/buf.h"
#include "lib/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool by_expression(struct kt_bytes text)
{
    static regex_t expression;
    static bool ready;
    if (!ready)
        KT_ASSERT(regcomp(&expression,
                          "^SCRAM-SHA-256\\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]{22}==\\$"
                          "[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$",
                          REG_EXTENDED | REG_NOSUB) == 0);
    ready = true;
    if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
        return false;
    kt_autobuf struct kt_buf copy;
    kt_buf_init(&copy, text.len);
    kt_buf_add_bytes(&copy, text);
    return regexec(&expression, kt_buf_text(&copy), 0, NULL, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes text = kt_bytes(data, size);
    bool matches = false;
    if (size > 4096)
        return 0;
    KT_ASSERT(kt_scram_is_verifier(text) == by_expression(text));
    /* With few iterations only: ten million of them take seconds. */
    if (!kt_scram_is_verifier(text) || size == 133)
        (void)(kt_scram_matches(text, kt_str("x"), &matches, NULL) == KT_OK);
    KT_ASSERT(!matches || kt_scram_is_verifier(text));
    return 0;
}
