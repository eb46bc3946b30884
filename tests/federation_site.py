"""A site of tests/federations.py as a process of its own: python federation_site.py <port> <keys> <seed> <images>."""

import sys
from pathlib import Path

from bonexray.federate.flower import require_flower

if __name__ == "__main__":
    require_flower()
    from federations import site_of

    from bonexray.federate.client import client_app
    from bonexray.federate.keys import read_site_key
    from bonexray.federate.node import serve_site

    port, keys, seed, images = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    app, key = client_app(site_of(images, seed)), read_site_key(keys / f"site_{seed}/site.key")
    serve_site(app, ("127.0.0.1", port), keys / "server/ca.pem", key, 20, lambda line: print(line, flush=True))
