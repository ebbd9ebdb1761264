package main

// kind is a kind of request.
type kind int

const (
	returning kind = iota
	newcomer
	capped
	changed
	unchanged
	introspect
	kinds
)

var kindNames = [kinds]string{"returning", "new", "capped", "changed", "unchanged", "introspect"}

func (k kind) String() string { return kindNames[k] }

// requests is how many of them make a round: those of new users wait for the disk.
func (k kind) requests(ofRound int) int {
	if k == newcomer {
		return ofRound / 3
	}
	return ofRound
}
