#include "vaultd/audit/terse.h"

#define HMAC_PREFIX 12u /* "hmac-sha256:" */
#define PIECE_END   0x20u
#define PIECE_MAX   31u

static const struct piece {
    unsigned char len; /* 0: not a piece */
    char text[PIECE_MAX];
} pieces[PIECE_END] = {
#define X(name, code, text) [name] = {sizeof(text) - 1, text},
    AUDIT_PIECES(X)
#undef X
};
#define X(name, code, text) _Static_assert(sizeof(text) - 1 <= PIECE_MAX, "fits its row");
AUDIT_PIECES(X)
#undef X

struct kt_bytes audit_terse_piece(enum audit_piece piece)
{
    return kt_bytes(pieces[piece].text, pieces[piece].len);
}

/* How many bytes of plain text stand in front. Eight at once: a bit is set where a byte is below
 * 0x20, and perhaps above the first such byte. */
static size_t plain(struct kt_bytes text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t n = 0;
    for (; text.len - n >= 8; n += 8) {
        uint64_t x = kt_get_u64(text.at + n);
        uint64_t low = (x - ones * PIECE_END) & ~x & (ones * 0x80);
        if (low != 0)
            return n + (size_t)__builtin_ctzll(low) / 8;
    }
    while (n < text.len && text.at[n] >= PIECE_END)
        n++;
    return n;
}

/* What stands in front: a run of plain text, an HMAC, or a piece. len 0: nothing that can be. */
struct step {
    size_t len; /* of it, terse */
    unsigned char code; /* PIECE_END: plain text */
};

static struct step look(struct kt_bytes terse)
{
    size_t n = plain(terse);
    unsigned char code = n > 0 ? (unsigned char)PIECE_END : terse.at[0];
    if (code == PIECE_END)
        return (struct step){n, code};
    if (code == PIECE_HMAC && terse.len >= AUDIT_TERSE_HMAC)
        return (struct step){AUDIT_TERSE_HMAC, code};
    if (code != PIECE_NOTHING && pieces[code].len == 0)
        return (struct step){.len = 0};
    return (struct step){1, code};
}

/* Eight digits at once, each in a byte of its own: digit + '0', and 39 more from ten on. */
void audit_hmac_text(const unsigned char hmac[AUDIT_HMAC_BYTES], char out[AUDIT_HMAC_TEXT])
{
    const uint64_t ones = UINT64_C(0x0101010101010101), pairs = UINT64_C(0x000f000f000f000f);
    memcpy(out, "hmac-sha256:", HMAC_PREFIX);
    for (unsigned i = 0; i < AUDIT_HMAC_BYTES; i += 4) {
        uint64_t x = kt_get_u32(hmac + i);
        x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
        x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
        x = (x >> 4 & pairs) | (x & pairs) << 8;
        x += ones * '0' + ((x + ones * 6) >> 4 & ones) * ('a' - '0' - 10);
        kt_put_u64((unsigned char *)out + HMAC_PREFIX + (size_t)2 * i, x);
    }
    out[AUDIT_HMAC_TEXT - 1] = '\0';
}

static void add_hmac(struct kt_buf *out, const unsigned char hmac[AUDIT_HMAC_BYTES])
{
    unsigned char *to = kt_buf_grow(out, AUDIT_HMAC_TEXT + 1);
    if (to == NULL)
        return;
    audit_hmac_text(hmac, (char *)to + 1); /* its NUL stands where the quote goes */
    to[0] = to[AUDIT_HMAC_TEXT] = '"';
}

bool audit_terse_expand(struct kt_bytes terse, struct kt_buf *out)
{
    while (terse.len > 0) {
        struct step step = look(terse);
        if (step.len == 0)
            return false;
        if (step.code == PIECE_END)
            kt_buf_add(out, terse.at, step.len);
        else if (step.code == PIECE_HMAC)
            add_hmac(out, terse.at + 1);
        else
            kt_buf_add(out, pieces[step.code].text, pieces[step.code].len);
        terse = kt_bytes(terse.at + step.len, terse.len - step.len);
    }
    return true;
}
