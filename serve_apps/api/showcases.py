"""The routes that call the models: photos, texts, or both; as one response or streamed."""

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
    PersonFields,
    PoolFields,
    SelectionBody,
    ShowcaseBody,
    ShowcaseRequest,
    TextFields,
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
from serve_apps.deployments.generator import Draft, TextOptions
from serve_apps.deployments.lookup import Selection, SelectionQuery
from serve_apps.http import accept, events
from serve_apps.http.asgi import OverloadedError, RefusedError, problem_of
from serve_apps.http.pointers import in_body
from serve_apps.observability import metrics, traces
from serve_apps.rollout.champions import Champions
from serve_apps.rollout.models import Bundle
from showcases.catalog import Catalog, CatalogError

logger = logging.getLogger("ray.serve")
NO_TEXT = Draft([], 0, [])
Result = TypeVar("Result")
LAST_WORDS_S = 0.2  # seconds before the deadline cuts the connection, to send a final problem event
JSON, STREAM = "application/json", events.MEDIA_TYPE
ONE_TEXT = "a stream has one text: set n to 1, or request application/json"


class Backend(Protocol):
    """The two models."""

    catalog: Catalog
    champions: Champions

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection: ...

    async def write(self, selection: Selection, options: TextOptions, bundle: Bundle) -> list[Draft]: ...

    def stream(self, selection: Selection, options: TextOptions, bundle: Bundle) -> AsyncIterator[str]: ...

    async def finish(self, text: str, selection: Selection, options: TextOptions, bundle: Bundle) -> Draft: ...


def install(api: FastAPI, backend: Backend, limits: Limits) -> None:
    """Add the routes."""
    unknown = refusals(404)
    negotiated = {**refusals(404, 406), **SHOWCASE}

    @api.post("/v1/selections", response_model=SelectionAnswer, responses=unknown, tags=["showcases"])
    async def make_selection(body: SelectionBody, request: Request) -> SelectionAnswer:
        """Select photos for a person: all of a business, or candidates given by id.

        The user's own reviews and photos of the candidates' businesses are ignored, since those are recommended.
        """
        inference = _Inference(backend, request, body)
        selection = await inference.with_fallback(lambda: inference.select(body, body))
        return SelectionAnswer(**inference.facts(selection), **chosen(body, selection))

    @api.post("/v1/explanations", response_model=ExplanationAnswer, responses=unknown, tags=["showcases"])
    async def make_explanation(body: ExplanationBody, request: Request) -> ExplanationAnswer:
        """Write about given photos in the person's writing style."""
        inference = _Inference(backend, request, body)

        async def explanation() -> ExplanationAnswer:
            given = {"photo_ids": body.photo_ids, "as_given": True, "k": len(body.photo_ids)}
            selection = await inference.select(body, None, **given)
            return ExplanationAnswer(
                **inference.facts(selection), **texts(await inference.write(selection, text_options(body)))
            )

        return await inference.with_fallback(explanation)

    @api.post("/v1/showcases", response_model=Showcase, responses=negotiated, tags=["showcases"])
    async def make_showcase(body: ShowcaseBody, request: Request, answer: Response) -> Showcase | StreamingResponse:
        """Select photos of a business for a person and write about them.

        The person is a catalog user, or a new person with a few past reviews, keywords, or both. The user's own
        reviews and photos of this business are ignored. A streamed text is decoded greedily, others with beam search;
        a stream has one draft, so n above 1 is refused.
        """
        media_type = accept.choose(request.headers.getlist("accept"), (JSON, STREAM))
        inference = _Inference(backend, request, body)
        if media_type == STREAM:
            _require_streamable(body)
            # Before the stream starts, so that errors still get their own status.
            selection = await inference.with_fallback(lambda: inference.select(body, body))
            stream = events.encoded(_events(inference, body, selection), limits.heartbeat_s)
            return StreamingResponse(stream, media_type=STREAM, headers={**events.HEADERS, **accept.VARY})
        answer.headers.update(accept.VARY)
        return await inference.with_fallback(lambda: _showcase(inference, body))


def _require_streamable(body: ShowcaseRequest) -> None:
    """
    Raises:
        RefusedError: 422, more than one draft is requested.
    """
    if body.n > 1:
        error = in_body(("n",), "stream_single_text", ONE_TEXT)
        raise RefusedError(422, f"n: {ONE_TEXT}", accept.VARY, errors=[error])


