/*
 * A jar that stands for a folder on the class path.
 *
 * java archives no classes while the class path holds a folder with something in it, and SPARK_HOME/conf
 * is such a folder, in front of all jars. A jar that holds nothing but a manifest with
 *
 *     Class-Path: file:///opt/spark/conf/
 *
 * takes its place: java looks into the folder itself, at the same position and under the same URLs, while
 * the class path consists of jars. The jar depends on the folder's name alone, so it never gets old.
 */
#include "spark/spark_internal.h"

#include "base/io.h"
#include "base/mem.h"

#include <ctype.h>
#include <ftw.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

enum {
    JAR_MAX = 64 * 1024,
    LINE_MAX_BYTES = 72,       /* of a manifest, with its line end */
    DOS_DATE_1980_01_01 = 0x21 /* the earliest that a zip can say */
};

static const char ENTRY[] = "META-INF/MANIFEST.MF";

static void add_u16(struct buf *b, unsigned n)
{
    buf_char(b, (char)(n & 0xFF));
    buf_char(b, (char)(n >> 8 & 0xFF));
}

static void add_u32(struct buf *b, uint32_t n)
{
    add_u16(b, n & 0xFFFF);
    add_u16(b, n >> 16);
}

/* "file://" and the path, percent-encoded, with a slash behind it, which says that it is a folder. */
static void add_url(struct buf *b, const char *folder)
{
    buf_str(b, "file://");
    for (const char *p = folder; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (isalnum(c) || strchr("/-._~", c) != NULL)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
    if (!str_ends(folder, "/"))
        buf_char(b, '/');
}

/* A long line of a manifest goes on in the next one, behind a blank. */
static void add_line(struct buf *b, const struct buf *line)
{
    size_t room = LINE_MAX_BYTES - 2;
    for (size_t at = 0; at < line->len;) {
        size_t n = line->len - at < room ? line->len - at : room;
        if (at > 0)
            buf_char(b, ' ');
        buf_add(b, line->data + at, n);
        buf_str(b, "\r\n");
        at += n;
        room = LINE_MAX_BYTES - 3;
    }
}

static void write_manifest(struct buf *b, const char *folder)
{
    cleanup(buf_clear) struct buf line = BUF(JAR_MAX);
    buf_str(&line, "Class-Path: ");
    add_url(&line, folder);
    buf_str(b, "Manifest-Version: 1.0\r\n");
    add_line(b, &line);
    buf_str(b, "\r\n");
    if (line.failed != ERR_OK)
        b->failed = line.failed;
}

/* What an entry's local header and its line in the directory have in common: from the needed version
 * (1.0) to the length of the name. Stored as it is, without compression. */
static void add_entry_fields(struct buf *b, const struct buf *content)
{
    add_u16(b, 10);
    add_u16(b, 0); /* flags */
    add_u16(b, 0); /* method: stored */
    add_u16(b, 0); /* time */
    add_u16(b, DOS_DATE_1980_01_01);
    add_u32(b, (uint32_t)crc32(0, (const unsigned char *)buf_cstr(content), (unsigned)content->len));
    add_u32(b, (uint32_t)content->len);
    add_u32(b, (uint32_t)content->len);
    add_u16(b, (unsigned)strlen(ENTRY));
    add_u16(b, 0); /* extra field */
}

static void write_zip(struct buf *b, const struct buf *content)
{
    buf_str(b, "PK\3\4");
    add_entry_fields(b, content);
    buf_str(b, ENTRY);
    buf_add(b, buf_cstr(content), content->len);

    size_t directory = b->len;
    buf_str(b, "PK\1\2");
    add_u16(b, 10); /* made by */
    add_entry_fields(b, content);
    add_u16(b, 0); /* comment */
    add_u16(b, 0); /* disk */
    add_u16(b, 0); /* internal attributes */
    add_u32(b, 0); /* external attributes */
    add_u32(b, 0); /* the entry is at the start of the file */
    buf_str(b, ENTRY);

    size_t directory_size = b->len - directory;
    buf_str(b, "PK\5\6");
    add_u16(b, 0); /* this disk */
    add_u16(b, 0); /* the directory's disk */
    add_u16(b, 1); /* entries on this disk */
    add_u16(b, 1); /* entries */
    add_u32(b, (uint32_t)directory_size);
    add_u32(b, (uint32_t)directory);
    add_u16(b, 0); /* comment */
}

enum err_code folder_jar_make(const char *path, const char *folder, struct err *err)
{
    if (io_exists(path)) /* a new one would have another date, and archives know it by its date */
        return ERR_OK;
    cleanup(buf_clear) struct buf manifest = BUF(JAR_MAX);
    cleanup(buf_clear) struct buf jar = BUF(JAR_MAX);
    write_manifest(&manifest, folder);
    enum err_code rc = buf_check(&manifest, err);
    if (rc == ERR_OK) {
        write_zip(&jar, &manifest);
        rc = buf_check(&jar, err);
    }
    return rc == ERR_OK ? io_replace_file(path, jar.data, jar.len, 0644, err) : rc;
}

static int is_class_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    return kind == FTW_F && str_ends(path, ".class");
}

bool folder_holds_classes(const char *folder)
{
    return nftw(folder, is_class_file, 16, FTW_PHYS) > 0;
}
