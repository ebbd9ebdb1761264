// The service behind a gateway that asks wxlogin for it. It trusts the gateway's headers, so nobody else may reach it.
//
//   PORT=3000 node behind-gateway.js

const { createService, listen } = require('./service.js');
const { Problem } = require('./problem.js');

/** identify refuses what did not come through the gateway. A login would not help, so the client is not told to try one. */
function identify({ headers }) {
  const userId = headers['x-user-id'] || '';
  if (!/^\d{1,20}$/.test(userId)) throw new Problem(403, 'no_gateway', 'The request did not come through the gateway.');
  return {
    userId,
    openid: headers['x-wechat-openid'] || '',
    appid: headers['x-wechat-appid'] || '',
    unionid: headers['x-wechat-unionid'] || '',
  };
}

listen(createService(identify, (line) => console.log(JSON.stringify(line))), Number(process.env.PORT || 3000));
