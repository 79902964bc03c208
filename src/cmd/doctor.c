/* `hearth doctor`: is this machine ready for `hearth serve` with these settings? */
#include "cmd/doctor.h"

#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/table.h"

#include <stdio.h>

static const struct usage usage = {
    .command = "doctor",
    .synopsis = "[options]",
    .about = "Checks whether `hearth serve` with the same options would do well on this machine: Java,\n"
             "Spark, memory, disk, port and more. Nothing is changed. Exits with 1 when something fails.",
    .examples = "  hearth doctor\n"
                "  hearth doctor --config /etc/hearth/hearth.yaml\n"
                "  hearth doctor --json | jq '.[] | select(.result != \"ok\")'\n",
};

static const char *const verdict_words[] = {"ok", "warn", "fail"};

static const char *style_of(enum verdict verdict)
{
    static const char *const styles[] = {"\033[32m", "\033[33m", "\033[31m"};
    return table_may_style() ? styles[verdict] : "";
}

static void print_text(const struct finding findings[DOCTOR_CHECKS])
{
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        const struct finding *f = &findings[i];
        (void)printf("%s%-4s%s  %-7s ", style_of(f->verdict), verdict_words[f->verdict],
                     table_may_style() ? "\033[0m" : "", doctor_checks[i].name);
        table_print_text(stdout, f->text);
        (void)printf(f->mend[0] != '\0' ? "\n              to mend it: %s\n" : "%s\n", f->mend);
    }
}

static void print_json(const struct finding findings[DOCTOR_CHECKS])
{
    cleanup(buf_clear) struct buf text = BUF(65536);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_array(&out, NULL);
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        json_out_object(&out, NULL);
        json_out_str(&out, "check", doctor_checks[i].name);
        json_out_str(&out, "result", verdict_words[findings[i].verdict]);
        json_out_str(&out, "text", findings[i].text);
        json_out_str(&out, "mend", findings[i].mend[0] != '\0' ? findings[i].mend : NULL);
        json_out_end_object(&out);
    }
    json_out_end_array(&out);
    (void)puts(buf_cstr(&text));
}

static int examine(const struct settings *settings, bool json)
{
    struct patient p = {.settings = settings};
    struct finding findings[DOCTOR_CHECKS] = {0};
    const struct spark_options options = {.home = settings->spark.home};
    (void)spark_open(&options, &p.spark, &p.why_not); /* check_spark tells */
    bool failed = false;
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        doctor_checks[i].run(&p, &findings[i]);
        failed = failed || findings[i].verdict == DOCTOR_FAIL;
    }
    spark_close(p.spark);
    if (json)
        print_json(findings);
    else
        print_text(findings);
    return failed ? CMD_FAILED : CMD_OK;
}

int cmd_doctor(int argc, char **argv)
{
    bool json = false;
    const struct arg more[] = {{"json", 0, ARG_FLAG, &json, NULL, "as JSON"}, {0}};
    struct settings settings;
    struct config *config = NULL;
    int exit_code = cmd_load_settings(&usage, more, argc, argv, &settings, &config);
    if (exit_code != ARGS_GO)
        return exit_code;
    exit_code = examine(&settings, json);
    config_free(config);
    return exit_code;
}
