#include "vaultd/rotation/target.h"

#include "vaultd/rotation/names.h"

#define RECORD_MAX ((size_t)128 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct rotation_target, member, type, most)
#define ROWS_1                                                                                     \
    ROW(name, RECORD_TEXT, TARGET_NAME_MAX),                                                       \
    ROW(driver, RECORD_TEXT, 64),                                                                  \
    ROW(host, RECORD_TEXT, 255),                                                                   \
    ROW(database, RECORD_TEXT, 128),                                                               \
    ROW(sslmode, RECORD_TEXT, 16),                                                                 \
    ROW(ca, RECORD_TEXT, DRIVER_CA_MAX),                                                           \
    ROW(port, RECORD_U32, 65535),                                                                  \
    ROW(admin_username, RECORD_TEXT, 128),                                                         \
    ROW(admin_password, RECORD_TEXT, DRIVER_PASSWORD_MAX),                                         \
    ROW(connect_timeout_s, RECORD_I64, 1),                                                         \
    ROW(statement_timeout_s, RECORD_I64, 1),                                                       \
    ROW(max_refusals_per_hour, RECORD_I64, 1),                                                     \
    ROW(probe_spacing_s, RECORD_I64, 1),                                                           \
    ROW(settle_s, RECORD_I64, 1),                                                                  \
    ROW(recheck_s, RECORD_I64, 1),                                                                 \
    ROW(server_id, RECORD_TEXT, 256),                                                              \
    ROW(users, RECORD_U32, 0),                                                                     \
    ROW(failures, RECORD_U32, 0)
#define ROWS_2 ROWS_1, ROW(program, RECORD_TEXT, 64)
#define ROWS_3                                                                                     \
    ROWS_2,                                                                                        \
    ROW(max_runs, RECORD_U32, TARGET_RUNS_MAX),                                                    \
    ROW(starts_per_minute, RECORD_U32, TARGET_STARTS_MAX),                                         \
    ROW(keys_file, RECORD_TEXT, DRIVER_PATH_MAX)
static const struct record_row rows_4[] = {
    ROWS_3,
    ROW(api, RECORD_TEXT, DRIVER_API_MAX),
    ROW(admin_secret, RECORD_TEXT, TARGET_SECRET_MAX),
    ROW(nodes, RECORD_LIST, DRIVER_SERVERS_MAX),
    ROW(node_ids, RECORD_LIST, DRIVER_SERVERS_MAX),
    ROW(sentinels, RECORD_LIST, DRIVER_SERVERS_MAX),
    ROW(sentinel_master, RECORD_TEXT, DRIVER_NAME_MAX),
};
static const struct record_row rows_3[] = {ROWS_3};
static const struct record_row rows_2[] = {ROWS_2};
static const struct record_row rows_1[] = {ROWS_1};
/* Two versions of vaultd wrote 3, each with its own rows. None of one reads as the other's: the earlier ends where the
 * later has more. */
static const struct record_form forms[] = {RECORD_FORM(4, rows_4), RECORD_FORM(3, rows_4), RECORD_FORM(3, rows_3),
                                           RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind target_kind = {"rotation target", forms, sizeof forms / sizeof forms[0],
                                        sizeof(struct rotation_target)};

enum kt_kind target_load(struct request *req, const char *name, struct rotation_target *ret,
                         struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    target_key(req->core, name, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_NOT_FOUND)
        return kind;
    if (kind == KT_OK)
        kind = record_read(&target_kind, record, &req->arena, ret, err);
    if (kind == KT_OK)
        kind = target_nodes_check(ret, &req->arena, err);
    if (kind != KT_OK) {
        kt_context(err, "target '%s'", name);
        return kind;
    }
    ret->changed = changed;
    if (ret->max_runs == 0) /* of an older format */
        ret->max_runs = 1;
    return KT_OK;
}

enum kt_kind target_save(struct request *req, const struct rotation_target *target,
                         struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    struct rotation_target stored = *target;
    if (target->admin_secret[0] != '\0')
        stored.admin_username = stored.admin_password = "";
    record_write(&target_kind, &stored, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a target");
    unsigned char key[BARRIER_NAME_KEY];
    target_key(req->core, target->name, key);
    batch_require(batch, target->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), target->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

void target_step(const struct rotation_target *target, struct driver_step *step)
{
    step->driver = target->driver;
    step->target = (struct driver_target){
        .host = target->host,
        .port = target->port,
        .database = target->database,
        .program = target->program,
        .api = target->api,
        .sslmode = target->sslmode,
        .ca = target->ca,
        .server_id = target->server_id,
        .keys_file = target->keys_file,
        .connect_timeout_ms = (uint32_t)(target->connect_timeout_s * 1000),
        .statement_timeout_ms = (uint32_t)(target->statement_timeout_s * 1000),
    };
    step->logins[DRIVER_ADMIN] = (struct driver_login){
        .username = target->admin_username, .password = kt_str(target->admin_password)};
    /* 0 is the driver's own default; what is meant is: at once. */
    step->settle_ms = target->settle_s == 0 ? 1 : (uint32_t)(target->settle_s * 1000);
    /* Connecting, waiting for a lock, the statement, sessions to end, and room for a slow machine; each further
     * server has to be reached and asked. */
    int64_t more = target->nodes.n > 1 ? (int64_t)target->nodes.n - 1 : 0;
    int64_t timeout_s = target->connect_timeout_s + 2 * target->statement_timeout_s + 2 * target->settle_s + 20 +
                        more * (target->connect_timeout_s + target->statement_timeout_s);
    const uint32_t most_ms = DRIVER_TIMEOUT_MAX;
    step->timeout_ms = timeout_s * 1000 > most_ms ? most_ms : (uint32_t)(timeout_s * 1000);
}
