"""The settings that every command that trains takes, as they are typed in a shell."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

GROUP = Group("Settings", sort_key=0)
MODELS_HELP = (
    "ltocf, spectral, ease, item-knn, rp3beta, history-regression, sequence-knn, als, popularity, blend, "
    "lightgcn, lr-gccf, ngcf, gc-mc, pinsage, hop-rec, grmf, grmf-norm, mult-vae, cmn, neumf, mf, or a model of "
    "another installed package. Default: auto, several of them compete."
)


def _setting(help: str, *, name: str | None = None) -> Parameter:
    return Parameter(name=name, help=help, group=GROUP, negative="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is trained and how.

    Example:
        >>> Settings(model="mf", set=["dim=8", "loss=bpr"]).values()
        {'dim': 8, 'loss': 'bpr', 'model': 'mf'}
    """

    model: Annotated[str | None, _setting(MODELS_HELP)] = None
    config: Annotated[Path | None, _setting("A TOML file to start from.")] = None
    set: Annotated[list[str] | None, _setting("key=value: any setting by its name; may be repeated.", name="--set")] = (
        None
    )
    data_dir: Annotated[Path | None, _setting("Folder of the data sets that have a name; default: LTOCF_DATA.")] = None
    seed: Annotated[int | None, _setting("Seed for initialisation and sampling.")] = None
    device: Annotated[str | None, _setting("auto, cpu or cuda.")] = None
    threads: Annotated[int | None, _setting("CPU threads; 0: PyTorch's choice.")] = None
    epochs: Annotated[int | None, _setting("Maximum number of epochs.")] = None
    max_minutes: Annotated[float | None, _setting("Time limit for the whole run, in minutes.")] = None
    preset: Annotated[
        Literal["fast", "paper"] | None,
        _setting("The settings to start from: fast (default), the best found here, or paper, the paper's."),
    ] = None

    def named(self) -> dict[str, Any]:
        """The settings that were given by options of their own."""
        names = ("model", "seed", "device", "threads", "epochs", "max_minutes", "preset")
        values = {name: getattr(self, name) for name in names}
        values["data_dir"] = None if self.data_dir is None else str(self.data_dir)
        return {name: value for name, value in values.items() if value is not None}

    def values(self, **more: Any) -> dict[str, Any]:
        """All settings that were given, by name; ``more`` are those of other options.

        Raises:
            ValueError: a setting that is given twice, or not as key=value.
        """
        assigned, named = _assignments(self.set or []), self.named() | more
        if twice := sorted(assigned.keys() & named.keys()):
            raise ValueError(f"`{twice[0]}` was given twice, by `--set` and by an option of its own; give it once")
        return assigned | named


def _assignments(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"`--set` takes key=value, got {text!r}")
        if name in values:
            raise ValueError(f"`{name}` was given twice with `--set`; give it once")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values
