#include "vaultd/engine/sys_mount.h"

#include "lib/duration.h"
#include "vaultd/core/mounts.h"

#define LIST_NAMES 64u  /* in one of a mount's lists */
#define LIST_NAME  128u /* bytes of each */
#define LISTS_MAX  2048u /* bytes of all names of a mount together: all mounts share one record */

static const char *const list_names[] = {
#define X(name, text, help) [name] = (text),
    MOUNT_LISTS_OF(X)
#undef X
};

/* ---- naming ---- */

const char *mount_wanted(struct request *req)
{
    const char *path = request_param(req, "path");
    size_t len = strlen(path);
    if (len > 0 && path[len - 1] == '/')
        return path;
    return kt_arena_printf(&req->arena, "%s/", path);
}

const struct mount *mount_exactly(struct request *req, const char *path)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->path, path) == 0)
            return all[i];
    return NULL;
}

bool mount_is_auth(const struct mount *mount)
{
    return strncmp(mount->path, "auth/", 5) == 0;
}

const char *mount_short_path(const struct mount *mount)
{
    return mount_is_auth(mount) ? mount->path + 5 : mount->path;
}

/* ---- showing ---- */

void mount_write_options(struct kt_jsonw *w, const struct mount *mount)
{
    kt_jsonw_key(w, "options");
    if (mount->version == NULL) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "version", mount->version);
    kt_jsonw_end(w);
}

void mount_write_set(struct kt_jsonw *w, const struct mount *mount)
{
    for (size_t i = 0; i < MOUNT_LISTS; i++) {
        if (mount->lists[i].n == 0)
            continue;
        kt_jsonw_key(w, list_names[i]);
        kt_jsonw_array(w);
        for (size_t k = 0; k < mount->lists[i].n; k++)
            kt_jsonw_text(w, mount->lists[i].at[k]);
        kt_jsonw_end(w);
    }
    if (mount->listing_visibility[0] != '\0')
        kt_jsonw_kv_text(w, "listing_visibility", mount->listing_visibility);
    if (mount_is_auth(mount))
        kt_jsonw_kv_text(w, "token_type",
                         mount->token_type[0] == '\0' ? "default-service" : mount->token_type);
}

void mount_write_info(struct kt_jsonw *w, const struct mount *mount, const char *path)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "accessor", mount->accessor);
    kt_jsonw_key(w, "config");
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "default_lease_ttl", mount->default_lease_ttl_s);
    kt_jsonw_kv_bool(w, "force_no_cache", mount->force_no_cache);
    kt_jsonw_kv_int(w, "max_lease_ttl", mount->max_lease_ttl_s);
    mount_write_set(w, mount);
    kt_jsonw_end(w);
    kt_jsonw_kv_text(w, "deprecation_status", "supported");
    kt_jsonw_kv_text(w, "description", mount->description);
    kt_jsonw_kv_bool(w, "external_entropy_access", false);
    kt_jsonw_kv_bool(w, "local", mount->local);
    mount_write_options(w, mount);
    if (path != NULL)
        kt_jsonw_kv_text(w, "path", path);
    kt_jsonw_kv_text(w, "plugin_version", "");
    kt_jsonw_kv_text(w, "running_plugin_version", "v" KT_VERSION "+builtin");
    kt_jsonw_kv_text(w, "running_sha256", "");
    kt_jsonw_kv_bool(w, "seal_wrap", mount->seal_wrap);
    kt_jsonw_kv_text(w, "type", mount->type);
    kt_jsonw_kv_text(w, "uuid", mount->uuid);
    kt_jsonw_end(w);
}

/* ---- reading settings ---- */

