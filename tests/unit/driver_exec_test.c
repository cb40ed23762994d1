/* tests/unit/driver_exec_test.c - the driver "exec": which programs may be started, what they are told, what is
 * believed of what they say, and that nothing of them outlives a call. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/driver/exec_child.h"
#include "lib/driver/exec_protocol.h"
#include "lib/ipc.h"
#include "lib/secret.h"

#define VALUE "planted-4711-value"
#define PLENTY_MS 60000u

static char folder[64];

/* ---- the answer -------------------------------------------------------------------------------- */

static const struct answer_row {
    const char *name, *text;
    const char *error; /* NULL: it is taken */
    enum driver_class class;
    enum driver_answer answer;
} answers[] = {
    {"the least", "{\"version\":1,\"class\":\"ok\"}", NULL, DRIVER_OK, ANSWER_NONE},
    {"white space around it", " \n{\"class\":\"ok\",\"version\":1}\n\n", NULL, DRIVER_OK, ANSWER_NONE},
    {"a login", "{\"version\":1,\"class\":\"ok\",\"answer\":\"refused\"}", NULL, DRIVER_OK, ANSWER_REFUSED},
    {"a refusal", "{\"version\":1,\"class\":\"permanent\",\"text\":\"no right\",\"code\":\"42501\"}", NULL,
     DRIVER_PERMANENT, ANSWER_NONE},
    {"evidence", "{\"version\":1,\"class\":\"ok\",\"server_id\":\"eu-1\",\"sessions\":3,\"findings\":[\"a\",\"b\"]}",
     NULL, DRIVER_OK, ANSWER_NONE},
    {"nothing", "", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"a word", "ok", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"cut short", "{\"version\":1,\"class\":\"ok\"", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"two objects", "{\"version\":1,\"class\":\"ok\"}{}", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"a member twice", "{\"version\":1,\"class\":\"ok\",\"class\":\"ok\"}", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"too deep", "{\"version\":1,\"class\":\"ok\",\"findings\":[[\"a\"]]}", "no JSON of the protocol", DRIVER_OK, ANSWER_NONE},
    {"a list", "[]", "no JSON object", DRIVER_OK, ANSWER_NONE},
    {"no version", "{\"class\":\"ok\"}", "lacks \"version\": 1 or \"class\"", DRIVER_OK, ANSWER_NONE},
    {"no class", "{\"version\":1}", "lacks \"version\": 1 or \"class\"", DRIVER_OK, ANSWER_NONE},
    {"another version", "{\"version\":2,\"class\":\"ok\"}", "the member \"version\"", DRIVER_OK, ANSWER_NONE},
    {"an unknown class", "{\"version\":1,\"class\":\"fine\"}", "the member \"class\"", DRIVER_OK, ANSWER_NONE},
    {"an unknown answer", "{\"version\":1,\"class\":\"ok\",\"answer\":\"yes\"}", "the member \"answer\"", DRIVER_OK, ANSWER_NONE},
    {"an answer of none", "{\"version\":1,\"class\":\"ok\",\"answer\":\"none\"}", "the member \"answer\"", DRIVER_OK, ANSWER_NONE},
    {"an unknown member", "{\"version\":1,\"class\":\"ok\",\"note\":\"x\"}", "a member that the protocol does not have", DRIVER_OK, ANSWER_NONE},
    {"no reason", "{\"version\":1,\"class\":\"unreach\"}", "no \"text\"", DRIVER_OK, ANSWER_NONE},
    {"a long code", "{\"version\":1,\"class\":\"ok\",\"code\":\"123456789\"}", "the member \"code\"", DRIVER_OK, ANSWER_NONE},
    {"a code with a blank", "{\"version\":1,\"class\":\"ok\",\"code\":\"a b\"}", "the member \"code\"", DRIVER_OK, ANSWER_NONE},
    {"a number for a text", "{\"version\":1,\"class\":\"ok\",\"text\":1}", "the member \"text\"", DRIVER_OK, ANSWER_NONE},
    {"an identifier with a slash", "{\"version\":1,\"class\":\"ok\",\"server_id\":\"a/b\"}", "the member \"server_id\"", DRIVER_OK, ANSWER_NONE},
    {"a value for an identifier", "{\"version\":1,\"class\":\"ok\",\"server_id\":\"" VALUE "\"}",
     "the member \"server_id\"", DRIVER_OK, ANSWER_NONE},
    {"less than no sessions", "{\"version\":1,\"class\":\"ok\",\"sessions\":-1}", "the member \"sessions\"", DRIVER_OK, ANSWER_NONE},
    {"too many sessions", "{\"version\":1,\"class\":\"ok\",\"sessions\":4294967296}", "the member \"sessions\"", DRIVER_OK, ANSWER_NONE},
    {"a finding that is none", "{\"version\":1,\"class\":\"ok\",\"findings\":[\"\"]}", "the member \"findings\"", DRIVER_OK, ANSWER_NONE},
    {"a finding for a list", "{\"version\":1,\"class\":\"ok\",\"findings\":\"a\"}", "the member \"findings\"", DRIVER_OK, ANSWER_NONE},
    {"barred by a word", "{\"version\":1,\"class\":\"ok\",\"barred\":\"yes\"}", "the member \"barred\"", DRIVER_OK, ANSWER_NONE},
};

