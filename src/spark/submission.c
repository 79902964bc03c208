#include "spark/submission.h"

#include "base/mem.h"

void spark_submission_clear(struct spark_submission *s)
{
    mem_free(s->file);
    mem_free(s->class_name);
    strlist_clear(&s->args);
    mem_free(s->name);
    mem_free(s->master);
    mem_free(s->deploy_mode);
    mem_free(s->proxy_user);
    mem_free(s->queue);
    strlist_clear(&s->py_files);
    strmap_clear(&s->conf);
    strmap_clear(&s->env);
    *s = (struct spark_submission){0};
}

int spark_submission_copy(struct spark_submission *to, const struct spark_submission *from)
{
    struct spark_submission copy = {0};
    if (mem_set_str(&copy.file, from->file) == 0 && mem_set_str(&copy.class_name, from->class_name) == 0 &&
        strlist_copy(&copy.args, &from->args) == 0 && mem_set_str(&copy.name, from->name) == 0 &&
        mem_set_str(&copy.master, from->master) == 0 &&
        mem_set_str(&copy.deploy_mode, from->deploy_mode) == 0 &&
        mem_set_str(&copy.proxy_user, from->proxy_user) == 0 && mem_set_str(&copy.queue, from->queue) == 0 &&
        strlist_copy(&copy.py_files, &from->py_files) == 0 && strmap_copy(&copy.conf, &from->conf) == 0 &&
        strmap_copy(&copy.env, &from->env) == 0) {
        *to = copy;
        return 0;
    }
    spark_submission_clear(&copy);
    return -1;
}

void spark_submission_write(const struct spark_submission *s, struct json_out *out, const char *key)
{
    json_out_object(out, key);
    json_out_str(out, "file", s->file);
    json_out_str(out, "className", s->class_name);
    json_out_list(out, "args", &s->args);
    json_out_str(out, "name", s->name);
    json_out_str(out, "master", s->master);
    json_out_str(out, "deployMode", s->deploy_mode);
    json_out_str(out, "proxyUser", s->proxy_user);
    json_out_str(out, "queue", s->queue);
    json_out_list(out, "pyFiles", &s->py_files);
    json_out_map(out, "conf", &s->conf);
    if (s->env.n > 0)
        json_out_map(out, "env", &s->env);
    json_out_end_object(out);
}

enum err_code spark_submission_read(struct spark_submission *s, json_t *value, struct err *err)
{
    struct json_in in;
    json_in_open(&in, value, err);
    json_in_str(&in, "file", &s->file);
    json_in_str(&in, "className", &s->class_name);
    json_in_list(&in, "args", &s->args);
    json_in_str(&in, "name", &s->name);
    json_in_str(&in, "master", &s->master);
    json_in_str(&in, "deployMode", &s->deploy_mode);
    json_in_str(&in, "proxyUser", &s->proxy_user);
    json_in_str(&in, "queue", &s->queue);
    json_in_list(&in, "pyFiles", &s->py_files);
    json_in_map(&in, "conf", &s->conf);
    json_in_map(&in, "env", &s->env);
    return json_in_end(&in);
}
