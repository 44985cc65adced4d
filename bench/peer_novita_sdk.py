"""Runs jobs with the novita-gpus package, whose calls block, in threads: the most that its users do.

Usage: peer_novita_sdk.py BASE JOBS PROMPT_FILE. Each job is submitted, then asked for once a second, as the package's own output() does. Prints one
JSON object.
"""

import concurrent.futures
import json
import resource
import sys
import time
from importlib.metadata import version

import novita_gpus

THREADS = 200


def one(endpoint, prompt):
    job = endpoint.run({"workflow": prompt})
    while job.status() not in ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"):
        time.sleep(1)
    return job.status()


def main(base, jobs, prompt):
    endpoint = novita_gpus.Endpoint("ep", api_key="peer", endpoint_url_base=base)
    finished = {}
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for status in pool.map(lambda _: one(endpoint, prompt), range(jobs)):
            finished[status] = finished.get(status, 0) + 1
    wall = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"jobs": jobs, "wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "finished": finished, "version": version("novita-gpus")}))


if __name__ == "__main__":
    with open(sys.argv[3]) as f:
        main(sys.argv[1], int(sys.argv[2]), json.load(f))
