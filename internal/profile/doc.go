// Package profile decides which nicknames and avatar addresses the server stores. The rules are the same for what a person
// typed and for what WeChat encrypted; only the consequence differs. A person can correct a nickname, so NickName refuses it
// with a reason. WeChat's data cannot be corrected, so CleanNickName and CleanText leave out what does not belong, and an
// address that AvatarURL refuses counts as not given.
//
// The package knows nothing of WeChat's placeholders: those are in package wechat. It imports nothing else of this module.
package profile
