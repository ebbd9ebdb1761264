package contract

// Actions that a problem advises.
const (
	None    = "none"
	Relogin = "relogin"
	Retry   = "retry"
)

// Promise is what goes with a problem's code.
type Promise struct {
	Status int
	Action string
}

var promises = map[string]Promise{
	"invalid_request":        {400, None},
	"invalid_code":           {400, Relogin},
	"invalid_token":          {401, Relogin},
	"invalid_api_key":        {401, None},
	"user_blocked":           {403, None},
	"forbidden":              {403, None},
	"not_found":              {404, None},
	"method_not_allowed":     {405, None},
	"request_too_large":      {413, None},
	"unsupported_media_type": {415, None},
	"undecryptable":          {422, Relogin},
	"invalid_picture":        {422, None},
	"rate_limited":           {429, Retry},
	"internal":               {500, None},
	"wechat_unavailable":     {503, Retry},
	"misconfigured":          {503, None},
	"storage_unavailable":    {503, Retry},
}

// Of tells what goes with a code, and whether it is one.
func Of(code string) (Promise, bool) {
	p, listed := promises[code]
	return p, listed
}

// Codes are all codes of problems, in no order.
func Codes() []string {
	codes := make([]string, 0, len(promises))
	for code := range promises {
		codes = append(codes, code)
	}
	return codes
}
