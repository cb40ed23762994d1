#include "vaultd/identity/identity.h"

/* What a policy's directives stand for. Source: Vault's "Templated policies". */

/* Cuts a word and the '.' behind it off the front. False: the front is something else. */
static bool cut_word(struct kt_bytes *rest, const char *word)
{
    size_t len = strlen(word);
    if (!kt_bytes_starts(*rest, word) || rest->len <= len || rest->at[len] != '.')
        return false;
    *rest = kt_bytes(rest->at + len + 1, rest->len - len - 1);
    return true;
}

/* Up to the next '.', which goes, too. */
static bool cut_name(struct kt_bytes *rest, struct kt_bytes *ret)
{
    const unsigned char *dot = rest->len == 0 ? NULL : memchr(rest->at, '.', rest->len);
    if (dot == NULL)
        return false;
    *ret = kt_bytes(rest->at, (size_t)(dot - rest->at));
    *rest = kt_bytes(dot + 1, rest->len - ret->len - 1);
    return true;
}

static bool found(const char *text, struct kt_bytes *ret)
{
    *ret = kt_str(text);
    return true;
}

/* A member of an object of strings; the rest of a directive is its name, dots included. */
static bool member(struct kt_bytes object, struct kt_bytes name, struct kt_arena *arena,
                   struct kt_bytes *ret)
{
    const char *key = kt_arena_text(arena, name);
    struct kt_json value;
    if (key == NULL || object.len == 0 || !kt_json_member(kt_json_value(object), key, &value))
        return false;
    const char *text = kt_json_text(value, arena);
    return text != NULL && found(text, ret);
}

static bool of_alias(const struct entity *entity, struct kt_bytes rest, struct kt_arena *arena,
                     struct kt_bytes *ret)
{
    struct kt_bytes accessor;
    if (!cut_name(&rest, &accessor))
        return false;
    for (size_t i = 0; i < entity->n_aliases; i++) {
        const struct alias *alias = &entity->aliases[i];
        if (!kt_bytes_is(accessor, alias->accessor))
            continue;
        if (kt_bytes_is(rest, "id"))
            return found(alias->id, ret);
        if (kt_bytes_is(rest, "name"))
            return found(alias->name, ret);
        if (cut_word(&rest, "metadata"))
            return member(alias->metadata, rest, arena, ret);
        if (cut_word(&rest, "custom_metadata"))
            return member(alias->custom_metadata, rest, arena, ret);
        return false;
    }
    return false;
}

static bool of_entity(const struct entity *entity, struct kt_bytes rest, struct kt_arena *arena,
                      struct kt_bytes *ret)
{
    if (kt_bytes_is(rest, "id"))
        return found(entity->id, ret);
    if (kt_bytes_is(rest, "name"))
        return found(entity->name, ret);
    if (cut_word(&rest, "metadata"))
        return member(entity->metadata, rest, arena, ret);
    return cut_word(&rest, "aliases") && of_alias(entity, rest, arena, ret);
}

/* Only of groups that it is in. */
static bool of_group(const struct identity *identity, struct kt_bytes rest, struct kt_arena *arena,
                     struct kt_bytes *ret)
{
    bool by_id = cut_word(&rest, "ids");
    struct kt_bytes which;
    if ((!by_id && !cut_word(&rest, "names")) || !cut_name(&rest, &which))
        return false;
    for (size_t i = 0; i < identity->n_groups; i++) {
        const struct group *group = identity->groups[i];
        if (!kt_bytes_is(which, by_id ? group->id : group->name))
            continue;
        if (kt_bytes_is(rest, "id"))
            return found(group->id, ret);
        if (kt_bytes_is(rest, "name"))
            return found(group->name, ret);
        return cut_word(&rest, "metadata") && member(group->metadata, rest, arena, ret);
    }
    return false;
}

bool identity_value(const void *arg, struct kt_bytes directive, struct kt_arena *arena,
                    struct kt_bytes *ret)
{
    const struct identity *identity = arg;
    if (identity == NULL || !cut_word(&directive, "identity"))
        return false;
    if (cut_word(&directive, "entity"))
        return of_entity(identity->entity, directive, arena, ret);
    return cut_word(&directive, "groups") && of_group(identity, directive, arena, ret);
}
