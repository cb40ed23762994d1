#include "vaultd/rotation/record.h"

#include "lib/assert.h"
#include "lib/plain_text.h"

/* Unaligned access never happens: offsets are of members of the object's own type. */
#define AT(object, row)       ((const unsigned char *)(object) + (row)->offset)
#define OBJECT_MAX            ((size_t)64 * 1024)

/* What could not be read again is not written. */
static void too_long(struct kt_buf *out)
{
    out->failed = out->full = true;
}

static void write_text(const char *text, size_t most, struct kt_buf *out)
{
    struct kt_bytes bytes = kt_str(text);
    if (bytes.len > most)
        too_long(out);
    kt_buf_add_field(out, bytes);
}

static void write_list(const struct record_list *list, size_t most, struct kt_buf *out)
{
    if (list->n > most)
        too_long(out);
    kt_buf_add_u32(out, (uint32_t)list->n);
    for (size_t i = 0; i < list->n; i++)
        write_text(list->at[i], RECORD_LIST_TEXT_MAX, out);
}

static void write_numbers(const unsigned char *at, uint32_t count, struct kt_buf *out)
{
    for (uint32_t i = 0; i < (count == 0 ? 1 : count); i++) {
        int64_t number;
        memcpy(&number, at + i * sizeof number, sizeof number);
        kt_buf_add_i64(out, number);
    }
}

static uint32_t enum_at(const unsigned char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static void write_row(const struct record_row *row, const void *object, struct kt_buf *out)
{
    const unsigned char *at = AT(object, row);
    const char *text = NULL;
    struct record_list list;
    uint16_t small = 0;
    switch (row->type) {
    case RECORD_TEXT:
        memcpy(&text, at, sizeof text);
        write_text(text, row->most, out);
        break;
    case RECORD_WORDS:
        memcpy(&text, at, sizeof text);
        kt_buf_add_field(out, kt_bytes(text, text == NULL ? 0 : kt_text_cut(text, row->most)));
        break;
    case RECORD_LIST:
        memcpy(&list, at, sizeof list);
        write_list(&list, row->most, out);
        break;
    case RECORD_I64:
        write_numbers(at, row->most, out);
        break;
    case RECORD_U32:
    case RECORD_ENUM:
        kt_buf_add_u32(out, enum_at(at));
        break;
    case RECORD_U16:
        memcpy(&small, at, sizeof small);
        kt_buf_add_u16(out, small);
        break;
    case RECORD_U8:
    case RECORD_BOOL:
        kt_buf_add_u8(out, *at);
        break;
    case RECORD_BYTES:
        kt_buf_add(out, at, row->most);
        break;
    }
}

void record_write(const struct record_kind *kind, const void *object, struct kt_buf *out)
{
    const struct record_form *form = &kind->forms[0];
    kt_buf_add_u8(out, form->format);
    for (size_t i = 0; i < form->n; i++)
        write_row(&form->rows[i], object, out);
}

/* ---- reading ---- */

static bool read_text(struct kt_reader *r, uint32_t most, struct kt_arena *arena, const char **ret)
{
    struct kt_bytes text = kt_read_field(r);
    if (r->failed || text.len > most ||
        (text.len > 0 && memchr(text.at, '\0', text.len) != NULL))
        return false;
    *ret = text.len == 0 ? "" : kt_arena_text(arena, text);
    return *ret != NULL;
}

static bool read_list(struct kt_reader *r, uint32_t most, struct kt_arena *arena,
                      unsigned char *at)
{
    struct record_list list = {.n = kt_read_u32(r)};
    if (r->failed || list.n > most || list.n > r->left)
        return false;
    list.at = kt_arena_take(arena, (list.n + 1) * sizeof *list.at);
    if (list.at == NULL)
        return false;
    for (size_t i = 0; i < list.n; i++)
        if (!read_text(r, RECORD_LIST_TEXT_MAX, arena, &list.at[i]))
            return false;
    memcpy(at, &list, sizeof list);
    return true;
}

static bool read_numbers(struct kt_reader *r, uint32_t count, unsigned char *at)
{
    for (uint32_t i = 0; i < (count == 0 ? 1 : count); i++) {
        int64_t number = kt_read_i64(r);
        memcpy(at + i * sizeof number, &number, sizeof number);
    }
    return !r->failed;
}

static bool read_row(struct kt_reader *r, const struct record_row *row, struct kt_arena *arena,
                     unsigned char *object)
{
    unsigned char *at = object + row->offset;
    const char *text = NULL;
    uint32_t number = 0;
    uint16_t small = 0;
    struct kt_bytes bytes;
    switch (row->type) {
    case RECORD_TEXT:
    case RECORD_WORDS:
        if (!read_text(r, row->most, arena, &text))
            return false;
        memcpy(at, &text, sizeof text);
        return true;
    case RECORD_LIST:
        return read_list(r, row->most, arena, at);
    case RECORD_I64:
        return read_numbers(r, row->most, at);
    case RECORD_U32:
    case RECORD_ENUM:
        number = kt_read_u32(r);
        memcpy(at, &number, sizeof number);
        return !r->failed && (row->type == RECORD_U32 || number < row->most);
    case RECORD_U16:
        small = kt_read_u16(r);
        memcpy(at, &small, sizeof small);
        return !r->failed;
    case RECORD_U8:
        *at = kt_read_u8(r);
        return !r->failed;
    case RECORD_BOOL:
        *at = kt_read_u8(r);
        return !r->failed && *at <= 1;
    case RECORD_BYTES:
        bytes = kt_read_bytes(r, row->most);
        if (bytes.len != row->most)
            return false;
        memcpy(at, bytes.at, bytes.len);
        return true;
    }
    return false;
}

static bool is_text(enum record_type type)
{
    return type == RECORD_TEXT || type == RECORD_WORDS;
}

/* Texts of fields that an older format does not have are "", as everywhere. */
static void empty_texts(const struct record_kind *kind, unsigned char *object)
{
    static const char *const none = "";
    for (size_t i = 0; i < kind->forms[0].n; i++)
        if (is_text(kind->forms[0].rows[i].type))
            memcpy(object + kind->forms[0].rows[i].offset, &none, sizeof none);
}

static bool read_form(const struct record_form *form, struct kt_reader r, struct kt_arena *arena,
                      unsigned char *object)
{
    for (size_t i = 0; i < form->n; i++)
        if (!read_row(&r, &form->rows[i], arena, object))
            return false;
    return kt_reader_done(&r);
}

static enum kt_kind refuse(const struct record_kind *kind, unsigned format, struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "a %s of format %u cannot be read (newest known: %u)",
                  kind->name, format, kind->forms[0].format);
    if (format > kind->forms[0].format)
        kt_hint(err, "a newer vaultd wrote it: install that version");
    return KT_CORRUPT;
}

