/* lib/driver/sftp.c - see lib/driver/sftp.h. */
#include "lib/driver/sftp.h"

#include <stdio.h>

#include "lib/driver/place.h"
#include "lib/ipc.h"
#include "lib/ssh_wire.h"

/* Requests, draft-ietf-secsh-filexfer-02, section 3. */
enum {
    ASK_INIT = 1,
    ASK_OPEN = 3,
    ASK_CLOSE = 4,
    ASK_READ = 5,
    ASK_WRITE = 6,
    ASK_LSTAT = 7,
    ASK_SETSTAT = 9,
    ASK_REMOVE = 13,
    ASK_EXTENDED = 200
};
#define OPEN_READ   0x01u
#define OPEN_WRITE  0x02u
#define OPEN_CREATE 0x08u
#define OPEN_ANEW   0x20u /* fails when there is something of that name */
#define ATTR_OWNER  0x02u
#define ATTR_MODE   0x04u

/* ---- packets ------------------------------------------------------------------------------- */

static bool lost(struct kt_ssh *s, const char *code)
{
    s->status = SFTP_CONNECTION_LOST;
    return kt_ssh_set_failure(s, code, "");
}

static void begin(struct kt_ssh *s, uint8_t type)
{
    kt_buf_reset(&s->out);
    kt_ssh_put_u32(&s->out, 0); /* its length, when it is known */
    kt_buf_add_u8(&s->out, type);
    kt_ssh_put_u32(&s->out, ++s->last_id);
}

static bool send_out(struct kt_ssh *s)
{
    if (!kt_buf_ok(&s->out))
        return lost(s, "memory");
    kt_put_be32(s->out.at, (uint32_t)(s->out.len - 4));
    return ssh_channel_write(s->channel, s->out.at, (uint32_t)s->out.len) == (int)s->out.len ||
           lost(s, "closed");
}

static bool receive_bytes(struct kt_ssh *s, unsigned char *to, size_t len, int64_t deadline)
{
    for (size_t have = 0; have < len;) {
        int64_t left = deadline - kt_ipc_deadline(0);
        if (left <= 0)
            return lost(s, "timeout");
        int n = ssh_channel_read_timeout(s->channel, to + have, (uint32_t)(len - have), 0,
                                         left > INT32_MAX ? INT32_MAX : (int)left);
        if (n == 0 && !ssh_channel_is_eof(s->channel))
            continue;
        if (n <= 0)
            return lost(s, "closed");
        have += (size_t)n;
    }
    return true;
}

/* The packet stands in s->in until the next one. */
static bool receive(struct kt_ssh *s)
{
    int64_t deadline = kt_place_deadline(s->run, kt_place_statement_ms(s->run));
    unsigned char head[4];
    if (!receive_bytes(s, head, sizeof(head), deadline))
        return false;
    uint32_t len = kt_get_be32(head);
    if (len == 0 || len > SFTP_PACKET_MAX)
        return lost(s, "protocol");
    kt_buf_reset(&s->in);
    unsigned char *at = kt_buf_grow(&s->in, len);
    return at == NULL ? lost(s, "memory") : receive_bytes(s, at, len, deadline);
}

/* The request in s->out. */
static bool ask(struct kt_ssh *s, enum sftp_answer wanted, struct kt_sftp_reply *ret)
{
    s->status = SFTP_OK;
    s->said[0] = '\0';
    if (!send_out(s) || !receive(s))
        return false;
    if (!kt_sftp_read_reply(kt_buf_bytes(&s->in), s->last_id, ret))
        return lost(s, "protocol");
    if (ret->answer == SFTP_STATUS) {
        s->status = ret->status;
        (void)!snprintf(s->said, sizeof(s->said), "%.*s",
                        (int)(ret->message.len < sizeof(s->said) ? ret->message.len : sizeof(s->said) - 1),
                        ret->message.len == 0 ? "" : (const char *)ret->message.at);
    }
    if (ret->answer == wanted)
        return wanted != SFTP_STATUS || ret->status == SFTP_OK;
    /* An error has its number; another answer than the request has is none. */
    return ret->answer == SFTP_STATUS && ret->status != SFTP_OK ? false : lost(s, "protocol");
}

static bool ask_done(struct kt_ssh *s)
{
    struct kt_sftp_reply reply;
    return ask(s, SFTP_STATUS, &reply);
}

/* ---- requests ------------------------------------------------------------------------------ */

bool kt_sftp_start(struct kt_ssh *s)
{
    bool renames = false, syncs = false;
    s->channel = ssh_channel_new(s->session);
    if (s->channel == NULL)
        return lost(s, "memory");
    if (ssh_channel_open_session(s->channel) != SSH_OK ||
        ssh_channel_request_subsystem(s->channel, "sftp") != SSH_OK)
        return kt_ssh_set_failure(s, ssh_is_connected(s->session) ? "sftp" : "closed",
                                  ssh_get_error(s->session));
    kt_buf_reset(&s->out);
    kt_ssh_put_u32(&s->out, 0);
    kt_buf_add_u8(&s->out, ASK_INIT);
    kt_ssh_put_u32(&s->out, SFTP_VERSION);
    if (!send_out(s) || !receive(s))
        return false;
    if (!kt_sftp_read_version(kt_buf_bytes(&s->in), &renames, &syncs))
        return lost(s, "protocol");
    if (!renames || !syncs)
        return kt_ssh_set_failure(s, "sftp", renames ? "without fsync@openssh.com"
                                                     : "without posix-rename@openssh.com");
    return true;
}

