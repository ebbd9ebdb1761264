// Package request reads the fields and the token of a request.
//
//	fields, err := request.Read(w, r) // application/x-www-form-urlencoded or application/json
//	if err != nil {
//		return err
//	}
//	code, err := fields.Required("code")
//	// …
//	token, err := request.Token(r.Header, fields) // from Authorization or the field token
//
// A request has one reading or it is rejected. If two parsers could read it differently, it is an error: a field that
// is given twice, a known field of another type, two tokens that differ, or text that is not UTF-8 in any field. Other
// unknown fields are ignored.
//
// The package imports neither the router nor any database client, so that its fuzz targets run fast. Package handlers
// turns its errors into responses.
package request
