/* The guard's side of launch.json (the server's is in guard/guard.h). */
#ifndef HEARTH_GUARD_LAUNCH_H
#define HEARTH_GUARD_LAUNCH_H

#include "guard/guard.h"

#define GUARD_LAUNCH "launch.json"

/* Reads it from the present folder into *l, which is zeroed before; the caller clears it in any case. */
enum err_code guard_launch_read(struct guard_launch *l, struct err *err);

#endif
