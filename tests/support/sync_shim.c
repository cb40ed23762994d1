/* tests/support/sync_shim.c - LD_PRELOAD: makes syncs slow, makes them fail, writes down what
 * reached the disk and when. The environment says what it does:
 *
 *   KT_SYNC_DIR=/abs/folder   only files below it are meant (no symbolic links on the way); needed
 *                             for a log. Without it the two next mean every file.
 *   KT_SYNC_DELAY_US=n        each fdatasync, fsync, msync(MS_SYNC) and each write to a descriptor
 *                             opened with O_DSYNC (LMDB's meta page) takes so much longer
 *   KT_SYNC_FAIL_AT=n         the n-th of those fails with EIO and does nothing
 *   KT_SYNC_LOG=/abs/file     records are appended to it
 *   KT_SYNC_ANSWERS=1         also records what is written to sockets and pipes: an acknowledgement
 *                             leaves the process no earlier than its record's start
 *
 * The log is a row of records, little-endian, each written by one append when its call has
 * returned; that of an answer before its call, for who receives it may kill the process at once:
 *
 *    0  u32  length of the whole record          40  u64  inode
 *    4  u8   kind (enum kind)                    48  u64  offset; TRUNCATE: the new size
 *    5  u8   0                                   56  u64  length
 *    6  u16  length of the path                  64  path, absolute, no NUL
 *    8  u32  process                                 the rest: the bytes written; RENAME, EXCHANGE: the
 *   12  u32  thread                                  other path, absolute
 *   16  u64  CLOCK_MONOTONIC ns when it began
 *   24  u64  and when it had returned
 *   32  u32  errno, 0 if it succeeded
 *   36  u32  0
 *
 * A write W is durable at time t if a successful SYNC of its inode has W.end < SYNC.start and
 * SYNC.end <= t, or if it is a WRITE_SYNC and W.end <= t. A change of a folder is durable after a
 * SYNC_DIR of that folder in the same sense (the inode is then the folder's).
 *
 * Files that are written through a MAP_SHARED mapping: at every sync below the folder, whatever
 * file it is of, all mappings are compared with what they held before, and what changed is recorded
 * as MAP before the sync begins. So bytes stored after that moment count as not yet written.
 * What libc writes by itself (stdio) is not seen. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
    WRITE = 1,
    SYNC,
    SYNC_DIR,
    WRITE_SYNC,
    TRUNCATE,
    ALLOCATE, /* posix_fallocate, fallocate without flags: zeroes up to offset + length */
    CREATE,
    RENAME,
    UNLINK,
    MKDIR,
    RMDIR,
    MAP,
    ANSWER,
    ZERO, /* fallocate(FALLOC_FL_ZERO_RANGE): zeroes from offset to offset + length */
    EXCHANGE, /* renameat2(RENAME_EXCHANGE): the two names change places */
};

#define HEAD  64u
#define MAPS  64u
#define PATHS 4096u

struct map {
    unsigned char *at, *copy;
    size_t len;
    off_t offset;
    int fd; /* ours, so that its size can be asked */
    uint64_t inode;
    char path[PATHS];
};

/* What a shim is for is global by nature: it replaces functions of the whole process. */
static struct {
    char dir[PATHS];
    size_t dir_len;
    long delay_us, fail_at;
    bool answers;
    char log_path[PATHS];
} set;
static atomic_int log_fd = -1;
static atomic_long syncs;
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *maps[MAPS];

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (real == NULL) {                                                                            \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&real, &found, sizeof found);                                                       \
    }

static int open_log(void);

__attribute__((constructor)) static void start(void)
{
    const char *text;
    if ((text = getenv("KT_SYNC_DIR")) != NULL)
        set.dir_len = (size_t)snprintf(set.dir, sizeof set.dir, "%s", text);
    if ((text = getenv("KT_SYNC_DELAY_US")) != NULL)
        set.delay_us = strtol(text, NULL, 10);
    if ((text = getenv("KT_SYNC_FAIL_AT")) != NULL)
        set.fail_at = strtol(text, NULL, 10);
    if ((text = getenv("KT_SYNC_LOG")) != NULL && set.dir_len != 0)
        (void)snprintf(set.log_path, sizeof set.log_path, "%s", text);
    set.answers = getenv("KT_SYNC_ANSWERS") != NULL;
    if (set.log_path[0] != '\0')
        (void)open_log(); /* before the program gives up its rights to it */
}

