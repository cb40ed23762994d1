#include "vaultd/worker/cell.h"

#include "lib/sandbox.h"

enum kt_kind cell_enter(const struct driver_target *target, uint32_t *ret_missing, struct kt_err *err)
{
    uint16_t port = (uint16_t)target->port;
    bool local = target->host[0] == '/';
    const struct kt_sandbox sandbox = {
        .calls = local ? KT_CALLS_LOCAL_CLIENT : KT_CALLS_CLIENT,
        .limit_files = true,
        .limit_connect = true,
        .connect_ports = &port,
        .n_connect_ports = local ? 0 : 1,
        .limit_scope = true,
    };
    return kt_sandbox_enter(&sandbox, ret_missing, err);
}

/* What programs and their interpreters read to come up, to find an address and to check a certificate. No
 * settings of services, and no /tmp. */
static const char *const system_read[] = {
    "/proc", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/etc/ld.so.cache", "/etc/alternatives",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
    "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/localtime", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki", "/etc/python3", "/etc/python3.11",
    "/etc/python3.12", "/etc/python3.13", "/etc/perl", "/run/systemd/resolve"};
static const char *const system_run[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"};
static const char *const system_write[] = {"/dev/null"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define PATHS_MAX   (COUNT(system_read) + (size_t)2 * PROGRAM_WORDS_MAX + 1)

struct paths {
    const char *at[PATHS_MAX]; /* a NULL ends */
    size_t n;
};

static void add(struct paths *paths, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i][0] == '/')
            paths->at[paths->n++] = list[i];
    paths->at[paths->n] = NULL;
}

enum kt_kind cell_enter_program(const struct kt_program *program, uint32_t *ret_missing, struct kt_err *err)
{
    struct paths read = {.n = 0}, run = {.n = 0}, write = {.n = 0};
    add(&read, system_read, COUNT(system_read));
    add(&read, program->command.at + 1, program->command.n - 1); /* a script for its interpreter */
    add(&read, program->read.at, program->read.n);
    add(&run, system_run, COUNT(system_run));
    add(&run, program->command.at, 1);
    add(&write, system_write, COUNT(system_write));
    add(&write, program->write.at, program->write.n);
    const struct kt_sandbox sandbox = {
        .calls = KT_CALLS_PROGRAM,
        .limit_files = true,
        .read_paths = read.at,
        .run_paths = run.at,
        .write_paths = write.at,
        .limit_scope = true,
    };
    return kt_sandbox_enter(&sandbox, ret_missing, err);
}
