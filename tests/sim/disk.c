#include "tests/sim/disk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/sim/sched.h"
#include "tests/sim/wrapped.h"

#define FD_FIRST  (1 << 20)
#define FD_MAX    128
#define NODES_MAX 160
#define PATH_ROOM 64
#define NAME_OPS  64
#define PAGE      ((size_t)4096)
#define SECTOR    ((size_t)512)
#define SYNC_NS   INT64_C(2000000)

struct node {
    bool used, folder, saved;
    char path[PATH_ROOM], kept_path[PATH_ROOM], saved_path[PATH_ROOM]; /* "": no name */
    unsigned char *now, *kept, *save;                                  /* DISK_FILE_BYTES each */
    size_t size, kept_size, saved_size;
    size_t high, kept_high, saved_high; /* nothing but zeroes behind */
    unsigned open;
};

/* A change of names that its folder has not synced. */
struct name_op {
    int node;
    char folder[PATH_ROOM], to[PATH_ROOM]; /* to "": unlinked */
};

struct file {
    int node;     /* -1: not open */
    size_t place; /* of a listing */
    struct dirent entry;
};

static struct disk {
    struct node nodes[NODES_MAX];
    struct name_op ops[NAME_OPS];
    unsigned n_ops;
    struct file files[FD_MAX];
    disk_event_fn *event;
    void *event_arg;
    bool crashed, power;
} disk;

/* ---- nodes ---- */

static unsigned char *room(void)
{
    unsigned char *at = __real_mmap(NULL, DISK_FILE_BYTES, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        sim_fail("no memory for the simulated disk");
    return at;
}

static size_t up(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static void wipe_node(struct node *node)
{
    if (node->now == NULL) {
        node->now = room();
        node->kept = room();
        node->save = room();
    } else {
        memset(node->now, 0, up(node->high));
        memset(node->kept, 0, up(node->kept_high));
        memset(node->save, 0, up(node->saved_high));
    }
    *node = (struct node){.now = node->now, .kept = node->kept, .save = node->save};
}

static int find(const char *path)
{
    for (int i = 0; i < NODES_MAX; i++)
        if (disk.nodes[i].used && strcmp(disk.nodes[i].path, path) == 0)
            return i;
    return -1;
}

static bool is_dead(const struct node *node)
{
    return node->open == 0 && node->path[0] == '\0' && node->kept_path[0] == '\0' && !node->saved;
}

static int new_node(const char *path, bool folder)
{
    for (int i = 0; i < NODES_MAX; i++)
        if (disk.nodes[i].used && is_dead(&disk.nodes[i]))
            disk.nodes[i].used = false;
    for (int i = 0; i < NODES_MAX; i++)
        if (!disk.nodes[i].used) {
            wipe_node(&disk.nodes[i]);
            disk.nodes[i].used = true;
            disk.nodes[i].folder = folder;
            (void)snprintf(disk.nodes[i].path, PATH_ROOM, "%s", path);
            return i;
        }
    sim_fail("more than %d files", NODES_MAX);
}

static void event(enum disk_what what, bool done)
{
    if (disk.event != NULL)
        disk.event(disk.event_arg, what, done);
}

/* ---- names ---- */

static void folder_of(const char *path, char out[PATH_ROOM])
{
    (void)snprintf(out, PATH_ROOM, "%s", path);
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
}

static void note_name(int node, const char *folder, const char *to)
{
    if (disk.crashed)
        return;
    if (disk.n_ops == NAME_OPS)
        sim_fail("more than %d names that nobody synced", NAME_OPS);
    struct name_op *op = &disk.ops[disk.n_ops++];
    op->node = node;
    (void)snprintf(op->folder, PATH_ROOM, "%s", folder);
    (void)snprintf(op->to, PATH_ROOM, "%s", to);
}

static void keep_name(const struct name_op *op)
{
    for (int i = 0; i < NODES_MAX && op->to[0] != '\0'; i++)
        if (disk.nodes[i].used && i != op->node && strcmp(disk.nodes[i].kept_path, op->to) == 0)
            disk.nodes[i].kept_path[0] = '\0';
    (void)snprintf(disk.nodes[op->node].kept_path, PATH_ROOM, "%s", op->to);
}

static void drop_ops(const char *folder)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < disk.n_ops; i++)
        if (strcmp(disk.ops[i].folder, folder) != 0)
            disk.ops[kept++] = disk.ops[i];
    disk.n_ops = kept;
}

static void sync_folder(const char *folder)
{
    for (unsigned i = 0; i < disk.n_ops; i++)
        if (strcmp(disk.ops[i].folder, folder) == 0)
            keep_name(&disk.ops[i]);
    drop_ops(folder);
}

