"""The command line from a shell: the output and the exit status of real processes, also after kill -9."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.numpy import load_file

from ltocf.cli import main
from ltocf.cli.settings import MODELS_HELP
from ltocf.runs.experiment import evaluate_run
from ltocf.runs.folder import RunFolder
from samples import random_interactions

SMALL = [
    "--preset",
    "paper",
    "--set",
    "dim=4",
    "--set",
    "batch_size=64",
    "--epochs",
    "3",
    "--set",
    "validate_every=1",
    "--threads",
    "1",
]


def ltocf(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ltocf", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV with string ids such as "007" and a title for each item."""
    log = random_interactions(30, 40, density=0.3)
    frame = pl.DataFrame(
        {
            "user": [f"{user:03d}" for user in log.users],
            "item": [f"film-{item}" for item in log.items],
            "name": [f"Film no. {item} [cut]" for item in log.items],
        }
    )
    path = tmp_path_factory.mktemp("data") / "log.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="session")
def run_folder(log_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    done = ltocf("train", log_file, "--out", folder, "--set", "title_column=name", *SMALL)
    assert "recall@20" in done.stdout
    progress = [line for line in done.stderr.splitlines() if "epoch" in line]
    assert len(progress) == 4  # three validations and the end of the retraining
    assert "user: 'user' (usual name)" in done.stderr
    return folder


def test_train_writes_a_complete_folder(run_folder: Path) -> None:
    names = {path.name for path in run_folder.iterdir()} - {".lock"}
    assert names == {
        "config.toml",
        "reading.txt",
        "data.safetensors",
        "history.jsonl",
        "metrics.json",
        "test-users.safetensors",
        "model.safetensors",
        "model-selection.safetensors",
    }
    metrics = json.loads((run_folder / "metrics.json").read_text())
    assert 0 <= metrics["recall@20"] <= 1
    assert metrics["select_on"] == "validation"
    assert metrics["preset"] == "paper"
    assert metrics["environment"]["threads"] == 1
    history = [json.loads(line) for line in (run_folder / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history if row["phase"] == "selection"] == [1, 2, 3]
    assert len(history[0]["times"]) == 3
    assert "learning_rate = 0.001" in (run_folder / "config.toml").read_text()


def test_train_with_format_json_prints_the_metrics_of_the_folder(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", str(log_file), "--out", str(tmp_path / "run"), "--format", "json", "--model", "popularity"])
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_tensorboard_files_are_written_on_request(log_file: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    main(["train", str(log_file), "--out", str(tmp_path / "run"), "--set", "tensorboard=true", *SMALL])
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard" / "selection")).Reload()
    assert {"loss", "recall@20", "t_1", "t_2", "t_3"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]


def test_evaluate_gives_the_metrics_of_the_training(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    main(["evaluate", str(run_folder), "--k", "5,20", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert found["ndcg@5"] == metrics["ndcg@5"]
    assert found["recall@20"] == metrics["recall@20"]


def test_evaluate_on_validation_uses_the_model_that_was_not_trained_on_it(run_folder: Path) -> None:
    history = [json.loads(line) for line in (run_folder / "history.jsonl").read_text().splitlines()]
    best = max(row["recall@20"] for row in history if "recall@20" in row)
    assert evaluate_run(run_folder, on="validation", ks=[20])["recall@20"] == best


@pytest.mark.parametrize("format", ["json", "csv"])
def test_recommend_keeps_the_callers_ids(run_folder: Path, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["recommend", str(run_folder), "--user", "007", "--user", "011", "--k", "4", "--format", format])
    printed = capsys.readouterr().out
    rows = json.loads(printed) if format == "json" else pl.read_csv(printed.encode(), infer_schema=False).to_dicts()
    assert [row["user"] for row in rows] == ["007"] * 4 + ["011"] * 4
    assert all(row["title"] == f"Film no. {row['item'].removeprefix('film-')} [cut]" for row in rows)
    arrays = load_file(run_folder / "model.safetensors")
    assert {"seen.users", "weights.initial_embeddings", "weights.times.values"} <= set(arrays)


def test_recommend_prints_a_table(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["recommend", str(run_folder), "--user", "007", "--k", "1"])
    printed = capsys.readouterr().out
    assert "007" in printed
    assert "[cut]" in printed


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code not in (0, None)
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return output.err


def test_errors_give_the_rule_and_the_value(
    run_folder: Path, log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert "'nobody'" in error_of(capsys, "recommend", run_folder, "--user", "nobody")
    assert "already holds a run" in error_of(capsys, "train", log_file, "--out", run_folder)
    assert "`--model` must be one of ltocf, spectral, ease" in error_of(
        capsys, "train", log_file, "--out", out, "--model", "x"
    )
    assert "no setting `speed`" in error_of(capsys, "train", log_file, "--out", out, "--set", "speed=9")
    assert "`dim` must be of type int" in error_of(capsys, "train", log_file, "--out", out, "--set", "dim=big")
    assert "takes key=value" in error_of(capsys, "train", log_file, "--out", out, "--set", "dim")
    assert "holds no run" in error_of(capsys, "evaluate", tmp_path)
    assert "depths >= 1" in error_of(capsys, "evaluate", run_folder, "--k", "0")
    if not torch.cuda.is_available():
        assert "no CUDA GPU" in error_of(capsys, "train", log_file, "--out", out, "--device", "cuda")
    assert "give a folder" in error_of(capsys, "train", log_file)
    assert "give the data" in error_of(capsys, "train", "--out", out)
    assert not out.exists()


def test_an_unknown_solver_is_refused_with_the_list_of_solvers(log_file: Path, tmp_path: Path) -> None:
    done = ltocf("train", log_file, "--out", tmp_path / "new", "--set", "solver=heun", check=False)
    assert done.returncode == 2
    assert "`solver` must be one of euler, rk4, adams_moulton" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "RUN", "--epochs", "500", "--seed", "9"], "leave out --seed, --epochs"),
        (["--resume", "RUN", "--model", "mf", "--set", "dim=3"], "leave out --set, --model"),
        (["LOG", "--resume", "RUN", "--out", "elsewhere"], "leave out a data set, --out"),
        (["LOG", "--out", "NEW", "--set", "dim=3", "--set", "dim=4"], "`dim` was given twice with `--set`"),
        (
            ["LOG", "--out", "NEW", "--set", "epochs=3", "--epochs", "4"],
            "`--epochs` was given twice, by `--set`",
        ),
        (["LOG", "--out", ""], "give a folder for the run"),
        (["LOG", "--out", "NEW", "--config", "none.toml"], "no configuration file at none.toml"),
        (["LOG", "--out", "NEW", "--set", "dim=1000000000000"], "`dim` must be <= 1000000, got 1000000000000"),
    ],
    ids=str,
)
def test_contradicting_arguments_are_refused_by_name(
    arguments: list[str],
    message: str,
    run_folder: Path,
    log_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {"RUN": str(run_folder), "LOG": str(log_file), "NEW": str(tmp_path / "new")}
    assert message in error_of(capsys, "train", *(paths.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "new").exists()


def test_markup_in_titles_and_paths_is_printed_and_not_interpreted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "[/] \\[bold] :smile: \x1b[31m"
    rows = [(user, item, title) for user in range(12) for item in range(10) if (user + item) % 3]
    pl.DataFrame(rows, schema=["user", "item", "title"], orient="row").write_parquet(tmp_path / "log.parquet")
    folder = tmp_path / "a[/]b"
    options = [*SMALL, "--set", "title_column=title", "--set", "select_by=recall@5", "--model", "mf"]
    main(["train", str(tmp_path / "log.parquet"), "--out", str(folder), *options])
    assert f"run folder: {folder}" in capsys.readouterr().out
    main(["recommend", str(folder), "--user", "1", "--k", "1"])
    printed = capsys.readouterr().out
    assert "[/] \\[bold] :smile: \N{REPLACEMENT CHARACTER}[31m" in printed
    assert "q\\[/]" in error_of(capsys, "recommend", "q\\[/]", "--user", "1")


def test_a_run_stopped_by_max_minutes_says_so(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltocf.runs.protocol.ranking_seconds", lambda *_: 3600.0)
    main(["train", str(log_file), "--out", str(tmp_path / "run"), "--max-minutes", "1", *SMALL])
    printed = capsys.readouterr().out
    assert "selection was stopped by `max_minutes` after 1 of 3 epochs" in printed


def test_help_names_every_model_and_needs_no_torch() -> None:
    from ltocf.models import MODELS

    names = re.findall(r"[a-z0-9-]+", MODELS_HELP.split(", or a model")[0])
    assert [name for name in names if name != "default"] == list(MODELS)
    program = "import sys; from ltocf.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("bench", "data", "demo", "evaluate", "plot", "train"))


def test_unknown_users_get_the_popular_items_on_request(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["recommend", str(run_folder), "--user", "nobody", "--unknown", "popular", "--format", "json", "--k", "2"])
    first, second = json.loads(capsys.readouterr().out)
    assert first["score"] >= second["score"] > 1


def test_data_list_and_data_stats_print_the_sets_and_the_statistics(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "list"])
    assert "gowalla" in capsys.readouterr().out
    main(["data", "stats", str(log_file)])
    assert "density" in capsys.readouterr().out


def test_a_run_selected_on_the_test_set_is_marked_as_optimistic(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", str(log_file), "--out", str(tmp_path / "run"), "--select-on", "test", *SMALL])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["select_on"] == "test"
    assert "optimistic" in metrics["protocol"]
    assert metrics["recall@20"] == metrics["selected"]["recall@20"]
    assert "no validation set" in error_of(capsys, "evaluate", tmp_path / "run", "--on", "validation")


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_with_the_same_bits(log_file: Path, tmp_path: Path, sent: signal.Signals) -> None:
    settings = [
        *SMALL[:6],
        "--epochs",
        "60",
        "--set",
        "validate_every=1",
        "--threads",
        "1",
        "--set",
        "patience=60",
        "--set",
        "learning_rate=0.02",
    ]
    ltocf("train", log_file, "--out", tmp_path / "whole", *settings)
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "ltocf", "train", str(log_file), "--out", str(killed), *settings]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        history = killed / "history.jsonl"
        deadline = time.monotonic() + 60
        while not (history.exists() and history.read_bytes().count(b"\n") >= 5) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, sent)
        errors = process.communicate()[1]
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    assert not (killed / "metrics.json").exists()
    assert sent == signal.SIGKILL or f"ltocf train --resume {killed}" in errors.replace("\n", "")
    ltocf("train", "--resume", killed)
    for name in ("model.safetensors", "model-selection.safetensors"):
        whole, resumed = load_file(tmp_path / "whole" / name), load_file(killed / name)
        assert all((whole[key] == resumed[key]).all() for key in whole)
    histories = [RunFolder(folder).history() for folder in (tmp_path / "whole", killed)]
    without_seconds = [[{**row, "seconds": 0} for row in history] for history in histories]
    assert without_seconds[0] == without_seconds[1]
