"""The admin process: `python -m stillroom.serve.gateway.admin`. Administration, and what all workers count."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import Response

from stillroom.base.errors import StoreError
from stillroom.serve.admin.app import make_admin_app
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.gateway.metrics import AllWorkers
from stillroom.serve.gateway.order import Order, take_order
from stillroom.serve.gateway.protocol import uvicorn_settings
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.meter.chain import RECORD_TYPE
from stillroom.serve.permits.admin import permit_router
from stillroom.serve.settings import GatewaySettings
from stillroom.store.secrets import Secrets

_EXPIRE_S = 600
_log = logging.getLogger(__name__)


def main() -> None:
    with take_order() as order:
        _administer(order)


def _administer(order: Order) -> None:
    settings = order.settings
    engine = open_database(database_url(settings))
    models = [model.name for model in settings.models]
    app = make_admin_app(engine, Secrets.open(settings.state), [permit_router(settings)], models)
    registry = CollectorRegistry()
    registry.register(AllWorkers(settings.state / "metrics"))

    def metrics() -> Response:
        """For Prometheus, of all workers together. Holds no account, no key and no text."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.add_api_route("/metrics", metrics, response_class=Response, tags=["health"])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **uvicorn_settings(settings.bounds)))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes these while it serves and raises them again afterwards.
        signal.signal(number, lambda *_: None)
    if settings.escrow.share or (settings.state / FOLDER).exists():
        threading.Thread(target=_expire_escrow, args=[settings], daemon=True).start()
    threading.Thread(target=_seal_left, args=[settings], daemon=True).start()
    order.report({"worker": "admin"})
    server.run(sockets=[socket.socket(fileno=order.socket)])
    engine.dispose()


def _seal_left(settings: GatewaySettings) -> None:
    """What workers left open that were killed, and that there are no more, since the settings now say fewer."""
    keyring = Keyring.open(settings.state)
    present = {f"w{number}" for number in range(settings.workers)}
    for folder in sorted((settings.state / "calls").glob("w*")):
        if folder.name not in present:
            try:
                CallLog(folder, sign=lambda record: keyring.active.sign(RECORD_TYPE, record)).close()
            except StoreError as error:
                _log.error("The log of a former worker is not sealed: %s", error)


def _expire_escrow(settings: GatewaySettings) -> None:
    escrow = Escrow(settings.state / FOLDER, Secrets.open(settings.state), settings.escrow)
    while True:
        try:
            escrow.expire(time.time_ns() // 1000)
        except StoreError as error:
            _log.error("The escrow could not be looked through: %s", error)
        time.sleep(_EXPIRE_S)


if __name__ == "__main__":
    main()
