/* vaultd/pam/message.h - what vaultd and vaultd-pam say to each other.
 *
 * vaultd connects to vaultd-pam's seqpacket socket once for each login (lib/ipc.h); one message is one
 * packet. A letter, then (integers little-endian, a field as kt_buf_add_field() writes it):
 *
 *   vaultd:      BEGIN    u8 version ‖ u8 question ‖ field user ‖ field address   who, from where
 *   vaultd-pam:  NAMED    field name                                who that is in the host's own spelling
 *   vaultd:      GO                                                 he may have a guess; PAM is asked now
 *   vaultd-pam:  PROMPTS  u8 n ‖ n times (u8 echo ‖ field text)     what his PAM stack asks; again and again
 *   vaultd:      ANSWERS  u8 n ‖ n fields                           as many as were asked
 *   vaultd-pam:  GROUPS   u16 n ‖ n fields                          his; again and again, before a verdict "in"
 *   vaultd-pam:  VERDICT  u8 outcome ‖ u32 delay in ms ‖ field name
 *   vaultd-pam:  ENDED    u32 status of wait(2)                     always the last; also without a verdict
 *   vaultd-pam:  BUSY                                               instead of all: too many at a time
 *
 * A BEGIN without prompts and answers cannot log in: what is asked for is the stack's to say. The delay is
 * what PAM's modules want a refusal to be held back for; vaultd-pam itself does not wait.
 *
 * Owner:   decoded texts point into the bytes that were decoded.
 * Limits:  below. More, or a text with a NUL in it, is no message.
 * Threads: any thread; plain values. */
#pragma once

#include "lib/buf.h"

#define PAMD_VERSION     2u
#define PAMD_MESSAGE_MAX ((size_t)32 * 1024)
#define PAMD_PROMPTS_MAX 5u   /* of a whole login */
#define PAMD_TEXT_MAX    511u /* of a prompt, of an answer: PAM's own limit is 512 with its NUL */
#define PAMD_NAME_MAX    255u /* of a user, of a group */
#define PAMD_GROUPS_EACH 64u    /* of one message */
#define PAMD_GROUPS_MAX  65535u /* of a whole login: all that the kernel takes (NGROUPS_MAX) but one */
#define PAMD_GROUPS_BYTES ((size_t)384 * 1024) /* of their names together */
#define PAMD_LOGINS_MAX  64u  /* at a time */
#define PAMD_TIMEOUT_S   120u /* of a whole login */

/* One who cannot exist: no name has a colon in it. Whoever may not be asked about is asked about as him, so it
 * looks the same from outside. */
#define PAMD_NOBODY "keyturn:nobody"

enum pamd_letter {
    PAMD_BEGIN = 'L',
    PAMD_NAMED = 'N',
    PAMD_GO = 'G',
    PAMD_PROMPTS = 'P',
    PAMD_ANSWERS = 'A',
    PAMD_GROUPS = 'M',
    PAMD_VERDICT = 'R',
    PAMD_ENDED = 'E',
    PAMD_BUSY = 'B'
};

enum pamd_question {
    PAMD_LOGIN,   /* is it he, and is his account good? */
    PAMD_ACCOUNT, /* is his account still good? Nothing is asked of anybody */
    PAMD_QUESTIONS
};

enum pamd_outcome {
    PAMD_IN,      /* authenticated, and the account is good; only then is there a name */
    PAMD_OUT,     /* refused, for whatever reason */
    PAMD_EXPIRED, /* authenticated, but the password has to be changed first */
    PAMD_BROKEN,  /* the stack could not say: a module, a file, a server is not there */
    PAMD_OUTCOMES
};

struct pamd_prompt {
    bool echo; /* what is typed may be seen */
    struct kt_bytes text;
};

struct pamd_message {
    enum pamd_letter letter;
    union {
        struct {
            enum pamd_question question;
            struct kt_bytes user, address;
        } begin;
        struct kt_bytes named;
        struct {
            struct pamd_prompt at[PAMD_PROMPTS_MAX];
            size_t n;
        } prompts;
        struct {
            struct kt_bytes at[PAMD_PROMPTS_MAX];
            size_t n;
        } answers;
        struct {
            struct kt_bytes at[PAMD_GROUPS_EACH];
            size_t n;
        } groups;
        struct {
            enum pamd_outcome outcome;
            uint32_t delay_ms;
            struct kt_bytes name; /* the host's, of the user that the stack left: it may have changed it */
        } verdict;
        uint32_t status;
    };
};

/* Appended; out is failed when it does not fit. */
void pamd_encode(const struct pamd_message *message, struct kt_buf *out);
/* False: that is no message. */
bool pamd_decode(struct kt_bytes bytes, struct pamd_message *ret) KT_MUST_CHECK;
