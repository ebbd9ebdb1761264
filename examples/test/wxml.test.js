const assert = require('node:assert/strict');
const test = require('node:test');
const { compile } = require('../phone/expression.js');
const { parse, render, keyOf, TemplateError } = require('../phone/wxml.js');
const { createRandom } = require('./random.js');

// shown is what a template gives with these data: the children of the root.
function shown(text, data = {}) {
  return render(parse(text), data).children;
}

function node(tag, { attrs = {}, on = {}, data = {} } = {}, ...children) {
  return { tag, attrs, on, data, children };
}

test('elements, attributes, handlers and dataset have their places in the tree', () => {
  assert.deepEqual(render(parse(`
    <!-- a comment with <tags> and {{braces -->
    <view class="page" data-user-id="7" data-userName="x">
      <button bindtap="onTap" bind:longpress="onLong" catch:input="onInput" formType="submit" disabled>Go</button>
      <input name="a" placeholder='say "hi"' />
    </view>`), {}), node('page', {},
    node('view', { attrs: { class: 'page' }, data: { userId: '7', username: 'x' } },
      node('button', {
        attrs: { 'form-type': 'submit', disabled: true }, on: { tap: 'onTap', longpress: 'onLong', input: 'onInput' },
      }, 'Go'),
      node('input', { attrs: { name: 'a', placeholder: 'say "hi"' } }))));
});

test('a value that is one expression keeps its type, a mixed one is text', () => {
  const data = { yes: true, n: 3, list: [1], text: 'b', none: null };
  const [{ attrs }] = shown('<view a="{{yes}}" b="{{n}}" c="{{list}}" d="a {{text}}" e="{{text}}{{n}}" f="" g="{{!yes}}" />', data);
  assert.deepEqual(attrs, { a: true, b: 3, c: [1], d: 'a b', e: 'b3', f: '', g: false });
});

test('what is undefined is no attribute and no text; null is written out, as by WeChat', () => {
  assert.deepEqual(shown('<view a="{{x}}" b="a {{x.y.z}}" c="{{none}}" bind:tap="{{x}}">{{x}}</view>', { none: null }), [
    node('view', { attrs: { b: 'a ', c: null } }),
  ]);
  assert.deepEqual(shown('<text>a{{x}}b{{none}}</text>', { none: null }), [node('text', {}, 'abnull')]);
});

test('a dataset keeps types, and a handler may come from the data', () => {
  assert.deepEqual(shown('<view data-item="{{item}}" bind:tap="on{{what}}" />', { item: { id: 1 }, what: 'Save' }), [
    node('view', { data: { item: { id: 1 } }, on: { tap: 'onSave' } }),
  ]);
});

test('entities are for what is written, not for data', () => {
  assert.deepEqual(shown('<text>a&nbsp;&lt;b&gt; &amp;amp; A & B &unknown; {{x}}</text>', { x: '&lt;' }), [
    node('text', {}, 'a\u00a0<b> &amp; A & B &unknown; &lt;'),
  ]);
});

test('comparisons and quotes in a text are no tags', () => {
  assert.deepEqual(shown(`<text>{{a < b ? '}} <i>' : "no"}}</text>`, { a: 1, b: 2 }), [node('text', {}, '}} <i>')]);
});

test('wx:if, wx:elif and wx:else: one of them', () => {
  const text = `
    <text wx:if="{{n === 1}}">one</text>
    <!-- between them -->
    <text wx:elif="{{n === 2}}">two</text>
    <block wx:else><text>many</text><text>{{n}}</text></block>
    <text wx:if="{{n > 2}}">more</text>`;
  const texts = (n) => shown(text, { n }).map(({ children }) => children[0]);
  assert.deepEqual(texts(1), ['one']);
  assert.deepEqual(texts(2), ['two']);
  assert.deepEqual(texts(3), ['many', '3', 'more']);
});

test('wx:for goes over arrays, objects, numbers and strings', () => {
  const items = (list) => shown('<text wx:for="{{list}}">{{index}}={{item}}</text>', { list })
    .map(({ children }) => children[0]);
  assert.deepEqual(items(['a', 'b']), ['0=a', '1=b']);
  assert.deepEqual(items({ x: 1, y: 2 }), ['x=1', 'y=2']);
  assert.deepEqual(items(3), ['0=0', '1=1', '2=2']);
  assert.deepEqual(items('é🐼'), ['0=é', '1=🐼']);
  for (const nothing of [undefined, null, [], {}, 0, -1, NaN, '', true]) assert.deepEqual(items(nothing), []);
});

