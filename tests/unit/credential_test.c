/* A key that the service manager hands over: what is read, and what is refused. */
#include "lib/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/folder.h"

#define LEN 32u

static char folder[64];

static const char *place(const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, size_t len, mode_t mode)
{
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i + 1);
    int fd = open(place(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static enum kt_kind read_it(const char *name, struct kt_err *err)
{
    struct kt_secret *secret = NULL;
    enum kt_kind kind = kt_credential_read(folder, name, LEN, &secret, err);
    assert_int_equal(secret != NULL, kind == KT_OK);
    if (secret != NULL) {
        assert_int_equal(secret->len, LEN);
        for (size_t i = 0; i < LEN; i++)
            assert_int_equal(secret->at[i], i + 1);
    }
    kt_secret_free(secret);
    return kind;
}

static void refused(const char *name, enum kt_kind kind, const char *says)
{
    struct kt_err err = {0};
    assert_int_equal(read_it(name, &err), kind);
    if (strstr(err.what, says) == NULL)
        fail_msg("%s", err.what);
}

static void reads_what_systemd_makes(void **state)
{
    (void)state;
    put("key", LEN, 0400);
    assert_int_equal(read_it("key", NULL), KT_OK);
    put("key", LEN, 0440); /* the group's bits show an access list */
    assert_int_equal(read_it("key", NULL), KT_OK);
}

static void refuses_the_rest(void **state)
{
    (void)state;
    refused("none", KT_NOT_FOUND, "there is no credential 'none'");
    put("open", LEN, 0444);
    refused("open", KT_DENIED, "can be read or changed by others");
    put("open", LEN, 0620);
    refused("open", KT_DENIED, "can be read or changed by others");
    put("short", LEN - 1, 0400);
    refused("short", KT_INVALID, "has 31 bytes, not 32");
    put("long", LEN + 1, 0400); /* a newline too many */
    refused("long", KT_INVALID, "has 33 bytes, not 32");
    put("real", LEN, 0400);
    assert_int_equal(symlink("real", place("link")), 0);
    refused("link", KT_IO, "cannot open the credential 'link'");
    assert_int_equal(mkfifo(place("pipe"), 0600), 0);
    refused("pipe", KT_DENIED, "can be read or changed by others");
    assert_int_equal(mkdir(place("dir"), 0700), 0);
    refused("dir", KT_DENIED, "can be read or changed by others");
}

static void what_is_no_key(void **state)
{
    (void)state;
    unsigned char zeros[LEN] = {0};
    put("zeros", 0, 0600);
    int fd = open(place("zeros"), O_WRONLY);
    assert_int_equal(write(fd, zeros, sizeof zeros), (ssize_t)sizeof zeros);
    assert_int_equal(close(fd), 0);
    refused("zeros", KT_INVALID, "all of its bytes are the same");
}

static void names(void **state)
{
    (void)state;
    char longest[KT_CREDENTIAL_NAME + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(kt_credential_name_ok(longest));
    longest[KT_CREDENTIAL_NAME - 1] = '\0';
    assert_true(kt_credential_name_ok(longest));
    static const char *const bad[] = {"", ".", "..", ".a", "a/b", "../key", "a b", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(kt_credential_name_ok(bad[i]));
        refused(bad[i], KT_INVALID, "this is no credential's name");
    }
    assert_true(kt_credential_name_ok("vaultd-seal_2.key"));
}

static void folders(void **state)
{
    (void)state;
    struct kt_secret *secret = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_credential_read(NULL, "key", LEN, &secret, &err), KT_NOT_FOUND);
    assert_non_null(strstr(err.what, "CREDENTIALS_DIRECTORY is not set"));
    assert_int_equal(kt_credential_read("", "key", LEN, &secret, NULL), KT_NOT_FOUND);
    assert_int_equal(kt_credential_read("/nonexistent/x", "key", LEN, &secret, &err), KT_NOT_FOUND);
    assert_non_null(strstr(err.what, "does not exist"));
    put("key", LEN, 0400);
    assert_int_equal(kt_credential_read(place("key"), "key", LEN, &secret, NULL), KT_IO);
    assert_int_equal(chmod(folder, 0770), 0);
    refused("key", KT_DENIED, "folder of credentials");
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(read_it("key", NULL), KT_OK);
}

static int make(void **state)
{
    (void)state;
    return folder_make(folder);
}

static int end(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_systemd_makes, make, end),
        cmocka_unit_test_setup_teardown(refuses_the_rest, make, end),
        cmocka_unit_test_setup_teardown(what_is_no_key, make, end),
        cmocka_unit_test_setup_teardown(names, make, end),
        cmocka_unit_test_setup_teardown(folders, make, end),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}
