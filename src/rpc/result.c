/* How a request ends, and whether it may be repeated. */
#include "rpc/rpc.h"

static const char *const names[] = {
    [RPC_VALUE] = "value",
    [RPC_UNREACHABLE] = "unreachable",
    [RPC_CLOSED] = "closed",
    [RPC_UNAUTHORIZED] = "unauthorized",
    [RPC_NO_ENDPOINT] = "no endpoint",
    [RPC_REFUSED] = "refused",
    [RPC_EXCEPTION] = "exception",
    [RPC_BROKEN] = "broken",
    [RPC_LATE] = "late",
    [RPC_NOT_SENT] = "not sent",
};

const char *rpc_result_name(enum rpc_result result)
{
    return names[result];
}

bool rpc_may_repeat(enum rpc_kind kind)
{
    return kind != RPC_SUBMIT_DRIVER && !rpc_is_one_way(kind);
}
