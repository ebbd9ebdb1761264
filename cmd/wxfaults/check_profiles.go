package main

import "slices"

// history is what became of one user's profiles.
type history struct {
	updates map[int]*update // by revision
}

type update struct {
	seal     seal
	acked    bool
	unknown  bool // one attempt at least may or may not have been done
	revision int
}

func histories(entries []entry) map[string]*history {
	all := map[string]*history{}
	for _, e := range entries {
		if e.route != updateUserInfo {
			continue
		}
		h := all[e.user]
		if h == nil {
			h = &history{map[int]*update{}}
			all[e.user] = h
		}
		u := h.updates[e.revision]
		if u == nil {
			u = &update{seal: e.sealed, revision: e.revision}
			h.updates[e.revision] = u
		}
		u.acked = u.acked || e.ok()
		u.unknown = u.unknown || e.unknown()
	}
	return all
}

// lost reports whether a profile that shows one revision has lost another that was acknowledged. WeChat's watermarks have
// seconds: of two in the same second the one that MySQL got last stands, and an attempt that nobody knows the end of may
// have got there late.
func (h *history) lost(shown, acked int) bool {
	if shown >= acked {
		return false
	}
	old, there := h.updates[shown]
	return !there || !old.unknown || !old.seal.maybeSameSecond(h.updates[acked].seal)
}

// checkUpdates: what was acknowledged is there, or something newer.
func checkUpdates(ev evidence) verdict {
	v := verdict{claim: "every 200 of /updateUserInfo is in MySQL or superseded"}
	rows := ev.database.byOpenID()
	all := histories(ev.entries)
	for _, e := range ev.entries {
		if e.route != updateUserInfo || !e.ok() {
			continue
		}
		v.count++
		user, shown, ok := readNickname(rows[ev.people[e.user]].nickname)
		if !ok || user != e.user || all[e.user].lost(shown, e.revision) {
			v.fault("MySQL has revision %d of %q, not %d: %s", shown, user, e.revision, about(e))
		}
	}
	return v
}

// checkReading: what was acknowledged shows in every answer to a request that was sent after that.
func checkReading(ev evidence) verdict {
	v := verdict{claim: "every later answer showed it, or something newer"}
	all := histories(ev.entries)
	byUser := map[string][]entry{}
	for _, e := range ev.entries {
		if e.ok() {
			byUser[e.user] = append(byUser[e.user], e)
		}
	}
	for user, answers := range byUser {
		for _, e := range answers {
			v.count++
			newest := e.revision // an update shows itself
			for _, earlier := range answers {
				if earlier.ended < e.sent {
					newest = max(newest, earlier.revision)
				}
			}
			if _, shown, ok := readNickname(e.nickname()); !ok || all[user] != nil && newest > 0 && all[user].lost(shown, newest) {
				v.fault("it shows revision %d, not %d: %s", shown, newest, about(e))
			}
		}
	}
	slices.Sort(v.faults)
	return v
}

// checkOthersData: an answer shows the one who asked, or nobody.
func checkOthersData(ev evidence) verdict {
	v := verdict{claim: "no answer showed another user's data"}
	for _, e := range ev.entries {
		if !e.ok() {
			continue
		}
		v.count++
		name := e.nickname()
		if user, _, ok := readNickname(name); !ok || name != "" && user != e.user {
			v.fault("it shows %q: %s", name, about(e))
		}
	}
	return v
}

// checkAnswersForSecrets: no answer of any kind holds what only server and WeChat may know.
func checkAnswersForSecrets(ev evidence) verdict {
	v := verdict{claim: "no answer held an openid, a session_key or a code"}
	f := newFinder(ev.secrets, secretOpenID, secretKey, secretCode, secretApp, secretPassword)
	for _, e := range ev.entries {
		if e.answer.status == 0 {
			continue
		}
		v.count++
		if found := f.find(e.answer.body); len(found) > 0 {
			v.fault("it holds %v: %s", found, about(e))
		}
	}
	return v
}
