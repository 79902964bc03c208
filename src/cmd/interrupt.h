/*
 * Ctrl-C in two steps: the first one asks, the second one insists.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_INTERRUPT_H
#define HEARTH_CMD_INTERRUPT_H

#include <signal.h>

extern volatile sig_atomic_t interrupt_asked;    /* Ctrl-C came since interrupt_reset() */
extern volatile sig_atomic_t interrupt_insisted; /* it came at least twice */

void interrupt_catch(void); /* from now on Ctrl-C does no more than set these */
void interrupt_reset(void);

#endif
