/* tests/bench/audit_event.h - what the benches of the audit log record, and their clock. Included by one
 * file of a program. */
#pragma once

#include <stdio.h>
#include <time.h>

#include "lib/random.h"
#include "vaultd/audit/audit.h"

static double now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* A read of a secret, as the pipeline records it. */
static const char *const policies[] = {"default", "orders"};
static const struct audit_auth auth = {.token = {(const unsigned char *)"hvs.ABCDEFGHIJKLMNOPQRSTUVWX", 28},
                                       .accessor = "0123456789abcdefghijklmn",
                                       .display_name = "token-orders",
                                       .entity_id = "7d2e3179-f69b-450c-7179-ac8ee8bd8ca9",
                                       .policies = policies,
                                       .n_policies = 2,
                                       .changed = 1};

static void event_fill(struct audit_event *event, char id[37])
{
    unsigned char bytes[16];
    kt_random_id(bytes, sizeof bytes);
    (void)snprintf(id, 37, "%02x%02x%02x%02x-0000-4000-8000-%02x%02x%02x%02x%02x%02x", bytes[0],
                   bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8],
                   bytes[9]);
    *event = (struct audit_event){
        .type = "response",
        .request_id = id,
        .time_ms = 1735787045678,
        .operation = "read",
        .path = "secret/data/orders/db",
        .mount_point = "secret/",
        .mount_type = "kv",
        .remote_address = "127.0.0.1",
        .remote_port = 40112,
        .auth = &auth,
        .response_data = kt_str("{\"data\":{\"password\":\"xxxxxxxxxxxxxxxxxxxx\",\"username\":"
                                "\"orders\"},\"metadata\":{\"version\":3}}"),
        .status = 200};
}
