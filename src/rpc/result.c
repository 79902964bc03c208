/* The words for how a request ended. */
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
