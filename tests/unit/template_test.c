/* The agent's templates: what they give, and how they fail without showing a value (CVE-2022-38149,
 * CVE-2026-87993). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/pipes.h"
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
    {"both", "{{ secret \"secret/two\" \"password\" }} {{ candidate \"secret/two\" \"password\" }}", "one a'b", NULL},
    {"the version is of the one that runs", "{{ version \"secret/two\" }}", "7", NULL},
    {"a candidate through a pipe", "{{ candidate \"secret/two\" \"password\" | shellQuote }}", "'a'\\''b'", NULL},
    {"a field that the candidate has not", "{{ candidate \"secret/two\" \"user\" }}", "app", NULL},
    {"a field that neither has", "{{ candidate \"secret/two\" \"other\" }}", NULL,
     "secret secret/two has no field \"other\" in version 7"},
    {"without a candidate the one that runs", "{{ candidate \"secret/db\" \"username\" }}", "app", NULL},
    {"a candidate of what was not fetched", "{{ candidate \"secret/other\" \"a\" }}", NULL, "was not fetched"},
    {"a candidate without a field", "{{ candidate \"secret/db\" }}", NULL, "write it as {{ candidate"},
    {"trimming", "a  {{- host -}}  b", "aweb1b", NULL},
    {"a comment", "a{{! not seen }}b{{/* nor this */}}c", "abc", NULL},
    {"json", "{{ secret \"secret/db\" \"quote\" | json }}", "\"a\\\"b\"", NULL},
    {"shell", "{{ secret \"secret/db\" \"password\" | shellQuote }}", "'a b'\\''c'", NULL},
    {"base64", "{{ secret \"secret/db\" \"username\" | base64 }}", "YXBw", NULL},
    {"base64 and back", "{{ secret \"secret/db\" \"username\" | base64 | base64Decode }}", "app", NULL},
    {"what is no base64", "{{ secret \"secret/db\" \"password\" | base64Decode }}", NULL,
     "cannot be written with base64Decode"},
    {"an option file", "{{ secret \"secret/db\" \"quote\" | myCnf }}", "\"a\\\"b\"", NULL},
    {"a line break in an option file", "{{ secret \"secret/db\" \"line\" | myCnf }}", "\"a\\nhunter2\"", NULL},
    {"a NUL in an option file", "{{ secret \"secret/db\" \"nul\" | myCnf }}", NULL,
     "cannot be written with myCnf: an option file has no NUL"},
    {"bytes that are no UTF-8 in JSON", "{{ secret \"secret/db\" \"bytes\" | base64Decode | json }}", NULL,
     "cannot be written with json: it has to be UTF-8"},
    {"two pipes", "{{ secret \"secret/db\" \"username\" | base64 | json }}", "\"YXBw\"", NULL},
    {"url", "{{ secret \"secret/db\" \"password\" | urlquery }}", "a%20b%27c", NULL},
    {"pgpass", "{{ secret \"secret/db\" \"colon\" | pgpass }}", "a\\:b", NULL},
    {"default when missing", "{{ secret \"secret/db\" \"none\" | default \"x\" }}", "x", NULL},
    {"default when there", "{{ secret \"secret/db\" \"username\" | default \"x\" }}", "app", NULL},
    {"braces inside a string", "{{ secret \"secret/db\" \"none\" | default \"}}\" }}", "}}", NULL},
    {"a backslash at a string's end", "{{ secret \"secret/db\" \"none\" | default \"\\\\\" }}b", "\\b", NULL},
    {"a quote and braces in a raw string", "{{ secret \"secret/db\" \"none\" | default `\"}}` }}b", "\"}}b", NULL},
    {"one quote in a comment", "a{{! 5\" and ` }}b{{ host }}", "abweb1", NULL},
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
    {"a NUL in a shell's word", "{{ secret \"secret/db\" \"nul\" | shellQuote }}", NULL,
     "cannot be written with shellQuote"},
    {"a NUL in a password file", "{{ secret \"secret/db\" \"nul\" | pgpass }}", NULL, "cannot be written with pgpass"},
    {"a CR in a password file", "{{ secret \"secret/db\" \"cr\" | pgpass }}", NULL, "cannot be written with pgpass"},
    {"a line break in a password file", "{{ secret \"secret/db\" \"line\" | pgpass }}", NULL,
     "cannot be written with pgpass"},
};
#define N (sizeof rows / sizeof rows[0])

/* What each grammar cannot write, by each byte in the middle and at both ends; json: not what is no UTF-8. */
static bool everything(unsigned char c, bool end)
{
    (void)c;
    (void)end;
    return true;
}

