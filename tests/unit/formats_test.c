/* Each kind of stored record with a format number of the future, in a whole vault: it is refused by
 * name, and what was refused reads as before once the old number stands there again. That readers
 * are tables by format number is shown where the tables are: format_test, barrier_test and
 * store_lmdb_test add a format 0 and read it.
 *
 * And each as stores have it: its bytes lie in tests/unit/stored_records.txt with the answer to who reads them, made once
 * and never made anew. They are put in the place of what this vaultd wrote, and the answer has to be the same.
 * `build/release/unit/formats_test add` adds what is not there: a new kind, or a new number of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/num.h"
#include "tests/support/certs.h"
#include "tests/support/jwt_example.h"
#include "tests/support/routes.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define FUTURE 9u
#define ANY    UINT32_MAX

struct row {
    const char *name;
    const char *set_path, *set_body; /* the write that makes the record; POST */
    enum table table;
    uint32_t suffix; /* of a NAMEn key; ANY: whatever */
    bool bare;       /* not an entry of the barrier: the number is the stored value's first byte */
    const char *method, *path, *body; /* what reads it */
    const char *says;
    unsigned char number; /* that it has; 0: 1 */
    const char *wrap_ttl; /* the write's answer is wrapped, and what reads it is asked with that token */
    const char *before;   /* a path that is written first, with nothing */
    bool consumer;        /* s on h1 uses secret/db */
    unsigned again;       /* what the reader answers to its own number; 0: a success */
    const char *alone;    /* why no record of another vault can stand in its place; NULL: one can */
};

#define TARGET "{\"driver\":\"postgresql\",\"host\":\"127.0.0.1\",\"port\":5432,\"database\":\"x\"," \
               "\"admin_username\":\"a\",\"admin_password\":\"b\"}"
#define SECRET "{\"data\":{\"k\":\"v\"}}"
#define WATCHED "{\"driver\":\"redis\",\"hosts\":\"a,b\",\"sentinels\":\"c\",\"sentinel_master\":\"m\",\"admin_username\":\"a\",\"admin_password\":\"b\"}"
#define SERVERS "{\"driver\":\"postgresql\",\"hosts\":\"a,b:5433\",\"database\":\"x\",\"admin_username\":\"a\",\"admin_password\":\"b\"}"

/* Why no record of another vault can stand in its place. */
#define SEALED  "something is sealed to the place that it names"
#define FOUND   "it has to fit the key under which it is found"
#define MOUNTS  "it names a mount"
#define SEVERAL "the write makes several, which name each other"

