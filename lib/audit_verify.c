#include "lib/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/num.h"

#define LINES_AT_ONCE  ((size_t)1024 * 1024)
#define WHOLE_AT_ONCE  ((size_t)64 * 1024)
#define LEAVES_AT_ONCE ((size_t)2048)
#define NO_LINE        UINT64_MAX

#define X(name, text) [name] = (text),
static const char *const names[] = {KT_AUDIT_FINDINGS(X)};
#undef X

const char *kt_audit_finding_name(enum kt_audit_finding finding)
{
    return finding < KT_AUDIT_FINDING_COUNT ? names[finding] : "unknown";
}

bool kt_audit_good(const struct kt_audit_verdict *verdict)
{
    return verdict->finding == KT_AUDIT_INTACT;
}

/* ---- files ---- */

static enum kt_kind open_file(const char *path, int *ret, struct kt_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        (void)kt_fail(err, KT_NOT_FOUND, "cannot open '%s': there is no such file", path);
        kt_hint(err, "secretctl audit export DIR makes a folder that can be verified");
        return KT_NOT_FOUND;
    }
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open '%s'", path);
    *ret = fd;
    return KT_OK;
}

/* Up to len bytes; fewer only at the end. */
static enum kt_kind read_some(int fd, unsigned char *to, size_t len, size_t *ret, const char *path,
                              struct kt_err *err)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, to + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read '%s'", path);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *ret = got;
    return KT_OK;
}