static bool ascii(unsigned char c, bool end)
{
    (void)end;
    return c < 0x80;
}

static bool no_nul(unsigned char c, bool end)
{
    (void)end;
    return c != '\0';
}

static bool no_line_end(unsigned char c, bool end)
{
    (void)end;
    return c != '\0' && c != '\n' && c != '\r';
}

static bool no_control(unsigned char c, bool end)
{
    return c > ' ' || (c == ' ' && !end);
}

static const struct taking {
    const char *pipe;
    bool (*takes)(unsigned char c, bool end);
} takings[] = {
    {"json", ascii},         {"base64", everything},    {"shellQuote", no_nul}, {"urlquery", everything},
    {"pgpass", no_line_end}, {"pgService", no_control}, {"myCnf", no_nul},
};

static void refuses_just_what_it_cannot_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof takings / sizeof takings[0]; i++) {
        const struct pipe *row = pipe_named(takings[i].pipe);
        assert_non_null(row);
        for (unsigned at = 0; at < 256 * 3; at++) {
            unsigned char text[] = {'x', 'x', 'x'};
            text[at % 3] = (unsigned char)(at / 3);
            struct kt_buf out;
            kt_buf_init(&out, 1024);
            bool wanted = takings[i].takes((unsigned char)(at / 3), at % 3 != 1);
            if (row->apply(kt_bytes(text, sizeof text), &out) != wanted)
                fail_msg("%s: byte %u at %u: not %s", row->name, at / 3, at % 3, wanted ? "taken" : "refused");
            kt_buf_free(&out);
        }
    }
}

/* A line of an option file that is longer is cut by its reader. */
static void option_files_have_short_lines(void **state)
{
    (void)state;
    for (size_t len = 3997; len <= 4000; len++) {
        char text[4000];
        memset(text, 'x', sizeof text);
        struct kt_buf out;
        kt_buf_init(&out, 8192);
        assert_int_equal(pipe_named("myCnf")->apply(kt_bytes(text, len), &out), len <= 3998);
        kt_buf_free(&out);
    }
}

static struct values *make_values(void)
{
    struct values *values = values_new();
    struct value *value = values_add(values, "secret/db");
    value->version = 7;
    kt_buf_add_text(&value->data,
                    "{\"username\":\"app\",\"password\":\"a b'c\",\"port\":5432,\"null\":null,"
                    "\"quote\":\"a\\\"b\",\"colon\":\"a:b\",\"line\":\"a\\nhunter2\","
                    "\"bytes\":\"/w==\",\"nul\":\"a\\u0000hunter2\",\"cr\":\"hunter2\\r\"}");
    value = values_add(values, "secret/two");
    value->version = 7;
    kt_buf_add_text(&value->data, "{\"password\":\"one\",\"user\":\"app\"}");
    value_put_other(value, 8, kt_str("{\"password\":\"a'b\"}"));
    return values;
}

static void renders(void **state)
{
    const struct row *row = *state;
    struct values *values = make_values();
    struct kt_buf out;
    kt_buf_init(&out, 1024 * 1024);
    struct kt_err err = {0};
    enum kt_kind kind = template_render(kt_str(row->text), &(struct template_place){"t.tpl", 0}, "web1", values, &out, &err);
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

static enum kt_kind note(void *arg, const char *secret, bool candidate, struct kt_err *err)
{
    (void)err;
    struct seen *seen = arg;
    (void)strncat(seen->names, secret, sizeof seen->names - strlen(seen->names) - 2);
    (void)strncat(seen->names, candidate ? "! " : " ", 3);
    return KT_OK;
}

static void names_its_secrets(void **state)
{
    (void)state;
    struct seen seen = {.names = ""};
    struct kt_err err = {0};
    const char *text =
        "{{ secret \"a/b\" \"c\" }}{{ with secret \"d/e\" }}{{ end }}{{ version \"f/g\" }}{{ candidate \"a/b\" \"c\" }}";
    assert_int_equal(template_check(kt_str(text), &(struct template_place){"t", 0}, note, &seen, &err), KT_OK);
    assert_string_equal(seen.names, "a/b d/e f/g a/b! ");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest alone[] = {cmocka_unit_test(names_its_secrets),
                                              cmocka_unit_test(refuses_just_what_it_cannot_write),
                                              cmocka_unit_test(option_files_have_short_lines)};
    struct CMUnitTest tests[N + sizeof alone / sizeof alone[0]];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = renders,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + N, alone, sizeof alone);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
