#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/ssh_cert.h"

/* What ssh-keygen 9.2 made: an authority's key, a user's, and the certificate it signed. */
static const char authority_text[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQAAAIhUwshKVMLI\n"
    "SgAAAAtzc2gtZWQyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQ\n"
    "AAAEDMNb5G/Hct5Zdpt80LmeKKe1Z/kicPP+4M3+PhgXUrSJSpo6cVXzRznG2j+Py5Db++\n"
    "r1ErtM9Mn5SBbRYNzAJhAAAAAAECAwQF\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
#define USER "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjiCR1iqvqyAk8JuNPHrW//URFnfJ3yy29SmZO/GMBv"
static const char certificate_text[] =
    KT_SSH_CERT " "
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIBpVHublnHz+9Y1dAyjLXRb903gV5VL5qQ8VD/"
    "45X0m3AAAAIGjiCR1iqvqyAk8JuNPHrW//URFnfJ3yy29SmZO/GMBvAAAAAAAAACoAAAABAAAABmtleSBpZAAAABEA"
    "AAAGZGVwbG95AAAAA29wcwAAAABpVbkAAAAAAGlXCoAAAABGAAAADWZvcmNlLWNvbW1hbmQAAAANAAAACS9iaW4vdH"
    "J1ZQAAAA5zb3VyY2UtYWRkcmVzcwAAAA4AAAAKMTAuMC4wLjAvOAAAABIAAAAKcGVybWl0LXB0eQAAAAAAAAAAAAAA"
    "MwAAAAtzc2gtZWQyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQAAAFMAAAALc3NoLWVkMj"
    "U1MTkAAABAs2YWyhZ/Gw5oQ9PQTexNB7gVL0MteS5JkDpsa5U9/8BjJmqW1viV7IsjF+SzPXwZZ65Dm0so9lRZjLWJ"
    "2NIeCg==";
static const unsigned char nonce[32] = {
    0x1a, 0x55, 0x1e, 0xe6, 0xe5, 0x9c, 0x7c, 0xfe, 0xf5, 0x8d, 0x5d, 0x03, 0x28, 0xcb, 0x5d, 0x16,
    0xfd, 0xd3, 0x78, 0x15, 0xe5, 0x52, 0xf9, 0xa9, 0x0f, 0x15, 0x0f, 0xfe, 0x39, 0x5f, 0x49, 0xb7};
#define FROM_S  1767225600 /* 2026-01-01 */
#define UNTIL_S (FROM_S + 86400)
#define OPTIONS "permit-pty; source-address=10.0.0.0/8;force-command=/bin/true"

static void same_nonce(void *out, size_t len)
{
    assert_int_equal(len, sizeof nonce);
    memcpy(out, nonce, len);
}

static struct kt_secret *authority(void)
{
    struct kt_secret *key = NULL;
    assert_int_equal(kt_ssh_private_read(kt_str(authority_text), &key, NULL), KT_OK);
    return key;
}

static unsigned char user[KT_SSH_PUBLIC];

static struct kt_ssh_cert known(void)
{
    assert_int_equal(kt_ssh_public_read(kt_str(USER), user, NULL), KT_OK);
    return (struct kt_ssh_cert){.public_key = kt_bytes(user, sizeof user),
                                .serial = 42,
                                .key_id = "key id",
                                .principals = "deploy, ops",
                                .options = OPTIONS,
                                .from_s = FROM_S,
                                .until_s = UNTIL_S};
}

/* Ed25519 draws nothing: with the nonce of ssh-keygen's certificate each byte is the same. */
static void writes_what_ssh_keygen_writes(void **state)
{
    (void)state;
    struct kt_secret *by = authority();
    const struct kt_ssh_cert cert = known();
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_CERT_TEXT_MAX);
    kt_random_source(same_nonce);
    assert_int_equal(kt_ssh_cert_write(&cert, by, "", &text, NULL), KT_OK);
    kt_random_source(NULL);
    assert_string_equal(kt_buf_text(&text), certificate_text);
    kt_secret_free(by);
}

