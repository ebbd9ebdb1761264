package contract

// Introspection is what POST /introspect answers (RFC 7662, section 2.2).
type Introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	Subject   string `json:"sub,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"` // seconds of Unix time, as IssuedAt
	IssuedAt  int64  `json:"iat,omitempty"`
	OpenID    string `json:"openid,omitempty"`
	UnionID   string `json:"unionid,omitempty"` // "" where none is known
}

// ReadIntrospection reads the answer 200 to the introspection of that id. Its error is a Breach.
func ReadIntrospection(a Answer, requestID string) (Introspection, error) {
	var f struct {
		Active *bool `json:"active"` // before the field of the same name below
		Introspection
	}
	if err := success(a, requestID, &f); err != nil {
		return Introspection{}, err
	}
	if f.Active == nil {
		return Introspection{}, errMissing
	}
	b := f.Introspection
	switch {
	case !*f.Active && b != Introspection{}:
		return Introspection{}, Breach("an inactive token of which something is told")
	case !*f.Active:
		return b, nil
	case b.Subject == "" || b.ClientID == "" || b.OpenID == "":
		return Introspection{}, errMissing
	case b.TokenType != "Bearer" || b.IssuedAt <= 0 || b.ExpiresAt <= b.IssuedAt:
		return Introspection{}, Breach("an active token without a proper life")
	}
	b.Active = true
	return b, nil
}