/* What is sealed, and opens, is as it was written: no disk broke it. */
static enum kt_kind misfit(const struct record_kind *kind, unsigned format, size_t len, struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "a %s of format %u, %zu bytes, is not as this vaultd knows that format", kind->name,
                  format, len);
    kt_hint(err, "its seal is whole, so no disk damaged it: another version of vaultd wrote it; install that one");
    return KT_CORRUPT;
}

enum kt_kind record_read(const struct record_kind *kind, struct kt_bytes record,
                         struct kt_arena *arena, void *object, struct kt_err *err)
{
    KT_ASSERT(kind->size <= OBJECT_MAX);
    struct kt_reader r = kt_reader(record);
    uint8_t format = kt_read_u8(&r);
    bool known = false;
    for (size_t i = 0; i < kind->n && !r.failed; i++) {
        if (kind->forms[i].format != format)
            continue;
        known = true;
        unsigned char *read = kt_arena_take(arena, kind->size);
        if (read != NULL)
            empty_texts(kind, read);
        if (read != NULL && read_form(&kind->forms[i], r, arena, read)) {
            if (kind->forms[i].complete != NULL)
                kind->forms[i].complete(read);
            memcpy(object, read, kind->size);
            return KT_OK;
        }
        if (arena->failed)
            return kt_fail(err, KT_NO_MEMORY, "reading a %s", kind->name);
    }
    return known ? misfit(kind, format, record.len, err) : refuse(kind, format, err);
}
