/* journal/failure.c - the stages of a failure in words. See failure.h.
 *
 * Must never know: Python, who counts failures.
 */
#include "journal/failure.h"

const char *
journal_stage_text(journal_stage stage)
{
    switch (stage) {
    case JOURNAL_STAGE_NONE:
        return "no failure";
    case JOURNAL_STAGE_STATE:
        return "mapping the journal's state";
    case JOURNAL_STAGE_NAME:
        return "naming the journal";
    case JOURNAL_STAGE_LIMIT:
        return "fitting the journal into RLIMIT_FSIZE";
    case JOURNAL_STAGE_OPEN:
        return "creating the journal";
    case JOURNAL_STAGE_MODE:
        return "setting the journal's mode";
    case JOURNAL_STAGE_SIZE:
        return "reserving the journal's size";
    case JOURNAL_STAGE_MAP:
        return "mapping the journal";
    case JOURNAL_STAGE_FILL:
        return "allocating the journal's first blocks";
    case JOURNAL_STAGE_GROW:
        return "allocating more blocks for the journal";
    case JOURNAL_STAGE_SEGMENT:
        return "starting one more segment of the journal";
    case JOURNAL_STAGE_RANGE:
        return "fitting a number or text into a record";
    case JOURNAL_STAGE_BUSY:
        return "writing from a signal handler while the journal is being opened";
    case JOURNAL_STAGE_STACK:
        return "writing from a signal handler whose stack is too small";
    }
    return "an unknown stage";
}
