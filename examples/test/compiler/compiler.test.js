// WeChat's own compiler of WXML and WXSS takes the mini-program, and makes the same trees of its pages as phone/wxml.js. It
// is a package (npm ci) with a program inside for Linux, macOS and Windows on x86-64.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { wxmlToJs, wxssToJs } = require('miniprogram-compiler');
const { parse, render } = require('../../phone/wxml.js');

const folder = path.join(__dirname, '../../miniprogram');
const { pages } = require('../../miniprogram/app.json');
// The compiler's JavaScript extends the prototypes around it, harmlessly: this file has a process of its own.
const warnings = [];
const generatorOf = new Function('global', 'window', 'console', wxmlToJs(folder))(
  {}, { __webview_engine_version__: 0.02 }, { warn: (text) => warnings.push(text) });

function initialData(page) {
  const registered = [];
  globalThis.Page = (options) => registered.push(options);
  require(path.join(folder, page));
  return registered[0].data;
}

// allData gives every combination of values: those the template compares with, another one, and an empty one.
function allData(data, wxml) {
  return Object.entries(data).reduce((all, [name, value]) => (
    valuesOf(name, value, wxml).flatMap((one) => all.map((others) => ({ ...others, [name]: one })))), [{}]);
}

function valuesOf(name, value, wxml) {
  if (typeof value === 'boolean') return [false, true];
  if (typeof value === 'object') return allData(value, wxml);
  const literals = wxml.matchAll(new RegExp(`\\b${name} [!=]== '(\\w+)'`, 'g'));
  return ['', `any ${name}`, ...new Set(Array.from(literals, ([, literal]) => literal))];
}

// ours and theirs bring a node to one form, in which handlers are attributes and virtual nodes are gone.
function ours({ tag, attrs, on, children }) {
  const handlers = Object.fromEntries(Object.entries(on).map(([event, handler]) => [`bind:${event}`, handler]));
  return { tag: `wx-${tag}`, attrs: { ...attrs, ...handlers }, children: children.map((c) => (c.tag ? ours(c) : c)) };
}

function theirs({ tag, attr = {}, children }) {
  const dashed = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const set = Object.entries(attr).flatMap(([name, value]) => (value === undefined ? [] : [[dashed(name), value]]));
  const real = (child) => (child.tag === 'virtual' ? child.children.flatMap(real) : [child]);
  return { tag, attrs: Object.fromEntries(set), children: children.flatMap(real).map((c) => (c.tag ? theirs(c) : c)) };
}

for (const page of pages) {
  test(`${page}: WeChat's compiler makes the same of it, whatever the data`, () => {
    const wxml = fs.readFileSync(path.join(folder, `${page}.wxml`), 'utf8');
    const [template, generate] = [parse(wxml, page), generatorOf(`${page}.wxml`)];
    for (const data of allData(initialData(page), wxml)) {
      assert.deepEqual(theirs(generate(data)), ours(render(template, data)));
    }
    assert.deepEqual(warnings, []);
  });
}

test('the styles are styles', () => {
  const compiled = wxssToJs(folder); // throws, without saying why, where one is malformed
  for (const file of ['app', ...pages]) assert.ok(compiled.includes(`'${file}.wxss': setCssToHead(`), `${file}.wxss`);
});