static uint64_t now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool logging(void)
{
    return set.log_path[0] != '\0';
}

static bool below(const char *path)
{
    return set.dir_len == 0 || (strncmp(path, set.dir, set.dir_len) == 0 &&
                                (path[set.dir_len] == '/' || path[set.dir_len] == '\0'));
}

/* Keeps errno. False: not one of ours. */
static bool fd_path(int fd, char out[PATHS])
{
    int saved = errno;
    char link[40];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATHS - 1);
    errno = saved;
    if (n <= 0)
        return false;
    out[n] = '\0';
    static const char gone[] = " (deleted)";
    size_t len = (size_t)n;
    if (len >= sizeof gone && strcmp(out + len - (sizeof gone - 1), gone) == 0)
        return false;
    return out[0] == '/' && below(out);
}

static bool is_answer(int fd, char out[PATHS])
{
    int saved = errno;
    char link[40];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATHS - 1);
    errno = saved;
    if (n <= 0)
        return false;
    out[n] = '\0';
    return strncmp(out, "socket:", 7) == 0 || strncmp(out, "pipe:", 5) == 0;
}

/* ---- the log ---- */

static void put(unsigned char *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

static int open_log(void)
{
    int fd = atomic_load(&log_fd);
    if (fd >= 0)
        return fd;
    fd = (int)syscall(SYS_openat, AT_FDCWD, set.log_path,
                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int none = -1;
    if (fd >= 0 && !atomic_compare_exchange_strong(&log_fd, &none, fd)) {
        (void)syscall(SYS_close, fd);
        fd = none;
    }
    return fd;
}

/* length bytes out of the vector; the vector may hold more. */
static void record(enum kind kind, const char *path, uint64_t inode, uint64_t began, int error,
                   uint64_t offset, uint64_t length, const struct iovec *data, int n_data)
{
    int saved = errno, fd = open_log();
    unsigned char head[HEAD] = {0};
    static const struct iovec nothing;
    struct iovec parts[1024];
    size_t path_len = strlen(path), left = data == NULL ? 0 : (size_t)length;
    size_t total = HEAD + path_len + left;
    int n = 2;
    for (int i = 0; i < n_data && left != 0 && n < 1024; i++) {
        parts[n] = data[i];
        if (parts[n].iov_len > left)
            parts[n].iov_len = left;
        left -= parts[n].iov_len;
        n++;
    }
    put(head, total - left, 4);
    head[4] = (unsigned char)kind;
    put(head + 6, path_len, 2);
    put(head + 8, (uint64_t)getpid(), 4);
    put(head + 12, (uint64_t)syscall(SYS_gettid), 4);
    put(head + 16, began, 8);
    put(head + 24, now(), 8);
    put(head + 32, (uint64_t)error, 4);
    put(head + 40, inode, 8);
    put(head + 48, offset, 8);
    put(head + 56, data == NULL ? length : length - left, 8);
    parts[0] = (struct iovec){head, HEAD};
    parts[1] = nothing;
    parts[1].iov_base = (void *)(uintptr_t)path;
    parts[1].iov_len = path_len;
    if (fd < 0 || syscall(SYS_writev, fd, parts, n) != (long)(total - left)) {
        static const char text[] = "sync_shim: cannot write the log\n";
        (void)!syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
    errno = saved;
}

static uint64_t inode_of(int fd)
{
    int saved = errno;
    struct stat st;
    uint64_t inode = fstat(fd, &st) == 0 ? st.st_ino : 0;
    errno = saved;
    return inode;
}

/* ---- mappings ---- */

#define SECTOR 512u

/* What can be touched: no page behind the end of the file. */
static size_t touchable(const struct map *map)
{
    struct stat st;
    if (fstat(map->fd, &st) != 0 || st.st_size <= map->offset)
        return 0;
    size_t left = (size_t)(st.st_size - map->offset);
    return left < map->len ? left : map->len;
}

static void capture_one(struct map *map)
{
    size_t len = touchable(map);
    for (size_t at = 0; at < len;) {
        size_t n = len - at < SECTOR ? len - at : SECTOR;
        if (memcmp(map->at + at, map->copy + at, n) == 0) {
            at += n;
            continue;
        }
        size_t end = at;
        while (end < len) {
            n = len - end < SECTOR ? len - end : SECTOR;
            if (memcmp(map->at + end, map->copy + end, n) == 0)
                break;
            memcpy(map->copy + end, map->at + end, n); /* recorded is what was copied */
            end += n;
        }
        struct iovec data = {map->copy + at, end - at};
        record(MAP, map->path, map->inode, now(), 0, (uint64_t)map->offset + at, end - at,
               &data, 1);
        at = end;
    }
}

static void capture(void)
{
    if (!logging())
        return;
    int saved = errno;
    (void)pthread_mutex_lock(&maps_lock);
    for (size_t i = 0; i < MAPS; i++)
        if (maps[i] != NULL)
            capture_one(maps[i]);
    (void)pthread_mutex_unlock(&maps_lock);
    errno = saved;
}

static void note_map(void *at, size_t len, int fd, off_t offset)
{
    struct map *map = calloc(1, sizeof *map);
    if (map == NULL)
        abort();
    if (!fd_path(fd, map->path)) {
        free(map);
        return;
    }
    map->at = at;
    map->len = len;
    map->offset = offset;
    map->inode = inode_of(fd);
    map->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    map->copy = calloc(1, len);
    if (map->copy == NULL)
        abort();
    memcpy(map->copy, at, touchable(map));
    (void)pthread_mutex_lock(&maps_lock);
    size_t i = 0;
    while (i < MAPS && maps[i] != NULL)
        i++;
    if (i == MAPS)
        abort();
    maps[i] = map;
    (void)pthread_mutex_unlock(&maps_lock);
}

static void forget_map(void *at)
{
    (void)pthread_mutex_lock(&maps_lock);
    for (size_t i = 0; i < MAPS; i++) {
        struct map *map = maps[i];
        if (map == NULL || map->at != at)
            continue;
        capture_one(map);
        maps[i] = NULL;
        (void)close(map->fd);
        free(map->copy);
        free(map);
    }
    (void)pthread_mutex_unlock(&maps_lock);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap)
    void *result = real(at, len, protection, flags, fd, offset);
    if (logging() && result != MAP_FAILED && fd >= 0 && (flags & MAP_SHARED) != 0 &&
        (protection & PROT_WRITE) != 0)
        note_map(result, len, fd, offset);
    return result;
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, len, protection, flags, fd, offset);
}

int munmap(void *at, size_t len)
{
    REAL(munmap)
    if (logging())
        forget_map(at);
    return real(at, len);
}

/* ---- syncs ---- */

/* True: this one is to fail. */
static bool sync_begins(void)
{
    if (set.delay_us > 0) {
        struct timespec left = {set.delay_us / 1000000, set.delay_us % 1000000 * 1000};
        while (nanosleep(&left, &left) != 0)
            ;
    }
    return set.fail_at != 0 && atomic_fetch_add(&syncs, 1) + 1 == set.fail_at;
}

static int sync_fd(int fd, int (*real)(int))
{
    char path[PATHS];
    bool wanted = set.delay_us > 0 || set.fail_at != 0 || logging();
    if (!wanted || !fd_path(fd, path))
        return real(fd);
    capture();
    uint64_t began = now();
    int result = -1;
    if (sync_begins())
        errno = EIO;
    else
        result = real(fd);
    if (logging()) {
        int saved = errno;
        struct stat st;
        bool is_dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
        record(is_dir ? SYNC_DIR : SYNC, path, st.st_ino, began, result == 0 ? 0 : saved, 0, 0,
               NULL, 0);
        errno = saved;
    }
    return result;
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return sync_fd(fd, real);
}

int fsync(int fd)
{
    REAL(fsync)
    return sync_fd(fd, real);
}

int msync(void *at, size_t len, int flags)
{
    REAL(msync)
    if ((flags & MS_SYNC) == 0)
        return real(at, len, flags);
    capture();
    uint64_t began = now();
    int result = -1;
    if (sync_begins())
        errno = EIO;
    else
        result = real(at, len, flags);
    int saved = errno;
    (void)pthread_mutex_lock(&maps_lock);
    for (size_t i = 0; logging() && i < MAPS; i++) {
        const struct map *map = maps[i];
        /* Only a sync of the whole mapping is taken for one; less promises less. */
        if (map != NULL && (unsigned char *)at <= map->at &&
            (unsigned char *)at + len >= map->at + map->len)
            record(SYNC, map->path, map->inode, began, result == 0 ? 0 : saved, 0, 0, NULL, 0);
    }
    (void)pthread_mutex_unlock(&maps_lock);
    errno = saved;
    return result;
}

/* ---- writes ---- */

struct writing {
    bool ours, sync, answer, fails;
    uint64_t began;
    char path[PATHS];
};

static uint64_t length_of(const struct iovec *data, int n)
{
    uint64_t length = 0;
    for (int i = 0; i < n; i++)
        length += data[i].iov_len;
    return length;
}

static void write_begins(int fd, struct writing *w, const struct iovec *data, int n)
{
    w->ours = w->sync = w->answer = w->fails = false;
    w->began = 0;
    bool slow = set.delay_us > 0 || set.fail_at != 0;
    if (!slow && !logging())
        return;
    w->ours = fd_path(fd, w->path);
    w->answer = logging() && set.answers && !w->ours && is_answer(fd, w->path);
    if (w->ours) {
        int saved = errno;
        w->sync = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
        errno = saved;
    }
    if (w->ours && w->sync)
        capture();
    w->began = now();
    if (w->ours && w->sync)
        w->fails = sync_begins();
    if (w->answer)
        record(ANSWER, w->path, inode_of(fd), w->began, 0, 0, length_of(data, n), data, n);
}

static void write_ends(int fd, const struct writing *w, ssize_t result, uint64_t offset,
                       const struct iovec *data, int n)
{
    if (!logging() || !w->ours || result == 0)
        return;
    uint64_t length = result > 0 ? (uint64_t)result : 0;
    record(w->sync ? WRITE_SYNC : WRITE, w->path, inode_of(fd), w->began,
           result < 0 ? errno : 0, offset, length, data, n);
}

static uint64_t place(int fd, const struct writing *w)
{
    if (!w->ours || !logging())
        return 0;
    int saved = errno;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0)
        at = lseek(fd, 0, SEEK_END); /* one writer a file, as a log has */
    errno = saved;
    return at < 0 ? 0 : (uint64_t)at;
}