struct scene {
    struct driver_step step;
    struct kt_redactor *redactor;
    struct driver_run run;
};

static void begin(struct scene *scene)
{
    *scene = (struct scene){.step = {.driver = "exec",
                                     .op = DRIVER_APPLY,
                                     .target = {.host = "db1", .port = 99, .program = "p"},
                                     .logins = {[DRIVER_ADMIN] = {"root", kt_str("adm!n")},
                                                [DRIVER_NEW] = {"app_a", kt_str(VALUE)}},
                                     .account = "app_a",
                                     .run = "r1",
                                     .attempt = 2}};
    scene->redactor = kt_driver_redactor(&scene->step);
    assert_non_null(scene->redactor);
    scene->run = (struct driver_run){.step = &scene->step, .redactor = scene->redactor};
}

static void end(struct scene *scene)
{
    kt_redactor_free(scene->redactor);
}

static void is_read_as_the_protocol_has_it(void **state)
{
    const struct answer_row *row = *state;
    struct scene scene;
    struct driver_result result = {.class = DRIVER_WRONG_SERVER};
    struct driver_reply reply = {0};
    struct kt_err err = {0};
    begin(&scene);
    enum kt_kind kind = kt_exec_answer(&scene.run, kt_str(row->text), &result, &reply, &err);
    if (row->error == NULL) {
        assert_int_equal(kind, KT_OK);
        assert_int_equal(result.class, row->class);
        assert_int_equal(reply.answer, row->answer);
    } else {
        assert_int_equal(kind, KT_INVALID);
        if (strstr(err.what, row->error) == NULL)
            fail_msg("%s", err.what);
        assert_null(strstr(err.what, VALUE));
        assert_int_equal(result.class, DRIVER_WRONG_SERVER); /* untouched */
    }
    end(&scene);
}

static void a_value_in_its_text_is_taken_out(void **state)
{
    (void)state;
    struct scene scene;
    struct driver_result result = {0};
    struct driver_reply reply = {0};
    begin(&scene);
    const char *text = "{\"version\":1,\"class\":\"permanent\",\"text\":\"'" VALUE "' is too short\","
                       "\"findings\":[\"it was " VALUE "\"],\"session_user\":\"" VALUE "\"}";
    assert_int_equal(kt_exec_answer(&scene.run, kt_str(text), &result, &reply, NULL), KT_OK);
    assert_string_equal(result.text, "'[redacted]' is too short");
    assert_string_equal(result.findings[0], "it was [redacted]");
    assert_string_equal(result.session_user, "[redacted]");
    end(&scene);
}

static void an_answer_beyond_its_limit_is_none(void **state)
{
    (void)state;
    static char text[EXEC_ANSWER_MAX + 100];
    struct scene scene;
    struct driver_result result = {0};
    struct driver_reply reply = {0};
    struct kt_err err = {0};
    begin(&scene);
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"version\":1,\"class\":\"ok\"}", 26);
    assert_int_equal(kt_exec_answer(&scene.run, kt_bytes(text, EXEC_ANSWER_MAX), &result, &reply, &err), KT_OK);
    assert_int_equal(kt_exec_answer(&scene.run, kt_bytes(text, sizeof text), &result, &reply, &err), KT_INVALID);
    end(&scene);
}

/* ---- the order --------------------------------------------------------------------------------- */

