"""Lists of jobs in CSV and YAML: each job is the arguments of one run of a command.

A CSV file has one job a row; its header names flags of the command, without the dashes:

    source,driving,out,edit,edit,compare
    anna.jpg,talk.mp4,anna.mp4,yaw=0.3,smile=0.2,true
    ben.png,talk.mp4,ben.webm,,,

An empty cell leaves the flag out, `true` gives it without a value, `false` leaves it out, and a
column that occurs twice gives it twice. A YAML file holds a list of mappings, or a mapping of
`jobs` to that list and of `defaults` to flags for all of them:

    defaults: {driving: talk.mp4}
    jobs:
      - {source: anna.jpg, out: anna.mp4, edit: {yaw: 0.3, smile: 0.2}, compare: true}
      - {source: ben.png, out: ben.webm, absolute: [mouth, eyes]}

There a list gives the flag once for each entry, and a mapping once for each as NAME=VALUE. In both
kinds `arguments` holds further arguments, written as on the command line. File names are as on the
command line too: relative to where the program runs.
"""

import csv
import dataclasses
import hashlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

SUFFIXES = (".csv", ".tsv", ".yaml", ".yml")
# The column or key with arguments as on the command line.
FREE_ARGUMENTS = "arguments"

_FLAG = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_OUTPUT = "--out"


class JobsError(ValueError):
    """A list of jobs, or the state file of a batch, that can't be used; names file and place."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The arguments of one run of the command.

    Attributes:
      where: the place in the file, such as "line 3".
      arguments: as on the command line, without the command's name.
    """

    where: str
    arguments: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What the job is known by in the state file: a hash of its arguments."""
        return hashlib.sha256(json.dumps(self.arguments).encode()).hexdigest()[:32]

    @property
    def output(self) -> str | None:
        """The value of --out, or None."""
        value = None
        for argument, following in zip(self.arguments, (*self.arguments[1:], None), strict=True):
            if argument == _OUTPUT:
                value = following
            elif argument.startswith(f"{_OUTPUT}="):
                value = argument.partition("=")[2]
        return value


def read_jobs(path: str | os.PathLike[str], common: Sequence[str] = ()) -> list[Job]:
    """Reads a CSV, TSV or YAML list of jobs.

    Args:
      path: the file; its ending says which kind it is.
      common: arguments for every job, which come before its own.

    Raises:
      JobsError: another ending, an unreadable or empty list, a column or key that is no flag, a row
        of another length than the header, or two jobs that write the same file; says where.
      OSError: the file can't be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise JobsError(f"{path}: a list of jobs ends in one of {', '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _csv_rows(text, suffix) if suffix in (".csv", ".tsv") else _yaml_rows(text)
        jobs = [Job(where, (*common, *_arguments(row, where))) for where, row in rows]
        _check_distinct_outputs(jobs)
    except UnicodeDecodeError:
        raise JobsError(f"{path}: isn't text in UTF-8; save it so") from None
    except (JobsError, csv.Error, yaml.YAMLError) as error:
        raise JobsError(f"{path}: {' '.join(str(error).split())}") from None
    if not jobs:
        raise JobsError(f"{path}: holds no jobs")
    return jobs


def _csv_rows(text: str, suffix: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(place, [(column, cell)]) of every row."""
    header_line = text.split("\n", 1)[0]
    semicolons = ";" in header_line and "," not in header_line  # as some spreadsheets save it
    delimiter = "\t" if suffix == ".tsv" else ";" if semicolons else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if header is None:
            header = cells
            if not all(header):
                raise JobsError("a column of the header has no name")
            continue
        if len(cells) != len(header):
            raise JobsError(
                f"line {reader.line_num} has {len(cells)} cells and the header {len(header)}; "
                'quote cells that hold the separator: "a, b"'
            )
        yield f"line {reader.line_num}", list(zip(header, cells, strict=True))


class _TextLoader(yaml.BaseLoader):
    """Every value as the text that was written, so that 0.30, no and 1:30 reach the command as
    they are; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        mapping: dict = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise JobsError(f"line {node.start_mark.line + 1}: a key occurs twice")
        return mapping


def _yaml_rows(text: str) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    # A BaseLoader builds texts, lists and mappings only: no tag makes it execute anything.
    content = yaml.load(text, Loader=_TextLoader)  # noqa: S506
    defaults: Any = {}
    if isinstance(content, dict):
        unknown = sorted(set(content) - {"defaults", "jobs"})
        if unknown or "jobs" not in content:
            raise JobsError("needs a list of jobs, or `jobs:` with the list and `defaults:`")
        defaults, content = content.get("defaults") or {}, content["jobs"]
    if content in (None, ""):
        content = []
    if not isinstance(content, list) or not isinstance(defaults, dict):
        raise JobsError("the jobs have to be a list, and the defaults a mapping of flags")
    for number, entry in enumerate(content, 1):
        if not isinstance(entry, dict):
            raise JobsError(f"job {number} has to be a mapping of flags to values")
        own = {_flag(key, f"job {number}") for key in entry}
        inherited = [(k, v) for k, v in defaults.items() if _flag(k, "defaults") not in own]
        yield f"job {number}", [*inherited, *entry.items()]


def _flag(name: Any, where: str) -> str:
    flag = str(name).strip().removeprefix("--").replace("_", "-")
    if not _FLAG.fullmatch(flag):
        raise JobsError(f"{where}: {name!r} is no flag's name")
    return flag


def _arguments(row: Sequence[tuple[str, Any]], where: str) -> Iterator[str]:
    """The arguments of a row; `--flag=value`, so that a value may begin with a dash."""
    for name, value in row:
        flag = _flag(name, where)
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            values = [f"{k}={v}" if isinstance(v, str) else v for k, v in value.items()]
        for text in values:
            if not isinstance(text, str):
                raise JobsError(f"{where}: {name}: lists and mappings can't be nested deeper")
            if flag == FREE_ARGUMENTS:
                try:
                    yield from shlex.split(text)
                except ValueError as error:
                    raise JobsError(f"{where}: {name}: {error}") from None
            elif text.lower() == "true":
                yield f"--{flag}"
            elif text and text.lower() != "false":
                yield f"--{flag}={text}"


def _check_distinct_outputs(jobs: Sequence[Job]) -> None:
    writers: dict[str, str] = {}
    for job in jobs:
        if job.output is None:
            continue
        path = os.path.abspath(job.output)
        if path in writers:
            raise JobsError(f"{writers[path]} and {job.where} both write {job.output}")
        writers[path] = job.where
