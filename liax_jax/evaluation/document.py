"""A small document of headings, paragraphs, tables and pictures, written as Markdown or HTML."""

import base64
import dataclasses
import html
import pathlib
from collections.abc import Sequence

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25em 0.8em; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
tr.marked td { color: #666; font-style: italic; }
img { max-width: 100%; height: auto; display: block; margin: 0.5em 0; }
code { background: #f2f2f2; padding: 0 0.2em; }
"""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of level 1 to 3."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of plain texts."""

    items: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of plain texts.

    Attributes:
      head: of the columns.
      rows: as long as the head each.
      marked: numbers of rows that are set apart: figures that aren't one's own.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture file below the document's folder."""

    path: str
    text: str


@dataclasses.dataclass(frozen=True)
class Link:
    """A link to a file below the document's folder."""

    path: str
    text: str


Block = Heading | Paragraph | Bullets | Table | Picture | Link


def to_markdown(blocks: Sequence[Block]) -> str:
    """The document as GitHub's Markdown; pictures stay files of their own."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(head, rows, marked):
            lines = [head, [":--", *["--:"] * (len(head) - 1)]]
            for number, row in enumerate(rows):
                lines.append([f"*{cell}*" for cell in row] if number in marked else row)
            return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)
        case Picture(path, text):
            return f"![{text}]({_url(path)})"
        case Link(path, text):
            return f"[{text}]({_url(path)})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _url(path: str) -> str:
    return path.replace(" ", "%20")


def to_html(blocks: Sequence[Block], title: str, folder: pathlib.Path) -> str:
    """The document as one HTML file with its pictures in it; videos stay links."""
    body = "\n".join(_html(block, folder) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block, folder: pathlib.Path) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Bullets(items):
            inside = "".join(f"<li>{html.escape(item)}</li>" for item in items)
            return f"<ul>{inside}</ul>"
        case Table(head, rows, marked):
            lines = [_html_row("th", head, False)]
            lines += [_html_row("td", row, i in marked) for i, row in enumerate(rows)]
            return "<table>\n" + "\n".join(lines) + "\n</table>"
        case Picture(path, text):
            kind = "jpeg" if path.endswith(".jpg") else "png"
            data = base64.b64encode((folder / path).read_bytes()).decode()
            alt = html.escape(text)
            return f'<img alt="{alt}" src="data:image/{kind};base64,{data}">'
        case Link(path, text):
            return f'<p><a href="{html.escape(_url(path))}">{html.escape(text)}</a></p>'


def _html_row(tag: str, cells: Sequence[str], marked: bool) -> str:
    inside = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f'<tr class="marked">{inside}</tr>' if marked else f"<tr>{inside}</tr>"
