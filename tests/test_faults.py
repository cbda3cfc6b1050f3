"""The table of faults in tests/README.md and the tests named after its rows agree."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROW = re.compile(r"\| (\d+) \| .+ \| .+ \| (.*) \|")


def test_every_row_of_the_table_has_the_tests_it_names() -> None:
    table = {
        int(found[1]): set(re.findall(r"`([^`]+)`", found[2]))
        for line in (TESTS / "README.md").read_text(encoding="utf-8").splitlines()
        if (found := ROW.fullmatch(line))
    }
    named: dict[int, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for number in re.findall(r"def test_row_(\d\d)_", path.read_text(encoding="utf-8")):
            named.setdefault(int(number), set()).add(path.relative_to(TESTS).as_posix())
    assert list(table) == list(range(1, 36))
    assert table == named
