/* What another vault tells of a secret: read without harm, and compared with itself it is the same. */
#include "cli/move_history.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_err err = {0};
    struct kt_bytes text = kt_bytes(data, size);
    struct move_history history;
    const struct move_history none = {0};
    if (kt_json_check(text, NULL, &err) != KT_OK)
        return 0;
    if (move_history_read(kt_json_value(text), &history, &err) != KT_OK) {
        KT_ASSERT(err.kind == KT_CORRUPT || err.kind == KT_NO_MEMORY);
        KT_ASSERT(history.versions == NULL && !history.exists);
        return 0;
    }
    for (size_t i = 1; i < history.count; i++)
        KT_ASSERT(history.versions[i - 1].number < history.versions[i].number);
    for (size_t i = 0; i < history.count; i++)
        KT_ASSERT(move_history_find(&history, history.versions[i].number) == &history.versions[i]);
    KT_ASSERT(move_history_compare(&history, &none, false, 0) == MOVE_NOTHING);
    bool whole = history.count == 0 || history.versions[history.count - 1].number <= history.current;
    enum move_relation self = move_history_compare(&history, &history, false, 1700000000000);
    KT_ASSERT(!whole || self == MOVE_EQUAL);
    move_history_free(&history);
    return 0;
}
