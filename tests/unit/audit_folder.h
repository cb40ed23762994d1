/* tests/unit/audit_folder.h - a log's folder for a test: made, copied, damaged, removed. Included by
 * one file of a program. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bytes.h"

#define FOLDER_NAME 256

/* On memory where there is some: these tests are not about how fast a disk syncs. */
static void folder_make(char out[FOLDER_NAME])
{
    (void)snprintf(out, FOLDER_NAME, "/dev/shm/keyturn-audit-XXXXXX");
    if (mkdtemp(out) != NULL)
        return;
    (void)snprintf(out, FOLDER_NAME, "/tmp/keyturn-audit-XXXXXX");
    if (mkdtemp(out) == NULL)
        abort();
}

static void folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char below[2 * FOLDER_NAME];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%.250s/%.250s", path, entry->d_name);
        if (unlink(below) != 0)
            folder_remove(below);
    }
    if (dir != NULL)
        (void)closedir(dir);
    (void)rmdir(path);
}

/* The whole file; the caller frees. NULL and 0 if there is none. */
static unsigned char *file_read(const char *path, size_t *ret_len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_len = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) != 0)
        abort();
    unsigned char *at = malloc((size_t)st.st_size + 1);
    if (at == NULL || read(fd, at, (size_t)st.st_size) != st.st_size)
        abort();
    at[st.st_size] = 0;
    (void)close(fd);
    *ret_len = (size_t)st.st_size;
    return at;
}

static void file_write(const char *path, const void *at, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (len > 0 && write(fd, at, len) != (ssize_t)len))
        abort();
    (void)close(fd);
}

__attribute__((unused)) static void folder_copy(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    struct dirent *entry = NULL;
    (void)mkdir(to, 0700);
    if (dir == NULL)
        abort();
    while ((entry = readdir(dir)) != NULL) {
        char source[2 * FOLDER_NAME], target[2 * FOLDER_NAME];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(source, sizeof source, "%.250s/%.250s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%.250s/%.250s", to, entry->d_name);
        if (stat(source, &st) != 0)
            abort();
        if (S_ISDIR(st.st_mode)) {
            folder_copy(source, target);
            continue;
        }
        size_t len = 0;
        unsigned char *at = file_read(source, &len);
        file_write(target, at, len);
        free(at);
    }
    (void)closedir(dir);
}
