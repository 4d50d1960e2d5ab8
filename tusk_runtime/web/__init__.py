"""The HTTP surface: routes, the first page, security defaults and the server that carries them."""

from tusk_runtime.web.app import WebApp, create_app
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.security import Security, load_or_create_token
from tusk_runtime.web.server import HttpServer

__all__ = ["HttpServer", "Limits", "Security", "WebApp", "create_app", "load_or_create_token"]
