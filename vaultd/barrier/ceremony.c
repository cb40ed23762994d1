#include "vaultd/barrier/ceremony.h"

#include <sodium.h>

#include "lib/assert.h"
#include "lib/random.h"
#include "vaultd/barrier/inside.h"

/* ---- memory ---- */

static void forget(struct ceremony *c)
{
    gather_free(&c->gather);
    kt_secret_free(c->pad);
    *c = (struct ceremony){.state = CEREMONY_NONE};
}

void ceremonies_forget(struct barrier *barrier)
{
    for (unsigned i = 0; i < CEREMONY_KINDS; i++)
        forget(&barrier->ceremonies[i]);
}

/* What a request is about to commit is left to it. */
static void expire(struct barrier *barrier, struct ceremony *c)
{
    int64_t now_ms = kt_mono_ms(barrier->clock);
    if (c->state == CEREMONY_NONE || c->claimed)
        return;
    if (now_ms - c->begun_ms >= CEREMONY_MS) {
        forget(c);
        return;
    }
    if (gather_count(&c->gather) == 0 || now_ms - c->touched_ms < CEREMONY_SHARES_MS)
        return;
    gather_empty(&c->gather);
    if (c->state == CEREMONY_AGREED)
        c->state = CEREMONY_GATHERING;
    else if (c->state == CEREMONY_VERIFIED)
        c->state = CEREMONY_VERIFYING;
}

void ceremonies_expire(struct barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->lock);
    for (unsigned i = 0; i < CEREMONY_KINDS; i++)
        expire(barrier, &barrier->ceremonies[i]);
    (void)pthread_mutex_unlock(&barrier->lock);
}

static void new_nonce(char out[CEREMONY_NONCE])
{
    unsigned char id[16];
    uuid_random(id);
    kt_uuid_text(id, out);
}
_Static_assert(CEREMONY_NONCE == KT_UUID_TEXT, "a nonce is a UUID");

/* ---- words ---- */

/* As Vault has them. */
static const struct words {
    const char *busy, *none, *operation, *before, *wrong;
    const char *see; /* what to do when it is busy */
} words[CEREMONY_KINDS] = {
    [CEREMONY_REKEY] = {"rekey already in progress", "no barrier rekey in progress", "rekey",
                        "generation", "rekey verification failed; incorrect key shares supplied",
                        "secretctl operator rekey -status, or -cancel"},
    [CEREMONY_ROOT] = {"root generation already in progress", "no root generation in progress",
                       "root generation", "generation",
                       "root generation aborted: incorrect key shares supplied",
                       "secretctl operator generate-root -status, or -cancel"},
};
static const struct words verify_words = {NULL, "no rekey in progress", "verify", "verify",
                                          "rekey verification failed; incorrect key shares supplied",
                                          NULL};

static const char not_verifying[] = "no rekey verification in progress";

static bool same_nonce(const char *given, const char *wanted)
{
    return given != NULL && strcmp(given, wanted) == 0;
}

static enum kt_kind refuse_nonce(const struct words *w, const char *wanted, struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "incorrect nonce supplied; nonce for this %s operation is \"%s\"",
                   w->operation, wanted);
}

static enum kt_kind refuse_shares(struct ceremony *c, unsigned threshold, const struct words *w,
                                  struct kt_err *err)
{
    gather_refuse(&c->gather);
    (void)kt_fail(err, KT_INVALID, "%s", w->wrong);
    kt_hint(err,
            "one of them was mistyped or belongs to another set of keys: enter them again; %u of %u are "
            "left",
            gather_count(&c->gather), threshold);
    return KT_INVALID;
}

static enum kt_kind refuse_contradiction(const struct ceremony *c, unsigned threshold,
                                         const struct words *w, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "%s", w->wrong);
    kt_hint(err,
            "it contradicts what was entered before: one was mistyped or belongs to another set of keys; "
            "enter them again: %u of %u are left",
            gather_count(&c->gather), threshold);
    return KT_INVALID;
}

/* ---- the beginning and the end ---- */

/* The lock, and that the keys are here; then the ceremony, if its time is not over. */
static struct ceremony *enter(struct barrier *barrier, enum ceremony_kind which)
{
    (void)pthread_mutex_lock(&barrier->lock);
    if (barrier->state == BARRIER_OPEN) {
        expire(barrier, &barrier->ceremonies[which]);
        return &barrier->ceremonies[which];
    }
    (void)pthread_mutex_unlock(&barrier->lock);
    return NULL;
}

static void leave(struct barrier *barrier)
{
    (void)pthread_mutex_unlock(&barrier->lock);
}