test('wx:for may be nested, named and filtered', () => {
  const text = `
    <block wx:for="{{rows}}" wx:for-item="row" wx:for-index="y">
      <text wx:for="{{row}}" wx:for-index="x" wx:if="{{item}}">{{y}}{{x}}{{item}}{{outer}}</text>
    </block>`;
  const data = { rows: [['a', ''], ['', 'b']], outer: '!' };
  assert.deepEqual(shown(text, data).map(({ children }) => children[0]), ['00a!', '11b!']);
});

test('an element keeps its key while the data change', () => {
  const template = parse(`
    <text wx:if="{{first}}">first</text>
    <view wx:for="{{list}}" wx:key="id"><input name="{{item.id}}" /></view>
    <text wx:for="{{words}}" wx:key="*this">{{item}}</text>
    <text wx:for="{{words}}">{{item}}</text>`);
  const keys = (data) => {
    const { children } = render(template, { words: [], list: [], ...data });
    return children.map((child) => keyOf(child.children[0].tag ? child.children[0] : child));
  };
  const [a, b] = keys({ list: [{ id: 'a' }, { id: 'b' }] });
  assert.notEqual(a, b);
  assert.deepEqual(keys({ list: [{ id: 'b' }, { id: 'a' }] }), [b, a]);
  assert.deepEqual(keys({ list: [{ id: 'b' }], first: true }).slice(1), [b]);
  const [x, y, first, second] = keys({ words: ['x', 'y'] });
  assert.deepEqual(keys({ words: ['y', 'x'] }), [y, x, first, second], 'without wx:key the index counts');
  assert.equal(new Set([x, y, first, second]).size, 4);
});

test('what is malformed or unknown is told, with file and line', () => {
  for (const [text, line, problem] of [
    ['<view>', 1, /<view> is never closed/],
    ['<view>\n<text>\n</view>', 3, /<\/view> where <text> of line 2 is open/],
    ['\n</view>', 2, /closes nothing/],
    ['</view', 1, /malformed closing tag/],
    ['<view\n  a=b />', 2, /malformed attribute/],
    ['<view a="x />', 1, /malformed attribute/],
    ['<view a="1"\n a="2" />', 2, /a is there twice/],
    ['<view', 1, /no end/],
    ['a < b', 1, /&lt;/],
    ['<View />', 1, /begins no tag/],
    ['\n\n<scroll-view />', 3, /no element <scroll-view>/],
    ['<!-- \n', 1, /-->/],
    ['<image>x</image>', 1, /<image> cannot hold a text/],
    ['<text>\n<view /></text>', 2, /<text> cannot hold <view>/],
    ['<block class="x" />', 1, /<block> has no attribute class/],
    ['<view wx:show="{{a}}" />', 1, /wx:show/],
    ['<view model:value="{{a}}" />', 1, /model:value/],
    ['<button capture-bind:tap="a" />', 1, /capture-bind:tap/],
    ['<button bind:getPhoneNumber="a" />', 1, /no such event/],
    ['<button bind:tap />', 1, /names no handler/],
    ['<view wx:if />', 1, /wx:if needs a value/],
    ['<view wx:if="{{a}}" wx:else />', 1, /wx:if and wx:else on one element/],
    ['<view wx:else="{{a}}" />', 1, /wx:else has no value/],
    ['<view wx:if="{{a}}" />\n<view />\n<view wx:else />', 3, /wx:else does not follow/],
    ['<view wx:if="{{a}}" /> and <view wx:elif="{{b}}" />', 1, /wx:elif does not follow/],
    ['<view wx:for="{{a}}" wx:if="{{b}}" /><view wx:else />', 1, /wx:else does not follow/],
    ['<view wx:for="{{a}}" wx:else />', 1, /wx:else on an element with wx:for/],
    ['<view wx:key="id" />', 1, /wx:key without wx:for/],
    ['<view wx:for="{{a}}" wx:key="{{b}}" />', 1, /wx:key is a name/],
    ['<view wx:for="{{a}}" wx:for-item="a b" />', 1, /a b is no name/],
    ['<text>a\n{{b}}\n{{c', 3, /\{\{ without \}\}/],
    ['<text>a\n{{b}}\n{{c d}}</text>', 3, /unexpected d/],
    ['<text>{{\na\n}}{{}}</text>', 3, /ends too early/],
    ['<view class="a\n{{b +}}" />', 2, /ends too early/],
  ]) {
    const refused = (err) => {
      assert.ok(err instanceof TemplateError, `${text}: ${err.stack}`);
      assert.deepEqual([err.file, err.line], ['pages/a/a.wxml', line], text);
      assert.match(err.message, problem);
      return err.message.startsWith(`pages/a/a.wxml:${line}: `);
    };
    assert.throws(() => parse(text, 'pages/a/a.wxml'), refused, text);
  }
});

