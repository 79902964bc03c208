/*
 * What `hearth doctor` asks of a machine. Each check looks and changes nothing; where something is
 * amiss it also says how to mend it.
 *
 * Thread   the program's first; checks may block.
 */
#ifndef HEARTH_CMD_DOCTOR_H
#define HEARTH_CMD_DOCTOR_H

#include "base/settings.h"
#include "spark/spark.h"

enum verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct finding {
    enum verdict verdict;
    char text[512];
    char mend[256]; /* "" when nothing is to be mended */
};

/* What the checks look at. */
struct patient {
    const struct settings *settings;
    struct spark *spark; /* NULL when it could not be opened; why_not tells */
    struct err why_not;
};

struct doctor_check {
    const char *name;
    void (*run)(const struct patient *p, struct finding *f);
};

enum { DOCTOR_CHECKS = 9 };
extern const struct doctor_check doctor_checks[DOCTOR_CHECKS];

#endif
