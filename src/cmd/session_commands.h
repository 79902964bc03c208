/*
 * The commands of `hearth session`: as those of cmd.h, with "start" and so on as argv[0].
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_SESSION_COMMANDS_H
#define HEARTH_CMD_SESSION_COMMANDS_H

int cmd_session_attach(int argc, char **argv);
int cmd_session_exec(int argc, char **argv);
int cmd_session_list(int argc, char **argv);
int cmd_session_start(int argc, char **argv);
int cmd_session_stop(int argc, char **argv);

#endif
