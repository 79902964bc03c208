#include "door/door_internal.h"

#include "base/mem.h"

#include <stdlib.h>

enum err_code door_open(uv_loop_t *loop, const struct settings *settings, struct door **ret, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    struct door *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    d->settings = settings;
    enum err_code rc = http_parse_listen(settings->server.listen, host, &port, err);
    if (rc == ERR_OK)
        rc = access_new(loop, settings, &d->access, err);
    if (rc != ERR_OK) {
        door_close(d);
        return rc;
    }
    d->default_fs = path_default_fs(getenv("HADOOP_CONF_DIR"));
    d->local_files_everywhere = settings->spark.local_dirs.n == 0 && http_is_loopback(host);
    *ret = d;
    return ERR_OK;
}

void door_close(struct door *d)
{
    if (d == NULL)
        return;
    mem_free(d->default_fs);
    access_free(d->access);
    mem_free(d);
}
