/* What stores have: a record of each list of rows that some vaultd wrote with, byte for byte, field by field. They lie
 * in tests/unit/record_layouts.txt, made once and never made anew, so a list that is changed without a number of its
 * own does not read them any more. A new list's record is added by `build/release/unit/record_layouts_test add`.
 *
 * Form: "= KIND, FORMAT" and then a line a field: its name, and its bytes as hexadecimal; the record is the number and
 * all of these. Where one number was given to two lists, the older one's stands first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/num.h"
#include "tests/support/records.h"

#define PLACE     "tests/unit/record_layouts.txt"
#define ROOM      ((size_t)1 << 20)
#define LINE_MAX  4096u
#define ADD       "build/release/unit/record_layouts_test add"
#define SEED      7u

/* ---- the file ---- */

/* False: there is no further line of the section. */
static bool next_field(FILE *file, char name[LINE_MAX], unsigned char *bytes, size_t *ret_len)
{
    char line[2 * LINE_MAX];
    if (fgets(line, sizeof line, file) == NULL || line[0] == '\n' || line[0] == '=')
        return false;
    char *hex = strchr(line, ' ');
    assert_non_null(hex);
    *hex++ = '\0';
    hex[strcspn(hex, "\n")] = '\0';
    *ret_len = strlen(hex) / 2;
    (void)snprintf(name, LINE_MAX, "%.200s", line);
    assert_true(kt_hex_decode(kt_str(hex), bytes, *ret_len));
    return true;
}

static void head_of(const struct record_kind *kind, unsigned format, char out[LINE_MAX])
{
    (void)snprintf(out, LINE_MAX, "= %s, %u\n", kind->name, format);
}

/* How many kept records have that number; file: stands behind the head of the nth, from 0, when there are more. */
static size_t find(FILE *file, const struct record_kind *kind, unsigned format, size_t nth)
{
    char line[2 * LINE_MAX], head[LINE_MAX];
    size_t n = 0;
    long place = -1;
    head_of(kind, format, head);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strcmp(line, head) == 0 && n++ == nth)
            place = ftell(file);
    if (place >= 0)
        assert_int_equal(fseek(file, place, SEEK_SET), 0);
    return n;
}

/* Of those with its number, which one the form is: the oldest is 0. */
static size_t place_of(const struct record_kind *kind, const struct record_form *form)
{
    size_t n = 0;
    for (const struct record_form *at = form + 1; at < kind->forms + kind->n; at++)
        n += at->format == form->format;
    return n;
}

/* ---- a field ---- */

static void write_field(const struct record_kind *kind, const struct record_row *row, const void *object,
                        struct kt_buf *out)
{
    const struct record_form alone = {0, row, 1, NULL};
    const struct record_kind of = {kind->name, &alone, 1, kind->size};
    kt_buf_reset(out);
    record_write(&of, object, out);
    assert_true(kt_buf_ok(out));
}

/* ---- each that is kept ---- */

struct kept {
    struct kt_arena arena;
    struct kt_buf record, field;
    unsigned char *object;
};

static void load(FILE *file, const struct record_kind *kind, unsigned format, struct kept *ret)
{
    char name[LINE_MAX];
    unsigned char bytes[LINE_MAX];
    size_t len = 0;
    kt_arena_init(&ret->arena, ROOM);
    kt_buf_init(&ret->record, ROOM);
    kt_buf_init(&ret->field, ROOM);
    ret->object = calloc(1, kind->size);
    assert_non_null(ret->object);
    kt_buf_add_u8(&ret->record, (uint8_t)format);
    while (next_field(file, name, bytes, &len))
        kt_buf_add(&ret->record, bytes, len);
    assert_true(kt_buf_ok(&ret->record));
}

static void unload(struct kept *kept)
{
    kt_arena_free(&kept->arena);
    kt_buf_free(&kept->record);
    kt_buf_free(&kept->field);
    free(kept->object);
}

/* That what was read says in each field what is kept of it. */
static void compare(FILE *file, const struct record_kind *kind, const struct record_form *form, struct kept *kept)
{
    char name[LINE_MAX];
    unsigned char bytes[LINE_MAX];
    size_t n = 0, len = 0;
    for (; next_field(file, name, bytes, &len); n++) {
        if (n >= form->n || strcmp(form->rows[n].name, name) != 0)
            fail_msg("%s, format %u: field %zu was '%s' when stores were written, and is '%s' now. The list of rows of a "
                     "format is not changed: give the new list the next number, keep this one, then: " ADD,
                     kind->name, form->format, n, name, n < form->n ? form->rows[n].name : "(none)");
        write_field(kind, &form->rows[n], kept->object, &kept->field);
        if (!kt_bytes_equal(kt_bytes(kept->field.at + 1, kept->field.len - 1), kt_bytes(bytes, len)))
            fail_msg("%s, format %u: '%s' is read as something else than was written", kind->name, form->format, name);
    }
    assert_int_equal(n, form->n);
}

static bool has_field(const struct record_form *form, const struct record_row *row)
{
    for (size_t i = 0; i < form->n; i++)
        if (form->rows[i].offset == row->offset)
            return true;
    return false;
}

