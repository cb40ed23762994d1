/* bare - the limit that vaultd's reads are measured against.
 *
 * libmicrohttpd with vaultd's settings (epoll, a thread a core, connection memory, time-out,
 * strict) and one prepared answer of the same size with the same header lines; nothing else
 * happens. Prints "port N" once it serves, and ends on SIGTERM or when its standard input ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/num.h"

struct options {
    uint64_t port, size, threads, memory;
    const char *cert, *key;
};

static struct MHD_Response *prepare(uint64_t size, bool tls)
{
    char *body = malloc(size + 1);
    if (body == NULL)
        return NULL;
    memset(body, 'x', size);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return NULL;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (tls)
        (void)MHD_add_response_header(response, "Strict-Transport-Security",
                                      "max-age=31536000; includeSubDomains");
    return response;
}

/* As in vaultd, the answer is queued in the last call: in the first it would close the connection.
 */
static enum MHD_Result answer(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static char begun;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    if (*state == NULL || *upload_size != 0) {
        *state = &begun;
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(mhd, MHD_HTTP_OK, cls);
}

static char *read_all(const char *path)
{
    static char at[2][65536];
    static int used;
    if (used == 2)
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, at[used], sizeof at[0] - 1);
    if (fd >= 0)
        (void)close(fd);
    return n < 0 ? NULL : at[used++];
}

static int listen_on(uint16_t port, unsigned *ret_port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static struct MHD_Daemon *serve(const struct options *options, int fd,
                                struct MHD_Response *response)
{
    bool tls = options->cert != NULL;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? read_all(options->cert) : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? read_all(options->key) : NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!tls)
        items[0] = items[2];
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    unsigned threads = (unsigned)options->threads;
    return MHD_start_daemon(tls ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, answer, response,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)options->memory,
                            MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_CONNECTION_LIMIT, 16384u,
                            MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0,
                            MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {"size", required_argument, NULL, 's'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"cert", required_argument, NULL, 'c'},
                                          {"key", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    bool fine = true;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        struct kt_bytes text = kt_str(optarg);
        if (c == 'p')
            fine = fine && kt_u64_parse(text, 65535, &options->port);
        else if (c == 's')
            fine = fine && kt_u64_parse(text, 64u << 20, &options->size);
        else if (c == 't')
            fine = fine && kt_u64_parse(text, 64, &options->threads);
        else if (c == 'm')
            fine = fine && kt_u64_parse(text, 1 << 20, &options->memory);
        else if (c == 'c')
            options->cert = optarg;
        else if (c == 'k')
            options->key = optarg;
        else
            fine = false;
    }
    return fine && (options->cert == NULL) == (options->key == NULL);
}

int main(int argc, char **argv)
{
    struct options options = {.size = 459, .threads = 2, .memory = 8192};
    if (!parse(argc, argv, &options)) {
        (void)fprintf(stderr,
                      "usage: bare [--port N] [--size BYTES] [--threads N] [--memory BYTES] "
                      "[--cert FILE --key FILE]\n");
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    unsigned port = 0;
    int fd = listen_on((uint16_t)options.port, &port);
    struct MHD_Response *response = prepare(options.size, options.cert != NULL);
    struct MHD_Daemon *daemon = fd < 0 || response == NULL ? NULL : serve(&options, fd, response);
    if (daemon == NULL) {
        perror("bare");
        return 1;
    }
    (void)printf("port %u\n", port);
    (void)fflush(stdout);
    char c;
    while (read(STDIN_FILENO, &c, 1) > 0)
        continue;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
