#undef _FORTIFY_SOURCE /* its inline functions would call ours */

#include "tests/support/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <lmdb.h>
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* What replaces functions of a whole process is global by nature. */
static struct fault fault;
static atomic_bool armed;
static atomic_ulong calls, hits;
static atomic_long live;
static pthread_mutex_t hang_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hang_end = PTHREAD_COND_INITIALIZER;
static unsigned hanging, cleared; /* guarded by hang_lock */
/* Whether calls of this thread fail and count. A sanitiser's own work at a thread's start must not. */
static _Thread_local bool inside;

__attribute__((constructor)) static void main_is_inside(void)
{
    inside = true;
}

static void *where[24];  /* the last call that failed */
static int n_where;

/* ---- what fails ---- */

static const int usual_errors[FAULT_KINDS] = {
    [FAULT_ALLOC] = ENOMEM, [FAULT_READ] = EIO,     [FAULT_WRITE] = EIO,  [FAULT_SYNC] = EIO,
    [FAULT_NAME] = EIO,     [FAULT_START] = EAGAIN, [FAULT_LIBRARY] = EIO,
};

void fault_set(const struct fault *wanted)
{
    atomic_store(&armed, false);
    if (wanted->trace)
        (void)backtrace(where, 1); /* the first one allocates */
    fault = *wanted;
    if (fault.error == 0)
        fault.error = usual_errors[fault.kind];
    atomic_store(&calls, 0);
    atomic_store(&hits, 0);
    atomic_store(&armed, true);
}

unsigned long fault_clear(void)
{
    (void)pthread_mutex_lock(&hang_lock);
    atomic_store(&armed, false);
    cleared++;
    (void)pthread_cond_broadcast(&hang_end);
    (void)pthread_mutex_unlock(&hang_lock);
    return atomic_load(&calls);
}

void fault_outside(bool on)
{
    inside = !on;
}

unsigned long fault_hits(void)
{
    return atomic_load(&hits);
}

unsigned fault_hanging(void)
{
    (void)pthread_mutex_lock(&hang_lock);
    unsigned n = hanging;
    (void)pthread_mutex_unlock(&hang_lock);
    return n;
}

long fault_live(void)
{
    long now = atomic_load(&live);
#ifdef __SANITIZE_ADDRESS__
    now = 0; /* not all of it comes by here; LeakSanitizer looks */
#endif
    return now;
}

const char *fault_kind_name(enum fault_kind kind)
{
#define X(name, text) text,
    static const char *const names[] = {FAULT_KINDS_LIST(X)};
#undef X
    return names[kind];
}

static void hang(void)
{
    (void)pthread_mutex_lock(&hang_lock);
    hanging++;
    for (unsigned begun = cleared; begun == cleared;)
        (void)pthread_cond_wait(&hang_end, &hang_lock);
    hanging--;
    (void)pthread_mutex_unlock(&hang_lock);
}

/* Whether this call is one that fails. */
static bool is_hit(enum fault_kind kind)
{
    if (!atomic_load(&armed) || fault.kind != kind || !inside)
        return false;
    unsigned long n = atomic_fetch_add(&calls, 1) + 1;
    if (fault.nth == 0 || (n != fault.nth && !(fault.for_good && n > fault.nth)))
        return false;
    (void)atomic_fetch_add(&hits, 1);
    if (fault.trace)
        n_where = backtrace(where, sizeof where / sizeof where[0]);
    return true;
}

void fault_where(int fd)
{
    backtrace_symbols_fd(where, n_where, fd);
}

/* True: it fails, with errno set. A call that hangs has hung when this returns. */
static bool fails(enum fault_kind kind)
{
    if (!is_hit(kind))
        return false;
    if (fault.how == FAULT_HANG)
        hang();
    if (fault.how != FAULT_ERROR)
        return false;
    errno = fault.error;
    return true;
}

static bool meant(int fd)
{
    if (fd >= 0 && fd <= STDERR_FILENO)
        return false;
    if (!atomic_load(&armed) || fault.below == NULL)
        return true;
    char name[32], path[512];
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    size_t len = strlen(fault.below);
    return n > 0 && (size_t)n >= len && memcmp(path, fault.below, len) == 0;
}

/* As fails(); a call that does half of it gets a smaller count. */
static bool moves(enum fault_kind kind, int fd, size_t *count)
{
    if (!meant(fd) || !is_hit(kind))
        return true;
    if (fault.how == FAULT_HANG)
        hang();
    if (fault.how == FAULT_SHORT && *count > 1)
        *count /= 2;
    if (fault.how != FAULT_ERROR)
        return true;
    errno = fault.error;
    return false;
}

#ifdef __SANITIZE_ADDRESS__
/* glibc's own, when memory is out while it loads a library. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:_dl_map_object_deps";
}
#endif

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (real == NULL) {                                                                            \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&real, &found, sizeof found);                                                       \
    }

/* ---- memory ---- */

