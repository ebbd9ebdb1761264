// The same service without a gateway: it asks wxlogin itself.
//
//   PORT=3000 WXLOGIN_INTERNAL=http://127.0.0.1:9090 INTERNAL_API_KEY=… node on-its-own.js

const { createService, listen } = require('./service.js');
const { createIntrospection } = require('./introspect.js');

const identify = createIntrospection({
  url: process.env.WXLOGIN_INTERNAL || 'http://127.0.0.1:9090',
  key: process.env.INTERNAL_API_KEY,
});

listen(createService(identify, (line) => console.log(JSON.stringify(line))), Number(process.env.PORT || 3000));
