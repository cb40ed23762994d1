#include "lib/driver/sftp_reply.h"

#include "lib/ssh_wire.h"

enum { TYPE_VERSION = 2, TYPE_STATUS = 101, TYPE_HANDLE = 102, TYPE_DATA = 103, TYPE_ATTRS = 105 };

#define ATTR_SIZE   0x1u
#define ATTR_OWNER  0x2u
#define ATTR_MODE   0x4u
#define ATTR_TIMES  0x8u
#define ATTR_KNOWN  (ATTR_SIZE | ATTR_OWNER | ATTR_MODE | ATTR_TIMES)
#define HANDLE_MAX  256u

static void read_status(struct kt_reader *r, struct kt_sftp_reply *reply)
{
    reply->answer = SFTP_STATUS;
    reply->status = kt_ssh_get_u32(r);
    reply->message = kt_ssh_get(r);
    (void)kt_ssh_get(r); /* its language */
}

static void read_handle(struct kt_reader *r, struct kt_sftp_reply *reply)
{
    reply->answer = SFTP_HANDLE;
    reply->bytes = kt_ssh_get(r);
    r->failed = r->failed || reply->bytes.len > HANDLE_MAX;
}

static void read_data(struct kt_reader *r, struct kt_sftp_reply *reply)
{
    reply->answer = SFTP_DATA;
    reply->bytes = kt_ssh_get(r);
}

static void read_attributes(struct kt_reader *r, struct kt_sftp_reply *reply)
{
    struct kt_sftp_attributes *a = &reply->attributes;
    uint32_t flags = kt_ssh_get_u32(r);
    reply->answer = SFTP_ATTRIBUTES;
    a->has_owner = (flags & ATTR_OWNER) != 0;
    a->has_mode = (flags & ATTR_MODE) != 0;
    if ((flags & ATTR_SIZE) != 0)
        (void)kt_ssh_get_u64(r);
    if (a->has_owner) {
        a->uid = kt_ssh_get_u32(r);
        a->gid = kt_ssh_get_u32(r);
    }
    if (a->has_mode)
        a->mode = kt_ssh_get_u32(r);
    if ((flags & ATTR_TIMES) != 0)
        (void)kt_ssh_get_u64(r);
    r->failed = r->failed || (flags & ~ATTR_KNOWN) != 0;
}

bool kt_sftp_read_reply(struct kt_bytes packet, uint32_t id, struct kt_sftp_reply *ret)
{
    static const struct {
        uint8_t type;
        void (*read)(struct kt_reader *r, struct kt_sftp_reply *reply);
    } rows[] = {{TYPE_STATUS, read_status},
                {TYPE_HANDLE, read_handle},
                {TYPE_DATA, read_data},
                {TYPE_ATTRS, read_attributes}};
    struct kt_reader r = kt_reader(packet);
    struct kt_sftp_reply reply = {.answer = SFTP_STATUS};
    uint8_t type = kt_read_u8(&r);
    bool known = false, ours = kt_ssh_get_u32(&r) == id;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && ours; i++)
        if (rows[i].type == type) {
            known = true;
            rows[i].read(&r, &reply);
        }
    if (!known || !kt_reader_done(&r))
        return false;
    *ret = reply;
    return true;
}

bool kt_sftp_read_version(struct kt_bytes packet, bool *ret_renames, bool *ret_syncs)
{
    struct kt_reader r = kt_reader(packet);
    bool renames = false, syncs = false;
    if (kt_read_u8(&r) != TYPE_VERSION || kt_ssh_get_u32(&r) != SFTP_VERSION)
        return false;
    while (!r.failed && r.left > 0) {
        struct kt_bytes name = kt_ssh_get(&r), version = kt_ssh_get(&r);
        bool first = kt_bytes_is(version, "1");
        renames = renames || (first && kt_bytes_is(name, "posix-rename@openssh.com"));
        syncs = syncs || (first && kt_bytes_is(name, "fsync@openssh.com"));
    }
    if (!kt_reader_done(&r))
        return false;
    *ret_renames = renames;
    *ret_syncs = syncs;
    return true;
}
