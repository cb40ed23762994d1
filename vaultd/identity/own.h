/* vaultd/identity/own.h - what the routes of identity/ share; nobody else includes it. */
#pragma once

#include "vaultd/core/engine.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/entity.h"
#include "vaultd/identity/groups.h"
#include "vaultd/identity/identity.h"

/* ---- what is asked for: wish.c ---- */
struct wish {
    const char *id, *name; /* "": absent */
    bool has_metadata, has_policies;
    struct kt_bytes metadata;
    struct string_list policies; /* normal */
};
/* From the path and the body; a part of the path stands before a field of the same name. */
enum kt_kind wish_read(struct request *req, struct wish *ret, struct kt_err *err);
enum kt_kind wish_text(struct request *req, const char *name, const char **ret, struct kt_err *err);
/* kv-pairs, within Vault's bounds. KT_NOT_FOUND: absent. */
enum kt_kind wish_pairs(struct request *req, const char *name, struct kt_bytes *ret,
                        struct kt_err *err);
/* Names keep their case and are found in any: policies are asked about the name that is borne, too, where the
 * path has another spelling of it. */
enum kt_kind wish_spelled(struct request *req, const char *borne, struct kt_err *err);
enum kt_kind made_now(struct request *req, struct identity_made *made, bool is_new, struct kt_err *err);
/* The auth mount that an alias names. KT_INVALID: there is none such. */
enum kt_kind auth_mount_of(struct request *req, const char *accessor, const struct mount **ret,
                           struct kt_err *err);

/* ---- what is answered: reply.c ---- */
void write_names(struct kt_jsonw *w, const char *key, const struct string_list *list);
void write_made(struct kt_jsonw *w, const struct identity_made *made);
/* "metadata": null when there is none. */
void write_pairs(struct kt_jsonw *w, const char *key, struct kt_bytes pairs);
/* mount_accessor, mount_path, mount_type; of a mount that is gone the accessor alone. */
void write_mount_of(struct request *req, struct kt_jsonw *w, const struct alias *alias);
void write_alias(struct request *req, struct kt_jsonw *w, const struct alias *alias,
                 const char *canonical_id);
enum kt_kind reply_entity(struct request *req, const struct entity *entity, struct kt_err *err);
enum kt_kind reply_group(struct request *req, const struct group *group, struct kt_err *err);
/* {"id": ..., key: ...} */
void reply_pair(struct request *req, const char *id, const char *key, const char *value);

/* ---- lists: listing.c ---- */
/* A page: the first keys, by their bytes, behind the request's "after", at most "limit" of them, LISTED_MAX, and
 * what INFO_PAGE (listing.c) holds of what is said of them. Keys come in any order; what turns out to be on a later
 * page is let go. Of one that is shorter than was asked for a warning says how to go on. */
#define LISTED_MAX 20000u
struct listing {
    struct request *req;
    struct listed {
        const char *key;
        size_t at, len; /* of what is said of it, in info */
    } *items;
    size_t n, room, limit;
    const char *after; /* "": from the first */
    const char *last;  /* no key behind it is on this page; NULL: any may be */
    bool with_info, wanted_less;
    struct kt_buf info;
};
/* KT_INVALID: "after" or "limit" is no such thing. */
enum kt_kind listing_begin(struct listing *listing, struct request *req, bool with_info, struct kt_err *err)
    KT_MUST_CHECK;
/* The writer to say something of the key with, an object that is open; listing_added() ends it. False:
 * it is on another page, or memory is out, which listing_end() knows. */
bool listing_add(struct listing *listing, const char *key, struct kt_jsonw *ret);
void listing_added(struct listing *listing, struct kt_jsonw *w);
/* Writes keys and key_info, sorted, and frees it; kind: how the walk went. */
enum kt_kind listing_end(struct listing *listing, enum kt_kind kind, struct kt_err *err);
#define LISTED_FIELDS                                                                              \
    {"after", FIELD_STRING, "from the first one behind this key"},                                 \
        {"limit", FIELD_INT, "at most so many; 20000 if it is left out, or more"}
/* More groups, or members of one, than this are looked at aside. */
#define LISTED_HERE 2000u
/* Each entity, in no order. On a carrier's thread only so many that nobody waits: *ret_aside: the
 * request goes on elsewhere, say nothing. */
typedef bool entity_fn(void *arg, const struct entity *entity);
enum kt_kind entities_walk(struct request *req, entity_fn *each, void *arg, bool *ret_aside,
                           struct kt_err *err);

/* ---- handlers ---- */
handler_fn identity_entity_write, identity_entity_read, identity_entity_delete, identity_entity_list;
handler_fn identity_entity_name_write, identity_entity_name_read, identity_entity_name_delete,
    identity_entity_name_list;
handler_fn identity_merge;
handler_fn identity_alias_write, identity_alias_read, identity_alias_delete, identity_alias_list;
handler_fn identity_group_write, identity_group_read, identity_group_delete, identity_group_list;
handler_fn identity_group_name_write, identity_group_name_read, identity_group_name_delete,
    identity_group_name_list;
handler_fn identity_group_alias_write, identity_group_alias_read, identity_group_alias_delete,
    identity_group_alias_list;
handler_fn identity_lookup_entity, identity_lookup_group;
