"""Cases that the engine does not pass yet, each with what is wrong.

An entry goes when its bug goes: a case that passes unexpectedly is a failure.
"""

from __future__ import annotations

_REMAPPED = "resize.cc: move_large remaps without asking "

KNOWN_BUGS = {
    "ASpanThatWasFetchedInVainGoesBack": (
        "CentralFreeList::take lists the span it has fetched also when others have given objects "
        "back meanwhile; it then stays, with nothing live in it"
    ),
    "CountsOfBusyThreadsStayWithinWhatTheyMayHold": (
        "CacheTier::count_cached takes no cache's lock, and reads a top and the slots under it "
        "that do not belong together"
    ),
    "ObjectIndexIsADivisionAtEveryByteOfEverySpan": (
        "a reciprocal of 32 bits is too short for objects over 45 KiB; nothing checks it"
    ),
    "FreeingTheLastBytesOfASmallBlockNamesItsBeginning": "as ObjectIndexIsADivisionAtEveryByte",
    "OnlyPagesOfOneMappingAreRemapped": (
        _REMAPPED
        + "whether the block is one mapping; before Linux 6.17 mremap then fails after it "
        "has unmapped the target, which the copy writes to"
    ),
    "OnLargeHardwarePagesNeighboursOfAMovedBlockKeepTheirBytes": (
        _REMAPPED + "whether the block is made of whole hardware pages"
    ),
    "AVeryLongValueStillEndsTheLine": "settings.cc: a line that is cut loses its end",
    "AVeryLongNameStillEndsTheLine": "settings.cc: a line that is cut loses its end",
    "ResidentPagesThatStayFreeCountAgainstTheHardLimit": (
        "PageHeap::admit leaves out the resident pages of the span that is being carved"
    ),
    "NothingIsLostInAStormAtTheLimit": (
        "as ResidentPagesThatStayFreeCountAgainstTheHardLimit, and spans that are being released"
    ),
    "LowWaterFallsWhenPagesAreReleased": "PageHeap::release does not lower the low water mark",
    "PagesFreedAfterAReleaseWaitADelayOfTheirOwn": "as LowWaterFallsWhenPagesAreReleased",
}

# These depend on what threads do at the same time, and may pass by luck.
SOMETIMES = {
    "CountsOfBusyThreadsStayWithinWhatTheyMayHold",
    "NothingIsLostInAStormAtTheLimit",
}
