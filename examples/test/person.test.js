const assert = require('node:assert/strict');
const test = require('node:test');
const { page, program, start, taken } = require('./bundle.js');

// A page that keeps the events that it gets.
const LISTENER = '{ data: { got: [] }, onEvent(event) { this.got = [...(this.got || []), event]; return "ignored"; } }';

function open(t, wxml, { definition = LISTENER, data = {}, ...more } = {}) {
  const app = start(t, program(page('pages/a/a', wxml, definition)), more);
  app.page().setData(data);
  return app;
}

// events takes the events that the page has got so far, in short.
function events(app) {
  return (app.page().got || []).splice(0).map(({ type, detail }) => [type, detail]);
}

test('an event says what happened, and where', async (t) => {
  const app = open(t, '<view><button id="b" data-user-id="{{7}}" data-who="{{who}}" bind:tap="onEvent">go</button></view>', {
    data: { who: { name: 'Ann' } },
  });
  const [button] = app.tree().children[0].children;
  assert.equal(await app.dispatch(button, 'tap', { x: 1 }), undefined);
  const [{ timeStamp, ...event }] = app.page().got;
  const place = { id: 'b', dataset: { userId: 7, who: { name: 'Ann' } } };
  assert.deepEqual(event, { type: 'tap', detail: { x: 1 }, target: place, currentTarget: place });
  assert.equal(typeof timeStamp, 'number');
  event.currentTarget.dataset.who.name = 'Bob';
  assert.equal(app.page().data.who.name, 'Ann');
  await app.dispatch(button, 'longpress');
  assert.equal(app.page().got.length, 1);
});

test('a disabled button gets no events, a loading one does', async (t) => {
  const app = open(t, `
    <button disabled="{{off}}" bind:tap="onEvent">1</button><button loading bind:tap="onEvent">2</button>
    <button disabled="false" bind:tap="onEvent">a text is true</button>`, { data: { off: true } });
  assert.deepEqual(app.buttons(), ['2']);
  await assert.rejects(app.tap('1'), /"1" is disabled/);
  await assert.rejects(app.tap('a text is true'), /is disabled/);
  const [button] = app.tree().children;
  await app.dispatch(button, 'tap');
  await app.press(button);
  assert.deepEqual(events(app), []);
  await app.tap('2');
  app.page().setData({ off: false });
  await app.tap('1');
  assert.deepEqual(events(app).map(([type]) => type), ['tap', 'tap']);
});

test('a tap finds what is called so and can be seen', async (t) => {
  const app = open(t, `
    <view bind:tap="onEvent" data-which="outer"><button data-which="inner" bind:tap="onEvent"> Save
      <text>it</text> </button></view>
    <view hidden><button bind:tap="onEvent">hidden</button></view>
    <button>twice</button><button>twice</button><view>only a view</view>
    <button aria-label="Close"><image src="x" /></button>`);
  await app.tap('Save it');
  assert.equal(app.page().got[0].target.dataset.which, 'inner');
  await assert.rejects(app.tap('hidden'), /no things to tap with the text "hidden"/);
  await assert.rejects(app.tap('only a view'), /no things/);
  await assert.rejects(app.tap('twice'), /2 things/);
  await app.tap('Close');
  assert.deepEqual(app.buttons(), ['Save it', 'Save it', 'twice', 'twice', 'Close']);
});

test('what can be read on the page is what is not hidden', (t) => {
  const app = open(t, `
    <view>one<text> two</text></view><view>three</view><text hidden="{{true}}">secret</text>
    <input placeholder="your name" /><input value="typed before" placeholder="not this" />
    <input password value="hunter2" placeholder="password" />`);
  for (const text of ['one two', 'three', 'your name', 'typed before', 'password']) assert.ok(app.shows(text), text);
  for (const text of ['twothree', 'two three', 'secret', 'not this', 'hunter2']) assert.ok(!app.shows(text), text);
});

const FORM = `
  <form bind:submit="onEvent" hidden="{{away}}">
    <input name="name" placeholder="your name" value="{{name}}" bind:input="onEvent" bind:change="onEvent" bind:blur="onEvent" />
    <view wx:if="{{more}}"><input name="more" value="{{text}}" maxlength="{{most}}" /></view>
    <input name="none" /><input placeholder="nameless" /><input name="off" disabled />
    <button form-type="submit" bind:tap="onEvent">save</button>
  </form>`;

const submitted = async (app) => {
  await app.tap('save');
  return events(app).at(-1)[1].value;
};

test('typing is told to the page, and submitted with the form', async (t) => {
  const app = open(t, FORM, { data: { more: true, text: 'as it was' } });
  await app.type('your name', 'Ann');
  const detail = { value: 'Ann', cursor: 3 };
  assert.deepEqual(events(app), [['input', detail], ['change', detail], ['blur', detail]]);
  assert.ok(app.shows('Ann') && !app.shows('your name'));
  await app.type('nameless', 'x');
  await app.tap('save');
  assert.deepEqual(events(app), [
    ['tap', { x: 0, y: 0 }], ['submit', { value: { name: 'Ann', more: 'as it was', none: '', off: '' } }],
  ]);
  await assert.rejects(app.type('off', 'x'), /"off" is disabled/);
  await assert.rejects(app.type('nobody', 'x'), /no things to type into/);
});

