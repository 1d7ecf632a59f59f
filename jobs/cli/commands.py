"""The commands of `showcases`: name, description and module. Imports nothing, so that listing is fast."""

from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")  # shells with a completion script


@dataclass(frozen=True)
class Command:
    """One step or tool.

    Args:
        module: run as `python -m MODULE`.
        line: description.
        remote: whether `jobs.submit` may run it on a cluster.
    """

    module: str
    line: str
    remote: bool = True


COMMANDS = {
    "demo": Command("jobs.demo", "run the pipeline on the generated corpus, then request one showcase", False),
    "pipeline": Command("jobs.pipeline", "run all steps in order; skips steps that are current"),
    "ingest": Command("jobs.ingest", "read the review file into tables of reviews and photos"),
    "fetch_images": Command("jobs.fetch_images", "fetch photos from URLs, a folder or tars"),
    "train_clip": Command("jobs.train_clip", "train a small CLIP, or record a pretrained one"),
    "embed": Command("jobs.embed", "encode photos and sentences"),
    "annotate": Command(
        "jobs.annotate", "label pairs of sentence and photo; export, import and curve for Label Studio"
    ),
    "distill": Command("jobs.distill", "train the pair classifier and score every pair"),
    "build_gest": Command("jobs.build_gest", "build the training datasets of selector and generator"),
    "train_selector": Command("jobs.train_selector", "train the DPP that selects photos"),
    "train_generator": Command("jobs.train_generator", "train the GPT-2 that writes the sentences"),
    "evaluate": Command("jobs.evaluate", "write a report with Tables 1 to 3, figures and a gallery"),
    "publish": Command("jobs.publish", "write photos and reviews to the service's catalog"),
    "promote": Command("jobs.promote", "promote a pair of models as the bundle to serve"),
    "reproduce": Command("jobs.reproduce", "reproduce the paper's Tables 1 to 5 and Figures 3 and 6"),
    "sweep-generator": Command("tuning.sweep_generator", "tune the generator's options"),
    "sweep-selector": Command("tuning.sweep_selector", "tune the selector's options"),
    "import_s2": Command("jobs.import_s2", "import the published GEST-s2 with its official splits"),
    "inspect": Command("jobs.inspect_data", "check the data of a workspace: counts, duplicates, leaks"),
    "lineage": Command("jobs.lineage", "trace a model version or bundle back to its data and config", False),
    "resend": Command("jobs.resend", "send pending tracking data to MLflow", False),
    "mlflow": Command("jobs.mlflow_ui", "start MLflow's UI: runs, metrics, registered models", False),
    "human_study": Command("jobs.human_study", "run the human study (Table 6) with Label Studio"),
    "serve": Command("serve_apps.run", "start the service and its web page on this machine", False),
    "keys": Command("serve_apps.keys", "manage the service's API keys"),
    "feedback": Command("serve_apps.api.feedback", "export feedback on showcases as training data"),
    "submit": Command("jobs.submit", "submit one of these to a Ray cluster and follow it", False),
}
