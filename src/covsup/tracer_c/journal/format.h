/* journal/format.h - the bytes of a journal, format version 2.
 *
 * The only definition of the layout in code: the tracer writes by it, and the extension of datafile
 * includes it, reads by it and hands its numbers to Python (datafile/journal/layout.c).
 * docs/journal-format.md says the same in words, and tests compare the two, the writer and the
 * readers. Must never know: Python, system calls, who writes and who reads.
 */
#ifndef COVSUP_JOURNAL_FORMAT_H
#define COVSUP_JOURNAL_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_MAGIC "COVSUPJ\n" /* 8 bytes, without the NUL; stored last, with release order */
#define JOURNAL_MAGIC_SIZE 8
#define JOURNAL_VERSION 2u
#define JOURNAL_HEADER_SIZE 512u
#define JOURNAL_LONGEST (UINT64_C(64) << 20) /* bytes; a reader reads no more of a journal */
#define JOURNAL_BYTE_ORDER UINT64_C(0x0102030405060708)
#define JOURNAL_CHECKED_FROM 8u /* the identity check covers [CHECKED_FROM, CHECKED_TO) */
#define JOURNAL_CHECKED_TO 248u
#define JOURNAL_IMAGE_ID_SIZE 16

typedef enum {
    JOURNAL_SPAWNED = 1, /* started below another image, or the root of the session */
    JOURNAL_FORKED = 2,
    JOURNAL_EXECED = 3,
} journal_start_kind;

typedef enum {
    JOURNAL_CORE_MONITORING = 1,
    JOURNAL_CORE_SETTRACE = 2,
} journal_core;

#define JOURNAL_FLAG_BRANCH 1u

/* Where a fact was lost first (header field lost_stage). */
typedef enum {
    JOURNAL_STAGE_NONE = 0,
    JOURNAL_STAGE_STATE = 1,    /* the wiped-on-fork page */
    JOURNAL_STAGE_NAME = 2,     /* the journal's path is too long */
    JOURNAL_STAGE_LIMIT = 3,    /* RLIMIT_FSIZE leaves no room for a journal */
    JOURNAL_STAGE_OPEN = 4,     /* creating the file */
    JOURNAL_STAGE_MODE = 5,     /* fchmod, or moving the descriptor away from 0, 1 and 2 */
    JOURNAL_STAGE_SIZE = 6,     /* reserving the file's size */
    JOURNAL_STAGE_MAP = 7,      /* mapping it */
    JOURNAL_STAGE_FILL = 8,     /* allocating its first blocks */
    JOURNAL_STAGE_GROW = 9,     /* allocating more blocks; EFAULT here means: disk or quota full */
    JOURNAL_STAGE_SEGMENT = 10, /* no further segment can be kept track of */
    JOURNAL_STAGE_RANGE = 11,   /* a number or a payload does not fit into its record */
    JOURNAL_STAGE_BUSY = 12,    /* a signal handler interrupted the opening of the journal */
    JOURNAL_STAGE_STACK = 13,   /* the stack of a signal handler has no room for the call */
} journal_stage;

typedef struct {
    /* Identity: written once, before the magic. */
    char magic[JOURNAL_MAGIC_SIZE];
    uint32_t version;
    uint32_t header_size;
    uint64_t byte_order;
    uint8_t image_id[JOURNAL_IMAGE_ID_SIZE];
    uint8_t parent_image_id[JOURNAL_IMAGE_ID_SIZE]; /* all zero: unknown */
    uint64_t pid;
    uint64_t ppid;
    uint64_t start_realtime_ns;
    uint64_t start_boottime_ns;
    uint32_t generation; /* 0 first, one more per exec */
    uint32_t start_kind; /* journal_start_kind */
    uint32_t python_hexversion;
    uint32_t core;  /* journal_core */
    uint32_t flags; /* JOURNAL_FLAG_* */
    uint32_t segment;
    uint64_t capacity; /* bytes for this header and its words */
    uint64_t uid;
    uint64_t offset;   /* of this header in its file: 0, or where a slot begins */
    uint64_t slots_at; /* where the first slot begins; 0: there are none */
    uint32_t slot_size;
    uint32_t slot_count;
    uint8_t reserved_identity[JOURNAL_CHECKED_TO - 152];
    uint64_t identity_check; /* CRC-32 of bytes [CHECKED_FROM, CHECKED_TO) */
    /* What changes while the process runs; each field is one atomic store. */
    uint64_t tail;        /* offset of the next free word */
    uint64_t allocated;   /* bytes that have blocks on disk */
    uint64_t lost_facts;  /* attempts to store a fact or a definition that failed */
    uint64_t lost_events; /* the same for events and properties */
    uint32_t lost_errno;  /* of the first loss */
    uint32_t lost_stage;  /* journal_stage of the first loss */
    uint64_t threads_started;
    uint64_t slots_used;        /* slots that were handed out */
    uint64_t forks_lost_facts;  /* by forked processes while they had no journal at all */
    uint64_t forks_lost_events; /* likewise */
    uint32_t forks_lost_errno;  /* of the first of these losses */
    uint32_t forks_lost_stage;
    uint8_t reserved[JOURNAL_HEADER_SIZE - 336];
} journal_header;

