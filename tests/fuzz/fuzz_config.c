/* Any bytes as hearth.yaml. What is refused must change nothing; what is taken must show itself as
 * text that is taken again. */
#include "base/config.h"
#include "base/mem.h"
#include "base/settings.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_untouched(const struct config *c)
{
    for (size_t i = 0; settings_options[i].name != NULL; i++)
        assert(strcmp(config_origin(c, i), "default") == 0);
}

static void assert_shown_values_are_taken(struct config *c)
{
    for (size_t i = 0; settings_options[i].name != NULL; i++) {
        cleanup(buf_clear) struct buf value = BUF(4 << 20);
        config_write_value(c, i, &value);
        enum err_code rc = config_set(c, settings_options[i].name, buf_cstr(&value), "again", NULL);
        assert(rc == ERR_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings = {0};
    struct err err;
    struct config *c = config_new(settings_options, &settings);
    assert(c != NULL);
    enum err_code rc = config_read_text(c, "fuzz.yaml", (const char *)data, size, &err);
    if (rc == ERR_OK) {
        assert_shown_values_are_taken(c);
    } else {
        assert(err.code == rc && err.msg[0] != '\0');
        assert_untouched(c);
    }
    config_free(c);
    assert(mem_live() == 0);
    return 0;
}
