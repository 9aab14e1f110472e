/* journal/failure.h - why something could not be stored: an errno, and the step at which it came.
 *
 * Threads: any; a failure is a value.
 * Must never know: Python, who counts failures.
 */
#ifndef COVSUP_JOURNAL_FAILURE_H
#define COVSUP_JOURNAL_FAILURE_H

#include "journal/system.h"

#include "journal/format.h"

typedef struct {
    int error; /* errno; 0: no failure */
    journal_stage stage;
} journal_failure;

static const journal_failure NO_FAILURE = {0, JOURNAL_STAGE_NONE};

static inline journal_failure
failure_at(int error, journal_stage stage)
{
    return (journal_failure){error, stage};
}

/* A failure in one word, laid out as the header's lost_errno and lost_stage lie side by side. */
static inline uint64_t
pack(journal_failure err)
{
    uint32_t halves[2] = {(uint32_t)err.error, (uint32_t)err.stage};
    uint64_t packed;
    memcpy(&packed, halves, sizeof(packed));
    return packed;
}

static inline journal_failure
unpack(uint64_t packed)
{
    uint32_t halves[2];
    memcpy(halves, &packed, sizeof(packed));
    return (journal_failure){(int)halves[0], (journal_stage)halves[1]};
}

/* What was being done at that stage, for a message: "creating the journal". */
const char *journal_stage_text(journal_stage stage);

#endif
