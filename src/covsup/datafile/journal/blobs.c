/* journal/blobs.c - the blobs of a journal: their checksums, and what they define. See
 * journal/word_decoder.h.
 *
 * Threads: no state but the tables of the checksum, which pthread_once() makes.
 * Must never know: words, Python. */
#include "journal/word_decoder.h"

#include <pthread.h>
#include <string.h>

#include "tracer_c/journal/format.h"

/* Table n is for the byte that is n places before the last of eight. Set once before their first
 * use (pthread_once). */
static uint32_t crc_tables[8][256]; /* written under pthread_once(), then only read */

static void
make_crc_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
        }
        crc_tables[0][byte] = crc;
    }
    for (int place = 1; place < 8; place++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = crc_tables[place - 1][byte];
            crc_tables[place][byte] = before >> 8 ^ crc_tables[0][before & 255];
        }
    }
}

uint32_t
blobs_crc32(const uint8_t *bytes, size_t size)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT; /* the interpreters of a process share it */
    pthread_once(&made, make_crc_tables);
    uint32_t crc = UINT32_MAX;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t eight;
        memcpy(&eight, bytes, 8);
        eight ^= crc;
        crc = crc_tables[7][eight & 255] ^ crc_tables[6][eight >> 8 & 255] ^
              crc_tables[5][eight >> 16 & 255] ^ crc_tables[4][eight >> 24 & 255] ^
              crc_tables[3][eight >> 32 & 255] ^ crc_tables[2][eight >> 40 & 255] ^
              crc_tables[1][eight >> 48 & 255] ^ crc_tables[0][eight >> 56];
    }
#endif
    for (; size > 0; size--) {
        crc = crc >> 8 ^ crc_tables[0][(crc ^ *bytes++) & 255];
    }
    return ~crc;
}

static int
add_definition(definitions *found, definition one)
{
    definition *moved = grown(found->items, found->used, &found->room, sizeof(*moved));
    if (moved == NULL) {
        return -1;
    }
    found->items = moved;
    found->items[found->used++] = one;
    return 0;
}

static int
add_other(journal_facts *facts, unsigned type, size_t at, uint32_t size)
{
    other_blob *moved =
        grown(facts->others, facts->others_used, &facts->others_room, sizeof(*moved));
    if (moved == NULL) {
        return -1;
    }
    facts->others = moved;
    facts->others[facts->others_used++] =
        (other_blob){.type = (uint8_t)type, .at = at, .size = size};
    return 0;
}

/* The path and the module of a file's definition. False: they do not have the form. */
static bool
split_file(definition *file, const uint8_t *text)
{
    const uint8_t *nul = memchr(text, 0, file->size);
    if (nul == NULL || nul == text) {
        return false;
    }
    uint32_t path = (uint32_t)(nul - text);
    uint32_t module = file->size - path - 1;
    if (memchr(nul + 1, 0, module) != NULL) {
        return false;
    }
    file->size = path;
    file->module = module;
    return true;
}

int
blobs_add(journal_facts *facts, unsigned type, uint32_t size, bool swapped)
{
    size_t at = facts->texts_used;
    const uint8_t *text = facts->texts + at;
    int rc;
    if (type == BLOB_FILE || type == BLOB_CONTEXT) {
        definition one = {0};
        if (size < sizeof(one.id)) {
            facts->damaged_blobs++;
            return 0;
        }
        memcpy(&one.id, text, sizeof(one.id));
        one.id = swapped ? __builtin_bswap32(one.id) : one.id;
        one.at = at + sizeof(one.id);
        one.size = size - (uint32_t)sizeof(one.id);
        if (type == BLOB_FILE && !split_file(&one, text + sizeof(one.id))) {
            facts->damaged_blobs++;
            return 0;
        }
        rc = add_definition(type == BLOB_FILE ? &facts->files : &facts->contexts, one);
    } else {
        rc = add_other(facts, type, at, size);
    }
    if (rc == 0) {
        facts->texts_used += size;
    }
    return rc;
}
