"""Runs some jobs with the runpod package's AsyncioEndpoint and gather, as its documentation shows, and prints one line of JSON.

usage: peer_runpod_sdk.py BASE_URL JOBS PROMPT_FILE
"""
import asyncio
import json
import resource
import sys
import time

import runpod
from runpod import AsyncioEndpoint
from runpod.http_client import AsyncClientSession


async def one(endpoint, prompt, finished):
    job = await endpoint.run({"workflow": prompt})
    while True:
        status = await job.status()
        if status in ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"):
            finished[status] = finished.get(status, 0) + 1
            return
        await asyncio.sleep(1)


async def main(base, jobs, prompt):
    runpod.api_key = "peer"
    runpod.endpoint_url_base = base
    finished = {}
    start = time.perf_counter()
    async with AsyncClientSession() as session:
        endpoint = AsyncioEndpoint("ep", session)
        await asyncio.gather(*(one(endpoint, prompt, finished) for _ in range(jobs)))
    wall = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"jobs": jobs, "wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "finished": finished, "version": getattr(runpod, "__version__", "")}))


if __name__ == "__main__":
    with open(sys.argv[3]) as f:
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.load(f)))
