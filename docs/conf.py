"""The site: `make docs`."""

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "hgenv"
author = project_copyright = "The hgenv developers"
html_title = "hgenv"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/hgenv/hgenv/",
    "source_branch": "main",
    "source_directory": "docs/",
}
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
exclude_patterns = ["conf.py", "layers.py"]
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("Array", "ArrayLike", "Mask", "Observation", "Seeds")}
python_maximum_signature_line_length = 100


def prose(app: Sphinx, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Docstrings are prose, not reStructuredText: what is in backticks or indented is code, the rest as it stands."""
    written: list[str] = []
    code = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not code:
            written += ["", "::", ""]
        if line.strip():
            code = indented
        written.append(line if code else re.sub(r"(`[^`]+`)|([*|_\\`])", _marked, line))
    lines[:] = [] if lines[:1] and lines[0].startswith("Alias for field number") else written


def _marked(found: re.Match[str]) -> str:
    code, sign = found.groups()
    return f"`{code}`" if code else f"\\{sign}"


def titled(app: Sphinx, docname: str, source: list[str]) -> None:
    """The reports of `hgenv bench` begin with their command."""
    if re.fullmatch(r"results/bench-.*/report", docname):
        source[0] = f"# Report {docname.split('/')[1].removeprefix('bench-')}\n\n{source[0]}"


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", prose)
    app.connect("source-read", titled)
