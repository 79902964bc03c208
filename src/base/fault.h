/*
 * Named points in real code where a test can make the process die, fail or wait.
 *
 * Nothing in a release build. In a build with -Dfault_points=true the environment variable
 * HEARTH_POINT="name=exit[:N]" kills the process with SIGKILL at the Nth visit of that point
 * (default: the first), "name=wait:FILE" waits there until FILE exists, and "name=error" makes
 * FAULT_ERROR("name") true.
 *
 * Thread   any.
 */
#ifndef HEARTH_BASE_FAULT_H
#define HEARTH_BASE_FAULT_H

#ifdef HEARTH_FAULT_POINTS
#include <stdbool.h>
void fault_point(const char *name);
bool fault_error(const char *name);
#define FAULT_POINT(name) fault_point(name)
#define FAULT_ERROR(name) fault_error(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_ERROR(name) 0
#endif

#endif
