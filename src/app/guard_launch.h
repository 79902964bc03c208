/* The guard's side of launch.json (the server's is in app/guard.h). */
#ifndef HEARTH_APP_GUARD_LAUNCH_H
#define HEARTH_APP_GUARD_LAUNCH_H

#include "app/guard.h"

#define GUARD_LAUNCH "launch.json"

/* Reads it from the present folder into *l, which is zeroed before; the caller clears it in any case. */
enum err_code guard_launch_read(struct guard_launch *l, struct err *err);

#endif
