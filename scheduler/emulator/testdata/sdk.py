# Drives the emulator with the platforms' own Python clients. Usage: sdk.py BASE. Prints a line "ok NAME" for each thing that holds.
import asyncio
import sys

import aiohttp
import novita_gpus
import runpod
from runpod import AsyncioEndpoint, AsyncioJob  # noqa: F401

BASE = sys.argv[1]
KEY = "key-0123456789"
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sdk"}},
}


def hold(name, value, want=True):
    if value != want:
        print(f"FAILED {name}: {value!r}, want {want!r}")
        sys.exit(1)
    print("ok", name)


def picture(output):
    return output["images"][0]["type"] == "base64" and output["images"][0]["data"].startswith("iVBOR")


def sync(name, endpoint):
    job = endpoint.run({"input": {"workflow": WORKFLOW}})
    hold(f"{name} output", picture(job.output(timeout=30)))
    hold(f"{name} status", job.status(), "COMPLETED")
    hold(f"{name} health", set(endpoint.health()) >= {"jobs", "workers"})
    waiting = [endpoint.run({"input": {"workflow": WORKFLOW, "n": n}}) for n in range(3)]
    hold(f"{name} cancel", waiting[-1].cancel()["status"] in ("CANCELLED", "COMPLETED"))
    hold(f"{name} purge", "removed" in endpoint.purge_queue())
    bad = endpoint.run({"input": {"workflow": {}}})
    hold(f"{name} failed", bad.output(timeout=30) is None or "details" in str(bad.output()))
    hold(f"{name} failed status", bad.status(), "FAILED")


def runpod_only():
    endpoint = runpod.Endpoint("sdk")
    hold("runpod run_sync", picture(endpoint.run_sync({"input": {"workflow": WORKFLOW}}, timeout=30)))
    terms = {"input": {"workflow": WORKFLOW}, "policy": {"executionTimeout": 60000, "ttl": 60000, "lowPriority": False}, "webhook": "http://127.0.0.1:9/x"}
    hold("runpod terms", picture(endpoint.run(terms).output(timeout=30)))
    hold("runpod stream", [c for c in endpoint.run({"input": {"workflow": WORKFLOW}}).stream()] != [])


async def asynchronous():
    async with aiohttp.ClientSession() as session:
        endpoint = AsyncioEndpoint("sdk", session)
        jobs = await asyncio.gather(*[endpoint.run({"workflow": WORKFLOW}) for _ in range(20)])
        outputs = await asyncio.gather(*[j.output(timeout=30) for j in jobs])
        hold("runpod async", all(map(picture, outputs)))


runpod.api_key = KEY
runpod.endpoint_url_base = BASE + "/v2"
sync("runpod", runpod.Endpoint("sdk"))
runpod_only()
asyncio.run(asynchronous())
sync("novita", novita_gpus.Endpoint("sdk", api_key=KEY, endpoint_url_base=BASE + "/v1"))