static enum kt_kind is_sealed(struct kt_err *err)
{
    return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
}

void ceremony_status(struct barrier *barrier, enum ceremony_kind which, struct ceremony_status *ret)
{
    *ret = (struct ceremony_status){.started = false};
    (void)pthread_mutex_lock(&barrier->lock);
    struct ceremony *c = &barrier->ceremonies[which];
    expire(barrier, c);
    ret->required = barrier->seal.threshold;
    if (c->state != CEREMONY_NONE) {
        ret->started = true;
        ret->plan = c->plan;
        ret->verifying = c->state >= CEREMONY_VERIFYING;
        if (c->proposed.shares != 0)
            kt_uuid_text(c->proposed.seal_id, ret->proposed_id);
        memcpy(ret->nonce, c->nonce, sizeof ret->nonce);
        memcpy(ret->verify_nonce, c->verify_nonce, sizeof ret->verify_nonce);
        *(ret->verifying ? &ret->verify_progress : &ret->progress) = gather_count(&c->gather);
    }
    (void)pthread_mutex_unlock(&barrier->lock);
}

static enum kt_kind begin(struct barrier *barrier, struct ceremony *c,
                          const struct ceremony_plan *plan, struct kt_err *err)
{
    enum kt_kind kind = gather_init(&c->gather, err);
    if (kind == KT_OK && plan->pad.len > 0) {
        c->pad = kt_secret_copy(plan->pad);
        if (c->pad == NULL)
            kind = kt_secret_failed(err, "keeping the one-time pad");
    }
    if (kind != KT_OK) {
        forget(c);
        return kind;
    }
    c->plan = *plan;
    c->plan.pad = kt_bytes(NULL, 0);
    c->state = CEREMONY_GATHERING;
    c->begun_ms = kt_mono_ms(barrier->clock);
    new_nonce(c->nonce);
    return KT_OK;
}

static enum kt_kind refuse_second(const struct ceremony *c, const struct words *w, struct kt_err *err)
{
    if (c->state == CEREMONY_NONE)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "%s", w->busy);
    kt_hint(err, "%s", w->see);
    return KT_INVALID;
}

enum kt_kind ceremony_refuse_second(struct barrier *barrier, enum ceremony_kind which,
                                    struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_second(c, &words[which], err);
    leave(barrier);
    return kind;
}

enum kt_kind ceremony_begin(struct barrier *barrier, enum ceremony_kind which,
                            const struct ceremony_plan *plan, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_second(c, &words[which], err);
    if (kind == KT_OK)
        kind = begin(barrier, c, plan, err);
    leave(barrier);
    return kind;
}

static enum kt_kind refuse_claimed(const struct ceremony *c, struct kt_err *err)
{
    return c->claimed ? kt_fail(err, KT_CONFLICT, "it is being finished just now: see its status") : KT_OK;
}

static enum kt_kind refuse_cancel(const struct ceremony *c, const struct words *w, const char *nonce, struct kt_err *err)
{
    if (c->state != CEREMONY_NONE && nonce != NULL && !same_nonce(nonce, c->nonce))
        return refuse_nonce(w, c->nonce, err);
    return refuse_claimed(c, err);
}

enum kt_kind ceremony_refuse_cancel(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                                    bool *ret_there, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_cancel(c, &words[which], nonce, err);
    *ret_there = c->state != CEREMONY_NONE;
    leave(barrier);
    return kind;
}

enum kt_kind ceremony_cancel(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                             struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_cancel(c, &words[which], nonce, err);
    if (kind == KT_OK)
        forget(c);
    leave(barrier);
    return kind;
}

static enum kt_kind refuse_verify_again(const struct ceremony *c, const char *nonce, struct kt_err *err)
{
    if (c->state < CEREMONY_VERIFYING)
        return kt_fail(err, KT_INVALID, "%s", c->state == CEREMONY_NONE ? verify_words.none : not_verifying);
    if (nonce != NULL && !same_nonce(nonce, c->verify_nonce))
        return refuse_nonce(&verify_words, c->verify_nonce, err);
    return refuse_claimed(c, err);
}

enum kt_kind ceremony_refuse_verify_again(struct barrier *barrier, const char *nonce, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, CEREMONY_REKEY);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_verify_again(c, nonce, err);
    leave(barrier);
    return kind;
}

enum kt_kind ceremony_verify_again(struct barrier *barrier, const char *nonce, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, CEREMONY_REKEY);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = refuse_verify_again(c, nonce, err);
    if (kind == KT_OK) {
        gather_empty(&c->gather);
        c->state = CEREMONY_VERIFYING;
        new_nonce(c->verify_nonce);
    }
    leave(barrier);
    return kind;
}

