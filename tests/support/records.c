#include "tests/support/records.h"

#include "vaultd/fleet/consumer.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/key_age.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/secret.h"
#include "vaultd/rotation/target.h"
#include "vaultd/rotation/veto.h"

const struct record_kind *const record_kinds[RECORD_KINDS] = {
    &target_kind, &secret_kind,  &run_kind,  &step_kind,   &reader_kind,   &consumer_kind,  &host_kind,
    &pause_kind,  &classes_kind, &veto_kind, &notice_kind, &revoked_kind, &calendar_kind, &keys_told_kind,
};

void record_fill(const struct record_kind *kind, unsigned char *object, unsigned seed)
{
    static const char *const texts[] = {"", "x", "a longer text, with \"quotes\" and ü"};
    static const char *list[] = {"one", "", "three"};
    for (size_t i = 0; i < kind->forms[0].n; i++) {
        const struct record_row *row = &kind->forms[0].rows[i];
        unsigned char *at = object + row->offset;
        unsigned n = seed + (unsigned)i;
        const char *text = texts[row->most < 40 ? n % 2 : n % 3];
        const struct record_list names = {list, n % 4};
        uint32_t number = n * 2654435761u;
        uint16_t small = (uint16_t)number;
        switch (row->type) {
        case RECORD_TEXT:
        case RECORD_WORDS:
            memcpy(at, &text, sizeof text);
            break;
        case RECORD_LIST:
            memcpy(at, &names, sizeof names);
            break;
        case RECORD_I64:
            for (uint32_t k = 0; k < (row->most == 0 ? 1 : row->most); k++) {
                int64_t value = (int64_t)n * 1000003 - k;
                memcpy(at + k * sizeof value, &value, sizeof value);
            }
            break;
        case RECORD_U32:
            memcpy(at, &number, sizeof number);
            break;
        case RECORD_ENUM:
            number %= row->most;
            memcpy(at, &number, sizeof number);
            break;
        case RECORD_U16:
            memcpy(at, &small, sizeof small);
            break;
        case RECORD_U8:
            *at = (unsigned char)n;
            break;
        case RECORD_BOOL:
            *at = n % 2;
            break;
        case RECORD_BYTES:
            memset(at, (int)(n & 0xff), row->most);
            break;
        }
    }
}

enum kt_kind record_read_rows(const struct record_kind *kind, const struct record_form *form, struct kt_bytes record,
                              struct kt_arena *arena, void *object)
{
    /* Texts that the rows do not have are "" by the newest form. */
    const struct record_form forms[] = {kind->forms[0], {form->format, form->rows, form->n, NULL}};
    const struct record_kind of = {kind->name, form == kind->forms ? &forms[1] : forms, form == kind->forms ? 1 : 2,
                                   kind->size};
    return record_read(&of, record, arena, object, NULL);
}