static ssize_t refuse(void)
{
    errno = EIO;
    return -1;
}

static struct iovec one(const void *at, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)at, len};
}

ssize_t write(int fd, const void *at, size_t len)
{
    REAL(write)
    struct writing w;
    struct iovec data = one(at, len);
    write_begins(fd, &w, &data, 1);
    uint64_t offset = place(fd, &w);
    ssize_t n = w.fails ? refuse() : real(fd, at, len);
    write_ends(fd, &w, n, offset, &data, 1);
    return n;
}

ssize_t pwrite(int fd, const void *at, size_t len, off_t offset)
{
    REAL(pwrite)
    struct writing w;
    struct iovec data = one(at, len);
    write_begins(fd, &w, &data, 1);
    ssize_t n = w.fails ? refuse() : real(fd, at, len, offset);
    write_ends(fd, &w, n, (uint64_t)offset, &data, 1);
    return n;
}

ssize_t pwrite64(int fd, const void *at, size_t len, off64_t offset)
{
    return pwrite(fd, at, len, offset);
}

ssize_t writev(int fd, const struct iovec *data, int n_data)
{
    REAL(writev)
    struct writing w;
    write_begins(fd, &w, data, n_data);
    uint64_t offset = place(fd, &w);
    ssize_t n = w.fails ? refuse() : real(fd, data, n_data);
    write_ends(fd, &w, n, offset, data, n_data);
    return n;
}