static_assert(sizeof(journal_header) == JOURNAL_HEADER_SIZE, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, version) == 8, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, byte_order) == 16, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, image_id) == 24, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, parent_image_id) == 40, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, pid) == 56, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, start_boottime_ns) == 80, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, generation) == 88, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, flags) == 104, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, capacity) == 112, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, uid) == 120, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, slots_at) == 136, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, identity_check) == JOURNAL_CHECKED_TO,
              "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, tail) == 256, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, lost_errno) == 288, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, threads_started) == 296, "layout: raise JOURNAL_VERSION");
static_assert(offsetof(journal_header, forks_lost_errno) == 328, "layout: raise JOURNAL_VERSION");

/* Words: the top byte is the tag, so that each word is understood alone. */
#define RECORD_WORD_SIZE 8u
#define RECORD_TAG_SHIFT 56
#define RECORD_LINE_NIBBLE 0x1u /* in the top four bits: tags 0x10 to 0x1f */
/* Arcs of one word. No one bit that flips makes a line or an arc of another of these. */
#define RECORD_NEAR_NIBBLE 0x7u    /* from line to line */
#define RECORD_ENTER_NIBBLE 0xbu   /* the first line is negative */
#define RECORD_LEAVE_NIBBLE 0xdu   /* the second line is */
#define RECORD_TAG_UNWRITTEN 0x00u /* a word that was never stored */
#define RECORD_TAG_ARC 0x20u
#define RECORD_TAG_LINE_WIDE 0x21u
#define RECORD_TAG_ARC_WIDE 0x22u
#define RECORD_TAG_CONT 0x30u /* numbers that belong to the head before them */
#define RECORD_TAG_DATA 0x31u /* seven payload bytes of the blob before them */
#define RECORD_TAG_BLOB 0x40u

/* LINE: one word. */
#define RECORD_LINE_FILE_BITS 18
#define RECORD_LINE_LINE_BITS 20
#define RECORD_LINE_CONTEXT_BITS 22
/* NEAR, ENTER and LEAVE: one word; of both lines without their signs. */
#define RECORD_NEAR_FILE_BITS 16
#define RECORD_NEAR_LINE_BITS 18
#define RECORD_NEAR_DIFFERENCE_BITS 11 /* signed: the second line less the first */
#define RECORD_NEAR_CONTEXT_BITS 15
/* Heads of ARC, LINE_WIDE and ARC_WIDE. */
#define RECORD_HEAD_FILE_BITS 24
#define RECORD_HEAD_CONTEXT_BITS 32
/* The one CONT of an ARC: two signed numbers. Those of ARC_WIDE and LINE_WIDE: one signed each. */
#define RECORD_ARC_END_BITS 28
#define RECORD_CONT_BITS 56
/* BLOB head. */
#define RECORD_BLOB_TYPE_SHIFT 48
#define RECORD_BLOB_LENGTH_BITS 24
#define RECORD_BLOB_CHECK_BITS 24
#define RECORD_DATA_BYTES 7u /* payload bytes in one DATA word */
#define RECORD_BLOB_MAX ((1u << RECORD_BLOB_LENGTH_BITS) - 1)

