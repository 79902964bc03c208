/* The command line of `hearth submit` as the body of POST /batches, and the parser under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/submit_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 32 };

struct fixture {
    char folder[32];
    struct err err;
    struct buf body;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/hearth-submit-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chdir(f->folder), 0);
    assert_int_equal(io_replace_file("app.py", "", 0, 0600, NULL), ERR_OK);
    buf_init(&f->body, 1 << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_clear(&f->body);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(io_remove_tree(f->folder, NULL), ERR_OK);
    free(f);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* Parses the words (blanks between them) and writes the body. */
static enum err_code submit(struct fixture *f, const char *line, bool as_entry_name)
{
    static const struct usage usage = {.command = "submit", .operands_max = -1, .stop_at_operand = true};
    char text[1000];
    char *argv[WORDS_MAX] = {text};
    int argc = 1;
    (void)snprintf(text, sizeof text, "submit %s", line);
    for (char *p = strchr(text, ' '); p != NULL && p[1] != '\0'; p = strchr(p + 1, ' ')) {
        *p = '\0';
        argv[argc++] = p + 1;
        assert_true(argc < WORDS_MAX);
    }
    struct submit_options o;
    struct arg rows[SUBMIT_ROWS + 1] = {0};
    submit_options_init(&o, rows);
    assert_int_equal(args_parse(&usage, rows, &argc, argv), ARGS_GO);
    buf_reset(&f->body);
    enum err_code rc = submit_options_write(&o, argv + 1, (size_t)argc - 1, as_entry_name, &f->body, &f->err);
    submit_options_clear(&o);
    return rc;
}

/* `expected` with @ for the folder. */
static void assert_body(struct fixture *f, const char *line, const char *expected)
{
    cleanup(buf_clear) struct buf text = BUF(10000);
    for (const char *p = expected; *p != '\0'; p++) {
        if (*p == '@')
            buf_str(&text, f->folder);
        else
            buf_char(&text, *p);
    }
    if (submit(f, line, true) != ERR_OK)
        fail_msg("%s", f->err.msg);
    assert_string_equal(buf_cstr(&f->body), buf_cstr(&text));
}

static void a_program_and_its_arguments_are_passed_on(void **state)
{
    assert_body(*state, "app.py --not-ours -x 5",
                "{\"file\":\"@/app.py\",\"args\":[\"--not-ours\",\"-x\",\"5\"],\"conf\":{}}");
    assert_body(*state, "hdfs://n/app.py", "{\"file\":\"hdfs://n/app.py\",\"args\":[],\"conf\":{}}");
    assert_body(*state, "/not/here.jar", "{\"file\":\"/not/here.jar\",\"args\":[],\"conf\":{}}");
}

static void options_become_fields_and_configuration_keys(void **state)
{
    assert_body(*state,
                "--master yarn --deploy-mode cluster --class a.B --name etl --proxy-user bob --queue q "
                "--driver-memory 2g --num-executors=4 --supervise app.py",
                "{\"file\":\"@/app.py\",\"className\":\"a.B\",\"name\":\"etl\",\"master\":\"yarn\","
                "\"deployMode\":\"cluster\",\"proxyUser\":\"bob\",\"args\":[],\"conf\":{"
                "\"spark.driver.memory\":\"2g\",\"spark.executor.instances\":\"4\","
                "\"spark.yarn.queue\":\"q\",\"spark.driver.supervise\":\"true\"}}");
}

static void relative_paths_become_absolute(void **state)
{
    assert_body(*state, "--jars a.jar,,/b.jar,s3a://c.jar,lib/*.jar --py-files x.zip#y app.py",
                "{\"file\":\"@/app.py\",\"args\":[],\"conf\":{"
                "\"spark.jars\":\"@/a.jar,/b.jar,s3a://c.jar,@/lib/*.jar\","
                "\"spark.submit.pyFiles\":\"@/x.zip#y\"}}");
    assert_body(*state, "--driver-class-path a:/b app.py",
                "{\"file\":\"@/app.py\",\"args\":[],\"conf\":{"
                "\"spark.driver.extraClassPath\":\"@/a:/b\"}}");
    assert_body(*state, "--deploy-mode cluster --driver-class-path a:/b app.py",
                "{\"file\":\"@/app.py\",\"deployMode\":\"cluster\",\"args\":[],\"conf\":{"
                "\"spark.driver.extraClassPath\":\"a:/b\"}}");
}

