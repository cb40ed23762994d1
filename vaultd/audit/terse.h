/* vaultd/audit/terse.h - the form in which a record's line is sealed: half as long.
 *
 * What:    Nearly all of a line is names, and HMACs in hex. A terse line is the line in which bytes
 *          below 0x20, which JSON text never holds raw, stand for these. What is sealed is terse; what
 *          is hashed, exported and copied to devices is the line, and always comes out of
 *          audit_terse_expand(), so the two cannot differ.
 * Format:  0x00: nothing (fills up a line that would be too short); 0x01: the 32 bytes that follow,
 *          as "hmac-sha256:" and 64 hex digits, in quotes; then the pieces below. Any other byte is
 *          itself, so a line is a terse line too. The codes are part of the format of records: none
 *          is ever given to another piece, and none is free.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"
#include "vaultd/audit/audit.h"

/* name, code, text */
#define AUDIT_PIECES(X)                                                                            \
    X(PIECE_TIME, 0x02, "{\"time\":")                                                              \
    X(PIECE_REQUEST_TYPE, 0x03, ",\"type\":\"request\"")                                           \
    X(PIECE_RESPONSE_TYPE, 0x04, ",\"type\":\"response\"")                                         \
    X(PIECE_AUTH, 0x05, "\"auth\":{")                                                              \
    X(PIECE_REQUEST, 0x06, "\"request\":{")                                                        \
    X(PIECE_RESPONSE, 0x07, "\"response\":{")                                                      \
    X(PIECE_TOKEN, 0x08, "\"client_token\":")                                                      \
    X(PIECE_ACCESSOR, 0x09, "\"accessor\":")                                                       \
    X(PIECE_DISPLAY_NAME, 0x0a, "\"display_name\":")                                               \
    X(PIECE_POLICIES, 0x0b, "\"policies\":")                                                       \
    X(PIECE_METADATA, 0x0c, "\"metadata\":")                                                       \
    X(PIECE_ENTITY, 0x0d, "\"entity_id\":")                                                        \
    X(PIECE_EXPIRES, 0x0e, "\"token_expire_time\":")                                               \
    X(PIECE_ID, 0x0f, "\"id\":")                                                                   \
    X(PIECE_OPERATION, 0x10, "\"operation\":")                                                     \
    X(PIECE_MOUNT_POINT, 0x11, "\"mount_point\":")                                                 \
    X(PIECE_MOUNT_TYPE, 0x12, "\"mount_type\":")                                                   \
    X(PIECE_TOKEN_ACCESSOR, 0x13, "\"client_token_accessor\":")                                    \
    X(PIECE_NAMESPACE, 0x14, "\"namespace\":{\"id\":\"root\"}")                                    \
    X(PIECE_PATH, 0x15, "\"path\":")                                                               \
    X(PIECE_DATA, 0x16, "\"data\":")                                                               \
    X(PIECE_ADDRESS, 0x17, "\"remote_address\":")                                                  \
    X(PIECE_PORT, 0x18, "\"remote_port\":")                                                        \
    X(PIECE_ERROR, 0x19, "\"error\":")                                                             \
    X(PIECE_STATUS, 0x1a, "\"status\":")                                                           \
    X(PIECE_SALT, 0x1b, "\"salt\":")                                                               \
    X(PIECE_SEQ, 0x1c, ",\"seq\":")                                                                \
    X(PIECE_RESULTS, 0x1d, "\"policy_results\":{\"allowed\":")                                     \
    X(PIECE_GRANTING, 0x1e, "\"granting_policies\":[{\"name\":")                                    \
    X(PIECE_IDENTITY_POLICIES, 0x1f, "\"identity_policies\":")
#define X(name, code, text) name = (code),
enum audit_piece { PIECE_NOTHING = 0x00, PIECE_HMAC = 0x01, AUDIT_PIECES(X) };
#undef X

#define AUDIT_HMAC_BYTES 32u
#define AUDIT_TERSE_HMAC (1u + AUDIT_HMAC_BYTES) /* instead of 78 bytes of text */

/* An HMAC's text form; for public values. */
void audit_hmac_text(const unsigned char hmac[AUDIT_HMAC_BYTES], char out[AUDIT_HMAC_TEXT]);
/* What a code stands for, but for PIECE_HMAC; empty: nothing. */
struct kt_bytes audit_terse_piece(enum audit_piece piece);
/* Adds the line to out. False: a code that no format of ours has, or an HMAC that is cut; what was
 * added is then to be dropped. Whether out had room is for the caller to ask. */
bool audit_terse_expand(struct kt_bytes terse, struct kt_buf *out) KT_MUST_CHECK;
