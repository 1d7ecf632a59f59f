"""Run clip-retrieval's inference; by an interpreter that has clip-retrieval and need not have this project.

python clip_retrieval_run.py PHOTOS OUT MODEL BATCH WORKERS
"""

import sys


def main() -> None:
    import torch

    try:
        import torchvision
    except RuntimeError:  # a torch without CUDA beside a torchvision built for it: declare what it misses
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        import torchvision  # noqa: F401
    from clip_retrieval.clip_inference.main import main as inference

    photos, out, model, batch, workers = sys.argv[1:]
    inference(
        input_dataset=photos,
        output_folder=out,
        enable_text=False,
        batch_size=int(batch),
        num_prepro_workers=int(workers),
        clip_model=model,
    )


if __name__ == "__main__":
    main()
