"""The rival of `benchmarks.speed.serve`: the same two models behind one plain FastAPI route, in one process, unbatched.

    python -m benchmarks.speed.bare_service --root workspace --port 8100

No Ray: a thread of the server's pool runs catalog, selector, generator and classifier for one request at a time each.
"""

from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI

from benchmarks.harness import DEMO, parse
from serve_apps.api.requests import ShowcaseRequest
from serve_apps.args import ShowcaseArgs
from serve_apps.deployments.generator import Draft, Generator, TextOptions
from serve_apps.deployments.lookup import SelectionQuery
from serve_apps.deployments.selector import Selector
from serve_apps.rollout.registry import resolve


class Pair:
    """Selector and generator, called as plain Python."""

    def __init__(self, root: str) -> None:
        args = ShowcaseArgs(root=root)
        bundle = resolve(args)
        self.selector, self.generator = Selector(args, bundle.selector), Generator(args, bundle.generator)
        self.chooses = self.selector.versions.held(bundle.selector)
        self.writes = self.generator.versions.held(bundle.generator)

    def __call__(self, user_id: str, business_id: str, k: int) -> list[Draft]:
        """One showcase, by two calls."""
        query = SelectionQuery(k=k, business_id=business_id, user_id=user_id)
        [selection] = self.selector.choose(self.chooses, [self.selector.look_up(query, self.chooses.model.profile)])
        [candidates] = self.generator.write_all(self.writes, [(selection, TextOptions())])
        return candidates


def bare_app(pair: Pair) -> FastAPI:
    api = FastAPI()

    @api.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @api.post("/v1/showcases")
    def make_showcase(body: ShowcaseRequest) -> dict[str, list[str]]:
        [first, *_] = pair(body.user_id or "", body.business_id or "", body.k)
        return {"sentences": [row.text for row in first.sentences]}

    return api


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__, argv, root=("workspace", DEMO), port=((int,), None))
    uvicorn.run(bare_app(Pair(options.root)), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
