/* tests/support/fault.h - makes the n-th call of a kind fail, anywhere in this process.
 *
 * What:    fault_wrap.c replaces libc's, LMDB's, libsodium's and GnuTLS's functions in the program that
 *          it is linked into (tests/unit/fault_*_test.c, see the Makefile): what the libraries call
 *          among themselves fails as well. Calls are counted in all threads, from fault_set() on.
 *          What is written to standard output and error never fails.
 * Threads: fault_set(), fault_clear(): one thread; the rest happens in any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FAULT_KINDS_LIST(X)                                                                        \
    X(FAULT_ALLOC, "allocation")  /* malloc and its kin, mmap, sodium_malloc */                    \
    X(FAULT_READ, "read")         /* read, pread */                                                \
    X(FAULT_WRITE, "write")       /* write, pwrite, writev, fallocate, ftruncate */                \
    X(FAULT_SYNC, "sync")         /* fdatasync, fsync, msync */                                    \
    X(FAULT_NAME, "name")         /* open, mkdir, rename, unlink */                                \
    X(FAULT_START, "start")       /* fork, pthread_create */                                       \
    X(FAULT_LIBRARY, "library")   /* LMDB, GnuTLS, sodium_mlock: the call says that it failed */

#define X(name, text) name,
enum fault_kind { FAULT_KINDS_LIST(X) FAULT_KINDS };
#undef X

enum fault_how {
    FAULT_ERROR, /* it fails with `error` */
    FAULT_SHORT, /* a read or write does half of it */
    FAULT_HANG   /* it does not return before fault_clear(), then it is done */
};
struct fault {
    enum fault_kind kind;
    enum fault_how how;
    unsigned long nth;  /* 1: the next one; 0: none, they are only counted */
    bool for_good;      /* and all that follow */
    int error;          /* 0: what is usual: ENOMEM, EIO, EAGAIN */
    bool trace;         /* remember where the last one failed, for fault_where() */
    bool own;           /* only memory that this program's own code asks for, and no library by itself */
    const char *below;  /* only files whose path begins so; NULL: all. Lives until fault_clear() */
};
void fault_set(const struct fault *fault);
/* How many calls of that kind were made since; the fault is gone. */
unsigned long fault_clear(void);
/* What a test does on the side, in this thread, neither fails nor counts. */
void fault_outside(bool on);
/* How many calls failed since it was set. */
unsigned long fault_hits(void);
/* The calls that led to the last one that failed, one a line; addr2line -fe PROGRAM names them. */
void fault_where(int fd);
/* Calls that hang just now. */
unsigned fault_hanging(void);
const char *fault_kind_name(enum fault_kind kind);

/* Allocations of the whole process that were not freed yet. */
long fault_live(void);
