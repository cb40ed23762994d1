#include "tests/support/fake_pam.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/ipc.h"

#define TALKS_MAX 256u
#define ROOM      4096u /* more than vaultd ever says */

struct fake_pam {
    char path[100];
    int listener;
    pthread_t acceptor;
    pthread_t talks[TALKS_MAX];
    size_t n_talks; /* the acceptor's, until it ended */
    atomic_uint count;
    atomic_bool closed, left;
    pthread_mutex_t lock;
    char address[PAMD_NAME_MAX + 1]; /* guarded by lock */
};

struct talk {
    struct fake_pam *pam;
    int socket;
};

static void send_message(int socket, const struct pamd_message *message)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, PAMD_MESSAGE_MAX);
    pamd_encode(message, &out);
    (void)!kt_ipc_send(socket, kt_buf_bytes(&out), NULL, 0, KT_IPC_FOREVER, NULL);
}

static bool receive(int socket, unsigned char room[ROOM], struct pamd_message *ret)
{
    size_t len = 0;
    return kt_ipc_receive(socket, room, ROOM, &len, NULL, NULL, KT_IPC_FOREVER, NULL) ==
               KT_OK &&
           pamd_decode(kt_bytes(room, len), ret);
}

static void many_groups(int socket)
{
    struct pamd_message message = {.letter = PAMD_GROUPS};
    char names[PAMD_GROUPS_EACH][16];
    for (unsigned at = 0; at < FAKE_GROUPS; at += (unsigned)message.groups.n) {
        message.groups.n = FAKE_GROUPS - at < PAMD_GROUPS_EACH ? FAKE_GROUPS - at : PAMD_GROUPS_EACH;
        for (unsigned i = 0; i < message.groups.n; i++) {
            (void)snprintf(names[i], sizeof names[i], "g%u", at + i);
            message.groups.at[i] = kt_str(names[i]);
        }
        send_message(socket, &message);
    }
}

static void verdict(int socket, enum pamd_outcome outcome, const char *name, bool groups)
{
    struct pamd_message message = {.letter = PAMD_GROUPS};
    if (groups) {
        message.groups.at[0] = kt_str("ops");
        message.groups.at[1] = kt_str("Web");
        message.groups.n = 2;
        send_message(socket, &message);
    }
    message = (struct pamd_message){.letter = PAMD_VERDICT};
    message.verdict.outcome = outcome;
    message.verdict.name = kt_str(name);
    send_message(socket, &message);
}

/* One prompt, one answer; false: vaultd is gone. */
static bool ask(int socket, bool echo, const char *text, const char *right, bool *ret_right)
{
    struct pamd_message prompts = {.letter = PAMD_PROMPTS}, answers;
    unsigned char room[ROOM];
    prompts.prompts.n = 1;
    prompts.prompts.at[0] = (struct pamd_prompt){echo, kt_str(text)};
    send_message(socket, &prompts);
    if (!receive(socket, room, &answers) || answers.letter != PAMD_ANSWERS || answers.answers.n != 1)
        return false;
    *ret_right = *ret_right && kt_bytes_is(answers.answers.at[0], right);
    return true;
}

static bool ask_both(int socket, bool *ret_right)
{
    struct pamd_message prompts = {.letter = PAMD_PROMPTS}, answers;
    unsigned char room[ROOM];
    prompts.prompts.n = 2;
    prompts.prompts.at[0] = (struct pamd_prompt){false, kt_str("Password: ")};
    prompts.prompts.at[1] = (struct pamd_prompt){true, kt_str("Code: ")};
    send_message(socket, &prompts);
    if (!receive(socket, room, &answers) || answers.letter != PAMD_ANSWERS || answers.answers.n != 2)
        return false;
    *ret_right = kt_bytes_is(answers.answers.at[0], "right") &&
                 kt_bytes_is(answers.answers.at[1], "123456");
    return true;
}

static void wait_for_hang_up(int socket)
{
    unsigned char room[ROOM];
    struct pamd_message message;
    while (receive(socket, room, &message))
        continue;
}

/* Somebody who is not let in, and whose module wants that to be told late. */
static void refuse_late(int socket)
{
    struct pamd_message message = {.letter = PAMD_VERDICT};
    message.verdict.outcome = PAMD_OUT;
    message.verdict.delay_ms = FAKE_DELAY_MS;
    send_message(socket, &message);
}

static void end(const struct fake_pam *pam, int socket, const char *user, bool right)
{
    static const struct {
        const char *user;
        enum pamd_outcome outcome;
        const char *name;
        bool groups;
    } rows[] = {{"alice", PAMD_IN, "alice", true},    {"became", PAMD_IN, "alice", true},
                {"many", PAMD_IN, "many", true},
                {"carol", PAMD_IN, "carol", false},   {"two", PAMD_IN, "two", true},
                {"both", PAMD_IN, "both", true},      {"none", PAMD_IN, "none", true},
                {"capital", PAMD_IN, "Capital", true}, {"expired", PAMD_EXPIRED, "", false},
                {"broken", PAMD_BROKEN, "", false}};
    if (right && strcmp(user, "silent") == 0) {
        const struct pamd_message ended = {.letter = PAMD_ENDED, .status = 11};
        send_message(socket, &ended);
        return;
    }
    if (right && strcmp(user, "nonsense") == 0) {
        (void)!kt_ipc_send(socket, kt_str("?"), NULL, 0, KT_IPC_FOREVER, NULL);
        return;
    }
    if (strcmp(user, "late") == 0) {
        refuse_late(socket);
        return;
    }
    for (size_t i = 0; right && i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].user, user) == 0) {
            if (strcmp(user, "many") == 0)
                many_groups(socket);
            verdict(socket, rows[i].outcome, rows[i].name,
                    rows[i].groups && !atomic_load(&pam->left));
            return;
        }
    verdict(socket, PAMD_OUT, "", false);
}

