#include "vaultd/auth/leased_record.h"

#include "vaultd/barrier/format.h"

#define FORMAT 1u

enum flag { FLAG_RENEWABLE = 1, FLAG_ENDING = 2, FLAG_GIVEN_UP = 4 };

struct reading {
    struct kt_arena *arena;
    struct leased lease;
};

void leased_record_write(const struct leased *lease, struct kt_buf *out)
{
    unsigned flags = (lease->renewable ? FLAG_RENEWABLE : 0u) | (lease->ending ? FLAG_ENDING : 0u) |
                     (lease->given_up ? FLAG_GIVEN_UP : 0u);
    const int64_t numbers[] = {lease->made_ms,    lease->expires_ms, lease->latest_ms,
                               lease->renewed_ms, lease->ttl_s,      lease->due_ms};
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, (uint8_t)flags);
    kt_buf_add(out, lease->token, sizeof lease->token);
    kt_buf_add(out, lease->mount, sizeof lease->mount);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kt_buf_add_i64(out, numbers[i]);
    kt_buf_add_u8(out, (uint8_t)lease->attempts);
    kt_buf_add_field(out, kt_str(lease->id));
    kt_buf_add_field(out, kt_str(lease->why));
    kt_buf_add_field(out, lease->data);
}

static const char *text(struct kt_reader *r, struct kt_arena *arena)
{
    const char *copy = kt_arena_text(arena, kt_read_field(r));
    return copy == NULL ? "" : copy;
}

static void read_1(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct leased *lease = &reading->lease;
    unsigned flags = kt_read_u8(r);
    lease->renewable = (flags & FLAG_RENEWABLE) != 0;
    lease->ending = (flags & FLAG_ENDING) != 0;
    lease->given_up = (flags & FLAG_GIVEN_UP) != 0;
    struct kt_bytes token = kt_read_bytes(r, sizeof lease->token);
    struct kt_bytes mount = kt_read_bytes(r, sizeof lease->mount);
    if (token.at != NULL && mount.at != NULL) {
        memcpy(lease->token, token.at, token.len);
        memcpy(lease->mount, mount.at, mount.len);
    }
    int64_t *const numbers[] = {&lease->made_ms,    &lease->expires_ms, &lease->latest_ms,
                                &lease->renewed_ms, &lease->ttl_s,      &lease->due_ms};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = kt_read_i64(r);
    lease->attempts = kt_read_u8(r);
    lease->id = text(r, reading->arena);
    lease->why = text(r, reading->arena);
    struct kt_bytes data = kt_read_field(r);
    const char *copy = kt_arena_text(reading->arena, data);
    lease->data = kt_bytes(copy, copy == NULL ? 0 : data.len);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

enum kt_kind leased_record_read(struct kt_bytes record, struct kt_arena *arena, struct leased *ret,
                                struct kt_err *err)
{
    struct reading reading = {.arena = arena};
    enum kt_kind kind = FORMAT_READ("a lease", record, readers, &reading, err);
    if (arena->failed) { /* what was not read then is no damage */
        kt_err_clear(err);
        return kt_fail(err, KT_NO_MEMORY, "reading a lease");
    }
    if (kind != KT_OK)
        return kind;
    const char *slash = strrchr(reading.lease.id, '/');
    if (slash == NULL)
        return kt_fail(err, KT_CORRUPT, "a lease's record is damaged");
    reading.lease.path = kt_arena_text(arena, kt_bytes(reading.lease.id, (size_t)(slash - reading.lease.id)));
    if (reading.lease.path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a lease");
    *ret = reading.lease;
    return KT_OK;
}
