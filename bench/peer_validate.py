"""Times another validator of ComfyUI prompts over recorded ones, in process.

Run with the Python that the validator is installed in: peer_validate.py comfy-lint|comfyui PLACE CASES PASSES
PLACE is an /object_info file for comfy-lint, the folder of a checkout for ComfyUI. CASES has one JSON object a line, {"prompt", "valid"}.
Reading JSON is left out of the passes, and so is the copy of a prompt that ComfyUI writes into. Prints one JSON object.
"""

import copy
import gc
import json
import os
import pathlib
import sys
import time


def comfy_lint(place):
    """Gives the version, and a function that says whether a prompt is valid."""
    from importlib.metadata import version

    from comfy_lint import linter, schema

    known = schema.load_from_file(place)

    def valid(prompt):
        return linter.counts(linter.lint_workflow(linter.coerce_workflow(prompt), known))[0] == 0

    return version("comfy-lint"), valid


def comfyui(place):
    """The same of ComfyUI itself, with its own classes and without any model or custom node."""
    import asyncio
    import logging

    os.chdir(place)
    sys.path.insert(0, place)
    sys.argv = ["main.py", "--cpu"]
    logging.disable(logging.CRITICAL)
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfyui_version
    import execution
    import nodes

    loop = asyncio.new_event_loop()
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False))

    def valid(prompt):
        return loop.run_until_complete(execution.validate_prompt("bench", prompt, None))[0]

    return comfyui_version.__version__, valid


def timed_pass(valid, prompts):
    """Looks at every prompt once; gives wall seconds, processor seconds and the verdicts, None for a crash."""
    prompts = copy.deepcopy(prompts)
    verdicts = []
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for prompt in prompts:
        try:
            verdicts.append(bool(valid(prompt)))
        except Exception:  # counts as work done, and as a wrong verdict
            verdicts.append(None)
    return time.perf_counter() - wall, time.process_time() - cpu, verdicts


def main():
    name, place, cases_path, passes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    cases = [json.loads(line) for line in pathlib.Path(cases_path).read_text().splitlines()]
    out = os.dup(1)
    os.dup2(2, 1)  # what a validator prints is not for the reader of the result
    version, valid = {"comfy-lint": comfy_lint, "comfyui": comfyui}[name](place)
    prompts = [case["prompt"] for case in cases]
    timed_pass(valid, prompts[:50])  # warm up
    runs = [timed_pass(valid, prompts) for _ in range(passes)]
    right = sum(verdict == case["valid"] for verdict, case in zip(runs[0][2], cases))
    os.write(out, json.dumps({
        "version": version, "prompts": len(cases), "right": right,
        "wall_s": [run[0] for run in runs], "cpu_s": [run[1] for run in runs],
    }).encode())


if __name__ == "__main__":
    main()