/* ---- shares ---- */

/* The set's key opens the record, and the root key in it is ours. */
static bool opens(const struct barrier *barrier, const struct gather *gather,
                  const struct seal_record *seal)
{
    unsigned char key[SHAMIR_SECRET_BYTES], root[KT_KEY_BYTES] = {0};
    gather_combine(gather, key);
    bool good = seal_record_open(seal, key, root) &&
                kt_secret_equal(kt_bytes(root, sizeof root),
                                kt_bytes(barrier->ring->key[RING_ROOT], KT_KEY_BYTES));
    sodium_memzero(key, sizeof key);
    sodium_memzero(root, sizeof root);
    return good;
}

static bool agreed(const struct ceremony *c)
{
    return c->state == CEREMONY_AGREED || c->state == CEREMONY_VERIFIED;
}

static enum kt_kind refuse_again(const struct words *w, struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "given key has already been provided during this %s operation",
                   w->before);
}

/* There are enough. Who was to end it did not get there, perhaps: whoever shows one of the shares that
 * agreed goes on, and nobody else, for the answer tells what only they may know. */
static enum kt_kind add_late(const struct ceremony *c, unsigned threshold,
                             const struct ceremony_share *share, const struct words *w,
                             bool *ret_enough, struct kt_err *err)
{
    if (!gather_has(&c->gather, share->bytes))
        return refuse_contradiction(c, threshold, w, err);
    if (c->claimed)
        return refuse_again(w, err);
    *ret_enough = true;
    return KT_OK;
}

static enum kt_kind add(struct barrier *barrier, struct ceremony *c, const struct seal_record *seal,
                        const struct ceremony_share *share, const struct words *w, bool *ret_enough,
                        struct kt_err *err)
{
    if (agreed(c))
        return add_late(c, seal->threshold, share, w, ret_enough, err);
    enum gathered got = gather_add(&c->gather, share->bytes, share->from);
    if (got == GATHERED_CONTRADICTS)
        return refuse_contradiction(c, seal->threshold, w, err);
    if (got == GATHERED_BEFORE)
        return refuse_again(w, err);
    c->touched_ms = kt_mono_ms(barrier->clock);
    *ret_enough = gather_count(&c->gather) >= seal->threshold;
    if (!*ret_enough)
        return KT_OK;
    if (!opens(barrier, &c->gather, seal))
        return refuse_shares(c, seal->threshold, w, err);
    c->state = c->state == CEREMONY_VERIFYING ? CEREMONY_VERIFIED : CEREMONY_AGREED;
    return KT_OK;
}

/* That such a share is wanted now. */
static enum kt_kind expects(const struct ceremony *c, enum ceremony_kind which,
                            const struct ceremony_share *share, struct kt_err *err)
{
    const struct words *w = share->verifies ? &verify_words : &words[which];
    const char *wanted = share->verifies ? c->verify_nonce : c->nonce;
    if (c->state == CEREMONY_NONE)
        return kt_fail(err, KT_INVALID, "%s", w->none);
    if (share->verifies && c->state < CEREMONY_VERIFYING)
        return kt_fail(err, KT_INVALID, "%s", not_verifying);
    if (!share->verifies && c->state >= CEREMONY_VERIFYING)
        return kt_fail(err, KT_INVALID,
                       "rekey operation already finished; verification must be performed; nonce for the "
                       "verification operation is \"%s\"",
                       c->verify_nonce);
    return same_nonce(share->nonce, wanted) ? KT_OK : refuse_nonce(w, wanted, err);
}

enum kt_kind ceremony_expects(struct barrier *barrier, enum ceremony_kind which,
                              const struct ceremony_share *share, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = expects(c, which, share, err);
    leave(barrier);
    return kind;
}

enum kt_kind ceremony_add(struct barrier *barrier, enum ceremony_kind which,
                          const struct ceremony_share *share, bool *ret_enough, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, which);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = expects(c, which, share, err);
    if (kind == KT_OK)
        kind = add(barrier, c, share->verifies ? &c->proposed : &barrier->seal, share,
                   share->verifies ? &verify_words : &words[which], ret_enough, err);
    leave(barrier);
    return kind;
}

/* ---- what follows ---- */

