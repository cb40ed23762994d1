/* A look into a store beside its vaultd; and the program that does so for
 * tests/support/rotation_watch.py:
 *
 *   store_peek_test peek FOLDER     the first line of its input has the key shares, each other one
 *                                   "SCOPE PATH"; answers a line of JSON each, {"error": ...} if
 * not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/jsonw.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/support/folder.h"
#include "tests/support/store_peek.h"
#include "vaultd/engine/kv.h"

#define OUT_MAX ((size_t)4 * 1024 * 1024)

/* ---- the program ---- */

static size_t words_of(char *line, const char *words[16])
{
    size_t n = 0;
    line[strcspn(line, "\n")] = '\0';
    char *rest = line;
    while (rest != NULL && n < 16)
        words[n++] = strsep(&rest, " ");
    return n;
}

static void answer(struct store_peek *peek, const char *scope_text, const char *path)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, OUT_MAX);
    struct kt_err err = {0};
    unsigned char scope[BARRIER_SCOPE];
    size_t len = 0;
    if (sodium_hex2bin(scope, sizeof scope, scope_text, strlen(scope_text), "-", &len, NULL) != 0 ||
        len != sizeof scope)
        (void)kt_fail(&err, KT_INVALID, "the scope is no uuid");
    else if (store_peek_secret(peek, scope, path, &out, &err) == KT_NOT_FOUND)
        (void)kt_fail(&err, KT_NOT_FOUND, "no such secret");
    if (err.kind != KT_OK) {
        kt_buf_reset(&out);
        struct kt_jsonw w = kt_jsonw(&out);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "error", err.what);
        kt_jsonw_end(&w);
    }
    (void)printf("%.*s\n", (int)out.len, (const char *)out.at);
    (void)fflush(stdout);
}

