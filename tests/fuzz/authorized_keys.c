/* tests/fuzz/authorized_keys.c - a file of authorized keys: letting a key in, and then leaving it alone, changes no
 * foreign line by a byte, and doing either again changes nothing. */
#include "lib/assert.h"
#include "lib/driver/authorized_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OLD "ssh-ed25519 AAAAOld"
#define NEW "ssh-ed25519 AAAANew"

static struct kt_bytes next_line(struct kt_bytes *rest)
{
    const unsigned char *end = memchr(rest->at, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
    struct kt_bytes line = kt_bytes(rest->at, len);
    len += end == NULL ? 0 : 1;
    *rest = kt_bytes(rest->at + len, rest->len - len);
    return line;
}

static bool names(struct kt_bytes line, const char *word)
{
    return memmem(line.at, line.len, word, strlen(word)) != NULL;
}

/* Each line that cannot be ours stands in the other file, in the same order. */
static void foreign_stay(struct kt_bytes before, struct kt_bytes after)
{
    while (before.len > 0) {
        struct kt_bytes line = next_line(&before), found = {0};
        if (names(line, "AAAAOld") || names(line, "AAAANew") || names(line, "keyturn:S"))
            continue;
        bool same = false;
        while (after.len > 0 && !same) {
            found = next_line(&after);
            same = kt_bytes_equal(line, found);
        }
        KT_ASSERT(same);
    }
}

static bool edit(struct kt_bytes file, const struct kt_keys_wish *wish, struct kt_buf *out)
{
    struct kt_keys_seen seen, again;
    kt_buf_init(out, KT_KEYS_FILE_MAX * 4);
    enum kt_keys_outcome outcome = kt_keys_edit(file, wish, out, &seen);
    if (outcome == KT_KEYS_NO_MODEL || outcome == KT_KEYS_MEMORY)
        return false;
    struct kt_bytes made = kt_buf_bytes(out);
    KT_ASSERT(outcome != KT_KEYS_SAME || kt_bytes_equal(made, file));
    foreign_stay(file, made);
    kt_autobuf struct kt_buf twice;
    kt_buf_init(&twice, KT_KEYS_FILE_MAX * 4);
    KT_ASSERT(kt_keys_edit(made, wish, &twice, &again) == KT_KEYS_SAME);
    KT_ASSERT(kt_bytes_equal(made, kt_buf_bytes(&twice)));
    KT_ASSERT(wish->add.len == 0 || again.add);
    KT_ASSERT(!wish->alone || again.others == 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kt_keys_wish in = {.add = kt_str(NEW), .keep = kt_str(OLD), .secret = "S", .run = "R"};
    const struct kt_keys_wish alone = {.keep = kt_str(NEW), .secret = "S", .run = "R", .alone = true};
    kt_autobuf struct kt_buf both, one;
    kt_buf_init(&both, 1);
    kt_buf_init(&one, 1);
    if (size > KT_KEYS_FILE_MAX)
        return 0;
    if (edit(kt_bytes(data, size), &in, &both)) {
        struct kt_keys_seen seen;
        KT_ASSERT(edit(kt_buf_bytes(&both), &alone, &one));
        kt_keys_look(kt_buf_bytes(&one), &in, &seen);
        KT_ASSERT(seen.add && !seen.keep);
    }
    return 0;
}
