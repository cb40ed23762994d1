/* lib/audit_verify.h - checks an exported audit log with the public key alone.
 *
 * What:    Reads the records, their leaf hashes and the signed checkpoints of an export; recomputes
 *          every leaf and every root; says what is proven, what is not, and where it was altered.
 * Bundle:  a folder with KT_AUDIT_*_FILE: the records (a JSON line each, the line without its
 *          newline is the leaf), the leaf hashes of *all* records (32 bytes each), the notes one
 *          after the other, the public key as one line. A selection of records (by time, path) comes
 *          with all leaves and `partial` set: a record's place is the "seq" that ends its line.
 * Trust:   in the key. The one inside the bundle proves no more than that the bundle is of one
 *          piece; a key kept from elsewhere, and a checkpoint kept from earlier, prove the rest.
 * Owner:   paths are borrowed for the call. Records and leaves are streamed; the checkpoints are read
 *          whole (KT_AUDIT_CHECKPOINTS_MAX).
 * Errors:  the return value says whether the check could be made (KT_IO, KT_INVALID: a file is
 *          missing or not of its form, KT_NO_MEMORY); the verdict says what it found.
 * Threads: any thread. */
#pragma once

#include "lib/checkpoint.h"

#define KT_AUDIT_RECORDS_FILE     "records.jsonl"
#define KT_AUDIT_LEAVES_FILE      "leaves.bin"
#define KT_AUDIT_CHECKPOINTS_FILE "checkpoints.txt"
#define KT_AUDIT_KEY_FILE         "key.pub"
#define KT_AUDIT_LINE_MAX         ((size_t)4 * 1024 * 1024)
#define KT_AUDIT_CHECKPOINTS_MAX  ((size_t)64 * 1024 * 1024)

struct kt_audit_bundle {
    const char *records;     /* paths */
    const char *leaves;
    const char *checkpoints;
    const char *key_file;    /* read only when public_key is NULL */
    const char *public_key;  /* "name+hex8+base64", from elsewhere; or NULL */
    const char *kept;        /* a file with a checkpoint kept from earlier; or NULL */
    bool partial;            /* the records are a selection: gaps are fine */
};

/* from best to worst is not meant; one finding, the first that matters, is reported */
#define KT_AUDIT_FINDINGS(X)                                                                       \
    X(KT_AUDIT_INTACT, "intact")                    /* all that checkpoints cover is proven */     \
    X(KT_AUDIT_UNPROVEN, "unproven")                /* there is no checkpoint to prove it by */    \
    X(KT_AUDIT_RECORD_ALTERED, "record-altered")    /* .line and .seq name it */                   \
    X(KT_AUDIT_RECORD_MISSING, "record-missing")    /* .seq is the first; .line where it belongs */ \
    X(KT_AUDIT_LEAVES_ALTERED, "leaves-altered")    /* somewhere in records [.from, .to) */        \
    X(KT_AUDIT_SIGNATURE_BAD, "signature-bad")      /* of note .note (from 1) */                   \
    X(KT_AUDIT_FORKED, "forked")                    /* a signed checkpoint of another history */   \
    X(KT_AUDIT_CUT, "cut")                          /* a signed checkpoint says there was more */
#define X(name, text) name,
enum kt_audit_finding { KT_AUDIT_FINDINGS(X) KT_AUDIT_FINDING_COUNT };
#undef X
/* "record-altered" */
const char *kt_audit_finding_name(enum kt_audit_finding finding);

struct kt_audit_verdict {
    enum kt_audit_finding finding;
    char origin[KT_CHECKPOINT_NAME_MAX + 1];
    char key[KT_NOTE_KEY_TEXT]; /* the public key that was used */
    bool key_from_bundle;
    uint64_t records;     /* lines read */
    uint64_t leaves;
    uint64_t checkpoints; /* notes whose signature is good */
    uint64_t proven;      /* records [0, proven) are covered by a good checkpoint */
    uint64_t line, seq;   /* RECORD_*: line from 1, sequence number from 0 */
    uint64_t from, to;    /* LEAVES_ALTERED, FORKED, CUT */
    uint64_t note;        /* SIGNATURE_BAD, FORKED: which note, from 1; 0: the kept one */
    unsigned char root[KT_HASH_BYTES]; /* of all leaves */
    char sentence[640];   /* the same for a person, with what to do next */
};
/* True for KT_AUDIT_INTACT. */
bool kt_audit_good(const struct kt_audit_verdict *verdict);

enum kt_kind kt_audit_verify(const struct kt_audit_bundle *bundle, struct kt_audit_verdict *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* The same for a folder with the names above; public_key and kept may be NULL. */
enum kt_kind kt_audit_verify_folder(const char *folder, const char *public_key, const char *kept,
                                    bool partial, struct kt_audit_verdict *ret, struct kt_err *err)
    KT_MUST_CHECK;