static void an_order_has_what_its_operation_needs(void **state)
{
    (void)state;
    struct scene scene;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, EXEC_ORDER_MAX);
    begin(&scene);
    kt_exec_order(&scene.step, DRIVER_LOGIN_COUNT, 5000, &out);
    assert_string_equal(kt_buf_text(&out),
                        "{\"version\":1,\"operation\":\"apply\",\"timeout_ms\":5000,"
                        "\"target\":{\"host\":\"db1\",\"port\":99},"
                        "\"admin\":{\"username\":\"root\",\"password\":\"adm!n\"},\"account\":\"app_a\","
                        "\"password\":\"" VALUE "\",\"run\":\"r1\",\"attempt\":2}\n");
    kt_buf_reset(&out);
    scene.step.op = DRIVER_PROBE;
    scene.step.logins[DRIVER_ADMIN] = (struct driver_login){"", kt_str("")};
    kt_exec_order(&scene.step, DRIVER_NEW, 1, &out);
    assert_string_equal(kt_buf_text(&out),
                        "{\"version\":1,\"operation\":\"probe\",\"timeout_ms\":1,"
                        "\"target\":{\"host\":\"db1\",\"port\":99},"
                        "\"login\":{\"who\":\"new\",\"username\":\"app_a\",\"password\":\"" VALUE "\"},"
                        "\"account\":\"app_a\"}\n");
    end(&scene);
}

/* ---- calling ----------------------------------------------------------------------------------- */

static void call(const char *script, const char *order, uint32_t timeout_ms, struct kt_buf *out,
                 struct exec_outcome *ret)
{
    const char *words[] = {"/bin/sh", "-c", script, folder};
    const struct kt_program program = {.name = "p", .command = {words, 4}, .timeout_ms = timeout_ms};
    kt_buf_init(out, EXEC_ANSWER_MAX + 1);
    kt_exec_call(&program, kt_str(order), kt_ipc_deadline(timeout_ms), out, ret);
}

static const struct call_row {
    const char *name, *script;
    uint32_t timeout_ms;
    enum exec_end end;
    int number;
    const char *said;
} calls[] = {
    {"its answer is all that it says", "cat; printf ' and more'", PLENTY_MS, EXEC_ANSWERED, 0, "order and more"},
    {"it need not read its order", "printf done", PLENTY_MS, EXEC_ANSWERED, 0, "done"},
    {"a status", "printf x; exit 3", PLENTY_MS, EXEC_STATUS, 3, "x"},
    {"a signal", "kill -SEGV $$", PLENTY_MS, EXEC_SIGNAL, SIGSEGV, ""},
    {"it hangs", "exec sleep 600", 200, EXEC_LATE, 0, ""},
    {"it hangs with its output closed", "exec >&-; exec sleep 600", 200, EXEC_LATE, 0, ""},
    {"a megabyte", "head -c 1048576 /dev/zero", PLENTY_MS, EXEC_TOO_LONG, 0, NULL},
    {"no end of it", "exec cat /dev/zero", PLENTY_MS, EXEC_TOO_LONG, 0, NULL},
    {"somebody keeps its output open", "sleep 600 & printf done", PLENTY_MS, EXEC_ANSWERED, 0, "done"},
    {"standard error", "echo no >&2; printf yes", PLENTY_MS, EXEC_ANSWERED, 0, "yes"},
    {"its environment", "env | grep -v -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= | sort", PLENTY_MS, EXEC_ANSWERED, 0,
     "HOME=/nonexistent\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\n"},
    {"its descriptors", "ls /proc/self/fd | tr '\\n' ' '", PLENTY_MS, EXEC_ANSWERED, 0, "0 1 2 3 "}, /* 3 is ls's own */
    {"where it is", "pwd", PLENTY_MS, EXEC_ANSWERED, 0, "/\n"},
    {"pipes that break end it", "yes | head -n 1", PLENTY_MS, EXEC_ANSWERED, 0, "y\n"},
};

static void nobody_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void ends_as_it_should(void **state)
{
    const struct call_row *row = *state;
    kt_autobuf struct kt_buf out;
    struct exec_outcome outcome = {EXEC_LOST, -1};
    call(row->script, "order", row->timeout_ms, &out, &outcome);
    assert_int_equal(outcome.end, row->end);
    assert_int_equal(outcome.number, row->number);
    if (row->said != NULL)
        assert_string_equal(kt_buf_text(&out), row->said);
    nobody_is_left();
}

static void a_large_order_goes_through(void **state)
{
    (void)state;
    static char order[200001];
    kt_autobuf struct kt_buf out;
    struct exec_outcome outcome = {EXEC_LOST, -1};
    memset(order, 'x', sizeof order - 1);
    call("wc -c | tr -d ' \\n'", order, PLENTY_MS, &out, &outcome);
    assert_int_equal(outcome.end, EXEC_ANSWERED);
    assert_string_equal(kt_buf_text(&out), "200000");
    kt_buf_free(&out);
    call("printf deaf", order, PLENTY_MS, &out, &outcome); /* and to who does not listen */
    assert_int_equal(outcome.end, EXEC_ANSWERED);
    nobody_is_left();
}

