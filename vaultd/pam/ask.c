#include "vaultd/pam/ask.h"

#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "lib/utf8.h"

#define ANSWERS_MAX ((size_t)4096) /* a message of answers */
#define DELAY_MAX_MS 10000u
#define ARENA_MAX ((size_t)8 << 20) /* of all that is said of an account; most of it its groups */

_Static_assert(ANSWERS_MAX > PAMD_PROMPTS_MAX * (PAMD_TEXT_MAX + 4) + 2, "all answers");
_Static_assert(PAMD_TEXT_MAX < PAM_MAX_RESP_SIZE, "what a module may be told");

struct asking {
    int socket;
    enum pamd_question question;
    size_t asked; /* prompts so far */
    uint32_t delay_ms;
    struct kt_secret *answers;
};

/* ---- the service's file ---- */

enum kt_kind ask_check(const char *service, struct kt_err *err)
{
    static const char *const folders[] = {"/etc/pam.d", "/usr/lib/pam.d"};
    char path[300];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", folders[i], service);
        if (n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0)
            return KT_OK;
    }
    enum kt_kind kind = kt_fail(err, KT_NOT_FOUND, "there is no /etc/pam.d/%.100s", service);
    kt_hint(err, "install the one that comes with Keyturn (pam.d/keyturn), or write one");
    return kind;
}

/* ---- the conversation ---- */

static bool send_message(int socket, const struct pamd_message *message)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, PAMD_MESSAGE_MAX);
    pamd_encode(message, &out);
    return kt_buf_ok(&out) &&
           kt_ipc_send(socket, kt_buf_bytes(&out), NULL, 0, KT_IPC_FOREVER, NULL) == KT_OK;
}

/* A module's text may be anything; what is told is text on one line. */
static struct kt_bytes presentable(const char *text, char out[PAMD_TEXT_MAX])
{
    size_t left = text == NULL ? 0 : strlen(text), n = 0;
    while (left > 0) {
        const unsigned char *at = (const unsigned char *)text;
        size_t step = kt_utf8_step(at, left);
        bool odd = step == 0 || at[0] < 0x20 || at[0] == 0x7f;
        step = step == 0 ? 1 : step;
        if (n + step > PAMD_TEXT_MAX)
            break;
        if (odd)
            out[n] = ' ';
        else
            memcpy(out + n, text, step);
        n += odd ? 1 : step;
        text += step;
        left -= step;
    }
    return kt_bytes(out, n);
}

static bool take_answers(struct asking *asking, size_t n, struct pamd_message *ret)
{
    size_t len = 0;
    return kt_ipc_receive(asking->socket, asking->answers->at, asking->answers->len, &len, NULL, NULL,
                          KT_IPC_FOREVER, NULL) == KT_OK &&
           pamd_decode(kt_bytes(asking->answers->at, len), ret) && ret->letter == PAMD_ANSWERS &&
           ret->answers.n == n;
}

static void free_responses(struct pam_response *responses, int n)
{
    for (int i = 0; i < n; i++)
        if (responses[i].resp != NULL) {
            explicit_bzero(responses[i].resp, strlen(responses[i].resp));
            free(responses[i].resp);
        }
    free(responses);
}

static bool is_prompt(int style)
{
    return style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON;
}

