"""The characters of a text as numbers."""

import numpy as np
import numpy.typing as npt

CODE_POINTS = 0x110000


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text, lone surrogates (which no encoding has) included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def latin_1(text: str) -> bytes | None:
    """A byte for each character, its code point; None where one has a higher one than 255."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None
