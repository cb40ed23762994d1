/* Which version is a program's candidate, at each moment of a rotation; what it has already is not fetched, and what
 * only ends needs no activation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/candidates.h"

static const struct row {
    const char *name;
    bool one;                                 /* the service asks for no candidate of it */
    uint64_t now, other;                      /* what it has */
    uint64_t current, previous, pending;      /* what the vault says; 0 and no run: nothing yet */
    bool active;
    uint64_t refused, candidate;
} rows[] = {
    {"nothing is known yet", false, 6, 0, 0, 0, 0, false, 0, 0},
    {"quiet", false, 6, 0, 6, 0, 0, false, 0, 0},
    {"the new one is made", false, 6, 0, 6, 0, 7, true, 0, 7},
    {"it has it", false, 6, 7, 6, 0, 7, true, 0, 7},
    {"and no service that tries two", true, 6, 0, 6, 0, 7, true, 0, 0},
    {"it was not well with it", false, 6, 0, 6, 0, 7, true, 7, 0},
    {"another one is made in its place", false, 6, 7, 6, 0, 8, true, 0, 8},
    {"another one, and it was not well with the first", false, 6, 0, 6, 0, 8, true, 7, 8},
    {"promoted, the old one is dead", false, 6, 7, 7, 0, 0, true, 0, 6},
    {"promoted, the old one lives", false, 6, 7, 7, 6, 0, true, 0, 6},
    {"it runs the new one", false, 7, 6, 7, 0, 0, true, 0, 6},
    {"the rotation is over", false, 7, 6, 7, 0, 0, false, 0, 0},
    {"the rotation was over when it heard of it", false, 6, 7, 7, 0, 0, false, 0, 0},
    {"cancelled", false, 6, 7, 6, 0, 0, false, 0, 0},
    {"back to the old one", false, 7, 6, 6, 0, 0, true, 0, 7},
    {"back, and the new one is to be ended", false, 7, 6, 6, 0, 7, true, 0, 7},
    {"it runs the old one again", false, 6, 7, 6, 0, 0, true, 0, 7},
};

static struct values *one_value(uint64_t version, uint64_t other)
{
    struct values *values = values_new();
    struct value *value = values_add(values, "secret/db");
    value->version = version;
    kt_buf_add_text(&value->data, "{\"p\":\"one\"}");
    if (other != 0)
        value_put_other(value, other, kt_str("{\"p\":\"two\"}"));
    return values;
}

static void at_each_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct config config = {.two = {!row->one}};
        const struct wanted wanted = {.version = row->current,
                                      .pending = row->pending,
                                      .alive = {row->current, row->previous, row->pending},
                                      .active = row->active};
        struct service service = {.config = &config, .values = one_value(row->now, row->other),
                                  .refused_other = {row->refused}};
        uint64_t runs = row->current == 0 ? row->now : row->current;
        uint64_t candidate = candidate_wanted(&service, &wanted, 0, runs);
        if (candidate != row->candidate)
            fail_msg("%s: %llu", row->name, (unsigned long long)candidate);
        values_free(service.values);
    }
}

/* There is no line to the vault here. */
static void what_it_has_is_not_fetched(void **state)
{
    (void)state;
    static const struct {
        uint64_t version;
        const char *data;
    } tries[] = {{0, ""}, {6, "{\"p\":\"one\"}"}, {7, "{\"p\":\"two\"}"}};
    struct config config = {.two = {true}};
    /* Nor does it matter that it might not be read a moment ago. */
    struct service service = {.config = &config, .values = one_value(6, 7), .denied_other = {{7, {0}, INT64_MAX}}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct values *values = values_new();
        struct value *value = values_add(values, "secret/db");
        value->other_version = tries[i].version;
        struct kt_err err = {0};
        assert_int_equal(candidate_fetch(&service, 0, value, &err), KT_OK);
        assert_int_equal(value->other_version, tries[i].version);
        assert_string_equal(kt_buf_text(&value->other), tries[i].data);
        values_free(values);
    }
    values_free(service.values);
}

static void what_only_ends(void **state)
{
    (void)state;
    static const struct {
        uint64_t now, other, then, then_other;
        bool ends, differ;
    } tries[] = {{6, 7, 6, 0, true, true},  {6, 0, 6, 7, false, true}, {6, 7, 6, 8, false, true},
                 {6, 7, 7, 6, false, true}, {6, 7, 7, 0, false, true}, {6, 7, 6, 7, true, false}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct values *old = one_value(tries[i].now, tries[i].other);
        struct values *values = one_value(tries[i].then, tries[i].then_other);
        assert_int_equal(candidates_only_end(old, values), tries[i].ends);
        assert_int_equal(candidates_differ(old, values, 0), tries[i].differ);
        values_free(old);
        values_free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_each_moment),
        cmocka_unit_test(what_it_has_is_not_fetched),
        cmocka_unit_test(what_only_ends),
    };
    return cmocka_run_group_tests_name("agent_candidates", tests, NULL, NULL);
}
