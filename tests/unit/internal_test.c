/* Several requests of the vault's own at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/barrier/tables.h"

#define MANY 40u

static int make(void **state)
{
    *state = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static void counter_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_KV, scope, kt_str("counter"), key);
}

static enum kt_kind read_counter(struct request *req, uint64_t *ret, generation *ret_changed,
                                 struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record;
    counter_key(req->core, key);
    *ret = *ret_changed = 0;
    enum kt_kind kind =
        request_record(req, kt_bytes(key, sizeof key), &record, ret_changed, err);
    if (kind == KT_OK)
        *ret = kt_get_u64(record.at);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* Rests on what all the others change as well. */
static enum kt_kind count_up(struct request *req, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY], plain[8];
    uint64_t value = 0;
    generation changed = 0;
    enum kt_kind kind = read_counter(req, &value, &changed, err);
    if (kind != KT_OK)
        return kind;
    counter_key(req->core, key);
    kt_put_u64(plain, value + 1);
    batch_require(request_batch(req), changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), changed);
    return barrier_put(req->core->barrier, req->batch, kt_bytes(key, sizeof key),
                       kt_bytes(plain, sizeof plain), err);
}

static enum kt_kind look(struct request *req, struct kt_err *err)
{
    generation changed = 0;
    return read_counter(req, req->handler_data, &changed, err);
}

static enum kt_kind refuse(struct request *req, struct kt_err *err)
{
    (void)req;
    return kt_fail(err, KT_INVALID, "this one does not want to");
}

static void all_are_done_once(void **state)
{
    struct test_vault *vault = *state;
    static struct internal_request requests[MANY];
    for (unsigned i = 0; i < MANY; i++)
        requests[i] = (struct internal_request){.path = "test/count", .fn = count_up};
    requests[7].fn = refuse;
    request_internal_all(vault->core, requests, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(requests[i].kind, i == 7 ? KT_INVALID : KT_OK);
    assert_string_equal(requests[7].err.what, "this one does not want to");
    uint64_t value = 0;
    assert_int_equal(request_internal(vault->core, "test/look", look, &value, NULL), KT_OK);
    assert_int_equal(value, MANY - 1);
}

static void none_is_nothing(void **state)
{
    struct test_vault *vault = *state;
    request_internal_all(vault->core, NULL, 0);
}

static void sealed_is_said_to_each(void **state)
{
    struct test_vault *vault = *state;
    struct internal_request requests[3];
    core_seal(vault->core, "test");
    for (unsigned i = 0; i < 3; i++)
        requests[i] = (struct internal_request){.path = "test/count", .fn = count_up};
    request_internal_all(vault->core, requests, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(requests[i].kind, KT_SEALED);
    test_vault_reseal(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_done_once),
        cmocka_unit_test(none_is_nothing),
        cmocka_unit_test(sealed_is_said_to_each),
    };
    return cmocka_run_group_tests(tests, make, end);
}