static void add_handle(struct kt_ssh *s, const struct kt_sftp_handle *handle)
{
    kt_ssh_put(&s->out, kt_bytes(handle->at, handle->len));
}

bool kt_sftp_open(struct kt_ssh *s, const char *path, enum sftp_mode mode, uint32_t permissions,
                  struct kt_sftp_handle *ret)
{
    struct kt_sftp_reply reply;
    begin(s, ASK_OPEN);
    kt_ssh_put_text(&s->out, path);
    kt_ssh_put_u32(&s->out, mode == SFTP_READ ? OPEN_READ : OPEN_WRITE | OPEN_CREATE | OPEN_ANEW);
    kt_ssh_put_u32(&s->out, mode == SFTP_READ ? 0 : ATTR_MODE);
    if (mode != SFTP_READ)
        kt_ssh_put_u32(&s->out, permissions);
    if (!ask(s, SFTP_HANDLE, &reply))
        return false;
    ret->len = reply.bytes.len; /* at most 256: sftp_reply.c looked */
    memcpy(ret->at, reply.bytes.at, reply.bytes.len);
    return true;
}

bool kt_sftp_close(struct kt_ssh *s, const struct kt_sftp_handle *handle)
{
    begin(s, ASK_CLOSE);
    add_handle(s, handle);
    return ask_done(s);
}

bool kt_sftp_read(struct kt_ssh *s, const struct kt_sftp_handle *handle, uint64_t offset,
                  struct kt_buf *out, bool *ret_end)
{
    struct kt_sftp_reply reply;
    begin(s, ASK_READ);
    add_handle(s, handle);
    kt_ssh_put_u64(&s->out, offset);
    kt_ssh_put_u32(&s->out, (uint32_t)SFTP_PIECE);
    *ret_end = false;
    if (ask(s, SFTP_DATA, &reply)) {
        *ret_end = reply.bytes.len == 0;
        kt_buf_add_bytes(out, reply.bytes);
        return true;
    }
    *ret_end = s->status == SFTP_EOF;
    return *ret_end;
}

bool kt_sftp_write(struct kt_ssh *s, const struct kt_sftp_handle *handle, uint64_t offset,
                   struct kt_bytes bytes)
{
    begin(s, ASK_WRITE);
    add_handle(s, handle);
    kt_ssh_put_u64(&s->out, offset);
    kt_ssh_put(&s->out, bytes);
    return ask_done(s);
}

bool kt_sftp_sync(struct kt_ssh *s, const struct kt_sftp_handle *handle)
{
    begin(s, ASK_EXTENDED);
    kt_ssh_put_text(&s->out, "fsync@openssh.com");
    add_handle(s, handle);
    return ask_done(s);
}

bool kt_sftp_look(struct kt_ssh *s, const char *path, struct kt_sftp_attributes *ret)
{
    struct kt_sftp_reply reply;
    begin(s, ASK_LSTAT);
    kt_ssh_put_text(&s->out, path);
    if (!ask(s, SFTP_ATTRIBUTES, &reply))
        return false;
    *ret = reply.attributes;
    return true;
}

bool kt_sftp_own(struct kt_ssh *s, const char *path, uint32_t uid, uint32_t gid)
{
    begin(s, ASK_SETSTAT);
    kt_ssh_put_text(&s->out, path);
    kt_ssh_put_u32(&s->out, ATTR_OWNER);
    kt_ssh_put_u32(&s->out, uid);
    kt_ssh_put_u32(&s->out, gid);
    return ask_done(s);
}

bool kt_sftp_permit(struct kt_ssh *s, const char *path, uint32_t permissions)
{
    begin(s, ASK_SETSTAT);
    kt_ssh_put_text(&s->out, path);
    kt_ssh_put_u32(&s->out, ATTR_MODE);
    kt_ssh_put_u32(&s->out, permissions);
    return ask_done(s);
}

bool kt_sftp_remove(struct kt_ssh *s, const char *path)
{
    begin(s, ASK_REMOVE);
    kt_ssh_put_text(&s->out, path);
    return ask_done(s);
}

bool kt_sftp_rename(struct kt_ssh *s, const char *from, const char *to)
{
    begin(s, ASK_EXTENDED);
    kt_ssh_put_text(&s->out, "posix-rename@openssh.com");
    kt_ssh_put_text(&s->out, from);
    kt_ssh_put_text(&s->out, to);
    return ask_done(s);
}
