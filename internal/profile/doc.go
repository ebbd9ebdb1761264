// Package profile checks and normalizes nicknames and avatar URLs before they are stored.
//
//	name, err := profile.NickName(entered)        // what a user entered: err says what is wrong
//	name := profile.CleanNickName(info.NickName)  // what WeChat sent: drops what is not allowed
//	address, ok := profile.AvatarURL(entered)     // either; ok is false if others could not load it
//
// The rules are the same for both sources, and only the consequence differs. A user can correct a nickname, so NickName
// rejects it with a reason. WeChat's data cannot be corrected, so CleanNickName and CleanText drop what does not belong
// in it, and the caller treats a URL that AvatarURL rejects as missing.
//
// WeChat's placeholders are not known here; package wechat recognizes them. The package imports nothing of this module.
package profile