/* libpam frees what it is given: libc's memory. */
static int respond(int n, const struct pam_message **asked, const struct pamd_message *answers,
                   struct pam_response **ret)
{
    struct pam_response *responses = calloc((size_t)n, sizeof *responses);
    size_t at = 0;
    for (int i = 0; responses != NULL && i < n; i++) {
        if (!is_prompt(asked[i]->msg_style))
            continue;
        const struct kt_bytes *answer = &answers->answers.at[at++];
        responses[i].resp = strndup(answer->len == 0 ? "" : (const char *)answer->at, answer->len);
        if (responses[i].resp == NULL) {
            free_responses(responses, n);
            return PAM_BUF_ERR;
        }
    }
    *ret = responses;
    return responses == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

static int converse(int n, const struct pam_message **asked, struct pam_response **ret, void *arg)
{
    struct asking *asking = arg;
    struct pamd_message prompts = {.letter = PAMD_PROMPTS}, answers = {.letter = PAMD_ANSWERS};
    char texts[PAMD_PROMPTS_MAX][PAMD_TEXT_MAX];
    if (n <= 0 || n > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    size_t most = asking->question == PAMD_LOGIN ? PAMD_PROMPTS_MAX : 0;
    for (int i = 0; i < n; i++) {
        int style = asked[i]->msg_style;
        size_t *count = &prompts.prompts.n;
        if (!is_prompt(style) && style != PAM_TEXT_INFO && style != PAM_ERROR_MSG)
            return PAM_CONV_ERR;
        if (!is_prompt(style))
            continue;
        if (asking->asked == most) {
            kt_log(KT_LOG_WARNING, "too_many_prompts", "most=%zu", most);
            return PAM_CONV_ERR;
        }
        prompts.prompts.at[*count].echo = style == PAM_PROMPT_ECHO_ON;
        prompts.prompts.at[*count].text = presentable(asked[i]->msg, texts[*count]);
        (*count)++;
        asking->asked++;
    }
    if (ret == NULL) /* so does pam_matrix where nothing is asked */
        return prompts.prompts.n == 0 ? PAM_SUCCESS : PAM_CONV_ERR;
    if (prompts.prompts.n > 0 && (!send_message(asking->socket, &prompts) ||
                                  !take_answers(asking, prompts.prompts.n, &answers)))
        return PAM_CONV_ERR;
    int rc = respond(n, asked, &answers, ret);
    explicit_bzero(asking->answers->at, asking->answers->len);
    return rc;
}

/* libpam calls it instead of sleeping: vaultd holds the answer back, and nothing has to wait here. */
static void note_delay(int result, unsigned delay_us, void *arg)
{
    struct asking *asking = arg;
    unsigned ms = delay_us / 1000;
    if (result != PAM_SUCCESS)
        asking->delay_ms = ms > DELAY_MAX_MS ? DELAY_MAX_MS : ms;
}

/* ---- the verdict ---- */

/* What is not here could not be said: PAMD_BROKEN. */
static const struct {
    int result;
    enum pamd_outcome outcome;
} outcomes[] = {
    {PAM_SUCCESS, PAMD_IN},          {PAM_AUTH_ERR, PAMD_OUT},       {PAM_USER_UNKNOWN, PAMD_OUT},
    {PAM_MAXTRIES, PAMD_OUT},        {PAM_PERM_DENIED, PAMD_OUT},    {PAM_ACCT_EXPIRED, PAMD_OUT},
    {PAM_CRED_INSUFFICIENT, PAMD_OUT}, {PAM_CRED_EXPIRED, PAMD_OUT}, {PAM_CRED_ERR, PAMD_OUT},
    {PAM_AUTHTOK_EXPIRED, PAMD_OUT}, {PAM_CONV_ERR, PAMD_OUT},       {PAM_NEW_AUTHTOK_REQD, PAMD_EXPIRED},
};

static enum pamd_outcome outcome_of(int result)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        if (outcomes[i].result == result)
            return outcomes[i].outcome;
    return PAMD_BROKEN;
}

static int run_stack(pam_handle_t *pam, enum pamd_question question, const char *address)
{
    union {
        void (*fn)(int result, unsigned delay_us, void *arg);
        const void *item;
    } delay = {.fn = note_delay};
    int rc = pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
    if (rc == PAM_SUCCESS)
        rc = pam_set_item(pam, PAM_TTY, "vault");
    if (rc == PAM_SUCCESS && address[0] != '\0')
        rc = pam_set_item(pam, PAM_RHOST, address);
    if (rc == PAM_SUCCESS && question == PAMD_LOGIN)
        rc = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    /* What has expired is only told to whoever knew the password. */
    if (rc == PAM_NEW_AUTHTOK_REQD)
        rc = PAM_AUTH_ERR;
    if (rc == PAM_SUCCESS)
        rc = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    return rc;
}

static bool send_groups(int socket, const struct account *account)
{
    struct pamd_message message = {.letter = PAMD_GROUPS};
    for (size_t at = 0; at < account->n_groups; at += message.groups.n) {
        size_t left = account->n_groups - at;
        message.groups.n = left < PAMD_GROUPS_EACH ? left : PAMD_GROUPS_EACH;
        for (size_t i = 0; i < message.groups.n; i++)
            message.groups.at[i] = account->groups[at + i];
        if (!send_message(socket, &message))
            return false;
    }
    return true;
}

static void describe(const struct ask_rules *rules, pam_handle_t *pam, int socket,
                     struct kt_arena *arena, struct pamd_message *verdict)
{
    const void *name = NULL;
    struct account account;
    const char *why = "it has no user any more";
    if (pam_get_item(pam, PAM_USER, &name) == PAM_SUCCESS && name != NULL &&
        account_describe(&rules->accounts, name, arena, &account, &why)) {
        verdict->verdict.name = kt_str(account.name);
        if (send_groups(socket, &account))
            return;
        why = "nobody takes his groups";
    }
    kt_log(KT_LOG_WARNING, "not_let_in", "why=\"%s\"", why);
    *verdict = (struct pamd_message){.letter = PAMD_VERDICT};
    verdict->verdict.outcome = PAMD_OUT;
}

static void judge(const struct ask_rules *rules, const char *user, bool may, const char *address,
                  struct asking *asking, struct kt_arena *arena, struct pamd_message *verdict)
{
    const struct pam_conv conversation = {converse, asking};
    pam_handle_t *pam = NULL;
    int rc = pam_start(rules->service, may ? user : PAMD_NOBODY, &conversation, &pam);
    if (rc == PAM_SUCCESS)
        rc = run_stack(pam, asking->question, address);
    verdict->verdict.outcome = may || rc != PAM_SUCCESS ? outcome_of(rc) : PAMD_OUT;
    if (verdict->verdict.outcome == PAMD_BROKEN)
        kt_log(KT_LOG_ERROR, "pam_failed", "service=%s code=%d what=\"%s\"", rules->service, rc,
               pam_strerror(pam, rc));
    if (verdict->verdict.outcome == PAMD_IN)
        describe(rules, pam, asking->socket, arena, verdict);
    verdict->verdict.delay_ms = asking->delay_ms;
    if (pam != NULL)
        (void)pam_end(pam, rc); /* modules clean up; it says nothing that is not said yet */
}

/* ---- one login ---- */

static bool begin(struct asking *asking, struct kt_arena *arena, const char **user,
                  const char **address)
{
    unsigned char bytes[1024];
    struct pamd_message message;
    size_t len = 0;
    if (kt_ipc_receive(asking->socket, bytes, sizeof bytes, &len, NULL, NULL, KT_IPC_FOREVER, NULL) !=
            KT_OK ||
        !pamd_decode(kt_bytes(bytes, len), &message) || message.letter != PAMD_BEGIN)
        return false;
    asking->question = message.begin.question;
    *user = kt_arena_text(arena, message.begin.user);
    *address = kt_arena_text(arena, message.begin.address);
    return *user != NULL && *address != NULL;
}

/* False: he may not have a guess, or vaultd is gone; nothing more is to be said. */
static bool may_go_on(int socket, const char *name)
{
    const struct pamd_message named = {.letter = PAMD_NAMED, .named = kt_str(name)};
    unsigned char bytes[16];
    struct pamd_message go;
    size_t len = 0;
    return send_message(socket, &named) &&
           kt_ipc_receive(socket, bytes, sizeof bytes, &len, NULL, NULL, KT_IPC_FOREVER, NULL) == KT_OK &&
           pamd_decode(kt_bytes(bytes, len), &go) && go.letter == PAMD_GO;
}

/* Whom the host takes him for is settled before PAM hears of it: guesses are counted for that one. True: the
 * verdict is to be sent. */
static bool ask_pam(const struct ask_rules *rules, const char *user, const char *address,
                    struct asking *asking, struct kt_arena *arena, struct pamd_message *verdict)
{
    bool may = false;
    const char *name = account_named(&rules->accounts, user, arena, &may);
    if (name == NULL)
        return true;
    if (!may_go_on(asking->socket, name))
        return false;
    judge(rules, name, may, address, asking, arena, verdict);
    return true;
}

void ask(const struct ask_rules *rules, int socket)
{
    const char *user = NULL, *address = NULL;
    bool tells = true;
    struct pamd_message verdict = {.letter = PAMD_VERDICT};
    struct kt_err err = {0};
    struct kt_arena arena;
    struct asking asking = {.socket = socket, .answers = kt_secret_new(ANSWERS_MAX)};
    kt_arena_init(&arena, ARENA_MAX);
    verdict.verdict.outcome = PAMD_BROKEN;
    if (asking.answers == NULL)
        kt_log(KT_LOG_ERROR, "no_memory", "what=\"guarded memory for a password\"");
    else if (!begin(&asking, &arena, &user, &address))
        kt_log(KT_LOG_WARNING, "no_login", "what=\"whoever connected did not say who logs in\"");
    else if (ask_check(rules->service, &err) != KT_OK)
        kt_log_err(KT_LOG_ERROR, "no_service", &err);
    else
        tells = ask_pam(rules, user, address, &asking, &arena, &verdict);
    if (tells)
        (void)send_message(socket, &verdict); /* who is gone needs no verdict */
    kt_secret_free(asking.answers);
    kt_arena_free(&arena);
}
