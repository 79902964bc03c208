/*
 * "did you mean …?": the known word that a mistyped one is nearest to.
 *
 *     struct nearest near = {.word = "sumbit"};
 *     for (each known word)
 *         nearest_offer(&near, known);
 *     near.best is "submit", or NULL when nothing known is near.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_BASE_NEAREST_H
#define HEARTH_BASE_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *word;
    const char *best;  /* borrowed from whoever offered it */
    unsigned distance; /* of best */
};

/* Counts as near: as many slips (a letter too many, missing, wrong, or swapped with the next one) as
 * a third of the word's letters, and at least one. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
