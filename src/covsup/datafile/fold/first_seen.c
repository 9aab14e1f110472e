/* fold/first_seen.c - which image executed a line first: see fold/union.h.
 *
 * Must never know: names, what a journal is. */
#include "fold/union.h"

static bool
is_earlier(const union_object *self, uint32_t one, uint32_t other)
{
    const image *left = &self->images[one], *right = &self->images[other];
    if (left->started_ns != right->started_ns) {
        return left->started_ns < right->started_ns;
    }
    return PyUnicode_Compare(left->image_id, right->image_id) < 0;
}

/* Removes the lines of `others` from `lines`. Gives whether there were any. */
static bool
remove_lines(line_set *lines, const line_set *others)
{
    uint64_t any = 0;
    for (uint32_t at = 0; at < lines->used && at < others->used; at++) {
        any |= lines->blocks[at] & others->blocks[at];
        lines->blocks[at] &= ~others->blocks[at];
    }
    return any != 0;
}

/* Adds to `into` the lines that are in both others. -1: no memory. */
static int
add_common(line_set *into, const line_set *one, const line_set *other)
{
    uint32_t blocks = one->used < other->used ? one->used : other->used;
    if (line_set_extend(into, blocks) < 0) {
        return -1;
    }
    for (uint32_t at = 0; at < blocks; at++) {
        into->blocks[at] |= one->blocks[at] & other->blocks[at];
    }
    return 0;
}

static void
drop_empty(file_union *file)
{
    size_t kept = 0;
    for (size_t at = 0; at < file->first_used; at++) {
        if (line_set_size(&file->first[at].lines) == 0) {
            line_set_free(&file->first[at].lines);
        } else {
            file->first[kept++] = file->first[at];
        }
    }
    file->first_used = kept;
}

/* Divides `lines` between the image and those that executed the file before: removes from `lines`
 * what an earlier image has, and from a later image what is in `lines`. Gives the index in `first`
 * of the image's own lines, or `first_used` if it has none. -1: no memory. */
static int64_t
divide_lines(const addition *add, file_union *file, line_set *lines)
{
    size_t mine = file->first_used;
    bool lost = false;
    for (size_t at = 0; at < file->first_used; at++) {
        first_lines *other = &file->first[at];
        if (other->image == add->image) {
            continue;
        }
        if (add_common(&file->shared, lines, &other->lines) < 0) {
            return -1;
        }
        if (is_earlier(add->self, add->image, other->image)) {
            lost = remove_lines(&other->lines, lines) || lost;
        } else {
            remove_lines(lines, &other->lines);
        }
    }
    if (lost) {
        drop_empty(file);
    }
    for (mine = 0; mine < file->first_used && file->first[mine].image != add->image;) {
        mine++;
    }
    return (int64_t)mine;
}

/* Images mostly come oldest first. Then the images before keep all they have, and it is enough to
 * look at `known`, the union of their lines. */
int
assign_first_seen(const addition *add, file_union *file)
{
    line_set *lines = &file->now;
    int64_t mine = (int64_t)file->first_used;
    bool is_youngest = file->first_used == 0 || is_earlier(add->self, file->youngest, add->image);
    if (add->image_is_new && is_youngest) {
        if (add_common(&file->shared, lines, &file->known) < 0) {
            return -1;
        }
        remove_lines(lines, &file->known);
    } else {
        mine = divide_lines(add, file, lines);
        if (mine < 0) {
            return -1;
        }
    }
    if (line_set_size(lines) == 0) {
        return 0;
    }
    if (mine == (int64_t)file->first_used) {
        first_lines *moved =
            grown(file->first, file->first_used, &file->first_room, sizeof(*moved));
        if (moved == NULL) {
            return -1;
        }
        file->first = moved;
        file->first[file->first_used++] = (first_lines){.image = add->image};
    }
    if (is_youngest) {
        file->youngest = add->image;
    }
    return line_set_unite(&file->first[mine].lines, lines) < 0
               ? -1
               : line_set_unite(&file->known, lines);
}