/* The first so many of each folder's. */
static void lose_names(enum disk_fault fault)
{
    while (disk.n_ops > 0) {
        char folder[PATH_ROOM];
        (void)snprintf(folder, sizeof folder, "%s", disk.ops[0].folder);
        unsigned n = 0;
        for (unsigned i = 0; i < disk.n_ops; i++)
            n += strcmp(disk.ops[i].folder, folder) == 0;
        unsigned keep = fault == DISK_LOST ? 0 : sim_below(n + 1);
        for (unsigned i = 0; i < disk.n_ops && keep > 0; i++)
            if (strcmp(disk.ops[i].folder, folder) == 0) {
                keep_name(&disk.ops[i]);
                keep--;
            }
        drop_ops(folder);
    }
}

/* ---- what a power loss leaves ---- */

static void tear(unsigned char *kept, const unsigned char *now)
{
    for (size_t at = 0; at < PAGE; at += SECTOR) {
        size_t n = sim_chance(500) ? SECTOR : 0;
        if (sim_chance(30))
            n = sim_below(SECTOR); /* a sector that was being written */
        memcpy(kept + at, now + at, n);
    }
}

static void lose_pages(struct node *node, enum disk_fault fault)
{
    size_t high = node->high > node->kept_high ? node->high : node->kept_high;
    if (fault == DISK_LOST)
        return;
    for (size_t at = 0; at < high; at += PAGE) {
        if (memcmp(node->now + at, node->kept + at, PAGE) == 0)
            continue;
        bool torn = fault == DISK_TORN && sim_chance(500);
        if (torn)
            tear(node->kept + at, node->now + at);
        else if (sim_chance(500))
            memcpy(node->kept + at, node->now + at, PAGE);
    }
    node->kept_high = high;
    if (sim_chance(500))
        node->kept_size = node->size;
    /* What is behind a file's end is not in the file. */
    if (node->kept_size < high)
        memset(node->kept + node->kept_size, 0, up(high) - node->kept_size);
}

static void save(struct node *node, const unsigned char *from, size_t size, size_t high,
                 const char *path)
{
    size_t most = high > node->saved_high ? high : node->saved_high;
    memcpy(node->save, from, up(most));
    node->saved_size = size;
    node->saved_high = high;
    node->saved = true;
    (void)snprintf(node->saved_path, PATH_ROOM, "%s", path);
}

void disk_crash(enum disk_fault fault)
{
    disk.crashed = true;
    disk.power = fault != DISK_KILL;
    if (disk.power)
        lose_names(fault);
    for (int i = 0; i < NODES_MAX; i++) {
        struct node *node = &disk.nodes[i];
        if (!node->used)
            continue;
        if (disk.power) {
            lose_pages(node, fault);
            save(node, node->kept, node->kept_size, node->kept_high, node->kept_path);
        } else {
            save(node, node->now, node->size, node->high, node->path);
        }
    }
}

void disk_revive(void)
{
    if (!disk.crashed)
        sim_fail("a disk is revived that did not crash");
    for (int i = 0; i < NODES_MAX; i++) {
        struct node *node = &disk.nodes[i];
        if (!node->used)
            continue;
        if (!node->saved) { /* made by a vault that was dead already */
            node->path[0] = node->kept_path[0] = '\0';
            node->used = false;
            continue;
        }
        size_t most = node->high > node->saved_high ? node->high : node->saved_high;
        memcpy(node->now, node->save, up(most));
        node->size = node->saved_size;
        node->high = node->saved_high;
        node->saved = false;
        memcpy(node->path, node->saved_path, PATH_ROOM);
        if (node->path[0] == '\0' && node->kept_path[0] == '\0')
            node->used = false;
    }
    disk.crashed = false;
}

/* ---- descriptors ---- */

static struct file *file_of(int fd)
{
    int i = fd - FD_FIRST;
    if (i < 0 || i >= FD_MAX)
        return NULL;
    if (disk.files[i].node < 0)
        sim_fail("descriptor %d of the simulated disk is used after it was closed", fd);
    return &disk.files[i];
}

static struct node *node_of(const struct file *file)
{
    return &disk.nodes[file->node];
}

static int new_fd(int node)
{
    for (int i = 0; i < FD_MAX; i++)
        if (disk.files[i].node < 0) {
            disk.files[i].node = node;
            disk.files[i].place = 0;
            disk.nodes[node].open++;
            return FD_FIRST + i;
        }
    sim_fail("more than %d open files", FD_MAX);
}

