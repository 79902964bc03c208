#include "base/nearest.h"

#include <string.h>

enum { WORD_MAX = 64 }; /* longer words get no suggestion */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's distance in which two swapped neighbours count once. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0]; /* the row for a's first i-2 letters, */
    unsigned *last = rows[1];   /* i-1 letters, */
    unsigned *now = rows[2];    /* i letters */
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned wrong = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + wrong);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t word_len = strlen(n->word);
    size_t candidate_len = strlen(candidate);
    if (word_len > WORD_MAX || candidate_len > WORD_MAX)
        return;
    unsigned slips = distance(n->word, word_len, candidate, candidate_len);
    unsigned allowed = word_len < 6 ? 1 : (unsigned)word_len / 3;
    if (slips <= allowed && (n->best == NULL || slips < n->distance)) {
        n->best = candidate;
        n->distance = slips;
    }
}
