#include "vaultd/rotation/classes.h"

#include "lib/num.h"
#include "lib/plain_text.h"
#include "vaultd/approval/rules.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/people.h"

#define RECORD_MAX      ((size_t)16 * 1024)
#define DESCRIPTION_MAX 500u
#define MAX_AGE_MAX     256u

#define X(name, text) text,
static const char *const names[RISK_CLASS_COUNT + 1] = {RISK_CLASSES(X) NULL};
#undef X

#define CLASS_ROWS(i)                                                                              \
    RECORD_ROW(struct rotation_classes, max_age[i], RECORD_TEXT, MAX_AGE_MAX),                     \
        RECORD_ROW(struct rotation_classes, description[i], RECORD_TEXT, DESCRIPTION_MAX)
#define ROWS_1 CLASS_ROWS(RISK_CRITICAL), CLASS_ROWS(RISK_HIGH), CLASS_ROWS(RISK_MEDIUM), CLASS_ROWS(RISK_LOW), \
        RECORD_ROW(struct rotation_classes, unused, RECORD_BOOL, 1)
static const struct record_row rows_1[] = {ROWS_1};
#define PEOPLE_ROW(i) RECORD_ROW(struct rotation_classes, approvers[i], RECORD_TEXT, PEOPLE_RULE_MAX)
static const struct record_row rows_2[] = {
    ROWS_1,
    RECORD_ROW(struct rotation_classes, approvals, RECORD_I64, RISK_CLASS_COUNT),
    PEOPLE_ROW(RISK_CRITICAL),
    PEOPLE_ROW(RISK_HIGH),
    PEOPLE_ROW(RISK_MEDIUM),
    PEOPLE_ROW(RISK_LOW),
};
static const struct record_form forms[] = {RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind classes_kind = {"set of risk classes", forms, 2,
                                         sizeof(struct rotation_classes)};

const struct field classes_fields[] = {
    {"critical", FIELD_MAP, "max_age, description, approvals, approvers"},
    {"high", FIELD_MAP, "max_age, description, approvals, approvers"},
    {"medium", FIELD_MAP, "max_age, description, approvals, approvers"},
    {"low", FIELD_MAP, "max_age, description, approvals, approvers"},
    {NULL, FIELD_ANY, NULL},
};

bool risk_class_parse(const char *text, enum risk_class *ret)
{
    for (unsigned i = 0; i < RISK_CLASS_COUNT; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum risk_class)i;
            return true;
        }
    return false;
}

const char *risk_class_text(enum risk_class risk)
{
    return names[risk];
}

/* ---- the record ---- */

static void empty(struct rotation_classes *ret)
{
    *ret = (struct rotation_classes){.unused = false};
    for (unsigned i = 0; i < RISK_CLASS_COUNT; i++)
        ret->max_age[i] = ret->description[i] = ret->approvers[i] = "";
}

enum kt_kind classes_load(struct request *req, struct rotation_classes *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record;
    generation changed = 0;
    classes_key(req->core, key);
    empty(ret);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = record_read(&classes_kind, record, &req->arena, ret, err);
    ret->changed = changed;
    return kind;
}