static void what_is_not_there_is_not_started(void **state)
{
    (void)state;
    const char *words[] = {"/nonexistent/program"};
    const struct kt_program program = {.name = "p", .command = {words, 1}};
    kt_autobuf struct kt_buf out;
    struct exec_outcome outcome = {EXEC_LOST, -1};
    kt_buf_init(&out, 100);
    kt_exec_call(&program, kt_str("order"), kt_ipc_deadline(PLENTY_MS), &out, &outcome);
    assert_int_equal(outcome.end, EXEC_NOT_STARTED);
    assert_int_equal(outcome.number, ENOENT);
    nobody_is_left();
}

/* A grandchild in a session of its own, whose parents are dead: the group is not how it is found. */
static void who_hid_in_a_session_is_ended_as_well(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    struct exec_outcome outcome = {EXEC_LOST, -1};
    call("mkfifo $0/there; setsid -f sh -c 'echo $$ > '$0'/there; exec sleep 600' >/dev/null; cat $0/there", "", PLENTY_MS,
         &out, &outcome);
    assert_int_equal(outcome.end, EXEC_ANSWERED);
    pid_t pid = (pid_t)strtol(kt_buf_text(&out), NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    nobody_is_left();
}

/* As on a machine that has no file descriptor left when the list of children is wanted. */
static bool unseen;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!unseen || strstr(path, "/children") == NULL)
        return __real_open(path, flags, mode);
    errno = EMFILE;
    return -1;
}

