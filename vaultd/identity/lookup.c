#include "vaultd/identity/own.h"

/* By exactly one of these: what is found is answered as a read would, nothing found is 204. */
struct asked {
    const char *id, *name, *alias_id, *alias_name, *accessor;
};

static enum kt_kind read_asked(struct request *req, struct asked *ret, struct kt_err *err)
{
    const struct {
        const char *field, **to;
    } rows[] = {{"id", &ret->id},
                {"name", &ret->name},
                {"alias_id", &ret->alias_id},
                {"alias_name", &ret->alias_name},
                {"alias_mount_accessor", &ret->accessor}};
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < sizeof rows / sizeof rows[0]; i++)
        kind = wish_text(req, rows[i].field, rows[i].to, err);
    if (kind != KT_OK)
        return kind;
    bool by_alias = ret->alias_name[0] != '\0' || ret->accessor[0] != '\0';
    int ways = (ret->id[0] != '\0') + (ret->name[0] != '\0') + (ret->alias_id[0] != '\0') + by_alias;
    if (ways == 0)
        return kt_fail(err, KT_INVALID, "query parameters not set: id, name, alias_id, or alias_name "
                                        "and alias_mount_accessor");
    if (ways > 1)
        return kt_fail(err, KT_INVALID, "only one of id, name, alias_id, and alias_name with "
                                        "alias_mount_accessor may be set");
    if (by_alias && (ret->alias_name[0] == '\0' || ret->accessor[0] == '\0'))
        return kt_fail(err, KT_INVALID,
                       "both alias_name and alias_mount_accessor must be set");
    return KT_OK;
}

/* An accessor that is no auth mount's finds nothing. NULL: none such. */
static const struct mount *mount_of(struct request *req, const char *accessor)
{
    const struct mount *mount = NULL;
    return auth_mount_of(req, accessor, &mount, NULL) == KT_OK ? mount : NULL;
}

static enum kt_kind find_entity(struct request *req, const struct asked *asked, struct entity *ret,
                                struct kt_err *err)
{
    struct alias *alias = NULL;
    if (asked->id[0] != '\0')
        return entity_find(req, asked->id, false, ret, err);
    if (asked->name[0] != '\0')
        return entity_find_name(req, asked->name, ret, err);
    if (asked->alias_id[0] != '\0')
        return entity_find_alias_id(req, asked->alias_id, ret, &alias, err);
    const struct mount *mount = mount_of(req, asked->accessor);
    return mount == NULL ? KT_NOT_FOUND
                         : entity_find_alias(req, mount->scope, asked->alias_name, ret, &alias, err);
}

enum kt_kind identity_lookup_entity(struct request *req, struct kt_err *err)
{
    struct asked asked = {0};
    struct entity entity = {0};
    enum kt_kind kind = read_asked(req, &asked, err);
    if (kind != KT_OK)
        return kind;
    kind = find_entity(req, &asked, &entity, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? reply_entity(req, &entity, err) : kind;
}

static enum kt_kind find_group(struct request *req, const struct asked *asked, struct group *ret,
                               struct kt_err *err)
{
    if (asked->id[0] != '\0')
        return group_find(req, asked->id, ret, err);
    if (asked->name[0] != '\0')
        return group_find_name(req, asked->name, ret, err);
    if (asked->alias_id[0] != '\0')
        return group_find_alias_id(req, asked->alias_id, ret, err);
    const struct mount *mount = mount_of(req, asked->accessor);
    return mount == NULL ? KT_NOT_FOUND
                         : group_find_alias(req, mount->scope, asked->alias_name, ret, err);
}

enum kt_kind identity_lookup_group(struct request *req, struct kt_err *err)
{
    struct asked asked = {0};
    struct group group = {0};
    enum kt_kind kind = read_asked(req, &asked, err);
    if (kind != KT_OK)
        return kind;
    kind = find_group(req, &asked, &group, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? reply_group(req, &group, err) : kind;
}
