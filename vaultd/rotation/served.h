/* vaultd/rotation/served.h - a certificate's run waits until each listener shows the new one.
 *
 * What:    `served_at` of a certificate's settings names TLS listeners. Its new version is current at once, as any
 *          certificate's, but the run ends only once its consumers acknowledged it and then each listener showed
 *          it, all in one look. Until then nobody writes or deletes versions of the secret. Who does not
 *          show it within `ack_timeout` is treated as a consumer that does not acknowledge: `on_ack_timeout`.
 *          Going back makes the version before current again; that ends nothing at all.
 * No way back: where there is no certificate before, or it has ended or is revoked by the authority that the run
 *          names. Then who does not show the new one is waited for until max_overlap, and named.
 * Looking: a worker does (lib/driver/listener.h), one listener a step; vaultd connects to nothing. Of what it says
 *          only the hash, the date and one of the codes are taken: no text of a listener reaches anybody.
 * Rights:  who names listeners has vaultd's machine connect to them: that takes `update` on
 *          rotation/listeners/HOST:PORT for each, whenever served_at or served_name is written, in the one
 *          spelling that is kept.
 * Crashes: a look changes nothing outside, and is made again.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/job.h"
#include "vaultd/rotation/work.h"

struct kv_secret;

bool served_wanted(const struct rotation_settings *settings);

/* ---- served_write.c: what is written; served_at is brought into the spelling that is kept ---- */
enum kt_kind served_check(struct request *req, struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;

/* ---- served.c: a run of it ---- */
/* The new version's JSON text is about to be current: from here on the run waits. */
enum kt_kind served_begin(struct work *w, struct kt_bytes value, struct kt_err *err) KT_MUST_CHECK;
/* The run ends: everybody may write the secret again. */
void served_let_go(struct kv_secret *kv);
/* Before somebody has it go back: is there a way? If not, machine.past is set. */
enum kt_kind served_bars(struct request *req, struct run *run, struct kt_err *err) KT_MUST_CHECK;
/* The same where the run itself might go back now. */
enum kt_kind served_look_back(struct work *w, struct kt_err *err) KT_MUST_CHECK;
size_t served_count(const struct run *run);
size_t served_good(const struct run *run); /* that showed the new one when they were last asked */
/* "web1:443 shows the certificate of before (SHA-256 12ab..., until ...), since ...". */
void served_listener_text(const struct run *run, size_t i, struct kt_buf *out);
/* The first that does not show it; "" when all do. */
const char *served_first_text(struct request *req, const struct run *run);
/* "listeners": an array, into an open object. */
void served_show(const struct run *run, struct kt_jsonw *w);

/* ---- served_look.c ---- */
enum kt_kind served_settle(struct work *w, const struct job *job, int64_t now_ms, struct kt_err *err) KT_MUST_CHECK;
/* How long after this look the next one begins; before_ms: how long that was the last time, 0: it is the first. */
int64_t served_pause(const struct job *job, int64_t before_ms);