unsigned disk_open_files(void)
{
    unsigned n = 0;
    for (int i = 0; i < FD_MAX; i++)
        n += disk.files[i].node >= 0;
    return n;
}

void disk_format(disk_event_fn *fn, void *arg)
{
    if (disk.event != NULL && disk_open_files() != 0)
        sim_fail("%u files of the simulated disk are open", disk_open_files());
    for (int i = 0; i < NODES_MAX; i++)
        disk.nodes[i].used = false;
    for (int i = 0; i < FD_MAX; i++)
        disk.files[i].node = -1;
    disk.n_ops = 0;
    disk.crashed = false;
    disk.event = fn;
    disk.event_arg = arg;
    int root = new_node(DISK_ROOT, true);
    (void)snprintf(disk.nodes[root].kept_path, PATH_ROOM, DISK_ROOT);
}

uint64_t disk_sum(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < NODES_MAX; i++) {
        const struct node *node = &disk.nodes[i];
        if (!node->used)
            continue;
        for (size_t at = 0; at < up(node->high); at += 8) {
            uint64_t word;
            memcpy(&word, node->now + at, sizeof word);
            sum = (sum ^ word) * UINT64_C(0x100000001b3);
        }
    }
    return sum;
}

static bool resolve(int folder, const char *name, char out[PATH_ROOM])
{
    const struct file *file = folder == AT_FDCWD ? NULL : file_of(folder);
    int n = 0;
    if (name[0] == '/') {
        if (strncmp(name, DISK_ROOT, strlen(DISK_ROOT)) != 0)
            return false;
        n = snprintf(out, PATH_ROOM, "%s", name);
    } else if (file == NULL) {
        return false;
    } else if (strcmp(name, ".") == 0) {
        n = snprintf(out, PATH_ROOM, "%s", node_of(file)->path);
    } else {
        n = snprintf(out, PATH_ROOM, "%s/%s", node_of(file)->path, name);
    }
    if (n < 0 || n >= PATH_ROOM)
        sim_fail("a long name on the simulated disk: %s", name);
    return true;
}

/* ---- libc's calls ---- */

static int open_path(const char *path, int flags)
{
    int node = find(path);
    if (node < 0 && (flags & O_CREAT) == 0) {
        errno = ENOENT;
        return -1;
    }
    if (node < 0) {
        char folder[PATH_ROOM];
        folder_of(path, folder);
        event(DISK_CREATE, false);
        node = new_node(path, false);
        note_name(node, folder, path);
        int fd = new_fd(node);
        event(DISK_CREATE, true);
        return fd;
    }
    if ((flags & O_TRUNC) != 0) {
        memset(disk.nodes[node].now, 0, up(disk.nodes[node].high));
        disk.nodes[node].size = disk.nodes[node].high = 0;
    }
    return new_fd(node);
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    char full[PATH_ROOM];
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    if (!resolve(AT_FDCWD, path, full))
        return __real_open(path, flags, mode);
    return open_path(full, flags);
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    char full[PATH_ROOM];
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    if (!resolve(folder, path, full))
        return __real_openat(folder, path, flags, mode);
    return open_path(full, flags);
}

int __wrap_close(int fd)
{
    if (events_close(fd))
        return 0;
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_close(fd);
    node_of(file)->open--;
    file->node = -1;
    return 0;
}

ssize_t __wrap_pread(int fd, void *to, size_t len, off_t at)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_pread(fd, to, len, at);
    const struct node *node = node_of(file);
    if ((size_t)at >= node->size)
        return 0;
    size_t n = node->size - (size_t)at < len ? node->size - (size_t)at : len;
    if (n > 1 && sim_chance(5))
        n = 1 + sim_below((uint32_t)n - 1);
    memcpy(to, node->now + at, n);
    return (ssize_t)n;
}

/* What _FORTIFY_SOURCE makes of it where it knows how large the buffer is. */
ssize_t __wrap___pread_chk(int fd, void *to, size_t len, off_t at, size_t room)
{
    return file_of(fd) == NULL ? __real___pread_chk(fd, to, len, at, room)
                               : __wrap_pread(fd, to, len, at);
}

static void grow(struct node *node, size_t size)
{
    if (size > DISK_FILE_BYTES)
        sim_fail("a file of the simulated disk wants %zu bytes", size);
    if (size > node->size)
        node->size = size;
    if (size > node->high)
        node->high = size;
}

ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t at)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_pwrite(fd, from, len, at);
    event(DISK_WRITE, false);
    struct node *node = node_of(file);
    size_t n = len > 1 && sim_chance(20) ? 1 + sim_below((uint32_t)len - 1) : len;
    grow(node, (size_t)at + n);
    memcpy(node->now + at, from, n);
    event(DISK_WRITE, true);
    return (ssize_t)n;
}

