// Package request reads what a mini-program sends: the fields of a body, form-encoded or JSON, and the token.
//
// Whatever comes in is read in one way or refused: a field that is given twice, a known field of another type or a token
// given in two ways is an error, because two readers could take different ones; so is what is not UTF-8, in any field. Fields that
// the server does not know are ignored otherwise.
//
// It links neither the router nor any engine, so that its fuzz targets run at full speed. It imports nothing else of this
// module; package handlers turns its errors into answers.
package request
