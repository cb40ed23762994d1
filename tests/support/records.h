/* tests/support/records.h - the stored kinds that are tables of rows, and one of each.
 * Threads: plain values. */
#pragma once

#include "vaultd/rotation/record.h"

#define RECORD_KINDS 14u
extern const struct record_kind *const record_kinds[RECORD_KINDS];
/* Gives every field a value by its row, so that a new row is tried without a new test. Each seed gives others. */
void record_fill(const struct record_kind *kind, unsigned char *object, unsigned seed);
/* What the form's rows say, without what follows from them. */
enum kt_kind record_read_rows(const struct record_kind *kind, const struct record_form *form, struct kt_bytes record,
                              struct kt_arena *arena, void *object);
