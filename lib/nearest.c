#include "lib/nearest.h"

#include <string.h>

#define WORD_MAX 48u

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment distance, three rows at a time. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    for (size_t k = 0; k <= b_len; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t same = a[i - 1] == b[k - 1] ? 0 : 1;
            now[k] = least(before[k] + 1, now[k - 1] + 1, before[k - 1] + same);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                earlier[k - 2] + 1 < now[k])
                now[k] = earlier[k - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *kt_nearest(const char *word, const char *const *words)
{
    size_t len = strlen(word);
    size_t best = len < 4 ? 2 : 3;
    const char *found = NULL;
    if (len > WORD_MAX)
        return NULL;
    for (; *words != NULL; words++) {
        size_t other = strlen(*words);
        if (other > WORD_MAX)
            continue;
        size_t far = distance(word, len, *words, other);
        if (far < best) {
            best = far;
            found = *words;
        }
    }
    return found;
}

bool kt_one_slip(const char *word, const char *other)
{
    size_t len = strlen(word), other_len = strlen(other);
    return len <= WORD_MAX && other_len <= WORD_MAX && distance(word, len, other, other_len) == 1;
}
