#include "cmd/line_editor.h"

#include "base/io.h"
#include "base/mem.h"
#include "cmd/interrupt.h"
#include "cmd/language.h"
#include "cmd/table.h"

#include <fcntl.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HISTORY_LINES = 1000,
    HISTORY_MAX_BYTES = 16 << 20,
    CANDIDATE_MAX_BYTES = 4096,
    INDENT = 4,
};

struct line_editor {
    EditLine *edit;
    History *history;
    int history_fd; /* -1: this run only */
    const char *prompt;
    line_complete_cb *complete;
    void *arg;
};

static struct line_editor *editor_of(EditLine *edit)
{
    void *e = NULL;
    (void)el_get(edit, EL_CLIENTDATA, &e);
    return e;
}

static char *show_prompt(EditLine *edit)
{
    union { /* the library takes what it only reads as char * */
        const char *given;
        char *wanted;
    } prompt = {.given = editor_of(edit)->prompt};
    return prompt.wanted;
}

/* ---- Tab ----------------------------------------------------------------------------------- */

static void show_candidates(const struct strlist *candidates, const char *word)
{
    size_t room = table_columns();
    size_t used = 0;
    (void)putchar('\n');
    for (size_t i = 0; i < candidates->n; i++) {
        const char *name = candidates->items[i];
        if (!str_starts(name, word))
            continue;
        size_t width = language_characters(name, strlen(name)) + 2;
        if (used > 0 && used + width > room) {
            (void)putchar('\n');
            used = 0;
        }
        table_print_text(stdout, name);
        (void)fputs("  ", stdout);
        used += width;
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* Completes `word` with what the candidates have in common, or shows them when that is nothing new. */
static unsigned char complete_word(EditLine *edit, const struct strlist *candidates, const char *word)
{
    cleanup(buf_clear) struct buf common = BUF(CANDIDATE_MAX_BYTES);
    size_t n = language_common(candidates, word, &common);
    if (n == 0 || buf_check(&common, NULL) != ERR_OK)
        return CC_REFRESH_BEEP;
    if (common.len > 0)
        return el_insertstr(edit, common.data) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    if (n == 1)
        return CC_REFRESH;
    show_candidates(candidates, word);
    return CC_REDISPLAY;
}

/* What comes from a server must not move the cursor. */
static void drop_unprintable(struct strlist *candidates)
{
    size_t kept = 0;
    for (size_t i = 0; i < candidates->n; i++) {
        bool plain = true;
        for (const unsigned char *p = (const unsigned char *)candidates->items[i]; *p != '\0'; p++)
            plain = plain && *p >= ' ' && *p != 0x7F;
        if (plain)
            candidates->items[kept++] = candidates->items[i];
        else
            mem_free(candidates->items[i]);
    }
    candidates->n = kept;
    if (candidates->items != NULL)
        candidates->items[kept] = NULL;
}

static bool only_blanks(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return len == 0;
}

static unsigned char on_tab(EditLine *edit, int character)
{
    (void)character;
    struct line_editor *e = editor_of(edit);
    const LineInfo *info = el_line(edit);
    size_t cursor = (size_t)(info->cursor - info->buffer);
    if (only_blanks(info->buffer, cursor)) /* the buffer has no end of its own */
        return el_insertstr(edit, &"    "[cursor % INDENT]) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    cleanup(strlist_clear) struct strlist candidates = {0};
    size_t word_len = language_word(info->buffer, cursor);
    cleanup(mem_freep) char *word = mem_strndup(info->cursor - word_len, word_len);
    if (word == NULL)
        return CC_REFRESH_BEEP;
    e->complete(info->buffer, (size_t)(info->lastchar - info->buffer), cursor, &candidates, e->arg);
    if (interrupt_asked)
        return CC_EOF; /* line_editor_read() knows why */
    drop_unprintable(&candidates);
    return complete_word(edit, &candidates, word);
}

/* ---- history ------------------------------------------------------------------------------- */

/* The file's path, its folder made; NULL when there can be none. The caller's. */
static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    cleanup(mem_freep) char *folder = NULL;
    if (state != NULL && state[0] == '/')
        folder = mem_printf("%s/hearth", state);
    else if (home != NULL && home[0] == '/')
        folder = mem_printf("%s/.local/state/hearth", home);
    if (folder == NULL || io_make_dirs(folder, 0700, NULL) != ERR_OK)
        return NULL;
    return mem_printf("%s/history", folder);
}

static void remember(struct line_editor *e, const char *line)
{
    HistEvent event;
    if (!str_blank(line))
        (void)history(e->history, &event, H_ENTER, line);
}

/* Reads the file into the history; one that has grown long is cut to its newest lines. */
static void read_history(struct line_editor *e, const char *path)
{
    cleanup(buf_clear) struct buf text = BUF(HISTORY_MAX_BYTES);
    cleanup(strlist_clear) struct strlist lines = {0};
    if (io_read_file(path, &text, NULL) != ERR_OK || strlist_split(&lines, buf_cstr(&text), "\n") != 0)
        return;
    size_t first = lines.n > HISTORY_LINES ? lines.n - HISTORY_LINES : 0;
    buf_reset(&text);
    for (size_t i = first; i < lines.n; i++) {
        remember(e, lines.items[i]);
        buf_printf(&text, "%s\n", lines.items[i]);
    }
    if (first > HISTORY_LINES)
        (void)io_replace_file(path, text.data, text.len, 0600, NULL); /* else it is cut next time */
}

static void open_history(struct line_editor *e)
{
    HistEvent event;
    (void)history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(e->history, &event, H_SETUNIQUE, 1);
    cleanup(mem_freep) char *path = history_path();
    if (path == NULL)
        return;
    read_history(e, path);
    e->history_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static void keep_line(struct line_editor *e, const char *line)
{
    if (str_blank(line))
        return;
    remember(e, line);
    cleanup(mem_freep) char *whole = mem_printf("%s\n", line);
    if (e->history_fd >= 0 && whole != NULL)
        (void)io_write_all(e->history_fd, whole, strlen(whole), NULL); /* a line less is no harm */
}

/* ---- life ---------------------------------------------------------------------------------- */

static void set_up(struct line_editor *e)
{
    (void)el_set(e->edit, EL_CLIENTDATA, e);
    (void)el_set(e->edit, EL_PROMPT, show_prompt);
    (void)el_set(e->edit, EL_EDITOR, "emacs");
    (void)el_set(e->edit, EL_SIGNAL, 1); /* it puts the terminal right before a signal takes effect */
    (void)el_set(e->edit, EL_HIST, history, e->history);
    (void)el_set(e->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(e->edit, NULL); /* the user's own ~/.editrc */
    (void)el_wset(e->edit, EL_ADDFN, L"hearth-complete", L"Complete the name before the cursor", on_tab);
    (void)el_set(e->edit, EL_BIND, "\t", "hearth-complete", NULL);
    open_history(e);
}

struct line_editor *line_editor_new(line_complete_cb *complete, void *arg)
{
    cleanup(line_editor_freep) struct line_editor *e = mem_calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->complete = complete;
    e->arg = arg;
    e->history_fd = -1;
    e->history = history_init();
    e->edit = el_init("hearth", stdin, stdout, stderr);
    if (e->history == NULL || e->edit == NULL)
        return NULL;
    set_up(e);
    struct line_editor *ready = e;
    e = NULL; /* the caller's now */
    return ready;
}

void line_editor_free(struct line_editor *e)
{
    if (e == NULL)
        return;
    if (e->edit != NULL)
        el_end(e->edit);
    if (e->history != NULL)
        history_end(e->history);
    io_closep(&e->history_fd);
    mem_free(e);
}

void line_editor_freep(struct line_editor **e)
{
    line_editor_free(*e);
    *e = NULL;
}

enum line_result line_editor_read(struct line_editor *e, const char *prompt, struct buf *to)
{
    int n = 0;
    e->prompt = prompt;
    const char *line = el_gets(e->edit, &n);
    if (interrupt_asked) {
        (void)fputs("^C\n", stdout);
        return LINE_INTERRUPTED;
    }
    if (line == NULL || n <= 0) {
        (void)putchar('\n');
        return LINE_OVER;
    }
    buf_reset(to);
    buf_add(to, line, strcspn(line, "\r\n"));
    keep_line(e, buf_cstr(to));
    return LINE_TYPED;
}
