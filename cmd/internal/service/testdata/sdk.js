// Drives a service with the real runpod-sdk: submit, poll, output, stream, cancel, health, purge, errors.
// Usage: node sdk.js BASE. Prints "ok WHAT" for each thing that holds.
const runpodSdk = require('runpod-sdk').default;
const base = process.argv[2];
const flow = color => ({
  1: {class_type: 'EmptyImage', inputs: {width: 64, height: 64, batch_size: 1, color}},
  2: {class_type: 'SaveImage', inputs: {images: ['1', 0], filename_prefix: 'sdk'}},
});
const held = (what, fact) => { if (!fact) throw new Error(what); console.log('ok', what); };
const good = output => output.images[0].filename === 'sdk_00001_.png' && output.images[0].data.startsWith('iVBOR');
const sleep = ms => new Promise(done => setTimeout(done, ms));

(async () => {
  const sdk = runpodSdk('unused', {baseUrl: base + '/v2'});
  const e = sdk.endpoint('fast'), slow = sdk.endpoint('slow');
  const job = await e.run({input: {workflow: flow(21)}});
  held('submit', job.id);
  let status = await e.statusSync(job.id, 20000);
  held('output', status.status === 'COMPLETED' && good(status.output));
  held('poll', (await e.status(job.id)).status === 'COMPLETED');
  const direct = await e.runSync({input: {workflow: flow(22)}});
  held('runSync', good(direct.output));
  const streamed = await e.run({input: {workflow: flow(23)}});
  const pieces = [];
  for await (const piece of e.stream(streamed.id)) pieces.push(piece);
  held('stream', pieces.length === 1 && good(pieces[0].output));
  const bad = await e.run({input: {workflow: {1: {class_type: 'NoSuchNode', inputs: {}}}}});
  status = await e.status(bad.id);
  held('a bad workflow fails', status.status === 'FAILED' && status.error.includes('NoSuchNode'));
  const first = await slow.run({input: {workflow: flow(24)}}), second = await slow.run({input: {workflow: flow(25)}});
  held('health', 'jobs' in await slow.health());
  for (let i = 0; i < 100 && (await slow.status(first.id)).status !== 'IN_PROGRESS'; i++) await sleep(100);
  await slow.purgeQueue();
  held('purge', (await slow.status(second.id)).status === 'CANCELLED');
  await slow.cancel(first.id);
  for (let i = 0; i < 100 && (await slow.status(first.id)).status !== 'CANCELLED'; i++) await sleep(200);
  held('cancel', (await slow.status(first.id)).status === 'CANCELLED');
  let error = '';
  try { await sdk.endpoint('nobody').run({input: {}}); } catch (err) { error = String(err); }
  held('an unknown endpoint is an error', error !== '');
  console.log('done');
})().catch(err => { console.error(err); process.exit(1); });
