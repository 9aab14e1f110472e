/* journal/identity.h - the identity of this process image, and of its parent image.
 *
 * Threads: any may read; only the holder of the open lock changes it.
 * Fork: a child reads its parent's identity until it makes its own.
 * Must never know: Python, files, mappings.
 */
#ifndef COVSUP_JOURNAL_IDENTITY_H
#define COVSUP_JOURNAL_IDENTITY_H

#include "journal/system.h"

#include "journal/format.h"

typedef struct {
    uint8_t image_id[JOURNAL_IMAGE_ID_SIZE];
    uint8_t parent_image_id[JOURNAL_IMAGE_ID_SIZE];
    uint64_t pid;
    uint64_t ppid;
    uint64_t start_realtime_ns;
    uint64_t start_boottime_ns;
    uint32_t generation;
    uint32_t start_kind;
} identity;

const identity *journal_identity_now(void);

/* At the start of an image. covsup_parent: the value of COVSUP_PARENT, or NULL. The same pid as
 * there means that this image came by exec. */
void journal_identify(const char *covsup_parent);

/* In a forked child: the identity so far is the parent's. */
void journal_identify_child(void);

#endif
