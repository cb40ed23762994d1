#include "vaultd/identity/routes.h"

#include "vaultd/identity/own.h"

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

#define COMMON_FIELDS \
    { "metadata", FIELD_PAIRS, "at most 64 pairs of strings" }, \
    { "policies", FIELD_COMMA_LIST, "names of policies; not \"root\"" }
#define ENTITY_FIELDS COMMON_FIELDS, \
    { "disabled", FIELD_BOOL, "its tokens are refused" }
#define GROUP_FIELDS COMMON_FIELDS, \
    { "type", FIELD_STRING, "internal or external" }, \
    { "member_entity_ids", FIELD_COMMA_LIST, "members of an internal group" }, \
    { "member_group_ids", FIELD_COMMA_LIST, "groups whose members are members" }
#define ALIAS_FIELDS \
    { "name", FIELD_STRING, "what the mount calls who logs in" }, \
    { "mount_accessor", FIELD_STRING, "of the way to log in" }, \
    { "canonical_id", FIELD_STRING, "id of the entity; absent: a new one is made" }, \
    { "entity_id", FIELD_STRING, "old name of canonical_id" }, \
    { "custom_metadata", FIELD_PAIRS, "at most 64 pairs of strings" }
#define GROUP_ALIAS_FIELDS \
    { "name", FIELD_STRING, "what logins call the group" }, \
    { "mount_accessor", FIELD_STRING, "of the way to log in" }, \
    { "canonical_id", FIELD_STRING, "id of the external group" }
#define LOOKUP_FIELDS FIELDS( \
    { "id", FIELD_STRING, "by its id" }, \
    { "name", FIELD_STRING, "by its name" }, \
    { "alias_id", FIELD_STRING, "by the id of an alias" }, \
    { "alias_name", FIELD_STRING, "by an alias's name, with alias_mount_accessor" }, \
    { "alias_mount_accessor", FIELD_STRING, "the way to log in that the alias is of" })

static const struct route routes[] = {
    { .pattern = "entity", .write = identity_entity_write,
      .fields = FIELDS({ "id", FIELD_STRING, "which; absent: by name" }, { "name", FIELD_STRING, "its name" }, ENTITY_FIELDS),
      .help = "Makes or changes an entity: one person or machine." },
    { .pattern = "entity/merge", .flags = ROUTE_SUDO, .write = identity_merge,
      .fields = FIELDS({ "from_entity_ids", FIELD_COMMA_LIST, "those that go" },
                       { "to_entity_id", FIELD_STRING, "the one that stays" },
                       { "force", FIELD_BOOL, "accepted; nothing is overridden" },
                       { "conflicting_alias_ids_to_keep", FIELD_COMMA_LIST, "where both have one of a mount" }),
      .help = "Makes one entity of several: aliases, memberships and tokens become its own." },
    { .pattern = "entity/id", .list = identity_entity_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All entities by id." },
    { .pattern = "entity/id/{id}", .read = identity_entity_read, .write = identity_entity_write,
      .delete_ = identity_entity_delete,
      .fields = FIELDS({ "name", FIELD_STRING, "its name" }, ENTITY_FIELDS),
      .help = "An entity by its id." },
    { .pattern = "entity/name", .list = identity_entity_name_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All entities by name." },
    { .pattern = "entity/name/{name...}", .flags = ROUTE_LOWERED, .read = identity_entity_name_read,
      .write = identity_entity_name_write, .delete_ = identity_entity_name_delete,
      .fields = FIELDS(ENTITY_FIELDS),
      .help = "An entity by its name, whatever its case; a write makes it." },
    { .pattern = "entity-alias", .write = identity_alias_write,
      .fields = FIELDS({ "id", FIELD_STRING, "which; absent: by mount and name" }, ALIAS_FIELDS),
      .help = "Makes or changes an alias: one way in which an entity logs in." },
    { .pattern = "entity-alias/id", .list = identity_alias_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All aliases by id." },
    { .pattern = "entity-alias/id/{id}", .read = identity_alias_read, .write = identity_alias_write,
      .delete_ = identity_alias_delete, .fields = FIELDS(ALIAS_FIELDS),
      .help = "An alias by its id." },
    { .pattern = "group", .write = identity_group_write,
      .fields = FIELDS({ "id", FIELD_STRING, "which; absent: by name" }, { "name", FIELD_STRING, "its name" }, GROUP_FIELDS),
      .help = "Makes or changes a group." },
    { .pattern = "group/id", .list = identity_group_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All groups by id." },
    { .pattern = "group/id/{id}", .read = identity_group_read, .write = identity_group_write,
      .delete_ = identity_group_delete,
      .fields = FIELDS({ "name", FIELD_STRING, "its name" }, GROUP_FIELDS),
      .help = "A group by its id." },
    { .pattern = "group/name", .list = identity_group_name_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All groups by name." },
    { .pattern = "group/name/{name...}", .flags = ROUTE_LOWERED, .read = identity_group_name_read,
      .write = identity_group_name_write, .delete_ = identity_group_name_delete,
      .fields = FIELDS(GROUP_FIELDS),
      .help = "A group by its name, whatever its case; a write makes it." },
    { .pattern = "group-alias", .write = identity_group_alias_write,
      .fields = FIELDS({ "id", FIELD_STRING, "which; absent: that of canonical_id" }, GROUP_ALIAS_FIELDS),
      .help = "What logins of a mount call an external group." },
    { .pattern = "group-alias/id", .list = identity_group_alias_list, .fields = FIELDS(LISTED_FIELDS),
      .help = "All groups' aliases by id." },
    { .pattern = "group-alias/id/{id}", .read = identity_group_alias_read,
      .write = identity_group_alias_write, .delete_ = identity_group_alias_delete,
      .fields = FIELDS(GROUP_ALIAS_FIELDS),
      .help = "A group's alias by its id." },
    { .pattern = "lookup/entity", .write = identity_lookup_entity, .fields = LOOKUP_FIELDS,
      .help = "Finds an entity; 204 when there is none." },
    { .pattern = "lookup/group", .write = identity_lookup_group, .fields = LOOKUP_FIELDS,
      .help = "Finds a group; 204 when there is none." },
};
/* clang-format on */

const struct engine identity_engine = {
    .type = "identity",
    .help = "Identities: entities, their aliases, groups.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
