/* tests/fuzz/pam_message.c - what vaultd and vaultd-pam read of each other: a message that is written
 * again as the same bytes and holds to its limits, or none. */
#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/pam/message.h"

static void judge_text(struct kt_bytes text, size_t most)
{
    KT_ASSERT(text.len <= most);
    KT_ASSERT(text.len == 0 || memchr(text.at, '\0', text.len) == NULL);
}

static void judge(const struct pamd_message *message)
{
    switch (message->letter) {
    case PAMD_BEGIN:
        KT_ASSERT(message->begin.user.len > 0 && message->begin.question < PAMD_QUESTIONS);
        judge_text(message->begin.user, PAMD_NAME_MAX);
        judge_text(message->begin.address, PAMD_NAME_MAX);
        break;
    case PAMD_PROMPTS:
        KT_ASSERT(message->prompts.n >= 1 && message->prompts.n <= PAMD_PROMPTS_MAX);
        for (size_t i = 0; i < message->prompts.n; i++)
            judge_text(message->prompts.at[i].text, PAMD_TEXT_MAX);
        break;
    case PAMD_ANSWERS:
        KT_ASSERT(message->answers.n >= 1 && message->answers.n <= PAMD_PROMPTS_MAX);
        for (size_t i = 0; i < message->answers.n; i++)
            judge_text(message->answers.at[i], PAMD_TEXT_MAX);
        break;
    case PAMD_VERDICT:
        KT_ASSERT(message->verdict.outcome < PAMD_OUTCOMES);
        KT_ASSERT((message->verdict.name.len > 0) == (message->verdict.outcome == PAMD_IN));
        break;
    case PAMD_NAMED:
        KT_ASSERT(message->named.len > 0);
        judge_text(message->named, PAMD_NAME_MAX);
        break;
    case PAMD_GROUPS:
        KT_ASSERT(message->groups.n >= 1 && message->groups.n <= PAMD_GROUPS_EACH);
        for (size_t i = 0; i < message->groups.n; i++)
            judge_text(message->groups.at[i], PAMD_NAME_MAX);
        break;
    case PAMD_GO:
    case PAMD_ENDED:
    case PAMD_BUSY:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pamd_message message;
    if (!pamd_decode(kt_bytes(data, size), &message))
        return 0;
    judge(&message);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, PAMD_MESSAGE_MAX);
    pamd_encode(&message, &out);
    KT_ASSERT(kt_buf_ok(&out) && kt_bytes_equal(kt_buf_bytes(&out), kt_bytes(data, size)));
    return 0;
}
