"""Settings that contradict each other, or a text that is no setting: refused, whoever gave them."""

from charlm.config import LIMITS, Config, DataConfig, GenerationConfig, ModelConfig, TrainingConfig
from charlm.errors import UsageError


def check(config: Config) -> None:
    """Refuse settings that contradict each other. Raises UsageError."""
    if config.text.split_punctuation and config.text.level != "word":
        raise UsageError("text.split_punctuation goes with words: add --level word")
    _check_model(config.model)
    _check_data(config.data)
    _check_training(config.training, config.model)


def check_generation(generation: GenerationConfig) -> None:
    """Refuse settings that contradict themselves. Raises UsageError."""
    if "" in generation.stop:
        raise UsageError("--stop needs a text that is not empty")
    others = {"stop": generation.stop, "no_repeat": generation.no_repeat, "beam": generation.beam}
    if generation.match is not None and (other := next(filter(others.get, others), None)):
        raise UsageError(
            f"generation.match and generation.{other} do not go together: a text that keeps the "
            "one may have no way to the other"
        )
    if 0 < generation.beam < generation.num_samples:
        raise UsageError(
            f"generation.beam is {generation.beam}: it cannot find the {generation.num_samples} "
            "likeliest texts; make it at least as large"
        )


def _check_model(model: ModelConfig) -> None:
    if model.tied and model.embedding_size != model.output_size:
        width = "proj_size" if model.proj_size else "hidden_size"
        raise UsageError(
            f"model.tied needs model.embedding_size ({model.embedding_size}) equal to "
            f"model.{width} ({model.output_size})"
        )
    if model.proj_size and model.rnn_type != "lstm":
        raise UsageError(f"model.proj_size goes with an lstm; model.rnn_type is {model.rnn_type}")
    if model.proj_size >= model.hidden_size:
        raise UsageError(
            f"model.proj_size ({model.proj_size}) must be below model.hidden_size "
            f"({model.hidden_size})"
        )
    if model.bidirectional and model.tied:
        raise UsageError("model.bidirectional and model.tied do not go together: drop one of them")
    if model.bidirectional and model.implementation == "scratch":
        raise UsageError("model.bidirectional needs model.implementation torch, not scratch")
    if model.nonlinearity != "tanh" and model.rnn_type != "rnn":
        raise UsageError(f"model.nonlinearity goes with an rnn; model.rnn_type is {model.rnn_type}")


def _check_data(data: DataConfig) -> None:
    if data.val_frac + data.test_frac >= 1:
        raise UsageError(
            f"data.val_frac ({data.val_frac:g}) and data.test_frac ({data.test_frac:g}) "
            "leave nothing to train on"
        )
    for text, share in (("val", "val_frac"), ("test", "test_frac")):
        given = getattr(data, share) not in (0, getattr(DataConfig(), share))
        if getattr(data, text) is not None and given:
            raise UsageError(f"data.{text} is a text of its own: drop data.{share}")
    if data.val and data.val_split == "blocks" and (data.test or not data.test_frac):
        raise UsageError(
            f"data.val is {data.val}, a text of its own: data.val_split blocks has nothing to split"
        )
    if data.extend_vocab and not data.vocab:
        raise UsageError("data.extend_vocab goes with a vocabulary to extend: add data.vocab")
    if data.vocab and not data.extend_vocab and (data.min_freq > 1 or data.reserve):
        name = "min_freq" if data.min_freq > 1 else "reserve"
        raise UsageError(f"data.vocab is a vocabulary already made: data.{name} has no part in it")
    if data.text is not None and data.input:
        raise UsageError("data.text and data.input both name a corpus: give one of them")


def _check_training(training: TrainingConfig, model: ModelConfig) -> None:
    if training.precision == "bfloat16" and model.implementation == "scratch":
        raise UsageError(
            "training.precision bfloat16 needs model.implementation torch, not scratch"
        )
    if training.sample_prefix and model.bidirectional:
        raise UsageError(
            "training.sample_prefix is for models that write: one that is bidirectional fills gaps"
        )
    if training.sampled and model.bidirectional:
        raise UsageError("training.sampled is for models that read one way: drop one of them")
    if training.parts > 1 and model.num_layers > 1 and model.dropout:
        # torch draws what it drops between layers when it comes to it, in no order of ours.
        raise UsageError("training.parts needs model.num_layers 1 or model.dropout 0")
    limits = [name for name in LIMITS if getattr(training, name) is not None]
    if len(limits) > 1:
        raise UsageError(f"training.{limits[0]} and training.{limits[1]} both limit the run")
