package ratecount

// delta is what was counted here for a key in a window and not yet in Redis, on its way there and back.
type delta struct {
	hash   uint64
	key    string
	start  int64 // of the window
	amount int32 // 0 only tries whether Redis is back
	ask    bool  // for the window before, too

	total  int32 // of all instances in the window, 0 where Redis did not tell
	before int32 // and in the window before
	failed bool  // Redis is away: nobody knows whether this was counted
}
