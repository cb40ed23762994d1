/* tests/unit/authorized_keys_test.c - files of authorized keys: what a change leaves alone, and what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/authorized_keys.h"
#include "lib/failpoint.h"

#define OLD   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOld"
#define NEW   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINew"
#define OTHER "ssh-rsa AAAAB3NzaC1yc2EOther"
#define STALE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAISta"
#define MARK  " keyturn:01S:01R"

static const struct kt_keys_wish letting_in = {.add = {(const unsigned char *)NEW, sizeof(NEW) - 1},
                                               .keep = {(const unsigned char *)OLD, sizeof(OLD) - 1},
                                               .secret = "01S",
                                               .run = "01R"};
static const struct kt_keys_wish replacing = {.add = {(const unsigned char *)NEW, sizeof(NEW) - 1},
                                              .secret = "01S",
                                              .run = "01R",
                                              .alone = true};
static const struct kt_keys_wish leaving_new = {.keep = {(const unsigned char *)NEW, sizeof(NEW) - 1},
                                                .secret = "01S",
                                                .run = "01R",
                                                .alone = true};

static const struct row {
    const char *name;
    const struct kt_keys_wish *wish;
    const char *before;
    const char *after; /* NULL: no line to take options from; the same text: nothing to change */
} rows[] = {
    {"one line becomes two", &letting_in, OLD "\n", OLD MARK "\n" NEW MARK "\n"},
    {"a last newline that is missing is added", &letting_in, OLD, OLD MARK "\n" NEW MARK "\n"},
    {"a foreign last line without a newline", &letting_in, OLD "\n" OTHER, OLD MARK "\n" OTHER "\n" NEW MARK "\n"},
    {"comments, blanks, nonsense and other keys stay",
     &letting_in, "# " OLD "\n\n \t \n" OTHER " me\nnonsense \\\" here\n" OLD " me\n",
     "# " OLD "\n\n \t \n" OTHER " me\nnonsense \\\" here\n" OLD " me" MARK "\n" NEW MARK "\n"},
    {"options are those of the line that is followed", &letting_in,
     "restrict,command=\"a \\\"b c\\\" d\",from=\"1.2.3.4\"  " OLD "\n",
     "restrict,command=\"a \\\"b c\\\" d\",from=\"1.2.3.4\"  " OLD MARK "\n"
     "restrict,command=\"a \\\"b c\\\" d\",from=\"1.2.3.4\" " NEW MARK "\n"},
    {"tabs and several blanks part a line, too", &letting_in, "\t ssh-ed25519 \t AAAAC3NzaC1lZDI1NTE5AAAAIOld\tme\n",
     "\t ssh-ed25519 \t AAAAC3NzaC1lZDI1NTE5AAAAIOld\tme" MARK "\n" NEW MARK "\n"},
    {"a carriage return stays at its line's end", &letting_in, OLD "\r\n", OLD MARK "\r\n" NEW MARK "\n"},
    {"a key inside quotes is none", &letting_in, "command=\"" OLD "\" " OTHER "\n", NULL},
    {"words inside quotes are no type and no key", &letting_in, "command=\"run AAAAx\" " OLD "\n",
     "command=\"run AAAAx\" " OLD MARK "\ncommand=\"run AAAAx\" " NEW MARK "\n"},
    {"a line with such an option stays", &leaving_new, "command=\"run AAAAx\" " NEW MARK "\n",
     "command=\"run AAAAx\" " NEW MARK "\n"},
    {"a longer key is another one", &letting_in, OLD "A\n", NULL},
    {"a key of another type is another one", &letting_in, "ssh-xd25519 AAAAC3NzaC1lZDI1NTE5AAAAIOld\n", NULL},
    {"an empty file lets nobody in", &letting_in, "", NULL},
    {"a line that has the mark is followed when the old one is gone", &letting_in,
     "restrict " STALE MARK "\n", "restrict " STALE MARK "\nrestrict " NEW MARK "\n"},
    {"the old one is followed, not the first that has the mark", &letting_in,
     "no-pty " STALE MARK "\nrestrict " OLD "\n", "no-pty " STALE MARK "\nrestrict " OLD MARK "\nrestrict " NEW MARK "\n"},
    {"each line with the key gets the mark", &letting_in, OLD "\nrestrict " OLD " b\n",
     OLD MARK "\nrestrict " OLD " b" MARK "\n" NEW MARK "\n"},
    {"what is there already is not written again", &letting_in, OLD MARK "\n" NEW " keyturn:01S:before\n",
     OLD MARK "\n" NEW " keyturn:01S:before\n"},
    {"a new one that somebody wrote himself gets the mark", &letting_in, OLD MARK "\n" NEW "\n",
     OLD MARK "\n" NEW MARK "\n"},
    {"another secret's mark is foreign", &letting_in, OTHER " keyturn:01SX:01R\n", NULL},
    {"a mark in the options is none", &letting_in, "environment=\"A= keyturn:01S \" " OTHER "\n", NULL},

    {"the new one alone of its secret", &leaving_new, OLD MARK "\n" NEW MARK "\n" STALE " keyturn:01S\n" OTHER "\n",
     NEW MARK "\n" OTHER "\n"},
    {"and again", &leaving_new, NEW MARK "\n" OTHER "\n", NEW MARK "\n" OTHER "\n"},
    {"other secrets' keys, and those without a mark, stay", &leaving_new,
     OLD "\n" NEW MARK "\n" STALE " keyturn:01SX:01R\n" STALE " xkeyturn:01S:01R\n" STALE " keyturn:01\n",
     OLD "\n" NEW MARK "\n" STALE " keyturn:01SX:01R\n" STALE " xkeyturn:01S:01R\n" STALE " keyturn:01\n"},
    {"the last line goes, the one before keeps its end", &leaving_new, NEW MARK "\n" OLD MARK, NEW MARK "\n"},
    {"a key among the words of a comment", &leaving_new, NEW MARK "\n" STALE " my old one keyturn:01S:01R of may\n",
     NEW MARK "\n"},
    {"the one that stays has a command with words like a key", &leaving_new, "command=\"run AAAAx\" " NEW MARK "\n",
     "command=\"run AAAAx\" " NEW MARK "\n"},
    {"even the last one of its secret", &leaving_new, OLD MARK "\n", ""},

    {"in place of all that has the mark", &replacing, "restrict " OLD MARK "\n" OTHER "\n",
     OTHER "\nrestrict " NEW MARK "\n"},
    {"not after a line without it", &replacing, OLD "\n", NULL},
};