/* A new unseal key around the same root key: its record, and its shares. The key itself is not kept. */
static enum kt_kind propose(struct barrier *barrier, struct ceremony *c,
                            unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = kt_secret_new(KT_KEY_BYTES);
    if (key == NULL)
        return kt_secret_failed(err, "making the new unseal key");
    kt_random(key->at, KT_KEY_BYTES);
    enum kt_kind kind = shamir_split(key->at, c->plan.threshold, c->plan.shares, ret_shares, err);
    if (kind != KT_OK)
        return kind;
    c->proposed = barrier->seal;
    c->proposed.threshold = (uint8_t)c->plan.threshold;
    c->proposed.shares = (uint8_t)c->plan.shares;
    uuid_random(c->proposed.seal_id);
    seal_record_wrap(&c->proposed, key->at, barrier->ring->key[RING_ROOT]);
    return KT_OK;
}

enum kt_kind ceremony_hand_out(struct barrier *barrier, const char *nonce,
                               unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_err *err)
{
    struct ceremony *c = enter(barrier, CEREMONY_REKEY);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = KT_OK;
    if (c->state != CEREMONY_AGREED || !same_nonce(nonce, c->nonce))
        kind = kt_fail(err, KT_CONFLICT, "another request went on with it: see its status");
    else
        kind = propose(barrier, c, ret_shares, err);
    if (kind == KT_OK) {
        gather_empty(&c->gather);
        c->state = CEREMONY_VERIFYING;
        new_nonce(c->verify_nonce);
    }
    leave(barrier);
    return kind;
}

/* The other seals are as they are now, whatever they were when the new key was made. */
static enum kt_kind put_seal(struct barrier *barrier, struct seal_record *seal, struct batch *batch,
                             struct kt_err *err)
{
    auto_snapshot struct snapshot *snapshot = NULL;
    struct seal_record now;
    generation changed = 0;
    enum store_error error = snapshot_begin(barrier->store, &snapshot);
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the seal record", err);
    enum kt_kind kind = seal_stored(snapshot, &now, &changed, err);
    if (kind != KT_OK)
        return kind;
    seal->n_more = now.n_more;
    memcpy(seal->more, now.more, sizeof seal->more);
    return seal_replace(seal, changed, batch, err);
}

/* Its nonce now is the verification's, where there is one. */
static const char *nonce_now(const struct ceremony *c)
{
    return c->state >= CEREMONY_VERIFYING ? c->verify_nonce : c->nonce;
}

static enum kt_kind may_claim(const struct ceremony *c, const char *nonce, struct kt_err *err)
{
    if (agreed(c) && !c->claimed && same_nonce(nonce, nonce_now(c)))
        return KT_OK;
    return kt_fail(err, KT_CONFLICT, "another request went on with it: see its status");
}

enum kt_kind ceremony_claim_rekey(struct barrier *barrier, const char *nonce, struct batch *batch,
                                  unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_err *err)
{
    struct ceremony *c = enter(barrier, CEREMONY_REKEY);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = may_claim(c, nonce, err);
    if (kind == KT_OK && c->state == CEREMONY_AGREED)
        kind = propose(barrier, c, ret_shares, err);
    if (kind == KT_OK)
        kind = put_seal(barrier, &c->proposed, batch, err);
    c->claimed = c->claimed || kind == KT_OK;
    leave(barrier);
    return kind;
}

enum kt_kind ceremony_claim_root(struct barrier *barrier, const char *nonce, unsigned char *ret,
                                 size_t len, struct kt_err *err)
{
    struct ceremony *c = enter(barrier, CEREMONY_ROOT);
    if (c == NULL)
        return is_sealed(err);
    enum kt_kind kind = may_claim(c, nonce, err);
    if (kind == KT_OK) {
        KT_ASSERT(c->pad != NULL && c->pad->len == len);
        memcpy(ret, c->pad->at, len);
        c->claimed = true;
    }
    leave(barrier);
    return kind;
}

/* The record is read again: the vault may have been sealed since, which wiped the ceremony, and another
 * seal may have come or gone. */
void ceremony_done(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                   bool committed)
{
    (void)pthread_mutex_lock(&barrier->lock);
    struct ceremony *c = &barrier->ceremonies[which];
    bool ours = c->claimed && same_nonce(nonce, nonce_now(c));
    enum kt_kind read = KT_OK;
    if (ours && committed && which == CEREMONY_REKEY)
        barrier->seal = c->proposed;
    if (committed && which == CEREMONY_REKEY)
        read = barrier_read_seal(barrier, NULL);
    (void)read; /* then the next attempt to unseal reads it */
    if (ours && committed)
        forget(c);
    else if (ours)
        c->claimed = false;
    (void)pthread_mutex_unlock(&barrier->lock);
}
