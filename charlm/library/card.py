"""The card of a model, as Python shows it."""

from charlm.card import Card
from charlm.views.card import as_text
from charlm.views.notebook import card_html


class ModelCard(Card):
    """A `Card` that a notebook shows as a table, and `print` as text."""

    def __str__(self) -> str:
        return as_text(self, ())

    def _repr_html_(self) -> str:
        return card_html(self)
