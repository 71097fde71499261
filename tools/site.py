"""What the site has beyond the pages of docs/: the reference, made of the code, and the pages of the project.

MkDocs calls this file as a hook (see mkdocs.yml). Formulas become MathML while the site is built, so that it needs
no script, no font and no network.
"""

import argparse
import ast
import html
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
MODULES = {
    "stawm": "stawm",
    "training": "stawm.training",
    "export": "stawm.export",
    "runtime": "stawm.runtime",
    "viz": "stawm.viz",
    "web": "stawm.web",
    "hub": "stawm.storage.hub",
    "interop": "stawm.storage.interop",
    "testing": "stawm.nn.testing",
    "errors": "stawm.errors",
}
"""The pages of the reference, and the module whose public names each has."""
PROJECT = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CODE_OF_CONDUCT.md": "project/conduct.md",
    "SECURITY.md": "project/security.md",
}
"""Pages of the repository that are pages of the site, and where they stand there."""
ON_SITE = {".md", ".png", ".gif", ".svg"}
FIELDS = ("| field | default | legal | what it means |", "| --- | --- | --- | --- |")
FENCE = re.compile(r"^(`{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]*(?:\n[^\]\n]+)?)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
MATH = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)


def public_names(module: str) -> list[str]:
    """Return the public names of a module without importing it: what it defines, or hands on by ``import X as X``."""
    path = _source(module)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    handed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and not _is_module(node.module, node.names[0].name)
        for alias in node.names
        if alias.asname == alias.name
    }
    own = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return sorted(name for name in handed | own if not name.startswith("_"))


def _is_module(package: str, name: str) -> bool:
    path = ROOT.joinpath(*package.split("."), name)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def docstring(module: str) -> str:
    """Return the docstring of a module."""
    return ast.get_docstring(ast.parse(_source(module).read_text(encoding="utf-8"))) or ""


def _source(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def pages() -> dict[str, str]:
    """Return the pages that are made, by their place on the site."""
    found = {f"reference/{page}.md": module_page(page, module) for page, module in MODULES.items()}
    found |= {"reference/commands.md": commands(), "reference/components.md": components()}
    found |= {"reference/presets.md": presets()}
    return found | {place: (ROOT / name).read_text(encoding="utf-8") for name, place in PROJECT.items()}


def module_page(page: str, module: str) -> str:
    """Return the page of a module: each public name with its signature and docstring."""
    called = module if page in ("stawm", "testing") else f"stawm.{page}"
    names = "\n\n".join(f"::: {module}.{name}" for name in public_names(module))
    return f"# `{called}`\n\n{docstring(module)}\n\n{names}\n"


def commands() -> str:
    """Return the page of the command line, as its parser describes it."""
    from stawm.cli.parser import make_parser

    parser = make_parser()
    (group,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = ["# The command line", _help(parser), "Every command but `cite` prints strict JSON with `--json`."]
    for name, command in group.choices.items():
        parts += [f"## `stawm {name}`", _help(command)]
    return "\n\n".join(parts) + "\n"


def _help(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
    return f"```text\n{parser.format_help().rstrip()}\n```"


def components() -> str:
    """Return the page of the components: what each is, and its fields."""
    import stawm
    from stawm.registry import Kind

    parts = ["# Components", "Each is given by its name. `stawm describe NAME` prints the same."]
    for kind in Kind:
        if kind is Kind.PRESET:
            continue
        parts.append(f"## {str(kind).capitalize()}")
        for name in stawm.list_names(kind, origin="stawm"):
            found = stawm.describe(name, kind=kind)
            cited = f" ({', '.join(found.cites)})" if found.cites else ""
            parts += [f"### `{name}` {{ #{kind}-{name} }}", f"{found.summary}{cited}"]
            rows = [
                f"| `{key}` | {_cell('required' if f['required'] else repr(f['value']))} | {_cell(f['legal'])} "
                f"| {_text(f['means'])} |"
                for key, f in found.fields.items()
                if key != "name"
            ]
            if rows:
                parts.append(
                    "\n".join(["| field | default | legal | what it means |", "| --- | --- | --- | --- |", *rows])
                )
    return "\n\n".join(parts) + "\n"


def presets() -> str:
    """Return the page of the presets: what each is, how it is trained, its variants."""
    from stawm import registry
    from stawm.registry import Kind

    parts = ["# Presets", "`stawm describe NAME` prints every field of one, and `stawm describe fast:NAME` its recipe."]
    for name, entry in registry.entries(Kind.PRESET).items():
        if entry.origin != "stawm" or "." in name:
            continue
        recipes = [f"`{key}`" + (f" (trains `{r}`)" if isinstance(r, str) else "") for key, r in entry.recipes.items()]
        lines = [f"- recipes: {', '.join(recipes)}"] if recipes else []
        variants = registry.variants_of(name)
        lines += [f"- variants: {', '.join(f'`{variant}`' for variant in variants)}"] if variants else []
        lines += [f"- cites: {', '.join(entry.cites)}"] if entry.cites else []
        parts += [f"## `{name}` {{ #{name} }}", _text(entry.summary), "\n".join(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(said: str) -> str:
    return "`" + " ".join(said.split()).replace("|", "\\|").replace("`", "'") + "`"


def _text(said: str) -> str:
    return html.escape(said, quote=False).replace("|", "\\|").replace("*", "\\*")


def relinked(markdown: str, place: str) -> str:
    """Return a page with its links as they are on the site; what is not on the site is named by its path.

    Args:
        markdown: The page as it stands in the repository.
        place: Where it stands on the site.
    """
    origin = next((name for name, there in PROJECT.items() if there == place), f"docs/{place}")

    def link(found: re.Match[str]) -> str:
        text, anchor = found["text"], found["anchor"] or ""
        path = os.path.normpath(PurePosixPath(origin).parent / found["target"]).replace(os.sep, "/")
        there = "index.md" if path == "README.md" else PROJECT.get(path, path.removeprefix("docs/"))
        if path.startswith("docs/") and PurePosixPath(path).suffix not in ON_SITE:
            there = path
        if there == path:
            return text if path in text else f"{text} (`{path}`)"
        return f"[{text}]({os.path.relpath(there, PurePosixPath(place).parent).replace(os.sep, '/')}{anchor})"

    return _outside_code(markdown, lambda text: LINK.sub(link, text))


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    parts, last = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [change(markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, change(markdown[last:])])


# What MkDocs calls


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Change links to what they are on the site."""
    made = page.file.src_uri.startswith("reference/")
    return markdown if made else relinked(markdown, page.file.src_uri)


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Turn formulas into MathML."""
    from latex2mathml.converter import convert

    def formula(found: re.Match[str]) -> str:
        return convert(html.unescape(found["tex"]), display="block" if found["tag"] == "div" else "inline")

    return MATH.sub(formula, content)
