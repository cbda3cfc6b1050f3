import pytest

from charlm.evaluation.advice import advice


@pytest.mark.parametrize(
    ("training", "validations", "epochs", "words"),
    [
        (1.0, [3.0, 2.0, 2.1], 2.0, "learns its text by heart"),
        (1.5, [3.0, 2.5, 2.0], 2.0, "far apart"),
        (2.1, [3.0, 2.5, 2.0], 2.0, "a larger model"),
        (1.95, [3.0, 2.5, 2.0], 2.0, "a larger model"),
        (1.8, [3.0, 2.5, 2.0], 2.0, None),
        # It has got worse, on what it was trained on too: that is no learning by heart.
        (2.4, [3.0, 2.0, 2.3], 2.0, None),
        # Less than validations differ by when nothing changes.
        (1.8, [3.0, 2.0, 2.01], 2.0, None),
        (1.0, [], 2.0, None),
        # What it has not read it may still learn as it is.
        (2.1, [3.0, 2.5, 2.0], 0.9, "not yet read once: a longer training"),
        (1.0, [3.0, 2.0, 2.1], 0.9, "learns its text by heart"),
        (2e-3, [1e-3], 0.9, None),
        (2e-3, [1e-3], 2.0, None),
    ],
)
def test_the_figures_give_a_sentence_or_none(
    training: float, validations: list[float], epochs: float, words: str | None
) -> None:
    told = advice(training, validations, epochs)
    assert (told is None) == (words is None)
    assert words is None or words in str(told)


def test_an_estimated_training_figure_is_put_beside_nothing() -> None:
    assert advice(1.0, [3.0, 2.0], 2.0, estimated=True) is None
    assert advice(9.0, [3.0, 2.0], 2.0, estimated=True) is None
    assert "by heart" in str(advice(9.0, [2.0, 3.0], 2.0, estimated=True))
    assert "not yet read" in str(advice(9.0, [3.0, 2.0], 0.5, estimated=True))
