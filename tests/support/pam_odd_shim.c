/* tests/support/pam_odd_shim.c - a PAM module that does what a test wants of one: its first argument.
 *
 * Of "auth" lines only, unless the argument says "account". What is asked is compared with "right" and
 * with "123456". Built as a module; nothing of it is installed. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <security/pam_modules.h>
#include <security/pam_ext.h>

typedef int odd_fn(pam_handle_t *pam, const char *value);

static int ask(pam_handle_t *pam, int style, const char *prompt, const char *right)
{
    char *answer = NULL;
    int rc = pam_prompt(pam, style, &answer, "%s", prompt);
    if (rc != PAM_SUCCESS || answer == NULL) {
        free(answer);
        return PAM_CONV_ERR;
    }
    rc = strcmp(answer, right) == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
    free(answer);
    return rc;
}

static int hang(pam_handle_t *pam, const char *value)
{
    (void)pam;
    (void)value;
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    while (pause() < 0)
        continue;
    return PAM_ABORT;
}

/* With somebody left behind, who holds all descriptors. */
static int hang_forked(pam_handle_t *pam, const char *value)
{
    return fork() < 0 ? PAM_SYSTEM_ERR : hang(pam, value);
}

static int crash(pam_handle_t *pam, const char *value)
{
    (void)pam;
    (void)value;
    (void)raise(SIGSEGV);
    return PAM_SUCCESS;
}

static int leave(pam_handle_t *pam, const char *value)
{
    (void)pam;
    (void)value;
    _exit(0); /* no verdict, and nothing to see of it */
}

static int two(pam_handle_t *pam, const char *value)
{
    (void)value;
    int rc = ask(pam, PAM_PROMPT_ECHO_OFF, "Password: ", "right");
    return rc == PAM_SUCCESS ? ask(pam, PAM_PROMPT_ECHO_ON, "Code\t\xff: ", "123456") : rc;
}

/* Both prompts in one call, with something else between. */
static int together(pam_handle_t *pam, const char *value)
{
    (void)value;
    const struct pam_message texts[] = {{PAM_PROMPT_ECHO_OFF, "Password: "},
                                        {PAM_TEXT_INFO, "hello"},
                                        {PAM_ERROR_MSG, "the account is locked"},
                                        {PAM_PROMPT_ECHO_ON, "Code: "}};
    const struct pam_message *asked[] = {&texts[0], &texts[1], &texts[2], &texts[3]};
    struct pam_response *answers = NULL;
    const void *item = NULL;
    if (pam_get_item(pam, PAM_CONV, &item) != PAM_SUCCESS)
        return PAM_SYSTEM_ERR;
    const struct pam_conv *conversation = item;
    int rc = conversation->conv(4, asked, &answers, conversation->appdata_ptr);
    if (rc != PAM_SUCCESS || answers == NULL)
        return PAM_CONV_ERR;
    rc = strcmp(answers[0].resp, "right") == 0 && answers[1].resp == NULL &&
                 strcmp(answers[3].resp, "123456") == 0
             ? PAM_SUCCESS
             : PAM_AUTH_ERR;
    free(answers[0].resp);
    free(answers[3].resp);
    free(answers);
    return rc;
}

static int many(pam_handle_t *pam, const char *value)
{
    (void)value;
    int rc = PAM_SUCCESS;
    for (int i = 0; i < 6 && rc == PAM_SUCCESS; i++)
        rc = ask(pam, PAM_PROMPT_ECHO_OFF, "Again: ", "right");
    return rc;
}

static int rename_to(pam_handle_t *pam, const char *value)
{
    int rc = ask(pam, PAM_PROMPT_ECHO_OFF, "Password: ", "right");
    return rc == PAM_SUCCESS ? pam_set_item(pam, PAM_USER, value) : rc;
}

/* What modules do to a process that is not theirs. */
static int spoil(pam_handle_t *pam, const char *value)
{
    (void)value;
    (void)umask(0);
    (void)chdir("/");
    for (int fd = 0; fd < 3; fd++)
        (void)close(fd);
    return ask(pam, PAM_PROMPT_ECHO_OFF, "Password: ", "right");
}

static int delay(pam_handle_t *pam, const char *value)
{
    (void)pam_fail_delay(pam, (unsigned)strtoul(value, NULL, 10));
    return ask(pam, PAM_PROMPT_ECHO_OFF, "Password: ", "right");
}

static int answer(pam_handle_t *pam, const char *value)
{
    (void)pam;
    return (int)strtol(value, NULL, 10);
}

static const struct odd {
    const char *name;
    odd_fn *fn;
} odds[] = {{"hang", hang},         {"hang_forked", hang_forked}, {"crash", crash}, {"leave", leave},
            {"two", two},           {"together", together},       {"many", many},   {"rename", rename_to},
            {"spoil", spoil},       {"delay", delay},             {"answer", answer}};

static int act(pam_handle_t *pam, int argc, const char **argv)
{
    for (size_t i = 0; argc > 0 && i < sizeof odds / sizeof odds[0]; i++)
        if (strcmp(odds[i].name, argv[0]) == 0)
            return odds[i].fn(pam, argc > 1 ? argv[1] : "");
    return PAM_SERVICE_ERR;
}

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)flags;
    return act(pam, argc, argv);
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam;
    (void)flags;
    (void)argc;
    (void)argv;
    return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)flags;
    return act(pam, argc, argv);
}
