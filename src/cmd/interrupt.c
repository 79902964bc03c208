#include "cmd/interrupt.h"

#include <stddef.h>

volatile sig_atomic_t interrupt_asked;
volatile sig_atomic_t interrupt_insisted;

static void on_interrupt(int signum)
{
    (void)signum;
    interrupt_insisted = interrupt_asked;
    interrupt_asked = 1;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* system calls are not restarted */
    (void)sigaction(SIGINT, &action, NULL);
}

void interrupt_reset(void)
{
    interrupt_asked = 0;
    interrupt_insisted = 0;
}
