/* Any text as a configuration: it is read or refused with a reason, and nothing else happens. */
#include <stdlib.h>

#include "vaultd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct findings findings;
    struct config config = {0};
    struct kt_err err = {0};
    findings = (struct findings){0};
    enum kt_kind kind = config_parse(kt_bytes(data, size), "fuzz", &config, &findings, &err);
    if ((kind == KT_OK &&
         (findings.errors != 0 || !config.has_storage || config.n_listeners == 0)) ||
        (kind != KT_OK && err.what[0] == '\0'))
        abort();
    if (kind == KT_OK)
        config_free(&config);
    return 0;
}
