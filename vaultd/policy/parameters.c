#include <ctype.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/policy/rule.h"

#define NAME_MAX_BYTES 1024u

/* Parameters of a request against those of a rule. Names are compared in lower case; numbers in a
 * request never equal anything a policy can write (vault-api 3.5). */

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
    if (value->star_before && value->star_after)
        return len == 0 || memmem(text.at, text.len, value->text, len) != NULL;
    if (value->star_before)
        return memcmp(text.at + text.len - len, value->text, len) == 0;
    if (value->star_after)
        return memcmp(text.at, value->text, len) == 0;
    return text.len == len && memcmp(text.at, value->text, len) == 0;
}

static bool value_matches(const struct rule_parameter *parameter, struct kt_json value)
{
    if (parameter->n_values == 0)
        return true;
    bool truth = false;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)1024 * 1024);
    bool is_text = kt_json_string(value, &text);
    bool is_bool = !is_text && kt_json_bool(value, &truth);
    for (size_t i = 0; i < parameter->n_values; i++) {
        const struct rule_value *allowed = &parameter->values[i];
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

static bool has_required(const struct rule *rule, struct kt_json data)
{
    kt_autobuf struct kt_buf name;
    kt_buf_init(&name, NAME_MAX_BYTES);
    for (size_t i = 0; i < rule->n_required; i++) {
        bool there = false;
        struct kt_json_iter it = kt_json_iter(data);
        while (!there && kt_json_next(&it))
            there = lowered(it.key, &name) && strcmp(kt_buf_text(&name), rule->required[i]) == 0;
        if (!there)
            return false;
    }
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
    struct kt_json_iter it = kt_json_iter(data);
    while (kt_json_next(&it)) {
        if (!lowered(it.key, &name))
            return false;
        const struct rule_parameter *denied = find(&rule->denied, kt_buf_text(&name));
        if (denied != NULL && value_matches(denied, it.value))
            return false;
        if (open)
            continue;
        const struct rule_parameter *allowed = find(&rule->allowed, kt_buf_text(&name));
        if (allowed == NULL ? star == NULL : !value_matches(allowed, it.value))
            return false;
    }
    return true;
}
