// Package accesstoken keeps WeChat's access_token of each mini-program in Redis, where all instances of the server share it.
//
// Only calls beyond a login need it, such as that for a phone number; a login never comes here. A [Cache] gets the token
// from WeChat when it is first asked for, and again before it ends:
//
//   - One instance asks WeChat, the one that holds a lock in Redis. The others use the token that is there or, where there
//     is none, wait for it for a short time.
//   - Within 5 minutes of its end WeChat gives a new token beside the old one. What fails then does no harm: the old token
//     is used on.
//   - A token that WeChat has refused is replaced once: by the one that another instance has put in its place, or by what
//     WeChat gives in its normal mode, or, only where that is the refused token again, by force. WeChat allows 20 forced
//     refreshes a day; the instances together make no more.
//
// The token is a secret. In Redis it is sealed with AES-256-GCM under a key derived from the AppSecret, as sessions are.
//
// Its errors hold no token.
package accesstoken