class _Inference:
    """One request's calls to the models, with the duration of each."""

    def __init__(self, backend: Backend, request: Request, person: PersonFields) -> None:
        self.backend, self.request_id = backend, request.state.request_id
        self.bundle = backend.champions.answering(
            person.user_id or self.request_id
        )  # fixed, even if another is promoted meanwhile
        self.took = {"selection": 0.0, "explanation": 0.0}
        self.scope = request.scope
        self.state = request.state
        self.state.inference = self  # for the request's log line

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time the block, including queueing for the model, as a metric and a trace span."""
        started = time.perf_counter()
        try:
            with traces.span(stage):
                yield
            self.took[stage] = time.perf_counter() - started
        finally:
            metrics.STAGE_SECONDS.record(time.perf_counter() - started, stage=stage)

    async def with_fallback(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run `work`; if the candidate fails, run it again with the champion."""
        try:
            return await work()
        except (RefusedError, CatalogError):
            raise
        except Exception:
            champion = self.backend.champions.champion
            if self.bundle == champion:
                raise
            logger.exception("request %s: %s failed, falling back to %s", self.request_id, self.bundle, champion)
            self.bundle = champion
            return await work()

    async def select(self, person: PersonFields, pool: PoolFields | None, **more: Any) -> Selection:
        """Select photos; without a pool, `more` has the fields of SelectionQuery that replace it.

        Raises:
            CatalogError: no such user, business or photo, or an id that can't be one.
        """
        query = {"user_id": person.user_id, "past_reviews": person.past_reviews, "keywords": person.keywords, **more}
        query["tenant"] = self.state.tenant
        if pool is not None:
            query |= {"business_id": pool.business_id, "photo_ids": pool.candidates, "k": pool.k, "theta": pool.theta}
        with self.timed("selection"):
            return await self.backend.select(SelectionQuery(**query), self.bundle)

    async def write(self, selection: Selection, options: TextOptions) -> list[Draft]:
        with self.timed("explanation"):
            return await self.backend.write(selection, options, self.bundle)

    def problem(self, refused: RefusedError) -> events.Event:
        """The event that ends a stream early."""
        wait = refused.headers.get("retry-after")
        problem = problem_of(self.scope, refused).model_dump()
        streamed = StreamedProblem(**problem, retry_after=None if wait is None else int(wait))
        return "problem", streamed.model_dump(exclude_none=True)

    def facts(self, selection: Selection) -> dict[str, Any]:
        """Fields of every response."""
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
        body: ShowcaseRequest,
        selection: Selection,
        drafts: list[Draft],
        without: Degraded | None = None,
    ) -> Showcase:
        facts = {**self.facts(selection), **texts(drafts), **chosen(body, selection)}
        return Showcase(**facts, degraded=without)


async def _showcase(inference: _Inference, body: ShowcaseRequest) -> Showcase:
    selection = await inference.select(body, body)
    try:
        drafts = await inference.write(selection, text_options(body))
    except OverloadedError as error:
        return inference.showcase(body, selection, [NO_TEXT], _without(error))
    return inference.showcase(body, selection, drafts)


async def _events(inference: _Inference, body: ShowcaseRequest, selection: Selection) -> AsyncIterator[events.Event]:
    """Server-sent events: photos, then pieces of the text, then the complete `Showcase`."""
    before_deadline = asyncio.timeout_at(inference.state.deadline - LAST_WORDS_S)
    try:
        async with before_deadline:
            async for one in _steps(inference, body, selection):
                yield one
    except RefusedError as error:
        yield inference.problem(error)
    except Exception:  # the response has started: its status can't change any more
        if before_deadline.expired():
            yield inference.problem(
                RefusedError(504, "the text wasn't generated before the deadline; the work was cancelled")
            )
            return
        logger.exception("request %s failed while it was streamed", inference.request_id)
        yield inference.problem(RefusedError(500, "internal error; see the service's log for this request id"))


async def _steps(inference: _Inference, body: ShowcaseRequest, selection: Selection) -> AsyncIterator[events.Event]:
    yield "photos", {"photos": [photo.model_dump() for photo in shown(selection)]}
    options, text = text_options(body), ""
    try:
        with inference.timed("explanation"):
            async for piece in inference.backend.stream(selection, options, inference.bundle):
                text += piece
                yield "text", {"piece": piece}
            draft = await inference.backend.finish(text, selection, options, inference.bundle)
    except OverloadedError as error:
        if text:  # already streamed to the client, so the stream must end with a problem
            raise
        yield "showcase", inference.showcase(body, selection, [NO_TEXT], _without(error)).model_dump()
        return
    yield "showcase", inference.showcase(body, selection, [draft]).model_dump()


def _without(error: OverloadedError) -> Degraded:
    """Count and describe a response without text."""
    metrics.DEGRADED.record()
    return Degraded(stage=error.stage, retry_after=error.retry_after)


def text_options(body: TextFields) -> TextOptions:
    fields = body.model_dump(include=set(TextOptions.__dataclass_fields__))
    return TextOptions(**{**fields, "include": tuple(body.include), "exclude": tuple(body.exclude)})


def chosen(body: PoolFields, selection: Selection) -> dict[str, Any]:
    """Fields of `Shown`: the photos and the theta they were chosen with."""
    return {"business_id": body.business_id, "theta": selection.theta, "photos": shown(selection)}


def shown(selection: Selection) -> list[ShownPhoto]:
    rows = zip(selection.photo_ids, selection.relevance, strict=True)
    return [ShownPhoto(photo_id=name, url=f"/v1/photos/{quote(name, safe='')}", relevance=q) for name, q in rows]


def texts(drafts: list[Draft]) -> dict[str, Any]:
    """The best draft's fields, and the others as `alternatives`."""
    first, *others = [_text(draft) for draft in drafts]
    return {**dict(first), "alternatives": others}


def _text(draft: Draft) -> Text:
    sentences = [Sentence(**asdict(row), supported=row.supported) for row in draft.sentences]
    return Text(sentences=sentences, unsupported=draft.unsupported, missing=draft.missing)


def versions(bundle: Bundle) -> dict[str, ModelVersion]:
    """Model versions by role; includes `bundle` if one is registered."""
    parts = {"selector": bundle.selector, "generator": bundle.generator, "bundle": bundle.registered}
    return {role: ModelVersion(name=r.name, version=r.version, alias=r.alias) for role, r in parts.items() if r}