test('an expression that is malformed is refused', () => {
  for (const text of [
    '', ' ', 'a b', 'a.', '.a', 'a[', 'a[]', 'a]', '(a', 'a)', '()', 'a ?', 'a ? b', 'a ? b :', 'a +', '+', '!', 'a = b', 'a => b',
    '01', '1.', '3px', "'a", '"a\\q"', 'a ?? b', 'a?.b', 'a ** b', 'a--b', 'a++', 'a & b', 'a | b', 'f(a)', 'a, b', '`a`', '{a: 1}',
    '[1]', 'a; b', '#', '\u0000', 'a.1', '+a', '1e3', // WeChat's compiler takes neither of the last two
  ]) {
    assert.throws(() => compile(text, 1), TemplateError, text);
  }
});

test('an expression reaches data only', () => {
  const data = { user: { name: 'x' }, list: [1, 2], f: () => 1 };
  for (const text of [
    'toString', 'constructor', '__proto__', 'user.toString', 'user.constructor', 'user["__proto__"]', "list['map']", 'f',
    'user.name.trim', 'nobody.name.length', 'none[0][1]', 'globalThis', 'this',
  ]) {
    assert.equal(compile(text, 1)(data), undefined, text);
  }
  assert.equal(compile('list.length + user.name.length', 1)(data), 3);
});

// Values of every kind there is in JSON, and paths that lead to them in JavaScript without an exception.
const DATA = {
  n: 0, one: 1, big: 1e21, half: -2.5, s: '', word: '12', 中: 'x', $d_1: 'undefined', t: true, f: false, none: null, u: undefined,
  list: [3, [4, 'five'], { x: 6 }], user: { name: 'Ann', tags: { a: 'b' } },
};
const PATHS = [
  ...Object.keys(DATA), 'list[0]', 'list[1][1]', 'list[2].x', 'list.length', 'list[9]', 'user.name', "user['name']", 'user.tags.a',
  'user.name.length', 'word[1]', 'list[one]', "user.tags['b']",
];
const LITERALS = ['0', '7', '0.5', '.25', "'it\\'s'", '"a\\n\\u4e2d"', "''", 'true', 'false', 'null', 'undefined'];
const OPERATORS = ['||', '&&', '==', '!=', '===', '!==', '<', '>', '<=', '>=', '+', '-', '*', '/', '%'];

// expression makes one up, with white space that is needed and some that is not.
function expression(random, depth = 4) {
  const inner = () => expression(random, depth - 1);
  const space = () => random.of([' ', ' ', '\n', '  ']);
  const kind = depth === 0 ? random.below(2) : random.below(9);
  if (kind === 0) return random.of(PATHS);
  if (kind === 1) return random.of(LITERALS);
  if (kind === 2) return `(${inner()})`;
  if (kind === 3) return `${random.of(['!', '-'])}${space()}${random.of(PATHS)}`;
  if (kind === 4) return `!(${inner()})`;
  if (kind === 5) return `${inner()}${space()}?${space()}${inner()}${space()}:${space()}${inner()}`;
  return `${inner()}${space()}${random.of(OPERATORS)}${space()}${inner()}`;
}

test('an expression means what it means in JavaScript', () => {
  const random = createRandom(20240501);
  const names = Object.keys(DATA);
  const values = Object.values(DATA);
  const results = new Set();
  for (let i = 0; i < 10000; i++) {
    const text = expression(random);
    const wanted = new Function(...names, `return (${text});`)(...values);
    const got = compile(text, 1)(DATA);
    assert.ok(Object.is(got, wanted), `${text}: got ${got}, want ${wanted}`);
    results.add(got);
  }
  assert.ok(results.size > 100, `only ${results.size} different values`); // the expressions are not all alike
});

