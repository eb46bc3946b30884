"""The web server of a federation: Flower's Fleet API alone, over HTTPS."""

from pathlib import Path

import uvicorn
from fastapi import FastAPI
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.supercore.error import http_error_translator
from flwr.supercore.protobuf.translation import ProtobufTranslationMiddleware
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.superlink.routers.fleet.router import router
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from bonexray.federate.keys import CERTIFICATE, SERVER_KEY


def web_server(factory: LinkStateFactory, keys: Path) -> uvicorn.Server:
    """Return a web server that is open to the sites whose keys Flower has.

    Args:
        factory: of Flower's record of sites and messages.
        keys: folder with the certificate and key of the server.
    """
    config = uvicorn.Config(
        _fleet(factory),
        http="h11",
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        ssl_certfile=keys / CERTIFICATE,
        ssl_keyfile=keys / SERVER_KEY,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def _fleet(factory: LinkStateFactory) -> FastAPI:
    """Return the web application: Flower's Fleet API, with the authentication of sites switched on."""
    middleware = [
        Middleware(BaseHTTPMiddleware, dispatch=http_error_translator),
        Middleware(ProtobufTranslationMiddleware),
        Middleware(NodeAuthMiddleware),
    ]
    fleet = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, middleware=middleware)
    fleet.state.linkstate_factory, fleet.state.enable_supernode_auth = factory, True
    fleet.include_router(router)
    return fleet
