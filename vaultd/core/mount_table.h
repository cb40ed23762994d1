/* vaultd/core/mount_table.h - the mount table as a value: its record, its rows, the built-in ones; for
 * mounts.c and mounts_change.c alone.
 *
 * Format:  u8 format 2 ‖ u32 n ‖ n × row ‖ u8 n ‖ n × (field id, from, to of a move, the newest last).
 *          A row: field path, type, version, description, accessor ‖ scope16 ‖ i64 default and maximal
 *          lease ‖ u8 flags (1 local, 2 seal wrap, 4 no cache) ‖ field listing visibility, token type ‖
 *          for each of the MOUNT_LISTS: u16 n ‖ n × field. Sealed by the barrier.
 *          Format 1 has rows that end with their flags, and no moves.
 * Owner:   mount_table_read() gives one, mount_table_free() ends it.
 * Threads: any thread; immutable in between, but for refs.
 * Errors:  KT_CORRUPT: damaged, or of a newer format; KT_NO_MEMORY. */
#pragma once

#include "vaultd/core/core.h"
#include "vaultd/core/mounts.h"

/* One record must fit into one batch beside what else a change of the table needs. The moves have their own
 * share of it: neither they nor the rows can take the other's. An old table (at most 512 KiB, 4,096 rows of
 * format 1) fits with what a later format adds to each row. */
#define MOUNT_RECORD_MAX ((size_t)960 * 1024)
#define MOUNT_MOVES_MAX  ((size_t)48 * 1024)
#define MOUNT_ROWS_MAX   (MOUNT_RECORD_MAX - MOUNT_MOVES_MAX)

struct mount_moves {
    struct mount_move at[MOUNT_MOVES]; /* the newest last */
    size_t n;
};

struct mount_table {
    unsigned refs;        /* the reader's business */
    generation changed;   /* of the record; 0: there is none */
    struct kt_arena arena;
    struct mount *rows;          /* sorted by path */
    const struct mount **sorted; /* the same, for mounts_all() */
    size_t n;
    struct mount_moves moves;
};

void mount_table_key(struct core *core, unsigned char key[BARRIER_NAME_KEY]);
/* An empty record: the built-in mounts alone. */
enum kt_kind mount_table_read(struct kt_bytes record, generation changed, struct mount_table **ret,
                              struct kt_err *err) KT_MUST_CHECK;
void mount_table_free(struct mount_table *table);
/* Rows that are not built in, as a record. moves NULL: none. The buffer is full when the rows alone are larger
 * than MOUNT_ROWS_MAX; of the moves the oldest stay away that are beyond MOUNT_MOVES_MAX. */
void mount_table_write(const struct mount *rows, size_t n, const struct mount_moves *moves,
                       struct kt_buf *out);
/* The mount that the path lies in, or NULL. No mount is the prefix of another, so at most one does;
 * "secret" alone means "secret/". */
const struct mount *mount_table_find(const struct mount_table *table, const char *path,
                                     const char **ret_rest);