test('a text without sense is refused in an orderly way', () => {
  const random = createRandom(7);
  const soup = [
    '<view', '<text', '<block', '<input', '<x', '>', '/>', '</view>', '</text>', '</', '<', ' ', '\n', '"', "'", '=', 'a', 'class="b"',
    'wx:if="{{a}}"', 'wx:elif="{{b}}"', 'wx:else', 'wx:for="{{list}}"', 'wx:key="id"', 'bind:tap="x"', 'hidden', '{{', '}}', 'a.b[0]',
    '? 1 : 2', '&&', '||', '!', '(', ')', '[', ']', '1.5', "'x'", '<!--', '-->', '&nbsp;', '&', '{', '}', '\\', '🐼', '\u0000',
  ];
  let read = 0;
  for (let i = 0; i < 10000; i++) {
    const text = Array.from({ length: 1 + random.below(12) }, () => random.of(soup)).join(random.of(['', ' ']));
    read += reads(text) ? 1 : 0;
  }
  assert.ok(read > 100, `only ${read} of them made sense`);
});

const PAGE = `
<view class="page {{busy ? 'busy' : ''}}">
  <!-- who it is -->
  <text wx:if="{{name}}">你好，{{name}} &lt;3</text>
  <text wx:else>{{'正在登录…'}}</text>
  <form bind:submit="onSave">
    <input name="nickName" value="{{name}}" /><button form-type="submit" loading="{{busy === 'save'}}">保存</button>
  </form>
  <view wx:for="{{list}}" wx:key="id" data-id="{{item.id}}">{{index + 1}}. {{item.text}}</view>
</view>`;

test('a page with a slip in it is read or refused in an orderly way', () => {
  assert.ok(reads(PAGE));
  const random = createRandom(99);
  for (let i = 0; i < 10000; i++) {
    const at = random.below(PAGE.length);
    const inserted = random.of(['', '', '<', '>', '"', '{{', '}}', '/', ' ', '=', "'", PAGE.slice(random.below(PAGE.length)).slice(0, 5)]);
    reads(PAGE.slice(0, at) + inserted + PAGE.slice(at + random.below(4)));
  }
});

test('a text without end is read or refused in good time', () => {
  const many = 50000;
  for (const text of [
    '<view>'.repeat(many), '</view>'.repeat(many), '<view/>'.repeat(many), '{{'.repeat(many), '{'.repeat(many), '{{a}}'.repeat(many),
    '{{' + '('.repeat(many) + '}}', '{{' + '!'.repeat(many) + 'a}}', '{{' + 'a+'.repeat(many) + 'a}}', '{{' + '('.repeat(900) + '}}',
    '{{' + '!'.repeat(900) + 'a}}', '{{' + 'a?'.repeat(400) + '}}', '{{a' + '.a'.repeat(400) + '}}', '{{a' + '+a'.repeat(400) + '}}',
    '{{a' + '[a'.repeat(400) + '}}', '<view ' + ' '.repeat(many) + '>', '<view' + ' a'.repeat(many) + '>', 'a'.repeat(many),
    '<view ' + Array.from({ length: many }, (_, i) => `a${i}="{{b}}" `).join('') + '/>', '&a'.repeat(many), '&' + 'a'.repeat(many),
    '{{"' + '\\'.repeat(many), "{{'" + '\n'.repeat(many), '<!--'.repeat(many), ' '.repeat(many), '<view a="' + ' '.repeat(many),
  ]) {
    reads(text);
  }
});

// reads tells whether a text is WXML. Then it must render too, with data and without.
function reads(text) {
  let template;
  try {
    template = parse(text);
  } catch (err) {
    assert.ok(err instanceof TemplateError, `${JSON.stringify(text.slice(0, 200))}: ${err.stack}`);
    assert.ok(err.line >= 1 && err.line <= text.split('\n').length, `line ${err.line} of ${JSON.stringify(text.slice(0, 200))}`);
    return false;
  }
  render(template, {});
  render(template, { a: { b: [1] }, list: [{ id: 1, text: 'x' }], name: 'Ann', busy: 'save' });
  return true;
}