/* clang-format off */
static const struct row rows[] = {
    { "a policy", "sys/policies/acl/p", "{\"policy\":\"path \\\"a\\\" {capabilities=[\\\"read\\\"]}\"}",
      TABLE_POLICY, ANY, false, "GET", "sys/policies/acl/p", NULL,
      "a policy record: format 9 is newer than this vaultd (1)" },
    { "the mount table", "sys/mounts/m", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}",
      TABLE_CONFIG, ANY, false, "GET", "sys/mounts", NULL,
      "the mount table: format 9 is newer than this vaultd (2)", 2 },
    { "a mount's settings", "secret/config", "{\"max_versions\":5}",
      TABLE_CONFIG, ANY, false, "GET", "secret/config", NULL,
      "the record of a mount's settings: format 9 is newer than this vaultd (1)" },
    { "when the keyring turns by itself", "sys/rotate/config", "{\"interval\":\"48h\"}",
      TABLE_CONFIG, ANY, false, "GET", "sys/rotate/config", NULL,
      "the settings of the keyring's rotation: format 9 is newer than this vaultd (1)" },
    { "the rate-limit quotas", "sys/quotas/rate-limit/q", "{\"rate\":5,\"path\":\"secret\"}",
      TABLE_CONFIG, ANY, false, "GET", "sys/quotas/rate-limit/q", NULL,
      "the rate-limit quotas: format 9 is newer than this vaultd (1)", .alone = MOUNTS },
    { "a secret's metadata", "secret/data/a", SECRET,
      TABLE_KV, 0, false, "GET", "secret/data/a", NULL,
      "a secret's metadata: format 9 is newer than this vaultd (3)", 2, .alone = SEALED },
    { "a secret's version", "secret/data/a", SECRET,
      TABLE_KV, 1, true, "GET", "secret/data/a", NULL,
      "a secret's version: format 9 is newer than this vaultd (1)", .alone = SEALED },
    { "a name", "secret/data/a", SECRET,
      TABLE_KV_NAME, ANY, false, "LIST", "secret/metadata/", NULL,
      "a name record: format 9 is newer than this vaultd (1)" },
    { "a token", "auth/token/create", "{\"id\":\"other\"}",
      TABLE_TOKEN, ANY, false, "POST", "auth/token/lookup", "{\"token\":\"other\"}",
      "a token record: format 9 is newer than this vaultd (2)", 2, .alone = FOUND },
    { "a token role", "auth/token/roles/r", "{}",
      TABLE_NAMED, ANY, false, "GET", "auth/token/roles/r", NULL,
      "a token role: format 9 is newer than this vaultd (1)" },
    { "a user", "auth/userpass/users/u", "{\"password\":\"p\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/userpass/users/u", NULL,
      "a user: format 9 is newer than this vaultd (1)", .alone = SEVERAL },
    { "settings of a pam mount", "auth/pam/config", "{\"max_failures\":3}",
      TABLE_NAMED, ANY, false, "GET", "auth/pam/config", NULL,
      "the settings of a pam mount: format 9 is newer than this vaultd (1)" },
    { "a group of a pam mount", "auth/pam/groups/g", "{\"policies\":\"p\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/pam/groups/g", NULL,
      "a user's or group's policies: format 9 is newer than this vaultd (1)" },
    { "a user of the host", "auth/unix/users/7", "{\"policies\":\"p\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/unix/users/7", NULL,
      "a user's or group's policies: format 9 is newer than this vaultd (1)" },
    { "settings of a jwt mount", "auth/jwt/config", "{\"jwks\":" JWT_EXAMPLE_SET "}",
      TABLE_NAMED, ANY, false, "GET", "auth/jwt/config", NULL,
      "the settings of a jwt mount: format 9 is newer than this vaultd (1)" },
    { "a jwt role", "auth/jwt/role/r", "{\"role_type\":\"jwt\",\"user_claim\":\"sub\",\"bound_audiences\":\"vault\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/jwt/role/r", NULL,
      "a jwt role: format 9 is newer than this vaultd (1)" },
    { "a trusted certificate", "auth/cert/certs/c", "{\"certificate\":\"@CERT\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/cert/certs/c", NULL,
      "a trusted certificate: format 9 is newer than this vaultd (1)" },
    { "a revocation list", "auth/cert/crls/c", "{\"crl\":\"@CRL\"}",
      TABLE_NAMED, ANY, false, "GET", "auth/cert/crls/c", NULL,
      "a revocation list: format 9 is newer than this vaultd (1)", .alone = SEVERAL },
    { "settings of a way with certificates", "auth/cert/config", "{\"disable_binding\":true}",
      TABLE_NAMED, ANY, false, "GET", "auth/cert/config", NULL,
      "the settings of a way to log in: format 9 is newer than this vaultd (1)" },
    { "a role", "auth/approle/role/r", "{}",
      TABLE_NAMED, ANY, false, "GET", "auth/approle/role/r", NULL,
      "an approle role: format 9 is newer than this vaultd (1)", .alone = SEVERAL },
    { "a role id", "auth/approle/role/r", "{\"role_id\":\"i\"}",
      TABLE_ROLE_ID, ANY, false, "POST", "auth/approle/login", "{\"role_id\":\"i\",\"secret_id\":\"none\"}",
      "a role id: format 9 is newer than this vaultd (1)", .again = 400, .alone = SEVERAL },
    { "a secret id", "auth/approle/role/known/custom-secret-id", "{\"secret_id\":\"s\"}",
      TABLE_SECRET_ID, ANY, false, "POST", "auth/approle/role/known/secret-id/lookup", "{\"secret_id\":\"s\"}",
      "a secret id: format 9 is newer than this vaultd (1)", .before = "auth/approle/role/known" },
    { "a path of leases", "auth/token/create", "{\"ttl\":\"1h\"}",
      TABLE_LEASE_PATH, ANY, false, "LIST", "sys/leases/lookup/", NULL,
      "a path of leases: format 9 is newer than this vaultd (1)" },
    { "a cubbyhole", "cubbyhole/a", "{\"k\":\"v\"}",
      TABLE_CUBBY, ANY, true, "GET", "cubbyhole/a", NULL,
      "a secret's version: format 9 is newer than this vaultd (1)", .alone = SEALED },
    { "a wrapped answer", "sys/wrapping/wrap", "{\"k\":\"v\"}",
      TABLE_WRAPPED, ANY, true, "GET", "sys/wrapping/lookup", NULL,
      "a wrapped answer: format 9 is newer than this vaultd (1)", 0, "5m", .alone = SEALED },
    { "an entity", "identity/entity/name/e", "{}",
      TABLE_IDENTITY, ANY, false, "GET", "identity/entity/name/e", NULL, "format 9", .alone = SEVERAL },
    { "a group", "identity/group/name/g", "{}",
      TABLE_IDENTITY, ANY, false, "LIST", "identity/group/id", NULL,
      "a group's record: format 9 is newer than this vaultd (1)", .alone = SEVERAL },
    { "what a token keeps", "cubbyhole/a", "{\"k\":\"v\"}",
      TABLE_HELD, ANY, true, "POST", "cubbyhole/b", "{\"k\":\"v\"}",
      "the size of what a token keeps: format 9 is newer than this vaultd (1)" },
    { "a rotation target", "rotation/targets/t", TARGET,
      TABLE_TARGET, ANY, false, "GET", "rotation/targets/t", NULL, "format 9", 4 },
    { "a rotation target of several servers", "rotation/targets/t", SERVERS,
      TABLE_TARGET, ANY, false, "GET", "rotation/targets/t", NULL, "format 9", 4 },
    { "a rotation target that Sentinels watch", "rotation/targets/t", WATCHED,
      TABLE_TARGET, ANY, false, "GET", "rotation/targets/t", NULL, "format 9", 4 },
    { "the risk classes", "rotation/classes", "{\"high\":{\"max_age\":\"90d\"}}",
      TABLE_CONFIG, ANY, false, "GET", "rotation/classes", NULL, "format 9", 2 },
    { "the pause of all rotations", "rotation/pause", "{\"reason\":\"x\"}",
      TABLE_CONFIG, ANY, false, "GET", "rotation/pause", NULL, "format 9" },
    { "a consumer that is put aside", "rotation/quarantine/h1/secret/db",
      "{\"service\":\"s\",\"reason\":\"x\"}", TABLE_VETO, ANY, false, "GET", "rotation/quarantine", NULL,
      "format 9", .consumer = true },
    { "a revoked certificate", "rotation/secrets/secret/crl",
      "{\"generator\":{\"type\":\"x509-crl\",\"issuer\":\"secret/ca\"}}", TABLE_REVOKED, ANY, false,
      "GET", "rotation/issuers/secret/ca", NULL, "format 9", 2 },
    { "a calendar of blackouts", "rotation/calendars/c", "{\"ranges\":\"2027-07-01..2027-08-31 x\"}",
      TABLE_CALENDAR, ANY, false, "GET", "rotation/calendars/c", NULL, "format 9" },
    { "the seal record", "sys/seals/seal", "{}",
      TABLE_BARRIER, ANY, true, "DELETE", "sys/seals/seal", NULL,
      "the seal record: format 9 is newer than this vaultd (2)", 2 },
    { "an entry of the barrier", "sys/policies/acl/p",
      "{\"policy\":\"path \\\"a\\\" {capabilities=[\\\"read\\\"]}\"}",
      TABLE_POLICY, ANY, true, "GET", "sys/policies/acl/p", NULL,
      "a record: format 9 is newer than this vaultd (1)", .alone = SEALED },
};
/* clang-format on */
#define ROWS (sizeof rows / sizeof rows[0])

