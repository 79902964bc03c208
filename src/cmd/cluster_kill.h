/*
 * `hearth cluster kill`: as the commands of cmd.h, with "kill" as argv[0].
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_CLUSTER_KILL_H
#define HEARTH_CMD_CLUSTER_KILL_H

int cmd_cluster_kill(int argc, char **argv);

#endif
