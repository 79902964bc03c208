/*
 * The class-data archive of Spark's classes (JEP 350), with which a driver starts in some 60 % of the time.
 *
 *     <dir>/spark-<key>-<size>-<date>.jsa   the archive
 *     <dir>/folder-<hash>.jar               a folder of the class path, in a form that java can archive with
 *     <dir>/training.log                    what the last training run printed
 *
 * The key is made of everything that an archive depends on: Spark's home and version, java's own files, the
 * class path and the size and date of each jar on it. When one of them changes there is another key, the
 * next training run makes another archive, and those of other keys are removed. java itself checks the
 * jars again and runs without an archive that does not fit them. It does not notice that the archive is
 * damaged, though (a truncated one kills it with SIGBUS): so an archive is used only while its size and
 * date are those in its name.
 *
 * States: NONE -> TRAINING -> READY or FAILED; READY from the start when the file is there. Only the loop
 * thread moves them; workers read them while they build commands, so the state is atomic, and all else is
 * written before it.
 */
#include "spark/spark_internal.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum state { NONE, TRAINING, READY, FAILED };

struct archive {
    _Atomic enum state state;
    char failed[600]; /* "failed: <why>", once the state is FAILED */
    char *dir;
    char *prefix;       /* "<dir>/spark-<key>" */
    char *file;         /* the archive; NULL: there is none yet */
    char *spark_path;   /* the class path that Spark's launcher makes */
    char *archive_path; /* the same with jars for its folders */
    struct strlist folder_jars;
    struct training *training;
    void (*on_done)(void *arg);
    void *arg;
};

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static void fail(struct archive *a, const char *why)
{
    (void)snprintf(a->failed, sizeof a->failed, "failed: %s", why);
    atomic_store(&a->state, FAILED);
}

/* ---- the key ---- */

/* FNV-1a, 64 bits: keys must differ, nobody attacks them. */
static const uint64_t HASH_START = 0xCBF29CE484222325;

static void hash_text(uint64_t *h, const char *text)
{
    const char *p = text;
    do { /* with the final NUL, so that "ab","c" is not "a","bc" */
        *h = (*h ^ (unsigned char)*p) * 0x100000001B3;
    } while (*p++ != '\0');
}