/* What the format does not have is as in a record of nothing. */
static void compare_rest(const struct record_kind *kind, const struct record_form *form, struct kept *kept)
{
    struct kt_buf none;
    unsigned char *nothing = calloc(1, kind->size);
    static const char *const empty = "";
    assert_non_null(nothing);
    kt_buf_init(&none, ROOM);
    for (size_t i = 0; i < kind->forms[0].n; i++) {
        const struct record_row *row = &kind->forms[0].rows[i];
        if (has_field(form, row))
            continue;
        if (row->type == RECORD_TEXT || row->type == RECORD_WORDS)
            memcpy(nothing + row->offset, &empty, sizeof empty);
        write_field(kind, row, nothing, &none);
        write_field(kind, row, kept->object, &kept->field);
        assert_true(kt_bytes_equal(kt_buf_bytes(&none), kt_buf_bytes(&kept->field)));
    }
    kt_buf_free(&none);
    free(nothing);
}

static void each_form(void **state)
{
    const struct record_kind *kind = *state;
    FILE *file = fopen(PLACE, "r");
    assert_non_null(file);
    for (size_t i = 0; i < kind->n; i++) {
        const struct record_form *form = &kind->forms[i];
        struct kt_err err = {0};
        struct kept kept;
        size_t nth = place_of(kind, form);
        if (find(file, kind, form->format, nth) <= nth)
            fail_msg("%s, format %u: no record of it is kept. If it is new: " ADD, kind->name, form->format);
        load(file, kind, form->format, &kept);
        if (record_read(kind, kt_buf_bytes(&kept.record), &kept.arena, kept.object, &err) != KT_OK)
            fail_msg("%s, format %u: %s. Stores have such records: the list of rows of a format is not changed. Give the "
                     "new list the next number, keep this one, then: " ADD,
                     kind->name, form->format, err.what);
        if (form->complete != NULL)
            assert_int_equal(record_read_rows(kind, form, kt_buf_bytes(&kept.record), &kept.arena, kept.object), KT_OK);
        (void)find(file, kind, form->format, nth);
        compare(file, kind, form, &kept);
        compare_rest(kind, form, &kept);
        unload(&kept);
    }
    (void)fclose(file);
}

/* ---- no reader was taken away ---- */

static size_t forms_of(const char *head)
{
    size_t n = 0;
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (size_t i = 0; i < record_kinds[k]->n; i++) {
            char name[LINE_MAX];
            head_of(record_kinds[k], record_kinds[k]->forms[i].format, name);
            n += strcmp(name, head) == 0;
        }
    return n;
}

static size_t kept_of(FILE *file, const char *head)
{
    char line[2 * LINE_MAX];
    size_t n = 0;
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strcmp(line, head) == 0;
    return n;
}

static void each_has_its_reader(void **state)
{
    (void)state;
    char line[2 * LINE_MAX];
    FILE *file = fopen(PLACE, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        long place = ftell(file);
        if (line[0] == '=' && kept_of(file, line) != forms_of(line))
            fail_msg("%.*s: stores have such records, and no list of rows reads them", (int)strcspn(line, "\n"), line);
        assert_int_equal(fseek(file, place, SEEK_SET), 0);
    }
    (void)fclose(file);
}

/* ---- adding ---- */

static void add_form(FILE *file, const struct record_kind *kind, const struct record_form *form)
{
    char head[LINE_MAX], hex[2 * LINE_MAX];
    const struct record_kind of = {kind->name, form, 1, kind->size};
    unsigned char *object = calloc(1, kind->size);
    struct kt_buf field;
    assert_non_null(object);
    kt_buf_init(&field, LINE_MAX / 2);
    record_fill(&of, object, SEED);
    head_of(kind, form->format, head);
    (void)fseek(file, 0, SEEK_END);
    (void)fputs(head, file);
    for (size_t i = 0; i < form->n; i++) {
        write_field(kind, &form->rows[i], object, &field);
        kt_hex_encode(field.at + 1, field.len - 1, hex);
        (void)fprintf(file, "%s %.*s\n", form->rows[i].name, (int)(2 * (field.len - 1)), hex);
    }
    (void)fputs("\n", file);
    kt_buf_free(&field);
    free(object);
}

static int add_missing(void)
{
    FILE *file = fopen(PLACE, "a+");
    if (file == NULL)
        return 1;
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (size_t i = record_kinds[k]->n; i-- > 0;) {
            const struct record_form *form = &record_kinds[k]->forms[i];
            if (find(file, record_kinds[k], form->format, 0) <= place_of(record_kinds[k], form))
                add_form(file, record_kinds[k], form);
        }
    return fclose(file) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[RECORD_KINDS + 1] = {cmocka_unit_test(each_has_its_reader)};
    if (argc > 1)
        return strcmp(argv[1], "add") == 0 ? add_missing() : 1;
    for (size_t k = 0; k < RECORD_KINDS; k++)
        tests[1 + k] = (struct CMUnitTest){record_kinds[k]->name, each_form, NULL, NULL,
                                           (void *)(uintptr_t)record_kinds[k]};
    return cmocka_run_group_tests_name("record_layouts", tests, NULL, NULL);
}