/* ---- changing what is stored ---- */

struct waited {
    sem_t done;
    struct commit_result result;
};

static void committed(void *arg, const struct commit_result *result)
{
    struct waited *waited = arg;
    waited->result = *result;
    (void)sem_post(&waited->done);
}

static unsigned char own_number(const struct row *row)
{
    return row->number == 0 ? 1 : row->number;
}

static void commit(struct test_vault *vault, struct batch *batch)
{
    struct waited waited;
    (void)sem_init(&waited.done, 0, 0);
    store_commit(vault->store, batch, committed, &waited);
    (void)sem_wait(&waited.done);
    (void)sem_destroy(&waited.done);
    assert_int_equal(waited.result.error, STORE_OK);
}

static generation now(struct test_vault *vault)
{
    struct store_status status;
    store_status(vault->store, &status);
    return status.at;
}

static bool meant(const struct row *row, const struct entry *entry, generation since)
{
    if (entry->changed <= since)
        return false;
    return row->suffix == ANY ||
           (entry->key.len == BARRIER_NAME_KEY + 4 &&
            kt_get_be32(entry->key.at + BARRIER_NAME_KEY) == row->suffix);
}

/* What the row's number is the first byte of. */
static void open_entry(struct test_vault *vault, const struct row *row, const struct entry *entry, struct kt_buf *out)
{
    kt_buf_reset(out);
    if (row->bare) {
        kt_buf_add_bytes(out, entry->value);
        return;
    }
    struct barrier *barrier = vault->core->barrier;
    struct kt_err err = {0};
    assert_true(barrier_enter(barrier));
    assert_int_equal(barrier_open_entry(barrier, entry->key, entry->value, out, &err), KT_OK);
    barrier_leave(barrier);
}

