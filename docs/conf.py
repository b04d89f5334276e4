"""Sphinx settings of the documentation. Warnings are errors, and nothing is fetched from outside."""

from importlib.metadata import version as package_version

from sphinx.application import Sphinx

project = "exconnect"
author = "The exconnect authors"
copyright = "The exconnect authors"
version = release = package_version("exconnect")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"exconnect {release}"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def without_module_docstring(
    _app: object, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Drop it: it is written for readers of the code, and each page has words of its own."""
    if what == "module":
        lines.clear()


def setup(app: Sphinx) -> None:
    """Register what Sphinx calls back."""
    app.connect("autodoc-process-docstring", without_module_docstring)