ssize_t pwritev(int fd, const struct iovec *data, int n_data, off_t offset)
{
    REAL(pwritev)
    struct writing w;
    write_begins(fd, &w, data, n_data);
    ssize_t n = w.fails ? refuse() : real(fd, data, n_data, offset);
    write_ends(fd, &w, n, (uint64_t)offset, data, n_data);
    return n;
}

ssize_t pwritev64(int fd, const struct iovec *data, int n_data, off64_t offset)
{
    return pwritev(fd, data, n_data, offset);
}

/* Answers. */
ssize_t send(int fd, const void *at, size_t len, int flags)
{
    REAL(send)
    struct writing w;
    struct iovec data = one(at, len);
    write_begins(fd, &w, &data, 1);
    ssize_t n = real(fd, at, len, flags);
    write_ends(fd, &w, n, 0, &data, 1);
    return n;
}

ssize_t sendto(int fd, const void *at, size_t len, int flags, __CONST_SOCKADDR_ARG to,
               socklen_t to_len)
{
    REAL(sendto)
    struct writing w;
    struct iovec data = one(at, len);
    write_begins(fd, &w, &data, 1);
    ssize_t n = real(fd, at, len, flags, to, to_len);
    write_ends(fd, &w, n, 0, &data, 1);
    return n;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg)
    struct writing w;
    write_begins(fd, &w, message->msg_iov, (int)message->msg_iovlen);
    ssize_t n = real(fd, message, flags);
    write_ends(fd, &w, n, 0, message->msg_iov, (int)message->msg_iovlen);
    return n;
}

