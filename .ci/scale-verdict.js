// Reads the JSON of `wxtest load` and checks what .ci/scale wants:
//
//   node scale-verdict.js result.json FROM-TO FROM-TO
//
// No response was wrong, every error is one of the contract, and all errors came within the seconds FROM-TO of a fault.
'use strict';

const fs = require('node:fs');

const [file, ...spans] = process.argv.slice(2);
const result = JSON.parse(fs.readFileSync(file, 'utf8'));
const windows = spans.map((span) => span.split('-').map(Number));

const CONTRACT = new Set(['invalid_code', 'invalid_token', 'storage_unavailable', 'wechat_unavailable', 'undecryptable']);

const faults = [];
const fault = (text) => faults.push(text);

if (result.endedEarly || result.all.requests < 1000) fault(`${result.all.requests} requests in ${result.seconds} s are no load`);
for (const wrong of result.wrongAnswers) fault(`${wrong.count} wrong answers: ${wrong.kind}`);
for (const { code, count } of result.errors) {
  if (!CONTRACT.has(code)) fault(`${count} times ${code}, which must not happen here`);
}

const within = (second) => windows.some(([from, to]) => second >= from && second <= to);
const shown = windows.map(() => []);
for (const { second, errors } of result.timeline.moments) {
  const count = Object.values(errors || {}).reduce((sum, n) => sum + n, 0);
  if (count === 0) continue;
  if (!within(second)) fault(`second ${second}: ${JSON.stringify(errors)}, without a fault`);
  windows.forEach(([from, to], i) => { if (second >= from && second <= to) shown[i].push([second, count]); });
}
windows.forEach(([from, to], i) => {
  const all = shown[i].reduce((sum, [, n]) => sum + n, 0);
  const when = shown[i].length ? `in seconds ${shown[i][0][0]} to ${shown[i].at(-1)[0]}` : '';
  console.log(`fault of second ${from} (until ${to}): ${all} errors ${when}`);
});
console.log(`${result.all.requests} requests, ${result.all.errors} errors, ${result.wrongAnswers.length} kinds of wrong answers`);
for (const text of faults) console.log(`NOT ok: ${text}`);
process.exitCode = faults.length ? 1 : 0;
