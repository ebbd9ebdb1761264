package handlers_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// Names of the listeners, which are tags in docs/openapi.yaml.
const (
	publicListener   = "public"
	internalListener = "internal"
)

// description is docs/openapi.yaml, with what the tests have seen of it.
type description struct {
	*openapi3.T
	mu       sync.Mutex
	seen     map[string]bool // such as "POST /onLogin 400 invalid_code"
	compared map[string]bool // whole exchanges
}

// loadDescription loads the description, which must be valid OpenAPI.
var loadDescription = sync.OnceValues(func() (*description, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err != nil {
		return nil, err
	}
	return &description{T: doc, seen: make(map[string]bool), compared: make(map[string]bool)}, doc.Validate(context.Background())
})

func openAPI(t testing.TB) *description {
	t.Helper()
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// described returns h with each request and response compared with the description. Benchmarks measure h alone.
func described(t testing.TB, listener string, h http.Handler) http.Handler {
	if _, ok := t.(*testing.B); ok || withRaceDetector {
		return h
	}
	d := openAPI(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange{listener: listener, routes: h.(chi.Routes), request: r}
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		recorder.Tee(&x.response)
		recorded := *r
		recorded.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &x.sent), r.Body}
		h.ServeHTTP(recorder, &recorded)
		x.status, x.header = cmp.Or(recorder.Status(), http.StatusOK), recorder.Header()
		if err := d.check(&x); err != nil {
			t.Errorf("%s %s is not as docs/openapi.yaml says: %d: %v", r.Method, r.URL.Path, x.status, err)
		}
	})
}

// exchange is a request with its response.
type exchange struct {
	listener string
	routes   chi.Routes
	request  *http.Request
	sent     bytes.Buffer // the request's body, as far as it was read

	status   int
	header   http.Header
	response bytes.Buffer
}

func (x *exchange) succeeded() bool { return x.status/100 == 2 }

// check records an exchange, and returns an error if it is not as the description says. Of exchanges that differ only in
// their request id, the first is compared: that takes a millisecond.
func (d *description) check(x *exchange) error {
	input, err := d.input(x)
	if err != nil {
		return err
	}
	if !d.record(input.Route, x) {
		return nil
	}
	return compare(x, input)
}

// record notes a response as seen, and reports whether the exchange is new.
func (d *description) record(route *routers.Route, x *exchange) bool {
	var content strings.Builder
	fmt.Fprintf(&content, "%s %s %d %s", route.Method, route.Path, x.status, x.response.Bytes())
	_ = x.header.Write(&content) // into memory
	if x.succeeded() {
		fmt.Fprint(&content, x.request.URL.RawQuery, x.request.Header, x.sent.String())
	}
	key := strings.ReplaceAll(content.String(), x.header.Get("X-Request-Id"), "")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[seenResponse(route, x)] = true
	isNew := !d.compared[key]
	d.compared[key] = true
	return isNew
}

// input finds the description of an exchange's route.
func (d *description) input(x *exchange) (*openapi3filter.RequestValidationInput, error) {
	found := chi.NewRouteContext()
	route := &routers.Route{Spec: d.T, Method: x.request.Method}
	path := cmp.Or(x.request.URL.RawPath, x.request.URL.Path)
	route.Path = strings.Replace(x.routes.Find(found, route.Method, path), "*", "{path}", 1)
	if found.URLParam("*") == "" {
		route.Path = strings.TrimSuffix(route.Path, "/{path}")
	}
	params := make(map[string]string)
	for i, name := range found.URLParams.Keys {
		params[strings.Replace(name, "*", "path", 1)] = found.URLParams.Values[i]
	}
	input := &openapi3filter.RequestValidationInput{Request: x.request, PathParams: params, Route: route}
	if route.Path == "" { // no such route
		route.Operation = &openapi3.Operation{Responses: openapi3.NewResponses(
			openapi3.WithStatus(404, d.Components.Responses["NotFound"]), openapi3.WithStatus(405, d.Components.Responses["MethodNotAllowed"]),
		)}
		return input, nil
	}
	return input, d.findOperation(route, x.listener)
}

