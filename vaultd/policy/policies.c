#include "vaultd/policy/policies.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "vaultd/barrier/format.h"
#include "vaultd/identity/identity.h"

#define NAME_MAX_BYTES 128u
#define TEXT_MAX       ((size_t)1024 * 1024)
#define RECORD_MAX     (TEXT_MAX + 1024u)
#define FORMAT         1u
#define SLOTS          256u  /* acls a thread keeps */
#define COMPILED       512u  /* policies the process keeps */

/* The acl of a token, good for every snapshot between which no policy changed (and no identity, if the
 * token has an entity). */
struct acl_slot {
    unsigned char hash[32];
    generation token_changed, built_at;
    struct acl *acl;
};
struct thread_acls {
    struct acl_slot slots[SLOTS];
};

/* A compiled policy is its text's: (key, changed) names the text. */
struct compiled {
    unsigned char key[BARRIER_NAME_KEY];
    generation changed;
    struct policy *policy;
};

struct policies {
    pthread_key_t thread;
    atomic_uint_fast64_t last_change; /* generation of the newest fold that touched a policy */
    pthread_mutex_t lock;
    struct compiled compiled[COMPILED]; /* guarded by lock */
};

static const unsigned char no_scope[BARRIER_SCOPE];

/* ---- birth and end ---- */

static void thread_acls_free(void *at)
{
    struct thread_acls *acls = at;
    if (acls == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        acl_unref(acls->slots[i].acl);
    free(acls);
}

/* Followers run before anybody hears of the commit, so who was told that a policy changed is never
 * judged by the old one. */
static void policy_changed(void *arg, const struct fold_event *event)
{
    struct policies *policies = arg;
    atomic_store(&policies->last_change, event->at);
}

struct policies *policies_new(struct store *store)
{
    struct policies *policies = kt_calloc(1, sizeof *policies);
    if (policies == NULL)
        return NULL;
    const unsigned char prefix[1] = {TABLE_POLICY};
    if (pthread_key_create(&policies->thread, thread_acls_free) != 0) {
        free(policies);
        return NULL;
    }
    (void)pthread_mutex_init(&policies->lock, NULL);
    if (store_on_fold(store, kt_bytes(prefix, 1), policy_changed, policies) != STORE_OK) {
        policies_free(policies);
        return NULL;
    }
    return policies;
}

void policies_free(struct policies *policies)
{
    if (policies == NULL)
        return;
    thread_acls_free(pthread_getspecific(policies->thread));
    (void)pthread_setspecific(policies->thread, NULL);
    (void)pthread_key_delete(policies->thread);
    for (size_t i = 0; i < COMPILED; i++)
        policy_unref(policies->compiled[i].policy);
    (void)pthread_mutex_destroy(&policies->lock);
    free(policies);
}

/* ---- names ---- */

enum kt_kind policy_name_normal(struct kt_arena *arena, const char *name, const char **ret,
                                struct kt_err *err)
{
    while (*name == ' ')
        name++;
    size_t len = strlen(name);
    while (len > 0 && name[len - 1] == ' ')
        len--;
    char *copy = kt_arena_text(arena, kt_bytes(name, len));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a policy's name");
    bool ok = len > 0 && len <= NAME_MAX_BYTES;
    for (size_t i = 0; i < len; i++) {
        copy[i] = (char)tolower((unsigned char)copy[i]);
        ok = ok && (isalnum((unsigned char)copy[i]) || strchr("._-,", copy[i]) != NULL);
    }
    if (!ok) {
        (void)kt_fail(err, KT_INVALID, "not a policy name");
        kt_hint(err, "a name is 1 to %u of the characters a-z 0-9 . _ -", NAME_MAX_BYTES);
        return KT_INVALID;
    }
    *ret = copy;
    return KT_OK;
}

static void key_of(struct core *core, const char *name, unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_POLICY, no_scope, kt_str(name), key);
}

/* ---- the record: u8 format ‖ name field ‖ text field ---- */

static void read_format_1(struct kt_reader *r, struct kt_bytes *ret_name, struct kt_bytes *ret_text)
{
    *ret_name = kt_read_field(r);
    *ret_text = kt_read_field(r);
}

typedef void read_fn(struct kt_reader *r, struct kt_bytes *ret_name, struct kt_bytes *ret_text);
static read_fn *const readers[] = {[FORMAT] = read_format_1};

static enum kt_kind open_record(struct kt_bytes record, struct kt_bytes *ret_name,
                                struct kt_bytes *ret_text, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a policy record", format, FORMAT, err);
    read(&r, ret_name, ret_text);
    return kt_reader_done(&r) ? KT_OK : kt_fail(err, KT_CORRUPT, "a policy record is damaged");
}