/* A file's name, size and date. One that does not exist counts as well: it may come. */
static void hash_file(uint64_t *h, const char *path)
{
    char text[96] = "absent";
    struct stat st;
    if (stat(path, &st) == 0)
        (void)snprintf(text, sizeof text, "%jd %jd.%09ld", (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                       st.st_mtim.tv_nsec);
    hash_text(h, path);
    hash_text(h, text);
}

static void hash_below(uint64_t *h, const char *dir, const char *name)
{
    char path[PATH_MAX + NAME_MAX + 2];
    (void)snprintf(path, sizeof path, "%.*s/%.*s", PATH_MAX, dir, NAME_MAX, name);
    hash_file(h, path);
}

/* Every file in a folder, in the folder's order, which is also java's for a wildcard. */
static void hash_dir(uint64_t *h, const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.')
            hash_below(h, dir, e->d_name);
    (void)closedir(d); /* it was only read */
}

static int hash_class_path(uint64_t *h, const char *class_path)
{
    struct strlist entries = {0};
    int failed = strlist_split(&entries, class_path, ":");
    for (size_t i = 0; failed == 0 && i < entries.n; i++) {
        char *entry = entries.items[i];
        size_t n = strlen(entry);
        hash_text(h, entry);
        if (n > 2 && strcmp(entry + n - 2, "/*") == 0) {
            entry[n - 2] = '\0';
            hash_dir(h, entry);
        } else {
            hash_file(h, entry);
        }
    }
    strlist_clear(&entries);
    return failed;
}

/* java's program, its libraries and its statement of version. */
static void hash_java(uint64_t *h, const char *java)
{
    char real[PATH_MAX];
    if (realpath(java, real) == NULL)
        return;
    hash_file(h, real);
    char *bin = strrchr(real, '/');
    *bin = '\0';
    hash_below(h, real, "../release");
    hash_below(h, real, "../lib/modules");
    hash_below(h, real, "../lib/server/libjvm.so");
}

static enum err_code make_prefix(struct archive *a, const struct spark *s, struct err *err)
{
    uint64_t key = HASH_START;
    hash_text(&key, s->home);
    hash_text(&key, s->version);
    hash_java(&key, s->java);
    if (hash_class_path(&key, a->archive_path) != 0)
        return no_memory(err);
    a->prefix = mem_printf("%s/spark-%016" PRIx64, a->dir, key);
    return a->prefix == NULL ? no_memory(err) : ERR_OK;
}

/* ---- the file ---- */

char *archive_file_name(const char *prefix, const struct stat *st)
{
    return mem_printf("%s-%jx-%jx%08lx.jsa", prefix, (uintmax_t)st->st_size, (uintmax_t)st->st_mtim.tv_sec,
                      (unsigned long)st->st_mtim.tv_nsec);
}

/* True when the file has the size and date that its name says. */
static bool is_intact(const struct archive *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    cleanup(mem_freep) char *name = archive_file_name(a->prefix, &st);
    return name != NULL && strcmp(name, path) == 0;
}

/* The archive for our key, when there is one: sets file. */
static enum err_code find_file(struct archive *a, struct err *err)
{
    DIR *d = opendir(a->dir);
    if (d == NULL)
        return err_sys(err, errno, "reading folder %s", a->dir);
    enum err_code rc = ERR_OK;
    for (struct dirent *e = readdir(d); e != NULL && a->file == NULL && rc == ERR_OK; e = readdir(d)) {
        cleanup(mem_freep) char *path = mem_printf("%s/%s", a->dir, e->d_name);
        if (path == NULL || (is_intact(a, path) && mem_set_str(&a->file, path) != 0))
            rc = no_memory(err);
    }
    (void)closedir(d); /* it was only read */
    return rc;
}

/* ---- the class path ---- */

/* Adds the jar that stands for a folder. java would take a class from the archive even when the folder,
 * in front of the jars, has another of that name: no archive then. */
static enum err_code add_folder(struct archive *a, const char *folder, struct strlist *path, struct err *err)
{
    if (folder_holds_classes(folder))
        return err_set(err, ERR_CONFLICT, "the folder %s on the class path holds classes", folder);
    uint64_t name = HASH_START;
    hash_text(&name, folder);
    cleanup(mem_freep) char *jar = mem_printf("%s/folder-%016" PRIx64 ".jar", a->dir, name);
    if (jar == NULL)
        return no_memory(err);
    enum err_code rc = folder_jar_make(jar, folder, err);
    if (rc == ERR_OK && (strlist_add(path, jar) != 0 || strlist_add(&a->folder_jars, jar) != 0))
        rc = no_memory(err);
    return rc;
}

/* Fills archive_path and folder_jars from spark_path. */
static enum err_code replace_folders(struct archive *a, struct err *err)
{
    struct strlist entries = {0};
    struct strlist path = {0};
    enum err_code rc = strlist_split(&entries, a->spark_path, ":") != 0 ? no_memory(err) : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < entries.n; i++) {
        if (io_is_dir(entries.items[i]))
            rc = add_folder(a, entries.items[i], &path, err);
        else if (strlist_add(&path, entries.items[i]) != 0)
            rc = no_memory(err);
    }
    if (rc == ERR_OK) {
        a->archive_path = strlist_join(&path, ":");
        rc = a->archive_path == NULL ? no_memory(err) : ERR_OK;
    }
    strlist_clear(&entries);
    strlist_clear(&path);
    return rc;
}

/* ---- life ---- */

static enum err_code make_dir(struct archive *a, const char *dir, struct err *err)
{
    char real[PATH_MAX];
    enum err_code rc = io_make_dirs(dir, 0700, err);
    if (rc != ERR_OK)
        return rc;
    if (realpath(dir, real) == NULL)
        return err_sys(err, errno, "%s", dir);
    if (strchr(real, ':') != NULL)
        return err_set(err, ERR_INVALID, "%s cannot be on a class path, because of the ':' in it", real);
    a->dir = mem_strdup(real);
    return a->dir == NULL ? no_memory(err) : ERR_OK;
}

/* Everything that depends on files; what goes wrong here only means that there is no archive. */
static enum err_code prepare(struct archive *a, const struct spark *s, const char *dir, struct err *err)
{
    enum err_code rc = make_dir(a, dir, err);
    if (rc == ERR_OK)
        rc = usual_class_path(s, &a->spark_path, err);
    if (rc == ERR_OK)
        rc = replace_folders(a, err);
    if (rc == ERR_OK)
        rc = make_prefix(a, s, err);
    if (rc == ERR_OK)
        rc = find_file(a, err);
    return rc;
}