enum kt_kind classes_save(struct request *req, const struct rotation_classes *classes,
                          struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&classes_kind, classes, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing the risk classes");
    unsigned char key[BARRIER_NAME_KEY];
    classes_key(req->core, key);
    batch_require(batch, classes->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), classes->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

/* ---- what they are for ---- */

const char *classes_age(const struct rotation_classes *classes, const struct rotation_settings *settings)
{
    enum risk_class risk;
    if (settings->max_age[0] == '\0' && risk_class_parse(settings->risk, &risk))
        return classes->max_age[risk];
    return settings->max_age;
}

enum kt_kind classes_max_age(struct request *req, const struct rotation_settings *settings,
                             const char **ret, struct kt_err *err)
{
    enum risk_class risk;
    *ret = settings->max_age;
    if (settings->max_age[0] != '\0' || !risk_class_parse(settings->risk, &risk))
        return KT_OK;
    struct rotation_classes classes;
    enum kt_kind kind = classes_load(req, &classes, err);
    if (kind == KT_OK)
        *ret = classes_age(&classes, settings);
    return kind;
}

enum kt_kind classes_schedule(struct request *req, const struct rotation_settings *settings,
                              struct kt_schedule_text *ret, struct kt_err *err)
{
    settings_schedule(settings, ret);
    if (settings->approvals > 0) /* whoever writes classes starts nothing that people have a say in */
        return KT_OK;
    return classes_max_age(req, settings, &ret->max_age, err);
}

/* ---- routes ---- */

enum kt_kind classes_read(struct request *req, struct kt_err *err)
{
    struct rotation_classes classes;
    enum kt_kind kind = classes_load(req, &classes, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    for (unsigned i = 0; i < RISK_CLASS_COUNT; i++) {
        kt_jsonw_key(&w, names[i]);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "max_age", classes.max_age[i]);
        kt_jsonw_kv_text(&w, "description", classes.description[i]);
        kt_jsonw_kv_int(&w, "approvals", classes.approvals[i]);
        kt_jsonw_kv_text(&w, "approvers", classes.approvers[i]);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind take_text(struct request *req, const char *class, const char *name,
                              struct kt_json value, size_t most, const char **ret,
                              struct kt_err *err)
{
    if (kt_json_type(value) != KT_JSON_STRING)
        return kt_fail(err, KT_INVALID, "%s.%s must be a text", class, name);
    const char *text = kt_json_text(value, &req->arena);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the risk classes");
    if (strlen(text) > most)
        return kt_fail(err, KT_INVALID, "%s.%s is longer than %zu bytes", class, name, most);
    if (!kt_text_is_plain(text))
        return kt_fail(err, KT_INVALID, "%s.%s has a control character", class, name);
    *ret = text;
    return KT_OK;
}

/* As a number, or as a text that is one, as Vault takes fields. */
static enum kt_kind take_number(struct request *req, const char *class, struct kt_json value, int64_t *ret,
                                struct kt_err *err)
{
    const char *text = kt_json_type(value) == KT_JSON_STRING ? kt_json_text(value, &req->arena)
                                                             : kt_arena_text(&req->arena, kt_json_bytes(value));
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the risk classes");
    return kt_i64_parse(kt_str(text), 0, APPROVAL_NEEDED_MAX, ret)
               ? KT_OK
               : kt_fail(err, KT_INVALID, "%s.approvals must be a number from 0 to %u", class, APPROVAL_NEEDED_MAX);
}

static enum kt_kind take_class(struct request *req, unsigned i, struct rotation_classes *classes,
                               struct kt_err *err)
{
    struct kt_json map;
    if (request_member(req, names[i], &map) != KT_OK || kt_json_type(map) == KT_JSON_NULL)
        return KT_OK;
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(map);
    while (kind == KT_OK && kt_json_next(&it)) {
        if (kt_json_is(it.key, "max_age"))
            kind = take_text(req, names[i], "max_age", it.value, MAX_AGE_MAX, &classes->max_age[i], err);
        else if (kt_json_is(it.key, "description"))
            kind = take_text(req, names[i], "description", it.value, DESCRIPTION_MAX,
                             &classes->description[i], err);
        else if (kt_json_is(it.key, "approvers"))
            kind = take_text(req, names[i], "approvers", it.value, PEOPLE_RULE_MAX, &classes->approvers[i], err);
        else if (kt_json_is(it.key, "approvals"))
            kind = take_number(req, names[i], it.value, &classes->approvals[i], err);
        else
            kind = kt_fail(err, KT_INVALID, "class %s has an unknown member: it may have max_age, "
                                            "description, approvals and approvers",
                           names[i]);
    }
    if (kind == KT_OK)
        kind = people_check(req, classes->approvals[i], classes->approvers[i], names[i], err);
    int64_t ms = 0;
    if (kind == KT_OK && classes->max_age[i][0] != '\0')
        kind = kt_schedule_duration("max_age", classes->max_age[i], &ms, err);
    return kind;
}

/* Who may write classes is not thereby free of the approval that they want: not of any change of such a class. */
static bool same_class(const struct rotation_classes *a, const struct rotation_classes *b, unsigned i)
{
    return strcmp(a->max_age[i], b->max_age[i]) == 0 && strcmp(a->description[i], b->description[i]) == 0 &&
           a->approvals[i] == b->approvals[i] && strcmp(a->approvers[i], b->approvers[i]) == 0;
}

static void written(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_replan(req->core->rotation);
}

enum kt_kind classes_write(struct request *req, struct kt_err *err)
{
    struct rotation_classes before, classes;
    enum kt_kind kind = classes_load(req, &before, err);
    empty(&classes);
    for (unsigned i = 0; i < RISK_CLASS_COUNT && kind == KT_OK; i++)
        kind = take_class(req, i, &classes, err);
    if (kind != KT_OK)
        return kind;
    for (unsigned i = 0; i < RISK_CLASS_COUNT; i++)
        if (!same_class(&before, &classes, i))
            people_want_of_class(req, &before, (enum risk_class)i);
    classes.changed = before.changed;
    kind = people_bind_classes(req, &before, err);
    if (kind == KT_OK)
        kind = classes_save(req, &classes, err);
    if (kind == KT_OK)
        kind = rotation_clock_want_replan(req, err);
    req->after_commit = written;
    return kind;
}