enum kt_kind policies_text(struct core *core, struct snapshot *snapshot, const char *name,
                           struct kt_buf *out, generation *ret_changed, struct kt_err *err)
{
    const char *fixed = policy_unalterable(name);
    if (fixed != NULL) {
        kt_buf_add_text(out, fixed);
        if (ret_changed != NULL)
            *ret_changed = 0;
        return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading a policy");
    }
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, name, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    enum kt_kind kind =
        barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &record, ret_changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes stored = {0}, text = {0};
    kind = open_record(kt_buf_bytes(&record), &stored, &text, err);
    if (kind == KT_OK)
        kt_buf_add_bytes(out, text);
    if (kind == KT_OK && !kt_buf_ok(out))
        return kt_fail(err, KT_NO_MEMORY, "reading a policy");
    return kind;
}

enum kt_kind policies_put(struct core *core, struct batch *batch, const char *name,
                          struct kt_bytes text, struct kt_err *err)
{
    if (text.len > TEXT_MAX / 2)
        return kt_fail(err, KT_INVALID, "a policy is at most %zu bytes", TEXT_MAX / 2);
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, name, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_field(&record, kt_str(name));
    kt_buf_add_field(&record, text);
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a policy");
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

enum kt_kind policies_delete(struct core *core, struct batch *batch, const char *name,
                             struct kt_err *err)
{
    (void)err;
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, name, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum kt_kind list_names(struct core *core, struct cursor *cursor, struct kt_arena *arena,
                               struct string_list *list, struct kt_err *err)
{
    size_t room = 0;
    struct entry entry;
    enum store_error found = STORE_OK;
    while ((found = cursor_next(cursor, &entry)) == STORE_OK) {
        kt_autobuf struct kt_buf record;
        kt_buf_init(&record, RECORD_MAX);
        struct kt_bytes name = {0}, text = {0};
        enum kt_kind kind =
            barrier_open_entry(core->barrier, entry.key, entry.value, &record, err);
        if (kind == KT_OK)
            kind = open_record(kt_buf_bytes(&record), &name, &text, err);
        if (kind != KT_OK)
            return kind;
        if (list->n == room) {
            room = room == 0 ? 32 : room * 2;
            const char **at = kt_arena_take(arena, room * sizeof *at);
            if (at == NULL)
                return kt_fail(err, KT_NO_MEMORY, "listing the policies");
            if (list->n > 0)
                memcpy(at, list->at, list->n * sizeof *at);
            list->at = at;
        }
        list->at[list->n++] = kt_arena_text(arena, name);
    }
    if (found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "listing the policies");
    return arena->failed ? kt_fail(err, KT_NO_MEMORY, "listing the policies") : KT_OK;
}

enum kt_kind policies_list(struct core *core, struct snapshot *snapshot, struct kt_arena *arena,
                           struct string_list *ret, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_folder_prefix(core->barrier, TABLE_POLICY, no_scope, kt_str(""), prefix);
    struct cursor *cursor = NULL;
    if (cursor_open(snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "listing the policies");
    struct string_list list = {0};
    enum kt_kind kind = list_names(core, cursor, arena, &list, err);
    cursor_close(cursor);
    if (kind != KT_OK)
        return kind;
    if (list.n > 0)
        qsort(list.at, list.n, sizeof *list.at, by_text);
    *ret = list;
    return KT_OK;
}

/* ---- compiled ---- */

static struct compiled *compiled_slot(struct policies *policies, const unsigned char *key)
{
    return &policies->compiled[kt_get_u32(key + 17) % COMPILED];
}

static enum kt_kind compile(struct core *core, struct snapshot *snapshot, const char *name,
                            const unsigned char key[BARRIER_NAME_KEY], generation changed,
                            struct policy **ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, RECORD_MAX);
    enum kt_kind kind = policies_text(core, snapshot, name, &text, NULL, err);
    struct policy *policy = NULL;
    if (kind == KT_OK)
        kind = policy_parse(name, kt_buf_bytes(&text), &policy, err);
    if (kind != KT_OK)
        return kind;
    struct policies *policies = core->policies;
    (void)pthread_mutex_lock(&policies->lock);
    struct compiled *slot = compiled_slot(policies, key);
    struct policy *old = slot->policy;
    memcpy(slot->key, key, sizeof slot->key);
    slot->changed = changed;
    slot->policy = policy_ref(policy);
    (void)pthread_mutex_unlock(&policies->lock);
    policy_unref(old);
    *ret = policy;
    return KT_OK;
}

enum kt_kind policies_find(struct core *core, struct snapshot *snapshot, const char *name,
                           struct policy **ret, struct kt_err *err)
{
    const char *fixed = policy_unalterable(name);
    if (fixed != NULL)
        return policy_parse(name, kt_str(fixed), ret, err);
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, name, key);
    struct entry entry;
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found == STORE_NOT_FOUND)
        return KT_NOT_FOUND;
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "reading a policy");
    struct policies *policies = core->policies;
    struct policy *policy = NULL;
    (void)pthread_mutex_lock(&policies->lock);
    struct compiled *slot = compiled_slot(policies, key);
    if (slot->policy != NULL && slot->changed == entry.changed &&
        memcmp(slot->key, key, sizeof key) == 0)
        policy = policy_ref(slot->policy);
    (void)pthread_mutex_unlock(&policies->lock);
    if (policy == NULL)
        return compile(core, snapshot, name, key, entry.changed, ret, err);
    *ret = policy;
    return KT_OK;
}

