/* tests/sim/world.h - a vault that lives, dies and is opened again, and those who ask it.
 *
 * What:    A world has one store image and one disk. A life is: open the store and the vault,
 *          unseal, check everything that was promised before, let clients work, and crash. Where a
 *          life crashes is planned when it begins: at the n-th time that a place is passed, with
 *          one of the disk's faults. From that instant nothing that the dying vault does reaches
 *          the world: its store and disk keep what they had, its answers are not heard, its
 *          targets do not listen. So it can be taken down in order, and nothing leaks.
 * Replay:  a world is a function of its seed: sim --seed N -v tells its story. */
#pragma once

#include <pthread.h>

#include "tests/sim/disk.h"
#include "tests/sim/sched.h"
#include "vaultd/core/core.h"
#include "vaultd/core/pipeline.h"
#include "vaultd/rotation/rotation.h"

/* Where a life may end. The disk's places come twice: before and after the effect. */
#define WORLD_PLACES(X)                                                                            \
    X(FOLD_BEGUN, "store: before a fold is durable")                                               \
    X(FOLD_DURABLE, "store: durable, nobody knows")                                                \
    X(ANSWER, "an answer is on its way")                                                           \
    X(STEP, "any step")                                                                            \
    X(APPLY_BEFORE, "target: before a credential is applied")                                      \
    X(APPLY_AFTER, "target: applied, nobody knows")                                                \
    X(REVOKE_BEFORE, "target: before a credential is revoked")                                     \
    X(REVOKE_AFTER, "target: revoked, nobody knows")                                               \
    X(RESTORE_BEFORE, "target: before a credential is restored")                                   \
    X(RESTORE_AFTER, "target: restored, nobody knows")                                             \
    X(LOG_WRITE, "log: a write")                                                                   \
    X(LOG_WRITTEN, "log: written")                                                                 \
    X(SEGMENT_SYNC, "log: a segment is to be synced")                                              \
    X(SEGMENT_SYNCED, "log: a segment is synced")                                                  \
    X(INDEX_SYNC, "log: the index is to be synced")                                                \
    X(INDEX_SYNCED, "log: the index is synced")                                                    \
    X(TREE_SYNC, "log: the tree is to be synced")                                                  \
    X(TREE_SYNCED, "log: the tree is synced")                                                      \
    X(NOTES_SYNC, "log: checkpoints are to be synced")                                             \
    X(NOTES_SYNCED, "log: checkpoints are synced")                                                 \
    X(IDENTITY_SYNC, "log: its identity is to be synced")                                          \
    X(IDENTITY_SYNCED, "log: its identity is synced")                                              \
    X(FOLDER_SYNC, "log: a folder is to be synced")                                                \
    X(FOLDER_SYNCED, "log: a folder is synced")                                                    \
    X(FILE_CREATE, "log: before a file is made")                                                   \
    X(FILE_CREATED, "log: a file is made")                                                         \
    X(FILE_UNLINK, "log: before a file is removed")                                                \
    X(FILE_UNLINKED, "log: a file is removed")                                                     \
    X(FILE_RENAME, "log: before a file is renamed")                                                \
    X(FILE_RENAMED, "log: a file is renamed")                                                      \
    X(ALLOCATE, "log: before room is allocated")                                                   \
    X(ALLOCATED, "log: room is allocated")
#define X(name, text) PLACE_##name,
enum place { WORLD_PLACES(X) PLACE_COUNT };
#undef X

struct world_options {
    uint64_t seed;
    unsigned lives;   /* crashes */
    uint64_t stop_at; /* switches; 0: never */
    bool verbose;
};

struct kv_model;
struct token_model;
struct audit_model;
struct fleet_model;

struct world {
    struct world_options options;
    struct inmem_image *image;
    struct store *store;
    struct core *core;
    bool initialized, dead, leaving, last;
    unsigned char share[1][SHAMIR_SHARE_BYTES];
    char root[256];
    unsigned life, crashes;
    /* the plan of this life */
    enum place at;
    enum disk_fault fault;
    unsigned countdown;  /* so often the place is still passed */
    bool clean;          /* it is stopped in order, if it lives that long */
    bool wants_rotation; /* the place is at the target: others make way */
    int64_t ends_ns;
    /* what the crash said */
    int64_t died_wall_ms;
    bool sets_clock;                        /* somebody does so, now and then */
    int64_t offset_ms, most_offset_ms;      /* of the wall clock from the true time, when this life began, when any did */
    int64_t ahead_ms;                       /* the most that it ever was */
    enum place died_at;
    bool died_of_power;

    struct kv_model *kv;
    struct token_model *tokens;
    struct audit_model *audit;
    struct fleet_model *fleet;
};

/* How often each place ended a life, with each fault, over all worlds of the process. */
extern unsigned long world_hits[PLACE_COUNT][DISK_FAULTS];
const char *place_text(enum place place);
const char *fault_text(enum disk_fault fault);

/* Runs a world to its end; counts its crashes. The story's number. */
uint64_t world_run(const struct world_options *options, unsigned *ret_crashes);
/* A place is passed. */
void world_place(struct world *world, enum place place);
void world_say(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What tokens are born and end by: the wall clock, or a steady one that began with it in this life or one before. The
 * vault's is between the two; of times that are cut it may be WORLD_CUT_MS less. */
#define WORLD_CUT_MS 5
int64_t world_life_least_ms(const struct world *world);
int64_t world_life_most_ms(const struct world *world);
/* Somebody sets the wall clock, by up to two hours. */
void world_set_clock(struct world *world);

/* ---- asking ---- */
#define ASK_BODY 16384u
struct ask {
    /* what is asked */
    const char *method, *path, *token, *body; /* path with its query */
    bool waits;                               /* a long poll: each pass is a new look */
    bool changes; /* if it is answered 2xx, something in the vault is not as it was */
    /* what became of it */
    unsigned status;
    bool unknown; /* the vault died before it answered: applied or not */
    bool unheard; /* the answer was lost on its way: the asker must not act on it */
    bool lost;    /* the question was lost: nothing happened */
    bool effect;  /* it changed something, and the vault said so */
    char id[40];
    int token_number; /* tokens.c's: of the model; and what was sure of it before the last look */
    bool passed, token_dead, token_dead_now, token_alive;
    int64_t begun_ms, ended_ms;           /* true times */
    int64_t least_ms, most_ms;            /* world_life_least_ms() then, world_life_most_ms() in the end */
    char answer[ASK_BODY];
};
/* Over a network that delays and loses when `network`. */
void ask_vault(struct world *world, struct ask *ask, bool network);
bool answer_text(const struct ask *ask, const char *dotted, char *out, size_t size);
int64_t answer_int(const struct ask *ask, const char *dotted, int64_t absent);

/* ---- those who ask; each module has its tasks and its promises ---- */
struct actor {
    void (*run)(struct world *world, unsigned number);
    struct world *world;
    unsigned number;
    pthread_t thread;
};
