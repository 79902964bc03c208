/*
 * The format of lines.idx: where each run of lines of one stream begins.
 *
 * A header, then records of 16 bytes, all numbers little-endian. A record is written when a line
 * begins whose predecessor is of the other stream, and after RUN_MAX lines of the same stream. It
 * says how many lines of each stream began in this part before, and where in its file the line
 * begins. So the records are sorted by the number of the line, in the merged log and in each stream,
 * and a reader finds line n by halving and then scans at most RUN_MAX lines.
 *
 * Data is written first, its record afterwards, and nothing else in between. So of all that was
 * written, at most one stream's last bytes are not in the index yet, and they come after everything
 * that is. A reader looks at the sizes of the data files first and at the index afterwards; records
 * that begin beyond those sizes are too new for it.
 *
 * A rotation removes the older part, its index first; renames the data files, then the index; makes
 * the data files of the new part, then its index, header and all at once. So when a writer is killed in
 * between, an index without an older one beside it finds data files that are missing under the older names.
 */
#ifndef HEARTH_GUARD_OUTPUT_INDEX_H
#define HEARTH_GUARD_OUTPUT_INDEX_H

#include "guard/output.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { OUTPUT_RUN_MAX = 256 };

#define OUTPUT_INDEX_MAGIC "hearthL1"
#define OUTPUT_INDEX_NAME "lines.idx"
#define OUTPUT_OLDER ".1" /* behind the names of the older part */

static const char *const output_log_names[OUTPUT_STREAMS] = {"stdout.log", "stderr.log"};

struct output_index_header {
    char magic[8];
    uint64_t lines_before[OUTPUT_STREAMS]; /* in the parts before this one */
    uint64_t bytes_before[OUTPUT_STREAMS];
};

struct output_record {
    uint32_t lines[OUTPUT_STREAMS]; /* begun in this part before this run */
    uint64_t where;                 /* offset in the file of its stream; top bit: stderr */
};

#define OUTPUT_WHERE_STDERR (UINT64_C(1) << 63)

static inline struct output_record output_record_pack(const uint32_t lines[OUTPUT_STREAMS],
                                                      enum output_stream stream, uint64_t offset)
{
    uint64_t where = offset | (stream == OUTPUT_STDERR ? OUTPUT_WHERE_STDERR : 0);
    return (struct output_record){{htole32(lines[0]), htole32(lines[1])}, htole64(where)};
}

#endif