#define RECORD_MASK(bits) ((UINT64_C(1) << (bits)) - 1)

typedef enum {
    BLOB_FILE = 1,     /* u32 id, path, NUL, module name */
    BLOB_CONTEXT = 2,  /* u32 id, label */
    BLOB_EVENT = 3,    /* u32 kind, u64 realtime ns, payload */
    BLOB_PROPERTY = 4, /* key, NUL, value */
    BLOB_CLAIM = 5,    /* path, NUL, name of the plugin that tells its facts */
} blob_type;

typedef enum {
    EVENT_EXEC_ABOUT = 1,  /* path, NUL, argv items separated by NUL */
    EVENT_EXEC_FAILED = 2, /* i32 errno */
    EVENT_SPAWNED = 3,     /* u32 pid, argv items separated by NUL */
    EVENT_REAPED = 4,      /* u32 pid, i32 raw wait status */
    EVENT_ENDED = 5,       /* u8 event_ended_how, i32 status */
    EVENT_LIBRARY = 6,     /* name, NUL, version */
    EVENT_TRACER = 7,      /* text */
    EVENT_NOTE = 8,        /* text */
    EVENT_UNEXECUTED = 9,  /* u32 pid */
} event_kind;

typedef enum {
    ENDED_BY_EXIT = 1,
    ENDED_BY_UNDERSCORE_EXIT = 2,
    ENDED_OTHERWISE = 3,
    ENDED_BY_SIGNAL = 4, /* its default action; the status is its number */
    ENDED_BY_DETACH = 5, /* the process left the session, and ran on */
} event_ended_how;

static inline uint64_t
encode_line(uint32_t file, uint32_t line, uint32_t context)
{
    return ((uint64_t)RECORD_LINE_NIBBLE << 60) |
           ((uint64_t)file << (RECORD_LINE_LINE_BITS + RECORD_LINE_CONTEXT_BITS)) |
           ((uint64_t)line << RECORD_LINE_CONTEXT_BITS) | context;
}

static inline uint64_t
encode_near(unsigned nibble, uint32_t file, uint32_t line, int32_t difference, uint32_t context)
{
    uint64_t low = (uint64_t)(uint32_t)difference & RECORD_MASK(RECORD_NEAR_DIFFERENCE_BITS);
    uint64_t word = (uint64_t)nibble << RECORD_NEAR_FILE_BITS | file;
    word = word << RECORD_NEAR_LINE_BITS | line;
    word = word << RECORD_NEAR_DIFFERENCE_BITS | low;
    return word << RECORD_NEAR_CONTEXT_BITS | context;
}

static inline uint64_t
encode_head(unsigned tag, uint32_t file, uint32_t context)
{
    return ((uint64_t)tag << RECORD_TAG_SHIFT) | ((uint64_t)file << RECORD_HEAD_CONTEXT_BITS) |
           context;
}

static inline uint64_t
encode_cont_pair(int32_t from, int32_t to)
{
    return ((uint64_t)RECORD_TAG_CONT << RECORD_TAG_SHIFT) |
           (((uint64_t)(uint32_t)from & RECORD_MASK(RECORD_ARC_END_BITS)) << RECORD_ARC_END_BITS) |
           ((uint64_t)(uint32_t)to & RECORD_MASK(RECORD_ARC_END_BITS));
}

static inline uint64_t
encode_cont(int64_t number)
{
    return ((uint64_t)RECORD_TAG_CONT << RECORD_TAG_SHIFT) |
           ((uint64_t)number & RECORD_MASK(RECORD_CONT_BITS));
}

static inline uint64_t
encode_blob(unsigned type, size_t length, uint32_t check)
{
    return ((uint64_t)RECORD_TAG_BLOB << RECORD_TAG_SHIFT) |
           ((uint64_t)type << RECORD_BLOB_TYPE_SHIFT) |
           ((uint64_t)length << RECORD_BLOB_CHECK_BITS) |
           (check & RECORD_MASK(RECORD_BLOB_CHECK_BITS));
}

/* CRC-32 as in zlib and in Python's binascii.crc32(): four bits at a time, since texts are short.
 * Start with 0; the result of one part is the start of the next. */
static inline uint32_t
journal_crc32(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#endif