static void edits(void **state)
{
    const struct row *row = *state;
    struct kt_buf out;
    struct kt_keys_seen seen, looked;
    kt_buf_init(&out, KT_KEYS_FILE_MAX);
    enum kt_keys_outcome outcome = kt_keys_edit(kt_str(row->before), row->wish, &out, &seen);
    if (row->after == NULL) {
        assert_int_equal(outcome, KT_KEYS_NO_MODEL);
        assert_int_equal(out.len, 0);
    } else {
        assert_int_equal(outcome, strcmp(row->before, row->after) == 0 ? KT_KEYS_SAME : KT_KEYS_CHANGED);
        assert_string_equal(kt_buf_text(&out), row->after);
    }
    kt_keys_look(kt_str(row->before), row->wish, &looked);
    assert_true(looked.add == seen.add && looked.keep == seen.keep && looked.marked_keep == seen.marked_keep);
    assert_true(looked.others == seen.others && looked.foreign == seen.foreign);
    kt_buf_free(&out);
}

static void looks(void **state)
{
    (void)state;
    struct kt_keys_seen seen;
    kt_keys_look(kt_str("expiry-time=\"20300101\" " OLD "\n" STALE MARK "\n" STALE " keyturn:01S\n" OTHER "\n# " OTHER "\n"),
                 &letting_in, &seen);
    assert_true(seen.keep && !seen.add && !seen.marked_keep && seen.expires);
    assert_int_equal(seen.others, 2);
    assert_int_equal(seen.foreign, 1);
    kt_keys_look(kt_str("expiry-time=\"20300101\" " OTHER "\n" OLD MARK "\n" NEW "\n"), &letting_in, &seen);
    assert_true(seen.keep && seen.add && seen.marked_keep && !seen.expires);
    assert_int_equal(seen.others, 0);
    kt_keys_look(kt_bytes(NULL, 0), &letting_in, &seen);
    assert_true(!seen.keep && !seen.add && !seen.marked_keep && !seen.expires);
}

static void no_room(void **state)
{
    (void)state;
    struct kt_keys_seen seen;
    struct kt_buf out;
    kt_buf_init(&out, 64);
    assert_int_equal(kt_keys_edit(kt_str(OLD "\n"), &letting_in, &out, &seen), KT_KEYS_MEMORY);
    kt_buf_free(&out);
}

int main(void)
{
    struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 2] = {
        cmocka_unit_test(looks),
        cmocka_unit_test(no_room),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        tests[i + 2] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = edits,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("authorized_keys", tests, NULL, NULL);
}
