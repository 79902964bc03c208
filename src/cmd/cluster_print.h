/*
 * A cluster (docs/rest.md "Clusters") as a person reads it, on standard output.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_CLUSTER_PRINT_H
#define HEARTH_CMD_CLUSTER_PRINT_H

#include <jansson.h>

/* Its head, and tables of workers, applications and drivers. An exit code. */
int cluster_print(const json_t *cluster);
/* A line for each of GET /hearth/clusters. An exit code. */
int cluster_print_list(const json_t *clusters);

#endif