static void who_hangs_is_ended_without_a_list_of_children(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    struct exec_outcome outcome = {EXEC_LOST, -1};
    unseen = true;
    call("exec sleep 600", "", 200, &out, &outcome);
    kt_buf_free(&out);
    assert_int_equal(outcome.end, EXEC_LATE);
    nobody_is_left();
    /* Whose child lives on: this process does not wait for it. */
    call("sleep 600 & echo $!", "", PLENTY_MS, &out, &outcome);
    unseen = false;
    assert_int_equal(outcome.end, EXEC_ANSWERED);
    pid_t pid = (pid_t)strtol(kt_buf_text(&out), NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    nobody_is_left();
}

/* ---- which may be started ---------------------------------------------------------------------- */

static char *in_folder(const char *name)
{
    static char path[2][160];
    static unsigned turn;
    char *at = path[turn++ % 2];
    (void)snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static void make(const char *name, mode_t mode)
{
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void checked(const char *file, const char *word, enum kt_kind wanted, const char *text)
{
    const char *words[] = {file, word};
    const struct kt_program program = {.name = "p", .command = {words, word == NULL ? 1 : 2}};
    struct kt_err err = {0};
    enum kt_kind kind = kt_program_check(&program, &err);
    if (kind != wanted || (text != NULL && strstr(err.what, text) == NULL))
        fail_msg("%s: %d %s", file, (int)kind, err.what);
    if (kind != KT_OK)
        assert_true(err.hint[0] != '\0');
}

static void only_what_nobody_else_may_write_is_started(void **state)
{
    (void)state;
    make("good", 0755);
    make("open", 0757);
    make("group", 0775);
    make("still", 0644);
    assert_int_equal(mkdir(in_folder("loose"), 0777), 0);
    assert_int_equal(chmod(in_folder("loose"), 0777), 0);
    make("loose/good", 0755);
    assert_int_equal(symlink("good", in_folder("link")), 0);
    checked(in_folder("good"), NULL, KT_OK, NULL);
    checked(in_folder("good"), "--flag", KT_OK, NULL);
    checked(in_folder("open"), NULL, KT_DENIED, "(mode 0757)");
    checked(in_folder("group"), NULL, KT_DENIED, "(mode 0775)");
    checked(in_folder("still"), NULL, KT_INVALID, "no file that this user may start");
    checked(in_folder("loose/good"), NULL, KT_DENIED, "/loose' (mode 0777)");
    checked(in_folder("link"), NULL, KT_INVALID, "leads over a link");
    checked(in_folder("gone"), NULL, KT_IO, "cannot use");
    checked(folder, NULL, KT_INVALID, "no file that this user may start");
    checked(in_folder("good"), in_folder("open"), KT_DENIED, "(mode 0757)");
    if (geteuid() == 0) {
        assert_int_equal(chown(in_folder("good"), 65534, 65534), 0);
        checked(in_folder("good"), NULL, KT_DENIED, "belongs to user 65534");
    }
}

static void programs_pass_through_a_command_line(void **state)
{
    (void)state;
    const char *command[] = {"/bin/a", "--x=run=1", "name=z"}, *second[] = {"/bin/b"};
    const char *read[] = {"/etc/a"}, *write[] = {"/var/a", "/var/b"};
    const struct kt_programs programs = {
        .at = {{"one", {command, 3}, {read, 1}, {write, 2}, 1500}, {"two", {second, 1}, {NULL, 0}, {NULL, 0}, 7}},
        .n = 2};
    struct kt_programs back;
    char text[512];
    char *words[16];
    assert_int_equal(kt_programs_count(&programs), 11);
    assert_true(kt_programs_words(&programs, text, sizeof text, words));
    assert_null(words[kt_programs_count(&programs)]);
    assert_true(kt_programs_read(words, &back));
    assert_int_equal(back.n, 2);
    const struct kt_program *one = kt_program_find(&back, "one");
    assert_non_null(one);
    assert_int_equal(one->command.n, 3);
    assert_string_equal(one->command.at[1], "--x=run=1");
    assert_string_equal(one->command.at[2], "name=z");
    assert_string_equal(one->read.at[0], "/etc/a");
    assert_string_equal(one->write.at[1], "/var/b");
    assert_int_equal(one->timeout_ms, 1500);
    assert_string_equal(kt_program_find(&back, "two")->command.at[0], "/bin/b");
    assert_null(kt_program_find(&back, "three"));
    assert_false(kt_programs_words(&programs, text, 20, words));
}

static void other_words_are_no_programs(void **state)
{
    (void)state;
    static char name[] = "name=a", run[] = "run=/bin/a", bare[] = "run=a", time[] = "timeout=5", late[] = "timeout=999999",
                odd[] = "shell=/bin/a", dots[] = "name=../a";
    char *const rows[][5] = {{run, NULL},           {name, NULL},          {name, run, NULL},
                             {name, time, NULL},    {name, time, bare, NULL}, {name, late, run, NULL},
                             {name, time, run, odd, NULL}, {dots, time, run, NULL}};
    struct kt_programs back;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_false(kt_programs_read(rows[i], &back));
    char *const good[] = {name, time, run, NULL}, *const none[] = {NULL};
    assert_true(kt_programs_read(good, &back));
    assert_true(kt_programs_read(none, &back) && back.n == 0);
}

static int make_folder(void **state)
{
    (void)state;
    struct kt_err err = {0};
    (void)snprintf(folder, sizeof folder, "/tmp/driver_exec_test.XXXXXX");
    return signal(SIGPIPE, SIG_IGN) != SIG_ERR && mkdtemp(folder) != NULL && kt_exec_adopt_orphans() && kt_secret_init(&err) == KT_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"good", "open", "group", "still", "loose/good", "loose", "link", "there", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)remove(in_folder(names[i]));
    return 0;
}

#define ANSWERS (sizeof answers / sizeof answers[0])
#define CALLS   (sizeof calls / sizeof calls[0])

int main(void)
{
    static struct CMUnitTest tests[ANSWERS + CALLS + 10];
    size_t n = 0;
    for (size_t i = 0; i < ANSWERS; i++)
        tests[n++] = (struct CMUnitTest){answers[i].name, is_read_as_the_protocol_has_it, NULL, NULL,
                                         (void *)(uintptr_t)&answers[i]};
    for (size_t i = 0; i < CALLS; i++)
        tests[n++] =
            (struct CMUnitTest){calls[i].name, ends_as_it_should, NULL, NULL, (void *)(uintptr_t)&calls[i]};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_value_in_its_text_is_taken_out),
        cmocka_unit_test(an_answer_beyond_its_limit_is_none),
        cmocka_unit_test(an_order_has_what_its_operation_needs),
        cmocka_unit_test(a_large_order_goes_through),
        cmocka_unit_test(what_is_not_there_is_not_started),
        cmocka_unit_test(who_hid_in_a_session_is_ended_as_well),
        cmocka_unit_test(who_hangs_is_ended_without_a_list_of_children),
        cmocka_unit_test(only_what_nobody_else_may_write_is_started),
        cmocka_unit_test(programs_pass_through_a_command_line),
        cmocka_unit_test(other_words_are_no_programs),
    };
    memcpy(&tests[n], others, sizeof others);
    return cmocka_run_group_tests_name("driver_exec", tests, make_folder, remove_folder);
}
