/*
 * The commands of `hearth schedule`: as those of cmd.h, with "create" and so on as argv[0].
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_SCHEDULE_COMMANDS_H
#define HEARTH_CMD_SCHEDULE_COMMANDS_H

int cmd_schedule_create(int argc, char **argv);
int cmd_schedule_list(int argc, char **argv);
int cmd_schedule_show(int argc, char **argv);
int cmd_schedule_pause(int argc, char **argv);
int cmd_schedule_resume(int argc, char **argv);
int cmd_schedule_delete(int argc, char **argv);
int cmd_schedule_run(int argc, char **argv);
int cmd_schedule_history(int argc, char **argv);
int cmd_schedule_upcoming(int argc, char **argv);

#endif
