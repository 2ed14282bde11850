"""What the forms for people begin with, so that an import knows them."""

from __future__ import annotations

from typing import Final

MARKDOWN_MARK: Final = "<!-- crdtsync export: markdown -->"
HTML_MARK: Final = '<meta name="generator" content="crdtsync export">'
