"""Memory for what is read from end to end at every step."""

import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

LARGE_PAGE = 1 << 21  # bytes
# Of less, the addresses of small pages are kept as well, and too much of a large one lies empty.
LEAST = LARGE_PAGE


def in_large_pages(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in large pages, where there are any: a table of the addresses of many small
    ones is too long for the processor's cache of it, and is walked anew at every step.

    NumPy asks Linux for them too, but gets none in memory that was in use before, nor at the ends
    of an array that does not begin with a page.
    """
    if sys.platform != "linux" or numbers.nbytes < LEAST:
        return numbers
    pages = -(-numbers.nbytes // LARGE_PAGE)
    try:
        # One more than needed, of which nothing is used but what comes before the first whole one.
        memory = mmap.mmap(
            -1, (pages + 1) * LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them, or a limit on memory
        return numbers
    address = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]
    begin = -address % LARGE_PAGE
    copy = np.frombuffer(memory, numbers.dtype, numbers.size, begin).reshape(numbers.shape)
    copy[:] = numbers
    return copy
