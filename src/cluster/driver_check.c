/* Which submissions run as drivers on a standalone cluster, and which of them cannot. */
#include "cluster/drivers_internal.h"

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
    const char *master = first(submission->master, strmap_get(&submission->conf, "spark.master"));
    enum err_code rc = masters_check_url(master, err);
    return rc == ERR_OK ? description_check(submission, err) : err_wrap(err, "master");
}
