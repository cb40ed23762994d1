#include <ctype.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/policy/rule.h"

#define NAME_MAX_BYTES 1024u
#define TEXT_MAX       ((size_t)1024 * 1024)

/* Parameters of a request against those of a rule. Names are compared in lower case; numbers in a
 * request never equal anything a policy can write, as in Vault. */

static const struct rule_parameter *find(const struct rule_parameters *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].name, name) == 0)
            return &list->at[i];
    return NULL;
}

static bool text_matches(const struct rule_value *value, struct kt_bytes text)
{
    size_t len = strlen(value->text);
    if (text.len < len)
        return false;
    if (len == 0)
        return value->star_before || value->star_after || text.len == 0;
    if (value->star_before && value->star_after)
        return memmem(text.at, text.len, value->text, len) != NULL;
    if (value->star_before)
        return memcmp(text.at + text.len - len, value->text, len) == 0;
    if (value->star_after)
        return memcmp(text.at, value->text, len) == 0;
    return text.len == len && memcmp(text.at, value->text, len) == 0;
}

/* *failed: a text could not be decoded for want of memory; what the values are is then unknown, and the
 * request is refused whatever the rule says of them. */
static bool texts_equal(struct kt_json a, struct kt_json b, bool *failed)
{
    kt_autobuf struct kt_buf x, y;
    kt_buf_init(&x, TEXT_MAX);
    kt_buf_init(&y, TEXT_MAX);
    bool equal = kt_json_string(a, &x) && kt_json_string(b, &y) &&
                 kt_bytes_equal(kt_buf_bytes(&x), kt_buf_bytes(&y));
    *failed = *failed || !kt_buf_ok(&x) || !kt_buf_ok(&y);
    return equal;
}

static bool deep_equal(struct kt_json ours, struct kt_json theirs, bool *failed);

static bool members_equal(struct kt_json ours, struct kt_json theirs, bool *failed)
{
    if (kt_json_count(ours) != kt_json_count(theirs))
        return false;
    bool list = kt_json_type(ours) == KT_JSON_ARRAY, equal = true;
    struct kt_json_iter a = kt_json_iter(ours);
    struct kt_json_iter b = kt_json_iter(theirs);
    while (equal && kt_json_next(&a)) {
        if (!list)
            b = kt_json_iter(theirs);
        bool found = kt_json_next(&b);
        while (!list && found && !texts_equal(a.key, b.key, failed))
            found = kt_json_next(&b);
        equal = found && deep_equal(a.value, b.value, failed);
    }
    return equal;
}

/* Both are as deep as the policy's text may be at most. Keys in a checked text are unique. */
static bool deep_equal(struct kt_json ours, struct kt_json theirs, bool *failed)
{
    bool x = false, y = false;
    if (kt_json_type(ours) != kt_json_type(theirs))
        return false;
    switch (kt_json_type(ours)) {
    case KT_JSON_STRING:
        return texts_equal(ours, theirs, failed);
    case KT_JSON_BOOL:
        return kt_json_bool(ours, &x) && kt_json_bool(theirs, &y) && x == y;
    case KT_JSON_ARRAY:
    case KT_JSON_OBJECT:
        return members_equal(ours, theirs, failed);
    case KT_JSON_NONE:
    case KT_JSON_NULL:
    case KT_JSON_NUMBER:
        break;
    }
    return false;
}

static bool value_matches(const struct rule_parameter *parameter, struct kt_json value, bool *failed)
{
    if (parameter->n_values == 0)
        return true;
    bool truth = false;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, TEXT_MAX);
    bool is_text = kt_json_string(value, &text);
    *failed = *failed || !kt_buf_ok(&text);
    bool is_bool = !is_text && kt_json_bool(value, &truth);
    for (size_t i = 0; i < parameter->n_values; i++) {
        const struct rule_value *allowed = &parameter->values[i];
        if (allowed->json != NULL) {
            if (deep_equal(kt_json_value(kt_str(allowed->json)), value, failed))
                return true;
            continue;
        }
        if (is_text && !allowed->is_bool && text_matches(allowed, kt_buf_bytes(&text)))
            return true;
        if (is_bool && allowed->is_bool && allowed->truth == truth)
            return true;
    }
    return false;
}

/* The lowered name of a member; false: too long to be one that a policy names. */
static bool lowered(struct kt_json key, struct kt_buf *out)
{
    kt_buf_reset(out);
    if (!kt_json_string(key, out))
        return false;
    for (size_t i = 0; i < out->len; i++)
        out->at[i] = (unsigned char)tolower(out->at[i]);
    return true;
}

/* Exactly so spelt: a handler reads no other spelling, so another one would be as good as absent. */
static bool has_required(const struct rule *rule, struct kt_json data)
{
    struct kt_json value;
    for (size_t i = 0; i < rule->n_required; i++)
        if (!kt_json_member(data, rule->required[i], &value))
            return false;
    return true;
}

static bool any_value_only(const struct rule_parameters *list)
{
    return list->n == 0 || (list->n == 1 && strcmp(list->at[0].name, "*") == 0);
}

bool rule_allows_data(const struct rule *rule, struct kt_json data)
{
    if (!has_required(rule, data))
        return false;
    if (kt_json_count(data) == 0)
        return true;
    if (find(&rule->denied, "*") != NULL)
        return false;
    bool open = any_value_only(&rule->allowed);
    if (open && rule->denied.n == 0)
        return true;
    const struct rule_parameter *star = find(&rule->allowed, "*");
    kt_autobuf struct kt_buf name;
    kt_buf_init(&name, NAME_MAX_BYTES);
    bool failed = false;
    struct kt_json_iter it = kt_json_iter(data);
    while (kt_json_next(&it)) {
        if (!lowered(it.key, &name))
            return false;
        const char *key = kt_buf_text(&name);
        if (!kt_buf_ok(&name))
            return false;
        const struct rule_parameter *denied = find(&rule->denied, key);
        if (denied != NULL && value_matches(denied, it.value, &failed))
            return false;
        if (open)
            continue;
        const struct rule_parameter *allowed = find(&rule->allowed, key);
        if (allowed == NULL ? star == NULL : !value_matches(allowed, it.value, &failed))
            return false;
    }
    return !failed;
}
