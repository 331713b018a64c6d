"""Sphinx: ./dev docs."""

from importlib.metadata import version as installed_version

project = "pmemobj"
author = "The pmemobj authors"
copyright = "2026, The pmemobj authors"
version = release = installed_version("pmemobj")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"pmemobj {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autoclass_content = "both"
napoleon_use_rtype = False


doctest_global_setup = """
import os, tempfile
os.chdir(tempfile.mkdtemp(prefix="pmemobj-docs-"))
import pmemobj
"""
