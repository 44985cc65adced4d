// The page of `comfyc serve`. Everything is asked of /api/v1; what clients named is put in as text, never as markup.
'use strict';
const $ = id => document.getElementById(id);
const api = '/api/v1';
let csrf = '', oldest = '', streams = new Map();

// make builds an element: make('b', {class: 'x'}, 'text', child…).
function make(tag, attrs, ...children) {
  const el = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (k.startsWith('on')) el.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== false) el.setAttribute(k, v);
  }
  el.append(...children.filter(c => c !== undefined && c !== null && c !== false));
  return el;
}

async function ask(path, options = {}) {
  options.headers = Object.assign(csrf ? {'X-CSRF-Token': csrf} : {}, options.headers);
  const answer = await fetch(api + path, options);
  if (answer.status === 401 && path !== '/login') { login(); throw new Error('not logged in'); }
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail || answer.statusText), {problem: body});
  return body;
}

function toast(text) {
  $('toast').textContent = text;
  $('toast').classList.add('on');
  setTimeout(() => $('toast').classList.remove('on'), 4000);
}
const fail = e => e.message === 'not logged in' || toast(e.message);

const money = usd => !usd ? '$0' : usd < .001 ? '<$0.001' : '$' + usd.toFixed(usd < 1 ? 3 : 2);
const ago = text => {
  const s = (Date.now() - new Date(text)) / 1000;
  return s < 60 ? 'just now' : s < 3600 ? Math.floor(s / 60) + ' min ago' : s < 86400 ? Math.floor(s / 3600) + ' h ago' : Math.floor(s / 86400) + ' d ago';
};
const eta = ns => { const s = Math.round(ns / 1e9); return s < 90 ? s + ' s to go' : Math.round(s / 60) + ' min to go'; };

// bar shows parts of a whole.
function bar(total, parts) {
  const b = make('div', {class: 'bar', role: 'img', 'aria-label': parts.map(([k, n]) => n + ' ' + k).join(', ') + ' of ' + total});
  for (const [kind, n] of parts) {
    const i = make('i', {class: kind});
    i.style.width = 100 * Math.min(1, n / Math.max(1, total)) + '%';
    b.append(i);
  }
  return b;
}

function showStatus(s) {
  $('f-running').textContent = s.queue.Batches + s.queue.Jobs;
  $('f-waiting').textContent = s.queue.Waiting;
  $('endpoints').replaceChildren(...s.endpoints.map(e => make('div', {class: 'card'},
    make('b', {}, make('span', {class: 'dot' + (!e.usable ? ' off' : e.busy > 0 ? ' busy' : '')}), e.name),
    make('small', {}, [e.type, e.gpu].filter(Boolean).join(' · ')),
    bar(e.places, [['busy', e.busy]]),
    make('small', {}, Math.round(e.busy) + ' of ' + e.places + ' places taken'),
    ...s.pools.filter(p => p.endpoints.includes(e.name) && p.waiting + p.running > 0).map(p => make('small', {class: 'line'}, 'pool ' + p.name + ': ' + p.running + ' jobs run, ' + p.waiting + ' wait')),
    !e.usable && make('div', {class: 'bad'}, (e.reason || 'out of order') + (e.code ? ' [' + e.code + ']' : '')))));
  const chosen = $('pool').value;
  $('pool').replaceChildren(make('option', {value: ''}, 'as the batch says'), ...s.pools.map(p => make('option', {value: p.name}, p.name)));
  $('pool').value = chosen;
}

// counts of a batch: live totals, or how it ended.
function counts(b) {
  const t = b.totals || b.result || {};
  return {total: b.renders || 0, done: t.done || 0, active: b.totals ? t.active || 0 : 0, failed: t.failed || 0, held: t.held || 0, cancelled: t.cancelled || 0};
}

const final = s => s !== 'waiting' && s !== 'running';

