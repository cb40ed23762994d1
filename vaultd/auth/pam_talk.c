#include "vaultd/auth/pam_talk.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/ipc.h"

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool send_now(int socket, struct kt_bytes bytes)
{
    return kt_ipc_send(socket, bytes, NULL, 0, 0, NULL) == KT_OK;
}

static bool send_begin(const struct talk *talk)
{
    struct pamd_message message = {.letter = PAMD_BEGIN};
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1024);
    message.begin.question = talk->party.question;
    message.begin.user = kt_str(talk->party.barred ? PAMD_NOBODY : talk->party.user);
    message.begin.address = kt_str(talk->party.local ? "" : talk->party.address);
    pamd_encode(&message, &out);
    return kt_buf_ok(&out) && send_now(talk->socket, kt_buf_bytes(&out));
}

struct kt_secret *talk_encode(const struct kt_bytes *answers, size_t n)
{
    struct pamd_message message = {.letter = PAMD_ANSWERS};
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, PAMD_MESSAGE_MAX);
    message.answers.n = n;
    for (size_t i = 0; i < n; i++)
        message.answers.at[i] = answers[i];
    pamd_encode(&message, &out);
    return kt_buf_ok(&out) ? kt_secret_copy(kt_buf_bytes(&out)) : NULL;
}

enum found talk_ends(struct talk *talk, enum talk_end end)
{
    talk->end = end;
    return FOUND_END;
}

enum found talk_connect(struct talk *talk, const char *path)
{
    talk->socket = connect_to(path);
    if (talk->socket < 0)
        return talk_ends(talk, TALK_GONE);
    return send_begin(talk) ? FOUND_SENT : talk_ends(talk, TALK_SILENT);
}

enum found talk_send(struct talk *talk)
{
    bool sent = send_now(talk->socket, kt_secret_bytes(talk->secret));
    kt_secret_free(talk->secret);
    talk->secret = NULL;
    return sent ? FOUND_SENT : talk_ends(talk, TALK_SILENT);
}

/* The password that came along, if that is what is asked for. */
static enum found answer_first(struct talk *talk, const struct pamd_message *prompts)
{
    struct kt_secret *password = talk->secret;
    bool fits = prompts->prompts.n == 1 && !prompts->prompts.at[0].echo;
    talk->secret = NULL;
    if (fits) {
        const struct kt_bytes bytes = kt_secret_bytes(password);
        talk->secret = talk_encode(&bytes, 1);
    }
    kt_secret_free(password);
    if (!fits)
        return FOUND_PROMPTS;
    return talk->secret != NULL ? talk_send(talk) : talk_ends(talk, TALK_SILENT);
}

enum found talk_go(struct talk *talk)
{
    static const struct pamd_message go = {.letter = PAMD_GO};
    unsigned char room[8];
    struct kt_buf out;
    kt_buf_init_in(&out, sizeof room, room, sizeof room);
    pamd_encode(&go, &out);
    return send_now(talk->socket, kt_buf_bytes(&out)) ? FOUND_SENT : talk_ends(talk, TALK_SILENT);
}

static enum found keep_groups(struct talk *talk, const struct pamd_message *message)
{
    for (size_t i = 0; i < message->groups.n; i++)
        kt_buf_add_field(&talk->groups, message->groups.at[i]);
    talk->n_groups += message->groups.n;
    bool kept = kt_buf_ok(&talk->groups) && talk->n_groups <= PAMD_GROUPS_MAX;
    return kept ? FOUND_NOTHING : talk_ends(talk, TALK_SILENT);
}

/* What vaultd-pam may say while the talk is in PAM. */
static enum found take_in(struct talk *talk, const struct pamd_message *message)
{
    bool login = talk->party.question == PAMD_LOGIN;
    switch (message->letter) {
    case PAMD_BUSY:
        return talk_ends(talk, TALK_BUSY);
    case PAMD_VERDICT:
        return FOUND_VERDICT;
    case PAMD_NAMED:
        if (talk->named)
            break;
        talk->named = true;
        return FOUND_NAME;
    case PAMD_GROUPS:
        if (talk->named)
            return keep_groups(talk, message);
        break;
    case PAMD_PROMPTS:
        if (!login || !talk->named)
            break;
        return talk->secret != NULL ? answer_first(talk, message) : FOUND_PROMPTS;
    case PAMD_BEGIN:
    case PAMD_GO:
    case PAMD_ANSWERS:
    case PAMD_ENDED:
        break;
    }
    return talk_ends(talk, TALK_SILENT);
}

enum found talk_hear(struct talk *talk)
{
    struct pamd_message message;
    size_t len = 0;
    kt_buf_reset(&talk->message);
    unsigned char *room = kt_buf_grow(&talk->message, PAMD_MESSAGE_MAX);
    if (room == NULL)
        return talk_ends(talk, TALK_SILENT);
    enum kt_kind kind = kt_ipc_receive(talk->socket, room, PAMD_MESSAGE_MAX, &len, NULL, NULL, 0, NULL);
    if (kind == KT_TIMEOUT)
        return FOUND_NOTHING;
    talk->message.len = kind == KT_OK ? len : 0;
    if (kind != KT_OK || !pamd_decode(kt_buf_bytes(&talk->message), &message))
        return talk_ends(talk, TALK_SILENT);
    return take_in(talk, &message);
}
