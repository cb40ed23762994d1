/* tests/support/host_names_shim.c - a host that knows its accounts by two names each, as directories do:
 * NAME@kt.test is the account NAME. Preloaded into vaultd-pam; nothing of it is installed. */
#include <dlfcn.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define DOMAIN "@kt.test"

typedef struct passwd *find_fn(const char *name);

struct passwd *getpwnam(const char *name)
{
    union {
        void *at;
        find_fn *fn;
    } next = {.at = dlsym(RTLD_NEXT, "getpwnam")};
    char short_name[256];
    size_t len = strlen(name), domain = strlen(DOMAIN);
    if (len > domain && len < sizeof short_name && strcmp(name + len - domain, DOMAIN) == 0) {
        (void)snprintf(short_name, sizeof short_name, "%.*s", (int)(len - domain), name);
        name = short_name;
    }
    return next.fn(name);
}
