"""How much of a generated text is copied from the training text."""

from dataclasses import dataclass

# A run of so many characters that stands in the training text is a copy: shorter ones come of
# themselves in any language.
SHORTEST_COPY = 20


@dataclass(frozen=True)
class Novelty:
    """longest: characters of the longest run that the training text has too.

    share: of the characters, how many lie in such runs of SHORTEST_COPY or more.
    """

    longest: int
    share: float

    def __str__(self) -> str:
        return (
            f"longest run copied from the training text: {self.longest} characters; "
            f"{self.share:.0%} in copies of {SHORTEST_COPY} or more"
        )


def novelty(text: str, training_text: str) -> Novelty:
    """Compare a text with the one that its model was trained on."""
    copied, longest, end = [False] * len(text), 0, 0
    for begin in range(len(text)):
        # The longest run from here ends no earlier than the one from the place before.
        end = max(end, begin)
        while end < len(text) and text[begin : end + 1] in training_text:
            end += 1
        longest = max(longest, end - begin)
        if end - begin >= SHORTEST_COPY:
            copied[begin:end] = [True] * (end - begin)
    return Novelty(longest, sum(copied) / max(1, len(text)))