/* ---- sizes ---- */

static void note_size(int fd, enum kind kind, uint64_t began, int error, off_t offset, off_t length)
{
    char path[PATHS];
    if (logging() && fd_path(fd, path))
        record(kind, path, inode_of(fd), began, error, (uint64_t)offset, (uint64_t)length, NULL, 0);
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate)
    uint64_t began = now();
    int result = real(fd, length);
    note_size(fd, TRUNCATE, began, result == 0 ? 0 : errno, length, 0);
    return result;
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    REAL(fallocate)
    uint64_t began = now();
    int result = real(fd, mode, offset, length);
    if (mode == 0 || mode == FALLOC_FL_ZERO_RANGE)
        note_size(fd, mode == 0 ? ALLOCATE : ZERO, began, result == 0 ? 0 : errno, offset, length);
    return result;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    return fallocate(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    REAL(posix_fallocate)
    uint64_t began = now();
    int result = real(fd, offset, length);
    note_size(fd, ALLOCATE, began, result, offset, length);
    return result;
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    return posix_fallocate(fd, offset, length);
}

/* ---- names ---- */

/* An absolute path, without resolving links. False: not one of ours. */
static bool full_path(int folder, const char *path, char out[PATHS])
{
    int saved = errno;
    char base[PATHS];
    bool ok = true;
    if (path[0] == '/')
        base[0] = '\0';
    else if (folder == AT_FDCWD)
        ok = getcwd(base, sizeof base) != NULL;
    else {
        char link[40];
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t n = readlink(link, base, sizeof base - 1);
        ok = n > 0;
        base[n > 0 ? n : 0] = '\0';
    }
    int n = snprintf(out, PATHS, "%s%s%s", base, path[0] == '/' ? "" : "/", path);
    errno = saved;
    return ok && n > 0 && (size_t)n < PATHS && below(out);
}

static void note_name(enum kind kind, int folder, const char *path, uint64_t inode, uint64_t began,
                      int result)
{
    char full[PATHS];
    if (logging() && result == 0 && full_path(folder, path, full))
        record(kind, full, inode, began, 0, 0, 0, NULL, 0);
}

static int opened(int folder, const char *path, int flags, mode_t mode)
{
    struct stat st;
    bool watch =
        logging() && (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_TMPFILE) != O_TMPFILE;
    int saved = errno;
    bool was = watch && fstatat(folder, path, &st, 0) == 0;
    errno = saved;
    uint64_t began = now();
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && watch && !was)
        note_name(CREATE, folder, path, inode_of(fd), began, 0);
    else if (fd >= 0 && watch && (flags & O_TRUNC) != 0)
        note_size(fd, TRUNCATE, began, 0, 0, 0);
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return opened(AT_FDCWD, path, flags, mode);                                                \
    }
#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return opened(folder, path, flags, mode);                                                  \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    uint64_t began = now();
    char full_old[PATHS], full_new[PATHS];
    bool ours = logging() && full_path(from, old, full_old) && full_path(to, new, full_new);
    int result = (int)syscall(SYS_renameat2, from, old, to, new, flags);
    if (ours && result == 0) {
        struct iovec data = {full_new, strlen(full_new)};
        record((flags & RENAME_EXCHANGE) != 0 ? EXCHANGE : RENAME, full_old, 0, began, 0, 0,
               data.iov_len, &data, 1);
    }
    return result;
}

int renameat(int from, const char *old, int to, const char *new)
{
    return renameat2(from, old, to, new, 0);
}

int rename(const char *old, const char *new)
{
    return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat)
    uint64_t began = now();
    int result = real(folder, path, flags);
    note_name((flags & AT_REMOVEDIR) != 0 ? RMDIR : UNLINK, folder, path, 0, began, result);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL(mkdirat)
    uint64_t began = now();
    int result = real(folder, path, mode);
    note_name(MKDIR, folder, path, 0, began, result);
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
