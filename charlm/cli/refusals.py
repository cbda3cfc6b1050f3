"""What is typed beside something that leaves it nothing to do is refused, not passed over.

Of a config file nothing is: it may serve more than one training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from charlm.config import LIMITS, Config
from charlm.errors import UsageError

# Settings that were typed, as section.key, and flags by their names.
Typed = Mapping[str, Any]


@dataclass(frozen=True)
class Idle:
    """What of a command line does nothing, and why. when: what was typed, with all the settings
    that came of it."""

    names: tuple[str, ...]
    why: str
    when: Callable[[Typed, Config], bool]


def _unvalidated(typed: Typed, config: Config) -> bool:
    return config.data.val is None and not config.data.val_frac


def _reads_no_file(typed: Typed, config: Config) -> bool:
    data = config.data
    return not (typed.get("INPUT") or data.input or data.val or data.test)


TRAINING = (
    Idle(("training.tensorboard", "--force"), "with --dry-run, which writes nothing",
         lambda typed, config: bool(typed.get("--dry-run"))),
    Idle(("training.eval_every", "training.patience", "training.eval_tokens"),
         "without a validation part (data.val_frac is 0)", _unvalidated),
    Idle(("data.val_split",), "where nothing is split off (data.val_frac is 0)",
         lambda typed, config: _unvalidated(typed, config) and not config.data.test_frac),
    Idle(("training.weight_decay", "training.beta1", "training.beta2"),
         "with training.optimizer sgd; it goes with adamw and soap",
         lambda typed, config: config.training.optimizer == "sgd"),
    Idle(("training.mask_frac", "training.mask_span", "training.mask_single"),
         "without --bidirectional",
         lambda typed, config: not config.model.bidirectional),
    Idle(("training.sampling", "training.reset", "training.random_offset"),
         "with --bidirectional, which reads windows drawn at random",
         lambda typed, config: config.model.bidirectional),
    Idle(("training.reset",), "with training.sampling random, whose windows carry no state",
         lambda typed, config: config.training.sampling == "random"),
    Idle(("training.default_time",), "beside a limit",
         lambda typed, config: any(getattr(config.training, name) is not None for name in LIMITS)),
    Idle(("model.forget_bias",), "but with an lstm that does not begin as torch.nn has it",
         lambda typed, config: config.model.rnn_type != "lstm" or config.model.init == "torch"),
    Idle(("model.init", "model.forget_bias"), "with --init-from, whose weights it begins with",
         lambda typed, config: bool(typed.get("--init-from"))),
    Idle(("data.min_freq", "data.reserve", "data.vocab"),
         "with --init-from, whose vocabulary it has",
         lambda typed, config: bool(typed.get("--init-from"))),
    Idle(("text.newlines",), "with --strip-lines, which drops all line breaks",
         lambda typed, config: config.text.strip_lines and config.text.newlines == "keep"),
    Idle(("text.newlines",), "with --level word, whose words lie between spaces",
         lambda typed, config: config.text.level == "word" and config.text.newlines == "keep"),
    Idle(("text.encoding",), "without a text of yours to read (INPUT)", _reads_no_file),
)  # fmt: skip


def refuse_idle(typed: Typed, config: Config, options: Mapping[str, str]) -> None:
    """Raises UsageError for the first of what was typed that does nothing.

    typed: nothing that is off, zero or empty: that is what it would be. options: by which option a
    setting is typed; the others are told by their own names.
    """
    for idle in TRAINING:
        for name in idle.names:
            if typed.get(name) and idle.when(typed, config):
                raise UsageError(f"{options.get(name, name)} does nothing {idle.why}: drop it")
