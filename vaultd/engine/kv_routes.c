#include "vaultd/engine/kv_routes.h"

#include "vaultd/engine/kv_handlers.h"

static enum kt_kind wrong_path(struct request *req, struct kt_err *err)
{
    (void)err;
    request_warn(req, "Invalid path for a versioned K/V secrets engine. See the API docs for the "
                      "appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' "
                      "for this operation.");
    req->reply.status = 404;
    return KT_OK;
}

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct field metadata_fields[] = {
    { "max_versions", FIELD_INT, "how many versions are kept; 0: the mount's" },
    { "cas_required", FIELD_BOOL, "writes must name the version they replace" },
    { "delete_version_after", FIELD_SIGNED_DURATION, "versions delete themselves; negative: never" },
    { "custom_metadata", FIELD_ANY, "at most 64 strings" },
    { NULL, FIELD_ANY, NULL },
};

static const struct field import_fields[] = {
    { "cas", FIELD_INT, "the secret's current version here, 0 when it has none" },
    { "replace", FIELD_BOOL, "all of it comes in the place of what is there, which is deleted" },
    { "versions", FIELD_ANY, "at most 25, ascending: version, data, created_time, deletion_time, destroyed" },
    { "created_time", FIELD_STRING, "when the secret was made" },
    { "updated_time", FIELD_STRING, "when it was last written" },
    { "max_versions", FIELD_INT, "how many versions are kept; 0: the mount's" },
    { "cas_required", FIELD_BOOL, "writes must name the version they replace" },
    { "delete_version_after", FIELD_SIGNED_DURATION, "versions delete themselves; negative: never" },
    { "custom_metadata", FIELD_ANY, "at most 64 strings" },
    { NULL, FIELD_ANY, NULL },
};

static const struct route routes[] = {
    { .pattern = "data/{path...}", .read = kv_read, .write = kv_put, .patch = kv_patch,
      .delete_ = kv_delete_latest, .exists = kv_exists, .body_max = 2 * 1024 * 1024,
      .fields = FIELDS({ "data", FIELD_MAP, "the secret" }, { "options", FIELD_MAP, "cas" },
                       { "version", FIELD_INT, "which version" }),
      .help = "Reads, writes and deletes a secret." },
    { .pattern = "metadata/{path...?}", .read = kv_metadata_read, .list = kv_list,
      .write = kv_metadata_write, .patch = kv_metadata_patch, .delete_ = kv_metadata_delete,
      .exists = kv_exists, .fields = metadata_fields,
      .help = "A secret's versions and settings; lists names." },
    { .pattern = "metadata", .list = kv_list, .help = "Lists names." },
    { .pattern = "delete/{path...}", .write = kv_delete_versions,
      .fields = FIELDS({ "versions", FIELD_INT_LIST, "which" }),
      .help = "Deletes versions; they can come back." },
    { .pattern = "undelete/{path...}", .write = kv_undelete,
      .fields = FIELDS({ "versions", FIELD_INT_LIST, "which" }),
      .help = "Brings deleted versions back." },
    { .pattern = "destroy/{path...}", .write = kv_destroy_versions,
      .fields = FIELDS({ "versions", FIELD_INT_LIST, "which" }),
      .help = "Destroys versions for good." },
    { .pattern = "subkeys/{path...}", .read = kv_subkeys,
      .fields = FIELDS({ "version", FIELD_INT, "which version" }, { "depth", FIELD_INT, "levels" }),
      .help = "The names inside a secret, without values." },
    { .pattern = "import/{path...}", .flags = ROUTE_SUDO, .write = kv_import, .exists = kv_exists,
      .fields = import_fields,
      .help = "Adds versions as they were in another vault: numbers, times, states." },
    { .pattern = "copy/{path...}", .write = kv_copy,
      .fields = FIELDS({ "to", FIELD_STRING, "where to, with its mount: \"secret/db/orders\"" }),
      .help = "Copies a secret with its versions, unread, to where there is none." },
    { .pattern = "move/{path...}", .write = kv_move,
      .fields = FIELDS({ "to", FIELD_STRING, "where to, with its mount: \"secret/db/orders\"" }),
      .help = "Moves a secret with its versions, unread, to where there is none." },
    { .pattern = "config", .flags = ROUTE_OF_MOUNT, .read = kv_config_read, .write = kv_config_write,
      .fields = FIELDS({ "max_versions", FIELD_INT, "how many versions are kept" },
                       { "cas_required", FIELD_BOOL, "writes must name the version they replace" },
                       { "delete_version_after", FIELD_SIGNED_DURATION, "versions delete themselves" }),
      .help = "Settings of the mount." },
};
/* clang-format on */

const struct engine kv_v2_engine = {
    .type = "kv",
    .version = "2",
    .help = "Versioned key-value secrets.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .unmatched = wrong_path,
};