test('what was typed stays until the data say otherwise, or the input is gone', async (t) => {
  const app = open(t, FORM, { data: { more: true, name: 'first', text: 'a', most: -1 } });
  await app.type('name', 'typed');
  await app.type('more', 'x'.repeat(200));
  app.page().setData({ other: 1, name: 'first' });
  assert.deepEqual(await submitted(app), { name: 'typed', more: 'x'.repeat(200), none: '', off: '' });

  app.page().setData({ name: 'second' });
  assert.equal((await submitted(app)).name, 'second');
  app.page().setData({ name: 'first' });
  assert.equal((await submitted(app)).name, 'first');

  app.page().setData({ more: false });
  await app.idle();
  app.page().setData({ more: true });
  assert.equal((await submitted(app)).more, 'a');
});

test('a page that keeps what is typed in its data controls the input', async (t) => {
  const app = open(t, `<form bind:submit="onEvent"><input name="name" value="{{name}}" bind:input="keep" />
    <button form-type="submit">save</button></form>`, {
    definition: `{ data: { name: '', got: [] }, keep({ detail }) { this.setData({ name: detail.value.trim() }); },
      onEvent(event) { this.got = [event]; } }`,
  });
  await app.type('name', ' Ann ');
  assert.equal((await submitted(app)).name, 'Ann');
});

test('inputs of a list keep what was typed when the list moves', async (t) => {
  const app = open(t, `<form bind:submit="onEvent"><input wx:for="{{ids}}" wx:key="*this" name="{{item}}" />
    <button form-type="submit">save</button></form>`, { data: { ids: ['a', 'b'] } });
  await app.type('a', 'A');
  await app.type('b', 'B');
  app.page().setData({ ids: ['b', 'c', 'a'] });
  assert.deepEqual(await submitted(app), { b: 'B', c: '', a: 'A' });
});

test('an input takes 140 characters, or as many as its maxlength says', async (t) => {
  const app = open(t, FORM, { data: { more: true, most: 2 } });
  await app.type('name', 'x'.repeat(141));
  await app.type('more', 'abc');
  const { name, more } = await submitted(app);
  assert.deepEqual([name.length, more], [140, 'ab']);
});

test('a second press of a button that has been drawn anew finds its form', async (t) => {
  const app = open(t, '<form bind:submit="onEvent"><button form-type="submit" data-n="{{n}}">save</button></form>');
  const [button] = app.tree().children[0].children;
  app.page().setData({ n: 1 });
  await app.press(button);
  assert.deepEqual(events(app), [['submit', { value: {} }]]);
});

test('WeChat looks at a nickname when the input is left', async (t) => {
  const device = {};
  const app = open(t, `<input type="nickname" name="nick" bind:nicknamereview="onEvent" />
    <input name="plain" bind:nicknamereview="onEvent" />`, { device });
  await app.type('nick', 'Ann');
  assert.deepEqual(events(app), [['nicknamereview', { pass: true, timeout: false }]]);
  device.reviewNickname = async (name) => name !== 'bad';
  await app.type('nick', 'bad');
  assert.deepEqual(events(app), [['nicknamereview', { pass: false, timeout: false }]]);
  assert.ok(!app.shows('bad'));
  await app.type('plain', 'bad');
  assert.deepEqual(events(app), []);
});

test('WeChat\'s own buttons ask the phone, and tell the page', async (t) => {
  const device = {
    chooseAvatar: async () => ({ avatarUrl: 'http://tmp/a.jpeg' }),
    getPhoneNumber: async ({ deny = false } = {}) => (deny ? { errMsg: 'no' } : { code: 'c' }),
  };
  const app = open(t, `
    <button open-type="chooseAvatar" bind:tap="onEvent" bind:chooseavatar="onEvent">avatar</button>
    <button open-type="getPhoneNumber" bindgetphonenumber="onEvent">number</button>
    <button open-type="share">share</button>`, { device });
  await app.tap('avatar');
  assert.deepEqual(events(app), [['tap', { x: 0, y: 0 }], ['chooseavatar', { avatarUrl: 'http://tmp/a.jpeg' }]]);
  await app.tap('number');
  await app.tap('number', { deny: true });
  assert.deepEqual(events(app), [['getphonenumber', { code: 'c' }], ['getphonenumber', { errMsg: 'no' }]]);

  device.chooseAvatar = async () => { throw new Error('no camera'); };
  await app.tap('avatar');
  await app.tap('share');
  assert.deepEqual(taken(app), ['no camera', 'this phone knows no button with open-type="share"']);
});

test('buttons that this phone cannot play are errors', async (t) => {
  const app = open(t, '<button form-type="submit">lost</button><form><button form-type="reset">reset</button></form>');
  await app.tap('lost');
  await app.tap('reset');
  assert.deepEqual(taken(app), ['the button "lost" is in no form', 'this phone knows no button with form-type="reset"']);
});
