/*
 * The commands of `hearth`: one function per command, one file per function.
 *
 * main.c holds the table of their names. A command gets its own name as argv[0], says on standard
 * error what went wrong in words, and returns one of the exit codes below.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_CMD_H
#define HEARTH_CMD_CMD_H

enum cmd_exit {
    CMD_OK = 0,
    CMD_FAILED = 1,        /* the operation, or the application, failed */
    CMD_USAGE = 2,         /* the command line or the configuration is wrong; nothing was done */
    CMD_UNREACHABLE = 3,   /* no server answered */
    CMD_INTERRUPTED = 130, /* Ctrl-C: 128 + SIGINT, as shells count */
};

int cmd_cluster(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_cron(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_guard(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_relation(int argc, char **argv);
int cmd_schedule(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_session(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