#ifdef __SANITIZE_ADDRESS__
#define RAW(name) __interceptor_##name
#else
#define RAW(name) __libc_##name
#endif
#define memalign_raw RAW(memalign)
void *RAW(malloc)(size_t size);
void *RAW(calloc)(size_t count, size_t size);
void *RAW(realloc)(void *at, size_t size);
void *RAW(memalign)(size_t alignment, size_t size);
void RAW(free)(void *at);

extern const char __executable_start[], etext[]; /* the linker's */

/* from: where the call goes back to. */
static bool no_memory(const void *from)
{
    const char *at = from;
    return (!fault.own || (at >= __executable_start && at < etext)) && fails(FAULT_ALLOC);
}
#define NO_MEMORY no_memory(__builtin_return_address(0))

static void *counted(void *at)
{
    if (at != NULL)
        (void)atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return at;
}

void *malloc(size_t size)
{
    return NO_MEMORY ? NULL : counted(RAW(malloc)(size));
}

void *calloc(size_t count, size_t size)
{
    return NO_MEMORY ? NULL : counted(RAW(calloc)(count, size));
}

void *realloc(void *at, size_t size)
{
    if ((at == NULL || size != 0) && NO_MEMORY)
        return NULL;
    if (at == NULL)
        return counted(RAW(malloc)(size));
    void *moved = RAW(realloc)(at, size);
    if (moved == NULL && size == 0)
        (void)atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    return moved;
}

void *reallocarray(void *at, size_t count, size_t size)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(at, whole);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *at = NO_MEMORY ? NULL : counted(memalign_raw(alignment, size));
    if (at == NULL)
        return ENOMEM;
    *ret = at;
    return 0;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return NO_MEMORY ? NULL : counted(memalign_raw(alignment, size));
}

#define new_start  RAW(malloc)
#define free_start RAW(free)

void free(void *at)
{
    if (at != NULL)
        (void)atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    RAW(free)(at);
}

#ifdef __SANITIZE_ADDRESS__
#define STARTS_OUTSIDE true
#else
#define STARTS_OUTSIDE false
#endif

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap)
    return fails(FAULT_ALLOC) ? MAP_FAILED : real(at, len, protection, flags, fd, offset);
}

/* ---- reading, writing, syncing ---- */

ssize_t read(int fd, void *to, size_t count)
{
    REAL(read)
    return moves(FAULT_READ, fd, &count) ? real(fd, to, count) : -1;
}

ssize_t pread(int fd, void *to, size_t count, off_t offset)
{
    REAL(pread)
    return moves(FAULT_READ, fd, &count) ? real(fd, to, count, offset) : -1;
}

ssize_t write(int fd, const void *from, size_t count)
{
    REAL(write)
    return moves(FAULT_WRITE, fd, &count) ? real(fd, from, count) : -1;
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t offset)
{
    REAL(pwrite)
    return moves(FAULT_WRITE, fd, &count) ? real(fd, from, count, offset) : -1;
}

/* Half of it: one vector less, or the half of the only one. */
ssize_t writev(int fd, const struct iovec *vectors, int n)
{
    REAL(writev)
    size_t left = (size_t)n;
    if (!moves(FAULT_WRITE, fd, &left))
        return -1;
    bool is_short = n == 1 && fault_hits() > 0 && fault.how == FAULT_SHORT && meant(fd);
    return is_short ? write(fd, vectors[0].iov_base, vectors[0].iov_len / 2)
                    : real(fd, vectors, (int)left);
}

int ftruncate(int fd, off_t size)
{
    REAL(ftruncate)
    size_t count = 1;
    return moves(FAULT_WRITE, fd, &count) ? real(fd, size) : -1;
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    REAL(posix_fallocate)
    size_t count = 1;
    return moves(FAULT_WRITE, fd, &count) ? real(fd, offset, len) : errno;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    REAL(fallocate)
    size_t count = 1;
    return moves(FAULT_WRITE, fd, &count) ? real(fd, mode, offset, len) : -1;
}

int fsync(int fd)
{
    REAL(fsync)
    size_t count = 1;
    return moves(FAULT_SYNC, fd, &count) ? real(fd) : -1;
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    size_t count = 1;
    return moves(FAULT_SYNC, fd, &count) ? real(fd) : -1;
}

int msync(void *at, size_t len, int flags)
{
    REAL(msync)
    return fails(FAULT_SYNC) ? -1 : real(at, len, flags);
}

/* ---- names ---- */

