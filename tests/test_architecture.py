"""Imports go one way, nothing reads pickles, and light commands stay light."""

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charlm"
# Each may import those before it.
ORDER = [
    "errors", "config", "consistency", "settings",
    "storage.names", "storage.files", "storage.folders", "storage.tensors",
    "data.encoding", "data.words", "data.text", "data.code_points", "data.counter",
    "data.vocab", "data.scripts", "data.folder",
    "data.source", "data.stream", "data.splits",
    "data.drift", "data.jobs", "data.extension", "data.measure", "data.ids", "data.shards",
    "data.parts", "data.corpus", "data.record",
    "data.shuffle", "data.masks", "data.batches",
    "model.shapes", "model.extension", "model.arithmetic",
    "data.inputs",
    "run", "course",
    "model.device", "model.cells", "model.recurrence", "model.network", "model.packed",
    "evaluation.metrics", "training.resume_point", "evaluation.advice", "evaluation.baselines",
    "card", "listing", "evaluation.single_pass",
    "evaluation.evaluator", "evaluation.duration", "evaluation.dynamic", "evaluation.texts",
    "generation.memory", "generation.layers", "generation.stepper",
    "evaluation.long_text", "evaluation.scores", "evaluation.lines", "evaluation.comparison",
    "evaluation.features", "evaluation.activations",
    "generation.blas", "generation.torch_stepper", "generation.engine", "generation.rules",
    "generation.expression", "generation.breadth", "generation.matching", "generation.guides",
    "generation.drawing", "generation.beam", "generation.sampler", "generation.known_lines",
    "generation.lines", "generation.writer", "generation.dialogue", "generation.novelty",
    "generation.shared_reader",
    "generation.gaps", "generation.filler",
    "views.scored_line", "views.colours", "views.shown_text", "views.page", "views.histogram",
    "views.heatmap_page", "views.terminal", "views.unit_row", "views.neurons",
    "views.neurons_page", "views.plan", "views.explained", "views.markdown", "views.cells",
    "views.columns", "views.card", "views.runs", "views.sparkline", "views.training_rows",
    "views.fonts", "views.curves", "views.plot", "views.notebook",
    "export.written", "export.weights", "export.loss", "export.page",
    "export.reading", "export.onnx_graph", "export.onnx_check", "export.onnx",
    "export.folder",
    "training.process_group", "training.distributed", "training.together",
    "training.optim", "training.memory", "training.losses", "training.frequencies",
    "training.resident", "training.gradient", "training.looks",
    "training.limits", "training.speed", "training.remembered", "training.recipes",
    "training.fastest", "training.planner",
    "training.signals", "training.reports",
    "training.last_epoch", "training.outcomes", "training.validator", "training.trainer",
    "training.origin",
    "training.checkpoint",
    "training.samples",
    "training.event_file", "training.logs", "training.recorder",
    "training.following", "training.result", "training.session",
    "training.ahead", "training.new_run", "training.job", "training.resumed",
    "library.wording",
    "library.card", "library.score", "library.model", "library.progress", "library.train",
    "cli.explain", "cli.output", "cli.inputs", "cli.completion", "cli.shells",
    "cli.options", "cli.refusals", "cli.pages",
    "cli.escapes", "cli.written", "cli.list_options", "cli.plan", "cli.progress", "cli.summary",
    "cli.told",
    "cli.preprocess", "cli.vocab", "cli.evaluate", "cli.generate", "cli.fill", "cli.info",
    "cli.watch", "cli.runs", "cli.neurons", "cli.score_rows", "cli.score_shows", "cli.score",
    "cli.compare", "cli.plot", "cli.prompt", "cli.player", "cli.play",
    "cli.export", "cli.train",
    "cli.commands", "cli.streams", "cli.main",
    "__main__",
]  # fmt: skip
FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "yaml", "joblib"}


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """The modules named by any import statement of a file, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_every_module_has_its_place() -> None:
    assert set(modules()) == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_those_above_it(module: str) -> None:
    for name in imported(modules()[module]):
        inner = name.removeprefix("charlm.")
        if name.startswith("charlm.") and inner in ORDER:
            assert ORDER.index(inner) < ORDER.index(module), f"{module} imports {inner}"


@pytest.mark.parametrize("module", ORDER)
def test_row_14_nothing_that_runs_code_from_a_file_is_used(module: str) -> None:
    path = modules()[module]
    assert not {name.partition(".")[0] for name in imported(path)} & FORBIDDEN
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "torch.load", "torch.save", "torch.jit.load"}


# Who draws the bar of a training writes around it.
WRITERS = {"cli.output", "cli.progress"}


@pytest.mark.parametrize("module", [name for name in ORDER if name not in WRITERS])
def test_row_27_what_is_written_goes_through_one_place(module: str) -> None:
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert not re.fullmatch(
                r"print|click\.s?echo|(sys\.)?(stdout|stderr|out)\.write", ast.unparse(node.func)
            ), f"{module}: {ast.unparse(node)}"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, encoding="utf-8",
        timeout=60, check=False,
    )  # fmt: skip


LIGHT = """
import sys
from charlm.cli.main import run_command
code = run_command(sys.argv[2:])
heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["nonsense"], 2),
        (["train", "--no-such-option"], 2),
        (["generate", "--length", "x"], 2),
    ],
)
def test_help_and_usage_errors_import_neither_torch_nor_numpy(
    arguments: list[str], code: int
) -> None:
    result = run_python(LIGHT, "torch,numpy", *arguments)
    assert result.returncode == code, result.stderr


def test_commands_that_need_no_torch_do_not_import_it(
    trained: Path, text_file: Path, tmp_path: Path
) -> None:
    plot = ["plot", str(trained), "-o", str(tmp_path / "curves.svg")]
    onnx = ["export", str(trained), "-o", str(tmp_path / "model.onnx")]
    for arguments in (
        *([plot] if find_spec("matplotlib") else []),
        *([onnx] if find_spec("onnx") and find_spec("onnxruntime") else []),
        ["export", str(trained), "-o", str(tmp_path / "folder")],
        ["vocab", str(text_file)],
        ["preprocess", str(text_file), "-o", str(tmp_path / "corpus")],
        ["info", str(trained)],
        ["info", str(trained), "--markdown"],
        ["runs", str(trained.parent)],
        ["neurons", str(trained)],
        ["export", str(trained), "-o", str(tmp_path / "page.html")],
        ["score", "-m", str(trained), str(text_file)],
        ["compare", str(trained), str(trained), str(text_file)],
        ["generate", "-m", str(trained), "--prefix", "ab", "-l", "5", "-n", "2"],
    ):
        result = run_python(LIGHT, "torch", *arguments)
        assert result.returncode == 0, (arguments, result.stderr)


def test_importing_the_package_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, charlm; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert run_python(code).returncode == 0


def test_the_registries_of_cells_agree() -> None:
    from charlm.generation.layers import CELLS as STEPS
    from charlm.model.network import IMPLEMENTATIONS
    from charlm.model.shapes import GATES
    from charlm.settings import fields_of

    choices = fields_of("model")["rnn_type"].metadata["choices"]
    assert set(choices) == set(IMPLEMENTATIONS["torch"]) == set(GATES) == set(STEPS)


def test_public_names_exist() -> None:
    import charlm

    for name in charlm.__all__:
        assert getattr(charlm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = charlm.nothing


def test_who_checks_types_knows_every_public_name() -> None:
    import charlm

    [block] = [
        node for node in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]  # fmt: skip
    known = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert known == charlm._PUBLIC
