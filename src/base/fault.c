#include "base/fault.h"

typedef int fault_translation_unit_is_not_empty;

#ifdef HEARTH_FAULT_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What HEARTH_POINT asks for at this point ("exit:3"), or NULL. */
static const char *asked(const char *name)
{
    const char *s = getenv("HEARTH_POINT");
    size_t n = strlen(name);
    return s != NULL && strncmp(s, name, n) == 0 && s[n] == '=' ? s + n + 1 : NULL;
}

void fault_point(const char *name)
{
    static atomic_int visits;
    const char *what = asked(name);
    if (what == NULL)
        return;
    if (strncmp(what, "exit", 4) == 0) {
        int nth = what[4] == ':' ? (int)strtol(what + 5, NULL, 10) : 1;
        if (atomic_fetch_add(&visits, 1) + 1 == nth)
            (void)kill(getpid(), SIGKILL);
    } else if (strncmp(what, "wait:", 5) == 0) {
        while (access(what + 5, F_OK) != 0)
            (void)usleep(10000);
    }
}

bool fault_error(const char *name)
{
    const char *what = asked(name);
    return what != NULL && strcmp(what, "error") == 0;
}
#endif
