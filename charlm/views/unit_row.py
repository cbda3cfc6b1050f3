"""One unit of a model, and what it follows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitRow:
    """unit: its name, such as "layer 1, cell 37". follows: what a person can name that it follows,
    such as "place in the line". correlation: Pearson's r of the two, on text that it was not chosen
    on; below zero where the unit falls as the feature rises."""

    unit: str
    follows: str
    correlation: float
