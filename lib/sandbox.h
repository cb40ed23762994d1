/* lib/sandbox.h - takes from a process what it does not need any more.
 *
 * What:    Two sets of system calls (seccomp), and with Landlock the file tree, the TCP ports that
 *          may be connected to, and signals and abstract sockets outside the sandbox. A layer that
 *          this kernel does not offer is left out and named, so that the caller can say so or refuse.
 * Threads: kt_sandbox_enter(): before threads; it binds the whole process for good.
 *          kt_sandbox_layers(): any thread.
 * Errors:  KT_IO when an offered layer cannot be put on: the process must not go on.
 * Source:  landlock(7), seccomp(2). Debian 12's headers know Landlock's first ABI only: the later
 *          constants are in the .c, from the kernel's include/uapi/linux/landlock.h. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* name, text, what is missing without it */
#define KT_SANDBOX_LAYERS(X)                                                                       \
    X(KT_LAYER_SECCOMP, "seccomp", "system calls are not limited (kernel without seccomp filters)") \
    X(KT_LAYER_FILES, "landlock-files", "the file tree is not limited (Landlock needs Linux 5.13)") \
    X(KT_LAYER_TRUNCATE, "landlock-truncate", "truncating by path is not limited (Linux 6.2)")     \
    X(KT_LAYER_NET, "landlock-net", "TCP ports are not limited (Linux 6.7)")                       \
    X(KT_LAYER_SCOPE, "landlock-scope", "signals and abstract sockets are not limited (Linux 6.12)")
#define X(name, text, missing) name,
enum kt_sandbox_layer { KT_SANDBOX_LAYERS(X) KT_LAYER_COUNT };
#undef X

/* Bit n is layer n: what this kernel offers. */
uint32_t kt_sandbox_layers(void);
const char *kt_sandbox_layer_text(enum kt_sandbox_layer layer);
/* A sentence on what is not protected without it. */
const char *kt_sandbox_layer_missing(enum kt_sandbox_layer layer);

enum kt_sandbox_calls {
    KT_CALLS_ANY,    /* seccomp is not used */
    KT_CALLS_DAEMON, /* all but: exec, fork, ptrace, mount, modules, bpf, keys, namespaces... */
    KT_CALLS_CLIENT, /* only: memory, time, reading files, and a client's TCP sockets; one thread,
                        nothing written, nothing executed */
    KT_CALLS_LOCAL_CLIENT, /* the same with Unix sockets instead of TCP. Which one cannot be limited, and
                             all of a host's services listen on some: for who has no other way */
    KT_CALLS_PROGRAM /* all but: ptrace, mount, namespaces, keys..., and a session or process group of
                         one's own. Who starts others can so be ended with all of them. Refused, not ended:
                         what runs there is somebody else's */
};

struct kt_sandbox {
    enum kt_sandbox_calls calls;
    bool limit_files;               /* only what the three lists name, files or folders */
    const char *const *read_paths;  /* NULL ends; a path that does not exist is left out */
    const char *const *run_paths;   /* may be started too */
    const char *const *write_paths; /* readable too */
    bool limit_connect;             /* TCP: only to these ports, and no listening */
    const uint16_t *connect_ports;
    size_t n_connect_ports;
    bool limit_scope;               /* no signal and no abstract socket beyond the sandbox */
};

/* *ret_missing: bits of the layers that were asked for and are not offered. */
enum kt_kind kt_sandbox_enter(const struct kt_sandbox *sandbox, uint32_t *ret_missing,
                              struct kt_err *err) KT_MUST_CHECK;

struct kt_limits {
    uint64_t cpu_s, address_bytes, open_files, processes, file_bytes; /* UINT64_MAX: as it is */
};
#define KT_LIMITS_NONE                                                                             \
    ((struct kt_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX})
enum kt_kind kt_limits_set(const struct kt_limits *limits, struct kt_err *err) KT_MUST_CHECK;
