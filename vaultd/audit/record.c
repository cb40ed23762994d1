#include "vaultd/audit/record.h"

#include <string.h>

#include "lib/json.h"
#include "lib/num.h"
#include "lib/random.h"
#include "vaultd/audit/record_auth.h"

#define DATA_DEPTH 60u /* the line around it stays within what lib/json.h reads */
#define STRING_MAX ((size_t)1024 * 1024)
#define SALT_BYTES (AUDIT_SALT_TEXT / 2)

/* ---- data ---- */

static void keep(void *arg, struct kt_bytes text)
{
    const struct pen *pen = arg;
    audit_line_add(pen->line, text);
}

static void redact(void *arg, struct kt_json value)
{
    struct pen *pen = arg;
    if (!audit_line_ok(pen->line))
        return; /* it is over, and what is written here is thrown away */
    struct kt_bytes raw = kt_json_bytes(value);
    struct kt_bytes text = raw; /* of what is no string, or does not decode: all of it */
    int64_t ms = 0;
    kt_autobuf struct kt_buf decoded;
    kt_buf_init(&decoded, STRING_MAX);
    bool string = raw.len >= 2 && kt_json_type(value) == KT_JSON_STRING;
    if (string && memchr(raw.at, '\\', raw.len) == NULL)
        text = kt_bytes(raw.at + 1, raw.len - 2);
    else if (string && kt_json_string(value, &decoded))
        text = kt_buf_bytes(&decoded);
    if (string && text.len < 64 && kt_time_parse((const char *)text.at, text.len, &ms))
        audit_line_add(pen->line, raw);
    else
        pen_hmac(pen, text);
}

/* Whatever is not a plain number, boolean or null is hashed: a type that nobody thought of must not
 * pass in clear. So is what is nested too deep. */
static const struct kt_json_replacer replacer = {keep, redact};

static bool is_clear(struct kt_json key, const struct audit_keys *clear)
{
    for (size_t i = 0; i < clear->n; i++)
        if (kt_json_is(key, clear->at[i]))
            return true;
    return false;
}

/* What would be read as a piece is no text that may stand as it is. */
static bool no_piece_in(struct kt_bytes text)
{
    bool none = true;
    for (size_t i = 0; i < text.len; i++)
        none = none && text.at[i] >= 0x20;
    return none;
}

/* As kt_json_replace(), but for strings whose nearest key is listed: value by value, for there are few
 * such mounts. open: this value's nearest key is. */
static void add_partly(struct pen *pen, struct kt_json value, const struct audit_keys *clear, bool open,
                       unsigned depth)
{
    enum kt_json_type type = kt_json_type(value);
    bool object = type == KT_JSON_OBJECT;
    if (type == KT_JSON_STRING && open && no_piece_in(kt_json_bytes(value))) {
        audit_line_add(pen->line, kt_json_bytes(value));
        return;
    }
    if ((!object && type != KT_JSON_ARRAY) || depth == 0) {
        kt_json_replace(value, 0, &replacer, pen);
        return;
    }
    audit_line_char(pen->line, object ? '{' : '[');
    struct kt_json_iter it = kt_json_iter(value);
    for (bool first = true; kt_json_next(&it); first = false) {
        if (!first)
            audit_line_char(pen->line, ',');
        if (object) {
            audit_line_add(pen->line, kt_json_bytes(it.key));
            audit_line_char(pen->line, ':');
        }
        add_partly(pen, it.value, clear, object ? is_clear(it.key, clear) : open, depth - 1);
    }
    audit_line_char(pen->line, object ? '}' : ']');
}

static void add_data(struct pen *pen, struct kt_bytes data, const struct audit_keys *clear, bool whole)
{
    if (data.len > 0 && whole) {
        pen_name(pen, PIECE_DATA);
        if (clear->n > 0 && kt_json_check(data, NULL, NULL) == KT_OK)
            add_partly(pen, kt_json_value(data), clear, false, DATA_DEPTH);
        else
            kt_json_replace(kt_json_value(data), DATA_DEPTH, &replacer, pen);
    } else {
        pen_hashed(pen, PIECE_DATA, data);
    }
}

