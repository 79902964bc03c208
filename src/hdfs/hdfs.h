/*
 * Files in HDFS, over WebHDFS: the REST interface of Hadoop's NameNodes and DataNodes.
 *
 * A client knows one or two NameNodes. Every operation goes to the one that answered last; one that is
 * standby (StandbyException), in safe mode, starting up or out of reach is left for the other, until the
 * operation's time is over. Data goes to and comes from DataNodes, by the redirects of the NameNode, which
 * are followed here and nowhere else: a redirect leads to http or https, and a delegation or a password is
 * never sent along.
 *
 * Authentication is "simple" (the parameter user.name) or SPNEGO (Kerberos credentials of this process: its
 * ticket cache, or its client keytab, as KRB5CCNAME and KRB5_CLIENT_KTNAME say).
 *
 *     struct hdfs_options options = {.loop = loop, .nodes = {"http://nn0:9870"}, .user = "etl"};
 *     struct hdfs *h = hdfs_open(&options);
 *     hdfs_status(h, "/apps/load.jar", on_status, arg);
 *
 * Source: "WebHDFS REST API" of the Apache Hadoop documentation.
 *
 * Lifetime   hdfs_open() .. hdfs_free(), which ends what is under way without callbacks. The memory goes once
 *            the loop has run; a transfer or a talk with Kerberos that is under way may keep it for a second.
 * Thread     loop thread only. Callbacks come exactly once, never before return.
 */
#ifndef HEARTH_HDFS_HDFS_H
#define HEARTH_HDFS_HDFS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hdfs; /* opaque */

enum { HDFS_NODES = 2 };

struct hdfs_options {
    uv_loop_t *loop;
    const char *nodes[HDFS_NODES]; /* "http://host:9870", no slash at the end; the second may be NULL */
    const char *user;              /* of simple authentication; NULL: none is named */
    bool kerberos;                 /* SPNEGO */
    int64_t timeout_ms;            /* of one operation with all its tries; 0: 30 s */
};

struct hdfs *hdfs_open(const struct hdfs_options *options); /* copies; NULL: out of memory */
void hdfs_free(struct hdfs *h);                             /* NULL is fine */

/* A file or folder. Texts are borrowed for the time of the callback. */
struct hdfs_file {
    const char *name; /* of an entry of a folder; "" of the path that was asked for */
    bool is_folder;
    int64_t size;        /* bytes; 0 of a folder */
    int64_t modified_ms; /* wall time */
    const char *owner, *group;
    const char *permission; /* octal, "644" */
};

/* ERR_NOT_FOUND: no such path; ERR_DENIED: no permission, or not authenticated; ERR_CONFLICT: it is there
 * already, or it is a folder that is not empty; ERR_INVALID: a path that is not absolute, or that HDFS calls
 * illegal, or a local file that cannot be read; ERR_BUSY: no NameNode is active, or in safe mode; ERR_IO: out
 * of reach, a broken answer, a broken transfer; ERR_TIMEOUT; ERR_TOO_LARGE; ERR_NOMEM. The message names node
 * and path, and has the words of Hadoop. `err` is never NULL: its code tells. What else is told is NULL and 0
 * with an error. */
typedef void hdfs_done_cb(const struct err *err, void *arg);
typedef void hdfs_file_cb(const struct err *err, const struct hdfs_file *file, void *arg);
typedef void hdfs_list_cb(const struct err *err, const struct hdfs_file *files, size_t n, void *arg);
typedef void hdfs_data_cb(const struct err *err, const char *data, size_t n, void *arg);

void hdfs_status(struct hdfs *h, const char *path, hdfs_file_cb *done, void *arg);
/* All entries of a folder, in the order of their names (of a file: itself). At most `max`, else
 * ERR_TOO_LARGE. */
void hdfs_list(struct hdfs *h, const char *path, size_t max, hdfs_list_cb *done, void *arg);
/* The bytes from `offset`, at most `max` of them (none at the end of the file and behind it); ERR_TOO_LARGE
 * when the file has more behind that and `whole` is set. */
void hdfs_read(struct hdfs *h, const char *path, int64_t offset, size_t max, bool whole, hdfs_data_cb *done,
               void *arg);
/* Copies a file of this machine into HDFS, folders above it made as needed; without `overwrite` a file that
 * is there is ERR_CONFLICT. A transfer that broke is begun again when overwriting is allowed. */
void hdfs_create(struct hdfs *h, const char *path, const char *local_file, bool overwrite, hdfs_done_cb *done,
                 void *arg);
void hdfs_make_folder(struct hdfs *h, const char *path, hdfs_done_cb *done, void *arg);
/* `recursive`: a folder with all in it. ERR_NOT_FOUND when nothing was there. */
void hdfs_remove(struct hdfs *h, const char *path, bool recursive, hdfs_done_cb *done, void *arg);

/*
 * The two questions of the provisioner contract (section 5.2), asked exactly as it says, without tries:
 * which node's JMX page says State "active" (the first that does; an answer that is not such JSON, or none,
 * means not active), and whether the active one's GETFILESTATUS answer has FileStatus.fileId.
 */
enum hdfs_presence { HDFS_NO_ACTIVE_NODE, HDFS_MISSING, HDFS_PRESENT };
typedef void hdfs_presence_cb(enum hdfs_presence presence, void *arg);
/* `path` as decoded from the URI; "" asks for "/". */
void hdfs_ask_presence(struct hdfs *h, const char *path, hdfs_presence_cb *done, void *arg);
/* The first of them alone: HDFS_NO_ACTIVE_NODE or HDFS_PRESENT. */
void hdfs_ask_active(struct hdfs *h, hdfs_presence_cb *done, void *arg);

#endif
