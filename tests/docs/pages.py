"""What the pages hold: commands, specs, figures and links, as a Markdown parser sees them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if not {"_build", "made"} & set(page.relative_to(ROOT).parts)
    ),
)
SHELL = ("sh", "bash", "console", "shell")


@dataclass(frozen=True)
class Block:
    """Some code on a page."""

    page: Path
    language: str
    """Of a fence; empty for what is indented."""
    text: str
    is_inline: bool = False

    @property
    def place(self) -> str:
        """The page's path."""
        return str(self.page.relative_to(ROOT))


def blocks() -> Iterator[Block]:
    """All code on all pages, inline code too."""
    for page in PAGES:
        tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
        for token in tokens:
            if token.type == "fence":
                yield Block(page, token.info.strip(), token.content)
            elif token.type == "code_block":
                yield Block(page, "", token.content)
            for child in token.children or ():
                if child.type == "code_inline":
                    yield Block(page, "", child.content, is_inline=True)


def shell_lines(block: Block) -> Iterator[list[str]]:
    """The words of each command line, comments left out, continued lines joined."""
    if block.is_inline:
        if block.text.startswith("tg-sweep "):
            yield shlex.split(block.text)
        return
    if block.language not in ("", *SHELL):
        return
    joined = re.sub(r"\\\n\s*", "", block.text)
    for line in joined.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # an apostrophe: no command line
            continue
        if words:
            yield words


def is_shell(block: Block) -> bool:
    """Whether it holds command lines."""
    if block.is_inline or block.language:
        return block.language in SHELL
    return re.match(r"(tg-sweep|make|python3?|pip|git|ray|xdg-open) ", block.text) is not None


def figures() -> Iterator[tuple[Path, str]]:
    """Each page and the path of each picture that it shows."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            yield page, path


def links() -> Iterator[tuple[Path, str]]:
    """Each page and each file that it links to."""
    for page in PAGES:
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8")):
            for child in token.children or ():
                target = child.attrGet("href") if child.type == "link_open" else None
                if isinstance(target, str) and not re.match(r"https?:|#|mailto:", target):
                    yield page, target.partition("#")[0]
