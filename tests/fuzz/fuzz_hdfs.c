/* Answers of WebHDFS and of a NameNode's JMX page: one byte says what is read, the rest is the body. */
#include "base/mem.h"
#include "hdfs/hdfs_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_files(const struct hdfs_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        const struct hdfs_file *f = &files->items[i];
        assert(f->size >= 0 && f->modified_ms >= 0 && (!f->is_folder || f->size == 0));
        assert(strchr(f->name, '/') == NULL && strcmp(f->name, "..") != 0 && strcmp(f->name, ".") != 0);
        assert(f->owner != NULL && f->group != NULL && f->permission != NULL);
    }
}

static void read_files(bool listing, const char *text, size_t len)
{
    struct hdfs_files files = {0};
    struct err err = {0};
    bool more = false;
    enum err_code code = listing ? hdfs_read_listing(text, len, &files, &more, &err)
                                 : hdfs_read_status(text, len, &files, &err);
    assert(code == ERR_OK || err.msg[0] != '\0');
    assert(code != ERR_OK || listing || files.n == 1);
    assert(!more || files.n > 0);
    check_files(&files);
    hdfs_files_clear(&files);
}

static void read_refusal(int status, const char *text, size_t len)
{
    struct err err = {0};
    enum hdfs_verdict verdict = hdfs_read_refusal(status, text, len, &err);
    assert(verdict != HDFS_GO_ON && err.code != ERR_OK && err.msg[0] != '\0');
    assert(strpbrk(err.msg, "\r\n\x1b") == NULL);
}

static void read_redirect(const char *text, size_t len)
{
    cleanup(mem_freep) char *url = mem_strndup(text, len);
    struct hdfs_redirect redirect = {0};
    struct err err = {0};
    if (hdfs_check_redirect("https://nn:9871", url, &redirect, &err) == ERR_OK)
        assert(redirect.host[0] != '\0' && (url[0] == 'h' || url[0] == 'H'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    bool yes = false;
    switch (data[0] % 7) {
    case 0: read_files(false, text, size - 1); break;
    case 1: read_files(true, text, size - 1); break;
    case 2: read_refusal(403, text, size - 1); break;
    case 3: read_redirect(text, size - 1); break;
    case 4: (void)hdfs_says_active(text, size - 1); break;
    case 5: (void)hdfs_has_file_id(text, size - 1); break;
    default: (void)hdfs_read_boolean(text, size - 1, &yes, NULL); break;
    }
    assert(mem_live() == 0);
    return 0;
}