/* ---- the acl of a token ---- */

struct gathering {
    struct core *core;
    struct snapshot *snapshot;
    struct policy **list;
    size_t n;
    bool root;
};

static enum kt_kind gather(struct gathering *g, const char *const *names, size_t n,
                           bool may_be_root, struct kt_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], "root") == 0) {
            g->root = g->root || may_be_root;
            continue;
        }
        enum kt_kind kind = policies_find(g->core, g->snapshot, names[i], &g->list[g->n], err);
        if (kind == KT_OK)
            g->n++;
        else if (kind != KT_NOT_FOUND)
            return kind;
    }
    return KT_OK;
}

/* "root" comes with a token alone: an identity that has it has nothing. */
static enum kt_kind build(struct core *core, struct snapshot *snapshot, const struct token *token,
                          const struct identity *identity, struct acl **ret, struct kt_err *err)
{
    size_t more = identity == NULL ? 0 : identity->n_policies;
    kt_autofree struct policy **list =
        kt_calloc(token->n_policies + more + 1, sizeof(struct policy *));
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a token's policies");
    struct gathering g = {.core = core, .snapshot = snapshot, .list = list};
    enum kt_kind kind = gather(&g, token->policies, token->n_policies, true, err);
    if (kind == KT_OK && identity != NULL)
        kind = gather(&g, identity->policies, more, false, err);
    const struct acl_source source = {.value = identity_value, .arg = identity};
    struct acl *acl = kind == KT_OK ? acl_build(list, g.n, g.root, &source) : NULL;
    for (size_t i = 0; i < g.n; i++)
        policy_unref(list[i]);
    if (kind != KT_OK)
        return kind;
    if (acl == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a token's policies");
    *ret = acl;
    return KT_OK;
}

static enum kt_kind build_for(struct core *core, struct snapshot *snapshot,
                              const struct token *token, struct acl **ret, struct kt_err *err)
{
    const struct identity *identity = NULL;
    enum kt_kind kind = KT_OK;
    if (token->entity_id[0] != '\0')
        kind = identity_find(core, snapshot, token->entity_id, &identity, err);
    if (kind == KT_OK)
        kind = build(core, snapshot, token, identity, ret, err);
    identity_unref(identity);
    return kind;
}

static struct thread_acls *thread_acls(struct policies *policies)
{
    struct thread_acls *acls = pthread_getspecific(policies->thread);
    if (acls == NULL) {
        acls = kt_calloc(1, sizeof *acls);
        if (acls != NULL && pthread_setspecific(policies->thread, acls) != 0) {
            free(acls);
            acls = NULL;
        }
    }
    return acls;
}

enum kt_kind policies_acl(struct core *core, struct snapshot *snapshot, const struct token *token,
                          struct acl **ret, struct kt_err *err)
{
    struct policies *policies = core->policies;
    struct thread_acls *acls = thread_acls(policies);
    if (acls == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a token's policies");
    generation at = snapshot_generation(snapshot);
    generation last_change = atomic_load(&policies->last_change);
    generation identities = token->entity_id[0] == '\0' ? 0 : identities_changed(core);
    if (identities > last_change)
        last_change = identities;
    struct acl_slot *slot = &acls->slots[token->hash[0] % SLOTS];
    if (slot->acl != NULL && slot->token_changed == token->changed &&
        memcmp(slot->hash, token->hash, sizeof slot->hash) == 0 && last_change <= slot->built_at &&
        last_change <= at) {
        *ret = acl_ref(slot->acl);
        return KT_OK;
    }
    struct acl *acl = NULL;
    enum kt_kind kind = build_for(core, snapshot, token, &acl, err);
    if (kind != KT_OK)
        return kind;
    acl_unref(slot->acl);
    memcpy(slot->hash, token->hash, sizeof slot->hash);
    slot->token_changed = token->changed;
    slot->built_at = at;
    slot->acl = acl_ref(acl);
    *ret = acl;
    return KT_OK;
}