static void put_entry(struct test_vault *vault, const struct row *row, const struct entry *entry,
                      struct kt_bytes plain, struct batch *batch)
{
    struct kt_buf value;
    struct kt_err err = {0};
    kt_buf_init(&value, 65536);
    if (row->bare) {
        kt_buf_add_bytes(&value, plain);
    } else {
        struct barrier *barrier = vault->core->barrier;
        assert_true(barrier_enter(barrier));
        assert_int_equal(barrier_seal_entry(barrier, entry->key, plain, &value, &err), KT_OK);
        barrier_leave(barrier);
    }
    batch_put(batch, entry->key, kt_buf_bytes(&value));
    kt_buf_free(&value);
}

static void renumber(struct test_vault *vault, const struct row *row, const struct entry *entry,
                     void *number, struct batch *batch)
{
    struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    open_entry(vault, row, entry, &plain);
    plain.at[0] = *(const unsigned char *)number;
    put_entry(vault, row, entry, kt_buf_bytes(&plain), batch);
    kt_buf_free(&plain);
}

typedef void each_fn(struct test_vault *vault, const struct row *row, const struct entry *entry, void *arg,
                     struct batch *batch);

/* Every record of the row that was written since then; how many there are. */
static unsigned each_record(struct test_vault *vault, const struct row *row, generation since, each_fn *fn, void *arg)
{
    unsigned n = 0;
    const unsigned char table = (unsigned char)row->table;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    struct batch *batch = batch_new();
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor),
                     STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        if (meant(row, &entry, since)) {
            fn(vault, row, &entry, arg, batch);
            n++;
        }
    cursor_close(cursor);
    snapshot_end(snapshot);
    if (batch_ops(batch) > 0)
        commit(vault, batch);
    else
        batch_free(batch);
    return n;
}

/* Gives every record of the row that was written since then that number. */
static void renumber_all(struct test_vault *vault, const struct row *row, generation since,
                         unsigned char number)
{
    assert_true(each_record(vault, row, since, renumber, &number) > 0);
}

/* From which a seal can be made. */
static void hand_credential_over(struct test_vault *vault)
{
    static const char *const names[] = {"seal"};
    static char folder[80];
    char path[96];
    (void)snprintf(folder, sizeof folder, "%s/credentials", vault->folder);
    (void)snprintf(path, sizeof path, "%s/%s", folder, names[0]);
    assert_int_equal(mkdir(folder, 0700), 0);
    int fd = open(path, O_WRONLY | O_CREAT, 0400);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a key that is thirty-two letters", KT_KEY_BYTES), (ssize_t)KT_KEY_BYTES);
    assert_int_equal(close(fd), 0);
    vault->core->config.credentials = folder;
    vault->core->config.seals = names;
    vault->core->config.n_seals = 1;
}

/* The body, with what it names in the place of its name. */
static void fill_body(const char *form, char out[8192])
{
    const int64_t from_ms = INT64_C(1600000000000), until_ms = INT64_C(2200000000000);
    struct test_cert *ca = test_cert_make(
        &(struct test_cert_wish){.dn = "CN=ca", .ca = true, .serial = 1, .from_ms = from_ms, .until_ms = until_ms});
    char *crl = test_crl_make(&(struct test_crl_wish){.issuer = ca, .from_ms = from_ms, .until_ms = until_ms});
    const char *at = strchr(form, '@');
    bool is_crl = at != NULL && strncmp(at, "@CRL", 4) == 0, is_cert = at != NULL && strncmp(at, "@CERT", 5) == 0;
    if (is_crl || is_cert)
        (void)snprintf(out, 8192, "%.*s%s%s", (int)(at - form), form, is_crl ? crl : test_cert_pem(ca),
                       at + (is_crl ? 4 : 5));
    else
        (void)snprintf(out, 8192, "%s", form);
    test_cert_free(ca);
    free(crl);
}

