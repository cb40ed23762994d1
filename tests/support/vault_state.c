#include "tests/support/vault_state.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/checkpoint.h"
#include "lib/audit_verify.h"
#include "lib/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/vault.h"

#define SHARES_MAX 16u
#define ID_LEN     36u
#define ALL_MAX    ((size_t)256 * 1024 * 1024)

struct need {
    const char *id;   /* NULL: a note */
    const char *path; /* or the note */
    const char *text;
};
struct vault_state {
    char *bytes;
    const char *shares[SHARES_MAX];
    size_t n_shares;
    const char *token;
    struct need *needs;
    size_t n;
};

/* ---- the list ---- */

static char *read_file(const char *path)
{
    kt_autofile FILE *file = fopen(path, "re");
    struct stat st;
    if (file == NULL || fstat(fileno(file), &st) != 0)
        return NULL;
    size_t len = (size_t)st.st_size;
    char *text = calloc(1, len + 1);
    if (text != NULL && fread(text, 1, len, file) != len) {
        free(text);
        return NULL;
    }
    return text;
}

static char *field(char **rest)
{
    return strsep(rest, "\t");
}

static void line_feeds(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool feed = from[0] == '\\' && from[1] == 'n';
        *to++ = feed ? '\n' : *from;
        from += feed;
    }
    *to = '\0';
}

static bool take_line(struct vault_state *state, char *line)
{
    char *rest = line, *word = field(&rest);
    if (strcmp(word, "shares") == 0) {
        while (rest != NULL && state->n_shares < SHARES_MAX)
            state->shares[state->n_shares++] = field(&rest);
        return state->n_shares > 0;
    }
    if (strcmp(word, "token") == 0) {
        state->token = field(&rest);
        return state->token != NULL;
    }
    bool note = strcmp(word, "note") == 0;
    if (!note && strcmp(word, "need") != 0)
        return false;
    if (state->n % 1024 == 0) {
        struct need *more = reallocarray(state->needs, state->n + 1024, sizeof *more);
        if (more == NULL)
            return false;
        state->needs = more;
    }
    struct need *need = &state->needs[state->n++];
    *need = (struct need){.id = note ? NULL : field(&rest)};
    char *path = field(&rest);
    need->path = path;
    need->text = field(&rest);
    if (note && path != NULL)
        line_feeds(path);
    return path != NULL && (note || need->text != NULL);
}

struct vault_state *vault_state_load(const char *path)
{
    struct vault_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    state->bytes = read_file(path);
    char *rest = state->bytes;
    bool ok = rest != NULL;
    while (ok && rest != NULL && *rest != '\0')
        ok = take_line(state, strsep(&rest, "\n"));
    if (ok && state->n_shares > 0 && state->token != NULL)
        return state;
    vault_state_free(state);
    return NULL;
}

void vault_state_free(struct vault_state *state)
{
    if (state == NULL)
        return;
    free(state->needs);
    free(state->bytes);
    free(state);
}

/* ---- the audit log ---- */

struct look {
    const struct vault_state *state;
    struct test_vault *vault;
    size_t count, recent;
    char bundle[64];
    struct kt_buf records, leaves, notes;
    const char **outcomes; /* ids, sorted; they point into records */
    size_t n_outcomes;
    char *text;
};

static const char *say(struct look *look, const char *format, ...) KT_PRINTF(2, 3);
static const char *say(struct look *look, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(look->text, VAULT_STATE_TEXT, format, args);
    va_end(args);
    return look->text;
}

static bool write_file(const char *folder, const char *name, struct kt_bytes bytes)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    kt_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len;
}

/* Up to the checkpoint: the vault's own threads write on behind it. */
static enum kt_kind export_log(struct look *look, struct kt_err *err)
{
    struct audit *audit = look->vault->core->audit;
    struct audit_status status;
    struct kt_checkpoint upto = {.size = 0};
    kt_autobuf struct kt_buf note;
    uint64_t next = 0;
    kt_buf_init(&note, KT_CHECKPOINT_NOTE_MAX);
    enum kt_kind kind = audit_checkpoint(audit, &note, err);
    audit_status(audit, &status);
    if (kind == KT_OK)
        kind = kt_checkpoint_open(kt_buf_bytes(&note), NULL, &upto, err);
    if (kind == KT_OK)
        kind = audit_export(audit, 0, upto.size, ALL_MAX, &look->records, &next, err);
    if (kind == KT_OK && next != upto.size)
        kind = kt_fail(err, KT_INTERNAL, "exported %ju of %ju", (uintmax_t)next,
                       (uintmax_t)upto.size);
    if (kind == KT_OK)
        kind = audit_leaves(audit, 0, upto.size, &look->leaves, err);
    if (kind == KT_OK)
        kind = audit_checkpoints(audit, &look->notes, err);
    if (kind != KT_OK)
        return kind;
    bool ok = write_file(look->bundle, KT_AUDIT_RECORDS_FILE, kt_buf_bytes(&look->records)) &&
              write_file(look->bundle, KT_AUDIT_LEAVES_FILE, kt_buf_bytes(&look->leaves)) &&
              write_file(look->bundle, KT_AUDIT_CHECKPOINTS_FILE, kt_buf_bytes(&look->notes)) &&
              write_file(look->bundle, KT_AUDIT_KEY_FILE, kt_str(status.public_key));
    return ok ? KT_OK : kt_fail(err, KT_IO, "cannot write the bundle");
}