static int peek_lines(const char *folder)
{
    char line[4096];
    const char *words[16];
    struct store_peek *peek = NULL;
    struct kt_err err = {0};
    if (fgets(line, sizeof line, stdin) == NULL)
        return 2;
    size_t n = words_of(line, words);
    if (kt_secret_init(&err) != KT_OK || store_peek_open(folder, words, n, &peek, &err) != KT_OK) {
        (void)printf("{\"error\": \"%s\"}\n", err.what);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        if (words_of(line, words) == 2)
            answer(peek, words[0], words[1]);
    store_peek_close(peek);
    return 0;
}

/* ---- a store to look into ---- */

struct fixture {
    char folder[64];
    char hex[2][2 * SHAMIR_SHARE_BYTES + 1];
    unsigned char scope[BARRIER_SCOPE];
};

static void wait_done(void *arg, const struct commit_result *result)
{
    assert_int_equal(result->error, STORE_OK);
    *(bool *)arg = true;
}

/* Closing finishes what is queued. */
static void commit_and_close(struct store *store, struct barrier *barrier, struct batch *batch)
{
    bool done = false;
    store_commit(store, batch, wait_done, &done);
    barrier_free(barrier);
    store_close(store);
    assert_true(done);
}

static struct store *open_store(const struct fixture *f)
{
    struct kt_err err = {0};
    struct store *store = NULL;
    const struct store_config config = {.engine = STORE_LMDB, .path = f->folder};
    assert_int_equal(store_open(&config, &store, &err), KT_OK);
    return store;
}

static void make_keys(struct fixture *f)
{
    struct kt_err err = {0};
    unsigned char shares[3][SHAMIR_SHARE_BYTES];
    struct store *store = open_store(f);
    struct barrier *barrier = NULL;
    struct batch *batch = batch_new();
    assert_int_equal(barrier_new(store, &barrier, &err), KT_OK);
    assert_int_equal(barrier_init(barrier, 3, 2, 0, batch, shares, &err), KT_OK);
    barrier_init_done(barrier, true); /* the batch has what it needs */
    commit_and_close(store, barrier, batch);
    for (size_t i = 0; i < 2; i++)
        kt_hex_encode(shares[i], SHAMIR_SHARE_BYTES, f->hex[i]);
}

static void write_versions(const struct fixture *f)
{
    struct kt_err err = {0};
    struct core core = {.store = open_store(f)};
    assert_int_equal(barrier_new(core.store, &core.barrier, &err), KT_OK);
    for (size_t i = 0; i < 2; i++) {
        unsigned char share[SHAMIR_SHARE_BYTES];
        bool unsealed = false;
        assert_int_equal(shamir_share_parse(kt_str(f->hex[i]), share, &err), KT_OK);
        assert_int_equal(barrier_unseal_share(core.barrier, share, &unsealed, &err), KT_OK);
    }
    barrier_admit(core.barrier);
    assert_true(barrier_enter(core.barrier));
    struct mount mount = {.path = "secret/"};
    memcpy(mount.scope, f->scope, sizeof mount.scope);
    struct snapshot *snapshot = NULL;
    struct kt_arena arena;
    kt_arena_init(&arena, OUT_MAX);
    assert_int_equal(snapshot_begin(core.store, &snapshot), STORE_OK);
    struct kv_secret *secret = NULL;
    struct batch *batch = batch_new();
    assert_int_equal(kv_load(&core, &mount, snapshot, &arena, "a/b", &secret, &err), KT_NOT_FOUND);
    assert_int_equal(kv_write(&core, &mount, snapshot, batch, "a/b", secret,
                              kt_str("{\"p\":\"one\"}"), KV_CURRENT, 1000, &err),
                     KT_OK);
    snapshot_end(snapshot);
    kt_arena_free(&arena);
    barrier_leave(core.barrier);
    commit_and_close(core.store, core.barrier, batch);
}

static int make_folder(void **state)
{
    static struct fixture f = {.scope = {1, 2, 3}};
    assert_int_equal(folder_make(f.folder), 0);
    make_keys(&f);
    write_versions(&f);
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    folder_remove(((struct fixture *)*state)->folder);
    return 0;
}

static void peek(const struct fixture *f, size_t n_shares, const char *path, enum kt_kind wanted,
                 struct kt_buf *out)
{
    struct kt_err err = {0};
    struct store_peek *peek = NULL;
    const char *shares[] = {f->hex[0], f->hex[1]};
    assert_int_equal(store_peek_open(f->folder, shares, n_shares, &peek, &err), KT_OK);
    enum kt_kind kind = store_peek_secret(peek, f->scope, path, out, &err);
    store_peek_close(peek);
    if (kind != wanted)
        fail_msg("expected %s, got %s: %s", kt_kind_text(wanted), kt_kind_text(kind), err.what);
}

static void a_version_is_shown(void **state)
{
    struct kt_buf out;
    kt_buf_init(&out, OUT_MAX);
    peek(*state, 2, "a/b", KT_OK, &out);
    assert_non_null(strstr(kt_buf_text(&out), "\"current\":1,\"pending\":0,\"previous\":0"));
    assert_non_null(strstr(kt_buf_text(&out), "\"data\":{\"p\":\"one\"}"));
    kt_buf_free(&out);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct kt_buf out;
    kt_buf_init(&out, OUT_MAX);
    peek(*state, 2, "a/c", KT_NOT_FOUND, &out);
    kt_buf_free(&out);
}

static void too_few_shares_open_nothing(void **state)
{
    struct kt_buf out;
    kt_buf_init(&out, OUT_MAX);
    peek(*state, 1, "a/b", KT_SEALED, &out);
    kt_buf_free(&out);
}

int main(int argc, char **argv)
{
    kt_log_set_level(KT_LOG_ERROR);
    if (argc == 3 && strcmp(argv[1], "peek") == 0)
        return peek_lines(argv[2]);
    struct kt_err err = {0};
    if (kt_secret_init(&err) != KT_OK)
        return 1;
    kt_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_version_is_shown, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(too_few_shares_open_nothing, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("store_peek", tests, NULL, NULL);
}
