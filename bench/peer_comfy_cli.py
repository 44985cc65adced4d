"""Times comfy-cli's own UI-to-API converter over a folder of workflows.

Run with the Python that comfy-cli is installed in: peer_comfy_cli.py OBJECT_INFO FOLDER PASSES
Reading the files is left out of the passes and timed apart. Prints one JSON object.
"""

import gc
import json
import pathlib
import sys
import time
from importlib.metadata import version

from comfy_cli.workflow_to_api import convert_ui_to_api


def timed_pass(workflows, object_info):
    """Converts every workflow once; gives wall seconds, processor seconds and how many were refused."""
    refused = 0
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for workflow in workflows:
        try:
            convert_ui_to_api(workflow, object_info)
        except Exception:  # a refusal counts as work done
            refused += 1
    return time.perf_counter() - wall, time.process_time() - cpu, refused


def main():
    info_path, folder, passes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    start = time.perf_counter()
    object_info = json.loads(pathlib.Path(info_path).read_text())
    info_seconds = time.perf_counter() - start
    texts = [path.read_text() for path in sorted(pathlib.Path(folder).glob("*.json"))]
    start = time.perf_counter()
    workflows = [json.loads(text) for text in texts]
    parse_seconds = time.perf_counter() - start
    timed_pass(workflows[:10], object_info)  # warm up
    runs = [timed_pass(workflows, object_info) for _ in range(passes)]
    print(json.dumps({
        "version": version("comfy-cli"),
        "converter": "comfy_cli.workflow_to_api.convert_ui_to_api",
        "files": len(workflows),
        "refused": runs[0][2],
        "wall_s": [run[0] for run in runs],
        "cpu_s": [run[1] for run in runs],
        "parse_s": parse_seconds,
        "object_info_s": info_seconds,
    }))


if __name__ == "__main__":
    main()