static const char *check_log(struct look *look)
{
    struct kt_err err = {0};
    struct kt_audit_verdict verdict;
    const char *note = NULL;
    char kept[128];
    if (export_log(look, &err) != KT_OK)
        return say(look, "export: %s", err.what);
    for (size_t i = 0; i < look->count; i++)
        if (look->state->needs[i].id == NULL)
            note = look->state->needs[i].path;
    (void)snprintf(kept, sizeof kept, "%s/kept", look->bundle);
    if (note != NULL && !write_file(look->bundle, "kept", kt_str(note)))
        return say(look, "cannot write the bundle");
    if (kt_audit_verify_folder(look->bundle, NULL, note == NULL ? NULL : kept, false, &verdict, &err) !=
        KT_OK)
        return say(look, "verify: %s", err.what);
    if (!kt_audit_good(&verdict))
        return say(look, "the log does not verify: %s", verdict.sentence);
    if (verdict.proven != verdict.records)
        return say(look, "%ju of %ju records are proven", (uintmax_t)verdict.proven,
                   (uintmax_t)verdict.records);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return strncmp(*(const char *const *)a, *(const char *const *)b, ID_LEN);
}

/* A record with a generation is an outcome. */
static const char *collect_outcomes(struct look *look)
{
    static const char mark[] = "\"request\":{\"id\":\"";
    size_t room = 0;
    kt_buf_add_char(&look->records, '\0');
    char *rest = (char *)look->records.at;
    while (rest != NULL && *rest != '\0') {
        const char *line = strsep(&rest, "\n");
        const char *id = strstr(line, mark);
        if (id == NULL || strstr(id, ",\"generation\":") == NULL)
            continue;
        if (look->n_outcomes == room) {
            room = room * 2 + 1024;
            const char **more = reallocarray(look->outcomes, room, sizeof *more);
            if (more == NULL)
                return say(look, "out of memory");
            look->outcomes = more;
        }
        look->outcomes[look->n_outcomes++] = id + strlen(mark);
    }
    if (look->n_outcomes > 0)
        qsort(look->outcomes, look->n_outcomes, sizeof *look->outcomes, compare_ids);
    for (size_t i = 1; i < look->n_outcomes; i++)
        if (compare_ids(&look->outcomes[i - 1], &look->outcomes[i]) == 0)
            return say(look, "the outcome of %.36s is in the log twice", look->outcomes[i]);
    return NULL;
}

/* ---- all of it ---- */

static const char *check_needs(struct look *look)
{
    const struct vault_state *state = look->state;
    for (size_t i = 0; i < look->count; i++) {
        const struct need *need = &state->needs[i];
        if (need->id == NULL)
            continue;
        if (look->n_outcomes == 0 ||
            bsearch(&need->id, look->outcomes, look->n_outcomes, sizeof *look->outcomes,
                    compare_ids) == NULL)
            return say(look, "no outcome of the acknowledged %s (%s)", need->id, need->path);
        if (look->count - i > look->recent)
            continue;
        unsigned status = test_vault_call(look->vault, "GET", need->path, state->token, NULL);
        if (status != 200 || !test_vault_said(look->vault, need->text))
            return say(look, "acknowledged %s (%s) is lost: %u, not %s: %.300s", need->id,
                       need->path, status, need->text, look->vault->body);
    }
    return NULL;
}

static const char *check_open(struct look *look, const char *folder)
{
    struct kt_err err = {0};
    const struct vault_state *state = look->state;
    if (test_vault_on_disk(folder, &look->vault, &err) != KT_OK)
        return say(look, "does not start: %s (%s)", err.what, err.hint);
    if (!barrier_initialized(look->vault->core->barrier))
        return look->count == 0 ? NULL : say(look, "not initialised any more");
    if (test_vault_unseal(look->vault, state->shares, state->n_shares, false, &err) != KT_OK)
        return say(look, "refused: %s (%s)", err.what, err.hint);
    const char *wrong = check_log(look);
    if (wrong == NULL)
        wrong = collect_outcomes(look);
    if (wrong == NULL)
        wrong = check_needs(look);
    if (wrong != NULL)
        return wrong;
    unsigned status = test_vault_call(look->vault, "PUT", "sys/policies/acl/after", state->token,
                                      "{\"policy\":\"path \\\"a\\\" {capabilities=[\\\"read\\\"]}\"}");
    return status == 204 ? NULL
                         : say(look, "cannot be written to: %u %.300s", status, look->vault->body);
}

const char *vault_state_check(const struct vault_state *state, const char *folder, size_t count,
                              size_t recent, char text[VAULT_STATE_TEXT])
{
    struct look look = {.state = state, .count = count, .recent = recent, .text = text};
    if (count > state->n || folder_make(look.bundle) != 0)
        return say(&look, "%zu of %zu needs, or no room for the bundle", count, state->n);
    kt_buf_init(&look.records, ALL_MAX);
    kt_buf_init(&look.leaves, ALL_MAX);
    kt_buf_init(&look.notes, ALL_MAX);
    const char *wrong = check_open(&look, folder);
    test_vault_free(look.vault);
    kt_buf_free(&look.records);
    kt_buf_free(&look.leaves);
    kt_buf_free(&look.notes);
    free(look.outcomes);
    folder_remove(look.bundle);
    return wrong;
}