static void options_win_over_conf_and_conf_over_the_properties_file(void **state)
{
    static const char text[] = "spark.executor.memory 1g\nspark.a from-file\nspark.b from-file\nforeign x\n"
                               "spark.master spark://file:7077\n";
    assert_int_equal(io_replace_file("p.conf", text, strlen(text), 0600, NULL), ERR_OK);
    assert_body(*state,
                "--properties-file p.conf -c spark.b=conf --conf spark.driver.memory=1g "
                "--conf=spark.c=x=y --driver-memory 3g app.py",
                "{\"file\":\"@/app.py\",\"master\":\"spark://file:7077\",\"args\":[],\"conf\":{"
                "\"spark.executor.memory\":\"1g\",\"spark.a\":\"from-file\",\"spark.b\":\"conf\","
                "\"spark.driver.memory\":\"3g\",\"spark.c\":\"x=y\"}}");
}

static void master_and_deploy_mode_leave_the_configuration(void **state)
{
    assert_body(*state, "-c spark.master=yarn -c spark.submit.deployMode=cluster app.py",
                "{\"file\":\"@/app.py\",\"master\":\"yarn\",\"deployMode\":\"cluster\",\"args\":[],"
                "\"conf\":{}}");
    assert_body(*state, "-c spark.master=yarn --master local app.py",
                "{\"file\":\"@/app.py\",\"master\":\"local\",\"args\":[],\"conf\":{}}");
}

static void a_name_may_be_for_spark_only(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(submit(f, "--name etl /a.py", false), ERR_OK);
    assert_string_equal(buf_cstr(&f->body),
                        "{\"file\":\"/a.py\",\"args\":[],\"conf\":{\"spark.app.name\":\"etl\"}}");
}

static void what_spark_submit_refuses_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"--supervise app.py", "--supervise needs --deploy-mode cluster"},
        {"--deploy-mode both app.py", "--deploy-mode both: it is client or cluster"},
        {"--conf spark.x app.py", "--conf spark.x: KEY=VALUE is wanted"},
        {"nosuch.py", "nosuch.py: there is no such file in /tmp/hearth-submit-"},
        {"--properties-file nosuch app.py", "nosuch does not exist"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(submit(f, bad[i].line, true), ERR_OK);
        assert_non_null(strstr(f->err.msg, bad[i].words));
    }
}

static void the_body_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    struct submit_options o;
    struct arg rows[SUBMIT_ROWS + 1] = {0};
    submit_options_init(&o, rows);
    o.spark.master = "yarn";
    o.spark.of_key[0] = "a.jar,b.jar";
    assert_int_equal(strlist_add(&o.spark.conf, "spark.x=y"), 0);
    char *operands[] = {(char[]){"app.py"}, (char[]){"arg"}};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        buf_clear(&f->body);
        long live = mem_live();
        mem_fail_at(n);
        rc = submit_options_write(&o, operands, 2, true, &f->body, &f->err);
        mem_fail_at(0);
        buf_clear(&f->body);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    submit_options_clear(&o);
}

/* ---- the parser ---- */

struct parsed {
    bool all, follow;
    const char *lines, *watch;
    struct strlist sets;
    int argc;
    char *argv[8];
    char words[8][32];
};

