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
// The client gives up after 3 seconds, which a busy machine may well need: what can be repeated is.
const patient = async call => {
  for (let i = 0; i < 20; i++) {
    try { return await call(); } catch (err) { if (!/time.?out|ECONNABORTED/i.test(String(err) + (err.code || ''))) throw err; }
  }
  return call();
};
const until = async (id, endpoint, want) => {
  for (const end = Date.now() + 180000; Date.now() < end; await sleep(100)) if ((await patient(() => endpoint.status(id))).status === want) return;
};
const sleep = ms => new Promise(done => setTimeout(done, ms));

(async () => {
  const sdk = runpodSdk('unused', {baseUrl: base + '/v2'});
  const e = sdk.endpoint('fast'), slow = sdk.endpoint('slow');
  const job = await e.run({input: {workflow: flow(21)}});
  held('submit', job.id);
  let status;
  do { status = await patient(() => e.statusSync(job.id, 20000)); } while (status.status === 'IN_QUEUE' || status.status === 'IN_PROGRESS');
  held('output', status.status === 'COMPLETED' && good(status.output));
  held('poll', (await patient(() => e.status(job.id))).status === 'COMPLETED');
  const direct = await e.runSync({input: {workflow: flow(22)}});
  held('runSync', good(direct.output));
  const streamed = await e.run({input: {workflow: flow(23)}});
  const pieces = [];
  for await (const piece of e.stream(streamed.id)) pieces.push(piece);
  held('stream', pieces.length === 1 && good(pieces[0].output));
  const bad = await e.run({input: {workflow: {1: {class_type: 'NoSuchNode', inputs: {}}}}});
  status = await patient(() => e.status(bad.id));
  held('a bad workflow fails', status.status === 'FAILED' && status.error.includes('NoSuchNode'));
  const first = await slow.run({input: {workflow: flow(24)}}), second = await slow.run({input: {workflow: flow(25)}});
  held('health', 'jobs' in await patient(() => slow.health()));
  await until(first.id, slow, 'IN_PROGRESS');
  await patient(() => slow.purgeQueue());
  held('purge', (await patient(() => slow.status(second.id))).status === 'CANCELLED');
  await patient(() => slow.cancel(first.id));
  await until(first.id, slow, 'CANCELLED');
  held('cancel', (await patient(() => slow.status(first.id))).status === 'CANCELLED');
  let error = '';
  try { await sdk.endpoint('nobody').run({input: {}}); } catch (err) { error = String(err); }
  held('an unknown endpoint is an error', error !== '');
  console.log('done');
})().catch(err => { console.error(err); process.exit(1); });