static enum disk_what sync_of(const struct node *node)
{
    static const struct {
        const char *ends;
        enum disk_what what;
    } kinds[] = {{".seg", DISK_SYNC_SEGMENT},  {"/index", DISK_SYNC_INDEX},
                 {"/tree.8", DISK_SYNC_TREE},  {"/tree.16", DISK_SYNC_TREE},
                 {"/tree.24", DISK_SYNC_TREE}, {"/checkpoints", DISK_SYNC_NOTES}};
    size_t len = strlen(node->path);
    if (node->folder)
        return DISK_SYNC_FOLDER;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i].ends);
        if (len >= n && strcmp(node->path + len - n, kinds[i].ends) == 0)
            return kinds[i].what;
    }
    return DISK_SYNC_OTHER;
}

/* The pages that a sync found unlike what is kept, as it found them. */
struct dirty {
    size_t n;
    struct {
        size_t at;
        unsigned char bytes[PAGE];
    } pages[];
};

static struct dirty *find_dirty(const struct node *node, size_t high)
{
    size_t n = 0;
    for (size_t at = 0; at < high; at += PAGE)
        n += memcmp(node->now + at, node->kept + at, PAGE) != 0;
    struct dirty *dirty = malloc(sizeof *dirty + n * sizeof dirty->pages[0]);
    if (dirty == NULL)
        sim_fail("no memory");
    dirty->n = 0;
    for (size_t at = 0; at < high && dirty->n < n; at += PAGE)
        if (memcmp(node->now + at, node->kept + at, PAGE) != 0) {
            dirty->pages[dirty->n].at = at;
            memcpy(dirty->pages[dirty->n++].bytes, node->now + at, PAGE);
        }
    return dirty;
}

/* What was there when it began is kept when it ends; what is written meanwhile may be lost. */
static void sync_content(struct node *node)
{
    size_t high = up(node->high > node->kept_high ? node->high : node->kept_high);
    size_t size = node->size;
    struct dirty *dirty = find_dirty(node, high);
    sched_sleep_ns((int64_t)sim_below((uint32_t)SYNC_NS));
    if (!disk.crashed) {
        for (size_t i = 0; i < dirty->n; i++)
            memcpy(node->kept + dirty->pages[i].at, dirty->pages[i].bytes, PAGE);
        node->kept_size = size;
        node->kept_high = high;
    }
    free(dirty);
}

static int sync_node(struct node *node)
{
    enum disk_what what = sync_of(node);
    event(what, false);
    if (node->folder && !disk.crashed)
        sync_folder(node->path);
    else if (!node->folder)
        sync_content(node);
    event(what, true);
    return 0;
}

int __wrap_fsync(int fd)
{
    struct file *file = file_of(fd);
    return file == NULL ? __real_fsync(fd) : sync_node(node_of(file));
}

int __wrap_fdatasync(int fd)
{
    struct file *file = file_of(fd);
    return file == NULL ? __real_fdatasync(fd) : sync_node(node_of(file));
}

int __wrap_ftruncate(int fd, off_t size)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_ftruncate(fd, size);
    event(DISK_WRITE, false);
    struct node *node = node_of(file);
    grow(node, (size_t)size);
    if (node->high > (size_t)size)
        memset(node->now + size, 0, up(node->high) - (size_t)size);
    node->size = (size_t)size;
    event(DISK_WRITE, true);
    return 0;
}

static int allocate(struct file *file, off_t from, off_t len)
{
    event(DISK_ALLOCATE, false);
    grow(node_of(file), (size_t)from + (size_t)len);
    event(DISK_ALLOCATE, true);
    return 0;
}

int __wrap_posix_fallocate(int fd, off_t from, off_t len)
{
    struct file *file = file_of(fd);
    return file == NULL ? __real_posix_fallocate(fd, from, len) : allocate(file, from, len);
}

int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_fallocate(fd, mode, from, len);
    if (mode != FALLOC_FL_ZERO_RANGE || sim_chance(200)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    (void)allocate(file, from, len);
    memset(node_of(file)->now + from, 0, (size_t)len);
    return 0;
}

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t from)
{
    struct file *file = fd < 0 ? NULL : file_of(fd);
    if (file == NULL)
        return __real_mmap(at, len, protection, flags, fd, from);
    struct node *node = node_of(file);
    if ((size_t)from + len > DISK_FILE_BYTES)
        sim_fail("a file of the simulated disk is mapped beyond its room");
    /* Written through the mapping, no call tells how far. */
    size_t end = (size_t)from + len < node->size ? (size_t)from + len : node->size;
    if (end > node->high)
        node->high = end;
    node->open++; /* until it is unmapped */
    return node->now + from;
}