static int parse(struct parsed *p, const char *const *words, bool stop_at_operand)
{
    const struct usage usage = {
        .command = "test", .synopsis = "ID", .operands_max = 2, .stop_at_operand = stop_at_operand};
    *p = (struct parsed){0};
    const struct arg rows[] = {
        {"all", 'a', ARG_FLAG, &p->all, NULL, ""},           {"follow", 'f', ARG_FLAG, &p->follow, NULL, ""},
        {"lines", 'n', ARG_TEXT, &p->lines, "N", ""},        {"set", 0, ARG_MANY, &p->sets, "K=V", ""},
        {"watch", 'w', ARG_MAYBE, &p->watch, "SECONDS", ""}, {0},
    };
    for (; words[p->argc] != NULL; p->argc++) {
        (void)snprintf(p->words[p->argc], sizeof p->words[0], "%s", words[p->argc]);
        p->argv[p->argc] = p->words[p->argc];
    }
    int rc = args_parse(&usage, rows, &p->argc, p->argv);
    strlist_clear(&p->sets);
    return rc;
}

#define WORDS(...) ((const char *const[]){"test", __VA_ARGS__, NULL})

static void options_are_taken_in_every_form(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, WORDS("-fa", "x", "-n5", "y"), false), ARGS_GO);
    assert_true(p.all && p.follow);
    assert_string_equal(p.lines, "5");
    assert_int_equal(p.argc, 3);
    assert_string_equal(p.argv[1], "x");
    assert_string_equal(p.argv[2], "y");
    assert_int_equal(parse(&p, WORDS("--lines=", "--set", "a=b", "--", "-x"), false), ARGS_GO);
    assert_string_equal(p.lines, "");
    assert_string_equal(p.argv[1], "-x");
    assert_int_equal(parse(&p, WORDS("-", "-n", "-1"), false), ARGS_GO);
    assert_string_equal(p.argv[1], "-");
    assert_string_equal(p.lines, "-1");
}

static void a_value_that_may_be_missing_is_joined_to_its_option(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, WORDS("--watch", "5"), false), ARGS_GO);
    assert_string_equal(p.watch, "");
    assert_string_equal(p.argv[1], "5");
    assert_int_equal(parse(&p, WORDS("--watch=5", "x"), false), ARGS_GO);
    assert_string_equal(p.watch, "5");
    assert_int_equal(parse(&p, WORDS("-wf", "x"), false), ARGS_GO);
    assert_string_equal(p.watch, "");
    assert_true(p.follow);
    assert_int_equal(parse(&p, WORDS("x"), false), ARGS_GO);
    assert_null(p.watch);
}

static void after_the_first_operand_options_may_be_left_alone(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, WORDS("-a", "x", "-f"), true), ARGS_GO);
    assert_true(p.all);
    assert_false(p.follow);
    assert_string_equal(p.argv[2], "-f");
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, WORDS("--al"), false), CMD_USAGE);
    assert_int_equal(parse(&p, WORDS("--all=yes"), false), CMD_USAGE);
    assert_int_equal(parse(&p, WORDS("-z"), false), CMD_USAGE);
    assert_int_equal(parse(&p, WORDS("--lines"), false), CMD_USAGE);
    assert_int_equal(parse(&p, WORDS("-n"), false), CMD_USAGE);
    assert_int_equal(parse(&p, WORDS("a", "b", "c"), false), CMD_USAGE);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_program_and_its_arguments_are_passed_on),
        WITH_FOLDER(options_become_fields_and_configuration_keys),
        WITH_FOLDER(relative_paths_become_absolute),
        WITH_FOLDER(options_win_over_conf_and_conf_over_the_properties_file),
        WITH_FOLDER(master_and_deploy_mode_leave_the_configuration),
        WITH_FOLDER(a_name_may_be_for_spark_only),
        WITH_FOLDER(what_spark_submit_refuses_is_refused),
        WITH_FOLDER(the_body_survives_every_failing_allocation),
        cmocka_unit_test(options_are_taken_in_every_form),
        cmocka_unit_test(a_value_that_may_be_missing_is_joined_to_its_option),
        cmocka_unit_test(after_the_first_operand_options_may_be_left_alone),
        cmocka_unit_test(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