static void refused(struct kt_ssh_cert cert, const char *why)
{
    struct kt_secret *by = authority();
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_CERT_TEXT_MAX);
    assert_int_equal(kt_ssh_cert_write(&cert, by, "", &text, &err), KT_INVALID);
    if (strstr(err.what, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.what, why);
    assert_int_equal(text.len, 0);
    kt_secret_free(by);
}

static void good_for_nobody_else(void **state)
{
    (void)state;
    static const struct {
        const char *principals, *options, *why;
    } rows[] = {{"", "", "good for everybody"},
                {" , ", "", "good for everybody"},
                {"dep*", "", "is a pattern"},
                {"deploy,!ops", "", "number 2 is a pattern"},
                {"d\xc3\xa9ploy", "", "odd characters"},
                {"deploy", "permit-everything", "option number 1"},
                {"deploy", "permit-pty;permit-pty", "option number 2"},
                {"deploy", "permit-pty=1", "option number 1"},
                {"deploy", "force-command", "option number 1"},
                {"deploy", "force-command=", "option number 1"},
                {"deploy", "source-address=10.0.0.0/8;force-command=a\nb", "option number 2"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_ssh_cert cert = known();
        cert.principals = rows[i].principals;
        cert.options = rows[i].options;
        refused(cert, rows[i].why);
        assert_int_equal(kt_ssh_cert_check(false, rows[i].principals, rows[i].options, NULL), KT_INVALID);
    }
    struct kt_ssh_cert cert = known();
    cert.serial = 0;
    refused(cert, "has a serial");
    cert = known();
    cert.until_s = cert.from_s;
    refused(cert, "a time that passes");
    cert = known();
    cert.host = true;
    refused(cert, "no options");
    assert_int_equal(kt_ssh_cert_check(true, "web1.example.com,10.0.0.7", "", NULL), KT_OK);
}

static void reads_what_ssh_keygen_wrote(void **state)
{
    (void)state;
    struct kt_secret *by = authority();
    const struct kt_ssh_cert cert = known();
    struct kt_ssh_cert_facts facts;
    assert_int_equal(kt_ssh_cert_read(kt_str(certificate_text), &facts, NULL), KT_OK);
    assert_memory_equal(facts.public_key, cert.public_key.at, KT_SSH_PUBLIC);
    assert_memory_equal(facts.authority, kt_ssh_public_of(by).at, KT_SSH_PUBLIC);
    assert_int_equal(facts.serial, 42);
    assert_int_equal(facts.until_s, UNTIL_S);
    kt_secret_free(by);
}

/* Each character of its base64 but the last ones, whose bits may be padding. */
static void takes_none_that_was_changed(void **state)
{
    (void)state;
    char text[sizeof certificate_text];
    struct kt_ssh_cert_facts facts;
    for (size_t i = sizeof KT_SSH_CERT; i + 4 < sizeof text; i++) {
        memcpy(text, certificate_text, sizeof text);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(kt_ssh_cert_read(kt_str(text), &facts, NULL), KT_INVALID);
        assert_int_equal(kt_ssh_cert_read(kt_bytes(certificate_text, i), &facts, NULL), KT_INVALID);
    }
    assert_int_equal(kt_ssh_cert_read(kt_str(USER), &facts, NULL), KT_INVALID);
}

#ifdef KT_FAULT
static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct kt_secret *by = authority();
    const struct kt_ssh_cert cert = known();
    unsigned long nth = 0;
    for (enum kt_kind kind = KT_NO_MEMORY; kind != KT_OK;) {
        kt_autobuf struct kt_buf text;
        kt_buf_init(&text, KT_SSH_CERT_TEXT_MAX);
        (void)kt_fail_allocation(++nth);
        kind = kt_ssh_cert_write(&cert, by, "", &text, NULL);
        (void)kt_fail_allocation(0);
        if (kind != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
    }
    assert_in_range(nth, 4, 40);
    kt_secret_free(by);
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
        cmocka_unit_test(writes_what_ssh_keygen_writes),
        cmocka_unit_test(good_for_nobody_else),
        cmocka_unit_test(reads_what_ssh_keygen_wrote),
        cmocka_unit_test(takes_none_that_was_changed),
#ifdef KT_FAULT
        cmocka_unit_test(memory_that_runs_out_is_told),
#endif
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
