"""Drives a service with the real runpod and novita-gpus packages: submit, poll, output, stream, cancel, health, purge, errors.

Usage: sdk_sync.py BASE KIND, where KIND is runpod, runpod-async, runpod-novita (runpod with Novita's base) or novita.
Prints "ok WHAT" for each thing that holds; anything else is a failure.
"""
import asyncio, json, sys, time

base, kind = sys.argv[1], sys.argv[2]


def flow(color, width=64):
    return {"1": {"class_type": "EmptyImage", "inputs": {"width": width, "height": 64, "batch_size": 1, "color": color}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sdk"}}}


def held(what, fact):
    assert fact, what
    print("ok", what, flush=True)


def patient(call):
    """The clients give up after 3 to 10 seconds, which a busy machine may well need: what can be repeated is."""
    for _ in range(20):
        try:
            return call()
        except Exception as err:
            if "timed out" not in str(err).lower() and "timeout" not in type(err).__name__.lower():
                raise
    return call()


def until(what, fact):
    """Waits for what others do, three minutes at most."""
    end = time.monotonic() + 180
    while not patient(fact):
        assert time.monotonic() < end, what
        time.sleep(0.1)


def good(output):
    return output["images"][0]["filename"] == "sdk_00001_.png" and output["images"][0]["data"].startswith("iVBOR")


def sync(module, version):
    module.api_key = "unused"
    url = base + version
    def endpoint(name):
        if kind == "novita":
            return module.Endpoint(name, api_key="unused", endpoint_url_base=url)
        module.endpoint_url_base = url
        return module.Endpoint(name)
    e = endpoint("fast")
    job = e.run({"input": {"workflow": flow(1)}})
    held("submit", job.job_id)
    held("output", good(job.output(timeout=180)))
    held("poll", patient(job.status) == "COMPLETED")
    job = e.run({"workflow": flow(2)})  # the client wraps it
    held("wrapped", good(job.output(timeout=180)))
    bad = e.run({"input": {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}})
    held("a bad workflow fails", patient(bad.status) == "FAILED")
    if hasattr(e, "run_sync"):
        held("run_sync", good(e.run_sync({"input": {"workflow": flow(3)}}, timeout=180)))
    if hasattr(job, "stream"):
        job = e.run({"input": {"workflow": flow(4)}})
        pieces = list(job.stream())
        held("stream", len(pieces) == 1 and good(pieces[0]))
    slow = endpoint("slow")
    first, second = slow.run({"input": {"workflow": flow(5)}}), slow.run({"input": {"workflow": flow(6)}})
    health = patient(slow.health)
    held("health", health["jobs"]["inQueue"] + health["jobs"]["inProgress"] == 2 and "workers" in health)
    until("the first runs", lambda: first.status() == "IN_PROGRESS")
    held("purge", patient(slow.purge_queue)["status"] == "completed")
    patient(first.cancel)
    until("both are cancelled", lambda: first.status() == "CANCELLED" and second.status() == "CANCELLED")
    held("cancel", patient(first.status) == "CANCELLED")
    held("purged", patient(second.status) == "CANCELLED")
    try:
        endpoint("nobody").run({"input": {"workflow": flow(7)}})
        held("an unknown endpoint is an error", False)
    except AssertionError:
        raise
    except Exception as err:
        held("an unknown endpoint is an error", "404" in str(err))


async def asynchronous():
    import aiohttp, runpod
    from runpod import AsyncioEndpoint
    runpod.api_key, runpod.endpoint_url_base = "unused", base + "/v2"
    async with aiohttp.ClientSession() as session:
        e = AsyncioEndpoint("fast", session)
        job = await e.run({"workflow": flow(11)})
        held("submit", job.job_id)
        held("output", good(await job.output(timeout=180)))
        held("poll", await job.status() == "COMPLETED")
        job = await e.run({"input": {"workflow": flow(12)}, "policy": {"lowPriority": True}})  # arrives as input.input
        held("wrapped twice", good(await job.output(timeout=180)))
        job = await e.run({"workflow": flow(13)})
        pieces = [p async for p in job.stream()]
        held("stream", len(pieces) == 1)
        slow = AsyncioEndpoint("slow", session)
        job = await slow.run({"workflow": flow(14)})
        held("health", "jobs" in await slow.health())
        await slow.purge_queue()
        held("purge", True)
        await job.cancel()
        end = time.monotonic() + 180
        while await job.status() != "CANCELLED" and time.monotonic() < end:
            await asyncio.sleep(0.2)
        held("cancel", await job.status() == "CANCELLED")
        bad = await e.run({"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
        held("a bad workflow fails", await bad.status() == "FAILED")


if kind == "runpod-async":
    asyncio.run(asynchronous())
elif kind == "novita":
    import novita_gpus
    sync(novita_gpus, "/v1")
else:
    import runpod
    sync(runpod, "/v1" if kind == "runpod-novita" else "/v2")
print("done")
