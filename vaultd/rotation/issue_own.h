/* vaultd/rotation/issue_own.h - what the files of issue.h share: one row a type of generator.
 *
 * Threads: as issue.h. */
#pragma once

#include "lib/jsonw.h"
#include "vaultd/rotation/issue.h"

/* The members of a generator that are about certificates. */
enum issue_member {
    ISSUE_ISSUER = 1 << 0,
    ISSUE_COMMON_NAME = 1 << 1,
    ISSUE_NAMES = 1 << 2,
    ISSUE_USAGE = 1 << 3,
    ISSUE_KEY = 1 << 4,
    ISSUE_LIFE = 1 << 5,
    ISSUE_REQUEST = 1 << 6,
    ISSUE_OPTIONS = 1 << 7
};

/* One version that is being made. */
struct issuing {
    struct request *req;
    const struct run *run;
    const struct rotation_settings *settings; /* the run's */
    int64_t life_s;
    struct kt_json old;     /* the version before */
    struct issuer issuer;   /* where the settings name one */
    struct kt_jsonw w;      /* inside the object of members that change; null removes one */
    const char *text;       /* what was made, for people */
};

struct issue_type {
    const char *name;
    unsigned may, must; /* enum issue_member */
    int64_t life_s;     /* when none is said */
    unsigned renew, alarm; /* 24ths of the life */
    enum kt_kind (*check)(const struct rotation_settings *settings, struct kt_err *err);
    enum kt_kind (*make)(struct issuing *by, struct kt_err *err);
    void (*describe)(const struct rotation_settings *settings, struct kt_buf *out);
};

/* The life that is set, or the type's. */
enum kt_kind issue_life(const struct rotation_settings *settings, int64_t *ret_s, struct kt_err *err)
    KT_MUST_CHECK;
/* A text of a buffer as a member. */
static inline void issue_text(struct issuing *by, const char *name, const struct kt_buf *text)
{
    kt_jsonw_key(&by->w, name);
    kt_jsonw_bytes(&by->w, kt_buf_bytes(text));
}

/* issue_crl.c */
enum kt_kind x509_crl_check(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind x509_crl_make(struct issuing *by, struct kt_err *err) KT_MUST_CHECK;
void x509_crl_describe(const struct rotation_settings *settings, struct kt_buf *out);

/* Lists of one issuer count up, also when the clock went back. member: where the number before stands. */
uint64_t issue_next_number(const struct issuing *by, const char *member);

/* issue_krl.c */
enum kt_kind ssh_krl_check(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind ssh_krl_make(struct issuing *by, struct kt_err *err) KT_MUST_CHECK;
void ssh_krl_describe(const struct rotation_settings *settings, struct kt_buf *out);

/* issue_ssh.c */
enum kt_kind ssh_cert_check(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind ssh_cert_make(struct issuing *by, struct kt_err *err) KT_MUST_CHECK;
void ssh_cert_describe(const struct rotation_settings *settings, struct kt_buf *out);

/* issue_x509.c */
enum kt_kind x509_leaf_check(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind x509_leaf_make(struct issuing *by, struct kt_err *err) KT_MUST_CHECK;
void x509_leaf_describe(const struct rotation_settings *settings, struct kt_buf *out);
enum kt_kind x509_authority_check(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind x509_authority_make(struct issuing *by, struct kt_err *err) KT_MUST_CHECK;
void x509_authority_describe(const struct rotation_settings *settings, struct kt_buf *out);
