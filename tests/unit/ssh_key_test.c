#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "lib/ssh_key.h"

/* Made by ssh-keygen 9.2: one key in its forms, one with a passphrase, one of another kind. */
#define KIND  "ssh-ed25519 "
#define BLOB  "AAAAC3NzaC1lZDI1NTE5AAAAIMug+8Ea4aJG12mdy6USzeGzGnEKYApqyuGWtY60Xg7t"
#define LINE  KIND BLOB " ops@example"
#define PRINT "SHA256:D7TFeDPbvNzb8mKWjivz6NNYhbdIT0UYCoBh3H9Pq48"
#define BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define END   "-----END OPENSSH PRIVATE KEY-----\n"
static const char private_text[] =
    BEGIN "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
          "QyNTUxOQAAACDLoPvBGuGiRtdpnculEs3hsxpxCmAKasrhlrWOtF4O7QAAAJDw/bJR8P2y\n"
          "UQAAAAtzc2gtZWQyNTUxOQAAACDLoPvBGuGiRtdpnculEs3hsxpxCmAKasrhlrWOtF4O7Q\n"
          "AAAEChzEFWGBtCPIiahZfotli+gW2u34qhFXEkWPb9WBx+O8ug+8Ea4aJG12mdy6USzeGz\n"
          "GnEKYApqyuGWtY60Xg7tAAAAC29wc0BleGFtcGxlAQI=\n" END;
static const char with_passphrase[] =
    BEGIN "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDOzJEZgG\n"
          "GkOB0kuVuJa0w9AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIAI6cJrH4/S6js39\n"
          "N3/d6zrWQUKPkAEimAa5LI04W/XeAAAAkDPHCn18bASIjYD9EnU0VuWkJ+o36uZ1ppMgu7\n"
          "WgJ7kKtjFtVnTHGATIesXx8L7sNjV85TiPaLGftEPtfR+f7x+3pC9McA+usS5y5DkE2WSX\n"
          "Z+iNzS/Nj4bSOt2CeSp4lyROczvkXpfEXcSj0Db7DonbL552ReXmfhoq1uSiuSBdGd4SnO\n"
          "QAi/aEyk4HndvBvQ==\n" END;
static const char of_another_kind[] =
    BEGIN "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
          "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQT51y8BUOJfZN9/hsXzXiOgaMqqarba\n"
          "V2BNq20SVtMqAbrlPGuN9A3GAE3jk7SglPBr5rbP9a3h+Kfme6sG5qmNAAAAoIbidWGG4n\n"
          "VhAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPnXLwFQ4l9k33+G\n"
          "xfNeI6BoyqpqttpXYE2rbRJW0yoBuuU8a430DcYATeOTtKCU8Gvmts/1reH4p+Z7qwbmqY\n"
          "0AAAAgeBmJ7LOMTLwP9IfRB9wtRwvzGFZR1oX14/JubztH7KoAAAAHcm9vdEB2bQE=\n" END;

static struct kt_secret *known_key(void)
{
    struct kt_secret *key = NULL;
    assert_int_equal(kt_ssh_private_read(kt_str(private_text), &key, NULL), KT_OK);
    return key;
}

static void reads_and_writes_what_ssh_keygen_made(void **state)
{
    (void)state;
    struct kt_secret *key = known_key();
    unsigned char public_key[KT_SSH_PUBLIC];
    char print[KT_SSH_PRINT_TEXT];
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_TEXT_MAX);
    assert_int_equal(kt_ssh_public_write(kt_ssh_public_of(key), "ops@example", &text, NULL), KT_OK);
    assert_string_equal(kt_buf_text(&text), LINE);
    assert_int_equal(kt_ssh_public_read(kt_str(LINE "\n"), public_key, NULL), KT_OK);
    assert_memory_equal(public_key, kt_ssh_public_of(key).at, sizeof public_key);
    assert_int_equal(kt_ssh_public_read(kt_str(KIND BLOB), public_key, NULL), KT_OK);
    assert_int_equal(kt_ssh_print(kt_ssh_public_of(key), print, NULL), KT_OK);
    assert_string_equal(print, PRINT);
    kt_secret_free(key);
}

/* All but the two random numbers stands where ssh-keygen puts it. */
static void a_written_key_is_read_again(void **state)
{
    (void)state;
    struct kt_secret *key = known_key(), *again = NULL, *fresh = NULL;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_TEXT_MAX);
    assert_int_equal(kt_ssh_private_write(key, "ops@example", &text, NULL), KT_OK);
    assert_int_equal(text.len, sizeof private_text - 1);
    assert_memory_equal(text.at, private_text, 160);
    assert_int_equal(kt_ssh_private_read(kt_buf_bytes(&text), &again, NULL), KT_OK);
    assert_memory_equal(again->at, key->at, KT_SSH_KEY);
    assert_int_equal(kt_ssh_key_new(&fresh, NULL), KT_OK);
    assert_memory_not_equal(fresh->at, key->at, KT_SSH_KEY);
    for (size_t len = 0; len < 2 * 8; len++) { /* each length of padding */
        char comment[17] = "aaaaaaaaaaaaaaaa";
        struct kt_secret *copy = NULL;
        comment[len] = '\0';
        kt_buf_reset(&text);
        assert_int_equal(kt_ssh_private_write(fresh, comment, &text, NULL), KT_OK);
        assert_int_equal(kt_ssh_private_read(kt_buf_bytes(&text), &copy, NULL), KT_OK);
        assert_memory_equal(copy->at, fresh->at, KT_SSH_KEY);
        kt_secret_free(copy);
    }
    kt_secret_free(key);
    kt_secret_free(again);
    kt_secret_free(fresh);
}

