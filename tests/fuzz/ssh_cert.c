/* tests/fuzz/ssh_cert.c - what people say of an SSH certificate, and certificates that are read.
 *
 * The first byte says as what the rest is read: 'c' a certificate, 'k' a list of revoked ones, 'h' of a host or
 * anything else of a user: principals and options, each ended by a NUL. What passes the check is signed, and
 * read again. */
#include "lib/assert.h"
#include "lib/ssh_cert.h"
#include "lib/ssh_krl.h"
#include "tests/fuzz/fuzz.h"

static const struct kt_secret *authority(void)
{
    static struct kt_secret *key;
    if (key == NULL)
        KT_ASSERT(kt_secret_init(NULL) == KT_OK && kt_ssh_key_new(&key, NULL) == KT_OK);
    return key;
}

static void sign(bool host, const char *principals, const char *options)
{
    const unsigned char key[KT_SSH_PUBLIC] = {1};
    struct kt_ssh_cert_facts facts;
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, (size_t)2 * KT_SSH_CERT_TEXT_MAX);
    const struct kt_ssh_cert cert = {.public_key = kt_bytes(key, sizeof key),
                                     .host = host,
                                     .serial = 7,
                                     .key_id = "k",
                                     .principals = principals,
                                     .options = options,
                                     .until_s = 9};
    enum kt_kind checked = kt_ssh_cert_check(host, principals, options, NULL);
    enum kt_kind made = kt_ssh_cert_write(&cert, authority(), "", &line, NULL);
    if (checked != KT_OK)
        KT_ASSERT(made == checked);
    if (made != KT_OK)
        return;
    KT_ASSERT(kt_ssh_cert_read(kt_buf_bytes(&line), &facts, NULL) == KT_OK);
    KT_ASSERT(facts.serial == 7 && facts.until_s == 9 && memcmp(facts.public_key, key, sizeof key) == 0);
}

static void read_list(struct kt_bytes bytes)
{
    static const uint64_t serials[] = {1, 2};
    static const struct kt_ssh_krl_part part = {.authority = {1}, .serials = serials, .n = 2};
    static const struct kt_ssh_krl krl = {.parts = &part, .n = 1, .version = 1, .made_s = 1};
    kt_autobuf struct kt_buf right;
    kt_buf_init(&right, 4096);
    KT_ASSERT(kt_ssh_krl_write(&krl, &right, NULL) == KT_OK);
    bool passes = kt_ssh_krl_check(bytes, &krl, NULL) == KT_OK;
    KT_ASSERT(passes == kt_bytes_equal(bytes, kt_buf_bytes(&right)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_ssh_cert_facts facts;
    if (size == 0 || size > KT_SSH_CERT_TEXT_MAX)
        return 0;
    struct kt_bytes rest = kt_bytes(data + 1, size - 1);
    if (data[0] == 'c') {
        (void)(kt_ssh_cert_read(rest, &facts, NULL) == KT_OK);
        return 0;
    }
    if (data[0] == 'k') {
        read_list(rest);
        return 0;
    }
    const unsigned char *end = memchr(rest.at, '\0', rest.len);
    if (end == NULL || rest.at[rest.len - 1] != '\0')
        return 0;
    const char *options = end + 1 < rest.at + rest.len ? (const char *)end + 1 : "";
    sign(data[0] == 'h', (const char *)rest.at, options);
    return 0;
}
