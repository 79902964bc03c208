/* Bodies of the provisioner's calls, dates, and URIs. */
#include "base/mem.h"
#include "provision/provision_internal.h"
#include "schedule/civil.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 64, BODY_MAX = 1 << 20 };

static void check_problem(bool good, const struct message_problem *problem)
{
    assert(good == (problem->status == 0));
    assert(good || ((problem->status == 400 || problem->status == 422) && problem->text[0] != '\0'));
}

static void check_bodies(const struct buf *body)
{
    struct provisioning_request request = {0};
    struct message_problem problems[3] = {0};
    bool good = provisioning_request_read(body, DEPTH_MAX, &request, &problems[0]);
    check_problem(good, &problems[0]);
    assert(good == (request.descriptor != NULL));
    provisioning_request_clear(&request);
    check_problem(update_acl_check(body, DEPTH_MAX, &problems[1]), &problems[1]);
    check_problem(reverse_provisioning_check(body, DEPTH_MAX, &problems[2]), &problems[2]);
}

static void check_texts(const char *text)
{
    struct jar jar = {0};
    int64_t instant_s = 0;
    if (date_read(text, &instant_s))
        assert(instant_s >= CIVIL_INSTANT_MIN_S && instant_s <= CIVIL_INSTANT_MAX_S);
    if (jar_read(text, &jar, NULL) == ERR_OK)
        assert(strpbrk(text, " \t\n\"<>\\^`{|}") == NULL);
    jar_clear(&jar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long live = mem_live();
    struct buf body = BUF(BODY_MAX);
    buf_add(&body, data, size);
    if (body.failed == ERR_OK) {
        check_bodies(&body);
        check_texts(buf_cstr(&body));
    }
    buf_clear(&body);
    assert(mem_live() == live);
    return 0;
}
