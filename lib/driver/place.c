/* lib/driver/place.c - see lib/driver/place.h. */
#include "lib/driver/place.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"
#include "lib/system_ca.h"
#include "lib/write.h"

#define CONNECT_MS   5000u
#define STATEMENT_MS 10000u

/* ---- time ---------------------------------------------------------------------------------- */

uint32_t kt_place_connect_ms(const struct driver_run *run)
{
    uint32_t ms = run->step->target.connect_timeout_ms;
    return ms == 0 ? CONNECT_MS : ms;
}

uint32_t kt_place_statement_ms(const struct driver_run *run)
{
    uint32_t ms = run->step->target.statement_timeout_ms;
    return ms == 0 ? STATEMENT_MS : ms;
}

int64_t kt_place_deadline(const struct driver_run *run, uint32_t ms)
{
    int64_t deadline = kt_ipc_deadline(ms);
    return deadline < run->deadline ? deadline : run->deadline;
}

bool kt_place_wait(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - kt_ipc_deadline(0);
        struct pollfd entry = {.fd = fd, .events = events};
        int n = left <= 0 ? 0 : poll(&entry, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

/* ---- finding ------------------------------------------------------------------------------- */

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

static bool resolve(const struct driver_run *run, struct driver_place *place,
                    struct driver_result *ret)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(run->step->target.host, NULL, &hints, &list);
    if (rc != 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "resolve", "no address for host '%s': %s",
                             run->step->target.host, gai_strerror(rc));
    for (const struct addrinfo *at = list; at != NULL && place->n_addresses < PLACE_ADDRESSES_MAX;
         at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, place->addresses[place->n_addresses],
                        PLACE_ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST) == 0)
            place->n_addresses++;
    }
    freeaddrinfo(list);
    place->chosen = place->n_addresses == 1 ? 0 : place->n_addresses;
    if (place->n_addresses == 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "resolve", "no usable address for host '%s'",
                             run->step->target.host);
    return true;
}

/* Client libraries want a path. The memory file stays open, so that its path works without a file
 * tree. */
static bool keep_ca(const struct driver_run *run, struct driver_place *place,
                    struct driver_result *ret)
{
    const char *ca = run->step->target.ca;
    bool verify = strncmp(run->step->target.sslmode, "verify", 6) == 0;
    if (!verify && kt_step_lacks(ca))
        return true;
    int fd = memfd_create("ca", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "tls",
                             "no memory for the target's CA certificates");
    if (!(kt_step_lacks(ca) ? kt_system_ca_copy(fd) : kt_write_all(fd, kt_str(ca)))) {
        (void)close(fd);
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "tls",
                             "no CA certificates to verify the server with: give the target a `ca` "
                             "(PEM text), or install " KT_SYSTEM_CA);
    }
    /* Sealing is a second lock: the sandbox lets nothing be opened for writing. */
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    (void)!snprintf(place->ca_path, sizeof(place->ca_path), "/proc/self/fd/%d", fd);
    return true;
}

/* OpenSSL, which the client libraries were built with, reads its settings from files when it is
 * first used. */
static void start_openssl(void)
{
    union {
        void *object;
        int (*function)(uint64_t options, const void *settings);
    } init = {.object = dlsym(RTLD_DEFAULT, "OPENSSL_init_ssl")};
    if (init.object != NULL)
        (void)init.function(0, NULL);
}

bool kt_place_find(const struct driver_run *run, struct driver_place *place,
                   struct driver_result *ret)
{
    *place = (struct driver_place){.tls = false};
    if (!check_sslmode(run, ret))
        return false;
    start_openssl();
    if (run->step->target.host[0] == '/')
        return true; /* a socket: nothing to look up, no TLS */
    place->tls = strcmp(run->step->target.sslmode, "disable") != 0;
    return (!place->tls || keep_ca(run, place, ret)) && resolve(run, place, ret);
}

/* ---- choosing ------------------------------------------------------------------------------ */

/* A TCP connection that is given up again: is anybody there? */
static bool answers(const char *address, uint32_t port, int64_t deadline)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    bool is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, address, &six.sin6_addr) != 1)
        return false;
    const struct sockaddr *at =
        is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    socklen_t size = is_four ? sizeof(four) : sizeof(six);
    kt_autoclose int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    if (connect(fd, at, size) == 0)
        return true;
    int error = 0;
    socklen_t error_size = sizeof(error);
    return errno == EINPROGRESS && kt_place_wait(fd, POLLOUT, deadline) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 && error == 0;
}

const char *kt_place_address(const struct driver_run *run, struct driver_place *place)
{
    if (place->n_addresses == 0)
        return NULL;
    if (place->chosen < place->n_addresses)
        return place->addresses[place->chosen];
    uint32_t each = kt_place_connect_ms(run) / 2;
    for (size_t i = 0; i + 1 < place->n_addresses; i++) {
        place->chosen = i;
        if (answers(place->addresses[i], run->step->target.port, kt_place_deadline(run, each)))
            return place->addresses[i];
    }
    place->chosen = place->n_addresses - 1;
    return place->addresses[place->chosen];
}
