/* fold/first_seen.c - which image executed a line first: see fold/union.h.
 *
 * Must never know: names, what a journal is. */
#include "fold/union.h"

static bool
is_earlier(const union_object *self, uint32_t one, uint32_t other)
{
    const owner *left = &self->owners[one], *right = &self->owners[other];
    if (left->started_ns != right->started_ns) {
        return left->started_ns < right->started_ns;
    }
    return PyUnicode_Compare(left->image_id, right->image_id) < 0;
}

/* Takes from `lines` what is in `others`; gives whether anything was. */
static bool
without(line_set *lines, const line_set *others)
{
    uint64_t any = 0;
    for (uint32_t at = 0; at < lines->used && at < others->used; at++) {
        any |= lines->blocks[at] & others->blocks[at];
        lines->blocks[at] &= ~others->blocks[at];
    }
    return any != 0;
}

/* Adds to `into` what both others have. -1: no memory. */
static int
add_common(line_set *into, const line_set *one, const line_set *other)
{
    uint32_t blocks = one->used < other->used ? one->used : other->used;
    if (line_set_reach(into, blocks) < 0) {
        return -1;
    }
    for (uint32_t at = 0; at < blocks; at++) {
        into->blocks[at] |= one->blocks[at] & other->blocks[at];
    }
    return 0;
}

static void
shrink_to_lines(file_union *file)
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

/* Takes from `lines` what others of the file have and keep, and from them what they lose. Gives the
 * place of the owner's own lines among them, or `first_used`. -1: no memory. */
static int64_t
compare_with_all(const addition *add, file_union *file, line_set *lines)
{
    size_t mine = file->first_used;
    bool lost = false;
    for (size_t at = 0; at < file->first_used; at++) {
        first_lines *other = &file->first[at];
        if (other->owner == add->owner) {
            continue;
        }
        if (add_common(&file->shared, lines, &other->lines) < 0) {
            return -1;
        }
        if (is_earlier(add->self, add->owner, other->owner)) {
            lost = without(&other->lines, lines) || lost;
        } else {
            without(lines, &other->lines);
        }
    }
    if (lost) {
        shrink_to_lines(file);
    }
    for (mine = 0; mine < file->first_used && file->first[mine].owner != add->owner;) {
        mine++;
    }
    return (int64_t)mine;
}

/* A line belongs to the earliest image that executed it: brings in the lines of this one. Images
 * come oldest first as a rule, and then those before keep what they have. */
int
assign_first_seen(const addition *add, file_union *file)
{
    line_set *lines = &file->now;
    int64_t mine = (int64_t)file->first_used;
    bool is_youngest = file->first_used == 0 || is_earlier(add->self, file->youngest, add->owner);
    if (add->image_is_new && is_youngest) {
        if (add_common(&file->shared, lines, &file->known) < 0) {
            return -1;
        }
        without(lines, &file->known);
    } else {
        mine = compare_with_all(add, file, lines);
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
        file->first[file->first_used++] = (first_lines){.owner = add->owner};
    }
    if (is_youngest) {
        file->youngest = add->owner;
    }
    return line_set_unite(&file->first[mine].lines, lines) < 0
               ? -1
               : line_set_unite(&file->known, lines);
}
