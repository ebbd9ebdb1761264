// utils/http.js
import Request from 'luch-request';
import { token } from 'wxlogin-client';

const API = 'https://api.example.com'; // whose 401 is always about the token
const ABSOLUTE = /^([a-z][a-z\d+.-]*:)?\/\//i;

export const http = new Request({ baseURL: API });

http.interceptors.request.use(async (config) => {
  if (config.baseURL !== API || ABSOLUTE.test(config.url)) return config; // the token goes nowhere else
  config.custom.token = await token({ refused: config.custom.refused });
  config.header.Authorization = 'Bearer ' + config.custom.token;
  return config;
});

http.interceptors.response.use((response) => response, (failure) => { // no 2xx, no answer, or a Problem of token()
  const { statusCode, config } = failure;
  if (statusCode !== 401 || !config.custom.token || config.custom.refused) return Promise.reject(failure);
  return http.request({ ...config, custom: { ...config.custom, refused: config.custom.token } }); // once more with another token
});
