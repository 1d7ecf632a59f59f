"""For mkdocs: what in these pages is written for a reader of the repository, made right for the built site.

A link to a file outside docs/ leads to a copy of it in the site, at the definition that the link's text names; and a
line `<!-- README: Heading -->` is replaced by that section of the README, so that nothing is written twice.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"(?P<text>\[[^\]\n]*\])\((?P<target>(?!\w+:)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
SECTION = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".toml": "toml"}
SOURCES = "source"  # folder of the copies in the site


def on_files(files: Files, config: Any) -> Files:
    """Add a page for every file of the repository that some page links to."""
    root = Path(config.config_file_path).parent
    wanted: set[str] = set()
    for page in files.documentation_pages():
        text = with_readme(page.content_string, root)
        wanted |= {path for found in LINK.finditer(text) if (path := outside(page.src_uri, found["target"]))}
    for path in sorted(wanted):
        text = as_page(root / path, path)
        files.append(File.generated(config, copy_of(path), content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put in the README's sections, and turn links that leave docs/ to the copies."""
    here = page.file.src_uri
    root = Path(config.config_file_path).parent
    if here.startswith(f"{SOURCES}/"):
        return markdown

    def turned(found: re.Match[str]) -> str:
        path = outside(here, found["target"])
        if path is None:
            return found[0]
        line = defined_at(root / path, found["text"].strip("[]`"))
        there = relpath(copy_of(path), str(PurePosixPath(here).parent)).removesuffix(".md") + ".html"
        return f'<a href="{there}{line}">{found["text"][1:-1]}</a>'  # as Markdown, mkdocs would miss the line's anchor

    return LINK.sub(turned, with_readme(markdown, root))


def with_readme(markdown: str, root: Path) -> str:
    """The text with the README's sections in place of their markers.

    Raises:
        PluginError: the README has no such section.
    """
    parts = re.split(r"^## (.+)\n", (root / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {"": parts[0].partition("\n")[2]} | dict(zip(parts[1::2], parts[2::2], strict=True))

    def section(found: re.Match[str]) -> str:
        name = "" if found[1] == "(beginning)" else found[1]
        if name not in sections:
            raise PluginError(f"README.md has no section `{name}`; it has {', '.join(filter(None, sections))}")
        return LINK.sub(moved, sections[name].strip("\n"))

    return SECTION.sub(section, markdown)


def moved(found: re.Match[str]) -> str:
    """A link of the README, as it must stand in a page of docs/."""
    return f"{found['text']}({relpath(found['target'], 'docs')}{found['anchor'] or ''})"


def outside(page: str, target: str) -> str | None:
    """The path in the repository of what a page of docs/ links to, where that lies outside docs/."""
    path = normpath(f"docs/{PurePosixPath(page).parent}/{target}")
    return None if path.startswith("docs/") or target.startswith("/") else path


def copy_of(path: str) -> str:
    """The page that shows a file of the repository; a README in a folder must not become the folder's index."""
    return f"{SOURCES}/{path.replace('.md', '-md')}.md"


def as_page(file: Path, path: str) -> str:
    """A page with the file in it.

    Raises:
        PluginError: it is not a file of the repository.
    """
    if path.startswith("..") or not file.is_file():
        raise PluginError(f"a page links to {path}: no such file in the repository")
    language = LANGUAGES.get(file.suffix, "text")
    text = file.read_text(encoding="utf-8").rstrip("\n")
    head = "---\nhide: [navigation, toc]\nsearch:\n  exclude: true\n---\n"
    return f"{head}\n# {path}\n\n`````{{.{language} linenums=1}}\n{text}\n`````\n"


def defined_at(file: Path, name: str) -> str:
    """Anchor of the line that defines a function or class, or assigns a name; none where the name is another thing."""
    last = name.rpartition(".")[2]
    pattern = rf"^\s*(?:(?:def|class) {re.escape(last)}\b|{re.escape(last)}\b.*? = )"
    lines = file.read_text(encoding="utf-8").splitlines() if last.isidentifier() else []
    return next((f"#__codelineno-0-{number}" for number, line in enumerate(lines, 1) if re.match(pattern, line)), "")