// findOperation finds the operation of a route's method and path.
func (d *description) findOperation(route *routers.Route, listener string) error {
	if route.PathItem = d.Paths.Value(route.Path); route.PathItem == nil {
		return fmt.Errorf("%s is not described", route.Path)
	}
	if route.PathItem.Extensions["x-any-method"] == true {
		route.Method = http.MethodGet
	}
	if route.Operation = route.PathItem.GetOperation(route.Method); route.Operation == nil {
		return fmt.Errorf("%s %s is not described", route.Method, route.Path)
	}
	if !slices.Equal(route.Operation.Tags, []string{listener}) {
		return fmt.Errorf("%s is not on the %s listener", route.Path, listener)
	}
	return nil
}

// compare compares an exchange with the description. Requests are compared if they succeed: many tests send faulty ones.
func compare(x *exchange, input *openapi3filter.RequestValidationInput) error {
	if x.succeeded() && input.Route.PathItem != nil {
		if err := compareRequest(x, input); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	response := input.Route.Operation.Responses.Status(x.status)
	if response == nil {
		response = input.Route.Operation.Responses.Default()
	}
	input.Request = x.request.Clone(x.request.Context())
	input.Request.Method = http.MethodGet // of the response to HEAD nothing would be compared
	output := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.status, Header: x.header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	output.Options.WithCustomSchemaErrorFunc(reason)
	if err := openapi3filter.ValidateResponse(x.request.Context(), output.SetBodyBytes(x.response.Bytes())); err != nil {
		return err
	}
	if name := undescribed(x.header, response.Value.Headers); name != "" {
		return fmt.Errorf("the header %s is not described", name)
	}
	return nil
}

// compareRequest compares a request with the description, but for the parts of multipart bodies.
func compareRequest(x *exchange, input *openapi3filter.RequestValidationInput) error {
	input.Request = x.request.Clone(x.request.Context())
	input.Request.Body = io.NopCloser(bytes.NewReader(withoutEmptyFields(x.sent.Bytes(), x.request.Header.Get("Content-Type"))))
	input.Options = &openapi3filter.Options{AuthenticationFunc: hasCredentials, SkipSettingDefaults: true}
	input.Options.WithCustomSchemaErrorFunc(reason)
	if body := input.Route.Operation.RequestBody; body != nil && body.Value.Content.Get("multipart/form-data") != nil {
		input.Options.ExcludeRequestBody = true
	}
	return openapi3filter.ValidateRequest(x.request.Context(), input)
}

// withoutEmptyFields returns a form or JSON without the fields that count as missing, and other bodies as they are.
func withoutEmptyFields(body []byte, contentType string) []byte {
	if contentType == formType {
		form, _ := url.ParseQuery(string(body)) // the server could read it
		maps.DeleteFunc(form, func(_ string, v []string) bool { return v[0] == "" })
		return []byte(form.Encode())
	}
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil || v == "" })
	body, _ = json.Marshal(fields) // it was JSON
	return body
}

// undescribed returns a header that is not described, or "". Those of the transport need no description.
func undescribed(header http.Header, described openapi3.Headers) string {
	known := []string{"Content-Type", "Content-Length", "Connection"}
	for name := range described {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range header {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}

// reason is an error of a schema without the schema.
func reason(err *openapi3.SchemaError) string { return err.Reason }

// hasCredentials returns an error if a request lacks what a security scheme asks for.
func hasCredentials(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	header := input.RequestValidationInput.Request.Header
	value := header.Get("Authorization")
	if scheme := input.SecurityScheme; scheme.Type == "apiKey" {
		value = header.Get(scheme.Name)
	} else if !strings.HasPrefix(strings.ToLower(value), scheme.Scheme+" ") {
		value = ""
	}
	if value == "" {
		return errors.New("no " + input.SecuritySchemeName)
	}
	return nil
}
