/* tests/unit/audit_life.h - one life of an audit log in a test: how it is set, a record, what is in it, and its
 * end by kill -9.
 * Owner:   the log stays the caller's; life_kill() frees it.
 * Errors:  fail the test. Included by one file of a program. */
#pragma once

#include "tests/unit/audit_fake.h"
#include "vaultd/audit/audit.h"
#include "vaultd/audit/own.h"

/* Nothing happens by itself: the test says when. */
static inline struct audit_config life_config(const char *folder)
{
    return (struct audit_config){.folder = folder,
                                 .origin = "keyturn/test",
                                 .fence = 1,
                                 .sync_ms = 3600000,
                                 .checkpoint_ms = 3600000,
                                 .segment_bytes = 64 * 1024};
}

static inline void life_append(struct audit *audit, const char *path)
{
    const struct audit_event event = {.type = "response",
                                      .request_id = "11111111-2222-3333-4444-555555555555",
                                      .time_ms = 1735787045678,
                                      .operation = "read",
                                      .path = path,
                                      .status = 200};
    struct kt_err err = {0};
    if (audit_append(audit, &event, &err) != KT_OK)
        fail_msg("%s", err.what);
}

/* All lines; the caller frees the buffer. */
static inline void life_lines(struct audit *audit, struct kt_buf *out)
{
    struct audit_status status;
    uint64_t next = 0;
    audit_status(audit, &status);
    kt_buf_init(out, 1 << 24);
    assert_int_equal(audit_export(audit, 0, status.size, 1 << 24, out, &next, NULL), KT_OK);
    assert_int_equal(next, status.size);
}

static inline unsigned life_count(struct kt_buf *lines, const char *what)
{
    unsigned n = 0;
    for (const char *at = kt_buf_text(lines); (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* How often it stands in the log. */
static inline unsigned life_count_records(struct audit *audit, const char *what)
{
    kt_autobuf struct kt_buf lines = {0};
    life_lines(audit, &lines);
    return life_count(&lines, what);
}

/* Nothing is synced, signed or said any more; the kernel has what was written. */
static inline void life_kill(struct audit **audit, struct store *store)
{
    fake_store_wait(store);
    audit_keeper_stop(*audit);
    (void)audit_commits_wait(*audit);
    store_set_witness(store, NULL, NULL);
    audit_free(*audit, false);
    *audit = NULL;
}