static unsigned mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    REAL(open)
    va_list args;
    va_start(args, flags);
    unsigned mode = mode_of(flags, args);
    va_end(args);
    return fails(FAULT_NAME) ? -1 : real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(openat)
    va_list args;
    va_start(args, flags);
    unsigned mode = mode_of(flags, args);
    va_end(args);
    return fails(FAULT_NAME) ? -1 : real(folder, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir)
    return fails(FAULT_NAME) ? -1 : real(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL(mkdirat)
    return fails(FAULT_NAME) ? -1 : real(folder, path, mode);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(renameat)
    return fails(FAULT_NAME) ? -1 : real(from_folder, from, to_folder, to);
}

int unlink(const char *path)
{
    REAL(unlink)
    return fails(FAULT_NAME) ? -1 : real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat)
    return fails(FAULT_NAME) ? -1 : real(folder, path, flags);
}

/* ---- processes and threads ---- */

pid_t fork(void)
{
    REAL(fork)
    return fails(FAULT_START) ? -1 : real();
}

struct start {
    void *(*run)(void *);
    void *arg;
};

static void *run_inside(void *arg)
{
    const struct start start = *(struct start *)arg;
    free_start(arg);
    inside = true;
    void *result = start.run(start.arg);
    inside = false;
    return result;
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    REAL(pthread_create)
    if (fails(FAULT_START))
        return fault.error;
    struct start *start = new_start(sizeof *start);
    if (start == NULL)
        return EAGAIN;
    *start = (struct start){run, arg};
    bool was = inside;
    inside = was && !STARTS_OUTSIDE;
    int error = real(ret, attributes, run_inside, start);
    inside = was;
    if (error != 0)
        free_start(start);
    return error;
}

/* ---- libraries ---- */

int sodium_mlock(void *const at, const size_t len)
{
    REAL(sodium_mlock)
    return fails(FAULT_LIBRARY) ? -1 : real(at, len);
}

int gnutls_hash_fast(gnutls_digest_algorithm_t algorithm, const void *from, size_t len, void *to)
{
    REAL(gnutls_hash_fast)
    return fails(FAULT_LIBRARY) ? GNUTLS_E_MEMORY_ERROR : real(algorithm, from, len, to);
}

int gnutls_hash_init(gnutls_hash_hd_t *ret, gnutls_digest_algorithm_t algorithm)
{
    REAL(gnutls_hash_init)
    return fails(FAULT_LIBRARY) ? GNUTLS_E_MEMORY_ERROR : real(ret, algorithm);
}

int gnutls_hmac_fast(gnutls_mac_algorithm_t algorithm, const void *key, size_t key_len,
                     const void *from, size_t len, void *to)
{
    REAL(gnutls_hmac_fast)
    return fails(FAULT_LIBRARY) ? GNUTLS_E_MEMORY_ERROR
                                : real(algorithm, key, key_len, from, len, to);
}

/* The call itself may fail; within it GMP, which has no way to say that memory is out, would end the process
 * (docs/reliability.md). */
int gnutls_pubkey_verify_data2(gnutls_pubkey_t key, gnutls_sign_algorithm_t algorithm, unsigned flags,
                               const gnutls_datum_t *data, const gnutls_datum_t *signature)
{
    REAL(gnutls_pubkey_verify_data2)
    if (fails(FAULT_LIBRARY))
        return GNUTLS_E_MEMORY_ERROR;
    bool was = inside;
    inside = false;
    int rc = real(key, algorithm, flags, data, signature);
    inside = was;
    return rc;
}

int mdb_env_create(MDB_env **ret)
{
    REAL(mdb_env_create)
    return fails(FAULT_LIBRARY) ? fault.error : real(ret);
}

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    REAL(mdb_env_open)
    return fails(FAULT_LIBRARY) ? fault.error : real(env, path, flags, mode);
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret)
{
    REAL(mdb_txn_begin)
    return fails(FAULT_LIBRARY) ? fault.error : real(env, parent, flags, ret);
}

int mdb_txn_renew(MDB_txn *txn)
{
    REAL(mdb_txn_renew)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn);
}

/* A commit that fails frees its transaction. */
int mdb_txn_commit(MDB_txn *txn)
{
    REAL(mdb_txn_commit)
    if (!fails(FAULT_LIBRARY))
        return real(txn);
    mdb_txn_abort(txn);
    return fault.error;
}

int mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *ret)
{
    REAL(mdb_dbi_open)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, name, flags, ret);
}

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *ret)
{
    REAL(mdb_get)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, dbi, key, ret);
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags)
{
    REAL(mdb_put)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, dbi, key, value, flags);
}

int mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
    REAL(mdb_del)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, dbi, key, value);
}

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret)
{
    REAL(mdb_cursor_open)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, dbi, ret);
}

int mdb_cursor_renew(MDB_txn *txn, MDB_cursor *cursor)
{
    REAL(mdb_cursor_renew)
    return fails(FAULT_LIBRARY) ? fault.error : real(txn, cursor);
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
    REAL(mdb_cursor_get)
    return fails(FAULT_LIBRARY) ? fault.error : real(cursor, key, value, op);
}
