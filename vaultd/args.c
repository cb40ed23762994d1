#include "vaultd/args.h"

#include <stddef.h>

#include "lib/nearest.h"

struct flag {
    const char *name, *value; /* what stands for the value in the help; NULL: it takes none */
    size_t offset;
    const char *help;
};

#define AT(field) offsetof(struct args, field)
/* clang-format off */
static const struct flag flags[] = {
    {"config", "FILE", AT(config), "serve with this configuration (HCL or JSON)"},
    {"check", NULL, AT(check), "name every mistake in the configuration, change nothing, exit 0 or 1"},
    {"settings", NULL, AT(settings), "list every setting of the configuration with its default"},
    {"user", "NAME", AT(user), "whom to become when started as root (keyturn)"},
    {"log-level", "LEVEL", AT(log_level), "error, warn, notice or info"},
    {"dev", NULL, AT(dev), "try it out: unsealed, in a folder that goes away, on loopback"},
    {"dev-root-token-id", "TOKEN", AT(dev_root_token_id), "the root token's text (random)"},
    {"dev-listen-address", "HOST:PORT", AT(dev_listen_address), "where to listen (127.0.0.1:8200)"},
    {"dev-tls", NULL, AT(dev_tls), "serve TLS with a certificate made for the occasion"},
    {"dev-no-store-token", NULL, AT(dev_no_store_token), "leave ~/.vault-token as it is"},
    {"version", NULL, AT(version), "print the version"},
    {"help", NULL, AT(help), "print this"},
};
/* clang-format on */
#define FLAGS (sizeof flags / sizeof flags[0])

static const struct flag *find(const char *name, size_t len)
{
    if (len == 1 && (name[0] == 'h' || name[0] == 'v')) {
        name = name[0] == 'h' ? "help" : "version";
        len = strlen(name);
    }
    for (size_t i = 0; i < FLAGS; i++)
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

static enum kt_kind unknown(const char *word, const char *name, size_t len, struct kt_err *err)
{
    const char *names[FLAGS + 1] = {0};
    char typed[64] = "";
    for (size_t i = 0; i < FLAGS; i++)
        names[i] = flags[i].name;
    if (len < sizeof typed)
        memcpy(typed, name, len);
    const char *nearest = kt_nearest(typed, names);
    enum kt_kind kind = kt_fail(err, KT_INVALID, "unknown argument '%.*s'",
                                (int)(name - word) + (int)(len < 100 ? len : 100), word);
    if (nearest != NULL)
        kt_hint(err, "did you mean --%s?", nearest);
    else
        kt_hint(err, "vaultd --help lists them all");
    return kind;
}

enum kt_kind args_parse(int argc, char *const *argv, struct args *ret, struct kt_err *err)
{
    struct args args = {0};
    int first = argc > 1 && strcmp(argv[1], "server") == 0 ? 2 : 1;
    for (int i = first; i < argc; i++) {
        const char *word = argv[i];
        const char *name = word + strspn(word, "-");
        size_t dashes = (size_t)(name - word), len = strcspn(name, "=");
        const struct flag *flag = dashes == 1 || dashes == 2 ? find(name, len) : NULL;
        if (flag == NULL)
            return unknown(word, name, len, err);
        char *at = (char *)&args + flag->offset;
        if (flag->value == NULL) {
            if (name[len] == '=')
                return kt_fail(err, KT_INVALID, "--%s takes no value", flag->name);
            *(bool *)at = true;
            continue;
        }
        const char *value = name[len] == '=' ? name + len + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL || value[0] == '\0')
            return kt_fail(err, KT_INVALID, "--%s needs a value: --%s=%s", flag->name, flag->name,
                           flag->value);
        memcpy(at, &value, sizeof value);
    }
    *ret = args;
    return KT_OK;
}

void args_help(struct kt_buf *out)
{
    kt_buf_add_text(out, "vaultd keeps secrets and rotates them.\n\n"
                         "  vaultd --dev                try it out on this machine\n"
                         "  vaultd --config FILE        serve; secretctl operator init comes next\n"
                         "  vaultd --config FILE --check\n\n");
    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];
        size_t width = 2 + strlen(flag->name);
        kt_buf_printf(out, "  --%s", flag->name);
        if (flag->value != NULL) {
            kt_buf_printf(out, " %s", flag->value);
            width += 1 + strlen(flag->value);
        }
        for (; width < 32; width++)
            kt_buf_add_char(out, ' ');
        kt_buf_printf(out, "  %s\n", flag->help);
    }
    kt_buf_add_text(out, "\nSIGHUP reads certificates and log_level anew and reopens audit files; "
                         "SIGTERM stops.\n");
}
