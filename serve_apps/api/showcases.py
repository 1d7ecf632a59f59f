"""The routes that ask the models: photos, texts, both; in one answer or as they come."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from serve_apps.access.config import Limits
from serve_apps.api.openapi import SHOWCASE, refusals
from serve_apps.api.requests import (
    ExplanationBody,
    PersonAsked,
    PoolAsked,
    SelectionBody,
    ShowcaseBody,
    ShowcaseRequest,
    TextAsked,
)
from serve_apps.api.responses import (
    Degraded,
    ExplanationAnswer,
    ModelVersion,
    SelectionAnswer,
    Sentence,
    Showcase,
    ShownPhoto,
    StreamedProblem,
    Text,
    Timings,
)
from serve_apps.deployments.generator import Candidate, How
from serve_apps.deployments.lookup import Selection, Wish
from serve_apps.http import accept, events
from serve_apps.http.asgi import OverloadedError, RefusedError, problem_of
from serve_apps.http.pointers import in_body
from serve_apps.observability import metrics, traces
from serve_apps.rollout.champions import Champions
from serve_apps.rollout.models import Bundle
from showcases.catalog import Catalog, CatalogError

logger = logging.getLogger("ray.serve")
NO_TEXT = Candidate([], 0, [])
Result = TypeVar("Result")
LAST_WORDS_S = 0.2  # before the deadline, which cuts the connection: time to say so
JSON, STREAM = "application/json", events.MEDIA_TYPE
ONE_TEXT = "a stream has one text: give n of 1, or ask for application/json"


class Backend(Protocol):
    """The two models."""

    catalog: Catalog
    champions: Champions

    async def select(self, wish: Wish, bundle: Bundle) -> Selection: ...

    async def write(self, selection: Selection, how: How, bundle: Bundle) -> list[Candidate]: ...

    def stream(self, selection: Selection, how: How, bundle: Bundle) -> AsyncIterator[str]: ...

    async def finish(self, text: str, selection: Selection, how: How, bundle: Bundle) -> Candidate: ...


def install(api: FastAPI, backend: Backend, limits: Limits) -> None:
    """Add the routes."""
    unknown = refusals(404)
    negotiated = {**refusals(404, 406), **SHOWCASE}

    @api.post("/v1/selections", response_model=SelectionAnswer, responses=unknown, tags=["showcases"])
    async def make_selection(asked: SelectionBody, request: Request) -> SelectionAnswer:
        """Select photos for a person: all of a business, or candidates given by id.

        What a user wrote and posted about the businesses of the candidates is left aside: it is what we recommend.
        """
        ask = _Ask(backend, request, asked)
        selection = await ask.with_fallback(lambda: ask.select(asked, asked))
        return SelectionAnswer(**ask.facts(selection), **chosen(asked, selection))

    @api.post("/v1/explanations", response_model=ExplanationAnswer, responses=unknown, tags=["showcases"])
    async def make_explanation(asked: ExplanationBody, request: Request) -> ExplanationAnswer:
        """Write about photos that are given by id, in the person's vein."""
        ask = _Ask(backend, request, asked)

        async def explanation() -> ExplanationAnswer:
            given = {"photo_ids": asked.photo_ids, "as_given": True, "k": len(asked.photo_ids)}
            selection = await ask.select(asked, None, **given)
            return ExplanationAnswer(**ask.facts(selection), **texts(await ask.write(selection, how_of(asked))))

        return await ask.with_fallback(explanation)

    @api.post("/v1/showcases", response_model=Showcase, responses=negotiated, tags=["showcases"])
    async def make_showcase(asked: ShowcaseBody, request: Request, answer: Response) -> Showcase | StreamingResponse:
        """Select photos of a business for a person and write about them.

        The person is a user of the catalog, or somebody new with a few past reviews, keywords, or both. What a user
        wrote and posted about this very business is left aside. A streamed text is the likeliest word by word, where
        the others are searched with beams; it has one candidate, so that n above 1 is refused.
        """
        media_type = accept.choose(request.headers.getlist("accept"), (JSON, STREAM))
        ask = _Ask(backend, request, asked)
        if media_type == STREAM:
            _require_streamable(asked)
            selection = await ask.with_fallback(lambda: ask.select(asked, asked))  # or a refusal, before any event
            stream = events.encoded(_events(ask, asked, selection), limits.heartbeat_s)
            return StreamingResponse(stream, media_type=STREAM, headers={**events.HEADERS, **accept.VARY})
        answer.headers.update(accept.VARY)
        return await ask.with_fallback(lambda: _showcase(ask, asked))


