/* `hearth config`: the settings in effect, and documents made from their rows. */
#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/table.h"

#include <stdio.h>

static const struct usage usage = {
    .command = "config",
    .synopsis = "[options]",
    .about = "Shows the settings that `hearth serve` with the same options would use, and where each\n"
             "came from: its default, a line of the file, an environment variable, the command line.",
    .examples = "  hearth config                       what is in effect here\n"
                "  hearth config --example > hearth.yaml   a file to start from\n"
                "  hearth config --config hearth.yaml  is this file right?\n"
                "  HEARTH_SERVER_LISTEN=127.0.0.1:9000 hearth config --json\n",
};

enum { DOCUMENT_MAX = 1 << 20 };

static int print_document(const struct buf *text)
{
    struct err err;
    if (buf_check(text, &err) != ERR_OK || fwrite(text->data, 1, text->len, stdout) != text->len) {
        (void)fprintf(stderr, "hearth config: the output could not be written\n");
        return CMD_FAILED;
    }
    return CMD_OK;
}

static int print_json(const struct config *c)
{
    cleanup(buf_clear) struct buf text = BUF(DOCUMENT_MAX);
    cleanup(buf_clear) struct buf value = BUF(DOCUMENT_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_array(&out, NULL);
    for (size_t i = 0; settings_options[i].name != NULL; i++) {
        buf_reset(&value);
        config_write_value(c, i, &value);
        json_out_object(&out, NULL);
        json_out_str(&out, "key", settings_options[i].name);
        json_out_str(&out, "value", buf_cstr(&value));
        json_out_str(&out, "origin", config_origin(c, i));
        json_out_end_object(&out);
    }
    json_out_end_array(&out);
    buf_char(&text, '\n');
    return print_document(&text);
}

static int print_table(const struct config *c)
{
    static const struct table_column columns[] = {{"KEY", false}, {"VALUE", true}, {"FROM", true}, {0}};
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    cleanup(buf_clear) struct buf value = BUF(DOCUMENT_MAX);
    for (size_t i = 0; settings_options[i].name != NULL; i++) {
        buf_reset(&value);
        config_write_value(c, i, &value);
        table_cell(&t, settings_options[i].name);
        table_cell(&t, value.len > 0 ? buf_cstr(&value) : "-");
        table_cell(&t, config_origin(c, i));
    }
    return table_print(&t);
}

int cmd_config(int argc, char **argv)
{
    bool example = false;
    bool markdown = false;
    bool json = false;
    const struct arg more[] = {
        {"example", 0, ARG_FLAG, &example, NULL, "a YAML file with every setting, commented out"},
        {"markdown", 0, ARG_FLAG, &markdown, NULL, "the reference page of all settings"},
        {"json", 0, ARG_FLAG, &json, NULL, "the settings in effect as JSON"},
        {0},
    };
    struct settings settings;
    struct config *c = NULL;
    int rc = cmd_load_settings(&usage, more, argc, argv, &settings, &c);
    if (rc != ARGS_GO)
        return rc;
    cleanup(buf_clear) struct buf text = BUF(DOCUMENT_MAX);
    if (example)
        config_write_example(settings_options, &text);
    else if (markdown)
        config_write_markdown(settings_options, &text);
    if (example || markdown)
        rc = print_document(&text);
    else
        rc = json ? print_json(c) : print_table(c);
    config_free(c);
    return rc;
}
