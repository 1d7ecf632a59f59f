"""What `showcases STEP` can do: a name, a line and a module each. Imports nothing, so that the list comes at once."""

from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")  # that `showcases completion` writes a script for


@dataclass(frozen=True)
class Command:
    """One step or tool.

    Args:
        module: run as `python -m MODULE`.
        line: what it does.
        remote: `jobs.submit` may send it to a cluster.
    """

    module: str
    line: str
    remote: bool = True


COMMANDS = {
    "demo": Command("jobs.demo", "the whole flow on the generated corpus, then one showcase from the service", False),
    "pipeline": Command("jobs.pipeline", "all steps of the flow in order; skips what stands"),
    "ingest": Command("jobs.ingest", "the review file to tables of reviews and photos"),
    "fetch_images": Command("jobs.fetch_images", "the photos' bytes, from URLs, a folder or tars"),
    "train_clip": Command("jobs.train_clip", "the encoder: a small CLIP, or a note of published weights"),
    "embed": Command("jobs.embed", "photos and sentences to vectors"),
    "annotate": Command(
        "jobs.annotate", "labelled pairs of sentence and photo; export, import and curve for Label Studio"
    ),
    "distill": Command("jobs.distill", "the classifier of pairs, and a score for every pair"),
    "build_gest": Command("jobs.build_gest", "the datasets that selector and generator are trained on"),
    "train_selector": Command("jobs.train_selector", "the DPP that chooses photos"),
    "train_generator": Command("jobs.train_generator", "the GPT-2 that writes the sentences"),
    "evaluate": Command("jobs.evaluate", "Tables 1 to 3, figures and a gallery: one report"),
    "publish": Command("jobs.publish", "photos and reviews to the catalog that the service reads"),
    "promote": Command("jobs.promote", "a pair of models as the bundle that the service loads"),
    "reproduce": Command("jobs.reproduce", "the paper's Tables 1 to 5 and Figures 3 and 6, ours beside the paper's"),
    "sweep-generator": Command("tuning.sweep_generator", "a search over the generator's options"),
    "sweep-selector": Command("tuning.sweep_selector", "a search over the selector's options"),
    "import_s2": Command("jobs.import_s2", "the published GEST-s2 with its official splits"),
    "inspect": Command("jobs.inspect_data", "looks at the data of a workspace: counts, duplicates, leaks"),
    "lineage": Command("jobs.lineage", "from a model's version, or a bundle, back to its data and config", False),
    "resend": Command("jobs.resend", "what MLflow missed while it was away, sent now", False),
    "mlflow": Command("jobs.mlflow_ui", "MLflow's pages on a workspace: runs, metrics, registered models", False),
    "human_study": Command("jobs.human_study", "Table 6: Label Studio tasks for judges out, their answers in"),
    "serve": Command("serve_apps.run", "the service and its page, on this machine", False),
    "keys": Command("serve_apps.keys", "the service's API keys"),
    "feedback": Command("serve_apps.api.feedback", "what people thought of showcases, as training data"),
    "submit": Command("jobs.submit", "sends one of these to a Ray cluster and follows it", False),
}
