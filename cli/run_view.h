/* cli/run_view.h - a run as text: a line a step, the picture a terminal redraws, the verdict.
 *
 * The verdict's first line says in plain words what is the case, the next who is hurt, the last
 * what to type.
 * Threads: one thread. */
#pragma once

#include "cli/run_model.h"

struct cli;

#define RUN_VERSIONS 48
/* "4 -> 5"; a version that is not made is left out. */
void run_view_versions(int64_t from, int64_t to, char out[RUN_VERSIONS]);

/* "14:02:11  ok      apply     the target accepts it for app_b (110 ms)" */
void run_view_step(struct cli *cli, const struct run_model *run, const struct run_step *step,
                   struct kt_buf *out);
/* The whole picture, each line at most columns wide, at most rows lines. */
void run_view_picture(struct cli *cli, const struct run_model *run, unsigned columns, unsigned rows,
                      struct kt_buf *out);
/* A line on how long going back took, or takes; nothing when nobody ordered it. */
void run_view_target(const struct run_model *run, struct kt_buf *out);
void run_view_back(const struct run_model *run, struct kt_buf *out);
void run_view_verdict(struct cli *cli, const struct run_model *run, struct kt_buf *out);
/* What it waits for, cut at columns; nothing when it does not. */
void run_view_wait(const struct run_model *run, unsigned columns, struct kt_buf *out);
/* At most `most` of them, each line cut at columns. */
void run_view_consumers(const struct run_model *run, unsigned indent, size_t most, unsigned columns,
                        struct kt_buf *out);
#define RUN_VIEW_WIDE 400u /* columns, where nothing is drawn anew */
