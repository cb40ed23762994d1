/* lib/driver/pg_target.c - what the PostgreSQL driver does while it may still open files: checks
 * the step, looks the host up, puts the trusted certificates into memory. */
#include "lib/driver/postgresql.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/driver/pg_session.h"
#include "lib/scram.h"
#include "lib/write.h"

#define ROLE_MAX  ((size_t)63)
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

static bool lacks(const char *text)
{
    return text == NULL || text[0] == '\0';
}

static bool incomplete(const struct driver_run *run, struct driver_result *ret, const char *what)
{
    return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "the step lacks %s", what);
}

/* A longer name is cut by the server without a word: it would be another role. */
static bool too_long(const char *name)
{
    return name != NULL && strlen(name) > ROLE_MAX;
}

static bool check_names(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool bad = too_long(step->account) || too_long(step->other_account) || too_long(step->group) ||
               too_long(step->target.database);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        bad = bad || too_long(step->logins[who].username);
    return !bad || kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                                 "PostgreSQL's names have at most %zu bytes", ROLE_MAX);
}

static bool check_needs(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool setting = step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
    if (lacks(step->target.host) || lacks(step->target.database) || step->target.port == 0)
        return incomplete(run, ret, "the target's host, port or database");
    if (step->op != DRIVER_VERIFY && step->op != DRIVER_PROBE &&
        step->logins[DRIVER_ADMIN].username == NULL)
        return incomplete(run, ret, "the administrative login");
    if (step->op == DRIVER_VERIFY && step->logins[DRIVER_NEW].username == NULL)
        return incomplete(run, ret, "the login to verify");
    if (step->op != DRIVER_VERIFY && step->op != DRIVER_PROBE && lacks(step->account))
        return incomplete(run, ret, "the account");
    if (setting && (lacks(step->run) || lacks(step->digest)))
        return incomplete(run, ret, "the run or the digest of the public part");
    /* PostgreSQL takes anything else for a password, hashes it, and says that all is well. */
    if (setting && !kt_scram_is_verifier(step->public_part))
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "verifier",
                             "the public part is not a SCRAM-SHA-256 verifier; nothing was sent");
    return true;
}

static bool check_sslmode(const struct driver_run *run, struct driver_result *ret)
{
    static const char *const modes[] = {"verify-full", "verify-ca", "require", "disable"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(run->step->target.sslmode, modes[i]) == 0)
            return true;
    }
    return kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                         "sslmode must be verify-full, verify-ca, require or disable");
}

static bool resolve(const struct driver_run *run, struct pg_target *target,
                    struct driver_result *ret)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(run->step->target.host, NULL, &hints, &list);
    if (rc != 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "resolve", "no address for host '%s': %s",
                             run->step->target.host, gai_strerror(rc));
    for (const struct addrinfo *at = list; at != NULL && target->n_addresses < PG_ADDRESSES_MAX;
         at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, target->addresses[target->n_addresses],
                        PG_ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST) == 0)
            target->n_addresses++;
    }
    freeaddrinfo(list);
    target->chosen = target->n_addresses == 1 ? 0 : target->n_addresses;
    if (target->n_addresses == 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "resolve", "no usable address for host '%s'",
                             run->step->target.host);
    return true;
}

static bool copy_system_ca(int to)
{
    kt_autoclose int from = open(SYSTEM_CA, O_RDONLY | O_CLOEXEC);
    char part[16384];
    ssize_t n = 0;
    while (from >= 0 && (n = read(from, part, sizeof(part))) > 0) {
        if (!kt_write_all(to, kt_bytes(part, (size_t)n)))
            return false;
    }
    return from >= 0 && n == 0;
}

/* libpq wants a path. The memory file stays open, so that its path works without a file tree. */
static bool keep_ca(const struct driver_run *run, struct pg_target *target,
                    struct driver_result *ret)
{
    const char *ca = run->step->target.ca;
    bool verify = strncmp(run->step->target.sslmode, "verify", 6) == 0;
    if (!verify && lacks(ca))
        return true;
    int fd = memfd_create("ca", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "tls",
                             "no memory for the target's CA certificates");
    if (!(lacks(ca) ? copy_system_ca(fd) : kt_write_all(fd, kt_str(ca)))) {
        (void)close(fd);
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "tls",
                             "no CA certificates to verify the server with: give the target a `ca` "
                             "(PEM text), or install " SYSTEM_CA);
    }
    /* Sealing is a second lock: the sandbox lets nothing be opened for writing. */
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    (void)!snprintf(target->ca_path, sizeof(target->ca_path), "/proc/self/fd/%d", fd);
    return true;
}

/* OpenSSL, which libpq was built with, reads its settings from files when it is first used. */
static void start_openssl(void)
{
    union {
        void *object;
        int (*function)(uint64_t options, const void *settings);
    } init = {.object = dlsym(RTLD_DEFAULT, "OPENSSL_init_ssl")};
    if (init.object != NULL)
        (void)init.function(0, NULL);
}

bool kt_postgresql_prepare(struct driver_run *run, struct driver_result *ret)
{
    struct pg_target *target = kt_arena_take(run->arena, sizeof(*target));
    if (target == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    if (!check_names(run, ret) || !check_needs(run, ret) || !check_sslmode(run, ret))
        return false;
    run->own = target;
    start_openssl();
    if (run->step->target.host[0] == '/')
        return true; /* a socket folder: nothing to look up, no TLS */
    target->tls = strcmp(run->step->target.sslmode, "disable") != 0;
    return (!target->tls || keep_ca(run, target, ret)) && resolve(run, target, ret);
}
