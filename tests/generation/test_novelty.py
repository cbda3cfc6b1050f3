"""What is copied is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.generation import novelty as module
from charlm.generation.novelty import SHORTEST_COPY, novelty

TEXTS = st.text(alphabet="ab", max_size=30)


@given(text=TEXTS, training=TEXTS)
def test_it_is_what_trying_every_run_gives(text: str, training: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHORTEST_COPY", 3)
        found = novelty(text, training)
    runs = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)
            if text[a:b] in training]  # fmt: skip
    assert found.longest == max((b - a for a, b in runs), default=0)
    covered = {i for a, b in runs if b - a >= 3 for i in range(a, b)}
    assert found.share == len(covered) / max(1, len(text))


def test_a_copy_and_its_length() -> None:
    training = "it was the best of times, it was the worst of times"
    found = novelty(f"??{training[:25]}!!{training[30:40]}", training)
    assert found.longest == 25 >= SHORTEST_COPY
    assert found.share == 25 / 39
    assert str(found) == (
        "longest run copied from the training text: 25 characters; 64% in copies of 20 or more"
    )
