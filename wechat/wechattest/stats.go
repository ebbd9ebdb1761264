package wechattest

import "maps"

// Stats counts what arrived at a simulator.
type Stats struct {
	Calls     int         `json:"calls"`     // requests to jscode2session, whatever became of them
	Exchanged int         `json:"exchanged"` // codes that were spent, answered or not
	ErrCodes  map[int]int `json:"errcodes"`  // errcodes answered, and how often
	Others    int         `json:"others"`    // requests to other paths of WeChat's

	TokenCalls int `json:"tokenCalls"` // requests to stable_token, whatever became of them
	TokensMade int `json:"tokensMade"` // access_tokens that are new: the first of each mini-program, and each refresh
	PhoneCalls int `json:"phoneCalls"` // requests to getuserphonenumber, whatever became of them
}

// Stats returns the counts so far. A request counts from its arrival, so that one whose answer never came is there too.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.ErrCodes = maps.Clone(stats.ErrCodes)
	if stats.ErrCodes == nil {
		stats.ErrCodes = map[int]int{}
	}
	return stats
}

// Calls returns the number of requests to jscode2session so far.
func (s *Simulator) Calls() int { return s.Stats().Calls }

// countLocked counts an errcode that is about to be answered. s.mu is held.
func (s *Simulator) countLocked(errCode int) {
	if s.stats.ErrCodes == nil {
		s.stats.ErrCodes = map[int]int{}
	}
	s.stats.ErrCodes[errCode]++
}