/* Answers of more are seldom the same. */
#define SAID_MAX 4096u

/* The same for an answer that is the same, which its key says. */
static void add_answer(struct pen *pen, const struct audit_event *event, bool whole)
{
    static const struct audit_keys none;
    struct kt_bytes data = event->response_data, key = event->response_key;
    /* The key says what was answered, not what of it the mount wants in clear today. */
    if (event->clear_response.n > 0) {
        add_data(pen, data, &event->clear_response, whole);
        return;
    }
    bool usual = whole && data.len > 0 && data.len <= SAID_MAX;
    struct audit_said *said = usual ? audit_hasher_said(pen->hasher, key) : NULL;
    if (said == NULL) {
        add_data(pen, data, &none, whole);
        return;
    }
    if (!said->filled) {
        audit_line_reset(&said->line);
        struct pen own = {.hasher = pen->hasher, .line = &said->line, .first = true};
        add_data(&own, data, &none, true);
        said->filled = audit_line_ok(&said->line);
    }
    if (!said->filled) {
        add_data(pen, data, &none, true);
        return;
    }
    if (!pen->first)
        audit_line_char(pen->line, ',');
    audit_line_copy(pen->line, &said->line, (struct audit_part){0, AUDIT_LINE_LEAF},
                    audit_line_here(&said->line));
    pen->first = false;
}

/* ---- where it was asked: the same for all records of an operation in a mount ---- */

static void write_where(struct pen *pen, const struct audit_event *event)
{
    pen_text(pen, PIECE_OPERATION, event->operation);
    pen_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    pen_text(pen, PIECE_MOUNT_TYPE, event->mount_type);
}

static void write_mount(struct pen *pen, const struct audit_event *event)
{
    pen_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    pen_text(pen, PIECE_MOUNT_TYPE, event->mount_type);
}

static bool is_short(const char *text)
{
    return text != NULL && text[0] != '\0' && strnlen(text, AUDIT_WHERE_TEXT) < AUDIT_WHERE_TEXT;
}

/* As the thread keeps it; NULL: the caller writes it himself. */
static const struct audit_where *place(struct audit_hasher *hasher, const struct audit_event *event)
{
    if (event->mount_point == NULL || event->mount_type == NULL || event->operation == NULL)
        return NULL;
    struct audit_where *where = audit_hasher_where(hasher);
    if (where == NULL)
        return NULL;
    if (where->known && strcmp(where->operation, event->operation) == 0 &&
        strcmp(where->mount_point, event->mount_point) == 0 &&
        strcmp(where->mount_type, event->mount_type) == 0)
        return where;
    where->known = false;
    if (!is_short(event->operation) || !is_short(event->mount_point) || !is_short(event->mount_type))
        return NULL;
    audit_line_reset(&where->line);
    struct pen pen = {.hasher = hasher, .line = &where->line};
    where->begin = audit_line_here(&where->line);
    write_where(&pen, event);
    where->end_request = audit_line_here(&where->line);
    pen.first = true;
    write_mount(&pen, event);
    where->end = audit_line_here(&where->line);
    if (!audit_line_ok(&where->line))
        return NULL;
    (void)memccpy(where->operation, event->operation, '\0', sizeof where->operation);
    (void)memccpy(where->mount_point, event->mount_point, '\0', sizeof where->mount_point);
    (void)memccpy(where->mount_type, event->mount_type, '\0', sizeof where->mount_type);
    where->known = true;
    return where;
}

/* ---- events ---- */

/* What is kept for "request" begins with a comma, what is kept for "response" does not. */
static void add_where(struct pen *pen, const struct audit_event *event,
                      const struct audit_where *where)
{
    if (where != NULL && !pen->first)
        audit_line_copy(pen->line, &where->line, where->begin, where->end_request);
    else
        write_where(pen, event);
}

