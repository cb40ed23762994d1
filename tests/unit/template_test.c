/* The agent's templates: what they give, and how they fail without showing a value (CVE-2022-38149,
 * CVE-2026-87993). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/template.h"

static const struct row {
    const char *name, *text, *wanted; /* wanted NULL: an error that says `error` */
    const char *error;
} rows[] = {
    {"plain text", "a b\n", "a b\n", NULL},
    {"a field", "p={{ secret \"secret/db\" \"password\" }};", "p=a b'c;", NULL},
    {"with, as Vault Agent writes it",
     "{{ with secret \"secret/db\" }}{{ .Data.data.username }}{{ end }}", "app", NULL},
    {"a number keeps its text", "{{ secret \"secret/db\" \"port\" }}", "5432", NULL},
    {"version and host", "{{ version \"secret/db\" }}@{{ host }}", "7@web1", NULL},
    {"trimming", "a  {{- host -}}  b", "aweb1b", NULL},
    {"a comment", "a{{! not seen }}b{{/* nor this */}}c", "abc", NULL},
    {"json", "{{ secret \"secret/db\" \"quote\" | json }}", "\"a\\\"b\"", NULL},
    {"shell", "{{ secret \"secret/db\" \"password\" | shellQuote }}", "'a b'\\''c'", NULL},
    {"base64", "{{ secret \"secret/db\" \"username\" | base64 }}", "YXBw", NULL},
    {"two pipes", "{{ secret \"secret/db\" \"username\" | base64 | json }}", "\"YXBw\"", NULL},
    {"url", "{{ secret \"secret/db\" \"password\" | urlquery }}", "a%20b%27c", NULL},
    {"pgpass", "{{ secret \"secret/db\" \"colon\" | pgpass }}", "a\\:b", NULL},
    {"default when missing", "{{ secret \"secret/db\" \"none\" | default \"x\" }}", "x", NULL},
    {"default when there", "{{ secret \"secret/db\" \"username\" | default \"x\" }}", "app", NULL},
    {"braces inside a string", "{{ secret \"secret/db\" \"none\" | default \"}}\" }}", "}}", NULL},
    {"missing field", "x\n {{ secret \"secret/db\" \"none\" }}", NULL,
     "t.tpl:2:2: secret secret/db has no field \"none\""},
    {"null field", "{{ secret \"secret/db\" \"null\" }}", NULL, "has no field"},
    {"missing secret", "{{ secret \"secret/other\" \"a\" }}", NULL, "was not fetched"},
    {"unknown function", "{{ file \"/etc/passwd\" }}", NULL, "no function \"file\""},
    {"unknown pipe", "{{ host | x }}", NULL, "write it as {{ host }}"},
    {"unknown pipe behind a value", "{{ secret \"secret/db\" \"port\" | x }}", NULL,
     "no pipe \"x\""},
    {"no end of an action", "a {{ host", NULL, "\"{{\" without \"}}\""},
    {"no end of with", "{{ with secret \"secret/db\" }}", NULL, "without {{ end }}"},
    {"end alone", "{{ end }}", NULL, "without {{ with }}"},
    {"a field outside with", "{{ .Data.data.x }}", NULL, "only known inside"},
    {"a line break in a service file", "{{ secret \"secret/db\" \"line\" | pgService }}", NULL,
     "cannot be written with pgService"},
};
#define N (sizeof rows / sizeof rows[0])

static struct values *make_values(void)
{
    struct values *values = values_new();
    struct value *value = values_add(values, "secret/db");
    value->version = 7;
    kt_buf_add_text(&value->data,
                    "{\"username\":\"app\",\"password\":\"a b'c\",\"port\":5432,\"null\":null,"
                    "\"quote\":\"a\\\"b\",\"colon\":\"a:b\",\"line\":\"a\\nhunter2\"}");
    return values;
}

static void renders(void **state)
{
    const struct row *row = *state;
    struct values *values = make_values();
    struct kt_buf out;
    kt_buf_init(&out, 1024 * 1024);
    struct kt_err err = {0};
    enum kt_kind kind = template_render(kt_str(row->text), "t.tpl", "web1", values, &out, &err);
    bool right = row->wanted != NULL ? kind == KT_OK && strcmp(kt_buf_text(&out), row->wanted) == 0
                                     : kind != KT_OK && strstr(err.what, row->error) != NULL &&
                                           strstr(err.what, "hunter2") == NULL;
    if (!right)
        fail_msg("%s: expected \"%s\", got %s \"%s\" \"%s\"", row->name,
                 row->wanted != NULL ? row->wanted : row->error, kt_kind_name(kind),
                 kt_buf_text(&out), err.what);
    kt_buf_free(&out);
    values_free(values);
}

struct seen {
    char names[256];
};

static enum kt_kind note(void *arg, const char *secret, struct kt_err *err)
{
    (void)err;
    struct seen *seen = arg;
    (void)strncat(seen->names, secret, sizeof seen->names - strlen(seen->names) - 2);
    (void)strncat(seen->names, " ", 2);
    return KT_OK;
}

static void names_its_secrets(void **state)
{
    (void)state;
    struct seen seen = {.names = ""};
    struct kt_err err = {0};
    const char *text =
        "{{ secret \"a/b\" \"c\" }}{{ with secret \"d/e\" }}{{ end }}{{ version \"f/g\" }}";
    assert_int_equal(template_check(kt_str(text), "t", note, &seen, &err), KT_OK);
    assert_string_equal(seen.names, "a/b d/e f/g ");
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N + 1];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = renders,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[N] = (struct CMUnitTest){.name = "names its secrets", .test_func = names_its_secrets};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
