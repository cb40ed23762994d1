/* vaultd/auth/pam_talk.h - one login on its way through PAM, and its connection to vaultd-pam.
 *
 * What:    what pam_talks.c keeps of a login, and each exchange of messages about it.
 * Owner:   pam_talks.c: its places. A socket is closed, and what a talk holds is wiped, there.
 * Threads: the exchanges are the talks' thread's, without their lock: nothing here waits.
 * Errors:  none but FOUND_END, with the talk's end. */
#pragma once

#include "lib/secret.h"
#include "vaultd/auth/pam_talks.h"

enum talk_state {
    TALK_FREE,
    TALK_BEGINS,    /* the thread's: to be connected */
    TALK_GOES,      /* the thread's: PAM is to be asked */
    TALK_SENDS,     /* the thread's: answers to be sent */
    TALK_IN_PAM,    /* the thread's: something will come */
    TALK_HELD,      /* the thread's: a refusal whose time has not come */
    TALK_PROMPTING, /* for answers; the thread only looks whether it is still there */
    TALK_DONE       /* to be fetched */
};

struct talk {
    enum talk_state state; /* guarded by lock; what a state says is the thread's, the thread alone touches */
    uint64_t number;
    unsigned round;
    bool told;    /* prompts: to whoever began or answered */
    bool counted; /* as a failure, or as none: it is not on its way any more */
    bool named;   /* the thread's: vaultd-pam said whose name it is */
    unsigned max_failures;
    struct talk_party party;
    unsigned char name[LOCKOUT_KEY]; /* as typed, then the account's own */
    char account[PAMD_NAME_MAX + 1]; /* its own, as text; "": not known yet */
    char id[TALK_ID + 1];
    int socket; /* -1: none */
    int64_t begun_ms, asked_ms;
    int64_t until_ms; /* the end of what it is in: of the login, of the holding back, of the keeping */
    struct kt_secret *secret; /* the password, then encoded answers */
    struct kt_buf message;    /* the last one that came */
    struct kt_buf groups;     /* fields; what came before the verdict */
    size_t n_groups;
    enum talk_end end;
};

/* What the thread found, to be put in place with the lock held. */
enum found { FOUND_NOTHING, FOUND_SENT, FOUND_NAME, FOUND_PROMPTS, FOUND_VERDICT, FOUND_END };

/* FOUND_END, as it ended. */
enum found talk_ends(struct talk *talk, enum talk_end end);
/* Connects to vaultd-pam's socket and says who logs in. */
enum found talk_connect(struct talk *talk, const char *path);
/* That PAM is to be asked. */
enum found talk_go(struct talk *talk);
/* The answers that wait in talk->secret; they are wiped. */
enum found talk_send(struct talk *talk);
/* The next message, if there is one; a password that came with the login answers its first prompt. */
enum found talk_hear(struct talk *talk);
/* Guarded memory with the answers as they are sent; NULL: no memory. */
struct kt_secret *talk_encode(const struct kt_bytes *answers, size_t n);
