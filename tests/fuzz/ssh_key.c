/* tests/fuzz/ssh_key.c - what is read as an SSH key is read again, the same, from what is written of it. */
#include "lib/assert.h"
#include "lib/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void public_half(struct kt_bytes text)
{
    unsigned char key[KT_SSH_PUBLIC], again[KT_SSH_PUBLIC];
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, KT_SSH_TEXT_MAX);
    if (kt_ssh_public_read(text, key, NULL) != KT_OK)
        return;
    KT_ASSERT(kt_ssh_public_write(kt_bytes(key, sizeof key), "x", &line, NULL) == KT_OK);
    KT_ASSERT(kt_ssh_public_read(kt_buf_bytes(&line), again, NULL) == KT_OK);
    KT_ASSERT(memcmp(key, again, sizeof key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        KT_ASSERT(kt_secret_init(NULL) == KT_OK);
    ready = true;
    kt_autosecret struct kt_secret *key = NULL, *again = NULL;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_TEXT_MAX);
    public_half(kt_bytes(data, size));
    if (kt_ssh_private_read(kt_bytes(data, size), &key, NULL) != KT_OK)
        return 0;
    KT_ASSERT(kt_ssh_private_write(key, "", &text, NULL) == KT_OK);
    KT_ASSERT(kt_ssh_private_read(kt_buf_bytes(&text), &again, NULL) == KT_OK);
    KT_ASSERT(kt_secret_equal(kt_secret_bytes(key), kt_secret_bytes(again)));
    return 0;
}
