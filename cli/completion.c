/* cli/completion.c - see cli/completion.h. */
#include "cli/completion.h"

#include <string.h>

#include "cli/commands.h"

/* What a command's first word is, when the vault knows which there are (cmd_complete.c). */
static const struct live {
    const char *kind, *usage, *family; /* family: "" for any */
} lives[] = {
    {"kv", "PATH", "kv "},         {"kv", "SECRET NAME", "schedule "},
    {"rotated", "SECRET", ""},     {"rotated", "RUN|SECRET", "run "},
    {"target", "NAME", "target "}, {"policy", "NAME", "policy "},
};

static const char *live_kind(const struct command *command)
{
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++)
        if (strncmp(command->usage, lives[i].usage, strlen(lives[i].usage)) == 0 &&
            strncmp(command->words, lives[i].family, strlen(lives[i].family)) == 0)
            return lives[i].kind;
    return NULL;
}

static bool seen_before(size_t at, const char *word, size_t len)
{
    for (size_t i = 0; i < at; i++)
        if (strncmp(command_at(i)->words, word, len) == 0 &&
            (command_at(i)->words[len] == ' ' || command_at(i)->words[len] == '\0'))
            return true;
    return false;
}

static void add_first_words(struct kt_buf *out)
{
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        size_t len = strcspn(command->words, " ");
        if ((command->traits & COMMAND_HIDDEN) != 0)
            continue;
        if (!seen_before(i, command->words, len))
            kt_buf_printf(out, "%.*s ", (int)len, command->words);
        if (command->alias != NULL)
            kt_buf_printf(out, "%s ", command->alias);
    }
}

static void add_flags_of(struct kt_buf *out, const struct command *command)
{
    enum flag_id ids[FLAG_ID_COUNT];
    size_t count = command_flags(command, ids);
    for (size_t i = 0; i < count; i++)
        kt_buf_printf(out, "-%s%s ", cli_flag_table[ids[i]].name,
                      cli_flag_table[ids[i]].kind == FLAG_SWITCH ? "" : "=");
}

/* Exactly the command's own words: what comes is the first behind them. */
static void add_live(struct kt_buf *out)
{
    kt_buf_add_text(out, "    case \"${words[*]-} \" in\n");
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        const char *kind = live_kind(command);
        if (kind == NULL)
            continue;
        kt_buf_printf(out, "    '%s '", command->words);
        if (command->alias != NULL)
            kt_buf_printf(out, "|'%s '", command->alias);
        kt_buf_printf(out, ") live=%s;;\n", kind);
    }
    /* Then another vault is meant, or another part of it, than the one that would be asked. */
    kt_buf_add_text(
        out, "    esac\n"
             "    for w in \"${COMP_WORDS[@]}\"; do\n"
             "        [[ $w =~ ^--?(address|ca-cert|client-cert|client-key|tls-server-name|namespace|ns|mount)(=|$) ]] "
             "&& live=''\n"
             "    done\n");
}

void completion_bash(struct kt_buf *out)
{
    kt_buf_add_text(
        out,
        "# Completion of secretctl for bash, made by `secretctl completion bash`.\n"
        "_secretctl()\n{\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} words=() w before='' next='' flags='' live=''\n"
        "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
        "        [[ $w == -* || $w == [=:] || $before == [=:] ]] || words+=(\"$w\")\n"
        "        before=$w\n"
        "    done\n"
        "    case \"${words[0]-}\" in\n"
        "    '') next='");
    add_first_words(out);
    kt_buf_add_text(out, "';;\n");
    for (size_t i = 0; i < command_count(); i++) {
        const char *words = command_at(i)->words;
        size_t len = strcspn(words, " ");
        if (words[len] == '\0' || seen_before(i, words, len))
            continue;
        kt_buf_printf(out, "    %.*s) [[ ${#words[@]} -gt 1 ]] || next='", (int)len, words);
        for (size_t k = i; k < command_count(); k++)
            if (strncmp(command_at(k)->words, words, len + 1) == 0 &&
                (command_at(k)->traits & COMMAND_HIDDEN) == 0)
                kt_buf_printf(out, "%s ", command_at(k)->words + len + 1);
        kt_buf_add_text(out, "';;\n");
    }
    kt_buf_add_text(out, "    esac\n    case \"${words[*]-} \" in\n");
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        if ((command->traits & COMMAND_HIDDEN) != 0)
            continue;
        kt_buf_printf(out, "    '%s '*", command->words);
        if (command->alias != NULL)
            kt_buf_printf(out, "|'%s '*", command->alias);
        kt_buf_add_text(out, ") flags='");
        add_flags_of(out, command);
        kt_buf_add_text(out, "';;\n");
    }
    kt_buf_add_text(out, "    esac\n");
    add_live(out);
    kt_buf_add_text(
        out,
        "    if [[ $cur == -* ]]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"-${cur#\"${cur%%[!-]*}\"}\")\n"
        "        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace\n"
        "    elif [[ -n $next ]]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$next\" -- \"$cur\")\n"
        "    elif [[ -n $live ]]; then\n"
        "        mapfile -t COMPREPLY < <(\"$1\" complete \"$live\" -- \"$cur\" </dev/null 2>/dev/null)\n"
        "        compopt +o default -o filenames\n"
        "        [[ ${COMPREPLY-} == */ ]] && compopt -o nospace\n"
        "    fi\n"
        "}\n"
        "complete -o default -F _secretctl secretctl\n");
}
