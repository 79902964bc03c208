#include "discovery/discovery_internal.h"

#include "base/mem.h"

enum err_code discovery_open(const struct discovery_options *options, struct discovery **ret, struct err *err)
{
    struct discovery *d = mem_calloc(1, sizeof *d);
    cleanup(mem_freep) char *dir = mem_printf("%s/discovery", options->settings->server.state_dir);
    if (d == NULL || dir == NULL) {
        mem_free(d);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    d->loop = options->loop;
    d->settings = options->settings;
    *ret = d; /* what has begun ends in discovery_stop() and discovery_free(), whatever fails from here on */
    enum err_code rc = registry_open(options->loop, options->store, dir, &d->registry, err);
    if (rc == ERR_OK)
        rc = own_open(d, options->clusters, err);
    if (rc == ERR_OK)
        discovery_mount(d, options->server);
    return rc;
}

void discovery_stop(struct discovery *d)
{
    if (d == NULL)
        return;
    own_stop(d->own);
    held_answer_all(d);
    registry_stop(d->registry);
}

void discovery_free(struct discovery *d)
{
    if (d == NULL)
        return;
    own_free(d->own);
    registry_free(d->registry);
    mem_free(d);
}
