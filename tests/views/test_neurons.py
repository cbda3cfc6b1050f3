from charlm.views.neurons import table
from charlm.views.unit_row import UnitRow


def test_the_table_of_units() -> None:
    rows = [
        (UnitRow("layer 1, cell 37", "in a comment", -0.6804), -0.742),
        (UnitRow("layer 12, output 1024", "place in the line", 0.5), 0.51),
    ]
    assert table(rows) == (
        "r unseen  r seen  unit                   follows\n"
        "  -0.680  -0.742  layer 1, cell 37       in a comment\n"
        "  +0.500  +0.510  layer 12, output 1024  place in the line\n"
    )
