/* tests/support/alloc_shim.c - LD_PRELOAD: one allocation in so many fails, in the whole process.
 *
 *   KT_ALLOC_CONTROL=/abs/file   of 16 bytes, mapped at the start: u32 rate (0: none fails; n: about one
 *                                in n), u32 seed, u64 how many failed. Written and read by the test
 *                                while the process runs.
 *
 * Which ones fail follows from the seed and from how many allocations each thread has made. GMP's own do
 * not: it has no way to say that memory is out, and ends the process. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
    _Atomic uint32_t rate, seed;
    atomic_uint_fast64_t failed;
};
/* What a shim is for is global by nature: it replaces functions of the whole process. */
static struct control none, *control = &none;
static atomic_uint threads;
static _Thread_local uint64_t state;
static uintptr_t gmp_from, gmp_to; /* where its code is */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static int find_gmp(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (strstr(info->dlpi_name, "/libgmp.") == NULL)
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        gmp_from = info->dlpi_addr + part->p_vaddr;
        gmp_to = gmp_from + part->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void start(void)
{
    (void)dl_iterate_phdr(find_gmp, NULL);
    const char *path = getenv("KT_ALLOC_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        control = at;
    (void)close(fd);
}

/* splitmix64 */
static uint64_t draw(void)
{
    if (state == 0)
        state = ((uint64_t)atomic_load(&control->seed) << 32) + atomic_fetch_add(&threads, 1) + 1;
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int fails(const void *caller)
{
    uint32_t rate = atomic_load_explicit(&control->rate, memory_order_relaxed);
    uintptr_t from = (uintptr_t)caller;
    if (rate == 0 || (from >= gmp_from && from < gmp_to) || draw() % rate != 0)
        return 0;
    (void)atomic_fetch_add(&control->failed, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return size != 0 && fails(__builtin_return_address(0)) ? NULL : __libc_realloc(at, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *at = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
    if (at == NULL)
        return ENOMEM;
    *ret = at;
    return 0;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}