/* Who reads it then goes into out. */
static void make_record(struct test_vault *vault, const struct row *row, char out[256])
{
    char target[128], body[8192];
    (void)snprintf(target, sizeof target, "/v1/%s", row->set_path);
    fill_body(row->set_body, body);
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str(target),
                                         .token = kt_str(vault->root),
                                         .body = kt_str(body),
                                         .wrap_ttl = kt_str(row->wrap_ttl)};
    unsigned status = test_vault_ask(vault, &request);
    if (status >= 300)
        fail_msg("%s: %u %s", row->set_path, status, vault->body);
    if (row->wrap_ttl == NULL)
        memcpy(out, vault->root, sizeof vault->root);
    else
        test_vault_text(vault, "wrap_info.token", out, 256);
}

/* With the row's record, written since *ret_since. */
static struct test_vault *vault_with(const struct row *row, generation *ret_since, char who[256])
{
    struct test_vault *vault = test_vault_new(true);
    vault->core->config.token_entries = 1000; /* what a token keeps is looked at where it has a bound */
    routes_mount_all(vault);
    hand_credential_over(vault);
    if (row->before != NULL)
        assert_int_equal(test_vault_call(vault, "POST", row->before, vault->root, "{}"), 204);
    if (row->consumer) {
        assert_int_equal(test_vault_call(vault, "POST", "secret/data/db", vault->root, SECRET), 200);
        assert_int_equal(test_vault_call(vault, "POST", "fleet/consumers/h1/secret/db", vault->root,
                                         "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}"),
                         200);
    }
    *ret_since = now(vault);
    make_record(vault, row, who);
    return vault;
}

static void refused_by_name(void **state)
{
    const struct row *row = *state;
    generation since = 0;
    char who[256];
    struct test_vault *vault = vault_with(row, &since, who);
    renumber_all(vault, row, since, FUTURE);
    unsigned status = test_vault_call(vault, row->method, row->path, who, row->body);
    if (status != 500 || !test_vault_said(vault, row->says))
        fail_msg("expected 500 and '%s', got %u %s", row->says, status, vault->body);
    renumber_all(vault, row, since, own_number(row));
    status = test_vault_call(vault, row->method, row->path, who, row->body);
    if (row->again == 0 ? status >= 300 : status != row->again)
        fail_msg("with its own number again: %u %s", status, vault->body);
    test_vault_free(vault);
}

/* ---- as stores have it ---- */

#define PLACE "tests/unit/stored_records.txt"
#define ADD   "build/release/unit/formats_test add"
#define ROOM  65536u

struct taken {
    struct kt_buf *record;
    unsigned n;
};

/* The vault's own threads write to the same tables meanwhile, records of other numbers. */
static bool is_rows(struct test_vault *vault, const struct row *row, const struct entry *entry)
{
    struct kt_buf plain;
    kt_buf_init(&plain, ROOM);
    open_entry(vault, row, entry, &plain);
    bool is = plain.at[0] == own_number(row);
    kt_buf_free(&plain);
    return is;
}

static void take_entry(struct test_vault *vault, const struct row *row, const struct entry *entry, void *arg,
                       struct batch *batch)
{
    struct taken *taken = arg;
    (void)batch;
    if (!is_rows(vault, row, entry))
        return;
    open_entry(vault, row, entry, taken->record);
    taken->n++;
}

static void replace_entry(struct test_vault *vault, const struct row *row, const struct entry *entry, void *record,
                          struct batch *batch)
{
    if (is_rows(vault, row, entry))
        put_entry(vault, row, entry, kt_buf_bytes(record), batch);
}

/* What this vaultd writes; how many records. */
static unsigned record_of(const struct row *row, struct kt_buf *out)
{
    generation since = 0;
    char who[256];
    struct test_vault *vault = vault_with(row, &since, who);
    struct taken taken = {.record = out};
    (void)each_record(vault, row, since, take_entry, &taken);
    test_vault_free(vault);
    return taken.n;
}

/* What is answered where that record stands, but for the id of the request; on one line. */
static void answer_with(const struct row *row, struct kt_buf *record, char out[ROOM])
{
    generation since = 0;
    char who[256];
    struct test_vault *vault = vault_with(row, &since, who);
    (void)each_record(vault, row, since, replace_entry, record);
    unsigned status = test_vault_call(vault, row->method, row->path, who, row->body);
    char *id = strstr(vault->body, "\"request_id\":\"");
    if (id != NULL)
        memset(id + strlen("\"request_id\":\""), '0', 36);
    (void)snprintf(out, ROOM, "%u %.*s", status, (int)strcspn(vault->body, "\n"), vault->body);
    test_vault_free(vault);
}

