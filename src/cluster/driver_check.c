/* Which submissions run as drivers on a standalone cluster, and which of them cannot. */
#include "cluster/drivers.h"

#include <string.h>

static const char *first(const char *a, const char *b)
{
    return a != NULL && *a != '\0' ? a : b;
}

bool driver_wants(const struct spark_submission *submission)
{
    const char *master = first(submission->master, strmap_get(&submission->conf, "spark.master"));
    const char *mode =
        first(submission->deploy_mode, strmap_get(&submission->conf, "spark.submit.deployMode"));
    return master != NULL && str_starts(master, "spark://") && mode != NULL && strcmp(mode, "cluster") == 0;
}

enum err_code driver_check(const struct spark_submission *submission, struct err *err)
{
    const char *file = submission->file;
    if (file == NULL || *file == '\0')
        return err_set(err, ERR_INVALID, "file is required");
    if (str_ends(file, ".R") || str_ends(file, ".r"))
        return err_set(
            err, ERR_INVALID,
            "file '%.200s': R programs cannot run in cluster deploy mode on a standalone cluster; use "
            "deployMode client",
            file);
    if (submission->proxy_user != NULL)
        return err_set(
            err, ERR_INVALID,
            "proxyUser '%.100s': a standalone cluster in cluster deploy mode cannot run a driver as "
            "another user; use deployMode client",
            submission->proxy_user);
    return ERR_OK;
}
