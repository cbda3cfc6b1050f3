"""charlm evaluate"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import load_run
from charlm.cli.options import (
    as_typed,
    changes_of,
    corpus_option,
    json_option,
    model_option,
    setting_options,
)
from charlm.cli.output import note, print_json, show
from charlm.cli.told import reading_bar
from charlm.config import Config
from charlm.data.inputs import corpus_among
from charlm.errors import CharlmError, UsageError
from charlm.settings import configured

if TYPE_CHECKING:
    from charlm.evaluation.baselines import Baselines
    from charlm.evaluation.metrics import Score
    from charlm.model.network import CharLM
    from charlm.run import Run

# Of progress, where there is no terminal to draw a bar on.
SECONDS_BETWEEN_LINES = 5.0


@click.command()
@click.argument("text", required=False, shell_complete=complete_files)
@model_option
@corpus_option
@click.option(
    "--split", type=click.Choice(("train", "valid", "test")),
    help="Score this part of the run's corpus.  [default: valid, without TEXT]",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=None,
    help="Parallel streams; the figure does not depend on it.  [default: 64]",
)  # fmt: skip
@click.option(
    "--dynamic",
    is_flag=True,
    help="Score once more with a model that learns from the text as it goes: a figure of its own.",
)
@click.option(
    "--baselines/--no-baselines",
    "beside",
    default=True,
    help="Show what simple models make of the same text.  [default: baselines]",
)
@setting_options("training.device")
@click.option(
    "--encoding", "text__encoding", metavar="NAME",
    help="How TEXT is encoded.  [default: as the run's text was]",
)  # fmt: skip
@json_option
def evaluate(
    text: str | None, model: str | None, corpus: Path | None, split: str | None,
    batch_size: int | None, dynamic: bool, beside: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Score TEXT (a file, a folder, - or a corpus), or a part of the corpus that the model was
    trained on: perplexity, bits and nats per character, in one pass with the state carried; beside
    it, the perplexity of simple models of the same training text."""
    from charlm.evaluation.texts import ids_to_score
    from charlm.run import need_direction

    run = load_run(model, corpus)
    need_direction(run, bidirectional=False)
    with as_typed(options):
        config = configured(run.config, changes_of(options))
    if options["text__encoding"] and (text is None or corpus_among((text,))):
        raise UsageError("--encoding is how TEXT is encoded: a corpus has been read already")
    # Where the run was trained says nothing of where it is scored.
    device = options["training__device"] or Config().training.device
    # Opened before the work, which would be lost if there were none.
    train = run.open_corpus().split("train") if dynamic else None
    ids, split = ids_to_score(text, split, run, config, reading_bar)
    from charlm.evaluation import evaluator
    from charlm.model.network import open_model

    def report(lines: list[str]) -> None:
        """At once, as far as it is known: what follows may take a while."""
        if not as_json:
            show("".join(line + "\n" for line in lines))
            sys.stdout.flush()

    network = open_model(run, device)
    with _progress(len(ids) - 1) as on_scored:
        score = evaluator.evaluate(
            network, ids, run.vocab, streams=batch_size or evaluator.STREAMS, on_scored=on_scored
        ).checked()
    figures: dict[str, Any] = {**score.to_dict(), "split": split, "text": text}
    report([f"{text or f'{split} part'}: {score}"])
    if score.unknown:
        note("  unknown characters count as <unk>, with the probability it has")
    if train is not None:
        adapted = _dynamic(network, run, train, ids)
        figures["dynamic"] = adapted.to_dict()
        report([f"  learning as it goes (dynamic evaluation): {adapted}"])
    if beside and split == "train" and text is None:
        note("  no baselines: this is the very text that they are fitted on")
    elif beside and (others := _baselines(run, ids)):
        figures["baselines"] = others.to_dict()
        report(_comparison(score, others))
    if as_json:
        print_json({**figures, "run": str(run.path)})


def _dynamic(network: "CharLM", run: "Run", train: Any, ids: Any) -> "Score":
    from charlm.evaluation.dynamic import evaluate_dynamic, fit_rule

    rule = fit_rule(network, train)
    with _progress(len(ids) - 1) as on_scored:
        return evaluate_dynamic(network, ids, run.vocab, rule, on_scored)


def _baselines(run: "Run", ids: Any) -> "Baselines | None":
    """What the training part teaches simpler models, where it is still there."""
    from charlm.evaluation.baselines import baselines

    try:
        train = run.open_corpus().split("train")
    except CharlmError as error:
        note(f"  no baselines: {error}")
        return None
    return baselines(train, ids, run.vocab)


def _comparison(score: "Score", others: "Baselines") -> list[str]:
    """What is said of the baselines, and of a model that they beat on the same tokens."""
    from charlm.evaluation.baselines import context_of

    on = "" if others.whole else f", over its first {others.tokens:,} alone"
    lines = [f"  perplexity of others that know the same training text{on}: {others}"]
    if others.whole and score.nats_per_token > others.order_5:
        counting = f"counting {context_of(others.unit)}"
        lines.append(f"  worse than {counting}: train longer, or on more text")
    return lines


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Shows, where it takes more than a moment, how many of the tokens have been scored: a bar on
    a terminal, elsewhere a line now and then."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    last_line = time.monotonic()
    with tqdm(
        desc="scoring", total=total, unit="", unit_scale=True, leave=False, delay=1, miniters=1,
        disable=not terminal,
    ) as bar:  # fmt: skip

        def on_scored(streams: int, scored: int) -> None:
            nonlocal last_line
            one = " in one stream" * (streams == 1)
            if terminal:
                bar.set_description(f"scoring{one}", refresh=False)
                # Less than before where a text is begun again, in one stream.
                bar.update(scored - bar.n)
            elif (now := time.monotonic()) - last_line >= SECONDS_BETWEEN_LINES:
                last_line = now
                note(f"scoring{one}: {scored:,} of {total:,}")

        yield on_scored
