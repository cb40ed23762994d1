/* cli/commands.c - see cli/commands.h. The groups stand in the order of the help. */
#include "cli/commands.h"

#include <string.h>

#include "cli/command_rows.h"
#include "lib/assert.h"

const char *const command_group_titles[GROUP_COUNT] = {
    [GROUP_SECRETS] = "Keep secrets",       [GROUP_ROTATION] = "Rotate them",
    [GROUP_FLEET] = "See who uses them",    [GROUP_AUDIT] = "Prove what happened",
    [GROUP_ACCESS] = "Say who may do what", [GROUP_VAULT] = "Run the vault",
    [GROUP_MOVING] = "Move in and out",    [GROUP_SELF] = "This program",
};

static const enum flag_id common_flags[] = {
    FLAG_ADDRESS, FLAG_CA_CERT, FLAG_CLIENT_CERT, FLAG_CLIENT_KEY, FLAG_TLS_SERVER_NAME,
    FLAG_NAMESPACE, FLAG_CURL,
};

const struct command_flag field_flags[] = {{FLAG_FIELD, NULL}, END};
const struct command_flag verify_flags[] = {
    {FLAG_KEY, NULL}, {FLAG_CHECKPOINT, NULL}, {FLAG_PARTIAL, NULL}, END};

/* ---- the list ------------------------------------------------------------------------------ */

static const struct command_rows *const groups[GROUP_COUNT] = {
    [GROUP_SECRETS] = &commands_secrets, [GROUP_ROTATION] = &commands_rotation,
    [GROUP_FLEET] = &commands_fleet,     [GROUP_AUDIT] = &commands_audit,
    [GROUP_ACCESS] = &commands_access,   [GROUP_MOVING] = &commands_moving,
    [GROUP_VAULT] = &commands_vault,     [GROUP_SELF] = &commands_self,
};

size_t command_count(void)
{
    size_t count = 0;
    for (size_t group = 0; group < GROUP_COUNT; group++)
        count += groups[group]->count;
    return count;
}

const struct command *command_at(size_t i)
{
    size_t group = 0;
    while (group < GROUP_COUNT && i >= groups[group]->count)
        i -= groups[group++]->count;
    KT_ASSERT(group < GROUP_COUNT);
    return &groups[group]->rows[i];
}

/* ---- one of it ----------------------------------------------------------------------------- */

bool command_has_alias(const struct command *command, const char *word)
{
    return command->alias != NULL && strcmp(command->alias, word) == 0;
}

/* How many of the words are the command's; 0 when it is not this one. */
static size_t words_used(const struct command *command, const char *const *words, size_t count)
{
    const char *at = command->words;
    size_t used = 0;
    while (*at != '\0') {
        size_t len = strcspn(at, " ");
        if (used == count || strlen(words[used]) != len || strncmp(words[used], at, len) != 0)
            return 0;
        used++;
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    return used;
}

const struct command *command_find(const char *const *words, size_t count, size_t *ret_used)
{
    const struct command *found = NULL;
    size_t most = 0;
    for (size_t i = 0; i < command_count(); i++) {
        size_t used = words_used(command_at(i), words, count);
        if (used == 0 && count > 0 && command_has_alias(command_at(i), words[0]))
            used = 1;
        if (used > most) {
            most = used;
            found = command_at(i);
        }
    }
    *ret_used = most;
    return found;
}

size_t command_flags(const struct command *command, enum flag_id ret[FLAG_ID_COUNT])
{
    size_t count = 0;
    for (const struct command_flag *use = command->flags; use != NULL && use->id != FLAG_ID_COUNT;
         use++)
        ret[count++] = use->id;
    for (size_t i = 0;
         (command->traits & COMMAND_LOCAL) == 0 && i < sizeof common_flags / sizeof common_flags[0];
         i++)
        ret[count++] = common_flags[i];
    ret[count++] = FLAG_FORMAT;
    ret[count++] = FLAG_HELP;
    return count;
}