static void play(const struct fake_pam *pam, int socket, const char *user)
{
    bool right = true, there = true;
    if (strcmp(user, "stuck") == 0) {
        wait_for_hang_up(socket);
        return;
    }
    if (strcmp(user, "both") == 0)
        there = ask_both(socket, &right);
    else if (strcmp(user, "none") != 0)
        there = ask(socket, false, "Password: ", "right", &right);
    if (there && right && strcmp(user, "two") == 0)
        there = ask(socket, true, "Code: ", "123456", &right);
    if (there)
        end(pam, socket, user, right);
}

/* Whose name that is, and whether PAM is to hear of it. */
static bool named(int socket, char user[PAMD_NAME_MAX + 1])
{
    struct pamd_message message = {.letter = PAMD_NAMED};
    unsigned char room[ROOM];
    static const struct {
        const char *other, *name;
    } rows[] = {{"al", "alice"}, {"ca", "carol"}, {"ex", "expired"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(user, rows[i].other) == 0) {
            (void)snprintf(user, PAMD_NAME_MAX + 1, "%s", rows[i].name);
            break;
        }
    message.named = kt_str(user);
    send_message(socket, &message);
    return receive(socket, room, &message) && message.letter == PAMD_GO;
}

static void say_busy(int socket)
{
    const struct pamd_message busy = {.letter = PAMD_BUSY};
    send_message(socket, &busy);
}

static void *talk_thread(void *arg)
{
    struct talk *talk = arg;
    struct fake_pam *pam = talk->pam;
    unsigned char room[ROOM];
    struct pamd_message begin;
    if (receive(talk->socket, room, &begin) && begin.letter == PAMD_BEGIN) {
        char user[PAMD_NAME_MAX + 1] = "";
        memcpy(user, begin.begin.user.at, begin.begin.user.len);
        (void)pthread_mutex_lock(&pam->lock);
        (void)snprintf(pam->address, sizeof pam->address, "%.*s", (int)begin.begin.address.len,
                       (const char *)begin.begin.address.at);
        (void)pthread_mutex_unlock(&pam->lock);
        bool busy = strcmp(user, "busy") == 0;
        bool goes = !busy && named(talk->socket, user);
        if (busy)
            say_busy(talk->socket);
        if (goes)
            atomic_fetch_add(&pam->count, 1);
        if (goes && begin.begin.question == PAMD_ACCOUNT)
            end(pam, talk->socket, user, !atomic_load(&pam->closed));
        else if (goes)
            play(pam, talk->socket, user);
    }
    (void)close(talk->socket);
    free(talk);
    return NULL;
}

static void *accept_thread(void *arg)
{
    struct fake_pam *pam = arg;
    for (;;) {
        int socket = accept4(pam->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket < 0)
            return NULL;
        struct talk *talk = calloc(1, sizeof *talk);
        if (talk == NULL || pam->n_talks == TALKS_MAX)
            abort();
        *talk = (struct talk){pam, socket};
        if (pthread_create(&pam->talks[pam->n_talks], NULL, talk_thread, talk) != 0)
            abort();
        pam->n_talks++;
    }
}

struct fake_pam *fake_pam_start(const char *folder)
{
    struct fake_pam *pam = calloc(1, sizeof *pam);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (pam == NULL)
        abort();
    (void)snprintf(pam->path, sizeof pam->path, "%s/pam.sock", folder);
    memcpy(address.sun_path, pam->path, sizeof pam->path);
    (void)unlink(pam->path);
    (void)pthread_mutex_init(&pam->lock, NULL);
    pam->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(pam->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(pam->listener, 128) != 0 ||
        pthread_create(&pam->acceptor, NULL, accept_thread, pam) != 0)
        abort();
    return pam;
}

void fake_pam_stop(struct fake_pam *pam)
{
    if (pam == NULL)
        return;
    (void)shutdown(pam->listener, SHUT_RDWR); /* accept() returns */
    (void)pthread_join(pam->acceptor, NULL);
    for (size_t i = 0; i < pam->n_talks; i++)
        (void)pthread_join(pam->talks[i], NULL);
    (void)close(pam->listener);
    (void)unlink(pam->path);
    (void)pthread_mutex_destroy(&pam->lock);
    free(pam);
}

const char *fake_pam_socket(const struct fake_pam *pam)
{
    return pam->path;
}

unsigned fake_pam_count(const struct fake_pam *pam)
{
    return atomic_load(&pam->count);
}

void fake_pam_close(struct fake_pam *pam, bool closed)
{
    atomic_store(&pam->closed, closed);
}

void fake_pam_leave(struct fake_pam *pam)
{
    atomic_store(&pam->left, true);
}

void fake_pam_address(struct fake_pam *pam, char out[PAMD_NAME_MAX + 1])
{
    (void)pthread_mutex_lock(&pam->lock);
    memcpy(out, pam->address, sizeof pam->address);
    (void)pthread_mutex_unlock(&pam->lock);
}
