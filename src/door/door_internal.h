/* What the files of this module share. */
#ifndef HEARTH_DOOR_DOOR_INTERNAL_H
#define HEARTH_DOOR_DOOR_INTERNAL_H

#include "door/door.h"

struct access; /* access.c */

struct door {
    const struct settings *settings;
    char *default_fs;            /* "hdfs://namenode:8020"; NULL: the local file system */
    bool local_files_everywhere; /* no spark.local_dirs and nobody but this machine can ask */
    struct access *access;
};

enum err_code access_new(uv_loop_t *loop, const struct settings *settings, struct access **ret,
                         struct err *err);
void access_free(struct access *a); /* NULL is fine */

/* fs.defaultFS of HADOOP_CONF_DIR's core-site.xml without a slash at the end; NULL: the local one. */
char *path_default_fs(const char *hadoop_conf_dir);

#endif
