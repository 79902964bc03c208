/* What reader and writer of Java Object Serialization share: the stream's own numbers. */
#ifndef HEARTH_SPARK_JSER_INTERNAL_H
#define HEARTH_SPARK_JSER_INTERNAL_H

#include <stddef.h>

/* java.io.ObjectStreamConstants */
enum { JSER_MAGIC = 0xACED, JSER_VERSION = 5, JSER_BASE_HANDLE = 0x7E0000 };

enum jser_code {
    TC_NULL = 0x70,
    TC_REFERENCE,
    TC_CLASSDESC,
    TC_OBJECT,
    TC_STRING,
    TC_ARRAY,
    TC_CLASS,
    TC_BLOCKDATA,
    TC_ENDBLOCKDATA,
    TC_RESET,
    TC_BLOCKDATALONG,
    TC_EXCEPTION,
    TC_LONGSTRING,
    TC_PROXYCLASSDESC,
    TC_ENUM,
};

/* Bytes of a primitive of this type; 0 when it is none. */
static inline size_t jser_primitive_size(char type)
{
    switch (type) {
    case 'B':
    case 'Z': return 1;
    case 'C':
    case 'S': return 2;
    case 'F':
    case 'I': return 4;
    case 'D':
    case 'J': return 8;
    default: return 0;
    }
}

#endif
