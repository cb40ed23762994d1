/* cli/kv_place.c - see cli/kv_place.h. */
#include "cli/kv_place.h"

#include <stdio.h>

#include "cli/cli.h"

/* "secret/" + "data/db" was meant as "secret/" + "db" when it comes from a policy or from curl. */
static const char *without_part(struct cli *cli, const struct kt_api_mount *mount, const char *path)
{
    static const char *const parts[] = {"data/", "metadata/"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t len = strlen(parts[i]);
        if (strncmp(path, parts[i], len) != 0 || path[len] == '\0')
            continue;
        cli_note(cli, "note   '%s' belongs to the API's path, not to the secret's: %s%s", parts[i],
                 mount->path, path + len);
        return path + len;
    }
    return path;
}

static bool fits(struct cli *cli, struct kv_place *place, const char *inside)
{
    if (strlen(inside) < sizeof place->path) {
        (void)snprintf(place->path, sizeof place->path, "%s", inside);
        (void)snprintf(place->secret, sizeof place->secret, "%s%s", place->mount.path, inside);
        return true;
    }
    cli->exit_code = cli_wrong(cli, "", "the path is too long");
    return false;
}

/* A cubbyhole takes the same requests as KV version 1; "generic" is that one's old name. */
static bool holds_secrets(const struct kt_api_mount *mount)
{
    static const char *const types[] = {"kv", "cubbyhole", "generic"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(mount->type, types[i]) == 0)
            return true;
    return false;
}

bool kv_place_find(struct cli *cli, const char *word, struct kv_place *ret)
{
    struct kt_err err = {0};
    struct kv_place place = {0};
    const char *mount = flags_text(&cli->flags, FLAG_MOUNT);
    if (!cli_open(cli))
        return false;
    while (*word == '/')
        word++;
    const char *asked = mount != NULL ? mount : word;
    enum kt_kind kind = kt_api_mount_of(cli->api, asked, &place.mount, &err);
    if (kind == KT_DENIED) {
        bool invalid = strstr(err.what, "invalid token") != NULL;
        if (cli->token == NULL)
            cli_note(cli, "Error: there is no token");
        else if (invalid)
            cli_note(cli, "Error: the token is not valid: it expired, was revoked or mistyped");
        else
            cli_note(cli, "Error: there is no KV mount for '%.200s' that this token may see",
                     asked);
        cli_note(cli, "next   %s",
                 cli->token == NULL || invalid
                     ? "secretctl login, or VAULT_TOKEN"
                     : "secretctl secrets list; a policy has to grant something "
                       "below the mount");
        cli->exit_code = cli_remote_code(cli);
        return false;
    }
    if (kind != KT_OK) {
        if (err.hint[0] == '\0' && cli_next_of(&err) != NULL)
            kt_hint(&err, "%s", cli_next_of(&err));
        (void)cli_fail(cli, &err);
        cli->exit_code = cli_remote_code(cli);
        return false;
    }
    if (!holds_secrets(&place.mount)) {
        cli->exit_code = cli_wrong(cli, "secretctl secrets list", "%s is of type %s: no KV mount",
                                   place.mount.path, place.mount.type);
        return false;
    }
    size_t len = strlen(place.mount.path);
    const char *inside = word;
    if (mount == NULL)
        inside = strncmp(word, place.mount.path, len) == 0 ? word + len : "";
    if (mount == NULL && place.mount.version == 2)
        inside = without_part(cli, &place.mount, inside);
    if (!fits(cli, &place, inside))
        return false;
    *ret = place;
    return true;
}

bool kv_place_find_versioned(struct cli *cli, const char *word, struct kv_place *ret)
{
    char hint[sizeof ret->mount.path + 40];
    if (!kv_place_find(cli, word, ret))
        return false;
    if (ret->mount.version == 2)
        return true;
    (void)snprintf(hint, sizeof hint, "secretctl kv enable-versioning %s", ret->mount.path);
    cli->exit_code = cli_wrong(cli, hint, "%s is a KV mount of version 1, which keeps one value a secret",
                               ret->mount.path);
    return false;
}

bool kv_place_enter(struct kv_place *place)
{
    size_t len = strlen(place->path), whole = strlen(place->secret);
    if (len + 2 > sizeof place->path || whole + 2 > sizeof place->secret)
        return false;
    memcpy(place->path + len, "/", 2);
    memcpy(place->secret + whole, "/", 2);
    return true;
}

void kv_place_path(const struct kv_place *place, const char *part, char out[KV_API_PATH])
{
    bool versioned = place->mount.version == 2;
    (void)snprintf(out, KV_API_PATH, "%s%s%s%s", place->mount.path, versioned ? part : "",
                   versioned ? "/" : "", place->path);
}
