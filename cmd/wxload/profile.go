package main

import "wxlogin/internal/contract"

// maxPossible is how many profiles of one user may be possible at once; beyond that, any of the user's own is.
const maxPossible = 8

// profile is what a user's answers may show: what was acknowledged last, or one of the updates since then that nobody knows
// the end of, because the connection was cut or the answer was a 5xx.
type profile struct {
	anyOwn   bool // not seen yet in this run, or too many updates without a known end
	possible []possible
}

type possible struct {
	info    contract.UserInfo
	sealed  int64 // Unix seconds until which it was sealed
	unknown bool  // how the update ended
}

// allows tells whether an answer may show this.
func (p *profile) allows(user string, info contract.UserInfo) bool {
	for _, one := range p.possible {
		if one.info == info {
			return true
		}
	}
	return p.anyOwn && isOwn(user, info)
}

// isOwn tells whether a profile is of this user: one that this program made, or none.
func isOwn(user string, info contract.UserInfo) bool {
	_, own := revisionOf(user, info.NickName)
	return own || info == contract.UserInfo{}
}

// begin is the first sight of a user's profile.
func (p *profile) begin(info contract.UserInfo) { *p = profile{possible: []possible{{info: info}}} }

// acknowledge is an update that was answered. The server takes nothing that was sealed in an earlier second after it, so
// that updates whose end is unknown stay possible only where they are not surely older. (A second more is for clocks of
// simulator and this program that do not tick together.)
func (p *profile) acknowledge(data sealed) {
	kept := p.possible[:0]
	for _, one := range p.possible {
		if one.unknown && one.sealed+1 >= data.from {
			kept = append(kept, one)
		}
	}
	p.possible = append(kept, possible{info: data.UserInfo, sealed: data.to})
	p.anyOwn = false
}

// acknowledgeUnchanged is an answered update that may have had nothing to change: the server kept the age of what it has,
// and an earlier update may still overtake that.
func (p *profile) acknowledgeUnchanged(data sealed) {
	kept := p.possible[:0]
	for _, one := range p.possible {
		if one.unknown {
			kept = append(kept, one)
		}
	}
	p.possible = append(kept, possible{info: data.UserInfo, sealed: data.to})
}

// suspect is an update that may have been done, now or in a moment, or not.
func (p *profile) suspect(data sealed) {
	if len(p.possible) >= maxPossible {
		p.anyOwn, p.possible = true, nil
		return
	}
	p.possible = append(p.possible, possible{info: data.UserInfo, sealed: data.to, unknown: true})
}

// last is the newest profile that is not in doubt, or else the newest; none where nothing is known.
func (p *profile) last() contract.UserInfo {
	for _, one := range p.possible {
		if !one.unknown {
			return one.info
		}
	}
	if n := len(p.possible); n > 0 {
		return p.possible[n-1].info
	}
	return contract.UserInfo{}
}