function showBatch(b) {
  const failures = b.result && b.result.failures || [], c = counts(b), at = api + '/batches/' + b.id;
  const body = make('article', {class: 'batch', id: 'b-' + b.id, 'aria-label': b.name, 'data-state': b.state},
    make('div', {class: 'head'},
      make('h3', {}, b.name), make('span', {class: 'state ' + b.state}, b.state),
      make('span', {class: 'facts'}, [c.done + ' of ' + c.total + ' done', c.active && c.active + ' active', c.failed && c.failed + ' failed', c.held && c.held + ' held',
        money(b.totals ? b.totals.spent_usd : b.spent_usd), b.totals && b.totals.reserved_usd && money(b.totals.reserved_usd) + ' in flight', b.totals && b.totals.eta_ns && eta(b.totals.eta_ns), b.owner, ago(b.created)].filter(Boolean).join(' · ')),
      make('span', {class: 'acts'},
        (c.done > 0 || final(b.state)) && make('a', {class: 'button', href: at + '/gallery/', target: '_blank', rel: 'noopener'}, 'Gallery'),
        !final(b.state) && make('button', {onclick: () => act(b.id, '', 'DELETE')}, 'Cancel'),
        final(b.state) && b.state !== 'done' && make('button', {onclick: () => act(b.id, '/retry', 'POST')}, 'Retry'))),
    bar(c.total, [['done', c.done], ['failed', c.failed], ['held', c.held], ['active', c.active]]),
    b.error && !failures.some(f => f.reason === b.error) && make('div', {class: 'bad'}, b.error));
  for (const f of failures.slice(0, 3))
    body.append(make('div', {class: 'trouble'}, make('b', {}, 'render ' + f.index), ' ' + (f.reason || 'failed'), f.code && make('code', {}, f.code)));
  if (failures.length > 3) body.append(make('div', {class: 'quiet'}, 'and ' + (c.failed - 3) + ' more, in the gallery'));
  const old = $('b-' + b.id);
  if (old) {
    for (const keep of old.querySelectorAll('.thumbs, .log')) body.append(keep);
    old.replaceWith(body);
  } else {
    const newer = [...$('batches').children].find(el => el.id < body.id);
    newer ? newer.before(body) : $('batches').append(body);
  }
  filter();
  if (!final(b.state)) watch(b.id); else unwatch(b.id);
  if (!body.querySelector('.thumbs') && c.done) thumbs(b.id);
}

// filter hides what was not asked for.
let shown = '';
const trouble = s => s === 'failed' || s === 'incomplete';
function filter() {
  let n = 0;
  for (const el of $('batches').children) {
    el.hidden = shown === 'active' && final(el.dataset.state) || shown === 'trouble' && !trouble(el.dataset.state);
    if (!el.hidden) n++;
  }
  $('hidden').hidden = !shown || n > 0;
}
$('filter').addEventListener('click', e => {
  if (!e.target.dataset || e.target.dataset.show === undefined) return;
  shown = e.target.dataset.show;
  for (const b of $('filter').children) b.setAttribute('aria-pressed', b === e.target);
  filter();
});

async function act(id, path, method) {
  try { showBatch(await ask('/batches/' + id + path, {method, headers: {'Content-Type': 'application/json'}})); } catch (e) { fail(e); }
}

// thumbs shows the newest pictures of a batch.
async function thumbs(id) {
  try {
    const {renders} = await ask('/batches/' + id + '/renders?limit=10');
    addThumbs(id, renders.flatMap(r => r.files || []));
  } catch (e) { fail(e); }
}

function addThumbs(id, files) {
  const card = $('b-' + id);
  if (!card) return;
  let row = card.querySelector('.thumbs');
  if (!row) card.append(row = make('div', {class: 'thumbs'}));
  for (const f of files) {
    if (!f.thumb || row.querySelector('[data-path="' + CSS.escape(f.path) + '"]')) continue;
    const at = api + '/batches/' + id + '/gallery/';
    const url = p => at + p.split('/').map(encodeURIComponent).join('/');
    row.prepend(make('a', {href: url(f.path), target: '_blank', rel: 'noopener', 'data-path': f.path}, make('img', {src: url(f.thumb), alt: f.path, loading: 'lazy'})));
    while (row.children.length > 10) row.lastChild.remove();
  }
}

function logLine(id, text, kind) {
  const card = $('b-' + id);
  if (!card) return;
  let list = card.querySelector('.log');
  if (!list) card.append(list = make('ol', {class: 'log'}));
  list.prepend(make('li', {class: kind}, text));
  while (list.children.length > 50) list.lastChild.remove();
}

// watch follows a batch's events; the browser comes back with Last-Event-ID by itself.
function watch(id) {
  if (streams.has(id) || streams.size >= 4) return; // HTTP/1.1 has six connections; the rest is polled
  const s = new EventSource(api + '/batches/' + id + '/events');
  streams.set(id, s);
  let due = 0;
  const refresh = () => { if (!due) due = setTimeout(async () => { due = 0; try { showBatch(await ask('/batches/' + id)); } catch (e) { fail(e); } }, 250); };
  s.addEventListener('state', refresh);
  s.addEventListener('totals', refresh);
  s.addEventListener('render', e => {
    const r = JSON.parse(e.data);
    if (r.files) addThumbs(id, r.files);
    if (r.state === 'failed' || r.state === 'held') logLine(id, 'render ' + r.index + ' ' + r.state + ': ' + (r.reason || ''), 'bad');
  });
  const out = new Set(); // endpoints that were out of order: that they are usable is news then
  s.addEventListener('endpoint', e => {
    const p = JSON.parse(e.data);
    if (!p.usable) { out.add(p.name); logLine(id, p.name + ': ' + (p.reason || 'cannot be used'), 'warn'); }
    else if (out.delete(p.name)) logLine(id, p.name + ' is usable again', '');
  });
  s.addEventListener('notice', e => logLine(id, JSON.parse(e.data).message, 'warn'));
}