/* The next line that is kept of the row, and the answer to it. False: there is no further one. */
static bool next_kept(FILE *file, const struct row *row, struct kt_buf *ret, char answer[ROOM])
{
    static char line[2 * ROOM];
    static unsigned char bytes[ROOM];
    char head[128];
    (void)snprintf(head, sizeof head, "= %s\n", row->name);
    while (fgets(line, sizeof line, file) != NULL)
        if (strcmp(line, head) == 0) {
            assert_non_null(fgets(line, sizeof line, file));
            size_t len = strcspn(line, "\n") / 2;
            assert_true(kt_hex_decode(kt_bytes((unsigned char *)line, 2 * len), bytes, len));
            kt_buf_reset(ret);
            kt_buf_add(ret, bytes, len);
            assert_non_null(fgets(line, sizeof line, file));
            (void)snprintf(answer, ROOM, "%.*s", (int)strcspn(line, "\n"), line);
            return true;
        }
    return false;
}

static bool is_kept(FILE *file, const struct row *row, unsigned char number, struct kt_buf *record)
{
    static char answer[ROOM];
    rewind(file);
    while (next_kept(file, row, record, answer))
        if (record->at[0] == number)
            return true;
    return false;
}

static void reads_as_it_did(void **state)
{
    static char kept[ROOM], got[ROOM];
    const struct row *row = *state;
    struct kt_buf record;
    if (row->alone != NULL)
        return;
    kt_buf_init(&record, ROOM);
    FILE *file = fopen(PLACE, "r");
    assert_non_null(file);
    if (!is_kept(file, row, own_number(row), &record))
        fail_msg("no record of %s as it is written now is kept: " ADD, row->name);
    rewind(file);
    while (next_kept(file, row, &record, kept)) {
        answer_with(row, &record, got);
        if (strcmp(kept, got) != 0)
            fail_msg("%s, format %u: stores have such records, which read otherwise now. The layout of a format is not "
                     "changed: give the new one the next number, keep this one's reader, then: " ADD "\n%s\nwas\n%s",
                     row->name, record.at[0], got, kept);
    }
    (void)fclose(file);
    kt_buf_free(&record);
}

/* A record that is read to the same answer in two vaults. */
static int add_record(FILE *file, const struct row *row, struct kt_buf *record)
{
    static char answer[ROOM], again[ROOM], hex[2 * ROOM];
    unsigned n = record_of(row, record);
    answer_with(row, record, answer);
    answer_with(row, record, again);
    unsigned status = (unsigned)strtoul(answer, NULL, 10);
    if (n != 1 || strcmp(answer, again) != 0 || (row->again == 0 ? status >= 300 : status != row->again)) {
        (void)fprintf(stderr, "%s: %u records; the answers are\n%s\n%s\n", row->name, n, answer, again);
        return 1;
    }
    kt_hex_encode(record->at, record->len, hex);
    (void)fseek(file, 0, SEEK_END);
    (void)fprintf(file, "= %s\n%.*s\n%s\n", row->name, (int)(2 * record->len), hex, answer);
    return 0;
}

static int add_missing(void)
{
    int failed = 0;
    struct kt_buf record;
    kt_buf_init(&record, ROOM);
    FILE *file = fopen(PLACE, "a+");
    if (file == NULL)
        return 1;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].alone == NULL && !is_kept(file, &rows[i], own_number(&rows[i]), &record))
            failed |= add_record(file, &rows[i], &record);
    kt_buf_free(&record);
    return fclose(file) == 0 ? failed : 1;
}

int main(int argc, char **argv)
{
    static char names[ROWS][96];
    struct CMUnitTest tests[2 * ROWS];
    memset(tests, 0, sizeof tests);
    if (argc > 1)
        return strcmp(argv[1], "add") == 0 ? add_missing() : 1;
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s, as stores have it", rows[i].name);
        tests[i] = (struct CMUnitTest){rows[i].name, refused_by_name, NULL, NULL, (void *)(uintptr_t)&rows[i]};
        tests[ROWS + i] = (struct CMUnitTest){names[i], reads_as_it_did, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    }
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