/* Absent is as good as given for what has a value already. */
static enum kt_kind optional(enum kt_kind kind)
{
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* "1h", "3600", "system" (back to the system's), "" (unchanged). */
static enum kt_kind read_ttl(struct request *req, const char *name, int64_t *ret, struct kt_err *err)
{
    const char *text = "";
    uint64_t ms = 0;
    enum kt_kind kind = optional(request_string(req, name, &text, err));
    if (kind != KT_OK || text[0] == '\0')
        return kind;
    if (strcmp(text, "system") == 0) {
        *ret = 0;
        return KT_OK;
    }
    if (kt_duration_parse(kt_str(text), &ms, NULL) != KT_OK)
        return kt_fail(err, KT_INVALID, "%s is not a duration such as \"1h\"", name);
    *ret = (int64_t)(ms / 1000);
    return KT_OK;
}

static enum kt_kind read_ttls(struct request *req, struct mount *mount, struct kt_err *err)
{
    enum kt_kind kind = read_ttl(req, "default_lease_ttl", &mount->default_lease_ttl_s, err);
    if (kind == KT_OK)
        kind = read_ttl(req, "max_lease_ttl", &mount->max_lease_ttl_s, err);
    if (kind == KT_OK && mount->max_lease_ttl_s != 0 &&
        mount->default_lease_ttl_s > mount->max_lease_ttl_s)
        return kt_fail(err, KT_INVALID,
                       "backend max lease TTL of %lld would be less than backend default lease TTL "
                       "of %lld",
                       (long long)mount->max_lease_ttl_s, (long long)mount->default_lease_ttl_s);
    return kind;
}

/* One of the words, NULL ends them; KT_INVALID when it is none. */
static enum kt_kind read_word(struct request *req, const char *name, const char *const *words,
                              const char *wrong, const char **ret, struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK)
        return optional(kind);
    for (; *words != NULL; words++)
        if (strcmp(*words, text) == 0) {
            *ret = *words;
            return KT_OK;
        }
    return kt_fail(err, KT_INVALID, "%s", wrong);
}

static enum kt_kind read_token_type(struct request *req, struct mount *mount, struct kt_err *err)
{
    static const char *const words[] = {"", "default-service", "service", NULL};
    const char *given = "";
    enum kt_kind kind = optional(request_string(req, "token_type", &given, err));
    if (kind != KT_OK || given[0] == '\0')
        return kind;
    if (!mount_is_auth(mount))
        return kt_fail(err, KT_INVALID, "'token_type' can only be modified on auth mounts");
    return read_word(req, "token_type", words,
                     "token_type must be default-service or service: there are no batch tokens",
                     &mount->token_type, err);
}

static enum kt_kind read_list(struct request *req, enum mount_list which, struct mount *mount,
                              struct kt_err *err)
{
    struct string_list list;
    enum kt_kind kind = request_list(req, list_names[which], true, &list, err);
    if (kind != KT_OK)
        return optional(kind);
    size_t n = 0;
    bool fits = true;
    for (size_t i = 0; i < list.n; i++) {
        fits = fits && strlen(list.at[i]) <= LIST_NAME;
        if (list.at[i][0] != '\0')
            list.at[n++] = list.at[i];
    }
    list.n = n;
    if (!fits || n > LIST_NAMES)
        return kt_fail(err, KT_INVALID, "%s has at most %u names of %u bytes", list_names[which],
                       LIST_NAMES, LIST_NAME);
    mount->lists[which] = list;
    return KT_OK;
}

static enum kt_kind check_lists(const struct mount *mount, struct kt_err *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < MOUNT_LISTS; i++)
        for (size_t k = 0; k < mount->lists[i].n; k++)
            bytes += strlen(mount->lists[i].at[k]);
    if (bytes <= LISTS_MAX)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "the names in a mount's lists (%s and the others) have at most %u bytes together",
                   list_names[0], LISTS_MAX);
}

enum kt_kind mount_read_description(struct request *req, struct mount *mount, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "description", &mount->description, err);
    if (kind == KT_OK && strlen(mount->description) > MOUNT_DESCRIPTION_MAX)
        return kt_fail(err, KT_INVALID, "description is longer than %u bytes", MOUNT_DESCRIPTION_MAX);
    return kind;
}

/* Vault's clients set it; there is no cache that it could keep a mount out of. */
static enum kt_kind read_no_cache(struct request *req, struct mount *mount, struct kt_err *err)
{
    bool wanted = false;
    enum kt_kind kind = request_bool(req, "force_no_cache", &wanted, err);
    if (kind != KT_OK)
        return optional(kind);
    mount->force_no_cache = wanted;
    if (wanted)
        request_warn(req, "\"force_no_cache\" changes nothing: each request reads the store, no mount's secrets are "
                          "kept beside it");
    return KT_OK;
}

enum kt_kind mount_read_settings(struct request *req, struct mount *mount, struct kt_err *err)
{
    static const char *const seen[] = {"", "hidden", "unauth", NULL};
    enum kt_kind kind = read_ttls(req, mount, err);
    if (kind == KT_OK)
        kind = read_no_cache(req, mount, err);
    if (kind == KT_OK)
        kind = read_word(req, "listing_visibility", seen,
                         "listing_visibility must be \"unauth\", \"hidden\" or empty",
                         &mount->listing_visibility, err);
    if (kind == KT_OK)
        kind = read_token_type(req, mount, err);
    for (unsigned i = 0; i < MOUNT_LISTS && kind == KT_OK; i++)
        kind = read_list(req, (enum mount_list)i, mount, err);
    return kind == KT_OK ? check_lists(mount, err) : kind;
}

enum kt_kind mount_read_version(struct request *req, const char **ret, struct kt_err *err)
{
    struct kt_bytes options = {0};
    struct kt_json version;
    enum kt_kind kind = request_pairs(req, "options", &options, err);
    if (kind != KT_OK)
        return kind;
    if (!kt_json_member(kt_json_value(options), "version", &version))
        return KT_NOT_FOUND;
    const char *text = kt_json_text(version, &req->arena);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"options\"");
    if (text[0] == '\0')
        return KT_NOT_FOUND;
    *ret = text;
    return KT_OK;
}
