#include "vaultd/pam/message.h"

/* A text of at least `least` and at most `most` bytes that a C string can hold. */
static struct kt_bytes take_text(struct kt_reader *r, size_t least, size_t most)
{
    struct kt_bytes text = kt_read_field(r);
    if (text.len < least || text.len > most ||
        (text.len > 0 && memchr(text.at, '\0', text.len) != NULL))
        r->failed = true;
    return text;
}

static size_t take_count(struct kt_reader *r, size_t n, size_t least, size_t most)
{
    if (n >= least && n <= most)
        return n;
    r->failed = true;
    return 0;
}

/* ---- one pair for each letter ---- */

static void put_begin(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u8(out, PAMD_VERSION);
    kt_buf_add_u8(out, (uint8_t)message->begin.question);
    kt_buf_add_field(out, message->begin.user);
    kt_buf_add_field(out, message->begin.address);
}

static void take_begin(struct kt_reader *r, struct pamd_message *ret)
{
    if (kt_read_u8(r) != PAMD_VERSION)
        r->failed = true;
    uint8_t question = kt_read_u8(r);
    if (question >= PAMD_QUESTIONS)
        r->failed = true;
    else
        ret->begin.question = (enum pamd_question)question;
    ret->begin.user = take_text(r, 1, PAMD_NAME_MAX);
    ret->begin.address = take_text(r, 0, PAMD_NAME_MAX);
}

static void put_named(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_field(out, message->named);
}

static void take_named(struct kt_reader *r, struct pamd_message *ret)
{
    ret->named = take_text(r, 1, PAMD_NAME_MAX);
}

static void put_prompts(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u8(out, (uint8_t)message->prompts.n);
    for (size_t i = 0; i < message->prompts.n; i++) {
        kt_buf_add_u8(out, message->prompts.at[i].echo);
        kt_buf_add_field(out, message->prompts.at[i].text);
    }
}

static void take_prompts(struct kt_reader *r, struct pamd_message *ret)
{
    ret->prompts.n = take_count(r, kt_read_u8(r), 1, PAMD_PROMPTS_MAX);
    for (size_t i = 0; i < ret->prompts.n; i++) {
        uint8_t echo = kt_read_u8(r);
        if (echo > 1)
            r->failed = true;
        ret->prompts.at[i].echo = echo == 1;
        ret->prompts.at[i].text = take_text(r, 0, PAMD_TEXT_MAX);
    }
}

static void put_answers(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u8(out, (uint8_t)message->answers.n);
    for (size_t i = 0; i < message->answers.n; i++)
        kt_buf_add_field(out, message->answers.at[i]);
}

static void take_answers(struct kt_reader *r, struct pamd_message *ret)
{
    ret->answers.n = take_count(r, kt_read_u8(r), 1, PAMD_PROMPTS_MAX);
    for (size_t i = 0; i < ret->answers.n; i++)
        ret->answers.at[i] = take_text(r, 0, PAMD_TEXT_MAX);
}

static void put_groups(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u16(out, (uint16_t)message->groups.n);
    for (size_t i = 0; i < message->groups.n; i++)
        kt_buf_add_field(out, message->groups.at[i]);
}

static void take_groups(struct kt_reader *r, struct pamd_message *ret)
{
    ret->groups.n = take_count(r, kt_read_u16(r), 1, PAMD_GROUPS_EACH);
    for (size_t i = 0; i < ret->groups.n; i++)
        ret->groups.at[i] = take_text(r, 1, PAMD_NAME_MAX);
}

static void put_verdict(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u8(out, (uint8_t)message->verdict.outcome);
    kt_buf_add_u32(out, message->verdict.delay_ms);
    kt_buf_add_field(out, message->verdict.name);
}

static void take_verdict(struct kt_reader *r, struct pamd_message *ret)
{
    uint8_t outcome = kt_read_u8(r);
    bool in = outcome == PAMD_IN;
    if (outcome >= PAMD_OUTCOMES) {
        r->failed = true;
        return;
    }
    ret->verdict.outcome = (enum pamd_outcome)outcome;
    ret->verdict.delay_ms = kt_read_u32(r);
    ret->verdict.name = take_text(r, in ? 1 : 0, in ? PAMD_NAME_MAX : 0);
}

static void put_status(const struct pamd_message *message, struct kt_buf *out)
{
    kt_buf_add_u32(out, message->status);
}

static void take_status(struct kt_reader *r, struct pamd_message *ret)
{
    ret->status = kt_read_u32(r);
}

static void put_nothing(const struct pamd_message *message, struct kt_buf *out)
{
    (void)message;
    (void)out;
}

static void take_nothing(struct kt_reader *r, struct pamd_message *ret)
{
    (void)r;
    (void)ret;
}

static const struct letter_row {
    enum pamd_letter letter;
    void (*put)(const struct pamd_message *message, struct kt_buf *out);
    void (*take)(struct kt_reader *r, struct pamd_message *ret);
} rows[] = {
    {PAMD_BEGIN, put_begin, take_begin},       {PAMD_NAMED, put_named, take_named},
    {PAMD_GO, put_nothing, take_nothing},      {PAMD_PROMPTS, put_prompts, take_prompts},
    {PAMD_ANSWERS, put_answers, take_answers}, {PAMD_GROUPS, put_groups, take_groups},
    {PAMD_VERDICT, put_verdict, take_verdict}, {PAMD_ENDED, put_status, take_status},
    {PAMD_BUSY, put_nothing, take_nothing},
};

static const struct letter_row *find_row(unsigned letter)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((unsigned)rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

void pamd_encode(const struct pamd_message *message, struct kt_buf *out)
{
    const struct letter_row *row = find_row(message->letter);
    kt_buf_add_u8(out, (uint8_t)message->letter);
    if (row != NULL)
        row->put(message, out);
}

bool pamd_decode(struct kt_bytes bytes, struct pamd_message *ret)
{
    struct kt_reader r = kt_reader(bytes);
    const struct letter_row *row = find_row(kt_read_u8(&r));
    *ret = (struct pamd_message){.letter = PAMD_BUSY};
    if (row == NULL || bytes.len > PAMD_MESSAGE_MAX)
        return false;
    ret->letter = row->letter;
    row->take(&r, ret);
    return kt_reader_done(&r);
}
