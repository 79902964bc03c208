/* Answers to operations that go on in the background, in SQLite. */
#include "store/sqlite_internal.h"

enum err_code db_put_token(struct db *d, const struct store_token *token, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_TOKEN_PUT);
    db_bind_text(st, 1, token->token);
    db_bind_text(st, 2, token->door);
    db_bind_text(st, 3, token->facts);
    db_bind_int(st, 4, token->changed_ms);
    db_bind_int(st, 5, token->ended);
    return db_finish(d, st, err, "writing a token");
}

enum err_code db_remove_tokens(struct db *d, const char *door, int64_t before_ms, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_TOKENS_REMOVE);
    db_bind_text(st, 1, door);
    db_bind_int(st, 2, before_ms);
    return db_finish(d, st, err, "removing tokens");
}

enum err_code db_load_tokens(struct db *d, const char *door,
                             bool (*on_token)(const struct store_token *token, void *arg), void *arg,
                             struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_TOKENS);
    db_bind_text(st, 1, door);
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_token token = {
            .token = db_column_text(st, 0),
            .door = db_column_text(st, 1),
            .facts = db_column_text(st, 2),
            .changed_ms = sqlite3_column_int64(st, 3),
            .ended = sqlite3_column_int64(st, 4) != 0,
        };
        if (token.token == NULL || token.door == NULL || token.facts == NULL || !on_token(&token, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = db_error(d, err, "reading tokens");
    (void)sqlite3_reset(st);
    return code;
}