function unwatch(id) {
  if (streams.has(id)) { streams.get(id).close(); streams.delete(id); }
}

let rounds = 0;
async function refresh() {
  try {
    showStatus(await ask('/status'));
    const list = (await ask('/batches?limit=20')).batches;
    list.forEach(showBatch);
    if (!oldest && list.length) oldest = list[list.length - 1].id;
    $('none').hidden = $('batches').children.length > 0;
    $('more').hidden = list.length < 20;
    $('f-spent').textContent = money(list.reduce((sum, b) => sum + (b.totals ? b.totals.spent_usd : b.spent_usd || 0), 0));
  } catch (e) { if (rounds++ % 10 === 0) fail(e); }
}

$('more').addEventListener('click', async () => {
  try {
    const {batches, next} = await ask('/batches?limit=20&before=' + oldest);
    batches.forEach(showBatch);
    if (batches.length) oldest = batches[batches.length - 1].id;
    $('more').hidden = !next;
  } catch (e) { fail(e); }
});

// The form.
const example = 'version: 1\nname: first\nworkflow: workflow.json\nsweep:\n  matrix:\n    KSampler.seed: {random: 4}\n';
$('new').addEventListener('click', () => { if (!$('text').value) $('text').value = example; $('submit').showModal(); check(); });
let typing = 0, checks = 0;
$('text').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(check, 300); });
$('files').addEventListener('change', () => check());
$('pool').addEventListener('change', () => check());

function form() {
  const data = new FormData(), text = $('text').value;
  data.append('batch', new File([text], text.trimStart().startsWith('{') ? 'batch.json' : 'batch.yaml'));
  for (const f of $('files').files) data.append(f.webkitRelativePath || f.name, f);
  return data;
}
const query = () => $('pool').value ? '?pool=' + encodeURIComponent($('pool').value) : '';

async function check() {
  const mine = ++checks;
  let findings = [], verdict = '', good = false;
  try {
    const {plan, diagnostics} = await ask('/plan' + query(), {method: 'POST', body: form()});
    findings = diagnostics; good = true;
    verdict = (plan.renders ?? '?') + ' renders';
  } catch (e) {
    if (!e.problem) return fail(e);
    findings = e.problem.diagnostics || [];
    verdict = findings.length ? '' : e.message;
  }
  if (mine !== checks) return; // a newer answer is on its way
  $('send').disabled = !good;
  $('verdict').textContent = verdict;
  $('verdict').className = good ? '' : 'bad';
  $('findings').replaceChildren(...findings.map(d => make('li', {class: d.severity === 'error' ? 'bad' : 'warn'},
    make('button', {type: 'button', onclick: () => jump(d)}, (d.file || '') + (d.line ? ':' + d.line + ':' + d.column : '')), ' ', d.message, ' [' + d.code + ']', d.hint ? ' – ' + d.hint : '')));
}

// jump puts the cursor where a finding is.
function jump(d) {
  if (!d.line) return;
  const lines = $('text').value.split('\n');
  const at = lines.slice(0, d.line - 1).reduce((n, l) => n + l.length + 1, 0) + (d.column || 1) - 1;
  $('text').focus();
  $('text').setSelectionRange(at, at + 1);
}

$('submit-form').addEventListener('submit', async e => {
  if (e.submitter && e.submitter.value !== 'send') return;
  e.preventDefault();
  try {
    const b = await ask('/batches' + query(), {method: 'POST', body: form(), headers: {'Idempotency-Key': crypto.randomUUID ? crypto.randomUUID() : String(Math.random())}});
    $('submit').close();
    toast(b.name + ': ' + b.renders + ' renders submitted');
    refresh();
  } catch (err) { fail(err); check(); }
});

function login() { if (!$('login').open) $('login').showModal(); }
$('login-form').addEventListener('submit', async e => {
  e.preventDefault();
  try {
    await ask('/login', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({key: $('key').value})});
    $('key').value = '';
    $('login').close();
    start();
  } catch (err) { $('login-error').textContent = err.message; }
});

async function start() {
  try {
    const s = await ask('/session');
    csrf = s.csrf || '';
    $('who').replaceChildren(s.key, ' ', s.csrf ? make('button', {onclick: async () => { await ask('/logout', {method: 'POST', headers: {'Content-Type': 'application/json'}}); location.reload(); }}, 'Log out') : '');
    $('new').hidden = !(s.scopes.includes('submit') || s.scopes.includes('admin'));
  } catch (e) { return fail(e); }
  refresh();
}
$('origin').textContent = location.origin;
setInterval(() => { if (!document.hidden && !$('login').open) refresh(); }, 3000);
start();
