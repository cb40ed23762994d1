#include "tests/support/shown_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wrong(const char *what, json_t *shown)
{
    char *text = json_dumps(shown, JSON_ENCODE_ANY);
    (void)fprintf(stderr, "shown_policy: %s: %s\n", what, text == NULL ? "?" : text);
    abort();
}

/* A number, which nothing equals, is shown as null. */
static bool is_shown_as(const struct slow_value *value, json_t *shown)
{
    if (value->policy == NULL)
        return false;
    json_t *written = json_loads(value->policy, JSON_DECODE_ANY, NULL);
    bool number = json_is_integer(written) && json_is_null(shown);
    bool in_list = json_is_integer(json_array_get(written, 0)) && json_is_null(json_array_get(shown, 0));
    bool is = number || in_list || json_equal(written, shown);
    json_decref(written);
    return is;
}

static size_t value_shown(json_t *shown)
{
    for (size_t i = 0; i < slow_n_values; i++)
        if (is_shown_as(&slow_values[i], shown))
            return i;
    wrong("a value that no policy has", shown);
    return 0;
}

static void names_shown(json_t *shown, struct slow_names *ret)
{
    const char *name = NULL;
    json_t *list = NULL;
    json_object_foreach(shown, name, list) {
        if (ret->n == SLOW_NAMES || json_array_size(list) > SLOW_VALUES)
            wrong("more than was written", shown);
        ret->at[ret->n].name = name;
        ret->at[ret->n].n = json_array_size(list);
        for (size_t i = 0; i < json_array_size(list); i++)
            ret->at[ret->n].values[i] = value_shown(json_array_get(list, i));
        ret->n++;
    }
}

static unsigned capabilities_shown(json_t *list)
{
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        for (unsigned bit = 1; bit <= CAP_PATCH; bit <<= 1) {
            const char *names[8];
            (void)capability_names(bit, names);
            if (strcmp(names[0], json_string_value(json_array_get(list, i))) == 0)
                bits |= bit;
        }
    return bits;
}

static void block_shown(json_t *shown, const char *path, bool glob, struct slow_block *ret)
{
    *ret = (struct slow_block){0};
    (void)snprintf(ret->pattern, sizeof ret->pattern, "%s%s", path, glob ? "*" : "");
    ret->capabilities = capabilities_shown(json_object_get(shown, "capabilities"));
    names_shown(json_object_get(shown, "allowed_parameters"), &ret->allowed);
    names_shown(json_object_get(shown, "denied_parameters"), &ret->denied);
    ret->max_wrap_s = json_integer_value(json_object_get(shown, "max_wrapping_ttl"));
    ret->min_wrap_s = json_integer_value(json_object_get(shown, "min_wrapping_ttl"));
    json_t *required = json_object_get(shown, "required_parameters");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (n > 0 && strcmp(ret->required[0], name) == 0)
            continue;
        if (n < 2)
            ret->required[n++] = name;
        else if (strcmp(ret->required[1], name) != 0)
            wrong("a third required parameter", shown);
    }
}

static bool left_out(const char *path, const char *const *without)
{
    for (; without != NULL && *without != NULL; without++)
        if (strncmp(path, *without, strlen(*without)) == 0)
            return true;
    return false;
}

void shown_read(json_t *shown, const char *const *without, struct slow_book *ret)
{
    static const char *const keys[] = {"exact_paths", "glob_paths"};
    ret->n = ret->n_refused = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *path = NULL;
        json_t *block = NULL;
        if (json_object_get(shown, keys[i]) == NULL)
            wrong("no paths", shown);
        json_object_foreach(json_object_get(shown, keys[i]), path, block) {
            if (left_out(path, without))
                continue;
            if (ret->n == SLOW_BLOCKS)
                wrong("more blocks than were written", shown);
            block_shown(block, path, i == 1, &ret->blocks[ret->n++]);
        }
    }
}
