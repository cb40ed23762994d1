/* lib/driver/exec_protocol.h - what the driver "exec" and a program say to each other: one JSON object each way.
 *
 * What:    docs/driver-exec.md is the protocol. A program is started once for each thing it is asked; a probe
 *          of several logins asks several times, one login each.
 * Secrets: an order holds passwords; its buffer wipes itself. An answer's texts pass the redactor.
 * Limits:  EXEC_ORDER_MAX, EXEC_ANSWER_MAX bytes.
 * Errors:  an answer that is not exactly as the protocol has it: KT_INVALID with what is wrong, never with a
 *          piece of it.
 * Threads: plain functions. */
#pragma once

#include "lib/driver/table.h"

#define EXEC_VERSION    1
#define EXEC_ORDER_MAX  ((size_t)256 * 1024)
#define EXEC_ANSWER_MAX ((size_t)16 * 1024)

/* who: whose login is asked about, in probe and verify; else DRIVER_LOGIN_COUNT. */
void kt_exec_order(const struct driver_step *step, enum driver_who who, uint32_t timeout_ms,
                   struct kt_buf *out);

/* Writes class, code, text and evidence of *ret; *reply gets the answer to a login. Members that are not
 * there leave what is there. */
enum kt_kind kt_exec_answer(const struct driver_run *run, struct kt_bytes text,
                            struct driver_result *ret, struct driver_reply *reply,
                            struct kt_err *err) KT_MUST_CHECK;
