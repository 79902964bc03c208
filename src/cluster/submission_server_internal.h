/* What the calls of the submission server's client and the reading of its answers share; for the fuzzer, too.
 */
#ifndef HEARTH_CLUSTER_SUBMISSION_SERVER_INTERNAL_H
#define HEARTH_CLUSTER_SUBMISSION_SERVER_INTERNAL_H

#include "cluster/submission_server.h"

enum submission_server_action { SUBMISSION_CREATE, SUBMISSION_STATUS, SUBMISSION_KILL };

/* What an answer means, with the memory that it points into. */
struct submission_server_reading {
    struct submission_server_answer answer;
    json_t *body;
    char *message;
};

void submission_server_read(enum submission_server_action action, const struct http_result *result,
                            struct submission_server_reading *ret);
void submission_server_reading_clear(struct submission_server_reading *reading);

#endif