static struct node *node_at(const void *at)
{
    const unsigned char *byte = at;
    for (int i = 0; i < NODES_MAX; i++)
        if (disk.nodes[i].now != NULL && byte >= disk.nodes[i].now &&
            byte < disk.nodes[i].now + DISK_FILE_BYTES)
            return &disk.nodes[i];
    return NULL;
}

int __wrap_munmap(void *at, size_t len)
{
    struct node *node = node_at(at);
    if (node == NULL)
        return __real_munmap(at, len);
    node->open--;
    return 0;
}

int __wrap_madvise(void *at, size_t len, int advice)
{
    return node_at(at) == NULL ? __real_madvise(at, len, advice) : 0;
}

int __wrap_fstat(int fd, struct stat *ret)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return __real_fstat(fd, ret);
    memset(ret, 0, sizeof *ret);
    ret->st_mode = node_of(file)->folder ? S_IFDIR | 0700 : S_IFREG | 0600;
    ret->st_size = (off_t)node_of(file)->size;
    ret->st_nlink = 1;
    return 0;
}

int __wrap_faccessat(int folder, const char *name, int mode, int flags)
{
    char full[PATH_ROOM];
    if (!resolve(folder, name, full))
        return __real_faccessat(folder, name, mode, flags);
    errno = ENOENT;
    return find(full) < 0 ? -1 : 0;
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    char full[PATH_ROOM], parent[PATH_ROOM];
    if (!resolve(folder, name, full))
        return __real_unlinkat(folder, name, flags);
    int node = find(full);
    if (node < 0) {
        errno = ENOENT;
        return -1;
    }
    event(DISK_UNLINK, false);
    folder_of(full, parent);
    disk.nodes[node].path[0] = '\0';
    note_name(node, parent, "");
    event(DISK_UNLINK, true);
    return 0;
}

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char old_path[PATH_ROOM], new_path[PATH_ROOM], parent[PATH_ROOM];
    if (!resolve(from_folder, from, old_path) || !resolve(to_folder, to, new_path))
        return __real_renameat(from_folder, from, to_folder, to);
    int node = find(old_path), there = find(new_path);
    if (node < 0) {
        errno = ENOENT;
        return -1;
    }
    event(DISK_RENAME, false);
    if (there >= 0)
        disk.nodes[there].path[0] = '\0';
    (void)snprintf(disk.nodes[node].path, PATH_ROOM, "%s", new_path);
    folder_of(new_path, parent);
    note_name(node, parent, new_path);
    event(DISK_RENAME, true);
    return 0;
}

int __wrap_mkdirat(int folder, const char *name, mode_t mode)
{
    char full[PATH_ROOM], parent[PATH_ROOM];
    if (!resolve(folder, name, full))
        return __real_mkdirat(folder, name, mode);
    if (find(full) >= 0) {
        errno = EEXIST;
        return -1;
    }
    event(DISK_CREATE, false);
    folder_of(full, parent);
    note_name(new_node(full, true), parent, full);
    event(DISK_CREATE, true);
    return 0;
}

/* ---- listing: the descriptor is the DIR ---- */

DIR *__wrap_fdopendir(int fd)
{
    struct file *file = file_of(fd);
    return file == NULL ? __real_fdopendir(fd) : (DIR *)(void *)file;
}

static struct file *listing_of(DIR *dir)
{
    struct file *file = (struct file *)(void *)dir;
    return file >= disk.files && file < disk.files + FD_MAX ? file : NULL;
}

struct dirent *__wrap_readdir(DIR *dir)
{
    struct file *file = listing_of(dir);
    if (file == NULL)
        return __real_readdir(dir);
    char parent[PATH_ROOM];
    for (; file->place < NODES_MAX; file->place++) {
        const struct node *node = &disk.nodes[file->place];
        folder_of(node->path, parent);
        if (!node->used || strcmp(parent, node_of(file)->path) != 0)
            continue;
        (void)snprintf(file->entry.d_name, sizeof file->entry.d_name, "%s",
                       strrchr(node->path, '/') + 1);
        file->place++;
        return &file->entry;
    }
    return NULL;
}

int __wrap_closedir(DIR *dir)
{
    struct file *file = listing_of(dir);
    return file == NULL ? __real_closedir(dir) : __wrap_close(FD_FIRST + (int)(file - disk.files));
}