static enum kt_kind read_whole(const char *path, size_t max, struct kt_buf *out, struct kt_err *err)
{
    kt_autoclose int fd = -1;
    enum kt_kind kind = open_file(path, &fd, err);
    kt_buf_init(out, max + 1);
    while (kind == KT_OK) {
        size_t got = 0, left = max + 1 - out->len;
        size_t want = left < WHOLE_AT_ONCE ? left : WHOLE_AT_ONCE;
        unsigned char *to = kt_buf_grow(out, want);
        if (to == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading '%s'", path);
        kind = read_some(fd, to, want, &got, path, err);
        out->len -= want - got;
        if (kind == KT_OK && out->len > max)
            return kt_fail(err, KT_TOO_LARGE, "'%s' has more than %zu bytes", path, max);
        if (got < want)
            break;
    }
    return kind;
}

/* Lines one after the other, each with a byte before it for the leaf's prefix. */
struct lines {
    const char *path;
    int fd;
    unsigned char *buf; /* [0] stays free */
    size_t room, at, len;
    bool end;
    uint64_t count;
};

/* True: a line, without its LF. The last one may lack it. */
static enum kt_kind next_line(struct lines *lines, unsigned char **ret, size_t *ret_len,
                              bool *ret_any, struct kt_err *err)
{
    size_t searched = 0;
    for (;;) {
        unsigned char *start = lines->buf + lines->at;
        size_t left = lines->len - lines->at;
        unsigned char *lf =
            left > searched ? memchr(start + searched, '\n', left - searched) : NULL;
        if (lf != NULL || (lines->end && left > 0)) {
            *ret = start;
            *ret_len = lf != NULL ? (size_t)(lf - start) : left;
            lines->at += *ret_len + (lf != NULL ? 1 : 0);
            lines->count++;
            *ret_any = true;
            return KT_OK;
        }
        if (lines->end) {
            *ret_any = false;
            return KT_OK;
        }
        searched = left;
        memmove(lines->buf + 1, start, left);
        lines->at = 1;
        lines->len = 1 + left;
        if (lines->room - lines->len < lines->room / 2) {
            if (left > KT_AUDIT_LINE_MAX)
                return kt_fail(err, KT_INVALID, "line %ju of '%s' is too long",
                               (uintmax_t)lines->count + 1, lines->path);
            unsigned char *grown = kt_malloc(2 * lines->room);
            if (grown == NULL)
                return kt_fail(err, KT_NO_MEMORY, "reading '%s'", lines->path);
            memcpy(grown, lines->buf, lines->len);
            free(lines->buf);
            lines->buf = grown;
            lines->room *= 2;
        }
        size_t got = 0, want = lines->room - lines->len;
        enum kt_kind kind =
            read_some(lines->fd, lines->buf + lines->len, want, &got, lines->path, err);
        if (kind != KT_OK)
            return kind;
        lines->len += got;
        lines->end = got < want;
    }
}

/* The number that ends a record: ,"seq":N} or {"seq":N} */
static bool line_seq(const unsigned char *line, size_t len, uint64_t *ret)
{
    static const char label[] = "\"seq\":";
    size_t n = sizeof label - 1;
    if (len == 0 || line[len - 1] != '}')
        return false;
    size_t start = len - 1;
    while (start > 0 && line[start - 1] >= '0' && line[start - 1] <= '9')
        start--;
    return start >= n && memcmp(line + start - n, label, n) == 0 &&
           kt_u64_parse(kt_bytes(line + start, len - 1 - start), UINT64_MAX - 1, ret);
}

struct leaves {
    const char *path;
    int fd;
    uint64_t total, next;
    unsigned char buf[LEAVES_AT_ONCE * KT_HASH_BYTES];
    size_t at, len;
};

static enum kt_kind next_leaf(struct leaves *leaves, const unsigned char **ret, struct kt_err *err)
{
    if (leaves->at == leaves->len) {
        enum kt_kind kind =
            read_some(leaves->fd, leaves->buf, sizeof leaves->buf, &leaves->len, leaves->path, err);
        if (kind != KT_OK)
            return kind;
        leaves->at = 0;
        if (leaves->len < KT_HASH_BYTES)
            return kt_fail(err, KT_IO, "'%s' became shorter while it was read", leaves->path);
        leaves->len -= leaves->len % KT_HASH_BYTES;
    }
    *ret = leaves->buf + leaves->at;
    leaves->at += KT_HASH_BYTES;
    leaves->next++;
    return KT_OK;
}

/* ---- checkpoints ---- */

struct point {
    uint64_t size, note; /* note from 1; 0: the kept one */
    unsigned char root[KT_HASH_BYTES];
    bool good; /* the leaves have that root */
};

struct verifier {
    const struct kt_audit_bundle *bundle;
    struct kt_audit_verdict *verdict;
    struct kt_note_key key;
    struct point *points;
    size_t n_points, room_points;
    uint64_t bad_note; /* first with a bad signature, from 1; 0: none */
    bool bad_kept;
    struct lines lines;
    struct leaves leaves;
    struct kt_merkle tree;   /* of leaves.bin */
    struct kt_merkle mended; /* the same with the first altered leaf taken from its line */
    /* the first record that is not as its leaf says */
    bool differs, missing;
    uint64_t line, seq;
    bool mended_good; /* a checkpoint behind it has the mended tree's root */
};

static enum kt_kind add_point(struct verifier *v, const struct kt_checkpoint *checkpoint,
                              uint64_t note, struct kt_err *err)
{
    if (v->n_points == v->room_points) {
        size_t room = v->room_points == 0 ? 64 : 2 * v->room_points;
        struct point *points = kt_calloc(room, sizeof *points);
        if (points == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading the checkpoints");
        if (v->n_points > 0)
            memcpy(points, v->points, v->n_points * sizeof *points);
        free(v->points);
        v->points = points;
        v->room_points = room;
    }
    struct point *point = &v->points[v->n_points++];
    *point = (struct point){.size = checkpoint->size, .note = note};
    memcpy(point->root, checkpoint->root, sizeof point->root);
    return KT_OK;
}

/* Opens a note; a bad one is a finding, not an error. */
static enum kt_kind read_note(struct verifier *v, struct kt_bytes note, uint64_t number,
                              bool *ret_good, struct kt_err *err)
{
    struct kt_checkpoint checkpoint;
    enum kt_kind kind = kt_checkpoint_open(note, &v->key, &checkpoint, err);
    *ret_good = kind == KT_OK && strcmp(checkpoint.origin, v->key.name) == 0;
    if (!*ret_good)
        return KT_OK;
    if (number > 0)
        v->verdict->checkpoints++;
    return add_point(v, &checkpoint, number, err);
}

static enum kt_kind read_checkpoints(struct verifier *v, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    enum kt_kind kind = read_whole(v->bundle->checkpoints, KT_AUDIT_CHECKPOINTS_MAX, &text, err);
    struct kt_bytes rest = kt_buf_bytes(&text), note;
    uint64_t number = 0;
    while (kind == KT_OK && kt_note_next(&rest, &note)) {
        bool good = false;
        kind = read_note(v, note, ++number, &good, err);
        if (!good && v->bad_note == 0)
            v->bad_note = number;
    }
    if (kind == KT_OK && rest.len > 0 && v->bad_note == 0)
        v->bad_note = number + 1; /* what is left is no note */
    return kind;
}

/* The last whole note of the file. */
static enum kt_kind read_kept(struct verifier *v, struct kt_err *err)
{
    if (v->bundle->kept == NULL)
        return KT_OK;
    kt_autobuf struct kt_buf text = {0};
    enum kt_kind kind = read_whole(v->bundle->kept, KT_AUDIT_CHECKPOINTS_MAX, &text, err);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes rest = kt_buf_bytes(&text), note, last = {NULL, 0};
    while (kt_note_next(&rest, &note))
        last = note;
    if (last.len == 0)
        return kt_fail(err, KT_INVALID, "'%s' holds no checkpoint", v->bundle->kept);
    bool good = false;
    kind = read_note(v, last, 0, &good, err);
    v->bad_kept = !good;
    return kind;
}

static enum kt_kind read_key(struct verifier *v, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    struct kt_bytes key = kt_str(v->bundle->public_key);
    enum kt_kind kind = KT_OK;
    v->verdict->key_from_bundle = v->bundle->public_key == NULL;
    if (v->bundle->public_key == NULL) {
        kind = read_whole(v->bundle->key_file, 4096, &text, err);
        key = kt_buf_bytes(&text);
    }
    if (kind == KT_OK)
        kind = kt_note_key_parse(key, &v->key, err);
    if (kind != KT_OK)
        return kind;
    kt_note_key_text(&v->key, v->verdict->key);
    memcpy(v->verdict->origin, v->key.name, sizeof v->verdict->origin);
    return KT_OK;
}

static int by_size(const void *a, const void *b)
{
    const struct point *left = a, *right = b;
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return left->note < right->note ? -1 : left->note > right->note;
}

/* ---- the walk ---- */

struct record {
    bool any;
    uint64_t claimed; /* NO_LINE: it does not say */
    unsigned char hash[KT_HASH_BYTES];
};

static enum kt_kind next_record(struct verifier *v, struct record *ret, struct kt_err *err)
{
    unsigned char *line = NULL;
    size_t len = 0;
    enum kt_kind kind = next_line(&v->lines, &line, &len, &ret->any, err);
    if (kind != KT_OK || !ret->any || line == NULL)
        return kind;
    ret->claimed = NO_LINE;
    (void)line_seq(line, len, &ret->claimed); /* stays NO_LINE */
    unsigned char before = line[-1];
    kt_merkle_leaf_in_place(line - 1, len, ret->hash);
    line[-1] = before;
    return KT_OK;
}

/* Whether leaf `seq` has that hash: the line is a later record, and those between are missing. */
static bool is_leaf(const struct verifier *v, uint64_t seq, const unsigned char *hash)
{
    unsigned char leaf[KT_HASH_BYTES];
    if (seq == NO_LINE || seq >= v->leaves.total)
        return false;
    return pread(v->leaves.fd, leaf, sizeof leaf, (off_t)(seq * KT_HASH_BYTES)) ==
               (ssize_t)sizeof leaf &&
           memcmp(leaf, hash, sizeof leaf) == 0;
}

static void differ(struct verifier *v, bool missing, uint64_t line, uint64_t seq)
{
    v->differs = true;
    v->missing = missing;
    v->line = line;
    v->seq = seq;
}

/* Compares the record at hand with the leaf of `seq`. True: the record was this one's. */
static bool compare(struct verifier *v, const struct record *record, uint64_t seq,
                    const unsigned char *leaf)
{
    uint64_t line = v->lines.count;
    if (!record->any) {
        if (!v->bundle->partial)
            differ(v, true, line + 1, seq);
        return false;
    }
    bool same = memcmp(record->hash, leaf, KT_HASH_BYTES) == 0;
    if (v->bundle->partial) {
        if (record->claimed != NO_LINE && record->claimed > seq)
            return false;
        if (record->claimed == seq && same)
            return true;
        differ(v, false, line, seq); /* altered, out of order, or without a number */
        return true;
    }
    if (same)
        return true;
    bool later = record->claimed > seq && is_leaf(v, record->claimed, record->hash);
    differ(v, later, line, seq);
    return true;
}

/* The checkpoints of this size, from *next on. */
static void check_points(struct verifier *v, size_t *next)
{
    unsigned char root[KT_HASH_BYTES], mended[KT_HASH_BYTES];
    if (*next >= v->n_points || v->points[*next].size != v->tree.size)
        return;
    kt_merkle_root(&v->tree, root);
    if (v->differs)
        kt_merkle_root(&v->mended, mended);
    for (; *next < v->n_points && v->points[*next].size == v->tree.size; (*next)++) {
        struct point *point = &v->points[*next];
        point->good = memcmp(point->root, root, sizeof root) == 0;
        if (v->differs && v->seq < v->tree.size)
            v->mended_good = v->mended_good || memcmp(point->root, mended, sizeof mended) == 0;
    }
}

static enum kt_kind walk(struct verifier *v, struct kt_err *err)
{
    struct record record = {.any = false};
    size_t next_point = 0;
    enum kt_kind kind = next_record(v, &record, err);
    kt_merkle_init(&v->tree);
    check_points(v, &next_point);
    for (uint64_t seq = 0; kind == KT_OK && seq < v->leaves.total; seq++) {
        const unsigned char *leaf = NULL;
        kind = next_leaf(&v->leaves, &leaf, err);
        if (kind != KT_OK)
            return kind;
        bool differed = v->differs;
        bool used = !differed && compare(v, &record, seq, leaf);
        if (!differed && v->differs)
            v->mended = v->tree;
        kt_merkle_push(&v->tree, leaf, NULL, NULL);
        if (v->differs)
            kt_merkle_push(&v->mended, !differed && !v->missing ? record.hash : leaf, NULL, NULL);
        check_points(v, &next_point);
        if (used && !v->differs)
            kind = next_record(v, &record, err);
    }
    if (kind == KT_OK && record.any && !v->differs)
        differ(v, false, v->lines.count, v->leaves.total); /* lines that no leaf knows */
    /* Only to count them. */
    while (kind == KT_OK && record.any)
        kind = next_record(v, &record, err);
    kt_merkle_root(&v->tree, v->verdict->root);
    return kind;
}

/* ---- the verdict ---- */

static void __attribute__((format(printf, 3, 4)))
say(struct kt_audit_verdict *verdict, enum kt_audit_finding finding, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(verdict->sentence, sizeof verdict->sentence, format, args);
    va_end(args);
    verdict->finding = finding;
}

static void say_record(struct verifier *v)
{
    struct kt_audit_verdict *verdict = v->verdict;
    uintmax_t line = (uintmax_t)v->line, seq = (uintmax_t)v->seq;
    verdict->line = v->line;
    verdict->seq = v->seq;
    if (v->missing)
        say(verdict, KT_AUDIT_RECORD_MISSING,
            "Record %ju is missing: it belongs at line %ju of the records. Get the export again; "
            "if it is missing there too, somebody took it out.",
            seq, line);
    else if (v->seq >= v->leaves.total)
        say(verdict, KT_AUDIT_RECORD_ALTERED,
            "Line %ju of the records is no record of this log: there are %ju. It was added, or the "
            "leaf hashes were cut.",
            line, (uintmax_t)v->leaves.total);
    else
        say(verdict, KT_AUDIT_RECORD_ALTERED,
            "Record %ju (line %ju of the records) was altered: it is not what %s.", seq, line,
            v->seq < verdict->proven ? "the signed checkpoints prove" : "its leaf hash says");
}

/* The first checkpoint that the leaves do not give; what was proven before it. False: none. */
static bool say_roots(struct verifier *v)
{
    struct kt_audit_verdict *verdict = v->verdict;
    uint64_t good = 0;
    for (size_t i = 0; i < v->n_points; i++) {
        const struct point *point = &v->points[i];
        if (point->good)
            good = point->size;
        if (point->good || point->size > v->leaves.total)
            continue;
        verdict->from = good;
        verdict->to = point->size;
        verdict->note = point->note;
        const char *which = point->note == 0 ? "the checkpoint you kept" : "a signed checkpoint";
        if (verdict->proven > point->size)
            say(verdict, KT_AUDIT_FORKED,
                "There are two histories: %s of %ju records is signed, but not of this log, whose "
                "later checkpoints hold. Somebody put an old state back and went on from there.",
                which, (uintmax_t)point->size);
        else
            say(verdict, point->note == 0 ? KT_AUDIT_FORKED : KT_AUDIT_LEAVES_ALTERED,
                "Something in records %ju to %ju was altered, together with its leaf hash, or the "
                "log was put back and went on: %s of %ju records proves others. Records before %ju "
                "are proven.",
                (uintmax_t)good, (uintmax_t)point->size - 1, which, (uintmax_t)point->size,
                (uintmax_t)good);
        return true;
    }
    return false;
}

static bool say_cut(struct verifier *v)
{
    const struct point *last = v->n_points == 0 ? NULL : &v->points[v->n_points - 1];
    if (last == NULL || last->size <= v->leaves.total)
        return false;
    v->verdict->from = v->leaves.total;
    v->verdict->to = last->size;
    v->verdict->note = last->note;
    say(v->verdict, KT_AUDIT_CUT,
        "Records %ju to %ju are missing at the end: %s says that there were %ju. The log was cut or "
        "an old one was put back, or only a part was exported.",
        (uintmax_t)v->leaves.total, (uintmax_t)last->size - 1,
        last->note == 0 ? "the checkpoint you kept" : "a signed checkpoint", (uintmax_t)last->size);
    return true;
}

static bool say_signature(struct verifier *v)
{
    if (v->bad_kept) {
        say(v->verdict, KT_AUDIT_SIGNATURE_BAD,
            "The checkpoint you kept is not signed with this key: it is of another log, or the key "
            "in this export is not that of your vault.");
        return true;
    }
    if (v->bad_note == 0)
        return false;
    v->verdict->note = v->bad_note;
    say(v->verdict, KT_AUDIT_SIGNATURE_BAD,
        "Checkpoint %ju in the file of checkpoints is not signed with this key: it was altered, or "
        "the key is not that of this log.",
        (uintmax_t)v->bad_note);
    return true;
}

static void say_good(struct verifier *v)
{
    struct kt_audit_verdict *verdict = v->verdict;
    const char *key = verdict->key_from_bundle
                          ? " The key came with the export: compare it with one you know."
                          : "";
    uintmax_t proven = (uintmax_t)verdict->proven;
    uintmax_t behind = (uintmax_t)(v->leaves.total - verdict->proven);
    if (verdict->proven == 0 && v->leaves.total > 0)
        say(verdict, KT_AUDIT_UNPROVEN,
            "No checkpoint covers these %ju records, so nothing proves them. Export again after a "
            "checkpoint was made.",
            behind);
    else if (behind > 0)
        say(verdict, KT_AUDIT_INTACT,
            "Records 0 to %ju are exactly what %s signed (%ju checkpoints). The last %ju records "
            "came after the last checkpoint and are not proven yet.%s",
            proven - 1, verdict->origin, (uintmax_t)verdict->checkpoints, behind, key);
    else
        say(verdict, KT_AUDIT_INTACT,
            "All %ju records are exactly what %s signed (%ju checkpoints).%s", proven,
            verdict->origin, (uintmax_t)verdict->checkpoints, key);
}

static void judge(struct verifier *v)
{
    for (size_t i = 0; i < v->n_points; i++)
        if (v->points[i].good)
            v->verdict->proven = v->points[i].size;
    if (v->differs && v->mended_good && !v->missing && v->seq >= v->verdict->proven) {
        v->verdict->from = v->verdict->seq = v->seq;
        v->verdict->to = v->seq + 1;
        v->verdict->line = v->line;
        say(v->verdict, KT_AUDIT_LEAVES_ALTERED,
            "The leaf hash of record %ju was altered in the file of leaf hashes; the record itself "
            "(line %ju) is what a signed checkpoint proves. Get the leaf hashes again.",
            (uintmax_t)v->seq, (uintmax_t)v->line);
    } else if (v->differs) {
        say_record(v);
    } else if (!say_roots(v) && !say_cut(v) && !say_signature(v)) {
        say_good(v);
    }
}

/* ---- */

static enum kt_kind open_bundle(struct verifier *v, struct kt_err *err)
{
    struct stat st;
    enum kt_kind kind = open_file(v->bundle->records, &v->lines.fd, err);
    if (kind == KT_OK)
        kind = open_file(v->bundle->leaves, &v->leaves.fd, err);
    if (kind != KT_OK)
        return kind;
    if (fstat(v->leaves.fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at '%s'", v->bundle->leaves);
    if (!S_ISREG(st.st_mode) || st.st_size % (off_t)KT_HASH_BYTES != 0)
        return kt_fail(err, KT_INVALID, "'%s' is not a file of leaf hashes (32 bytes each)",
                       v->bundle->leaves);
    v->leaves.total = (uint64_t)st.st_size / KT_HASH_BYTES;
    v->leaves.path = v->bundle->leaves;
    v->lines.path = v->bundle->records;
    v->lines.room = LINES_AT_ONCE;
    v->lines.at = v->lines.len = 1;
    v->lines.buf = kt_malloc(v->lines.room);
    return v->lines.buf != NULL ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading the records");
}

static void verifier_done(struct verifier **v)
{
    if (*v == NULL)
        return;
    if ((*v)->lines.fd >= 0)
        (void)close((*v)->lines.fd);
    if ((*v)->leaves.fd >= 0)
        (void)close((*v)->leaves.fd);
    free((*v)->lines.buf);
    free((*v)->points);
    free(*v);
}

enum kt_kind kt_audit_verify(const struct kt_audit_bundle *bundle, struct kt_audit_verdict *ret,
                             struct kt_err *err)
{
    struct kt_audit_verdict verdict = {0};
    KT_AUTO(verifier_done) struct verifier *v = kt_calloc(1, sizeof *v);
    if (v == NULL)
        return kt_fail(err, KT_NO_MEMORY, "verifying the audit log");
    v->bundle = bundle;
    v->verdict = &verdict;
    v->lines.fd = v->leaves.fd = -1;
    enum kt_kind kind = read_key(v, err);
    if (kind == KT_OK)
        kind = read_checkpoints(v, err);
    if (kind == KT_OK)
        kind = read_kept(v, err);
    if (kind == KT_OK)
        kind = open_bundle(v, err);
    if (kind != KT_OK)
        return kind;
    if (v->n_points > 1)
        qsort(v->points, v->n_points, sizeof *v->points, by_size);
    kind = walk(v, err);
    if (kind != KT_OK)
        return kind;
    verdict.records = v->lines.count;
    verdict.leaves = v->leaves.total;
    judge(v);
    *ret = verdict;
    return KT_OK;
}

enum kt_kind kt_audit_verify_folder(const char *folder, const char *public_key, const char *kept,
                                    bool partial, struct kt_audit_verdict *ret, struct kt_err *err)
{
    static const char *const files[] = {KT_AUDIT_RECORDS_FILE, KT_AUDIT_LEAVES_FILE,
                                        KT_AUDIT_CHECKPOINTS_FILE, KT_AUDIT_KEY_FILE};
    char paths[4][4096];
    for (size_t i = 0; i < 4; i++) {
        int n = snprintf(paths[i], sizeof paths[i], "%s/%s", folder, files[i]);
        if (n < 0 || (size_t)n >= sizeof paths[i])
            return kt_fail(err, KT_INVALID, "the folder's name is too long");
    }
    const struct kt_audit_bundle bundle = {.records = paths[0],
                                           .leaves = paths[1],
                                           .checkpoints = paths[2],
                                           .key_file = paths[3],
                                           .public_key = public_key,
                                           .kept = kept,
                                           .partial = partial};
    return kt_audit_verify(&bundle, ret, err);
}
