/* What reading answers consists of: values of a Java stream, and their JSON counterparts. */
#ifndef HEARTH_RPC_ANSWER_INTERNAL_H
#define HEARTH_RPC_ANSWER_INTERNAL_H

#include "rpc/answer.h"
#include "spark/jser.h"

enum { ANSWER_LEVELS = 400, ANSWER_VALUES_MAX = 128 << 20 /* bytes */ };

/* NULL and err: ERR_INVALID, ERR_TOO_LARGE (levels, values) or ERR_NOMEM. */
json_t *answer_to_json(const struct jser_value *v, struct err *err);
/* True when one of its ancestors, or the class itself, has that name. */
bool answer_is_a(const struct jser_value *v, const char *class);

#endif