enum err_code archive_new(const struct spark *s, const char *dir, struct archive **ret, struct err *err)
{
    struct err why = {0};
    struct archive *a = mem_calloc(1, sizeof *a);
    if (a == NULL)
        return no_memory(err);
    enum err_code rc = prepare(a, s, dir, &why);
    if (rc == ERR_NOMEM) {
        archive_free(a);
        return no_memory(err);
    }
    if (rc != ERR_OK)
        fail(a, why.msg);
    else if (a->file != NULL)
        atomic_store(&a->state, READY);
    *ret = a;
    return ERR_OK;
}

static void end_training(struct archive *a)
{
    if (a->training == NULL)
        return;
    training_abandon(a->training);
    a->training = NULL;
    fail(a, "hearth stops");
}

void archive_free(struct archive *a)
{
    if (a == NULL)
        return;
    end_training(a);
    mem_free(a->dir);
    mem_free(a->prefix);
    mem_free(a->file);
    mem_free(a->spark_path);
    mem_free(a->archive_path);
    strlist_clear(&a->folder_jars);
    mem_free(a);
}

const char *spark_archive_state(const struct spark *s)
{
    static const char *const words[] = {[NONE] = "no", [TRAINING] = "training", [READY] = "ready"};
    if (s->archive == NULL)
        return words[NONE];
    enum state state = atomic_load(&s->archive->state);
    return state == FAILED ? s->archive->failed : words[state];
}

/* ---- use ---- */

/* Without the jars of folders a driver would run without Spark's settings. */
static bool is_complete(const struct archive *a)
{
    for (size_t i = 0; i < a->folder_jars.n; i++)
        if (!io_exists(a->folder_jars.items[i]))
            return false;
    return is_intact(a, a->file);
}

int archive_apply(struct archive *a, struct strlist *argv, char **class_path)
{
    if (atomic_load(&a->state) != READY || strcmp(*class_path, a->spark_path) != 0 || !is_complete(a))
        return 0;
    /* In front of the user's own options, which win. java says on standard output, which is the
     * program's, when it cannot use an archive: no word of that. */
    if (strlist_addf(argv, "-XX:SharedArchiveFile=%s", a->file) != 0 ||
        strlist_add(argv, "-Xshare:auto") != 0 || strlist_add(argv, "-Xlog:cds*=off") != 0)
        return -1;
    return mem_set_str(class_path, a->archive_path);
}

/* ---- training ---- */

static bool is_ours(const char *name)
{
    return (str_starts(name, "spark-") && str_ends(name, ".jsa")) || str_starts(name, "training-");
}

/* Called when there is no archive: removes those of other keys, and what is left of a training run that
 * was cut short with hearth. */
static void remove_old(const struct archive *a)
{
    DIR *d = opendir(a->dir);
    if (d == NULL)
        return;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        cleanup(mem_freep) char *path = is_ours(e->d_name) ? mem_printf("%s/%s", a->dir, e->d_name) : NULL;
        if (path != NULL)
            (void)io_remove_tree(path, NULL); /* it costs space only; the next start tries again */
    }
    (void)closedir(d); /* it was only read */
}

static void tell(struct archive *a)
{
    if (a->on_done != NULL)
        a->on_done(a->arg);
}

static void on_training_end(void *arg, const char *why)
{
    struct archive *a = arg;
    struct err err = {0};
    a->training = NULL;
    if (why == NULL && find_file(a, &err) != ERR_OK)
        why = err.msg;
    if (why == NULL && a->file == NULL)
        why = "the archive disappeared when it was made";
    if (why != NULL) {
        fail(a, why);
        log_warn("no class-data archive: drivers start more slowly", LOG_S("why", why));
    } else {
        atomic_store(&a->state, READY);
        log_info("class-data archive made", LOG_S("file", a->file));
    }
    tell(a);
}

void spark_train(struct spark *s, uv_loop_t *loop, void (*on_done)(void *arg), void *arg)
{
    struct archive *a = s->archive;
    if (a == NULL || atomic_load(&a->state) != NONE) {
        if (on_done != NULL)
            on_done(arg);
        return;
    }
    a->on_done = on_done;
    a->arg = arg;
    remove_old(a);
    struct err err = {0};
    const struct training_options options = {
        .s = s, .dir = a->dir, .class_path = a->archive_path, .prefix = a->prefix};
    atomic_store(&a->state, TRAINING);
    if (training_start(&options, loop, on_training_end, a, &a->training, &err) != ERR_OK)
        on_training_end(a, err.msg);
}

void spark_stop_training(struct spark *s)
{
    if (s->archive != NULL)
        end_training(s->archive);
}
