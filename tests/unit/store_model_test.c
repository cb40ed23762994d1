/* Random batches against a model that is nothing but a table, on both engines. All batches form one
 * order, so checking is a replay: each result and, in the end, each entry must be the model's.
 * KT_SEED=n repeats a run; KT_CASES=n: so many batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>

#include "lib/num.h"
#include "lib/random.h"
#include "lib/secret.h"
#include "tests/support/store_fixture.h"

#define KEYS    24u
#define BATCHES 3000u /* without KT_CASES */
#define FLIGHT  40u

struct op {
    unsigned kind; /* 0 require, 1 put, 2 delete */
    unsigned key;
    enum condition condition;
    generation g;
    uint32_t value;
};

struct job {
    struct op ops[8];
    unsigned n;
    struct fixture_wait wait;
};

struct model {
    struct {
        bool present;
        generation changed;
        uint32_t value;
    } keys[KEYS];
    generation at;
};

static uint64_t seed;

static uint32_t below(uint32_t bound)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % bound;
}

static void key_text(unsigned key, unsigned char out[2])
{
    out[0] = (unsigned char)(1 + key % 3);
    out[1] = (unsigned char)key;
}

static void make_job(struct job *job, generation near)
{
    job->n = 1 + below(8);
    for (unsigned i = 0; i < job->n; i++) {
        struct op *op = &job->ops[i];
        op->kind = below(10) < 3 ? 0 : below(4) == 0 ? 2 : 1;
        op->key = below(KEYS);
        op->condition = (enum condition)below(20);
        if (op->condition > KEY_NOT_AFTER)
            op->condition = op->condition == 19 ? STORE_GENERATION : KEY_NOT_AFTER;
        op->g = near > 3 ? near - below(4) : near;
        op->value = below(1u << 30);
    }
}

static struct batch *job_batch(const struct job *job)
{
    struct batch *batch = batch_new();
    for (unsigned i = 0; i < job->n; i++) {
        const struct op *op = &job->ops[i];
        unsigned char key[2], value[4];
        key_text(op->key, key);
        kt_put_u32(value, op->value);
        if (op->kind == 0)
            batch_require(batch, op->condition, kt_bytes(key, 2), op->g);
        else if (op->kind == 1)
            batch_put(batch, kt_bytes(key, 2), kt_bytes(value, 4));
        else
            batch_delete(batch, kt_bytes(key, 2));
    }
    return batch;
}

static bool holds(const struct model *model, const struct op *op, generation *ret_found)
{
    bool present = model->keys[op->key].present;
    generation changed = present ? model->keys[op->key].changed : 0;
    *ret_found = op->condition == STORE_GENERATION ? model->at : changed;
    switch (op->condition) {
    case KEY_ABSENT:
        return !present;
    case KEY_PRESENT:
        return present;
    case KEY_CHANGED_AT:
        return present && changed == op->g;
    case KEY_NOT_AFTER:
        return !present || changed <= op->g;
    case STORE_GENERATION:
        return model->at <= op->g;
    }
    return false;
}

/* What the batch's result must be, and what it makes of the model. */
static void replay(struct model *model, const struct job *job)
{
    const struct commit_result *result = &job->wait.result;
    unsigned index = 0, writes = 0;
    for (unsigned i = 0; i < job->n; i++) {
        const struct op *op = &job->ops[i];
        generation found = 0;
        writes += op->kind != 0;
        if (op->kind != 0)
            continue;
        if (!holds(model, op, &found)) {
            assert_int_equal(result->error, STORE_CONFLICT);
            assert_int_equal(result->condition, index);
            assert_int_equal(result->found, found);
            return;
        }
        index++;
    }
    assert_int_equal(result->error, STORE_OK);
    assert_in_range(result->at, model->at, model->at + 1); /* of the fold it was in */
    if (writes == 0)
        return;
    model->at = result->at;
    for (unsigned i = 0; i < job->n; i++) {
        const struct op *op = &job->ops[i];
        if (op->kind == 1)
            model->keys[op->key].value = op->value;
        if (op->kind != 0) {
            model->keys[op->key].present = op->kind == 1;
            model->keys[op->key].changed = result->at;
        }
    }
}

static void compare(struct store_fixture *f, const struct model *model)
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    assert_int_equal(snapshot_generation(snapshot), model->at);
    unsigned seen = 0, present = 0;
    struct cursor *cursor = NULL;
    assert_int_equal(cursor_open(snapshot, kt_str(""), kt_str(""), &cursor), STORE_OK);
    struct entry entry;
    while (cursor_next(cursor, &entry) == STORE_OK) {
        unsigned key = entry.key.at[1];
        assert_true(key < KEYS && model->keys[key].present);
        assert_int_equal(entry.changed, model->keys[key].changed);
        assert_int_equal(kt_get_u32(entry.value.at), model->keys[key].value);
        seen++;
    }
    cursor_close(cursor);
    snapshot_end(snapshot);
    for (unsigned i = 0; i < KEYS; i++)
        present += model->keys[i].present;
    assert_int_equal(seen, present);
}

static uint64_t setting(const char *name, uint64_t absent)
{
    const char *text = secure_getenv(name);
    uint64_t value = absent;
    if (text != NULL)
        assert_true(kt_u64_parse(kt_str(text), UINT64_MAX, &value));
    return value;
}

static void agrees(enum store_engine engine)
{
    static struct job jobs[FLIGHT];
    struct store_fixture f;
    struct model model = {0};
    seed = setting("KT_SEED", 1); /* the same in each run: a change is judged by what it changed */
    print_message("    KT_SEED=%ju\n", (uintmax_t)seed);
    assert_int_equal(fixture_init(&f, engine), 0);
    const uint64_t batches = setting("KT_CASES", BATCHES);
    for (uint64_t done = 0; done < batches;) {
        unsigned n = 1 + below(FLIGHT);
        for (unsigned i = 0; i < n; i++) {
            make_job(&jobs[i], model.at + 1);
            fixture_submit(&f, job_batch(&jobs[i]), &jobs[i].wait);
        }
        for (unsigned i = 0; i < n; i++) {
            fixture_wait(&jobs[i].wait);
            replay(&model, &jobs[i]);
        }
        done += n;
        if (below(8) == 0) {
            if (below(4) == 0)
                fixture_reopen(&f);
            compare(&f, &model);
        }
    }
    compare(&f, &model);
    fixture_done(&f);
}

static void lmdb_agrees(void **state)
{
    (void)state;
    agrees(STORE_LMDB);
}

static void inmem_agrees(void **state)
{
    (void)state;
    agrees(STORE_INMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lmdb_agrees),
        cmocka_unit_test(inmem_agrees),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("store_model", tests, NULL, NULL);
}
