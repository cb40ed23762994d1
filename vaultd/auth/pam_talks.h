/* vaultd/auth/pam_talks.h - logins that are on their way through the host's PAM.
 *
 * What:    One talk a login: a connection to vaultd-pam, which asks what the host's stack asks. A handler
 *          begins one, waits (request_wait() on pam_talk_waiters()), and takes with its ticket what came:
 *          prompts, which somebody else's request answers later, or the verdict. A thread of its own does
 *          all that may have to wait; nobody else ever does.
 * Id:      who answers shows a login id: 256 random bits, another one for each round of prompts, so that a
 *          request that is sent again never answers a later prompt. It is good for the mount, the name and
 *          the source (address, or uid over the Unix socket) that it was given to.
 * Guesses: an account has at most `max_failures` of them within a quarter of an hour, whichever of its names is
 *          typed (vaultd-pam says whose it is, before PAM is asked), by all mounts together and
 *          those that are still on their way included; then PAM is not asked about it. The last of them is the
 *          Unix socket's: the network stops one earlier (where there are two at least). So the host's own count, which is to allow
 *          more, is never reached from here. What reached PAM and did not let anybody in counts, whether
 *          it was refused, hung, crashed, or was left at a prompt.
 *          Whether an account is still good (PAMD_ACCOUNT) is no guess.
 * Refusals are held back for as long as the stack's modules want, and to the next half second.
 * Secrets: answers are in guarded memory until they are sent.
 * Limits:  below. A verdict that nobody asks for is forgotten after a minute.
 * Owner:   the core. The thread starts with the first talk.
 * Threads: any thread. */
#pragma once

#include "lib/arena.h"
#include "vaultd/auth/lockout.h"
#include "vaultd/core/wait.h"
#include "vaultd/pam/message.h"

#define TALKS_NETWORK_MAX 48u /* of PAMD_LOGINS_MAX: what is left is for the Unix socket */
#define TALKS_NAME_MAX    2u  /* of one name, by the network; as many by the Unix socket */
#define TALKS_SOURCE_MAX  8u  /* of one address, or one /64 of IPv6 */
#define TALK_ID           43u /* characters of a login id */

struct pam_talks;
/* socket: vaultd-pam's. failures: whose guesses they are, per name. NULL: out of memory. */
struct pam_talks *pam_talks_new(struct wait_clock *waits, const struct kt_clock *clock,
                                struct lockout *failures, const char *socket);
/* Every request that waited must be gone. NULL is fine. */
void pam_talks_free(struct pam_talks *talks);

/* Who logs in, and from where. */
struct talk_party {
    enum pamd_question question;
    unsigned char scope[BARRIER_SCOPE]; /* of the mount */
    char user[PAMD_NAME_MAX + 1];
    bool barred;      /* PAM is asked about one who cannot exist: whatever is shown is refused as a wrong one */
    bool local;       /* over the Unix socket: by uid, not by address */
    uint32_t uid;
    char address[64];
    char source[64]; /* as addresses are counted: refusals_source() */
};

/* The first member of the handler_data of whoever waits. */
struct talk_ticket {
    uint64_t number; /* 0: none */
    unsigned place;
    unsigned round;
};

enum talk_begun {
    TALK_BEGUN,
    TALK_LOCKED,    /* the name has had its guesses */
    TALK_NAME_FULL, /* enough logins of that name, or of that address, are on their way */
    TALK_FULL,      /* ... of everybody */
    TALK_NO_MEMORY
};
/* Whether pam_talk_begin() would begin it now. Nothing is begun. */
enum talk_begun pam_talk_may(struct pam_talks *talks, const struct talk_party *party,
                             unsigned max_failures) KT_MUST_CHECK;
/* password at NULL: none; else it answers the first prompt, if that is one that is typed unseen. */
enum talk_begun pam_talk_begin(struct pam_talks *talks, const struct talk_party *party,
                               unsigned max_failures, struct kt_bytes password,
                               struct talk_ticket *ret) KT_MUST_CHECK;

enum talk_answered {
    TALK_ANSWERED,
    TALK_UNKNOWN,     /* no login of that id is open to that party */
    TALK_MISCOUNTED,  /* not as many as were asked for; it goes on waiting for them */
    TALK_NOT_ANSWERED /* out of memory */
};
/* Each answer at most PAMD_TEXT_MAX bytes, without a NUL. */
enum talk_answered pam_talk_answer(struct pam_talks *talks, const struct talk_party *party,
                                   struct kt_bytes id, const struct kt_bytes *answers, size_t n,
                                   struct talk_ticket *ret) KT_MUST_CHECK;

enum talk_end {
    TALK_VERDICT, /* vaultd-pam's */
    TALK_GONE,    /* nobody listens at the socket */
    TALK_BUSY,    /* vaultd-pam has as many as it takes */
    TALK_SILENT,  /* it ended, or took too long, without a verdict */
    TALK_HAD,     /* whom the host takes that name for has had his guesses */
    TALK_CROWDED  /* ... or has enough logins on their way */
};
struct talk_news {
    bool asks; /* for answers; else it ended */
    char id[TALK_ID + 1];
    unsigned expires_s; /* the id does then */
    enum talk_end end;
    struct pamd_message message; /* prompts, or the verdict; its texts lie in the arena */
    struct string_list groups;   /* with a verdict PAMD_IN; in the arena */
    unsigned char account[LOCKOUT_KEY]; /* whose guess it was */
    char account_name[PAMD_NAME_MAX + 1]; /* the host's for him, before PAM was asked; "": it was not said */
};
enum talk_taken {
    TALK_WAITS, /* not yet */
    TALK_NEWS,  /* told once */
    TALK_LOST,  /* it was told, or forgotten */
    TALK_UNTOLD /* out of memory */
};
enum talk_taken pam_talk_take(struct pam_talks *talks, const struct talk_ticket *ticket,
                              struct kt_arena *arena, struct talk_news *ret) KT_MUST_CHECK;
/* Whom PAM let in: the vault did, too, and his failures are forgotten; or it did not, and it was a guess like any. */
void pam_talk_let_in(struct pam_talks *talks, const struct talk_news *news, bool in);
struct wait_list *pam_talk_waiters(struct pam_talks *talks);
/* How many are on their way. */
unsigned pam_talks_open(struct pam_talks *talks);
