#include "vaultd/worker/mail.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/driver/exec_child.h"
#include "lib/driver/exec_protocol.h"
#include "lib/ipc.h"
#include "vaultd/worker/cell.h"

static const char *outcome_text(const struct exec_outcome *outcome, char *text, size_t size)
{
    switch (outcome->end) {
    case EXEC_ANSWERED:
        return NULL;
    case EXEC_NOT_STARTED:
        (void)snprintf(text, size, "the program could not be started: %s", kt_errno_text(outcome->number));
        break;
    case EXEC_STATUS:
        (void)snprintf(text, size, "the program ended with status %d", outcome->number);
        break;
    case EXEC_SIGNAL:
        (void)snprintf(text, size, "the program was ended by signal %d", outcome->number);
        break;
    case EXEC_LATE:
        return "the program did not end in time and was killed";
    case EXEC_TOO_LONG:
        return "the program said too much and was killed";
    case EXEC_LOST:
        (void)snprintf(text, size, "the program was lost: %s", kt_errno_text(outcome->number));
        break;
    }
    return text;
}

/* NULL: it took the message. */
static const char *give(const struct fetch_order *order, const struct kt_programs *programs, char *text, size_t size)
{
    const struct kt_program *program = kt_program_find(programs, order->program);
    struct exec_outcome outcome = {EXEC_LOST, 0};
    struct kt_err err = {0};
    uint32_t missing = 0;
    if (program == NULL)
        return "vaultd's configuration has no such driver_program";
    if (kt_program_check(program, &err) != KT_OK || !kt_exec_adopt_orphans() ||
        cell_enter_program(program, &missing, &err) != KT_OK) {
        (void)snprintf(text, size, "nothing was started: %.150s",
                       err.what[0] == '\0' ? "what it starts could not be taken care of" : err.what);
        return text;
    }
    kt_autobuf struct kt_buf said;
    kt_buf_init(&said, EXEC_ANSWER_MAX + 1);
    uint64_t ms = program->timeout_ms < FETCH_TIMEOUT_MS ? program->timeout_ms : FETCH_TIMEOUT_MS;
    kt_exec_call(program, order->post, kt_ipc_deadline((uint32_t)ms), &said, &outcome);
    return outcome_text(&outcome, text, size);
}

bool mail_serve(struct kt_bytes message, const struct kt_programs *programs, struct kt_arena *arena,
                struct kt_buf *out)
{
    char text[FETCH_TEXT_MAX + 1] = "";
    struct fetch_order order;
    const char *wrong = kt_fetch_order_decode(message, arena, &order, NULL) == KT_OK
                            ? give(&order, programs, text, sizeof text)
                            : "what to give to a program is malformed";
    const struct fetch_result result = {.done = wrong == NULL, .text = kt_str(wrong == NULL ? "" : wrong)};
    kt_buf_reset(out);
    return kt_fetch_result_encode(&result, out, NULL) == KT_OK;
}
