"""Replays a run's logged operations to MLflow in order; operations that fail stay for later.

All operations are idempotent, in case a response was lost: MLflow deduplicates metrics with the same step, time and
value, runs are found by their tag, model versions by their fingerprint.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.tracking import registry
from showcases.storage.s3 import MAX_ATTEMPTS, parse_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

Op = dict[str, Any]  # `do`: the operation; its arguments; plain JSON
Files = Callable[[Op], AbstractContextManager[Path]]  # folder with an op's files
PENDING = "pending-"  # prefix of a run's id until MLflow has created it
RUN_TAG = "showcases.run"  # tag of every run: its pending id
PARENT_TAG = "mlflow.parentRunId"
BATCH = 100  # MLflow's limit of params or tags per request
SMALL = ("metric", "param", "tag")
DENIED = ("PERMISSION_DENIED", "UNAUTHENTICATED")
REFUSED = (
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "MALFORMED_REQUEST",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "ENDPOINT_NOT_FOUND",
    "NOT_IMPLEMENTED",
    "INVALID_STATE",
)


class NotMadeError(Exception):
    """MLflow has no such run yet; its creation is in another spool."""


def client_of(uri: str) -> "MlflowClient":
    """A client that gives up within a minute; MLflow's default is many."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def point_at_endpoint(root: str) -> None:
    """Pass the root's endpoint and credentials to boto3, which MLflow uses for S3; else AWS defaults apply."""
    if not root.startswith("s3://"):
        return
    store = parse_root(root)
    if store.endpoint:
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = store.endpoint
    if store.region:
        os.environ["AWS_DEFAULT_REGION"] = store.region
    if store.access_key and store.secret_key:
        os.environ |= {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
        os.environ.pop("AWS_SESSION_TOKEN", None)  # belongs to other credentials
    os.environ.setdefault("AWS_RETRY_MODE", "standard")
    os.environ.setdefault("AWS_MAX_ATTEMPTS", str(MAX_ATTEMPTS))


def is_refused(error: BaseException) -> bool:
    """Whether MLflow rejects the request permanently."""
    return getattr(error, "error_code", None) in REFUSED


def is_misconfigured(error: BaseException) -> bool:
    """Whether the URI, a driver or the credentials are wrong; reported at the start."""
    return is_refused(error) or isinstance(error, ImportError) or getattr(error, "error_code", None) in DENIED


class Replay:
    """Sends the ops of one run.

    Args:
        uri: of MLflow.
        run: its id, or the pending one.
        say: logs rejected operations.
    """

    def __init__(self, uri: str, run: str, say: Callable[[str], None]) -> None:
        self.uri, self.run, self.say = uri, run, say
        self._known: dict[str, str] = {}

    @property
    def client(self) -> "MlflowClient":
        return client_of(self.uri)

    @property
    def known_run(self) -> str:
        """The run's id; the pending one until MLflow has created it."""
        return self._known.get(self.run, self.run)

    def send(self, ops: list[Op], files: Files) -> None:
        """Send ops and remove each from the list when it is done.

        Raises:
            Exception: MLflow is unavailable; the remaining ops can be sent later.
        """
        while ops:
            count = 0
            while count < min(len(ops), BATCH) and ops[count]["do"] in SMALL:
                count += 1
            if count:
                self._batch(ops[:count])
                del ops[:count]
            else:
                with files(ops[0]) as folder:
                    self.apply(ops[0], folder)
                del ops[0]

    def apply(self, op: Op, folder: Path | None = None) -> Any:
        """Send one op; rejected ones are logged and dropped.

        Raises:
            Exception: MLflow is unavailable.
        """
        try:
            return getattr(self, f"_{op['do']}")({name: value for name, value in op.items() if name != "do"}, folder)
        except Exception as error:
            if not is_refused(error) or op["do"] == "create":  # nothing works without the run
                raise
            self.say(f"MLflow rejects {op['do']}: {error}")
            return None

    def create(self, op: Op) -> str:
        """Create the run unless it exists, and return its id."""
        found = self._tagged(self.run)
        if found:
            self._known[self.run] = found[0]
            return found[0]
        tags = {**op["tags"], RUN_TAG: self.run}
        if op["parent"]:
            tags[PARENT_TAG] = self.real(op["parent"])
        experiment = self._experiment(op["experiment"], op["location"])
        made = self.client.create_run(experiment, start_time=op["start"], tags=tags, run_name=op["name"])
        self._known[self.run] = made.info.run_id
        return str(made.info.run_id)

    def real(self, run: str) -> str:
        """MLflow's id of a run.

        Raises:
            NotMadeError: the run doesn't exist yet.
        """
        if not run.startswith(PENDING):
            return run
        if run not in self._known:
            found = self._tagged(run)
            if not found:
                raise NotMadeError(f"run {run} is not in MLflow yet")
            self._known[run] = found[0]
        return self._known[run]

    def _tagged(self, pending: str) -> list[str]:
        """Ids of the runs created for a pending id, in order; several if a response was lost."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        wanted = f"tags.`{RUN_TAG}` = '{pending}'"
        found = self.client.search_runs(experiments, wanted, order_by=["run_id"]) if experiments else []
        return [str(run.info.run_id) for run in found]

    def _experiment(self, name: str, location: str | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, artifact_location=location))
            except MlflowException:  # created concurrently, or MLflow is unavailable: then this raises too
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _batch(self, ops: list[Op]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(op["key"], op["value"], op["time"], op["step"]) for op in ops if op["do"] == "metric"]
        params = [Param(op["key"], op["value"]) for op in ops if op["do"] == "param"]
        tags = [RunTag(op["key"], op["value"]) for op in ops if op["do"] == "tag"]
        try:
            self.client.log_batch(self.real(self.run), metrics, params, tags)
        except Exception as error:
            if not is_refused(error):
                raise
            if len(ops) == 1:
                self.say(f"MLflow rejects {ops[0]['do']} {ops[0]['key']}: {error}")
            else:
                for op in ops:
                    self._batch([op])

    def _create(self, op: Op, _: Path | None) -> str:
        return self.create(op)

    def _continue(self, op: Op, _: Path | None) -> None:
        self.client.update_run(self.real(self.run), status="RUNNING")

    def _files(self, op: Op, folder: Path | None) -> bool:
        self.client.log_artifacts(self.real(self.run), str(folder), op["to"])
        return True

    def _inputs(self, op: Op, _: Path | None) -> bool:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(each["name"], each["digest"], each["type"], json.dumps(each["source"]), None, each["profile"]),
                [InputTag("mlflow.data.context", each["context"])],
            )
            for each in op["datasets"]
        ]
        self.client.log_inputs(self.real(self.run), inputs)
        return True

    def _register(self, op: Op, _: Path | None) -> tuple[int, bool]:
        registration = registry.Registration(**(op | {"comparable": tuple(op["comparable"])}))
        return registry.register(self.client, self.real(self.run), registration)

    def _to_version(self, op: Op, folder: Path | None) -> int | None:
        return registry.log_to_version(self.client, op["name"], op["fingerprint"], str(folder), op["to"])

    def _finish(self, op: Op, _: Path | None) -> None:
        run = self.real(self.run)
        self.client.set_terminated(run, op["status"], op["end"])
        for twin in self._tagged(self.run):
            if twin != run:
                self.client.delete_run(twin)