static void add_mount(struct pen *pen, const struct audit_event *event,
                      const struct audit_where *where)
{
    if (where == NULL || !pen->first) {
        write_mount(pen, event);
        return;
    }
    audit_line_copy(pen->line, &where->line, where->end_request, where->end);
    pen->first = false;
}

static void write_request(struct pen *pen, const struct audit_event *event,
                          const struct audit_who *who, const struct audit_where *where, bool whole)
{
    pen_open(pen, PIECE_REQUEST);
    pen_text(pen, PIECE_ID, event->request_id);
    add_where(pen, event, where);
    record_owner(pen, event->auth, who);
    pen_name(pen, PIECE_NAMESPACE);
    pen_text(pen, PIECE_PATH, event->path);
    pen_rare_text(pen, "\"destination\":", event->destination);
    pen_rare_text(pen, "\"approval\":", event->approval);
    pen_rare_text(pen, "\"approved_by\":", event->approved_by);
    pen_rare_text(pen, "\"report\":", event->report);
    bool small = event->data_max == 0 || event->request_data.len <= event->data_max;
    add_data(pen, event->request_data, &event->clear_request, whole && small);
    pen_text(pen, PIECE_ADDRESS, event->remote_address);
    if (event->remote_port != 0)
        pen_number(pen, PIECE_PORT, event->remote_port);
    if (event->wrap_ttl_s > 0)
        pen_rare_number(pen, "\"wrap_ttl\":", (uint64_t)event->wrap_ttl_s);
    pen_close(pen);
}

static void write_response(struct pen *pen, const struct audit_event *event,
                           const struct audit_where *where, bool whole)
{
    if (event->response_data.len == 0 && event->wrapped.len == 0)
        return;
    pen_open(pen, PIECE_RESPONSE);
    if (event->wrapped.len > 0) {
        pen_open(pen, PIECE_AUTH);
        pen_hashed(pen, PIECE_TOKEN, event->wrapped);
        pen_close(pen);
    }
    add_mount(pen, event, where);
    add_answer(pen, event, whole);
    pen_close(pen);
}

void audit_salt_text(char hex[AUDIT_SALT_TEXT])
{
    unsigned char salt[SALT_BYTES];
    kt_random_id(salt, sizeof salt);
    kt_hex_encode(salt, sizeof salt, hex);
}

static void write_event(struct audit_hasher *hasher, const struct audit_event *event, bool whole,
                        struct audit_line *line)
{
    struct pen pen = {.hasher = hasher, .line = line};
    const struct audit_who *who = record_who(hasher, event->auth);
    const struct audit_where *where = place(hasher, event);
    bool attempt = strcmp(event->type, "request") == 0;
    audit_line_reset(line);
    pen_piece(&pen, PIECE_TIME);
    pen_time(&pen, event->time_ms);
    pen_piece(&pen, attempt ? PIECE_REQUEST_TYPE : PIECE_RESPONSE_TYPE);
    record_auth(&pen, event, who);
    write_request(&pen, event, who, where, whole);
    write_response(&pen, event, where, whole);
    pen_text(&pen, PIECE_ERROR, event->error);
    if (event->status != 0)
        pen_number(&pen, PIECE_STATUS, event->status);
    /* A leaf hash stands in clear: nobody may find a record by guessing its text. */
    if (event->request_id == NULL || event->request_id[0] == '\0') {
        char salt[AUDIT_SALT_TEXT];
        audit_salt_text(salt);
        pen_text(&pen, PIECE_SALT, salt);
    }
}

enum kt_kind audit_line_event(struct audit_hasher *hasher, const struct audit_event *event,
                              struct audit_line *line, struct kt_err *err)
{
    write_event(hasher, event, true, line);
    if (!audit_line_ok(line) || audit_line_length(line) + AUDIT_SUFFIX_ROOM > AUDIT_LINE_MAX)
        write_event(hasher, event, false, line);
    return audit_line_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an audit record");
}