def _require_streamable(asked: ShowcaseRequest) -> None:
    """
    Raises:
        RefusedError: 422, a stream can't give what is asked for.
    """
    if asked.n > 1:
        error = in_body(("n",), "stream_single_text", ONE_TEXT)
        raise RefusedError(422, f"n: {ONE_TEXT}", accept.VARY, errors=[error])


class _Ask:
    """One request on its way through the models, with the time that each took."""

    def __init__(self, backend: Backend, request: Request, person: PersonAsked) -> None:
        self.backend, self.request_id = backend, request.state.request_id
        self.bundle = backend.champions.answering(person.user_id or self.request_id)  # to the end, whatever is promoted
        self.took = {"selection": 0.0, "explanation": 0.0}
        self.scope = request.scope
        self.state = request.state
        self.state.ask = self  # for the request's log line

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """A model works on this inside the block; its queue counts with its time. Told as a metric and as a span."""
        started = time.perf_counter()
        try:
            with traces.span(stage):
                yield
            self.took[stage] = time.perf_counter() - started
        finally:
            metrics.STAGE_SECONDS.record(time.perf_counter() - started, stage=stage)

    async def with_fallback(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Work with the models; where the candidate fails, the champion does it."""
        try:
            return await work()
        except (RefusedError, CatalogError):
            raise
        except Exception:
            champion = self.backend.champions.champion
            if self.bundle == champion:
                raise
            logger.exception("request %s: %s failed, %s answers", self.request_id, self.bundle, champion)
            self.bundle = champion
            return await work()

    async def select(self, person: PersonAsked, pool: PoolAsked | None, **more: Any) -> Selection:
        """The photos; `more` are fields of the Wish that stand in for a pool.

        Raises:
            CatalogError: no such user, business or photo, or an id that can't be one.
        """
        wish = {"user_id": person.user_id, "past_reviews": person.past_reviews, "keywords": person.keywords, **more}
        wish["tenant"] = self.state.tenant
        if pool is not None:
            wish |= {"business_id": pool.business_id, "photo_ids": pool.candidates, "k": pool.k, "theta": pool.theta}
        with self.timed("selection"):
            return await self.backend.select(Wish(**wish), self.bundle)

    async def write(self, selection: Selection, how: How) -> list[Candidate]:
        with self.timed("explanation"):
            return await self.backend.write(selection, how, self.bundle)

    def problem(self, refused: RefusedError) -> events.Event:
        """The event that ends a stream before its time."""
        wait = refused.headers.get("retry-after")
        problem = problem_of(self.scope, refused).model_dump()
        streamed = StreamedProblem(**problem, retry_after=None if wait is None else int(wait))
        return "problem", streamed.model_dump(exclude_none=True)

    def facts(self, selection: Selection) -> dict[str, Any]:
        """What every answer says."""
        return {
            "request_id": self.request_id,
            "models": versions(self.bundle),
            "timings": Timings(**{name: round(1000 * seconds, 2) for name, seconds in self.took.items()}),
            "keywords": selection.keywords,
            "past_reviews": selection.past_reviews,
            "past_photos": selection.past_photos,
        }

    def showcase(
        self,
        asked: ShowcaseRequest,
        selection: Selection,
        candidates: list[Candidate],
        without: Degraded | None = None,
    ) -> Showcase:
        facts = {**self.facts(selection), **texts(candidates), **chosen(asked, selection)}
        return Showcase(**facts, degraded=without)


async def _showcase(ask: _Ask, asked: ShowcaseRequest) -> Showcase:
    selection = await ask.select(asked, asked)
    try:
        candidates = await ask.write(selection, how_of(asked))
    except OverloadedError as error:
        return ask.showcase(asked, selection, [NO_TEXT], _without(error))
    return ask.showcase(asked, selection, candidates)


async def _events(ask: _Ask, asked: ShowcaseRequest, selection: Selection) -> AsyncIterator[events.Event]:
    """Server-sent events: photos first, then the text as it is written, then the answer that `make_showcase` gives."""
    before_deadline = asyncio.timeout_at(ask.state.deadline - LAST_WORDS_S)
    try:
        async with before_deadline:
            async for one in _steps(ask, asked, selection):
                yield one
    except RefusedError as error:
        yield ask.problem(error)
    except Exception:  # the answer has begun: its status can't be changed any more
        if before_deadline.expired():
            yield ask.problem(
                RefusedError(504, "the text was not written before the deadline; its work was called off")
            )
            return
        logger.exception("request %s failed while it was streamed", ask.request_id)
        yield ask.problem(RefusedError(500, "something failed here; the service's log has more under this request id"))


async def _steps(ask: _Ask, asked: ShowcaseRequest, selection: Selection) -> AsyncIterator[events.Event]:
    yield "photos", {"photos": [photo.model_dump() for photo in shown(selection)]}
    how, told = how_of(asked), ""
    try:
        with ask.timed("explanation"):
            async for piece in ask.backend.stream(selection, how, ask.bundle):
                told += piece
                yield "text", {"piece": piece}
            candidate = await ask.backend.finish(told, selection, how, ask.bundle)
    except OverloadedError as error:
        if told:  # what was streamed can't be taken back: the stream ends with a problem
            raise
        yield "showcase", ask.showcase(asked, selection, [NO_TEXT], _without(error)).model_dump()
        return
    yield "showcase", ask.showcase(asked, selection, [candidate]).model_dump()


def _without(error: OverloadedError) -> Degraded:
    """Photos alone are better than nothing."""
    metrics.DEGRADED.record()
    return Degraded(stage=error.stage, retry_after=error.retry_after)


def how_of(asked: TextAsked) -> How:
    fields = asked.model_dump(include=set(How.__dataclass_fields__))
    return How(**{**fields, "include": tuple(asked.include), "exclude": tuple(asked.exclude)})


def chosen(asked: PoolAsked, selection: Selection) -> dict[str, Any]:
    """The photos, and what they were chosen by."""
    return {"business_id": asked.business_id, "theta": selection.theta, "photos": shown(selection)}


def shown(selection: Selection) -> list[ShownPhoto]:
    rows = zip(selection.photo_ids, selection.relevance, strict=True)
    return [ShownPhoto(photo_id=name, url=f"/v1/photos/{quote(name, safe='')}", relevance=q) for name, q in rows]


def texts(candidates: list[Candidate]) -> dict[str, Any]:
    """The preferred text's fields, and the others as alternatives."""
    first, *others = [_text(candidate) for candidate in candidates]
    return {**dict(first), "alternatives": others}


def _text(candidate: Candidate) -> Text:
    sentences = [Sentence(**asdict(row), supported=row.supported) for row in candidate.sentences]
    return Text(sentences=sentences, unsupported=candidate.unsupported, missing=candidate.missing)


def versions(bundle: Bundle) -> dict[str, ModelVersion]:
    """By role; `bundle` among them where one is registered."""
    parts = {"selector": bundle.selector, "generator": bundle.generator, "bundle": bundle.registered}
    return {role: ModelVersion(name=r.name, version=r.version, alias=r.alias) for role, r in parts.items() if r}
