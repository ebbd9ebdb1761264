package request

// Fields are the fields of a request body by name. A field that is absent, null or empty is not in it.
type Fields map[string]string

// Required gives a field, or an *Error that names it where it is missing.
func (f Fields) Required(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", invalidField(name, "The field "+name+" is missing.")
}
