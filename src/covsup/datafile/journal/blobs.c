/* journal/blobs.c - the texts of a journal: their checksums, and what they define. See
 * journal/words.h.
 *
 * Threads: no state but the tables of the checksum, made once. Must never know: words, Python. */
#include "journal/words.h"

#include <pthread.h>
#include <string.h>

/* CRC-32 as zlib's, eight bytes at a time: table n is for the byte n places before the last. */
static uint32_t crc_tables[8][256];

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
    static pthread_once_t made = PTHREAD_ONCE_INIT; /* interpreters share it */
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

/* The text of `size` bytes at the end of `texts`; one that is not what its type promises is
 * counted, and goes. */
int
blobs_add(journal_facts *sorted, unsigned type, uint32_t size, bool swapped)
{
    size_t at = sorted->texts_used;
    const uint8_t *text = sorted->texts + at;
    int result = 0;
    if (type == TEXT_FILE || type == TEXT_CONTEXT) {
        if (size < 4) {
            sorted->damaged_blobs++;
            return 0;
        }
        definition one = {.at = at + 4, .size = size - 4};
        memcpy(&one.id, text, 4);
        one.id = swapped ? __builtin_bswap32(one.id) : one.id;
        if (type == TEXT_CONTEXT) {
            result = add_definition(&sorted->contexts, one);
        } else {
            const uint8_t *nul = memchr(text + 4, 0, size - 4);
            size_t path = nul == NULL ? 0 : (size_t)(nul - text) - 4;
            if (path == 0 || memchr(nul + 1, 0, size - 5 - path) != NULL) {
                sorted->damaged_blobs++;
                return 0;
            }
            one.size = (uint32_t)path;
            one.module = size - 5 - (uint32_t)path;
            result = add_definition(&sorted->files, one);
        }
    } else {
        other_blob *moved =
            grown(sorted->others, sorted->others_used, &sorted->others_room, sizeof(*moved));
        if (moved == NULL) {
            return -1;
        }
        sorted->others = moved;
        sorted->others[sorted->others_used++] =
            (other_blob){.type = (uint8_t)type, .at = at, .size = size};
    }
    sorted->texts_used += size;
    return result;
}