static void refused(const char *text, const char *why)
{
    struct kt_secret *key = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_ssh_private_read(kt_str(text), &key, &err), KT_INVALID);
    assert_non_null(strstr(err.what, why));
    assert_null(key);
}

static void other_keys_are_refused(void **state)
{
    (void)state;
    unsigned char key[KT_SSH_PUBLIC];
    refused(with_passphrase, "passphrase");
    refused(of_another_kind, "no Ed25519 key");
    refused("", "OPENSSH PRIVATE KEY");
    refused(BEGIN END, "damaged");
    refused(BEGIN "AAAA\n" END, "damaged");
    assert_int_equal(kt_ssh_public_read(kt_str("ssh-rsa " BLOB), key, NULL), KT_INVALID);
    assert_int_equal(kt_ssh_public_read(kt_str(KIND), key, NULL), KT_INVALID);
    assert_int_equal(kt_ssh_public_read(kt_str(KIND "AAAA"), key, NULL), KT_INVALID);
    assert_int_equal(kt_ssh_public_read(kt_str("restrict " LINE), key, NULL), KT_INVALID);
}

/* One bit of the text is another: refused, or it is in the comment or the random numbers, and the key
 * that is read is the same. */
static void a_flipped_bit_is_never_another_key(void **state)
{
    (void)state;
    struct kt_secret *key = known_key();
    char text[sizeof private_text];
    size_t read = 0;
    for (size_t i = 0; i < 8 * (sizeof private_text - 1); i++) {
        struct kt_secret *other = NULL;
        memcpy(text, private_text, sizeof text);
        text[i / 8] = (char)((unsigned char)text[i / 8] ^ 1u << i % 8);
        if (kt_ssh_private_read(kt_bytes(text, sizeof text - 1), &other, NULL) != KT_OK)
            continue;
        read++;
        assert_memory_equal(other->at, key->at, KT_SSH_KEY);
        kt_secret_free(other);
    }
    assert_in_range(read, 1, 8 * 40);
    kt_secret_free(key);
}

static void comments_are_one_line(void **state)
{
    (void)state;
    struct kt_secret *key = known_key();
    char longest[KT_SSH_COMMENT_MAX + 2];
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_TEXT_MAX);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(kt_ssh_private_write(key, longest, &text, NULL), KT_INVALID);
    assert_int_equal(kt_ssh_public_write(kt_ssh_public_of(key), "a\nssh-ed25519", &text, NULL),
                     KT_INVALID);
    longest[KT_SSH_COMMENT_MAX] = '\0';
    assert_int_equal(kt_ssh_private_write(key, longest, &text, NULL), KT_OK);
    kt_secret_free(key);
}

#ifdef KT_FAULT
/* Each allocation fails in turn: an error each time, and the whole text when none does. */
static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct kt_secret *key = known_key();
    unsigned long nth = 0;
    for (enum kt_kind kind = KT_NO_MEMORY; kind != KT_OK;) {
        kt_autobuf struct kt_buf text;
        struct kt_secret *again = NULL;
        char print[KT_SSH_PRINT_TEXT];
        kt_buf_init(&text, KT_SSH_TEXT_MAX);
        (void)kt_fail_allocation(++nth);
        kind = kt_ssh_private_write(key, "x", &text, NULL);
        if (kind == KT_OK)
            kind = kt_ssh_private_read(kt_buf_bytes(&text), &again, NULL);
        if (kind == KT_OK)
            kind = kt_ssh_public_write(kt_ssh_public_of(key), "x", &text, NULL);
        if (kind == KT_OK)
            kind = kt_ssh_print(kt_ssh_public_of(key), print, NULL);
        (void)kt_fail_allocation(0);
        kt_secret_free(again);
        if (kind != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
    }
    assert_in_range(nth, 6, 50);
    kt_secret_free(key);
}
#endif

static int start(void **state)
{
    (void)state;
    return kt_secret_init(NULL) == KT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_what_ssh_keygen_made),
        cmocka_unit_test(a_written_key_is_read_again),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(a_flipped_bit_is_never_another_key),
        cmocka_unit_test(comments_are_one_line),
#ifdef KT_FAULT
        cmocka_unit_test(memory_that_runs_out_is_told),
#endif
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
