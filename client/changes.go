package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ChangeKind is what happened to a user. More may be added: ignore those that you do not know.
type ChangeKind string

// The kinds of changes.
const (
	ChangeMerged         ChangeKind = "merged" // UserID was merged into SurvivorID: move what you store about it
	ChangeErased         ChangeKind = "erased" // delete what you store about the person
	ChangeDisabled       ChangeKind = "disabled"
	ChangeEnabled        ChangeKind = "enabled"
	ChangePhoneRemoved   ChangeKind = "phone_removed"
	ChangeProfileRemoved ChangeKind = "profile_removed"
	ChangeExternalID     ChangeKind = "external_id"
)

// Change is something that happened to a user and that other services must follow.
type Change struct {
	Seq        uint64     `json:"seq"` // changes are numbered in the order of their commits
	Kind       ChangeKind `json:"kind"`
	UserID     uint64     `json:"userId"`
	SurvivorID uint64     `json:"survivorId"` // of a merge; else 0
	Reason     string     `json:"reason"`
	Actor      string     `json:"actor"`
	At         time.Time  `json:"at"`
}

// changePage is a response of GET /changes.
type changePage struct {
	Changes []Change `json:"changes"`
}

func (p *changePage) valid() bool { return p.Changes != nil }

// changesPerRequest is the number of changes that one request asks for.
const changesPerRequest = 100

// Changes yields what happened after the change with number after, in the order of commits, until there is no more. It asks the
// server as the loop goes on; Options.Timeout bounds each of these requests. If one fails, the error is yielded last.
//
// To follow the changes, store the Seq of the last one that you have dealt with, in the same transaction as its effects, and
// call Changes with it again from time to time. The first call is with 0.
func (c *Client) Changes(ctx context.Context, after uint64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for last := after; ; {
			page, err := c.changesAfter(ctx, last)
			if err != nil {
				yield(Change{}, err)
				return
			}
			for _, change := range page {
				if !yield(change, nil) {
					return
				}
				last = change.Seq
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// changesAfter returns the next changes. Numbers that do not grow would make the caller see changes twice, or without end.
func (c *Client) changesAfter(ctx context.Context, after uint64) ([]Change, error) {
	const op = "Changes"
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(changesPerRequest)}}
	var page changePage
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: "changes", query: query}, &page); err != nil {
		return nil, err
	}
	for _, change := range page.Changes {
		if change.Seq <= after {
			return nil, &Error{Op: op, Status: http.StatusOK, cause: errForeign}
		}
		after = change.Seq
	}
	return page.Changes, nil
}
