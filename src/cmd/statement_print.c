#include "cmd/statement_print.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/strs.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <stdio.h>
#include <string.h>

enum { ERROR_MAX_BYTES = 64 << 20 };

/* ---- text ---------------------------------------------------------------------------------- */

static void print_text(const json_t *text)
{
    size_t n = json_string_length(text);
    const char *bytes = json_string_value(text);
    if (n == 0)
        return;
    (void)fwrite(bytes, 1, n, stdout);
    if (bytes[n - 1] != '\n')
        (void)putchar('\n');
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void add_cell(struct table *t, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        table_cell(t, "NULL");
    } else if (json_is_string(value)) {
        table_cell(t, json_string_value(value));
    } else {
        cleanup(mem_freep) char *text = json_text(value);
        t->out_of_memory = t->out_of_memory || text == NULL;
        table_cell(t, text);
    }
}

static int print_rows(const struct table_column *columns, const json_t *rows)
{
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(rows, i, row)
    {
        for (size_t column = 0; column < t.n_columns; column++)
            add_cell(&t, json_array_get(row, column));
    }
    return table_print(&t);
}

/* `titles`: an array of objects with a name each. Without a column there is nothing to print. */
static int print_titled_rows(const json_t *titles, const json_t *rows)
{
    size_t n = json_array_size(titles);
    if (n == 0)
        return CMD_OK;
    struct table_column *columns = mem_calloc(n + 1, sizeof *columns);
    if (columns == NULL) {
        (void)fprintf(stderr, "hearth: out of memory\n");
        return CMD_FAILED;
    }
    for (size_t i = 0; i < n; i++)
        columns[i] = (struct table_column){answer_text(json_array_get(titles, i), "name", "-"), true};
    int exit_code = print_rows(columns, rows);
    mem_free(columns);
    return exit_code;
}

static bool is_sql_result(const json_t *value)
{
    return json_is_array(json_object_get(json_object_get(value, "schema"), "fields")) &&
           json_is_array(json_object_get(value, "data"));
}

static int print_json(const json_t *value)
{
    if (is_sql_result(value))
        return print_titled_rows(json_object_get(json_object_get(value, "schema"), "fields"),
                                 json_object_get(value, "data"));
    if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) != 0) {
        (void)fprintf(stderr, "hearth: the output could not be written\n");
        return CMD_FAILED;
    }
    (void)putchar('\n');
    return CMD_OK;
}

/* ---- images -------------------------------------------------------------------------------- */

static void mention_image(const json_t *base64)
{
    (void)fprintf(stderr, "(image/png, %zu bytes: a terminal cannot show it)\n",
                  json_string_length(base64) / 4 * 3);
}

/* ---- errors -------------------------------------------------------------------------------- */

static void end_line(struct buf *to)
{
    if (to->len > 0 && to->data[to->len - 1] != '\n')
        buf_char(to, '\n');
}

/* "ValueError: no", "pyspark.errors.AnalysisException": a line that begins with this name, perhaps qualified.
 */
static bool begins_with_name(const char *line, const char *name)
{
    size_t len = strcspn(line, ":\n");
    size_t name_len = strlen(name);
    return len >= name_len && strncmp(line + len - name_len, name, name_len) == 0 &&
           (len == name_len || line[len - name_len - 1] == '.');
}

/* Python's traceback ends with the error itself; the others' continues behind it. */
void statement_print_error(const json_t *output, struct buf *to)
{
    const char *name = answer_text(output, "ename", "Error");
    const char *words = answer_text(output, "evalue", "");
    const json_t *traceback = json_object_get(output, "traceback");
    const char *last = json_string_value(json_array_get(traceback, json_array_size(traceback) - 1));
    if (last == NULL || !begins_with_name(last, name)) {
        bool only_words = strcmp(name, "Error") == 0 && words[0] != '\0';
        buf_printf(to, "%s%s%s", only_words ? "" : name, only_words || words[0] == '\0' ? "" : ": ", words);
        end_line(to);
    }
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach(traceback, i, line)
    {
        buf_add(to, json_string_value(line), json_string_length(line));
        end_line(to);
    }
}

static void print_error(const json_t *output)
{
    cleanup(buf_clear) struct buf text = BUF(ERROR_MAX_BYTES);
    statement_print_error(output, &text);
    (void)fwrite(buf_cstr(&text), 1, text.len, stderr);
}

/* ---- all of it ----------------------------------------------------------------------------- */

int statement_print(const json_t *output)
{
    if (!json_is_object(output))
        return CMD_OK;
    if (strcmp(answer_text(output, "status", ""), "error") == 0) {
        print_error(output);
        return CMD_FAILED;
    }
    const json_t *data = json_object_get(output, "data");
    const json_t *json = json_object_get(data, "application/json");
    const json_t *rows = json_object_get(data, "application/vnd.livy.table.v1+json");
    const json_t *image = json_object_get(data, "image/png");
    int exit_code = CMD_OK;
    print_text(json_object_get(data, "text/plain"));
    if (json != NULL)
        exit_code = print_json(json);
    if (rows != NULL)
        exit_code = print_titled_rows(json_object_get(rows, "headers"), json_object_get(rows, "data"));
    if (image != NULL)
        mention_image(image);
    if (fflush(stdout) != 0) {
        (void)fprintf(stderr, "hearth: the output could not be written\n");
        return CMD_FAILED;
    }
    return exit_code;
}
