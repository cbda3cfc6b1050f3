from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig
from charlm.data.splits import LEAST_BLOCK, MOST_BLOCKS, SPLITS, lay_out, split_sizes

TEXTS = st.lists(st.integers(0, 300_000), min_size=1, max_size=8)
SHARES = st.sampled_from([0.0, 0.03, 0.1, 0.25])


def total(segments: list[tuple[str, int]]) -> dict[str, int]:
    return {part: sum(size for name, size in segments if name == part) for part in SPLITS}


@given(TEXTS, SHARES, SHARES, st.none() | st.integers(1, 10**6))
def test_the_parts_have_the_same_sizes_however_they_are_laid_out(
    texts: list[int], val: float, test: float, most: int | None
) -> None:
    sizes = split_sizes(min(sum(texts), most or sum(texts)), val, test)
    for split in ("tail", "blocks"):
        config = DataConfig(val_frac=val, test_frac=test, max_tokens=most, val_split=split)
        segments = lay_out(texts, config)
        assert total(segments) == sizes
        assert min(size for _, size in segments) >= 0


@given(st.integers(0, 10**7), SHARES, SHARES)
def test_the_tail_is_the_end_of_the_text(tokens: int, val: float, test: float) -> None:
    config = DataConfig(val_frac=val, test_frac=test)
    assert dict(lay_out([tokens], config)) == split_sizes(tokens, val, test)


@given(TEXTS, st.sampled_from([0.1, 0.25]))
def test_each_file_has_its_share_of_large_blocks(texts: list[int], val: float) -> None:
    segments = lay_out(texts, DataConfig(val_frac=val, val_split="blocks"))
    blocks = [size for part, size in segments if part == "valid"]
    # Each file of some length may need one of its own, beside those spread over all.
    assert len(blocks) <= MOST_BLOCKS + len(texts)
    if sum(texts) * val >= LEAST_BLOCK + 1:
        assert min(blocks) >= LEAST_BLOCK - 1
    ends = list(accumulate(size for _, size in segments))
    held = [
        (end - size, end)
        for (part, size), end in zip(segments, ends, strict=True)
        if part == "valid"
    ]
    for end, size in zip(accumulate(texts), texts, strict=True):
        start = end - size
        inside = sum(max(0, min(b, end) - max(a, start)) for a, b in held)
        # A short file beside it may be joined to it, and take a block of its share.
        assert inside >= size * val - max(blocks) - 1


def test_a_text_of_a_million_has_twenty_blocks_and_one_of_a_few_pages_one() -> None:
    config = DataConfig(val_split="blocks")
    assert lay_out([1_000_000], config) == [("train", 45_000), ("valid", 5_000), ("test", 0)] * 20
    assert lay_out([9_000], config) == [("train", 8_100), ("valid", 900), ("test", 0)]
    assert lay_out([5_000, 20_000, 10_000], config) == [
        ("train", 11_250), ("valid", 1_250), ("test", 0),
        ("train", 11_250), ("valid", 1_250), ("test", 0),
        ("train", 9_000), ("valid", 1_000), ("test", 0),
    ]  # fmt: skip
