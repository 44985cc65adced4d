// Drives the emulator with RunPod's own JavaScript client. Usage: node sdk.mjs BASE, with NODE_PATH at the folder that holds runpod-sdk.
import { createRequire } from "node:module";
import { join } from "node:path";

const base = process.argv[2];
const runpodSdk = createRequire(join(process.env.NODE_PATH, "/")).call(null, "runpod-sdk").default;
const workflow = {
  1: { class_type: "EmptyImage", inputs: { width: 16, height: 16, batch_size: 1, color: 255 } },
  2: { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "sdk" } },
};

function hold(name, value) {
  if (!value) {
    console.log("FAILED", name);
    process.exit(1);
  }
  console.log("ok", name);
}

const endpoint = runpodSdk("key-0123456789", { baseUrl: base + "/v2" }).endpoint("sdk");
const picture = (answer) => answer.status === "COMPLETED" && answer.output.images[0].data.startsWith("iVBOR");
const body = { input: { workflow } };

hold("runSync", picture(await endpoint.runSync(body, 30000)));
const job = await endpoint.run(body);
hold("run", job.id);
hold("statusSync", picture(await endpoint.statusSync(job.id, 30000)));
hold("status", picture(await endpoint.status(job.id)));
const chunks = [];
for await (const chunk of endpoint.stream((await endpoint.run(body)).id)) chunks.push(chunk);
hold("stream", chunks.length === 1);
hold("health", (await endpoint.health()).workers);
hold("cancel", (await endpoint.cancel((await endpoint.run(body)).id)).id);
hold("purgeQueue", (await endpoint.purgeQueue()).status === "completed");
