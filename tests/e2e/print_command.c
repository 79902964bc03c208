/*
 * Prints the command that hearth would start, for test_command_oracle.py and test_archive.py: one line
 * of JSON in (a submission), one block out per line: argv, an empty string, the environment, an empty
 * string, each NUL-terminated; or "!" and the words of a refusal.
 *
 *     print_command SPARK_HOME [ARCHIVE_DIR] < submissions
 *
 * With a folder for archives it first makes the archive that is missing, and tells its state on
 * standard error.
 */
#include "base/mem.h"
#include "spark/spark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_list(const struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        (void)fwrite(l->items[i], 1, strlen(l->items[i]) + 1, stdout);
    (void)putchar('\0');
}

static enum err_code print_one(const struct spark *s, const char *line, struct err *err)
{
    json_t *value = NULL;
    struct spark_submission submission = {0};
    struct spark_command command = {0};
    enum err_code rc = json_parse(line, strlen(line), 8, &value, err);
    if (rc == ERR_OK)
        rc = spark_submission_read(&submission, value, err);
    if (rc == ERR_OK)
        rc = spark_build_command(s, &submission, &command, err);
    if (rc == ERR_OK) {
        print_list(&command.argv);
        print_list(&command.env);
    }
    spark_command_clear(&command);
    spark_submission_clear(&submission);
    json_decref(value);
    return rc;
}

static void train(struct spark *s)
{
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0)
        return;
    spark_train(s, &loop, NULL, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* until training is over */
    (void)uv_loop_close(&loop);
    (void)fprintf(stderr, "archive: %s\n", spark_archive_state(s));
}

int main(int argc, char **argv)
{
    struct spark *s = NULL;
    struct err err = {0};
    struct spark_options options = {.home = argc > 1 ? argv[1] : NULL,
                                    .archive_dir = argc > 2 ? argv[2] : NULL};
    enum err_code rc = spark_open(&options, &s, &err);
    char *line = NULL;
    size_t cap = 0;
    if (rc == ERR_OK && options.archive_dir != NULL)
        train(s);
    while (rc == ERR_OK && getline(&line, &cap, stdin) > 0)
        rc = print_one(s, line, &err);
    if (rc != ERR_OK)
        (void)printf("!%s", err.msg);
    free(line); /* getline's, not ours */
    spark_close(s);
    return 0;
}
