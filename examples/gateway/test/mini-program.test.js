// The mini-program's client and services of one's own: behind the gateway (GATEWAY), and without one (ON_ITS_OWN).

const assert = require('node:assert/strict');
const test = require('node:test');
const { launch, takePhone } = require('../../test/phone.js');
const { end, plant, tokenOf } = require('../../test/session.js');

for (const service of [process.env.GATEWAY, process.env.ON_ITS_OWN]) {
  const kind = service === process.env.GATEWAY ? 'behind a gateway' : 'on its own';
  const ask = (client) => client.request({ url: service + '/me' });

  test(`a service ${kind} knows who asks`, async () => {
    const phone = takePhone();
    const client = launch(phone, { services: [service] });
    const first = await ask(client);
    assert.match(first.userId, /^\d+$/);
    assert.deepEqual(await ask(client), first);
    const other = await ask(launch(takePhone(), { services: [service] }));
    assert.notEqual(other.userId, first.userId);
    assert.equal(phone.seen.logins, 1);
  });

  test(`a session that has ended costs one login, ${kind}`, async () => {
    const phone = takePhone();
    const client = launch(phone, { services: [service] });
    await client.login();
    const old = tokenOf(phone);
    await end(old);
    phone.seen.requests.length = 0;
    const { status, userId } = await ask(client);
    assert.deepEqual(phone.seen.requests, ['GET /me 401', 'POST /onLogin 200', 'GET /me 200']);
    assert.deepEqual([status, phone.seen.logins, client.waits], [200, 2, []]);
    assert.ok(userId && tokenOf(phone) !== old);
  });

  test(`ten requests with an invalid token cost one login, ${kind}`, async () => {
    const phone = takePhone();
    plant(phone);
    const client = launch(phone, { services: [service] });
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(client)));
    assert.equal(new Set(answers.map(({ userId }) => userId)).size, 1);
    assert.equal(phone.seen.logins, 1);
  });

  test(`what is written arrives, ${kind}`, async () => {
    const client = launch(takePhone(), { services: [service] });
    await client.request({ url: service + '/notes', method: 'POST', data: { text: '买茶 🍵' } });
    assert.deepEqual((await client.request({ url: service + '/notes' })).notes, ['买茶 🍵']);
  });

  test(`a refusal of the service is the caller's to read, ${kind}`, async () => {
    const phone = takePhone();
    const client = launch(phone, { services: [service] });
    const nothing = client.request({ url: service + '/notes', method: 'POST', data: {} });
    await assert.rejects(nothing, { status: 400, code: 'invalid_request', action: 'none' });
    await assert.rejects(client.request({ url: service + '/nowhere' }), { status: 404, code: 'not_found' });
    assert.equal(phone.seen.logins, 1);
  });
}
