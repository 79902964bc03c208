/*
 * The languages of statements, as far as a prompt must know them: their names, when a statement that is
 * being typed wants another line, and which word the cursor stands at.
 *
 * A statement wants more
 *   - after a backslash at the end of its line (which only Python gets to see),
 *   - while a bracket, or a text that may span lines, is open,
 *   - in Python after a line that ends in ':' or begins with '@';
 * and an empty line always ends it, except inside Python's and Scala's """texts""".
 *
 * Thread   any.
 */
#ifndef HEARTH_CMD_LANGUAGE_H
#define HEARTH_CMD_LANGUAGE_H

#include "base/buf.h"
#include "base/strs.h"

#include <stdbool.h>
#include <stddef.h>

struct language {
    const char *kind;     /* the name in answers: "spark" */
    const char *other;    /* another spelling: "scala"; NULL: none */
    const char *comment;  /* begins a comment up to the end of its line */
    const char *quotes;   /* each begins and ends a text */
    bool triple;          /* three quotes begin a text that may span lines */
    bool long_texts;      /* every text may span lines */
    bool blocks;          /* ':' at the end of a line opens a block */
    bool char_apostrophe; /* ' is only for one character: 'x' */
};

/* NULL: no language has this name. */
const struct language *language_find(const char *name);
/* "spark, pyspark, sparkr, sql", for words about a name that is none. */
extern const char language_names[];

/* Appends a typed line to a statement, with a newline between; true when the statement wants more. */
bool language_add_line(const struct language *l, struct buf *statement, const char *line);

/* How many bytes before the cursor, which is `len` bytes into the line, belong to the name there. */
size_t language_word(const char *line, size_t len);
/* Appends what all candidates that begin with `word` have in common behind it; returns how many do. */
size_t language_common(const struct strlist *candidates, const char *word, struct buf *to);
/* How many characters (not bytes) the first `len` bytes hold. */
size_t language_characters(const char *text, size_t len);

#endif
