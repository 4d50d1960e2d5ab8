"""Templates: texts of several lines that are written for each event, in Jinja2's language."""

from tusk_runtime.templates.template import Template, compile_template

__all__ = ["Template", "compile_template"]
