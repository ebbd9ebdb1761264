package demopage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// field is a field of a message as the page shows it: with its value, or if that is secret, with its pseudonym and
// length.
type field struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret string `json:"secret,omitempty"` // such as "token 2"
	Length int    `json:"length,omitempty"` // of the secret, in characters
}

// pair is a field as it was sent.
type pair struct{ name, value string }

// maxFields is the maximum number of fields of one message.
const maxFields = 64

// requestPairs returns the fields of a request: its token, query and body.
func requestPairs(r *http.Request, body []byte) []pair {
	var pairs []pair
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		pairs = append(pairs, pair{"token", token})
	}
	pairs = append(pairs, formPairs(r.URL.RawQuery)...)
	mediaType, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
	case mediaType == "multipart/form-data":
		pairs = append(pairs, multipartPairs(body, parameters["boundary"])...)
	case mediaType == "application/x-www-form-urlencoded":
		pairs = append(pairs, formPairs(string(body))...)
	default:
		pairs = append(pairs, bodyPairs(body)...)
	}
	return pairs[:min(len(pairs), maxFields)]
}

// responsePairs returns the fields of a response.
func responsePairs(header http.Header, body []byte) []pair {
	var pairs []pair
	if after := header.Get("Retry-After"); after != "" {
		pairs = append(pairs, pair{"Retry-After", after})
	}
	pairs = append(pairs, bodyPairs(body)...)
	return pairs[:min(len(pairs), maxFields)]
}

// formPairs decodes form fields in the order in which they were sent, which url.ParseQuery does not keep.
func formPairs(encoded string) []pair {
	var pairs []pair
	for part := range strings.SplitSeq(encoded, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if part != "" && errName == nil && errValue == nil {
			pairs = append(pairs, pair{name, value})
		}
	}
	return pairs
}

func multipartPairs(body []byte, boundary string) []pair {
	var pairs []pair
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for len(pairs) < maxFields {
		part, err := reader.NextRawPart()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(part) // if it is cut off, the server rejects it
		if part.FileName() != "" {
			pairs = append(pairs, pair{fileSize, fmt.Sprintf("%d bytes", len(content))})
			continue
		}
		pairs = append(pairs, pair{part.FormName(), string(content)})
	}
	return pairs
}

// fileSize and bodySize are the field names of values that are shown by their size only.
const (
	fileSize = "(file)"
	bodySize = "(body)"
)

// bodyPairs flattens a JSON body. Of any other body it returns only the size.
func bodyPairs(body []byte) []pair {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var pairs []pair
	if !utf8.Valid(body) || flatten(decoder, "", &pairs) != nil {
		return []pair{{bodySize, fmt.Sprintf("%d bytes", len(body))}}
	}
	return pairs
}

// flatten appends the fields of a JSON value in their original order. Nested fields have names such as
// userInfo.nickName.
func flatten(decoder *json.Decoder, name string, pairs *[]pair) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		*pairs = append(*pairs, pair{name, scalar(token)})
		return nil
	}
	for i := 0; decoder.More(); i++ {
		inner := strconv.Itoa(i)
		if delim == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			inner = key.(string) // the decoder accepts only strings as keys
		}
		if name != "" {
			inner = name + "." + inner
		}
		if err := flatten(decoder, inner, pairs); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// scalar formats a JSON value that is neither an object nor an array.
func scalar(token json.Token) string {
	if token == nil {
		return "null"
	}
	return fmt.Sprint(token)
}
