// utils/token.js, which main.js imports
import { token } from 'wxlogin-client';

const API = 'https://api.example.com/'; // whose 401 is always about the token

uni.addInterceptor('request', {
  async invoke(args) {
    if (!args.url.startsWith(API)) return args; // the token goes nowhere else
    const { success, refused } = args;
    const current = await token({ refused }).catch(() => ''); // without one the service answers 401
    if (!current) return args;
    args.header = { ...args.header, Authorization: 'Bearer ' + current };
    if (!refused) args.success = (res) => { // once more with another token, if this one is refused
      if (res.statusCode === 401) uni.request({ ...args, success, refused: current });
      else if (success) success(res);
    };
    return args;
  },
});
