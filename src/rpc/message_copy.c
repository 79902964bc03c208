#include "rpc/message_copy.h"

#include "base/mem.h"

#include <string.h>

struct driver_copy {
    struct rpc_driver driver; /* points into the rest */
    char *jar_url, *main_class;
    struct strlist arguments, class_path, library_path, java_options;
    struct strmap environment;
    struct rpc_resource *resources;
    struct strlist resource_names;
};

static void driver_copy_free(struct driver_copy *d)
{
    if (d == NULL)
        return;
    mem_free(d->jar_url);
    mem_free(d->main_class);
    strlist_clear(&d->arguments);
    strlist_clear(&d->class_path);
    strlist_clear(&d->library_path);
    strlist_clear(&d->java_options);
    strmap_clear(&d->environment);
    mem_free(d->resources);
    strlist_clear(&d->resource_names);
    mem_free(d);
}

static int copy_list(const struct strlist **list, struct strlist *to)
{
    if (*list == NULL)
        return 0;
    int rc = strlist_copy(to, *list);
    *list = to;
    return rc;
}

static int copy_text(const char **text, char **to)
{
    int rc = mem_set_str(to, *text);
    *text = *to;
    return rc;
}

static int copy_resources(struct driver_copy *d)
{
    struct rpc_driver *driver = &d->driver;
    if (driver->n_resources == 0)
        return 0;
    d->resources = mem_calloc(driver->n_resources, sizeof *d->resources);
    if (d->resources == NULL)
        return -1;
    for (size_t i = 0; i < driver->n_resources; i++)
        if (strlist_add(&d->resource_names, driver->resources[i].name) != 0)
            return -1;
    for (size_t i = 0; i < driver->n_resources; i++) {
        d->resources[i] = driver->resources[i];
        d->resources[i].name = d->resource_names.items[i];
    }
    driver->resources = d->resources;
    return 0;
}

static int copy_environment(struct driver_copy *d)
{
    if (d->driver.environment == NULL)
        return 0;
    int rc = strmap_copy(&d->environment, d->driver.environment);
    d->driver.environment = &d->environment;
    return rc;
}

static struct driver_copy *driver_copy_new(const struct rpc_driver *from)
{
    struct driver_copy *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->driver = *from;
    struct rpc_driver *driver = &d->driver;
    if (copy_text(&driver->jar_url, &d->jar_url) == 0 &&
        copy_text(&driver->main_class, &d->main_class) == 0 &&
        copy_list(&driver->arguments, &d->arguments) == 0 &&
        copy_list(&driver->class_path, &d->class_path) == 0 &&
        copy_list(&driver->library_path, &d->library_path) == 0 &&
        copy_list(&driver->java_options, &d->java_options) == 0 && copy_environment(d) == 0 &&
        copy_resources(d) == 0)
        return d;
    driver_copy_free(d);
    return NULL;
}

void message_copy_clear(struct message_copy *m)
{
    mem_free(m->text);
    strlist_clear(&m->list);
    driver_copy_free(m->driver);
    memset(m, 0, sizeof *m);
}

int message_copy(struct message_copy *to, const struct rpc_message *from)
{
    *to = (struct message_copy){.message = *from};
    struct rpc_message *m = &to->message;
    bool is_copied = copy_text(&m->text, &to->text) == 0 && copy_list(&m->list, &to->list) == 0;
    if (is_copied && m->driver != NULL) {
        to->driver = driver_copy_new(m->driver);
        is_copied = to->driver != NULL;
        m->driver = is_copied ? &to->driver->driver : NULL;
    }
    if (is_copied)
        return 0;
    message_copy_clear(to);
    return -1;
}
